//! What a model is made of: the `bt` metadata of a `.safetensors` file.

use crate::error::{Error, ErrorKind, Result};
use crate::float::cell::Kind;
use crate::shape::{Cell, MapKind, MapShape};
use bt_core::OutputKind;
use bt_core::internals::front_end::FORMAT_UNFILTERED;
use bt_core::internals::model::layout::{HORIZON_SHIFT_MAX, LAYERS_MAX};
use serde::{Deserialize, Serialize};

/// Shapes and kinds of every part of a model.
///
/// Its JSON form is the `bt` metadata of a checkpoint. `input.map`,
/// `input.modes`, `hidden.modes` and a [`HeadKind`] in `head`, such as `head.classes`, are required, everything
/// else has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// The map from a frame to the pre-activations of the gates.
    pub input: InputConfig,
    /// The hidden state, of every layer.
    pub hidden: HiddenConfig,
    /// What moves it on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cell: Cell,
    /// Layers, one on top of the other: the first reads the frame, each of the others the hidden state of
    /// the one below, by a map of the input map's form; the head reads the last.
    #[serde(default = "one_layer", skip_serializing_if = "is_one")]
    pub layers: usize,
    /// The map from the hidden state to the pre-activations of the gates.
    #[serde(default)]
    pub recurrent: RecurrentConfig,
    /// The logistic function of the gates i, f and o.
    #[serde(default)]
    pub gate: Gate,
    /// What turns hidden states into scores.
    pub head: HeadConfig,
    /// What turns raw samples into frames, where the model has such a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front_end: Option<FrontEndConfig>,
    /// Weights of another program are in it: what it learned from is not known here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
}

fn one_layer() -> usize {
    1
}

fn is_one(layers: &usize) -> bool {
    *layers == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The input map: I = I_1·…·I_d inputs to 4·J pre-activations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputConfig {
    /// Its form.
    #[serde(flatten)]
    pub map: MapKind,
    /// I_1, …, I_d, slowest first.
    pub modes: Vec<usize>,
    /// Values that the data have a step where that is less than I: so many
    /// zeros follow them. Absent: none do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// What of the frames' motion the map passes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter: InputFilter,
    /// Steps of the mean that [`InputFilter::HighPass`] takes off, a power of two; 4 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_horizon: Option<usize>,
    /// Frames that are drawn evenly from each sequence, as of [`Part::drawn`](crate::data::Part::drawn); the
    /// model, and its device, are given these. Absent: all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
}

/// What is taken off a frame, by way of what the map gives; the first frame of a sequence passes as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum InputFilter {
    /// Nothing: frames pass as they are
    #[default]
    None,
    /// The frame before
    Difference,
    /// A mean m of the frames before: m += (frame − m) / `filter-horizon`
    HighPass,
}

impl InputConfig {
    /// Steps of the mean that the filter takes off: of a difference 1; none without one.
    pub fn filter_horizon(&self) -> Option<usize> {
        match self.filter {
            InputFilter::None => None,
            InputFilter::Difference => Some(1),
            InputFilter::HighPass => Some(self.filter_horizon.unwrap_or(FILTER_HORIZON)),
        }
    }

    fn validate_filter(&self) -> Result<()> {
        let allowed = match (self.filter, self.filter_horizon) {
            (_, None) => return Ok(()),
            (InputFilter::HighPass, Some(horizon)) => {
                if horizon.is_power_of_two() && (2..=HORIZON_MAX).contains(&horizon) {
                    return Ok(());
                }
                format!("give a power of two, 2 to {HORIZON_MAX}")
            }
            (InputFilter::None | InputFilter::Difference, Some(_)) => {
                "only the filter `high-pass` has one".into()
            }
        };
        let found = self.filter_horizon.unwrap_or_default();
        Err(Error::out_of_range(found, allowed).field("input.filter_horizon"))
    }
}

/// Steps of the mean that [`InputFilter::HighPass`] takes off where nothing says so.
pub const FILTER_HORIZON: usize = 4;

/// The hidden state of J = J_1·…·J_d units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenConfig {
    /// J_1, …, J_d, slowest first; the gate index is slower still.
    pub modes: Vec<usize>,
}

/// The recurrent map: J inputs to 4·J pre-activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecurrentConfig {
    /// Its form; a tensor form takes its modes from the hidden state.
    #[serde(flatten)]
    pub map: MapKind,
}

/// The logistic function of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// 1 / (1 + e^−z).
    #[default]
    Sigmoid,
    /// clip(0.2·z + 0.5, 0, 1), Keras' approximation.
    HardSigmoid,
}

