//! A tensor map with its entries in f64.

use crate::shape::{MapKind, MapShape, name};
use ndarray::{ArrayD, Dimension, IxDyn};

/// A tensor map with its entries.
#[derive(Debug, Clone)]
pub struct TensorMap {
    /// Form, modes and ranks; not dense.
    pub shape: MapShape,
    /// Block-term: the core [R, …, R] of every block; empty for a train.
    pub cores: Vec<ArrayD<f64>>,
    /// Block-term: `[block][k]` of [I_k, J'_k, R]; train: `[0][k]` of [r_{k−1}, I_k, J'_k, r_k].
    pub factors: Vec<Vec<ArrayD<f64>>>,
}

impl TensorMap {
    /// Entries from a function of (block, `None` for the core or mode, index).
    pub fn from_fn(
        shape: MapShape,
        mut entry: impl FnMut(usize, Option<usize>, &[usize]) -> f64,
    ) -> Self {
        let mut cores = Vec::new();
        let mut factors = Vec::new();
        for block in 0..shape.blocks() {
            if matches!(shape.kind, MapKind::BlockTerm { .. }) {
                cores.push(ArrayD::from_shape_fn(IxDyn(&shape.core()), |index| {
                    entry(block, None, index.slice())
                }));
            }
            let of_block = (0..shape.order()).map(|k| {
                ArrayD::from_shape_fn(IxDyn(&shape.factor(k)), |index| {
                    entry(block, Some(k), index.slice())
                })
            });
            factors.push(of_block.collect());
        }
        Self {
            shape,
            cores,
            factors,
        }
    }

    /// Entries from tensors by their names in a model file, less the map's prefix.
    pub fn from_tensors(shape: MapShape, tensor: impl Fn(String) -> ArrayD<f64>) -> Self {
        let modes = 0..shape.order();
        let is_train = matches!(shape.kind, MapKind::TensorTrain { .. });
        let blocks = 0..shape.blocks();
        let factor = |n: usize, k: usize| match is_train {
            true => tensor(name::train(k)),
            false => tensor(name::factor(n, k)),
        };
        let core = |n: usize| (!is_train).then(|| tensor(name::core(n)));
        Self {
            cores: blocks.clone().filter_map(core).collect(),
            factors: blocks
                .map(|n| modes.clone().map(|k| factor(n, k)).collect())
                .collect(),
            shape,
        }
    }
}
