//! Training, an epoch at a time, the same whenever it is repeated.
//!
//! Whatever is random about an epoch comes from the seed and the epoch's
//! number alone, so a run that goes on after a kill needs no generator's state.

use crate::data::memory;
use crate::data::{DataSet, Normalization, NormalizeOver, Part, PartName};
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::ModelConfig;
use crate::float::filter::Filter;
use crate::float::head::LossWeights;
use crate::float::init::dropout_mask;
use crate::float::model::{LossOptions, Model};
use crate::float::tensors::Tensors;
use crate::quantize::export::Scheme;
use crate::quantize::fine_tune;
use crate::training::confusion::Confusion;
use crate::training::evaluate::{self, Score};
use crate::training::material::Material;
use crate::training::metrics::Keep;
use crate::training::optimizer::{Adam, clip};
use crate::training::schedule::Schedule;
use crate::training::settings::Settings;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
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
    /// Learning rate of its last step.
    pub lr: f32,
    /// Longest gradient before clipping.
    pub gradient: f32,
}

/// The epoch whose weights are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number, from 1.
    pub epoch: usize,
    /// Its score on the validation part, where there is one.
    pub validation: Option<Score>,
}

/// What happened in a step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The step within it, from 1.
    pub step: usize,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Share right in the epoch so far; none of values.
    pub accuracy: Option<f64>,
}

/// A run under way.
pub struct Trainer<'a> {
    settings: &'a Settings,
    /// [`DataSet::fingerprint`] of what is learned from.
    fingerprint: u64,
    /// Every rendering of the training sequences, one after the other.
    train: Part,
    /// Training sequences of one rendering.
    sequences: usize,
    validation: Option<Part>,
    normalization: Normalization,
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

