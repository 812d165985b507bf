//! `Model<'m>`: a checked view of a `.btm` file in flash; behind [`Model::parse`] nobody asks «valid?» again.

mod arena;
pub mod bound;
#[cfg(feature = "alloc")]
pub mod cases;
mod checks;
mod debug;
mod error;
pub mod layout;
mod output_count;
mod parse;
mod scrub;
mod sections;
mod values;
pub mod work;
#[cfg(feature = "alloc")]
pub mod write;

use crate::cell::{Cell, Gate};
use crate::front_end::FrontEnd;
use crate::numbered::numbered;
use crate::program::{NONE, Operands, Program};
use crate::proven::Proven;
use crate::window::Window;
use crate::words::Words;
pub use arena::{ArenaLayout, Kept};
pub use error::{Feature, Field, ParseError};
use layout::{
    CELL_FRACTION, DenseRecord, DrawRecord, FilterRecord, FormatRecord, HostRecord, MetaRecord,
    OutputsRecord, Section, ValueRecord,
};
pub use output_count::output_count;
pub use scrub::Scrub;
use sections::Sections;
pub use values::{FloatInput, FloatOutput, InputType};

numbered! {
    /// Which hidden state the head reads.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum Pool: u8 {
        /// h of the last step.
        Last = 0,
        /// Mean of h over the steps since reset. Up to 65,535 steps all weigh alike. At the 65,536th, and
        /// every 32,768 steps after it, the sums (half up) and their count are halved: what came before
        /// weighs half as much from then on, so that the mean of a stream without end goes on moving.
        Mean = 1,
        /// Mean of h over the last N = [`Model::horizon`] steps or so, for streams without end: that of all
        /// steps up to the N-th, then m += (h − m)/N, so that what lies N steps back weighs 1/e as much.
        Recent = 2,
        /// Sum of h over the steps of a picture, each in parts of [`DrawRecord::sum_shift`]: the scores are its canvas.
        Sum = 3,
        /// h of the step under way, from which the head paints through a window on a canvas: that is the scores.
        Canvas = 4,
    }
}

numbered! {
    /// What the scores of a head are.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum OutputKind: u8 {
        /// One a class; the largest tells which it is.
        Classes = 0,
        /// One a value, in units of its own: [`Model::value`].
        Values = 1,
        /// One a bit, each the logit of its being 1, independent of the others.
        Bits = 2,
    }
}

numbered! {
    /// Where the frame of the next step comes from when a session draws.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum NextFrame: u8 {
        /// From whoever pushes it: sessions of the model do not draw.
        Pushed = 0,
        /// It is the bits drawn from the scores, with zeros behind them: [`Session::draw`](crate::Session::draw).
        Drawn = 1,
        /// It is latent values, numbers of N(0, 1) in Q3.12, and the scores are the canvas of a picture:
        /// [`Session::paint`](crate::Session::paint).
        Latent = 2,
    }
}

/// A picture that a model paints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Painting {
    /// Steps that it takes.
    pub steps: u32,
    /// Its rows.
    pub rows: usize,
    /// Pixels of a row.
    pub columns: usize,
}

