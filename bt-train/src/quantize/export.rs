//! Float model + calibration data → `.btm`.

use super::input::{InputFormat, Taken};
use super::map::{MapScheme, RealMap, Z_MAX, apply, lowered};
use super::tensor::Z_SCALE;
use crate::data::dataset::{Normalization, Part};
use crate::device;
use crate::error::{Error, Result};
use crate::float::cell;
use crate::float::checkpoint::Checkpoint;
use crate::float::config::{FrontEndConfig, Gate, ModelConfig, Pool};
use crate::float::model::Model;
use crate::plan::search::{self, Layer, Limits, MapPlan, MapShape};
use crate::plan::{Lowered, Plan};
use bt_core::cell::Gate as CoreGate;
use bt_core::model::Pool as CorePool;
use bt_core::model::write::{MapParts, ModelBytes, Parts};
use ndarray::{ArrayView2, Axis, Ix2};

pub use super::map::{LevelReport, MapReport};

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
    /// Predicted instructions of both maps for one step, as of [`search::Ranked::instructions`].
    pub instructions: u64,
}

/// What becomes of the pre-activations z, Q4.11, on calibration sequences.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ZReport {
    /// Largest magnitude in real arithmetic.
    pub max: f64,
    /// Share of them beyond ±16, where the device cuts them off. That alone does no harm: sigmoid
    /// and tanh are flat there to the last bit.
    pub beyond: f64,
    /// Share of gates that are off by more than 1/32 for it: a partial sum was cut off on the way, or
    /// the weights are too coarse.
    pub wrong: f64,
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
    /// Predicted, of both plans for one step.
    instructions: u64,
}

/// The maps of a checkpoint in f64.
struct RealMaps {
    input: RealMap,
    recurrent: RealMap,
}

impl RealMaps {
    fn read(checkpoint: &Checkpoint) -> Self {
        let config = &checkpoint.config;
        let read = |prefix, map, modes| RealMap::read(checkpoint, prefix, map, modes);
        Self {
            input: read("lstm.input", config.input.map, &config.input.modes),
            recurrent: read("lstm.recurrent", config.recurrent.map, &config.hidden.modes),
        }
    }
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
        let input = lowered(&maps.input, program(&plans.input.plan))?;
        let recurrent = lowered(&maps.recurrent, program(&plans.recurrent.plan))?;
        let float_bias = values(checkpoint, "lstm.bias");

        let chosen = spread((0..part.sequences()).collect(), options.sequences);
        // A feature vector is copied anyway; other values lose their offset on the way to the map only
        // where it would fill z.
        let form = |taken| {
            let format = InputFormat::new(part, &normalization, taken);
            let bias = folded_bias(&maps.input, input.as_ref(), &format, &float_bias);
            (format, bias)
        };
        let fits = |bias: &[f64]| bias.iter().all(|b| b.abs() <= BIAS_MAX);
        let mut ways = match config.front_end {
            Some(_) => [Taken::Mean].iter(),
            None => [Taken::Nothing, Taken::Middle, Taken::Mean].iter(),
        };
        let (mut format, mut bias) = form(*ways.next().unwrap_or(&Taken::Mean));
        for &taken in ways {
            if fits(&bias) {
                break;
            }
            (format, bias) = form(taken);
        }
        let frames = frames(part, &format, &chosen);
        let real = RealLayer {
            maps: &maps,
            input: input.as_ref(),
            recurrent: recurrent.as_ref(),
            bias: &bias,
            gate: config.gate,
        };
        let hidden = hidden_states(&frames, &format, &real);

