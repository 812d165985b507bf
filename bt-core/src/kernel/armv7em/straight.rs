//! The most frequent stages by `straight.s`: weights in the FPU's registers, no test and no look-up a tile.

use crate::program::{Accumulate, Contraction, StageRecord, Store};

/// Pairs of k of a row, and tiles of one, for which there is code.
const PAIRS: core::ops::RangeInclusive<u16> = 2..=16;
const TILES: core::ops::RangeInclusive<u16> = 1..=16;

/// Most pairs where tiles are added to rows of z.
const ROWS_PAIRS_MAX: u16 = 8;

/// Bits that sums are saturated to, and shifts of them, for which there is code.
const SATURATED_BITS: core::ops::RangeInclusive<u8> = 15..=16;
const SHIFTS: core::ops::RangeInclusive<u8> = 13..=15;

/// Shifts of a slice's sums for which there is code.
const SLICE_SHIFTS: core::ops::RangeInclusive<u8> = 2..=5;

unsafe extern "C" {
    /// Runs all tiles of a stage of sums' tops.
    ///
    /// # Safety
    ///
    /// The places that `stage` names lie in the arena at `memory` and, from `out` on, in it too; there are `weights` for
    /// all its rows and entries of `rows` for all its tiles. It is one that [`is_straight`].
    fn bt_core_straight(
        stage: &StageRecord,
        weights: *const u32,
        rows: *const u16,
        memory: *mut u32,
        out: *mut u32,
    );

    /// As `bt_core_straight`, of a stage of saturated sums.
    ///
    /// # Safety
    ///
    /// As there.
    fn bt_core_saturating(
        stage: &StageRecord,
        weights: *const u32,
        rows: *const u16,
        memory: *mut u32,
        out: *mut u32,
    );

    /// Runs all tiles of a slice.
    ///
    /// # Safety
    ///
    /// X and kept sums of `stage` lie in the arena at `memory`; there are `weights` for all its rows. It is one that
    /// [`is_straight`].
    fn bt_core_folding(stage: &StageRecord, weights: *const u32, memory: *mut u32);
}

/// Whether a run is of such a stage.
#[inline(always)]
pub(super) fn is_straight(run: &Contraction<'_>) -> bool {
    let stage = run.stage;
    let has_ending = match run.accumulate {
        Accumulate::Single => {
            (stage.shift == 16 && stage.bits == 16
                || SATURATED_BITS.contains(&stage.bits) && SHIFTS.contains(&stage.shift))
                && stage.col_stride > 0
                && (stage.store <= Store::Columns as u8
                    || stage.store == Store::AddRows as u8 && stage.k_pairs <= ROWS_PAIRS_MAX)
        }
        Accumulate::First | Accumulate::Middle => SLICE_SHIFTS.contains(&stage.slice_shift),
        Accumulate::Last => false,
    };
    has_ending && PAIRS.contains(&stage.k_pairs) && TILES.contains(&stage.n_tiles)
}

/// The twin of [`portable::contract`](crate::kernel::portable::contract) for runs that are [`is_straight`]; kept sums
/// have been started.
///
/// # Safety
///
/// [`Contraction::is_sound`] of the words of `memory`.
#[inline(always)]
pub(super) unsafe fn contract(run: &Contraction<'_>, memory: *mut u32) {
    debug_assert!(is_straight(run));
    let (stage, weights, rows) = (run.stage, run.weights.as_ptr(), run.rows.as_ptr());
    let out = memory.wrapping_add(run.out_word);
    // SAFETY: the caller has seen to it.
    unsafe {
        match (run.accumulate, stage.shift) {
            (Accumulate::Single, 16) => bt_core_straight(stage, weights, rows, memory, out),
            (Accumulate::Single, _) => bt_core_saturating(stage, weights, rows, memory, out),
            _ => bt_core_folding(stage, weights, memory),
        }
    }
}
