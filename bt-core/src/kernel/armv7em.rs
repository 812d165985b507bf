//! Twin of a [`portable`](super::portable) kernel for cores with the DSP extension (Armv7E-M).
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::program::TILE;

/// Pairs of k that [`tile_pairs`] has code for.
const PAIRS_MAX: usize = 16;

/// The twin of [`portable::tile`](super::portable::tile): 11 instructions for a pair of k, which are 16
/// multiply-accumulates. The tests that compare every board's scores with the host's hold it to the same bits.
#[inline(always)]
pub(super) fn tile(w: &[u32], x: &[u32], sums: [i32; TILE]) -> [i32; TILE] {
    let mut sums = sums;
    for (w, x) in w.chunks(2 * PAIRS_MAX).zip(x.chunks(4 * PAIRS_MAX)) {
        let pairs = (w.len() / 2).min(x.len() / 4);
        // SAFETY: `pairs` is at most PAIRS_MAX, and w and x hold two and four words for each.
        unsafe { tile_pairs(w.as_ptr(), x.as_ptr(), pairs, &mut sums) };
    }
    sums
}

/// Adds the products of `pairs` pairs of k to the sums.
///
/// # Safety
///
/// `pairs` ≤ [`PAIRS_MAX`]; `w` has 2·`pairs` readable words, `x` 4·`pairs`.
#[unsafe(naked)]
unsafe extern "C" fn tile_pairs(
    w: *const u32,
    x: *const u32,
    pairs: usize,
    sums: &mut [i32; TILE],
) {
    // r0 w, r1 x; r2, r3 a pair of each row of W; r12, lr of two rows of X; r4-r7 and r8-r11 the sums.
    // Enters the unrolled blocks, 44 bytes each, so that as many run as there are pairs.
    naked_asm!(
        "push {{r3-r11, lr}}",
        "ldmia r3, {{r4-r11}}",
        "rsb r2, r2, #16",
        "movs r3, #44",
        "mul r2, r2, r3",
        "adr.w r3, 2f",
        "add r2, r2, r3",
        "mov pc, r2",
        "2:",
        ".rept 16",
        "ldrd r2, r3, [r0], #8",
        "ldrd r12, lr, [r1], #8",
        "smlad r4, r2, r12, r4",
        "smlad r8, r3, r12, r8",
        "smlad r5, r2, lr, r5",
        "smlad r9, r3, lr, r9",
        "ldrd r12, lr, [r1], #8",
        "smlad r6, r2, r12, r6",
        "smlad r10, r3, r12, r10",
        "smlad r7, r2, lr, r7",
        "smlad r11, r3, lr, r11",
        ".endr",
        "ldr r3, [sp]",
        "stmia r3, {{r4-r11}}",
        "pop {{r3-r11, pc}}",
    )
}
