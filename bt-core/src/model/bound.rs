//! The proof that no accumulator can leave i32: used by the exporter to choose scales and by
//! `Model::parse` to refuse a file, so both ends agree by construction.
//!
//! For every row of W: Σ|w|·max|x| + 2^(shift−1) ≤ 2³¹ − 1, where a row that accumulates over an
//! outer mode sums over all its slices (or over their rounded sums, of which each is bounded alike), and max|x| is the largest magnitude that any store of the
//! map can leave in the panels the stage reads. That rests on two things ([`written_max`],
//! [`has_accumulators_alone`]):
//!
//! - *Panels may share words with anything that is stored.* A program stores i16 alone, so that whatever
//!   lies in a panel, written there or left over, is no larger than the largest store that reaches its
//!   words. In which order the stores come is ignored, which only widens the bound; so buffers that are
//!   never alive together share words freely, as the exporter's plans have it. The scratch is zero when
//!   a map starts, or the bound holds for any i16.
//! - *Accumulators share words with nothing.* They are i32 and live across runs, from the first slice to
//!   the last, while other stages run and slabs are gathered. Words that a store, the slab or another
//!   stage's accumulators change in between are no partial sum any more; words that a stage reads as a panel
//!   hold any i16. Plans never place anything over accumulators, dead ones included, so the rule is the
//!   same for all runs.
//!
//! Dense maps read h, or a buffer that only frames are gathered in. What pads an odd number of values is
//! written by no one: its weight is zero, which `parse` checks.

use crate::kernel::ByteRows;
use crate::program::{Program, Region, StageRecord, Store, panel};

/// The largest magnitude that slabs, of values up to `frame_max`, and stores can leave in a region of the
/// scratch; 0 where they leave it alone. The regions of every stage are sound.
#[inline(never)]
pub fn written_max(program: &Program<'_>, tables: &[u16], frame_max: u32, region: Region) -> u32 {
    let mut max = match program.record.slab(tables) {
        Some(slab) if slab.overlaps(region) => frame_max,
        _ => 0,
    };
    for stage in program.stages {
        // Stores that add go to z, which is no part of the scratch.
        let adds = Store::from_number(stage.store).is_none_or(Store::adds);
        let out = stage.out(tables, program.extents());
        if !adds && out.is_ok_and(|out| out.overlaps(region)) {
            max = max.max(1 << (stage.bits.wrapping_sub(1) % 16));
        }
    }
    max
}

/// Whether nothing but stage `index` touches its accumulators. The regions of every stage are sound.
#[inline(always)]
pub fn has_accumulators_alone(program: &Program<'_>, tables: &[u16], index: usize) -> bool {
    let Some(acc) = program.stages.get(index).and_then(StageRecord::acc) else {
        return true;
    };
    is_unread(program, acc, index) && written_max(program, tables, 1 << 15, acc) == 0
}

/// Whether no stage reads the accumulators of stage `index` as its panels, or keeps its own there.
// The stack holds its frame or that of `written_max`.
#[inline(never)]
fn is_unread(program: &Program<'_>, acc: Region, index: usize) -> bool {
    program.stages.iter().enumerate().all(|(other, stage)| {
        !stage.input().overlaps(acc)
            && (other == index || stage.acc().is_none_or(|other| !other.overlaps(acc)))
    })
}

/// Largest |accumulator| of a contraction, rounding constant included, for inputs up to `input_max`.
///
/// `weights` holds all slices of the stage. Rows accumulate over slices when the stage has accumulators: as
/// they are, or each slice's sum rounded to coarser ones, which has to keep to 32 bits itself.
#[inline(never)]
pub fn contraction(stage: &StageRecord, weights: &[u32], input_max: u32) -> u64 {
    let pairs = stage.k_pairs as usize;
    let slice = stage.slice_words().get();
    let accumulates = stage.acc().is_some();
    let (shift, fold) = (stage.shift.clamp(1, 32), stage.slice_shift.min(31));
    let mut worst = 0u64;
    for row in 0..stage.m_tiles as usize * 2 {
        let first = panel::weight_word(pairs, row, 0);
        // At most 65,535 slices of 2^47.
        let mut total = 0u64;
        for slice in weights.chunks_exact(slice.max(1)) {
            let words = slice.get(first..).unwrap_or(&[]);
            let sum = magnitudes(words.iter().step_by(2).take(pairs));
            let sum = u64::from(sum) * u64::from(input_max);
            if !accumulates {
                total = total.max(sum);
            } else if fold == 0 {
                total += sum;
            } else {
                let rounded = sum + (1 << (fold - 1));
                worst = worst.max(rounded);
                total += (rounded >> fold) + 1;
            }
        }
        worst = worst.max(total + (1 << (shift - 1)));
    }
    worst
}

/// Whether the sums of a stage whose weights lie in `section` keep to 32 bits for inputs up to
/// `input_max`.
#[inline(never)]
pub fn fits(stage: &StageRecord, section: &[u32], input_max: u32) -> bool {
    stage
        .weights(section)
        .is_some_and(|all| contraction(stage, all, input_max) <= i32::MAX as u64)
}

/// Σ |low| + |high| of pairs of i16.
fn magnitudes<'w>(words: impl Iterator<Item = &'w u32>) -> u32 {
    // 65,535 pairs (`k_pairs` is an u16) of at most 2^16: a sum of a slice fits 32 bits.
    let pair = |&word: &u32| {
        u32::from((word as i16).unsigned_abs()) + u32::from(((word >> 16) as i16).unsigned_abs())
    };
    words.map(pair).fold(0, u32::wrapping_add)
}

