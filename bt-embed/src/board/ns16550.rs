//! The UART 16550, its registers a byte each, as on QEMU's `virt`.

use embedded_io::{ErrorType, Read, Write};

use super::register::Block;
use super::uart_error::UartError;

const DATA: usize = 0;
const LINE_CONTROL: usize = 3;
const LINE_STATUS: usize = 5;

const EIGHT_BITS: u8 = 0b11;
const RECEIVED: u8 = 1 << 0;
/// Read away with the status, like what follows.
const OVERRUN: u8 = 1 << 1;
/// Parity, framing, break.
const GARBLED: u8 = 0b111 << 2;
const MAY_SEND: u8 = 1 << 5;
const ALL_SENT: u8 = 1 << 6;

/// A UART.
#[derive(Debug)]
pub struct Uart {
    block: Block,
}

impl Uart {
    /// Switches the UART on, at the speed that it has. `block` is one of this kind.
    pub fn new(block: Block) -> Self {
        block.byte(LINE_CONTROL).write(EIGHT_BITS);
        // Its FIFOs stay off: switching them on throws away what has come already.
        Uart { block }
    }

    /// Waits until a bit of the status is set.
    fn wait(&self, bit: u8) -> u8 {
        loop {
            let status = self.block.byte(LINE_STATUS).read();
            if status & bit != 0 {
                return status;
            }
        }
    }
}

impl ErrorType for Uart {
    type Error = UartError;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, UartError> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        let status = self.wait(RECEIVED);
        // What came after an overrun is read next.
        if status & OVERRUN != 0 {
            return Err(UartError::Overrun);
        }
        let byte = self.block.byte(DATA).read();
        if status & GARBLED != 0 {
            return Err(UartError::Framing);
        }
        *first = byte;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, UartError> {
        for &byte in bytes {
            self.wait(MAY_SEND);
            self.block.byte(DATA).write(byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), UartError> {
        self.wait(ALL_SENT);
        Ok(())
    }
}
