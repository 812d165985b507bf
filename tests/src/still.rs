//! A board's parts where a test looks at neither.

use std::convert::Infallible;

use bt_embed::board::{Board, Stack, Ticks};
use embedded_hal::digital::{ErrorType, OutputPin};
use embedded_io::{Read, Write};

/// A board at the end of a stream, of whose parts a test looks at nothing else.
pub fn board<S: Read + Write>(stream: S) -> Board<S, Still, Still> {
    Board {
        name: "in memory",
        stream,
        ticks: Still,
        led: Still,
        stack: Stack::default,
    }
}

/// A clock that stands still, and an LED that nobody sees.
pub struct Still;

impl Ticks for Still {
    fn hertz(&self) -> u32 {
        1_000_000
    }

    fn now(&self) -> u32 {
        0
    }
}

impl ErrorType for Still {
    type Error = Infallible;
}

impl OutputPin for Still {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
