//! Which order of axes every panel and every W gets: the one whose stores cost least.

use super::Plan;
use super::chain::{self, Stage};
use super::layout::{
    Axis, Label, Panels, StorePlan, Target, fast_store, orders, size, table_reaches, table_store,
};
use crate::shape::MapShape;
use bt_core::internals::program::m_tiles;

/// Layouts of all panels and the order of rows of every W.
pub(super) struct Layouts {
    pub(super) panels: Vec<Panels>,
    pub(super) m: Vec<Vec<Axis>>,
    pub(super) first_outer: usize,
}

/// What a table store costs more than a fast one, in instructions per tile, and a table gather per value.
const TABLE_STORE: u64 = 32;
const TABLE_GATHER: u64 = 2;

impl Layouts {
    /// The layouts whose stores cost least: shortest path over the panels of the chain.
    pub(super) fn choose(
        chain: &[Stage],
        plan: &Plan,
        shape: &MapShape,
        z: &[Axis],
    ) -> Option<Self> {
        let first_outer = chain::first_outer(chain);
        let candidates = |index: usize| -> Vec<Panels> {
            let stage = &chain[index];
            // What a digit or a block offsets is slowest, so that the offset is the same everywhere.
            let (mut held, free): (Vec<Axis>, Vec<Axis>) = stage.k.iter().partition(|axis| {
                axis.0 == Label::Block
                    || index == first_outer && plan.is_buffered() && matches!(axis.0, Label::In(_))
            });
            held.sort_by_key(|axis| axis.0 == Label::Block);
            let ks: Vec<Vec<Axis>> = orders(&free, 1)
                .into_iter()
                .map(|k| held.iter().copied().chain(k).collect())
                .collect();
            let ns = orders(&stage.n, 2);
            ks.iter()
                .flat_map(|k| {
                    ns.iter().map(|n| Panels {
                        k: k.clone(),
                        n: n.clone(),
                        vectors: plan.vectors,
                    })
                })
                .collect()
        };
        let slab = plan.slab_axes(shape);
        // (panels, cost so far, predecessor, m order of the stage before)
        type Node = (Panels, u64, usize, Vec<Axis>);
        let mut layers: Vec<Vec<Node>> = vec![
            candidates(0)
                .into_iter()
                .map(|panels| {
                    let cost = if plan.is_gathered_by_rows(&panels, &slab) {
                        0
                    } else {
                        size(&slab) as u64 * TABLE_GATHER
                    };
                    (panels, cost, 0, Vec::new())
                })
                .collect(),
        ];
        let stage_cost =
            |from: &Panels, m: &[Axis], target: Target<'_>, buffered: bool| -> Option<u64> {
                let block = 0;
                if fast_store(m, &from.n, block, target).is_some() {
                    return Some(0);
                }
                if buffered {
                    let Target::Panels { panels: next, .. } = target else {
                        return None;
                    };
                    if !(size(&next.k) / plan.buffer * plan.gathered).is_multiple_of(2) {
                        return None;
                    }
                }
                table_reaches(target)
                    .then_some((m_tiles(size(m)) * from.n_tiles()) as u64 * TABLE_STORE)
            };
        for index in 0..chain.len() {
            let layer = &layers[index];
            let buffered = plan.is_buffered() && index + 1 == first_outer;
            // The block runs slowest, as `LoweredStage::block_of_row` relies on.
            let (held, free): (Vec<Axis>, Vec<Axis>) = chain[index]
                .m
                .iter()
                .partition(|axis| axis.0 == Label::Block);
            let with_held = |m: Vec<Axis>| held.iter().copied().chain(m).collect();
            let ms: Vec<Vec<Axis>> = orders(&free, 1).into_iter().map(with_held).collect();
            let blocks = plan.copies(shape.blocks(), index, chain.len());
            let targets: Vec<Option<Panels>> = match chain.get(index + 1) {
                Some(_) => candidates(index + 1).into_iter().map(Some).collect(),
                None => vec![None],
            };
            let mut next: Vec<Node> = Vec::new();
            for panels in targets {
                let target = panels
                    .as_ref()
                    .map_or(Target::Z(z), |panels| Target::Panels { panels, blocks });
                let mut best: Option<(u64, usize, &Vec<Axis>)> = None;
                for (at, (from, so_far, ..)) in layer.iter().enumerate() {
                    for m in &ms {
                        if best.is_some_and(|b| b.0 <= *so_far) {
                            break;
                        }
                        if let Some(cost) = stage_cost(from, m, target, buffered)
                            && best.is_none_or(|b| so_far + cost < b.0)
                        {
                            best = Some((so_far + cost, at, m));
                        }
                    }
                }
                if let Some((cost, at, m)) = best {
                    next.push((
                        panels.unwrap_or(Panels {
                            k: vec![],
                            n: vec![],
                            vectors: plan.vectors,
                        }),
                        cost,
                        at,
                        m.clone(),
                    ));
                }
            }
            if next.is_empty() {
                return None;
            }
            layers.push(next);
        }
        let mut panels = Vec::new();
        let mut ms = Vec::new();
        let mut node = layers.last()?.iter().min_by_key(|node| node.1)?;
        for layer in layers.iter().rev().skip(1) {
            ms.push(node.3.clone());
            node = &layer[node.2];
            panels.push(node.0.clone());
        }
        panels.reverse();
        ms.reverse();
        Some(Self {
            panels,
            m: ms,
            first_outer,
        })
    }

    pub(super) fn store(
        &self,
        index: usize,
        block: usize,
        target: Target<'_>,
    ) -> Option<StorePlan> {
        let (m, n) = (&self.m[index], &self.panels[index].n);
        fast_store(m, n, block, target).or_else(|| table_store(m, n, block, target))
    }
}
