//! Who the device is.

use bt_core::InputType;

use super::{Fields, NAME_BYTES_MAX, Short, TooSmall, frame};

/// Who the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Version of the firmware: major, minor, patch.
    pub firmware: [u8; 3],
    /// Type of the values to send, by its number in model files: 0 is `U8`, 1 `I8`, 2 `I16`.
    pub input: InputType,
    /// Result of the self test at boot.
    pub golden: Golden,
    /// Raw scores are logits times 2 to this power.
    pub score_shift: i32,
    /// Bytes of values in one data request at most.
    pub chunk_bytes_max: u16,
    /// Count of scores: classes, or values.
    pub classes: u16,
    /// Hidden units.
    pub hidden: u16,
    /// Values of one step.
    pub frame_values: u32,
    /// Bytes of the session's memory.
    pub arena_bytes: u32,
    /// CRC-32C of the model's file: which model it is.
    pub model_crc: u32,
    /// Ticks of the clock in one second, for [`Statistics`](super::Statistics).
    pub tick_hz: u32,
    /// Ticks that a step may take, pushes and scores included: those of a step of the self test at boot, where
    /// values come one by one.
    pub step_ticks: u32,
    /// Samples in one second that a model of sound takes, 0 for all others.
    pub sample_hz: u32,
    /// Name of the board.
    pub board: &'a str,
    /// Name of the model.
    pub model: &'a str,
}

/// Whether the model gave its golden scores at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Golden {
    /// Code 1: the scores were those that the exporter computed.
    Passed,
    /// Code 2: they differed; do not trust this device's scores.
    Failed,
}

impl<'a> Hello<'a> {
    /// Length of the longest body.
    pub const BYTES_MAX: usize = super::HEADER_BYTES + 39 + 2 * (1 + NAME_BYTES_MAX as usize);

    pub(super) fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.bytes(&self.firmware)?;
        w.u8(self.input.number())?;
        w.u8(match self.golden {
            Golden::Passed => 1,
            Golden::Failed => 2,
        })?;
        w.bytes(&self.score_shift.to_le_bytes())?;
        w.u16(self.chunk_bytes_max)?;
        w.u16(self.classes)?;
        w.u16(self.hidden)?;
        w.u32(self.frame_values)?;
        w.u32(self.arena_bytes)?;
        w.u32(self.model_crc)?;
        w.u32(self.tick_hz)?;
        w.u32(self.step_ticks)?;
        w.u32(self.sample_hz)?;
        w.text(self.board, NAME_BYTES_MAX)?;
        w.text(self.model, NAME_BYTES_MAX)
    }

    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        Ok(Hello {
            firmware: fields.array()?,
            input: InputType::from_number(fields.u8()?).ok_or(Short)?,
            golden: match fields.u8()? {
                1 => Golden::Passed,
                2 => Golden::Failed,
                _ => return Err(Short),
            },
            score_shift: fields.i32()?,
            chunk_bytes_max: fields.u16()?,
            classes: fields.u16()?,
            hidden: fields.u16()?,
            frame_values: fields.u32()?,
            arena_bytes: fields.u32()?,
            model_crc: fields.u32()?,
            tick_hz: fields.u32()?,
            step_ticks: fields.u32()?,
            sample_hz: fields.u32()?,
            board: fields.text()?,
            model: fields.text()?,
        })
    }
}
