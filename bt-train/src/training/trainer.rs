//! Training, an epoch at a time, the same whenever it is repeated.
//!
//! Whatever is random about an epoch comes from the seed and the epoch's
//! number alone, so a run that goes on after a kill needs no generator's state.

mod epoch;
mod state;

pub use epoch::{Epoch, Update};
pub use state::{Best, State};

use crate::data::memory;
use crate::data::{DataSet, Normalization, NormalizeOver, Part, PartName, drawn_place};
use crate::error::{Error, ErrorKind, Result, With};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::ModelConfig;
use crate::float::filter::Filter;
use crate::float::head::LossWeights;
use crate::float::model::Model;
use crate::quantize::export::Scheme;
use crate::quantize::fine_tune;
use crate::training::augment::Augmenter;
use crate::training::caption::{self, Pictures};
use crate::training::evaluate::{self, Score};
use crate::training::material::Material;
use crate::training::metrics::{CaptionFigures, Keep};
use crate::training::optimizer::Adam;
use crate::training::outcome::Outcome;
use crate::training::schedule::Schedule;
use crate::training::settings::Settings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A run under way.
pub struct Trainer<'a> {
    settings: &'a Settings,
    /// [`DataSet::fingerprint`] of what is learned from.
    fingerprint: u64,
    /// Every rendering of the training sequences, one after the other.
    train: Part,
    /// Training sequences of one rendering.
    sequences: usize,
    /// Varies them, where that is wanted.
    augmenter: Option<Augmenter>,
    validation: Option<Part>,
    normalization: Normalization,
    /// What offset and scale were taken over, where the data decided.
    chosen: Option<NormalizeOver>,
    /// What is strange about the values, a line each.
    warnings: Vec<String>,
    weights: LossWeights,
    schedule: Schedule,
    model: Model,
    /// The integers that learning goes through; none: floats.
    scheme: Option<&'a Scheme>,
    adam: Adam,
    epochs: usize,
    best: Option<(Best, Checkpoint)>,
}

impl<'a> Trainer<'a> {
    /// A run about to start: data as loaded split and turned into frames, offset and
    /// scale taken from what is left to learn from, weights drawn.
    ///
    /// # Errors
    /// When the data do not fit the settings, or a class has no sequence.
    pub fn new(settings: &'a Settings, config: ModelConfig, data: &DataSet) -> Result<Trainer<'a>> {
        let need = BYTES_A_WEIGHT.saturating_mul(config.parameters() as u64);
        memory::check(need, memory::available()).map_err(|error| {
            error
                .field("hidden-modes")
                .remedy("take a smaller hidden state, or block-term maps")
        })?;
        let material = Material::new(settings, &config, data)?;
        // The bands of a front end are of one unit.
        let over = match (&config.front_end, settings.normalize) {
            (Some(_), NormalizeOver::Auto) => NormalizeOver::Set,
            (_, over) => over,
        };
        let filter = Filter::of(&config.input);
        if filter.is_some() && material.frames.lengths.iter().all(|&length| length < 2) {
            let why = "passes nothing of a first step, and every sequence has but one";
            return Err(Error::new(ErrorKind::Conflict {
                with: With::SingleSteps,
                why,
            })
            .field("input-filter")
            .remedy("leave it out"));
        }
        let mut chosen = None;
        let mut warnings = Vec::new();
        let normalization = if config.head.gives.is_pictures() {
            // Pixels are read beside what is painted, in the same unit.
            Normalization::identity(config.frame_values())
        } else {
            let fitted =
                Normalization::fit_and_tell(&material.frames, config.inputs(), over, filter)
                    .map_err(|error| error.field("x_train"))?;
            if config.front_end.is_none() {
                chosen = (over == NormalizeOver::Auto).then_some(fitted.over);
                warnings = fitted.warnings;
                if let Some(outlier) = fitted.outlier {
                    let sequence = material.places[outlier.sequence];
                    let length = data.part(PartName::Train)?.lengths[sequence];
                    let step = match config.input.frames {
                        Some(frames) => drawn_place(outlier.step, frames, length),
                        None => outlier.step,
                    };
                    warnings.push(outlier.line(sequence, step));
                }
            }
            fitted.normalization
        };
        if material.validation.is_none() && settings.validation > 0.0 {
            let why = match material.frames.groups {
                Some(_) => "all sequences are of one group",
                None => "there are too few of each class",
            };
            warnings.push(format!(
                "x_train: nothing is kept for validation, since {why}: the last epoch is kept, however well it does"
            ));
        }
        let mut model = Model::new(config, &mut generator(settings.seed, 0))?;
        model.offset = normalization.offset.clone().into();
        model.scale = normalization.scale.clone().into();
        if let Some((offset, scale)) = &material.units {
            model.value_offset = offset.clone().into();
            model.value_scale = scale.clone().into();
        }
        Ok(Trainer {
            chosen,
            warnings,
            ..Trainer::start(settings, model, normalization, material)
        })
    }

    /// A trained model that goes on learning, with its own offset and scale. As it is it counts as the best so
    /// far, of epoch 0.
    ///
    /// # Errors
    /// When the data do not fit the model, or a class has no sequence.
    pub fn warm(
        settings: &'a Settings,
        checkpoint: &Checkpoint,
        data: &DataSet,
    ) -> Result<Trainer<'a>> {
        Trainer::going_on(settings, checkpoint, None, data)
    }

