//! The plans of both maps of a layer together, under limits of RAM and flash.
//!
//! Plans are enumerated whole (d = 4: some thousand, d = 6: some hundred thousand) and ranked by a bound
//! that no layout can beat (`Outline`); those whose bound is within the limits are lowered, most
//! promising first, until no plan is left whose bound is not dominated by a lowered one. What remains is
//! the front: each plan is either faster or smaller than every other.

use super::cost::{Core, Cost};
use super::front::{dense_front, tensor_front};
use crate::error::{Error, ErrorKind, OverLimits};
use crate::shape::{MapKind, MapShape};
use bt_core::internals::model::ArenaLayout;

pub use super::front::{MapPlan, MapRanked};

/// The share of the speed that [`best`] gives up for a smaller arena, without a limit of RAM.
const SPEED_FOR_RAM: f64 = 0.02;
/// The same within a limit of RAM.
const SPEED_FOR_RAM_WITHIN: f64 = 0.005;

/// What the device has, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of a session's arena.
    pub ram_bytes: Option<usize>,
    /// Bytes of both maps in the model file; where a model is exported, of the whole file.
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

/// The recurrent map of a layer: its shape, or `None` where it is planned elsewhere and costs nothing here.
pub trait Recurrent {
    /// A plan of it.
    type Ranked: Clone + std::fmt::Debug;

    /// Its plans, where `front` has those of a shape.
    fn plans(&self, front: impl FnOnce(&MapShape) -> Vec<MapRanked>) -> Vec<Self::Ranked>;

    /// What a plan of it costs.
    fn cost(ranked: &Self::Ranked) -> Cost;
}

impl Recurrent for MapShape {
    type Ranked = MapRanked;

    fn plans(&self, front: impl FnOnce(&MapShape) -> Vec<MapRanked>) -> Vec<MapRanked> {
        front(self)
    }

    fn cost(ranked: &MapRanked) -> Cost {
        ranked.cost
    }
}

impl Recurrent for Option<MapShape> {
    type Ranked = Option<MapRanked>;

    fn plans(&self, front: impl FnOnce(&MapShape) -> Vec<MapRanked>) -> Vec<Option<MapRanked>> {
        match self {
            Some(shape) => front(shape).into_iter().map(Some).collect(),
            None => vec![None],
        }
    }

    fn cost(ranked: &Option<MapRanked>) -> Cost {
        ranked.as_ref().map_or(Cost::default(), |map| map.cost)
    }
}

/// A plan of each map of a layer.
#[derive(Debug, Clone)]
pub struct Ranked<R = Option<MapRanked>> {
    /// Of the input map.
    pub input: MapRanked,
    /// Of the recurrent map.
    pub recurrent: R,
    /// Predicted instructions of both maps for one step.
    pub instructions: u64,
    /// Words of scratch that both maps share.
    pub scratch_words: usize,
    /// The whole arena of a session, as the model file will state it.
    pub ram_bytes: usize,
    /// Weights, tables and records of both maps.
    pub flash_bytes: usize,
}

impl<R> Ranked<R> {
    fn is_dominated(&self, by: &Self, flash_counts: bool) -> bool {
        by.instructions <= self.instructions
            && by.ram_bytes <= self.ram_bytes
            && (!flash_counts || by.flash_bytes <= self.flash_bytes)
    }
}

/// A layer to plan for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer<R = Option<MapShape>> {
    /// x → z.
    pub input: MapShape,
    /// h → z.
    pub recurrent: R,
    /// Where a session keeps what: state, pool and front end take their share of the RAM.
    pub arena: ArenaLayout,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum SearchError<R = Option<MapRanked>> {
    /// Plans there are, but none within the limits.
    #[error(
        "no plan fits; the closest ({}) needs {} bytes of RAM and {} bytes of flash",
        closest.input.plan,
        closest.ram_bytes,
        closest.flash_bytes
    )]
    Limits {
        /// The one that exceeds them least.
        closest: Box<Ranked<R>>,
    },
    /// A partial result of every plan is too large for the offsets of the model file.
    #[error("every plan has a partial result that is too large for the device")]
    TooLarge,
}

/// The search's error as one of this crate: which limits, and what the closest plan needs.
pub fn refused<R>(error: &SearchError<R>, limits: &Limits) -> Error {
    Error::new(match error {
        SearchError::Limits { closest } => ErrorKind::OverLimits(Box::new(OverLimits {
            plan: closest.input.plan.to_string(),
            ram_bytes: closest.ram_bytes,
            flash_bytes: closest.flash_bytes,
            ram_limit: limits.ram_bytes,
            flash_limit: limits.flash_bytes,
        })),
        SearchError::TooLarge => ErrorKind::NoPlan,
    })
}

