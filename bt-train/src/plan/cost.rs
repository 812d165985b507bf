//! What a plan costs on a processor: multiply-accumulates, predicted instructions, scratch and flash.
//!
//! The prediction counts what the kernels do (k pairs, tiles, stores, runs) and weighs it with [`Counts`].

use super::chain::{Stage, stages};
use super::kernels::{Counts, Kernels, VectorCounts};
use super::layout::size;
use super::lower::Lowered;
use super::memory::Memory;
use super::timing::{InnerLoops, Processor};
use super::{LowerError, Plan};
use crate::shape::{MapKind, MapShape};
use bt_core::internals::kernel::{ByteRows, RowsForm};
use bt_core::internals::model::layout::DenseRecord;
use bt_core::internals::program::{NONE, Program, ProgramRecord, StageRecord, Store, VECTOR_PAIRS};

/// Bytes of a map section before its stage records: the word that names its form, and the program.
const PROGRAM_BYTES: usize = 4 + size_of::<ProgramRecord>();
/// Bytes of a dense map's section.
const DENSE_BYTES: usize = 4 + size_of::<DenseRecord>();

/// Pairs of a row that the kernels of the DSP extension take in one pass, with weights in registers.
const BLOCKS: u64 = 18;

impl VectorCounts {
    /// What a tile of a stage costs whose rows have so many vectors and pairs more; `run`: a run of a stage that
    /// has no loop of its own.
    fn tile(&self, stage: &Work, (vectors, pairs): (u64, u64), run: f64) -> TileCounts {
        let count = vectors as f64;
        let fast = match (vectors, pairs) {
            (1 | 2, 0) => Some(count * self.vector),
            (1 | 2, 1) => Some(count * self.vector + self.pair),
            (3 | 4, 0) => Some(count * self.vector + (count - 1.0) * self.weights),
            _ => None,
        };
        let part = if pairs > 0 { self.part } else { 0.0 };
        let general = count * (self.vector + 2.0 * self.weights) + part;
        match fast {
            // The last slice's run takes the general loop.
            Some(products) if stage.kept > 1 => TileCounts {
                products,
                tile: self.tile,
                store: general - products + self.general - self.tile + self.general_store,
                keep: self.keep,
                run: self.run,
            },
            Some(products) if !stage.store.adds() || (vectors < 3 && pairs == 0) => TileCounts {
                products,
                tile: self.tile,
                store: if stage.store.adds() {
                    self.add
                } else {
                    self.store
                },
                keep: self.keep,
                run: self.run,
            },
            _ => TileCounts {
                products: general,
                tile: self.general,
                store: self.general_store,
                keep: self.keep,
                run,
            },
        }
    }
}

/// What a tile of one stage costs.
struct TileCounts {
    /// Its products.
    products: f64,
    /// Whatever becomes of it.
    tile: f64,
    store: f64,
    /// Keeping sums and starting from them.
    keep: f64,
    /// A run of the stage.
    run: f64,
}

impl Counts {
    /// What a tile of this stage costs.
    fn tile(&self, stage: &Work) -> TileCounts {
        let pairs = VECTOR_PAIRS as u64;
        let row = (stage.k_pairs / pairs, stage.k_pairs % pairs);
        if let Some(counts) = self.vectors
            && row.0 > 0
            && !stage.store.is_table()
        {
            return counts.tile(stage, row, self.run);
        }
        TileCounts {
            products: stage.k_pairs as f64 * self.pair
                + match stage.k_pairs {
                    ..=BLOCKS => 0.0,
                    pairs => pairs.div_ceil(16) as f64 * self.pass,
                },
            tile: self.tile,
            store: match stage.store {
                Store::Pairs | Store::Columns => self.store,
                Store::AddRows => self.add_rows,
                Store::Scatter => self.scatter,
                Store::AddScatter => self.add_scatter,
            },
            keep: self.keep + self.load,
            run: self.run,
        }
    }
}