/// The linear layer behind the recurrence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadConfig {
    /// What it gives, and how many of them.
    #[serde(flatten)]
    pub gives: HeadKind,
    /// Which hidden state it reads.
    #[serde(default)]
    pub pool: Pool,
    /// Steps that [`Pool::Recent`] averages over, a power of two; 16 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<usize>,
    /// Where it is one to draw or to caption, the steps of the longest sequence that it learned from: as many are drawn,
    /// and a caption has no more. Of a head of pictures the steps in which one is painted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Of a head of pictures, the modes of the latent values of a step, Z = Z_1·…·Z_d, as many as of the hidden state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<Vec<usize>>,
    /// Of a head of pictures, their rows: pixels lie row by row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Names of the classes, the values or the bits; empty when the data set had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl HeadConfig {
    fn validate(&self) -> Result<()> {
        let (outputs, key) = (self.gives.outputs(), self.gives.key());
        let (least, why) = match self.gives.kind() {
            OutputKind::Classes if self.gives.is_next_word() => (
                WORD_FIRST + 1,
                "a vocabulary has an end, a place for what it has not, and at least 1 word",
            ),
            OutputKind::Classes => (2, "classification needs at least 2"),
            OutputKind::Values => (1, "a head gives at least 1 value"),
            OutputKind::Bits => (1, "a head gives at least 1 bit"),
        };
        if outputs < least {
            return Err(Error::out_of_range(outputs, why).field(format!("head.{key}")));
        }
        if !self.labels.is_empty() && self.labels.len() != outputs {
            let other = format!("head.{key} is");
            let labels = Error::mismatch("labels", self.labels.len(), outputs, other);
            return Err(labels.field("head.labels"));
        }
        if self.gives.every_step() && self.pool == Pool::Mean {
            let why = "the mean of all steps says little of the step just taken";
            return Err(Error::new(ErrorKind::Unsupported(why))
                .field("head.pool")
                .remedy("with a head on every step take `pool recent` or `pool last`"));
        }
        if self.gives.is_next_word() && self.pool != Pool::Last {
            let why = "the next word is told by the state after the last one";
            return Err(Error::new(ErrorKind::Unsupported(why))
                .field("head.pool")
                .remedy("take `pool last`"));
        }
        self.validate_drawing()?;
        match (self.pool, self.horizon) {
            (Pool::Recent, Some(horizon))
                if !horizon.is_power_of_two() || !(2..=HORIZON_MAX).contains(&horizon) =>
            {
                let allowed = format!("give a power of two, 2 to {HORIZON_MAX}");
                Err(Error::out_of_range(horizon, allowed).field("head.horizon"))
            }
            (Pool::Last | Pool::Mean, Some(horizon)) => Err(Error::out_of_range(
                horizon,
                "only the pool `recent` has one",
            )
            .field("head.horizon")),
            _ => Ok(()),
        }
    }

    /// That everything is there that the head draws by, and nothing that it does not.
    fn validate_drawing(&self) -> Result<()> {
        let pictures = self.gives.is_pictures();
        let latent = self.latent.as_ref();
        let latent = latent.map(|modes| product("head.latent", modes));
        let latent = latent.transpose()?;
        for (key, found, is_its, least) in [
            (
                "steps",
                self.steps,
                pictures || self.gives.is_next_frame() || self.gives.is_next_word(),
                "a drawing or a caption has at least 1 step",
            ),
            (
                "latent",
                latent,
                pictures,
                "a step has at least 1 latent value",
            ),
            ("rows", self.rows, pictures, "a picture has at least 1 row"),
        ] {
            let error = match found {
                Some(0) => Error::out_of_range(0, least),
                Some(found) if !is_its => {
                    let heads = if key == "steps" {
                        "s `next_bits`, `next_words` and `draw` have"
                    } else {
                        " `draw` has"
                    };
                    Error::out_of_range(found, format!("only the head{heads} it"))
                }
                None if pictures => {
                    Error::new(ErrorKind::Missing).remedy("the head `draw` needs it")
                }
                _ => continue,
            };
            return Err(error.field(format!("head.{key}")));
        }
        match (self.steps, self.rows) {
            (Some(steps), _) if pictures && steps > DRAW_STEPS_MAX => {
                let allowed = format!("a picture takes at most {DRAW_STEPS_MAX}");
                Err(Error::out_of_range(steps, allowed).field("head.steps"))
            }
            (_, Some(rows)) if !self.gives.outputs().is_multiple_of(rows) => {
                let allowed = format!("{} pixels are no such rows", self.gives.outputs());
                Err(Error::out_of_range(rows, allowed).field("head.rows"))
            }
            _ => Ok(()),
        }
    }

    /// Steps that [`Pool::Recent`] averages over; 1 with another pool.
    pub fn horizon(&self) -> usize {
        match self.pool {
            Pool::Recent => self.horizon.unwrap_or(HORIZON),
            Pool::Last | Pool::Mean => 1,
        }
    }
}

