//! What the device answers.

use bt_core::{Detection, InputType};

use super::{
    Error, Fields, Header, NAME_BYTES_MAX, Painted, REASON_BYTES_MAX, Short, Statistics, TooSmall,
    VERSION, frame, open,
};

mod kind {
    pub const HELLO: u8 = 0x81;
    pub const LABEL: u8 = 0x82;
    pub const TAKEN: u8 = 0x83;
    pub const SCORES: u8 = 0x84;
    pub const READY: u8 = 0x85;
    pub const STATISTICS: u8 = 0x86;
    pub const STATE: u8 = 0x89;
    pub const LOADED: u8 = 0x8A;
    pub const INPUTS: u8 = 0x8B;
    pub const SLOTS: u8 = 0x8C;
    pub const WRITTEN: u8 = 0x8D;
    pub const DRAWN: u8 = 0x90;
    pub const TOLD: u8 = 0x94;
    pub const DETECTIONS: u8 = 0x93;
    pub const PAINTED: u8 = 0xA0;
    pub const REJECTED: u8 = 0xFD;
    pub const REFUSED: u8 = 0xFE;
    pub const ERROR: u8 = 0xFF;
}

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// Who the device is and what its model takes and gives.
    Hello(Hello<'a>),
    /// The name of a class.
    Label {
        /// Index of the class.
        class: u16,
        /// Its name; empty when the model has none.
        text: &'a str,
    },
    /// A data chunk is taken, now or the first time it came, or an utterance has
    /// ended.
    Taken {
        /// Number of the chunk to send next.
        next: u32,
        /// Steps since the reset.
        steps: u32,
    },
    /// Scores after the steps so far.
    Scores(Scores<'a>),
    /// The session is at its start.
    Ready,
    /// Counts and times.
    Statistics(Statistics),
    /// A part of the session's state.
    State {
        /// Bytes of the whole state.
        total: u32,
        /// Where the part lies in it.
        at: u32,
        /// The part.
        bytes: &'a [u8],
    },
    /// A part of a state is taken, now or the first time it came.
    Loaded {
        /// Where the next part begins; `total` when that was the last.
        due: u32,
        /// Bytes of the whole state.
        total: u32,
    },
    /// How floats become the integers of a frame.
    Inputs {
        /// Places that have an offset and a step of their own: 1, for all of a frame, or all of it.
        places: u32,
        /// The first place in `bytes`.
        first: u32,
        /// Offset and step, f32 each, of one place after the other.
        bytes: &'a [u8],
    },
    /// What slots for models there are.
    Slots(Slots<'a>),
    /// A piece of a model is written, now or the first time it came, or room is made for the first.
    Written {
        /// Where the next piece begins.
        due: u32,
    },
    /// The model that came is not accepted; what was served is served on.
    Rejected {
        /// Why, in the words of whoever refused it.
        reason: &'a str,
    },
    /// What was detected since the reset. The device keeps the last 16.
    Detections {
        /// Detections since the reset.
        total: u32,
        /// Number of the first in `bytes`, from 0: later than the one wanted where that is no longer kept.
        first: u32,
        /// Detections, each as [`bytes_of`] has it.
        bytes: &'a [u8],
    },
    /// A step of a drawing.
    Drawn(Drawn<'a>),
    /// A step of a drawing by a model that paints pictures.
    Painted(Painted<'a>),
    /// A word of a caption.
    Told {
        /// Words of the caption before it.
        at: u16,
        /// The word, a class of the model; [`bt_core::END`] where the caption ends.
        word: u16,
        /// What it is called, cut at [`NAME_BYTES_MAX`] bytes; may be empty.
        text: &'a str,
    },
    /// The device has no model to serve: the answer to every request but those about slots.
    Refused {
        /// Why the model in flash is refused, in the words of whoever refused it.
        reason: &'a str,
    },
    /// The request was not carried out.
    Error(Error),
}

/// Bytes of one detection.
pub const DETECTION_BYTES: usize = 8;

/// A detection as the line has it: step u32, class u16, smoothed probability u16 (Q0.15).
pub fn bytes_of(detection: &Detection) -> [u8; DETECTION_BYTES] {
    let [s0, s1, s2, s3] = detection.step.to_le_bytes();
    let [c0, c1] = (detection.class as u16).to_le_bytes();
    let [p0, p1] = detection.confidence.to_le_bytes();
    [s0, s1, s2, s3, c0, c1, p0, p1]
}

/// The detection that [`bytes_of`] gave such bytes.
pub fn detection_of(bytes: [u8; DETECTION_BYTES]) -> Detection {
    let [s0, s1, s2, s3, c0, c1, p0, p1] = bytes;
    Detection {
        class: u16::from_le_bytes([c0, c1]).into(),
        step: u32::from_le_bytes([s0, s1, s2, s3]),
        confidence: u16::from_le_bytes([p0, p1]),
    }
}

/// Whether the model gave its golden scores at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Golden {
    /// Code 1: the scores were those that the exporter computed.
    Passed,
    /// Code 2: they differed; do not trust this device's scores.
    Failed,
}

/// Who the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Version of the firmware: major, minor, patch.
    pub firmware: [u8; 3],
    /// Type of the values to send, by its number in model files: 0 is `U8`, 1 `I8`, 2 `I16`.
    pub input: InputType,
    /// Result of the self test at boot.
    pub golden: Golden,
    /// Raw scores are logits times 2 to this power.
    pub score_shift: i32,
    /// Bytes of values in one data request at most.
    pub chunk_bytes_max: u16,
    /// Count of scores: classes, or values.
    pub classes: u16,
    /// Hidden units.
    pub hidden: u16,
    /// Values of one step.
    pub frame_values: u32,
    /// Bytes of the session's memory.
    pub arena_bytes: u32,
    /// CRC-32C of the model's file: which model it is.
    pub model_crc: u32,
    /// Ticks of the clock in one second, for [`Statistics`].
    pub tick_hz: u32,
    /// Ticks that a step may take, pushes and scores included: those of a step of the self test at boot, where
    /// values come one by one.
    pub step_ticks: u32,
    /// Samples in one second that a model of sound takes, 0 for all others.
    pub sample_hz: u32,
    /// Name of the board.
    pub board: &'a str,
    /// Name of the model.
    pub model: &'a str,
}

/// Scores, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores<'a> {
    /// Steps since the reset.
    pub steps: u32,
    /// Class with the largest score; 0 where scores are values.
    pub best: u16,
    /// Softmax of its score; 0 where scores are values.
    pub confidence: f32,
    /// Class of the first value in `raw`.
    pub first: u16,
    /// Count of scores in all.
    pub classes: u16,
    /// Raw scores, from `first` on.
    pub raw: Raw<'a>,
}

/// Slots for models: flash of their own, of which one is served while the other is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots<'a> {
    /// Bytes of the longest image that a slot holds; 0 without slots.
    pub image_bytes_max: u32,
    /// Bytes of a piece at most.
    pub piece_bytes_max: u16,
    /// The slot served, 1 or 2; 0 for the model in the program, or none.
    pub served: u8,
    /// Number of the slot served: one more with every model.
    pub sequence: u32,
    /// Bytes of arena that a model may take.
    pub arena_bytes: u32,
    /// Scores that a model may give.
    pub scores: u16,
    /// Why a newer model than the one served is not; empty when there is none.
    pub passed_over: &'a str,
}

