//! What a model is made of: the `bt` metadata of a `.safetensors` file.

mod head;

use crate::error::{Error, ErrorKind, Result, With};
use crate::float::cell::Kind;
use crate::shape::{Cell, MapKind, MapShape};
use bt_core::internals::front_end::FORMAT_UNFILTERED;
use bt_core::internals::model::layout::{HORIZON_SHIFT_MAX, LAYERS_MAX};
use serde::{Deserialize, Serialize};

pub use crate::heads::HeadName;
pub use crate::shape::Gate;
pub(crate) use head::PAINT_PLACES;
pub(in crate::float) use head::PLACES;
pub use head::{DRAW_STEPS_MAX, END, HORIZON, HeadConfig, HeadKind, Pool, UNKNOWN};

/// Longest horizon that the device's sums hold.
const HORIZON_MAX: usize = 1 << HORIZON_SHIFT_MAX;

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

    /// Values a step that the data hold: I less the padding; of pictures that are read through windows their pixels.
    pub fn data_width(&self) -> usize {
        match self.head.attention {
            Some(_) => self.head.gives.outputs(),
            None => self.input.width.unwrap_or_else(|| self.inputs()),
        }
    }

    /// Values a step as the model is given them: I, of pictures their pixels.
    pub fn frame_values(&self) -> usize {
        match self.head.gives.is_pictures() {
            true => self.head.gives.outputs(),
            false => self.inputs(),
        }
    }

    /// Number of weights of all layers, biases included, and of the head.
    pub fn parameters(&self) -> usize {
        let places = self.head.attention.map_or(0, |_| PLACES);
        let linear = self.head.linear_values() + 2 * self.latent_values() + places;
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
        let not_for = |why| ErrorKind::NotForHead {
            head: self.head.gives.name(),
            why,
        };
        if self.head.gives.is_next_frame() {
            let (bits, frame) = (self.head.gives.outputs(), self.data_width());
            if bits != frame {
                let other = "the data of `input` have";
                return Err(Error::mismatch("bits", bits, frame, other).field("head.next_bits"));
            }
            if self.front_end.is_some() {
                let why = "draws frames, and a front end gives none of bits";
                return Err(Error::new(not_for(why)).field("head.next_bits"));
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
                return Err(Error::new(not_for(why)).field(field));
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
        let need = self.head.read_values().saturating_add(self.units());
        if self.inputs() < need {
            return Err(Error::new(ErrorKind::EncoderInputs {
                inputs: self.inputs(),
                need,
                read: match self.head.attention {
                    None => "pictures",
                    Some(_) => "windows",
                },
            })
            .field("input.modes"));
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
                let head = self.head.gives.name();
                Err(Error::new(ErrorKind::NotForHead { head, why }).field(field))
            }
            None => Ok(()),
        }
    }

    /// Checks that a model can be given so many frames drawn from a sequence.
    fn check_drawn(&self, frames: usize) -> Result<()> {
        let head = self.head.gives;
        let kind = if frames < 2 {
            let why = "2 or more are drawn from a sequence";
            return Err(Error::out_of_range(frames, why));
        } else if self.front_end.is_some() {
            ErrorKind::Conflict {
                with: With::Sound,
                why: "is for frames, and sound is read as it comes",
            }
        } else if head.is_pictures() || head.every_step() {
            ErrorKind::NotForHead {
                head: head.name(),
                why: match head.is_pictures() {
                    true => "leaves rows of pictures out",
                    false => "leaves steps out, and the head tells something of every step",
                },
            }
        } else {
            return Ok(());
        };
        Err(Error::new(kind).remedy("leave `frames` out"))
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
mod tests;
