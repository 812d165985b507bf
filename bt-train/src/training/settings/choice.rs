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
    /// What y is: integers `[sequences]` or `[sequences, steps]`, floats `[sequences, K]` or `[sequences, steps, K]`
    Auto,
    /// The class of a sequence
    Classes,
    /// The class of every step
    StepClasses,
    /// Values of a sequence
    Values,
    /// Values of every step
    StepValues,
}

impl HeadChoice {
    /// The one of this name.
    pub(super) fn of(name: HeadName) -> HeadChoice {
        match name {
            HeadName::Classes => HeadChoice::Classes,
            HeadName::StepClasses => HeadChoice::StepClasses,
            HeadName::Values => HeadChoice::Values,
            HeadName::StepValues => HeadChoice::StepValues,
        }
    }

    /// Its name; none where y decides.
    pub(super) fn name(self) -> Option<HeadName> {
        match self {
            HeadChoice::Auto => None,
            HeadChoice::Classes => Some(HeadName::Classes),
            HeadChoice::StepClasses => Some(HeadName::StepClasses),
            HeadChoice::Values => Some(HeadName::Values),
            HeadChoice::StepValues => Some(HeadName::StepValues),
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
