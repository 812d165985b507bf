//! The proof that no accumulator can leave i32: used by the exporter to choose scales and by
//! `Model::parse` to refuse a file, so both ends agree by construction.
//!
//! For every row of W: Σ|w|·max|x| + 2^(shift−1) ≤ 2³¹ − 1, where a row that accumulates over an
//! outer mode sums over all its slices, and max|x| is the largest magnitude that any store of the
//! map can leave in the panels the step reads (order of events is ignored, which only widens it;
//! the scratch is zero when a map starts).

use crate::program::StepRecord;

/// Half-open range of arena words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First word.
    pub start: usize,
    /// One past the last word.
    pub end: usize,
}

impl Region {
    /// `len` words from `start`; saturates rather than overflows.
    pub const fn new(start: usize, len: usize) -> Self {
        Self {
            start,
            end: start.saturating_add(len),
        }
    }

    /// Whether the two share a word.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether `other` lies inside.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// Largest |accumulator| of a contraction, rounding constant included, for inputs up to `input_max`.
///
/// `weights` holds all slices of the step. Rows accumulate over slices when the step has accumulators.
pub fn contraction(step: &StepRecord, weights: &[u32], input_max: u32) -> u64 {
    let pairs = step.k_pairs as usize;
    let slice = step.slice_words();
    let accumulates = step.acc_word != crate::program::NONE && step.slices > 1;
    let mut worst = 0u64;
    for row in 0..step.m_tiles as usize * 2 {
        let first = row / 2 * pairs * 2 + row % 2;
        let mut total = 0u64;
        for slice in weights.chunks_exact(slice.max(1)) {
            let words = slice
                .get(first..)
                .unwrap_or(&[])
                .iter()
                .step_by(2)
                .take(pairs);
            let sum: u64 = words.map(|&w| magnitude(w)).sum();
            total = if accumulates {
                total + sum
            } else {
                total.max(sum)
            };
        }
        worst = worst.max(total);
    }
    worst * u64::from(input_max) + (1 << (step.shift.clamp(1, 32) - 1))
}

/// |low| + |high| of a pair of i16.
fn magnitude(word: u32) -> u64 {
    u64::from((word as i16).unsigned_abs()) + u64::from(((word >> 16) as i16).unsigned_abs())
}

/// Largest |accumulator| of a dense map's rows over all parts, and of any single part.
///
/// `weights` is `[part][row pair][k / 2]` of 256·a + b lanes.
pub fn dense(
    weights: &[u32],
    k_pairs: usize,
    row_pairs: usize,
    part_shift: u32,
    input_max: u32,
) -> (u64, u64) {
    let (mut worst_part, mut worst_total) = (0u64, 0u64);
    let half = (1u64 << part_shift.min(31)) >> 1;
    for pair in 0..row_pairs {
        let mut totals = [0u64; 2];
        for part in weights.chunks_exact((k_pairs * row_pairs).max(1)) {
            let words = part
                .get(pair * k_pairs..(pair + 1) * k_pairs)
                .unwrap_or(&[]);
            let mut sums = [0u64; 2];
            for lane in words.iter().flat_map(|&w| [w as i16, (w >> 16) as i16]) {
                let low = lane as i8;
                let high = (i32::from(lane) - i32::from(low)) >> 8;
                sums[0] += u64::from(high.unsigned_abs());
                sums[1] += u64::from(low.unsigned_abs());
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                let part = sum * u64::from(input_max) + half;
                worst_part = worst_part.max(part);
                *total += (part >> part_shift.min(31)) + 1;
            }
        }
        worst_total = worst_total.max(totals[0]).max(totals[1]);
    }
    (worst_part, worst_total)
}

/// Largest |raw score| of a head row: i16 weights times h, plus the bias.
pub fn head(weights: &[i16], bias: i32) -> u64 {
    weights
        .iter()
        .map(|w| u64::from(w.unsigned_abs()) << 15)
        .sum::<u64>()
        + u64::from(bias.unsigned_abs())
}
