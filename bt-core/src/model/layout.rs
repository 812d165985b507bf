//! Where things lie in a `.btm` file; the reader and the writer go by this table and no other.
//! `docs/format.md` tells the same to those who write a reader of their own.
//!
//! ```text
//! header (24 bytes) · section table (12 bytes each) · sections, 4-byte aligned, zero padded
//! ```
//!
//! Little-endian, read in place from flash.

use core::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::cell::Cell;
use crate::crc32c::Crc32c;
use crate::numbered::numbered;

/// First bytes of every model file.
pub const MAGIC: [u8; 4] = *b"BTM\x1a";
/// Raise when layout, rounding, tables of the nonlinearities or gate order change.
///
/// | version | what it added |
/// |---|---|
/// | 3 | the oldest that is still read |
/// | 4 | [`FormatRecord`]: an offset, a scale and a shift for every value, a wider cell; [`HostRecord`] |
/// | 5 | [`OutputsRecord`]: scores after every step, values instead of classes, the mean of recent steps; [`Section::Cell`]: other cells, several layers |
/// | 6 | [`FilterRecord`]: what moves, not what is seen; [`StageRecord::slice_shift`](crate::program::StageRecord::slice_shift); [`OutputsRecord`]: scores of bits, the next frame drawn from them |
/// | 7 | [`WordsRecord`]: a picture read once, then words; [`DrawRecord`]: pictures painted from latent values |
/// | 8 | [`DenseRecord::form`]: rows of bytes |
/// | 9 | [`WindowRecord`]: pictures painted through a window |
pub const VERSION: u16 = 9;
/// The oldest version that is read; its files are files of [`VERSION`] without the later sections.
pub const VERSION_OLDEST: u16 = 3;
/// The first version whose stages shift sums of slices.
pub const VERSION_SLICE_SHIFT: u16 = 6;
/// The first version whose dense maps may have rows of bytes.
pub const VERSION_BYTE_ROWS: u16 = 8;
/// The first version whose pictures may be painted through a window.
pub const VERSION_WINDOW: u16 = 9;

/// Header: magic.
pub const MAGIC_AT: Range<usize> = 0..4;
/// Header: [`VERSION`], u16.
pub const VERSION_AT: Range<usize> = 4..6;
/// Header: number of sections, u16.
pub const SECTIONS_AT: Range<usize> = 6..8;
/// Header: length of the whole file in bytes, u32.
pub const LENGTH_AT: Range<usize> = 8..12;
/// Header: bytes of a session's arena, u32 (multiple of 4); at a fixed place for `arena_bytes`.
pub const ARENA_AT: Range<usize> = 12..16;
/// Header: values to push for one step, u32.
pub const FRAME_AT: Range<usize> = 16..20;
/// Header: CRC-32C of every byte before and after this field, u32.
pub const CRC_AT: Range<usize> = 20..24;
/// Length of the header.
pub const HEADER_LEN: usize = CRC_AT.end;
/// Length of one entry of the section table: tag, offset, length.
pub const ENTRY_LEN: usize = 12;

