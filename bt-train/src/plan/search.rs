//! Every plan of a map, and of both maps of a layer together, under limits of RAM and flash.
//!
//! Plans are enumerated whole (d = 4: some thousand, d = 6: some hundred thousand) and ranked by a bound
//! that no layout can beat (`Outline`); those whose bound is within the limits are lowered, most
//! promising first, until no plan is left whose bound is not dominated by a lowered one. What remains is
//! the front: each plan is either faster or smaller than every other.

use super::cost::{self, Core, Cost, Outline};
use super::{Join, Lowered, Plan, lower};
use crate::error::{Error, ErrorKind};
use crate::shape::{MapKind, MapShape};
use bt_core::model::ArenaLayout;

/// Plans lowered for one map at most: a bound on the time of a search. Maps of four modes as README and
/// RESULTS have them stay below a quarter of it.
const LOWERED_MAX: usize = 1000;
/// The share of the speed that [`best`] gives up for a smaller arena, without a limit of RAM.
const SPEED_FOR_RAM: f64 = 0.02;
/// The same within a limit of RAM.
const SPEED_FOR_RAM_WITHIN: f64 = 0.005;

/// What the device has, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of a session's arena.
    pub ram_bytes: Option<usize>,
    /// Bytes of both maps in the model file.
    pub flash_bytes: Option<usize>,
    /// Which kernels run.
    pub core: Core,
}

impl Limits {
    /// By what share of a limit so much is above it, both taken together.
    fn excess(&self, ram_bytes: usize, flash_bytes: usize) -> f64 {
        let over = |have: usize, limit: Option<usize>| match limit {
            Some(limit) => (have as f64 / limit.max(1) as f64 - 1.0).max(0.0),
            None => 0.0,
        };
        over(ram_bytes, self.ram_bytes) + over(flash_bytes, self.flash_bytes)
    }
}

/// How a map is executed.
#[derive(Debug, Clone)]
pub enum MapPlan {
    /// By a program of contractions.
    Program(Box<Lowered>),
    /// Row by row, in slices of so many inputs.
    Dense {
        /// Inputs of a slice.
        slice_values: usize,
    },
}

impl std::fmt::Display for MapPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(lowered) => lowered.plan.fmt(f),
            Self::Dense { slice_values } => write!(f, "dense, {slice_values} inputs at a time"),
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

/// A plan of each map of a layer.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// Of the input map.
    pub input: MapRanked,
    /// Of the recurrent map, if it is planned too.
    pub recurrent: Option<MapRanked>,
    /// The whole arena of a session, as the model file will state it.
    pub ram_bytes: usize,
    /// Weights, tables and records of both maps.
    pub flash_bytes: usize,
}

impl Ranked {
    /// Predicted instructions of both maps for one stage.
    pub fn instructions(&self) -> u64 {
        let recurrent = self.recurrent.as_ref();
        self.input.cost.instructions + recurrent.map_or(0, |map| map.cost.instructions)
    }

    fn is_dominated(&self, by: &Self, flash_counts: bool) -> bool {
        by.instructions() <= self.instructions()
            && by.ram_bytes <= self.ram_bytes
            && (!flash_counts || by.flash_bytes <= self.flash_bytes)
    }
}

/// A layer to plan for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// x → z.
    pub input: MapShape,
    /// Largest magnitude of a value of x as the map reads it: 255·2⁷ for u8, 2¹⁵ for i16.
    pub input_max: u32,
    /// h → z; `None`: it is planned elsewhere and costs nothing here.
    pub recurrent: Option<MapShape>,
    /// Where a session keeps what: state, pool and front end take their share of the RAM.
    pub arena: ArenaLayout,
}

/// Largest magnitude of h: Q0.15.
const HIDDEN_MAX: u32 = 1 << 15;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Plans there are, but none within the limits.
    #[error(
        "no plan fits; the closest ({}) needs {} bytes of RAM and {} bytes of flash",
        closest.input.plan,
        closest.ram_bytes,
        closest.flash_bytes
    )]
    Limits {
        /// The one that exceeds them least.
        closest: Box<Ranked>,
    },
    /// A partial result of every plan is too large for the offsets of the model file.
    #[error("every plan has a partial result that is too large for the device")]
    TooLarge,
    /// A dense map of frames so wide that they come in slices, for which the width has no divisor.
    #[error("a dense map of {inputs} values, which no even number of them up to 512 divides")]
    Slices {
        /// I.
        inputs: usize,
    },
}

