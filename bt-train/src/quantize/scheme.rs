//! What plans, calibration data and limits decide about a model, whatever its weights.

use super::calibration::{CalibratedInput, InputCalibration};
use super::contents::{Parts, arena};
use super::input::InputFormat;
use super::map::{IntegerForm, MapScheme, Reads, apply_matrix};
use super::real::{RealLayer, RealMaps, folded_bias, frames, states, values};
use super::spread::spread;
use crate::data::{Normalization, Part};
use crate::error::Result;
use crate::float::checkpoint::Checkpoint;
use crate::float::config::ModelConfig;
use crate::float::model::Model;
use crate::plan::search::{self, Layer, Limits, MapRanked, Ranked, SearchError};
use crate::shape::name::{BIAS, INPUT_MAP, RECURRENT_MAP};
use crate::shape::{MapShape, name};
use bt_core::internals::model::layout::{CELL_FRACTION, CELL_FRACTION_MIN};
use bt_core::internals::model::write::ModelBytes;

/// What the caller decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name in the file.
    pub name: String,
    /// RAM that a session, and flash that the model file may take.
    pub limits: Limits,
    /// Sequences to calibrate on, at most.
    pub sequences: usize,
}

/// The cell state c, i32.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct CellReport {
    /// Largest magnitude in real arithmetic on calibration sequences.
    pub max: f64,
    /// Fraction bits: 24 unless c goes beyond half of their ±128.
    pub fraction: u32,
}

impl CellReport {
    /// The most fraction bits that leave twice the room that calibration has seen.
    fn new(max: f64) -> CellReport {
        let holds = |fraction: &u32| 2.0 * max <= f64::from(1u32 << (31 - fraction));
        CellReport {
            max,
            fraction: (CELL_FRACTION_MIN..=CELL_FRACTION)
                .rev()
                .find(holds)
                .unwrap_or(CELL_FRACTION_MIN),
        }
    }
}

/// How a model becomes integers: everything that calibration decides, and none of the weights. Other
/// weights of the same model, such as a fine-tuned one's, can be put through it.
#[derive(Debug)]
pub struct Scheme {
    name: String,
    labels: Vec<String>,
    pub(super) config: ModelConfig,
    pub(super) limits: Limits,
    /// Of both maps: the search's own, which the file keeps to.
    pub(super) plans: Ranked<MapRanked>,
    pub(super) format: InputFormat,
    pub(super) input: MapScheme,
    pub(super) recurrent: MapScheme,
    /// Sequences of calibration that the report looks at.
    pub(super) sample: Part,
    /// How far the cell goes, and the format for it.
    pub(super) cell: CellReport,
}

/// The weights of a checkpoint under a scheme, in integers.
pub(super) struct Weights<'a> {
    /// Of z, with what the input map makes of integer zeros.
    pub bias: Vec<f64>,
    /// The same with what its integers make of them: an offset that stays in the values then meets the
    /// same weights as the values, and rounding them costs no more than without it.
    integer_bias: Vec<f64>,
    pub input: IntegerForm<'a>,
    pub recurrent: IntegerForm<'a>,
}

impl Scheme {
    /// Chooses plans, input format, ranges and bits. `part` is (a selection of) the training part, in raw
    /// values of the input map: with a front end its feature vectors.
    ///
    /// # Errors
    ///
    /// When no plan keeps to the limits, or the model's weights cannot be quantized.
    pub fn calibrate(
        checkpoint: &Checkpoint,
        part: &Part,
        labels: &[String],
        options: &Options,
    ) -> Result<Scheme> {
        let layer = layer(&checkpoint.config)?;
        let limits = &options.limits;
        let planned = |plans| Scheme::planned(plans, checkpoint, part, labels, options);
        let Some(flash_bytes) = limits.flash_bytes else {
            let plans = search::best(&layer, limits);
            return planned(plans.map_err(|error| search::refused(&error, limits))?);
        };
        // What the file holds beside the maps depends on the formats, which calibration finds for given
        // plans: the maps get what it leaves them.
        let mut beside = 0;
        loop {
            let of_maps = Limits {
                flash_bytes: Some(flash_bytes.saturating_sub(beside)),
                ..*limits
            };
            let (plans, is_refused) = match search::best(&layer, &of_maps) {
                Ok(plans) => (plans, false),
                Err(SearchError::Limits { closest }) => (*closest, true),
                Err(error) => return Err(search::refused(&error, limits)),
            };
            let scheme = planned(plans)?;
            let file_bytes = scheme.file(checkpoint)?.bytes().len();
            let has_ram = |ram| scheme.plans.ram_bytes <= ram;
            if file_bytes <= flash_bytes && limits.ram_bytes.is_none_or(has_ram) {
                return Ok(scheme);
            }
            let found = file_bytes - scheme.plans.flash_bytes;
            if is_refused && found <= beside {
                let closest = Box::new(Ranked {
                    flash_bytes: file_bytes,
                    ..scheme.plans
                });
                return Err(search::refused(&SearchError::Limits { closest }, limits));
            }
            beside = found.max(beside);
        }
    }

