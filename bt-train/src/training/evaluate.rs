//! Scores of a model on a part of a data set.

use crate::data::{Normalization, Part};
use crate::float::head::{LossWeights, cross_entropy};
use crate::float::model::Model;
use bt_core::argmax;
use ndarray::{Array2, s};

/// Sequences computed at a time.
const BATCH: usize = 64;

/// How well logits fit labels.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Share of sequences whose largest logit is the label's.
    pub accuracy: f64,
    /// Mean cross entropy.
    pub loss: f64,
}

impl Score {
    /// The score of these logits [sequences, classes].
    pub fn of(logits: &Array2<f32>, labels: &[usize]) -> Score {
        let (loss, _) = cross_entropy(logits.view(), labels, &LossWeights::default());
        Score {
            accuracy: loss.correct as f64 / labels.len().max(1) as f64,
            loss: loss.loss,
        }
    }

    /// Whether this one is better: more right, or as many with less loss.
    pub fn beats(&self, other: &Score) -> bool {
        (self.accuracy, -self.loss) > (other.accuracy, -other.loss)
    }
}

/// Logits [sequences, classes] of every sequence of a part.
pub fn logits(model: &Model, part: &Part) -> Array2<f32> {
    let normalization = Normalization::of(model);
    let mut logits = Array2::zeros((part.sequences(), model.config.head.classes));
    // Sequences of like length together: a batch is as long as its longest.
    let mut order: Vec<usize> = (0..part.sequences()).collect();
    order.sort_by_key(|&sequence| part.lengths[sequence]);
    for sequences in order.chunks(BATCH) {
        let batch = part.batch(sequences, &normalization);
        let some = model.logits(batch.x.view(), &batch.lengths);
        for (&sequence, row) in sequences.iter().zip(some.outer_iter()) {
            logits.slice_mut(s![sequence, ..]).assign(&row);
        }
    }
    logits
}

/// The class of the largest logit of each sequence.
pub fn predictions(logits: &Array2<f32>) -> Vec<usize> {
    logits
        .outer_iter()
        .map(|row| argmax(row).unwrap_or(0))
        .collect()
}
