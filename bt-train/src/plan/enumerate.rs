//! Every plan of a shape.

use super::{Join, Plan};
use crate::shape::{MapKind, MapShape};

/// Every plan of a shape, those that cannot be lowered left out: slabs, orders within them, places
/// where the core joins, buffers and what is gathered at once, blocks side by side or in turn at first
/// and at the end, the width of what is added to z.
pub fn plans(shape: &MapShape) -> Vec<Plan> {
    let d = shape.order();
    let mut all = Vec::new();
    for slab in 1..=d {
        let outer = d - slab;
        let buffers: Vec<(usize, usize)> = match outer.checked_sub(1) {
            Some(mode) => divisors(shape.inputs[mode])
                .flat_map(|buffer| divisors(buffer).map(move |gathered| (buffer, gathered)))
                .collect(),
            None => vec![(1, 1)],
        };
        for inner in permutations(&(outer..d).rev().collect::<Vec<_>>()) {
            let order: Vec<usize> = inner.into_iter().chain((0..outer).rev()).collect();
            for join in joins(shape) {
                for &(buffer, gathered) in &buffers {
                    if join == Join::Alone(slab) && buffer > 1 {
                        continue;
                    }
                    for &(side_by_side, joint) in together(shape) {
                        for wide in [false, true] {
                            if wide && outer == 0 {
                                continue;
                            }
                            all.push(Plan {
                                order: order.clone(),
                                slab,
                                join,
                                buffer,
                                gathered,
                                side_by_side,
                                joint,
                                wide,
                                vectors: false,
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

/// What blocks do in one stage: the first one, the last one.
fn together(shape: &MapShape) -> &'static [(bool, bool)] {
    match shape.blocks() {
        1 => &[(false, false)],
        _ => &[(false, false), (false, true), (true, false), (true, true)],
    }
}

fn divisors(number: usize) -> impl Iterator<Item = usize> {
    (1..=number).filter(move |divisor| number.is_multiple_of(*divisor))
}

fn joins(shape: &MapShape) -> Vec<Join> {
    let d = shape.order();
    match shape.kind {
        MapKind::BlockTerm { .. } => (0..d)
            .map(Join::Merged)
            .chain((1..d).map(Join::Alone))
            .collect(),
        MapKind::TensorTrain { .. } | MapKind::Dense => vec![Join::NoCore],
    }
}

pub(super) fn permutations(modes: &[usize]) -> Vec<Vec<usize>> {
    if modes.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, &first) in modes.iter().enumerate() {
        let mut rest = modes.to_vec();
        rest.remove(at);
        for mut tail in permutations(&rest) {
            tail.insert(0, first);
            all.push(tail);
        }
    }
    all
}
