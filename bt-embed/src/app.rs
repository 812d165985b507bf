//! The application: a line on one side, a session on the other.
//!
//! [`run`] answers one request after the other until the line ends, which a
//! UART never does. Noise is answered with an error and forgotten. A model that
//! was refused does not stop it: every request is then answered with why.

use bt_core::Model;
use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};

use crate::board::Board;
use crate::link::{ReceiveError, Receiver, SendError, Sender};
use crate::service::{Service, Surroundings};
use crate::wire::{self, Error, Golden, NO_TAG, Reply, Request, Scores, chunk_bytes_max};

/// The application's memory, made to measure and static: frames of `LINE` bytes
/// each way, an arena of `ARENA` words, scores of `CLASSES` classes.
pub struct Memory<const LINE: usize, const ARENA: usize, const CLASSES: usize> {
    receiver: Receiver<LINE>,
    sender: Sender<LINE>,
    arena: [u32; ARENA],
    scores: [i32; CLASSES],
}

impl<const LINE: usize, const ARENA: usize, const CLASSES: usize> Memory<LINE, ARENA, CLASSES> {
    /// Memory at rest.
    pub const fn new() -> Self {
        // The longest reply but scores, which are sent in parts: hello.
        const {
            assert!(LINE >= wire::frame::line_bytes_max(wire::Hello::BYTES_MAX));
            assert!(LINE <= u16::MAX as usize);
        }
        Memory {
            receiver: Receiver::new(),
            sender: Sender::new(),
            arena: [0; ARENA],
            scores: [0; CLASSES],
        }
    }
}

impl<const LINE: usize, const ARENA: usize, const CLASSES: usize> Default
    for Memory<LINE, ARENA, CLASSES>
{
    fn default() -> Self {
        Memory::new()
    }
}

/// Why [`run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<E> {
    /// The line ended.
    End,
    /// The line failed.
    Io(E),
    /// A reply did not fit its buffer; excluded by [`Memory::new`].
    TooSmall,
}

/// Serves `model` on `board`.
pub fn run<S, T, L, const LINE: usize, const ARENA: usize, const CLASSES: usize>(
    board: Board<S, T, L>,
    model: &[u8],
    memory: &mut Memory<LINE, ARENA, CLASSES>,
) -> Ended<S::Error>
where
    S: Read + Write,
    T: crate::board::Ticks,
    L: OutputPin,
{
    let Memory {
        receiver,
        sender,
        arena,
        scores,
    } = memory;
    let surroundings = Surroundings {
        board: board.name,
        chunk_bytes_max: chunk_bytes_max(LINE) as u16,
        score_count_max: wire::frame::body_bytes_max(LINE).saturating_sub(Scores::HEADER_BYTES) / 4,
        frames_garbled: 0,
        stack: board.stack,
    };
    let mut line = Line {
        stream: board.stream,
        receiver,
        sender,
        surroundings,
    };
    let parsed = Model::parse(model);
    let mut service = match &parsed {
        Ok(model) => Service::new(model, arena, scores, board.ticks, board.led),
        Err(_) => Err(Error::Model { reason: 1 }),
    };
    match &service {
        Ok(service) => event!(
            info,
            "{=str}: serving, self test passed: {=bool}",
            board.name,
            service.golden() == Golden::Passed
        ),
        Err(error) => event!(
            error,
            "{=str}: no model to serve ({=u32})",
            board.name,
            error.to_wire().1
        ),
    }
    loop {
        let served = line.serve(|request, surroundings| match &mut service {
            Ok(service) => service.handle(request, surroundings),
            Err(error) => Reply::Error(*error),
        });
        if let Err(ended) = served {
            return ended;
        }
    }
}

/// The line and its buffers.
struct Line<'a, S, const LINE: usize> {
    stream: S,
    receiver: &'a mut Receiver<LINE>,
    sender: &'a mut Sender<LINE>,
    surroundings: Surroundings,
}

impl<S: Read + Write, const LINE: usize> Line<'_, S, LINE> {
    /// Waits for one frame and answers it.
    fn serve<'s>(
        &mut self,
        handle: impl FnOnce(Request<'_>, &Surroundings) -> Reply<'s>,
    ) -> Result<(), Ended<S::Error>> {
        let (tag, reply) = match self.receiver.receive(&mut self.stream) {
            Ok(body) => match Request::decode(body) {
                Ok((tag, request)) => (tag, handle(request, &self.surroundings)),
                Err((tag, error)) => (tag, Reply::Error(error)),
            },
            Err(ReceiveError::Frame(error)) => {
                let count = &mut self.surroundings.frames_garbled;
                *count = count.wrapping_add(1);
                (NO_TAG, Reply::Error(error))
            }
            Err(ReceiveError::End) => return Err(Ended::End),
            Err(ReceiveError::Io(error)) => return Err(Ended::Io(error)),
        };
        if let Reply::Error(error) = reply {
            event!(
                warn,
                "request {=u8} refused: code {=u8}",
                tag,
                error.to_wire().0
            );
        }
        self.sender
            .send(&mut self.stream, |line| reply.encode(tag, line))
            .map_err(|error| match error {
                SendError::Io(error) => Ended::Io(error),
                SendError::TooSmall => Ended::TooSmall,
            })
    }
}