/// The word that ends a caption, and that is read at its first step.
pub const END: usize = 0;

/// The word that stands for all that the vocabulary has not; a caption made here never has it.
pub const UNKNOWN: usize = 1;

/// The first word that has a meaning of its own.
const WORD_FIRST: usize = 2;

/// Most steps of a picture.
pub const DRAW_STEPS_MAX: usize = 1000;

/// Longest horizon that the device's sums hold.
const HORIZON_MAX: usize = 1 << HORIZON_SHIFT_MAX;

/// Steps that [`Pool::Recent`] averages over where nothing says so.
pub const HORIZON: usize = 16;

/// What a head gives, and how many of them: one key of the metadata's `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// A score for each class, at the end of a sequence.
    Classes(usize),
    /// A score for each class, after every step.
    StepClasses(usize),
    /// Values in units of their own, at the end of a sequence.
    Values(usize),
    /// Values in units of their own, after every step.
    StepValues(usize),
    /// The logits of bits, independent of each other, at the end of a sequence.
    Bits(usize),
    /// The same after every step.
    StepBits(usize),
    /// The same after every step: the bits of the frame that follows.
    NextBits(usize),
    /// A score for each word of a vocabulary, after every step: the word that follows in a caption, by the picture,
    /// which is the only frame, and the words before it.
    NextWords(usize),
    /// The logits of the pixels of a picture, painted in several steps by latent values ([`HeadConfig::latent`]).
    Draw(usize),
}

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
    /// That with so many outputs.
    pub fn with(self, outputs: usize) -> HeadKind {
        match self {
            HeadName::Classes => HeadKind::Classes(outputs),
            HeadName::StepClasses => HeadKind::StepClasses(outputs),
            HeadName::Values => HeadKind::Values(outputs),
            HeadName::StepValues => HeadKind::StepValues(outputs),
            HeadName::Bits => HeadKind::Bits(outputs),
            HeadName::StepBits => HeadKind::StepBits(outputs),
            HeadName::NextBits => HeadKind::NextBits(outputs),
            HeadName::NextWords => HeadKind::NextWords(outputs),
            HeadName::Draw => HeadKind::Draw(outputs),
        }
    }

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

impl HeadKind {
    /// Its name.
    pub fn name(self) -> HeadName {
        match self {
            HeadKind::Classes(_) => HeadName::Classes,
            HeadKind::StepClasses(_) => HeadName::StepClasses,
            HeadKind::Values(_) => HeadName::Values,
            HeadKind::StepValues(_) => HeadName::StepValues,
            HeadKind::Bits(_) => HeadName::Bits,
            HeadKind::StepBits(_) => HeadName::StepBits,
            HeadKind::NextBits(_) => HeadName::NextBits,
            HeadKind::NextWords(_) => HeadName::NextWords,
            HeadKind::Draw(_) => HeadName::Draw,
        }
    }

    /// Scores: one a class, a value or a bit.
    pub fn outputs(self) -> usize {
        let (HeadKind::Classes(outputs)
        | HeadKind::StepClasses(outputs)
        | HeadKind::Values(outputs)
        | HeadKind::StepValues(outputs)
        | HeadKind::Bits(outputs)
        | HeadKind::StepBits(outputs)
        | HeadKind::NextBits(outputs)
        | HeadKind::NextWords(outputs)
        | HeadKind::Draw(outputs)) = self;
        outputs
    }

    /// As of [`HeadName::every_step`].
    pub fn every_step(self) -> bool {
        self.name().every_step()
    }

    /// As of [`HeadName::kind`].
    pub fn kind(self) -> OutputKind {
        self.name().kind()
    }

    /// Whether what it gives is the frame that follows, so that a session can draw.
    pub fn is_next_frame(self) -> bool {
        self.name() == HeadName::NextBits
    }

    /// Whether what it gives are the words of a caption: a layer then reads the word before at every step, and its frame,
    /// the picture, once.
    pub fn is_next_word(self) -> bool {
        self.name() == HeadName::NextWords
    }

    /// Whether what it gives is a picture, painted in several steps.
    pub fn is_pictures(self) -> bool {
        self.name() == HeadName::Draw
    }

