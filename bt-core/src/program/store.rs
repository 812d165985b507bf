//! Stores: where the values of a finished tile go.

use super::record::{DISCARD, StageRecord};
use super::tiling::{TILE, TILE_N};
use crate::numbered::numbered;
use crate::size::Size;

numbered! {
    /// How a finished tile is written ([`StageRecord::store`]). Offsets are words of the arena; `o` is
    /// `out_word + digit·out_stride + rows[m_tile] + column(n_tile)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(u8)]
    pub enum Store: u8 {
        /// Words `o..o+4`: (C\[m0,n\], C\[m1,n\]) for n = n0..n3. The next stage sums over m.
        Pairs = 0,
        /// Words `o`, `o+1`: (n0, n1) of m0, of m1; words `o+4`, `o+5`: (n2, n3). The next stage sums over
        /// n.
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
}

impl Store {
    /// Whether tiles are added to z rather than written to the scratch.
    pub const fn adds(self) -> bool {
        matches!(self, Self::AddRows | Self::AddScatter)
    }

    /// Whether every value has its own entry in a table.
    pub const fn is_table(self) -> bool {
        matches!(self, Self::Scatter | Self::AddScatter)
    }

    /// Where value (row, column) of a tile goes, in i16 from the tile's first word, unless a table
    /// says so.
    #[inline(always)]
    pub const fn half(self, row_stride: usize, row: usize, column: usize) -> usize {
        match self {
            Self::Pairs => 2 * column + row,
            Self::Columns => column / 2 * 8 + row * 2 + column % 2,
            Self::AddRows | Self::Scatter | Self::AddScatter => row * row_stride * 2 + column,
        }
    }

    /// Words from the first that a tile is stored to, to one past the last, unless a table says so.
    pub fn tile_words(self, row_stride: u32) -> Size {
        match self {
            Self::Pairs => 4u32.into(),
            Self::Columns => 6u32.into(),
            Self::AddRows | Self::Scatter | Self::AddScatter => Size::from(row_stride) + 2u32,
        }
    }
}

impl StageRecord {
    /// Where value (row, column) of a tile goes, in i16 from the start of the arena, when the destination
    /// of the run is `out_word`; `None` for padding that is not stored, or without a table that says so.
    pub fn place(
        &self,
        tables: &[u16],
        out_word: usize,
        (m_tile, n_tile): (usize, usize),
        (row, column): (usize, usize),
    ) -> Option<usize> {
        let store = Store::from_number(self.store)?;
        let rows = tables.get(self.rows_table as usize..)?;
        if store.is_table() {
            let tile = m_tile * self.n_tiles as usize + n_tile;
            let &half = rows.get(tile * TILE + row * TILE_N + column)?;
            return (half != DISCARD).then_some(out_word * 2 + half as usize);
        }
        let cols = tables.get(self.cols_table as usize..).unwrap_or(&[]);
        let word = out_word + *rows.get(m_tile)? as usize + self.column(cols, n_tile);
        Some(word * 2 + store.half(self.row_stride as usize, row, column))
    }
}