/// Largest |accumulator| of a dense map's rows, over all slices or in any single one.
///
/// `weights` is `[slice][row pair][k / 2]` of 256·a + b lanes.
#[inline(never)]
pub fn dense(
    weights: &[u32],
    k_pairs: usize,
    row_pairs: usize,
    slice_shift: u32,
    input_max: u32,
) -> u64 {
    let mut worst = 0;
    let shift = slice_shift.min(31);
    let half = (1u64 << shift) >> 1;
    for row in 0..2 * row_pairs {
        let first = row / 2 * k_pairs;
        let mut total = 0;
        for slice in weights.chunks_exact((k_pairs * row_pairs).max(1)) {
            let words = slice.get(first..).unwrap_or(&[]).iter().take(k_pairs);
            let sum = lane_magnitudes(words, row % 2 == 0);
            let slice = sum * u64::from(input_max) + half;
            worst = worst.max(slice);
            total += (slice >> shift) + 1;
        }
        worst = worst.max(total);
    }
    worst
}

/// Σ |a| or Σ |b| of lanes 256·a + b.
fn lane_magnitudes<'w>(words: impl Iterator<Item = &'w u32>, is_first: bool) -> u64 {
    let lane = |lane: i16| {
        let low = i32::from(lane as i8);
        let high = (i32::from(lane) - low) >> 8;
        if is_first { high } else { low }.unsigned_abs()
    };
    // At most 2^24 values of a frame, each at most 128: the sum fits 32 bits.
    let words = words.map(|&word| lane(word as i16) + lane((word >> 16) as i16));
    words.fold(0, u32::wrapping_add).into()
}

/// Largest |accumulator| of a dense map's rows of bytes.
///
/// `weights` is whole fours of rows of [`ByteRows`].
#[inline(never)]
pub fn bytes(weights: &[u32], k_pairs: usize, input_max: u32) -> u64 {
    let row_words = (ByteRows::blocks(k_pairs) * ByteRows::BLOCK / 4).max(1);
    let rows = (0..weights.len() / row_words).map(|row| {
        let bytes = ByteRows::row(weights, k_pairs, row).flatten();
        // At most 2^24 values, each at most 128: the sum fits 32 bits.
        let sum = bytes.fold(0u32, |sum, weight| {
            sum.wrapping_add(weight.unsigned_abs().into())
        });
        u64::from(sum) * u64::from(input_max)
    });
    rows.max().unwrap_or(0)
}

/// Largest |raw score| of a head row: i16 weights times h, or a sum of h that is an i16 too, plus the bias as
/// many times as there are steps in the sum.
pub fn head(weights: &[i16], bias: i32, steps: u32) -> u64 {
    weights
        .iter()
        .map(|w| u64::from(w.unsigned_abs()) << 15)
        .sum::<u64>()
        + u64::from(bias.unsigned_abs()) * u64::from(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Noise;
    use crate::program::NONE;
    use bytemuck::Zeroable;

    /// The worst inputs are known: of every weight's sign, as large as they come. Summed up in i64 as a device
    /// sums them, they come to the bound, but for what rounding may add.
    #[test]
    fn the_worst_inputs_come_to_the_bound() {
        const SLICES: usize = 5;
        const PAIRS: usize = 3;
        const INPUT_MAX: i64 = 20_000;
        let mut noise = Noise(11);
        for (acc_word, slice_shift) in [(NONE, 0), (0, 0), (0, 2), (0, 3), (0, 9), (0, 16)] {
            let stage = StageRecord {
                acc_word,
                m_tiles: 1,
                n_tiles: 1,
                k_pairs: PAIRS as u16,
                slices: SLICES as u16,
                shift: 7,
                slice_shift,
                ..StageRecord::zeroed()
            };
            let weights: Vec<u32> = (0..SLICES * PAIRS * 2).map(|_| noise.next()).collect();
            let mut worst = 0;
            for row in 0..2 {
                let of_slice = |slice: usize| -> i64 {
                    let words = (0..PAIRS).map(|pair| weights[(slice * PAIRS + pair) * 2 + row]);
                    let pair = |word: u32| {
                        let halves = [word as i16, (word >> 16) as i16];
                        halves.map(|half| i64::from(half).abs()).iter().sum::<i64>()
                    };
                    words.map(pair).sum::<i64>() * INPUT_MAX
                };
                let sums = (0..SLICES).map(of_slice);
                let round = 1i64 << (stage.shift - 1);
                worst = worst.max(match (acc_word, slice_shift) {
                    (NONE, _) => sums.max().unwrap() + round,
                    (_, 0) => sums.sum::<i64>() + round,
                    _ => {
                        let half = 1i64 << (slice_shift - 1);
                        let kept = sums.clone().map(|sum| (sum + half) >> slice_shift);
                        (kept.sum::<i64>() + round).max(sums.max().unwrap() + half)
                    }
                });
            }
            let bound = contraction(&stage, &weights, INPUT_MAX as u32) as i64;
            let rounding = if slice_shift > 0 { SLICES as i64 } else { 0 };
            assert!(
                (worst..=worst + rounding).contains(&bound),
                "{slice_shift}: {worst} {bound}"
            );
        }
    }
}