    /// The key of the metadata, such as `classes` or `step_values`.
    pub fn key(self) -> &'static str {
        match self {
            HeadKind::Classes(_) => "classes",
            HeadKind::StepClasses(_) => "step_classes",
            HeadKind::Values(_) => "values",
            HeadKind::StepValues(_) => "step_values",
            HeadKind::Bits(_) => "bits",
            HeadKind::StepBits(_) => "step_bits",
            HeadKind::NextBits(_) => "next_bits",
            HeadKind::NextWords(_) => "next_words",
            HeadKind::Draw(_) => "draw",
        }
    }
}

/// The hidden state that the head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The one after the last valid step; with a head on every step, after that step.
    #[default]
    Last,
    /// The mean over all valid steps; of more than 65,535 the recent ones weigh more, as on the device.
    Mean,
    /// The mean over about the last `horizon` steps, for streams without end: that over all steps at first,
    /// then m += (h − m) / horizon.
    Recent,
}

/// The audio front end: samples to log mel energies, then several vectors of
/// those to a frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontEndConfig {
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// Samples under one window.
    pub window: usize,
    /// Samples between the starts of two windows.
    pub hop: usize,
    /// Mel bands of one vector.
    pub bands: usize,
    /// Lowest frequency of the lowest band, Hz.
    pub low_hz: f32,
    /// Highest frequency of the highest band, Hz.
    pub high_hz: f32,
    /// What values are measured against.
    #[serde(default)]
    pub level: Level,
    /// Vectors that make up the frame of one LSTM step.
    pub vectors_per_step: usize,
    /// What `bt_core` computes from samples; files from before it was written down are of its first.
    #[serde(default = "first_format")]
    pub format: u32,
}

fn first_format() -> u32 {
    FORMAT_UNFILTERED
}

/// What log mel energies are measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The scale of the samples.
    Absolute,
    /// The vector's own loudness, or what was louder before and lasted.
    #[default]
    Relative,
}

/// The maps of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerShape {
    /// From the frame, or from the hidden state of the layer below.
    pub input: MapShape,
    /// From the hidden state, where the cell has such a map.
    pub recurrent: Option<MapShape>,
}

impl ModelConfig {
    /// I, the width of a frame (zeros added by padding included).
    pub fn inputs(&self) -> usize {
        self.input.modes.iter().product()
    }

    /// J, the width of the hidden state.
    pub fn units(&self) -> usize {
        self.hidden.modes.iter().product()
    }

    /// The map from a frame to the gates of the first layer.
    pub fn input_shape(&self) -> MapShape {
        let gates = self.gates();
        MapShape::to_gates(gates, self.input.map, &self.input.modes, &self.hidden.modes)
    }

    /// The map from the hidden state of a layer to the gates of the one above.
    pub fn upper_input_shape(&self) -> MapShape {
        let hidden = &self.hidden.modes;
        MapShape::to_gates(self.gates(), self.input.map, hidden, hidden)
    }

    /// The map from the hidden state to the gates of the same layer, where the cell has one.
    pub fn recurrent_shape(&self) -> Option<MapShape> {
        let hidden = &self.hidden.modes;
        let shape = MapShape::to_gates(self.gates(), self.recurrent.map, hidden, hidden);
        self.cell.device().is_recurrent().then_some(shape)
    }

    /// The maps of every layer.
    pub fn layer_shapes(&self) -> Vec<LayerShape> {
        let layer = |at: usize| LayerShape {
            input: match at {
                0 => self.input_shape(),
                _ => self.upper_input_shape(),
            },
            recurrent: self.recurrent_shape(),
        };
        (0..self.layers).map(layer).collect()
    }

    /// Of a head of pictures, the maps of the decoder: from the latent values, and from its hidden state. The first
    /// layer is the encoder.
    pub fn decoder_shape(&self) -> Option<LayerShape> {
        let (latent, hidden) = (self.head.latent.as_ref()?, &self.hidden.modes);
        Some(LayerShape {
            input: MapShape::to_gates(self.gates(), self.input.map, latent, hidden),
            recurrent: self.recurrent_shape(),
        })
    }

    /// Latent values of a step, Z; 0 where the head is none of pictures.
    pub fn latent_values(&self) -> usize {
        self.decoder_shape()
            .map_or(0, |shape| shape.input.inputs.iter().product())
    }

    /// The cell and the function of its gates.
    pub fn kind(&self) -> Kind {
        Kind {
            cell: self.cell,
            gate: self.gate,
        }
    }

