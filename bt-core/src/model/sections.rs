//! The header and the section table of a model file.

use core::ops::Range;

use bytemuck::{Pod, try_cast_slice, try_from_bytes};

use super::Map;
use super::error::{Fault, Feature, Field, ParseError};
use super::layout::{self, MapKind, Section};
use super::work::STAGES_MAX;
use crate::program::{DIGITS_MAX, Program, ProgramRecord, StageRecord};

/// Words of the header.
const HEADER_WORDS: usize = layout::HEADER_LEN / 4;
/// Words of an entry of the section table: tag, offset, length.
const ENTRY_WORDS: usize = layout::ENTRY_LEN / 4;

/// A file whose header and section table are sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sections<'m> {
    header: &'m [u32; HEADER_WORDS],
    entries: &'m [[u32; ENTRY_WORDS]],
    /// As many as the header says.
    bytes: &'m [u8],
}

impl<'m> Sections<'m> {
    /// Checks header, CRC and section table.
    #[inline(always)]
    pub(super) fn read(bytes: &'m [u8], progress: &mut dyn FnMut()) -> Result<Self, ParseError> {
        let sections = Self::below_header(bytes, progress)?;
        sections.check_table()?;
        Ok(sections)
    }

    /// Checks header and CRC.
    #[inline(never)]
    fn below_header(bytes: &'m [u8], progress: &mut dyn FnMut()) -> Result<Self, ParseError> {
        let truncated = |need| ParseError::Truncated {
            need,
            found: bytes.len(),
        };
        let Some(header) = bytes.get(..layout::HEADER_LEN) else {
            // What is too short for a header can still be seen to be something else.
            return Err(match bytes.get(..layout::MAGIC.len()) {
                Some(magic) if magic != layout::MAGIC => ParseError::Magic,
                _ => truncated(layout::HEADER_LEN),
            });
        };
        // The only reason left for it to fail.
        let header: &[u32; HEADER_WORDS] =
            try_from_bytes(header).map_err(|_| ParseError::Misaligned)?;
        let mut sections = Self {
            header,
            entries: &[],
            bytes,
        };
        if sections.word(layout::MAGIC_AT) != u32::from_le_bytes(layout::MAGIC) {
            return Err(ParseError::Magic);
        }
        let version = sections.version();
        if !(layout::VERSION_OLDEST..=layout::VERSION).contains(&version) {
            return Err(ParseError::Version { found: version });
        }
        let length = sections.word(layout::LENGTH_AT) as usize;
        sections.bytes = bytes.get(..length).ok_or(truncated(length))?;
        let stated = sections.word(layout::CRC_AT);
        let computed =
            layout::crc_in_pieces(sections.bytes, progress).ok_or(truncated(layout::HEADER_LEN))?;
        if stated != computed {
            return Err(ParseError::Crc { stated, computed });
        }
        let count = usize::from(sections.half(layout::SECTIONS_AT));
        let end = layout::HEADER_LEN + count * layout::ENTRY_LEN;
        let table = sections.bytes.get(layout::HEADER_LEN..end);
        let table = table.ok_or(truncated(end))?;
        sections.entries = try_cast_slice(table).map_err(|_| ParseError::Misaligned)?;
        Ok(sections)
    }

    #[inline(never)]
    fn check_table(&self) -> Result<(), ParseError> {
        for (index, &[tag, offset, _]) in self.entries.iter().enumerate() {
            let known = Section::ALL.iter().find(|&&known| known as u32 == tag);
            let section = *known.ok_or(ParseError::UnknownSection {
                tag: tag.to_le_bytes(),
            })?;
            // The first of two.
            let first = self.entries.iter().position(|entry| entry[0] == tag);
            if first != Some(index) {
                return Err(ParseError::DuplicateSection(section));
            }
            if !offset.is_multiple_of(4) || self.find(section).is_none() {
                return Err(ParseError::SectionBounds(section));
            }
        }
        let missing = Section::ALL
            .iter()
            .find(|&&section| section.required() && self.find(section).is_none());
        missing.map_or(Ok(()), |&section| Err(ParseError::MissingSection(section)))
    }

    /// A field of the header.
    #[inline]
    pub(super) fn word(&self, at: Range<usize>) -> u32 {
        self.header.get(at.start / 4).copied().unwrap_or(0)
    }

    /// The version of the format.
    pub(super) fn version(&self) -> u16 {
        self.half(layout::VERSION_AT)
    }

    /// Half a word of the header.
    fn half(&self, at: Range<usize>) -> u16 {
        (self.word(at.clone()) >> (at.start % 4 * 8)) as u16
    }

    /// The length of the file in bytes.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// A section that need not be there.
    #[inline(never)]
    pub(super) fn find(&self, section: Section) -> Option<&'m [u8]> {
        let [_, offset, len] = self
            .entries
            .iter()
            .find(|entry| entry[0] == section as u32)?;
        self.bytes.get(*offset as usize..)?.get(..*len as usize)
    }

    fn get(&self, section: Section) -> &'m [u8] {
        self.find(section).unwrap_or(&[])
    }

    /// The elements of a section.
    pub(super) fn slice<T: Pod>(&self, section: Section) -> Result<&'m [T], ParseError> {
        try_cast_slice(self.get(section)).map_err(|_| ParseError::SectionBounds(section))
    }

    /// The record that a section is.
    pub(super) fn record<T: Pod>(&self, section: Section) -> Result<&'m T, ParseError> {
        try_from_bytes(self.get(section)).map_err(|_| ParseError::SectionBounds(section))
    }

    /// A section of UTF-8.
    #[inline(never)]
    pub(super) fn text(&self, section: Section) -> Result<&'m str, ParseError> {
        core::str::from_utf8(self.get(section)).map_err(|_| ParseError::SectionBounds(section))
    }

    /// The form of a map, its fields unchecked.
    #[inline(never)]
    pub(super) fn map(&self, section: Section) -> Result<Map<'m>, ParseError> {
        let bounds = ParseError::SectionBounds(section);
        let (kind, body) = self.get(section).split_first_chunk::<4>().ok_or(bounds)?;
        let kind = u32::from_le_bytes(*kind);
        let fault = |field, found| Fault { field, found }.of(section);
        match MapKind::from_number(kind) {
            Some(MapKind::Program) => {}
            Some(MapKind::Dense) => {
                Feature::Dense.check()?;
                return Ok(Map::Dense(try_from_bytes(body).map_err(|_| bounds)?));
            }
            None => return Err(fault(Field::Kind, kind)),
        }
        let (record, stages) = body
            .split_at_checked(size_of::<ProgramRecord>())
            .ok_or(bounds)?;
        let record: &ProgramRecord = try_from_bytes(record).map_err(|_| bounds)?;
        let stages: &[StageRecord] = try_cast_slice(stages).map_err(|_| bounds)?;
        if record.stages as usize != stages.len()
            || stages.len() > STAGES_MAX
            || usize::from(record.digits) > DIGITS_MAX
        {
            return Err(fault(Field::Stages, record.stages));
        }
        // Helium puts values to any places at once.
        let paired_row = if cfg!(bt_kernel = "helium") {
            0
        } else {
            record.paired_row(self.slice(Section::Tables)?)
        };
        Ok(Map::Program(Program {
            record,
            stages,
            paired_row,
        }))
    }
}
