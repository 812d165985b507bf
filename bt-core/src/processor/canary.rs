//! Whether the registers of the floating-point unit are the same after an interrupt.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Fills the registers, waits `loops` rounds of two instructions, and returns how many have changed.
pub(super) fn changed(loops: u32) -> u32 {
    // SAFETY: the registers are there, as the caller has found; those that a function must keep are kept.
    unsafe { registers_changed(loops.max(1)) }
}

/// Waits with a value of its own in each of s0 to s31.
///
/// # Safety
///
/// `loops` ≥ 1; the registers are switched on.
#[unsafe(naked)]
unsafe extern "C" fn registers_changed(loops: u32) -> u32 {
    // r1 the value of the next register, r2 from one to the next; r0 rounds, then registers changed.
    // The assembler of a whole program knows the target's architecture alone.
    naked_asm!(
        ".fpu fpv4-sp-d16",
        "vpush {{d8-d15}}",
        "ldr r1, =0x5a5a5a5a",
        "ldr r2, =0x01010103",
        ".irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
        "add r1, r1, r2",
        r"vmov s\k, r1",
        ".endr",
        "2:",
        "subs r0, r0, #1",
        "bne 2b",
        "ldr r1, =0x5a5a5a5a",
        ".irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
        "add r1, r1, r2",
        r"vmov r3, s\k",
        "cmp r3, r1",
        "it ne",
        "addne r0, r0, #1",
        ".endr",
        "vpop {{d8-d15}}",
        "bx lr",
        ".ltorg",
    )
}
