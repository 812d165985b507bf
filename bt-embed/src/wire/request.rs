//! What the host asks.

use bt_core::detection::Rule;

use super::{Error, Header, Short, TooSmall, VERSION, frame, open};

mod kind {
    pub const HELLO: u8 = 0x01;
    pub const LABEL: u8 = 0x02;
    pub const DATA: u8 = 0x03;
    pub const SCORES: u8 = 0x04;
    pub const RESET: u8 = 0x05;
    pub const STATISTICS: u8 = 0x06;
    pub const CLEAR: u8 = 0x07;
    pub const FINISH: u8 = 0x08;
    pub const SAVE: u8 = 0x09;
    pub const LOAD: u8 = 0x0A;
    pub const INPUTS: u8 = 0x0B;
    pub const SLOTS: u8 = 0x0C;
    pub const BEGIN: u8 = 0x0D;
    pub const PIECE: u8 = 0x0E;
    pub const COMMIT: u8 = 0x0F;
    pub const DRAW: u8 = 0x10;
    pub const WATCH: u8 = 0x11;
    pub const WINDOW: u8 = 0x12;
    pub const DETECTIONS: u8 = 0x13;
    pub const TELL: u8 = 0x14;
}

/// No rule, as the line has it.
const NO_RULE: Rule = Rule {
    threshold: 0,
    smoothing: 0,
    hold_off: 0,
};

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Who are you? Answered by [`super::Reply::Hello`].
    Hello,
    /// The name of one class. Answered by [`super::Reply::Label`].
    Label {
        /// Index of the class.
        class: u16,
    },
    /// Values of the model's input type, little-endian. Cut anywhere, inside a
    /// value too; steps happen by themselves when their values are complete.
    /// Answered by [`super::Reply::Taken`].
    Data {
        /// 0 after a reset, then one more with every chunk.
        sequence: u32,
        /// The chunk; at most [`super::Hello::chunk_bytes_max`] bytes.
        bytes: &'a [u8],
    },
    /// Scores after the steps so far. Answered by [`super::Reply::Scores`].
    Scores {
        /// First class wanted; the reply holds as many as fit one frame.
        first: u16,
    },
    /// The utterance ends here: complete the step under way with silence and
    /// take it. Nothing between steps, so a repetition does no harm. Answered by
    /// [`super::Reply::Taken`].
    Finish,
    /// Forget all values and steps; the next data chunk has number 0.
    /// Answered by [`super::Reply::Ready`].
    Reset,
    /// Counts and times. Answered by [`super::Reply::Statistics`].
    Statistics,
    /// Begin the next period of counts and times, from zero. Answered by
    /// [`super::Reply::Ready`], by a repetition too, which clears nothing.
    Clear {
        /// The period that ends, as the statistics state it.
        period: u32,
    },
    /// The bytes of the session's state from here on, between steps. Answered by
    /// [`super::Reply::State`].
    Save {
        /// First byte wanted, a multiple of 4.
        at: u32,
    },
    /// A part of a saved state, whole words; the first resets the session, the last makes it go
    /// on from there. Answered by [`super::Reply::Loaded`].
    Load {
        /// Where the part lies in the state.
        at: u32,
        /// The part; at most [`super::Hello::chunk_bytes_max`] bytes.
        bytes: &'a [u8],
    },
    /// How floats become the integers of a frame. Answered by [`super::Reply::Inputs`].
    Inputs {
        /// First place of a frame wanted; the reply holds as many as fit.
        first: u32,
    },
    /// What slots for models there are, and which is served. Answered by [`super::Reply::Slots`].
    Slots,
    /// A model comes: make room in the slot that is not served. Answered by [`super::Reply::Written`].
    Begin {
        /// Bytes of the image: the model file and what the product appends.
        length: u32,
        /// CRC-32C of the image.
        crc: u32,
    },
    /// A piece of the image. Answered by [`super::Reply::Written`].
    Piece {
        /// Where it lies in the image.
        at: u32,
        /// The piece; [`super::Slots::piece_bytes_max`] bytes, the last one what is left.
        bytes: &'a [u8],
    },
    /// The image is there: prove it and serve it. Answered by [`super::Reply::Ready`], by a repetition too, or by
    /// [`super::Reply::Rejected`].
    Commit {
        /// CRC-32C of the image.
        crc: u32,
    },
    /// Look for a class by this rule, or no longer; see [`bt_core::detection::Rule`]. The rule that it has already changes
    /// nothing. Answered by [`super::Reply::Ready`].
    Watch {
        /// The class.
        class: u16,
        /// The rule, on the line threshold u16, smoothing u8 and hold-off u16; a threshold of 0 is none.
        rule: Option<Rule>,
    },
    /// Begin the state anew every so many steps, with one look at their end; 0 for a state that goes on. Answered by
    /// [`super::Reply::Ready`].
    Window {
        /// Steps of a window.
        steps: u32,
    },
    /// What was detected since the reset. Answered by [`super::Reply::Detections`].
    Detections {
        /// The first one wanted, counted from 0.
        first: u32,
    },
    /// Take one step of a drawing and tell the bits drawn, or the pixels as they stand. Answered by
    /// [`super::Reply::Drawn`], of a model that paints by [`super::Reply::Painted`], by a repetition too, which takes no
    /// step.
    Draw {
        /// Seed of the random source.
        seed: u64,
        /// Number of the drawing: the source's stream.
        number: u32,
        /// Steps of this drawing before; 0 forgets everything and begins it.
        step: u32,
        /// First bit or pixel wanted; the reply holds as many as fit one frame, none behind the last.
        first: u16,
    },
    /// Tell the next word of a caption of the picture that was pushed last. Answered by [`super::Reply::Told`], by a
    /// repetition too, which takes no step.
    Tell {
        /// Seed of the random source.
        seed: u64,
        /// Number of the caption: the source's stream.
        number: u32,
        /// In 256ths, [`bt_core::captions::Temperature::MIN`] at least; 0 for always the likeliest word.
        temperature: u16,
        /// Words of this caption before; 0 begins it.
        word: u16,
    },
}