/// The error for a person: which limit, and what would do.
pub fn refused(error: &SearchError, limits: &Limits) -> Error {
    let (field, remedy) = match error {
        SearchError::Limits { closest } => {
            let over = |have: usize, limit: Option<usize>| limit.is_some_and(|limit| have > limit);
            let mut needs = Vec::new();
            if over(closest.ram_bytes, limits.ram_bytes) {
                needs.push(format!("--ram {}", closest.ram_bytes));
            }
            if over(closest.flash_bytes, limits.flash_bytes) {
                needs.push(format!("--flash {}", closest.flash_bytes));
            }
            let field = if needs.first().is_some_and(|need| need.starts_with("--ram")) {
                "ram"
            } else {
                "flash"
            };
            (
                field,
                format!(
                    "allow it {}, or choose smaller modes, ranks or fewer blocks",
                    needs.join(" and ")
                ),
            )
        }
        SearchError::TooLarge => (
            "hidden",
            "choose smaller modes, ranks or fewer blocks".to_owned(),
        ),
        SearchError::Slices { inputs } => (
            "input-modes",
            format!(
                "train with --pad --input-modes {}",
                inputs.next_multiple_of(64)
            ),
        ),
    };
    Error::new(ErrorKind::Setting(error.to_string()))
        .field(field)
        .remedy(remedy)
}

/// The plan to use: of those within the limits that are at most 0.5 % slower than the fastest (2 %
/// without a limit of RAM), the one of least RAM.
///
/// # Errors
///
/// [`SearchError`].
pub fn best(layer: &Layer, limits: &Limits) -> Result<Ranked, SearchError> {
    let plans = rank(layer, limits)?;
    let given_up = match limits.ram_bytes {
        None => SPEED_FOR_RAM,
        Some(_) => SPEED_FOR_RAM_WITHIN,
    };
    let slowest = plans.first().map_or(0, Ranked::instructions) as f64 * (1.0 + given_up);
    let tolerated = |plan: &Ranked| plan.instructions() as f64 <= slowest;
    let mut plans = plans.into_iter();
    let first = plans.next().ok_or(SearchError::TooLarge)?;
    Ok(plans.fold(first, |best, plan| {
        if tolerated(&plan) && plan.ram_bytes < best.ram_bytes {
            plan
        } else {
            best
        }
    }))
}

/// All plans worth having within the limits, fastest first: each takes less RAM than those before it, or
/// less flash where that is scarce.
///
/// # Errors
///
/// [`SearchError`].
pub fn rank(layer: &Layer, limits: &Limits) -> Result<Vec<Ranked>, SearchError> {
    let excess = |plan: &Ranked| limits.excess(plan.ram_bytes, plan.flash_bytes);
    // Flash has many values and makes for long searches: first only as a limit of each map.
    let mut flash_counts = false;
    let mut all = pairs(layer, limits, flash_counts);
    if limits.flash_bytes.is_some() && all.iter().any(|plan| excess(plan) > 0.0) {
        flash_counts = true;
        all = pairs(layer, limits, flash_counts);
    }
    let Some(closest) = all.iter().min_by(|a, b| {
        let order = excess(a).total_cmp(&excess(b));
        order.then(a.instructions().cmp(&b.instructions()))
    }) else {
        let inputs = layer.input.width();
        let is_sliced = layer.input.kind == MapKind::Dense && inputs > WHOLE_MAX;
        return Err(match is_sliced && inputs % 2 == 1 {
            true => SearchError::Slices { inputs },
            false => SearchError::TooLarge,
        });
    };
    if excess(closest) > 0.0 {
        return Err(SearchError::Limits {
            closest: Box::new(closest.clone()),
        });
    }
    all.retain(|plan| excess(plan) == 0.0);
    all.sort_by_key(|plan| (plan.instructions(), plan.ram_bytes, plan.flash_bytes));
    let mut kept: Vec<Ranked> = Vec::new();
    for plan in all {
        if !kept.iter().any(|by| plan.is_dominated(by, flash_counts)) {
            kept.push(plan);
        }
    }
    Ok(kept)
}