/// A linear map that adds to z. Others (tensor ring, hierarchical Tucker, …) lower to a program too.
#[derive(Clone, Copy, Debug)]
pub enum Map<'m> {
    /// Block-term, tensor-train: a list of contractions.
    Program(Program<'m>),
    /// i8 rows.
    Dense(&'m DenseRecord),
}

/// A model in flash, checked: a view of the file's bytes, from which sessions are made.
///
/// ```
/// use bt_core::Model;
/// use bt_core::error::ParseError;
///
/// /// What the model calls a class.
/// fn label(bytes: &[u8], class: usize) -> Result<&str, ParseError> {
///     let model = Model::parse(bytes)?; // checks everything, copies nothing
///     Ok(model.label(class).unwrap_or("?"))
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Model<'m> {
    file: Sections<'m>,
    pub(crate) meta: &'m MetaRecord,
    pub(crate) format: &'m FormatRecord,
    pub(crate) input_type: InputType,
    pub(crate) gate: Gate,
    pub(crate) pool: Pool,
    pub(crate) outputs: &'m OutputsRecord,
    pub(crate) values: &'m [ValueRecord],
    pub(crate) cell: Cell,
    /// Fraction bits of c of the layers above the first.
    fractions: &'m [u32],
    /// Of the input map's share, and what z starts from then.
    pub(crate) filter: Option<(&'m FilterRecord, &'m [u32])>,
    /// Of a model that tells captions, what each word adds to z.
    pub(crate) words: Option<Words<'m>>,
    pub(crate) draw: Option<&'m DrawRecord>,
    /// With [`Pool::Canvas`].
    pub(crate) window: Option<Window<'m>>,
    /// Of the first layer, as `recurrent` is.
    pub(crate) input: Map<'m>,
    recurrent: Option<Map<'m>>,
    pub(crate) weights: &'m [u32],
    pub(crate) tables: &'m [u16],
    /// Of all layers.
    bias: &'m [u32],
    pub(crate) head_weights: &'m [i16],
    pub(crate) head_bias: &'m [i32],
    pub(crate) front_end: Option<FrontEnd<'m>>,
    pub(crate) arena: ArenaLayout,
}

impl<'m> Model<'m> {
    /// Whether the sums of a map keep to 32 bits only if the scratch is zero when it starts, so that no
    /// stage reads what the other map has left there.
    #[inline(never)]
    pub(crate) fn needs_zeros(&self, map: &Map<'m>) -> bool {
        let Map::Program(program) = map else {
            return false;
        };
        let mut stages = program.stages.iter();
        stages.any(|stage| !bound::fits(stage, self.weights, 1 << 15))
    }

