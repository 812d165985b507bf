//! The plans of all maps of a model together, under limits of RAM and flash.
//!
//! Plans are enumerated whole (d = 4: some thousand, d = 6: some hundred thousand) and ranked by a bound
//! that no layout can beat (`Outline`); those whose bound is within the limits are lowered, most
//! promising first, until no plan is left whose bound is not dominated by a lowered one. What remains is
//! the front: each plan is either faster or smaller than every other.

use super::cost::Cost;
use super::front::{dense_front, tensor_front};
use super::kernels::Kernels;
use super::timing::Processor;
use crate::error::{Error, ErrorKind, OverLimits};
use crate::shape::{MapKind, MapShape};
use bt_core::internals::model::ArenaLayout;

pub use super::front::{MapPlan, MapRanked};

/// The share of the speed that [`best`] gives up for a smaller arena, without a limit of RAM.
const SPEED_FOR_RAM: f64 = 0.02;
/// The same within a limit of RAM.
const SPEED_FOR_RAM_WITHIN: f64 = 0.003;

/// What the device has, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of a session's arena.
    pub ram_bytes: Option<usize>,
    /// Bytes of both maps in the model file; where a model is exported, of the whole file.
    pub flash_bytes: Option<usize>,
    /// Which kernels run.
    pub kernels: Kernels,
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

/// A map that reads a whole hidden state, which lies there at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeMap {
    /// h → z.
    pub shape: MapShape,
    /// Words of the scratch that it leaves to what it adds to, where that is not z.
    pub apart_words: usize,
}

/// A plan of every map of a model.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// Of the input map of the first layer.
    pub input: MapRanked,
    /// Of the others, as [`Layers::whole`] has them.
    pub whole: Vec<MapRanked>,
    /// Predicted instructions of all maps for one step.
    pub instructions: u64,
    /// Words of scratch that all maps share.
    pub scratch_words: usize,
    /// The whole arena of a session, as the model file will state it.
    pub ram_bytes: usize,
    /// Weights, tables and records of all maps.
    pub flash_bytes: usize,
}

impl Ranked {
    /// Predicted cycles of all maps for one step.
    pub fn cycles(&self, processor: Processor, wait_states: u32) -> u64 {
        let maps = std::iter::once(&self.input).chain(&self.whole);
        maps.map(|map| map.cost.cycles(processor, wait_states))
            .sum()
    }

    fn is_dominated(&self, by: &Self, flash_counts: bool) -> bool {
        by.instructions <= self.instructions
            && by.ram_bytes <= self.ram_bytes
            && (!flash_counts || by.flash_bytes <= self.flash_bytes)
    }
}

/// The maps to plan for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// x → z of the first layer.
    pub input: MapShape,
    /// The maps from hidden states, of one layer after the other: from that below, then from its own. A map
    /// that is not here is planned elsewhere and costs nothing.
    pub whole: Vec<WholeMap>,
    /// Where a session keeps what: states, pool and front end take their share of the RAM.
    pub arena: ArenaLayout,
}

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
}

