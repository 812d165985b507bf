//! The inner loops, by name. [`portable`] is the specification. The cfg `bt_kernel`, set by the build
//! script (`build/kernels.rs`), puts twins in assembly in their place that give the same bits ([`cases`]): on
//! cores with the DSP extension contractions, whole dense products, heads, rows of bytes and copies of words, on
//! others the register tile of contractions and two rows of a head. Helium's stand beside those of the DSP extension and go before them.

#[cfg(bt_kernel = "armv6m")]
mod armv6m;
#[cfg(bt_kernel = "armv7em")]
mod armv7em;
#[cfg(bt_kernel = "armv7m")]
mod armv7m;
pub mod cases;
#[cfg(bt_kernel = "helium")]
mod helium;
pub mod portable;

#[cfg(bt_kernel = "armv7em")]
pub(crate) use armv7em::{clear, copy};
#[cfg(all(bt_kernel = "armv7em", not(bt_kernel = "helium")))]
pub(crate) use armv7em::{dense_add, head_add};
#[cfg(bt_kernel = "helium")]
pub(crate) use helium::{bytes_add, dense_add, head_add};
#[cfg(not(bt_kernel = "helium"))]
pub(crate) use portable::bytes_add;
pub use portable::{add_rescaled, dense, gather_rows, gather_table};
#[cfg(not(bt_kernel = "armv7em"))]
pub(crate) use portable::{clear, copy, dense_add, head_add};

use crate::numbered::numbered;
use crate::program::Contraction;
use crate::proven::Proven;
#[cfg(bt_kernel = "armv6m")]
use armv6m::{tile, two_rows};
#[cfg(bt_kernel = "armv7m")]
use armv7m::{tile, two_rows};
#[cfg(not(any(bt_kernel = "armv6m", bt_kernel = "armv7m")))]
use portable::{tile, two_rows};

/// Runs one stage: [`portable::contract`] or its twin in assembly.
///
/// The assembly looks nothing up; it relies on [`Contraction::is_sound`], which `Model::parse` has proven of
/// every run of every stage of a model, for an arena of the size that the model states and `Session::new`
/// checks. So this is for this crate alone, to call with what a `Model` and its session's arena hold; a
/// debug build asks again, on every target. Programs that nobody has proven run by
/// [`run_portable`](crate::map::program::run_portable).
#[inline(always)]
#[cfg_attr(bt_kernel = "armv7em", allow(unsafe_code))]
pub(crate) fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
    debug_assert!(
        run.is_sound(memory.len()),
        "what parse has proven does not hold"
    );
    #[cfg(not(bt_kernel = "armv7em"))]
    portable::contract(run, memory);
    // SAFETY: the run is sound in this arena, as above.
    #[cfg(all(bt_kernel = "armv7em", not(bt_kernel = "helium")))]
    unsafe {
        armv7em::contract(run, memory);
    }
    // SAFETY: the same.
    #[cfg(bt_kernel = "helium")]
    unsafe {
        helium::contract(run, memory);
    }
}

/// What only this crate may call.
mod places {
    /// Values to places that `Model::parse` has checked.
    pub trait ToPlaces: Sized {
        /// Puts values to the halves of `panels` that their table entries name.
        fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]);

        /// The same of whole pairs of rows of so many values, whose table is as
        /// [`paired_row`](crate::program::ProgramRecord::paired_row) says.
        fn pairs_to_places(panels: &mut [u32], table: &[u16], row: usize, values: &[Self]) {
            let _ = row;
            Self::to_places(bytemuck::cast_slice_mut(panels), table, values);
        }
    }
}
pub(crate) use places::ToPlaces;

/// Puts values `from..` of a slab, for which there are the entries of `table`, into its panels; `row` is what
/// [`paired_row`](crate::program::ProgramRecord::paired_row) says of the whole table.
pub(crate) fn gather_places<S: Sample>(
    panels: &mut [u32],
    table: &[u16],
    (row, from): (usize, usize),
    values: &[S],
) {
    let pair = 2 * row;
    // Up to the end of the pair that an earlier piece began; then whole pairs; what is left.
    let head = match from.checked_rem(pair) {
        None | Some(0) => 0,
        Some(begun) => values.len().min(pair - begun),
    };
    let rest = values.len() - head;
    let whole = rest - rest.checked_rem(pair).unwrap_or(rest);
    let parts = values.split_at_checked(head);
    let parts = parts.and_then(|(head, rest)| Some((head, rest.split_at_checked(whole)?)));
    let Some((values, (pairs, tail))) = parts.proven() else {
        return;
    };
    let table_of = |first: usize| table.get(first..).proven().unwrap_or(&[]);
    let mut one_by_one = |first: usize, values: &[S]| {
        if !values.is_empty() {
            S::to_places(bytemuck::cast_slice_mut(panels), table_of(first), values);
        }
    };
    one_by_one(0, values);
    one_by_one(head + whole, tail);
    if !pairs.is_empty() {
        S::pairs_to_places(panels, table_of(head), row, pairs);
    }
}

