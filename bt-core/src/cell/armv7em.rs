//! The cell for the DSP extension (Cortex-M4, M7, M33, M55): two units at a time, 62
//! instructions a pair. Same bits as [`portable`](super::portable).
//!
//! One word holds z of two neighbouring units. `and t, mask, z, lsl #5` makes
//! both units' d (see [`nonlinearity`](crate::nonlinearity)) at once, the mask
//! keeping the lower unit's top bits out of the upper's; then a line costs a
//! load and SMLABB or SMLABT. The values stay in the top halves, where SMULTT,
//! SMULWT and SMLATT read them.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::{Gate, Units};
use crate::nonlinearity::{SIGMOID, TANH};
use crate::proven::Proven;

/// [`super::update`]: the assembly trusts the lengths that [`Units`] vouches for.
pub(super) fn update(gate: Gate, Units { z, c, h }: Units<'_>) {
    let units = c.len();
    if units > 1 {
        // SAFETY: at least one pair of the units that `Units` vouches for.
        unsafe { pairs(gate, z.as_ptr(), units, c.as_mut_ptr(), h.as_mut_ptr()) };
    }
    // The last of an odd number of units, paired with one that is nobody's.
    if units % 2 == 1
        && let (Some(c), Some(h)) = (c.last_mut(), h.last_mut())
    {
        let last = |gate: usize| z.get((gate + 1) * units - 1).proven().copied();
        let [i, f, g, o] = [last(0), last(1), last(2), last(3)].map(|z| z.unwrap_or(0));
        let z = [i, 0, f, 0, g, 0, o, 0];
        let (mut c_pair, mut h_pair) = ([*c, 0], [0; 2]);
        // SAFETY: one pair in arrays of its own.
        unsafe {
            pairs(
                gate,
                z.as_ptr(),
                2,
                c_pair.as_mut_ptr(),
                h_pair.as_mut_ptr(),
            )
        };
        (*c, *h) = (c_pair[0], h_pair[0]);
    }
}

/// The pairs among so many units.
///
/// # Safety
///
/// `units` ≥ 2; 4·units values are readable at z, units readable and writable at c and h.
#[inline(never)]
unsafe fn pairs(gate: Gate, z: *const i16, units: usize, c: *mut i32, h: *mut i16) {
    let z_o = z.wrapping_add(3 * units);
    let h_end = h.wrapping_add(units & !1);
    let (stride, sigmoid, tanh) = (2 * units, SIGMOID.as_ptr(), TANH.as_ptr());
    // SAFETY: as above, the tables are of 512 lines; the build script has seen that the DSP extension is there.
    unsafe {
        match gate {
            Gate::Sigmoid => sigmoid_pairs(z_o, c, h, stride, h_end, sigmoid, tanh),
            Gate::HardSigmoid => hard_sigmoid_pairs(z_o, c, h, stride, h_end, sigmoid, tanh),
        }
    }
}

/// Both values of the sigmoid gate at `$at`, top halves of `$a` and `$b`.
macro_rules! sigmoid {
    ($a:literal, $b:literal, $at:literal) => {
        concat!(
            "ldr ",
            $b,
            ", ",
            $at,
            "\n",
            "ubfx ",
            $a,
            ", ",
            $b,
            ", #7, #9\n",
            "and r12, r6, ",
            $b,
            ", lsl #5\n",
            "lsr ",
            $b,
            ", ",
            $b,
            ", #23\n",
            "ldr ",
            $a,
            ", [r4, ",
            $a,
            ", lsl #2]\n",
            "ldr ",
            $b,
            ", [r4, ",
            $b,
            ", lsl #2]\n",
            "smlabb ",
            $a,
            ", ",
            $a,
            ", r12, ",
            $a,
            "\n",
            "smlabt ",
            $b,
            ", ",
            $b,
            ", r12, ",
            $b,
            "\n",
        )
    };
}

/// As `sigmoid`, clip(0.2·z + 0.5, 0, 1): 26214·z + 2^27, clipped to 28 bits.
macro_rules! hard_sigmoid {
    ($a:literal, $b:literal, $at:literal) => {
        concat!(
            "ldr ",
            $b,
            ", ",
            $at,
            "\n",
            "mov r12, #0x08000000\n",
            "smlabb ",
            $a,
            ", ",
            $b,
            ", r4, r12\n",
            "smlatb ",
            $b,
            ", ",
            $b,
            ", r4, r12\n",
            "usat ",
            $a,
            ", #28, ",
            $a,
            "\n",
            "usat ",
            $b,
            ", #28, ",
            $b,
            "\n",
            "lsl ",
            $a,
            ", ",
            $a,
            ", #3\n",
            "lsl ",
            $b,
            ", ",
            $b,
            ", #3\n",
        )
    };
}