/// The plans of the input map's front with those of the recurrent map's.
fn pairs(layer: &Layer, limits: &Limits, flash_counts: bool) -> Vec<Ranked> {
    let fixed_words = layer.arena.scratch_word;
    let front = |shape: &MapShape, input_max, gathered| match shape.kind {
        MapKind::Dense => dense_front(shape, input_max, gathered, limits.core),
        MapKind::BlockTerm { .. } | MapKind::TensorTrain { .. } => {
            let excess = |cost: &Cost| {
                limits.excess((fixed_words + cost.scratch_words) * 4, cost.flash_bytes)
            };
            tensor_front(shape, limits.core, excess, flash_counts)
        }
    };
    let recurrent: Vec<Option<MapRanked>> = match &layer.recurrent {
        Some(shape) => {
            let plans = front(shape, HIDDEN_MAX, false);
            plans.into_iter().map(Some).collect()
        }
        None => vec![None],
    };
    let mut all: Vec<Ranked> = Vec::new();
    for input in front(&layer.input, layer.input_max, true) {
        for recurrent in &recurrent {
            let other = recurrent.as_ref().map_or(Cost::default(), |map| map.cost);
            let scratch = input.cost.scratch_words.max(other.scratch_words);
            all.push(Ranked {
                ram_bytes: (fixed_words + scratch) * 4,
                flash_bytes: input.cost.flash_bytes + other.flash_bytes,
                input: input.clone(),
                recurrent: recurrent.clone(),
            });
        }
    }
    all
}