impl<'a> Request<'a> {
    /// Writes the request's frame into `line`; its length.
    pub fn encode(&self, tag: u8, line: &mut [u8]) -> Result<usize, TooSmall> {
        let kind = match self {
            Request::Hello => kind::HELLO,
            Request::Label { .. } => kind::LABEL,
            Request::Data { .. } => kind::DATA,
            Request::Scores { .. } => kind::SCORES,
            Request::Finish => kind::FINISH,
            Request::Reset => kind::RESET,
            Request::Statistics => kind::STATISTICS,
            Request::Clear { .. } => kind::CLEAR,
            Request::Save { .. } => kind::SAVE,
            Request::Load { .. } => kind::LOAD,
            Request::Inputs { .. } => kind::INPUTS,
            Request::Slots => kind::SLOTS,
            Request::Begin { .. } => kind::BEGIN,
            Request::Piece { .. } => kind::PIECE,
            Request::Commit { .. } => kind::COMMIT,
            Request::Draw { .. } => kind::DRAW,
            Request::Watch { .. } => kind::WATCH,
            Request::Window { .. } => kind::WINDOW,
            Request::Detections { .. } => kind::DETECTIONS,
            Request::Tell { .. } => kind::TELL,
        };
        frame::encode(line, |w| {
            w.bytes(&[VERSION, kind, tag])?;
            match *self {
                Request::Hello
                | Request::Finish
                | Request::Reset
                | Request::Statistics
                | Request::Slots => Ok(()),
                Request::Begin { length, crc } => {
                    w.u32(length)?;
                    w.u32(crc)
                }
                Request::Label { class } => w.u16(class),
                Request::Data {
                    sequence: at,
                    bytes,
                }
                | Request::Load { at, bytes }
                | Request::Piece { at, bytes } => {
                    w.u32(at)?;
                    w.bytes(bytes)
                }
                Request::Scores { first } => w.u16(first),
                Request::Clear { period: number }
                | Request::Save { at: number }
                | Request::Inputs { first: number }
                | Request::Commit { crc: number }
                | Request::Window { steps: number }
                | Request::Detections { first: number } => w.u32(number),
                Request::Watch { class, rule } => {
                    let rule = rule.unwrap_or(NO_RULE);
                    w.u16(class)?;
                    w.u16(rule.threshold)?;
                    w.u8(rule.smoothing)?;
                    w.u16(rule.hold_off)
                }
                Request::Draw {
                    seed,
                    number,
                    step,
                    first,
                } => {
                    w.u64(seed)?;
                    w.u32(number)?;
                    w.u32(step)?;
                    w.u16(first)
                }
                Request::Tell {
                    seed,
                    number,
                    temperature,
                    word,
                } => {
                    w.u64(seed)?;
                    w.u32(number)?;
                    w.u16(temperature)?;
                    w.u16(word)
                }
            }
        })
    }

