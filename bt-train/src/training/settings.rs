//! Everything that can be set about a training run, by flag or in a TOML file.

use crate::data::{DataSet, NormalizeOver, PartName, Recordings};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::{
    FILTER_HORIZON, FrontEndConfig, Gate, HORIZON, HeadConfig, HeadName, HiddenConfig, InputConfig,
    InputFilter, Level, ModelConfig, Pool, RecurrentConfig,
};
use crate::shape::{Cell, MapName};
use crate::training::metrics::Keep;
use crate::training::modes::{self, Modes};
use bt_core::internals::model::layout::LAYERS_MAX;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How much each class counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every sequence counts the same
    None,
    /// Every class counts the same: sequences of a rare class count more than those of a common one
    Balanced,
}

/// Hidden units where nobody says how many.
const DEFAULT_UNITS: usize = 64;

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
    fn of(name: HeadName) -> HeadChoice {
        match name {
            HeadName::Classes => HeadChoice::Classes,
            HeadName::StepClasses => HeadChoice::StepClasses,
            HeadName::Values => HeadChoice::Values,
            HeadName::StepValues => HeadChoice::StepValues,
        }
    }

    /// Its name; none where y decides.
    fn name(self) -> Option<HeadName> {
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

/// One list makes the flags, the keys of the TOML file and the defaults.
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr, [$($arg:tt)*];)*) => {
        /// The same as flags, each optional.
        #[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct Flags {
            $($(#[doc = $doc])*
            #[arg(long, help_heading = "Training", allow_negative_numbers = true, $($arg)*)]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $name: Option<$type>,)*
        }

        /// A training run, completely: what `RUN/config.toml` holds.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", default)]
        pub struct Settings {
            $($(#[doc = $doc])*
            pub $name: $type,)*
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($name: $default,)* }
            }
        }

        fn keys() -> Vec<String> {
            vec![$(stringify!($name).replace('_', "-"),)*]
        }
    };
}

