//! Twins of [`portable`](super::portable) kernels for cores with the DSP extension and an FPU
//! (Armv7E-M hard float: Cortex-M4F, M7).
#![allow(unsafe_code)]

use core::arch::global_asm;

use super::{Accumulate, Contraction, DenseRows};
use crate::program::Store;

global_asm!(include_str!("contract.s"), options(raw));
global_asm!(include_str!("dense.s"), options(raw));
global_asm!(include_str!("gather.s"), options(raw));

/// Pairs of k that fit the FPU's registers: longer sums are added in passes.
const PASS_PAIRS: usize = 16;

/// What a run of a step does, for the assembly: a copy of it is its stack frame.
#[repr(C)]
struct Tiles {
    cols: *const u16,
    out: *mut u32,
    x_end: *const u32,
    round: i32,
    acc: *mut u32,
    tile: u32,
    loaded: u32,
    summed: u32,
    x: *const u32,
    w: *const u32,
    rows: *const u16,
    rows_end: *const u16,
    cols_start: *const u16,
    out_start: *mut u32,
    row: u32,
    complete: u32,
    pack: u32,
    store: u32,
    clamped: u32,
    kept: u32,
    row_stride: usize,
    w_tile: *const u32,
    w_end: *const u32,
    w_bytes: usize,
    w_first: u32,
    /// The stack is copied in pairs of words.
    padding: u32,
}

/// Code addresses in `contract.s`; pairs are (of shifted values, of sums whose top halves they are).
#[repr(C)]
struct Code {
    /// By first block, like the next two.
    load: [u32; PASS_PAIRS],
    first: [u32; PASS_PAIRS],
    enter: [u32; PASS_PAIRS],
    /// By shift less 1.
    shift: [u32; 16],
    /// By bits; 2 to 15 are there.
    clamp: [u32; 16],
    long_row: u32,
    long_tile: u32,
    long_next: u32,
    kept: u32,
    keep_first: u32,
    keep_again: u32,
    pack_pairs: [u32; 2],
    pack_rows: [u32; 2],
    /// By [`Store`].
    store: [[u32; 2]; 5],
}

unsafe extern "C" {
    /// Runs all tiles of a step.
    ///
    /// # Safety
    ///
    /// All pointers of `tiles` lead to what the step reads and writes, all codes are those of
    /// `bt_core_contract_code` that fit the step.
    fn bt_core_contract_tiles(tiles: &Tiles);

    safe static bt_core_contract_code: Code;
}

/// The twin of [`portable::contract`](super::portable::contract).
///
/// `Model::parse` has proven what the assembly relies on: that X, accumulators and every
/// destination lie in the arena, and that there is an entry of `rows` and `cols` for every tile.
pub(crate) fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
    let step = run.step;
    let code = &bt_core_contract_code;
    let pairs = step.k_pairs as usize;
    let is_long = pairs > PASS_PAIRS;
    // Blocks are right-aligned; masks stand for bounds that `parse` has checked.
    let block = pairs.wrapping_neg() % PASS_PAIRS;
    let store = run.store;
    let store_code = code.store[store as usize];
    let pack = match store {
        Store::Pairs => code.pack_pairs,
        _ => code.pack_rows,
    };
    let starts = match run.accumulate {
        Accumulate::Single | Accumulate::First => code.first[block],
        Accumulate::Middle | Accumulate::Last => code.kept,
    };
    let complete = match run.accumulate {
        Accumulate::First => code.keep_first,
        Accumulate::Middle => code.keep_again,
        // 16 bits hold the top half of any sum.
        _ if step.shift == 16 && step.bits == 16 => store_code[1],
        _ if step.shift == 16 => pack[1],
        _ => code.shift[step.shift.wrapping_sub(1) as usize % 16],
    };
    let base = memory.as_mut_ptr();
    let x = base.wrapping_add(step.input_word as usize);
    let out = base.wrapping_add(run.out_word);
    let weights = run.weights.as_ptr();
    let rows = run.rows.as_ptr();
    let cols = if store.is_table() {
        rows
    } else {
        run.cols.as_ptr()
    };
    let tiles = Tiles {
        cols,
        out,
        x_end: x.wrapping_add(step.n_tiles as usize * pairs * 4),
        round: 1 << (step.shift.wrapping_sub(1) % 16),
        acc: base.wrapping_add(step.acc_word as usize),
        tile: if is_long { code.long_tile } else { starts },
        loaded: starts,
        summed: if is_long { code.long_next } else { complete },
        x,
        w: weights,
        rows,
        rows_end: rows.wrapping_add(step.m_tiles as usize),
        cols_start: cols,
        out_start: out,
        row: if is_long {
            code.long_row
        } else {
            code.load[block]
        },
        complete,
        pack: pack[0],
        store: if step.bits == 16 {
            store_code[0]
        } else {
            code.clamp[step.bits as usize % 16]
        },
        clamped: store_code[0],
        kept: code.enter[block],
        row_stride: step.row_stride as usize * 4,
        w_tile: weights,
        w_end: weights,
        w_bytes: pairs * 8,
        w_first: code.load[block],
        padding: 0,
    };
    // SAFETY: a `Contraction` comes from `map::program`, of a `Model` that `parse` has checked and an
    // arena that is large enough for it: every place the step names lies in it, every table entry and
    // weight word exists. The codes are those of the step's store, shift and width.
    unsafe { bt_core_contract_tiles(&tiles) };
}

