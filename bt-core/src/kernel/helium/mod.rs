//! Twins of [`portable`](super::portable) kernels for cores with Helium (Cortex-M52, M55, M85) by feature
//! `helium`; what is rare is left to the kernels of the DSP extension, which these chips have too.
//!
//! They read what every other core reads: interleaving loads put the panels' rows apart, so that one model
//! file serves all cores. Rows of whole vectors, eight values, are the fastest, and of one or two vectors and a pair
//! more; plans for these cores have them ([`row_pairs`](crate::program::row_pairs)), and rows of bytes in dense maps.
#![allow(unsafe_code)]

mod head;

use core::arch::global_asm;

use super::armv7em::places::to_places;
use super::{ByteRows, Centred, DenseRows, ToPlaces, armv7em};
use crate::program::{Accumulate, Contraction, StageRecord, Store, TILE, VECTOR_PAIRS};
use crate::q::half;
pub(crate) use head::head_add;

global_asm!(include_str!("bytes.s"), options(raw));
global_asm!(include_str!("contract.s"), options(raw));
global_asm!(include_str!("dense.s"), options(raw));
global_asm!(include_str!("gather.s"), options(raw));

/// What `contract.s` is told, as it lies in its stack frame.
#[repr(C)]
struct Run {
    rounding: [u32; TILE],
    x: *const u32,
    n_tiles: usize,
    weights: *const u32,
    m_tiles: usize,
    rows: *const u16,
    out: *mut u32,
    /// Start values of the first tile; of the general loop of shifted sums code, the last slice's ending.
    start: *const u32,
    /// Bytes from one tile's to the next one's.
    start_step: usize,
    /// Bytes from column to column, or 0 and a table.
    col_stride: usize,
    cols: *const u16,
    /// Filled in by the assembly.
    own: [u32; 2],
    row_stride: usize,
    left_shift: i32,
    most: i32,
    least: i32,
    vectors: usize,
    part: usize,
    finish: u32,
    entry: u32,
    /// Of the loops alone.
    of_loops: [u32; 2],
    /// As [`folds_by`] says.
    fold: u32,
    kept: *mut u32,
}

unsafe extern "C" {
    /// Runs all tiles of a stage.
    ///
    /// # Safety
    ///
    /// The pointers are those of a sound contraction whose rows have at least four words and whose store is
    /// no table; `vectors` ≥ 1 and `part` ≤ 3 make up a row; `entry` and `finish` are of
    /// `bt_core_helium_code` and right for it.
    fn bt_core_helium_contract(run: &Run);

    /// Runs all tiles of a stage by the loop at `entry`.
    ///
    /// # Safety
    ///
    /// The pointers are those of a sound contraction; `entry` is that of `bt_core_helium_code` for the stage's
    /// rows, its store and what happens to its sums.
    fn bt_core_helium_loops(
        stage: &StageRecord,
        weights: *const u32,
        rows: *const u16,
        memory: *mut u32,
        cols: *const u16,
        out: *mut u32,
        entry: u32,
    );

    safe static bt_core_helium_code: [u32; 80];
}

/// Places in the table of code: for rows of one to four vectors, then of one and two with a pair before them, the
/// loops that keep sums, as they are or shifted, then those that store them, by columns at even distances or by the
/// table, then that which adds to z, and that which adds a last slice and stores pairs; the general loop; its endings; the general loop of shifted sums, what it does
/// with those of every slice, and of the last.
const LOOPS: usize = 12;
const GENERAL: usize = 6 * LOOPS;
const FOLD: usize = GENERAL + 5;
/// The loop that adds to z.
const ADD: usize = LOOPS - 2;
/// That which adds a last slice.
const LAST: usize = LOOPS - 1;
/// The first of the places of a row of so many pairs; no place where it has no loops.
const ROWS: [u8; 17] = {
    let mut rows = [u8::MAX; 17];
    let mut vectors = 1;
    while vectors <= 4 {
        rows[vectors * VECTOR_PAIRS] = ((vectors - 1) * LOOPS) as u8;
        if vectors <= 2 {
            rows[vectors * VECTOR_PAIRS + 1] = ((vectors + 3) * LOOPS) as u8;
        }
        vectors += 1;
    }
    rows
};

/// What sums of a slice are multiplied by: the high half of the doubled product, rounded, is the sum shifted right.
fn folds_by(slice_shift: u32) -> u32 {
    1 << (31 - slice_shift % 32)
}