settings! {
    /// Modes of a frame, slowest first, such as 8x20x20x18; their product is the frame's width [default: even ones]
    input_modes: Modes = Modes::default(), [value_name = "MODES"];
    /// Hidden units [default: 64, or the product of the hidden modes]
    units: usize = 0, [];
    /// Modes of the hidden state, as many as of a frame, such as 4x4x4x4 [default: even ones]
    hidden_modes: Modes = Modes::default(), [value_name = "MODES"];
    /// What moves the state on [default: lstm]
    cell: Cell = Cell::Lstm, [];
    /// Layers, one on top of the other; each further one has maps of the same forms [default: 1]
    layers: usize = 1, [];
    /// Form of the map from the frame [default: block-term]
    input_map: MapName = MapName::BlockTerm, [value_name = "MAP"];
    /// Blocks (N) of a block-term input map [default: 2]
    blocks: usize = 2, [value_name = "N"];
    /// Rank (R) of the input map [default: 4]
    rank: usize = 4, [value_name = "R"];
    /// What is taken off a frame before the map reads it, though only what the map gives is kept [default: none]
    input_filter: InputFilter = InputFilter::None, [value_name = "FILTER"];
    /// Steps of the mean that the filter `high-pass` takes off, a power of two [default: 4]
    filter_horizon: usize = FILTER_HORIZON, [value_name = "STEPS"];
    /// Form of the map from the hidden state [default: dense]
    recurrent_map: MapName = MapName::Dense, [value_name = "MAP"];
    /// Blocks of a block-term recurrent map [default: 2]
    recurrent_blocks: usize = 2, [value_name = "N"];
    /// Rank of the recurrent map [default: 4]
    recurrent_rank: usize = 4, [value_name = "R"];
    /// Take modes whose product is larger than the frame's width; zeros fill each frame up
    pad: bool = false, [num_args = 0..=1, require_equals = true, default_missing_value = "true"];
    /// Logistic function of the gates [default: sigmoid]
    gate: Gate = Gate::Sigmoid, [];
    /// Hidden state that the head reads [default: last]
    pool: Pool = Pool::Last, [];
    /// Steps that the pool `recent` averages over, a power of two [default: 16]
    horizon: usize = HORIZON, [value_name = "STEPS"];
    /// What the head gives [default: auto]
    head: HeadChoice = HeadChoice::Auto, [];
    /// Passes over the training part [default: 60]
    epochs: usize = 60, [];
    /// Sequences in one step of the optimizer [default: 32]
    batch: usize = 32, [];
    /// Epochs over which the learning rate falls; after them it stays as low as it is [default: all]
    schedule_epochs: usize = 0, [value_name = "EPOCHS"];
    /// Start from this model: its weights, maps, modes, offset and scale
    init: String = String::new(), [value_name = "SAFETENSORS"];
    /// Highest learning rate [default: 0.004]
    lr: f32 = 0.004, [];
    /// Share of the training in which the learning rate rises to its highest [default: 0.1]
    warm_up: f32 = 0.1, [value_name = "SHARE"];
    /// Learning rate at the end, as a share of the highest; it falls along a cosine [default: 0.01]
    final_lr: f32 = 0.01, [value_name = "SHARE"];
    /// Weight decay, decoupled (AdamW); biases are left alone [default: 0]
    weight_decay: f32 = 0.0, [];
    /// Largest norm of the gradient; a longer one is scaled down to it [default: 1]
    clip: f32 = 1.0, [value_name = "NORM"];
    /// Label smoothing: share of the target that is spread evenly over all classes [default: 0]
    label_smoothing: f32 = 0.0, [value_name = "SHARE"];
    /// Weight of a sequence in the loss, by its class [default: none]
    class_weights: ClassWeights = ClassWeights::None, [];
    /// Values: what an error costs [default: squared]
    loss: ValueLoss = ValueLoss::Squared, [];
    /// Values: where Huber's loss becomes linear, in standard deviations of the target [default: 1]
    huber_delta: f32 = 1.0, [];
    /// Dropout of the frames, one mask for a whole sequence (variational) [default: 0]
    input_dropout: f32 = 0.0, [value_name = "SHARE"];
    /// The same for the hidden state that the recurrent map reads [default: 0]
    recurrent_dropout: f32 = 0.0, [value_name = "SHARE"];
    /// What shares one offset and scale of the input [default: auto]
    normalize: NormalizeOver = NormalizeOver::Auto, [];
    /// Share of the training part kept for validation where the data set has none [default: 0.15]
    validation: f32 = 0.15, [value_name = "SHARE"];
    /// Share of each class that is used, after validation is taken off [default: 1]
    train_share: f32 = 1.0, [value_name = "SHARE"];
    /// Stop after so many epochs that do not validate better; 0 for never [default: 0]
    patience: usize = 0, [value_name = "EPOCHS"];
    /// Figure of the validation part by which the best epoch is kept [default: auto]
    keep: Keep = Keep::Auto, [];
    /// Recordings that form the test part, by a column of index.csv: speaker=theo,yweweler
    hold_out: String = String::new(), [value_name = "COLUMN=VALUE,…"];
    /// Column of index.csv; recordings with the same value in it stay together in validation
    group: String = String::new(), [value_name = "COLUMN"];
    /// Sound: samples in a window, a power of two [default: 256]
    window: usize = 256, [value_name = "SAMPLES"];
    /// Sound: samples from one window to the next [default: 128]
    hop: usize = 128, [value_name = "SAMPLES"];
    /// Sound: mel bands [default: 32]
    bands: usize = 32, [];
    /// Sound: lower end of the bands [default: 80]
    low_hz: f32 = 80.0, [value_name = "HZ"];
    /// Sound: upper end of the bands; 0 for 0.475 of the sample rate [default: 0]
    high_hz: f32 = 0.0, [value_name = "HZ"];
    /// Sound: what the energies are relative to [default: relative]
    level: Level = Level::Relative, [];
    /// Sound: vectors of mel energies that make one frame [default: 8]
    vectors_per_step: usize = 8, [value_name = "VECTORS"];
    /// Sound: learn also from so many delayed copies of each recording [default: 0]
    delays: usize = 0, [];
    /// Seed of the split, the starting weights and the order of the sequences [default: 0]
    seed: u64 = 0, [];
}

