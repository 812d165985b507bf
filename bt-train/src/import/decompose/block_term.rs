//! Block-term maps by alternating least squares.

use super::{Fit, Target, as_matrix, balance, norm, pairs};
use crate::float::tensors::Tensors;
use crate::import::linear::solve;
use crate::shape::{MapShape, name};
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, ArrayViewD, Axis, CowArray, Ix2, IxDyn,
    concatenate,
};

/// Blocks under way.
pub(super) struct Blocks {
    blocks: Vec<Block>,
}

struct Block {
    /// [R, …, R]
    core: ArrayD<f64>,
    /// [I_k·J'_k, R]
    factors: Vec<Array2<f64>>,
}

impl Block {
    /// The core with every factor multiplied in but that of mode `without`, whose rank comes first:
    /// [R, pairs without k].
    fn without(&self, k: usize) -> Array2<f64> {
        let mut tensor = self.core.clone();
        for (mode, factor) in self.factors.iter().enumerate() {
            if mode != k {
                tensor = times(tensor.view(), mode, factor.view());
            }
        }
        unfolded(tensor.view(), k).into_owned()
    }
}

impl Blocks {
    pub fn random(shape: &MapShape, draw: &mut dyn FnMut() -> f64) -> Blocks {
        let blocks = (0..shape.blocks())
            .map(|_| Block {
                core: ArrayD::from_shape_simple_fn(shape.core(), &mut *draw),
                factors: pairs(shape)
                    .into_iter()
                    .map(|pair| Array2::from_shape_simple_fn((pair, shape.rank()), &mut *draw))
                    .collect(),
            })
            .collect();
        Blocks { blocks }
    }

    /// The factors of mode k, of all blocks at once.
    fn factors(&mut self, target: &Target, k: usize) {
        let parts: Vec<Array2<f64>> = self.blocks.iter().map(|block| block.without(k)).collect();
        let views: Vec<ArrayView2<'_, f64>> = parts.iter().map(|part| part.view()).collect();
        // [N·R, pairs without k]
        let rest = concatenate(Axis(0), &views).expect("blocks of one shape");
        let (before, behind) = target.around(k);
        let pair = target.pairs[k];
        // [pair, N·R]
        let mut summed = Array2::zeros((pair, rest.nrows()));
        if behind == 1 {
            let tensor = ArrayView2::from_shape((before, pair), &target.values);
            let tensor = tensor.expect("the tensor in full");
            summed = tensor.t().dot(&rest.t());
        } else {
            for (at, slice) in target.values.chunks_exact(pair * behind).enumerate() {
                let slice = ArrayView2::from_shape((pair, behind), slice);
                let slice = slice.expect("one index of those before");
                let rest = rest.slice(ndarray::s![.., at * behind..(at + 1) * behind]);
                summed += &slice.dot(&rest.t());
            }
        }
        let solved = solve(rest.dot(&rest.t()).view(), summed.t());
        for (block, rows) in self
            .blocks
            .iter_mut()
            .zip(solved.axis_chunks_iter(Axis(0), rest.nrows() / parts.len()))
        {
            let mut factor = rows.t().as_standard_layout().into_owned();
            // Of norm 1, so that none runs away from the others; the core takes its weight up.
            let size = norm(factor.iter());
            if size > 0.0 {
                factor /= size;
                block.core *= size;
            }
            block.factors[k] = factor;
        }
    }

    /// The cores, one after the other; gives the squared relative error of all blocks.
    fn cores(&mut self, target: &Target) -> f64 {
        let projections: Vec<ArrayD<f64>> = self
            .blocks
            .iter()
            .map(|block| {
                let tensor = ArrayViewD::from_shape(IxDyn(&target.pairs), &target.values);
                let tensor = tensor.expect("the tensor in full");
                let mut projection = times(tensor, 0, block.factors[0].t());
                for (mode, factor) in block.factors.iter().enumerate().skip(1) {
                    projection = times(projection.view(), mode, factor.t());
                }
                projection
            })
            .collect();
        for (n, projection) in projections.iter().enumerate() {
            let mut rest = projection.clone();
            for m in (0..self.blocks.len()).filter(|&m| m != n) {
                rest -= &self.seen_from(n, m);
            }
            for (mode, factor) in self.blocks[n].factors.iter().enumerate() {
                let gram = factor.t().dot(factor);
                let folded = unfolded(rest.view(), mode);
                let solved = solve(gram.view(), folded.view());
                rest = refolded(solved, mode, self.blocks[n].core.shape());
            }
            self.blocks[n].core = rest;
        }
        let (mut inner, mut square) = (0.0, 0.0);
        for (n, projection) in projections.iter().enumerate() {
            let core = &self.blocks[n].core;
            inner += (projection * core).sum();
            for m in 0..self.blocks.len() {
                square += (&self.seen_from(n, m) * core).sum();
            }
        }
        target.relative(inner, square)
    }

