//! A line on which everything fails now and then.

use super::*;

/// A read or write that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub ErrorKind);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Failed {}

impl embedded_io::Error for Failed {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

/// What a read gives.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Byte(u8),
    Fails(ErrorKind),
}

/// Faults that struck, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Struck {
    pub flips: u32,
    pub drops: u32,
    pub inserts: u32,
    pub cuts: u32,
    pub doubles: u32,
    pub floods: u32,
    pub read_errors: u32,
    pub interruptions: u32,
    pub write_errors: u32,
}

/// A line and the host at its other end.
pub struct Faulty<H> {
    pub host: H,
    pub once_in: u16,
    pub noise: Noise,
    pub struck: Struck,
    pub to_device: VecDeque<Event>,
    pub from_device: Vec<u8>,
    /// What the device said, before the line touched it.
    pub said: LineCounts,
}

impl<H> Faulty<H> {
    pub fn new(host: H, once_in: u16, seed: u32) -> Self {
        Faulty {
            host,
            once_in,
            noise: Noise::new(seed),
            struck: Struck::default(),
            to_device: VecDeque::new(),
            from_device: Vec::new(),
            said: LineCounts::default(),
        }
    }

    pub fn strikes(&mut self) -> bool {
        self.once_in != 0 && self.noise.bits().is_multiple_of(self.once_in)
    }

    pub fn place(&mut self, bytes: &[u8]) -> usize {
        usize::from(self.noise.bits()) % bytes.len()
    }

    /// What arrives of a frame.
    pub fn transmit(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut bytes = frame.to_vec();
        if self.strikes() {
            self.struck.flips += 1;
            let at = self.place(&bytes);
            bytes[at] ^= 1 << (self.noise.bits() % 8);
        }
        if self.strikes() {
            self.struck.drops += 1;
            bytes.remove(self.place(&bytes));
        }
        if self.strikes() {
            self.struck.inserts += 1;
            bytes.insert(self.place(&bytes), self.noise.bits() as u8);
        }
        if self.strikes() {
            self.struck.cuts += 1;
            bytes.truncate(self.place(&bytes));
        }
        if self.strikes() {
            self.struck.doubles += 1;
            bytes.extend_from_within(..);
        }
        if self.strikes() {
            self.struck.floods += 1;
            let flood = (0..2 * LINE).map(|_| self.noise.bits() as u8 | 1);
            bytes.splice(0..0, flood.collect::<Vec<_>>());
        }
        bytes
    }

    /// A frame on its way to the device, whose reads may fail in it.
    pub fn send(&mut self, frame: &[u8]) {
        let bytes = self.transmit(frame);
        let mut events: VecDeque<Event> = bytes.iter().copied().map(Event::Byte).collect();
        if self.strikes() {
            self.struck.read_errors += 1;
            let at = self.place(frame).min(events.len());
            events.insert(at, Event::Fails(ErrorKind::Other));
            // An overrun loses the byte, noise may not.
            if self.noise.bits().is_multiple_of(2) {
                events.remove(at + 1);
            }
        }
        if self.strikes() {
            self.struck.interruptions += 1;
            let at = self.place(frame).min(events.len());
            let kinds = [ErrorKind::Interrupted, ErrorKind::TimedOut];
            let kind = kinds[usize::from(self.noise.bits() % 2)];
            events.insert(at, Event::Fails(kind));
        }
        self.to_device.extend(events);
    }
}

impl<H> embedded_io::ErrorType for Faulty<H> {
    type Error = Failed;
}

/// The end of the line that speaks first.
pub trait Host {
    /// The next frame, once everything that arrived has been looked at; `None` to hang up.
    fn turn(&mut self, arrived: Vec<u8>) -> Option<Vec<u8>>;
}

impl<H: Host> Read for Faulty<H> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failed> {
        loop {
            match self.to_device.pop_front() {
                Some(Event::Byte(byte)) => {
                    buffer[0] = byte;
                    return Ok(1);
                }
                Some(Event::Fails(kind)) => return Err(Failed(kind)),
                None => {
                    let arrived = std::mem::take(&mut self.from_device);
                    let Some(frame) = self.host.turn(arrived) else {
                        return Ok(0);
                    };
                    self.send(&frame);
                }
            }
        }
    }
}

impl<H: Host> Write for Faulty<H> {
    /// One call for every frame, as the sender writes.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Failed> {
        // A delimiter alone: it ends a frame that failed before.
        if bytes.len() == 1 {
            self.from_device.extend(bytes);
            return Ok(1);
        }
        if self.strikes() {
            self.struck.interruptions += 1;
            return Err(Failed(ErrorKind::Interrupted));
        }
        if let Some(Reply::Error(error)) = said(bytes) {
            match error {
                Error::Garbled => self.said.frames_garbled += 1,
                Error::TooLong { .. } => self.said.frames_too_long += 1,
                Error::Line => self.said.frames_lost += 1,
                _ => {}
            }
        }
        if self.strikes() {
            self.struck.write_errors += 1;
            let at = self.place(bytes);
            self.from_device.extend(&bytes[..at]);
            return Err(Failed(ErrorKind::Other));
        }
        let arriving = self.transmit(bytes);
        self.from_device.extend(arriving);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Failed> {
        Ok(())
    }
}

/// The error without a tag that a frame holds, if it holds one.
pub fn said(frame: &[u8]) -> Option<Reply<'static>> {
    let mut decoder = Decoder::<4096>::new();
    let ended = frame.iter().any(|&byte| decoder.ends_frame(byte));
    match Reply::decode(decoder.take().ok().filter(|_| ended)?) {
        Ok((NO_TAG, Reply::Error(error))) => Some(Reply::Error(error)),
        _ => None,
    }
}
