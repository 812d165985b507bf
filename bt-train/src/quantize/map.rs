//! One map of a model: real weights, what calibration decides about it, its integers.

use super::dense::{self, IntegerDense};
use super::simulate::Simulation;
use super::tensor::{
    self, Calibrated, IntegerMap, PerBlock, QuantizeError, Width, Z_SCALE, place, with_headroom,
};
use crate::error::{Error, Result};
use crate::float::checkpoint::Checkpoint;
use crate::plan::{Lowered, Plan, TensorMap};
use crate::shape::{MapKind, MapShape, name};
use bt_core::internals::model::write::MapContents;
use bt_core::internals::program::panel::{pair_order, weight_word};
use bt_core::internals::program::{NONE, ProgramRecord, StageRecord, TILE_M};
use ndarray::{Array2, ArrayView2};

/// How a map was quantized.
#[derive(Debug, Clone, serde::Serialize)]
pub struct MapReport {
    /// The plan, in words; dense maps have none.
    pub plan: Option<String>,
    /// Signal-to-noise ratio of the map's share of z on calibration frames, dB.
    pub snr_db: f64,
    /// Largest magnitude of that share.
    pub z_max: f64,
    /// One entry per stage of the plan; a dense map is one stage.
    pub levels: Vec<LevelReport>,
}

/// How a stage was quantized.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LevelReport {
    /// Largest output in calibration; of a stage that adds to z, the largest sum.
    pub max: f64,
    /// Largest output that it can hold; what is beyond is cut off.
    pub range: f64,
    /// LSB per unit.
    pub scale: f64,
    /// Right shift.
    pub shift: u32,
    /// Bits kept.
    pub bits: u8,
    /// Signal over noise power of its output, dB, the noise of all stages before it included.
    pub snr_db: f64,
    /// Share of its output that is cut off at the ends of its range.
    pub saturated: f64,
}

/// The map of a checkpoint in f64.
pub(super) enum RealMap {
    Tensor(TensorMap),
    Dense(Array2<f64>),
}

impl RealMap {
    pub fn read(checkpoint: &Checkpoint, prefix: &str, shape: MapShape) -> Self {
        let tensor = |name| checkpoint.tensors[&format!("{prefix}.{name}")].mapv(f64::from);
        match shape.kind {
            MapKind::Dense => {
                let weight = tensor(name::MATRIX.to_owned());
                let matrix = Array2::from_shape_vec(
                    (shape.height(), shape.width()),
                    weight.iter().copied().collect(),
                );
                Self::Dense(matrix.unwrap_or_default())
            }
            MapKind::BlockTerm { .. } | MapKind::TensorTrain { .. } => {
                Self::Tensor(TensorMap::from_tensors(shape, tensor))
            }
        }
    }
}

/// What is decided about a map before its weights become integers.
#[derive(Debug)]
pub(super) struct MapScheme {
    /// The plan's stages; dense maps have none.
    pub lowered: Option<Lowered>,
    /// Whether the input comes in slices.
    pub streamed: bool,
    /// Largest magnitude of the input's integers.
    input_max: u32,
    /// Real value of one of them.
    input_lsb: f64,
    /// Largest output of every stage in calibration.
    maxima: PerBlock,
    /// What a stage has to hold ([`with_headroom`]).
    ranges: PerBlock,
    /// How wide every stage's output is.
    widths: Vec<Width>,
}

/// The stages of a map under a plan.
pub(super) fn lowered(map: &RealMap, plan: Option<&Plan>) -> Result<Option<Lowered>> {
    match (map, plan) {
        (RealMap::Tensor(tensor), Some(plan)) => crate::plan::lower(&tensor.shape, plan)
            .map(Some)
            .map_err(|error| Error::setting(error.to_string())),
        _ => Ok(None),
    }
}

/// W·x of every frame, in f64.
pub(super) fn apply(
    map: &RealMap,
    lowered: Option<&Lowered>,
    frames: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    match (map, lowered) {
        (RealMap::Tensor(map), Some(lowered)) => {
            let mut simulation = Simulation::new(lowered, map);
            frames.iter().map(|frame| simulation.run(frame)).collect()
        }
        (RealMap::Dense(weight), _) => frames
            .iter()
            .map(|frame| {
                let column = ArrayView2::from_shape((frame.len(), 1), frame);
                let column = column.map_or_else(
                    |_| Array2::zeros((weight.ncols(), 1)),
                    |column| column.to_owned(),
                );
                weight.dot(&column).into_raw_vec_and_offset().0
            })
            .collect(),
        (RealMap::Tensor(_), None) => Vec::new(),
    }
}

