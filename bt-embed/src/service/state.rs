//! A session's state over the line, part by part.

use bt_core::error::StateError;
use embedded_hal::digital::OutputPin;

use super::Service;
use crate::board::Ticks;
use crate::wire::{Error, Reply};

impl<'m, T: Ticks, L: OutputPin> Service<'m, '_, T, L> {
    /// A part of the state.
    pub(super) fn save(&mut self, at: u32) -> Result<Reply<'_>, Error> {
        self.not_loading()?;
        if self.half_value.is_some() {
            return Err(Error::FrameUnderWay);
        }
        let total = self.session.saved_bytes() as u32;
        let count = self
            .session
            .save_part(at as usize, &mut self.part)
            .map_err(|error| self.state_error(error))?;
        Ok(Reply::State {
            total,
            at,
            bytes: self.part.get(..count).unwrap_or_default(),
        })
    }

    /// Takes the part of a state that is due; says so again of those before it.
    pub(super) fn load(&mut self, at: u32, bytes: &[u8]) -> Result<Reply<'_>, Error> {
        let total = self.session.saved_bytes() as u32;
        let loaded = |due: usize| Reply::Loaded {
            due: due as u32,
            total,
        };
        if at != 0 {
            match (self.session.load_due(), self.last_part) {
                (Some(due), _) if (at as usize).saturating_add(bytes.len()) <= due => {
                    return Ok(loaded(due));
                }
                (None, Some((last, result))) if last == at => {
                    return result.map(|()| loaded(total as usize));
                }
                _ => {}
            }
        }
        let result = self.session.load_part(at as usize, bytes);
        let is_other_part = matches!(result, Err(StateError::Part { .. }));
        if at == 0 && !is_other_part {
            self.begin();
        }
        let result = result.map_err(|error| self.state_error(error));
        if self.session.load_due().is_none() && !is_other_part {
            self.last_part = Some((at, result.map(drop)));
            if result.is_ok() && self.session.steps() != 0 {
                self.score();
            }
        }
        result.map(loaded)
    }

    fn state_error(&self, error: StateError) -> Error {
        match error {
            StateError::FrameUnderWay => Error::FrameUnderWay,
            StateError::Mismatch => Error::StateOfOther {
                model_crc: self.session.model().crc(),
            },
            StateError::Part { due } => Error::State { due: due as u32 },
            StateError::WrongLength { need, .. } => Error::StateLength { bytes: need as u32 },
            _ => Error::StateDamaged,
        }
    }
}