/// Bits that a step drew, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn<'a> {
    /// Steps of the drawing.
    pub steps: u32,
    /// Number of the first bit in `bits`.
    pub first: u16,
    /// Count of bits in all.
    pub count: u16,
    /// The bits, from `first` on.
    pub bits: Bits<'a>,
}

/// Bits: one a byte to send, or packed as they came.
#[derive(Clone, Copy, Debug)]
pub enum Bits<'a> {
    /// Zeros and ones on the device.
    Values(&'a [u8]),
    /// Off the line, eight a byte, the first lowest, and how many there are.
    Packed(&'a [u8], usize),
}

impl Bits<'_> {
    /// Zeros and ones in turn.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        let (values, packed, count) = match *self {
            Bits::Values(values) => (values, &[][..], 0),
            Bits::Packed(packed, count) => (&[][..], packed, count),
        };
        let bits = packed
            .iter()
            .flat_map(|byte| (0..8).map(move |at| byte >> at & 1));
        values.iter().copied().chain(bits.take(count))
    }
}

impl PartialEq for Bits<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Raw scores: values to send, or bytes as they came.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    /// Values on the device.
    Values(&'a [i32]),
    /// Little-endian bytes off the line, four a value.
    Bytes(&'a [u8]),
}

impl Raw<'_> {
    /// The values in turn.
    pub fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        let (values, bytes) = match *self {
            Raw::Values(values) => (values, &[][..]),
            Raw::Bytes(bytes) => (&[][..], bytes),
        };
        let bytes = bytes.as_chunks::<4>().0.iter();
        values
            .iter()
            .copied()
            .chain(bytes.map(|chunk| i32::from_le_bytes(*chunk)))
    }
}

impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> Reply<'a> {
    /// Length of the longest body of [`Reply::Refused`].
    pub const REFUSED_BYTES_MAX: usize = super::HEADER_BYTES + 1 + REASON_BYTES_MAX as usize;

    /// Writes the reply's frame into `line`; its length.
    pub fn encode(&self, tag: u8, line: &mut [u8]) -> Result<usize, TooSmall> {
        let kind = match self {
            Reply::Hello(_) => kind::HELLO,
            Reply::Label { .. } => kind::LABEL,
            Reply::Taken { .. } => kind::TAKEN,
            Reply::Scores(_) => kind::SCORES,
            Reply::Ready => kind::READY,
            Reply::Statistics(_) => kind::STATISTICS,
            Reply::State { .. } => kind::STATE,
            Reply::Loaded { .. } => kind::LOADED,
            Reply::Inputs { .. } => kind::INPUTS,
            Reply::Slots(_) => kind::SLOTS,
            Reply::Written { .. } => kind::WRITTEN,
            Reply::Rejected { .. } => kind::REJECTED,
            Reply::Drawn(_) => kind::DRAWN,
            Reply::Painted(_) => kind::PAINTED,
            Reply::Told { .. } => kind::TOLD,
            Reply::Detections { .. } => kind::DETECTIONS,
            Reply::Refused { .. } => kind::REFUSED,
            Reply::Error(_) => kind::ERROR,
        };
        frame::encode(line, |w| {
            w.bytes(&[VERSION, kind, tag])?;
            match *self {
                Reply::Hello(ref hello) => hello.encode(w),
                Reply::Label { class, text } => {
                    w.u16(class)?;
                    w.text(text, NAME_BYTES_MAX)
                }
                Reply::Taken { next, steps } => {
                    w.u32(next)?;
                    w.u32(steps)
                }
                Reply::Scores(ref scores) => scores.encode(w),
                Reply::Ready => Ok(()),
                Reply::Statistics(ref statistics) => statistics.encode(w),
                Reply::State {
                    total,
                    at: from,
                    bytes,
                }
                | Reply::Inputs {
                    places: total,
                    first: from,
                    bytes,
                }
                | Reply::Detections {
                    total,
                    first: from,
                    bytes,
                } => {
                    w.u32(total)?;
                    w.u32(from)?;
                    w.bytes(bytes)
                }
                Reply::Loaded { due, total } => {
                    w.u32(due)?;
                    w.u32(total)
                }
                Reply::Slots(ref slots) => slots.encode(w),
                Reply::Written { due } => w.u32(due),
                Reply::Rejected { reason } | Reply::Refused { reason } => {
                    w.text(reason, REASON_BYTES_MAX)
                }
                Reply::Drawn(ref drawn) => drawn.encode(w),
                Reply::Painted(ref painted) => painted.encode(w),
                Reply::Told { at, word, text } => {
                    w.u16(at)?;
                    w.u16(word)?;
                    w.text(text, NAME_BYTES_MAX)
                }
                Reply::Error(error) => {
                    let (code, number) = error.to_wire();
                    w.u8(code)?;
                    w.u32(number)
                }
            }
        })
    }

    /// Reads a body into tag and reply.
    ///
    /// # Errors
    ///
    /// [`Error::Version`] with the version of the body, [`Error::Kind`],
    /// [`Error::Fields`], or [`Error::Garbled`] when there is no header.
    pub fn decode(body: &'a [u8]) -> Result<(u8, Reply<'a>), Error> {
        let (Header { version, kind, tag }, mut fields) = open(body)?;
        if version != VERSION {
            return Err(Error::Version { device: version });
        }
        let mut read = || -> Result<Option<Reply<'a>>, Short> {
            let reply = match kind {
                kind::HELLO => Reply::Hello(Hello::decode(&mut fields)?),
                kind::LABEL => Reply::Label {
                    class: fields.u16()?,
                    text: fields.text()?,
                },
                kind::TAKEN => Reply::Taken {
                    next: fields.u32()?,
                    steps: fields.u32()?,
                },
                kind::SCORES => Reply::Scores(Scores::decode(&mut fields)?),
                kind::READY => Reply::Ready,
                kind::STATISTICS => Reply::Statistics(Statistics::decode(&mut fields)?),
                kind::STATE => Reply::State {
                    total: fields.u32()?,
                    at: fields.u32()?,
                    bytes: fields.rest(),
                },
                kind::LOADED => Reply::Loaded {
                    due: fields.u32()?,
                    total: fields.u32()?,
                },
                kind::INPUTS => Reply::Inputs {
                    places: fields.u32()?,
                    first: fields.u32()?,
                    bytes: fields.rest(),
                },
                kind::SLOTS => Reply::Slots(Slots::decode(&mut fields)?),
                kind::WRITTEN => Reply::Written { due: fields.u32()? },
                kind::REJECTED => Reply::Rejected {
                    reason: fields.text()?,
                },
                kind::DETECTIONS => Reply::Detections {
                    total: fields.u32()?,
                    first: fields.u32()?,
                    bytes: match fields.rest() {
                        bytes if bytes.len().is_multiple_of(DETECTION_BYTES) => bytes,
                        _ => return Err(Short),
                    },
                },
                kind::DRAWN => Reply::Drawn(Drawn::decode(&mut fields)?),
                kind::PAINTED => Reply::Painted(Painted::decode(&mut fields)?),
                kind::TOLD => Reply::Told {
                    at: fields.u16()?,
                    word: fields.u16()?,
                    text: fields.text()?,
                },
                kind::REFUSED => Reply::Refused {
                    reason: fields.text()?,
                },
                kind::ERROR => {
                    let (code, number) = (fields.u8()?, fields.u32()?);
                    Reply::Error(Error::from_wire(code, number).ok_or(Short)?)
                }
                _ => return Ok(None),
            };
            fields.end().map(|()| Some(reply))
        };
        match read() {
            Ok(Some(reply)) => Ok((tag, reply)),
            Ok(None) => Err(Error::Kind { found: kind }),
            Err(Short) => Err(Error::Fields { kind }),
        }
    }
}

