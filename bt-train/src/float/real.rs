//! The number type of the float model.

use crate::float::product::Product;
use ndarray::NdFloat;

/// A number the model can be computed in: `f32` for training, `f64` where a
/// test wants finite differences that are not drowned in rounding.
pub trait Real: NdFloat + Default + std::iter::Sum {
    /// The nearest representable value.
    fn from_f64(value: f64) -> Self;

    /// The same value in double precision.
    fn widen(self) -> f64;

    /// Computes one product whose indices have been checked.
    ///
    /// # Safety
    /// Every index `product` reaches lies inside the buffer concerned, and `c`
    /// overlaps neither `a` nor `b`.
    unsafe fn multiply(product: &Product, a: *const Self, b: *const Self, c: *mut Self);
}

impl Real for f32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }

    fn widen(self) -> f64 {
        f64::from(self)
    }

    unsafe fn multiply(product: &Product, a: *const f32, b: *const f32, c: *mut f32) {
        // SAFETY: passed on from the caller.
        unsafe { product.run_single(a, b, c) }
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }

    fn widen(self) -> f64 {
        self
    }

    unsafe fn multiply(product: &Product, a: *const f64, b: *const f64, c: *mut f64) {
        // SAFETY: passed on from the caller.
        unsafe { product.run_gemm(a, b, c) }
    }
}
