//! Float model + calibration data → `.btm`.

use super::dense::{self, IntegerDense};
use super::input::InputFormat;
use super::simulate::Simulation;
use super::tensor::{Calibrated, IntegerMap, place};
use crate::data::dataset::{Normalization, Part};
use crate::error::{Error, Result};
use crate::float::cell;
use crate::float::checkpoint::Checkpoint;
use crate::float::config::{Gate, MapKind, ModelConfig, Pool};
use crate::plan::search::{self, Layer, Limits, MapPlan, MapShape};
use crate::plan::shape::{Form, TensorMap, TensorShape};
use crate::plan::{Lowered, Plan};
use bt_core::cell::Gate as CoreGate;
use bt_core::model::Pool as CorePool;
use bt_core::model::write::{MapParts, ModelBytes, Parts};
use bt_core::program::{NONE, ProgramRecord};
use ndarray::{Array2, ArrayView2, Axis, Ix2};

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
}

/// How a map was quantized.
#[derive(Debug, Clone, serde::Serialize)]
pub struct MapReport {
    /// The plan, in words; dense maps have none.
    pub plan: Option<String>,
    /// Signal-to-noise ratio of the map's share of z on the calibration frames, dB.
    pub snr_db: f64,
    /// Largest magnitude of that share.
    pub z_max: f64,
    /// One entry per step of the plan.
    pub levels: Vec<LevelReport>,
}

/// How a step was quantized.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LevelReport {
    /// Largest output in calibration.
    pub max: f64,
    /// LSB per unit.
    pub scale: f64,
    /// Right shift.
    pub shift: u8,
    /// Bits kept.
    pub bits: u8,
}

/// The map of a checkpoint in f64.
enum RealMap {
    Tensor(TensorMap),
    Dense(Array2<f64>),
}

impl RealMap {
    fn read(checkpoint: &Checkpoint, prefix: &str, kind: MapKind, inputs: &[usize]) -> Self {
        let hidden = &checkpoint.config.hidden.modes;
        let mut outputs = hidden.clone();
        outputs[0] *= 4;
        let tensor = |name: String| checkpoint.tensors[&format!("{prefix}.{name}")].mapv(f64::from);
        match kind {
            MapKind::Dense => {
                let (rows, columns) = (4 * checkpoint.config.units(), inputs.iter().product());
                let values = tensor("weight".into()).iter().copied().collect();
                Self::Dense(Array2::from_shape_vec((rows, columns), values).unwrap_or_default())
            }
            MapKind::BlockTerm { blocks, rank } => Self::Tensor(TensorMap {
                cores: (0..blocks)
                    .map(|n| tensor(format!("block.{n}.core")))
                    .collect(),
                factors: (0..blocks)
                    .map(|n| {
                        (0..hidden.len())
                            .map(|k| tensor(format!("block.{n}.factor.{k}")))
                            .collect()
                    })
                    .collect(),
                shape: TensorShape {
                    form: Form::BlockTerm { blocks },
                    inputs: inputs.to_vec(),
                    outputs,
                    rank,
                },
            }),
            MapKind::TensorTrain { rank } => Self::Tensor(TensorMap {
                cores: Vec::new(),
                factors: vec![
                    (0..hidden.len())
                        .map(|k| tensor(format!("tt.{k}")))
                        .collect(),
                ],
                shape: TensorShape {
                    form: Form::TensorTrain,
                    inputs: inputs.to_vec(),
                    outputs,
                    rank,
                },
            }),
        }
    }
}

/// A map with its plan, ready to be applied to real frames.
struct Prepared {
    map: RealMap,
    lowered: Option<Lowered>,
}

impl Prepared {
    fn new(map: RealMap, plan: Option<&Plan>) -> Result<Self> {
        let lowered = match (&map, plan) {
            (RealMap::Tensor(tensor), Some(plan)) => Some(
                crate::plan::lower(&tensor.shape, plan)
                    .map_err(|e| Error::setting(e.to_string()))?,
            ),
            _ => None,
        };
        Ok(Self { map, lowered })
    }