/// The plan to use: of those within the limits that are at most 0.5 % slower than the fastest (2 %
/// without a limit of RAM), the one of least RAM.
///
/// # Errors
///
/// [`SearchError`].
pub fn best<R: Recurrent>(
    layer: &Layer<R>,
    limits: &Limits,
) -> Result<Ranked<R::Ranked>, SearchError<R::Ranked>> {
    let plans = rank(layer, limits)?;
    let given_up = match limits.ram_bytes {
        None => SPEED_FOR_RAM,
        Some(_) => SPEED_FOR_RAM_WITHIN,
    };
    let slowest = plans.first().map_or(0, |plan| plan.instructions) as f64 * (1.0 + given_up);
    let tolerated = |plan: &Ranked<R::Ranked>| plan.instructions as f64 <= slowest;
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
pub fn rank<R: Recurrent>(
    layer: &Layer<R>,
    limits: &Limits,
) -> Result<Vec<Ranked<R::Ranked>>, SearchError<R::Ranked>> {
    let excess = |plan: &Ranked<R::Ranked>| limits.excess(plan.ram_bytes, plan.flash_bytes);
    // Flash has many values and makes for long searches: first only as a limit of each map.
    let mut flash_counts = false;
    let mut all = pairs(layer, limits, flash_counts);
    if limits.flash_bytes.is_some() && all.iter().any(|plan| excess(plan) > 0.0) {
        flash_counts = true;
        all = pairs(layer, limits, flash_counts);
    }
    let Some(closest) = all.iter().min_by(|a, b| {
        let order = excess(a).total_cmp(&excess(b));
        order.then(a.instructions.cmp(&b.instructions))
    }) else {
        return Err(SearchError::TooLarge);
    };
    if excess(closest) > 0.0 {
        return Err(SearchError::Limits {
            closest: Box::new(closest.clone()),
        });
    }
    all.retain(|plan| excess(plan) == 0.0);
    all.sort_by_key(|plan| (plan.instructions, plan.ram_bytes, plan.flash_bytes));
    let mut kept: Vec<Ranked<R::Ranked>> = Vec::new();
    for plan in all {
        if !kept.iter().any(|by| plan.is_dominated(by, flash_counts)) {
            kept.push(plan);
        }
    }
    Ok(kept)
}

/// The plans of the input map's front with those of the recurrent map's.
fn pairs<R: Recurrent>(
    layer: &Layer<R>,
    limits: &Limits,
    flash_counts: bool,
) -> Vec<Ranked<R::Ranked>> {
    let fixed_words = layer.arena.scratch_word;
    let front = |shape: &MapShape, gathered| match shape.kind {
        MapKind::Dense => dense_front(shape, gathered, limits.core),
        MapKind::BlockTerm { .. } | MapKind::TensorTrain { .. } => {
            let excess = |cost: &Cost| {
                limits.excess((fixed_words + cost.scratch_words) * 4, cost.flash_bytes)
            };
            tensor_front(shape, limits.core, excess, flash_counts)
        }
    };
    let recurrent = layer.recurrent.plans(|shape| front(shape, false));
    let mut all = Vec::new();
    for input in front(&layer.input, true) {
        for recurrent in &recurrent {
            let other = R::cost(recurrent);
            let scratch_words = input.cost.scratch_words.max(other.scratch_words);
            all.push(Ranked {
                instructions: input.cost.instructions + other.instructions,
                scratch_words,
                ram_bytes: (fixed_words + scratch_words) * 4,
                flash_bytes: input.cost.flash_bytes + other.flash_bytes,
                input: input.clone(),
                recurrent: recurrent.clone(),
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use bt_core::{Cell, Pool};

    fn paper() -> MapShape {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 4 };
        MapShape::to_gates(kind, &[8, 20, 20, 18], &[4, 4, 4, 4])
    }

    fn layer(input: MapShape) -> Layer<MapShape> {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 2 };
        let recurrent = MapShape::to_gates(kind, &[4, 4, 4, 4], &[4, 4, 4, 4]);
        of_maps(input, recurrent)
    }

    fn of_maps(input: MapShape, recurrent: MapShape) -> Layer<MapShape> {
        Layer {
            arena: ArenaLayout::new((Cell::Lstm, 1), recurrent.width(), Pool::Last, 0, 0),
            recurrent,
            input,
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
            assert!(pair[0].instructions <= pair[1].instructions);
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

    /// The limit that an error names is enough; a word less is not. (Of maps with more plans than are
    /// lowered, an error may name some bytes of flash more than the least.)
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
        assert!(rank(&layer, &limits(None, Some(flash - 4))).is_err());
    }
}
