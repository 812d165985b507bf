//! The register tile and two rows of a head for Armv7-M and Armv8-M Mainline cores, whose compilers may not use the DSP
//! extension (Cortex-M3, M33, M55).
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::program::TILE;

/// The twin of [`portable::tile`](super::portable::tile): 30 instructions for a pair of k, which are
/// 16 multiply-accumulates.
#[inline(always)]
pub(super) fn tile(w: &[u32], x: &[u32], sums: &mut [i32; TILE]) {
    debug_assert_eq!(w.len() * 2, x.len());
    let pairs = (w.len() / 2).min(x.len() / 4);
    if pairs > 0 {
        // SAFETY: w and x hold two and four words for each of at least one pair.
        unsafe { tile_pairs(w.as_ptr(), x.as_ptr(), pairs, sums) };
    }
}

/// Adds the products of `pairs` pairs of k to the sums.
///
/// # Safety
///
/// `pairs` ≥ 1; `w` has 2·`pairs` readable words, `x` 4·`pairs`.
#[unsafe(naked)]
unsafe extern "C" fn tile_pairs(
    w: *const u32,
    x: *const u32,
    pairs: usize,
    sums: &mut [i32; TILE],
) {
    // r0 w, r1 x, r2 pairs left; r3, r12 a value of each row of W, lr one of X; r4-r7 and r8-r11 the
    // sums. The second values of the pairs go first, so that the last loads can move the pointers.
    naked_asm!(
        "push {{r3-r11, lr}}",
        "ldmia r3, {{r4-r11}}",
        "2:",
        "ldrsh r3, [r0, #2]",
        "ldrsh r12, [r0, #6]",
        "ldrsh lr, [r1, #2]",
        "mla r4, r3, lr, r4",
        "mla r8, r12, lr, r8",
        "ldrsh lr, [r1, #6]",
        "mla r5, r3, lr, r5",
        "mla r9, r12, lr, r9",
        "ldrsh lr, [r1, #10]",
        "mla r6, r3, lr, r6",
        "mla r10, r12, lr, r10",
        "ldrsh lr, [r1, #14]",
        "mla r7, r3, lr, r7",
        "mla r11, r12, lr, r11",
        "ldrsh r12, [r0, #4]",
        "ldrsh r3, [r0], #8",
        "ldrsh lr, [r1, #12]",
        "mla r7, r3, lr, r7",
        "mla r11, r12, lr, r11",
        "ldrsh lr, [r1, #8]",
        "mla r6, r3, lr, r6",
        "mla r10, r12, lr, r10",
        "ldrsh lr, [r1, #4]",
        "mla r5, r3, lr, r5",
        "mla r9, r12, lr, r9",
        "ldrsh lr, [r1], #16",
        "mla r4, r3, lr, r4",
        "mla r8, r12, lr, r8",
        "subs r2, r2, #1",
        "bne 2b",
        "pop {{r3}}",
        "stmia r3, {{r4-r11}}",
        "pop {{r4-r11, pc}}",
    )
}

/// The twin of [`portable::two_rows`](super::portable::two_rows): 12 instructions for two
/// values of x, which are four multiply-accumulates.
#[inline(always)]
pub(super) fn two_rows((a, b): (&[i16], &[i16]), x: &[i16], sums: &mut [i32; 2]) {
    debug_assert!(a.len() == x.len() && b.len() == x.len());
    let count = x.len().min(a.len()).min(b.len());
    if count > 0 {
        // SAFETY: so many values, at least one, lie in the rows and in x.
        unsafe { add_rows(a.as_ptr(), b.as_ptr(), x.as_ptr(), count, sums) };
    }
}

/// Adds the products of two rows with x to the sums.
///
/// # Safety
///
/// `count` ≥ 1; so many values are readable at `a`, `b` and `x`.
#[unsafe(naked)]
unsafe extern "C" fn add_rows(
    a: *const i16,
    b: *const i16,
    x: *const i16,
    count: usize,
    sums: &mut [i32; 2],
) {
    // r0 a, r1 b, r2 x, r3 rounds of two values left; r4, r5 the sums; r6, r7 values; r12 the place of the sums. An odd
    // value enters in the middle.
    naked_asm!(
        "push {{r4-r7}}",
        "ldr r12, [sp, #16]",
        "ldrd r4, r5, [r12]",
        "adds r3, r3, #1",
        "lsrs r3, r3, #1",
        "bcc 3f",
        "2:",
        "ldrsh r6, [r2], #2",
        "ldrsh r7, [r0], #2",
        "mla r4, r7, r6, r4",
        "ldrsh r7, [r1], #2",
        "mla r5, r7, r6, r5",
        "3:",
        "ldrsh r6, [r2], #2",
        "ldrsh r7, [r0], #2",
        "mla r4, r7, r6, r4",
        "ldrsh r7, [r1], #2",
        "mla r5, r7, r6, r5",
        "subs r3, r3, #1",
        "bne 2b",
        "strd r4, r5, [r12]",
        "pop {{r4-r7}}",
        "bx lr",
    )
}
