//! A map as the device executes it: a few small matrix products and the odometer that triggers them.
//!
//! Whatever the decomposition (block-term, tensor-train), the host lowers it to a list of
//! [`StageRecord`]s. A stage contracts one mode:
//!
//! ```text
//! C[m, n] = Σ_k W[m, k] · X[n, k]          i16 × i16 → i32
//! ```
//!
//! and requantises C into the layout in which the next stage reads it. Frames are consumed in memory
//! order: the trailing modes of a frame are gathered in a **slab**; the leading ("outer") modes are
//! the digits of an odometer. A stage of depth `q` runs whenever every digit from `q` on has wrapped,
//! and a *sliced* stage takes the weight slice of digit `q − 1`, over which it accumulates.
//!
//! This folder is the one place that knows how a contraction touches memory. The parser proves with it,
//! the exporter places and simulates with it, the device runs by it:
//!
//! | module | what it knows |
//! |---|---|
//! | `record` | the bytes in the model file |
//! | `tiling` | how many tiles, words and products there are |
//! | [`panel`] | where a value of an operand lies |
//! | `store` | where a value of a finished tile goes |
//! | `region` | which words a stage reads, keeps and writes |
//! | `odometer` | when a stage's turn comes |
//! | `resolve` | what it works on then |

mod odometer;
pub mod panel;
mod record;
mod region;
mod resolve;
mod store;
mod tiling;

pub use odometer::Odometer;
pub use record::{DIGITS_MAX, DISCARD, NONE, ProgramRecord, StageRecord};
pub use region::{Misplaced, Region};
pub use resolve::{Accumulate, Contraction, Operands, Turn};
pub use store::Store;
pub use tiling::{TILE, TILE_M, TILE_N, VECTOR_PAIRS, k_pairs, m_tiles, n_tiles, row_pairs};

/// A contraction program in flash.
#[derive(Clone, Copy, Debug)]
pub struct Program<'m> {
    /// Sizes and the gather of slabs.
    pub record: &'m ProgramRecord,
    /// Stages in the order in which they run.
    pub stages: &'m [StageRecord],
    /// What [`ProgramRecord::paired_row`] has found of the gather table.
    pub paired_row: usize,
}

impl Program<'_> {
    /// Extents of the outer modes, slowest first.
    pub fn extents(&self) -> &[u16] {
        self.record.extents()
    }
}
