//! Everything that can be set about a training run, by flag or in a TOML file.

mod choice;
mod file;
mod model;
mod validate;

pub use choice::{ClassWeights, HeadChoice, ValueLoss};

use crate::data::{NormalizeOver, Recordings};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::{FILTER_HORIZON, Gate, HORIZON, InputFilter, Level, Pool};
use crate::shape::{Cell, MapName};
use crate::training::augment::Augment;
use crate::training::metrics::Keep;
use crate::training::modes::Modes;
use file::{entries, plain, read_table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

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
            /// How the sequences that learn are varied: the table `[augment]`, which has no flags.
            pub augment: Augment,
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($name: $default,)* augment: Augment::default() }
            }
        }

        /// Keys that are flags too.
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
    /// Cell: what moves the state on [default: lstm]
    cell: Cell = Cell::Lstm, [];
    /// Layers, one on top of the other; each further one has maps of the same forms [default: 1]
    layers: usize = 1, [];
    /// Form of the map from the frame [default: block-term]
    input_map: MapName = MapName::BlockTerm, [value_name = "MAP"];
    /// Blocks (N) of a block-term input map [default: 2]
    blocks: usize = 2, [value_name = "N"];
    /// Rank (R) of the input map [default: 4]
    rank: usize = 4, [value_name = "R"];
    /// Filter over time: the model reads what differs from the frame before, or from a mean of those before [default: none]
    input_filter: InputFilter = InputFilter::None, [value_name = "FILTER"];
    /// Steps that the mean of the filter `high-pass` goes over, a power of two [default: 4]
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
    /// Pictures: steps in which one is painted [default: 10]
    draw_steps: usize = DRAW_STEPS, [value_name = "T"];
    /// Pictures: latent values of a step [default: 32]
    latent: usize = LATENT, [value_name = "VALUES"];
    /// Pictures: read and paint through windows of N by N points that the decoder places; 0 as a whole [default: 0]
    attention: usize = 0, [value_name = "N"];
    /// Passes over the training part [default: 60]
    epochs: usize = 60, [];
    /// Sequences in one update of the weights [default: 32]
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
    /// Share of the weight decay that cores and factors of block-term and tensor-train maps get [default: 1]
    factor_decay: f32 = 1.0, [value_name = "SHARE"];
    /// Share of the mean square of the gradients (Adam's second moment) that an update keeps [default: 0.999]
    beta2: f32 = 0.999, [value_name = "SHARE"];
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
    /// The same for what the head reads [default: 0]
    output_dropout: f32 = 0.0, [value_name = "SHARE"];
    /// Captions: share of the words read that are hidden, anew at every word: word 1 is read instead [default: 0]
    hide_words: f32 = 0.0, [value_name = "SHARE"];
    /// Give the model so many frames of each sequence, evenly from first to last; 0 for all there are [default: 0]
    frames: usize = 0, [];
    /// What shares one offset and scale of the input [default: auto]
    normalize: NormalizeOver = NormalizeOver::Auto, [];
    /// Share of the training part kept for validation where the data set has none [default: 0.15]
    validation: f32 = 0.15, [value_name = "SHARE"];
    /// Share of each class that is learned from, once validation is taken off [default: 1]
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

/// Steps in which a picture is painted where nothing says so.
const DRAW_STEPS: usize = 10;

/// Latent values of a step where nothing says so.
const LATENT: usize = 32;

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
        for (key, alone) in entries(&table) {
            alone.try_into::<Settings>().map_err(|error| {
                in_place(Error::new(ErrorKind::Setting(error.message().into())).field(key))
            })?;
        }
        // Nobody's number stands for «not said».
        if table.get("units").and_then(toml::Value::as_integer) == Some(0) {
            let error = Error::out_of_range(0, "give 1 or more, or leave it out");
            return Err(in_place(error.field("units")));
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
        let mut table = toml::Table::try_from(self).map_err(Error::malformed)?;
        if self.units == 0 {
            table.remove("units");
        }
        toml::to_string(&table).map_err(Error::malformed)
    }

    /// Keys that somebody gave a value, in the file or by a flag.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub fn told(file: Option<&Path>, flags: &Flags) -> Result<BTreeSet<String>> {
        let mut told = match file {
            Some(path) => read_table(path)?,
            None => toml::Table::new(),
        };
        told.extend(toml::Table::try_from(flags).map_err(Error::malformed)?);
        Ok(told.into_iter().map(|(key, _)| key).collect())
    }

    /// What of these settings differs from others: keys and values as a person would write them.
    ///
    /// # Errors
    /// Never for settings that came from `resolve`.
    pub fn beyond(&self, other: &Settings) -> Result<Vec<(String, String)>> {
        let table = |settings| toml::Table::try_from(settings).map_err(Error::malformed);
        let other = table(other)?;
        let ours = table(self)?.into_iter();
        let differing = ours.filter(|(key, value)| other.get(key) != Some(value));
        let written = |(key, value): (String, toml::Value)| match value {
            toml::Value::String(text) => (key, text),
            value => (key, plain(&value)),
        };
        Ok(differing.map(written).collect())
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
            output_dropout: 0.0,
            hide_words: 0.0,
            ..self.clone()
        }
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

    /// Which recordings of a directory belong to which part.
    ///
    /// # Errors
    /// When `hold-out` is not of its form.
    pub fn recordings(&self) -> Result<Recordings> {
        Recordings::new(&self.hold_out, &self.group)
    }
}

#[cfg(test)]
mod tests;
