//! Bytes → [`Model`]: everything is checked here, once, and nothing is copied.

use bytemuck::{Pod, try_cast_slice, try_from_bytes};

use super::bound::{self, Region};
use super::layout::{self, DenseRecord, MapKind, MetaRecord, SECTION_COUNT, Section};
use super::{ArenaLayout, InputType, Map, Model, Pool, Program};
use crate::cell::Gate;
use crate::front_end::{FrontEnd, FrontEndError};
use crate::program::{DIGITS_MAX, DISCARD, NONE, ProgramRecord, StepRecord, Store, TILE};

/// Why bytes are not a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes do not start at a multiple of 4; `include_model!` aligns them.
    Misaligned,
    /// Fewer bytes than the header says.
    Truncated {
        /// Bytes the file should have.
        need: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Not a model file.
    Magic,
    /// Made by another version of the exporter; export the model again.
    Version {
        /// The file's version; this build reads [`layout::VERSION`].
        found: u16,
    },
    /// A byte has changed since the export.
    Crc {
        /// What the header says.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A section this build does not know.
    UnknownSection {
        /// Its four characters.
        tag: [u8; 4],
    },
    /// A section is there twice.
    DuplicateSection(Section),
    /// A section is missing.
    MissingSection(Section),
    /// A section does not lie within the file, or its length is no multiple of its elements.
    SectionBounds(Section),
    /// A field is out of its range.
    Field {
        /// Where.
        section: Section,
        /// What.
        field: &'static str,
        /// The file's value.
        found: u32,
    },
    /// A step of a map is inconsistent.
    Step {
        /// Input or recurrent map.
        section: Section,
        /// Which step, from 0.
        step: usize,
        /// What is wrong with it.
        field: &'static str,
    },
    /// A sum could overflow i32.
    Overflow {
        /// Where.
        section: Section,
        /// Which step or row, from 0.
        index: usize,
    },
    /// The audio front end is inconsistent.
    FrontEnd(FrontEndError),
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Misaligned => f.write_str("model bytes must start at a multiple of 4"),
            Self::Truncated { need, found } => write!(f, "model has {found} bytes of {need}"),
            Self::Magic => f.write_str("not a .btm model (wrong first bytes)"),
            Self::Version { found } => {
                write!(
                    f,
                    "model file version {found}, this build reads {}; export it again",
                    layout::VERSION
                )
            }
            Self::Crc { stated, computed } => {
                write!(
                    f,
                    "model is damaged: CRC-32C is {computed:08x}, should be {stated:08x}"
                )
            }
            Self::UnknownSection { tag } => {
                f.write_str("model has a section this build does not know: ")?;
                for byte in tag {
                    write!(f, "{}", byte.escape_ascii())?;
                }
                Ok(())
            }
            Self::DuplicateSection(section) => write!(f, "model has section {section:?} twice"),
            Self::MissingSection(section) => write!(f, "model lacks section {section:?}"),
            Self::SectionBounds(section) => {
                write!(f, "model section {section:?} has impossible bounds")
            }
            Self::Field {
                section,
                field,
                found,
            } => {
                write!(f, "model section {section:?}: {field} cannot be {found}")
            }
            Self::Step {
                section,
                step,
                field,
            } => {
                write!(
                    f,
                    "model section {section:?}: step {step} has an impossible {field}"
                )
            }
            Self::Overflow { section, index } => {
                write!(
                    f,
                    "model section {section:?}: sum {index} could overflow 32 bits"
                )
            }
            Self::FrontEnd(error) => write!(f, "model section FrontEnd: {error}"),
        }
    }
}

impl core::error::Error for ParseError {}