numbered! {
    /// What a section holds; its number is the four characters that name it in the file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    #[non_exhaustive]
    #[repr(u32)]
    pub enum Section: u32 {
        /// Sizes and scalars.
        Meta = u32::from_le_bytes(*b"META"),
        /// Model name, UTF-8.
        Name = u32::from_le_bytes(*b"NAME"),
        /// Class labels, UTF-8, separated by line feeds.
        Labels = u32::from_le_bytes(*b"LABL"),
        /// What the host needs beside the rest, `inspect` for one: JSON, UTF-8; never read on the device.
        About = u32::from_le_bytes(*b"ABOU"),
        /// The input map: a word that names its form, then its records.
        Input = u32::from_le_bytes(*b"INPM"),
        /// The recurrent map, likewise.
        Recurrent = u32::from_le_bytes(*b"RECM"),
        /// Weights of both maps, u32 words.
        Weights = u32::from_le_bytes(*b"WGHT"),
        /// Offset tables of both maps, u16.
        Tables = u32::from_le_bytes(*b"TABL"),
        /// Bias of z, i16 Q4.11 `[gates·J]`, layer by layer; behind each, where the cell keeps the recurrent
        /// map's share apart, the bias of its last gate `[J]`. Each is padded to a word.
        Bias = u32::from_le_bytes(*b"BIAS"),
        /// Head: i16 weights `[classes][J]`, padded to a word, then i32 biases `[classes]`; of a model that paints through
        /// a window not classes but [`WindowRecord::head_rows`].
        Head = u32::from_le_bytes(*b"HEAD"),
        /// Tables of the audio front end.
        FrontEnd = u32::from_le_bytes(*b"FRNT"),
        /// Offsets, scales and shifts of values, and the format of c, where they are not the plain ones.
        Format = u32::from_le_bytes(*b"FRMT"),
        /// Where the model is not one layer of LSTM: a [`Cell`](crate::cell::Cell), then for every layer above
        /// the first the fraction bits of its c (those of the first are in `FRMT`), u32 each.
        Cell = u32::from_le_bytes(*b"CELL"),
        /// The map from h of the first layer to z of the second.
        Input1 = u32::from_le_bytes(*b"INP1"),
        /// The recurrent map of the second layer.
        Recurrent1 = u32::from_le_bytes(*b"REC1"),
        /// The same of the third.
        Input2 = u32::from_le_bytes(*b"INP2"),
        /// The same of the third.
        Recurrent2 = u32::from_le_bytes(*b"REC2"),
        /// The same of the fourth.
        Input3 = u32::from_le_bytes(*b"INP3"),
        /// The same of the fourth.
        Recurrent3 = u32::from_le_bytes(*b"REC3"),
        /// How the host quantises floats, a record for every value of a frame; without it one of `META`
        /// serves all. Never read on the device.
        Host = u32::from_le_bytes(*b"HOST"),
        /// What the scores are where they are not those of classes after a sequence.
        Outputs = u32::from_le_bytes(*b"OUTP"),
        /// What is taken off the input map's share of z, where anything is: a [`FilterRecord`], then what z
        /// starts from, i16 `[gates·J]`, padded to a word.
        Filter = u32::from_le_bytes(*b"FLTR"),
        /// What each word adds to z, of a model that tells captions: a [`WordsRecord`], then scales, u16
        /// `[classes]`, and rows, i8 `[classes][gates·J]`, each padded to a word.
        Words = u32::from_le_bytes(*b"WORD"),
        /// Of a model that paints pictures, how: a [`DrawRecord`], and behind it a [`WindowRecord`] where it paints through
        /// a window.
        Draw = u32::from_le_bytes(*b"DRAW"),
    }
}

/// Most layers of a model.
pub const LAYERS_MAX: usize = 4;

impl Section {
    /// The four characters that name the section in the file.
    pub const fn tag(self) -> [u8; 4] {
        (self as u32).to_le_bytes()
    }

    /// Whether a file must have it; which maps it must have follows from its layers and their cell.
    pub const fn required(self) -> bool {
        matches!(
            self,
            Self::Meta
                | Self::Name
                | Self::Labels
                | Self::About
                | Self::Input
                | Self::Weights
                | Self::Tables
                | Self::Bias
                | Self::Head
        )
    }

    /// The input maps of all layers that there can be.
    pub const INPUTS: [Self; LAYERS_MAX] = [Self::Input, Self::Input1, Self::Input2, Self::Input3];

    /// Their recurrent maps.
    pub const RECURRENTS: [Self; LAYERS_MAX] = [
        Self::Recurrent,
        Self::Recurrent1,
        Self::Recurrent2,
        Self::Recurrent3,
    ];
}

