//! What a stage works on when its turn comes: its slice, its accumulators, its destination.

use super::Odometer;
use super::record::{NONE, StageRecord};

/// What a contraction does with its accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Accumulate {
    /// Starts from the rounding constant and stores the tile.
    Single = 0,
    /// Starts from the rounding constant and keeps the accumulators.
    First = 1,
    /// Adds to the kept accumulators.
    Middle = 2,
    /// Adds to the kept accumulators and stores the tile.
    Last = 3,
}

impl Accumulate {
    /// Whether sums start anew.
    pub const fn starts(self) -> bool {
        matches!(self, Self::Single | Self::First)
    }

    /// Whether tiles are finished and stored.
    pub const fn stores(self) -> bool {
        matches!(self, Self::Single | Self::Last)
    }
}

/// What the digits of the odometer decide about a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Weight slice.
    pub slice: usize,
    /// What happens to the accumulators.
    pub accumulate: Accumulate,
    /// First word of the destination in the arena.
    pub out_word: usize,
}

impl StageRecord {
    /// How far this run's sums are shifted before they are added to the kept ones; 0: they go on from them.
    #[inline(always)]
    pub fn slice_shift(&self, accumulate: Accumulate) -> u32 {
        match accumulate {
            Accumulate::Single => 0,
            _ => self.slice_shift.into(),
        }
    }

    /// What the digits decide.
    #[inline(always)]
    pub fn turn(&self, odometer: &Odometer) -> Turn {
        let mut turn = Turn {
            slice: 0,
            accumulate: Accumulate::Single,
            out_word: self.out_word as usize
                + odometer.digit(self.out_digit as usize) as usize * self.out_stride as usize,
        };
        if self.slices > 1 {
            let digit = odometer.digit((self.depth as usize).wrapping_sub(1));
            turn.slice = digit as usize;
            if self.acc_word != NONE {
                turn.accumulate = match digit {
                    0 => Accumulate::First,
                    last if last + 1 == self.slices => Accumulate::Last,
                    _ => Accumulate::Middle,
                };
            }
        }
        turn
    }
}

/// The sections of a model file that stages read.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'m> {
    /// Weights, packed words.
    pub weights: &'m [u32],
    /// Offset tables.
    pub tables: &'m [u16],
}

/// One run of a stage: its operands that are not in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Contraction<'a> {
    /// Sizes, shift, store and places of the stage. `Model::parse` has checked all of them.
    pub stage: &'a StageRecord,
    /// From the weight slice of this run on: `[m_tile][k_pair][2]`.
    pub weights: &'a [u32],
    /// From `m_tiles` offsets in words on, or from the scatter table on.
    pub rows: &'a [u16],
    /// From `n_tiles` offsets in words on; none where they are evenly spaced, not read in a scatter table.
    pub cols: &'a [u16],
    /// Destination of this run, first word in the arena.
    pub out_word: usize,
    /// What happens to the accumulators.
    pub accumulate: Accumulate,
}

impl<'m> Operands<'m> {
    /// The run of a stage at the odometer's digits; `None` where a section ends before what it reads.
    #[inline(always)]
    pub fn contraction(
        &self,
        stage: &'m StageRecord,
        odometer: &Odometer,
    ) -> Option<Contraction<'m>> {
        let turn = stage.turn(odometer);
        let first = stage.weights_word as usize + turn.slice * stage.slice_words().get();
        Some(Contraction {
            stage,
            weights: self.weights.get(first..)?,
            rows: self.tables.get(stage.rows_table as usize..)?,
            // Not always read, and then at no place in particular.
            cols: match stage.col_stride {
                0 => self.tables.get(stage.cols_table as usize..).unwrap_or(&[]),
                _ => &[],
            },
            out_word: turn.out_word,
            accumulate: turn.accumulate,
        })
    }
}