impl<'m> Model<'m> {
    /// Checks a model file and borrows it.
    ///
    /// Validates alignment, length, version, CRC-32C, every offset and size, and proves that no
    /// accumulator can overflow. Reads every byte twice; done once at boot.
    ///
    /// # Errors
    ///
    /// [`ParseError`] names the first thing that is wrong.
    // Its frame is not to lie under everything that a caller does with the model.
    #[inline(never)]
    pub fn parse(bytes: &'m [u8]) -> Result<Self, ParseError> {
        let sections = Sections::read(bytes)?;
        let meta: &MetaRecord = sections.record(Section::Meta)?;
        let field = |field, found| ParseError::Field {
            section: Section::Meta,
            field,
            found,
        };
        let input_type = match meta.input_type {
            0 => InputType::U8,
            1 => InputType::I8,
            2 => InputType::I16,
            other => return Err(field("input_type", other.into())),
        };
        let gate = match meta.gate {
            0 => Gate::Sigmoid,
            1 => Gate::HardSigmoid,
            other => return Err(field("gate", other.into())),
        };
        let pool = match meta.pool {
            0 => Pool::Last,
            1 => Pool::Mean,
            other => return Err(field("pool", other.into())),
        };
        // Bounds that keep every product below in 32 bits on the smallest cores.
        if meta.hidden == 0 || meta.hidden > 1 << 14 {
            return Err(field("hidden", meta.hidden));
        }
        if meta.classes == 0 || meta.classes > 1 << 12 {
            return Err(field("classes", meta.classes));
        }
        if meta.map_values == 0 || meta.map_values > 1 << 24 {
            return Err(field("map_values", meta.map_values));
        }
        let (hidden, classes, map_values) = (
            meta.hidden as usize,
            meta.classes as usize,
            meta.map_values as usize,
        );
        let tables: &[u16] = sections.slice(Section::Tables)?;
        let weights: &[u32] = sections.slice(Section::Weights)?;

        let front_end = match sections.find(Section::FrontEnd) {
            Some(bytes) => Some(FrontEnd::parse(bytes).map_err(ParseError::FrontEnd)?),
            None => None,
        };
        let (frame_values, front_end_words, bands) = match &front_end {
            Some(front_end) => {
                let vectors = meta.vectors_per_step as usize;
                let bands = front_end.bands();
                if input_type != InputType::I16 || vectors.checked_mul(bands) != Some(map_values) {
                    return Err(field("vectors_per_step", meta.vectors_per_step));
                }
                (vectors * front_end.hop(), front_end.state_words(), bands)
            }
            None if meta.vectors_per_step != 0 => {
                return Err(field("vectors_per_step", meta.vectors_per_step));
            }
            None => (map_values, 0, 0),
        };
        if sections.word(layout::FRAME_AT.start) as usize != frame_values {
            return Err(field("frame_values", frame_values as u32));
        }

        let arena = ArenaLayout::new(hidden, pool, front_end_words, bands);
        let arena_words = sections.word(layout::ARENA_AT.start) as usize / 4;
        if !sections.word(layout::ARENA_AT.start).is_multiple_of(4)
            || arena_words < arena.scratch_word
            || arena_words > 1 << 24
        {
            return Err(field("arena_bytes", sections.word(layout::ARENA_AT.start)));
        }

        if i16::try_from(meta.input_zero).is_err() {
            return Err(field("input_zero", meta.input_zero as u32));
        }
        let input_max = match meta.element_scale_table {
            NONE => {
                let values = if front_end.is_some() {
                    InputType::I16
                } else {
                    input_type
                };
                values.map_max(meta.input_zero)
            }
            table => {
                let end = (table as usize).checked_add(map_values);
                if end.is_none_or(|end| tables.get(table as usize..end).is_none()) {
                    return Err(field("element_scale_table", table));
                }
                InputType::I16.map_max(0)
            }
        };
        if meta.element_scale_table != NONE && !(1..=30).contains(&meta.element_shift) {
            return Err(field("element_shift", meta.element_shift.into()));
        }

        let input = sections.map(Section::Input)?;
        let recurrent = sections.map(Section::Recurrent)?;
        let checks = MapChecks {
            weights,
            tables,
            z: Region::new(0, 2 * hidden),
            scratch: Region {
                start: arena.scratch_word,
                end: arena_words,
            },
        };
        let maps = [
            MapIn {
                section: Section::Input,
                map: input,
                values: map_values,
                input_max,
            },
            MapIn {
                section: Section::Recurrent,
                map: recurrent,
                values: hidden,
                input_max: 1 << 15,
            },
        ];
        checks.all(&maps)?;

        let bias: &[i16] = sections.slice(Section::Bias)?;
        if bias.len() != 4 * hidden {
            return Err(ParseError::SectionBounds(Section::Bias));
        }
        let head: &[u32] = sections.slice(Section::Head)?;
        let (head_weights, head_bias) = head
            .split_at_checked((hidden * classes).div_ceil(2))
            .filter(|(_, bias)| bias.len() == classes)
            .ok_or(ParseError::SectionBounds(Section::Head))?;
        let head_weights: &[i16] =
            try_cast_slice(head_weights).map_err(|_| ParseError::SectionBounds(Section::Head))?;
        let head_bias: &[i32] =
            try_cast_slice(head_bias).map_err(|_| ParseError::SectionBounds(Section::Head))?;
        for (class, (row, &bias)) in head_weights.chunks_exact(hidden).zip(head_bias).enumerate() {
            if bound::head(row, bias) > i32::MAX as u64 {
                return Err(ParseError::Overflow {
                    section: Section::Head,
                    index: class,
                });
            }
        }
        if meta.golden_steps == 0 || meta.golden_steps > 64 {
            return Err(field("golden_steps", meta.golden_steps));
        }

        Ok(Self {
            bytes: bytes
                .len()
                .min(sections.word(layout::LENGTH_AT.start) as usize),
            crc: sections.word(layout::CRC_AT.start),
            meta,
            input_type,
            gate,
            pool,
            name: sections.text(Section::Name)?,
            labels: sections.text(Section::Labels)?,
            about: sections.text(Section::About)?,
            input,
            recurrent,
            weights,
            tables,
            bias,
            head_weights,
            head_bias,
            front_end,
            arena,
            arena_words,
            frame_values,
        })
    }
}