/// What of a trainer changes, less its arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs completed.
    pub epochs: usize,
    /// Steps taken.
    pub steps: usize,
    /// [`DataSet::fingerprint`] of what is learned from.
    pub data: u64,
    /// The best epoch so far.
    pub best: Option<Best>,
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
            return Err(Error::new(ErrorKind::Unsupported(why))
                .field("input-filter")
                .remedy("leave it out"));
        }
        let fitted = Normalization::fit_and_tell(&material.frames, config.inputs(), over, filter)
            .map_err(|error| error.field("x_train"))?;
        let warnings = match &config.front_end {
            Some(_) => Vec::new(),
            None => fitted.warnings,
        };
        let normalization = fitted.normalization;
        let mut model = Model::new(config, &mut generator(settings.seed, 0))?;
        model.offset = normalization.offset.clone().into();
        model.scale = normalization.scale.clone().into();
        if let Some((offset, scale)) = &material.units {
            model.value_offset = offset.clone().into();
            model.value_scale = scale.clone().into();
        }
        Ok(Trainer {
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
        let steps = sequences.div_ceil(settings.batch) * settings.schedule();
        Trainer {
            settings,
            fingerprint: material.fingerprint,
            train: material.train,
            sequences,
            validation: material.validation,
            normalization,
            warnings: Vec::new(),
            weights: material.weights,
            schedule: Schedule {
                highest: settings.lr,
                last: settings.lr * settings.final_lr,
                warm_up: (settings.warm_up * steps as f32) as usize,
                steps,
            },
            adam: Adam::new(&model),
            model,
            scheme: None,
            epochs: 0,
            best: None,
        }
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

    /// Steps of an epoch.
    pub fn steps_an_epoch(&self) -> usize {
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

    /// What the weights to keep take each class of the validation part for,
    /// where there is one and the head tells classes.
    ///
    /// # Errors
    /// Never for a trainer that came this far.
    pub fn confusion(&self) -> Result<Option<Confusion>> {
        let Some(part) = &self.validation else {
            return Ok(None);
        };
        let model = self.checkpoint().model()?;
        let Some(labels) = part.known_targets(PartName::Validation)?.labels() else {
            return Ok(None);
        };
        let predictions = evaluate::predictions(&evaluate::logits(&model, part));
        let classes = model.config.head.gives.outputs();
        Ok(Some(Confusion::new(classes, labels, &predictions)))
    }

    /// One pass over the training part. `watch` sees every step and may break
    /// it off, which gives `None` and leaves the epoch uncounted.
    ///
    /// # Errors
    /// When the loss is not finite or beyond all reason.
    pub fn epoch(
        &mut self,
        watch: &mut dyn FnMut(Step) -> ControlFlow<()>,
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
        for (step, sequences) in order.chunks(self.settings.batch).enumerate() {
            let batch = self.train.batch(sequences, &self.normalization);
            let options = self.options(sequences.len(), &mut rng);
            let items = batch.targets.as_ref().ok_or_else(no_targets)?;
            let (loss, mut gradients) = match self.scheme {
                None => self.model.loss_and_gradients(
                    batch.x.view(),
                    &batch.lengths,
                    items.wanted(),
                    &options,
                ),
                Some(scheme) => {
                    let part = self.train.subset(sequences);
                    fine_tune::loss_and_gradients(scheme, &self.model, &part, &batch, &options)?
                }
            };
            let length = clip(&mut gradients, self.settings.clip);
            if !(loss.loss <= LOSS_MAX && length.is_finite()) {
                return Err(self.diverged(loss.loss, step + 1));
            }
            rate = self.schedule.rate(self.adam.steps);
            let decay = self.settings.weight_decay;
            self.adam.step(&mut self.model, &gradients, rate, decay);
            longest = longest.max(length);
            loss_sum += loss.loss * loss.rows as f64;
            correct += loss.correct;
            seen += loss.rows;
            let so_far = Step {
                epoch,
                step: step + 1,
                loss: loss_sum / seen as f64,
                accuracy: self.share(correct, seen),
            };
            if watch(so_far).is_break() {
                return Ok(None);
            }
        }
        let validation = self.validate()?;
        if let Some(score) = validation.filter(|score| !score.loss.is_finite()) {
            return Err(self.diverged(score.loss, self.steps_an_epoch()));
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

    /// The figure by which the best epoch is kept.
    pub fn keep(&self) -> Keep {
        let is_values = self.model.config.head.gives.is_values();
        // Settings that ask for another were refused.
        self.settings.keep.of(is_values).unwrap_or(Keep::Loss)
    }

    /// Share right; none of values.
    fn share(&self, correct: usize, seen: usize) -> Option<f64> {
        let is_values = self.model.config.head.gives.is_values();
        (!is_values).then(|| correct as f64 / seen.max(1) as f64)
    }

    /// The loss at a step of the epoch under way is none to go on with.
    fn diverged(&self, loss: f64, step: usize) -> Error {
        let (lr, clip) = (self.settings.lr, self.settings.clip);
        Error::new(ErrorKind::Diverged {
            loss: loss as f32,
            step,
            epoch: self.epochs + 1,
        })
        .remedy(format!("lower `lr` (now {lr}) or `clip` (now {clip})"))
    }

    /// The score of the present weights on the validation part, where there is one.
    fn validate(&self) -> Result<Option<Score>> {
        let Some(part) = &self.validation else {
            return Ok(None);
        };
        let logits = match self.scheme {
            None => evaluate::logits(&self.model, part),
            Some(scheme) => fine_tune::logits(scheme, &self.model, part)?,
        };
        let targets = part.known_targets(PartName::Validation)?;
        Ok(Some(Score::of(&self.model, &logits, &targets.items)))
    }

    fn options(&self, sequences: usize, rng: &mut ChaCha8Rng) -> LossOptions {
        let config = &self.model.config;
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
        }
    }

    /// Everything that a run needs to go on from here.
    pub fn state(&self) -> (State, Tensors) {
        let state = State {
            epochs: self.epochs,
            steps: self.adam.steps,
            data: self.fingerprint,
            best: self.best().cloned(),
        };
        let mut tensors = Tensors::new();
        for (i, (name, values)) in self.model.parameters().into_iter().enumerate() {
            tensors.insert(format!("first.{name}"), self.adam.first[i].clone());
            tensors.insert(format!("second.{name}"), self.adam.second[i].clone());
            tensors.insert(format!("model.{name}"), values.to_owned());
        }
        for (name, values) in self.best.iter().flat_map(|(_, best)| &best.tensors) {
            tensors.insert(format!("best.{name}"), values.clone());
        }
        (state, tensors)
    }

    /// Goes back to a saved state.
    ///
    /// # Errors
    /// When the state is another model's, or was learned from other data.
    pub fn restore(&mut self, state: State, mut tensors: Tensors) -> Result<()> {
        if state.data != self.fingerprint {
            return Err(Error::new(ErrorKind::OtherData)
                .remedy("give the `data` of when the run was started, or choose another `out`"));
        }
        let mut take = |name: String, shape: &[usize]| match tensors.remove(&name) {
            Some(tensor) if tensor.shape() == shape => Ok(tensor),
            found => Err(Error::new(match found {
                Some(tensor) => ErrorKind::Shape {
                    expected: format!("{shape:?}"),
                    found: tensor.shape().to_vec(),
                },
                None => ErrorKind::Missing,
            })
            .field(name)
            .remedy("the saved state belongs to another model; start a new run")),
        };
        for (i, (name, mut values)) in self.model.parameters_mut().into_iter().enumerate() {
            self.adam.first[i] = take(format!("first.{name}"), values.shape())?;
            self.adam.second[i] = take(format!("second.{name}"), values.shape())?;
            let saved = take(format!("model.{name}"), values.shape())?;
            values.assign(&saved);
        }
        let mut best = Checkpoint::of(&self.model);
        for (name, values) in &mut best.tensors {
            *values = take(format!("best.{name}"), values.shape())?;
        }
        self.best = state.best.map(|found| (found, best));
        self.adam.steps = state.steps;
        self.epochs = state.epochs;
        Ok(())
    }
}

/// A part that learns has targets, or there is no trainer.
fn no_targets() -> Error {
    Error::new(ErrorKind::Internal("a batch without targets"))
}

/// What a weight takes while it learns: itself, its gradient, two moments, the best so far.
const BYTES_A_WEIGHT: u64 = 5 * 4;

/// A loss beyond this is no loss to learn from: the logits are thousands apart.
const LOSS_MAX: f64 = 1e3;

fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::data::Values;
    use crate::float::config::InputFilter;
    use crate::training::modes::Modes;
    use std::sync::Arc;

    /// 60 sequences of 1 to 5 steps of 8 values; the class is that of the
    /// largest of the first three values' sums.
    pub fn data() -> DataSet {
        let mut state = 1u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let (mut values, mut labels, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for sequence in 0..60 {
            let class = sequence % 3;
            for _ in 0..5 {
                values.extend((0..8).map(|i| noise() / 2 + if i == class { 100 } else { 0 }));
            }
            labels.push(class);
            lengths.push(1 + sequence % 5);
        }
        DataSet {
            train: Some(Part {
                values: Arc::new(Values::U8(values)),
                width: 8,
                starts: (0..60).map(|s| s * 40).collect(),
                lengths,
                targets: Some(labels.into()),
                groups: None,
            }),
            ..DataSet::default()
        }
    }

    pub fn settings() -> Settings {
        Settings {
            input_modes: Modes(vec![2, 4]),
            hidden_modes: Modes(vec![2, 3]),
            recurrent_dropout: 0.2,
            epochs: 6,
            batch: 8,
            lr: 0.03,
            ..Settings::default()
        }
    }

    fn on(_: Step) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn learns_and_repeats_itself() {
        let (settings, data) = (settings(), data());
        let run = || {
            let config = settings.model(&data).unwrap();
            let mut trainer = Trainer::new(&settings, config, &data).unwrap();
            assert_eq!(trainer.sequences(), (51, 9));
            while !trainer.finished() {
                trainer.epoch(&mut on).unwrap().unwrap();
            }
            trainer
        };
        let (once, again) = (run(), run());
        assert!(
            once.best()
                .unwrap()
                .validation
                .unwrap()
                .figures
                .accuracy()
                .unwrap()
                > 0.7
        );
        assert_eq!(once.state(), again.state());
        assert_eq!(once.checkpoint(), again.checkpoint());
    }

    /// 90 sequences of 4 steps of 8 values, a still picture of any bytes; the class is the value that climbs.
    fn motion() -> DataSet {
        let mut state = 7u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut values = Vec::new();
        for sequence in 0..90 {
            let picture: Vec<u8> = (0..8).map(|_| noise() / 4 * 3).collect();
            for t in 0..4 {
                let climbs = |i| if i == sequence % 3 { 4 * t } else { 0 };
                values.extend((0..8).map(|i| picture[i] + climbs(i) + noise() / 128));
            }
        }
        DataSet {
            train: Some(Part {
                values: Arc::new(Values::U8(values)),
                width: 8,
                starts: (0..90).map(|s| s * 32).collect(),
                lengths: vec![4; 90],
                targets: Some((0..90).map(|s| s % 3).collect::<Vec<_>>().into()),
                groups: None,
            }),
            ..DataSet::default()
        }
    }

    /// What moves a little in pictures that differ much is learned behind a filter, and not without.
    #[test]
    fn a_filter_shows_what_moves() {
        let data = motion();
        let accuracy = |input_filter| {
            let settings = Settings {
                input_filter,
                epochs: 10,
                ..settings()
            };
            let config = settings.model(&data).unwrap();
            let mut trainer = Trainer::new(&settings, config, &data).unwrap();
            while !trainer.finished() {
                trainer.epoch(&mut on).unwrap().unwrap();
            }
            let best = trainer.best().unwrap().validation.unwrap();
            best.figures.accuracy().unwrap()
        };
        assert!(accuracy(InputFilter::Difference) > 0.95);
        assert!(accuracy(InputFilter::HighPass) > 0.95);
        assert!(accuracy(InputFilter::None) < 0.7);
    }

    #[test]
    fn a_filter_of_single_steps_is_refused() {
        let mut data = motion();
        data.train.as_mut().unwrap().lengths.fill(1);
        let settings = Settings {
            input_filter: InputFilter::Difference,
            ..settings()
        };
        let config = settings.model(&data).unwrap();
        let error = Trainer::new(&settings, config, &data).err().unwrap();
        let line = error.to_string();
        assert!(line.starts_with("input-filter: passes nothing"), "{line}");
    }

    /// A horizon that no filter has is told by the name of its setting.
    #[test]
    fn a_horizon_without_its_filter_is_refused() {
        for (input_filter, filter_horizon) in [
            (InputFilter::None, 8),
            (InputFilter::Difference, 8),
            (InputFilter::HighPass, 12),
        ] {
            let settings = Settings {
                input_filter,
                filter_horizon,
                ..settings()
            };
            let line = settings.model(&motion()).unwrap_err().to_string();
            assert!(line.starts_with("filter-horizon: is "), "{line}");
        }
    }

    #[test]
    fn takes_the_share_asked_for() {
        let (mut settings, data) = (settings(), data());
        settings.train_share = 0.5;
        let config = settings.model(&data).unwrap();
        let trainer = Trainer::new(&settings, config, &data).unwrap();
        // 17 of each of three classes are left to learn from; half of them.
        assert_eq!(trainer.sequences(), (24, 9));
    }

    #[test]
    fn an_exploding_loss_stops_with_step_and_remedy() {
        let (mut settings, data) = (settings(), data());
        settings.lr = 1e9;
        let config = settings.model(&data).unwrap();
        let mut trainer = Trainer::new(&settings, config, &data).unwrap();
        let error = trainer.epoch(&mut on).unwrap_err();
        assert!(
            matches!(error.kind, ErrorKind::Diverged { epoch: 1, .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("lower `lr` (now 1000000000)"),
            "{error}"
        );
    }

    #[test]
    fn a_class_without_sequences_is_an_error() {
        let (settings, mut data) = (settings(), data());
        data.labels = ["a", "b", "c", "d"].map(String::from).to_vec();
        let config = settings.model(&data).unwrap();
        let error = Trainer::new(&settings, config, &data).err().unwrap();
        assert!(
            matches!(error.kind, ErrorKind::ClassMissing { class: 3 }),
            "{error}"
        );
    }

    #[test]
    fn patience_ends_a_run() {
        let (mut settings, data) = (settings(), data());
        settings.patience = 1;
        settings.epochs = 1000;
        let config = settings.model(&data).unwrap();
        let mut trainer = Trainer::new(&settings, config, &data).unwrap();
        while !trainer.finished() {
            trainer.epoch(&mut on).unwrap();
        }
        assert_eq!(trainer.epochs(), trainer.best().unwrap().epoch + 1);
    }
}
