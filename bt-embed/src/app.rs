//! The application: a line on one side, a session on the other.
//!
//! [`run`] answers one request after the other until the line ends, which a
//! UART never does. Nothing that the line does stops it: noise and bytes lost
//! are answered with an error, a reply that cannot be written is given up, and
//! all of it is counted. A model that is refused does not stop it either: every
//! request is then answered with why.

use core::fmt::Write as _;

use bt_core::Model;
use bt_core::detection::Watch;
use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};
use heapless::String;

use crate::board::{Board, Ticks};
use crate::link::{ReceiveError, Receiver, SendError, Sender};
use crate::service::{Places, Refusal, Service, Surroundings};
use crate::store::{self, Choice, Desk, NoFlash, Pick, Room, Shelf, Slot, Slots};
use crate::wire::{
    self, Drawn, Error, Golden, LineCounts, NO_TAG, Reply, Request, Scores, chunk_bytes_max,
};

/// A line of which so many reads failed in a row, no byte between them, is read
/// again only every [`PAUSE_MS`].
const ERRORS_BEFORE_PAUSE: u32 = 16;

/// Milliseconds before a dead line is read again.
const PAUSE_MS: u32 = 10;

/// The application's memory, made to measure and static: frames of `LINE` bytes
/// each way, an arena of `ARENA` words, scores of `CLASSES` classes, `RULES`
/// rules, as many as a detector of the model takes
/// ([`Detector::places`](bt_core::detection::Detector::places)), and `BITS` bits of a drawing,
/// one for each score of a model that draws its next frame. Where the last two
/// are left out there is room for whatever the model is.
pub struct Memory<
    const LINE: usize,
    const ARENA: usize,
    const CLASSES: usize,
    const RULES: usize = CLASSES,
    const BITS: usize = CLASSES,
> {
    receiver: Receiver<LINE>,
    sender: Sender<LINE>,
    arena: [u32; ARENA],
    scores: [i32; CLASSES],
    drawn: [u8; BITS],
    watches: [Watch; RULES],
}

impl<
    const LINE: usize,
    const ARENA: usize,
    const CLASSES: usize,
    const RULES: usize,
    const BITS: usize,
> Memory<LINE, ARENA, CLASSES, RULES, BITS>
{
    /// Memory at rest.
    pub const fn new() -> Self {
        // The longest replies but scores, which are sent in parts.
        const {
            assert!(LINE >= wire::frame::line_bytes_max(wire::Hello::BYTES_MAX));
            assert!(LINE >= wire::frame::line_bytes_max(Reply::REFUSED_BYTES_MAX));
            assert!(LINE >= wire::frame::line_bytes_max(wire::Slots::BYTES_MAX));
            assert!(LINE <= u16::MAX as usize);
        }
        Memory {
            receiver: Receiver::new(),
            sender: Sender::new(),
            arena: [0; ARENA],
            scores: [0; CLASSES],
            drawn: [0; BITS],
            watches: [Watch::OFF; RULES],
        }
    }
}

impl<
    const LINE: usize,
    const ARENA: usize,
    const CLASSES: usize,
    const RULES: usize,
    const BITS: usize,
> Default for Memory<LINE, ARENA, CLASSES, RULES, BITS>
{
    fn default() -> Self {
        Memory::new()
    }
}

/// Why [`run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The line ended.
    End,
    /// A reply did not fit its buffer; excluded by [`Memory::new`].
    TooSmall,
}

/// Serves `model` on `board`.
pub fn run<
    S,
    T,
    L,
    const LINE: usize,
    const ARENA: usize,
    const CLASSES: usize,
    const RULES: usize,
    const BITS: usize,
>(
    board: Board<S, T, L>,
    model: &[u8],
    memory: &mut Memory<LINE, ARENA, CLASSES, RULES, BITS>,
) -> Ended
where
    S: Read + Write,
    T: Ticks,
    L: OutputPin,
{
    run_with_slots(board, None::<&mut Slots<NoFlash>>, model, memory)
}