    /// Gates of the cell.
    pub fn gates(&self) -> usize {
        self.cell.device().gates()
    }

    /// The width of z and of its bias.
    pub fn bias_values(&self) -> usize {
        self.gates() * self.units()
    }

    /// The width of the bias that the recurrent map has to itself.
    pub fn recurrent_bias_values(&self) -> usize {
        match self.cell.device().keeps_apart() {
            true => self.units(),
            false => 0,
        }
    }

    /// Values a step that the data hold: I less the padding.
    pub fn data_width(&self) -> usize {
        self.input.width.unwrap_or_else(|| self.inputs())
    }

    /// Number of weights of all layers, biases included, and of the head.
    pub fn parameters(&self) -> usize {
        let linear = self.head.gives.outputs() + 2 * self.latent_values();
        let head = linear * (self.units() + 1);
        let words = self.words().unwrap_or(0) * self.bias_values();
        self.layer_parameters(|shape| shape.parameters()) + words + head
    }

    /// Words of the vocabulary, where the first layer reads them: each has a row of the table [V, G·J].
    pub fn words(&self) -> Option<usize> {
        let gives = self.head.gives;
        gives.is_next_word().then(|| gives.outputs())
    }

    /// Weights of all layers, biases included, where maps have as many as `of_map` says.
    fn layer_parameters(&self, of_map: impl Fn(&MapShape) -> usize) -> usize {
        let biases = self.bias_values() + self.recurrent_bias_values();
        let layers = self.layer_shapes().into_iter().chain(self.decoder_shape());
        let maps = layers.map(|layer| {
            of_map(&layer.input) + layer.recurrent.as_ref().map_or(0, &of_map) + biases
        });
        maps.sum()
    }

    /// Weights of the map from the frame; with a decoder, of that from the latent values too.
    pub fn input_parameters(&self) -> usize {
        self.input_maps().map(|shape| shape.parameters()).sum()
    }

    fn input_maps(&self) -> impl Iterator<Item = MapShape> {
        let decoder = self.decoder_shape().map(|shape| shape.input);
        std::iter::once(self.input_shape()).chain(decoder)
    }

    /// How many times more weights dense input maps would have.
    pub fn input_compression(&self) -> f64 {
        let dense: usize = self.input_maps().map(|map| map.dense().parameters()).sum();
        dense as f64 / self.input_parameters() as f64
    }

    /// How many times more weights dense layers would have, without the head.
    pub fn compression(&self) -> f64 {
        let dense = self.layer_parameters(|shape| shape.dense().parameters());
        dense as f64 / self.layer_parameters(MapShape::parameters) as f64
    }

    /// Checks that such a model can be.
    ///
    /// # Errors
    /// Names the field that is out of range and what it may be.
    pub fn validate(&self) -> Result<()> {
        let inputs = product("input.modes", &self.input.modes)?;
        let units = product("hidden.modes", &self.hidden.modes)?;
        let rows = units.checked_mul(self.gates());
        if rows
            .and_then(|rows| rows.checked_mul(inputs.max(units)))
            .is_none()
        {
            return Err(Error::new(ErrorKind::TooLarge {
                modes: self.hidden.modes.clone(),
                allowed: "smaller modes",
            })
            .field("hidden.modes"));
        }
        self.input_shape().validate("input.", "input.modes")?;
        if let Some(recurrent) = self.recurrent_shape() {
            recurrent.validate("recurrent.", "hidden.modes")?;
        }
        if !(1..=LAYERS_MAX).contains(&self.layers) {
            let allowed = format!("1 to {LAYERS_MAX} are possible");
            return Err(Error::out_of_range(self.layers, allowed).field("layers"));
        }
        if let Some(width) = self.input.width
            && !(1..=inputs).contains(&width)
        {
            return Err(Error::new(ErrorKind::Modes {
                modes: self.input.modes.clone(),
                product: inputs,
                width,
            })
            .field("input.width"));
        }
        self.input.validate_filter()?;
        if let Some(frames) = self.input.frames {
            self.check_drawn(frames)
                .map_err(|error| error.field("input.frames"))?;
        }
        if self.head.gives.is_next_frame() {
            let (bits, frame) = (self.head.gives.outputs(), self.data_width());
            if bits != frame {
                let other = "the data of `input` have";
                return Err(Error::mismatch("bits", bits, frame, other).field("head.next_bits"));
            }
            if self.front_end.is_some() {
                let why = "draws frames, and a front end gives none of bits";
                return Err(Error::new(ErrorKind::Unsupported(why)).field("head.next_bits"));
            }
        }
        if self.head.gives.is_next_word() {
            let refused = match (&self.front_end, self.input.filter) {
                (Some(_), _) => Some((
                    "reads a picture, and a front end makes frames of sound",
                    "head.next_words",
                )),
                (None, InputFilter::None) => None,
                (None, _) => Some((
                    "passes what moves, and a picture is one frame",
                    "input.filter",
                )),
            };
            if let Some((why, field)) = refused {
                return Err(Error::new(ErrorKind::Unsupported(why)).field(field));
            }
        }
        self.head.validate()?;
        if self.head.gives.is_pictures() {
            self.validate_pictures()?;
        }
        Ok(())
    }

