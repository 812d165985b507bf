//! What a device counts.

use bt_core::health::Limits;

use super::{Fields, Short, TooSmall, frame};

/// Counts and times of a period, and what the line lost. A period begins at
/// boot or with [`Request::Clear`](super::Request::Clear). Ticks are those of
/// [`Hello::tick_hz`](super::Hello::tick_hz) and cover the session's integer work alone, not the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Number of the period, 0 from boot on.
    pub period: u32,
    /// Steps done.
    pub steps: u32,
    /// Ticks of all steps, their pushes included, and of pictures the pixels that were asked for.
    pub ticks: u64,
    /// Ticks of the longest step, its pushes included.
    pub step_ticks_max: u32,
    /// Ticks of the longest single push.
    pub push_ticks_max: u32,
    /// Ticks of the longest computation of scores.
    pub score_ticks_max: u32,
    /// How often the stream came to the ends of its numbers.
    pub limits: Limits,
    /// What the line lost since boot.
    pub line: LineCounts,
    /// Bytes of stack ever used.
    pub stack_bytes_used: u32,
    /// Bytes that the stack may grow to.
    pub stack_bytes: u32,
}

/// What the device's line lost since boot; never cleared, and at `u32::MAX`
/// they stay. Every frame in the first three was answered with an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Frames whose COBS or CRC was wrong.
    pub frames_garbled: u32,
    /// Frames longer than the line's buffer.
    pub frames_too_long: u32,
    /// Frames dropped because a read failed in them.
    pub frames_lost: u32,
    /// Reads that failed: overrun, framing, parity.
    pub read_errors: u32,
    /// Replies that could not be written.
    pub replies_lost: u32,
}

impl Statistics {
    pub(super) fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.period)?;
        w.u32(self.steps)?;
        w.u64(self.ticks)?;
        w.u32(self.step_ticks_max)?;
        w.u32(self.push_ticks_max)?;
        w.u32(self.score_ticks_max)?;
        w.u64(self.limits.inputs)?;
        w.u64(self.limits.inputs_clipped)?;
        w.u64(self.limits.gates)?;
        w.u64(self.limits.gates_saturated)?;
        w.u64(self.limits.cells)?;
        w.u64(self.limits.cells_at_limit)?;
        w.u32(self.line.frames_garbled)?;
        w.u32(self.line.frames_too_long)?;
        w.u32(self.line.frames_lost)?;
        w.u32(self.line.read_errors)?;
        w.u32(self.line.replies_lost)?;
        w.u32(self.stack_bytes_used)?;
        w.u32(self.stack_bytes)
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, Short> {
        Ok(Statistics {
            period: fields.u32()?,
            steps: fields.u32()?,
            ticks: fields.u64()?,
            step_ticks_max: fields.u32()?,
            push_ticks_max: fields.u32()?,
            score_ticks_max: fields.u32()?,
            limits: Limits {
                inputs: fields.u64()?,
                inputs_clipped: fields.u64()?,
                gates: fields.u64()?,
                gates_saturated: fields.u64()?,
                cells: fields.u64()?,
                cells_at_limit: fields.u64()?,
            },
            line: LineCounts {
                frames_garbled: fields.u32()?,
                frames_too_long: fields.u32()?,
                frames_lost: fields.u32()?,
                read_errors: fields.u32()?,
                replies_lost: fields.u32()?,
            },
            stack_bytes_used: fields.u32()?,
            stack_bytes: fields.u32()?,
        })
    }
}
