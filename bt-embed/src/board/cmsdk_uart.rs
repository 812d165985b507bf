//! The APB UART of Arm's Cortex-M System Design Kit, as on MPS2 and MPS3 boards.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

use super::register::Block;

const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CONTROL: usize = 0x08;
const BAUD_DIVIDER: usize = 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CONTROL_TX_RX_ENABLE: u32 = 0b11;

/// A UART of one byte each way.
#[derive(Debug)]
pub struct Uart {
    block: Block,
}

impl Uart {
    /// Switches the UART on. `block` is one of this kind.
    pub fn new(block: Block, clock_hz: u32, baud: u32) -> Self {
        // The device wants at least 16.
        block
            .register(BAUD_DIVIDER)
            .write(clock_hz.checked_div(baud).unwrap_or(16).max(16));
        block.register(CONTROL).write(CONTROL_TX_RX_ENABLE);
        Uart { block }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        while self.block.register(STATE).read() & STATE_RX_FULL == 0 {}
        *first = self.block.register(DATA).read() as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while self.block.register(STATE).read() & STATE_TX_FULL != 0 {}
            self.block.register(DATA).write(byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
