//! One pass over the training part.

use super::{Best, Trainer, generator};
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::init::{dropout_mask, uniform};
use crate::float::model::LossOptions;
use crate::quantize::fine_tune;
use crate::training::evaluate::{self, Score};
use crate::training::optimizer::{Decay, clip};
use bt_core::OutputKind;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Share of training sequences, or valid steps, right as they passed; none of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// On the validation part after it, where there is one.
    pub validation: Option<Score>,
    /// Learning rate of its last update.
    pub lr: f32,
    /// Longest gradient before clipping.
    pub gradient: f32,
}

/// Where an epoch stands after an update.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The update within it, from 1.
    pub update: usize,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Share right in the epoch so far; none of values.
    pub accuracy: Option<f64>,
}

impl Trainer<'_> {
    /// One pass over the training part. `watch` sees every update and may break
    /// it off, which gives `None` and leaves the epoch uncounted.
    ///
    /// # Errors
    /// When the loss is not finite or beyond all reason.
    pub fn epoch(
        &mut self,
        watch: &mut dyn FnMut(Update) -> ControlFlow<()>,
    ) -> Result<Option<Epoch>> {
        let epoch = self.epochs + 1;
        let mut rng = generator(self.settings.seed, epoch as u64);
        let mut order: Vec<usize> = (0..self.sequences).collect();
        order.shuffle(&mut rng);
        let renderings = self.train.sequences() / self.sequences;
        if renderings > 1 {
            for place in &mut order {
                *place += self.sequences * rng.random_range(0..renderings);
            }
        }
        let (mut loss_sum, mut correct, mut seen) = (0.0, 0, 0);
        let (mut longest, mut rate) = (0f32, 0.0);
        for (at, sequences) in order.chunks(self.settings.batch).enumerate() {
            let part = match &self.augmenter {
                None => self.train.subset(sequences),
                Some(augmenter) => augmenter.draw(sequences, &mut rng)?,
            };
            let all: Vec<usize> = (0..sequences.len()).collect();
            let batch = part.batch(&all, &self.normalization);
            let options = self.options(&batch.lengths, &mut rng);
            let items = batch.targets.as_ref().ok_or_else(no_targets)?;
            let (loss, mut gradients) = match self.scheme {
                None => self.model.loss_and_gradients(
                    batch.x.view(),
                    &batch.lengths,
                    items.wanted(),
                    &options,
                ),
                Some(scheme) => {
                    fine_tune::loss_and_gradients(scheme, &self.model, &part, &batch, &options)?
                }
            };
            let length = clip(&mut gradients, self.settings.clip);
            if !(loss.loss <= LOSS_MAX && length.is_finite()) {
                return Err(self.diverged(loss.loss, at + 1));
            }
            rate = self.schedule.rate(self.adam.updates);
            let decay = self.settings.weight_decay;
            let decay = Decay {
                weights: decay,
                factors: decay * self.settings.factor_decay,
            };
            self.adam.update(&mut self.model, &gradients, rate, decay);
            longest = longest.max(length);
            loss_sum += loss.loss * loss.rows as f64;
            correct += loss.correct;
            seen += loss.rows;
            let so_far = Update {
                epoch,
                update: at + 1,
                loss: loss_sum / seen as f64,
                accuracy: self.share(correct, seen),
            };
            if watch(so_far).is_break() {
                return Ok(None);
            }
        }
        let validation = self.validate()?;
        if let Some(score) = validation.filter(|score| !score.loss.is_finite()) {
            return Err(self.diverged(score.loss, self.updates_an_epoch()));
        }
        self.epochs = epoch;
        let keep = self.keep();
        let better = match (self.best(), &validation) {
            (Some(best), Some(new)) => best.validation.is_none_or(|old| new.beats(&old, keep)),
            _ => true,
        };
        if better {
            self.best = Some((Best { epoch, validation }, Checkpoint::of(&self.model)));
        }
        Ok(Some(Epoch {
            epoch,
            loss: loss_sum / seen as f64,
            accuracy: self.share(correct, seen),
            validation,
            lr: rate,
            gradient: longest,
        }))
    }

    /// Share right; of classes alone.
    fn share(&self, correct: usize, seen: usize) -> Option<f64> {
        let kind = self.model.config.head.gives.kind();
        (kind == OutputKind::Classes).then(|| correct as f64 / seen.max(1) as f64)
    }

    /// The loss at an update of the epoch under way is none to go on with.
    fn diverged(&self, loss: f64, update: usize) -> Error {
        let (lr, clip) = (self.settings.lr, self.settings.clip);
        Error::new(ErrorKind::Diverged {
            loss: loss as f32,
            update,
            epoch: self.epochs + 1,
        })
        .remedy(format!("lower `lr` (now {lr}) or `clip` (now {clip})"))
    }

    fn options(&self, lengths: &[usize], rng: &mut ChaCha8Rng) -> LossOptions {
        let (config, sequences) = (&self.model.config, lengths.len());
        let mut mask = |share: f32, width| {
            (share > 0.0).then(|| dropout_mask(sequences, width, f64::from(share), rng))
        };
        LossOptions {
            weights: self.weights.clone(),
            input_mask: mask(self.settings.input_dropout, config.inputs()),
            recurrent_mask: mask(
                self.settings.recurrent_dropout,
                config.layers * config.units(),
            ),
            output_mask: mask(self.settings.output_dropout, config.units()),
            noise: evaluate::noise(config, sequences, rng),
            hidden_words: (self.settings.hide_words > 0.0).then(|| {
                let rate = f64::from(self.settings.hide_words);
                let words: usize = lengths.iter().sum();
                (0..words).map(|_| uniform(rng) < rate).collect()
            }),
        }
    }
}

/// A part that learns has targets, or there is no trainer.
fn no_targets() -> Error {
    Error::new(ErrorKind::Internal("a batch without targets"))
}

/// A loss beyond this is no loss to learn from: the logits are thousands apart.
const LOSS_MAX: f64 = 1e3;
