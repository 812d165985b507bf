//! The tensor-train map, the block-term map's rival.
//!
//! `W[j, i] = Π_k C_k[·, i_k, j_k, ·]`, a product of matrices [r_{k−1}, r_k]
//! with r_0 = r_d = 1. Contracted last core first, by the same engine.

use super::chain::{Chain, Scratch};
use super::stages::{Stage, Stages};
use super::{Frames, Map, Prepared, WeightSums};
use crate::float::real::Real;
use crate::float::spare::Spare;
use crate::shape::name;
use ndarray::{Array3, Array4, ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD};

/// Weights of a tensor-train map: core k is [r_{k−1}, I_k, J_k, r_k].
#[derive(Debug, Clone)]
pub struct TensorTrain<T> {
    cores: Vec<Array4<T>>,
    plan: Stages,
    spare: Spare<Scratch<T>>,
}

impl<T: Real> TensorTrain<T> {
    /// A map with all weights zero: `input` and `output` modes, slowest first,
    /// and the inner rank.
    ///
    /// # Panics
    /// If the numbers of modes differ or are 0.
    pub fn zeros(input: &[usize], output: &[usize], rank: usize) -> TensorTrain<T> {
        let d = input.len();
        assert!(d > 0 && d == output.len(), "as many output as input modes");
        let ranks = |k: usize| if k == 0 || k == d { 1 } else { rank };
        let cores: Vec<Array4<T>> = (0..d)
            .map(|k| Array4::zeros((ranks(k), input[k], output[k], ranks(k + 1))))
            .collect();
        let stages = (0..d)
            .rev()
            .map(|k| Stage {
                before: input[..k].iter().product(),
                sum: input[k] * ranks(k + 1),
                side: 1,
                new: ranks(k) * output[k],
                post: output[k + 1..].iter().product(),
                shuffle: None,
            })
            .collect();
        let plan = Stages::new(input, output, d - 1, 1, stages, false);
        TensorTrain {
            cores,
            plan,
            spare: Spare::default(),
        }
    }

    /// The order in which it is computed.
    pub fn plan(&self) -> &Stages {
        &self.plan
    }
}

impl<T: Real> Map<T> for TensorTrain<T> {
    fn inputs(&self) -> usize {
        self.plan.inputs()
    }

    fn outputs(&self) -> usize {
        self.plan.outputs()
    }

    fn parameters(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        let cores = self.cores.iter().enumerate();
        cores
            .map(|(k, core)| (name::train(k), core.view().into_dyn()))
            .collect()
    }

    fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let cores = self.cores.iter_mut().enumerate();
        cores
            .map(|(k, core)| (name::train(k), core.view_mut().into_dyn()))
            .collect()
    }

    fn prepare(&self) -> Box<dyn Prepared<T> + '_> {
        // [r, i, j, s] → [(i, s), (r, j)]
        let weights = self.cores.iter().rev().map(|core| {
            let (r, i, j, s) = core.dim();
            let permuted = core.view().permuted_axes([1, 3, 0, 2]);
            let values = permuted.iter().copied().collect();
            Array3::from_shape_vec((1, i * s, r * j), values).expect("as many values as weights")
        });
        Box::new(PreparedTensorTrain {
            map: self,
            chain: Chain::new(&self.plan, weights.collect(), &self.spare),
        })
    }

    fn boxed_clone(&self) -> Box<dyn Map<T>> {
        Box::new(self.clone())
    }
}

struct PreparedTensorTrain<'a, T> {
    map: &'a TensorTrain<T>,
    chain: Chain<'a, T>,
}

impl<T: Real> Prepared<T> for PreparedTensorTrain<'_, T> {
    fn forward(&self, x: &Frames<'_, T>, z: &mut [T]) -> Vec<T> {
        self.chain.forward(x, z)
    }

    fn input_gradient(&self, dz: ArrayView2<'_, T>, dx: &mut [T]) {
        self.chain.input_gradient(dz, dx);
    }

    fn add_weight_gradient(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        sums: &mut WeightSums<T>,
    ) {
        sums.add(self.chain.weight_gradient(x, kept, dz));
    }

    fn add_both_gradients(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        dx: &mut [T],
        sums: &mut WeightSums<T>,
    ) -> bool {
        sums.add(self.chain.both_gradients(x, kept, dz, dx));
        true
    }

    fn of_parameters(&self, sums: WeightSums<T>) -> Vec<ArrayD<T>> {
        let stages = self.chain.of_stages(sums);
        let gradients = self.map.cores.iter().zip(stages.into_iter().rev());
        gradients
            .map(|(core, gradient)| {
                let (r, i, j, s) = core.dim();
                let gradient = gradient.into_shape_with_order((i, s, r, j));
                let gradient = gradient.expect("as many values as weights");
                let gradient = gradient.permuted_axes([2, 0, 3, 1]);
                gradient.as_standard_layout().into_owned().into_dyn()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use ndarray::{Array2, Axis};

    fn filled(input: &[usize], output: &[usize], rank: usize) -> TensorTrain<f64> {
        let mut map = TensorTrain::zeros(input, output, rank);
        for (seed, (_, mut values)) in map.parameters_mut().into_iter().enumerate() {
            let noise = check::noise(values.len(), seed as u64 + 23);
            values.iter_mut().zip(noise).for_each(|(v, n)| *v = n);
        }
        map
    }

    const SHAPES: &[(&[usize], &[usize], usize)] = &[
        (&[6], &[4], 3),
        (&[3, 4], &[8, 3], 2),
        (&[1, 5, 2], &[8, 1, 2], 3),
        (&[2, 3, 2, 3], &[4, 2, 1, 3], 2),
        (&[2, 1, 2, 2, 3, 2], &[4, 2, 1, 1, 2, 1], 2),
    ];

    #[test]
    fn equals_the_definition() {
        for &(input, output, rank) in SHAPES {
            let map = filled(input, output, rank);
            let found = check::matrix(&map);
            let expected = Array2::from_shape_fn((map.outputs(), map.inputs()), |(j, i)| {
                let (mut i, mut j) = (i, j);
                let mut column = Array2::from_elem((1, 1), 1.0);
                for (k, core) in map.cores.iter().enumerate().rev() {
                    let slice = core.index_axis(Axis(1), i % input[k]);
                    let slice = slice.index_axis(Axis(1), j % output[k]);
                    column = slice.dot(&column);
                    i /= input[k];
                    j /= output[k];
                }
                column[[0, 0]]
            });
            assert!((found - expected).iter().all(|e| e.abs() < 1e-12));
        }
    }

    #[test]
    fn gradients() {
        for &(input, output, rank) in SHAPES {
            check::gradients(&mut filled(input, output, rank), 3);
        }
    }

    #[test]
    fn cut_frames() {
        let mut map = filled(&[8, 20, 20, 18], &[16, 4, 4, 4], 4);
        assert!(map.plan().slices > 1, "{:?}", map.plan());
        check::gradients(&mut map, 2);
        check::same_on_any_number_of_threads(&map, 19);
    }
}