#[cfg(not(bt_kernel = "armv7em"))]
macro_rules! to_places {
    ($($sample:ty),*) => {$(
        impl ToPlaces for $sample {
            fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]) {
                portable::gather_table(panels, table, values);
            }

            fn pairs_to_places(panels: &mut [u32], table: &[u16], row: usize, values: &[Self]) {
                portable::gather_pairs(panels, table, row, values);
            }
        }
    )*};
}
#[cfg(not(bt_kernel = "armv7em"))]
to_places!(u8, i8, Centred, i16);

numbered! {
    /// How the weights of a dense map lie in a file. Every core computes the same of either.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum RowsForm: u16 {
        /// [`DenseRows`], for all cores.
        Pairs = 0,
        /// [`ByteRows`], for vectors of sixteen bytes.
        Bytes = 1,
    }
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

#[cfg(bt_kernel = "armv7em")]
impl DenseRows<'_> {
    /// Row pairs for which there are weights, scales and words of z; none where x is shorter than a row. Debug
    /// builds assert that all lengths agree.
    #[inline(always)]
    fn pairs(&self, x: &[u32], scales: &[u32], z: &[u32]) -> usize {
        let words = self.k_pairs;
        debug_assert!(x.len() == words && words > 0 && z.len() * 2 == scales.len());
        debug_assert_eq!(self.weights.len(), words * z.len());
        if x.len() < words {
            return 0;
        }
        let pairs = z.len().min(scales.len() / 2);
        pairs.min(self.weights.len().checked_div(words).unwrap_or(0))
    }
}

/// A dense product of rows of bytes, one scale per row, four rows side by side.
///
/// Vectors of sixteen bytes multiply the two bytes of the values apart. Value x is 256 h + l + 128 of two signed
/// bytes h and l, so that a row's sum is Σ w·(256 h + l) + 128 Σ w.
#[derive(Clone, Copy, Debug)]
pub struct ByteRows<'a> {
    /// Words of `[row / 4][block][row % 4][16]` bytes, places as [`byte`](Self::byte) has them.
    pub weights: &'a [u32],
    /// 128 Σ w of every row.
    pub sums: &'a [u32],
    /// Words of x: half of K, rounded up.
    pub k_pairs: usize,
}

/// [`ByteRows::BLOCK`], as array types can name it.
const BYTES: usize = 16;

impl ByteRows<'_> {
    /// Rows that lie side by side.
    pub const ROWS: usize = 4;
    /// Bytes of a block of a row.
    pub const BLOCK: usize = BYTES;
    /// Words of a block of all rows that lie side by side.
    pub const BLOCK_WORDS: usize = Self::ROWS * Self::BLOCK / 4;

    /// Blocks of a row.
    pub const fn blocks(k_pairs: usize) -> usize {
        k_pairs.div_ceil(Self::BLOCK / 2)
    }

    /// Values that the first block takes, two to sixteen; weights of zero fill it. All others are full.
    pub const fn first(k_pairs: usize) -> usize {
        (2 * k_pairs).wrapping_sub(1) % Self::BLOCK + 1
    }

    /// The byte that is weight k of a row.
    pub const fn byte(k_pairs: usize, row: usize, k: usize) -> usize {
        // As if as many values came before as the first block has places left.
        let place = k + if k < Self::first(k_pairs) {
            0
        } else {
            Self::BLOCK - Self::first(k_pairs)
        };
        let block = row / Self::ROWS * Self::blocks(k_pairs) + place / Self::BLOCK;
        (block * Self::ROWS + row % Self::ROWS) * Self::BLOCK + place % Self::BLOCK
    }

    /// The blocks of a row among `weights`, as far as they go.
    #[inline(always)]
    pub fn row(weights: &[u32], k_pairs: usize, row: usize) -> impl Iterator<Item = &[i8; BYTES]> {
        let bytes: &[i8] = bytemuck::cast_slice(weights);
        let (blocks, _) = bytes.as_chunks::<BYTES>();
        let first = Self::byte(k_pairs, row, 0) / Self::BLOCK;
        let rest = blocks.get(first..).unwrap_or(&[]);
        rest.iter().step_by(Self::ROWS).take(Self::blocks(k_pairs))
    }
}

/// Rows of a head, i16, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct HeadRows<'a> {
    /// From the first value of the first row on.
    pub weights: &'a [i16],
    /// From one row's value to the next one's below it.
    pub stride: usize,
    /// Values of a row that are read, at least 1 and at most `stride`.
    pub values: usize,
}