    /// Block m projected on the factors of block n.
    fn seen_from(&self, n: usize, m: usize) -> ArrayD<f64> {
        let (ours, theirs) = (&self.blocks[n], &self.blocks[m]);
        let mut tensor = theirs.core.clone();
        for (mode, (our, their)) in ours.factors.iter().zip(&theirs.factors).enumerate() {
            tensor = times(tensor.view(), mode, our.t().dot(their).view());
        }
        tensor
    }
}

impl Fit for Blocks {
    fn sweep(&mut self, target: &Target) -> f64 {
        for k in 0..target.pairs.len() {
            self.factors(target, k);
        }
        self.cores(target)
    }

    fn tensors(self: Box<Self>, shape: &MapShape) -> Tensors {
        let mut tensors = Tensors::new();
        for (n, block) in self.blocks.into_iter().enumerate() {
            let mut norms = vec![norm(block.core.iter())];
            norms.extend(block.factors.iter().map(|factor| norm(factor.iter())));
            let scales = balance(&norms);
            let core = block.core.mapv(|value| (value * scales[0]) as f32);
            tensors.insert(name::core(n), core);
            for (k, factor) in block.factors.iter().enumerate() {
                let values = factor.iter().map(|value| (value * scales[k + 1]) as f32);
                let factor = ArrayD::from_shape_vec(shape.factor(k), values.collect());
                tensors.insert(name::factor(n, k), factor.expect("pair·R values"));
            }
        }
        tensors
    }
}

/// The blocks in full.
pub(super) fn full(tensors: &Tensors, shape: &MapShape) -> Vec<f64> {
    let mut all = vec![0.0; shape.width() * shape.height()];
    for n in 0..shape.blocks() {
        let mut tensor = tensors[&name::core(n)].mapv(f64::from);
        for (k, pair) in pairs(shape).into_iter().enumerate() {
            let factor = as_matrix(tensors[&name::factor(n, k)].view(), pair);
            tensor = times(tensor.view(), k, factor.view());
        }
        for (sum, value) in all.iter_mut().zip(tensor.iter()) {
            *sum += value;
        }
    }
    all
}

/// Sums over axis `mode` with the columns of `matrix` [new, old]: that axis is `new` long in the result.
fn times(tensor: ArrayViewD<'_, f64>, mode: usize, matrix: ArrayView2<'_, f64>) -> ArrayD<f64> {
    let mut shape = tensor.shape().to_vec();
    shape[mode] = matrix.nrows();
    let product = matrix.dot(&unfolded(tensor, mode));
    refolded(product, mode, &shape)
}

/// [this mode, all others].
fn unfolded(tensor: ArrayViewD<'_, f64>, mode: usize) -> CowArray<'_, f64, Ix2> {
    let rows = tensor.shape()[mode];
    let columns = tensor.len() / rows;
    let mut axes: Vec<usize> = (0..tensor.ndim()).collect();
    axes.remove(mode);
    axes.insert(0, mode);
    let tensor = tensor.permuted_axes(axes);
    let values = match tensor.to_slice() {
        Some(values) => CowArray::from(ArrayView1::from(values)),
        None => CowArray::from(tensor.iter().copied().collect::<Array1<f64>>()),
    };
    values
        .into_shape_with_order((rows, columns))
        .expect("as many values")
}

/// The tensor of this shape that [`unfolded`] makes `matrix` of.
fn refolded(matrix: Array2<f64>, mode: usize, shape: &[usize]) -> ArrayD<f64> {
    let mut order = shape.to_vec();
    let first = order.remove(mode);
    order.insert(0, first);
    let matrix = matrix.as_standard_layout().into_owned();
    let tensor = matrix
        .into_shape_with_order(IxDyn(&order))
        .expect("as many values");
    let mut axes: Vec<usize> = (1..shape.len()).collect();
    axes.insert(mode, 0);
    let tensor = tensor.permuted_axes(axes);
    tensor.as_standard_layout().into_owned()
}
