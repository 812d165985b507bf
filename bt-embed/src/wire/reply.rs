//! What the device answers.

use super::{
    DETECTION_BYTES, Drawn, Error, Header, Hello, NAME_BYTES_MAX, Painted, REASON_BYTES_MAX,
    Scores, Short, Slots, Statistics, TooSmall, VERSION, frame, open,
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
        /// Detections, each as [`bytes_of`](super::bytes_of) has it.
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
        /// The word, a class of the model; [`bt_core::captions::END`] where the caption ends.
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

#[cfg(test)]
mod tests;
