//! Scores of a model on a part of a data set.

use crate::data::{Items, Normalization, Part, Targets};
use crate::float::config::ModelConfig;
use crate::float::head::LossWeights;
use crate::float::init;
use crate::float::model::Model;
use crate::training::confusion::Confusion;
use crate::training::metrics::{BitFigures, CaptionFigures, Figures, Keep, ValueFigures};
use bt_core::argmax;
use ndarray::{Array2, Array3, s};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Sequences computed at a time.
const BATCH: usize = 64;

/// How well logits fit what they should have been.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Accuracy and its like of classes, errors of values, nats of bits.
    #[serde(flatten)]
    pub figures: Figures,
    /// Of captions told for the pictures, where they were.
    #[serde(flatten)]
    pub captions: Option<CaptionFigures>,
    /// Mean cross entropy (of bits a bit), or mean squared error of values in standard deviations of the training
    /// part's.
    pub loss: f64,
}

/// What a model says of a part.
#[derive(Debug, Clone)]
pub struct Told {
    /// As of [`logits`].
    pub logits: Array2<f32>,
    /// Of a model that draws pictures, the mean divergence of a picture's latent values from N(0, 1), in nats.
    pub divergence: Option<f64>,
}

impl From<Array2<f32>> for Told {
    /// Of a model that draws no pictures.
    fn from(logits: Array2<f32>) -> Told {
        Told {
            logits,
            divergence: None,
        }
    }
}

impl Score {
    /// The score of what a model told.
    ///
    /// # Panics
    /// When targets and head are of different kinds.
    pub fn of(model: &Model, told: &Told, targets: &Targets) -> Score {
        let (logits, wanted) = (&told.logits, targets.items.wanted());
        let (mut loss, _) = model.loss(logits.view(), wanted, &LossWeights::default());
        if let Some(divergence) = told.divergence {
            loss.loss += divergence / logits.ncols() as f64;
        }
        let figures = match &targets.items {
            Items::Classes(labels) => {
                let predictions = predictions(logits);
                Figures::of_classes(&Confusion::new(logits.ncols(), labels, &predictions))
            }
            Items::Values(values) => {
                Figures::Values(ValueFigures::of(&model.in_units(logits.clone()), values))
            }
            Items::Bits(bits) => {
                let figures = BitFigures::of(logits, bits, targets.sequences());
                Figures::Bits(figures.bounded_by(told.divergence))
            }
        };
        Score {
            figures,
            captions: None,
            loss: loss.loss,
        }
    }

    /// The same with figures of captions.
    #[must_use]
    pub fn with_captions(self, captions: Option<CaptionFigures>) -> Score {
        Score { captions, ..self }
    }

    /// The figure of this name.
    pub fn get(&self, keep: Keep) -> Option<f64> {
        match keep {
            Keep::Loss => Some(self.loss),
            Keep::Bleu => self.captions.map(|captions| captions.bleu[3]),
            keep => self.figures.get(keep),
        }
    }

    /// Whether this one is better by that figure, or as good with less loss.
    pub fn beats(&self, other: &Score, keep: Keep) -> bool {
        let rank = |score: &Score| {
            let good = score.get(keep).unwrap_or(f64::NEG_INFINITY);
            let good = if keep.is_error() { -good } else { good };
            (good, -score.loss)
        };
        rank(self) > rank(other)
    }
}

/// Logits [rows, K] of every sequence of a part, or of every valid step of each, sequence by sequence; of
/// values as the head gives them, see [`Network::in_units`](crate::float::model::Network::in_units).
pub fn logits(model: &Model, part: &Part) -> Array2<f32> {
    told(model, part).logits
}

