//! Scales, shifts and i16 weights of a tensor map's stages.
//!
//! A stage's output is kept at `scale` LSB per unit in `bits` bits; the weights absorb the ratio of
//! output to input scale and the shift, so scales need not be powers of two and every block and
//! level has its own. Bits given to a level are taken from the weights of the next one (their
//! product is what the 32-bit accumulator bounds), hence the search in [`Calibrated::best`].

use super::integer::{IntegerMap, PerBlock, adds};
use super::rounding::Rounding;
use super::simulate::Simulation;
use super::z::{ZFormat, snr_db};
use crate::plan::kernels::Kernels;
use crate::plan::lower::{Lowered, LoweredStage};
use crate::plan::{Join, TensorMap};
use bt_core::internals::model::bound;
use bt_core::internals::program::{NONE, Program, StageRecord, TILE_N, panel};

/// What a level is given room for, as a multiple of the [`maxima`] of calibration. Other frames go
/// beyond them, and one value cut off in a thousand costs far more than an eighth of the range, which
/// is 1 dB of rounding.
pub(super) const HEADROOM: f64 = 1.125;

/// Why a map cannot be quantized.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// What is added to z is so large that one LSB of the input is already beyond the LSB of z by more
    /// than a weight can be.
    #[error(
        "its sums can come to {reach:.0}, but z ends at 16 and the gates are flat there: no format of \
         16 bits holds both"
    )]
    TooLarge {
        /// What can come to z: from a tensor map's last stage, or from one weight of a dense map.
        reach: f64,
    },
    /// A plan whose stages overwrite each other; the search of plans makes none.
    #[error("stage {stage} shares its accumulators with another stage")]
    SharedAccumulators {
        /// Which.
        stage: usize,
    },
    /// An entry of the map is not finite.
    #[error("it has weights that are not finite")]
    NotFinite,
}

/// Largest magnitude of every stage's output over `frames` (real values); z starts from `start`.
pub fn maxima(lowered: &Lowered, map: &TensorMap, frames: &[Vec<f64>], start: &[f64]) -> PerBlock {
    let stages = lowered.stages.iter();
    let mut maxima: PerBlock = stages.map(|stage| vec![0.0; stage.row_blocks()]).collect();
    let mut simulation = Simulation::new(lowered, map).starting_from(start);
    for frame in frames {
        simulation.run_watched(frame, |stage, first_row, stored| {
            for (at, value) in stored.iter().enumerate() {
                let row = first_row + at / TILE_N;
                if let Some(value) = value {
                    let max = &mut maxima[stage][lowered.stages[stage].block_of_row(row)];
                    *max = max.max(value.abs());
                }
            }
        });
    }
    maxima
}

/// What levels with these [`maxima`] are to hold: an eighth more.
pub fn with_headroom(maxima: &[Vec<f64>]) -> PerBlock {
    let more = |blocks: &Vec<f64>| blocks.iter().map(|max| max * HEADROOM).collect();
    maxima.iter().map(more).collect()
}

/// Real weights of every stage and what calibration has seen of its output.
#[derive(Debug)]
pub struct Calibrated<'a> {
    lowered: &'a Lowered,
    /// Per stage `[slice][m][k]`.
    weights: Vec<Vec<f64>>,
    /// Largest output.
    max: &'a [Vec<f64>],
    /// Largest input value, LSB.
    input_max: u32,
    /// Real value of one LSB of the input.
    input_lsb: f64,
    z: ZFormat,
    /// Of every stage, or none: each weight is rounded alone.
    roundings: &'a [Rounding],
}

impl<'a> Calibrated<'a> {
    /// The weights of `map`, and what every stage is to hold: the [`maxima`] of calibration,
    /// [`with_headroom`] where other frames are to come. `input_max` and `input_lsb` describe
    /// the integers that will be gathered: value = integer · input_lsb.
    pub fn new(
        lowered: &'a Lowered,
        map: &TensorMap,
        max: &'a [Vec<f64>],
        input_max: u32,
        input_lsb: f64,
    ) -> Self {
        let weights = lowered
            .stages
            .iter()
            .map(|stage| stage.weights(map))
            .collect();
        Self {
            lowered,
            weights,
            max,
            input_max,
            input_lsb,
            z: ZFormat::default(),
            roundings: &[],
        }
    }

