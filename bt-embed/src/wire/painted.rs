//! A picture as it stands.

use super::{Fields, Short, TooSmall, frame};

/// Pixels of a picture under way, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Painted<'a> {
    /// Steps of the picture so far.
    pub steps: u32,
    /// Steps that it takes.
    pub steps_in_all: u16,
    /// Its rows.
    pub rows: u16,
    /// Number of the first pixel in `greys`.
    pub first: u16,
    /// Count of pixels in all.
    pub count: u16,
    /// Greys from `first` on, a byte each: 255 times the probability of a 1.
    pub greys: &'a [u8],
}

impl<'a> Painted<'a> {
    /// Bytes of the body before the greys.
    pub const HEADER_BYTES: usize = super::HEADER_BYTES + 12;

    pub(super) fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.steps)?;
        for number in [self.steps_in_all, self.rows, self.first, self.count] {
            w.u16(number)?;
        }
        w.bytes(self.greys)
    }

    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        Ok(Painted {
            steps: fields.u32()?,
            steps_in_all: fields.u16()?,
            rows: fields.u16()?,
            first: fields.u16()?,
            count: fields.u16()?,
            greys: fields.rest(),
        })
    }
}