/// The same, and what else the model tells. Latent values are drawn once, the same whenever it is asked.
pub fn told(model: &Model, part: &Part) -> Told {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut divergence = None;
    let normalization = Normalization::of(model);
    let gives = model.config.head.gives;
    // First row of each sequence, and the end.
    let captions = part.targets.as_ref().and_then(Targets::caption_lengths);
    let lengths = captions.as_ref().unwrap_or(&part.lengths);
    let mut starts = vec![0];
    starts.extend(lengths.iter().scan(0, |end, &length| {
        *end += if gives.every_step() { length } else { 1 };
        Some(*end)
    }));
    let rows = starts[part.sequences()];
    let mut logits = Array2::zeros((rows, gives.outputs()));
    // Sequences of like length together: a batch is as long as its longest.
    let mut order: Vec<usize> = (0..part.sequences()).collect();
    order.sort_by_key(|&sequence| lengths[sequence]);
    for sequences in order.chunks(BATCH) {
        let batch = part.batch(sequences, &normalization);
        let some = match (
            noise(&model.config, sequences.len(), &mut rng),
            &batch.targets,
        ) {
            (Some(noise), _) => {
                let (some, nats) = model.painted(batch.x.view(), &batch.lengths, Some(&noise));
                *divergence.get_or_insert(0.0) += nats / part.sequences() as f64;
                some
            }
            (None, Some(Items::Classes(words))) if gives.is_next_word() => {
                model.word_logits(batch.x.view(), &batch.lengths, words)
            }
            (None, _) => model.logits(batch.x.view(), &batch.lengths),
        };
        let mut next = 0;
        for &sequence in sequences {
            let rows = starts[sequence]..starts[sequence + 1];
            let end = next + rows.len();
            logits
                .slice_mut(s![rows, ..])
                .assign(&some.slice(s![next..end, ..]));
            next = end;
        }
    }
    Told { logits, divergence }
}

/// Numbers from N(0, 1) by which a model that draws pictures draws its latent values, [T, sequences, Z].
pub fn noise(config: &ModelConfig, sequences: usize, rng: &mut ChaCha8Rng) -> Option<Array3<f32>> {
    config.decoder_shape()?;
    let shape = (config.head.steps?, sequences, config.latent_values());
    Some(Array3::from_shape_simple_fn(shape, || {
        init::normal(rng) as f32
    }))
}

/// The class of the largest logit of each row.
pub fn predictions(logits: &Array2<f32>) -> Vec<usize> {
    logits
        .outer_iter()
        .map(|row| argmax(row).unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_that_is_kept_decides_and_then_the_loss() {
        let classes = |accuracy, macro_f1, loss| Score {
            figures: Figures::Classes {
                accuracy,
                balanced_accuracy: 0.5,
                macro_f1,
            },
            captions: None,
            loss,
        };
        let (often, rarely) = (classes(0.9, 0.4, 0.3), classes(0.8, 0.7, 0.6));
        assert!(often.beats(&rarely, Keep::Accuracy));
        assert!(rarely.beats(&often, Keep::MacroF1));
        assert!(often.beats(&rarely, Keep::Loss));
        // Equal: the loss.
        assert!(often.beats(&rarely, Keep::BalancedAccuracy));
        let values = |rmse, r2| Score {
            figures: Figures::Values(ValueFigures {
                rmse,
                mae: rmse,
                r2,
            }),
            captions: None,
            loss: rmse,
        };
        let (near, far) = (values(0.1, Some(0.9)), values(0.2, None));
        assert!(near.beats(&far, Keep::Rmse) && near.beats(&far, Keep::R2));
        // A run that goes on reads what it wrote.
        let bits = |nats| Score {
            figures: Figures::Bits(BitFigures {
                nats,
                accuracy: 0.5,
                divergence: None,
            }),
            captions: None,
            loss: 0.1,
        };
        assert!(bits(80.0).beats(&bits(81.0), Keep::Nats));
        let captions = |bleu, loss| {
            let bleu = [0.6, 0.5, 0.4, bleu];
            let captions = CaptionFigures { bleu, distinct: 9 };
            classes(0.7, 0.2, loss).with_captions(Some(captions))
        };
        assert!(captions(0.31, 1.9).beats(&captions(0.3, 1.2), Keep::Bleu));
        assert!(captions(0.3, 1.2).beats(&often, Keep::Bleu));
        for score in [often, near, far, bits(80.0), captions(0.25, 1.5)] {
            let text = serde_json::to_string(&score).unwrap();
            assert_eq!(serde_json::from_str::<Score>(&text).unwrap(), score);
        }
    }
}
