//! Messages between a host and the device, one request and one reply at a time.
//!
//! [`PROTOCOL.md`](https://docs.rs/crate/bt-embed) beside this crate's manifest
//! shows every byte on one page, for programs in other languages. The host's
//! tools and the firmware both use this module, so encoder and decoder of every
//! message stand side by side in [`request`] and [`reply`].
//!
//! A message travels as `COBS(body ‖ CRC-32 of body) ‖ 0x00`; see [`frame`].
//! The body starts with protocol version, kind and tag; a reply repeats the tag
//! of its request. The host sends the next request only after the reply, which
//! is all the flow control that a slow line needs, and sends a request again
//! when its reply stays away: every request may be repeated without harm.

mod detections;
mod drawn;
pub mod frame;
mod hello;
mod painted;
pub mod reply;
pub mod request;
mod scores;
mod slots;
mod statistics;

pub use detections::{DETECTION_BYTES, bytes_of, detection_of};
pub use drawn::{Bits, Drawn};
pub use frame::{Decoder, TooSmall};
pub use hello::{Golden, Hello};
pub use painted::Painted;
pub use reply::Reply;
pub use request::Request;
pub use scores::{Raw, Scores};
pub use slots::Slots;
pub use statistics::{LineCounts, Statistics};

/// Version of the protocol, the first byte of every body.
///
/// Raise it when a message changes its layout or meaning. What must stay in
/// every version, so that two ends of different versions can say so: frame and
/// checksum, the three bytes at the start of a body, and the layout of
/// [`Error::Version`].
pub const VERSION: u8 = 3;

/// Tag of a reply to something whose tag could not be read.
pub const NO_TAG: u8 = 0;

/// Bytes of a body before the fields of its kind: version, kind, tag.
pub const HEADER_BYTES: usize = 3;

/// Names (board, model, label) are cut to this many bytes.
pub const NAME_BYTES_MAX: u8 = 64;

/// The reason why a model is refused is cut to this many bytes; a test knows
/// that none is longer.
pub const REASON_BYTES_MAX: u8 = 160;

/// Most bytes of a state, of a table of inputs, or of a picture, in one reply.
pub const PART_BYTES_MAX: usize = 128;

/// Bytes of values that a data request carries at most on a line of
/// `line_bytes`, delimiter included.
pub const fn chunk_bytes_max(line_bytes: usize) -> usize {
    let body = frame::body_bytes_max(line_bytes);
    body.saturating_sub(HEADER_BYTES + 4)
}

