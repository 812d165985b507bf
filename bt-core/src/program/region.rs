//! Which words of the arena a map touches: as the exporter places them and as `parse` checks them.

use super::record::{DISCARD, NONE, ProgramRecord, StageRecord};
use super::resolve::{Accumulate, Contraction};
use super::store::Store;
use super::tiling::{TILE, TILE_N};
use crate::size::Size;

/// Half-open range of arena words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First word.
    pub start: Size,
    /// One past the last word.
    pub end: Size,
}

impl Region {
    /// `len` words from `start`.
    pub fn new(start: impl Into<Size>, len: impl Into<Size>) -> Self {
        let start = start.into();
        Self {
            start,
            end: start + len,
        }
    }

    /// Whether the two share a word.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether `other` lies inside.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// What says nothing about where a stage stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The store is none.
    Store,
    /// The digit that moves the destination is none that the stage waits for.
    OutDigit,
    /// A table does not lie in its section.
    Table,
}

/// `len` entries of a table section.
fn entries(tables: &[u16], start: u32, len: Size) -> Option<&[u16]> {
    tables.get(start as usize..)?.get(..len.get())
}

/// Words from the first to one past the last that a scatter table names.
#[inline(always)]
fn table_span(table: &[u16]) -> Size {
    let used = table.iter().filter(|&&at| at != DISCARD);
    used.max()
        .map_or(Size::default(), |last| Size::from(last / 2) + 1u32)
}

impl ProgramRecord {
    /// Extents of the outer modes, slowest first.
    pub fn extents(&self) -> &[u16] {
        self.extents.get(..self.digits as usize).unwrap_or(&[])
    }

    /// Where slabs are gathered; `None` when they are no whole rows, or the gather table is not there.
    #[inline(never)]
    pub fn slab(&self, tables: &[u16]) -> Option<Region> {
        let words = if self.gather_table == NONE {
            let row = self.row_values;
            if row == 0 || !self.slab_values.is_multiple_of(row) {
                return None;
            }
            Size::from((self.slab_values / row).div_ceil(4)) * row.div_ceil(2) * 4u32
        } else {
            let places = entries(tables, self.gather_table, self.slab_values.into())?;
            Size::from(places.iter().max()? / 2) + 1u32
        };
        Some(Region::new(self.slab_word, words))
    }

    /// Values of a row of the slab where two rows share their words: the gather table puts each value of the
    /// first of two rows to the low half of a word, its neighbour of the second row to the high half, and
    /// neighbours of a row to one word after the other but from one group of four words, whose first is at a
    /// multiple of four from `slab_word`, to the next, always as far away. So tables are where a slab's panels
    /// hold its rows as k. 0 where there is no table or it is any other.
    #[inline(never)]
    pub fn paired_row(&self, tables: &[u16]) -> usize {
        let find = || {
            if self.gather_table == NONE {
                return None;
            }
            let table = entries(tables, self.gather_table, self.slab_values.into())?;
            let second = table.first()?.checked_add(1)?;
            let row = table.iter().position(|&place| place == second)?;
            let is_last = |place: u16| place / 2 % TILE_N as u16 == TILE_N as u16 - 1;
            let step = |a: u16, b: u16| i32::from(b) - i32::from(a);
            let mut neighbours = table.iter().zip(table.get(1..row)?);
            let to_next = neighbours.find(|&(&a, _)| is_last(a));
            let to_next = to_next.map(|(&a, &b)| step(a, b));
            let goes_on = |a: u16, b: u16| {
                let step = step(a, b);
                if is_last(a) {
                    Some(step) == to_next && (b / 2).is_multiple_of(TILE_N as u16)
                } else {
                    step == 2
                }
            };
            let is_paired = |rows: &[u16]| {
                rows.split_at_checked(row).is_some_and(|(low, high)| {
                    high.len() == row
                        && low
                            .iter()
                            .zip(high)
                            .all(|(&low, &high)| low.is_multiple_of(2) && high == low + 1)
                        && low
                            .iter()
                            .zip(low.iter().skip(1))
                            .all(|(&a, &b)| goes_on(a, b))
                })
            };
            let pair = (2 * row).max(1);
            (row >= TILE_N && table.chunks(pair).all(is_paired)).then_some(row)
        };
        find().unwrap_or(0)
    }
}

