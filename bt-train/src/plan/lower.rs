//! Plan + shape → steps: sizes, layouts, tables and places in the arena; and their weights in f64.

use super::layout::{
    Axis, Label, Panels, StorePlan, Target, fast_store, orders, positions, size, table_store,
};
use super::shape::{Form, TensorMap, TensorShape};
use super::{Join, Plan};
use bt_core::model::bound::Region;
use bt_core::program::{DIGITS_MAX, DISCARD, NONE, ProgramRecord, StepRecord, Store, TILE};
use ndarray::{ArrayD, Dimension, IxDyn};

/// Which tensor a step multiplies with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// A factor (a core of a train) as it is.
    Factor(usize),
    /// G·A_k over r_k.
    Merged(usize),
    /// The core on its own.
    Core,
}

/// One contraction of one block, before layout.
#[derive(Debug, Clone)]
struct Contraction {
    operand: Operand,
    k: Vec<Axis>,
    m: Vec<Axis>,
    n: Vec<Axis>,
    /// Outer mode whose digit picks the weight slice, and values of it that one slice covers.
    sliced: Option<(usize, usize)>,
    depth: usize,
}

/// One step of the device, with what its weights are made of.
#[derive(Debug, Clone)]
pub struct LoweredStep {
    /// As the device reads it; offsets of weights and tables count from 0 of this map, places from
    /// the start of the scratch (of z for a store that adds).
    pub record: StepRecord,
    /// Steps whose output it reads; empty: the slab.
    pub producers: Vec<usize>,
    /// Block, or `None` when it sums over all of them.
    pub block: Option<usize>,
    operand: Operand,
    m: Vec<Axis>,
    k: Vec<Axis>,
    sliced: Option<(usize, usize)>,
}

impl LoweredStep {
    /// Rows of W.
    pub fn rows(&self) -> usize {
        size(&self.m)
    }

    /// Columns of W.
    pub fn columns(&self) -> usize {
        size(&self.k)
    }

    /// The block that column k of W belongs to.
    pub fn block_of_column(&self, k: usize) -> usize {
        self.block.unwrap_or_else(|| {
            let block: Vec<Axis> = self
                .k
                .iter()
                .copied()
                .filter(|axis| axis.0 == Label::Block)
                .collect();
            positions(&self.k, &block)[k]
        })
    }

    /// W, `[slice][m][k]` row-major, for the entries of `map`.
    pub fn weights(&self, map: &TensorMap) -> Vec<f64> {
        let blocks = if self.block.is_some() {
            1
        } else {
            map.shape.blocks()
        };
        let tensors: Vec<(ArrayD<f64>, Vec<Axis>)> = (0..blocks)
            .map(|n| operand(map, self.operand, self.block.unwrap_or(n)))
            .collect();
        let mut all = Vec::new();
        let (m, k) = (digits(&self.m), digits(&self.k));
        for slice in 0..self.record.slices as usize {
            for m in &m {
                for k in &k {
                    let digit =
                        |label: Label| m.iter().chain(k).find(|d| d.0 == label).map(|d| d.1);
                    let (tensor, axes) = &tensors[if blocks == 1 {
                        0
                    } else {
                        digit(Label::Block).unwrap_or(0)
                    }];
                    let index: Vec<usize> = axes
                        .iter()
                        .map(|&(label, _)| {
                            let inner = digit(label).unwrap_or(0);
                            match (label, self.sliced) {
                                (Label::In(mode), Some((sliced, values))) if mode == sliced => {
                                    slice * values + inner
                                }
                                _ => inner,
                            }
                        })
                        .collect();
                    all.push(tensor[IxDyn(&index)]);
                }
            }
        }
        all
    }
}

/// A map lowered by a plan.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// What was lowered.
    pub shape: TensorShape,
    /// By what.
    pub plan: Plan,
    /// The odometer and the gather.
    pub record: ProgramRecord,
    /// Steps in the order in which they run.
    pub steps: Vec<LoweredStep>,
    /// Offset tables of all steps and of the gather.
    pub tables: Vec<u16>,
    /// Words of scratch.
    pub scratch_words: usize,
}