    /// The same with weights that are rounded together.
    #[must_use]
    pub fn with_roundings(self, roundings: &'a [Rounding]) -> Self {
        Self { roundings, ..self }
    }

    /// The same adding to a z that is kept otherwise.
    #[must_use]
    pub fn with_z(self, z: ZFormat) -> Self {
        Self { z, ..self }
    }

    /// Integers for a width of every stage's output (16 bits where a stage adds to z).
    ///
    /// # Errors
    ///
    /// [`QuantizeError`].
    pub fn quantize(&self, widths: &[Width]) -> Result<IntegerMap, QuantizeError> {
        let lowered = self.lowered;
        let bits: Vec<u8> = widths.iter().map(|width| width.bits()).collect();
        let input_bounds = self.input_bounds(&bits)?;
        let mut scales: PerBlock = Vec::new();
        let mut stages: Vec<StageRecord> = Vec::new();
        let mut packed = Vec::new();
        for (index, stage) in lowered.stages.iter().enumerate() {
            let mut record = stage.record;
            let weights = &self.weights[index];
            if weights.iter().any(|w| !w.is_finite()) {
                return Err(QuantizeError::NotFinite);
            }
            let columns = stage.columns();
            let block = |k: usize| stage.block.unwrap_or_else(|| stage.block_of_column(k));
            let input_scale = |k: usize| match stage.producers.as_slice() {
                [] => 1.0 / self.input_lsb,
                [one] => match scales[*one].as_slice() {
                    [scale] => *scale,
                    blocks => blocks[block(k)],
                },
                many => scales[many[block(k)]][0],
            };
            // Weights per LSB of the input, for one LSB per unit of the output.
            let unit: Vec<f64> = weights
                .iter()
                .enumerate()
                .map(|(at, w)| w / input_scale(at % columns))
                .collect();
            let input_max = input_bounds[index];
            let rows = stage.rows();
            let of_row = |at: usize| stage.block_of_row(at / columns % rows);
            // The words at scales and a shift, if weights and sums fit.
            let words = |record: &StageRecord, scales: &[f64]| {
                let shifted = (f64::from(record.shift) + f64::from(record.slice_shift)).exp2();
                let weights = unit.iter().enumerate();
                let weights = weights.map(|(at, w)| w * scales[of_row(at)] * shifted);
                let fits = |w: &f64| w.abs() <= 32_767.0;
                if !weights.clone().all(|w| fits(&w)) {
                    return None;
                }
                let rounded: Vec<f64> = match self.roundings.get(index) {
                    Some(rounding) => {
                        let weights: Vec<f64> = weights.collect();
                        rounding.round(&weights, rows, columns, input_scale)
                    }
                    None => weights.map(f64::round).collect(),
                };
                if !rounded.iter().all(fits) {
                    return None;
                }
                let words = pack(record, rows, columns, rounded.iter().map(|&w| w as i16));
                (bound::contraction(record, &words, input_max) <= i32::MAX as u64).then_some(words)
            };
            let mut largest = vec![0.0f64; stage.row_blocks()];
            for (at, w) in unit.iter().enumerate() {
                let largest = &mut largest[of_row(at)];
                *largest = largest.max(w.abs());
            }
            let sums = self.row_sums(index, &unit);
            record.shift = 16;
            record.slice_shift = match widths[index] {
                Width::Shifted(_) if record.acc_word != NONE => slice_shift(record.slices),
                _ => 0,
            };
            record.bits = if adds(&record) { 16 } else { bits[index] };
            let is_top = !adds(&record) && matches!(widths[index], Width::Top | Width::TopOf(_));
            let scale = |block: usize| {
                let (largest, max) = (largest[block], self.max[index][block]);
                let reach = sums[block] * f64::from(input_max);
                let at_shift = |bits: u32| {
                    let most = (f64::from(i32::MAX) / reach).min(32_767.0 / largest);
                    most / f64::from(1u32 << bits)
                };
                let fits = at_shift(16);
                // However little calibration saw of a level, its sums have to fit at some shift.
                let at_most = |scale: f64| scale.min(0.99 * at_shift(1));
                match widths[index] {
                    _ if adds(&record) => self.z.scale,
                    _ if largest == 0.0 => 1.0,
                    Width::TopOf(bits) if max > 0.0 => fits.min(limit(bits) / max),
                    Width::Top | Width::TopOf(_) => fits,
                    Width::Bits(_) | Width::Shifted(_) if max > 0.0 => {
                        at_most(limit(record.bits) / max)
                    }
                    // Calibration has only seen zeros here: as much as there can ever be.
                    Width::Bits(_) | Width::Shifted(_) => at_most(limit(record.bits) / reach),
                }
            };
            let mut scale: Vec<f64> = (0..stage.row_blocks()).map(scale).collect();
            let mut found = words(&record, &scale);
            if is_top {
                // The largest scale that fits, from above by a thousandth at a time.
                for _ in 0..64 {
                    if found.is_some() {
                        break;
                    }
                    scale.iter_mut().for_each(|scale| *scale *= 0.999);
                    found = words(&record, &scale);
                }
            }
            while found.is_none() && !is_top && record.shift > 1 {
                record.shift -= 1;
                found = words(&record, &scale);
            }
            let words = found.ok_or_else(|| QuantizeError::TooLarge {
                reach: sums.iter().fold(0.0, |a, &b| f64::max(a, b)) * f64::from(input_max),
            })?;
            record.weights_word = packed.len() as u32;
            packed.extend(words);
            scales.push(scale);
            stages.push(record);
        }
        self.saturate_only_where_needed(&mut stages, &packed);
        Ok(IntegerMap {
            stages,
            weights: packed,
            scales,
            z: self.z.clone(),
        })
    }

