//! One map of a model: real weights under a plan, what calibration decides about it, its integers.

use super::basis::Bases;
use super::dense::{self, IntegerDense};
use super::integer::{IntegerMap, Noise, PerBlock, adds, place};
use super::rounding::{Rounding, roundings};
use super::simulate::Simulation;
use super::tensor::{self, Calibrated, HEADROOM, QuantizeError, Width, with_headroom};
use super::z::{Z_SCALE, ZFormat, snr_db};
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::plan::kernels::Kernels;
use crate::plan::search::MapPlan;
use crate::plan::{Lowered, TensorMap};
use crate::shape::name;
use bt_core::internals::kernel::RowsForm;
use bt_core::internals::model::layout::FILTER_FRACTION_MAX;
use bt_core::internals::model::write::MapContents;
use bt_core::internals::program::panel::{pair_order, weight_word};
use bt_core::internals::program::{NONE, ProgramRecord, StageRecord, TILE_M};
use ndarray::{Array2, ArrayView2, Ix2};

/// How a map was quantized.
#[derive(Debug, Clone, serde::Serialize)]
pub struct MapReport {
    /// The plan, in words; dense maps have none.
    pub plan: Option<String>,
    /// Signal-to-noise ratio of the map's share of z on calibration frames, dB; behind a filter of what it
    /// passes.
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

/// The map of a checkpoint in f64, and how its plan has it executed.
pub(super) enum RealMap<'p> {
    Tensor {
        map: TensorMap,
        lowered: &'p Lowered,
    },
    Dense {
        weight: Array2<f64>,
        /// Inputs of a slice.
        slice_values: usize,
        form: RowsForm,
    },
}

impl<'p> RealMap<'p> {
    /// The tensors of this prefix, under the plan of their map.
    pub fn read(checkpoint: &Checkpoint, prefix: &str, plan: &'p MapPlan) -> Result<Self> {
        let tensor = |name| checkpoint.tensors[&format!("{prefix}.{name}")].mapv(f64::from);
        Ok(match plan {
            MapPlan::Program(lowered) => Self::Tensor {
                map: TensorMap::from_tensors(lowered.shape.clone(), tensor),
                lowered,
            },
            MapPlan::Dense { slice_values, form } => Self::Dense {
                weight: tensor(name::MATRIX.to_owned())
                    .into_dimensionality::<Ix2>()
                    .map_err(Error::malformed)?,
                slice_values: *slice_values,
                form: *form,
            },
        })
    }

    /// W·x of every frame.
    pub fn apply(&self, frames: &[Vec<f64>]) -> Vec<Vec<f64>> {
        match self {
            Self::Tensor { map, lowered } => apply_program(map, lowered, frames),
            Self::Dense { weight, .. } => apply_matrix(weight, frames),
        }
    }
}

impl RealMap<'_> {
    /// The largest magnitude that z comes to, from `start` over every sum on its way.
    fn reach(&self, frames: &[Vec<f64>], start: &[f64]) -> f64 {
        let of_start = start.iter().fold(0.0f64, |max, z| z.abs().max(max));
        let on_the_way = match self {
            Self::Tensor { map, lowered } => {
                let maxima = tensor::maxima(lowered, map, frames, start);
                let stages = lowered.stages.iter().zip(maxima);
                let adding = stages.filter(|(stage, _)| adds(&stage.record));
                let all = adding.flat_map(|(_, maxima)| maxima);
                all.fold(0.0, f64::max)
            }
            Self::Dense { weight, .. } => {
                let shares = apply_matrix(weight, frames);
                let sums = shares.iter().flat_map(|share| share.iter().zip(start));
                sums.fold(0.0, |max, (share, start)| (share + start).abs().max(max))
            }
        };
        of_start.max(on_the_way)
    }
}

fn apply_program(map: &TensorMap, lowered: &Lowered, frames: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut simulation = Simulation::new(lowered, map);
    frames.iter().map(|frame| simulation.run(frame)).collect()
}