impl Lowered {
    /// Words the slab is gathered in.
    pub fn slab_region(&self) -> Region {
        let values = self.record.slab_values as usize;
        let words = if self.record.gather_table == NONE {
            let row = self.record.row_values as usize;
            (values / row).div_ceil(4) * row.div_ceil(2) * 4
        } else {
            let table = &self.tables[self.record.gather_table as usize..][..values];
            table.iter().max().map_or(0, |&last| last as usize / 2 + 1)
        };
        Region::new(self.record.slab_word as usize, words)
    }

    /// Words of the scratch that a step writes; `None` for one that adds to z.
    pub fn out_region(&self, step: usize) -> Option<Region> {
        let record = &self.steps[step].record;
        let store = Store::from_byte(record.store).filter(|store| !store.adds())?;
        let table = |at: u32, len: usize| self.tables[at as usize..][..len].iter().copied();
        let span = if store.is_table() {
            let used = table(record.rows_table, record.tiles() * TILE).filter(|&at| at != DISCARD);
            used.max().map_or(0, |last| last as usize / 2 + 1)
        } else {
            let last = |at, len| table(at, len).max().unwrap_or(0) as usize;
            last(record.rows_table, record.m_tiles as usize)
                + last(record.cols_table, record.n_tiles as usize)
                + if store == Store::Pairs { 4 } else { 6 }
        };
        let digits = &self.record.extents[..self.record.digits as usize];
        let moved = digits
            .get(record.out_digit as usize)
            .map_or(0, |&e| (e as usize - 1) * record.out_stride as usize);
        Some(Region::new(record.out_word as usize, span + moved))
    }
}

/// Why a plan cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// The parts of the plan contradict each other or the shape.
    #[error("the plan does not fit the shape: {0}")]
    Plan(&'static str),
    /// A partial result is too large for the offsets of the model file.
    #[error("a partial result of the plan is too large for the device")]
    TooLarge,
}

