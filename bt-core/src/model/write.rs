//! Model parts → bytes (feature `alloc`); the session's [`Contents::write`] adds the golden vector and
//! checks them.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::layout::{
    self, DenseRecord, DrawRecord, FilterRecord, FormatRecord, HostRecord, MapKind, MetaRecord,
    OutputsRecord, Section, ValueRecord, WindowRecord, WordsRecord,
};
use super::{
    ArenaLayout, FloatInput, FloatOutput, InputType, Kept, NextFrame, OutputKind, ParseError, Pool,
};
use crate::cell::{Cell, Gate};
use crate::program::{NONE, ProgramRecord, StageRecord};
use crate::size::Size;
use crate::window::Window;

/// A map to be written; its weights and tables are in [`Contents`].
#[derive(Clone, Debug, PartialEq)]
pub enum MapContents {
    /// A contraction program.
    Program {
        /// Sizes; `stages` is filled in.
        record: ProgramRecord,
        /// Stages in order.
        stages: Vec<StageRecord>,
    },
    /// A dense map.
    Dense(DenseRecord),
}

impl MapContents {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Program { record, stages } => {
                let record = ProgramRecord {
                    stages: stages.len() as u32,
                    ..*record
                };
                bytes.extend(MapKind::Program.number().to_le_bytes());
                bytes.extend(bytemuck::bytes_of(&record));
                bytes.extend(bytemuck::cast_slice::<_, u8>(stages));
            }
            Self::Dense(record) => {
                bytes.extend(MapKind::Dense.number().to_le_bytes());
                bytes.extend(bytemuck::bytes_of(record));
            }
        }
        bytes
    }
}

/// What pushed values meet on their way to the map, as of [`FormatRecord`]: each of these is one for
/// all values or one per value of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements {
    /// Taken off.
    pub offsets: Vec<i16>,
    /// Multiplied with what is left; none: it is not.
    pub scales: Vec<i16>,
    /// Right shift of the product.
    pub shifts: Vec<u8>,
}

impl Default for Elements {
    /// Values go in as they are.
    fn default() -> Self {
        Self {
            offsets: vec![0],
            scales: vec![],
            shifts: vec![0],
        }
    }
}

/// What the scores are, as of [`OutputsRecord`]; the default is classes of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Of what there is one each.
    pub kind: OutputKind,
    /// Whether the head was trained to be read after every step.
    pub every_step: bool,
    /// log₂ of the steps that [`Pool::Recent`] averages over; 0 with other pools.
    pub horizon_shift: u8,
    /// The units of every value; none of classes and bits.
    pub values: Vec<FloatOutput>,
    /// Where the next frame comes from when a session draws.
    pub next_frame: NextFrame,
    /// How pictures are painted, where they are.
    pub draw: Option<DrawRecord>,
    /// Through which window, and of how many pixels, where through one: the head then has the window's rows.
    pub window: Option<(WindowRecord, usize)>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            kind: OutputKind::Classes,
            every_step: false,
            horizon_shift: 0,
            values: Vec::new(),
            next_frame: NextFrame::Pushed,
            draw: None,
            window: None,
        }
    }
}

impl Outputs {
    /// On the picture.
    fn window(&self) -> Option<Window<'_>> {
        let ((record, pixels), draw) = self.window.as_ref().zip(self.draw)?;
        Some(Window::new(record, draw.rows as usize, *pixels))
    }

    /// Its section; none where a file without it means the same.
    fn bytes(&self) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return None;
        }
        let record = OutputsRecord {
            kind: self.kind.number(),
            every_step: self.every_step.into(),
            horizon_shift: self.horizon_shift,
            next_frame: self.next_frame.number(),
        };
        let units = self.values.iter().map(|units| ValueRecord {
            offset: units.offset.to_bits(),
            lsb: units.lsb.to_bits(),
        });
        let mut bytes = bytemuck::bytes_of(&record).to_vec();
        units.for_each(|units| bytes.extend(bytemuck::bytes_of(&units)));
        Some(bytes)
    }
}