        let streamed = true;
        let flat = spread(frames.into_iter().flatten().collect(), CALIBRATION_FRAMES);
        let hidden = spread(hidden, CALIBRATION_STATES);
        let of_frames = (format.map_max, format.map_step);
        Ok(Scheme {
            name: options.name.clone(),
            labels: labels.to_vec(),
            config: config.clone(),
            input: MapScheme::new(&maps.input, input, &flat, of_frames, streamed)?,
            recurrent: MapScheme::new(&maps.recurrent, recurrent, &hidden, OF_STATES, !streamed)?,
            sample: part.subset(&spread(chosen, REPORT_SEQUENCES)),
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
        let maps = RealMaps::read(checkpoint);
        let bias = self.bias(checkpoint, &maps);
        let chosen: Vec<usize> = (0..self.sample.sequences()).collect();
        let sample = frames(&self.sample, &self.format, &chosen);
        let real = RealLayer {
            maps: &maps,
            input: self.input.lowered.as_ref(),
            recurrent: self.recurrent.lowered.as_ref(),
            bias: &bias,
            gate: self.config.gate,
        };
        let hidden = hidden_states(&sample, &self.format, &real);
        let z = self.z_report(&self.core(checkpoint)?, &sample, &real)?;
        let flat = spread(sample.into_iter().flatten().collect(), REPORT_FRAMES);
        let input = self.input.report(&maps.input, &flat)?;
        let hidden = spread(hidden, CALIBRATION_STATES);
        let recurrent = self.recurrent.report(&maps.recurrent, &hidden)?;
        let about = serde_json::json!({
            "config": self.config,
            "parameters": self.config.parameters(),
        });
        let front_end = self.config.front_end.as_ref();
        let mut parts = self.parts(checkpoint, front_end)?;
        parts.about = about.to_string();
        Ok(Exported {
            bytes: write(parts)?,
            input,
            recurrent,
            z,
            instructions: self.instructions,
        })
    }

    /// The model of `checkpoint` without its front end: it takes the frames of the input map, as
    /// training has them, and is otherwise the same to the last bit.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn core(&self, checkpoint: &Checkpoint) -> Result<ModelBytes> {
        write(self.parts(checkpoint, None)?)
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
        for (name, weight) in [
            ("lstm.input.weight", self.input.rounded(&maps.input)?),
            (
                "lstm.recurrent.weight",
                self.recurrent.rounded(&maps.recurrent)?,
            ),
        ] {
            let mut parameters = rounded.parameters_mut().into_iter();
            if let Some(weight) = weight
                && let Some((_, mut values)) = parameters.find(|(found, _)| found == name)
            {
                let weights = values.iter_mut().zip(&weight);
                weights.for_each(|(value, &rounded)| *value = rounded as f32);
            }
        }
        Ok(rounded)
    }

    fn bias(&self, checkpoint: &Checkpoint, maps: &RealMaps) -> Vec<f64> {
        let bias = values(checkpoint, "lstm.bias");
        folded_bias(
            &maps.input,
            self.input.lowered.as_ref(),
            &self.format,
            &bias,
        )
    }

