//! A tensor map as near to a matrix as alternating least squares find one.
//!
//! The matrix W[j, i] is a tensor of d pairs of modes (i_k, j_k), slowest first. All tensors of the map but one
//! fixed, the map is linear in that one, and the best choice of it is a small least-squares problem; a sweep does
//! that for each in turn, so the error never grows. Where a sweep ends depends on where it started: several random
//! starts are tried, and the best goes on until it stands still.

mod block_term;
mod tensor_train;

use crate::data::memory;
use crate::error::Result;
use crate::float::init::normal;
use crate::float::tensors::Tensors;
use crate::shape::{MapKind, MapShape};
use block_term::Blocks;
use ndarray::{Array2, ArrayView2, ArrayViewD, IxDyn};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tensor_train::Train;

/// A map near a matrix.
#[derive(Debug, Clone)]
pub struct Decomposed {
    /// Its tensors by name, less the prefix of the map.
    pub tensors: Tensors,
    /// ‖W − map‖ / ‖W‖, by Frobenius' norm, of the tensors as they are in f32.
    pub error: f64,
}

/// Random starts.
const STARTS: usize = 4;

/// Sweeps after which the best start is chosen.
const TRIAL: usize = 20;

/// Sweeps of the best start at most.
const SWEEPS_MAX: usize = 400;

/// A sweep that takes less than this share off the squared error ends it.
const STANDS_STILL: f64 = 1e-5;

/// A map of this shape near `matrix` [4J, I]. `sweep` is told of every sweep.
///
/// # Errors
/// When there is no room for the work.
///
/// # Panics
/// If matrix and shape do not fit, or the shape is dense.
pub fn decompose(
    matrix: ArrayView2<'_, f32>,
    shape: &MapShape,
    sweep: &mut dyn FnMut(),
) -> Result<Decomposed> {
    assert_eq!(matrix.dim(), (shape.height(), shape.width()), "the matrix");
    // The tensor, what is multiplied with it, and the map in full to tell the error.
    let need = 8 * 4 * matrix.len() as u64;
    memory::check(need, memory::available()).map_err(|error| {
        error.remedy("import it as it is and train a smaller one of your own shape from the start")
    })?;
    let target = Target::new(matrix, shape);
    let mut best: Option<(f64, Box<dyn Fit>)> = None;
    for start in 0..STARTS {
        let mut fit = random(shape, start as u64);
        let mut error = f64::INFINITY;
        for _ in 0..TRIAL {
            error = fit.sweep(&target);
            sweep();
        }
        if best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, fit));
        }
    }
    let (mut error, mut fit) = best.expect("there is a start");
    for _ in TRIAL..SWEEPS_MAX {
        let before = std::mem::replace(&mut error, fit.sweep(&target));
        sweep();
        if before - error <= STANDS_STILL * before {
            break;
        }
    }
    let tensors = fit.tensors(shape);
    let error = target.distance(&full(&tensors, shape));
    Ok(Decomposed { tensors, error })
}

/// Sweeps that [`decompose`] takes at most.
pub const SWEEPS: usize = STARTS * TRIAL + SWEEPS_MAX - TRIAL;

/// A map under way.
trait Fit {
    /// One least-squares problem for each tensor in turn; gives the squared relative error after it.
    fn sweep(&mut self, target: &Target) -> f64;

    /// The tensors of the map, of equal norms.
    fn tensors(self: Box<Self>, shape: &MapShape) -> Tensors;
}

/// A start of standard normal numbers.
fn random(shape: &MapShape, seed: u64) -> Box<dyn Fit> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || normal(&mut rng);
    match shape.kind {
        MapKind::BlockTerm { .. } => Box::new(Blocks::random(shape, &mut draw)),
        MapKind::TensorTrain { .. } => Box::new(Train::random(shape, &mut draw)),
        MapKind::Dense => unreachable!("a dense map is the matrix itself"),
    }
}

/// The matrix as a tensor of d pairs of modes.
struct Target {
    /// Row-major over the pairs (i_1, j_1), …, (i_d, j_d).
    values: Vec<f64>,
    /// I_k·J'_k.
    pairs: Vec<usize>,
    /// Squared norm.
    square: f64,
}

