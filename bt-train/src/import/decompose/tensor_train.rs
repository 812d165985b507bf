//! Tensor trains by alternating least squares.

use super::{Fit, Target, as_matrix, balance, norm, pairs};
use crate::float::tensors::Tensors;
use crate::import::linear::solve;
use crate::shape::{MapShape, name};
use ndarray::{Array2, ArrayD, ArrayView2};

/// A train under way.
pub(super) struct Train {
    /// [r_{k−1}·I_k·J'_k, r_k].
    carriages: Vec<Array2<f64>>,
    /// r_0, …, r_d.
    bonds: Vec<usize>,
}

impl Train {
    pub fn random(shape: &MapShape, draw: &mut dyn FnMut() -> f64) -> Train {
        let bonds: Vec<usize> = (0..=shape.order()).map(|k| shape.bond(k)).collect();
        let carriages = pairs(shape)
            .iter()
            .enumerate()
            .map(|(k, pair)| {
                Array2::from_shape_simple_fn((bonds[k] * pair, bonds[k + 1]), &mut *draw)
            })
            .collect();
        Train { carriages, bonds }
    }

    /// What stands behind carriage k: [r_k, pairs behind], for every k.
    fn behind(&self, target: &Target) -> Vec<Array2<f64>> {
        let mut parts = vec![Array2::ones((1, 1))];
        for k in (1..self.carriages.len()).rev() {
            let last = parts.last().expect("begins with one");
            // [r_{k−1}·pair, r_k]·[r_k, behind], read as [r_{k−1}, pair·behind].
            let product = self.carriages[k].dot(last);
            let rows = self.bonds[k];
            let columns = target.pairs[k] * last.ncols();
            parts.push(reshaped(product, rows, columns));
        }
        parts.reverse();
        parts
    }
}

impl Fit for Train {
    fn sweep(&mut self, target: &Target) -> f64 {
        let behind = self.behind(target);
        // [pairs before, r_{k−1}]
        let mut ahead: Array2<f64> = Array2::ones((1, 1));
        let mut error = 0.0;
        for (k, right) in behind.iter().enumerate() {
            let (before, after) = target.around(k);
            let pair = target.pairs[k];
            let (r, s) = (self.bonds[k], self.bonds[k + 1]);
            let tensor = ArrayView2::from_shape((before * pair, after), &target.values);
            let tensor = tensor.expect("the tensor in full");
            // Lᵀ·T·Rᵀ, [r, pair·s]
            let summed = reshaped(tensor.dot(&right.t()), before, pair * s);
            let summed = ahead.t().dot(&summed);
            let (left_gram, right_gram) = (ahead.t().dot(&ahead), right.dot(&right.t()));
            let half = solve(left_gram.view(), summed.view());
            let half = reshaped(half, r * pair, s);
            let carriage = solve(right_gram.view(), half.t());
            let carriage = carriage.reversed_axes().as_standard_layout().into_owned();
            // ‖L·C·R‖² = Σ C ∘ (LᵀL·C·RRᵀ)
            let weighed = reshaped(carriage.dot(&right_gram), r, pair * s);
            let weighed = left_gram.dot(&weighed);
            let square = (&weighed * &reshaped(carriage.clone(), r, pair * s)).sum();
            let inner = (&summed * &reshaped(carriage.clone(), r, pair * s)).sum();
            error = target.relative(inner, square);
            let size = norm(carriage.iter());
            self.carriages[k] = carriage;
            if k + 1 < behind.len() && size > 0.0 {
                // Kept at norm 1, so that no carriage runs away from the others; the next one takes it up.
                self.carriages[k] /= size;
            }
            let next = reshaped(self.carriages[k].clone(), r, pair * s);
            ahead = reshaped(ahead.dot(&next), before * pair, s);
        }
        error
    }

    fn tensors(self: Box<Self>, shape: &MapShape) -> Tensors {
        let norms: Vec<f64> = self.carriages.iter().map(|c| norm(c.iter())).collect();
        let factors = balance(&norms);
        let carriages = self.carriages.iter().zip(factors).enumerate();
        carriages
            .map(|(k, (carriage, factor))| {
                let values = carriage.iter().map(|value| (value * factor) as f32);
                let tensor = ArrayD::from_shape_vec(shape.factor(k), values.collect());
                (name::train(k), tensor.expect("r·pair·s values"))
            })
            .collect()
    }
}

/// The train in full.
pub(super) fn full(tensors: &Tensors, shape: &MapShape) -> Vec<f64> {
    let mut all = Array2::ones((1, 1));
    for (k, pair) in pairs(shape).into_iter().enumerate() {
        let carriage = as_matrix(tensors[&name::train(k)].view(), shape.bond(k));
        let rows = all.nrows() * pair;
        all = reshaped(all.dot(&carriage), rows, shape.bond(k + 1));
    }
    all.into_iter().collect()
}

/// The same values in rows of another length.
fn reshaped(matrix: Array2<f64>, rows: usize, columns: usize) -> Array2<f64> {
    let matrix = matrix.as_standard_layout().into_owned();
    matrix
        .into_shape_with_order((rows, columns))
        .expect("as many values")
}