/// The plans of one map that exceed no limit by themselves and of which none is dominated by another,
/// fastest first; where there are none, the one that exceeds the limits least.
fn tensor_front(
    shape: &MapShape,
    core: Core,
    excess: impl Fn(&Cost) -> f64,
    flash_counts: bool,
) -> Vec<MapRanked> {
    let counts = core.counts();
    let mut bounds: Vec<(Cost, Plan)> = plans(shape)
        .into_iter()
        .filter_map(|plan| Some((Outline::new(shape, &plan).ok()?.cost(&counts), plan)))
        .collect();
    let lowered = |plan: &Plan| -> Option<MapRanked> {
        let lowered = lower(shape, plan).ok()?;
        let cost = lowered.cost(core).ok()?;
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

/// Widest frame that a dense map takes whole where it cannot come in slices. Rows whose sums are too large
/// for it get a coarser LSB then: of random ones none, in the worst case two bits.
const WHOLE_MAX: usize = 2048;

fn dense_front(shape: &MapShape, input_max: u32, gathered: bool, core: Core) -> Vec<MapRanked> {
    let inputs = shape.width();
    // One slice's sums must fit 31 bits with weights of 127 everywhere.
    let fits = |slice: usize| slice as u64 * 127 * u64::from(input_max) < 1 << 31;
    let mut slices: Vec<usize> = (1..=inputs)
        .filter(|slice| {
            inputs.is_multiple_of(*slice) && (slice.is_multiple_of(2) || *slice == inputs)
        })
        .filter(|&slice| fits(slice))
        .collect();
    if slices.is_empty() && inputs <= WHOLE_MAX {
        slices.push(inputs);
    }
    let mut all: Vec<MapRanked> = if gathered {
        slices
            .into_iter()
            .map(|slice_values| MapRanked {
                plan: MapPlan::Dense { slice_values },
                cost: cost::dense(shape, slice_values, true, core),
            })
            .collect()
    } else {
        vec![MapRanked {
            plan: MapPlan::Dense {
                slice_values: inputs,
            },
            cost: cost::dense(shape, inputs, false, core),
        }]
    };
    all.sort_by_key(|plan| (plan.cost.instructions, plan.cost.scratch_words));
    let mut kept: Vec<MapRanked> = Vec::new();
    for plan in all {
        if !kept.iter().any(|by| plan.cost.is_dominated(&by.cost, true)) {
            kept.push(plan);
        }
    }
    kept
}

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

fn permutations(modes: &[usize]) -> Vec<Vec<usize>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use bt_core::Pool;

    fn paper() -> MapShape {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 4 };
        MapShape::to_gates(kind, &[8, 20, 20, 18], &[4, 4, 4, 4])
    }

    fn layer(input: MapShape) -> Layer {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 2 };
        let recurrent = MapShape::to_gates(kind, &[4, 4, 4, 4], &[4, 4, 4, 4]);
        of_maps(input, recurrent)
    }

    fn of_maps(input: MapShape, recurrent: MapShape) -> Layer {
        Layer {
            arena: ArenaLayout::new(recurrent.width(), Pool::Last, 0, 0),
            recurrent: Some(recurrent),
            input,
            input_max: 1 << 15,
        }
    }

    #[test]
    fn the_paper_layer_fits_ten_kibibytes() {
        let limits = Limits {
            ram_bytes: Some(10 << 10),
            flash_bytes: Some(64 << 10),
            core: Core::M4f,
        };
        let plans = rank(&layer(paper()), &limits).unwrap();
        for pair in plans.windows(2) {
            assert!(pair[0].instructions() <= pair[1].instructions());
        }
        let best = best(&layer(paper()), &limits).unwrap();
        assert!(best.ram_bytes <= 10 << 10 && best.flash_bytes <= 64 << 10);
        // The best order of the literature that never stores the frame takes 4,694,016.
        assert!(
            best.input.cost.macs <= 4_900_000,
            "{}",
            best.input.cost.macs
        );
    }

    #[test]
    fn nothing_fits_a_kibibyte() {
        let limits = Limits {
            ram_bytes: Some(1 << 10),
            ..Limits::default()
        };
        let error = rank(&layer(paper()), &limits).unwrap_err();
        assert!(
            matches!(&error, SearchError::Limits { closest } if closest.ram_bytes > 1 << 10),
            "{error}"
        );
    }

    #[test]
    fn the_bound_is_never_above_the_cost() {
        let shape = MapShape {
            inputs: vec![4, 3, 6],
            outputs: vec![8, 3, 2],
            ..paper()
        };
        for core in [Core::M4f, Core::M3, Core::M0] {
            for plan in plans(&shape) {
                let bound = Outline::new(&shape, &plan).unwrap().cost(&core.counts());
                let Ok(lowered) = lower(&shape, &plan) else {
                    continue;
                };
                let cost = lowered.cost(core).unwrap();
                assert!(bound.instructions <= cost.instructions, "{core:?}: {plan}");
                assert_eq!(bound.scratch_words, lowered.scratch_words, "{plan}");
                assert!(bound.flash_bytes <= cost.flash_bytes, "{plan}");
            }
        }
    }

    /// The limit that an error names is enough; a word less of RAM is not, nor a fiftieth less of flash,
    /// whose least value for both maps together is not searched to the byte.
    #[test]
    fn what_is_said_to_fit_does() {
        let small = MapShape {
            inputs: vec![4, 8, 8],
            outputs: vec![8, 8, 8],
            ..paper()
        };
        let recurrent = MapShape {
            inputs: vec![2, 8, 8],
            ..small.clone()
        };
        let layer = of_maps(small, recurrent);
        let limits = |ram_bytes, flash_bytes| Limits {
            ram_bytes,
            flash_bytes,
            ..Limits::default()
        };
        let needs = |limits: Limits| match rank(&layer, &limits) {
            Err(SearchError::Limits { closest }) => closest,
            other => panic!("{other:?}"),
        };
        let ram = needs(limits(Some(1 << 10), None)).ram_bytes;
        assert!(rank(&layer, &limits(Some(ram), None)).is_ok());
        assert!(rank(&layer, &limits(Some(ram - 4), None)).is_err());
        let flash = needs(limits(None, Some(1 << 10))).flash_bytes;
        assert!(rank(&layer, &limits(None, Some(flash))).is_ok());
        assert!(rank(&layer, &limits(None, Some(flash - flash / 50))).is_err());
    }

    #[test]
    fn dense_maps_come_in_parts_that_cannot_overflow() {
        let plans = dense_front(&paper().dense(), 1 << 15, true, Core::M4f);
        for plan in plans {
            let MapPlan::Dense { slice_values } = plan.plan else {
                panic!("{}", plan.plan);
            };
            assert!(slice_values * 127 < 1 << 16);
        }
    }

    /// 583 = 11·53 values come whole, 2049 = 3·683 not at all; padded as the line says they do.
    #[test]
    fn dense_maps_of_odd_widths_are_planned_or_refused_truly() {
        let layer = |inputs| layer(MapShape::to_gates(MapKind::Dense, &[inputs], &[256]));
        let slice = |inputs| match rank(&layer(inputs), &Limits::default()) {
            Ok(plans) => Ok(plans[0].input.plan.to_string()),
            Err(error) => Err(refused(&error, &Limits::default()).to_string()),
        };
        assert_eq!(slice(583).unwrap(), "dense, 583 inputs at a time");
        let line = slice(2049).unwrap_err();
        assert!(
            line.ends_with("train with --pad --input-modes 2112"),
            "{line}"
        );
        assert!(slice(2112).is_ok());
    }
}