/// The section table, read.
struct Sections<'m> {
    header: [u8; layout::HEADER_LEN],
    found: [Option<&'m [u8]>; SECTION_COUNT],
}

impl<'m> Sections<'m> {
    fn read(bytes: &'m [u8]) -> Result<Self, ParseError> {
        if !(bytes.as_ptr() as usize).is_multiple_of(4) {
            return Err(ParseError::Misaligned);
        }
        let truncated = |need| ParseError::Truncated {
            need,
            found: bytes.len(),
        };
        let header = *bytes.first_chunk().ok_or(truncated(layout::HEADER_LEN))?;
        let mut sections = Self {
            header,
            found: [None; SECTION_COUNT],
        };
        if header.first_chunk() != Some(&layout::MAGIC) {
            return Err(ParseError::Magic);
        }
        let version = sections.half(layout::VERSION_AT.start);
        if version != layout::VERSION {
            return Err(ParseError::Version { found: version });
        }
        let length = sections.word(layout::LENGTH_AT.start) as usize;
        let bytes = bytes.get(..length).ok_or(truncated(length))?;
        let stated = sections.word(layout::CRC_AT.start);
        let computed = layout::crc(bytes).ok_or(truncated(layout::HEADER_LEN))?;
        if stated != computed {
            return Err(ParseError::Crc { stated, computed });
        }
        let count = sections.half(layout::SECTIONS_AT.start) as usize;
        let table = bytes
            .get(layout::HEADER_LEN..layout::HEADER_LEN + count * layout::ENTRY_LEN)
            .ok_or(truncated(layout::HEADER_LEN + count * layout::ENTRY_LEN))?;
        for entry in table.as_chunks::<{ layout::ENTRY_LEN }>().0 {
            let [t0, t1, t2, t3, o0, o1, o2, o3, l0, l1, l2, l3] = *entry;
            let tag = [t0, t1, t2, t3];
            let offset = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
            let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let Some((section, slot)) = Section::ALL
                .into_iter()
                .zip(&mut sections.found)
                .find(|(section, _)| section.tag() == tag)
            else {
                return Err(ParseError::UnknownSection { tag });
            };
            if slot.is_some() {
                return Err(ParseError::DuplicateSection(section));
            }
            let bounds = ParseError::SectionBounds(section);
            if !offset.is_multiple_of(4) {
                return Err(bounds);
            }
            *slot = Some(
                bytes
                    .get(offset..offset.checked_add(len).ok_or(bounds)?)
                    .ok_or(bounds)?,
            );
        }
        for (section, slot) in Section::ALL.into_iter().zip(&sections.found) {
            if section.required() && slot.is_none() {
                return Err(ParseError::MissingSection(section));
            }
        }
        Ok(sections)
    }

