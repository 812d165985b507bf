//! Float model + calibration data → `.btm`.

use super::head::head;
use super::input::{InputFormat, Seen, Taken};
use super::map::{IntegerForm, MapScheme, RealMap, lowered};
use super::real::{RealLayer, RealMaps, folded_bias, frames, states, values};
use super::spread::spread;
use super::tensor::Z_SCALE;
use crate::data::{Normalization, Part};
use crate::device;
use crate::error::{Error, Result};
use crate::float::checkpoint::{BIAS, Checkpoint, INPUT_MAP, RECURRENT_MAP};
use crate::float::config::{FrontEndConfig, Gate, ModelConfig, Pool};
use crate::float::model::Model;
use crate::plan::search::{self, Layer, Limits, MapPlan, MapRanked};
use crate::plan::{Lowered, Plan};
use crate::shape::name;
use bt_core::Gate as CoreGate;
use bt_core::internals::model::layout::{CELL_FRACTION, CELL_FRACTION_MIN};
use bt_core::internals::model::write::{Contents, MapContents, ModelBytes};
use bt_core::internals::model::{ArenaLayout, Pool as CorePool};
use ndarray::Ix2;

pub use super::gates::ZReport;
pub use super::map::{LevelReport, MapReport, Z_MAX};

/// What the caller decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name in the file.
    pub name: String,
    /// RAM and flash the plans have to keep to.
    pub limits: Limits,
    /// Sequences to calibrate on, at most.
    pub sequences: usize,
}

/// A quantized model and how well its parts came out.
#[derive(Debug)]
pub struct Exported {
    /// The file.
    pub bytes: ModelBytes,
    /// The input map.
    pub input: MapReport,
    /// The recurrent map.
    pub recurrent: MapReport,
    /// The sum of both maps and the bias.
    pub z: ZReport,
    /// The cell state.
    pub cell: CellReport,
    /// Predicted instructions of both maps for one step, as of [`search::Ranked::instructions`].
    pub instructions: u64,
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
    config: ModelConfig,
    format: InputFormat,
    input: MapScheme,
    recurrent: MapScheme,
    /// Sequences of calibration that the report looks at.
    sample: Part,
    /// How far the cell goes, and the format for it.
    cell: CellReport,
    /// Predicted, of both plans for one step.
    instructions: u64,
}

/// The weights of a checkpoint under a scheme, real and in integers.
struct Weights {
    maps: RealMaps,
    /// Of z, with what the input map makes of integer zeros.
    bias: Vec<f64>,
    /// The same with what its integers make of them: an offset that stays in the values then meets the
    /// same weights as the values, and rounding them costs no more than without it.
    integer_bias: Vec<f64>,
    input: IntegerForm,
    recurrent: IntegerForm,
}

/// Quantizes a model. `part` is (a selection of) the training part, in raw values of the input map:
/// with a front end its feature vectors.
///
/// # Errors
///
/// When no plan keeps to the limits, or the model's weights cannot be quantized.
pub fn export(
    checkpoint: &Checkpoint,
    part: &Part,
    labels: &[String],
    options: &Options,
) -> Result<Exported> {
    Scheme::calibrate(checkpoint, part, labels, options)?.export(checkpoint)
}

impl Scheme {
    /// Chooses plans, input format, ranges and bits; arguments as of [`export`].
    ///
    /// # Errors
    ///
    /// As [`export`].
    pub fn calibrate(
        checkpoint: &Checkpoint,
        part: &Part,
        labels: &[String],
        options: &Options,
    ) -> Result<Scheme> {
        let config = &checkpoint.config;
        let normalization = Normalization::of(&checkpoint.model()?);
        let maps = RealMaps::read(checkpoint);
        let plans = search::best(&layer(config), &options.limits)
            .map_err(|error| search::refused(&error, &options.limits))?;
        let input = lowered(&maps.input, program(Some(&plans.input)))?;
        let recurrent = lowered(&maps.recurrent, program(plans.recurrent.as_ref()))?;
        let float_bias = values(checkpoint, BIAS);

        let chosen = spread((0..part.sequences()).collect(), options.sequences);
        let streamed = true;
        let on_input = InputCalibration {
            part,
            chosen: &chosen,
            normalization: &normalization,
            map: &maps.input,
            bias: &float_bias,
        };
        let (format, bias, input) = on_input.best(input, config.front_end.is_some())?;
        let frames = frames(part, &format, &chosen);
        let real = RealLayer {
            maps: &maps,
            input: input.lowered.as_ref(),
            recurrent: recurrent.as_ref(),
            bias: &bias,
            gate: config.gate,
        };
        let states = states(&frames, &format, &real);
        let hidden = spread(states.hidden, CALIBRATION_STATES);
        Ok(Scheme {
            name: options.name.clone(),
            labels: labels.to_vec(),
            config: config.clone(),
            input,
            recurrent: MapScheme::new(&maps.recurrent, recurrent, &hidden, OF_STATES, !streamed)?,
            sample: part.subset(&spread(chosen, REPORT_SEQUENCES)),
            cell: CellReport::new(states.cell_max),
            format,
            instructions: plans.instructions(),
        })
    }

