//! Rows of a head.

use core::arch::global_asm;

use crate::kernel::HeadRows;

global_asm!(dsp_cpu!(), include_str!("head.s"), options(raw));

/// What `head.s` is told, as it lies in its stack frame.
#[repr(C)]
struct HeadPairs {
    x: *const u32,
    /// Of four blocks of four words; the first begins at `entry`.
    loops: usize,
    weights: *const i16,
    /// Bytes from row to row.
    stride: usize,
    sums: *mut i32,
    sums_end: *mut i32,
    entry: u32,
    /// Words after the blocks.
    tail: usize,
}

unsafe extern "C" {
    /// Adds the products of pairs of rows to their sums.
    ///
    /// # Safety
    ///
    /// With n = 4 · blocks + `tail`: n words are readable at `x` and at each row of `weights`, which are aligned to
    /// words; sums are writable up to `sums_end`, an even number of them from their start and not it.
    fn bt_core_head_pairs(told: &HeadPairs);

    /// The sum and the products of one row.
    ///
    /// # Safety
    ///
    /// So many values are readable at `weights` and at `x`.
    fn bt_core_head_row(weights: *const i16, x: *const u32, values: usize, sum: i32) -> i32;

    safe static bt_core_head_code: [u32; 5];
}

/// The twin of [`portable::head_add`](crate::kernel::portable::head_add).
pub(crate) fn head_add(rows: &HeadRows<'_>, x: &[u32], sums: &mut [i32]) {
    let count = rows.count(x, sums);
    let (weights, words) = (rows.weights.as_ptr(), rows.values / 2);
    // Whole words, all of them aligned.
    let by_words = rows.values.is_multiple_of(2)
        && rows.stride.is_multiple_of(2)
        && weights.addr().is_multiple_of(4);
    let pairs = if by_words { count / 2 * 2 } else { 0 };
    if pairs > 0 {
        let blocks = words / 4;
        let [.., tail] = bt_core_head_code;
        let sums = sums.as_mut_ptr();
        let told = HeadPairs {
            x: x.as_ptr(),
            loops: blocks.div_ceil(4),
            weights,
            stride: rows.stride * 2,
            sums,
            sums_end: sums.wrapping_add(pairs),
            entry: if blocks == 0 {
                tail
            } else {
                bt_core_head_code[blocks.wrapping_neg() % 4]
            },
            tail: words % 4,
        };
        // SAFETY: `count` has found so many rows of `values` in `weights`, x for them and their sums, and the words of
        // all of them are aligned; `blocks` and `tail` make up a row.
        unsafe { bt_core_head_pairs(&told) };
    }
    for (row, sum) in sums.iter_mut().enumerate().take(count).skip(pairs) {
        let weights = weights.wrapping_add(row * rows.stride);
        // SAFETY: `count` has found the row in `weights`, and x for it.
        *sum = unsafe { bt_core_head_row(weights, x.as_ptr(), rows.values, *sum) };
    }
}