/// A layer to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerContents {
    /// From the frame, or from h of the layer below, to z.
    pub input: MapContents,
    /// From h, where the cell has such a map.
    pub recurrent: Option<MapContents>,
    /// Bias of z, Q4.11 `[gates·J]`.
    pub bias: Vec<i16>,
    /// Bias of the recurrent map's last gate, Q4.11 `[J]`, where the cell keeps its share apart.
    pub recurrent_bias: Vec<i16>,
    /// Fraction bits of c; of cells that have their own, [`layout::CELL_FRACTION`].
    pub cell_fraction: u32,
}

/// What each word of a vocabulary, one a score, adds to z of the first layer.
#[derive(Clone, Debug, PartialEq)]
pub struct WordsContents {
    /// Sizes.
    pub record: WordsRecord,
    /// Of a word's row, `[words]`.
    pub scales: Vec<u16>,
    /// `[words][gates·J]`.
    pub table: Vec<i8>,
}

impl WordsContents {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = bytemuck::bytes_of(&self.record).to_vec();
        bytes.extend(bytemuck::cast_slice::<_, u8>(&self.scales));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(bytemuck::cast_slice::<_, u8>(&self.table));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// Everything a model file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Name of the model.
    pub name: String,
    /// One label per class; line feeds are not possible in them.
    pub labels: Vec<String>,
    /// JSON for `inspect`.
    pub about: String,
    /// J, of every layer.
    pub hidden: usize,
    /// Values of a frame as the input map sees it.
    pub map_values: usize,
    /// Type of pushed values.
    pub input_type: InputType,
    /// Gate nonlinearity.
    pub gate: Gate,
    /// What the head reads.
    pub pool: Pool,
    /// What values meet before the map.
    pub elements: Elements,
    /// Logits are raw scores · 2^−score_shift.
    pub score_shift: i32,
    /// What the scores are.
    pub outputs: Outputs,
    /// How the host quantises floats: one for all values or one per value of a frame.
    pub float_inputs: Vec<FloatInput>,
    /// What moves the state on.
    pub cell: Cell,
    /// One after the other, from the frame on.
    pub layers: Vec<LayerContents>,
    /// What is taken off the input map's share of z, and what z starts from then, `[gates·J]`.
    pub filter: Option<(FilterRecord, Vec<i16>)>,
    /// What each word adds to z, of a model that tells captions.
    pub words: Option<WordsContents>,
    /// The front end's section, PCM samples per vector (hop), and its vectors per step.
    pub front_end: Option<(Vec<u8>, u32)>,
    /// Weights of all maps.
    pub weights: Vec<u32>,
    /// Tables of all maps.
    pub tables: Vec<u16>,
    /// `[classes][J]`.
    pub head_weights: Vec<i16>,
    /// `[classes]`.
    pub head_bias: Vec<i32>,
    /// Words of scratch that all maps share, from [`ArenaLayout::scratch_word`] on.
    pub scratch_words: usize,
    /// Seed of the golden vector.
    pub golden_seed: u32,
    /// Steps of the golden vector.
    pub golden_steps: u32,
}

impl Contents {
    /// Where sessions of this model keep what: the scratch of its maps starts at `scratch_word`.
    ///
    /// # Errors
    ///
    /// [`ParseError::FrontEnd`] when the front end's section is not one.
    pub fn arena(&self) -> Result<ArenaLayout, ParseError> {
        let (words, bands) = match &self.front_end {
            Some((section, _)) => {
                let aligned = words_of(section);
                let front_end = crate::front_end::FrontEnd::parse(bytemuck::cast_slice(&aligned))
                    .map_err(ParseError::FrontEnd)?;
                (front_end.state_words(), front_end.bands())
            }
            None => (0, 0),
        };
        let layers = (self.cell, self.layers.len());
        Ok(ArenaLayout::new(
            layers,
            self.hidden,
            (self.pool, self.outputs.window()),
            self.kept(),
            words,
            bands,
        ))
    }

    /// Scores: one a row of the head, but for one that paints through a window.
    fn scores(&self) -> usize {
        let window = self.outputs.window;
        window.map_or(self.head_bias.len(), |(_, pixels)| pixels)
    }