/// The search's error as one of this crate: which limits, and what the closest plan needs.
pub fn refused(error: &SearchError, limits: &Limits) -> Error {
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

/// The plan to use: of those within the limits that are at most 0.3 % slower than the fastest (2 %
/// without a limit of RAM), the one of least RAM.
///
/// # Errors
///
/// [`SearchError`].
pub fn best(layers: &Layers, limits: &Limits) -> Result<Ranked, SearchError> {
    let plans = rank(layers, limits)?;
    let given_up = match limits.ram_bytes {
        None => SPEED_FOR_RAM,
        Some(_) => SPEED_FOR_RAM_WITHIN,
    };
    let slowest = plans.first().map_or(0, |plan| plan.instructions) as f64 * (1.0 + given_up);
    let tolerated = |plan: &Ranked| plan.instructions as f64 <= slowest;
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
pub fn rank(layers: &Layers, limits: &Limits) -> Result<Vec<Ranked>, SearchError> {
    let excess = |plan: &Ranked| limits.excess(plan.ram_bytes, plan.flash_bytes);
    // Flash has many values and makes for long searches: first only as a limit of each map.
    let mut flash_counts = false;
    let mut all = all_plans(layers, limits, flash_counts);
    if limits.flash_bytes.is_some() && all.iter().any(|plan| excess(plan) > 0.0) {
        flash_counts = true;
        all = all_plans(layers, limits, flash_counts);
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
    Ok(undominated(all, flash_counts))
}

/// The plans of every map's front with those of all others'. What another beats in everything is left out
/// map by map, so that their number does not multiply.
fn all_plans(layers: &Layers, limits: &Limits, flash_counts: bool) -> Vec<Ranked> {
    let fixed_words = layers.arena.scratch_word;
    let front = |shape: &MapShape, gathered| match shape.kind {
        MapKind::Dense => dense_front(shape, gathered, limits.kernels),
        MapKind::BlockTerm { .. } | MapKind::TensorTrain { .. } => {
            let excess = |cost: &Cost| {
                limits.excess((fixed_words + cost.scratch_words) * 4, cost.flash_bytes)
            };
            tensor_front(shape, limits.kernels, excess, flash_counts)
        }
    };
    let of_input = |input: MapRanked| {
        let least = layers.arena.scratch_words_min();
        let scratch_words = input.cost.scratch_words.max(least);
        Ranked {
            instructions: input.cost.instructions,
            scratch_words,
            ram_bytes: (fixed_words + scratch_words) * 4,
            flash_bytes: input.cost.flash_bytes,
            input,
            whole: Vec::new(),
        }
    };
    let mut all: Vec<Ranked> = front(&layers.input, true)
        .into_iter()
        .map(of_input)
        .collect();
    // Maps of several layers have one shape.
    let mut fronts: Vec<(&MapShape, Vec<MapRanked>)> = Vec::new();
    for map in &layers.whole {
        if !fronts.iter().any(|(shape, _)| *shape == &map.shape) {
            fronts.push((&map.shape, front(&map.shape, false)));
        }
        let found = fronts.iter().find(|(shape, _)| *shape == &map.shape);
        let plans = found.map_or(&[][..], |(_, plans)| plans);
        let with = |so_far: &Ranked, plan: &MapRanked| {
            let own = map.apart_words + plan.cost.scratch_words;
            let scratch_words = so_far.scratch_words.max(own);
            Ranked {
                instructions: so_far.instructions + plan.cost.instructions,
                scratch_words,
                ram_bytes: (fixed_words + scratch_words) * 4,
                flash_bytes: so_far.flash_bytes + plan.cost.flash_bytes,
                input: so_far.input.clone(),
                whole: [&so_far.whole[..], std::slice::from_ref(plan)].concat(),
            }
        };
        let pairs = all
            .iter()
            .flat_map(|so_far| plans.iter().map(move |plan| (so_far, plan)));
        let mut longer: Vec<Ranked> = pairs.map(|(so_far, plan)| with(so_far, plan)).collect();
        if layers.whole.len() > 1 {
            longer = undominated(longer, limits.flash_bytes.is_some());
        }
        all = longer;
    }
    all
}

/// Those that no other beats in everything, fastest first.
fn undominated(mut plans: Vec<Ranked>, flash_counts: bool) -> Vec<Ranked> {
    plans.sort_by_key(|plan| (plan.instructions, plan.ram_bytes, plan.flash_bytes));
    let mut kept: Vec<Ranked> = Vec::new();
    for plan in plans {
        if !kept.iter().any(|by| plan.is_dominated(by, flash_counts)) {
            kept.push(plan);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use bt_core::about::{Cell, Pool};

    fn paper() -> MapShape {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 4 };
        MapShape::to_gates(4, kind, &[8, 20, 20, 18], &[4, 4, 4, 4])
    }

    fn layer(input: MapShape) -> Layers {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 2 };
        let recurrent = MapShape::to_gates(4, kind, &[4, 4, 4, 4], &[4, 4, 4, 4]);
        of_maps(input, recurrent)
    }

    fn of_maps(input: MapShape, recurrent: MapShape) -> Layers {
        Layers {
            arena: ArenaLayout::new(
                (Cell::Lstm, 1),
                recurrent.width(),
                (Pool::Last, None),
                None,
                0,
                0,
            ),
            whole: vec![WholeMap {
                shape: recurrent,
                apart_words: 0,
            }],
            input,
        }
    }

    /// More layers cost instructions and flash, and the scratch of the largest map.
    #[test]
    fn layers_add_up() {
        let limits = Limits::default();
        let one = layer(paper());
        let mut three = one.clone();
        for _ in 0..2 {
            three
                .whole
                .extend([one.whole[0].clone(), one.whole[0].clone()]);
        }
        let (one, three) = (best(&one, &limits).unwrap(), best(&three, &limits).unwrap());
        assert_eq!(three.whole.len(), 5);
        let sum = |of: fn(&MapRanked) -> usize| -> usize { three.whole.iter().map(of).sum() };
        let flash = sum(|map| map.cost.flash_bytes);
        assert_eq!(three.flash_bytes, three.input.cost.flash_bytes + flash);
        let instructions = sum(|map| map.cost.instructions as usize) as u64;
        assert_eq!(
            three.instructions,
            three.input.cost.instructions + instructions
        );
        assert!(three.instructions > one.instructions && three.flash_bytes > one.flash_bytes);
        // What a GRU keeps apart lies beside the recurrent map's levels, and under the frame's.
        let mut gru = layer(paper());
        gru.whole[0].apart_words = 384;
        let gru = best(&gru, &limits).unwrap();
        let recurrent = gru.whole[0].cost.scratch_words;
        assert_eq!(
            gru.scratch_words,
            gru.input.cost.scratch_words.max(384 + recurrent)
        );
    }

    #[test]
    fn the_paper_layer_fits_ten_kibibytes() {
        let limits = Limits {
            ram_bytes: Some(10 << 10),
            flash_bytes: Some(64 << 10),
            kernels: Kernels::M4f,
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
