//! Sizes: how many tiles, words and products there are.

use super::record::StageRecord;
use crate::size::Size;

/// Rows of W in one register tile.
pub const TILE_M: usize = 2;
/// Rows of X in one register tile.
pub const TILE_N: usize = 4;
/// Accumulators of one register tile.
pub const TILE: usize = TILE_M * TILE_N;
/// Words of a row of a vector register of Helium: eight values.
pub const VECTOR_PAIRS: usize = 4;

/// Tiles of this many rows of W.
pub const fn m_tiles(rows: usize) -> usize {
    rows.div_ceil(TILE_M)
}

/// Tiles of this many rows of X.
pub const fn n_tiles(rows: usize) -> usize {
    rows.div_ceil(TILE_N)
}

/// Words of a row of K values: pairs of i16.
pub const fn k_pairs(values: usize) -> usize {
    values.div_ceil(2)
}

/// Words of a row of K values, padded to what is fastest on Helium or not: to [whole vectors](VECTOR_PAIRS), but
/// that one or two of these may have a pair more, which takes fewer instructions than one more of them.
pub const fn row_pairs(values: usize, in_vectors: bool) -> usize {
    let pairs = k_pairs(values);
    match (pairs / VECTOR_PAIRS, pairs % VECTOR_PAIRS) {
        (1 | 2, 1) => pairs,
        _ if in_vectors => pairs.next_multiple_of(VECTOR_PAIRS),
        _ => pairs,
    }
}

impl StageRecord {
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
