//! Twins of [`portable`](super::portable) kernels for cores with the DSP extension: Armv7E-M
//! (Cortex-M4, M7) and Armv8-M Mainline (M33, M55) by feature `dsp`.
//!
//! The weights of a contraction wait in the registers of an FPU where there is one and feature
//! `no-fp-registers` is off, else they are loaded for each tile.
#![allow(unsafe_code)]

// Helium has its own.
#[cfg(not(bt_kernel = "helium"))]
mod dense;
#[cfg(not(bt_kernel = "helium"))]
mod gather;
#[cfg(not(bt_kernel = "helium"))]
mod head;
pub(super) mod places;

use core::arch::global_asm;

use crate::program::{Accumulate, Contraction, StageRecord};
use crate::q::half;
#[cfg(not(bt_kernel = "helium"))]
pub(crate) use dense::dense_add;
#[cfg(not(bt_kernel = "helium"))]
pub(crate) use head::head_add;

// Helium has its own.
#[cfg(all(bt_fp_registers, not(bt_kernel = "helium")))]
mod straight;

#[cfg(all(bt_fp_registers, not(bt_kernel = "helium")))]
global_asm!(
    dsp_cpu!(),
    include_str!("weights_fp.s"),
    include_str!("contract.s"),
    include_str!("straight.s"),
    options(raw)
);
#[cfg(all(bt_fp_registers, bt_kernel = "helium"))]
global_asm!(
    dsp_cpu!(),
    include_str!("weights_fp.s"),
    include_str!("contract.s"),
    options(raw)
);
#[cfg(not(bt_fp_registers))]
global_asm!(
    dsp_cpu!(),
    include_str!("weights_core.s"),
    include_str!("contract.s"),
    options(raw)
);
global_asm!(dsp_cpu!(), include_str!("gather.s"), options(raw));
global_asm!(include_str!("words.s"), options(raw));

unsafe extern "C" {
    /// Runs all tiles of a stage.
    ///
    /// # Safety
    ///
    /// Every place that `stage` names lies in the arena at `memory` and, from `out` on, in it too;
    /// there are `weights` for all its rows, entries of `rows` and, if it reads them, of `cols` for all
    /// its tiles. Store, shift, bits and column stride are those that `parse` allows.
    fn bt_core_contract_tiles(
        stage: &StageRecord,
        weights: *const u32,
        rows: *const u16,
        memory: *mut u32,
        cols: *const u16,
        out: *mut u32,
        accumulate: Accumulate,
    );
}

// What `contract.s` knows of the records.
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(StageRecord, input_word) == 4 && offset_of!(StageRecord, acc_word) == 8);
    assert!(offset_of!(StageRecord, row_stride) == 20 && offset_of!(StageRecord, m_tiles) == 32);
    assert!(offset_of!(StageRecord, n_tiles) == 34 && offset_of!(StageRecord, k_pairs) == 36);
    assert!(offset_of!(StageRecord, store) == 42 && offset_of!(StageRecord, shift) == 43);
    assert!(offset_of!(StageRecord, bits) == 44 && offset_of!(StageRecord, slice_shift) == 45);
    assert!(offset_of!(StageRecord, col_stride) == 46);
};

/// The twin of [`portable::contract`](super::portable::contract).
///
/// # Safety
///
/// [`Contraction::is_sound`] of the words of `memory`: X, accumulators and every destination lie in it, there
/// are weights for every row and an entry of `rows` and `cols` for every tile, and store, shift and width
/// are among those there are.
#[inline(always)]
pub(super) unsafe fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
    if run.accumulate == Accumulate::First && run.stage.slice_shift > 0 {
        // SAFETY: the caller has seen to it.
        unsafe { start_kept(run.stage, memory) };
    }
    let memory = memory.as_mut_ptr();
    #[cfg(all(bt_fp_registers, not(bt_kernel = "helium")))]
    if straight::is_straight(run) {
        // SAFETY: the caller has seen to it.
        unsafe { straight::contract(run, memory) };
        return;
    }
    let out = memory.wrapping_add(run.out_word);
    // SAFETY: the caller has seen to it.
    unsafe {
        bt_core_contract_tiles(
            run.stage,
            run.weights.as_ptr(),
            run.rows.as_ptr(),
            memory,
            run.cols.as_ptr(),
            out,
            run.accumulate,
        );
    }
}

/// The twin of `portable::start_kept`.
///
/// # Safety
///
/// The stage's sums lie in `memory`, and there is a tile of them.
#[inline(always)]
pub(super) unsafe fn start_kept(stage: &StageRecord, memory: &mut [u32]) {
    let kept = memory.as_mut_ptr().wrapping_add(stage.acc_word as usize);
    let first = half(stage.shift.into()) as u32;
    // SAFETY: eight sums of each tile are there, as the caller says.
    unsafe { bt_core_fill_eights(kept, stage.tiles().get(), first) };
}

unsafe extern "C" {
    /// Sets words to a value, eight at a time.
    ///
    /// # Safety
    ///
    /// `eights` ≥ 1; 8 · `eights` words are writable.
    fn bt_core_fill_eights(words: *mut u32, eights: usize, value: u32);

    /// Copies words, eight at a time.
    ///
    /// # Safety
    ///
    /// `eights` ≥ 1; 8 · `eights` words are readable at `from` and writable at `to`.
    fn bt_core_copy_eights(to: *mut u32, from: *const u32, eights: usize);
}

/// The twin of [`portable::clear`](super::portable::clear).
pub(crate) fn clear(words: &mut [u32]) {
    let (eights, tail) = words.as_chunks_mut::<8>();
    if !eights.is_empty() {
        // SAFETY: so many eights of words are there.
        unsafe { bt_core_fill_eights(eights.as_mut_ptr().cast(), eights.len(), 0) };
    }
    for word in tail {
        *word = 0;
    }
}

/// The twin of [`portable::copy`](super::portable::copy).
pub(crate) fn copy(to: &mut [u32], from: &[u32]) {
    let count = to.len().min(from.len());
    let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) else {
        return;
    };
    let (to, to_tail) = to.as_chunks_mut::<8>();
    let (from, from_tail) = from.as_chunks::<8>();
    if !to.is_empty() {
        // SAFETY: so many eights of words are in both, and a slice that can be written overlaps no other.
        unsafe { bt_core_copy_eights(to.as_mut_ptr().cast(), from.as_ptr().cast(), to.len()) };
    }
    for (to, from) in to_tail.iter_mut().zip(from_tail) {
        *to = *from;
    }
}

/// What `gather.s` is told of the rows: it names the offsets.
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
    debug_assert!(fits || rows == 0);
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
