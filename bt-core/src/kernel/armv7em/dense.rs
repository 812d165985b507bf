//! Whole products of a dense map.

use core::arch::global_asm;

use crate::kernel::DenseRows;

global_asm!(dsp_cpu!(), include_str!("dense.s"), options(raw));

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

/// The twin of [`portable::dense_add`](crate::kernel::portable::dense_add).
pub(crate) fn dense_add(rows: &DenseRows<'_>, x: &[u32], scales: &[u32], z: &mut [u32]) {
    let words = rows.k_pairs;
    let pairs = rows.pairs(x, scales, z);
    if pairs == 0 {
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
