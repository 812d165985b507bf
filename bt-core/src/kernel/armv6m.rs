//! The register tile and two rows of a head for Armv6-M and Armv8-M Baseline cores (Cortex-M0, M0+, M23).
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::program::TILE;

/// The twin of [`portable::tile`](super::portable::tile): 121 instructions for two pairs of k, which
/// are 32 multiply-accumulates.
#[inline(always)]
pub(super) fn tile(w: &[u32], x: &[u32], sums: &mut [i32; TILE]) {
    debug_assert_eq!(w.len() * 2, x.len());
    let pairs = (w.len() / 2).min(x.len() / 4);
    if pairs > 0 {
        // SAFETY: w and x hold two and four words for each of at least one pair.
        unsafe { tile_pairs(w.as_ptr(), x.as_ptr(), pairs, sums) };
    }
}

/// A column of the tile: its word of X times both rows, whose values are r2, r3 and r4, r5.
macro_rules! column {
    ($a:literal, $b:literal) => {
        concat!(
            "ldmia r1!, {{r6}}\n",
            "sxth r7, r6\n",
            "muls r7, r2, r7\n",
            "add ",
            $a,
            ", r7\n",
            "sxth r7, r6\n",
            "muls r7, r4, r7\n",
            "add ",
            $b,
            ", r7\n",
            "asrs r6, r6, #16\n",
            "mov r7, r6\n",
            "muls r7, r3, r7\n",
            "add ",
            $a,
            ", r7\n",
            "muls r6, r5, r6\n",
            "add ",
            $b,
            ", r6\n",
        )
    };
}

/// One pair of k.
macro_rules! pair {
    () => {
        concat!(
            "ldmia r0!, {{r3, r5}}\n",
            "sxth r2, r3\n",
            "asrs r3, r3, #16\n",
            "sxth r4, r5\n",
            "asrs r5, r5, #16\n",
            column!("r8", "r11"),
            column!("r9", "r12"),
            column!("r10", "lr"),
            "ldmia r1!, {{r6}}\n",
            "sxth r7, r6\n",
            "asrs r6, r6, #16\n",
            "muls r2, r7, r2\n",
            "muls r3, r6, r3\n",
            "muls r4, r7, r4\n",
            "muls r5, r6, r5\n",
            "adds r2, r2, r3\n",
            "adds r4, r4, r5\n",
            "ldr r6, [sp, #0]\n",
            "adds r6, r6, r2\n",
            "str r6, [sp, #0]\n",
            "ldr r7, [sp, #4]\n",
            "adds r7, r7, r4\n",
            "str r7, [sp, #4]\n",
        )
    };
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
    // Six sums live in r8-r12 and lr, which ADD reaches; those of the last column, whose products may
    // overwrite the values of W, on the stack, below the end of w and the address of the sums.
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        "lsls r2, r2, #3",
        "adds r2, r0, r2",
        "push {{r2, r3}}",
        "sub sp, #8",
        "ldmia r3!, {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "str r7, [sp, #0]",
        "ldmia r3!, {{r4-r7}}",
        "mov r11, r4",
        "mov r12, r5",
        "mov lr, r6",
        "str r7, [sp, #4]",
        // Two pairs a round; an odd one out enters in the middle.
        "ldr r6, [sp, #8]",
        "subs r6, r6, r0",
        "lsls r6, r6, #28",
        "bmi 3f",
        "2:",
        pair!(),
        "3:",
        pair!(),
        "ldr r6, [sp, #8]",
        "cmp r0, r6",
        "bne 2b",
        "ldr r3, [sp, #12]",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "ldr r7, [sp, #0]",
        "stmia r3!, {{r4-r7}}",
        "mov r4, r11",
        "mov r5, r12",
        "mov r6, lr",
        "ldr r7, [sp, #4]",
        "stmia r3!, {{r4-r7}}",
        "add sp, #16",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
    )
}

/// The twin of [`portable::two_rows`](super::portable::two_rows): nine instructions for a
/// value of x, which are two multiply-accumulates.
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
    // r0, r1, r2 the ends of a, b and x; r3 bytes up to them, below 0; r4, r5 the sums; r6, r7 values; r12 the place of
    // the sums.
    naked_asm!(
        "push {{r4-r7}}",
        "ldr r6, [sp, #16]",
        "mov r12, r6",
        "ldr r4, [r6]",
        "ldr r5, [r6, #4]",
        "lsls r3, r3, #1",
        "adds r0, r0, r3",
        "adds r1, r1, r3",
        "adds r2, r2, r3",
        "rsbs r3, r3, #0",
        "2:",
        "ldrsh r6, [r2, r3]",
        "ldrsh r7, [r0, r3]",
        "muls r7, r6, r7",
        "adds r4, r4, r7",
        "ldrsh r7, [r1, r3]",
        "muls r7, r6, r7",
        "adds r5, r5, r7",
        "adds r3, r3, #2",
        "bne 2b",
        "mov r6, r12",
        "str r4, [r6]",
        "str r5, [r6, #4]",
        "pop {{r4-r7}}",
        "bx lr",
    )
}
