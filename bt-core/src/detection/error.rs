//! Why a detector refuses.

use super::Rule;

/// Why there is no detector, or no such rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DetectorError {
    /// The model gives values, bits or words, not classes.
    NotClasses,
    /// The slice does not have one place per class.
    WrongLength {
        /// [`Model::outputs`](crate::Model::outputs).
        need: usize,
        /// Length of the slice.
        found: usize,
    },
    /// There is no such class.
    NoClass {
        /// Count of classes.
        classes: usize,
    },
    /// The threshold is not 1 ..= [`Rule::THRESHOLD_MAX`].
    Threshold {
        /// What it is.
        found: u16,
    },
    /// The smoothing is above [`Rule::SMOOTHING_MAX`].
    Smoothing {
        /// What it is.
        found: u8,
    },
}

impl core::fmt::Display for DetectorError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotClasses => f.write_str("the model tells no classes"),
            Self::WrongLength { need, found } => write!(f, "{found} places for {need} classes"),
            Self::NoClass { classes } => write!(f, "there are only {classes} classes"),
            Self::Threshold { found } => write!(
                f,
                "the threshold is {found}; 1 to {} of 32768 are thresholds",
                Rule::THRESHOLD_MAX
            ),
            Self::Smoothing { found } => write!(
                f,
                "the smoothing is over 2^{found} looks; 2^{} are the most",
                Rule::SMOOTHING_MAX
            ),
        }
    }
}

impl core::error::Error for DetectorError {}
