//! What a plan costs on a core: multiply-accumulates, predicted instructions, scratch and flash.
//!
//! The prediction counts what the kernels do (k pairs, tiles, stores, runs) and weighs it with
//! [`Counts`], fitted to instruction counts of QEMU (`cargo xtask bench` prints both side by side).

use super::chain::{Contraction, contractions};
use super::layout::size;
use super::lower::Lowered;
use super::memory::Memory;
use super::timing::InnerLoops;
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

/// Kernels that plans are made for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    /// Armv6-M, the register tile of contractions in assembly, the rest portable.
    M0,
    /// Armv7-M, the same.
    M3,
    /// RV32IM, all portable.
    Rv32,
    /// The DSP extension, all inner loops in assembly, weights from memory.
    M4,
    /// The same with an FPU, in whose registers weights wait.
    #[default]
    M4f,
    /// Helium.
    M55,
}

/// Instructions of each thing the kernels do.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// One k pair of a 2 × 4 tile: 16 multiply-accumulates.
    pub pair: f64,
    /// A stretch of 16 pairs of a row that is too long for the kernel's blocks.
    pub pass: f64,
    /// A tile whatever becomes of it: pointers, loop, start value.
    pub tile: f64,
    /// Requantising a tile and storing it as pairs or columns.
    pub store: f64,
    /// Requantising a tile and adding it to rows of z.
    pub add_rows: f64,
    /// Requantising a tile and storing it by a table.
    pub scatter: f64,
    /// Requantising a tile and adding it to z by a table.
    pub add_scatter: f64,
    /// Keeping the accumulators instead.
    pub keep: f64,
    /// Starting from kept accumulators.
    pub load: f64,
    /// A row of tiles.
    pub m_tile: f64,
    /// A run of a stage.
    pub run: f64,
    /// A stage whose turn it is not.
    pub skip: f64,
    /// A slab: the odometer, the call.
    pub slab: f64,
    /// A value gathered into a row of panels.
    pub gather_row: f64,
    /// A row begun.
    pub row: f64,
    /// A value gathered by a table.
    pub gather_table: f64,
    /// The same where pairs of rows share words.
    pub gather_pairs: f64,
    /// Two values times two rows of a dense map: 4 multiply-accumulates.
    pub dense_pair: f64,
    /// Two rows of a dense map.
    pub dense_rows: f64,
    /// A block of four rows of bytes of a dense map: 64 multiply-accumulates.
    pub byte_block: f64,
    /// Four such rows.
    pub byte_rows: f64,
    /// Taking sixteen values apart for them.
    pub byte_values: f64,
    /// Whether the weights of a row of tiles wait in registers.
    pub weights_wait: bool,
    /// What is otherwise of rows of at least a vector, but for stores by a table.
    pub vectors: Option<VectorCounts>,
}

/// Instructions of contractions on Helium.
#[derive(Debug, Clone, Copy)]
pub struct VectorCounts {
    /// Eight values of the rows of a tile, X loaded: 64 multiply-accumulates.
    pub vector: f64,
    /// Loading W of a vector.
    pub weights: f64,
    /// A pair of values before one or two vectors.
    pub pair: f64,
    /// A tile of a stage that has a loop of its own.
    pub tile: f64,
    /// Storing it.
    pub store: f64,
    /// Adding it to rows of z.
    pub add: f64,
    /// Keeping its sums.
    pub keep: f64,
    /// A run of such a stage.
    pub run: f64,
    /// A tile of the loop that takes every other stage.
    pub general: f64,
    /// The part there of a row that is no whole vector.
    pub part: f64,
    /// Finishing such a tile.
    pub general_store: f64,
}

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

impl Core {
    /// Whether its kernels are faster with rows of whole vectors.
    pub fn has_vectors(self) -> bool {
        self.counts().vectors.is_some()
    }

    /// Whether it stores a value that is shifted and saturated for an instruction more than the top half of a
    /// sum: cores without a kernel for it take ten to thirty a value, and a top half costs Helium next to nothing.
    pub fn shifts_and_saturates_at_once(self) -> bool {
        matches!(self, Self::M4f | Self::M4)
    }