    /// Keeps every level of the tensor maps to so many bits, fewer than the device has: to see what
    /// rounding costs, and what fine-tuning wins back.
    pub fn coarsen(&mut self, bits: u8) {
        for map in [&mut self.input, &mut self.recurrent] {
            map.coarsen(bits);
        }
    }

    /// The model file of `checkpoint`, and the report that it carries.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn export(&self, checkpoint: &Checkpoint) -> Result<Exported> {
        let weights = self.weights(checkpoint)?;
        let chosen: Vec<usize> = (0..self.sample.sequences()).collect();
        let sample = frames(&self.sample, &self.format, &chosen);
        let real = RealLayer {
            maps: &weights.maps,
            input: self.input.lowered.as_ref(),
            recurrent: self.recurrent.lowered.as_ref(),
            bias: &weights.bias,
            gate: self.config.gate,
        };
        let hidden = states(&sample, &self.format, &real).hidden;
        let core = write(self.parts(checkpoint, &weights, None)?)?;
        let passages = device::trace(&device::parse(&core)?, &self.sample)?;
        let z = ZReport::of(&passages, &sample, &self.format, &real);
        let flat = spread(sample.into_iter().flatten().collect(), REPORT_FRAMES);
        let input = self
            .input
            .report(&weights.maps.input, &weights.input, &flat)?;
        let hidden = spread(hidden, CALIBRATION_STATES);
        let recurrent =
            self.recurrent
                .report(&weights.maps.recurrent, &weights.recurrent, &hidden)?;
        let about = serde_json::json!({
            "config": self.config,
            "parameters": self.config.parameters(),
        });
        let front_end = self.config.front_end.as_ref();
        let mut parts = self.parts(checkpoint, &weights, front_end)?;
        parts.about = about.to_string();
        Ok(Exported {
            bytes: write(parts)?,
            input,
            recurrent,
            z,
            cell: self.cell,
            instructions: self.instructions,
        })
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
        write(self.parts(checkpoint, &self.weights(checkpoint)?, None)?)
    }

    /// `model` with the weights that the integers of its dense maps stand for. Tensor maps, whose
    /// merged cores are rounded as products, stay as they are.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn rounded(&self, model: &Model) -> Result<Model> {
        let maps = RealMaps::read(&Checkpoint::of(model));
        let mut rounded = model.clone();
        for (prefix, weight) in [
            (INPUT_MAP, self.input.rounded(&maps.input)?),
            (RECURRENT_MAP, self.recurrent.rounded(&maps.recurrent)?),
        ] {
            let name = format!("{prefix}.{}", name::MATRIX);
            let mut parameters = rounded.parameters_mut().into_iter();
            if let Some(weight) = weight
                && let Some((_, mut values)) = parameters.find(|(found, _)| *found == name)
            {
                let weights = values.iter_mut().zip(&weight);
                weights.for_each(|(value, &rounded)| *value = rounded as f32);
            }
        }
        Ok(rounded)
    }

    fn weights(&self, checkpoint: &Checkpoint) -> Result<Weights> {
        let maps = RealMaps::read(checkpoint);
        let bias = values(checkpoint, BIAS);
        let lowered = self.input.lowered.as_ref();
        let folded = |map: &RealMap| folded_bias(map, lowered, &self.format, &bias);
        let real = folded(&maps.input);
        Ok(Weights {
            integer_bias: match self.input.rounded(&maps.input)? {
                Some(rounded) => folded(&RealMap::Dense(rounded)),
                None => real.clone(),
            },
            bias: real,
            input: self.input.integers(&maps.input)?,
            recurrent: self.recurrent.integers(&maps.recurrent)?,
            maps,
        })
    }

    /// Everything but what is told about the model.
    fn parts(
        &self,
        checkpoint: &Checkpoint,
        weights: &Weights,
        front_end: Option<&FrontEndConfig>,
    ) -> Result<Contents> {
        let config = &self.config;
        let (input, recurrent) = (&weights.input, &weights.recurrent);
        let weight = checkpoint.tensors["head.weight"]
            .mapv(f64::from)
            .into_dimensionality::<Ix2>()
            .map_err(Error::malformed)?;
        let head_bias = values(checkpoint, "head.bias");
        let (head_weights, head_bias, score_shift) = head(weight.view(), &head_bias);
        let lowered = (self.input.lowered.as_ref(), self.recurrent.lowered.as_ref());
        let streamed = (self.input.streamed, self.recurrent.streamed);
        let mut parts = Contents {
            name: self.name.clone(),
            labels: self
                .labels
                .iter()
                .map(|label| label.replace('\n', " "))
                .collect(),
            about: String::new(),
            hidden: config.units(),
            map_values: config.inputs(),
            input_type: match front_end {
                Some(_) => bt_core::InputType::I16,
                None => self.format.input_type,
            },
            gate: match config.gate {
                Gate::Sigmoid => CoreGate::Sigmoid,
                Gate::HardSigmoid => CoreGate::HardSigmoid,
            },
            pool: pool(config),
            elements: self.format.elements.clone(),
            score_shift,
            float_inputs: self.format.floats.clone(),
            cell_fraction: self.cell.fraction,
            front_end: match front_end {
                Some(config) => Some((config.section()?, config.vectors_per_step as u32)),
                None => None,
            },
            input: MapContents::Dense(bytemuck::Zeroable::zeroed()),
            recurrent: MapContents::Dense(bytemuck::Zeroable::zeroed()),
            weights: Vec::new(),
            tables: Vec::new(),
            bias: weights
                .integer_bias
                .iter()
                .map(|b| (b * Z_SCALE).round().clamp(-32_768.0, 32_767.0) as i16)
                .collect(),
            head_weights,
            head_bias,
            scratch_words: input
                .scratch_words(lowered.0, streamed.0)
                .max(recurrent.scratch_words(lowered.1, streamed.1)),
            golden_seed: 0x5eed_b10c,
            golden_steps: 2,
        };
        let base = parts.arena().map_err(refused)?.scratch_word;
        let (mut weights, mut tables) = (Vec::new(), Vec::new());
        let is_raw = self.format.left_shift > 0;
        parts.input = input.parts(
            lowered.0,
            base,
            streamed.0,
            is_raw,
            &mut weights,
            &mut tables,
        );
        parts.recurrent = recurrent.parts(
            lowered.1,
            base,
            streamed.1,
            false,
            &mut weights,
            &mut tables,
        );
        (parts.weights, parts.tables) = (weights, tables);
        Ok(parts)
    }
}