/// What the device could not do, or the host asked wrongly.
///
/// On the wire: a code and one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Code 1. COBS or CRC is wrong: noise, or a frame cut short. Send it again.
    Garbled,
    /// Code 2. The frame is longer than the device's line buffer, of this many bytes.
    TooLong {
        /// Length of the buffer.
        line_bytes_max: u32,
    },
    /// Code 3. The ends speak different versions of the protocol.
    Version {
        /// The one that the device speaks.
        device: u8,
    },
    /// Code 4. No such kind of message.
    Kind {
        /// The kind found.
        found: u8,
    },
    /// Code 5. The fields are too short, too long or hold an impossible value.
    Fields {
        /// The kind of the message.
        kind: u8,
    },
    /// Code 6. The data request, or the step of a drawing, is not the next one; go on with this number.
    Sequence {
        /// Number of the one that is due.
        expected: u32,
    },
    /// Code 7. Scores were asked for before the first step was complete.
    NoStep,
    /// Code 8. No such class; the number is the count of classes.
    Class {
        /// Count of classes.
        classes: u32,
    },
    /// Code 9. The device could not read all bytes of the frame off its line
    /// (overrun, framing, parity) and dropped it. Send it again.
    Line,
    /// Code 10. The session refused a value; a fault of the firmware.
    Session,
    /// Code 11. The period to be cleared is not the one under way.
    Period {
        /// The one under way.
        current: u32,
    },
    /// Code 12. The last step lacks values that silence cannot stand for: half of
    /// one, or those of a model without a front end.
    Incomplete,
    /// Code 13. A state is saved between steps, and values of one are there.
    FrameUnderWay,
    /// Code 14. The state's CRC-32C is wrong, or it holds what no session saves; the
    /// session is at its start.
    StateDamaged,
    /// Code 15. The state is another model's; the session is at its start.
    StateOfOther {
        /// CRC-32C of the model's file that the device has.
        model_crc: u32,
    },
    /// Code 16. A state is being loaded, and its byte of this number is due: or a reset.
    State {
        /// Where the next part begins.
        due: u32,
    },
    /// Code 17. A state of this model has so many bytes, and these are more; the session
    /// is at its start.
    StateLength {
        /// Bytes of a state.
        bytes: u32,
    },
    /// Code 18. This firmware has no slots for models.
    NoSlots,
    /// Code 19. A slot holds no model of that length.
    SlotTooSmall {
        /// Bytes of the longest that it holds.
        bytes: u32,
    },
    /// Code 20. Another piece of the model is due; 0 when none was begun.
    Piece {
        /// Where it begins.
        due: u32,
    },
    /// Code 21. The flash could not be erased or written.
    Flash,
    /// Code 22. The model changed in flash while it was served: nothing is computed with it any more.
    ModelDamaged,
    /// Code 23. The model's scores are neither the bits of its next frame nor a picture's.
    NotDrawn,
    /// Code 24. There is no such rule.
    Rule {
        /// What cannot be: 1 the threshold, 2 the smoothing.
        field: u8,
    },
    /// Code 25. The model tells no classes, of which one could be detected.
    NotClasses,
    /// Code 26. The model tells no captions.
    NotWords,
    /// Code 27. There is no such temperature.
    Temperature,
    /// Code 30. The picture has all its steps: a reset, or another drawing, begins anew.
    PictureComplete {
        /// How many.
        steps: u32,
    },
}

impl Error {
    /// Code and number for the wire.
    pub const fn to_wire(self) -> (u8, u32) {
        match self {
            Error::Garbled => (1, 0),
            Error::TooLong { line_bytes_max } => (2, line_bytes_max),
            Error::Version { device } => (3, device as u32),
            Error::Kind { found } => (4, found as u32),
            Error::Fields { kind } => (5, kind as u32),
            Error::Sequence { expected } => (6, expected),
            Error::NoStep => (7, 0),
            Error::Class { classes } => (8, classes),
            Error::Line => (9, 0),
            Error::Session => (10, 0),
            Error::Period { current } => (11, current),
            Error::Incomplete => (12, 0),
            Error::FrameUnderWay => (13, 0),
            Error::StateDamaged => (14, 0),
            Error::StateOfOther { model_crc } => (15, model_crc),
            Error::State { due } => (16, due),
            Error::StateLength { bytes } => (17, bytes),
            Error::NoSlots => (18, 0),
            Error::SlotTooSmall { bytes } => (19, bytes),
            Error::Piece { due } => (20, due),
            Error::Flash => (21, 0),
            Error::ModelDamaged => (22, 0),
            Error::NotDrawn => (23, 0),
            Error::Rule { field } => (24, field as u32),
            Error::NotClasses => (25, 0),
            Error::NotWords => (26, 0),
            Error::Temperature => (27, 0),
            Error::PictureComplete { steps } => (30, steps),
        }
    }

