//! The most frequent stages by `straight.s`: weights in the FPU's registers, no test and no look-up a tile.

use crate::program::{Accumulate, Contraction, Store};
use crate::q::half;

/// Pairs of k of a row, and tiles of one, for which there is code.
const PAIRS: core::ops::RangeInclusive<u16> = 2..=16;
const TILES: core::ops::RangeInclusive<u16> = 1..=16;

/// Shifts of sums that are saturated to [`SATURATED_BITS`] for which there is code.
const SHIFTS: core::ops::RangeInclusive<u8> = 12..=15;
const SATURATED_BITS: u8 = 15;

/// What `straight.s` is told of a stage of sums' tops; it names the offsets.
#[repr(C)]
struct Straight {
    x: *const u32,
    weights: *const u32,
    rows: *const u16,
    /// Destination of the last tile of a row, less the row's.
    last: *mut u32,
    second: u32,
    load: u32,
    ending: u32,
    second_again: u32,
    rows_end: *const u16,
    ending_again: u32,
    first: u32,
    /// Bytes from tile to tile.
    stride: usize,
    last_ending: u32,
    push: u32,
    twos: u32,
}

/// What `straight.s` is told of a stage of saturated values.
#[repr(C)]
struct Saturating {
    x: *const u32,
    weights: *const u32,
    rows: *const u16,
    second: u32,
    /// Destination of the last tile of a row, less the row's.
    last: *mut u32,
    saturate: u32,
    put: u32,
    second_again: u32,
    rows_end: *const u16,
    saturate_again: u32,
    put_again: u32,
    /// Bytes from tile to tile.
    stride: usize,
    last_put: u32,
    push: u32,
    load: u32,
    first: u32,
    rounding: u32,
    twos: u32,
}

/// Addresses in `straight.s`.
#[repr(C)]
struct Codes {
    /// By block, from 1 on.
    blocks: [Block; 15],
    /// Pushes of so many times two tiles.
    twos: [u32; 8],
    /// One tile, then the others.
    odd: u32,
    pairs: Ending,
    columns: Ending,
    saturating_loads: [u32; 15],
    saturating_twos: [u32; 8],
    saturating_odd: u32,
    saturating_pairs: SaturatingEnding,
    saturating_columns: SaturatingEnding,
}

#[repr(C)]
struct Block {
    /// Loads the weights of this one and the following.
    load: u32,
    start: u32,
}

#[repr(C)]
struct Ending {
    /// By words of X that the second block expects to be there.
    phases: [Phase; 3],
    last: u32,
}

#[repr(C)]
struct SaturatingEnding {
    phases: [Phase; 3],
    last: u32,
    /// By [`SHIFTS`].
    saturate: [u32; 4],
}

#[repr(C)]
struct Phase {
    /// Stores a tile and goes on with `first`.
    store: u32,
    /// The first block of a tile.
    first: u32,
}

unsafe extern "C" {
    /// Runs all tiles of a stage.
    ///
    /// # Safety
    ///
    /// The pointers are those of a sound contraction; its codes are right for it.
    fn bt_core_straight(told: &Straight);

    /// As `bt_core_straight`.
    ///
    /// # Safety
    ///
    /// As there.
    fn bt_core_saturating(told: &Saturating);

    safe static bt_core_straight_code: Codes;
}

/// Whether a run is of such a stage.
#[inline(always)]
pub(super) fn is_straight(run: &Contraction<'_>) -> bool {
    let stage = run.stage;
    run.accumulate == Accumulate::Single
        && (stage.shift == 16 && stage.bits == 16
            || stage.bits == SATURATED_BITS && SHIFTS.contains(&stage.shift))
        && stage.col_stride > 0
        && stage.store <= Store::Columns as u8
        && PAIRS.contains(&stage.k_pairs)
        && TILES.contains(&stage.n_tiles)
}