    /// Everything but what is told about the model.
    fn parts(&self, checkpoint: &Checkpoint, front_end: Option<&FrontEndConfig>) -> Result<Parts> {
        let config = &self.config;
        let maps = RealMaps::read(checkpoint);
        let bias = self.bias(checkpoint, &maps);
        let input = self.input.integers(&maps.input)?;
        let recurrent = self.recurrent.integers(&maps.recurrent)?;
        let weight = checkpoint.tensors["head.weight"]
            .mapv(f64::from)
            .into_dimensionality::<Ix2>()
            .map_err(Error::malformed)?;
        let head_bias = values(checkpoint, "head.bias");
        let (head_weights, head_bias, score_shift) = head(weight.view(), &head_bias);
        let lowered = (self.input.lowered.as_ref(), self.recurrent.lowered.as_ref());
        let streamed = (self.input.streamed, self.recurrent.streamed);
        let mut parts = Parts {
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
            element_scale: self.format.element_scale.clone(),
            input_zero: self.format.input_zero,
            score_shift,
            input_step: self.format.step as f32,
            input_offset: self.format.offset as f32,
            front_end: match front_end {
                Some(config) => Some((config.section()?, config.vectors_per_step as u32)),
                None => None,
            },
            input: MapParts::Dense(bytemuck::Zeroable::zeroed()),
            recurrent: MapParts::Dense(bytemuck::Zeroable::zeroed()),
            weights: Vec::new(),
            tables: Vec::new(),
            bias: bias
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

    /// What becomes of z on the device, step by step at the device's own hidden states.
    fn z_report(
        &self,
        core: &ModelBytes,
        sample: &[Vec<Vec<i16>>],
        real: &RealLayer<'_>,
    ) -> Result<ZReport> {
        let passages = device::trace(&device::parse(core)?, &self.sample)?;
        let (mut max, mut beyond, mut wrong, mut count) = (0.0f64, 0u64, 0u64, 0u64);
        for (frames, passage) in sample.iter().zip(&passages) {
            let units = passage.h.len() / frames.len().max(1);
            let mut h = vec![0.0; units];
            let shares = real.input_shares(frames, &self.format);
            let steps = passage.z.chunks(4 * units).zip(passage.h.chunks(units));
            for (share, (found, next)) in shares.iter().zip(steps) {
                let mut wanted = real.z(share, &h);
                for z in &wanted {
                    max = max.max(z.abs());
                    beyond += u64::from(z.abs() > Z_MAX);
                }
                let mut found: Vec<f64> = found.iter().map(|&z| f64::from(z) / Z_SCALE).collect();
                cell::activate(real.gate, &mut wanted);
                cell::activate(real.gate, &mut found);
                let pairs = wanted.iter().zip(&found);
                wrong += pairs.filter(|(a, b)| (*a - *b).abs() > GATE_WRONG).count() as u64;
                count += wanted.len() as u64;
                h = next.iter().map(|&h| f64::from(h) / 32_768.0).collect();
            }
        }
        let share = |part: u64| part as f64 / count.max(1) as f64;
        Ok(ZReport {
            max,
            beyond: share(beyond),
            wrong: share(wrong),
        })
    }
}

/// Frames and hidden states that ranges and bits are chosen on.
const CALIBRATION_FRAMES: usize = 64;
const CALIBRATION_STATES: usize = 256;

/// What the report looks at.
const REPORT_SEQUENCES: usize = 32;
const REPORT_FRAMES: usize = 128;

/// An error of a gate that counts.
const GATE_WRONG: f64 = 1.0 / 32.0;

/// Largest magnitude of the hidden state's integers, and one LSB: Q0.15.
const OF_STATES: (u32, f64) = (1 << 15, 1.0 / 32_768.0);

fn refused(error: bt_core::ParseError) -> Error {
    Error::setting(format!("the exported model is refused: {error}"))
}

fn write(parts: Parts) -> Result<ModelBytes> {
    parts.write().map_err(refused)
}

/// The values of a checkpoint's tensor.
fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f64> {
    let tensor = checkpoint.tensors[name].iter();
    tensor.map(|&value| f64::from(value)).collect()
}

/// A layer in real arithmetic whose input are the map's integers.
struct RealLayer<'a> {
    maps: &'a RealMaps,
    input: Option<&'a Lowered>,
    recurrent: Option<&'a Lowered>,
    /// With what the map makes of integer zeros.
    bias: &'a [f64],
    gate: Gate,
}

impl RealLayer<'_> {
    /// The input map's share of z for each frame of a sequence.
    fn input_shares(&self, frames: &[Vec<i16>], format: &InputFormat) -> Vec<Vec<f64>> {
        let real = |q: &i16| f64::from(*q) * format.map_step;
        let real: Vec<Vec<f64>> = frames
            .iter()
            .map(|frame| frame.iter().map(real).collect())
            .collect();
        apply(&self.maps.input, self.input, &real)
    }

    /// z of a step.
    fn z(&self, share: &[f64], h: &Vec<f64>) -> Vec<f64> {
        let states = std::slice::from_ref(h);
        let back = apply(&self.maps.recurrent, self.recurrent, states).remove(0);
        let sums = share.iter().zip(&back).zip(self.bias);
        sums.map(|((a, b), c)| a + b + c).collect()
    }
}

/// What the search of plans has to know of a model. A front end's own state is not counted.
fn layer(config: &ModelConfig) -> Layer {
    let mut outputs = config.hidden.modes.clone();
    outputs[0] *= 4;
    let map = |kind, inputs: &[usize]| MapShape::new(kind, inputs, &outputs, 1 << 15);
    Layer {
        input: map(config.input.map, &config.input.modes),
        recurrent: map(config.recurrent.map, &config.hidden.modes),
        hidden: config.units(),
        pool: pool(config),
    }
}

fn pool(config: &ModelConfig) -> CorePool {
    match config.head.pool {
        Pool::Last => CorePool::Last,
        Pool::Mean => CorePool::Mean,
    }
}

fn program(plan: &MapPlan) -> Option<&Plan> {
    match plan {
        MapPlan::Program(lowered) => Some(&lowered.plan),
        MapPlan::Dense { .. } => None,
    }
}

/// Largest bias of z that leaves room for what the maps add.
const BIAS_MAX: f64 = 8.0;

/// The bias with what the map makes of integer zeros.
fn folded_bias(
    input: &RealMap,
    lowered: Option<&Lowered>,
    format: &InputFormat,
    bias: &[f64],
) -> Vec<f64> {
    let zero = std::slice::from_ref(&format.zero);
    let share = apply(input, lowered, zero).remove(0);
    bias.iter().zip(share).map(|(b, z)| b + z).collect()
}