/// What one map costs per frame, and in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Cost {
    /// Multiply-accumulates, padding not counted.
    pub macs: u64,
    /// Multiply-accumulates that the kernels execute, padding of tiles and pairs included.
    pub padded_macs: u64,
    /// Predicted instructions.
    pub instructions: u64,
    /// What the inner loops do.
    #[serde(skip)]
    pub inner_loops: InnerLoops,
    /// Words of scratch in the arena.
    pub scratch_words: usize,
    /// Weights, tables and records in the model file.
    pub flash_bytes: usize,
}

impl Cost {
    /// Predicted cycles on a processor.
    pub fn cycles(&self, processor: Processor, wait_states: u32) -> u64 {
        let timing = processor.timing();
        timing.cycles(
            self.instructions,
            &self.inner_loops,
            processor.kernels(),
            wait_states,
        )
    }

    /// Whether nothing speaks for it beside another; flash may count or not.
    pub(super) fn is_dominated(&self, by: &Self, flash_counts: bool) -> bool {
        by.instructions <= self.instructions
            && by.scratch_words <= self.scratch_words
            && (!flash_counts || by.flash_bytes <= self.flash_bytes)
    }
}

/// How a slab gets into the panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gather {
    Rows(usize),
    Table,
    Pairs,
    /// The layout decides.
    RowsOrPairs(usize),
    /// Likewise.
    TableOrPairs,
}

/// One stage of the program: how often it runs and how much it does.
#[derive(Debug, Clone, Copy)]
struct Work {
    runs: u64,
    macs: u64,
    m_tiles: u64,
    n_tiles: u64,
    k_pairs: u64,
    /// Runs per store.
    kept: u64,
    store: Store,
}

/// Everything about a plan that its layout does not decide.
#[derive(Debug)]
pub(super) struct Outline {
    stages: Vec<Work>,
    slabs: u64,
    slab_values: u64,
    gather: Gather,
    scratch_words: usize,
    flash_bytes: usize,
}

impl Outline {
    /// The work of a plan if every store could be a fast one: nothing that layout can bring is cheaper.
    pub(super) fn new(shape: &MapShape, plan: &Plan) -> Result<Self, LowerError> {
        let chain = stages(shape, plan)?;
        let digits = plan.digits(shape);
        let memory = Memory::allocate(&chain, plan, shape.blocks());
        let last = chain.len() - 1;
        let mut weights_words = 0;
        let stages = memory
            .events
            .iter()
            .map(|&(_, index)| {
                let stage: &Stage = &chain[index];
                let slices = stage.slices(shape);
                weights_words += slices * stage.m_tiles() * stage.k_pairs() * 2;
                let runs: usize = digits[..stage.depth].iter().product();
                Work {
                    runs: runs as u64,
                    macs: (runs * size(&stage.m) * size(&stage.n) * size(&stage.k)) as u64,
                    m_tiles: stage.m_tiles() as u64,
                    n_tiles: stage.n_tiles() as u64,
                    k_pairs: stage.k_pairs() as u64,
                    kept: if slices > 1 && (index != last || plan.wide) {
                        slices as u64
                    } else {
                        1
                    },
                    store: if index == last {
                        Store::AddRows
                    } else {
                        Store::Pairs
                    },
                }
            })
            .collect::<Vec<_>>();
        let slab_values = size(&plan.slab_axes(shape));
        Ok(Self {
            slabs: digits.iter().product::<usize>() as u64,
            slab_values: slab_values as u64,
            gather: if plan.order[0] + 1 == shape.order() && !plan.vectors {
                Gather::RowsOrPairs(shape.inputs[plan.order[0]])
            } else {
                Gather::TableOrPairs
            },
            scratch_words: memory.words,
            flash_bytes: weights_words * 4
                + stages.len() * size_of::<StageRecord>()
                + PROGRAM_BYTES,
            stages,
        })
    }

