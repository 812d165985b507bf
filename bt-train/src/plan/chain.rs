//! The stages of one block in the order of a plan: what is summed over, what is kept, how often.

use super::layout::{Axis, Label, size};
use super::tensor_map::TensorMap;
use super::{Join, LowerError, Plan};
use crate::shape::{MapKind, MapShape};
use bt_core::internals::program::{m_tiles, n_tiles, panel, row_pairs};
use ndarray::{ArrayD, Dimension, IxDyn};

/// Which tensor a stage multiplies with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    /// A factor (a core of a train) as it is.
    Factor(usize),
    /// G·A_k over r_k.
    Merged(usize),
    /// The core on its own.
    Core,
}

/// One stage of one block, before layout.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) operand: Operand,
    pub(super) k: Vec<Axis>,
    pub(super) m: Vec<Axis>,
    pub(super) n: Vec<Axis>,
    /// Outer mode whose digit picks the weight slice, and values of it that one slice covers.
    pub(super) sliced: Option<(usize, usize)>,
    pub(super) depth: usize,
    /// [`Plan::vectors`].
    pub(super) vectors: bool,
}

impl Stage {
    /// Tiles of rows of W.
    pub(super) fn m_tiles(&self) -> usize {
        m_tiles(size(&self.m))
    }

    /// Tiles of rows of X.
    pub(super) fn n_tiles(&self) -> usize {
        n_tiles(size(&self.n))
    }

    /// Words of a row: pairs of k.
    pub(super) fn k_pairs(&self) -> usize {
        row_pairs(size(&self.k), self.vectors)
    }

    /// Words of the panels of X.
    pub(super) fn input_words(&self) -> usize {
        panel::words(size(&self.n), self.k_pairs())
    }

    /// Weight slices: values of the outer mode, in groups that one slice covers.
    pub(super) fn slices(&self, shape: &MapShape) -> usize {
        self.sliced
            .map_or(1, |(mode, values)| shape.inputs[mode] / values)
    }
}

/// A run of one stage, by one block or, `None`, by all of them: (block, place in the chain).
pub(super) type Event = (Option<usize>, usize);

/// Every stage of every block in an order in which they can run: block after block and, where
/// there are several, every block two stages behind the one before it, so that the slab is done with
/// before the first block has come far. What all blocks do together comes first or last.
pub(super) fn orders_of_events(blocks: usize, chain_len: usize, plan: &Plan) -> Vec<Vec<Event>> {
    let last = chain_len - 1;
    let own = usize::from(plan.side_by_side)..if plan.joint { last } else { last + 1 };
    let in_turn: Vec<(usize, usize)> = (0..blocks)
        .flat_map(|block| own.clone().map(move |stage| (block, stage)))
        .collect();
    let mut staggered = in_turn.clone();
    staggered.sort_by_key(|&(block, stage)| (stage + 2 * block, std::cmp::Reverse(block)));
    let mut orders = vec![in_turn, staggered];
    orders.dedup();
    let whole = |order: Vec<(usize, usize)>| {
        let first = plan.side_by_side.then_some((None, 0));
        let of_blocks = order.into_iter().map(|(block, stage)| (Some(block), stage));
        let last = plan.joint.then_some((None, last));
        first.into_iter().chain(of_blocks).chain(last).collect()
    };
    orders.into_iter().map(whole).collect()
}

/// Place of the first stage over an outer mode; the length of the chain when there is none.
pub(super) fn first_outer(chain: &[Stage]) -> usize {
    chain
        .iter()
        .position(|c| c.sliced.is_some())
        .unwrap_or(chain.len())
}

