//! Factorizations of a layer that are cheap on a core: weights against instructions.
//!
//! A frame of 57,600 values factors in thousands of ways, the units in dozens. A formula, the products of the best
//! order of contractions, tells which may be worth a search for plans; those are planned within the limits, and
//! what nothing beats in weights and in instructions remains. Fewer blocks and lower ranks are always cheaper, and
//! tell less: each pair of N and R has a front of its own.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::enumerate::permutations;
use super::search::{Layers, Limits, Ranked, best};
use crate::shape::{MapKind, MapShape, factorizations};
use bt_core::internals::model::ArenaLayout;

/// Most modes of a shape.
const ORDER_MAX: usize = 4;
/// Largest input mode: factors of longer ones have more weights than small cores want.
const INPUT_MODE_MAX: usize = 160;
/// By how much the formula may be wrong about a shape that is still planned.
const SLACK: f64 = 1.15;
/// Most shapes planned for a pair of N and R: more take minutes.
const PLANNED_MAX: usize = 48;

/// What to look for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Gates of a unit.
    pub gates: usize,
    /// Values of a frame.
    pub inputs: usize,
    /// Hidden units.
    pub units: usize,
    /// Largest N and R; all from 1 and from 2 on are looked at.
    pub blocks: usize,
    /// See `blocks`.
    pub rank: usize,
    /// Most weights of the input map.
    pub parameters: Option<usize>,
    /// RAM, flash and core.
    pub limits: Limits,
    /// Where a session keeps what.
    pub arena: ArenaLayout,
}

/// A shape and the plan that it got.
#[derive(Debug, Clone)]
pub struct Found {
    /// The input map.
    pub shape: MapShape,
    /// The modes of the units, gates left out.
    pub hidden: Vec<usize>,
    /// Its blocks.
    pub blocks: usize,
    /// Its rank.
    pub rank: usize,
    /// Its weights.
    pub parameters: usize,
    /// Its plan.
    pub plan: Ranked,
}

/// The fronts of every pair of N and R, one after the other: fewest weights first, each with fewer
/// instructions than those above it. Empty where nothing keeps to the limits.
pub fn search(request: &Request) -> Vec<Found> {
    let mut fronts = Vec::new();
    for blocks in 1..=request.blocks {
        for rank in 2..=request.rank.max(2) {
            let kind = MapKind::BlockTerm { blocks, rank };
            let (gates, inputs, units) = (request.gates, request.inputs, request.units);
            let planned: Vec<Found> = candidates(gates, inputs, units, kind, request.parameters)
                .into_par_iter()
                .filter_map(|(shape, hidden)| {
                    let parameters = shape.parameters();
                    let layers = Layers {
                        input: shape.clone(),
                        whole: Vec::new(),
                        arena: request.arena,
                    };
                    let plan = best(&layers, &request.limits).ok()?;
                    Some(Found {
                        shape,
                        hidden,
                        blocks,
                        rank,
                        parameters,
                        plan,
                    })
                })
                .collect();
            fronts.extend(front(planned, |found| {
                (found.parameters, found.plan.instructions)
            }));
        }
    }
    fronts
}

/// What no other beats in both figures, by the first of them.
fn front<T>(mut all: Vec<T>, figures: impl Fn(&T) -> (usize, u64)) -> Vec<T> {
    all.sort_by_key(&figures);
    let mut least = u64::MAX;
    all.retain(|one| {
        let (_, cost) = figures(one);
        let better = cost < least;
        least = least.min(cost);
        better
    });
    all
}