/// What the format of the input is chosen by.
struct InputCalibration<'a> {
    part: &'a Part,
    /// Sequences of it to calibrate on.
    chosen: &'a [usize],
    normalization: &'a Normalization,
    map: &'a RealMap,
    /// Of z.
    bias: &'a [f64],
}

impl InputCalibration<'_> {
    /// The format that costs the device least and leaves z room and the map's weights their range; the
    /// bias of z with what the map makes of integer zeros; the map.
    fn best(
        &self,
        lowered: Option<Lowered>,
        has_front_end: bool,
    ) -> Result<(InputFormat, Vec<f64>, MapScheme)> {
        let seen = Seen::new(self.part, self.normalization.width);
        let ways = seen.ways(self.normalization, has_front_end);
        // Values lose their offset on the way to the map where it would fill z.
        let fits = |bias: &[f64]| bias.iter().all(|b| b.abs() <= BIAS_MAX);
        let mut formats = Vec::new();
        for &taken in &ways {
            let format = InputFormat::new(&seen, self.normalization, taken)?;
            let bias = folded_bias(self.map, lowered.as_ref(), &format, self.bias);
            formats.push((taken, format, bias));
        }
        let some_fit = formats.iter().any(|(.., bias)| fits(bias));
        // Where the model's own bias is that large, all that can be is taken off.
        let may = |taken: Taken, bias: &[f64]| match taken {
            Taken::Nothing | Taken::Middle => fits(bias) || ways.len() == 1,
            Taken::Mean { .. } | Taken::Each => fits(bias) || !some_fit,
        };
        let mut refused = None;
        for (_, format, bias) in formats
            .into_iter()
            .filter(|(taken, _, bias)| may(*taken, bias))
        {
            let frames = frames(self.part, &format, self.chosen);
            let frames = spread(frames.into_iter().flatten().collect(), CALIBRATION_FRAMES);
            let of_frames = (format.map_max, format.map_lsb);
            match MapScheme::new(self.map, lowered.clone(), &frames, of_frames, true) {
                Ok(scheme) => return Ok((format, bias, scheme)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::setting("there is no format for the input")))
    }
}

/// Frames and hidden states that ranges and bits are chosen on.
const CALIBRATION_FRAMES: usize = 256;
const CALIBRATION_STATES: usize = 256;

