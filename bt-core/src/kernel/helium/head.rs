//! Rows of a head.

use core::arch::global_asm;

use crate::kernel::HeadRows;

global_asm!(include_str!("head.s"), options(raw));

/// What `head.s` is told.
#[repr(C)]
struct Head {
    x: *const u32,
    values: usize,
    sums: *mut i32,
    sums_end: *mut i32,
    /// Bytes from row to row.
    stride: usize,
    weights: *const i16,
}

unsafe extern "C" {
    /// Adds the products of rows, four at a time, to their sums.
    ///
    /// # Safety
    ///
    /// `values` ≥ 1 are readable at `x` and at each row of `weights`; sums are writable up to `sums_end`, a multiple of
    /// four of them from their start and not it.
    fn bt_core_helium_head_4(told: &Head);

    /// As `bt_core_helium_head_4`, one at a time.
    ///
    /// # Safety
    ///
    /// As there; any number of sums but none.
    fn bt_core_helium_head_1(told: &Head);
}

/// The twin of [`portable::head_add`](crate::kernel::portable::head_add).
pub(crate) fn head_add(rows: &HeadRows<'_>, x: &[u32], sums: &mut [i32]) {
    let count = rows.count(x, sums);
    let fours = count / 4 * 4;
    let sums = sums.as_mut_ptr();
    let told = |first: usize, end: usize| Head {
        x: x.as_ptr(),
        values: rows.values,
        sums: sums.wrapping_add(first),
        sums_end: sums.wrapping_add(end),
        stride: rows.stride * 2,
        weights: rows.weights.as_ptr().wrapping_add(first * rows.stride),
    };
    let (four, one) = (told(0, fours), told(fours, count));
    // SAFETY: `count` has found so many rows of `values`, at least one, in `weights`, x for them and their sums. Neither
    // function runs over nothing.
    unsafe {
        if fours > 0 {
            bt_core_helium_head_4(&four);
        }
        if fours < count {
            bt_core_helium_head_1(&one);
        }
    }
}
