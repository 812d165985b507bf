//! What a model made of a part of the data, in all detail that a report tells.

use crate::data::{Items, Part};
use crate::float::model::Model;
use crate::training::confusion::Confusion;
use crate::training::evaluate::{self, Told};
use crate::training::metrics::{BitFigures, Figures, ValueFigures};

/// What a model made of a part of the data.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Sequences of the part.
    pub sequences: usize,
    /// Sequences, or valid steps with a head on every step.
    pub items: usize,
    /// Over all of them.
    pub figures: Figures,
    /// Class by class, or output by output.
    pub detail: Detail,
}

/// Class by class, or output by output.
#[derive(Debug, Clone)]
pub enum Detail {
    /// Of classes.
    Classes(Confusion),
    /// Of values, in their own units.
    Values(Vec<ValueFigures>),
    /// Of bits and words there is none.
    None,
}

impl Outcome {
    /// That of what the model told.
    ///
    /// # Panics
    /// When targets and head are of different kinds.
    pub fn of(model: &Model, part: &Part, items: &Items, told: impl Into<Told>) -> Outcome {
        let Told { logits, divergence } = told.into();
        let (figures, detail) = match items {
            Items::Classes(labels) => {
                let told = evaluate::predictions(&logits);
                let confusion = Confusion::new(logits.ncols(), labels, &told);
                let figures = Figures::of_classes(&confusion);
                // Of a vocabulary it is a table of all words by all words.
                let detail = match model.config.head.gives.is_next_word() {
                    true => Detail::None,
                    false => Detail::Classes(confusion),
                };
                (figures, detail)
            }
            Items::Values(values) => {
                let found = model.in_units(logits);
                let all = Figures::Values(ValueFigures::of(&found, values));
                let outputs = ValueFigures::of_outputs(&found, values);
                (all, Detail::Values(outputs))
            }
            Items::Bits(bits) => {
                let figures = BitFigures::of(&logits, bits, part.sequences());
                (Figures::Bits(figures.bounded_by(divergence)), Detail::None)
            }
        };
        Outcome {
            sequences: part.sequences(),
            items: items.len(),
            figures,
            detail,
        }
    }

    /// Of classes.
    pub fn confusion(&self) -> Option<&Confusion> {
        match &self.detail {
            Detail::Classes(confusion) => Some(confusion),
            Detail::Values(_) | Detail::None => None,
        }
    }
}
