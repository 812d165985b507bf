//! The UART of the nRF51 series.

use embedded_io::{ErrorType, Read, Write};

use super::register::Block;
use super::uart_error::UartError;

const START_RX: usize = 0x000;
const START_TX: usize = 0x008;
const RX_READY: usize = 0x108;
const TX_READY: usize = 0x11C;
const ERROR: usize = 0x124;
/// What was wrong, each bit cleared by writing it.
const ERROR_SOURCE: usize = 0x480;
const ENABLE: usize = 0x500;
const PIN_TXD: usize = 0x50C;
const PIN_RXD: usize = 0x514;
const RXD: usize = 0x518;
const TXD: usize = 0x51C;
const BAUD_RATE: usize = 0x524;

const ENABLED: u32 = 4;
const ERROR_SOURCE_OVERRUN: u32 = 1 << 0;
const BAUD_115200: u32 = 0x01D7_E000;

/// A UART at 115,200 baud; six bytes of receive buffer.
#[derive(Debug)]
pub struct Uart {
    block: Block,
}

impl Uart {
    /// Switches the UART on. `block` is one of this kind.
    pub fn new(block: Block, txd_pin: u32, rxd_pin: u32) -> Self {
        block.register(PIN_TXD).write(txd_pin);
        block.register(PIN_RXD).write(rxd_pin);
        block.register(BAUD_RATE).write(BAUD_115200);
        block.register(ENABLE).write(ENABLED);
        block.register(START_RX).write(1);
        block.register(START_TX).write(1);
        Uart { block }
    }

    /// An error when the hardware has found one, which is cleared then.
    fn check(&self) -> Result<(), UartError> {
        if self.block.register(ERROR).read() == 0 {
            return Ok(());
        }
        // The event first: an error that comes between the two sets it again.
        self.block.register(ERROR).write(0);
        let source = self.block.register(ERROR_SOURCE).read();
        self.block.register(ERROR_SOURCE).write(source);
        Err(if source & ERROR_SOURCE_OVERRUN != 0 {
            UartError::Overrun
        } else {
            UartError::Framing
        })
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
        // A break comes without a byte.
        while self.block.register(RX_READY).read() == 0 {
            self.check()?;
        }
        self.check()?;
        self.block.register(RX_READY).write(0);
        *first = self.block.register(RXD).read() as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, UartError> {
        for &byte in bytes {
            self.block.register(TX_READY).write(0);
            self.block.register(TXD).write(byte.into());
            while self.block.register(TX_READY).read() == 0 {}
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), UartError> {
        Ok(())
    }
}