    /// The constants.
    pub fn counts(self) -> Counts {
        match self {
            Self::M4f => Counts {
                pair: 31.0 / 3.0,
                pass: 13.0,
                tile: 2.7,
                store: 11.0,
                add_rows: 30.0,
                scatter: 49.0,
                add_scatter: 83.0,
                keep: 13.0,
                load: 6.3,
                m_tile: 21.0,
                run: 180.0,
                skip: 6.0,
                slab: 130.0,
                gather_row: 1.9,
                row: 15.4,
                gather_table: 4.4,
                gather_pairs: 3.4,
                dense_pair: 3.6,
                dense_rows: 30.0,
                byte_block: 450.0,
                byte_rows: 140.0,
                byte_values: 0.0,
                weights_wait: true,
                vectors: None,
            },
            Self::M55 => Counts {
                run: 330.0,
                m_tile: 14.0,
                gather_table: 1.0,
                gather_pairs: 1.0,
                dense_pair: 1.11,
                dense_rows: 16.0,
                byte_block: 14.25,
                byte_rows: 20.0,
                byte_values: 12.0,
                vectors: Some(VectorCounts {
                    vector: 12.0,
                    weights: 2.0,
                    pair: 8.5,
                    tile: 3.0,
                    store: 7.0,
                    add: 17.0,
                    keep: 10.0,
                    run: 165.0,
                    general: 20.0,
                    part: 18.0,
                    general_store: 26.0,
                }),
                ..Self::M4f.counts()
            },
            Self::M4 => Counts {
                pair: 11.0,
                store: 15.0,
                m_tile: 14.0,
                run: 142.0,
                weights_wait: false,
                ..Self::M4f.counts()
            },
            Self::M3 => Counts {
                pair: 30.0,
                pass: 0.0,
                tile: 72.0,
                store: 44.0,
                add_rows: 90.0,
                scatter: 205.0,
                add_scatter: 235.0,
                keep: 20.0,
                load: 20.0,
                m_tile: 30.0,
                run: 230.0,
                skip: 8.0,
                slab: 300.0,
                gather_row: 4.0,
                row: 50.0,
                gather_table: 8.0,
                gather_pairs: 8.0,
                dense_pair: 23.0,
                dense_rows: 60.0,
                byte_block: 450.0,
                byte_rows: 140.0,
                byte_values: 0.0,
                weights_wait: false,
                vectors: None,
            },
            Self::Rv32 => Counts {
                pair: 53.0,
                pass: 0.0,
                tile: 95.0,
                store: 48.0,
                add_rows: 110.0,
                scatter: 190.0,
                add_scatter: 220.0,
                keep: 30.0,
                load: 30.0,
                m_tile: 35.0,
                run: 300.0,
                skip: 8.0,
                slab: 380.0,
                gather_row: 10.5,
                row: 45.0,
                gather_table: 10.5,
                gather_pairs: 10.5,
                dense_pair: 27.0,
                dense_rows: 70.0,
                byte_block: 600.0,
                byte_rows: 160.0,
                byte_values: 0.0,
                weights_wait: false,
                vectors: None,
            },
            Self::M0 => Counts {
                pair: 60.5,
                pass: 0.0,
                tile: 125.0,
                store: 64.0,
                add_rows: 150.0,
                scatter: 248.0,
                add_scatter: 290.0,
                keep: 40.0,
                load: 40.0,
                m_tile: 45.0,
                run: 400.0,
                skip: 10.0,
                slab: 500.0,
                gather_row: 14.0,
                row: 60.0,
                gather_table: 14.0,
                gather_pairs: 14.0,
                dense_pair: 34.0,
                dense_rows: 90.0,
                byte_block: 850.0,
                byte_rows: 300.0,
                byte_values: 0.0,
                weights_wait: false,
                vectors: None,
            },
        }
    }
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
        let chain = contractions(shape, plan)?;
        let digits = plan.digits(shape);
        let memory = Memory::allocate(&chain, plan, shape.blocks());
        let last = chain.len() - 1;
        let mut weights_words = 0;
        let stages = memory
            .events
            .iter()
            .map(|&(_, index)| {
                let stage: &Contraction = &chain[index];
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
    /// What the map costs on `core`, its stores and its gather as they are.
    ///
    /// # Errors
    ///
    /// [`LowerError`], never for what [`super::lower()`] returned.
    pub fn cost(&self, core: Core) -> Result<Cost, LowerError> {
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
        Ok(outline.cost(&core.counts()))
    }
}

/// What so many slices of a dense map cost.
pub(super) fn dense_slices(
    record: &DenseRecord,
    (slice_values, slices): (usize, usize),
    gathered: bool,
    core: Core,
) -> Cost {
    let (inputs, outputs) = (slice_values * slices, record.rows as usize);
    let shape = MapShape::to_gates(1, MapKind::Dense, &[inputs], &[outputs]);
    let form = record.rows_form().unwrap_or(RowsForm::Pairs);
    dense(&shape, (slice_values, form), gathered, core)
}

/// What a dense map costs in slices of so many inputs, its rows in a form; `gathered`: x is pushed, not h itself.
pub fn dense(
    shape: &MapShape,
    (slice_values, form): (usize, RowsForm),
    gathered: bool,
    core: Core,
) -> Cost {
    let (inputs, outputs) = (shape.width(), shape.height());
    let counts = core.counts();
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
