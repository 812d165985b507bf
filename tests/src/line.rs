//! A line in memory, and what noise does to it.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::model::Noise;

/// How often each fault strikes: once in so many bytes, 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// One bit of the byte is flipped.
    pub flip: u16,
    /// The byte is lost.
    pub drop: u16,
    /// A byte of noise comes before it.
    pub insert: u16,
    /// The rest of what is written at once is lost.
    pub cut: u16,
}

/// One end of a line. The bytes that it writes suffer its faults.
#[derive(Debug)]
pub struct End {
    to: Sender<u8>,
    from: Receiver<u8>,
    faults: Faults,
    noise: Noise,
    patience: Duration,
}

/// Both ends of a line with faults of its own each way.
pub fn line(host: Faults, device: Faults, seed: u32) -> (End, End) {
    let (to_device, from_host) = channel();
    let (to_host, from_device) = channel();
    let end = |to, from, faults, seed| End {
        to,
        from,
        faults,
        noise: Noise::new(seed),
        patience: Duration::from_millis(20),
    };
    (
        end(to_device, from_device, host, seed),
        end(to_host, from_host, device, seed ^ 0x5555),
    )
}

impl End {
    fn strikes(&mut self, once_in: u16) -> bool {
        once_in != 0 && self.noise.bits().is_multiple_of(once_in)
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        for &byte in bytes {
            if self.strikes(self.faults.cut) {
                break;
            }
            if self.strikes(self.faults.drop) {
                continue;
            }
            // The other end may be gone; what is written then is lost.
            if self.strikes(self.faults.insert) {
                let _ = self.to.send(self.noise.bits() as u8);
            }
            let flipped = if self.strikes(self.faults.flip) {
                1 << (self.noise.bits() % 8)
            } else {
                0
            };
            let _ = self.to.send(byte ^ flipped);
        }
        bytes.len()
    }
}

impl io::Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        match self.from.recv_timeout(self.patience) {
            Ok(byte) => *first = byte,
            Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::WouldBlock.into()),
            Err(RecvTimeoutError::Disconnected) => return Ok(0),
        }
        let rest = buffer.iter_mut().skip(1).zip(self.from.try_iter());
        Ok(1 + rest.map(|(place, byte)| *place = byte).count())
    }
}

impl io::Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.transmit(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The device's side: it waits for ever.
#[derive(Debug)]
pub struct Uart(pub End);

impl embedded_io::ErrorType for Uart {
    type Error = Infallible;
}

impl embedded_io::Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        match (buffer.first_mut(), self.0.from.recv()) {
            (Some(place), Ok(byte)) => {
                *place = byte;
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

impl embedded_io::Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.0.transmit(bytes))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