/// W·x of every frame for a matrix W.
pub(super) fn apply_matrix(weight: &Array2<f64>, frames: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let product = |frame: &Vec<f64>| {
        let column = ArrayView2::from_shape((frame.len(), 1), frame);
        let column = column.map_or_else(
            |_| Array2::zeros((weight.ncols(), 1)),
            |column| column.to_owned(),
        );
        weight.dot(&column).into_raw_vec_and_offset().0
    };
    frames.iter().map(product).collect()
}

/// The integers that a map reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads {
    /// The map, as messages call it.
    pub map: &'static str,
    /// Whether they are gathered as they come, the input's, or lie there at once, the hidden state's.
    pub streamed: bool,
    /// Largest magnitude.
    pub max: u32,
    /// Real value of one LSB.
    pub lsb: f64,
}

/// What calibration decides about a map before its weights become integers: of every stage of a
/// program; a matrix has none.
#[derive(Debug)]
pub(super) struct MapScheme {
    reads: Reads,
    /// In which its ranks are counted.
    bases: Bases,
    /// Largest output of every stage in calibration.
    maxima: PerBlock,
    /// What a stage has to hold ([`with_headroom`]).
    ranges: PerBlock,
    /// How wide every stage's output is.
    widths: Vec<Width>,
    /// How the weights of every stage are rounded.
    roundings: Vec<Rounding>,
    /// LSB of z per unit.
    z_scale: f64,
    /// What is read in the mean, in real numbers; none where z is not filtered. z starts from what makes that
    /// 0, and a filter, which passes nothing of it, leaves the integers to what deviates.
    centre: Vec<f64>,
}

impl MapScheme {
    /// Ranges and bits from `frames` of what the map reads.
    pub fn new(
        map: &RealMap<'_>,
        frames: &[Vec<i16>],
        reads: Reads,
        kernels: Kernels,
    ) -> Result<Self> {
        Self::with_z(map, frames, reads, (Z_SCALE, Vec::new()), kernels)
    }

    /// The same of a map whose z is filtered: it is kept in as many fraction bits as there is room for, in z and in
    /// what the map's sums are multiplied by on their way to it.
    pub fn filtered(
        map: &RealMap<'_>,
        frames: &[Vec<i16>],
        reads: Reads,
        kernels: Kernels,
    ) -> Result<Self> {
        let frames_read = real(frames, reads.lsb);
        let centre = mean(&frames_read);
        let reach = map.reach(&frames_read, &start(map, &centre)) * HEADROOM;
        let holds = |fraction: &u32| reach * f64::from(1u32 << fraction) <= 32_767.0;
        let largest = (0..=FILTER_FRACTION_MAX).rev().find(holds).unwrap_or(0);
        // Of weights that are large beside all that was read, such as those of bits in bytes, z takes fewer.
        let with = |fraction: u32| {
            let z_scale = f64::from(1u32 << fraction);
            Self::with_z(map, frames, reads, (z_scale, centre.clone()), kernels)
        };
        let mut fractions = (0..largest).rev();
        let mut found = with(largest);
        while let (Err(_), Some(fraction)) = (&found, fractions.next()) {
            found = with(fraction);
        }
        found
    }

    fn with_z(
        map: &RealMap<'_>,
        frames: &[Vec<i16>],
        reads: Reads,
        (z_scale, centre): (f64, Vec<f64>),
        kernels: Kernels,
    ) -> Result<Self> {
        let mut scheme = Self {
            z_scale,
            centre,
            reads,
            bases: Bases::default(),
            maxima: Vec::new(),
            ranges: Vec::new(),
            widths: Vec::new(),
            roundings: Vec::new(),
        };
        let z = scheme.z(map);
        if let RealMap::Tensor { map, lowered } = map {
            scheme.bases = Bases::of(map, lowered);
            let map = &scheme.bases.applied(map);
            scheme.maxima = tensor::maxima(lowered, map, &real(frames, reads.lsb), &z.start);
            scheme.ranges = with_headroom(&scheme.maxima);
            let some = |count: usize| -> Vec<Vec<i16>> {
                let stride = frames.len().div_ceil(count).max(1);
                frames.iter().step_by(stride).cloned().collect()
            };
            let read = real(&some(ROUNDING_FRAMES), reads.lsb);
            scheme.roundings = roundings(lowered, map, &read, &z.start);
            let calibrated = scheme.calibrated(map, lowered, z);
            let widths = calibrated.best(&some(SEARCH_FRAMES), map, kernels);
            scheme.widths = widths.map_err(|error| failed(error, &reads))?;
        }
        scheme.integers(map).map(|_| scheme)
    }

