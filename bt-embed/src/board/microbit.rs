//! BBC micro:bit v1: nRF51822, Cortex-M0, 256 KiB of flash, 16 KiB of RAM.
#![allow(unsafe_code)]

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use super::nrf51_timer::Timer;
use super::nrf51_uart::Uart;
use super::register::Block;
use super::{Board, stack};

const UART: usize = 0x4000_2000;
const TIMER0: usize = 0x4000_8000;
const GPIO: usize = 0x5000_0000;

/// Pins that lead to the USB interface chip.
const TXD_PIN: u32 = 24;
const RXD_PIN: u32 = 25;

/// The top left LED of the matrix: its row is driven high, its column low.
const ROW_1: u32 = 1 << 13;
const COLUMN_1: u32 = 1 << 4;

const OUT_SET: usize = 0x508;
const OUT_CLEAR: usize = 0x50C;
const DIRECTION_SET: usize = 0x518;

/// The top left LED.
#[derive(Debug)]
pub struct Led {
    block: Block,
}

impl Led {
    fn new(block: Block) -> Self {
        block.register(OUT_CLEAR).write(ROW_1 | COLUMN_1);
        block.register(DIRECTION_SET).write(ROW_1 | COLUMN_1);
        Led { block }
    }
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.block.register(OUT_CLEAR).write(ROW_1);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.block.register(OUT_SET).write(ROW_1);
        Ok(())
    }
}

/// The board, once.
pub fn take() -> Option<Board<Uart, Timer, Led>> {
    cortex_m::Peripherals::take()?;
    // SAFETY: by the nRF51 reference manual these are UART0, TIMER0 and GPIO,
    // and no memory of the program.
    let (uart, timer, gpio) = unsafe { (Block::at(UART), Block::at(TIMER0), Block::at(GPIO)) };
    Some(Board {
        name: crate::BOARD,
        stream: Uart::new(uart, TXD_PIN, RXD_PIN),
        ticks: Timer::new(timer),
        led: Led::new(gpio),
        stack: stack::measure,
    })
}
