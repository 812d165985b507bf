//! TedNet's `BTTLSTM` and `TTLSTM`: its factors are ours, the modes of its cores are reversed.
//!
//! | TedNet, behind a prefix and `cell.` | here |
//! |---|---|
//! | `weight_ih.factor{k}_block{n}` [I_k, J'_k, R_k] | `block.{n}.factor.{k}` |
//! | `weight_ih.core_block{n}` [R_1, …, R_d], read as [R_d, …, R_1] | `block.{n}.core` |
//! | `weight_ih.node{k}` [I_k, J'_k, r_{k−1}, r_k], ranks of 1 left out | `tt.{k}` |
//! | `weight_ih.bias`, `bias_hh` | their sum |
//!
//! Ranks that differ are filled up with zeros to the largest, which loses nothing.

use super::state::{GATES, State, wrong_shape};
use crate::error::Result;
use crate::float::tensors::Tensors;
use crate::shape::{MapKind, name};
use ndarray::{ArrayD, IxDyn, Slice};

/// The names by which TedNet's layers are known.
const BLOCKS: &str = "weight_ih.core_block0";
const TRAIN: &str = "weight_ih.node0";

/// A layer of TedNet.
pub(super) struct Layer {
    /// Form of the input map.
    pub kind: MapKind,
    /// I_1, …, I_d.
    pub inputs: Vec<usize>,
    /// J_1, …, J_d.
    pub hidden: Vec<usize>,
    /// Tensors of the input map, by their names less the prefix.
    pub map: Tensors,
}

/// What stands before the names of a layer of TedNet, if a tensor of this name says that it is one.
pub(super) fn prefix(tensor: &str) -> Option<&str> {
    [BLOCKS, TRAIN]
        .iter()
        .find_map(|first| tensor.strip_suffix(first))
}

/// Takes the input map of the layer out of a file.
///
/// # Errors
/// Names the tensor that is missing or does not fit.
pub(super) fn map(state: &mut State, layer: &str) -> Result<Layer> {
    if state.has(&format!("{layer}{BLOCKS}")) {
        block_term(state, layer)
    } else {
        tensor_train(state, layer)
    }
}

fn block_term(state: &mut State, layer: &str) -> Result<Layer> {
    let mut blocks = Vec::new();
    while blocks.is_empty() || state.has(&format!("{layer}weight_ih.core_block{}", blocks.len())) {
        let n = blocks.len();
        let core = state.take(&format!("{layer}weight_ih.core_block{n}"))?;
        let mut factors = Vec::new();
        for k in 0..core.ndim() {
            let name = format!("{layer}weight_ih.factor{k}_block{n}");
            let factor = state.take(&name)?;
            let rank = core.shape()[k];
            let of_first = |first: &Vec<ArrayD<f32>>| first[k].shape()[..2].to_vec();
            let expected = blocks.first().map(|(_, factors)| of_first(factors));
            match factor.shape() {
                [i, j, r] if *r == rank && expected.is_none_or(|expected| expected == [*i, *j]) => {
                }
                found => {
                    return Err(wrong_shape(&name, format!("[I, J, {rank}]"), found));
                }
            }
            factors.push(factor);
        }
        blocks.push((core.reversed_axes(), factors));
    }
    let ranks = blocks.iter().flat_map(|(core, _)| core.shape());
    let rank = ranks.copied().max().unwrap_or(0);
    let first = &blocks[0].1;
    let modes = |axis: usize| first.iter().map(|factor| factor.shape()[axis]).collect();
    let (inputs, outputs): (Vec<usize>, Vec<usize>) = (modes(0), modes(1));
    let count = blocks.len();
    let mut map = Tensors::new();
    for (n, (core, factors)) in blocks.into_iter().enumerate() {
        map.insert(name::core(n), filled(&core, &vec![rank; inputs.len()]));
        for (k, factor) in factors.into_iter().enumerate() {
            let shape = [inputs[k], outputs[k], rank];
            map.insert(name::factor(n, k), filled(&factor, &shape));
        }
    }
    Ok(Layer {
        kind: MapKind::BlockTerm {
            blocks: count,
            rank,
        },
        hidden: hidden(&format!("{layer}weight_ih.factor0_block0"), &outputs)?,
        inputs,
        map,
    })
}

fn tensor_train(state: &mut State, layer: &str) -> Result<Layer> {
    let node = |k: usize| format!("{layer}weight_ih.node{k}");
    let order = (0..).take_while(|&k| state.has(&node(k))).count();
    let (mut nodes, mut bond) = (Vec::new(), 1);
    for k in 0..order {
        let tensor = state.take(&node(k))?;
        // A rank of 1 at either end has no axis.
        let shape = match *tensor.shape() {
            [i, j, r] if k == 0 && order > 1 => [i, j, 1, r],
            [i, j, r] if k + 1 == order => [i, j, r, 1],
            [i, j, r, s] if k > 0 && k + 1 < order => [i, j, r, s],
            _ => {
                return Err(wrong_shape(
                    &node(k),
                    "[I, J, ranks…]".into(),
                    tensor.shape(),
                ));
            }
        };
        if shape[2] != bond {
            let expected = format!("a rank of {bond} in its third place");
            return Err(wrong_shape(&node(k), expected, tensor.shape()));
        }
        bond = shape[3];
        let values: Vec<f32> = tensor.iter().copied().collect();
        let tensor = ArrayD::from_shape_vec(IxDyn(&shape), values).expect("as many values");
        nodes.push(tensor.permuted_axes(IxDyn(&[2, 0, 1, 3])));
    }
    let rank = nodes.iter().map(|node| node.shape()[3]).max().unwrap_or(1);
    let modes = |axis: usize| nodes.iter().map(|node| node.shape()[axis]).collect();
    let (inputs, outputs): (Vec<usize>, Vec<usize>) = (modes(1), modes(2));
    let map = nodes.iter().enumerate().map(|(k, node)| {
        let bond = |k: usize| if k == 0 || k == order { 1 } else { rank };
        let shape = [bond(k), inputs[k], outputs[k], bond(k + 1)];
        (name::train(k), filled(node, &shape))
    });
    Ok(Layer {
        kind: MapKind::TensorTrain { rank },
        map: map.collect(),
        hidden: hidden(&node(0), &outputs)?,
        inputs,
    })
}

/// The modes of the hidden state: the gates stand in the first.
fn hidden(tensor: &str, outputs: &[usize]) -> Result<Vec<usize>> {
    let mut hidden = outputs.to_vec();
    if !hidden[0].is_multiple_of(GATES) || hidden[0] == 0 {
        let expected = format!("a multiple of {GATES} in its second place");
        return Err(wrong_shape(tensor, expected, &[outputs[0]]));
    }
    hidden[0] /= GATES;
    Ok(hidden)
}

/// A tensor in the corner of a larger one of zeros.
fn filled(tensor: &ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
    let mut larger = ArrayD::zeros(IxDyn(shape));
    let mut corner = larger.view_mut();
    for (axis, &size) in tensor.shape().iter().enumerate() {
        corner.slice_axis_inplace(ndarray::Axis(axis), Slice::from(..size));
    }
    corner.assign(tensor);
    larger
}
