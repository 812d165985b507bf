//! The inner loops, by name. [`portable`] is the specification; for cores with the DSP extension the
//! cfg `bt_kernel`, set by the build script, puts a twin in the place of its register tile, which
//! gives the same bits.

#[cfg(bt_kernel = "armv7em")]
mod armv7em;
pub mod portable;

#[cfg(bt_kernel = "armv7em")]
use armv7em::tile;
#[cfg(not(bt_kernel = "armv7em"))]
use portable::tile;

pub use portable::{contract, dense, dot, gather_rows, gather_table};

use crate::program::StepRecord;

/// What a contraction does with its accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// Starts from the rounding constant and stores the tile.
    Single,
    /// Starts from the rounding constant and keeps the accumulators.
    First,
    /// Adds to the kept accumulators.
    Middle,
    /// Adds to the kept accumulators and stores the tile.
    Last,
}

/// The operands of [`contract`] that are not in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Contraction<'a> {
    /// Sizes, shift, store and places of the step. `Model::parse` has checked all of them.
    pub step: &'a StepRecord,
    /// The weight slice of this run: `[m_tile][k_pair][2]`.
    pub weights: &'a [u32],
    /// `m_tiles` offsets in words, or the whole scatter table.
    pub rows: &'a [u16],
    /// `n_tiles` offsets in words; empty for scatter tables.
    pub cols: &'a [u16],
    /// Destination of this run, first word in the arena.
    pub out_word: usize,
    /// What happens to the accumulators.
    pub accumulate: Accumulate,
}

/// A dense product, weights i8 with one scale per row.
///
/// Two rows a, b share a word: lane k of the word holds 256·a_k + b_k as i16, both in −127..=127,
/// so that one dual multiply-accumulate serves both rows.
#[derive(Clone, Copy, Debug)]
pub struct DenseRows<'a> {
    /// `[row pair][k / 2]` words.
    pub weights: &'a [u32],
    /// Words per row pair: half of K, rounded up.
    pub k_pairs: usize,
}

/// An element type that sensors and data sets deliver.
pub trait Sample: Copy {
    /// The value as the kernels see it.
    fn to_i16(self) -> i16;
}

impl Sample for u8 {
    #[inline(always)]
    fn to_i16(self) -> i16 {
        i16::from(self)
    }
}

impl Sample for i8 {
    #[inline(always)]
    fn to_i16(self) -> i16 {
        i16::from(self)
    }
}

impl Sample for i16 {
    #[inline(always)]
    fn to_i16(self) -> i16 {
        self
    }
}