/// The twin of [`portable::contract`](super::portable::contract).
///
/// # Safety
///
/// [`Contraction::is_sound`] of the words of `memory`.
#[inline(always)]
pub(super) unsafe fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
    let stage = run.stage;
    let pairs = usize::from(stage.k_pairs);
    // Short rows, and a place for each value: there is little to win.
    if pairs < VECTOR_PAIRS || stage.store >= Store::Scatter as u8 {
        // SAFETY: the caller has seen to it.
        unsafe { armv7em::contract(run, memory) };
        return;
    }
    // SAFETY: as above, with what was just asked.
    unsafe { vectors(run, memory, pairs) };
}

/// Stages of rows of at least four words that store whole tiles.
///
/// # Safety
///
/// As of [`contract`]; the rows have `pairs` words, at least [`VECTOR_PAIRS`], the store is no table.
#[inline(never)]
unsafe fn vectors(run: &Contraction<'_>, memory: &mut [u32], pairs: usize) {
    let stage = run.stage;
    let slice_shift = stage.slice_shift(run.accumulate);
    // Sums that are kept start from what is there.
    if run.accumulate == Accumulate::First {
        // SAFETY: the sums of a sound contraction's tiles, of which there are some, lie in the arena.
        unsafe { armv7em::start_kept(stage, memory) };
    }
    let is_even = stage.col_stride > 0;
    let is_added = stage.store >= Store::AddRows as u8;
    let is_top_half = stage.shift == 16 && stage.bits == 16;
    let of_loop = match run.accumulate {
        Accumulate::First | Accumulate::Middle => usize::from(slice_shift > 0),
        Accumulate::Single if !is_added => {
            2 + 2 * usize::from(stage.store)
                + if is_top_half { 0 } else { 4 }
                + usize::from(!is_even)
        }
        Accumulate::Single if is_even && stage.bits == 16 => ADD,
        Accumulate::Last if slice_shift > 0 && stage.store == Store::Pairs as u8 && is_even => LAST,
        _ => GENERAL,
    };
    let row = ROWS.get(pairs).copied().unwrap_or(u8::MAX);
    let entry = match of_loop {
        GENERAL => 0,
        _ => code(usize::from(row) + of_loop),
    };
    if entry == 0 {
        // SAFETY: as above.
        unsafe { general(run, memory, (pairs / VECTOR_PAIRS, pairs % VECTOR_PAIRS)) };
        return;
    }
    let memory = memory.as_mut_ptr();
    // SAFETY: the caller has seen to it that the run is sound; the loop is the one for it.
    unsafe {
        bt_core_helium_loops(
            stage,
            run.weights.as_ptr(),
            run.rows.as_ptr(),
            memory,
            run.cols.as_ptr(),
            memory.wrapping_add(run.out_word),
            entry,
        );
    }
}

#[inline(always)]
fn code(index: usize) -> u32 {
    bt_core_helium_code.get(index).copied().unwrap_or(0)
}

/// Stages without a loop of their own.
///
/// # Safety
///
/// As of [`contract`]; a row has so many vectors, at least one, and words before them, the store is no table.
/// Kept sums have been started.
#[inline(never)]
unsafe fn general(run: &Contraction<'_>, memory: &mut [u32], (vectors, part): (usize, usize)) {
    let stage = run.stage;
    let slice_shift = stage.slice_shift(run.accumulate);
    let rounding = match slice_shift {
        0 => half(stage.shift.into()),
        _ => 0,
    };
    let goes_on = run.accumulate != Accumulate::Single && slice_shift == 0;
    let memory = memory.as_mut_ptr();
    let stores = run.accumulate.stores();
    // The number of the ending: sums kept, or stored as pairs, columns, rows of z.
    let ending = if stores {
        1 + usize::from(stage.store)
    } else {
        0
    };
    let limit = 1i32 << (stage.bits.wrapping_sub(1) % 16);
    let kept = memory.wrapping_add(stage.acc_word as usize);
    // Shifted sums go on to an ending of the others, if they are stored.
    let last = GENERAL + 1 + ending;
    let (entry, finish) = match (slice_shift, stores) {
        (0, _) => (GENERAL, last),
        (_, false) => (FOLD, FOLD + 1),
        (_, true) => (FOLD, FOLD + 2),
    };
    let rounding = [rounding as u32; TILE];
    let told = Run {
        rounding,
        x: memory.wrapping_add(stage.input_word as usize),
        n_tiles: stage.n_tiles.into(),
        weights: run.weights.as_ptr(),
        m_tiles: stage.m_tiles.into(),
        rows: run.rows.as_ptr(),
        out: memory.wrapping_add(run.out_word),
        start: match (run.accumulate, slice_shift) {
            (Accumulate::Single, _) => rounding.as_ptr(),
            (_, 1..) => core::ptr::without_provenance(code(last) as usize),
            _ => kept.cast_const(),
        },
        start_step: if goes_on { TILE * 4 } else { 0 },
        col_stride: usize::from(stage.col_stride) * 4,
        cols: if stage.col_stride > 0 {
            core::ptr::null()
        } else {
            run.cols.as_ptr()
        },
        own: [0; 2],
        row_stride: stage.row_stride as usize * 4,
        left_shift: -i32::from(stage.shift),
        most: limit - 1,
        least: -limit,
        vectors,
        part,
        finish: code(finish),
        entry: code(entry),
        of_loops: [0; 2],
        fold: folds_by(slice_shift),
        kept,
    };
    // SAFETY: the caller has seen to it that the run is sound, and has asked for the rest.
    unsafe { bt_core_helium_contract(&told) };
}