impl MapScheme {
    /// Ranges and bits from `frames`, integers up to `input_max` whose LSB is `input_lsb`.
    pub fn new(
        map: &RealMap,
        lowered: Option<Lowered>,
        frames: &[Vec<i16>],
        (input_max, input_lsb): (u32, f64),
        streamed: bool,
    ) -> Result<Self> {
        let (mut maxima, mut ranges, mut widths) = (Vec::new(), Vec::new(), Vec::new());
        if let (RealMap::Tensor(map), Some(lowered)) = (map, &lowered) {
            maxima = tensor::maxima(lowered, map, &real(frames, input_lsb));
            ranges = with_headroom(&maxima);
            let calibrated = Calibrated::new(lowered, map, &ranges, input_max, input_lsb);
            let stride = frames.len().div_ceil(SEARCH_FRAMES).max(1);
            let searched: Vec<Vec<i16>> = frames.iter().step_by(stride).cloned().collect();
            widths = calibrated
                .best(&searched, map)
                .map_err(|error| failed(error, streamed, (input_max, input_lsb)))?;
        }
        let scheme = Self {
            lowered,
            streamed,
            input_max,
            input_lsb,
            maxima,
            ranges,
            widths,
        };
        scheme.integers(map).map(|_| scheme)
    }

    /// At most so many bits for every stage.
    pub fn coarsen(&mut self, bits: u8) {
        for width in &mut self.widths {
            *width = Width::Bits(bits.min(width.bits()));
        }
    }

    /// The integers of `map`.
    pub fn integers(&self, map: &RealMap) -> Result<IntegerForm> {
        match (map, &self.lowered) {
            (RealMap::Tensor(map), Some(lowered)) => {
                let calibrated =
                    Calibrated::new(lowered, map, &self.ranges, self.input_max, self.input_lsb);
                let integers = calibrated.quantize(&self.widths);
                let integers = integers.map_err(|error| self.failed(error))?;
                Ok(IntegerForm::Tensor(integers))
            }
            (RealMap::Dense(weight), _) => self.dense(weight).map(IntegerForm::Dense),
            (RealMap::Tensor(_), None) => Err(Error::setting("a tensor map without a plan")),
        }
    }

    fn dense(&self, weight: &Array2<f64>) -> Result<IntegerDense> {
        let (max, lsb) = (self.input_max, self.input_lsb);
        dense::quantize(weight.view(), max, lsb, self.streamed).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: QuantizeError) -> Error {
        failed(error, self.streamed, (self.input_max, self.input_lsb))
    }

    /// The weights that the integers of a dense map stand for.
    pub fn rounded(&self, map: &RealMap) -> Result<Option<Array2<f64>>> {
        match map {
            RealMap::Dense(weight) => Ok(Some(self.dense(weight)?.real(self.input_lsb))),
            RealMap::Tensor(_) => Ok(None),
        }
    }

    /// What quantization does to `map` on `frames`; `integers` are its own.
    pub fn report(
        &self,
        map: &RealMap,
        integers: &IntegerForm,
        frames: &[Vec<i16>],
    ) -> Result<MapReport> {
        let shares = apply(map, self.lowered.as_ref(), &real(frames, self.input_lsb));
        let z_max = shares.iter().flatten().fold(0.0f64, |a, z| a.max(z.abs()));
        match (integers, map, &self.lowered) {
            (IntegerForm::Tensor(integers), RealMap::Tensor(map), Some(lowered)) => {
                let noise = integers.noise(lowered, map, frames, self.input_lsb);
                let found = frames.iter().map(|frame| integers.run(lowered, frame));
                // Of blocks side by side, the one that fills its range most.
                let fullest = |(maxima, scales): (&Vec<f64>, &Vec<f64>)| {
                    let parts = maxima.iter().copied().zip(scales.iter().copied());
                    let fullest = parts.max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)));
                    fullest.unwrap_or((0.0, 1.0))
                };
                let parts = self.maxima.iter().zip(&integers.scales).map(fullest);
                Ok(MapReport {
                    plan: Some(lowered.plan.to_string()),
                    snr_db: tensor::snr_db(found.zip(&shares)),
                    z_max,
                    levels: (integers.stages.iter().zip(parts))
                        .zip(noise)
                        .map(|((stage, (max, scale)), noise)| LevelReport {
                            max,
                            range: f64::from(1u32 << (stage.bits - 1)) / scale,
                            scale,
                            shift: u32::from(stage.shift),
                            bits: stage.bits,
                            snr_db: noise.snr_db,
                            saturated: noise.saturated,
                        })
                        .collect(),
                })
            }
            (IntegerForm::Dense(integers), RealMap::Dense(weight), _) => {
                let snr_db = dense::snr_db(integers, weight.view(), frames, self.input_lsb);
                let cut = shares.iter().flatten().filter(|z| z.abs() > Z_MAX).count();
                let count = shares.iter().map(Vec::len).sum::<usize>().max(1);
                Ok(MapReport {
                    plan: None,
                    snr_db,
                    z_max,
                    levels: vec![LevelReport {
                        max: z_max,
                        range: Z_MAX,
                        scale: Z_SCALE,
                        shift: integers.record.slice_shift,
                        bits: 16,
                        snr_db,
                        saturated: cut as f64 / count as f64,
                    }],
                })
            }
            _ => Err(Error::setting("a tensor map without a plan")),
        }
    }
}