    /// Checks that a model can draw pictures, of a head that is sound by itself.
    fn validate_pictures(&self) -> Result<()> {
        let pixels = self.head.gives.outputs();
        let read = pixels
            .checked_mul(2)
            .and_then(|pictures| pictures.checked_add(self.units()));
        if read.is_none_or(|read| self.inputs() < read) {
            let why = "do not hold two pictures and the hidden state, which the encoder reads";
            return Err(Error::new(ErrorKind::Unsupported(why)).field("input.modes"));
        }
        if self.data_width() != pixels {
            let other = "the data of `input` have";
            let error = Error::mismatch("pixels", pixels, self.data_width(), other);
            return Err(error.field("head.draw"));
        }
        let latent = self.head.latent.clone().unwrap_or_default();
        let values = product("head.latent", &latent)?;
        if self.bias_values().checked_mul(values).is_none() {
            return Err(Error::new(ErrorKind::TooLarge {
                modes: latent,
                allowed: "fewer values",
            })
            .field("head.latent"));
        }
        if let Some(decoder) = self.decoder_shape() {
            decoder.input.validate("input.", "head.latent")?;
        }
        let has_no = [
            ("cell", self.cell != Cell::Lstm),
            ("layers", self.layers != 1),
            ("head.pool", self.head.pool != Pool::Last),
            ("input.filter", self.input.filter != InputFilter::None),
            ("front_end", self.front_end.is_some()),
        ];
        match has_no.into_iter().find(|(_, is_set)| *is_set) {
            Some((field, _)) => {
                let why = "is nothing for pictures: encoder and decoder are an LSTM each, and read pixels";
                Err(Error::new(ErrorKind::Unsupported(why)).field(field))
            }
            None => Ok(()),
        }
    }

    /// Checks that a model can be given so many frames drawn from a sequence.
    fn check_drawn(&self, frames: usize) -> Result<()> {
        let why = if frames < 2 {
            return Err(Error::out_of_range(
                frames,
                "2 or more are drawn from a sequence",
            ));
        } else if self.front_end.is_some() {
            "is for frames, and sound is read as it comes"
        } else if self.head.gives.is_pictures() {
            "leaves rows of pictures out"
        } else if self.head.gives.every_step() {
            "leaves steps out, and the head tells something of every step"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Unsupported(why)).remedy("leave `frames` out"))
    }
}