/// The shapes of one N and R, with the modes of the units, that are worth a search for plans: of at most so
/// many weights, those near the front of weights and products.
pub(crate) fn candidates(
    gates: usize,
    inputs: usize,
    units: usize,
    kind: MapKind,
    most: Option<usize>,
) -> Vec<(MapShape, Vec<usize>)> {
    let mut all = Vec::new();
    for order in 2..=ORDER_MAX {
        for inputs in factorizations(inputs, order, 2, INPUT_MODE_MAX) {
            for mut hidden in factorizations(units, order, 1, units) {
                // Short modes of the frame with long ones of the units: their factors stay small.
                hidden.reverse();
                let shape = MapShape::to_gates(gates, kind, &inputs, &hidden);
                let parameters = shape.parameters();
                if most.is_none_or(|most| parameters <= most) {
                    all.push((parameters, products(&shape), (shape, hidden)));
                }
            }
        }
    }
    // Those near the front: what is beaten by more than the slack by one of no more weights goes.
    all.sort_by_key(|&(parameters, products, _)| (parameters, products));
    let mut least = f64::INFINITY;
    let mut near = Vec::new();
    for (_, products, shape) in all {
        let products = products as f64;
        if products <= least * SLACK {
            near.push((products / least, shape));
        }
        least = least.min(products);
    }
    near.sort_by(|a: &(f64, _), b| a.0.total_cmp(&b.0));
    near.truncate(PLANNED_MAX);
    near.into_iter().map(|(_, shape)| shape).collect()
}

/// Multiply-accumulates of a frame in the best order of contractions, the core merged into one of them.
fn products(shape: &MapShape) -> u64 {
    let axes: Vec<usize> = (0..shape.order()).collect();
    let mut least = u64::MAX;
    for order in permutations(&axes) {
        for merged in 0..order.len() {
            least = least.min(products_of(shape, &order, merged));
        }
    }
    least
}

/// The same in one order, the core merged into its contraction `merged`.
fn products_of(shape: &MapShape, order: &[usize], merged: usize) -> u64 {
    let (d, rank) = (shape.order(), shape.rank() as u64);
    let (mut left, mut done, mut total) = (shape.width() as u64, 1, 0);
    for (at, &axis) in order.iter().enumerate() {
        let (i, j) = (shape.inputs[axis] as u64, shape.outputs[axis] as u64);
        // Ranks of the axes done, with this one's; all but this one's; this one's and those to come.
        let ranks = match at.cmp(&merged) {
            Ordering::Less => at + 1,
            Ordering::Equal => d - 1,
            Ordering::Greater => d - at,
        };
        total += left * done * j * rank.pow(ranks as u32);
        left /= i;
        done *= j;
    }
    total * shape.blocks() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::kernels::Kernels;
    use bt_core::about::{Cell, Pool};

    /// The paper's layer takes 4,694,016 in the order that the planner chooses for it, x3 x4 (Gx2) x1; some
    /// orders that would hold the frame take fewer.
    #[test]
    fn the_formula_counts_the_products_of_a_known_order() {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 4 };
        let paper = MapShape::to_gates(4, kind, &[8, 20, 20, 18], &[4, 4, 4, 4]);
        assert_eq!(products_of(&paper, &[2, 3, 1, 0], 2), 4_694_016);
        assert!(products(&paper) <= 4_694_016);
    }

    /// By the benchmark, 57,600 values cost 860,945 instructions as 4x20x20x36 → 16x4x4x1 with 4,128 weights,
    /// and 3.9 million as the paper has them, with 3,392.
    #[test]
    fn a_frame_of_the_papers_size_gets_cheap_shapes_of_few_weights() {
        let request = Request {
            gates: 4,
            inputs: 57_600,
            units: 256,
            blocks: 2,
            rank: 4,
            parameters: Some(4_200),
            limits: Limits {
                ram_bytes: Some(11 << 10),
                flash_bytes: None,
                kernels: Kernels::M4f,
            },
            arena: ArenaLayout::new((Cell::Lstm, 1), 256, (Pool::Last, None), None, 0, 0),
        };
        let found = search(&request);
        for of_pair in found.chunk_by(|a, b| (a.blocks, a.rank) == (b.blocks, b.rank)) {
            for pair in of_pair.windows(2) {
                assert!(pair[0].parameters < pair[1].parameters);
                assert!(pair[0].plan.instructions > pair[1].plan.instructions);
            }
        }
        for one in &found {
            assert_eq!(one.shape.width(), 57_600);
            assert_eq!(one.shape.height(), 1024);
            assert!(one.parameters <= 4_200 && one.plan.ram_bytes <= 11 << 10);
        }
        let full = found.iter().filter(|one| (one.blocks, one.rank) == (2, 4));
        let fastest = full.map(|one| one.plan.instructions).min().unwrap();
        assert!(fastest < 900_000, "{fastest}");
    }
}
