//! The records of a program as they lie in the model file, read in place: layout alone.

use bytemuck::{Pod, Zeroable};

/// Outer modes (digits of the odometer) a program can have: d ≤ 6 and one split for buffering.
pub const DIGITS_MAX: usize = 7;
/// Stands for "no region" in [`StageRecord::acc_word`] and for padding in a scatter table.
pub const NONE: u32 = u32::MAX;
/// An element of a scatter or gather table that is padding and never stored.
pub const DISCARD: u16 = u16::MAX;

/// One contraction stage, as it lies in the model file (read in place, 48 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct StageRecord {
    /// First word of W in the weights section.
    pub weights_word: u32,
    /// X panels: first word in the arena.
    pub input_word: u32,
    /// i32 accumulators `[m_tile][n_tile][8]` in the arena; [`NONE`] where there is but one slice, or
    /// every run stores.
    pub acc_word: u32,
    /// Destination: first word in the arena.
    pub out_word: u32,
    /// Words added to the destination per count of digit `out_digit`.
    pub out_stride: u32,
    /// [`Store::AddRows`](super::Store::AddRows): words from row m0 to row m1.
    pub row_stride: u32,
    /// First entry in the tables section: offsets per m tile (or the scatter table).
    pub rows_table: u32,
    /// First entry in the tables section: offsets per n tile, unless they are evenly spaced.
    pub cols_table: u32,
    /// Tiles of two rows of W.
    pub m_tiles: u16,
    /// Tiles of four rows of X.
    pub n_tiles: u16,
    /// Words per row: half of K, rounded up, or more of them with weights of 0.
    pub k_pairs: u16,
    /// Weight slices: extent of digit `depth − 1`, or 1.
    pub slices: u16,
    /// Leading digits that need not have wrapped when the stage runs.
    pub depth: u8,
    /// Digit that offsets the destination ([`StageRecord::out_stride`]); 255 for none.
    pub out_digit: u8,
    /// A [`Store`](super::Store).
    pub store: u8,
    /// Rounding right shift from accumulator to i16, 1..=16 (half up).
    pub shift: u8,
    /// Width the shifted value saturates to, 2..=16 bits.
    pub bits: u8,
    /// Rounding right shift of a slice's sum before it is added to the kept ones, 2..=16 (half up); 0: slices are
    /// summed as they are. Only where sums are kept.
    pub slice_shift: u8,
    /// Words from one n tile to the next where they are evenly spaced; 0: by `cols_table`. Of no
    /// meaning, and 0, with a scatter table.
    pub col_stride: u16,
}

/// Fixed part of a program in the model file, before its stage records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ProgramRecord {
    /// Values of one frame: `slab_values` × the product of the extents.
    pub values: u32,
    /// Values gathered before the stages run.
    pub slab_values: u32,
    /// Where slabs are gathered: first word in the arena.
    pub slab_word: u32,
    /// Gather table: slab value → i16 from `slab_word`; first entry in the tables section. [`NONE`]: rows.
    pub gather_table: u32,
    /// Without a table: values per row of the slab (K of the first stage; rows are its n).
    pub row_values: u32,
    /// Number of stage records that follow.
    pub stages: u32,
    /// Outer modes, slowest first; unused ones are 0.
    pub extents: [u16; DIGITS_MAX],
    /// Outer modes in use.
    pub digits: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<StageRecord>(), 48);
        assert_eq!(size_of::<ProgramRecord>(), 40);
    }
}