    /// The same for plans that are chosen.
    fn planned(
        plans: Ranked<MapRanked>,
        checkpoint: &Checkpoint,
        part: &Part,
        labels: &[String],
        options: &Options,
    ) -> Result<Scheme> {
        let config = &checkpoint.config;
        let maps = RealMaps::read(checkpoint, &plans)?;
        let chosen = spread((0..part.sequences()).collect(), options.sequences);
        let calibration = InputCalibration {
            part,
            chosen: &chosen,
            normalization: &Normalization::of(&checkpoint.model()?),
            bias: &values(checkpoint, BIAS),
            has_front_end: config.front_end.is_some(),
        };
        let CalibratedInput {
            format,
            bias,
            scheme: input,
        } = calibration.best(&maps.input)?;
        let real = RealLayer {
            maps: &maps,
            bias: &bias,
            gate: config.gate,
        };
        let states = states(&frames(part, &format, &chosen), &format, &real);
        let hidden = spread(states.hidden, CALIBRATION_STATES);
        let recurrent = MapScheme::new(&maps.recurrent, &hidden, OF_STATES)?;
        Ok(Scheme {
            name: options.name.clone(),
            labels: labels.to_vec(),
            config: config.clone(),
            limits: options.limits,
            plans,
            format,
            input,
            recurrent,
            sample: part.subset(&spread(chosen, REPORT_SEQUENCES)),
            cell: CellReport::new(states.cell_max),
        })
    }

    /// Keeps every level of the tensor maps to so many bits, fewer than the device has: to see what
    /// rounding costs, and what fine-tuning wins back.
    pub fn coarsen(&mut self, bits: u8) {
        for map in [&mut self.input, &mut self.recurrent] {
            map.coarsen(bits);
        }
    }

    /// Fraction bits of the cell state.
    pub fn cell_fraction(&self) -> u32 {
        self.cell.fraction
    }

    /// The model of `checkpoint` without its front end: it takes the frames of the input map, as
    /// training has them, and is otherwise the same to the last bit.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn core(&self, checkpoint: &Checkpoint) -> Result<ModelBytes> {
        let maps = RealMaps::read(checkpoint, &self.plans)?;
        let weights = self.weights(&maps, checkpoint)?;
        self.parts(&weights, checkpoint).core()
    }

    /// The model file of `checkpoint`.
    fn file(&self, checkpoint: &Checkpoint) -> Result<ModelBytes> {
        let maps = RealMaps::read(checkpoint, &self.plans)?;
        let weights = self.weights(&maps, checkpoint)?;
        self.parts(&weights, checkpoint).whole()
    }

    /// `model` with the weights that the integers of its dense maps stand for. Tensor maps, whose
    /// merged cores are rounded as products, stay as they are.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn rounded(&self, model: &Model) -> Result<Model> {
        let maps = RealMaps::read(&Checkpoint::of(model), &self.plans)?;
        let mut rounded = model.clone();
        for (prefix, scheme, map) in [
            (INPUT_MAP, &self.input, &maps.input),
            (RECURRENT_MAP, &self.recurrent, &maps.recurrent),
        ] {
            let name = format!("{prefix}.{}", name::MATRIX);
            let mut parameters = rounded.parameters_mut().into_iter();
            if let Some(weight) = scheme.rounded(map)?
                && let Some((_, mut values)) = parameters.find(|(found, _)| *found == name)
            {
                let weights = values.iter_mut().zip(&weight);
                weights.for_each(|(value, &rounded)| *value = rounded as f32);
            }
        }
        Ok(rounded)
    }

    /// The integers of a checkpoint's maps.
    pub(super) fn weights<'a>(
        &self,
        maps: &'a RealMaps<'_>,
        checkpoint: &Checkpoint,
    ) -> Result<Weights<'a>> {
        let bias = values(checkpoint, BIAS);
        let zero = std::slice::from_ref(&self.format.zero);
        let real = folded_bias(&maps.input.apply(zero).remove(0), &bias);
        Ok(Weights {
            integer_bias: match self.input.rounded(&maps.input)? {
                Some(rounded) => folded_bias(&apply_matrix(&rounded, zero).remove(0), &bias),
                None => real.clone(),
            },
            bias: real,
            input: self.input.integers(&maps.input)?,
            recurrent: self.recurrent.integers(&maps.recurrent)?,
        })
    }

    /// What the file of such weights is made of.
    pub(super) fn parts<'a>(
        &'a self,
        weights: &'a Weights<'a>,
        checkpoint: &'a Checkpoint,
    ) -> Parts<'a> {
        Parts {
            name: &self.name,
            labels: &self.labels,
            config: &self.config,
            format: &self.format,
            cell_fraction: self.cell.fraction,
            checkpoint,
            bias: &weights.integer_bias,
            input: &weights.input,
            recurrent: &weights.recurrent,
            scratch_words: self.plans.scratch_words,
        }
    }
}

/// What the search of plans has to know of a model.
fn layer(config: &ModelConfig) -> Result<Layer<MapShape>> {
    Ok(Layer {
        input: config.input_shape(),
        recurrent: config.recurrent_shape(),
        arena: arena(config, config.front_end.as_ref())?,
    })
}

/// Hidden states that ranges and bits are chosen on, and looked at by the report.
pub(super) const CALIBRATION_STATES: usize = 256;

/// Sequences that the report looks at.
const REPORT_SEQUENCES: usize = 32;

/// The hidden state's integers: Q0.15.
const OF_STATES: Reads = Reads {
    streamed: false,
    max: 1 << 15,
    lsb: 1.0 / 32_768.0,
};
