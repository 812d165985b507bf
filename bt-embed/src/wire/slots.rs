//! What slots for models a device has.

use super::{Fields, REASON_BYTES_MAX, Short, TooSmall, frame};

/// Slots for models: flash of their own, of which one is served while the other is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots<'a> {
    /// Bytes of the longest image that a slot holds; 0 without slots.
    pub image_bytes_max: u32,
    /// Bytes of a piece at most.
    pub piece_bytes_max: u16,
    /// The slot served, 1 or 2; 0 for the model in the program, or none.
    pub served: u8,
    /// Number of the slot served: one more with every model.
    pub sequence: u32,
    /// Bytes of arena that a model may take.
    pub arena_bytes: u32,
    /// Scores that a model may give.
    pub scores: u16,
    /// Why a newer model than the one served is not; empty when there is none.
    pub passed_over: &'a str,
}

impl<'a> Slots<'a> {
    /// Length of the longest body.
    pub const BYTES_MAX: usize = super::HEADER_BYTES + 17 + 1 + REASON_BYTES_MAX as usize;

    pub(super) fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.image_bytes_max)?;
        w.u16(self.piece_bytes_max)?;
        w.u8(self.served)?;
        w.u32(self.sequence)?;
        w.u32(self.arena_bytes)?;
        w.u16(self.scores)?;
        w.text(self.passed_over, REASON_BYTES_MAX)
    }

    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        Ok(Slots {
            image_bytes_max: fields.u32()?,
            piece_bytes_max: fields.u16()?,
            served: fields.u8()?,
            sequence: fields.u32()?,
            arena_bytes: fields.u32()?,
            scores: fields.u16()?,
            passed_over: fields.text()?,
        })
    }
}
