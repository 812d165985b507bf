//! Plan + shape → stages: sizes, layouts, tables and places in the arena; and their weights in f64.

use super::arrange::Layouts;
use super::chain::{Operand, operand, stages};
use super::layout::{Axis, Label, Target, is_reachable, positions, size};
use super::memory::Memory;
use super::{LowerError, Plan, TensorMap};
use crate::shape::MapShape;
use bt_core::internals::program::{self, DIGITS_MAX, NONE, ProgramRecord, StageRecord};
use ndarray::{ArrayD, IxDyn};

/// One stage of the device, with what its weights are made of.
#[derive(Debug, Clone)]
pub struct LoweredStage {
    /// As the device reads it; offsets of weights and tables count from 0 of this map, places from
    /// the start of the scratch (of z for a store that adds).
    pub record: StageRecord,
    /// Stages whose output it reads; empty: the slab.
    pub producers: Vec<usize>,
    /// Block, or `None` when it does the work of all of them.
    pub block: Option<usize>,
    /// Place in the chain: stages of one place differ in their block only.
    pub place: usize,
    operand: Operand,
    m: Vec<Axis>,
    k: Vec<Axis>,
    sliced: Option<(usize, usize)>,
}

impl LoweredStage {
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

    /// Blocks whose results lie side by side in the rows of W, each with a range of its own; 1 where
    /// there is nothing to tell apart.
    pub fn row_blocks(&self) -> usize {
        let block = self.m.iter().find(|axis| axis.0 == Label::Block);
        block.map_or(1, |axis| axis.1)
    }

    /// The one of blocks that row m of W belongs to.
    pub fn block_of_row(&self, m: usize) -> usize {
        // The block runs slowest; rows that pad the last tile go with the last block.
        (m * self.row_blocks() / self.rows()).min(self.row_blocks() - 1)
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
    pub shape: MapShape,
    /// By what.
    pub plan: Plan,
    /// The odometer and the gather.
    pub record: ProgramRecord,
    /// Stages in the order in which they run.
    pub stages: Vec<LoweredStage>,
    /// Offset tables of all stages and of the gather.
    pub tables: Vec<u16>,
    /// Words of scratch.
    pub scratch_words: usize,
}

/// Stages of `shape` in the order of `plan`.
///
/// # Errors
///
/// [`LowerError`].
pub fn lower(shape: &MapShape, plan: &Plan) -> Result<Lowered, LowerError> {
    let chain = stages(shape, plan)?;
    if !chain
        .iter()
        .skip(1)
        .all(|stage| is_reachable(stage.input_words()))
    {
        return Err(LowerError::TooLarge);
    }
    let d = shape.order();
    let z: Vec<Axis> = (0..d).map(|k| (Label::Out(k), shape.outputs[k])).collect();
    let layout = Layouts::choose(&chain, plan, shape, &z).ok_or(LowerError::TooLarge)?;

    let mut extents = [0u16; DIGITS_MAX];
    let digits = plan.digits(shape);
    for (place, &extent) in extents.iter_mut().zip(&digits) {
        *place = u16::try_from(extent).map_err(|_| LowerError::TooLarge)?;
    }

    let blocks = shape.blocks();
    let last = chain.len() - 1;
    let memory = Memory::allocate(&chain, plan, blocks);
    let events = &memory.events;
    let mut tables = Vec::new();
    let mut stages: Vec<LoweredStage> = Vec::new();
    let mut weights_word = 0;
    for (event, &(block, index)) in events.iter().enumerate() {
        let stage = &chain[index];
        let m = &layout.m[index];
        let panels = &layout.panels[index];
        let next = layout.panels.get(index + 1);
        let target = next.map_or(Target::Z(&z), |panels| Target::Panels {
            panels,
            blocks: plan.copies(blocks, index, chain.len()),
        });
        let store = layout
            .store(index, block.unwrap_or(0), target)
            .ok_or(LowerError::TooLarge)?;
        let rows_table = intern(&mut tables, &store.rows);
        let col_stride = even_stride(&store.cols);
        let cols_table = match col_stride {
            0 => intern(&mut tables, &store.cols),
            _ => 0,
        };
        let slices = stage.slices(shape);
        let accumulates = slices > 1 && (index != last || plan.wide);
        let buffered = plan.is_buffered() && index + 1 == layout.first_outer;
        let (out_digit, out_stride) = match next {
            Some(panels) if buffered => {
                let per_digit = size(&panels.k) / plan.buffer * plan.gathered;
                ((digits.len() - 1) as u8, per_digit / 2 * 4)
            }
            _ => (u8::MAX, 0),
        };
        let k_pairs = panels.k_pairs();
        let half = |value: usize| u16::try_from(value).map_err(|_| LowerError::TooLarge);
        let record = StageRecord {
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
            m_tiles: half(program::m_tiles(size(m)))?,
            n_tiles: half(panels.n_tiles())?,
            k_pairs: half(k_pairs)?,
            slices: half(slices)?,
            depth: stage.depth as u8,
            out_digit,
            store: store.store as u8,
            shift: 16,
            bits: 16,
            slice_shift: 0,
            col_stride,
        };
        weights_word += (record.slice_words() * slices).to_u32();
        let producers = events
            .iter()
            .enumerate()
            .filter(|(_, e)| e.1 + 1 == index)
            .filter(|(_, e)| block.is_none() || e.0.is_none() || e.0 == block)
            .map(|(at, _)| at)
            .collect();
        stages.push(LoweredStage {
            record,
            producers,
            block,
            place: index,
            operand: stage.operand,
            m: m.clone(),
            k: panels.k.clone(),
            sliced: stage.sliced,
        });
    }

    let slab = plan.slab_axes(shape);
    let slab_values = size(&slab);
    let first = &layout.panels[0];
    let (gather_table, row_values) = if plan.is_gathered_by_rows(first, &slab) {
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
        stages: stages.len() as u32,
        extents,
        digits: digits.len() as u16,
    };
    Ok(Lowered {
        shape: shape.clone(),
        plan: plan.clone(),
        record,
        stages,
        tables,
        scratch_words: memory.words,
    })
}

/// The distance between neighbours of a table that begins at 0, if it is the same everywhere and
/// positive; 0 otherwise. A single entry has any distance.
fn even_stride(table: &[u16]) -> u16 {
    let stride = match table {
        [] => return 0,
        [_] => 1,
        [_, second, ..] => *second,
    };
    let is_even = (0..).map(|at| at * usize::from(stride));
    let is_even = is_even
        .zip(table)
        .all(|(at, &entry)| at == usize::from(entry));
    if is_even { stride } else { 0 }
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