    /// At most so many bits for every stage.
    pub fn coarsen(&mut self, bits: u8) {
        for width in &mut self.widths {
            *width = Width::Bits(bits.min(width.bits()));
        }
    }

    /// How z of `map` is kept.
    pub fn z(&self, map: &RealMap<'_>) -> ZFormat {
        ZFormat {
            scale: self.z_scale,
            start: match self.centre.is_empty() {
                true => Vec::new(),
                false => start(map, &self.centre),
            },
        }
    }

    /// Fraction bits of a z that is filtered.
    pub fn fraction(&self) -> u32 {
        self.z_scale.log2() as u32
    }

    fn calibrated<'a>(
        &'a self,
        map: &TensorMap,
        lowered: &'a Lowered,
        z: ZFormat,
    ) -> Calibrated<'a> {
        Calibrated::new(lowered, map, &self.ranges, self.reads.max, self.reads.lsb)
            .with_z(z)
            .with_roundings(&self.roundings)
    }

    /// The integers of `map`.
    pub fn integers<'a>(&self, map: &'a RealMap<'_>) -> Result<IntegerForm<'a>> {
        let z = self.z(map);
        let form = match map {
            RealMap::Tensor { map, lowered } => {
                let map = self.bases.applied(map);
                let integers = self.calibrated(&map, lowered, z).quantize(&self.widths);
                integers.map(|integers| IntegerForm::Tensor {
                    map,
                    lowered,
                    integers,
                })
            }
            RealMap::Dense {
                weight,
                slice_values,
                form,
            } => self
                .matrix(weight, (*slice_values, *form))
                .map(|integers| IntegerForm::Dense { weight, integers }),
        };
        form.map_err(|error| failed(error, &self.reads))
    }

    fn matrix(
        &self,
        weight: &Array2<f64>,
        rows: (usize, RowsForm),
    ) -> std::result::Result<IntegerDense, QuantizeError> {
        let Reads {
            max, lsb, streamed, ..
        } = self.reads;
        dense::quantize(weight.view(), rows, max, lsb, streamed, self.z_scale)
    }

    /// The weights that the integers of a matrix stand for.
    pub fn rounded(&self, map: &RealMap<'_>) -> Result<Option<Array2<f64>>> {
        match map {
            RealMap::Tensor { .. } => Ok(None),
            RealMap::Dense {
                weight,
                slice_values,
                form,
            } => match self.matrix(weight, (*slice_values, *form)) {
                Ok(integers) => Ok(Some(integers.real(self.reads.lsb))),
                Err(error) => Err(failed(error, &self.reads)),
            },
        }
    }

    /// What quantization does to a map on `frames`; `integers` are its own.
    pub fn report(&self, integers: &IntegerForm<'_>, frames: &[Vec<i16>]) -> MapReport {
        match integers {
            IntegerForm::Tensor {
                map,
                lowered,
                integers,
            } => self.report_program(map, lowered, integers, frames),
            IntegerForm::Dense { weight, integers } => self.report_matrix(weight, integers, frames),
        }
    }

    fn report_program(
        &self,
        map: &TensorMap,
        lowered: &Lowered,
        integers: &IntegerMap,
        frames: &[Vec<i16>],
    ) -> MapReport {
        let z = &integers.z;
        let mut simulation = Simulation::new(lowered, map).starting_from(&z.start);
        let frames_read = real(frames, self.reads.lsb);
        let shares: Vec<Vec<f64>> = frames_read.iter().map(|x| simulation.run(x)).collect();
        let noise = integers.noise(lowered, map, frames, self.reads.lsb);
        let found = frames.iter().map(|frame| integers.run(lowered, frame));
        // Of blocks side by side, the one that fills its range most.
        let fullest = |(maxima, scales): (&Vec<f64>, &Vec<f64>)| {
            let parts = maxima.iter().copied().zip(scales.iter().copied());
            let fullest = parts.max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)));
            fullest.unwrap_or((0.0, 1.0))
        };
        let parts = self.maxima.iter().zip(&integers.scales).map(fullest);
        let level =
            |((stage, (max, scale)), noise): ((&StageRecord, (f64, f64)), Noise)| LevelReport {
                max,
                range: f64::from(1u32 << (stage.bits - 1)) / scale,
                scale,
                shift: u32::from(stage.shift),
                bits: stage.bits,
                snr_db: noise.snr_db,
                saturated: noise.saturated,
            };
        MapReport {
            plan: Some(lowered.plan.to_string()),
            snr_db: snr_db(found.zip(&shares), z.scale),
            z_max: largest(&shares),
            levels: integers
                .stages
                .iter()
                .zip(parts)
                .zip(noise)
                .map(level)
                .collect(),
        }
    }

    fn report_matrix(
        &self,
        weight: &Array2<f64>,
        integers: &IntegerDense,
        frames: &[Vec<i16>],
    ) -> MapReport {
        let shares = apply_matrix(weight, &real(frames, self.reads.lsb));
        let z_max = largest(&shares);
        let snr_db = dense::snr_db(integers, weight.view(), frames, self.reads.lsb);
        let range = 32_768.0 / self.z_scale;
        let mut centred = shares.clone();
        if !self.centre.is_empty() {
            let centre = apply_matrix(weight, std::slice::from_ref(&self.centre)).remove(0);
            for z in &mut centred {
                z.iter_mut()
                    .zip(&centre)
                    .for_each(|(z, centre)| *z -= centre);
            }
        }
        let cut = centred.iter().flatten().filter(|z| z.abs() > range).count();
        let count = shares.iter().map(Vec::len).sum::<usize>().max(1);
        MapReport {
            plan: None,
            snr_db,
            z_max,
            levels: vec![LevelReport {
                max: z_max,
                range,
                scale: self.z_scale,
                shift: integers.record.slice_shift.into(),
                bits: 16,
                snr_db,
                saturated: cut as f64 / count as f64,
            }],
        }
    }
}