/// Steps of `shape` in the order of `plan`.
///
/// # Errors
///
/// [`LowerError`].
pub fn lower(shape: &TensorShape, plan: &Plan) -> Result<Lowered, LowerError> {
    let chain = contractions(shape, plan)?;
    let d = shape.order();
    let outer = d - plan.slab;
    let z: Vec<Axis> = (0..d).map(|k| (Label::Out(k), shape.outputs[k])).collect();
    let layout = Layouts::choose(&chain, plan, shape, &z).ok_or(LowerError::TooLarge)?;

    let mut extents = [0u16; DIGITS_MAX];
    let mut digits: Vec<usize> = shape.inputs[..outer].to_vec();
    if plan.buffer > 1 {
        digits[outer - 1] /= plan.buffer;
        digits.push(plan.buffer);
    }
    for (place, &extent) in extents.iter_mut().zip(&digits) {
        *place = u16::try_from(extent).map_err(|_| LowerError::TooLarge)?;
    }

    let blocks = shape.blocks();
    let last = chain.len() - 1;
    let mut events: Vec<(Option<usize>, usize)> = Vec::new();
    for block in 0..blocks {
        let own = if plan.joint { last } else { last + 1 };
        events.extend((0..own).map(|step| (Some(block), step)));
    }
    if plan.joint {
        events.push((None, last));
    }

    let memory = Memory::allocate(&chain, &layout, plan, &events, digits.len());
    let mut tables = Vec::new();
    let mut steps: Vec<LoweredStep> = Vec::new();
    let mut weights_word = 0;
    for (event, &(block, index)) in events.iter().enumerate() {
        let contraction = &chain[index];
        let m = &layout.m[index];
        let panels = &layout.panels[index];
        let next = layout.panels.get(index + 1);
        let target = next.map_or(Target::Z(&z), Target::Panels);
        let store = layout
            .store(index, block.unwrap_or(0), target)
            .ok_or(LowerError::TooLarge)?;
        let rows_table = intern(&mut tables, &store.rows);
        let cols_table = intern(&mut tables, &store.cols);
        let slices = contraction
            .sliced
            .map_or(1, |(mode, values)| shape.inputs[mode] / values);
        let accumulates = slices > 1 && (index != last || plan.wide);
        let buffered = plan.buffer > 1 && index + 1 == layout.first_outer;
        let (out_digit, out_stride) = match next {
            Some(panels) if buffered => {
                let per_digit = size(&panels.k) / plan.buffer;
                ((digits.len() - 1) as u8, per_digit / 2 * 4)
            }
            _ => (u8::MAX, 0),
        };
        let k_pairs = panels.k_pairs();
        let half = |value: usize| u16::try_from(value).map_err(|_| LowerError::TooLarge);
        let record = StepRecord {
            weights_word,
            input_word: memory.panel(index, block) as u32,
            acc_word: if accumulates {
                memory.acc(event) as u32
            } else {
                NONE
            },
            out_word: if next.is_some() {
                memory.panel(index + 1, block) as u32
            } else {
                0
            },
            out_stride: out_stride as u32,
            row_stride: store.row_stride as u32,
            rows_table,
            cols_table,
            m_tiles: half(size(m).div_ceil(2))?,
            n_tiles: half(panels.n_tiles())?,
            k_pairs: half(k_pairs)?,
            slices: half(slices)?,
            depth: contraction.depth as u8,
            out_digit,
            store: store.store as u8,
            shift: 16,
            bits: 16,
            reserved: [0; 3],
        };
        weights_word += (record.slice_words() * slices) as u32;
        let producers = events
            .iter()
            .enumerate()
            .filter(|(_, e)| e.1 + 1 == index && (block.is_none() || e.0 == block))
            .map(|(at, _)| at)
            .collect();
        steps.push(LoweredStep {
            record,
            producers,
            block,
            operand: contraction.operand,
            m: m.clone(),
            k: panels.k.clone(),
            sliced: contraction.sliced,
        });
    }

    let slab: Vec<Axis> = (outer..d)
        .map(|k| (Label::In(k), shape.inputs[k]))
        .collect();
    let slab_values = size(&slab);
    let first = &layout.panels[0];
    let (gather_table, row_values) =
        if first.k == slab[slab.len() - 1..] && first.n == slab[..slab.len() - 1] {
            (NONE, size(&first.k))
        } else {
            let (k, n) = (positions(&slab, &first.k), positions(&slab, &first.n));
            let table: Option<Vec<u16>> = k
                .iter()
                .zip(&n)
                .map(|(&k, &n)| u16::try_from(first.half(k, n)).ok())
                .collect();
            (intern(&mut tables, &table.ok_or(LowerError::TooLarge)?), 0)
        };
    let record = ProgramRecord {
        values: shape.width() as u32,
        slab_values: slab_values as u32,
        slab_word: memory.panel(0, Some(0)) as u32,
        gather_table,
        row_values: row_values as u32,
        steps: steps.len() as u32,
        extents,
        digits: digits.len() as u16,
    };
    Ok(Lowered {
        shape: shape.clone(),
        plan: plan.clone(),
        record,
        steps,
        tables,
        scratch_words: memory.words,
    })
}

/// Where `table` starts in `tables`, appended unless it is there already.
fn intern(tables: &mut Vec<u16>, table: &[u16]) -> u32 {
    if table.is_empty() {
        return 0;
    }
    let found = tables
        .windows(table.len())
        .position(|window| window == table);
    found.unwrap_or_else(|| {
        tables.extend(table);
        tables.len() - table.len()
    }) as u32
}

/// The digits of every position of `axes`, row-major.
fn digits(axes: &[Axis]) -> Vec<Vec<(Label, usize)>> {
    let mut all = vec![Vec::new()];
    for &(label, extent) in axes {
        all = all
            .into_iter()
            .flat_map(|head: Vec<_>| {
                (0..extent).map(move |digit| head.iter().copied().chain([(label, digit)]).collect())
            })
            .collect();
    }
    all
}

