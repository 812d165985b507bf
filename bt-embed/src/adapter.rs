//! Lines of HALs that speak other traits than `embedded-io` 0.7.

#[cfg(feature = "embedded-io-06")]
mod io_06;
#[cfg(feature = "nb")]
mod non_blocking;

#[cfg(feature = "embedded-io-06")]
pub use io_06::{Io06, Io06Error};
#[cfg(feature = "nb")]
pub use non_blocking::{HalError, Nb};
