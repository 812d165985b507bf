//! A stream whose bytes suffer both ways, each as often as any other: flipped, lost, doubled, or swapped with the next.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use crate::model::Noise;

/// Bytes that suffered, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suffered {
    /// One bit is another.
    pub flipped: u32,
    /// Never arrived.
    pub lost: u32,
    /// Arrived twice.
    pub doubled: u32,
    /// Arrived behind the next.
    pub swapped: u32,
}

/// One end of a line, the host's; what it writes and what it reads has suffered.
#[derive(Debug)]
pub struct Noisy<S> {
    stream: S,
    /// One byte in so many suffers; 0: none.
    once_in: u32,
    noise: Noise,
    suffered: Suffered,
    arrived: VecDeque<u8>,
}

impl<S> Noisy<S> {
    /// A stream of which one byte in `once_in` suffers.
    pub fn new(stream: S, once_in: u32, seed: u32) -> Self {
        Noisy {
            stream,
            once_in,
            noise: Noise::new(seed),
            suffered: Suffered::default(),
            arrived: VecDeque::new(),
        }
    }

    /// What has suffered so far.
    pub fn suffered(&self) -> Suffered {
        self.suffered
    }

    /// The line is a good one from now on.
    pub fn calm(&mut self) {
        self.once_in = 0;
    }

    /// What arrives of these bytes.
    fn through(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let mut arriving = Vec::with_capacity(bytes.len());
        for at in 0..bytes.len() {
            let byte = bytes[at];
            let strikes =
                self.once_in != 0 && u32::from(self.noise.bits()).is_multiple_of(self.once_in);
            match strikes.then(|| self.noise.bits() % 4) {
                None => arriving.push(byte),
                Some(0) => {
                    self.suffered.flipped += 1;
                    arriving.push(byte ^ 1 << (self.noise.bits() % 8));
                }
                Some(1) => self.suffered.lost += 1,
                Some(2) => {
                    self.suffered.doubled += 1;
                    arriving.extend([byte; 2]);
                }
                Some(_) => match bytes.get_mut(at + 1) {
                    Some(next) => {
                        self.suffered.swapped += 1;
                        arriving.push(std::mem::replace(next, byte));
                    }
                    None => arriving.push(byte),
                },
            }
        }
        arriving
    }
}

impl<S: Read> Read for Noisy<S> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        if self.arrived.is_empty() {
            let mut bytes = [0; 1024];
            let count = self.stream.read(&mut bytes)?;
            if count == 0 {
                return Ok(0);
            }
            let arriving = self.through(&bytes[..count]);
            self.arrived.extend(arriving);
        }
        if self.arrived.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // A queue is a stream of its own.
        self.arrived.read(place)
    }
}

impl<S: Write> Write for Noisy<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let arriving = self.through(bytes);
        self.stream.write_all(&arriving)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