/// The contractions of one block, in order.
fn contractions(shape: &TensorShape, plan: &Plan) -> Result<Vec<Contraction>, LowerError> {
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
    if plan.joint && shape.blocks() == 1 {
        return Err(LowerError::Plan("joint"));
    }
    let tucker = shape.form != Form::TensorTrain;
    let mut state: Vec<Axis> = (outer..d)
        .map(|k| (Label::In(k), shape.inputs[k]))
        .collect();
    let mut joined = !tucker;
    let mut chain = Vec::new();
    let digits = outer + usize::from(plan.buffer > 1);
    for (place, &mode) in plan.order.iter().enumerate() {
        let outside = place >= plan.slab;
        let buffered = outside && place == plan.slab && plan.buffer > 1;
        if buffered {
            state.insert(0, (Label::In(mode), plan.buffer));
        }
        // An outer step of mode q runs when every digit after q has wrapped.
        let depth = if !outside { digits } else { mode + 1 };
        if tucker && plan.join == Join::Alone(place) {
            if place == 0 || buffered {
                return Err(LowerError::Plan("join"));
            }
            // It consumes what the step before it left, as often as that runs to its end.
            let depth = if place <= plan.slab {
                digits
            } else {
                plan.order[place - 1]
            };
            let axes = |contracted: bool| -> Vec<Axis> {
                let done = &plan.order[..place];
                (0..d)
                    .filter(|k| done.contains(k) == contracted)
                    .map(|k| (Label::Rank(k), shape.rank))
                    .collect()
            };
            push(
                &mut chain,
                &mut state,
                Operand::Core,
                axes(true),
                axes(false),
                None,
                depth,
            );
            joined = true;
        }
        let merges = tucker && plan.join == Join::Merged(place);
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
                matches!(axis.0, Label::Rank(_)) && state.iter().any(|held| held.0 == axis.0)
            });
        let held = state.iter().copied().find(|axis| axis.0 == Label::In(mode));
        let k: Vec<Axis> = held.into_iter().chain(k).collect();
        let sliced = outside.then_some((mode, if buffered { plan.buffer } else { 1 }));
        push(&mut chain, &mut state, operand, k, m, sliced, depth);
    }
    if !joined {
        return Err(LowerError::Plan("join"));
    }
    if plan.joint
        && let Some(last) = chain.last_mut()
    {
        last.k.insert(0, (Label::Block, shape.blocks()));
    }
    Ok(chain)
}

fn push(
    chain: &mut Vec<Contraction>,
    state: &mut Vec<Axis>,
    operand: Operand,
    k: Vec<Axis>,
    m: Vec<Axis>,
    sliced: Option<(usize, usize)>,
    depth: usize,
) {
    let n: Vec<Axis> = state
        .iter()
        .copied()
        .filter(|axis| !k.contains(axis))
        .collect();
    *state = m.iter().chain(&n).copied().collect();
    state.sort_by_key(|axis| axis.0);
    chain.push(Contraction {
        operand,
        k,
        m,
        n,
        sliced,
        depth,
    });
}

/// The axes of an operand as stored in [`TensorMap`] or built by [`operand`].
fn axes_of(shape: &TensorShape, operand: Operand) -> Vec<Axis> {
    let (i, j) = (&shape.inputs, &shape.outputs);
    match (operand, shape.form) {
        (Operand::Factor(k), Form::BlockTerm { .. }) => {
            vec![
                (Label::In(k), i[k]),
                (Label::Out(k), j[k]),
                (Label::Rank(k), shape.rank),
            ]
        }
        (Operand::Factor(k), Form::TensorTrain) => vec![
            (Label::Rank(k), shape.bond(k)),
            (Label::In(k), i[k]),
            (Label::Out(k), j[k]),
            (Label::Rank(k + 1), shape.bond(k + 1)),
        ],
        (Operand::Merged(k), _) => [(Label::In(k), i[k]), (Label::Out(k), j[k])]
            .into_iter()
            .chain(
                (0..shape.order())
                    .filter(|&l| l != k)
                    .map(|l| (Label::Rank(l), shape.rank)),
            )
            .collect(),
        (Operand::Core, _) => (0..shape.order())
            .map(|l| (Label::Rank(l), shape.rank))
            .collect(),
    }
}