/// Sizes and scalars of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MetaRecord {
    /// J: hidden units of every layer.
    pub hidden: u32,
    /// Scores of the head: classes, or values.
    pub classes: u32,
    /// I: values of one frame as the input map sees it.
    pub map_values: u32,
    /// An [`InputType`](super::InputType): the type of pushed values.
    pub input_type: u8,
    /// A [`Gate`](crate::cell::Gate).
    pub gate: u8,
    /// A [`Pool`](super::Pool).
    pub pool: u8,
    /// Right shift of (value − offset) × scale, 0..=30, where there is no table of shifts.
    pub element_shift: u8,
    /// First entry in the tables section of the i16 scales, one per value of a frame;
    /// [`crate::program::NONE`]: [`FormatRecord::element_scale`] is that of every value.
    pub element_scale_table: u32,
    /// Subtracted from every value of a frame (feature vectors of a front end included) before all
    /// else, saturating to i16, where there is no table of offsets; keeps a large common offset out
    /// of z. −32768..=32767.
    pub input_zero: i32,
    /// Logits are raw scores · 2^−score_shift; values are as of [`ValueRecord`].
    pub score_shift: i32,
    /// f32 bits: the host pushes a float x as round((x − offset) / lsb), half to even, saturated to
    /// the input's type. Finite and not 0.
    pub input_lsb: u32,
    /// f32 bits, finite; see `input_lsb`.
    pub input_offset: u32,
    /// Feature vectors of the front end per step; 0 without a front end.
    pub vectors_per_step: u32,
    /// Golden vector: seed of the input noise.
    pub golden_seed: u32,
    /// Golden vector: steps to run.
    pub golden_steps: u32,
    /// Golden vector: CRC-32C of the raw scores after those steps.
    pub golden_crc: u32,
}

/// Formats that calibration chose where they are not [`FormatRecord::PLAIN`].
///
/// A pushed value x becomes the map's integer m in two passages, each of which can be left out:
///
/// ```text
/// d = saturate(x − offset)                offset: i16
/// m = saturate(round(d · scale / 2^shift))   scale: i16, shift: 0..=30, half up
/// ```
///
/// Offset, scale and shift are each one for all values or come from a table of one per value. With a
/// mantissa of 15 bits and a shift of its own, a value's factor scale/2^shift is any of 2⁻³⁰..2¹⁵ to
/// 2⁻¹⁵ of itself, whatever the factors of its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FormatRecord {
    /// First entry in the tables section of the i16 offsets, one per value of a frame;
    /// [`crate::program::NONE`]: [`MetaRecord::input_zero`] is that of every value.
    pub element_offset_table: u32,
    /// First entry in the tables section of the shifts, one per value of a frame;
    /// [`crate::program::NONE`]: [`MetaRecord::element_shift`] is that of every value.
    pub element_shift_table: u32,
    /// Scale of every value where there is no table of scales; 0: values are not scaled.
    /// −32768..=32767.
    pub element_scale: i32,
    /// Fraction bits of the cell state c, [`CELL_FRACTION_MIN`]..=[`CELL_FRACTION`].
    pub cell_fraction: u32,
}

/// Fraction bits of the cell state unless calibration chose fewer: Q7.24.
pub const CELL_FRACTION: u32 = 24;

/// Fewest fraction bits of the cell state: Q15.16. With f ≤ 1 − 2⁻¹⁵ and |i·g| ≤ 1, |c| stays below
/// 2¹⁵, so no model needs fewer.
pub const CELL_FRACTION_MIN: u32 = 16;

impl FormatRecord {
    /// What a file without the section means: no tables, no scale, c in Q7.24.
    pub const PLAIN: Self = Self {
        element_offset_table: crate::program::NONE,
        element_shift_table: crate::program::NONE,
        element_scale: 0,
        cell_fraction: CELL_FRACTION,
    };
}