    /// W·x of every frame.
    fn apply(&self, frames: &[Vec<f64>]) -> Vec<Vec<f64>> {
        match (&self.map, &self.lowered) {
            (RealMap::Tensor(map), Some(lowered)) => {
                let mut simulation = Simulation::new(lowered, map);
                frames.iter().map(|frame| simulation.run(frame)).collect()
            }
            (RealMap::Dense(weight), _) => frames
                .iter()
                .map(|frame| {
                    weight
                        .dot(
                            &ArrayView2::from_shape((frame.len(), 1), frame).map_or_else(
                                |_| Array2::zeros((weight.ncols(), 1)),
                                |x| x.to_owned(),
                            ),
                        )
                        .into_raw_vec_and_offset()
                        .0
                })
                .collect(),
            (RealMap::Tensor(_), None) => Vec::new(),
        }
    }

    /// Integers, on integer frames whose LSB is `step`.
    fn quantize(
        &self,
        frames: &[Vec<i16>],
        max: u32,
        step: f64,
        streamed: bool,
    ) -> Result<(IntegerForm, MapReport)> {
        let real: Vec<Vec<f64>> = frames
            .iter()
            .map(|frame| frame.iter().map(|&q| f64::from(q) * step).collect())
            .collect();
        let z_max = self
            .apply(&real)
            .iter()
            .flatten()
            .fold(0.0f64, |a, z| a.max(z.abs()));
        let failed = |error: super::tensor::QuantizeError| Error::setting(error.to_string());
        match (&self.map, &self.lowered) {
            (RealMap::Tensor(map), Some(lowered)) => {
                let calibrated = Calibrated::new(lowered, map, &real, max, step);
                let (integers, snr_db) = calibrated.best(frames, map).map_err(failed)?;
                let levels = integers
                    .steps
                    .iter()
                    .zip(&integers.scales)
                    .zip(calibrated.maxima())
                    .map(|((step, &scale), &max)| LevelReport {
                        max,
                        scale,
                        shift: step.shift,
                        bits: step.bits,
                    })
                    .collect();
                let report = MapReport {
                    plan: Some(lowered.plan.to_string()),
                    snr_db,
                    z_max,
                    levels,
                };
                Ok((IntegerForm::Tensor(integers), report))
            }
            (RealMap::Dense(weight), _) => {
                let integers =
                    dense::quantize(weight.view(), max, step, streamed).map_err(failed)?;
                let snr_db = dense::snr_db(&integers, weight.view(), frames, step);
                Ok((
                    IntegerForm::Dense(integers),
                    MapReport {
                        plan: None,
                        snr_db,
                        z_max,
                        levels: Vec::new(),
                    },
                ))
            }
            (RealMap::Tensor(_), None) => Err(Error::setting("a tensor map without a plan")),
        }
    }
}

enum IntegerForm {
    Tensor(IntegerMap),
    Dense(IntegerDense),
}

impl IntegerForm {
    fn scratch_words(&self, lowered: Option<&Lowered>, streamed: bool) -> usize {
        match self {
            Self::Tensor(_) => lowered.map_or(0, |lowered| lowered.scratch_words),
            Self::Dense(dense) => dense.scratch_words(streamed),
        }
    }