/// An operand's entries, over [`axes_of`] it.
fn operand(map: &TensorMap, operand: Operand, block: usize) -> (ArrayD<f64>, Vec<Axis>) {
    let axes = axes_of(&map.shape, operand);
    let tensor = match operand {
        Operand::Factor(k) => map.factors[block][k].clone(),
        Operand::Core => map.cores[block].clone(),
        Operand::Merged(k) => {
            let (core, factor) = (&map.cores[block], &map.factors[block][k]);
            let dims: Vec<usize> = axes.iter().map(|axis| axis.1).collect();
            ArrayD::from_shape_fn(IxDyn(&dims), |index| {
                (0..map.shape.rank)
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

/// Layouts of all panels and the order of rows of every W.
struct Layouts {
    panels: Vec<Panels>,
    m: Vec<Vec<Axis>>,
    first_outer: usize,
}

/// What a table store costs more than a fast one, in instructions per tile, and a table gather per value.
const TABLE_STORE: u64 = 32;
const TABLE_GATHER: u64 = 2;

impl Layouts {
    /// The layouts whose stores cost least: shortest path over the panels of the chain.
    fn choose(chain: &[Contraction], plan: &Plan, shape: &TensorShape, z: &[Axis]) -> Option<Self> {
        let first_outer = chain
            .iter()
            .position(|c| c.sliced.is_some())
            .unwrap_or(chain.len());
        let candidates = |index: usize| -> Vec<Panels> {
            let contraction = &chain[index];
            // What a digit or a block offsets is slowest, so that the offset is the same everywhere.
            let (mut held, free): (Vec<Axis>, Vec<Axis>) = contraction.k.iter().partition(|axis| {
                axis.0 == Label::Block
                    || index == first_outer && plan.buffer > 1 && matches!(axis.0, Label::In(_))
            });
            held.sort_by_key(|axis| axis.0 == Label::Block);
            let ks: Vec<Vec<Axis>> = orders(&free, 1)
                .into_iter()
                .map(|k| held.iter().copied().chain(k).collect())
                .collect();
            let ns = orders(&contraction.n, 2);
            ks.iter()
                .flat_map(|k| {
                    ns.iter().map(|n| Panels {
                        k: k.clone(),
                        n: n.clone(),
                    })
                })
                .collect()
        };
        let outer = shape.order() - plan.slab;
        let slab: Vec<Axis> = (outer..shape.order())
            .map(|k| (Label::In(k), shape.inputs[k]))
            .collect();
        // (panels, cost so far, predecessor, m order of the step before)
        type Node = (Panels, u64, usize, Vec<Axis>);
        let mut layers: Vec<Vec<Node>> = vec![
            candidates(0)
                .into_iter()
                .map(|panels| {
                    let rows =
                        panels.k == slab[slab.len() - 1..] && panels.n == slab[..slab.len() - 1];
                    let cost = if rows {
                        0
                    } else {
                        size(&slab) as u64 * TABLE_GATHER
                    };
                    (panels, cost, 0, Vec::new())
                })
                .collect(),
        ];
        let step_cost =
            |from: &Panels, m: &[Axis], target: Target<'_>, buffered: bool| -> Option<u64> {
                let block = 0;
                if fast_store(m, &from.n, block, target).is_some() {
                    return Some(0);
                }
                if buffered {
                    let Target::Panels(next) = target else {
                        return None;
                    };
                    if !(size(&next.k) / plan.buffer).is_multiple_of(2) {
                        return None;
                    }
                }
                table_store(m, &from.n, block, target)?;
                Some((size(m).div_ceil(2) * from.n_tiles()) as u64 * TABLE_STORE)
            };
        for index in 0..chain.len() {
            let layer = &layers[index];
            let buffered = plan.buffer > 1 && index + 1 == first_outer;
            let ms = orders(&chain[index].m, 1);
            let targets: Vec<Option<Panels>> = match chain.get(index + 1) {
                Some(_) => candidates(index + 1).into_iter().map(Some).collect(),
                None => vec![None],
            };
            let mut next: Vec<Node> = Vec::new();
            for panels in targets {
                let target = panels.as_ref().map_or(Target::Z(z), Target::Panels);
                let mut best: Option<(u64, usize, &Vec<Axis>)> = None;
                for (at, (from, so_far, ..)) in layer.iter().enumerate() {
                    for m in &ms {
                        if best.is_some_and(|b| b.0 <= *so_far) {
                            break;
                        }
                        if let Some(cost) = step_cost(from, m, target, buffered)
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

    fn store(&self, index: usize, block: usize, target: Target<'_>) -> Option<StorePlan> {
        let (m, n) = (&self.m[index], &self.panels[index].n);
        fast_store(m, n, block, target).or_else(|| table_store(m, n, block, target))
    }
}

/// Places in the scratch.
struct Memory {
    /// (panel index, block or `None` for one that all blocks share) → word.
    panels: Vec<(usize, Option<usize>, usize)>,
    /// Event → word of its accumulators.
    accs: Vec<(usize, usize)>,
    words: usize,
}

impl Memory {
    /// First fit, largest first; two buffers share words when they are never alive together.
    fn allocate(
        chain: &[Contraction],
        layout: &Layouts,
        plan: &Plan,
        events: &[(Option<usize>, usize)],
        _digits: usize,
    ) -> Self {
        enum Owner {
            Panel(usize, Option<usize>),
            Acc(usize),
        }
        let last = chain.len() - 1;
        let mut wanted: Vec<(usize, std::ops::RangeInclusive<usize>, Owner)> = Vec::new();
        let always = 0..=events.len();
        // The slab is read by the first step of every block.
        let slab_end = events.iter().rposition(|e| e.1 == 0).unwrap_or(0);
        wanted.push((
            layout.panels[0].words(),
            0..=slab_end,
            Owner::Panel(0, None),
        ));
        for (event, &(block, index)) in events.iter().enumerate() {
            let slices_many = chain[index].sliced.is_some();
            if slices_many && (index != last || plan.wide) {
                let words =
                    layout.panels[index].n_tiles() * size(&layout.m[index]).div_ceil(2) * TILE;
                wanted.push((words, always.clone(), Owner::Acc(event)));
            }
            if index == 0 || block.is_none() {
                continue;
            }
            let buffered = plan.buffer > 1 && index == layout.first_outer;
            let alive = if buffered {
                always.clone()
            } else {
                event - 1..=event
            };
            wanted.push((
                layout.panels[index].words(),
                alive,
                Owner::Panel(index, block),
            ));
        }
        if plan.joint {
            let first = events.iter().position(|e| e.1 + 1 == last).unwrap_or(0);
            let buffered = plan.buffer > 1 && last == layout.first_outer;
            let alive = if buffered {
                always
            } else {
                first..=events.len() - 1
            };
            wanted.push((layout.panels[last].words(), alive, Owner::Panel(last, None)));
        }
        wanted.sort_by_key(|(words, alive, _)| {
            (
                std::cmp::Reverse(alive.end() - alive.start()),
                std::cmp::Reverse(*words),
            )
        });
        let mut placed: Vec<(usize, usize, std::ops::RangeInclusive<usize>)> = Vec::new();
        let mut memory = Self {
            panels: Vec::new(),
            accs: Vec::new(),
            words: 0,
        };
        for (words, alive, owner) in wanted {
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|(_, _, other)| {
                    other.start() <= alive.end() && alive.start() <= other.end()
                })
                .map(|p| (p.0, p.1))
                .collect();
            taken.sort_unstable();
            let mut at = 0;
            for (start, end) in taken {
                if at + words <= start {
                    break;
                }
                at = at.max(end);
            }
            placed.push((at, at + words, alive));
            memory.words = memory.words.max(at + words);
            match owner {
                Owner::Panel(index, block) => memory.panels.push((index, block, at)),
                Owner::Acc(event) => memory.accs.push((event, at)),
            }
        }
        memory
    }

    fn panel(&self, index: usize, block: Option<usize>) -> usize {
        let found = self
            .panels
            .iter()
            .find(|p| p.0 == index && (p.1 == block || p.1.is_none()));
        found.map_or(0, |p| p.2)
    }

    fn acc(&self, event: usize) -> usize {
        self.accs.iter().find(|a| a.0 == event).map_or(0, |a| a.1)
    }
}