/// How the host quantises the floats of one place of the frame, as of [`MetaRecord::input_lsb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct HostRecord {
    /// f32 bits: finite.
    pub offset: u32,
    /// f32 bits: finite and not 0; negative where the feature's scale is.
    pub lsb: u32,
}

/// What the scores of the head are; with values a [`ValueRecord`] for each score follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OutputsRecord {
    /// An [`OutputKind`](super::OutputKind).
    pub kind: u8,
    /// 1: the head was trained to be read after every step; 0: at the end of a sequence.
    pub every_step: u8,
    /// log₂ of the steps that [`Pool::Recent`](super::Pool) averages over, 1..=[`HORIZON_SHIFT_MAX`]; 0 with
    /// other pools.
    pub horizon_shift: u8,
    /// A [`NextFrame`](super::NextFrame).
    pub next_frame: u8,
}

/// Sums of 2¹⁵ hidden states keep to 31 bits.
pub const HORIZON_SHIFT_MAX: u8 = 15;

impl OutputsRecord {
    /// What a file without the section means: classes of a sequence.
    pub const PLAIN: Self = Self {
        kind: 0,
        every_step: 0,
        horizon_shift: 0,
        next_frame: 0,
    };
}

/// What a raw score is in the units of the data: value = offset + raw · lsb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ValueRecord {
    /// f32 bits: finite.
    pub offset: u32,
    /// f32 bits: finite and not 0.
    pub lsb: u32,
}

/// What becomes of the first layer's z before a cell reads it, see [`apply`](FilterRecord::apply).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FilterRecord {
    /// log₂ of the steps of the mean that is taken off, 0..=[`HORIZON_SHIFT_MAX`]; 0: the step before.
    pub horizon_shift: u32,
    /// Fraction bits of z as the input map leaves it, 0..=[`FILTER_FRACTION_MAX`].
    pub fraction: u32,
}

/// How a picture is painted from latent values: the scores after step t are its canvas then, the sum of what the
/// head makes of every h so far.
///
/// The head is linear, so that the device keeps no canvas but the sum of h, J halves:
///
/// ```text
/// S = Σ round(h / 2^sum_shift)      canvas = W·S + t·b
/// ```
///
/// With attention that does not do, for h places what it paints: the device keeps the canvas itself, a word a pixel of
/// [`MetaRecord::score_shift`] fraction bits, and a [`WindowRecord`] follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DrawRecord {
    /// T: steps of a picture, 1..=[`DRAW_STEPS_MAX`].
    pub steps: u32,
    /// Rows of a picture; its pixels, the scores, lie row by row.
    pub rows: u32,
    /// log₂ of what h is divided by, 0..=10, so that 2^sum_shift is T at least: no sum leaves an i16. 0 where the canvas
    /// is kept.
    pub sum_shift: u32,
}

/// The window that h places anew in every step, and through which a patch is painted.
///
/// The head has a row for each of the N·N values of the patch, then one for each of the five numbers x̃, ỹ, ln σ², ln δ̃ and
/// ln γ, and reads the last h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct WindowRecord {
    /// N: points of the window each way, 2..=[`WINDOW_POINTS_MAX`].
    pub points: u32,
    /// A value of the patch is the sum of its row · 2^−patch_shift.
    pub patch_shift: i32,
    /// A number that places the window is the sum of its row · 2^−place_shift, saturated at ±16.
    pub place_shift: i32,
}

/// Most points of a window each way.
pub const WINDOW_POINTS_MAX: u32 = 64;

/// Most rows, and most columns, of a picture that is painted through a window.
pub const WINDOW_SIDE_MAX: u32 = 256;

impl WindowRecord {
    /// Numbers that place it.
    pub const PLACE: usize = 5;

    /// Rows of the head; of a file that is yet to be checked they saturate.
    pub const fn head_rows(&self) -> usize {
        let points = self.points as usize;
        points.saturating_mul(points).saturating_add(Self::PLACE)
    }
}