/// Frames of calibration that widths are searched on; ranges are taken from all.
const SEARCH_FRAMES: usize = 64;

/// Frames of calibration whose moments weights are rounded by.
const ROUNDING_FRAMES: usize = 32;

/// The mean of frames, which there are.
fn mean(frames: &[Vec<f64>]) -> Vec<f64> {
    let mut mean = vec![0.0; frames.first().map_or(0, Vec::len)];
    for frame in frames {
        let share = 1.0 / frames.len() as f64;
        mean.iter_mut()
            .zip(frame)
            .for_each(|(mean, x)| *mean += share * x);
    }
    mean
}

/// What z of a filtered map starts from.
fn start(map: &RealMap<'_>, centre: &Vec<f64>) -> Vec<f64> {
    let share = map.apply(std::slice::from_ref(centre)).remove(0);
    share.into_iter().map(|share| -share).collect()
}

/// Beyond this z is cut off: 16 in Q4.11.
pub const Z_MAX: f64 = 32_768.0 / Z_SCALE;

fn real(frames: &[Vec<i16>], lsb: f64) -> Vec<Vec<f64>> {
    let real = |frame: &Vec<i16>| frame.iter().map(|&q| f64::from(q) * lsb).collect();
    frames.iter().map(real).collect()
}

/// The largest magnitude of all.
fn largest(shares: &[Vec<f64>]) -> f64 {
    shares.iter().flatten().fold(0.0, |max, z| z.abs().max(max))
}

