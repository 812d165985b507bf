//! Why a device serves no model.

use core::fmt;

use bt_core::error::{ParseError, SessionError};

use crate::wire::Error;

/// Why there is nothing to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The bytes in flash are no model.
    Parse(ParseError),
    /// The model does not fit the memory of its session.
    Session(SessionError),
    /// The model of a slot did not give its golden scores.
    SelfTest,
    /// The model changed in flash while it was served.
    Changed,
    /// The model has more scores than there is room for.
    Classes {
        /// [`Model::outputs`].
        need: usize,
        /// Room.
        found: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Parse(error) => error.fmt(f),
            Refusal::Session(error) => error.fmt(f),
            Refusal::SelfTest => write!(f, "the model's self test failed"),
            Refusal::Changed => Error::ModelDamaged.fmt(f),
            Refusal::Classes { need, found } => write!(
                f,
                "the firmware has room for {found} scores, the model gives {need}"
            ),
        }
    }
}

impl core::error::Error for Refusal {}