    /// Per block the largest sum of magnitudes of a row of W, over its slices where they accumulate.
    fn row_sums(&self, index: usize, weights: &[f64]) -> Vec<f64> {
        let stage = &self.lowered.stages[index];
        let sums: Vec<f64> = weights
            .chunks(stage.columns())
            .map(|row| row.iter().map(|w| w.abs()).sum())
            .collect();
        let mut largest = vec![0.0f64; stage.row_blocks()];
        for row in 0..stage.rows() {
            let slices = sums.iter().skip(row).step_by(stage.rows());
            let sum = match stage.record.acc_word {
                NONE => slices.fold(0.0, |a, &b| f64::max(a, b)),
                _ => slices.sum(),
            };
            let largest = &mut largest[stage.block_of_row(row)];
            *largest = largest.max(sum);
        }
        largest
    }

    /// Lets the outputs of stages have all 16 bits where the sums that read them keep to 32 bits all the
    /// same: nothing is cut off then, and the store is cheaper.
    fn saturate_only_where_needed(&self, stages: &mut [StageRecord], packed: &[u32]) {
        for at in 0..stages.len() {
            let before = std::mem::replace(&mut stages[at].bits, 16);
            let bits: Vec<u8> = stages.iter().map(|stage| stage.bits).collect();
            let fits = before == 16
                || self.input_bounds(&bits).is_ok_and(|bounds| {
                    let mut stages = stages.iter().zip(bounds);
                    stages.all(|(stage, bound)| bound::fits(stage, packed, bound))
                });
            if !fits {
                stages[at].bits = before;
            }
        }
    }

    /// The largest magnitude that each stage can read if they store so many bits: as `Model::parse`
    /// sees it.
    ///
    /// # Errors
    ///
    /// The accumulators of a stage are not its own.
    fn input_bounds(&self, bits: &[u8]) -> Result<Vec<u32>, QuantizeError> {
        let lowered = self.lowered;
        let with_bits = |(stage, &bits): (&LoweredStage, &u8)| StageRecord {
            bits,
            ..stage.record
        };
        let stages: Vec<StageRecord> = lowered.stages.iter().zip(bits).map(with_bits).collect();
        let program = Program {
            record: &lowered.record,
            stages: &stages,
            paired_row: 0,
        };
        let bound = |(index, stage): (usize, &StageRecord)| {
            if bound::has_accumulators_alone(&program, &lowered.tables, index) {
                let max =
                    bound::written_max(&program, &lowered.tables, self.input_max, stage.input());
                Ok(max)
            } else {
                Err(QuantizeError::SharedAccumulators { stage: index })
            }
        };
        stages.iter().enumerate().map(bound).collect()
    }