    /// The last `slabs` slabs of a frame of a program in a file, in the last of which every stage's turn comes; no more
    /// than there are.
    pub(super) fn of_last(program: &Program<'_>, slabs: u64) -> Self {
        let digits = |from: usize| -> u64 {
            let extents = program.extents().iter().skip(from);
            extents.map(|&extent| u64::from(extent)).product()
        };
        let slabs = slabs.min(digits(0));
        let stages = program.stages.iter().map(|stage| {
            let runs = slabs.div_ceil(digits(stage.depth.into()));
            let slices = match stage.acc_word {
                NONE => 1,
                _ => stage.slices.into(),
            };
            Work {
                runs,
                macs: 0,
                m_tiles: stage.m_tiles.into(),
                n_tiles: stage.n_tiles.into(),
                k_pairs: stage.k_pairs.into(),
                // The last run stores.
                kept: runs.min(slices),
                store: Store::from_number(stage.store).unwrap_or(Store::Scatter),
            }
        });
        Self {
            stages: stages.collect(),
            slabs,
            slab_values: program.record.slab_values.into(),
            gather: match (program.record.gather_table, program.paired_row) {
                (NONE, _) => Gather::Rows(program.record.row_values as usize),
                (_, 0) => Gather::Table,
                _ => Gather::Pairs,
            },
            scratch_words: 0,
            flash_bytes: 0,
        }
    }

    /// The cost by these constants.
    pub(super) fn cost(&self, counts: &Counts) -> Cost {
        let mut cost = Cost {
            scratch_words: self.scratch_words,
            flash_bytes: self.flash_bytes,
            ..Cost::default()
        };
        let values = (self.slabs * self.slab_values) as f64;
        let rows = |row: usize| values * counts.gather_row + values / row as f64 * counts.row;
        let table = values * counts.gather_table;
        let pairs = values * counts.gather_pairs;
        let mut instructions = self.slabs as f64 * counts.slab
            + match self.gather {
                Gather::Rows(row) => rows(row),
                Gather::Table => table,
                Gather::Pairs => pairs,
                Gather::RowsOrPairs(row) => rows(row).min(pairs),
                Gather::TableOrPairs => table.min(pairs),
            };
        for stage in &self.stages {
            let tiles = (stage.m_tiles * stage.n_tiles) as f64;
            let runs = stage.runs as f64;
            let stores = runs / stage.kept as f64;
            let pairs = runs * tiles * stage.k_pairs as f64;
            let each = counts.tile(stage);
            instructions += tiles * runs * (each.products + each.tile)
                + tiles * (stores * each.store + (runs - stores) * each.keep)
                + runs * (each.run + stage.m_tiles as f64 * counts.m_tile)
                + (self.slabs as f64 - runs) * counts.skip;
            cost.macs += stage.macs;
            cost.padded_macs += pairs as u64 * 16;
            // Without registers for them weights are read again for every tile.
            let reads = if counts.weights_wait {
                1
            } else {
                stage.n_tiles
            };
            cost.inner_loops.weight_bytes += stage.runs * stage.m_tiles * stage.k_pairs * reads * 8;
        }
        cost.instructions = instructions.round() as u64;
        cost.inner_loops.program_macs = cost.padded_macs;
        cost
    }
}

impl Lowered {
    /// What the map costs by `kernels`, its stores and its gather as they are.
    ///
    /// # Errors
    ///
    /// [`LowerError`], never for what [`super::lower()`] returned.
    pub fn cost(&self, kernels: Kernels) -> Result<Cost, LowerError> {
        let mut outline = Outline::new(&self.shape, &self.plan)?;
        for (work, stage) in outline.stages.iter_mut().zip(&self.stages) {
            work.store = Store::from_number(stage.record.store).unwrap_or(work.store);
        }
        outline.gather = if self.record.gather_table == NONE {
            Gather::Rows(self.record.row_values as usize)
        } else if self.record.paired_row(&self.tables) > 0 {
            Gather::Pairs
        } else {
            Gather::Table
        };
        outline.flash_bytes += self.tables.len() * 2;
        Ok(outline.cost(&kernels.counts()))
    }
}

