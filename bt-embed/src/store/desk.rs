//! Requests about slots carried out.

use core::fmt::Write as _;

use bt_core::Model;
use heapless::String;

use super::update::{PIECE_ALIGN, StoreError, Update};
use super::{Choice, Slot, image_bytes, model_in};
use crate::wire::{self, Error, REASON_BYTES_MAX, Reply, Request};

/// What a model may take of the firmware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Places for scores.
    pub scores: usize,
    /// Most bytes in a piece.
    pub piece_bytes_max: usize,
}

/// Flash that may be written, and the product's say.
type Idle<'s, F> = (&'s mut F, fn(&[u8]) -> bool);

/// Where models are handed in while another one is served.
pub(crate) struct Desk<'s, F> {
    /// The flash that may be written, and the product's say.
    idle: Option<Idle<'s, F>>,
    room: Room,
    served: Option<Choice>,
    /// CRC-32C of the image served.
    served_crc: Option<u32>,
    /// Number of the slot to be written.
    sequence: u32,
    update: Option<Update>,
    /// A model was accepted; it is served as soon as the reply is out.
    is_done: bool,
    reason: String<{ REASON_BYTES_MAX as usize }>,
}

impl<'s, F: Slot> Desk<'s, F> {
    /// A desk for the slot `idle`, if there is one; `served` is the other one's image, if it is served.
    pub(super) fn new(
        idle: Option<Idle<'s, F>>,
        room: Room,
        served: Option<(Choice, u32)>,
        sequence: u32,
    ) -> Self {
        Desk {
            idle,
            room,
            served: served.map(|(choice, _)| choice),
            served_crc: served.map(|(_, crc)| crc),
            sequence,
            update: None,
            is_done: false,
            reason: String::new(),
        }
    }

    /// Whether a model was accepted that wants to be served.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The reply to a request about slots; `None` to any other. `passed_over` says why a newer model than
    /// the one served is not.
    pub(crate) fn handle<'r>(
        &'r mut self,
        request: Request<'_>,
        passed_over: &'r str,
    ) -> Option<Reply<'r>> {
        let result = match request {
            Request::Slots => Ok(self.slots(passed_over)),
            Request::Begin { length, crc } => self.begin(length as usize, crc),
            Request::Piece { at, bytes } => self.piece(at as usize, bytes),
            Request::Commit { crc } => return Some(self.commit(crc)),
            _ => return None,
        };
        Some(result.unwrap_or_else(Reply::Error))
    }

    fn slots<'r>(&self, passed_over: &'r str) -> Reply<'r> {
        let capacity = self.idle.as_ref().map_or(0, |(flash, _)| flash.capacity());
        let piece = self.room.piece_bytes_max / PIECE_ALIGN * PIECE_ALIGN;
        Reply::Slots(wire::Slots {
            image_bytes_max: image_bytes(capacity) as u32,
            piece_bytes_max: piece as u16,
            served: self.served.map_or(0, |choice| choice.slot as u8 + 1),
            sequence: self.served.map_or(0, |choice| choice.sequence),
            arena_bytes: self.room.arena_bytes as u32,
            scores: self.room.scores as u16,
            passed_over,
        })
    }

    fn begin(&mut self, length: usize, crc: u32) -> Result<Reply<'static>, Error> {
        let (flash, _) = self.idle.as_mut().ok_or(Error::NoSlots)?;
        // A repetition: nothing was written since.
        let is_begun = self
            .update
            .as_ref()
            .is_some_and(|update| update.image() == (length, crc) && update.due() == 0);
        if !is_begun {
            self.update = None;
            self.update = Some(Update::begin(*flash, length, crc).map_err(wire_error)?);
        }
        Ok(Reply::Written { due: 0 })
    }

    fn piece(&mut self, at: usize, bytes: &[u8]) -> Result<Reply<'static>, Error> {
        let (flash, _) = self.idle.as_mut().ok_or(Error::NoSlots)?;
        let update = self.update.as_mut().ok_or(Error::Piece { due: 0 })?;
        let due = update.due();
        // Taken already, and its reply lost.
        let due = if at.saturating_add(bytes.len()) <= due {
            due
        } else {
            update.piece(*flash, at, bytes).map_err(wire_error)?
        };
        Ok(Reply::Written { due: due as u32 })
    }

    fn commit(&mut self, crc: u32) -> Reply<'_> {
        let Some((flash, accept)) = self.idle.as_mut() else {
            return Reply::Error(Error::NoSlots);
        };
        let Some(update) = self
            .update
            .as_ref()
            .filter(|update| update.image().1 == crc)
        else {
            // Accepted already, and the reply lost.
            return match self.served_crc {
                Some(served) if served == crc => Reply::Ready,
                _ => Reply::Error(Error::Piece { due: 0 }),
            };
        };
        if self.is_done {
            return Reply::Ready;
        }
        let room = self.room;
        self.reason.clear();
        let reason = &mut self.reason;
        let result = update.finish(*flash, self.sequence, |image| {
            // A reason that is too long is cut.
            let fits = fits(image, room, reason);
            let is_accepted = fits && accept(image);
            is_accepted.then_some(()).ok_or(StoreError::NotAccepted)
        });
        match result {
            Ok(()) => {
                self.is_done = true;
                Reply::Ready
            }
            Err(StoreError::Piece { due }) => Reply::Error(Error::Piece { due: due as u32 }),
            Err(error) => {
                if self.reason.is_empty() {
                    let _ = write!(self.reason, "{error}");
                }
                Reply::Rejected {
                    reason: &self.reason,
                }
            }
        }
    }
}

/// Whether an image has a model that this firmware can serve; otherwise `reason` says why not.
fn fits(image: &[u8], room: Room, reason: &mut impl core::fmt::Write) -> bool {
    let said = match Model::parse(model_in(image)) {
        Err(error) => write!(reason, "{error}"),
        Ok(model) if model.arena_bytes() > room.arena_bytes => write!(
            reason,
            "the arena has {} bytes, the model needs {}",
            room.arena_bytes,
            model.arena_bytes()
        ),
        Ok(model) if model.outputs() > room.scores => write!(
            reason,
            "the firmware has room for {} scores, the model gives {}",
            room.scores,
            model.outputs()
        ),
        Ok(_) => return true,
    };
    let _ = said;
    false
}

fn wire_error(error: StoreError) -> Error {
    match error {
        StoreError::TooSmall { image_bytes } => Error::SlotTooSmall {
            bytes: image_bytes as u32,
        },
        StoreError::Piece { due } => Error::Piece { due: due as u32 },
        _ => Error::Flash,
    }
}
