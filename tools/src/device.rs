//! The host's end of the wire: asks, waits, asks again.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bt_core::InputType;
use bt_embed::wire::{Decoder, Error, Golden, NO_TAG, Reply, Request, Statistics, frame};

/// Longest frame that we read; longer than any that firmware sends.
const LINE_BYTES_MAX: usize = 4096;

/// How long a reply may take before the request is sent again.
const REPLY_PATIENCE: Duration = Duration::from_secs(3);

/// Cycles that a multiply-accumulate of [`Model::frame_work`](bt_core::Model::frame_work) takes at most, on any core:
/// twice what portable code needs on a Cortex-M0.
const CYCLES_PER_MAC: u64 = 16;

/// How often a request is sent before the line is given up.
const TRIES: usize = 12;

/// Who a device says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Version of the firmware.
    pub firmware: [u8; 3],
    /// Type of the values to send.
    pub input: InputType,
    /// Whether the self test passed.
    pub golden: Golden,
    /// Raw scores are logits times 2 to this power.
    pub score_shift: i32,
    /// Bytes in one chunk at most.
    pub chunk_bytes_max: usize,
    /// Count of classes.
    pub classes: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Values of one step.
    pub frame_values: usize,
    /// Bytes of the session's memory.
    pub arena_bytes: usize,
    /// CRC-32C of the model's file.
    pub model_crc: u32,
    /// Ticks in a second.
    pub tick_hz: u32,
    /// The board.
    pub board: String,
    /// The model.
    pub model: String,
}

/// Scores of all classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Steps since the reset.
    pub steps: u32,
    /// Class with the largest score.
    pub best: usize,
    /// Softmax of its score, as the device computed it.
    pub confidence: f32,
    /// The device's own scores.
    pub raw: Vec<i32>,
}

/// A device at the other end of a stream whose reads and writes return after a
/// while with `WouldBlock` or `TimedOut` when nothing moves.
#[derive(Debug)]
pub struct Device<S> {
    stream: S,
    decoder: Box<Decoder<LINE_BYTES_MAX>>,
    /// Bytes read and not looked at yet, last first.
    unread: Vec<u8>,
    tag: u8,
    next_chunk: u32,
    patience: Duration,
    deadline: Instant,
    repeats: u32,
}

impl<S: Read + Write> Device<S> {
    /// Talks over `stream` until `deadline`, after which every call fails.
    pub fn new(stream: S, deadline: Instant) -> Self {
        Device {
            stream,
            decoder: Box::default(),
            unread: Vec::new(),
            tag: NO_TAG,
            next_chunk: 0,
            patience: REPLY_PATIENCE,
            deadline,
            repeats: 0,
        }
    }

    /// Waits this long for a reply before it asks again, instead of 3 s.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Waits as long as a chunk may take: the steps that it completes, each of so much work.
    pub fn allow_for(&mut self, identity: &Identity, frame_work: u32) {
        self.set_patience(patience(identity, frame_work));
    }

    /// Requests that were sent again so far.
    pub fn repeats(&self) -> u32 {
        self.repeats
    }

    /// Asks who it is.
    ///
    /// # Errors
    ///
    /// The device refuses, or the line is dead; so for every call below.
    pub fn hello(&mut self) -> Result<Identity> {
        self.ask(&Request::Hello, |reply| match reply {
            Reply::Hello(hello) => Some(Identity {
                firmware: hello.firmware,
                input: hello.input,
                golden: hello.golden,
                score_shift: hello.score_shift,
                chunk_bytes_max: hello.chunk_bytes_max.into(),
                classes: hello.classes.into(),
                hidden: hello.hidden.into(),
                frame_values: hello.frame_values as usize,
                arena_bytes: hello.arena_bytes as usize,
                model_crc: hello.model_crc,
                tick_hz: hello.tick_hz,
                board: hello.board.to_owned(),
                model: hello.model.to_owned(),
            }),
            _ => None,
        })
    }