/// As [`run`], with slots for models that come over the line: the newest good one is served, then the older one, then
/// `model`. A model that was accepted is served at once, one that changes in flash no longer.
pub fn run_with_slots<
    F,
    S,
    T,
    L,
    const LINE: usize,
    const ARENA: usize,
    const CLASSES: usize,
    const RULES: usize,
    const BITS: usize,
>(
    board: Board<S, T, L>,
    slots: Option<&mut Slots<F>>,
    model: &[u8],
    memory: &mut Memory<LINE, ARENA, CLASSES, RULES, BITS>,
) -> Ended
where
    F: Slot,
    S: Read + Write,
    T: Ticks,
    L: OutputPin,
{
    let Memory {
        receiver,
        sender,
        arena,
        scores,
        drawn,
        watches,
    } = memory;
    let Board {
        name,
        stream,
        ticks,
        mut led,
        stack,
    } = board;
    let body_bytes_max = wire::frame::body_bytes_max(LINE);
    let surroundings = Surroundings {
        board: name,
        chunk_bytes_max: chunk_bytes_max(LINE) as u16,
        score_count_max: body_bytes_max.saturating_sub(Scores::HEADER_BYTES) / 4,
        bit_count_max: 8 * body_bytes_max.saturating_sub(Drawn::HEADER_BYTES),
        line: LineCounts::default(),
        stack,
    };
    let mut line = Line {
        stream,
        receiver,
        sender,
        surroundings,
        ticks: &ticks,
    };
    let room = Room {
        arena_bytes: 4 * ARENA,
        scores: CLASSES,
        piece_bytes_max: chunk_bytes_max(LINE),
    };
    let mut shelf = Shelf::new(slots);
    let mut passed_over = Reason::new();
    loop {
        let Pick {
            choice,
            image,
            mut desk,
        } = shelf.pick(room);
        let file = image.map_or(model, store::model_in);
        let parsed = Model::parse_in_pieces(file, &mut || ticks.alive());
        let service = match &parsed {
            Ok(model) => {
                let places = Places {
                    arena: &mut *arena,
                    scores: &mut *scores,
                    drawn: &mut *drawn,
                    watches: &mut *watches,
                };
                Service::new(model, file, places, &ticks, &mut led)
            }
            Err(error) => Err(Refusal::Parse(*error)),
        };
        let service = match (service, choice) {
            // There may be a better one.
            (Ok(service), Some(_)) if service.golden() == Golden::Failed => Err(Refusal::SelfTest),
            (service, _) => service,
        };
        let next = match (&service, choice) {
            (Err(refusal), Some(choice)) => Next::PassOver(choice, *refusal),
            _ => line.serve_model(service, &mut desk, choice, &passed_over),
        };
        match next {
            Next::End(ended) => return ended,
            Next::Written => {
                passed_over.clear();
                shelf.written();
            }
            Next::PassOver(choice, refusal) => {
                event!(
                    error,
                    "slot {=usize} is passed over: {}",
                    choice.slot + 1,
                    refusal
                );
                passed_over.clear();
                // Where it is too long, its end is left out.
                let _ = write!(passed_over, "{refusal}");
                shelf.pass_over(choice);
            }
        }
    }
}

/// Why a model is refused.
type Reason = String<{ wire::REASON_BYTES_MAX as usize }>;

/// Why a model is served no longer.
enum Next {
    End(Ended),
    /// Another one was accepted.
    Written,
    /// It is no good.
    PassOver(Choice, Refusal),
}

/// The line and its buffers.
struct Line<'a, S, T, const LINE: usize> {
    stream: S,
    receiver: &'a mut Receiver<LINE>,
    sender: &'a mut Sender<LINE>,
    surroundings: Surroundings,
    ticks: &'a T,
}

