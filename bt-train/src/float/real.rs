//! The number type of the float model.

use ndarray::NdFloat;

/// A number the model can be computed in: `f32` for training, `f64` where a
/// test wants finite differences that are not drowned in rounding.
pub trait Real: NdFloat + Default + std::iter::Sum {
    /// The nearest representable value.
    fn from_f64(value: f64) -> Self;

    /// The same value in double precision.
    fn widen(self) -> f64;

    /// tanh.
    fn squash(self) -> Self;

    /// 1 / (1 + e^−x).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let half = Self::from_f64(0.5);
        half + half * (half * self).squash()
    }
}

impl Real for f32 {
    #[inline(always)]
    fn from_f64(value: f64) -> f32 {
        value as f32
    }

    fn widen(self) -> f64 {
        f64::from(self)
    }

    /// A rational function of x, odd, of degree 13 over 6 (the coefficients
    /// that Eigen and XLA use): straight code, at most 4·10⁻⁷ off.
    #[inline(always)]
    fn squash(self) -> f32 {
        const ODD: [f32; 7] = [
            -2.760_768_5e-16,
            2.000_188e-13,
            -8.604_672e-11,
            5.122_297e-8,
            1.485_722_4e-5,
            6.372_619_3e-4,
            4.893_524_6e-3,
        ];
        const EVEN: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3];
        // Beyond, tanh is 1 to the last bit; a NaN stays one.
        let x = self.clamp(-7.905_311, 7.905_311);
        let square = x * x;
        let polynomial = |terms: &[f32]| terms.iter().fold(0.0, |sum, term| sum * square + term);
        x * polynomial(&ODD) / polynomial(&EVEN)
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }

    fn widen(self) -> f64 {
        self
    }

    fn squash(self) -> f64 {
        self.tanh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_nonlinearities() {
        let mut worst = [0.0f64; 2];
        for i in -200_000..=200_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x);
            let tanh = f64::from(x.squash()) - exact.tanh();
            let sigmoid = f64::from(x.sigmoid()) - 1.0 / (1.0 + (-exact).exp());
            worst = [worst[0].max(tanh.abs()), worst[1].max(sigmoid.abs())];
        }
        assert!(worst[0] < 4e-7 && worst[1] < 3e-7, "{worst:?}");
        assert_eq!(f32::INFINITY.squash(), 9f32.squash());
        assert!(f32::NAN.squash().is_nan() && f32::NAN.sigmoid().is_nan());
        assert_eq!(0f32.squash(), 0.0);
    }
}
