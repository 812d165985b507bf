//! What each call can refuse, with what was needed and what was found; and [`Error`], any of them.
//!
//! ```
//! use bt_core::error::ParseError;
//! use bt_core::{Error, Session};
//!
//! /// Whether the file is at fault, and should be copied again.
//! fn is_the_file(error: Error) -> bool {
//!     matches!(error, Error::Parse(ParseError::Crc { .. } | ParseError::Truncated { .. }))
//! }
//! ```

pub use crate::detection::error::DetectorError;
pub use crate::front_end::FrontEndError;
pub use crate::model::layout::Section;
pub use crate::model::{Field, ParseError};
pub use crate::processor::ProcessorError;
pub use crate::session::{
    DrawError, PushError, ScoresError, SessionError, StateError, StepError, WordError,
};

/// Whatever a call of this crate can refuse: `?` makes it of each of them.
///
/// ```
/// use bt_core::error::ParseError;
/// use bt_core::{Error, Model};
///
/// fn classes(bytes: &[u8]) -> Result<usize, Error> {
///     Ok(Model::parse(bytes)?.classes())
/// }
/// assert!(matches!(classes(&[]), Err(Error::Parse(ParseError::Truncated { .. }))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no model.
    Parse(ParseError),
    /// There is no session in this arena.
    Session(SessionError),
    /// Values were not taken.
    Push(PushError),
    /// A step was not taken.
    Step(StepError),
    /// Scores were not given.
    Scores(ScoresError),
    /// Nothing was drawn.
    Draw(DrawError),
    /// No word was read.
    Word(WordError),
    /// A state was not saved or loaded.
    State(StateError),
    /// There is no detector, or no such rule.
    Detector(DetectorError),
}

macro_rules! from {
    ($($variant:ident($error:ty),)+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+

        impl core::fmt::Display for Error {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $(Self::$variant(error) => error.fmt(f),)+
                }
            }
        }
    };
}

from! {
    Parse(ParseError),
    Session(SessionError),
    Push(PushError),
    Step(StepError),
    Scores(ScoresError),
    Draw(DrawError),
    Word(WordError),
    State(StateError),
    Detector(DetectorError),
}

impl core::error::Error for Error {}
