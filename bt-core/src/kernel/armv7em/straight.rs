//! The most frequent stages by `straight.s`: weights in the FPU's registers, no test and no look-up a tile.

use crate::program::{Accumulate, Contraction, StageRecord, Store, TILE};
use crate::q::half;

/// Pairs of k of a row, and tiles of one, for which there is code.
const PAIRS: core::ops::RangeInclusive<u16> = 2..=16;
const TILES: core::ops::RangeInclusive<u16> = 1..=16;

/// Pairs of k of a row whose blocks have a copy of their own behind the first one, where tiles are stored as columns.
const APART: [u16; 2] = [10, 9];

/// Bits that sums are saturated to, and shifts of them, for which there is code.
const SATURATED_BITS: core::ops::RangeInclusive<u8> = 15..=16;
const SHIFTS: core::ops::RangeInclusive<u8> = 13..=15;

/// Shifts of a slice's sums for which there is code.
const SLICE_SHIFTS: core::ops::RangeInclusive<u8> = 2..=5;

/// What `straight.s` is told of a stage of saturated values; it names the offsets.
#[repr(C)]
struct Saturating {
    rows_end: *const u16,
    /// Destination of the last tile of a row, less the row's.
    last: *mut u32,
    load: u32,
    loaded: u32,
    first: u32,
    weights: *const u32,
    rows: *const u16,
    x: *const u32,
    /// Of two tiles.
    tiles: [[u32; 4]; 2],
    /// Bytes from tile to tile.
    stride: usize,
    last_put: u32,
    push: u32,
    twos: u32,
}

/// What it is told of a slice whose sums join the kept ones, in the same places.
#[repr(C)]
struct Folding {
    /// `last` of the row behind the last one.
    last_end: *mut u32,
    /// Bytes of the kept sums of a row of tiles.
    row_bytes: usize,
    load: u32,
    loaded: u32,
    first: u32,
    weights: *const u32,
    /// Kept sums of the last tile of the first row.
    last: *mut u32,
    x: *const u32,
    /// Of two tiles.
    tiles: [[u32; 4]; 2],
    /// Bytes of the kept sums of a tile.
    stride: usize,
    row: u32,
    push: u32,
    twos: u32,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Saturating>() == size_of::<Folding>());
    assert!(offset_of!(Saturating, twos) == offset_of!(Folding, twos));
    assert!(offset_of!(StageRecord, input_word) == 4 && offset_of!(StageRecord, store) == 42);
};

/// Addresses in `straight.s`.
#[repr(C)]
struct Codes {
    /// By block, from 1 on.
    blocks: [Block; 15],
    /// Pushes of so many times two tiles.
    twos: [u32; 8],
    /// One tile, then the others.
    odd: u32,
    pairs: SaturatingEnding,
    columns: SaturatingEnding,
    /// By [`SLICE_SHIFTS`].
    fold: [u32; 4],
    /// Goes on when the weights are loaded.
    loaded: u32,
    /// The next row of a slice.
    folding_row: u32,
    /// Of columns, by [`APART`].
    apart: [Phase; 2],
}

#[repr(C)]
struct Block {
    /// Loads the weights of this one and the following.
    load: u32,
    start: u32,
}

#[repr(C)]
struct SaturatingEnding {
    /// By words of X that the second block expects to be there.
    phases: [Phase; 3],
    last: u32,
    /// By [`SATURATED_BITS`] and [`SHIFTS`].
    saturate: [[u32; 3]; 2],
}

#[repr(C)]
struct Phase {
    /// Stores a tile and goes on with `first`.
    store: u32,
    /// The first block of a tile.
    first: u32,
}

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

    /// Runs all tiles of a stage.
    ///
    /// # Safety
    ///
    /// The pointers are those of a sound contraction; its codes are right for it.
    fn bt_core_saturating(told: &Saturating);

    /// As `bt_core_saturating`, of a slice.
    ///
    /// # Safety
    ///
    /// As there.
    fn bt_core_folding(told: &Folding);

    safe static bt_core_two_step_code: Codes;
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
                && stage.store <= Store::Columns as u8
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
    let stage = run.stage;
    // SAFETY: the caller has seen to it.
    unsafe {
        match (run.accumulate, stage.shift) {
            (Accumulate::Single, 16) => bt_core_straight(
                stage,
                run.weights.as_ptr(),
                run.rows.as_ptr(),
                memory,
                memory.wrapping_add(run.out_word),
            ),
            (Accumulate::Single, _) => saturating(run, memory),
            _ => folding(run, memory),
        }
    }
}