/// The twin of [`portable::contract`](crate::kernel::portable::contract) for runs that are [`is_straight`].
///
/// # Safety
///
/// [`Contraction::is_sound`] of the words of `memory`.
#[inline(never)]
pub(super) unsafe fn contract(run: &Contraction<'_>, memory: *mut u32) {
    debug_assert!(is_straight(run));
    if run.stage.bits == SATURATED_BITS {
        // SAFETY: as below.
        unsafe { saturating(run, memory) };
        return;
    }
    if let Some(told) = told(run, memory) {
        // SAFETY: the caller has seen to it; the codes are those of the run's sizes and store.
        unsafe { bt_core_straight(&told) };
    }
}

/// What both forms are told alike.
struct Told {
    /// The second block of a row of weights, counted from block 1.
    second: usize,
    /// By words of X that it expects to be there.
    phase: usize,
    /// Tiles of a row but for one.
    others: usize,
    x: *const u32,
    rows_end: *const u16,
    last: *mut u32,
    stride: usize,
}

impl Told {
    #[inline(always)]
    fn new(run: &Contraction<'_>, memory: *mut u32) -> Option<Told> {
        let stage = run.stage;
        // From block 1 on; the last one is the fifteenth.
        let second = usize::from(PAIRS.end().checked_sub(stage.k_pairs)?);
        let others = usize::from(stage.n_tiles.checked_sub(1)?);
        let col_stride = usize::from(stage.col_stride);
        Some(Told {
            second,
            // Block 1 + second reads four words of X, of which 2, 1 or 0 are there already.
            phase: (second + 1) * 2 % 3,
            others,
            x: memory.wrapping_add(stage.input_word as usize),
            rows_end: run.rows.as_ptr().wrapping_add(stage.m_tiles.into()),
            last: memory.wrapping_add(run.out_word + others * col_stride),
            stride: col_stride * 4,
        })
    }

    /// The code that takes a row's first tiles, one or two of them, and that which takes all others by twos.
    #[inline(always)]
    fn pushes(&self, twos: &[u32; 8], odd: u32) -> Option<[u32; 2]> {
        let twos = *twos.get(self.others / 2)?;
        let is_even = self.others.is_multiple_of(2);
        Some([if is_even { twos } else { odd }, twos])
    }
}

#[inline(always)]
fn told(run: &Contraction<'_>, memory: *mut u32) -> Option<Straight> {
    let (told, codes) = (Told::new(run, memory)?, &bt_core_straight_code);
    let block = codes.blocks.get(told.second)?;
    let ending = match Store::from_number(run.stage.store)? {
        Store::Pairs => &codes.pairs,
        _ => &codes.columns,
    };
    let phase = ending.phases.get(told.phase)?;
    let [push, twos] = told.pushes(&codes.twos, codes.odd)?;
    Some(Straight {
        x: told.x,
        weights: run.weights.as_ptr(),
        rows: run.rows.as_ptr(),
        last: told.last,
        second: block.start,
        load: block.load,
        ending: phase.store,
        second_again: block.start,
        rows_end: told.rows_end,
        ending_again: phase.store,
        first: phase.first,
        stride: told.stride,
        last_ending: ending.last,
        push,
        twos,
    })
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
    let (told, codes) = (Told::new(run, memory)?, &bt_core_straight_code);
    let stage = run.stage;
    let start = codes.blocks.get(told.second)?.start;
    let ending = match Store::from_number(stage.store)? {
        Store::Pairs => &codes.saturating_pairs,
        _ => &codes.saturating_columns,
    };
    let phase = ending.phases.get(told.phase)?;
    let shift = stage.shift.checked_sub(*SHIFTS.start())?;
    let saturate = *ending.saturate.get(usize::from(shift))?;
    let [push, twos] = told.pushes(&codes.saturating_twos, codes.saturating_odd)?;
    Some(Saturating {
        x: told.x,
        weights: run.weights.as_ptr(),
        rows: run.rows.as_ptr(),
        second: start,
        last: told.last,
        saturate,
        put: phase.store,
        second_again: start,
        rows_end: told.rows_end,
        saturate_again: saturate,
        put_again: phase.store,
        stride: told.stride,
        last_put: ending.last,
        push,
        load: *codes.saturating_loads.get(told.second)?,
        first: phase.first,
        rounding: half(stage.shift.into()) as u32,
        twos,
    })
}