/// Normalized values beyond this were never normalized.
const NORMALIZED_MAX: f64 = 100.0;

/// Why a map that reads such integers cannot be, and what helps.
fn failed(error: QuantizeError, reads: &Reads) -> Error {
    let largest = f64::from(reads.max) * reads.lsb.abs();
    let refused = |error: QuantizeError| {
        Error::new(ErrorKind::Quantize {
            map: reads.map,
            error: error.into(),
        })
    };
    match error {
        QuantizeError::TooLarge { .. } if largest > NORMALIZED_MAX => refused(error).remedy(
            format!("its input goes up to {largest:.0}: train with `normalize set` or `normalize feature`"),
        ),
        QuantizeError::TooLarge { .. } => {
            refused(error).remedy("train with `weight-decay 0.1`, which keeps the weights smaller")
        }
        QuantizeError::SharedAccumulators { .. } => refused(error),
        QuantizeError::NotFinite => refused(error).remedy("train again with a lower `lr`"),
    }
}

/// A map in integers, beside what they are made of.
pub(super) enum IntegerForm<'a> {
    Tensor {
        /// In the bases of its scheme.
        map: TensorMap,
        lowered: &'a Lowered,
        integers: IntegerMap,
    },
    Dense {
        weight: &'a Array2<f64>,
        integers: IntegerDense,
    },
}

/// Weights and tables of the maps of a model, one map's behind the other's.
#[derive(Default)]
pub(super) struct Pool {
    pub weights: Vec<u32>,
    pub tables: Vec<u16>,
}

impl IntegerForm<'_> {
    /// The map with its places in an arena whose scratch starts at word `base`, what it adds to at word `z`,
    /// its weights and tables put into `pool`. `is_raw`: bytes are gathered as they are pushed.
    pub fn contents(
        &self,
        (base, z): (usize, usize),
        is_raw: bool,
        pool: &mut Pool,
    ) -> MapContents {
        match self {
            Self::Tensor {
                lowered, integers, ..
            } => program_contents(lowered, integers, (base, z), is_raw, pool),
            Self::Dense { integers, .. } => {
                let mut record = integers.record;
                record.weights_word = pool.weights.len() as u32;
                pool.weights.extend(integers.weights());
                record.scales_word = pool.weights.len() as u32;
                pool.weights.extend(&integers.scales);
                pool.weights.extend(integers.sums());
                record.slice_word += base as u32;
                record.acc_word += base as u32;
                MapContents::Dense(record)
            }
        }
    }
}

fn program_contents(
    lowered: &Lowered,
    integers: &IntegerMap,
    (base, z): (usize, usize),
    is_raw: bool,
    pool: &mut Pool,
) -> MapContents {
    let (first_weight, first_table) = (pool.weights.len() as u32, pool.tables.len() as u32);
    let mut words = integers.weights.clone();
    if is_raw && lowered.record.gather_table == NONE {
        for (stage, lowered_stage) in integers.stages.iter().zip(&lowered.stages) {
            if lowered_stage.producers.is_empty() {
                reorder(&mut words, stage, lowered_stage.columns());
            }
        }
    }
    pool.weights.extend(words);
    pool.tables.extend(&lowered.tables);
    let placed = |stage: &StageRecord| {
        let mut stage = place(stage, base);
        if adds(&stage) {
            stage.out_word += z as u32;
        }
        stage.weights_word += first_weight;
        stage.rows_table += first_table;
        stage.cols_table += first_table;
        stage
    };
    MapContents::Program {
        record: ProgramRecord {
            slab_word: lowered.record.slab_word + base as u32,
            gather_table: match lowered.record.gather_table {
                NONE => NONE,
                table => table + first_table,
            },
            ..lowered.record
        },
        stages: integers.stages.iter().map(placed).collect(),
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