    /// Reads a body into tag and request. The error carries the tag that its
    /// reply shall have.
    pub fn decode(body: &'a [u8]) -> Result<(u8, Request<'a>), (u8, Error)> {
        let (header, mut fields) = open(body).map_err(|error| (super::NO_TAG, error))?;
        let Header { version, kind, tag } = header;
        if version != VERSION {
            return Err((tag, Error::Version { device: VERSION }));
        }
        let mut read = || -> Result<Option<Request<'a>>, Short> {
            let request = match kind {
                kind::HELLO => Request::Hello,
                kind::LABEL => Request::Label {
                    class: fields.u16()?,
                },
                kind::DATA => Request::Data {
                    sequence: fields.u32()?,
                    bytes: fields.rest(),
                },
                kind::SCORES => Request::Scores {
                    first: fields.u16()?,
                },
                kind::FINISH => Request::Finish,
                kind::RESET => Request::Reset,
                kind::STATISTICS => Request::Statistics,
                kind::CLEAR => Request::Clear {
                    period: fields.u32()?,
                },
                kind::SAVE => Request::Save { at: fields.u32()? },
                kind::LOAD => Request::Load {
                    at: fields.u32()?,
                    bytes: fields.rest(),
                },
                kind::INPUTS => Request::Inputs {
                    first: fields.u32()?,
                },
                kind::SLOTS => Request::Slots,
                kind::BEGIN => Request::Begin {
                    length: fields.u32()?,
                    crc: fields.u32()?,
                },
                kind::PIECE => Request::Piece {
                    at: fields.u32()?,
                    bytes: fields.rest(),
                },
                kind::COMMIT => Request::Commit { crc: fields.u32()? },
                kind::WATCH => Request::Watch {
                    class: fields.u16()?,
                    rule: Some(Rule {
                        threshold: fields.u16()?,
                        smoothing: fields.u8()?,
                        hold_off: fields.u16()?,
                    })
                    .filter(|rule| rule.threshold != NO_RULE.threshold),
                },
                kind::WINDOW => Request::Window {
                    steps: fields.u32()?,
                },
                kind::DETECTIONS => Request::Detections {
                    first: fields.u32()?,
                },
                kind::DRAW => Request::Draw {
                    seed: fields.u64()?,
                    number: fields.u32()?,
                    step: fields.u32()?,
                    first: fields.u16()?,
                },
                kind::TELL => Request::Tell {
                    seed: fields.u64()?,
                    number: fields.u32()?,
                    temperature: fields.u16()?,
                    word: fields.u16()?,
                },
                _ => return Ok(None),
            };
            fields.end().map(|()| Some(request))
        };
        match read() {
            Ok(Some(request)) => Ok((tag, request)),
            Ok(None) => Err((tag, Error::Kind { found: kind })),
            Err(Short) => Err((tag, Error::Fields { kind })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Decoder;
    use proptest::prelude::*;

    fn round_trip(tag: u8, request: Request<'_>) {
        let mut line = [0; 1100];
        let length = request.encode(tag, &mut line).unwrap();
        let mut decoder = Decoder::<1100>::new();
        let (end, start) = line[..length].split_last().unwrap();
        assert!(start.iter().all(|&byte| decoder.push(byte).is_none()));
        let body = decoder.push(*end).unwrap().unwrap();
        assert_eq!(Request::decode(body), Ok((tag, request)));
    }

    #[test]
    fn wrong_messages_have_their_own_errors() {
        assert_eq!(Request::decode(&[VERSION, 1]), Err((0, Error::Garbled)));
        assert_eq!(
            Request::decode(&[9, 1, 5]),
            Err((5, Error::Version { device: VERSION }))
        );
        assert_eq!(
            Request::decode(&[VERSION, 0x77, 5]),
            Err((5, Error::Kind { found: 0x77 }))
        );
        assert_eq!(
            Request::decode(&[VERSION, 2, 5, 0]),
            Err((5, Error::Fields { kind: 2 }))
        );
        assert_eq!(
            Request::decode(&[VERSION, 1, 5, 0]),
            Err((5, Error::Fields { kind: 1 }))
        );
    }

    proptest! {
        #[test]
        fn requests_come_back(tag: u8, class: u16, sequence: u32,
                              bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
            round_trip(tag, Request::Hello);
            round_trip(tag, Request::Label { class });
            round_trip(tag, Request::Data { sequence, bytes: &bytes });
            round_trip(tag, Request::Scores { first: class });
            round_trip(tag, Request::Finish);
            round_trip(tag, Request::Reset);
            round_trip(tag, Request::Statistics);
            round_trip(tag, Request::Clear { period: sequence });
            round_trip(tag, Request::Save { at: sequence });
            round_trip(tag, Request::Load { at: sequence, bytes: &bytes });
            round_trip(tag, Request::Inputs { first: sequence });
            round_trip(tag, Request::Slots);
            round_trip(tag, Request::Begin { length: sequence, crc: sequence ^ 1 });
            round_trip(tag, Request::Piece { at: sequence, bytes: &bytes });
            round_trip(tag, Request::Commit { crc: sequence });
            let seed = u64::from(sequence) << 29 | u64::from(class);
            round_trip(tag, Request::Watch {
                class,
                rule: (!class != 0).then_some(Rule { threshold: !class, smoothing: tag, hold_off: class ^ 1 }),
            });
            round_trip(tag, Request::Window { steps: sequence });
            round_trip(tag, Request::Detections { first: sequence });
            round_trip(tag, Request::Tell { seed, number: sequence, temperature: class, word: !class });
            round_trip(tag, Request::Draw { seed, number: sequence, step: !sequence, first: class });
        }

        #[test]
        fn any_body_is_a_request_or_an_error(body in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Request::decode(&body);
        }
    }
}