    /// What the stages of both maps read beside the arena.
    #[inline(always)]
    pub(crate) fn operands(&self) -> Operands<'m> {
        Operands {
            weights: self.weights,
            tables: self.tables,
        }
    }

    /// Name given at export.
    pub fn name(&self) -> &'m str {
        self.file.text(Section::Name).unwrap_or("")
    }

    /// Name of a class, if the class exists and has one.
    pub fn label(&self, class: usize) -> Option<&'m str> {
        let labels = self.file.text(Section::Labels).unwrap_or("");
        labels
            .split('\n')
            .nth(class)
            .filter(|label| !label.is_empty())
    }

    /// Number of scores that [`Session::scores`](crate::Session::scores) gives: one a class, a value or a bit.
    pub fn outputs(&self) -> usize {
        self.meta.classes as usize
    }

    /// Number of classes; 0 where the scores are others'.
    pub fn classes(&self) -> usize {
        match self.output_kind() {
            OutputKind::Classes => self.outputs(),
            OutputKind::Values | OutputKind::Bits => 0,
        }
    }

    /// What the scores are.
    pub fn output_kind(&self) -> OutputKind {
        OutputKind::from_number(self.outputs.kind)
            .proven()
            .unwrap_or(OutputKind::Classes)
    }

    /// Whether the scores mean something after every step; otherwise at the end of a sequence.
    pub fn scores_every_step(&self) -> bool {
        self.outputs.every_step != 0
    }

    /// Where the next frame comes from when a session draws.
    pub fn next_frame(&self) -> NextFrame {
        NextFrame::from_number(self.outputs.next_frame)
            .proven()
            .unwrap_or(NextFrame::Pushed)
    }

    /// Of a model that tells captions, most words of one; `None` of others. Its frame is a picture, its classes are
    /// the words of its vocabulary, [`label`](Self::label) their text: word [`END`](crate::captions::END) ends a caption,
    /// [`UNKNOWN`](crate::captions::UNKNOWN) stands for all that the vocabulary has not.
    pub fn caption_words(&self) -> Option<usize> {
        self.words().map(|words| words.longest())
    }

    /// The pictures that sessions of the model paint from latent values; `None` where they paint none. Never without
    /// feature `painting`.
    // Whatever uses it is left out of the program then.
    #[inline(always)]
    pub fn painting(&self) -> Option<Painting> {
        let record = self.draw.filter(|_| Feature::Painting.is_built())?;
        let rows = record.rows as usize;
        Some(Painting {
            steps: record.steps,
            rows,
            columns: self.outputs().checked_div(rows).unwrap_or(0),
        })
    }

    /// Steps that [`Pool::Recent`] averages over, a power of two; 1 with other pools.
    pub fn horizon(&self) -> u32 {
        1 << self.horizon_shift()
    }

    /// log₂ of [`horizon`](Self::horizon).
    pub(crate) fn horizon_shift(&self) -> u32 {
        u32::from(self.outputs.horizon_shift) % 32
    }

    /// What a raw score of an output is in the units of the data; `None` where scores are those of classes,
    /// or there is no such output.
    pub fn value(&self, output: usize, raw: i32) -> Option<f32> {
        Some(self.float_output(output)?.value(raw))
    }

    /// The units of an output, as of [`value`](Self::value).
    pub fn float_output(&self, output: usize) -> Option<FloatOutput> {
        let record = self.values.get(output)?;
        Some(FloatOutput {
            offset: f32::from_bits(record.offset),
            lsb: f32::from_bits(record.lsb),
        })
    }

    /// Number of hidden units J of every layer.
    pub fn hidden(&self) -> usize {
        self.meta.hidden as usize
    }

    /// Type of pushed values.
    pub fn input_type(&self) -> InputType {
        self.input_type
    }

    /// Values to push for one step: the frame, or PCM samples when there is a front end.
    pub fn frame_values(&self) -> usize {
        self.file.word(layout::FRAME_AT) as usize
    }

    /// Bytes a session's arena needs: its state, and what both maps work in.
    pub fn arena_bytes(&self) -> usize {
        self.file.word(layout::ARENA_AT) as usize
    }

    /// Words of the arena: [`arena_bytes`](Self::arena_bytes) / 4.
    pub fn arena_words(&self) -> usize {
        self.arena_bytes() / 4
    }

    /// Bytes of the whole file.
    pub fn flash_bytes(&self) -> usize {
        self.file.length()
    }

    /// Work of one step, in multiply-accumulates as the kernels execute them: those of both maps, padding
    /// included; what it takes to look at their stages and to run the front end counts as the
    /// multiply-accumulates that take as long. At most 2²⁸, or `parse` refuses the file. The gates and the
    /// head are not in it, but for one that paints through a window in every step.
    pub fn frame_work(&self) -> u32 {
        let window = self.front_end().map_or(0, FrontEnd::window);
        let windows =
            work::of_windows(self.meta, window) + work::of_painting(self.meta, self.window);
        let maps = self
            .maps(Self::input_of)
            .chain(self.maps(Self::recurrent_of));
        maps.fold(windows, |sum, map| sum + map.work()).to_u32()
    }

    /// The file's CRC-32C: two models are the same when it is.
    pub fn crc(&self) -> u32 {
        self.file.word(layout::CRC_AT)
    }

    /// Sizes and scalars as the file has them.
    #[doc(hidden)]
    pub fn meta(&self) -> &'m MetaRecord {
        self.meta
    }

    /// Offsets, scales and shifts of values, and the cell's format.
    #[doc(hidden)]
    pub fn format(&self) -> &'m FormatRecord {
        self.format
    }

    /// What moves the state on.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// Number of layers; the first reads the frame, each of the others h of the one below, the head h of
    /// the last.
    pub fn layers(&self) -> usize {
        1 + self.fractions.len()
    }

    /// Fraction bits of the state c of a layer: 24 (Q7.24) of an LSTM, or fewer where calibration saw it
    /// beyond ±64; of other cells 14 more than of h.
    pub fn cell_fraction(&self, layer: usize) -> u32 {
        let own = match layer.checked_sub(1) {
            None => Some(self.format.cell_fraction),
            Some(above) => self.fractions.get(above).copied(),
        };
        let stated = self.cell.state_fraction();
        stated.or(own).unwrap_or(CELL_FRACTION)
    }

    /// Fraction bits of h: 15 (Q0.15), of a minGRU 11 (Q4.11).
    pub fn hidden_fraction(&self) -> u32 {
        self.cell.hidden_fraction()
    }

    /// Whether the model needs a feature of this crate; a build without it refuses the model.
    pub fn needs(&self, feature: Feature) -> bool {
        match feature {
            Feature::Dense => {
                let mut maps = self
                    .maps(Self::input_of)
                    .chain(self.maps(Self::recurrent_of));
                maps.any(|map| matches!(map, Map::Dense(_)))
            }
            Feature::Cells => self.cell != Cell::Lstm,
            Feature::Filter => self.filter.is_some(),
            Feature::Scales => takes_scales(self.meta, self.format),
            Feature::Words => self.words.is_some(),
            Feature::Painting => self.draw.is_some(),
            Feature::Attention => self.window.is_some(),
        }
    }

    /// Whether values go into the map as they are, or less one offset for all.
    pub(crate) fn is_unscaled(&self) -> bool {
        is_unscaled(self.meta, self.format)
    }

    /// From value `from` of the frame on, the entries of a table of one per value, if there is one.
    pub(crate) fn entries(&self, table: u32, from: usize) -> Option<&'m [u16]> {
        match table {
            NONE => None,
            table => self.tables.get(table as usize + from..).proven(),
        }
    }

    /// Gate nonlinearity.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// Which hidden state the head reads.
    pub fn pool(&self) -> Pool {
        self.pool
    }

    /// JSON that describes the model for people and reports.
    pub fn about(&self) -> &'m str {
        self.file.text(Section::About).unwrap_or("")
    }

    /// What is taken off the input map's share of z, and what z starts from then, i16 pairs.
    #[doc(hidden)]
    pub fn filter(&self) -> Option<(&'m FilterRecord, &'m [u32])> {
        self.filter
    }

    /// What each word adds to z; never without feature `words`.
    // Whatever uses it is left out of the program then.
    #[doc(hidden)]
    #[inline(always)]
    pub fn words(&self) -> Option<Words<'m>> {
        self.words.filter(|_| Feature::Words.is_built())
    }

    /// The window through which a model with attention paints; never without feature `attention`.
    // Whatever uses it is left out of the program then.
    #[doc(hidden)]
    #[inline(always)]
    pub fn window(&self) -> Option<Window<'m>> {
        self.window.filter(|_| Feature::Attention.is_built())
    }

    /// The map from the frame to z.
    #[doc(hidden)]
    pub fn input_map(&self) -> Map<'m> {
        self.input
    }

    /// The map of a layer from the frame, or from h of the layer below, to z.
    #[doc(hidden)]
    pub fn input_of(&self, layer: usize) -> Option<Map<'m>> {
        match layer {
            0 => Some(self.input),
            _ => self.later(layer, layout::Section::INPUTS),
        }
    }

    /// The map of a layer from its own h to z, where the cell has one.
    #[doc(hidden)]
    pub fn recurrent_of(&self, layer: usize) -> Option<Map<'m>> {
        match layer {
            0 => self.recurrent,
            _ if self.cell.is_recurrent() => self.later(layer, layout::Section::RECURRENTS),
            _ => None,
        }
    }

    /// The maps of all layers that `side` gives: [`input_of`](Self::input_of) or
    /// [`recurrent_of`](Self::recurrent_of).
    #[doc(hidden)]
    pub fn maps(
        &self,
        side: impl Fn(&Self, usize) -> Option<Map<'m>>,
    ) -> impl Iterator<Item = Map<'m>> {
        (0..self.layers()).filter_map(move |layer| side(self, layer))
    }

    /// A map of a layer above the first, read anew.
    #[inline(never)]
    fn later(&self, layer: usize, sections: [Section; layout::LAYERS_MAX]) -> Option<Map<'m>> {
        let section = sections.get(layer).filter(|_| layer < self.layers())?;
        self.file.map(*section).ok().proven()
    }

    /// What z of a frame starts from: the first layer's bias, or where a filter adds that what it says.
    pub(crate) fn start(&self) -> &'m [u32] {
        match self.filter {
            Some((_, start)) => start,
            None => self.bias(0).0,
        }
    }

    /// The bias of z of a layer, i16 pairs, and that of the recurrent map's last gate where it is kept apart.
    pub(crate) fn bias(&self, layer: usize) -> (&'m [u32], &'m [i16]) {
        let own = layout::bias_words(self.cell, self.hidden());
        let all = self.bias.chunks_exact(own.max(1)).nth(layer).proven();
        let (z, apart) = all
            .unwrap_or(&[])
            .split_at_checked(self.arena.z_words())
            .unwrap_or_default();
        let apart: &[i16] = bytemuck::cast_slice(apart);
        (z, apart.get(..self.hidden()).unwrap_or(&[]))
    }

    /// The audio front end, if the model has one; never without feature `front-end`.
    // Whatever uses it is left out of the program then.
    #[inline(always)]
    pub fn front_end(&self) -> Option<&FrontEnd<'m>> {
        match &self.front_end {
            Some(front_end) if cfg!(feature = "front-end") => Some(front_end),
            _ => None,
        }
    }

    /// Logits are raw scores · 2^−score_shift; for values see [`value`](Self::value).
    pub fn score_shift(&self) -> i32 {
        self.meta.score_shift
    }

    /// How the host quantises the floats at each place of a frame: one for all, or one per value.
    pub fn float_inputs(&self) -> impl ExactSizeIterator<Item = FloatInput> + 'm {
        let own: &[HostRecord] = self.file.slice(Section::Host).unwrap_or(&[]);
        let meta = HostRecord {
            offset: self.meta.input_offset,
            lsb: self.meta.input_lsb,
        };
        (0..own.len().max(1)).map(move |at| {
            let record = own.get(at).copied().unwrap_or(meta);
            FloatInput {
                offset: f32::from_bits(record.offset),
                lsb: f32::from_bits(record.lsb),
            }
        })
    }

    /// Where a session keeps what.
    #[doc(hidden)]
    pub fn arena_layout(&self) -> ArenaLayout {
        self.arena
    }
}

