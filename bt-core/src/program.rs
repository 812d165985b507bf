//! A map as the device executes it: a few small matrix products and the odometer that triggers them.
//!
//! Whatever the decomposition (block-term, tensor-train), the host lowers it to a list of
//! [`StepRecord`]s. A step contracts one mode:
//!
//! ```text
//! C[m, n] = Σ_k W[m, k] · X[n, k]          i16 × i16 → i32
//! ```
//!
//! and requantises C into the layout in which the next step reads it. Frames are consumed in memory
//! order: the trailing modes of a frame are gathered in a **slab**; the leading ("outer") modes are
//! the digits of an odometer. A step of depth `q` runs whenever every digit from `q` on has wrapped,
//! and a *sliced* step takes the weight slice of digit `q − 1`, over which it accumulates.
//!
//! # Panels
//!
//! Both operands are stored in tiles of [`TILE_M`] × [`TILE_N`], k in pairs of i16 in one u32 (even k
//! in the low half), so that an inner loop reads two streams and nothing else:
//!
//! ```text
//! W: [slice][m / 2][k / 2][m % 2]       X: [n / 4][k / 2][n % 4]       (words)
//! ```
//!
//! Padding (odd K, M not a multiple of 2, N of 4) has weight zero or is never stored.

use bytemuck::{Pod, Zeroable};

use crate::size::Size;

/// Rows of W in one register tile.
pub const TILE_M: usize = 2;
/// Rows of X in one register tile.
pub const TILE_N: usize = 4;
/// Accumulators of one register tile.
pub const TILE: usize = TILE_M * TILE_N;
/// Outer modes (digits of the odometer) a program can have: d ≤ 6 and one split for buffering.
pub const DIGITS_MAX: usize = 7;
/// Stands for "no region" in [`StepRecord::acc_word`] and for padding in a scatter table.
pub const NONE: u32 = u32::MAX;
/// An element of a scatter or gather table that is padding and never stored.
pub const DISCARD: u16 = u16::MAX;

/// How a finished tile is written ([`StepRecord::store`]). Offsets are words of the arena; `o` is
/// `out_word + digit·out_stride + rows[m_tile] + column(n_tile)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Store {
    /// Words `o..o+4`: (C\[m0,n\], C\[m1,n\]) for n = n0..n3. The next step sums over m.
    Pairs = 0,
    /// Words `o`, `o+1`: (n0, n1) of m0, of m1; words `o+4`, `o+5`: (n2, n3). The next step sums over n.
    Columns = 1,
    /// Added with saturation to the i16 rows of z: words `o`, `o+1` are n0..n3 of m0, and
    /// `o + row_stride`, `o + row_stride + 1` those of m1.
    AddRows = 2,
    /// Each of the 8 values to its own i16 (`table[(m_tile·n_tiles + n_tile)·8 + row·4 + column]`, in
    /// halves from `out_word`); [`DISCARD`] drops it.
    Scatter = 3,
    /// As `Scatter`, added with saturation to what is there (z).
    AddScatter = 4,
}

impl Store {
    /// The store kind of a byte of a model file, if it is one.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Pairs),
            1 => Some(Self::Columns),
            2 => Some(Self::AddRows),
            3 => Some(Self::Scatter),
            4 => Some(Self::AddScatter),
            _ => None,
        }
    }

    /// Whether tiles are added to z rather than written to the scratch.
    pub const fn adds(self) -> bool {
        matches!(self, Self::AddRows | Self::AddScatter)
    }

    /// Whether every value has its own entry in a table.
    pub const fn is_table(self) -> bool {
        matches!(self, Self::Scatter | Self::AddScatter)
    }
}

/// One contraction step, as it lies in the model file (read in place, 48 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct StepRecord {
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
    /// [`Store::AddRows`]: words from row m0 to row m1.
    pub row_stride: u32,
    /// First entry in the tables section: offsets per m tile (or the scatter table).
    pub rows_table: u32,
    /// First entry in the tables section: offsets per n tile, unless they are evenly spaced.
    pub cols_table: u32,
    /// Tiles of two rows of W.
    pub m_tiles: u16,
    /// Tiles of four rows of X.
    pub n_tiles: u16,
    /// Words per row: half of K, rounded up.
    pub k_pairs: u16,
    /// Weight slices: extent of digit `depth − 1`, or 1.
    pub slices: u16,
    /// Leading digits that need not have wrapped when the step runs.
    pub depth: u8,
    /// Digit that offsets the destination ([`StepRecord::out_stride`]); 255 for none.
    pub out_digit: u8,
    /// A [`Store`].
    pub store: u8,
    /// Rounding right shift from accumulator to i16, 1..=16 (half up).
    pub shift: u8,
    /// Width the shifted value saturates to, 2..=16 bits.
    pub bits: u8,
    /// Zero.
    pub reserved: u8,
    /// Words from one n tile to the next where they are evenly spaced; 0: by `cols_table`. Of no
    /// meaning, and 0, with a scatter table.
    pub col_stride: u16,
}