impl<'a> Hello<'a> {
    /// Length of the longest body.
    pub const BYTES_MAX: usize = super::HEADER_BYTES + 39 + 2 * (1 + NAME_BYTES_MAX as usize);

    fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.bytes(&self.firmware)?;
        w.u8(self.input.number())?;
        w.u8(match self.golden {
            Golden::Passed => 1,
            Golden::Failed => 2,
        })?;
        w.bytes(&self.score_shift.to_le_bytes())?;
        w.u16(self.chunk_bytes_max)?;
        w.u16(self.classes)?;
        w.u16(self.hidden)?;
        w.u32(self.frame_values)?;
        w.u32(self.arena_bytes)?;
        w.u32(self.model_crc)?;
        w.u32(self.tick_hz)?;
        w.u32(self.step_ticks)?;
        w.u32(self.sample_hz)?;
        w.text(self.board, NAME_BYTES_MAX)?;
        w.text(self.model, NAME_BYTES_MAX)
    }

    fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        Ok(Hello {
            firmware: fields.array()?,
            input: InputType::from_number(fields.u8()?).ok_or(Short)?,
            golden: match fields.u8()? {
                1 => Golden::Passed,
                2 => Golden::Failed,
                _ => return Err(Short),
            },
            score_shift: fields.i32()?,
            chunk_bytes_max: fields.u16()?,
            classes: fields.u16()?,
            hidden: fields.u16()?,
            frame_values: fields.u32()?,
            arena_bytes: fields.u32()?,
            model_crc: fields.u32()?,
            tick_hz: fields.u32()?,
            step_ticks: fields.u32()?,
            sample_hz: fields.u32()?,
            board: fields.text()?,
            model: fields.text()?,
        })
    }
}

impl<'a> Slots<'a> {
    /// Length of the longest body.
    pub const BYTES_MAX: usize = super::HEADER_BYTES + 17 + 1 + REASON_BYTES_MAX as usize;

    fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.image_bytes_max)?;
        w.u16(self.piece_bytes_max)?;
        w.u8(self.served)?;
        w.u32(self.sequence)?;
        w.u32(self.arena_bytes)?;
        w.u16(self.scores)?;
        w.text(self.passed_over, REASON_BYTES_MAX)
    }

    fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        Ok(Slots {
            image_bytes_max: fields.u32()?,
            piece_bytes_max: fields.u16()?,
            served: fields.u8()?,
            sequence: fields.u32()?,
            arena_bytes: fields.u32()?,
            scores: fields.u16()?,
            passed_over: fields.text()?,
        })
    }
}

impl<'a> Scores<'a> {
    /// Bytes of the body before the raw scores.
    pub const HEADER_BYTES: usize = super::HEADER_BYTES + 14;

    fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.steps)?;
        w.u16(self.best)?;
        w.bytes(&self.confidence.to_le_bytes())?;
        w.u16(self.first)?;
        w.u16(self.classes)?;
        self.raw
            .iter()
            .try_for_each(|raw| w.bytes(&raw.to_le_bytes()))
    }

    fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        Ok(Scores {
            steps: fields.u32()?,
            best: fields.u16()?,
            confidence: fields.f32()?,
            first: fields.u16()?,
            classes: fields.u16()?,
            raw: match fields.rest() {
                bytes if bytes.len().is_multiple_of(4) => Raw::Bytes(bytes),
                _ => return Err(Short),
            },
        })
    }
}

impl<'a> Drawn<'a> {
    /// Bytes of the body before the bits.
    pub const HEADER_BYTES: usize = super::HEADER_BYTES + 10;

    fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.steps)?;
        w.u16(self.first)?;
        w.u16(self.count)?;
        let held = self.bits.iter().count();
        w.u16(held as u16)?;
        let mut bits = self.bits.iter();
        for _ in 0..held.div_ceil(8) {
            let byte = bits.by_ref().take(8).enumerate();
            w.u8(byte.fold(0, |byte, (at, bit)| byte | (bit & 1) << at))?;
        }
        Ok(())
    }

    fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        let (steps, first, count) = (fields.u32()?, fields.u16()?, fields.u16()?);
        let held = usize::from(fields.u16()?);
        let bits = Bits::Packed(fields.take(held.div_ceil(8))?, held);
        Ok(Drawn {
            steps,
            first,
            count,
            bits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Decoder, LineCounts};
    use bt_core::Limits;
    use proptest::prelude::*;

    fn round_trip(tag: u8, reply: Reply<'_>) {
        let mut line = [0; 1100];
        let length = reply.encode(tag, &mut line).unwrap();
        let mut decoder = Decoder::<1100>::new();
        let (end, start) = line[..length].split_last().unwrap();
        assert!(start.iter().all(|&byte| decoder.push(byte).is_none()));
        let body = decoder.push(*end).unwrap().unwrap();
        assert_eq!(Reply::decode(body), Ok((tag, reply)));
    }

    fn hello<'a>(n: u32, board: &'a str, model: &'a str) -> Hello<'a> {
        Hello {
            firmware: [1, 2, n as u8],
            input: [InputType::U8, InputType::I8, InputType::I16][n as usize % 3],
            golden: [Golden::Passed, Golden::Failed][n as usize / 3 % 2],
            score_shift: n as i32,
            chunk_bytes_max: n as u16,
            classes: n as u16,
            hidden: n as u16,
            frame_values: n,
            arena_bytes: n,
            model_crc: n,
            tick_hz: n,
            step_ticks: n.wrapping_add(1),
            sample_hz: n.wrapping_add(2),
            board,
            model,
        }
    }

    #[test]
    fn every_error_comes_back() {
        for code in (1..=27).chain([30]) {
            round_trip(7, Reply::Error(Error::from_wire(code, 2).unwrap()));
        }
        assert_eq!(Error::from_wire(0, 0), None);
        assert_eq!(Error::from_wire(28, 0), None);
    }

    /// Devices of every version say which they speak in the same bytes.
    #[test]
    fn another_version_is_named() {
        for device in [0, 1, VERSION + 1, u8::MAX] {
            let error = [device, kind::ERROR, 7, 3, device, 0, 0, 0];
            assert_eq!(Reply::decode(&error), Err(Error::Version { device }));
        }
        let mut line = [0; 40];
        let answer = Reply::Error(Error::Version { device: VERSION });
        let length = answer.encode(7, &mut line).unwrap();
        let mut decoder = Decoder::<40>::new();
        let body = line[..length].iter().find_map(|&byte| {
            let ended = decoder.ends_frame(byte);
            ended.then(|| decoder.take().unwrap().to_vec())
        });
        assert_eq!(body.unwrap(), [VERSION, 0xFF, 7, 3, VERSION, 0, 0, 0]);
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let mut line = [0; 200];
        let name = "ä".repeat(33);
        let name = std::format!("x{name}");
        let length = Reply::Label {
            class: 0,
            text: &name,
        }
        .encode(1, &mut line)
        .unwrap();
        let mut decoder = Decoder::<200>::new();
        let found = line[..length]
            .iter()
            .find_map(|&b| decoder.push(b).map(|r| r.unwrap().to_vec()))
            .unwrap();
        let Ok((1, Reply::Label { text, .. })) = Reply::decode(&found) else {
            panic!("not a label");
        };
        assert_eq!(text, &name[..63]);
    }

    proptest! {
        #[test]
        fn replies_come_back(tag: u8, n: u32, ticks: u64, confidence in 0f32..=1.0,
                             text in "\\PC{0,16}", raw in prop::collection::vec(any::<i32>(), 0..200)) {
            round_trip(tag, Reply::Hello(hello(n, &text, &text)));
            round_trip(tag, Reply::Label { class: n as u16, text: &text });
            round_trip(tag, Reply::Taken { next: n, steps: n });
            round_trip(tag, Reply::Ready);
            round_trip(tag, Reply::Scores(Scores {
                steps: n, best: n as u16, confidence, first: 0, classes: n as u16, raw: Raw::Values(&raw),
            }));
            round_trip(tag, Reply::Statistics(Statistics {
                period: n, steps: n.wrapping_add(1), ticks, step_ticks_max: n.wrapping_add(2),
                push_ticks_max: n.wrapping_add(3), score_ticks_max: n.wrapping_add(4),
                limits: Limits {
                    inputs: ticks ^ 1, inputs_clipped: ticks ^ 2, gates: ticks ^ 3,
                    gates_saturated: ticks ^ 4, cells: ticks ^ 5, cells_at_limit: ticks ^ 6,
                },
                line: LineCounts {
                    frames_garbled: n.wrapping_add(5), frames_too_long: n.wrapping_add(6),
                    frames_lost: n.wrapping_add(7), read_errors: n.wrapping_add(8),
                    replies_lost: n.wrapping_add(9),
                },
                stack_bytes_used: n.wrapping_add(10), stack_bytes: n.wrapping_add(11),
            }));
            round_trip(tag, Reply::State { total: n, at: n ^ 1, bytes: text.as_bytes() });
            round_trip(tag, Reply::Loaded { due: n, total: n ^ 1 });
            round_trip(tag, Reply::Inputs { places: n, first: n ^ 1, bytes: text.as_bytes() });
            round_trip(tag, Reply::Slots(Slots {
                image_bytes_max: n, piece_bytes_max: n as u16, served: n as u8, sequence: n ^ 1,
                arena_bytes: n ^ 2, scores: n as u16, passed_over: &text,
            }));
            let whole = text.len() / DETECTION_BYTES * DETECTION_BYTES;
            round_trip(tag, Reply::Detections { total: n, first: n ^ 1, bytes: &text.as_bytes()[..whole] });
            round_trip(tag, Reply::Written { due: n });
            round_trip(tag, Reply::Told { at: n as u16, word: !n as u16, text: &text });
            round_trip(tag, Reply::Rejected { reason: &text });
            let bits: Vec<u8> = raw.iter().map(|raw| (raw & 1) as u8).collect();
            round_trip(tag, Reply::Drawn(Drawn {
                steps: n, first: n as u16, count: n as u16, bits: Bits::Values(&bits),
            }));
            round_trip(tag, Reply::Painted(Painted {
                steps: n, steps_in_all: n as u16, rows: !n as u16, first: (n >> 1) as u16,
                count: (n >> 16) as u16, greys: text.as_bytes(),
            }));
            round_trip(tag, Reply::Refused { reason: &text });
        }

        #[test]
        fn any_body_is_a_reply_or_an_error(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Reply::decode(&body);
        }
    }
}