    /// The name of a class; empty when it has none.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn label(&mut self, class: usize) -> Result<String> {
        let class = u16::try_from(class).context("the class")?;
        self.ask(&Request::Label { class }, |reply| match reply {
            Reply::Label { class: of, text } if of == class => Some(text.to_owned()),
            _ => None,
        })
    }

    /// Back to the start.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn reset(&mut self) -> Result<()> {
        self.next_chunk = 0;
        self.ask(&Request::Reset, |reply| {
            matches!(reply, Reply::Ready).then_some(())
        })
    }

    /// Sends one chunk of at most [`Identity::chunk_bytes_max`] bytes; the count
    /// of steps since the reset.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<u32> {
        let sequence = self.next_chunk;
        let request = Request::Data { sequence, bytes };
        let due = sequence.wrapping_add(1);
        let steps = self.ask(&request, |reply| match reply {
            Reply::Taken { next, steps } if next == due => Some(steps),
            _ => None,
        })?;
        self.next_chunk = due;
        Ok(steps)
    }

    /// Ends an utterance: its last step is completed with silence; the count of
    /// steps since the reset.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn finish(&mut self) -> Result<u32> {
        self.ask(&Request::Finish, |reply| match reply {
            Reply::Taken { steps, .. } => Some(steps),
            _ => None,
        })
    }

    /// Scores of all classes after the steps so far.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn scores(&mut self) -> Result<Scores> {
        let mut all: Option<Scores> = None;
        loop {
            let done = all.as_ref().map_or(0, |scores| scores.raw.len());
            let first = u16::try_from(done).context("the count of classes")?;
            let (part, classes) = self.ask(&Request::Scores { first }, |reply| match reply {
                Reply::Scores(scores) if scores.first == first => Some((
                    Scores {
                        steps: scores.steps,
                        best: scores.best.into(),
                        confidence: scores.confidence,
                        raw: scores.raw.iter().collect(),
                    },
                    usize::from(scores.classes),
                )),
                _ => None,
            })?;
            if part.raw.is_empty() && done < classes {
                bail!("the device sent no scores");
            }
            let all = match &mut all {
                None => all.insert(part),
                Some(all) => {
                    all.raw.extend(part.raw);
                    all
                }
            };
            if all.raw.len() >= classes {
                return Ok(all.clone());
            }
        }
    }

    /// Counts and times of the period under way.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn statistics(&mut self) -> Result<Statistics> {
        self.ask(&Request::Statistics, |reply| match reply {
            Reply::Statistics(statistics) => Some(statistics),
            _ => None,
        })
    }

    /// Ends the period under way and begins the next; the counts and times of
    /// the one that ends. Only requests make steps, so none is lost between.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn clear(&mut self) -> Result<Statistics> {
        let ended = self.statistics()?;
        let period = ended.period;
        self.ask(&Request::Clear { period }, |reply| {
            matches!(reply, Reply::Ready).then_some(())
        })?;
        Ok(ended)
    }

    /// Sends a request until its reply comes. `read` takes the reply that
    /// answers it and `None` of any other.
    fn ask<T>(
        &mut self,
        request: &Request<'_>,
        read: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<T> {
        self.tag = if self.tag == u8::MAX { 1 } else { self.tag + 1 };
        let mut line = [0; LINE_BYTES_MAX];
        // A delimiter in front ends whatever noise the device holds.
        let length = request
            .encode(self.tag, &mut line[1..])
            .map_err(|error| anyhow!("{error}"))?;
        let mut last = None;
        for attempt in 0..TRIES {
            self.repeats += u32::from(attempt > 0);
            let frame = if attempt == 0 {
                &line[1..=length]
            } else {
                &line[..=length]
            };
            self.send(frame)?;
            match self.reply(&read)? {
                Answer::Reply(value) => return Ok(value),
                Answer::Refused(error) => bail!("the device answered: {error}"),
                Answer::NoModel(reason) => bail!("the device has no model to serve: {reason}"),
                Answer::Garbled(error) => last = Some(error),
                Answer::Silence => {}
            }
        }
        match last {
            Some(error) => bail!("the line is too noisy: {error}, {TRIES} times in a row"),
            None => bail!("the device does not answer"),
        }
    }

    /// Waits for the reply with our tag, or for a reason to send again.
    fn reply<T>(&mut self, read: impl Fn(Reply<'_>) -> Option<T>) -> Result<Answer<T>> {
        let until = Instant::now() + self.patience;
        loop {
            while let Some(byte) = self.unread.pop() {
                if !self.decoder.ends_frame(byte) {
                    continue;
                }
                match self.decoder.take().and_then(Reply::decode) {
                    Ok((tag, Reply::Error(error))) if tag == self.tag => {
                        return Ok(Answer::Refused(error));
                    }
                    Ok((tag, Reply::Refused { reason })) if tag == self.tag => {
                        return Ok(Answer::NoModel(reason.to_owned()));
                    }
                    Ok((NO_TAG, Reply::Error(error))) => return Ok(Answer::Garbled(error)),
                    Ok((tag, reply)) if tag == self.tag => {
                        if let Some(value) = read(reply) {
                            return Ok(Answer::Reply(value));
                        }
                    }
                    // A late answer to an earlier sending.
                    Ok(_) => {}
                    // Not noise, the checksum holds: asking again changes nothing.
                    Err(error @ Error::Version { .. }) => return Ok(Answer::Refused(error)),
                    // Noise on its way to us: the device has answered, ask again.
                    Err(error) => return Ok(Answer::Garbled(error)),
                }
            }
            if Instant::now() >= until {
                return Ok(Answer::Silence);
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<()> {
        let mut bytes = [0; 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("the device is gone"),
            Ok(count) => self.unread.extend(bytes[..count].iter().rev()),
            Err(error) if waits(error.kind()) => self.in_time()?,
            Err(error) => return Err(error).context("reading from the device"),
        }
        Ok(())
    }

    fn send(&mut self, mut frame: &[u8]) -> Result<()> {
        while !frame.is_empty() {
            match self.stream.write(frame) {
                Ok(0) => bail!("the device is gone"),
                Ok(count) => frame = &frame[count..],
                Err(error) if waits(error.kind()) => self.in_time()?,
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    bail!("the device is gone")
                }
                Err(error) => return Err(error).context("writing to the device"),
            }
        }
        Ok(())
    }

    fn in_time(&self) -> Result<()> {
        if Instant::now() >= self.deadline {
            bail!("the device was not done in time");
        }
        Ok(())
    }
}

/// How long the longest chunk of a device may take, 3 s at least.
fn patience(identity: &Identity, frame_work: u32) -> Duration {
    let frame_bytes = identity.frame_values * identity.input.bytes();
    let steps = identity.chunk_bytes_max / frame_bytes.max(1) + 1;
    let cycles = CYCLES_PER_MAC * u64::from(frame_work) * steps as u64;
    let milliseconds = 1000 * cycles / u64::from(identity.tick_hz.max(1));
    REPLY_PATIENCE.max(Duration::from_millis(milliseconds))
}

/// What came of one sending.
enum Answer<T> {
    Reply(T),
    Refused(Error),
    NoModel(String),
    Garbled(Error),
    Silence,
}

fn waits(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

const _: () = assert!(LINE_BYTES_MAX > frame::line_bytes_max(u8::MAX as usize));

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(frame_values: usize, tick_hz: u32) -> Identity {
        Identity {
            firmware: [0, 1, 0],
            input: InputType::I16,
            golden: Golden::Passed,
            score_shift: 0,
            chunk_bytes_max: 1000,
            classes: 2,
            hidden: 4,
            frame_values,
            arena_bytes: 256,
            model_crc: 0,
            tick_hz,
            board: String::new(),
            model: String::new(),
        }
    }

    /// By hand: 16 cycles · work · steps of a chunk / clock.
    #[test]
    fn a_slow_core_is_given_the_time_that_it_needs() {
        // A small step takes no time that counts.
        assert_eq!(patience(&identity(100, 16_000_000), 1000), REPLY_PATIENCE);
        // The largest there is, on a Cortex-M0 at 16 MHz: 2^28 · 16 / 16e6.
        let longest = patience(&identity(57_600, 16_000_000), 1 << 28);
        assert_eq!(longest, Duration::from_millis(268_435));
        // Five frames of 200 bytes end in a chunk of 1000, and a sixth that began before.
        let several = patience(&identity(100, 16_000_000), 1_000_000);
        assert_eq!(several, Duration::from_secs(6));
        assert!(patience(&identity(0, 0), 1) >= REPLY_PATIENCE);
    }
}
