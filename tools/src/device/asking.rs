//! One request and its reply over a line that may lose, garble or delay either.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use bt_embed::wire::{Error, NO_TAG, Reply, Request};

use super::{Device, LINE_BYTES_MAX};

/// How often a request is sent before the line is given up.
const TRIES: usize = 12;

impl<S: Read + Write> Device<S> {
    /// Sends a request until its reply comes. `read` takes the reply that
    /// answers it and `None` of any other.
    pub(super) fn ask<T>(
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
        // Of silence: each is waited for twice as long as the one before, up to eight times. What is asked again while
        // the first is on its way fills the line, and the reply to the next request waits behind all of it.
        let mut silences = 0;
        for attempt in 0..TRIES {
            self.repeats += u32::from(attempt > 0);
            let frame = if attempt == 0 {
                &line[1..=length]
            } else {
                &line[..=length]
            };
            self.send(frame)?;
            match self.reply(1 << silences, &read)? {
                Answer::Reply(value) => return Ok(value),
                Answer::Refused(error) => bail!("the device answered: {error}"),
                Answer::NoModel(reason) => bail!("the device has no model to serve: {reason}"),
                Answer::Garbled(error) => last = Some(error),
                Answer::Silence => silences = 3.min(silences + 1),
            }
        }
        match last {
            Some(error) => bail!("the line is too noisy: {error}, {TRIES} times in a row"),
            None => bail!("the device does not answer"),
        }
    }

    /// Waits for the reply with our tag, so many times as long as usual, or for a reason to send again.
    fn reply<T>(&mut self, times: u32, read: impl Fn(Reply<'_>) -> Option<T>) -> Result<Answer<T>> {
        let until = Instant::now() + times * (self.patience + self.steps_of_chunk);
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