    fn half(&self, at: usize) -> u16 {
        self.word(at & !3)
            .to_le_bytes()
            .as_chunks::<2>()
            .0
            .get(at % 4 / 2)
            .map_or(0, |&b| u16::from_le_bytes(b))
    }

    fn word(&self, at: usize) -> u32 {
        self.header
            .get(at..)
            .and_then(|b| b.first_chunk())
            .map_or(0, |&b| u32::from_le_bytes(b))
    }

    fn find(&self, section: Section) -> Option<&'m [u8]> {
        self.found.get(section as usize).copied().flatten()
    }

    fn get(&self, section: Section) -> Result<&'m [u8], ParseError> {
        self.find(section)
            .ok_or(ParseError::MissingSection(section))
    }

    fn slice<T: Pod>(&self, section: Section) -> Result<&'m [T], ParseError> {
        try_cast_slice(self.get(section)?).map_err(|_| ParseError::SectionBounds(section))
    }

    fn record<T: Pod>(&self, section: Section) -> Result<&'m T, ParseError> {
        try_from_bytes(self.get(section)?).map_err(|_| ParseError::SectionBounds(section))
    }

    fn text(&self, section: Section) -> Result<&'m str, ParseError> {
        core::str::from_utf8(self.get(section)?).map_err(|_| ParseError::SectionBounds(section))
    }

    fn map(&self, section: Section) -> Result<Map<'m>, ParseError> {
        let bounds = ParseError::SectionBounds(section);
        let (kind, body) = self.get(section)?.split_first_chunk::<4>().ok_or(bounds)?;
        match u32::from_le_bytes(*kind) {
            kind if kind == MapKind::Program.word() => {
                let (record, steps) = body
                    .split_at_checked(size_of::<ProgramRecord>())
                    .ok_or(bounds)?;
                let record: &ProgramRecord = try_from_bytes(record).map_err(|_| bounds)?;
                let steps: &[StepRecord] = try_cast_slice(steps).map_err(|_| bounds)?;
                if record.steps as usize != steps.len() || record.digits as usize > DIGITS_MAX {
                    return Err(ParseError::Field {
                        section,
                        field: "steps",
                        found: record.steps,
                    });
                }
                Ok(Map::Program(Program { record, steps }))
            }
            kind if kind == MapKind::Dense.word() => {
                Ok(Map::Dense(try_from_bytes(body).map_err(|_| bounds)?))
            }
            found => Err(ParseError::Field {
                section,
                field: "kind",
                found,
            }),
        }
    }
}

/// A map, what it reads, and where errors in it are reported.
struct MapIn<'m> {
    section: Section,
    map: Map<'m>,
    values: usize,
    input_max: u32,
}

/// What the maps may touch.
struct MapChecks<'m> {
    weights: &'m [u32],
    tables: &'m [u16],
    z: Region,
    scratch: Region,
}

impl<'m> MapChecks<'m> {
    fn all(&self, maps: &[MapIn<'m>; 2]) -> Result<(), ParseError> {
        for map in maps {
            match map.map {
                Map::Program(program) => self.program(map, &program)?,
                Map::Dense(record) => self.dense(map, record)?,
            }
        }
        // Sums last: they rely on the regions being sound.
        for map in maps {
            if let Map::Program(program) = map.map {
                for (index, step) in program.steps.iter().enumerate() {
                    let overflow = ParseError::Overflow {
                        section: map.section,
                        index,
                    };
                    let all = self.step_weights(step).ok_or(overflow)?;
                    let input_max = self.input_max(map, step.input());
                    if bound::contraction(step, all, input_max) > i32::MAX as u64 {
                        return Err(overflow);
                    }
                }
            }
        }
        Ok(())
    }

    fn table(&self, start: u32, len: usize) -> Option<&'m [u16]> {
        self.tables
            .get(start as usize..(start as usize).checked_add(len)?)
    }