impl StepRecord {
    /// Words of one weight slice.
    #[inline(always)]
    pub fn slice_words(&self) -> Size {
        Size::from(self.m_tiles) * self.k_pairs * TILE_M
    }

    /// All slices of W; `None` where the section ends before them.
    pub fn weights<'w>(&self, section: &'w [u32]) -> Option<&'w [u32]> {
        let words = self.slice_words() * self.slices;
        section
            .get(self.weights_word as usize..)?
            .get(..words.get())
    }

    /// Words of the X panels.
    pub fn input_words(&self) -> Size {
        Size::from(self.n_tiles) * self.k_pairs * TILE_N
    }

    /// Words from the first n tile to this one; `cols` are the entries of `cols_table`.
    #[inline(always)]
    pub fn column(&self, cols: &[u16], n_tile: usize) -> usize {
        match self.col_stride {
            0 => cols.get(n_tile).map_or(0, |&words| words as usize),
            stride => n_tile * stride as usize,
        }
    }

    /// Entries of `cols_table` in use.
    pub fn cols_len(&self) -> Size {
        Size::from(if self.col_stride == 0 {
            self.n_tiles
        } else {
            0
        })
    }

    /// Tiles of C.
    pub fn tiles(&self) -> Size {
        Size::from(self.m_tiles) * self.n_tiles
    }

    /// Products of one run, padding included.
    pub fn macs(&self) -> Size {
        self.tiles() * TILE * self.k_pairs * 2u32
    }
}

/// Fixed part of a program in the model file, before its step records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ProgramRecord {
    /// Values of one frame: `slab_values` × the product of the extents.
    pub values: u32,
    /// Values gathered before the steps run.
    pub slab_values: u32,
    /// Where slabs are gathered: first word in the arena.
    pub slab_word: u32,
    /// Gather table: slab value → i16 from `slab_word`; first entry in the tables section. [`NONE`]: rows.
    pub gather_table: u32,
    /// Without a table: values per row of the slab (K of the first step; rows are its n).
    pub row_values: u32,
    /// Number of step records that follow.
    pub steps: u32,
    /// Outer modes, slowest first; unused ones are 0.
    pub extents: [u16; DIGITS_MAX],
    /// Outer modes in use.
    pub digits: u16,
}

/// Where in a row of a slab value k lies when 8-bit values are pushed as they are: the middle two of
/// every whole four change places.
pub const fn pair_order(k: usize, row_values: usize) -> usize {
    if k / 4 * 4 + 4 > row_values {
        return k;
    }
    match k % 4 {
        1 => k + 1,
        2 => k - 1,
        _ => k,
    }
}

/// The odometer over the outer modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odometer {
    digits: [u16; DIGITS_MAX],
}

impl Odometer {
    /// All digits zero: the first slab of a frame.
    pub const fn new() -> Self {
        Self {
            digits: [0; DIGITS_MAX],
        }
    }

    /// The digit of outer mode `index`, 0 when there is none.
    #[inline]
    pub fn digit(&self, index: usize) -> u16 {
        self.digits.get(index).copied().unwrap_or(0)
    }

    /// The smallest q such that every digit from q on is at its last value: steps of depth ≥ q run.
    #[inline]
    pub fn wrapped(&self, extents: &[u16]) -> usize {
        let mut depth = extents.len();
        for (digit, extent) in self.digits.iter().zip(extents).rev() {
            if digit + 1 != *extent {
                break;
            }
            depth -= 1;
        }
        depth
    }

    /// Slabs done since the frame began.
    pub fn index(&self, extents: &[u16]) -> usize {
        self.digits
            .iter()
            .zip(extents)
            .fold(0, |index, (&digit, &extent)| {
                index * extent as usize + digit as usize
            })
    }

    /// Moves on to the next slab; true when the frame is complete and all digits are zero again.
    #[inline]
    pub fn advance(&mut self, extents: &[u16]) -> bool {
        for (digit, extent) in self.digits.iter_mut().zip(extents).rev() {
            *digit += 1;
            if *digit != *extent {
                return false;
            }
            *digit = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odometer_counts_like_nested_loops() {
        let extents = [2u16, 3, 1];
        let mut odometer = Odometer::new();
        for a in 0..2 {
            for b in 0..3 {
                assert_eq!(
                    [odometer.digit(0), odometer.digit(1), odometer.digit(2)],
                    [a, b, 0]
                );
                let expected = match (a, b) {
                    (1, 2) => 0,
                    (_, 2) => 1,
                    _ => 2,
                };
                assert_eq!(odometer.wrapped(&extents), expected);
                assert_eq!(odometer.advance(&extents), (a, b) == (1, 2));
            }
        }
        assert_eq!(odometer, Odometer::new());
    }

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<StepRecord>(), 48);
        assert_eq!(size_of::<ProgramRecord>(), 40);
    }
}
