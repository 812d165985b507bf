//! The APB UART of Arm's Cortex-M System Design Kit, as on MPS2 and MPS3 boards.

use embedded_io::{ErrorType, Read, Write};

use super::register::Block;
use super::uart_error::UartError;

const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CONTROL: usize = 0x08;
const BAUD_DIVIDER: usize = 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
/// Set when a byte was lost, cleared by writing the bit.
const STATE_TX_OVERRUN: u32 = 1 << 2;
const STATE_RX_OVERRUN: u32 = 1 << 3;
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

    /// Waits until a bit of the state has a value.
    fn wait(&self, bit: u32, set: bool) -> u32 {
        loop {
            let state = self.block.register(STATE).read();
            if (state & bit != 0) == set {
                return state;
            }
        }
    }

    /// An error when the state has an overrun bit set, which is cleared then.
    fn check(&self, state: u32, overrun: u32) -> Result<(), UartError> {
        if state & overrun == 0 {
            return Ok(());
        }
        self.block.register(STATE).write(overrun);
        Err(UartError::Overrun)
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
        // An overrun leaves the buffer full: the byte that did come is read next.
        let state = self.wait(STATE_RX_FULL, true);
        self.check(state, STATE_RX_OVERRUN)?;
        *first = self.block.register(DATA).read() as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, UartError> {
        for &byte in bytes {
            // The UART empties it at its own pace, whatever the other end does.
            self.wait(STATE_TX_FULL, false);
            self.block.register(DATA).write(byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), UartError> {
        let state = self.wait(STATE_TX_FULL, false);
        self.check(state, STATE_TX_OVERRUN)
    }
}