/// Frames of calibration that widths are searched on; ranges are taken from all.
const SEARCH_FRAMES: usize = 64;

/// Beyond this z is cut off: 16 in Q4.11.
pub const Z_MAX: f64 = 32_768.0 / Z_SCALE;

fn real(frames: &[Vec<i16>], lsb: f64) -> Vec<Vec<f64>> {
    let real = |frame: &Vec<i16>| frame.iter().map(|&q| f64::from(q) * lsb).collect();
    frames.iter().map(real).collect()
}

/// Normalized values beyond this were never normalized.
const NORMALIZED_MAX: f64 = 100.0;

/// Why a map that reads so many integers of such an LSB cannot be, and what helps.
fn failed(error: QuantizeError, streamed: bool, (max, lsb): (u32, f64)) -> Error {
    let (name, largest) = (
        if streamed { "input" } else { "recurrent" },
        f64::from(max) * lsb.abs(),
    );
    let refused = Error::setting(format!("the {name} map: {error}"));
    match error {
        QuantizeError::TooLarge { .. } if largest > NORMALIZED_MAX => refused.remedy(format!(
            "its input goes up to {largest:.0}: train with --normalize set or feature"
        )),
        QuantizeError::TooLarge { .. } => {
            refused.remedy("train with --weight-decay 0.1, which keeps the weights smaller")
        }
        QuantizeError::SharedAccumulators { .. } => refused,
        QuantizeError::NotFinite => refused.remedy("train again with a lower --lr"),
    }
}

/// A map in integers.
pub(super) enum IntegerForm {
    Tensor(IntegerMap),
    Dense(IntegerDense),
}

impl IntegerForm {
    /// Words of scratch.
    pub fn scratch_words(&self, lowered: Option<&Lowered>, streamed: bool) -> usize {
        match self {
            Self::Tensor(_) => lowered.map_or(0, |lowered| lowered.scratch_words),
            Self::Dense(dense) => dense.scratch_words(streamed),
        }
    }

    /// The map with its places, its weights and tables appended to the model's. `is_raw`: bytes are
    /// gathered as they are pushed.
    pub fn parts(
        &self,
        lowered: Option<&Lowered>,
        base: usize,
        streamed: bool,
        is_raw: bool,
        weights: &mut Vec<u32>,
        tables: &mut Vec<u16>,
    ) -> MapContents {
        let first_weight = weights.len() as u32;
        match (self, lowered) {
            (Self::Tensor(map), Some(lowered)) => {
                let first_table = tables.len() as u32;
                let mut words = map.weights.clone();
                if is_raw && lowered.record.gather_table == NONE {
                    for (stage, lowered_stage) in map.stages.iter().zip(&lowered.stages) {
                        if lowered_stage.producers.is_empty() {
                            reorder(&mut words, stage, lowered_stage.columns());
                        }
                    }
                }
                weights.extend(words);
                tables.extend(&lowered.tables);
                let stages = map
                    .stages
                    .iter()
                    .map(|stage| {
                        let mut stage = place(stage, base);
                        stage.weights_word += first_weight;
                        stage.rows_table += first_table;
                        stage.cols_table += first_table;
                        stage
                    })
                    .collect();
                let gather_table = match lowered.record.gather_table {
                    NONE => NONE,
                    table => table + first_table,
                };
                let slab_word = lowered.record.slab_word + base as u32;
                MapContents::Program {
                    record: ProgramRecord {
                        slab_word,
                        gather_table,
                        ..lowered.record
                    },
                    stages,
                }
            }
            (Self::Dense(dense), _) => {
                weights.extend(&dense.weights);
                let scales_word = weights.len() as u32;
                weights.extend(&dense.scales);
                let mut record = dense.record;
                record.weights_word = first_weight;
                record.scales_word = scales_word;
                record.slice_word = base as u32;
                record.acc_word = base as u32
                    + if streamed {
                        record.slice_values.div_ceil(2)
                    } else {
                        0
                    };
                MapContents::Dense(record)
            }
            (Self::Tensor(map), None) => MapContents::Program {
                record: bytemuck::Zeroable::zeroed(),
                stages: map.stages.clone(),
            },
        }
    }
}

/// Puts the columns of a stage that reads raw bytes into the order in which they are gathered.
fn reorder(words: &mut [u32], stage: &StageRecord, columns: usize) {
    let pairs = stage.k_pairs as usize;
    let start = stage.weights_word as usize;
    let stage_words = &mut words[start..start + (stage.slice_words() * stage.slices).get()];
    let halves: &mut [u16] = bytemuck::cast_slice_mut(stage_words);
    // Two halves a word.
    for tile in halves.chunks_exact_mut(pairs * TILE_M * 2) {
        let natural = tile.to_vec();
        for (row, k) in (0..TILE_M).flat_map(|row| (0..columns).map(move |k| (row, k))) {
            let half = |k: usize| weight_word(pairs, row, k) * 2 + k % 2;
            tile[half(pair_order(k, columns))] = natural[half(k)];
        }
    }
}