    /// The widths that give z the best signal-to-noise ratio on `frames` (integers as
    /// the device gets them), then with [`Width::Top`], else [`Width::TopOf`], wherever that costs less
    /// than [`TOP_LOSS_DB`] (less on a core where other stores cost little): coordinate descent from 13 bits everywhere, or from 16 where z would be
    /// beyond what 13 bits can add to it.
    ///
    /// # Errors
    ///
    /// [`QuantizeError`].
    pub fn best(
        &self,
        frames: &[Vec<i16>],
        map: &TensorMap,
        kernels: Kernels,
    ) -> Result<Vec<Width>, QuantizeError> {
        let lowered = self.lowered;
        let mut simulation = Simulation::new(lowered, map).starting_from(&self.z.start);
        // What z cannot hold is the same loss for all widths, and would drown what they cost the rest.
        let limit = 32_768.0 / self.z.scale;
        let mut wanted = |frame: &Vec<i16>| -> Vec<f64> {
            let real: Vec<f64> = frame
                .iter()
                .map(|&x| f64::from(x) * self.input_lsb)
                .collect();
            let z = simulation.run(&real);
            z.iter().map(|z| z.clamp(-limit, limit)).collect()
        };
        let wanted: Vec<Vec<f64>> = frames.iter().map(&mut wanted).collect();
        let score = |widths: &[Width]| -> Result<f64, QuantizeError> {
            let integers = self.quantize(widths)?;
            let found = frames.iter().map(|frame| integers.run(lowered, frame));
            Ok(snr_db(found.zip(&wanted), self.z.scale))
        };
        // Stages that differ only in their block share their width. Those that add to z have none.
        let level = |index: usize| {
            let stage = &lowered.stages[index];
            (!adds(&stage.record)).then_some(stage.place)
        };
        let levels = (0..lowered.stages.len()).filter_map(level).max();
        let levels = levels.map_or(0, |last| last + 1);
        let with = |widths: &[Width], at: usize, width: Width| -> Vec<Width> {
            (0..widths.len())
                .map(|i| {
                    if level(i) == Some(at) {
                        width
                    } else {
                        widths[i]
                    }
                })
                .collect()
        };
        let all = |bits: u8| vec![Width::Bits(bits); lowered.stages.len()];
        let mut widths = all(13);
        let mut best = match score(&widths) {
            Ok(best) => best,
            Err(_) => {
                widths = all(16);
                score(&widths)?
            }
        };
        let descend = |widths: &mut Vec<Width>, best: &mut f64| {
            for _ in 0..2 {
                let before = *best;
                for at in 0..levels {
                    let is_shifted =
                        |i: usize| level(i) == Some(at) && matches!(widths[i], Width::Shifted(_));
                    let kind = match (0..widths.len()).any(is_shifted) {
                        true => Width::Shifted,
                        false => Width::Bits,
                    };
                    for candidate in 10..=16 {
                        let tried = with(widths, at, kind(candidate));
                        if tried == *widths {
                            continue;
                        }
                        if let Ok(db) = score(&tried)
                            && db > *best
                        {
                            (*best, *widths) = (db, tried);
                        }
                    }
                }
                if *best - before < 0.1 {
                    break;
                }
            }
        };
        descend(&mut widths, &mut best);
        // Sums of slices share 32 bits, unless each is shifted before it is added.
        let keeps = |at: usize| {
            let stages = lowered.stages.iter().enumerate();
            let mut of_level = stages.filter(|(index, _)| level(*index) == Some(at));
            of_level.any(|(_, stage)| stage.record.acc_word != NONE)
        };
        let mut shifted = widths.clone();
        for at in (0..levels).filter(|&at| keeps(at)) {
            shifted = with(&shifted, at, Width::Shifted(15));
        }
        if shifted != widths
            && let Ok(mut db) = score(&shifted)
        {
            descend(&mut shifted, &mut db);
            if db >= best + SHIFT_GAIN_DB {
                (widths, best) = (shifted, db);
            }
        }
        // Cheaper stores, the cheapest first; of those that saturate top halves, the best.
        let is_shifted = |at: usize, widths: &[Width]| {
            let all = widths.iter().enumerate();
            let mut of_level = all.filter(|(index, _)| level(*index) == Some(at));
            of_level.any(|(_, width)| matches!(width, Width::Shifted(_)))
        };
        let shifts = (0..levels).any(|at| is_shifted(at, &widths));
        let loss = match shifts && kernels.shifts_and_saturates_at_once() {
            true if lowered.plan.join == Join::NoCore => SHIFTED_TRAIN_TOP_LOSS_DB,
            true => SHIFTED_TOP_LOSS_DB,
            false => TOP_LOSS_DB,
        };
        let floor = best - loss;
        for at in 0..levels {
            if is_shifted(at, &widths) {
                continue;
            }
            let with_score = |width: Width| {
                let tried = with(&widths, at, width);
                let db = score(&tried).ok().filter(|&db| db >= floor)?;
                Some((db, tried))
            };
            let saturating = || {
                let all = (10..=15).filter_map(|bits| with_score(Width::TopOf(bits)));
                all.max_by(|a, b| a.0.total_cmp(&b.0))
            };
            let unsaturated = || with_score(Width::Bits(16));
            let cheapest = with_score(Width::Top).or_else(saturating);
            if let Some((_, cheaper)) = cheapest.or_else(unsaturated) {
                widths = cheaper;
            }
        }
        Ok(widths)
    }
}