impl Settings {
    /// Defaults, overridden by a TOML file, overridden by flags.
    ///
    /// # Errors
    /// Names the file and the key; an unknown key is answered with the nearest known one.
    pub fn resolve(file: Option<&Path>, flags: &Flags) -> Result<Settings> {
        let mut table = match file {
            Some(path) => read_table(path)?,
            None => toml::Table::new(),
        };
        let flags = toml::Table::try_from(flags).map_err(Error::malformed)?;
        // Whose fault a key is: a flag is known by its name alone, and wrong usage.
        let in_place = |error: Error| match (file, &error.field) {
            (_, Some(key)) if flags.contains_key(key) => error.into_usage(),
            (Some(path), Some(_)) => error.file(path),
            _ => error,
        };
        table.extend(flags.clone());
        // One by one, so that a value of the wrong type is told with its key.
        for (key, value) in &table {
            let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
            alone.try_into::<Settings>().map_err(|error| {
                in_place(Error::new(ErrorKind::WrongValue(error.message().into())).field(key))
            })?;
        }
        let settings: Settings = table.try_into().map_err(Error::malformed)?;
        settings.validate().map_err(in_place)?;
        Ok(settings)
    }

    /// The settings as the file that [`Settings::resolve`] reads.
    ///
    /// # Errors
    /// Never for settings that came from `resolve`.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(Error::malformed)
    }

    /// The first key, by name, that two settings do not agree on, and both values.
    ///
    /// # Errors
    /// Never for settings that came from `resolve`.
    pub fn first_difference(&self, other: &Settings) -> Result<Option<(String, String, String)>> {
        let table = |settings| toml::Table::try_from(settings).map_err(Error::malformed);
        let (ours, theirs) = (table(self)?, table(other)?);
        Ok(ours
            .into_iter()
            .find(|(key, value)| theirs.get(key) != Some(value))
            .map(|(key, value)| {
                let other = theirs.get(&key).map(plain).unwrap_or_default();
                (key, plain(&value), other)
            }))
    }

    /// With what a finished run is fine-tuned in integers: so many epochs more, at a tenth of the
    /// learning rate, to their end, without dropout, which the device does not have.
    pub fn fine_tuning(&self, epochs: usize) -> Settings {
        Settings {
            epochs,
            schedule_epochs: 0,
            lr: self.lr * 0.1,
            patience: 0,
            input_dropout: 0.0,
            recurrent_dropout: 0.0,
            ..self.clone()
        }
    }

    fn validate(&self) -> Result<()> {
        let positive = [
            ("epochs", self.epochs as f32),
            ("batch", self.batch as f32),
            ("lr", self.lr),
            ("clip", self.clip),
            ("huber-delta", self.huber_delta),
        ];
        for (field, value) in positive {
            if value.is_nan() || value <= 0.0 {
                return Err(Error::out_of_range(value, "give a number above 0").field(field));
            }
        }
        let shares = [
            ("warm-up", self.warm_up),
            ("label-smoothing", self.label_smoothing),
            ("input-dropout", self.input_dropout),
            ("recurrent-dropout", self.recurrent_dropout),
            ("validation", self.validation),
        ];
        for (field, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(
                    Error::out_of_range(value, "give a share from 0 to below 1").field(field)
                );
            }
        }
        if !(0.0..=1.0).contains(&self.final_lr) {
            let allowed = "give a share from 0 to 1";
            return Err(Error::out_of_range(self.final_lr, allowed).field("final-lr"));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let allowed = "give 0 or more";
            return Err(Error::out_of_range(self.weight_decay, allowed).field("weight-decay"));
        }
        let (input, recurrent) = (self.input_map, self.recurrent_map);
        for (prefix, map) in [
            ("", input.with(self.blocks, self.rank)),
            (
                "recurrent-",
                recurrent.with(self.recurrent_blocks, self.recurrent_rank),
            ),
        ] {
            map.validate(prefix)?;
        }
        if !(1..=LAYERS_MAX).contains(&self.layers) {
            let allowed = format!("1 to {LAYERS_MAX} are possible");
            return Err(Error::out_of_range(self.layers, allowed).field("layers"));
        }
        if !self.cell.device().is_recurrent() {
            let none = "a minGRU has no map from the hidden state";
            for (field, is_set) in [
                ("recurrent-map", self.recurrent_map != MapName::Dense),
                ("recurrent-dropout", self.recurrent_dropout > 0.0),
            ] {
                if is_set {
                    let error = Error::new(ErrorKind::Unsupported(none)).field(field);
                    return Err(error.remedy("leave it out, or take another cell"));
                }
            }
        }
        if !(self.train_share > 0.0 && self.train_share <= 1.0) {
            let allowed = "give a share above 0, at most 1";
            return Err(Error::out_of_range(self.train_share, allowed).field("train-share"));
        }
        Ok(())
    }

    /// Epochs of the learning rate's fall.
    pub fn schedule(&self) -> usize {
        match self.schedule_epochs {
            0 => self.epochs,
            epochs => epochs,
        }
    }

    /// These settings, told to a run that `started` began: what they leave open is as it was, and more epochs
    /// than it had go on at its last learning rate.
    #[must_use]
    pub fn going_on(mut self, started: &Settings) -> Settings {
        let longer = self.epochs > started.epochs || started.schedule_epochs > 0;
        if self.schedule_epochs == 0 && longer {
            self.schedule_epochs = started.schedule();
        }
        for (ours, theirs) in [
            (&mut self.input_modes, &started.input_modes),
            (&mut self.hidden_modes, &started.hidden_modes),
        ] {
            if ours.0.is_empty() {
                ours.clone_from(theirs);
            }
        }
        if self.units == 0 {
            self.units = started.units;
        }
        self.pad |= started.pad;
        self
    }

    /// With the number of units where the hidden modes say it.
    pub(super) fn counted(mut self) -> Settings {
        if self.units == 0 && !self.hidden_modes.0.is_empty() {
            self.units = self.hidden_modes.0.iter().product();
        }
        self
    }

    /// The settings of a model that learning starts from: what says how it is made is the model's.
    ///
    /// # Errors
    /// When a flag says otherwise.
    pub fn of_model(&self, model: &ModelConfig, flags: &Flags) -> Result<Settings> {
        let (map, blocks, rank) = model.input.map.named();
        let (recurrent_map, recurrent_blocks, recurrent_rank) = model.recurrent.map.named();
        let mut settings = Settings {
            input_modes: Modes(model.input.modes.clone()),
            hidden_modes: Modes(model.hidden.modes.clone()),
            units: model.units(),
            cell: model.cell,
            layers: model.layers,
            input_map: map,
            blocks: blocks.unwrap_or(self.blocks),
            rank: rank.unwrap_or(self.rank),
            input_filter: model.input.filter,
            filter_horizon: model.input.filter_horizon.unwrap_or(FILTER_HORIZON),
            recurrent_map,
            recurrent_blocks: recurrent_blocks.unwrap_or(self.recurrent_blocks),
            recurrent_rank: recurrent_rank.unwrap_or(self.recurrent_rank),
            pad: model.input.width.is_some(),
            gate: model.gate,
            pool: model.head.pool,
            horizon: model.head.horizon.unwrap_or(HORIZON),
            head: HeadChoice::of(model.head.gives.name()),
            ..self.clone()
        };
        settings.check_head(model.head.gives.name())?;
        if let Some(front_end) = &model.front_end {
            settings = Settings {
                window: front_end.window,
                hop: front_end.hop,
                bands: front_end.bands,
                low_hz: front_end.low_hz,
                high_hz: front_end.high_hz,
                level: front_end.level,
                vectors_per_step: front_end.vectors_per_step,
                ..settings
            };
        }
        if flags.normalize.is_some() {
            return Err(Error::usage(
                "the model of `init` keeps its own offset and scale; leave `normalize` out",
            ));
        }
        let told = toml::Table::try_from(flags).map_err(Error::malformed)?;
        let is = toml::Table::try_from(&settings).map_err(Error::malformed)?;
        let differs = told.iter().find(|(key, value)| is.get(*key) != Some(value));
        match differs {
            None => Ok(settings),
            Some((key, value)) => Err(Error::new(ErrorKind::OtherModel {
                told: plain(value).into(),
                model: is.get(key).map(plain).unwrap_or_default().into(),
            })
            .field(key)
            .remedy("leave it out; a model keeps its form")
            .into_usage()),
        }
    }

    /// With modes where none are given: even ones that hold a frame of these data and the hidden units.
    ///
    /// # Errors
    /// When units and hidden modes do not agree, or there is no training part.
    pub fn fitted(&self, data: &DataSet) -> Result<Settings> {
        let mut settings = self.clone();
        let given: usize = self.hidden_modes.0.iter().product();
        let units = match (self.units, self.hidden_modes.0.is_empty()) {
            (0, true) => DEFAULT_UNITS,
            (units, true) => units,
            (0, false) => given,
            (units, false) => {
                modes::check(modes::HIDDEN, &self.hidden_modes.0, units, false)?;
                units
            }
        };
        settings.units = units;
        let width = self.width(data)?;
        let is_dense = |map| map == MapName::Dense;
        let order = match (self.input_modes.0.len(), self.hidden_modes.0.len()) {
            (0, 0) if is_dense(self.input_map) => modes::order(units),
            (0, 0) => modes::order(width),
            (0, order) => order,
            // The modes of a dense map say nothing about those of the hidden state.
            (_, 0) if is_dense(self.input_map) => modes::order(units),
            (order, _) => order,
        };
        if self.input_modes.0.is_empty() {
            settings.input_modes = Modes(if is_dense(self.input_map) {
                vec![width]
            } else {
                let modes = modes::even_padded(width, order);
                settings.pad |= modes.iter().product::<usize>() > width;
                modes
            });
        }
        if self.hidden_modes.0.is_empty() {
            let both_dense = is_dense(self.input_map) && is_dense(self.recurrent_map);
            settings.hidden_modes = Modes(if both_dense {
                vec![units]
            } else {
                modes::even(units, order)
            });
        }
        Ok(settings)
    }

    /// Values a step that the model gets of these data.
    fn width(&self, data: &DataSet) -> Result<usize> {
        match data.sample_rate {
            Some(rate) => {
                let front_end = self.front_end(rate);
                front_end.section()?;
                Ok(front_end.values_per_step())
            }
            None => Ok(data.part(PartName::Train)?.width),
        }
    }

    /// Which recordings of a directory belong to which part.
    ///
    /// # Errors
    /// When `hold-out` is not of its form.
    pub fn recordings(&self) -> Result<Recordings> {
        Recordings::new(&self.hold_out, &self.group)
    }

    /// The front end for sound of this sample rate.
    fn front_end(&self, sample_rate_hz: u32) -> FrontEndConfig {
        FrontEndConfig {
            sample_rate_hz,
            window: self.window,
            hop: self.hop,
            bands: self.bands,
            low_hz: self.low_hz,
            high_hz: if self.high_hz > 0.0 {
                self.high_hz
            } else {
                0.475 * sample_rate_hz as f32
            },
            level: self.level,
            vectors_per_step: self.vectors_per_step,
            format: bt_core::internals::front_end::FORMAT,
        }
    }

    /// The model for a data set.
    ///
    /// # Errors
    /// When the data have no labels, the modes do not hold their width, or no such model can be.
    pub fn model(&self, data: &DataSet) -> Result<ModelConfig> {
        let targets = data.part(PartName::Train)?.known_targets(PartName::Train)?;
        let head = self.head.name().unwrap_or(targets.name());
        self.check_head(head)?;
        let outputs = data.clone().for_head(head)?.outputs(head);
        let front_end = data.sample_rate.map(|rate| self.front_end(rate));
        let width = self.width(data)?;
        let fitted = self.fitted(data)?;
        modes::check(modes::INPUT, &fitted.input_modes.0, width, fitted.pad)?;
        let config = ModelConfig {
            input: InputConfig {
                map: self.input_map.with(self.blocks, self.rank),
                modes: fitted.input_modes.0,
                width: None,
                filter: self.input_filter,
                // As of the head's: said for another filter, it is refused with the rest.
                filter_horizon: (self.input_filter == InputFilter::HighPass
                    || self.filter_horizon != FILTER_HORIZON)
                    .then_some(self.filter_horizon),
            },
            hidden: HiddenConfig {
                modes: fitted.hidden_modes.0,
            },
            cell: self.cell,
            layers: self.layers,
            recurrent: RecurrentConfig {
                map: self
                    .recurrent_map
                    .with(self.recurrent_blocks, self.recurrent_rank),
            },
            gate: self.gate,
            head: HeadConfig {
                gives: head.with(outputs),
                pool: self.pool,
                // Said for another pool, it is refused with the rest.
                horizon: (self.pool == Pool::Recent || self.horizon != HORIZON)
                    .then_some(self.horizon),
                labels: data.labels.clone(),
            },
            front_end,
            imported: false,
        };
        let padded = (config.inputs() > width).then_some(width);
        let config = ModelConfig {
            input: InputConfig {
                width: padded,
                ..config.input
            },
            ..config
        };
        config
            .validate()
            .map_err(|error| match error.field.as_deref() {
                Some(field @ ("head.pool" | "head.horizon")) => {
                    let field = Some(field["head.".len()..].to_owned());
                    Error { field, ..error }
                }
                Some("input.filter_horizon") => Error {
                    field: Some("filter-horizon".into()),
                    ..error
                },
                _ => error,
            })?;
        Ok(config)
    }

    /// Checks that nothing was set that means nothing to a head.
    fn check_head(&self, head: HeadName) -> Result<()> {
        let is_values = head.is_values();
        self.keep.of(is_values)?;
        let unsupported = [
            (
                is_values && self.label_smoothing != 0.0,
                "label-smoothing",
                "is for classes, and y holds values",
            ),
            (
                is_values && self.class_weights != ClassWeights::None,
                "class-weights",
                "are for classes, and y holds values",
            ),
            (
                !is_values && self.loss != ValueLoss::Squared,
                "loss",
                "is for values, and y holds classes",
            ),
        ];
        match unsupported.into_iter().find(|(is_set, ..)| *is_set) {
            Some((_, field, why)) => Err(Error::new(ErrorKind::Unsupported(why))
                .field(field)
                .remedy("leave it out")),
            None => Ok(()),
        }
    }
}

/// A value as a person would write it.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(value) => (*value as f32).to_string(),
        other => other.to_string(),
    }
}

/// Reads a TOML file whose keys must all be known.
fn read_table(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::from(error).file(path))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        Error::malformed(format!("line {line}: {}", error.message())).file(path)
    })?;
    let known = keys();
    match table.keys().find(|key| !known.contains(key)) {
        Some(key) => Err(Error::new(ErrorKind::UnknownKey)
            .file(path)
            .field(key)
            .remedy(format!("did you mean `{}`?", nearest(key, &known)))),
        None => Ok(table),
    }
}

/// The known key that is spelled most alike; before all others one that holds the key as a part, as
/// `input-dropout` holds `dropout`.
fn nearest<'a>(key: &str, known: &'a [String]) -> &'a str {
    let key = key.replace('_', "-");
    let similarity = |candidate: &str| {
        let is_part = key.len() > 2 && candidate.contains(&key);
        strsim::jaro_winkler(&key, candidate) + f64::from(is_part)
    };
    known
        .iter()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .map_or("", String::as_str)
}

#[cfg(test)]
mod tests;