    /// The map with its places, its weights and tables appended to the model's.
    fn parts(
        &self,
        lowered: Option<&Lowered>,
        base: usize,
        streamed: bool,
        weights: &mut Vec<u32>,
        tables: &mut Vec<u16>,
    ) -> MapParts {
        let first_weight = weights.len() as u32;
        match (self, lowered) {
            (Self::Tensor(map), Some(lowered)) => {
                let first_table = tables.len() as u32;
                weights.extend(&map.weights);
                tables.extend(&lowered.tables);
                let steps = map
                    .steps
                    .iter()
                    .map(|step| {
                        let mut step = place(step, base);
                        step.weights_word += first_weight;
                        step.rows_table += first_table;
                        step.cols_table += first_table;
                        step
                    })
                    .collect();
                let gather_table = match lowered.record.gather_table {
                    NONE => NONE,
                    table => table + first_table,
                };
                let slab_word = lowered.record.slab_word + base as u32;
                MapParts::Program {
                    record: ProgramRecord {
                        slab_word,
                        gather_table,
                        ..lowered.record
                    },
                    steps,
                }
            }
            (Self::Dense(dense), _) => {
                weights.extend(&dense.weights);
                let scales_word = weights.len() as u32;
                weights.extend(&dense.scales);
                let mut record = dense.record;
                record.weights_word = first_weight;
                record.scales_word = scales_word;
                record.part_word = base as u32;
                record.acc_word = base as u32
                    + if streamed {
                        record.part_values.div_ceil(2)
                    } else {
                        0
                    };
                MapParts::Dense(record)
            }
            (Self::Tensor(map), None) => MapParts::Program {
                record: bytemuck::Zeroable::zeroed(),
                steps: map.steps.clone(),
            },
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
    let config = &checkpoint.config;
    let units = config.units();
    let normalization = Normalization::of(&checkpoint.model()?);
    let input = RealMap::read(
        checkpoint,
        "lstm.input",
        config.input.map,
        &config.input.modes,
    );
    let recurrent = RealMap::read(
        checkpoint,
        "lstm.recurrent",
        config.recurrent.map,
        &config.hidden.modes,
    );
    let plans = search::best(&layer(config), &options.limits)
        .map_err(|error| search::refused(&error, &options.limits))?;
    let input = Prepared::new(input, program(&plans.input.plan))?;
    let recurrent = Prepared::new(recurrent, program(&plans.recurrent.plan))?;
    let tensor = |name: &str| checkpoint.tensors[name].mapv(f64::from);
    let float_bias: Vec<f64> = tensor("lstm.bias").iter().copied().collect();

    // A feature vector is copied anyway; other values lose their offset on the way to the map only
    // where it would fill z.
    let mut format = InputFormat::new(part, &normalization, config.front_end.is_some());
    let mut bias = folded_bias(&input, &format, &float_bias);
    if bias.iter().any(|b| b.abs() > BIAS_MAX) {
        format = InputFormat::new(part, &normalization, true);
        bias = folded_bias(&input, &format, &float_bias);
    }
    let frames = frames(part, &format, options.sequences);
    let hidden = hidden_states(
        &frames,
        &format,
        &input,
        &recurrent,
        &bias,
        config.gate,
        units,
    );

    let streamed = true;
    let flat: Vec<Vec<i16>> = spread(frames.into_iter().flatten().collect(), 64);
    let hidden = spread(hidden, 256);
    let (input_form, input_report) =
        input.quantize(&flat, format.map_max, format.map_step, streamed)?;
    let (recurrent_form, recurrent_report) =
        recurrent.quantize(&hidden, 1 << 15, 1.0 / 32_768.0, !streamed)?;

    let front_end = match &config.front_end {
        Some(front_end) => Some((front_end.section()?, front_end.vectors_per_step as u32)),
        None => None,
    };
    let weight = tensor("head.weight")
        .into_dimensionality::<Ix2>()
        .map_err(Error::malformed)?;
    let head_bias: Vec<f64> = tensor("head.bias").iter().copied().collect();
    let (head_weights, head_bias, score_shift) = head(weight.view(), &head_bias);
    let about = serde_json::json!({
        "config": config,
        "parameters": config.parameters(),
        "input": input_report,
        "recurrent": recurrent_report,
    });
    let mut parts = Parts {
        name: options.name.clone(),
        labels: labels
            .iter()
            .map(|label| label.replace('\n', " "))
            .collect(),
        about: about.to_string(),
        hidden: units,
        map_values: config.inputs(),
        input_type: if front_end.is_some() {
            bt_core::InputType::I16
        } else {
            format.input_type
        },
        gate: match config.gate {
            Gate::Sigmoid => CoreGate::Sigmoid,
            Gate::HardSigmoid => CoreGate::HardSigmoid,
        },
        pool: pool(config),
        element_scale: format.element_scale.clone(),
        input_zero: format.input_zero,
        score_shift,
        input_step: format.step as f32,
        input_offset: format.offset as f32,
        front_end,
        input: MapParts::Dense(bytemuck::Zeroable::zeroed()),
        recurrent: MapParts::Dense(bytemuck::Zeroable::zeroed()),
        weights: Vec::new(),
        tables: Vec::new(),
        bias: bias
            .iter()
            .map(|b| {
                (b * super::tensor::Z_SCALE)
                    .round()
                    .clamp(-32_768.0, 32_767.0) as i16
            })
            .collect(),
        head_weights,
        head_bias,
        scratch_words: input_form
            .scratch_words(input.lowered.as_ref(), streamed)
            .max(recurrent_form.scratch_words(recurrent.lowered.as_ref(), !streamed)),
        golden_seed: 0x5eed_b10c,
        golden_steps: 2,
    };
    let refused = |error: bt_core::ParseError| {
        Error::setting(format!("the exported model is refused: {error}"))
    };
    let base = parts.arena().map_err(refused)?.scratch_word;
    let (mut weights, mut tables) = (Vec::new(), Vec::new());
    parts.input = input_form.parts(
        input.lowered.as_ref(),
        base,
        streamed,
        &mut weights,
        &mut tables,
    );
    parts.recurrent = recurrent_form.parts(
        recurrent.lowered.as_ref(),
        base,
        !streamed,
        &mut weights,
        &mut tables,
    );
    (parts.weights, parts.tables) = (weights, tables);
    let bytes = parts.write().map_err(refused)?;
    Ok(Exported {
        bytes,
        input: input_report,
        recurrent: recurrent_report,
    })
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
fn folded_bias(input: &Prepared, format: &InputFormat, bias: &[f64]) -> Vec<f64> {
    let share = input.apply(std::slice::from_ref(&format.zero)).remove(0);
    bias.iter().zip(share).map(|(b, z)| b + z).collect()
}

/// The map's integers, `[sequence][step][value]`, of up to `sequences` sequences spread over the part.
fn frames(part: &Part, format: &InputFormat, sequences: usize) -> Vec<Vec<Vec<i16>>> {
    let width = format.zero.len();
    let chosen = spread((0..part.sequences()).collect(), sequences);
    let padding = format.pushed(0.0);
    chosen
        .into_iter()
        .map(|sequence| {
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

/// At most `count` items, evenly spread.
fn spread<T>(items: Vec<T>, count: usize) -> Vec<T> {
    let len = items.len();
    let mut next = 0;
    items
        .into_iter()
        .enumerate()
        .filter(|(at, _)| {
            let take = len <= count || *at * count / len >= next;
            next += usize::from(take);
            take
        })
        .map(|(_, item)| item)
        .collect()
}

/// Hidden states of all steps but the last of every sequence, Q0.15, computed in f64.
fn hidden_states(
    frames: &[Vec<Vec<i16>>],
    format: &InputFormat,
    input: &Prepared,
    recurrent: &Prepared,
    bias: &[f64],
    gate: Gate,
    units: usize,
) -> Vec<Vec<i16>> {
    let mut all = Vec::new();
    for sequence in frames {
        let real: Vec<Vec<f64>> = sequence
            .iter()
            .map(|frame| {
                frame
                    .iter()
                    .map(|&q| f64::from(q) * format.map_step)
                    .collect()
            })
            .collect();
        let shares = input.apply(&real);
        let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
        for share in shares {
            let back = recurrent.apply(std::slice::from_ref(&h)).remove(0);
            let mut z: Vec<f64> = share
                .iter()
                .zip(&back)
                .zip(bias)
                .map(|((a, b), c)| a + b + c)
                .collect();
            cell::forward(gate, &mut z, &mut c, &mut h);
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