impl Target {
    fn new(matrix: ArrayView2<'_, f32>, shape: &MapShape) -> Target {
        let d = shape.order();
        let axes: Vec<usize> = shape.outputs.iter().chain(&shape.inputs).copied().collect();
        let tensor = matrix.as_standard_layout();
        let tensor = tensor
            .view()
            .into_shape_with_order(IxDyn(&axes))
            .expect("modes multiply to the matrix");
        let order: Vec<usize> = (0..d).flat_map(|k| [d + k, k]).collect();
        let values: Vec<f64> = tensor
            .permuted_axes(order)
            .iter()
            .map(|&value| f64::from(value))
            .collect();
        Target {
            square: values.iter().map(|value| value * value).sum(),
            values,
            pairs: pairs(shape),
        }
    }

    /// The tensor as [pairs before k, pair k, pairs behind k], less those before and behind.
    fn around(&self, k: usize) -> (usize, usize) {
        let before = self.pairs[..k].iter().product();
        let behind = self.pairs[k + 1..].iter().product();
        (before, behind)
    }

    /// Squared error relative to the tensor, from the inner product with a map and that map's squared norm.
    fn relative(&self, inner: f64, square: f64) -> f64 {
        if self.square == 0.0 {
            return 0.0;
        }
        ((self.square - 2.0 * inner + square) / self.square).max(0.0)
    }

    /// ‖self − other‖ / ‖self‖; 0 for two of zeros.
    fn distance(&self, other: &[f64]) -> f64 {
        let square: f64 = self
            .values
            .iter()
            .zip(other)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        match square {
            0.0 => 0.0,
            _ => (square / self.square).sqrt(),
        }
    }
}

fn pairs(shape: &MapShape) -> Vec<usize> {
    let modes = shape.inputs.iter().zip(&shape.outputs);
    modes.map(|(i, j)| i * j).collect()
}

/// The map in full, in the order of [`Target`], from its tensors in f32.
fn full(tensors: &Tensors, shape: &MapShape) -> Vec<f64> {
    match shape.kind {
        MapKind::TensorTrain { .. } => tensor_train::full(tensors, shape),
        MapKind::BlockTerm { .. } => block_term::full(tensors, shape),
        MapKind::Dense => unreachable!("a dense map is the matrix itself"),
    }
}

/// A tensor of the file as a matrix of f64.
fn as_matrix(tensor: ArrayViewD<'_, f32>, rows: usize) -> Array2<f64> {
    let values: Vec<f64> = tensor.iter().map(|&value| f64::from(value)).collect();
    let columns = values.len() / rows;
    Array2::from_shape_vec((rows, columns), values).expect("rows of equal length")
}

/// Factors that give each of some tensors that are multiplied with each other the same norm, their product
/// being 1. Zeros stay zeros.
fn balance(norms: &[f64]) -> Vec<f64> {
    let logs: f64 = norms.iter().map(|norm| norm.ln()).sum();
    let even = (logs / norms.len() as f64).exp();
    if !(even > 0.0 && even.is_finite()) {
        return vec![1.0; norms.len()];
    }
    norms.iter().map(|norm| even / norm).collect()
}