fn product(field: &str, modes: &[usize]) -> Result<usize> {
    let product = modes
        .iter()
        .try_fold(1usize, |product, &mode| product.checked_mul(mode))
        .filter(|&product| !modes.is_empty() && (1..=u32::MAX as usize).contains(&product));
    product.ok_or_else(|| {
        Error::new(ErrorKind::Sizes {
            modes: modes.to_vec(),
        })
        .field(field)
        .remedy("give sizes such as 8x20x20x18")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &str = r#"{"input": {"map": "block-term", "modes": [8,20,20,18], "blocks": 2, "rank": 4}, "hidden": {"modes": [4,4,4,4]}, "recurrent": {"map": "dense"}, "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#;

    #[test]
    fn reads_what_the_contract_calls_enough() {
        let config: ModelConfig = serde_json::from_str(FOREIGN).unwrap();
        config.validate().unwrap();
        assert_eq!(config.inputs(), 57_600);
        assert_eq!(config.units(), 256);
        // The paper's table: 3,392 weights where a dense map has 58,982,400.
        assert_eq!(config.input_shape().parameters(), 3_392);
        assert_eq!(config.input_shape().dense().parameters(), 58_982_400);
        let again: ModelConfig =
            serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn fills_in_defaults() {
        let config: ModelConfig = serde_json::from_str(
            r#"{"input": {"map": "block-term", "modes": [4,8]}, "hidden": {"modes": [2,2]}, "head": {"classes": 2}}"#,
        )
        .unwrap();
        assert_eq!(config.input.map, MapKind::BlockTerm { blocks: 2, rank: 4 });
        assert_eq!(config.recurrent.map, MapKind::Dense);
        assert_eq!(config.head.pool, Pool::Last);
        assert_eq!(config.gate, Gate::Sigmoid);
    }

    #[test]
    fn refuses_impossible_shapes() {
        let good: ModelConfig = serde_json::from_str(FOREIGN).unwrap();
        let mut uneven = good.clone();
        uneven.hidden.modes = vec![16, 16];
        assert!(
            uneven
                .validate()
                .unwrap_err()
                .to_string()
                .contains("4 input modes")
        );
        let mut zero = good.clone();
        zero.input.modes[1] = 0;
        assert!(zero.validate().is_err());
        let mut huge = good.clone();
        huge.input.modes = vec![usize::MAX, 2, 2, 2];
        assert!(huge.validate().is_err());
        let mut rankless = good;
        rankless.input.map = MapKind::BlockTerm { blocks: 2, rank: 0 };
        let line = rankless.validate().unwrap_err().to_string();
        assert!(line.starts_with("input.rank"), "{line}");
    }

    #[test]
    fn filters_come_back_as_written_or_are_refused_by_name() {
        let with = |filter: &str| -> ModelConfig {
            let rest = r#""hidden":{"modes":[2]},"recurrent":{"map":"dense"},"gate":"sigmoid","head":{"classes":2,"pool":"last"}"#;
            serde_json::from_str(&format!(
                r#"{{"input":{{"map":"dense","modes":[4]{filter}}},{rest}}}"#
            ))
            .unwrap()
        };
        for (filter, horizon) in [
            ("", None),
            (r#","filter":"difference""#, Some(1)),
            (r#","filter":"high-pass""#, Some(4)),
            (r#","filter":"high-pass","filter_horizon":16"#, Some(16)),
        ] {
            let config = with(filter);
            config.validate().unwrap();
            assert_eq!(config.input.filter_horizon(), horizon);
            let written = serde_json::to_string(&config).unwrap();
            assert!(
                written.contains(&format!(r#""modes":[4]{filter}}}"#)),
                "{written}"
            );
        }
        for (filter, expected) in [
            (r#","filter_horizon":4"#, "is 4; only the filter"),
            (
                r#","filter":"difference","filter_horizon":2"#,
                "is 2; only the filter",
            ),
            (
                r#","filter":"high-pass","filter_horizon":1"#,
                "is 1; give a power of two",
            ),
            (
                r#","filter":"high-pass","filter_horizon":12"#,
                "is 12; give a power of two",
            ),
            (
                r#","filter":"high-pass","filter_horizon":65536"#,
                "is 65536; give a power of two",
            ),
        ] {
            let line = with(filter).validate().unwrap_err().to_string();
            assert!(
                line.starts_with(&format!("input.filter_horizon: {expected}")),
                "{line}"
            );
        }
    }

    fn with_head(head: &str) -> serde_json::Result<ModelConfig> {
        let rest = r#""input": {"map": "dense", "modes": [4]}, "hidden": {"modes": [2]}"#;
        serde_json::from_str(&format!(r#"{{{rest}, "head": {head}}}"#))
    }

    #[test]
    fn heads_come_back_as_written() {
        for (head, gives, horizon) in [
            (r#"{"classes":2,"pool":"mean"}"#, HeadKind::Classes(2), 1),
            (
                r#"{"step_classes":3,"pool":"last"}"#,
                HeadKind::StepClasses(3),
                1,
            ),
            (
                r#"{"values":1,"pool":"recent","horizon":8}"#,
                HeadKind::Values(1),
                8,
            ),
            (
                r#"{"step_values":2,"pool":"recent"}"#,
                HeadKind::StepValues(2),
                16,
            ),
            (r#"{"bits":1,"pool":"mean"}"#, HeadKind::Bits(1), 1),
            (r#"{"step_bits":5,"pool":"last"}"#, HeadKind::StepBits(5), 1),
            (
                r#"{"next_bits":4,"pool":"last","steps":28}"#,
                HeadKind::NextBits(4),
                1,
            ),
        ] {
            let config = with_head(head).unwrap();
            config.validate().unwrap();
            assert_eq!(config.head.gives, gives);
            assert_eq!(config.head.horizon(), horizon);
            assert_eq!(serde_json::to_string(&config.head).unwrap(), head);
        }
        assert!(with_head(r#"{"pool": "last"}"#).is_err());
    }

    /// Pictures of 4 pixels; the encoder reads 4 + 4 + 2 values.
    fn of_pictures(more: &str, head: &str) -> ModelConfig {
        let rest = r#""hidden": {"modes": [2]}"#;
        let head = format!(r#"{{"draw":4,"pool":"last"{head}}}"#);
        let text = format!(
            r#"{{"input": {{"map": "dense", "modes": [10], "width": 4}}, {rest}{more}, "head": {head}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn models_of_pictures_are_whole_or_refused_by_name() {
        let whole = r#","steps":3,"latent":[5],"rows":2"#;
        let config = of_pictures("", whole);
        config.validate().unwrap();
        let head = serde_json::to_string(&config.head).unwrap();
        assert_eq!(head, format!(r#"{{"draw":4,"pool":"last"{whole}}}"#));
        // Two layers of an LSTM, W and b, L and l.
        let layers = (8 * 10 + 8 * 2 + 8) + (8 * 5 + 8 * 2 + 8);
        assert_eq!(config.parameters(), layers + 4 * 3 + 10 * 3);
        assert_eq!(config.input_parameters(), 8 * 15);
        for (more, head, expected) in [
            ("", r#","latent":[5],"rows":2"#, "head.steps: "),
            (
                "",
                r#","steps":0,"latent":[5],"rows":2"#,
                "head.steps: is 0; a drawing or a caption has",
            ),
            (
                "",
                r#","steps":1001,"latent":[5],"rows":2"#,
                "head.steps: is 1001; a picture takes",
            ),
            ("", r#","steps":3,"rows":2"#, "head.latent: "),
            ("", r#","steps":3,"latent":[],"rows":2"#, "head.latent: "),
            ("", r#","steps":3,"latent":[5,0],"rows":2"#, "head.latent: "),
            (
                "",
                r#","steps":3,"latent":[4294967296,4294967296],"rows":2"#,
                "head.latent: ",
            ),
            ("", r#","steps":3,"latent":[5]"#, "head.rows: "),
            (
                "",
                r#","steps":3,"latent":[5],"rows":3"#,
                "head.rows: is 3; 4 pixels",
            ),
            (r#", "cell": "gru""#, whole, "cell: "),
            (r#", "layers": 2"#, whole, "layers: "),
        ] {
            let line = of_pictures(more, head).validate().unwrap_err().to_string();
            assert!(line.starts_with(expected), "{line}");
        }
        let mut narrow = of_pictures("", whole);
        narrow.input.modes = vec![9];
        let line = narrow.validate().unwrap_err().to_string();
        assert!(
            line.starts_with("input.modes: do not hold two pictures"),
            "{line}"
        );
        let mut other = of_pictures("", whole);
        other.input.width = Some(5);
        let line = other.validate().unwrap_err().to_string();
        assert!(line.starts_with("head.draw: has 4 pixels"), "{line}");
    }

    #[test]
    fn heads_that_cannot_be_are_refused_by_name() {
        for (head, expected) in [
            (r#"{"classes": 1}"#, "head.classes: is 1; "),
            (r#"{"step_classes": 1}"#, "head.step_classes: is 1; "),
            (r#"{"values": 0}"#, "head.values: is 0; "),
            (
                r#"{"values": 3, "labels": ["a", "b"]}"#,
                "head.labels: has 2 labels, head.values is 3",
            ),
            (r#"{"step_classes": 2, "pool": "mean"}"#, "head.pool: "),
            (
                r#"{"values": 2, "pool": "recent", "horizon": 12}"#,
                "head.horizon: is 12; give a power of two",
            ),
            (
                r#"{"values": 2, "pool": "recent", "horizon": 65536}"#,
                "head.horizon: is 65536; ",
            ),
            (r#"{"values": 2, "horizon": 8}"#, "head.horizon: is 8; only"),
            (r#"{"bits": 0}"#, "head.bits: is 0; "),
            (r#"{"step_bits": 2, "pool": "mean"}"#, "head.pool: "),
            (r#"{"step_bits": 2, "steps": 3}"#, "head.steps: is 3; only"),
            (
                r#"{"classes": 2, "latent": [3]}"#,
                "head.latent: is 3; only",
            ),
            (r#"{"next_bits": 4, "rows": 2}"#, "head.rows: is 2; only"),
            (r#"{"next_bits": 4, "steps": 0}"#, "head.steps: is 0; "),
            (
                r#"{"next_bits": 3}"#,
                "head.next_bits: has 3 bits, the data of `input` have 4",
            ),
        ] {
            let line = with_head(head).unwrap().validate().unwrap_err().to_string();
            assert!(line.starts_with(expected), "{line}");
        }
    }
}