/// What the report looks at.
const REPORT_SEQUENCES: usize = 32;
const REPORT_FRAMES: usize = 128;

/// Largest magnitude of the hidden state's integers, and one LSB: Q0.15.
const OF_STATES: (u32, f64) = (1 << 15, 1.0 / 32_768.0);

fn refused(error: bt_core::ParseError) -> Error {
    Error::setting(format!("the exported model is refused: {error}"))
}

fn write(parts: Contents) -> Result<ModelBytes> {
    parts.write().map_err(refused)
}

/// What the search of plans has to know of a model. A front end's own state is not counted.
fn layer(config: &ModelConfig) -> Layer {
    Layer {
        input: config.input_shape(),
        input_max: 1 << 15,
        recurrent: Some(config.recurrent_shape()),
        arena: ArenaLayout::new(config.units(), pool(config), 0, 0),
    }
}

fn pool(config: &ModelConfig) -> CorePool {
    match config.head.pool {
        Pool::Last => CorePool::Last,
        Pool::Mean => CorePool::Mean,
    }
}

fn program(ranked: Option<&MapRanked>) -> Option<&Plan> {
    match &ranked?.plan {
        MapPlan::Program(lowered) => Some(&lowered.plan),
        MapPlan::Dense { .. } => None,
    }
}

/// Largest bias of z that leaves room for what the maps add.
const BIAS_MAX: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use crate::float::model::Model;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    use std::sync::Arc;

    /// Radar maps: a byte in 16 is not zero, and the scale of the input makes much of it.
    #[test]
    fn a_dense_map_takes_few_large_bytes_among_zeros() {
        let config = r#"{"input": {"map": "dense", "modes": [8, 8]}, "hidden": {"modes": [4, 4]},
            "head": {"classes": 3}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        model.scale = vec![0.25].into();
        for (name, mut values) in model.parameters_mut() {
            if name == "lstm.input.weight" {
                values.map_inplace(|w| *w *= 0.5);
                values[[0, 0]] = 2.0;
            }
        }
        let byte = |at: usize| {
            if at.is_multiple_of(16) {
                (at * 7 % 60) as u8
            } else {
                0
            }
        };
        let exported = exported(&model, &Values::U8((0..FRAMES * 64).map(byte).collect()));
        assert!(exported.input.snr_db > 30.0, "{}", exported.input.snr_db);
    }

    /// Levels that saw nothing but zeros hold whatever may come.
    #[test]
    fn calibration_on_zeros_is_no_error() {
        let config = r#"{"input": {"map": "block-term", "modes": [8, 8]}, "hidden": {"modes": [4, 4]},
            "head": {"classes": 3}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        let report = exported(&model, &Values::U8(vec![0; FRAMES * 64])).input;
        assert!(report.levels.iter().all(|level| level.scale.is_finite()));
    }

    /// The report looks at more frames than ranges were taken from: those are held too, or nearly all.
    #[test]
    fn frames_that_calibration_did_not_see_are_not_cut_off() {
        let config = r#"{"input": {"map": "block-term", "modes": [2, 12, 11]},
            "hidden": {"modes": [2, 2, 2]}, "head": {"classes": 3}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        model.scale = vec![1.0 / 64.0].into();
        let noise = (0..400 * 264).map(|_| (rng.next_u32() >> 24) as u8);
        let part = part(&Values::U8(noise.collect()), 264);
        let exported = exported_of(&model, &part);
        let cut = exported.input.levels.iter().map(|level| level.saturated);
        assert!(cut.fold(0.0, f64::max) < 1e-3, "{:?}", exported.input);
        assert!(exported.input.snr_db > 60.0, "{}", exported.input.snr_db);
    }

    /// Sequences of 5 steps of 64 values.
    const FRAMES: usize = 20 * 5;

    fn exported(model: &Model, values: &Values) -> Exported {
        exported_of(model, &part(values, 64))
    }

    /// Sequences of 5 steps of `width` values.
    fn part(values: &Values, width: usize) -> Part {
        let sequences = values.len() / (5 * width);
        Part {
            values: Arc::new(values.clone()),
            width,
            starts: (0..sequences)
                .map(|sequence| sequence * 5 * width)
                .collect(),
            lengths: vec![5; sequences],
            labels: None,
            groups: None,
        }
    }

    fn exported_of(model: &Model, part: &Part) -> Exported {
        let options = Options {
            name: "sparse".into(),
            limits: Default::default(),
            sequences: 80,
        };
        let exported = export(&Checkpoint::of(model), part, &[], &options).unwrap();
        crate::device::parse(&exported.bytes).unwrap();
        exported
    }
}