/// The map's integers, `[sequence][step][value]`, of the sequences chosen.
fn frames(part: &Part, format: &InputFormat, chosen: &[usize]) -> Vec<Vec<Vec<i16>>> {
    let width = format.zero.len();
    let padding = format.pushed(0.0);
    chosen
        .iter()
        .map(|&sequence| {
            let mut values = Vec::new();
            part.values.for_each(part.range(sequence), |_, value| {
                values.push(format.pushed(value))
            });
            values
                .chunks(part.width)
                .map(|step| {
                    let padded = step
                        .iter()
                        .copied()
                        .chain(std::iter::repeat(padding))
                        .take(width);
                    padded
                        .enumerate()
                        .map(|(i, value)| format.mapped(i, value))
                        .collect()
                })
                .collect()
        })
        .collect()
}

/// At most `count` items, one from each of as many equal stretches; where in a stretch changes, so
/// that items of a period (the steps of sequences of one length) are all among them.
fn spread<T>(items: Vec<T>, count: usize) -> Vec<T> {
    let len = items.len();
    if len <= count {
        return items;
    }
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let place = |i: usize| {
        let within = (i as f64 * GOLDEN).fract();
        ((i as f64 + within) * len as f64 / count as f64) as usize
    };
    let mut places = (0..count).map(place).peekable();
    items
        .into_iter()
        .enumerate()
        .filter(|(at, _)| {
            let mut take = false;
            while places.next_if_eq(at).is_some() {
                take = true;
            }
            take
        })
        .map(|(_, item)| item)
        .collect()
}

/// Hidden states of all steps of every sequence, Q0.15, computed in f64.
fn hidden_states(
    frames: &[Vec<Vec<i16>>],
    format: &InputFormat,
    real: &RealLayer<'_>,
) -> Vec<Vec<i16>> {
    let units = real.bias.len() / 4;
    let mut all = Vec::new();
    for sequence in frames {
        let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
        for share in real.input_shares(sequence, format) {
            let mut z = real.z(&share, &h);
            cell::forward(real.gate, &mut z, &mut c, &mut h);
            all.push(
                h.iter()
                    .map(|h| (h * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)
                    .collect(),
            );
        }
    }
    all
}

/// Head weights in i16 at the largest scale whose sums cannot leave 32 bits; logits = raw · 2^−shift.
fn head(weight: ArrayView2<'_, f64>, bias: &[f64]) -> (Vec<i16>, Vec<i32>, i32) {
    let mut shift = 30;
    loop {
        let factor = 2f64.powi(shift - 15);
        let levels = weight.mapv(|w| (w * factor).round());
        let fits = levels.iter().all(|w| w.abs() <= 32_767.0)
            && levels.axis_iter(Axis(0)).zip(bias).all(|(row, b)| {
                let sum: f64 = row.iter().map(|w| w.abs() * 32_768.0).sum();
                sum + (b * 2f64.powi(shift)).abs() + 1.0 <= f64::from(i32::MAX)
            });
        if fits || shift < -64 {
            let bias = bias
                .iter()
                .map(|b| (b * 2f64.powi(shift)).round() as i32)
                .collect();
            return (levels.iter().map(|&w| w as i16).collect(), bias, shift);
        }
        shift -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use crate::float::model::Model;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use std::sync::Arc;

    /// 128 sequences of 28 steps: every 56th frame would be a first one.
    #[test]
    fn calibration_sees_every_step() {
        let chosen = spread((0..128 * 28).collect(), 64);
        assert!((60..=64).contains(&chosen.len()), "{}", chosen.len());
        let mut steps: Vec<usize> = chosen.iter().map(|at| at % 28).collect();
        steps.sort_unstable();
        steps.dedup();
        assert!(steps.len() > 20, "{steps:?}");
        assert!(chosen.is_sorted() && chosen[0] < 56 && chosen[63] >= 63 * 56);
        assert_eq!(spread(vec![1, 2, 3], 3), [1, 2, 3]);
    }

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

    /// Sequences of 5 steps of 64 values.
    const FRAMES: usize = 20 * 5;

    fn exported(model: &Model, values: &Values) -> Exported {
        let part = Part {
            values: Arc::new(values.clone()),
            width: 64,
            starts: (0..20).map(|sequence| sequence * 5 * 64).collect(),
            lengths: vec![5; 20],
            labels: None,
            groups: None,
        };
        let options = Options {
            name: "sparse".into(),
            limits: Default::default(),
            sequences: 20,
        };
        let exported = export(&Checkpoint::of(model), &part, &[], &options).unwrap();
        crate::device::parse(&exported.bytes).unwrap();
        exported
    }
}