/// Whether pushed values meet an offset or scales on the device: 128 off bytes is none.
const fn takes_scales(meta: &MetaRecord, format: &FormatRecord) -> bool {
    let is_byte = meta.input_type == InputType::U8.number();
    let is_plain = meta.input_zero == 0 || is_byte && meta.input_zero == InputType::MIDDLE;
    !(is_plain && is_unscaled(meta, format))
}

/// [`Model::is_unscaled`] of a file's records.
const fn is_unscaled(meta: &MetaRecord, format: &FormatRecord) -> bool {
    meta.element_scale_table == NONE
        && format.element_scale == 0
        && format.element_offset_table == NONE
}

/// Bytes of the arena a session of this model needs, 0 when the bytes are no model: a constant that
/// firmware can put in a `static`.
///
/// The number is only as good as the file; `Session::new` checks it against the parsed model.
///
/// ```
/// use bt_core::arena_words;
/// use bt_core::about::arena_bytes;
///
/// const MODEL: &[u8] = &[0; 24]; // no model: nothing to reserve
/// static ARENA: [u32; arena_words(MODEL)] = [0; arena_words(MODEL)];
/// assert_eq!(4 * ARENA.len(), arena_bytes(MODEL));
/// ```
pub const fn arena_bytes(model: &[u8]) -> usize {
    let at = layout::ARENA_AT.start;
    if model.len() < layout::HEADER_LEN {
        return 0;
    }
    u32::from_le_bytes([model[at], model[at + 1], model[at + 2], model[at + 3]]) as usize
}

/// Words of the arena, [`arena_bytes`] / 4: the length of a `[u32; N]`.
pub const fn arena_words(model: &[u8]) -> usize {
    arena_bytes(model).div_ceil(4)
}

/// Bytes aligned to a word, as a model must be; see [`include_model!`](crate::include_model).
#[repr(C, align(4))]
pub struct Aligned<T: ?Sized>(pub T);

/// Includes a model file as `&'static [u8]`, aligned as [`Model::parse`](crate::Model::parse) wants it.
///
/// The path is relative to the file it stands in, as of [`include_bytes!`].
///
/// ```
/// use bt_core::{Model, include_model};
/// use bt_core::error::ParseError;
///
/// // No model, but aligned as one.
/// static BYTES: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
/// assert_eq!(Model::parse(BYTES).err(), Some(ParseError::Magic));
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        static MODEL: &$crate::internals::model::Aligned<[u8]> =
            &$crate::internals::model::Aligned(*include_bytes!($path));
        &MODEL.0
    }};
}