/// What `dense.s` is told, as it lies in its stack frame.
#[repr(C)]
struct Dense {
    sums: [u32; 9],
    x: *const u32,
    /// Of eight steps; the first begins at `entry`.
    rounds: usize,
    stride: usize,
    entry: u32,
    z_end: *mut u32,
    skip: usize,
    scales: *const u32,
    z: *mut u32,
    weights: *const u32,
    /// Values of the last step, 1 to 8.
    last: usize,
}

unsafe extern "C" {
    /// Adds the products of row pairs, three at a time, to z.
    ///
    /// # Safety
    ///
    /// A row has 8 · steps + `last` halves: so many are readable at `x`, so many for every word of z at
    /// `weights`, two words at `scales`; z is writable up to `z_end`, a multiple of three words from its
    /// start and not it. `entry` is of `bt_core_helium_dense_code_3`.
    fn bt_core_helium_dense_3(dense: &Dense);

    /// As `bt_core_helium_dense_3`, one at a time.
    ///
    /// # Safety
    ///
    /// As there; any number of words, `entry` of `bt_core_helium_dense_code_1`.
    fn bt_core_helium_dense_1(dense: &Dense);

    safe static bt_core_helium_dense_code_3: [u32; 9];
    safe static bt_core_helium_dense_code_1: [u32; 9];
}

/// The twin of [`portable::dense_add`](super::portable::dense_add).
pub(crate) fn dense_add(rows: &DenseRows<'_>, x: &[u32], scales: &[u32], z: &mut [u32]) {
    let words = rows.k_pairs;
    let pairs = rows.pairs(x, scales, z);
    if pairs == 0 {
        return;
    }
    let steps = (words - 1) / 4;
    let entry = |code: &[u32; 9]| match steps {
        0 => code[8],
        _ => code[steps.wrapping_neg() % 8],
    };
    let threes = pairs / 3 * 3;
    let z = z.as_mut_ptr();
    let told = |first: usize, end: usize, entry: u32| Dense {
        sums: [0; 9],
        x: x.as_ptr(),
        rounds: steps.div_ceil(8),
        stride: words * 4,
        entry,
        z_end: z.wrapping_add(end),
        skip: (words * 4).wrapping_sub(steps * 16),
        scales: scales.as_ptr().wrapping_add(2 * first),
        z: z.wrapping_add(first),
        weights: rows.weights.as_ptr().wrapping_add(first * words),
        last: (words - steps * 4) * 2,
    };
    let (three, one) = (
        told(0, threes, entry(&bt_core_helium_dense_code_3)),
        told(threes, pairs, entry(&bt_core_helium_dense_code_1)),
    );
    // SAFETY: `pairs` rows of `words` words, 8 · steps + last halves, lie in `weights`, twice as many scales
    // in `scales`, as many words in z; x has `words` words. Neither function runs over nothing.
    unsafe {
        if threes > 0 {
            bt_core_helium_dense_3(&three);
        }
        if threes < pairs {
            bt_core_helium_dense_1(&one);
        }
    }
}

