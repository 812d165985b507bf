//! What a head gives, by its name: the word that settings, data and errors have for it.

use bt_core::OutputKind;
use serde::{Deserialize, Serialize};

/// What a head gives, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HeadName {
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
    /// Bits of the next frame
    NextBits,
    /// The next word of a caption
    NextWords,
    /// Bits of a picture
    Draw,
}

impl HeadName {
    /// Whether there is one after every step.
    pub fn every_step(self) -> bool {
        !matches!(
            self,
            HeadName::Classes | HeadName::Values | HeadName::Bits | HeadName::Draw
        )
    }

    /// Of what there is one each.
    pub fn kind(self) -> OutputKind {
        match self {
            HeadName::Classes | HeadName::StepClasses | HeadName::NextWords => OutputKind::Classes,
            HeadName::Values | HeadName::StepValues => OutputKind::Values,
            HeadName::Bits | HeadName::StepBits | HeadName::NextBits | HeadName::Draw => {
                OutputKind::Bits
            }
        }
    }

    /// In words: the … .
    pub fn words(self) -> &'static str {
        match self {
            HeadName::Classes => "class of a sequence",
            HeadName::StepClasses => "class of every step",
            HeadName::Values => "values of a sequence",
            HeadName::StepValues => "values of every step",
            HeadName::Bits => "bits of a sequence",
            HeadName::StepBits => "bits of every step",
            HeadName::NextBits => "bits of the next frame",
            HeadName::NextWords => "next word of a caption",
            HeadName::Draw => "bits of a picture",
        }
    }
}