/// What the signal-to-noise ratio of z may lose in all for the sake of cheaper stores.
pub const TOP_LOSS_DB: f64 = 3.0;

/// The same where sums of slices are shifted, which has been paid for, and other stores cost little: of block-term maps,
/// to which [bases](super::basis) give some of it back.
const SHIFTED_TOP_LOSS_DB: f64 = 1.5;

/// The same of trains, which have no bases to choose.
const SHIFTED_TRAIN_TOP_LOSS_DB: f64 = 0.5;

/// What it must gain for sums of slices to be shifted before they are added, which costs a frame about 1 %.
pub const SHIFT_GAIN_DB: f64 = 1.0;

/// How far sums of so many slices are shifted: as many as they are, each may fill 32 bits.
fn slice_shift(slices: u16) -> u8 {
    let bits = u16::BITS - slices.saturating_sub(1).leading_zeros();
    bits.clamp(2, 16) as u8
}

/// How a stage's sums become i16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Their top halves: the bound of the sums proves that nothing is lost at the top, and the store
    /// neither shifts nor saturates, but typical values are well below the bound.
    Top,
    /// Their top halves, saturated to so many bits, which what calibration has seen does not exceed.
    TopOf(u8),
    /// Shifted until what calibration has seen fills so many bits, and saturated to them.
    Bits(u8),
    /// The same of sums over slices, each slice's shifted before it is added.
    Shifted(u8),
}

impl Width {
    /// Bits that a stored value can fill.
    pub fn bits(self) -> u8 {
        match self {
            Self::Top => 16,
            Self::TopOf(bits) | Self::Bits(bits) | Self::Shifted(bits) => bits,
        }
    }
}

/// The largest value of so many bits.
fn limit(bits: u8) -> f64 {
    f64::from((1u32 << (bits - 1)) - 1)
}

/// Packs `[slice][m][k]` into panels `[slice][m / 2][k / 2][m % 2]`.
fn pack(
    record: &StageRecord,
    rows: usize,
    columns: usize,
    weights: impl Iterator<Item = i16>,
) -> Vec<u32> {
    let pairs = record.k_pairs as usize;
    let mut words = vec![0u32; (record.slice_words() * record.slices).get()];
    for (at, weight) in weights.enumerate() {
        let (slice, m, k) = (at / columns / rows, at / columns % rows, at % columns);
        let word = slice * record.slice_words().get() + panel::weight_word(pairs, m, k);
        words[word] |= u32::from(weight as u16) << (k % 2 * 16);
    }
    words
}
