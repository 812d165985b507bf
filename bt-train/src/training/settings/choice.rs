//! Words that settings are chosen from.

use crate::float::config::HeadName;
use serde::{Deserialize, Serialize};

/// How much each class counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every sequence counts the same
    None,
    /// Every class counts the same: sequences of a rare class count more than those of a common one
    Balanced,
}

/// What the head gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HeadChoice {
    /// What y is: integers `[sequences]`, `[sequences, steps]` or `[sequences, steps, K]` (bits, K above 1), floats
    /// `[sequences]`, `[sequences, K]` or `[sequences, steps, K]`
    Auto,
    /// The class of a sequence
    Classes,
    /// The class of every step
    StepClasses,
    /// Values of a sequence
    Values,
    /// Values of every step
    StepValues,
    /// Bits of a sequence
    Bits,
    /// Bits of every step
    StepBits,
    /// Bits of the next frame: y is x, and the model can draw
    NextBits,
    /// The next word of a caption: `words` of a `picture`, and the model can caption
    NextWords,
    /// Pictures of zeros and ones, a row a step, painted from latent values in `draw-steps` steps (DRAW): y is x
    Draw,
}

impl HeadChoice {
    /// The one of this name.
    pub(super) fn of(name: HeadName) -> HeadChoice {
        match name {
            HeadName::Classes => HeadChoice::Classes,
            HeadName::StepClasses => HeadChoice::StepClasses,
            HeadName::Values => HeadChoice::Values,
            HeadName::StepValues => HeadChoice::StepValues,
            HeadName::Bits => HeadChoice::Bits,
            HeadName::StepBits => HeadChoice::StepBits,
            HeadName::NextBits => HeadChoice::NextBits,
            HeadName::NextWords => HeadChoice::NextWords,
            HeadName::Draw => HeadChoice::Draw,
        }
    }

    /// Its name; none where y decides.
    pub fn name(self) -> Option<HeadName> {
        match self {
            HeadChoice::Auto => None,
            HeadChoice::Classes => Some(HeadName::Classes),
            HeadChoice::StepClasses => Some(HeadName::StepClasses),
            HeadChoice::Values => Some(HeadName::Values),
            HeadChoice::StepValues => Some(HeadName::StepValues),
            HeadChoice::Bits => Some(HeadName::Bits),
            HeadChoice::StepBits => Some(HeadName::StepBits),
            HeadChoice::NextBits => Some(HeadName::NextBits),
            HeadChoice::NextWords => Some(HeadName::NextWords),
            HeadChoice::Draw => Some(HeadName::Draw),
        }
    }
}

/// What errors of values cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ValueLoss {
    /// Their square
    Squared,
    /// Huber's: their square up to `huber-delta`, and no more than in proportion beyond
    Huber,
}