impl<S: Read + Write, T: Ticks, const LINE: usize> Line<'_, S, T, LINE> {
    /// Serves a model, or says why there is none, until another one shall be.
    fn serve_model<F: Slot, C: Ticks, L: OutputPin>(
        &mut self,
        mut service: Result<Service<'_, '_, C, L>, Refusal>,
        desk: &mut Desk<'_, F>,
        choice: Option<Choice>,
        passed_over: &str,
    ) -> Next {
        if let Ok(service) = &service {
            let is_passed = service.golden() == Golden::Passed;
            event!(info, "serving, self test passed: {=bool}", is_passed);
        }
        let mut reason = Reason::new();
        loop {
            if let (Err(refusal), true) = (&service, reason.is_empty()) {
                // Where it is too long, its end is left out.
                let _ = write!(reason, "{refusal}");
                event!(error, "no model to serve: {}", refusal);
            }
            let served = self.serve(|request, surroundings| {
                if let Some(reply) = desk.handle(request, passed_over) {
                    return reply;
                }
                match &mut service {
                    Ok(service) => service.handle(request, surroundings),
                    Err(_) => Reply::Refused { reason: &reason },
                }
            });
            if let Err(ended) = served {
                return Next::End(ended);
            }
            if desk.is_done() {
                return Next::Written;
            }
            if matches!(&service, Ok(service) if service.is_damaged()) {
                match choice {
                    Some(choice) => return Next::PassOver(choice, Refusal::Changed),
                    None => service = Err(Refusal::Changed),
                }
            }
        }
    }

    /// Waits for one frame and answers it, or for a read that fails.
    fn serve<'s>(
        &mut self,
        handle: impl FnOnce(Request<'_>, &Surroundings) -> Reply<'s>,
    ) -> Result<(), Ended> {
        self.ticks.alive();
        let counts = &mut self.surroundings.line;
        let (tag, reply) = match self.receiver.receive(&mut self.stream) {
            Ok(body) => match Request::decode(body) {
                Ok((tag, request)) => (tag, handle(request, &self.surroundings)),
                Err((tag, error)) => (tag, Reply::Error(error)),
            },
            Err(ReceiveError::Frame(error)) => {
                count(match error {
                    Error::Line => &mut counts.frames_lost,
                    Error::TooLong { .. } => &mut counts.frames_too_long,
                    _ => &mut counts.frames_garbled,
                });
                (NO_TAG, Reply::Error(error))
            }
            Err(ReceiveError::Io(_)) => {
                count(&mut counts.read_errors);
                event!(warn, "a read failed: {=u32} since boot", counts.read_errors);
                if self.receiver.errors_in_a_row() >= ERRORS_BEFORE_PAUSE {
                    pause(self.ticks);
                }
                return Ok(());
            }
            Err(ReceiveError::End) => return Err(Ended::End),
        };
        self.ticks.alive();
        if let Reply::Error(error) = reply {
            event!(
                warn,
                "request {=u8} refused: code {=u8}",
                tag,
                error.to_wire().0
            );
        }
        let sent = self
            .sender
            .send(&mut self.stream, |line| reply.encode(tag, line));
        match sent {
            Ok(()) => Ok(()),
            Err(SendError::Io(_) | SendError::Stuck) => {
                let counts = &mut self.surroundings.line;
                count(&mut counts.replies_lost);
                event!(
                    warn,
                    "a reply was lost: {=u32} since boot",
                    counts.replies_lost
                );
                Ok(())
            }
            Err(SendError::TooSmall) => Err(Ended::TooSmall),
        }
    }
}

/// One more, as long as there are numbers.
fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

/// Waits for [`PAUSE_MS`]. A look at the clock takes a tick or more, so that a
/// clock which stands still holds nothing up.
fn pause<T: Ticks>(ticks: &T) {
    let (start, wait) = (ticks.now(), ticks.hertz() / 1000 * PAUSE_MS);
    for _ in 0..wait {
        if ticks.now().wrapping_sub(start) >= wait {
            break;
        }
    }
}