    /// The error with this code and number, if there is one.
    pub fn from_wire(code: u8, number: u32) -> Option<Error> {
        let byte = u8::try_from(number);
        Some(match code {
            1 => Error::Garbled,
            2 => Error::TooLong {
                line_bytes_max: number,
            },
            3 => Error::Version { device: byte.ok()? },
            4 => Error::Kind { found: byte.ok()? },
            5 => Error::Fields { kind: byte.ok()? },
            6 => Error::Sequence { expected: number },
            7 => Error::NoStep,
            8 => Error::Class { classes: number },
            9 => Error::Line,
            10 => Error::Session,
            11 => Error::Period { current: number },
            12 => Error::Incomplete,
            13 => Error::FrameUnderWay,
            14 => Error::StateDamaged,
            15 => Error::StateOfOther { model_crc: number },
            16 => Error::State { due: number },
            17 => Error::StateLength { bytes: number },
            18 => Error::NoSlots,
            19 => Error::SlotTooSmall { bytes: number },
            20 => Error::Piece { due: number },
            21 => Error::Flash,
            22 => Error::ModelDamaged,
            23 => Error::NotDrawn,
            24 => Error::Rule { field: byte.ok()? },
            25 => Error::NotClasses,
            26 => Error::NotWords,
            27 => Error::Temperature,
            30 => Error::PictureComplete { steps: number },
            _ => return None,
        })
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Garbled => write!(f, "a frame arrived garbled"),
            Error::TooLong { line_bytes_max } => {
                write!(f, "a frame is longer than {line_bytes_max} bytes")
            }
            Error::Version { device } => write!(
                f,
                "it speaks version {device} of the protocol, this program version {VERSION}"
            ),
            Error::Kind { found } => write!(f, "no message has the kind 0x{found:02x}"),
            Error::Fields { kind } => write!(f, "wrong fields in a message of kind 0x{kind:02x}"),
            Error::Sequence { expected } => write!(f, "data chunk or step {expected} is due"),
            Error::NoStep => write!(f, "no step is complete yet"),
            Error::Class { classes } => write!(f, "there are only {classes} classes"),
            Error::Line => write!(f, "bytes of a frame were lost on the line"),
            Error::Session => write!(f, "the session refused a value"),
            Error::Period { current } => write!(f, "period {current} of the counts is under way"),
            Error::Incomplete => write!(f, "the last step is not complete"),
            Error::FrameUnderWay => {
                write!(f, "a step is under way; a state is saved between steps")
            }
            Error::StateDamaged => write!(f, "the state is damaged"),
            Error::StateOfOther { model_crc } => {
                write!(f, "the state is another model's than {model_crc:08x}")
            }
            Error::State { due } => write!(f, "byte {due} of a state is due, or a reset"),
            Error::StateLength { bytes } => {
                write!(f, "a state has {bytes} bytes, and this is longer")
            }
            Error::NoSlots => write!(f, "this firmware has no slots for models"),
            Error::SlotTooSmall { bytes } => write!(f, "a slot holds models of {bytes} bytes"),
            Error::Piece { due } => write!(f, "byte {due} of the model is due"),
            Error::Flash => write!(f, "the flash could not be erased or written"),
            Error::ModelDamaged => write!(f, "the model has changed in flash while it was served"),
            Error::NotDrawn => write!(f, "the model does not draw"),
            Error::Rule { field: 1 } => write!(f, "a threshold is 1 to 32767 of 32768"),
            Error::Rule { .. } => write!(f, "smoothing is over 2^10 looks at most"),
            Error::NotClasses => write!(f, "the model tells no classes"),
            Error::NotWords => write!(f, "the model tells no captions"),
            Error::Temperature => write!(f, "a temperature is 32 to 65535 of 256ths, or 0"),
            Error::PictureComplete { steps } => {
                write!(f, "the picture has all its {steps} steps")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Reads little-endian fields off the front of a body.
#[derive(Clone, Copy, Debug)]
struct Fields<'a> {
    bytes: &'a [u8],
}

/// A field runs past the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short;

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(Short)?;
        self.bytes = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        self.take(N)?.try_into().map_err(|_| Short)
    }

    fn u8(&mut self) -> Result<u8, Short> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, Short> {
        self.array().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32, Short> {
        self.array().map(f32::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a str, Short> {
        let length = self.u8()?;
        core::str::from_utf8(self.take(usize::from(length))?).map_err(|_| Short)
    }

    fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.bytes)
    }

    fn end(self) -> Result<(), Short> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Short)
        }
    }
}

/// What stands at the start of a body, the same in every version.
struct Header {
    version: u8,
    kind: u8,
    tag: u8,
}

/// Splits a body into header and fields.
fn open(body: &[u8]) -> Result<(Header, Fields<'_>), Error> {
    let mut fields = Fields { bytes: body };
    let [version, kind, tag] = fields.array().map_err(|Short| Error::Garbled)?;
    Ok((Header { version, kind, tag }, fields))
}
