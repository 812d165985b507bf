//! Registers of 8 lanes.

use super::{Product, tiles::products};
use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_ps, _mm256_cmpgt_epi32, _mm256_fmadd_ps, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_ps,
};

type Register = __m256;
type Mask = __m256i;

const LANES: usize = 8;
const ROWS_MAX: [usize; 2] = [12, 6];

/// Whether the processor has them.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

products!("avx2,fma", 1 2 3 4 5 6; 7 8 9 10 11 12);

#[target_feature(enable = "avx2,fma")]
#[inline]
fn zero() -> Register {
    _mm256_setzero_ps()
}

/// The first lanes.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn mask(lanes: usize) -> Mask {
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), lane)
}

/// # Safety
/// The lanes of the mask can be read.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn load(from: *const f32, mask: Mask) -> Register {
    // SAFETY: passed on from the caller.
    unsafe { _mm256_maskload_ps(from, mask) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn splat(value: f32) -> Register {
    _mm256_set1_ps(value)
}

/// a·b + c, rounded once.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn fused(a: Register, b: Register, c: Register) -> Register {
    _mm256_fmadd_ps(a, b, c)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn sum_of(a: Register, b: Register) -> Register {
    _mm256_add_ps(a, b)
}

/// # Safety
/// The lanes of the mask can be written.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn store(to: *mut f32, mask: Mask, values: Register) {
    // SAFETY: passed on from the caller.
    unsafe { _mm256_maskstore_ps(to, mask, values) }
}