    /// The same as the integers that `scheme` makes of it; see [`fine_tune`].
    ///
    /// # Errors
    /// As [`Trainer::warm`], or when the weights cannot be quantized.
    pub fn fine_tune(
        settings: &'a Settings,
        checkpoint: &Checkpoint,
        scheme: &'a Scheme,
        data: &DataSet,
    ) -> Result<Trainer<'a>> {
        Trainer::going_on(settings, checkpoint, Some(scheme), data)
    }

    fn going_on(
        settings: &'a Settings,
        checkpoint: &Checkpoint,
        scheme: Option<&'a Scheme>,
        data: &DataSet,
    ) -> Result<Trainer<'a>> {
        let material = Material::new(settings, &checkpoint.config, data)?;
        let model = checkpoint.model()?;
        let normalization = Normalization::of(&model);
        let mut trainer = Trainer::start(settings, model, normalization, material);
        trainer.scheme = scheme;
        let validation = trainer.validate()?;
        trainer.best = Some((
            Best {
                epoch: 0,
                validation,
            },
            checkpoint.clone(),
        ));
        Ok(trainer)
    }

    fn start(
        settings: &'a Settings,
        model: Model,
        normalization: Normalization,
        material: Material,
    ) -> Trainer<'a> {
        let sequences = material.frames.sequences();
        let updates = sequences.div_ceil(settings.batch) * settings.schedule();
        Trainer {
            settings,
            fingerprint: material.fingerprint,
            train: material.train,
            sequences,
            augmenter: material.augmenter,
            validation: material.validation,
            normalization,
            chosen: None,
            warnings: Vec::new(),
            weights: material.weights,
            schedule: Schedule {
                highest: settings.lr,
                last: settings.lr * settings.final_lr,
                warm_up: (settings.warm_up * updates as f32) as usize,
                updates,
            },
            adam: Adam::new(&model, settings.beta2),
            model,
            scheme: None,
            epochs: 0,
            best: None,
        }
    }

    /// What offset and scale of raw values were taken over, where that was left to the data.
    pub fn chosen(&self) -> Option<NormalizeOver> {
        self.chosen
    }

    /// What is strange about the values that a run starts with, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Number of sequences that learn and that validate.
    pub fn sequences(&self) -> (usize, usize) {
        let validation = self.validation.as_ref().map_or(0, Part::sequences);
        (self.sequences, validation)
    }

    /// Updates of an epoch.
    pub fn updates_an_epoch(&self) -> usize {
        self.sequences.div_ceil(self.settings.batch)
    }

    /// Epochs completed.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Epochs of the whole run.
    pub fn epochs_max(&self) -> usize {
        self.settings.epochs
    }

    /// Whether all epochs are done, or none of the last few was any better.
    pub fn finished(&self) -> bool {
        let best = self.best().map_or(0, |best| best.epoch);
        let patience = self.settings.patience;
        self.epochs >= self.settings.epochs || (patience > 0 && self.epochs - best >= patience)
    }

    /// The best epoch so far.
    pub fn best(&self) -> Option<&Best> {
        self.best.as_ref().map(|(best, _)| best)
    }

    /// The weights to keep: those of the best epoch, before the first one the
    /// present ones.
    pub fn checkpoint(&self) -> Checkpoint {
        match &self.best {
            Some((_, checkpoint)) => checkpoint.clone(),
            None => Checkpoint::of(&self.model),
        }
    }

    /// What the weights to keep make of the validation part, where there is one.
    ///
    /// # Errors
    /// Never for a trainer that came this far.
    pub fn outcome(&self) -> Result<Option<Outcome>> {
        let Some(part) = &self.validation else {
            return Ok(None);
        };
        let model = self.checkpoint().model()?;
        let targets = part.known_targets(PartName::Validation)?;
        let told = evaluate::told(&model, part);
        Ok(Some(Outcome::of(&model, part, &targets.items, told)))
    }

    /// The figure by which the best epoch is kept.
    pub fn keep(&self) -> Keep {
        let kind = self.model.config.head.gives.kind();
        // Settings that ask for another were refused.
        self.settings.keep.of(kind).unwrap_or(Keep::Loss)
    }

    /// The score of the present weights on the validation part, where there is one.
    fn validate(&self) -> Result<Option<Score>> {
        let Some(part) = &self.validation else {
            return Ok(None);
        };
        let told = match self.scheme {
            None => evaluate::told(&self.model, part),
            Some(scheme) => fine_tune::logits(scheme, &self.model, part)?.into(),
        };
        let targets = part.known_targets(PartName::Validation)?;
        let score = Score::of(&self.model, &told, targets);
        Ok(Some(score.with_captions(self.captions(part)?)))
    }

    /// What captions of a part's pictures come to, always the likeliest word; none of a model that makes none.
    fn captions(&self, part: &Part) -> Result<Option<CaptionFigures>> {
        if self.model.config.words().is_none() {
            return Ok(None);
        }
        let pictures = Pictures::of(part)?;
        let told = match self.scheme {
            None => caption::captions(&self.model, part, &pictures.sequences, 1),
            Some(scheme) => fine_tune::captions(scheme, &self.model, part, &pictures.sequences)?,
        };
        Ok(Some(CaptionFigures::of(&told, &pictures.references)))
    }
}

/// What a weight takes while it learns: itself, its gradient, two moments, the best so far.
const BYTES_A_WEIGHT: u64 = 5 * 4;

fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

#[cfg(test)]
pub(crate) mod tests;
