//! Frames over any byte stream: the wire's messages on `embedded-io` traits.

use embedded_io::{Error as _, ErrorKind, Read, Write};

use crate::wire::frame::DELIMITER;
use crate::wire::{Decoder, Error, TooSmall};

/// How often a write that took nothing is tried again before it counts as failed.
const WRITE_TRIES: usize = 16;

/// Receiving half: the bytes of a stream gathered into bodies.
///
/// `N` is the longest frame in bytes, delimiter excluded.
#[derive(Debug, Default)]
pub struct Receiver<const N: usize> {
    decoder: Decoder<N>,
    errors_in_a_row: u32,
}

/// A frame could not be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError<E> {
    /// A read failed and may have lost bytes: the frame under way is dropped,
    /// and its delimiter, when it comes, gives [`Error::Line`].
    Io(E),
    /// The stream ended.
    End,
    /// A frame came and was no body; the next one may be.
    Frame(Error),
}

impl<const N: usize> Receiver<N> {
    /// A receiver at the start of a frame.
    pub const fn new() -> Self {
        Receiver {
            decoder: Decoder::new(),
            errors_in_a_row: 0,
        }
    }

    /// Reads that failed since the last byte that came.
    pub fn errors_in_a_row(&self) -> u32 {
        self.errors_in_a_row
    }

    /// Waits for the next body.
    pub fn receive<R: Read>(&mut self, stream: &mut R) -> Result<&[u8], ReceiveError<R::Error>> {
        loop {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(0) => return Err(ReceiveError::End),
                Ok(_) => self.errors_in_a_row = 0,
                Err(error) if loses_nothing(error.kind()) => continue,
                Err(error) => {
                    self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
                    self.decoder.lose();
                    return Err(ReceiveError::Io(error));
                }
            }
            let [byte] = byte;
            if self.decoder.ends_frame(byte) {
                return self.decoder.take().map_err(ReceiveError::Frame);
            }
        }
    }
}

/// Whether a call that failed so may just be made again.
fn loses_nothing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Interrupted | ErrorKind::TimedOut)
}

/// Sending half: a buffer for one frame of `N` bytes.
#[derive(Debug)]
pub struct Sender<const N: usize> {
    line: [u8; N],
    /// The last frame may have been cut short: a delimiter ends it before the next one.
    torn: bool,
}

/// A frame could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<E> {
    /// The stream failed; what was written of the frame is void.
    Io(E),
    /// The stream takes no more bytes; what was written of the frame is void.
    Stuck,
    /// The message is longer than the buffer.
    TooSmall,
}

impl<const N: usize> Default for Sender<N> {
    fn default() -> Self {
        Sender::new()
    }
}

impl<const N: usize> Sender<N> {
    /// An empty buffer.
    pub const fn new() -> Self {
        Sender {
            line: [0; N],
            torn: false,
        }
    }

    /// Encodes one message into the buffer and writes it out.
    pub fn send<W: Write>(
        &mut self,
        stream: &mut W,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, TooSmall>,
    ) -> Result<(), SendError<W::Error>> {
        let length = encode(&mut self.line).map_err(|TooSmall| SendError::TooSmall)?;
        let frame = self.line.get(..length).ok_or(SendError::TooSmall)?;
        let torn = core::mem::replace(&mut self.torn, true);
        if torn {
            write_all(stream, &[DELIMITER])?;
        }
        write_all(stream, frame)?;
        stream.flush().map_err(SendError::Io)?;
        self.torn = false;
        Ok(())
    }
}

/// Writes all bytes. (`embedded_io`'s own panics on a stream that takes none.)
fn write_all<W: Write>(stream: &mut W, mut bytes: &[u8]) -> Result<(), SendError<W::Error>> {
    let mut tries = 0;
    while !bytes.is_empty() {
        let failed = match stream.write(bytes) {
            Ok(0) => SendError::Stuck,
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                tries = 0;
                continue;
            }
            Err(error) if loses_nothing(error.kind()) => SendError::Io(error),
            Err(error) => return Err(SendError::Io(error)),
        };
        tries += 1;
        if tries == WRITE_TRIES {
            return Err(failed);
        }
    }
    Ok(())
}
