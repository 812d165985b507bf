//! Scores after a step.

use super::{Fields, Short, TooSmall, frame};

/// Scores, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores<'a> {
    /// Steps since the reset.
    pub steps: u32,
    /// Class with the largest score; 0 where scores are values.
    pub best: u16,
    /// Softmax of its score; 0 where scores are values.
    pub confidence: f32,
    /// Class of the first value in `raw`.
    pub first: u16,
    /// Count of scores in all.
    pub classes: u16,
    /// Raw scores, from `first` on.
    pub raw: Raw<'a>,
}

/// Raw scores: values to send, or bytes as they came.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    /// Values on the device.
    Values(&'a [i32]),
    /// Little-endian bytes off the line, four a value.
    Bytes(&'a [u8]),
}

impl Raw<'_> {
    /// The values in turn.
    pub fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        let (values, bytes) = match *self {
            Raw::Values(values) => (values, &[][..]),
            Raw::Bytes(bytes) => (&[][..], bytes),
        };
        let bytes = bytes.as_chunks::<4>().0.iter();
        values
            .iter()
            .copied()
            .chain(bytes.map(|chunk| i32::from_le_bytes(*chunk)))
    }
}

impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> Scores<'a> {
    /// Bytes of the body before the raw scores.
    pub const HEADER_BYTES: usize = super::HEADER_BYTES + 14;

    pub(super) fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.steps)?;
        w.u16(self.best)?;
        w.bytes(&self.confidence.to_le_bytes())?;
        w.u16(self.first)?;
        w.u16(self.classes)?;
        self.raw
            .iter()
            .try_for_each(|raw| w.bytes(&raw.to_le_bytes()))
    }

    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        Ok(Scores {
            steps: fields.u32()?,
            best: fields.u16()?,
            confidence: fields.f32()?,
            first: fields.u16()?,
            classes: fields.u16()?,
            raw: match fields.rest() {
                bytes if bytes.len().is_multiple_of(4) => Raw::Bytes(bytes),
                _ => return Err(Short),
            },
        })
    }
}
