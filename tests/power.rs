//! Power that fails, or a reset, in the middle of every request: the device boots, what is left of the frame is noise to
//! it, and the request that its host repeats is answered as by a device that has just begun. Where a stream cannot go on
//! it says what is due; nothing is computed with half of it. (Models in flash: `store/`.)

use bt_core::captions::{END, Teller, Temperature};
use bt_core::detection::Rule;
use bt_core::drawing::Random;
use bt_core::{Model, Session};
use bt_embed::app::{Ended, Memory, run};
use bt_embed::wire::{Decoder, Error, NO_TAG, Reply, Request};
use bt_tests::model::{Dense, Noise, scores_of};
use bt_tests::still::board;
use embedded_io::{ErrorType, Read, Write};

/// A line that says these bytes and ends, and what was answered.
struct Script<'b> {
    says: &'b [u8],
    answers: &'b mut Vec<u8>,
}

impl ErrorType for Script<'_> {
    type Error = embedded_io::ErrorKind;
}

impl Read for Script<'_> {
    fn read(&mut self, place: &mut [u8]) -> Result<usize, Self::Error> {
        let count = place.len().min(self.says.len());
        let (now, later) = self.says.split_at(count);
        place[..count].copy_from_slice(now);
        self.says = later;
        Ok(count)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.answers.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The frames that a device answers from boot to the end of these bytes, each with its 0x00.
fn life(model: &[u8], says: &[u8]) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let board = board(Script {
        says,
        answers: &mut answers,
    });
    let mut memory = Memory::<300, 1000, 40>::new();
    assert_eq!(run(board, model, &mut memory), Ended::End);
    let frames = answers.split_inclusive(|&byte| byte == 0);
    frames.map(<[u8]>::to_vec).collect()
}

