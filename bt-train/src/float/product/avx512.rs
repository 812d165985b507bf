//! Registers of 16 lanes.

use super::{Product, tiles::products};
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_fmadd_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
};

type Register = __m512;
type Mask = __mmask16;

const LANES: usize = 16;
const ROWS_MAX: [usize; 2] = [16, 12];

/// Whether the processor has them.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
}

products!("avx512f", 1 2 3 4 5 6 7 8 9 10 11 12; 13 14 15 16);

#[target_feature(enable = "avx512f")]
#[inline]
fn zero() -> Register {
    _mm512_setzero_ps()
}

/// The first lanes.
#[target_feature(enable = "avx512f")]
#[inline]
fn mask(lanes: usize) -> Mask {
    (u32::MAX >> (32 - lanes)) as Mask
}

/// # Safety
/// The lanes of the mask can be read.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load(from: *const f32, mask: Mask) -> Register {
    // SAFETY: passed on from the caller.
    unsafe { _mm512_maskz_loadu_ps(mask, from) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(value: f32) -> Register {
    _mm512_set1_ps(value)
}

/// a·b + c, rounded once.
#[target_feature(enable = "avx512f")]
#[inline]
fn fused(a: Register, b: Register, c: Register) -> Register {
    _mm512_fmadd_ps(a, b, c)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn sum_of(a: Register, b: Register) -> Register {
    _mm512_add_ps(a, b)
}

/// # Safety
/// The lanes of the mask can be written.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store(to: *mut f32, mask: Mask, values: Register) {
    // SAFETY: passed on from the caller.
    unsafe { _mm512_mask_storeu_ps(to, mask, values) }
}
