//! What of a model goes to a device: all of it, or of one that paints pictures the decoder, as a model of its own.

use crate::data::{Normalization, Part, Values};
use crate::error::Result;
use crate::float::checkpoint::{Checkpoint, HEAD_BIAS, HEAD_WEIGHT};
use crate::float::config::{InputConfig, InputFilter, ModelConfig};
use crate::float::draw::{ATTENTION, DECODER};
use crate::float::tensors::Tensors;
use crate::shape::name;
use bt_core::drawing::Random;
use ndarray::Array3;
use std::borrow::Cow;
use std::sync::Arc;

/// The model that a device runs. That of a decoder reads latent values where the first layer of the whole reads
/// pictures, and its config is none that a float model has.
pub(super) fn of_device(checkpoint: &Checkpoint) -> Cow<'_, Checkpoint> {
    let config = &checkpoint.config;
    let Some(latent) = pictures(config) else {
        return Cow::Borrowed(checkpoint);
    };
    let mut tensors = Tensors::new();
    for (of_whole, own) in [
        (
            name::input_map(config.cell, DECODER),
            name::input_map(config.cell, 0),
        ),
        (
            name::recurrent_map(config.cell, DECODER),
            name::recurrent_map(config.cell, 0),
        ),
        (name::bias(config.cell, DECODER), name::bias(config.cell, 0)),
        (HEAD_WEIGHT.into(), HEAD_WEIGHT.into()),
        (HEAD_BIAS.into(), HEAD_BIAS.into()),
        (ATTENTION[0].into(), ATTENTION[0].into()),
        (ATTENTION[1].into(), ATTENTION[1].into()),
    ] {
        for (found, tensor) in &checkpoint.tensors {
            let rest = found.strip_prefix(&of_whole);
            if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('.')) {
                tensors.insert(format!("{own}{rest}"), tensor.clone());
            }
        }
    }
    let input = InputConfig {
        map: config.input.map,
        modes: latent.clone(),
        width: None,
        filter: InputFilter::None,
        filter_horizon: None,
        frames: None,
    };
    let config = ModelConfig {
        input,
        ..config.clone()
    };
    Cow::Owned(Checkpoint { config, tensors })
}

/// The modes of the latent values where a model paints.
fn pictures(config: &ModelConfig) -> Option<&Vec<usize>> {
    let latent = config.head.latent.as_ref();
    latent.filter(|_| config.head.gives.is_pictures())
}

/// What the device's model learned to read, and what ranges are found on: the training part, or as many pictures'
/// latent values as a device draws them.
///
/// # Errors
/// When the model's tensors do not fit.
pub(super) fn material(
    checkpoint: &Checkpoint,
    part: &Part,
    sequences: usize,
) -> Result<(Part, Normalization)> {
    let config = &checkpoint.config;
    if pictures(config).is_none() {
        return Ok((part.clone(), Normalization::of(&checkpoint.model()?)));
    }
    let (width, steps) = (config.latent_values(), config.head.steps.unwrap_or(1));
    let normalization = Normalization {
        scale: vec![1.0 / LATENT_SCALE],
        ..Normalization::identity(width)
    };
    let latent = (0..sequences).flat_map(|number| latent(CALIBRATION_SEED, number, steps * width));
    let part = Part {
        values: Arc::new(Values::I16(latent.collect())),
        width,
        starts: (0..sequences).map(|at| at * steps * width).collect(),
        lengths: vec![steps; sequences],
        targets: None,
        groups: None,
    };
    Ok((part, normalization))
}

/// So many latent values of a picture of a seed, Q3.12, as every device draws them.
fn latent(seed: u64, number: usize, count: usize) -> Vec<i16> {
    let mut random = Random::new(seed, number as u64);
    (0..count).map(|_| random.normal()).collect()
}

/// The latent values of a picture of a seed in floats, as the float model reads them: [steps, 1, width].
pub(crate) fn latent_floats(
    seed: u64,
    number: usize,
    (steps, width): (usize, usize),
) -> Array3<f32> {
    let z = latent(seed, number, steps * width);
    Array3::from_shape_fn((steps, 1, width), |(t, _, at)| {
        f32::from(z[t * width + at]) / LATENT_SCALE
    })
}

/// Integers of 1 in latent values.
const LATENT_SCALE: f32 = 4096.0;

/// Of pictures that nobody asks for by their numbers.
pub(super) const CALIBRATION_SEED: u64 = 0x5eed_b10c;