impl StageRecord {
    /// The X panels.
    pub fn input(&self) -> Region {
        Region::new(self.input_word, self.input_words())
    }

    /// The accumulators, if the stage keeps any.
    pub fn acc(&self) -> Option<Region> {
        (self.acc_word != NONE).then(|| Region::new(self.acc_word, self.tiles() * TILE))
    }

    /// Entries of the tables section that its store goes by.
    pub fn table_entries(&self) -> Size {
        if self.store >= Store::Scatter as u8 {
            self.tiles() * TILE
        } else {
            Size::from(self.m_tiles) + self.cols_len()
        }
    }

    /// Every word the stage can store to, whatever the digits of the odometer.
    ///
    /// # Errors
    ///
    /// What says nothing about where.
    #[inline(never)]
    pub fn out(&self, tables: &[u16], extents: &[u16]) -> Result<Region, Misplaced> {
        let store = Store::from_number(self.store).ok_or(Misplaced::Store)?;
        let moved = match self.out_digit {
            u8::MAX => Size::default(),
            digit if digit < self.depth => {
                let extent = extents.get(digit as usize).ok_or(Misplaced::OutDigit)?;
                Size::from(self.out_stride) * extent.saturating_sub(1)
            }
            _ => return Err(Misplaced::OutDigit),
        };
        let span = if store.is_table() {
            let table =
                entries(tables, self.rows_table, self.table_entries()).ok_or(Misplaced::Table)?;
            table_span(table)
        } else {
            let rows =
                entries(tables, self.rows_table, self.m_tiles.into()).ok_or(Misplaced::Table)?;
            let cols = entries(tables, self.cols_table, self.cols_len()).ok_or(Misplaced::Table)?;
            self.tile_span(store, rows, cols)
        };
        Ok(Region::new(self.out_word, span + moved))
    }

    /// Words from the first to one past the last that tiles at these offsets are stored to.
    #[inline(always)]
    fn tile_span(&self, store: Store, rows: &[u16], cols: &[u16]) -> Size {
        let largest = |offsets: &[u16]| Size::from(offsets.iter().max().copied().unwrap_or(0));
        let columns = match self.col_stride {
            0 => largest(cols),
            stride => Size::from(self.n_tiles.saturating_sub(1)) * stride,
        };
        largest(rows) + columns + store.tile_words(self.row_stride)
    }
}

impl Contraction<'_> {
    /// Whether all that a kernel relies on holds in an arena of so many words: every operand is as long as
    /// the stage says, every place it reads, keeps or stores to lies in the arena, and shift, width and
    /// store are among those there are.
    pub(crate) fn is_sound(&self, arena_words: usize) -> bool {
        let stage = self.stage;
        let arena = Region::new(0usize, arena_words);
        let Some(store) = Store::from_number(stage.store) else {
            return false;
        };
        let sizes = stage.m_tiles > 0 && stage.n_tiles > 0 && stage.k_pairs > 0;
        let forms = (1..=16).contains(&stage.shift)
            && (2..=16).contains(&stage.bits)
            && matches!(stage.slice_shift, 0 | 2..=16);
        let kept = match self.accumulate {
            Accumulate::Single => stage.slice_shift == 0,
            _ => stage.acc().is_some_and(|acc| arena.contains(acc)),
        };
        let span = if store.is_table() {
            let entries = stage.table_entries().get();
            self.rows.get(..entries).map(table_span)
        } else {
            let rows = self.rows.get(..stage.m_tiles.into());
            let cols = self.cols.get(..stage.cols_len().get());
            rows.zip(cols)
                .map(|(rows, cols)| stage.tile_span(store, rows, cols))
        };
        let stored = span.is_some_and(|span| arena.contains(Region::new(self.out_word, span)));
        sizes
            && forms
            && kept
            && stored
            && self.weights.len() >= stage.slice_words().get()
            && arena.contains(stage.input())
    }
}
