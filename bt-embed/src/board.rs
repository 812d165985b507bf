//! What the application needs of a board, and the boards.
//!
//! A board is a name, a byte stream, a clock and an LED. The drivers are small
//! and poll; a product replaces them by those of its HAL, which speak the same
//! `embedded-io` and `embedded-hal` traits.

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};

#[cfg(feature = "_mps")]
mod cmsdk_uart;
#[cfg(feature = "_board")]
pub mod exit;
#[cfg(feature = "board-microbit")]
mod microbit;
#[cfg(feature = "_mps")]
mod mps;
#[cfg(all(slots, feature = "board-microbit"))]
mod nrf51_flash;
#[cfg(feature = "board-microbit")]
mod nrf51_timer;
#[cfg(feature = "board-microbit")]
mod nrf51_uart;
#[cfg(feature = "_virt")]
mod ns16550;
#[cfg(all(slots, feature = "_mps"))]
mod ram_flash;
#[cfg(feature = "_board")]
pub mod register;
#[cfg(all(slots, any(feature = "_mps", feature = "board-microbit")))]
mod slot_memory;
#[cfg(any(feature = "cortex-m", feature = "_virt"))]
mod stack;
#[cfg(feature = "cortex-m")]
mod sys_tick;
#[cfg(feature = "_board")]
mod uart_error;
#[cfg(feature = "_virt")]
mod virt;

#[cfg(feature = "board-microbit")]
pub use microbit::take;
#[cfg(feature = "_mps")]
pub use mps::take;
#[cfg(all(slots, feature = "board-microbit"))]
pub use nrf51_flash::take_slots;
#[cfg(all(slots, feature = "_mps"))]
pub use ram_flash::take_slots;
#[cfg(feature = "cortex-m")]
pub use stack::measure as measure_stack;
#[cfg(feature = "cortex-m")]
pub use sys_tick::SysTickClock;
#[cfg(feature = "_virt")]
pub use virt::take;

/// Ends the program, saying why, unless the processor has what the kernels of this build take for granted.
#[cfg(feature = "_board")]
pub fn require_processor() {
    if let Err(lack) = bt_core::check_processor() {
        exit::unfit(lack);
    }
}

/// Bytes of stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Ever used.
    pub bytes_used: u32,
    /// There are.
    pub bytes: u32,
}

/// A clock that counts on its own; differences are what matter, and wrap.
pub trait Ticks {
    /// Ticks in a second.
    fn hertz(&self) -> u32;

    /// Ticks so far, modulo 2³².
    fn now(&self) -> u32;

    /// The program goes on: called between two pieces of work, none of which takes longer than a step of the model.
    /// A product with a watchdog feeds it here, and in its line's `read`, where the program waits for the host.
    fn alive(&self) {}
}

impl<T: Ticks> Ticks for &T {
    fn hertz(&self) -> u32 {
        T::hertz(self)
    }

    fn now(&self) -> u32 {
        T::now(self)
    }

    fn alive(&self) {
        T::alive(self);
    }
}

/// A board, ready to run the application.
pub struct Board<S: Read + Write, T: Ticks, L: OutputPin> {
    /// Name, as QEMU spells it.
    pub name: &'static str,
    /// The line to the host.
    pub stream: S,
    /// The clock.
    pub ticks: T,
    /// Lit while a class is detected.
    pub led: L,
    /// Measures the stack.
    pub stack: fn() -> Stack,
}