/// What both forms of two steps are told alike.
struct Told {
    /// The second block of a row of weights.
    second: &'static Block,
    /// By words of X that it expects to be there.
    phase: usize,
    /// Tiles of a row but for one.
    others: usize,
    x: *const u32,
    /// The code that takes a row's first tiles, one or two of them, and that which takes all others by twos.
    push: u32,
    twos: u32,
}

impl Told {
    #[inline(always)]
    fn new(run: &Contraction<'_>, memory: *mut u32) -> Option<Told> {
        let (stage, codes) = (run.stage, &bt_core_two_step_code);
        // From block 1 on; the last one is the fifteenth.
        let second = usize::from(PAIRS.end().checked_sub(stage.k_pairs)?);
        let others = usize::from(stage.n_tiles.checked_sub(1)?);
        let twos = *codes.twos.get(others / 2)?;
        let is_even = others.is_multiple_of(2);
        Some(Told {
            second: codes.blocks.get(second)?,
            // Block 1 + second reads four words of X, of which 2, 1 or 0 are there already.
            phase: second * 2 % 3,
            others,
            x: memory.wrapping_add(stage.input_word as usize),
            push: if is_even { twos } else { codes.odd },
            twos,
        })
    }
}

/// Runs whose values are saturated.
///
/// # Safety
///
/// As of [`contract`].
#[inline(never)]
unsafe fn saturating(run: &Contraction<'_>, memory: *mut u32) {
    if let Some(told) = told_saturating(run, memory) {
        // SAFETY: the caller has seen to it; the codes are those of the run's sizes, store and shift.
        unsafe { bt_core_saturating(&told) };
    }
}

#[inline(always)]
fn told_saturating(run: &Contraction<'_>, memory: *mut u32) -> Option<Saturating> {
    let (told, codes) = (Told::new(run, memory)?, &bt_core_two_step_code);
    let stage = run.stage;
    let apart = APART.iter().position(|&pairs| pairs == stage.k_pairs);
    let (ending, apart) = match Store::from_number(stage.store)? {
        Store::Pairs => (&codes.pairs, None),
        _ => (&codes.columns, apart),
    };
    let phase = match apart {
        Some(at) => codes.apart.get(at)?,
        None => ending.phases.get(told.phase)?,
    };
    let bits = stage.bits.checked_sub(*SATURATED_BITS.start())?;
    let shift = stage.shift.checked_sub(*SHIFTS.start())?;
    let saturate = ending.saturate.get(usize::from(bits))?;
    let saturate = *saturate.get(usize::from(shift))?;
    let col_stride = usize::from(stage.col_stride);
    let second = told.second.start;
    let rounding = half(stage.shift.into()) as u32;
    Some(Saturating {
        rows_end: run.rows.as_ptr().wrapping_add(stage.m_tiles.into()),
        last: memory.wrapping_add(run.out_word + told.others * col_stride),
        load: told.second.load,
        loaded: codes.loaded,
        first: phase.first,
        weights: run.weights.as_ptr(),
        rows: run.rows.as_ptr(),
        x: told.x,
        tiles: [[second, rounding, saturate, phase.store]; 2],
        stride: col_stride * 4,
        last_put: ending.last,
        push: told.push,
        twos: told.twos,
    })
}

/// Slices whose sums join the kept ones.
///
/// # Safety
///
/// As of [`contract`].
#[inline(never)]
unsafe fn folding(run: &Contraction<'_>, memory: *mut u32) {
    if let Some(told) = told_folding(run, memory) {
        // SAFETY: the caller has seen to it; the codes are those of the run's sizes and shift.
        unsafe { bt_core_folding(&told) };
    }
}

#[inline(always)]
fn told_folding(run: &Contraction<'_>, memory: *mut u32) -> Option<Folding> {
    let (told, codes) = (Told::new(run, memory)?, &bt_core_two_step_code);
    let stage = run.stage;
    // What it does before it goes on to the others depends on no store.
    let first = codes.pairs.phases.get(told.phase)?.first;
    let shift = stage.slice_shift.checked_sub(*SLICE_SHIFTS.start())?;
    let fold = *codes.fold.get(usize::from(shift))?;
    let row_words = (told.others + 1) * TILE;
    let last = memory.wrapping_add(stage.acc_word as usize + told.others * TILE);
    let second = told.second.start;
    let rounding = half(stage.slice_shift.into()) as u32;
    Some(Folding {
        last_end: last.wrapping_add(usize::from(stage.m_tiles) * row_words),
        row_bytes: row_words * 4,
        load: told.second.load,
        loaded: codes.loaded,
        first,
        weights: run.weights.as_ptr(),
        last,
        x: told.x,
        tiles: [[second, rounding, fold, first]; 2],
        stride: TILE * 4,
        row: codes.folding_row,
        push: told.push,
        twos: told.twos,
    })
}