/// tanh(c'), `$c` in place, top half; `$scratch` is overwritten.
macro_rules! tanh_of_cell {
    ($c:literal, $scratch:literal) => {
        concat!(
            "ssat ",
            $c,
            ", #28, ",
            $c,
            "\n",
            "ubfx ",
            $scratch,
            ", ",
            $c,
            ", #19, #9\n",
            "asr ",
            $c,
            ", ",
            $c,
            ", #8\n",
            "ldr ",
            $scratch,
            ", [r5, ",
            $scratch,
            ", lsl #2]\n",
            "smlabb ",
            $c,
            ", ",
            $scratch,
            ", ",
            $c,
            ", ",
            $scratch,
            "\n",
        )
    };
}

/// A loop over pairs of units for one gate function.
///
/// Registers: r0 z_o, r1 c, r2 h, r3 −stride and r7 −3·stride in bytes (how z
/// of the other gates is reached), r4 the gate's table (or its slope), r5
/// tanh's, r6 the mask of d, lr the rounding of h; r8 to r12 are free. With an
/// odd J the gates begin on odd halves: z is read by LDR alone, which may.
macro_rules! pairs {
    ($(#[$doc:meta])* $name:ident, $gate:ident, $prepare:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// With n = (h_end − h)/2 ≥ 1 pairs and s = stride/2 ≥ 2n: 2n values
        /// are readable at z_o, z_o − s, z_o − 2s and z_o − 3s, and readable
        /// and writable at c and h; `sigmoid` and `tanh` point to 512 lines each.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            z_o: *const i16,
            c: *mut i32,
            h: *mut i16,
            stride_bytes: usize,
            h_end: *const i16,
            sigmoid: *const i32,
            tanh: *const i32,
        ) {
            naked_asm!(
                dsp_cpu!(),
                "push {{r4-r11, lr}}",
                "ldr r4, [sp, #40]",
                "ldr r5, [sp, #44]",
                "movw r6, #0xffff",
                "movt r6, #0xffe0",
                "add r7, r3, r3, lsl #1",
                "rsb r7, r7, #0",
                "rsb r3, r3, #0",
                "movw lr, #0x4000",
                $prepare,
                "2:",
                $gate!("r8", "r9", "[r0, r7]"),
                // tanh(z_g), clamped to ±8
                "ldr r11, [r0, r3]",
                "ssat16 r11, #15, r11",
                "ubfx r10, r11, #6, #9",
                "and r12, r6, r11, lsl #5",
                "ubfx r11, r11, #22, #9",
                "ldr r10, [r5, r10, lsl #2]",
                "ldr r11, [r5, r11, lsl #2]",
                "smlabb r10, r10, r12, r10",
                "smlabt r11, r11, r12, r11",
                // i·g
                "smultt r8, r8, r10",
                "smultt r9, r9, r11",
                $gate!("r10", "r11", "[r0, r3, lsl #1]"),
                // c' = 2·((i·g >> 7) + (c·f >> 16))
                "ldr r12, [r1]",
                "smulwt r12, r12, r10",
                "add r8, r12, r8, asr #7",
                "ldr r12, [r1, #4]",
                "smulwt r12, r12, r11",
                "add r9, r12, r9, asr #7",
                "qadd r8, r8, r8",
                "qadd r9, r9, r9",
                "strd r8, r9, [r1], #8",
                tanh_of_cell!("r8", "r10"),
                tanh_of_cell!("r9", "r10"),
                $gate!("r10", "r11", "[r0], #4"),
                // h' = (o·tanh(c') + 2^14) >> 15, both in one word
                "smlatt r8, r8, r10, lr",
                "smlatt r9, r9, r11, lr",
                "lsl r9, r9, #1",
                "pkhtb r9, r9, r8, asr #15",
                "ldr r8, [sp, #36]",
                "str r9, [r2], #4",
                "cmp r2, r8",
                "bne 2b",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

pairs! {
    /// Pairs of units with the logistic gate.
    sigmoid_pairs, sigmoid, ""
}

pairs! {
    /// Pairs of units with Keras' gate.
    hard_sigmoid_pairs, hard_sigmoid, "movw r4, #26214"
}
