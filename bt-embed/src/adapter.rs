//! What HALs have in another form than the application takes it.

#[cfg(feature = "embedded-io-06")]
mod io_06;
#[cfg(feature = "nb")]
mod non_blocking;
#[cfg(feature = "embedded-io-async")]
mod waiting;

#[cfg(feature = "embedded-io-06")]
pub use io_06::{Io06, Io06Error};
#[cfg(feature = "nb")]
pub use non_blocking::{HalError, Nb};
#[cfg(feature = "embedded-io-async")]
pub use waiting::Waiting;

use embedded_hal::digital::{ErrorType, OutputPin};

/// An LED between the supply and its pin: lit while the pin is low.
#[derive(Clone, Copy, Debug)]
pub struct ActiveLow<P>(pub P);

impl<P: ErrorType> ErrorType for ActiveLow<P> {
    type Error = P::Error;
}

impl<P: OutputPin> OutputPin for ActiveLow<P> {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.set_high()
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.0.set_low()
    }
}
