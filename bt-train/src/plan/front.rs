//! The plans of one map that are worth having.

use super::cost::{self, Cost, Outline};
use super::kernels::Kernels;
use super::{Lowered, Plan, lower, plans};
use crate::shape::MapShape;
use bt_core::internals::kernel::{ByteRows, RowsForm};

/// Plans lowered for one map at most: a bound on the time of a search. Maps of four modes as README and
/// RESULTS have them stay below a quarter of it.
const LOWERED_MAX: usize = 1000;

/// How a map is executed.
#[derive(Debug, Clone)]
pub enum MapPlan {
    /// By a program of contractions.
    Program(Box<Lowered>),
    /// Row by row, in slices of so many inputs.
    Dense {
        /// Inputs of a slice.
        slice_values: usize,
        /// How its rows lie.
        form: RowsForm,
    },
}

impl std::fmt::Display for MapPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(lowered) => lowered.plan.fmt(f),
            Self::Dense { slice_values, form } => {
                let rows = match form {
                    RowsForm::Pairs => "",
                    RowsForm::Bytes => ", rows of bytes",
                };
                write!(f, "dense, {slice_values} inputs at a time{rows}")
            }
        }
    }
}

/// A map's plan with its cost.
#[derive(Debug, Clone)]
pub struct MapRanked {
    /// The plan.
    pub plan: MapPlan,
    /// What it costs.
    pub cost: Cost,
}

/// The plans of one map that exceed no limit by themselves and of which none is dominated by another,
/// fastest first; where there are none, the one that exceeds the limits least.
pub(super) fn tensor_front(
    shape: &MapShape,
    kernels: Kernels,
    excess: impl Fn(&Cost) -> f64,
    flash_counts: bool,
) -> Vec<MapRanked> {
    let counts = kernels.counts();
    let all = plans(shape);
    let padded = kernels.has_vectors().then(|| all.clone());
    let padded = padded.into_iter().flatten().map(Plan::in_vectors);
    let mut bounds: Vec<(Cost, Plan)> = all
        .into_iter()
        .chain(padded)
        .filter_map(|plan| Some((Outline::new(shape, &plan).ok()?.cost(&counts), plan)))
        .collect();
    let lowered = |plan: &Plan| -> Option<MapRanked> {
        let lowered = lower(shape, plan).ok()?;
        let cost = lowered.cost(kernels).ok()?;
        let plan = MapPlan::Program(Box::new(lowered));
        Some(MapRanked { plan, cost })
    };
    // A stable sort: equals stay in the order of enumeration, simpler plans first.
    bounds.sort_by_key(|(cost, _)| (cost.instructions, cost.scratch_words, cost.flash_bytes));
    let mut kept: Vec<MapRanked> = Vec::new();
    let mut lowered_count = 0;
    for (bound, plan) in bounds.iter().filter(|(bound, _)| excess(bound) == 0.0) {
        let is_dominated = |cost: &Cost, kept: &[MapRanked]| {
            kept.iter()
                .any(|by| cost.is_dominated(&by.cost, flash_counts))
        };
        if is_dominated(bound, &kept) {
            continue;
        }
        if lowered_count == LOWERED_MAX {
            break;
        }
        lowered_count += 1;
        let Some(ranked) = lowered(plan) else {
            continue;
        };
        if excess(&ranked.cost) > 0.0 || is_dominated(&ranked.cost, &kept) {
            continue;
        }
        kept.retain(|other| !other.cost.is_dominated(&ranked.cost, flash_counts));
        kept.push(ranked);
    }
    kept.sort_by_key(|plan| (plan.cost.instructions, plan.cost.scratch_words));
    if !kept.is_empty() {
        return kept;
    }
    // Tables may take a plan past the limits, never back.
    bounds.sort_by(|a, b| excess(&a.0).total_cmp(&excess(&b.0)));
    let mut closest: Option<MapRanked> = None;
    for (bound, plan) in bounds.iter().take(LOWERED_MAX) {
        if closest
            .as_ref()
            .is_some_and(|found| excess(bound) > excess(&found.cost))
        {
            break;
        }
        if let Some(ranked) = lowered(plan)
            && closest.as_ref().is_none_or(|found| {
                let order = excess(&ranked.cost).total_cmp(&excess(&found.cost));
                order.is_lt() || order.is_eq() && ranked.cost.instructions < found.cost.instructions
            })
        {
            closest = Some(ranked);
        }
    }
    closest.into_iter().collect()
}