/// Most steps of a picture.
pub const DRAW_STEPS_MAX: u32 = 1 << 10;

impl DrawRecord {
    /// The least [`sum_shift`](Self::sum_shift) of so many steps.
    pub const fn shift_of(steps: u32) -> u32 {
        steps.next_power_of_two().ilog2()
    }
}

/// Finer than this no map's share needs to be.
pub const FILTER_FRACTION_MAX: u32 = 24;

/// What a word adds to z of the first layer: its row's entries times its scale, shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct WordsRecord {
    /// Rounding right shift of a row's entries times the word's scale, 0..=[`WORDS_SHIFT_MAX`].
    pub shift: u32,
    /// Most words of a caption, 1..=[`CAPTION_WORDS_MAX`]; where it is reached the caption ends.
    pub longest: u32,
}

/// A product of i8 and u16 has no more bits.
pub const WORDS_SHIFT_MAX: u32 = 24;

/// Captions of more words are no captions.
pub const CAPTION_WORDS_MAX: u32 = 1 << 15;

/// The end, what stands for all words that a vocabulary has not, and one word.
pub const WORDS_MIN: u32 = 3;

numbered! {
    /// First word of a map section: which form follows.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum MapKind: u32 {
        /// [`crate::program::ProgramRecord`] and its stages.
        Program = 1,
        /// [`DenseRecord`].
        Dense = 2,
    }
}

/// A dense map of i8 weights, one scale per row: z_j += (scale_j · Σ_k w_jk·x_k) / 2³², rounded.
///
/// Long sums come in slices of `slice_values`, each shifted by `slice_shift` (half up) before it is
/// added to the accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DenseRecord {
    /// Rows of the map: as many as z has values, and one of zeros where they are odd.
    pub rows: u32,
    /// K: all inputs.
    pub values: u32,
    /// Inputs of one slice; divides `values`, even unless it equals `values`.
    pub slice_values: u32,
    /// Where a slice is gathered (i16 pairs), first word in the arena; unused when x is h itself.
    pub slice_word: u32,
    /// i32 accumulators \[rows\] in the arena; unused when there is one slice.
    pub acc_word: u32,
    /// First word in the weights section of `[slice][row pair][k / 2]`, see [`crate::kernel::DenseRows`], or of
    /// [`crate::kernel::ByteRows`].
    pub weights_word: u32,
    /// First word in the weights section of the scales, i32 ≥ 0 \[rows\].
    pub scales_word: u32,
    /// Rounding right shift of a slice, 0..=16; 0 when there is one slice.
    pub slice_shift: u16,
    /// Number of a [`RowsForm`](crate::kernel::RowsForm): how the weights lie. Rows of bytes come as one slice of at least 16 values, fours of
    /// rows; behind the scales are then 128 Σ w of every row, i32 \[rows\].
    pub form: u16,
}

/// Words of `BIAS` that a layer takes.
pub(crate) const fn bias_words(cell: Cell, hidden: usize) -> usize {
    let apart = if cell.keeps_apart() {
        hidden.div_ceil(2)
    } else {
        0
    };
    (cell.gates() * hidden).div_ceil(2) + apart
}

/// The CRC-32C (Castagnoli) that a file of these bytes must carry, over all bytes but its own; `None`
/// when it is shorter than a header.
pub fn crc(bytes: &[u8]) -> Option<u32> {
    crc_in_pieces(bytes, &mut || ())
}

/// The same; `progress` is called after every kibibyte.
pub(super) fn crc_in_pieces(bytes: &[u8], progress: &mut dyn FnMut()) -> Option<u32> {
    let crc = Crc32c::new().with(bytes.get(..CRC_AT.start)?);
    let pieces = bytes.get(CRC_AT.end..)?.chunks(1024);
    let crc = pieces.fold(crc, |crc, piece| {
        progress();
        crc.with(piece)
    });
    Some(crc.value())
}
