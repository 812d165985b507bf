//! The shape of a tensor map, and its entries in f64.

use ndarray::{ArrayD, Dimension, IxDyn};

/// Which decomposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Σ_n G_n ×_k A_n^(k) with so many blocks.
    BlockTerm {
        /// N.
        blocks: usize,
    },
    /// G_1 · … · G_d.
    TensorTrain,
}

/// Modes and ranks of a tensor map I_1·…·I_d → J'_1·…·J'_d.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorShape {
    /// The decomposition.
    pub form: Form,
    /// I_1, …, I_d, slowest first.
    pub inputs: Vec<usize>,
    /// J'_1, …, J'_d, slowest first; J'_1 = 4·J_1.
    pub outputs: Vec<usize>,
    /// R: every Tucker rank, or every inner rank of a train.
    pub rank: usize,
}

impl TensorShape {
    /// d.
    pub fn order(&self) -> usize {
        self.inputs.len()
    }

    /// N; a train counts as one block.
    pub fn blocks(&self) -> usize {
        match self.form {
            Form::BlockTerm { blocks } => blocks,
            Form::TensorTrain => 1,
        }
    }

    /// I.
    pub fn width(&self) -> usize {
        self.inputs.iter().product()
    }

    /// 4·J.
    pub fn height(&self) -> usize {
        self.outputs.iter().product()
    }

    /// Free parameters.
    pub fn parameters(&self) -> usize {
        let d = self.order();
        match self.form {
            Form::BlockTerm { blocks } => {
                let factors: usize = self
                    .inputs
                    .iter()
                    .zip(&self.outputs)
                    .map(|(i, j)| i * j * self.rank)
                    .sum();
                blocks * (factors + self.rank.pow(d as u32))
            }
            Form::TensorTrain => (0..d)
                .map(|k| self.bond(k) * self.inputs[k] * self.outputs[k] * self.bond(k + 1))
                .sum(),
        }
    }

    /// r_k of a train: 1 at both ends.
    pub fn bond(&self, k: usize) -> usize {
        if k == 0 || k == self.order() {
            1
        } else {
            self.rank
        }
    }
}

/// A tensor map with its entries.
#[derive(Debug, Clone)]
pub struct TensorMap {
    /// Modes and ranks.
    pub shape: TensorShape,
    /// Block-term: the core [R, …, R] of every block; empty for a train.
    pub cores: Vec<ArrayD<f64>>,
    /// Block-term: `[block][k]` of [I_k, J'_k, R]; train: `[0][k]` of [r_{k−1}, I_k, J'_k, r_k].
    pub factors: Vec<Vec<ArrayD<f64>>>,
}

impl TensorMap {
    /// Entries from a function of (block, `None` for the core or mode, index).
    pub fn from_fn(
        shape: TensorShape,
        mut entry: impl FnMut(usize, Option<usize>, &[usize]) -> f64,
    ) -> Self {
        let d = shape.order();
        let mut cores = Vec::new();
        let mut factors = Vec::new();
        for block in 0..shape.blocks() {
            let mut of_block = Vec::new();
            if shape.form != Form::TensorTrain {
                let dims = vec![shape.rank; d];
                cores.push(ArrayD::from_shape_fn(IxDyn(&dims), |index| {
                    entry(block, None, index.slice())
                }));
            }
            for k in 0..d {
                let (i, j) = (shape.inputs[k], shape.outputs[k]);
                let dims = match shape.form {
                    Form::BlockTerm { .. } => vec![i, j, shape.rank],
                    Form::TensorTrain => vec![shape.bond(k), i, j, shape.bond(k + 1)],
                };
                of_block.push(ArrayD::from_shape_fn(IxDyn(&dims), |index| {
                    entry(block, Some(k), index.slice())
                }));
            }
            factors.push(of_block);
        }
        Self {
            shape,
            cores,
            factors,
        }
    }
}