#[cfg(bt_kernel = "armv7em")]
impl HeadRows<'_> {
    /// Rows for which there are weights and sums; none where x is shorter than a row. Debug builds assert that there is
    /// a row for every sum.
    fn count(&self, x: &[u32], sums: &[i32]) -> usize {
        let values = self.values;
        let behind_first = self.weights.len().checked_sub(values);
        let rows = match behind_first.and_then(|behind| behind.checked_div(self.stride)) {
            Some(others) if values > 0 && x.len() >= values.div_ceil(2) => others + 1,
            _ => 0,
        };
        debug_assert!(rows >= sums.len() && values <= self.stride);
        rows.min(sums.len())
    }
}

/// An element type that sensors and data sets deliver.
///
/// Maps read i16: bytes are shifted left until they fill it ([`InputType::left_shift`]), so that sums
/// of products keep their top halves. A core unpacks four bytes with two masks, which leaves bytes 0
/// and 2 in one word, 1 and 3 in the other; rows of panels keep that order ([`pair_order`]).
///
/// [`InputType::left_shift`]: crate::InputType::left_shift
/// [`pair_order`]: crate::program::panel::pair_order
pub trait Sample: Copy + places::ToPlaces {
    /// The offset that the type has taken off its values.
    const ZERO: i32 = 0;

    /// The value, unshifted.
    fn to_i16(self) -> i16;

    /// The value as maps read it.
    fn widen(self) -> i16;

    /// Values as maps read them, as many as there are places for.
    #[inline(always)]
    fn widen_all(values: &[Self], places: &mut [i16]) {
        for (place, value) in places.iter_mut().zip(values) {
            *place = value.widen();
        }
    }

    /// Four neighbours of a row as maps read them, two pairs in [`pair_order`](crate::program::panel::pair_order).
    fn widen_four(four: [Self; 4]) -> [u32; 2];

    /// Whole rows of a slab, from row `row` on, into its panels.
    fn gather_whole_rows(panels: &mut [u32], row_values: usize, row: usize, values: &[Self]) {
        portable::whole_rows(panels, row_values, row, values);
    }
}

impl Sample for u8 {
    #[inline(always)]
    fn to_i16(self) -> i16 {
        i16::from(self)
    }

    #[inline(always)]
    fn widen(self) -> i16 {
        i16::from(self) << 7
    }

    #[inline(always)]
    fn widen_four(four: [Self; 4]) -> [u32; 2] {
        let word = u32::from_le_bytes(four);
        [word << 7 & 0x7F80_7F80, word >> 1 & 0x7F80_7F80]
    }

    #[cfg(bt_kernel = "armv7em")]
    fn gather_whole_rows(panels: &mut [u32], row_values: usize, row: usize, values: &[Self]) {
        armv7em::gather_bytes(panels, row_values, row, values);
    }
}

impl Sample for i8 {
    #[inline(always)]
    fn to_i16(self) -> i16 {
        i16::from(self)
    }

    #[inline(always)]
    fn widen(self) -> i16 {
        i16::from(self) << 8
    }

    #[inline(always)]
    fn widen_four(four: [Self; 4]) -> [u32; 2] {
        let word = u32::from_le_bytes(four.map(|value| value as u8));
        [word << 8 & 0xFF00_FF00, word & 0xFF00_FF00]
    }
}

/// An unsigned byte less [`InputType::MIDDLE`](crate::InputType::MIDDLE).
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Centred(u8);

impl Sample for Centred {
    const ZERO: i32 = crate::InputType::MIDDLE;

    #[inline(always)]
    fn to_i16(self) -> i16 {
        i16::from(self.0) - 128
    }

    #[inline(always)]
    fn widen(self) -> i16 {
        ((self.0 ^ 0x80) as i8).widen()
    }

    #[inline(always)]
    fn widen_four(four: [Self; 4]) -> [u32; 2] {
        let word = u32::from_le_bytes(four.map(|value| value.0)) ^ 0x8080_8080;
        [word << 8 & 0xFF00_FF00, word & 0xFF00_FF00]
    }

    #[cfg(bt_kernel = "armv7em")]
    fn gather_whole_rows(panels: &mut [u32], row_values: usize, row: usize, values: &[Self]) {
        armv7em::gather_centred(panels, row_values, row, bytemuck::cast_slice(values));
    }
}

impl Sample for i16 {
    #[inline(always)]
    fn to_i16(self) -> i16 {
        self
    }

    #[inline(always)]
    fn widen(self) -> i16 {
        self
    }

    #[inline(always)]
    fn widen_all(values: &[Self], places: &mut [i16]) {
        let count = values.len().min(places.len());
        if let (Some(places), Some(values)) = (places.get_mut(..count), values.get(..count)) {
            places.copy_from_slice(values);
        }
    }

    #[inline(always)]
    fn widen_four([a, b, c, d]: [Self; 4]) -> [u32; 2] {
        let pair = |low: i16, high: i16| u32::from(low as u16) | u32::from(high as u16) << 16;
        [pair(a, b), pair(c, d)]
    }
}