/// What `dense.s` is told, as it lies in its stack frame.
#[repr(C)]
struct DenseAdd {
    x: *const u32,
    /// Of eight blocks of four words; the first begins at `entry`.
    loops: usize,
    entry: u32,
    /// Words after the blocks.
    tail: usize,
    scales: *const u32,
    z: *mut u32,
    z_end: *mut u32,
    weights: *const u32,
}

unsafe extern "C" {
    /// Adds the products of all row pairs to z.
    ///
    /// # Safety
    ///
    /// With n = 4 · blocks + `tail` words in a row: n are readable at `x`, n for every word of z at
    /// `weights`, two at `scales`; z is writable up to `z_end`, which is not its start.
    fn bt_core_dense_rows(dense: &DenseAdd);

    safe static bt_core_dense_code: [u32; 9];
}

/// The twin of [`portable::dense_add`](super::portable::dense_add).
pub(crate) fn dense_add(rows: &DenseRows<'_>, x: &[u32], scales: &[u32], z: &mut [u32]) {
    let words = rows.k_pairs;
    let pairs = z.len().min(scales.len() / 2);
    let pairs = pairs.min(rows.weights.len().checked_div(words).unwrap_or(0));
    if pairs == 0 || x.len() < words {
        return;
    }
    let blocks = words / 4;
    let [.., tail] = bt_core_dense_code;
    let dense = DenseAdd {
        x: x.as_ptr(),
        loops: blocks.div_ceil(8),
        entry: if blocks == 0 {
            tail
        } else {
            bt_core_dense_code[blocks.wrapping_neg() % 8]
        },
        tail: words % 4,
        scales: scales.as_ptr(),
        z: z.as_mut_ptr(),
        z_end: z.as_mut_ptr().wrapping_add(pairs),
        weights: rows.weights.as_ptr(),
    };
    // SAFETY: `pairs` ≥ 1 rows of `words` words lie in `weights`, twice as many scales in `scales`, as
    // many words in z; x has `words` words; `blocks` and `tail` make up `words`.
    unsafe { bt_core_dense_rows(&dense) };
}

/// What `gather.s` is told of the rows.
#[repr(C)]
struct Rows {
    /// At least 1.
    rows: usize,
    fours: usize,
    tail: usize,
    in_group: usize,
    group_bytes: usize,
}

unsafe extern "C" {
    /// Whole rows of unsigned bytes.
    ///
    /// # Safety
    ///
    /// `rows.rows` ≥ 1 rows are readable at `bytes` and their words writable from `row` on.
    fn bt_core_gather_bytes(row: *mut u32, bytes: *const u8, rows: &Rows);

    /// Whole rows of bytes less 128.
    ///
    /// # Safety
    ///
    /// As for `bt_core_gather_bytes`.
    fn bt_core_gather_centred(row: *mut u32, bytes: *const u8, rows: &Rows);
}

/// The twin of `portable::whole_rows::<u8>`.
pub(super) fn gather_bytes(panels: &mut [u32], row_values: usize, row: usize, bytes: &[u8]) {
    if let Some((first, rows)) = rows_of(panels, row_values, row, bytes) {
        // SAFETY: `rows_of` has found the rows' words in `panels` and their bytes in `bytes`.
        unsafe { bt_core_gather_bytes(first, bytes.as_ptr(), &rows) };
    }
}

/// The twin of `portable::whole_rows::<Centred>`.
pub(super) fn gather_centred(panels: &mut [u32], row_values: usize, row: usize, bytes: &[u8]) {
    if let Some((first, rows)) = rows_of(panels, row_values, row, bytes) {
        // SAFETY: `rows_of` has found the rows' words in `panels` and their bytes in `bytes`.
        unsafe { bt_core_gather_centred(first, bytes.as_ptr(), &rows) };
    }
}

/// The first word of the rows in `panels` and what the assembly is told of them, if there is at least
/// one row and all fit.
fn rows_of(
    panels: &mut [u32],
    row_values: usize,
    row: usize,
    bytes: &[u8],
) -> Option<(*mut u32, Rows)> {
    let rows = bytes.len().checked_div(row_values)?;
    let panel = row_values.div_ceil(2) * 4;
    let last = (row + rows).checked_sub(1)?;
    let fits = rows > 0 && last / 4 * panel + last % 4 + panel - 3 <= panels.len();
    let first = panels.get_mut(row / 4 * panel + row % 4)?;
    fits.then_some((
        core::ptr::from_mut(first),
        Rows {
            rows,
            fours: row_values / 4,
            tail: row_values % 4,
            in_group: 4 - row % 4,
            group_bytes: (panel - 4) * 4,
        },
    ))
}