/// What `bytes.s` is told, as it lies in its stack frame.
#[repr(C)]
struct Bytes {
    x: *mut u32,
    /// Values of the first block, 2 to 16.
    first: usize,
    /// Blocks behind it; in rounds of eight, of which the first begins at `entry`.
    blocks: usize,
    rounds: usize,
    entry: u32,
    z_end: *mut u32,
    weights: *const u32,
    z: *mut u32,
    scales: *const u32,
    sums: *const u32,
}

unsafe extern "C" {
    /// Adds the products of rows of bytes, four at a time, to z.
    ///
    /// # Safety
    ///
    /// K = 16 · `blocks` + `first` halves, at least 16, are readable and writable at `x`; for every two words of z
    /// `blocks` + 1 blocks of 64 bytes are readable at `weights`, four words at `scales` and at `sums`; z is
    /// writable up to `z_end`, two words or a multiple of them from its start. `entry` is of `bt_core_helium_bytes_code`.
    fn bt_core_helium_bytes(bytes: &Bytes);

    safe static bt_core_helium_bytes_code: [u32; 9];
}

/// The twin of [`portable::bytes_add`](super::portable::bytes_add). Bytes of x lie apart while it runs.
pub(crate) fn bytes_add(rows: &ByteRows<'_>, x: &mut [u32], scales: &[u32], z: &mut [u32]) {
    let words = rows.k_pairs;
    let blocks = ByteRows::blocks(words);
    debug_assert!(x.len() == words && z.len() * 2 == scales.len());
    debug_assert_eq!(rows.sums.len(), scales.len());
    debug_assert_eq!(
        rows.weights.len(),
        blocks * ByteRows::BLOCK_WORDS * z.len() / 2
    );
    let of_weights = rows
        .weights
        .len()
        .checked_div(blocks * ByteRows::BLOCK_WORDS)
        .unwrap_or(0);
    let groups = (z.len() / 2)
        .min(scales.len() / ByteRows::ROWS)
        .min(rows.sums.len() / ByteRows::ROWS)
        .min(of_weights);
    // A block of values is read whole.
    if groups == 0 || x.len() < words || words < ByteRows::BLOCK / 2 {
        return;
    }
    let behind = blocks - 1;
    let z = z.as_mut_ptr();
    let told = Bytes {
        x: x.as_mut_ptr(),
        first: ByteRows::first(words),
        blocks: behind,
        rounds: behind.div_ceil(8),
        entry: match behind {
            0 => bt_core_helium_bytes_code[8],
            _ => bt_core_helium_bytes_code[behind.wrapping_neg() % 8],
        },
        z_end: z.wrapping_add(2 * groups),
        weights: rows.weights.as_ptr(),
        z,
        scales: scales.as_ptr(),
        sums: rows.sums.as_ptr(),
    };
    // SAFETY: x has `words` ≥ 8 words, 16 · behind + first halves; `groups` ≥ 1 times four rows lie in `weights`, as
    // many scales and sums in theirs, half as many words in z.
    unsafe { bt_core_helium_bytes(&told) };
}

unsafe extern "C" {
    fn bt_core_helium_places_bytes(
        panels: *mut i16,
        table: *const u16,
        values: *const u8,
        count: usize,
    );
    fn bt_core_helium_places_signed(
        panels: *mut i16,
        table: *const u16,
        values: *const i8,
        count: usize,
    );
    fn bt_core_helium_places_centred(
        panels: *mut i16,
        table: *const u16,
        values: *const Centred,
        count: usize,
    );
    fn bt_core_helium_places_halves(
        panels: *mut i16,
        table: *const u16,
        values: *const i16,
        count: usize,
    );
}

/// Samples whose places are filled by functions in assembly, so many values at once.
macro_rules! assembled {
    ($($sample:ty => $places:ident;)*) => {$(
        impl ToPlaces for $sample {
            fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]) {
                // SAFETY: `parse` has found that every place of a gather table lies in the scratch, which
                // `panels` leads into; only this crate can call it, with the table of a `Model`.
                unsafe {
                    to_places::<_, 1>($places, panels, table, values);
                };
            }
        }
    )*};
}

assembled! {
    u8 => bt_core_helium_places_bytes;
    i8 => bt_core_helium_places_signed;
    Centred => bt_core_helium_places_centred;
    i16 => bt_core_helium_places_halves;
}