/// Tag and reply of a frame.
fn read<T>(frame: &[u8], look: impl FnOnce(u8, Reply<'_>) -> T) -> T {
    let mut decoder = Decoder::<4096>::new();
    assert!(frame.iter().any(|&byte| decoder.ends_frame(byte)));
    let (tag, reply) = decoder.take().and_then(Reply::decode).unwrap();
    look(tag, reply)
}

fn frames(requests: &[Request<'_>]) -> Vec<Vec<u8>> {
    let frame = |(tag, request): (u8, &Request<'_>)| {
        let mut line = [0; 400];
        let length = request.encode(tag, &mut line).unwrap();
        line[..length].to_vec()
    };
    (1..).zip(requests).map(frame).collect()
}

/// Cuts the power behind every byte of every request. `right` says whether an answer of a device that has just begun is
/// the right one to the request of this number. Returns how many lives were cut.
fn cut(
    model: &[u8],
    requests: &[Request<'_>],
    right: impl Fn(&Request<'_>, Reply<'_>) -> bool,
) -> usize {
    let frames = frames(requests);
    let whole = life(model, &frames.concat());
    assert_eq!(whole.len(), requests.len());
    let mut lives = 0;
    for (number, frame) in frames.iter().enumerate() {
        let before = frames[..number].concat();
        for at in 0..frame.len() {
            let says = [&before, &frame[..at]].concat();
            assert_eq!(life(model, &says), whole[..number], "request {number}");

            // What is left of the frame arrives at the device that boots; its host asks again, then begins anew.
            let says = [&frame[at..], &[0], frame, &frames.concat()[..]].concat();
            let answers = life(model, &says);
            let (first, again) = answers.split_at(answers.len() - requests.len());
            let (repeated, noise) = first.split_last().unwrap();
            assert!(noise.len() <= 1);
            for answer in noise {
                read(answer, |tag, reply| match tag {
                    NO_TAG => assert_eq!(reply, Reply::Error(Error::Garbled)),
                    // All of the frame was left.
                    _ => assert!(at == 0 && right(&requests[number], reply)),
                });
            }
            read(repeated, |tag, reply| {
                assert_eq!(usize::from(tag), number + 1);
                assert!(right(&requests[number], reply), "{number}, {at}: {reply:?}");
            });
            // Streams begin with a reset: nothing of the life before, or of the repetition, is left in them.
            assert_eq!(again, whole, "request {number} at {at}");
            lives += 1;
        }
    }
    lives
}

#[test]
fn power_that_fails_in_any_request_is_told() {
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(3).bytes(2 * 14);
    let scores = scores_of(&model, &bytes);
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut rest = &bytes[..];
    while session.feed(&mut rest).unwrap() {
        session.step().unwrap();
    }
    let mut state = vec![0; session.saved_bytes()];
    session.save(&mut state).unwrap();
    let (part, last) = state.split_at(24);
    let rule = Some(Rule {
        threshold: 9,
        smoothing: 0,
        hold_off: 0,
    });
    let data = |sequence, bytes| Request::Data { sequence, bytes };
    let requests = [
        Request::Reset,
        Request::Hello,
        Request::Label { class: 1 },
        Request::Inputs { first: 0 },
        Request::Window { steps: 0 },
        Request::Watch { class: 1, rule },
        data(0, &bytes[..9]),
        data(1, &bytes[9..20]),
        data(2, &bytes[20..]),
        Request::Finish,
        Request::Scores { first: 0 },
        Request::Detections { first: 0 },
        Request::Save { at: 0 },
        Request::Reset,
        Request::Load { at: 0, bytes: part },
        Request::Load {
            at: 24,
            bytes: last,
        },
        Request::Scores { first: 0 },
        Request::Slots,
        Request::Begin { length: 8, crc: 1 },
        Request::Piece {
            at: 0,
            bytes: &[1; 8],
        },
        Request::Commit { crc: 1 },
        // Of a period that has not begun: it changes none of the counts that are told in the next life.
        Request::Clear { period: 7 },
        Request::Watch {
            class: 1,
            rule: None,
        },
    ];
    let whole = life(file.bytes(), &frames(&requests).concat());
    read(&whole[10], |_, reply| match reply {
        Reply::Scores(told) => assert_eq!(told.raw.iter().collect::<Vec<_>>(), scores),
        reply => panic!("{reply:?}"),
    });
    let total = state.len() as u32;
    let lives = cut(file.bytes(), &requests, |request, reply| match request {
        Request::Reset | Request::Window { .. } | Request::Watch { .. } => reply == Reply::Ready,
        Request::Hello => {
            matches!(reply, Reply::Hello(hello) if hello.model_crc == model.crc())
        }
        Request::Label { .. } => {
            let text = "class 1";
            reply == Reply::Label { class: 1, text }
        }
        Request::Inputs { .. } => matches!(reply, Reply::Inputs { places: 1, .. }),
        Request::Data { sequence: 0, .. } => reply == Reply::Taken { next: 1, steps: 0 },
        Request::Data { .. } => reply == Reply::Error(Error::Sequence { expected: 0 }),
        Request::Finish => reply == Reply::Taken { next: 0, steps: 0 },
        Request::Scores { .. } => reply == Reply::Error(Error::NoStep),
        Request::Detections { .. } => {
            matches!(
                reply,
                Reply::Detections {
                    total: 0,
                    first: 0,
                    bytes: []
                }
            )
        }
        Request::Save { .. } => matches!(reply, Reply::State { at: 0, .. }),
        Request::Load { at: 0, .. } => reply == Reply::Loaded { due: 24, total },
        Request::Load { .. } => reply == Reply::Error(Error::State { due: 0 }),
        Request::Slots => matches!(reply, Reply::Slots(slots) if slots.image_bytes_max == 0),
        Request::Begin { .. } | Request::Piece { .. } | Request::Commit { .. } => {
            reply == Reply::Error(Error::NoSlots)
        }
        Request::Clear { .. } => reply == Reply::Error(Error::Period { current: 0 }),
        _ => false,
    });
    assert!(lives > 350, "{lives}");
}

#[test]
fn a_drawing_that_power_ended_says_which_step_is_due() {
    let file = Dense {
        values: 40,
        classes: 40,
        ..Dense::default()
    }
    .drawing();
    let draw = |step| Request::Draw {
        seed: 5,
        number: 1,
        step,
        first: 0,
    };
    let lives = cut(
        file.bytes(),
        &[draw(0), draw(1), draw(2)],
        |request, reply| match request {
            Request::Draw { step: 0, .. } => {
                matches!(reply, Reply::Drawn(drawn) if drawn.steps == 1)
            }
            _ => reply == Reply::Error(Error::Sequence { expected: 0 }),
        },
    );
    assert!(lives > 60, "{lives}");
}

#[test]
fn a_caption_that_power_ended_begins_with_a_picture() {
    let file = Dense {
        classes: 9,
        ..Dense::default()
    }
    .captioning(6);
    let model = Model::parse(file.bytes()).unwrap();
    let picture = Noise::new(8).bytes(14);
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    assert!(session.feed(&mut &picture[..]).unwrap());
    session.step().unwrap();
    // The first words of caption `number`.
    let mut caption = |number: u32| {
        let mut teller = Teller::drawing(Random::new(3, number.into()), Temperature::ONE);
        let mut scores = vec![0; model.outputs()];
        session.begin_caption().unwrap();
        [(); 3].map(|()| {
            session.scores(&mut scores).unwrap();
            let word = teller.next_word(&scores, model.score_shift()).unwrap();
            session.step_word(word).unwrap();
            word
        })
    };
    let captions = (0..).map(|number| (number, caption(number)));
    let (number, words) = captions
        .take(100)
        .find(|(_, words)| !words.contains(&END))
        .unwrap();
    let tell = |word| Request::Tell {
        seed: 3,
        number,
        temperature: Temperature::ONE.number(),
        word,
    };
    let data = Request::Data {
        sequence: 0,
        bytes: &picture,
    };
    let requests = [Request::Reset, data, tell(0), tell(1), tell(2)];
    let answers = life(file.bytes(), &frames(&requests).concat());
    for (answer, expected) in answers[2..].iter().zip(words) {
        read(answer, |_, reply| match reply {
            Reply::Told { word, .. } => assert_eq!(usize::from(word), expected),
            reply => panic!("{reply:?}"),
        });
    }
    let lives = cut(file.bytes(), &requests, |request, reply| match request {
        Request::Reset => reply == Reply::Ready,
        Request::Data { .. } => reply == Reply::Taken { next: 1, steps: 1 },
        Request::Tell { word: 0, .. } => reply == Reply::Error(Error::NoStep),
        _ => reply == Reply::Error(Error::Sequence { expected: 0 }),
    });
    assert!(lives > 90, "{lives}");
}

/// Counts begin anew with the device, and the period they are of says so.
#[test]
fn counts_of_another_life_are_none_of_this() {
    let file = Dense::default().model();
    let requests = [
        Request::Clear { period: 0 },
        Request::Data {
            sequence: 0,
            bytes: &[3; 14],
        },
        Request::Statistics,
    ];
    let frames = frames(&requests);
    let told = |answers: Vec<Vec<u8>>| {
        let last = answers.last().unwrap();
        read(last, |_, reply| match reply {
            Reply::Statistics(statistics) => (statistics.period, statistics.steps),
            reply => panic!("{reply:?}"),
        })
    };
    assert_eq!(told(life(file.bytes(), &frames.concat())), (1, 1));
    for at in 0..frames[2].len() {
        let says = [&frames[2][at..], &[0], &frames[2]].concat();
        assert_eq!(told(life(file.bytes(), &says)), (0, 0));
    }
}
