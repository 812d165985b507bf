//! Ticks by TIMER0 of the nRF51 series (its core has no SysTick).

use super::Ticks;
use super::register::Block;

const START: usize = 0x000;
const CAPTURE: usize = 0x040;
const BIT_MODE: usize = 0x508;
const PRESCALER: usize = 0x510;
const COMPARE: usize = 0x540;

const BITS_32: u32 = 3;
const HERTZ: u32 = 16_000_000;

/// The running timer: 32 bits at 16 MHz.
#[derive(Debug)]
pub struct Timer {
    block: Block,
}

impl Timer {
    /// Starts the timer. `block` is TIMER0, the one of 32 bits.
    pub fn new(block: Block) -> Self {
        block.register(BIT_MODE).write(BITS_32);
        block.register(PRESCALER).write(0);
        block.register(START).write(1);
        Timer { block }
    }
}

impl Ticks for Timer {
    fn hertz(&self) -> u32 {
        HERTZ
    }

    fn now(&self) -> u32 {
        self.block.register(CAPTURE).write(1);
        self.block.register(COMPARE).read()
    }
}