/// The plans of a dense map, none of which is dominated by another, fastest first; `gathered`: x is pushed
/// and may come in slices, not h itself.
pub(super) fn dense_front(shape: &MapShape, gathered: bool, kernels: Kernels) -> Vec<MapRanked> {
    let inputs = shape.width();
    let slices = if gathered {
        dense_slices(inputs)
    } else {
        vec![inputs]
    };
    let ranked = |slice_values| {
        let form = rows_form(shape, slice_values, kernels);
        MapRanked {
            plan: MapPlan::Dense { slice_values, form },
            cost: cost::dense(shape, (slice_values, form), gathered, kernels),
        }
    };
    let mut all: Vec<MapRanked> = slices.into_iter().map(ranked).collect();
    all.sort_by_key(|plan| (plan.cost.instructions, plan.cost.scratch_words));
    let mut kept: Vec<MapRanked> = Vec::new();
    for plan in all {
        if !kept.iter().any(|by| plan.cost.is_dominated(&by.cost, true)) {
            kept.push(plan);
        }
    }
    kept
}

/// How the rows of a dense map lie for a kernels: vectors of bytes where it has them and all inputs come at once.
fn rows_form(shape: &MapShape, slice_values: usize, kernels: Kernels) -> RowsForm {
    let fits = shape.height().is_multiple_of(ByteRows::ROWS)
        && shape.width() >= ByteRows::BLOCK
        && shape.width() == slice_values;
    match fits && kernels.has_vectors() {
        true => RowsForm::Bytes,
        false => RowsForm::Pairs,
    }
}

/// Largest magnitude of a dense map's weights, and of the integers that any map reads.
const WEIGHT_MAX: usize = 127;
const VALUE_MAX: usize = 1 << 15;

/// Inputs of a slice of which no weights and no values make a sum that leaves 31 bits, nor the rounding of
/// a shift of up to 16 bits.
const SLICE_MAX: usize = ((1 << 31) - (1 << 16)) / (WEIGHT_MAX * VALUE_MAX);

/// Slices that the inputs of a dense map can come in: they divide the inputs, are even unless they are all
/// of them, and their sums fit whatever the weights are. An odd number of inputs above that comes whole;
/// the exporter makes the weights of one slice fit.
fn dense_slices(inputs: usize) -> Vec<usize> {
    let divides = |slice: &usize| inputs.is_multiple_of(*slice);
    let in_pairs = |slice: &usize| slice.is_multiple_of(2) || *slice == inputs;
    let slices: Vec<usize> = (1..=inputs.min(SLICE_MAX))
        .filter(|slice| divides(slice) && in_pairs(slice))
        .collect();
    if slices.is_empty() {
        vec![inputs]
    } else {
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::MapKind;

    #[test]
    fn the_bound_is_never_above_the_cost() {
        let shape = MapShape {
            inputs: vec![4, 3, 6],
            outputs: vec![8, 3, 2],
            kind: MapKind::BlockTerm { blocks: 2, rank: 4 },
        };
        for kernels in Kernels::ALL {
            let padded = plans(&shape).into_iter().map(Plan::in_vectors);
            for plan in plans(&shape).into_iter().chain(padded) {
                let bound = Outline::new(&shape, &plan).unwrap().cost(&kernels.counts());
                let Ok(lowered) = lower(&shape, &plan) else {
                    continue;
                };
                let cost = lowered.cost(kernels).unwrap();
                assert!(
                    bound.instructions <= cost.instructions,
                    "{kernels:?}: {plan}"
                );
                assert_eq!(bound.scratch_words, lowered.scratch_words, "{plan}");
                assert!(bound.flash_bytes <= cost.flash_bytes, "{plan}");
            }
        }
    }

    /// By the kernel's own sum: weights of 127 and values of 2^15 everywhere, rounded by a shift.
    #[test]
    fn dense_maps_come_in_slices_that_cannot_overflow() {
        for inputs in [1, 2, 15, 516, 517, 518, 1_024, 57_600, 521, 1_041] {
            let shape = MapShape::to_gates(4, MapKind::Dense, &[inputs], &[4]);
            let plans = dense_front(&shape, true, Kernels::M4f);
            assert!(!plans.is_empty(), "{inputs}");
            for plan in plans {
                let MapPlan::Dense { slice_values, .. } = plan.plan else {
                    panic!("{}", plan.plan);
                };
                let largest = slice_values as u64 * 127 * 32_768 + (1 << 15);
                let is_whole = slice_values == inputs;
                assert!(
                    largest < 1 << 31 || is_whole && inputs % 2 == 1,
                    "{inputs}: {slice_values}"
                );
                assert!(inputs % slice_values == 0 && (slice_values % 2 == 0 || is_whole));
            }
        }
    }
}