/// The stages of one block, in order.
pub(super) fn stages(shape: &MapShape, plan: &Plan) -> Result<Vec<Stage>, LowerError> {
    let d = shape.order();
    let outer = d
        .checked_sub(plan.slab)
        .filter(|_| plan.slab > 0)
        .ok_or(LowerError::Plan("slab"))?;
    let mut sorted = plan.order.clone();
    sorted[..plan.slab.min(plan.order.len())].sort_unstable();
    let natural: Vec<usize> = (outer..d).chain((0..outer).rev()).collect();
    if sorted != natural {
        return Err(LowerError::Plan("order"));
    }
    if plan.buffer > 1 && (outer == 0 || !shape.inputs[outer - 1].is_multiple_of(plan.buffer))
        || plan.buffer == 0
    {
        return Err(LowerError::Plan("buffer"));
    }
    if plan.gathered == 0 || !plan.buffer.is_multiple_of(plan.gathered) {
        return Err(LowerError::Plan("gathered"));
    }
    if (plan.joint || plan.side_by_side) && shape.blocks() == 1 {
        return Err(LowerError::Plan("blocks"));
    }
    let tucker = match shape.kind {
        MapKind::BlockTerm { .. } => true,
        MapKind::TensorTrain { .. } => false,
        MapKind::Dense => return Err(LowerError::Plan("a dense map has no contractions")),
    };
    // The axes of what the stage before left.
    let mut left = plan.slab_axes(shape);
    if tucker == (plan.join == Join::NoCore) {
        return Err(LowerError::Plan("join"));
    }
    let mut joined = !tucker;
    let mut chain = Vec::new();
    let digits = outer + usize::from(plan.is_buffered());
    for (place, &mode) in plan.order.iter().enumerate() {
        let outside = place >= plan.slab;
        let collected = outside && place == plan.slab && plan.buffer > 1;
        if collected {
            left.retain(|axis| axis.0 != Label::In(mode));
            left.insert(0, (Label::In(mode), plan.buffer));
        }
        // An outer stage of mode q runs when every digit after q has wrapped.
        let depth = if !outside { digits } else { mode + 1 };
        if plan.join == Join::Alone(place) {
            if place == 0 || collected {
                return Err(LowerError::Plan("join"));
            }
            // It consumes what the stage before it left, as often as that runs to its end.
            let depth = if place <= plan.slab {
                digits
            } else {
                plan.order[place - 1]
            };
            let axes = |contracted: bool| -> Vec<Axis> {
                let done = &plan.order[..place];
                (0..d)
                    .filter(|k| done.contains(k) == contracted)
                    .map(|k| (Label::Rank(k), shape.rank()))
                    .collect()
            };
            push(
                &mut chain,
                &mut left,
                Operand::Core,
                axes(true),
                axes(false),
                None,
                depth,
            );
            joined = true;
        }
        let merges = plan.join == Join::Merged(place);
        let operand = if merges {
            Operand::Merged(mode)
        } else {
            Operand::Factor(mode)
        };
        joined |= merges;
        let mut labels = axes_of(shape, operand);
        labels.retain(|axis| axis.1 > 1 || matches!(axis.0, Label::Out(_)));
        let (k, m): (Vec<Axis>, Vec<Axis>) = labels
            .into_iter()
            .filter(|axis| axis.0 != Label::In(mode))
            .partition(|axis| {
                matches!(axis.0, Label::Rank(_)) && left.iter().any(|held| held.0 == axis.0)
            });
        let held = left.iter().copied().find(|axis| axis.0 == Label::In(mode));
        let k: Vec<Axis> = held.into_iter().chain(k).collect();
        let sliced = outside.then_some((mode, if collected { plan.buffer } else { 1 }));
        push(&mut chain, &mut left, operand, k, m, sliced, depth);
    }
    if !joined {
        return Err(LowerError::Plan("join"));
    }
    if plan.side_by_side {
        let [first, _, ..] = chain.as_mut_slice() else {
            return Err(LowerError::Plan("blocks"));
        };
        first.m.insert(0, (Label::Block, shape.blocks()));
    }
    if plan.joint
        && let Some(last) = chain.last_mut()
    {
        last.k.insert(0, (Label::Block, shape.blocks()));
    }
    for stage in &mut chain {
        stage.vectors = plan.vectors;
    }
    Ok(chain)
}

fn push(
    chain: &mut Vec<Stage>,
    left: &mut Vec<Axis>,
    operand: Operand,
    k: Vec<Axis>,
    m: Vec<Axis>,
    sliced: Option<(usize, usize)>,
    depth: usize,
) {
    let n: Vec<Axis> = left
        .iter()
        .copied()
        .filter(|axis| !k.contains(axis))
        .collect();
    *left = m.iter().chain(&n).copied().collect();
    left.sort_by_key(|axis| axis.0);
    chain.push(Stage {
        operand,
        k,
        m,
        n,
        sliced,
        depth,
        vectors: false,
    });
}

/// The axes of an operand as stored in [`TensorMap`] or built by [`operand`].
fn axes_of(shape: &MapShape, operand: Operand) -> Vec<Axis> {
    let (i, j) = (&shape.inputs, &shape.outputs);
    match (operand, shape.kind) {
        (Operand::Factor(k), MapKind::TensorTrain { .. }) => vec![
            (Label::Rank(k), shape.bond(k)),
            (Label::In(k), i[k]),
            (Label::Out(k), j[k]),
            (Label::Rank(k + 1), shape.bond(k + 1)),
        ],
        (Operand::Factor(k), _) => vec![
            (Label::In(k), i[k]),
            (Label::Out(k), j[k]),
            (Label::Rank(k), shape.rank()),
        ],
        (Operand::Merged(k), _) => [(Label::In(k), i[k]), (Label::Out(k), j[k])]
            .into_iter()
            .chain(
                (0..shape.order())
                    .filter(|&l| l != k)
                    .map(|l| (Label::Rank(l), shape.rank())),
            )
            .collect(),
        (Operand::Core, _) => (0..shape.order())
            .map(|l| (Label::Rank(l), shape.rank()))
            .collect(),
    }
}

/// An operand's entries, over [`axes_of`] it.
pub(super) fn operand(map: &TensorMap, operand: Operand, block: usize) -> (ArrayD<f64>, Vec<Axis>) {
    let axes = axes_of(&map.shape, operand);
    let tensor = match operand {
        Operand::Factor(k) => map.factors[block][k].clone(),
        Operand::Core => map.cores[block].clone(),
        Operand::Merged(k) => {
            let (core, factor) = (&map.cores[block], &map.factors[block][k]);
            let dims: Vec<usize> = axes.iter().map(|axis| axis.1).collect();
            ArrayD::from_shape_fn(IxDyn(&dims), |index| {
                (0..map.shape.rank())
                    .map(|r| {
                        let mut ranks = index.slice()[2..].to_vec();
                        ranks.insert(k, r);
                        core[IxDyn(&ranks)] * factor[[index[0], index[1], r]]
                    })
                    .sum()
            })
        }
    };
    (tensor, axes)
}
