//! The host's end of the wire: asks, waits, asks again.

mod asking;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bt_core::detection::{Detection, Rule};
use bt_core::{InputType, Model};
use bt_embed::wire::{Decoder, Golden, NO_TAG, Reply, Request, Statistics, detection_of, frame};

/// Longest frame that we read; longer than any that firmware sends.
const LINE_BYTES_MAX: usize = 4096;

/// How long a reply may take before the request is sent again, beside the steps that it makes.
const REPLY_PATIENCE: Duration = Duration::from_secs(3);

/// So much longer may a step take than the device says: emulators share their host with others.
const SLACK: u64 = 2;

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
    /// Ticks that a step may take.
    pub step_ticks: u32,
    /// Samples in a second that a model of sound takes, 0 for others.
    pub sample_hz: u32,
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

/// Slots for models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Bytes of the longest image that a slot holds; 0 without slots.
    pub image_bytes_max: usize,
    /// Bytes of arena that a model may take.
    pub arena_bytes_max: usize,
    /// Bytes of a piece at most.
    pub piece_bytes_max: usize,
    /// The slot served, 1 or 2; 0 for the model in the program, or none.
    pub served: u8,
    /// Its number, one more with every model.
    pub sequence: u32,
    /// Why a newer model than the one served is not.
    pub passed_over: String,
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
    /// How long the steps of the longest chunk may take.
    steps_of_chunk: Duration,
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
            steps_of_chunk: Duration::ZERO,
            deadline,
            repeats: 0,
        }
    }

    /// Waits this long for a reply before it asks again, instead of 3 s; longer by what the steps of a chunk may
    /// take, once the device has said it ([`Device::hello`]).
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The stream that it talks over.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Requests that were sent again so far.
    pub fn repeats(&self) -> u32 {
        self.repeats
    }

    /// Asks who it is; it shall hold this model.
    ///
    /// # Errors
    ///
    /// It holds another one, or as of [`hello`](Self::hello).
    pub fn hello_with(&mut self, model: &Model<'_>) -> Result<Identity> {
        let identity = self.hello()?;
        if identity.model_crc != model.crc() {
            bail!("the firmware holds another model");
        }
        Ok(identity)
    }

    /// Asks who it is.
    ///
    /// # Errors
    ///
    /// The device refuses, or the line is dead; so for every call below.
    pub fn hello(&mut self) -> Result<Identity> {
        let identity = self.ask(&Request::Hello, |reply| match reply {
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
                step_ticks: hello.step_ticks,
                sample_hz: hello.sample_hz,
                board: hello.board.to_owned(),
                model: hello.model.to_owned(),
            }),
            _ => None,
        })?;
        self.steps_of_chunk = steps_of_chunk(&identity);
        Ok(identity)
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
        self.ready(&Request::Reset)
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

    /// Takes a step of a drawing, number `number` of a seed, after `step` of its steps; the bits that it drew.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn draw(&mut self, seed: u64, number: u32, step: u32) -> Result<Vec<u8>> {
        let mut bits: Vec<u8> = Vec::new();
        loop {
            let first = u16::try_from(bits.len()).context("the count of bits")?;
            let request = Request::Draw {
                seed,
                number,
                step,
                first,
            };
            let due = step.wrapping_add(1);
            let (part, count) = self.ask(&request, |reply| match reply {
                Reply::Drawn(drawn) if drawn.first == first && drawn.steps == due => {
                    let bits: Vec<u8> = drawn.bits.iter().collect();
                    Some((bits, usize::from(drawn.count)))
                }
                _ => None,
            })?;
            if part.is_empty() {
                bail!("the device sent no bits");
            }
            bits.extend(part);
            if bits.len() >= count {
                return Ok(bits);
            }
        }
    }

    /// Takes a step of a picture, number `number` of a seed, after `step` of its steps, and asks for no pixel of so many.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn paint(&mut self, seed: u64, number: u32, step: u32, pixels: u16) -> Result<()> {
        let greys = self.greys((seed, number), step, pixels)?;
        if !greys.is_empty() {
            bail!("the device sent pixels beyond the last");
        }
        Ok(())
    }

    /// The greys of a picture after the step that [`Device::paint`] takes, and takes it where it was not.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn pixels(&mut self, seed: u64, number: u32, step: u32, pixels: u16) -> Result<Vec<u8>> {
        let mut greys: Vec<u8> = Vec::new();
        while greys.len() < usize::from(pixels) {
            let part = self.greys((seed, number), step, greys.len() as u16)?;
            if part.is_empty() {
                bail!("the device sent no pixels");
            }
            greys.extend(part);
        }
        Ok(greys)
    }

    /// Greys from pixel `first` on, as many as a reply holds.
    fn greys(&mut self, (seed, number): (u64, u32), step: u32, first: u16) -> Result<Vec<u8>> {
        let request = Request::Draw {
            seed,
            number,
            step,
            first,
        };
        let due = step.wrapping_add(1);
        self.ask(&request, |reply| match reply {
            Reply::Painted(painted) if painted.first == first && painted.steps == due => {
                Some(painted.greys.to_vec())
            }
            _ => None,
        })
    }

    /// The word of a caption, number `number` of a seed, after `word` of its words, and what it is called;
    /// `temperature` as of [`Request::Tell`].
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn tell(
        &mut self,
        (seed, number, temperature): (u64, u32, u16),
        word: u16,
    ) -> Result<(usize, String)> {
        let request = Request::Tell {
            seed,
            number,
            temperature,
            word,
        };
        self.ask(&request, |reply| match reply {
            Reply::Told {
                at,
                word: told,
                text,
            } if at == word => Some((told.into(), text.to_owned())),
            _ => None,
        })
    }

    /// Looks for a class by this rule from now on, or no longer.
    ///
    /// # Errors
    ///
    /// The device says that there is no such class or rule; or as [`Device::hello`].
    pub fn watch(&mut self, class: usize, rule: Option<Rule>) -> Result<()> {
        let class = u16::try_from(class).context("the class")?;
        self.ready(&Request::Watch { class, rule })
    }

    /// Begins the state anew every so many steps; 0 for one that goes on.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`].
    pub fn window(&mut self, steps: u32) -> Result<()> {
        self.ready(&Request::Window { steps })
    }

    /// What was detected since the reset, from number `first` on.
    ///
    /// # Errors
    ///
    /// Some of them are no longer kept: ask more often; or as [`Device::hello`].
    pub fn detections(&mut self, first: u32) -> Result<Vec<Detection>> {
        let mut all = Vec::new();
        loop {
            let next = first + u32::try_from(all.len()).context("the count of detections")?;
            let request = Request::Detections { first: next };
            let (total, from, found) = self.ask(&request, |reply| match reply {
                Reply::Detections {
                    total,
                    first,
                    bytes,
                } => Some((total, first, bytes.to_vec())),
                _ => None,
            })?;
            if from > next {
                bail!("detections {next} to {} are no longer kept", from - 1);
            }
            let (found, _) = found.as_chunks();
            all.extend(found.iter().map(|&bytes| detection_of(bytes)));
            if found.is_empty() || first as usize + all.len() >= total as usize {
                return Ok(all);
            }
        }
    }

    fn ready(&mut self, request: &Request<'_>) -> Result<()> {
        self.ask(request, |reply| matches!(reply, Reply::Ready).then_some(()))
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

    /// The state of the session, between steps.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`], or it came damaged: a step was taken between its parts.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        let mut state = Vec::new();
        loop {
            let from = u32::try_from(state.len()).context("the state")?;
            let (total, part) = self.ask(&Request::Save { at: from }, |reply| match reply {
                Reply::State { total, at, bytes } if at == from => Some((total, bytes.to_vec())),
                _ => None,
            })?;
            let is_last = part.is_empty();
            state.extend(part);
            if state.len() >= total as usize || is_last {
                bt_core::Session::saved_by(&state).context("the device's state")?;
                return Ok(state);
            }
        }
    }

    /// Goes on from a saved state; the next chunk is the first after it.
    ///
    /// # Errors
    ///
    /// The state is damaged or another model's, by its own words or by the device's, which is at its start then; or
    /// as [`Device::hello`].
    pub fn load(&mut self, identity: &Identity, state: &[u8]) -> Result<()> {
        let model = bt_core::Session::saved_by(state)?;
        if model != identity.model_crc {
            let device = identity.model_crc;
            bail!("the state is of model {model:08x}, the device has model {device:08x}");
        }
        self.next_chunk = 0;
        let part_bytes = (identity.chunk_bytes_max & !3).max(4);
        for (index, part) in state.chunks(part_bytes).enumerate() {
            let at = index * part_bytes;
            let (wanted, whole) = (at + part.len(), state.len());
            let at = u32::try_from(at).context("the state")?;
            let (due, total) =
                self.ask(&Request::Load { at, bytes: part }, |reply| match reply {
                    Reply::Loaded { due, total } => Some((due as usize, total as usize)),
                    _ => None,
                })?;
            if total != whole {
                bail!("a state has {total} bytes, not {whole}");
            }
            if due != wanted {
                bail!("the device wants byte {due} of the state next");
            }
        }
        Ok(())
    }

    /// What slots for models there are.
    ///
    /// # Errors
    ///
    /// As [`Device::hello`]; a device without a model answers too.
    pub fn slots(&mut self) -> Result<Slots> {
        self.ask(&Request::Slots, |reply| match reply {
            Reply::Slots(slots) => Some(Slots {
                image_bytes_max: slots.image_bytes_max as usize,
                arena_bytes_max: slots.arena_bytes as usize,
                piece_bytes_max: slots.piece_bytes_max.into(),
                served: slots.served,
                sequence: slots.sequence,
                passed_over: slots.passed_over.to_owned(),
            }),
            _ => None,
        })
    }

    /// Writes an image, a model file and what the product appends, into the slot that is not served. The device then
    /// serves it, if it is good: [`Device::hello`] says which it serves.
    ///
    /// # Errors
    ///
    /// The device has no slots, they are too small, the device does not accept the model; or as [`Device::hello`].
    pub fn put_model(&mut self, image: &[u8]) -> Result<()> {
        let slots = self.slots()?;
        let (need, have) = (image.len(), slots.image_bytes_max);
        if have == 0 {
            bail!("this firmware has no slots for models");
        }
        if need > have {
            bail!("the model has {need} bytes, a slot {have}");
        }
        let crc = bt_core::health::Crc32c::new().with(image).value();
        let length = u32::try_from(need).context("the model")?;
        self.piece(&Request::Begin { length, crc }, 0)?;
        let piece_bytes = slots.piece_bytes_max.max(1);
        for (index, bytes) in image.chunks(piece_bytes).enumerate() {
            let at = index * piece_bytes;
            let request = Request::Piece {
                at: u32::try_from(at).context("the model")?,
                bytes,
            };
            self.piece(&request, at + bytes.len())?;
        }
        let rejected = self.ask(&Request::Commit { crc }, |reply| match reply {
            Reply::Ready => Some(None),
            Reply::Rejected { reason } => Some(Some(reason.to_owned())),
            _ => None,
        })?;
        if let Some(reason) = rejected {
            bail!("the device does not accept the model: {reason}");
        }
        Ok(())
    }

    /// Sends a piece of a model, after which that at `due` is to come.
    fn piece(&mut self, request: &Request<'_>, due: usize) -> Result<()> {
        let wanted = self.ask(request, |reply| match reply {
            Reply::Written { due } => Some(due as usize),
            _ => None,
        })?;
        if wanted != due {
            bail!("the device wants byte {wanted} of the model next");
        }
        Ok(())
    }
}

/// How long the steps of the longest chunk of a device may take.
fn steps_of_chunk(identity: &Identity) -> Duration {
    let frame_bytes = identity.frame_values * identity.input.bytes();
    let steps = identity.chunk_bytes_max / frame_bytes.max(1) + 1;
    let ticks = SLACK * u64::from(identity.step_ticks) * steps as u64;
    Duration::from_secs_f64(ticks as f64 / f64::from(identity.tick_hz.max(1)))
}

const _: () = assert!(LINE_BYTES_MAX > frame::line_bytes_max(u8::MAX as usize));

#[cfg(test)]
mod tests;
