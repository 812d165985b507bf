//! Starting weights.
//!
//! The matrix W of a map shall have entries of variance t² with t = 1/√I, so
//! that frames of unit variance give pre-activations of unit variance. Every
//! entry of W is a sum of equally many products of as many independent
//! factors N(0, s²), which fixes s:
//!
//! | map | terms | factors | s |
//! |---|---|---|---|
//! | block-term | N·R^d | d + 1 | (t / √(N·R^d))^(1/(d+1)) |
//! | tensor-train | R^(d−1) | d | (t / √R^(d−1))^(1/d) |
//! | dense | 1 | 1 | t |

use crate::float::real::Real;
use crate::shape::{MapKind, MapShape};
use ndarray::{Array2, ArrayViewMut2};
use rand::Rng;

/// s for the core and factor entries of a map.
pub fn deviation(shape: &MapShape) -> f64 {
    let t = (shape.width() as f64).sqrt().recip();
    let d = shape.order() as f64;
    match shape.kind {
        MapKind::BlockTerm { blocks, rank } => {
            let terms = blocks as f64 * (rank as f64).powf(d);
            (t / terms.sqrt()).powf(1.0 / (d + 1.0))
        }
        MapKind::TensorTrain { rank } => {
            let terms = (rank as f64).powf(d - 1.0);
            (t / terms.sqrt()).powf(1.0 / d)
        }
        MapKind::Dense => t,
    }
}

/// A number from N(0, 1), by Box and Muller.
pub fn normal(rng: &mut impl Rng) -> f64 {
    // (0, 1], so that the logarithm is finite.
    let u = 1.0 - uniform(rng);
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * uniform(rng)).cos()
}

/// A number from [0, 1).
pub fn uniform(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A mask for variational dropout: each entry 0 with probability `rate`, else
/// 1 / (1 − rate). One row serves a sequence through all its steps.
pub fn dropout_mask<T: Real>(rows: usize, cols: usize, rate: f64, rng: &mut impl Rng) -> Array2<T> {
    let kept = T::from_f64(1.0 / (1.0 - rate));
    Array2::from_shape_simple_fn((rows, cols), || {
        if uniform(rng) < rate { T::zero() } else { kept }
    })
}

/// Fills a square matrix with a random orthogonal one (Gram and Schmidt, each
/// row made orthogonal twice, which keeps it so to rounding).
///
/// # Panics
/// If the matrix is not square.
pub fn orthogonal<T: Real>(mut matrix: ArrayViewMut2<'_, T>, rng: &mut impl Rng) {
    let size = matrix.nrows();
    assert_eq!(size, matrix.ncols(), "an orthogonal matrix is square");
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(size);
    while basis.len() < size {
        let mut row: Vec<f64> = (0..size).map(|_| normal(rng)).collect();
        for _ in 0..2 {
            for other in &basis {
                let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let length = row.iter().map(|a| a * a).sum::<f64>().sqrt();
        // A draw inside the span of the earlier rows is drawn again.
        if length > 1e-6 {
            basis.push(row.iter().map(|a| a / length).collect());
        }
    }
    for (mut out, row) in matrix.outer_iter_mut().zip(&basis) {
        for (out, &value) in out.iter_mut().zip(row) {
            *out = T::from_f64(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::map::{self, check};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn normal_has_unit_variance() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<f64> = (0..40_000).map(|_| normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| d * d).sum::<f64>() / draws.len() as f64;
        // Standard errors: 0.005 and 0.007.
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03);
    }

    #[test]
    fn orthogonal_is() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut matrix = Array2::<f64>::zeros((24, 24));
        orthogonal(matrix.view_mut(), &mut rng);
        let error = matrix.dot(&matrix.t()) - Array2::<f64>::eye(24);
        assert!(error.iter().all(|e| e.abs() < 1e-12));
    }

    /// Variance of W over many draws, at every rank (the authors' rule breaks
    /// at R ≥ 5). Entries of one W share factors, so their sample variance
    /// scatters widely; 300 draws bring it within a third.
    #[test]
    fn variance_of_the_matrix() {
        let wanted = 1.0 / 20.0;
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for rank in [1, 2, 6] {
            let kinds = [
                MapKind::BlockTerm { blocks: 2, rank },
                MapKind::TensorTrain { rank },
            ];
            for kind in kinds {
                let shape = MapShape {
                    kind,
                    inputs: vec![4, 5],
                    outputs: vec![8, 3],
                };
                let mut map = map::zeros::<f64>(&shape);
                let s = deviation(&shape);
                let mut sum = 0.0;
                for _ in 0..300 {
                    for (_, mut values) in map.parameters_mut() {
                        values.mapv_inplace(|_| s * normal(&mut rng));
                    }
                    let matrix = check::matrix(map.as_ref());
                    sum += matrix.iter().map(|w| w * w).sum::<f64>() / matrix.len() as f64;
                }
                let ratio = sum / 300.0 / wanted;
                assert!((0.67..1.5).contains(&ratio), "{kind:?}: {ratio}");
            }
        }
    }

    #[test]
    fn dropout_keeps_the_mean() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mask = dropout_mask::<f32>(100, 100, 0.25, &mut rng);
        assert!(mask.iter().all(|&m| m == 0.0 || m == 4.0 / 3.0));
        assert!((mask.mean().unwrap() - 1.0).abs() < 0.03);
    }
}