fn norm<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::map::{Frames, zeros};
    use ndarray::Array2;

    fn noise(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((rows, columns), || normal(&mut rng))
    }

    /// The matrix [outputs, inputs] that the trainer's own map makes of these tensors.
    fn matrix(tensors: &Tensors, shape: &MapShape) -> Array2<f32> {
        let mut map = zeros::<f32>(shape);
        for (name, mut values) in map.parameters_mut() {
            values.assign(&tensors[&name]);
        }
        let eye = Array2::<f32>::eye(shape.width());
        let mut z = vec![0.0; shape.width() * shape.height()];
        let frames = Frames::packed(eye.as_slice().unwrap(), shape.width());
        map.prepare().forward(&frames, &mut z);
        let z = Array2::from_shape_vec((shape.width(), shape.height()), z).unwrap();
        z.reversed_axes()
    }

    fn tensors(shape: &MapShape, seed: u64) -> Tensors {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shapes = shape.tensors().into_iter();
        shapes
            .map(|(name, shape)| {
                let values = ndarray::ArrayD::from_shape_simple_fn(shape, || normal(&mut rng));
                (name, values.mapv(|value| value as f32))
            })
            .collect()
    }

    fn shape(kind: MapKind, inputs: &[usize], hidden: &[usize]) -> MapShape {
        MapShape::to_gates(4, kind, inputs, hidden)
    }

    /// A matrix that is a map of the shape asked for is found again, through the trainer's own map.
    #[test]
    fn finds_a_map_again() {
        let shapes = [
            shape(
                MapKind::BlockTerm { blocks: 1, rank: 2 },
                &[3, 4, 2],
                &[2, 3, 2],
            ),
            shape(MapKind::BlockTerm { blocks: 2, rank: 2 }, &[6, 5], &[2, 7]),
            shape(MapKind::TensorTrain { rank: 3 }, &[3, 4, 2], &[1, 3, 2]),
            shape(
                MapKind::TensorTrain { rank: 2 },
                &[2, 3, 2, 4],
                &[1, 2, 3, 2],
            ),
        ];
        for (seed, shape) in shapes.iter().enumerate() {
            let matrix_of = |tensors: &Tensors| matrix(tensors, shape);
            let planted = matrix_of(&tensors(shape, 40 + seed as u64));
            let found = decompose(planted.view(), shape, &mut || ()).unwrap();
            assert!(found.error < 1e-3, "{shape:?}: {}", found.error);
            let again = matrix_of(&found.tensors);
            let off = (&again - &planted).mapv(|e| e * e).sum().sqrt();
            let norm = planted.mapv(|w| w * w).sum().sqrt();
            assert!(f64::from(off / norm) < 1.1e-3, "{shape:?}: {off}");
        }
    }

    /// Of two modes a tensor train is a matrix of rank r of the pairs, and the nearest one leaves the smaller
    /// singular values over: known here, since they were put in.
    #[test]
    fn comes_as_near_as_can_be() {
        let shape = shape(MapKind::TensorTrain { rank: 2 }, &[3, 4], &[1, 2]);
        let orthogonal = |size, seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut matrix = Array2::<f64>::zeros((size, size));
            crate::float::init::orthogonal(matrix.view_mut(), &mut rng);
            matrix
        };
        // Pairs: 3·4 and 4·2.
        let (left, right) = (orthogonal(12, 1), orthogonal(8, 2));
        let singular = [4.0, 2.0, 1.0, 0.5];
        let mut pairs = Array2::<f64>::zeros((12, 8));
        for (k, value) in singular.iter().enumerate() {
            let (u, v) = (left.row(k), right.row(k));
            for ((a, b), entry) in pairs.indexed_iter_mut() {
                *entry += value * u[a] * v[b];
            }
        }
        // (i1 j1, i2 j2) → (j1 j2, i1 i2)
        let planted = Array2::from_shape_fn((8, 12), |(j, i)| {
            pairs[[(i / 4) * 4 + j / 2, (i % 4) * 2 + j % 2]] as f32
        });
        let found = decompose(planted.view(), &shape, &mut || ()).unwrap();
        let (rest, all) = (1.25f64, 21.25f64);
        assert!(
            (found.error - (rest / all).sqrt()).abs() < 1e-4,
            "{}",
            found.error
        );
    }

    /// What is told is the distance of the matrix from what the trainer's own map computes; sweeps lower it;
    /// norms are even.
    #[test]
    fn tells_the_true_error() {
        for kind in [
            MapKind::BlockTerm { blocks: 2, rank: 2 },
            MapKind::TensorTrain { rank: 3 },
        ] {
            let shape = shape(kind, &[3, 2, 4], &[2, 3, 1]);
            let planted = noise(24, 24, 9).mapv(|value| value as f32);
            let mut sweeps = 0;
            let found = decompose(planted.view(), &shape, &mut || sweeps += 1).unwrap();
            assert!(sweeps <= SWEEPS);
            let again = matrix(&found.tensors, &shape);
            let off = (&again - &planted).mapv(|e| f64::from(e * e)).sum();
            let all = planted.mapv(|w| f64::from(w * w)).sum();
            assert!((found.error - (off / all).sqrt()).abs() < 1e-5);
            assert!(found.error < 0.97, "{kind:?}: {}", found.error);
            let norms = found
                .tensors
                .iter()
                .filter(|(name, _)| !name.starts_with("block.1"));
            let norms: Vec<f32> = norms.map(|(_, t)| t.mapv(|v| v * v).sum()).collect();
            let even = norms
                .iter()
                .all(|norm| (norm / norms[0] - 1.0).abs() < 1e-3);
            assert!(even, "{norms:?}");
        }
    }

    #[test]
    fn a_matrix_of_zeros_stays_one() {
        for kind in [
            MapKind::BlockTerm { blocks: 2, rank: 2 },
            MapKind::TensorTrain { rank: 2 },
        ] {
            let shape = shape(kind, &[2, 3], &[1, 2]);
            let found = decompose(Array2::zeros((8, 6)).view(), &shape, &mut || ()).unwrap();
            assert_eq!(found.error, 0.0);
        }
    }
}