    fn step_weights(&self, step: &StepRecord) -> Option<&'m [u32]> {
        let start = step.weights_word as usize;
        let len = step.slice_words().checked_mul(step.slices as usize)?;
        self.weights.get(start..start.checked_add(len)?)
    }

    fn program(&self, map: &MapIn<'m>, program: &Program<'m>) -> Result<(), ParseError> {
        let record = program.record;
        let field = |field, found| ParseError::Field {
            section: map.section,
            field,
            found,
        };
        let extents = program.extents();
        let slabs = extents
            .iter()
            .try_fold(1usize, |n, &e| n.checked_mul(e as usize))
            .unwrap_or(0);
        if slabs == 0 || slabs.checked_mul(record.slab_values as usize) != Some(map.values) {
            return Err(field("slab_values", record.slab_values));
        }
        if record.values as usize != map.values {
            return Err(field("values", record.values));
        }
        self.slab(record)
            .ok_or(field("slab_word", record.slab_word))?;
        for (index, step) in program.steps.iter().enumerate() {
            self.step(step, extents).map_err(|field| ParseError::Step {
                section: map.section,
                step: index,
                field,
            })?;
        }
        Ok(())
    }

    /// The region slabs are gathered in, if it lies in the scratch.
    fn slab(&self, record: &ProgramRecord) -> Option<Region> {
        let values = record.slab_values as usize;
        let words = if record.gather_table == NONE {
            let row = record.row_values as usize;
            if row == 0 || !values.is_multiple_of(row) {
                return None;
            }
            (values / row).div_ceil(4) * row.div_ceil(2) * 4
        } else {
            let last = self
                .table(record.gather_table, values)?
                .iter()
                .copied()
                .max()?;
            last as usize / 2 + 1
        };
        let region = Region::new(record.slab_word as usize, words);
        self.scratch.contains(region).then_some(region)
    }

    fn step(&self, step: &StepRecord, extents: &[u16]) -> Result<(), &'static str> {
        if step.m_tiles == 0 || step.n_tiles == 0 || step.k_pairs == 0 {
            return Err("size");
        }
        let depth = step.depth as usize;
        if depth > extents.len() {
            return Err("depth");
        }
        let slice_extent = depth
            .checked_sub(1)
            .and_then(|digit| extents.get(digit))
            .copied()
            .unwrap_or(1);
        if step.slices == 0 || step.slices != 1 && step.slices != slice_extent {
            return Err("slices");
        }
        if !(1..=16).contains(&step.shift) {
            return Err("shift");
        }
        if !(2..=16).contains(&step.bits) {
            return Err("bits");
        }
        let out = self.out(step, extents)?;
        let input = step.input();
        if !self.scratch.contains(input) || input.overlaps(out) {
            return Err("input_word");
        }
        if let Some(acc) = step.acc()
            && (!self.scratch.contains(acc) || acc.overlaps(input) || acc.overlaps(out))
        {
            return Err("acc_word");
        }
        self.step_weights(step).map(|_| ()).ok_or("weights_word")
    }

    /// Every word the step can write, over all digits, if it may.
    fn out(&self, step: &StepRecord, extents: &[u16]) -> Result<Region, &'static str> {
        let store = Store::from_byte(step.store).ok_or("store")?;
        let strides = match step.out_digit {
            u8::MAX => 0,
            digit if digit < step.depth => {
                let extent = extents.get(digit as usize).ok_or("out_digit")?;
                (step.out_stride as usize)
                    .checked_mul(*extent as usize - 1)
                    .ok_or("out_stride")?
            }
            _ => return Err("out_digit"),
        };
        let span = if store.is_table() {
            let table = self
                .table(step.rows_table, step.tiles() * TILE)
                .ok_or("rows_table")?;
            table
                .iter()
                .filter(|&&at| at != DISCARD)
                .map(|&at| at as usize / 2 + 1)
                .max()
                .unwrap_or(0)
        } else {
            let rows = self
                .table(step.rows_table, step.m_tiles as usize)
                .ok_or("rows_table")?;
            let cols = self
                .table(step.cols_table, step.n_tiles as usize)
                .ok_or("cols_table")?;
            let last = |table: &[u16]| table.iter().copied().max().unwrap_or(0) as usize;
            last(rows)
                + last(cols)
                + match store {
                    Store::Pairs => 4,
                    Store::Columns => 6,
                    _ => (step.row_stride as usize)
                        .checked_add(2)
                        .ok_or("row_stride")?,
                }
        };
        let out = Region::new(
            step.out_word as usize,
            span.checked_add(strides).ok_or("out_stride")?,
        );
        let allowed = if store.adds() { self.z } else { self.scratch };
        if allowed.contains(out) {
            Ok(out)
        } else {
            Err("out_word")
        }
    }

    /// Largest magnitude that the map can leave in a region; the scratch is zero when it starts.
    fn input_max(&self, map: &MapIn<'m>, region: Region) -> u32 {
        let Map::Program(program) = map.map else {
            return 1 << 15;
        };
        let mut max = 0;
        let mut meet = |other: Region, bound: u32| {
            if region.overlaps(other) {
                max = max.max(bound);
            }
        };
        if let Some(slab) = self.slab(program.record) {
            meet(slab, map.input_max);
        }
        for step in program.steps {
            if let Ok(out) = self.out(step, program.extents()) {
                meet(out, 1 << (step.bits - 1));
            }
            if let Some(acc) = step.acc() {
                meet(acc, 1 << 15);
            }
        }
        max
    }

    fn dense(&self, map: &MapIn<'m>, record: &DenseRecord) -> Result<(), ParseError> {
        let field = |field, found| ParseError::Field {
            section: map.section,
            field,
            found,
        };
        let rows = record.rows as usize;
        let part = record.part_values as usize;
        if rows != self.z.end * 2 {
            return Err(field("rows", record.rows));
        }
        if record.values as usize != map.values {
            return Err(field("values", record.values));
        }
        if part == 0
            || !map.values.is_multiple_of(part)
            || part != map.values && !part.is_multiple_of(2)
        {
            return Err(field("part_values", record.part_values));
        }
        let parts = map.values / part;
        if record.part_shift > 16 || parts == 1 && record.part_shift != 0 {
            return Err(field("part_shift", record.part_shift));
        }
        let buffer = Region::new(record.part_word as usize, part.div_ceil(2));
        let acc = Region::new(record.acc_word as usize, rows);
        // The recurrent map reads h where it lies; only a streamed frame is gathered in parts.
        if map.section == Section::Input && !self.scratch.contains(buffer) {
            return Err(field("part_word", record.part_word));
        }
        if map.section == Section::Recurrent && parts != 1 {
            return Err(field("part_values", record.part_values));
        }
        if parts > 1 && (!self.scratch.contains(acc) || acc.overlaps(buffer)) {
            return Err(field("acc_word", record.acc_word));
        }
        let words = parts
            .checked_mul(rows / 2)
            .and_then(|n| n.checked_mul(part.div_ceil(2)));
        let weights = words
            .and_then(|words| {
                self.weights
                    .get(record.weights_word as usize..)?
                    .get(..words)
            })
            .ok_or(field("weights_word", record.weights_word))?;
        let scales = self
            .weights
            .get(record.scales_word as usize..)
            .and_then(|scales| scales.get(..rows))
            .ok_or(field("scales_word", record.scales_word))?;
        if let Some(negative) = scales.iter().find(|&&scale| scale > i32::MAX as u32) {
            return Err(field("scale", *negative));
        }
        let (in_part, total) = bound::dense(
            weights,
            part.div_ceil(2),
            rows / 2,
            record.part_shift,
            map.input_max,
        );
        if in_part.max(total) > i32::MAX as u64 {
            return Err(ParseError::Overflow {
                section: map.section,
                index: 0,
            });
        }
        Ok(())
    }
}

impl StepRecord {
    /// The X panels.
    pub(crate) fn input(&self) -> Region {
        Region::new(self.input_word as usize, self.input_words())
    }

    /// The accumulators, if the step keeps any.
    pub(crate) fn acc(&self) -> Option<Region> {
        (self.acc_word != NONE).then(|| Region::new(self.acc_word as usize, self.tiles() * TILE))
    }
}
