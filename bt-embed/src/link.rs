//! Frames over any byte stream: the wire's messages on `embedded-io` traits.

use embedded_io::{Read, Write};

use crate::wire::{Decoder, Error, TooSmall};

/// Receiving half: the bytes of a stream gathered into bodies.
///
/// `N` is the longest frame in bytes, delimiter excluded.
#[derive(Debug, Default)]
pub struct Receiver<const N: usize> {
    decoder: Decoder<N>,
}

/// A frame could not be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError<E> {
    /// The stream failed; bytes of an unfinished frame are kept.
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
        }
    }

    /// Waits for the next body.
    pub fn receive<R: Read>(&mut self, stream: &mut R) -> Result<&[u8], ReceiveError<R::Error>> {
        loop {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(0) => return Err(ReceiveError::End),
                Ok(_) => {}
                Err(error) => return Err(ReceiveError::Io(error)),
            }
            let [byte] = byte;
            if self.decoder.ends_frame(byte) {
                return self.decoder.take().map_err(ReceiveError::Frame);
            }
        }
    }
}

/// Sending half: a buffer for one frame of `N` bytes.
#[derive(Debug)]
pub struct Sender<const N: usize> {
    line: [u8; N],
}

/// A frame could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<E> {
    /// The stream failed.
    Io(E),
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
        Sender { line: [0; N] }
    }

    /// Encodes one message into the buffer and writes it out.
    pub fn send<W: Write>(
        &mut self,
        stream: &mut W,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, TooSmall>,
    ) -> Result<(), SendError<W::Error>> {
        let length = encode(&mut self.line).map_err(|TooSmall| SendError::TooSmall)?;
        let frame = self.line.get(..length).ok_or(SendError::TooSmall)?;
        stream.write_all(frame).map_err(SendError::Io)?;
        stream.flush().map_err(SendError::Io)
    }
}