    /// What a session keeps of the input map's share.
    fn kept(&self) -> Option<Kept> {
        let filter = self.filter.as_ref();
        let filter = filter.map(|(record, _)| Kept::Filter(record.horizon_shift));
        filter.or(self.words.as_ref().map(|_| Kept::Picture))
    }

    /// The biases of all layers, each padded to a word.
    fn bias(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        for layer in &self.layers {
            for bias in [&layer.bias, &layer.recurrent_bias] {
                bytes.extend(bytemuck::cast_slice::<_, u8>(bias));
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes
    }

    /// The file with this CRC of its golden vector, checked by nobody yet.
    pub(crate) fn assemble(&self, golden_crc: u32) -> Result<ModelBytes, ParseError> {
        let mut tables = self.tables.clone();
        // One number goes into a record, several into a table.
        let mut table = |numbers: &mut dyn ExactSizeIterator<Item = u16>| {
            let at = tables.len() as u32;
            (numbers.len() > 1)
                .then(|| tables.extend(numbers))
                .map_or(NONE, |()| at)
        };
        let Elements {
            offsets,
            scales,
            shifts,
        } = &self.elements;
        let element_scale_table = table(&mut scales.iter().map(|&scale| scale as u16));
        let format = FormatRecord {
            element_offset_table: table(&mut offsets.iter().map(|&offset| offset as u16)),
            element_shift_table: table(&mut shifts.iter().map(|&shift| shift.into())),
            element_scale: match scales.as_slice() {
                [scale] => (*scale).into(),
                _ => 0,
            },
            cell_fraction: self
                .layers
                .first()
                .map_or(layout::CELL_FRACTION, |layer| layer.cell_fraction),
        };
        let float = |input: &FloatInput| HostRecord {
            offset: input.offset.to_bits(),
            lsb: input.lsb.to_bits(),
        };
        let (of_all, own): (_, Vec<HostRecord>) = match self.float_inputs.as_slice() {
            [input] => (float(input), vec![]),
            inputs => (
                float(&FloatInput::INTEGER),
                inputs.iter().map(float).collect(),
            ),
        };
        let meta = MetaRecord {
            hidden: self.hidden as u32,
            classes: self.scores() as u32,
            map_values: self.map_values as u32,
            input_type: self.input_type.number(),
            gate: self.gate.number(),
            pool: self.pool.number(),
            element_shift: match shifts.as_slice() {
                [shift] => *shift,
                _ => 0,
            },
            element_scale_table,
            input_zero: match offsets.as_slice() {
                [offset] => (*offset).into(),
                _ => 0,
            },
            score_shift: self.score_shift,
            input_lsb: of_all.lsb,
            input_offset: of_all.offset,
            vectors_per_step: self.front_end.as_ref().map_or(0, |(_, vectors)| *vectors),
            golden_seed: self.golden_seed,
            golden_steps: self.golden_steps,
            golden_crc,
        };
        let mut head: Vec<u8> = bytemuck::cast_slice(&self.head_weights).to_vec();
        head.resize(head.len().next_multiple_of(4), 0);
        head.extend(bytemuck::cast_slice::<_, u8>(&self.head_bias));
        let mut sections: Vec<(Section, Vec<u8>)> = vec![
            (Section::Meta, bytemuck::bytes_of(&meta).to_vec()),
            (Section::Name, self.name.clone().into_bytes()),
            (Section::Labels, self.labels.join("\n").into_bytes()),
            (Section::About, self.about.clone().into_bytes()),
            (
                Section::Weights,
                bytemuck::cast_slice(&self.weights).to_vec(),
            ),
            (Section::Tables, bytemuck::cast_slice(&tables).to_vec()),
            (Section::Bias, self.bias()),
            (Section::Head, head),
        ];
        let names = Section::INPUTS.into_iter().zip(Section::RECURRENTS);
        for (layer, (input, recurrent)) in self.layers.iter().zip(names) {
            sections.push((input, layer.input.bytes()));
            if let Some(map) = &layer.recurrent {
                sections.push((recurrent, map.bytes()));
            }
        }
        if (self.cell, self.layers.len()) != (Cell::Lstm, 1) {
            let later = self.layers.iter().skip(1);
            let words =
                core::iter::once(self.cell.number()).chain(later.map(|layer| layer.cell_fraction));
            sections.push((Section::Cell, words.flat_map(u32::to_le_bytes).collect()));
        }
        if let Some((record, start)) = &self.filter {
            let mut bytes = bytemuck::bytes_of(record).to_vec();
            bytes.extend(bytemuck::cast_slice::<_, u8>(start));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            sections.push((Section::Filter, bytes));
        }
        if let Some(words) = &self.words {
            sections.push((Section::Words, words.bytes()));
        }
        if let Some((bytes, _)) = &self.front_end {
            sections.push((Section::FrontEnd, bytes.clone()));
        }
        if format != FormatRecord::PLAIN {
            sections.push((Section::Format, bytemuck::bytes_of(&format).to_vec()));
        }
        if !own.is_empty() {
            sections.push((Section::Host, bytemuck::cast_slice(&own).to_vec()));
        }
        if let Some(bytes) = self.outputs.bytes() {
            sections.push((Section::Outputs, bytes));
        }
        if let Some(record) = &self.outputs.draw {
            let mut bytes = bytemuck::bytes_of(record).to_vec();
            if let Some((window, _)) = &self.outputs.window {
                bytes.extend(bytemuck::bytes_of(window));
            }
            sections.push((Section::Draw, bytes));
        }

        let mut table = Vec::new();
        let mut body = Vec::new();
        let body_start = layout::HEADER_LEN + sections.len() * layout::ENTRY_LEN;
        for (section, bytes) in &sections {
            table.extend(section.tag());
            table.extend(((body_start + body.len()) as u32).to_le_bytes());
            table.extend((bytes.len() as u32).to_le_bytes());
            body.extend(bytes);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let arena = self.arena()?;
        let frame_values = match &self.front_end {
            Some((section, vectors)) => {
                let aligned = words_of(section);
                let front_end = crate::front_end::FrontEnd::parse(bytemuck::cast_slice(&aligned))
                    .map_err(ParseError::FrontEnd)?;
                Size::from(*vectors) * front_end.hop()
            }
            None => self.map_values.into(),
        };
        let mut bytes = vec![0; layout::HEADER_LEN];
        bytes.extend(table);
        bytes.extend(body);
        let length = bytes.len() as u32;
        bytes[layout::MAGIC_AT].copy_from_slice(&layout::MAGIC);
        bytes[layout::VERSION_AT].copy_from_slice(&layout::VERSION.to_le_bytes());
        bytes[layout::SECTIONS_AT].copy_from_slice(&(sections.len() as u16).to_le_bytes());
        bytes[layout::LENGTH_AT].copy_from_slice(&length.to_le_bytes());
        let arena_bytes = (Size::from(arena.scratch_word) + self.scratch_words) * 4u32;
        bytes[layout::ARENA_AT].copy_from_slice(&arena_bytes.to_u32().to_le_bytes());
        bytes[layout::FRAME_AT].copy_from_slice(&frame_values.to_u32().to_le_bytes());
        if let Some(crc) = layout::crc(&bytes) {
            bytes[layout::CRC_AT].copy_from_slice(&crc.to_le_bytes());
        }
        Ok(ModelBytes(words_of(&bytes)))
    }
}

/// The bytes of a model file, aligned as [`Model::parse`](super::Model::parse) wants them.
#[derive(Clone, PartialEq, Eq)]
pub struct ModelBytes(Vec<u32>);

impl ModelBytes {
    /// Copies bytes of any alignment, a file just read for instance; a length that is no multiple of
    /// 4 is cut (every model file's is one, so `parse` then reports it as truncated).
    pub fn from_unaligned(bytes: &[u8]) -> Self {
        Self(words_of(bytes.get(..bytes.len() / 4 * 4).unwrap_or(bytes)))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// How many there are, not what they are.
impl core::fmt::Debug for ModelBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ModelBytes({})", self.bytes().len())
    }
}

/// Little-endian words of bytes, zero padded.
fn words_of(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        })
        .collect()
}
