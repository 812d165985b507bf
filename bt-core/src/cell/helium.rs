//! The cell for Helium (Cortex-M52, M55, M85): four units at a time. Same bits as
//! [`portable`](super::portable).
#![allow(unsafe_code)]

use core::arch::global_asm;

use super::{Gate, Units};
use crate::nonlinearity::{SIGMOID, TANH};

global_asm!(include_str!("helium.s"), options(raw));

unsafe extern "C" {
    /// Units with the logistic gate.
    ///
    /// # Safety
    ///
    /// `units` ≥ 1; 4 · `units` values are readable at z, `units` readable and writable at c and h; `sigmoid`
    /// and `tanh` point to 512 lines each.
    fn bt_core_helium_sigmoid(
        z: *const i16,
        c: *mut i32,
        h: *mut i16,
        units: usize,
        sigmoid: *const i32,
        tanh: *const i32,
    );

    /// Units with Keras' gate.
    ///
    /// # Safety
    ///
    /// As of `bt_core_helium_sigmoid`, but for `slope`: the gate's, by which z is multiplied.
    fn bt_core_helium_hard_sigmoid(
        z: *const i16,
        c: *mut i32,
        h: *mut i16,
        units: usize,
        slope: i32,
        tanh: *const i32,
    );
}

/// 0.2 · 2^17: z to Q0.28.
const HARD_SLOPE: i32 = 26_214;

/// [`super::update`]: the assembly trusts the lengths that [`Units`] vouches for.
pub(super) fn update(gate: Gate, Units { z, c, h }: Units<'_>) {
    let (z, units, c, h) = (z.as_ptr(), c.len(), c.as_mut_ptr(), h.as_mut_ptr());
    let (sigmoid, tanh) = (SIGMOID.as_ptr(), TANH.as_ptr());
    // SAFETY: there is a unit, and `Units` vouches for the lengths; the tables are of 512 lines.
    unsafe {
        match gate {
            Gate::Sigmoid => bt_core_helium_sigmoid(z, c, h, units, sigmoid, tanh),
            Gate::HardSigmoid => bt_core_helium_hard_sigmoid(z, c, h, units, HARD_SLOPE, tanh),
        }
    }
}