/// What so many slices of a dense map cost.
pub(super) fn dense_slices(
    record: &DenseRecord,
    (slice_values, slices): (usize, usize),
    gathered: bool,
    kernels: Kernels,
) -> Cost {
    let (inputs, outputs) = (slice_values * slices, record.rows as usize);
    let shape = MapShape::to_gates(1, MapKind::Dense, &[inputs], &[outputs]);
    let form = record.rows_form().unwrap_or(RowsForm::Pairs);
    dense(&shape, (slice_values, form), gathered, kernels)
}

/// What a dense map costs in slices of so many inputs, its rows in a form; `gathered`: x is pushed, not h itself.
pub fn dense(
    shape: &MapShape,
    (slice_values, form): (usize, RowsForm),
    gathered: bool,
    kernels: Kernels,
) -> Cost {
    let (inputs, outputs) = (shape.width(), shape.height());
    let counts = kernels.counts();
    let slices = inputs / slice_values;
    let slice_words = slice_values.div_ceil(2);
    let row_pairs = outputs.div_ceil(2);
    let words = slices * row_pairs * slice_words;
    let padded_macs = (words * 4) as u64;
    let (blocks, fours) = (ByteRows::blocks(slice_words), outputs / ByteRows::ROWS);
    let mut instructions = slices as f64 * counts.run;
    let mut inner_loops = InnerLoops::default();
    let weight_words = match form {
        RowsForm::Pairs => {
            instructions +=
                words as f64 * counts.dense_pair + (slices * row_pairs) as f64 * counts.dense_rows;
            inner_loops.dense_macs = padded_macs;
            words + row_pairs * 2
        }
        RowsForm::Bytes => {
            instructions += (fours * blocks) as f64 * counts.byte_block
                + fours as f64 * counts.byte_rows
                + blocks as f64 * counts.byte_values;
            inner_loops.byte_macs = (fours * blocks * ByteRows::BLOCK_WORDS * 4) as u64;
            fours * blocks * ByteRows::BLOCK_WORDS + row_pairs * 4
        }
    };
    inner_loops.weight_bytes = inner_loops.dense_macs + inner_loops.byte_macs;
    if gathered {
        instructions += inputs as f64 * counts.gather_row + slices as f64 * counts.slab;
    }
    Cost {
        macs: (inputs * outputs) as u64,
        padded_macs,
        instructions: instructions.round() as u64,
        inner_loops,
        scratch_words: match (gathered, slices) {
            (false, _) => 0,
            (true, 1) => slice_words,
            (true, _) => slice_words + row_pairs * 2,
        },
        flash_bytes: weight_words * 4 + DENSE_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 1024 × 256 products, two bytes of weights for each two of them, beside the M4's table.
    #[test]
    fn a_dense_map_waits_for_its_weights() {
        let shape = MapShape::to_gates(4, MapKind::Dense, &[256], &[256]);
        let cost = dense(&shape, (256, RowsForm::Pairs), false, Kernels::M4f);
        assert_eq!(cost.inner_loops.dense_macs, 262_144);
        assert_eq!(cost.inner_loops.weight_bytes, 262_144);
        let at = |wait_states| cost.cycles(Processor::M4f, wait_states);
        // 16,384 lines of 16 bytes.
        assert_eq!(at(5) - at(0), 5 * 16_384);
        let inner = 65_536.0 * 6.0;
        let other = cost.instructions as f64 - 65_536.0 * 3.6;
        assert!((at(0) as f64 - inner - 1.9 * other).abs() < 2.0);
        // A processor that does two things at once is faster than one cycle an instruction of an M4.
        assert!(cost.cycles(Processor::M7, 0) < at(0));
    }
}
