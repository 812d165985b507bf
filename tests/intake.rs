//! Frames that an interrupt delivers: whole ones reach the session, others are counted and leave no trace.

use std::sync::OnceLock;

use bt_core::{InputType, Model, ModelBytes, Session};
use bt_embed::intake::{self, Counts, Pieces, Taken};
use bt_tests::exported;
use bt_tests::model::{Dense, Noise, scores_of};
use proptest::prelude::*;

/// Most bytes of a piece, and how many find room.
const PIECE: usize = 8;
const ROOM: usize = 3;

/// Models whose frames have 1 to some pieces, of every type of value; one keeps sums from slab to slab.
fn models() -> &'static [ModelBytes] {
    static MODELS: OnceLock<Vec<ModelBytes>> = OnceLock::new();
    MODELS.get_or_init(made)
}

fn made() -> Vec<ModelBytes> {
    let dense = |input_type, values| Dense {
        input_type,
        values,
        ..Dense::default()
    };
    vec![
        dense(InputType::U8, 21).model(),
        dense(InputType::I8, 5).model(),
        dense(InputType::I16, 13).model(),
        exported::streamed(3),
    ]
}

/// What the interrupt has handed over, worked out beside it: pieces end where a frame does, and the fourth that
/// waits finds no room, nor does what is left of its frame.
struct Expected {
    frame_bytes: usize,
    /// Bytes of the frame under way, and whether all found room.
    under_way: (Vec<u8>, bool),
    waiting: usize,
    whole: Vec<u8>,
    counts: Counts,
}

impl Expected {
    fn deliver(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let left = self.frame_bytes - self.under_way.0.len();
            let (piece, rest) = bytes.split_at(bytes.len().min(PIECE).min(left));
            bytes = rest;
            self.under_way.0.extend(piece);
            if self.under_way.1 && self.waiting < ROOM {
                self.waiting += 1;
            } else {
                self.under_way.1 = false;
                self.counts.bytes_lost += piece.len() as u32;
            }
            if self.under_way.0.len() == self.frame_bytes {
                self.end_frame();
            }
        }
    }

    fn align(&mut self) {
        let (bytes, whole) = &mut self.under_way;
        if !bytes.is_empty() {
            self.counts.bytes_lost += (self.frame_bytes - bytes.len()) as u32;
            *whole = false;
            self.end_frame();
        }
    }

    fn end_frame(&mut self) {
        let (bytes, whole) = std::mem::replace(&mut self.under_way, (Vec::new(), true));
        if whole {
            self.counts.frames += 1;
            self.whole.extend(bytes);
        } else {
            self.counts.frames_lost += 1;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Deliver(usize),
    Align,
    Take(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1..20usize).prop_map(Act::Deliver),
        1 => Just(Act::Align),
        6 => (1..5usize).prop_map(Act::Take),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whole_frames_arrive_and_others_are_counted(
        which in 0..4usize,
        seed in any::<u32>(),
        acts in prop::collection::vec(act(), 1..300),
    ) {
        let file = &models()[which];
        let model = Model::parse(file.bytes()).unwrap();
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let mut pieces = Pieces::<PIECE, { ROOM + 1 }>::new();
        let (mut delivery, mut intake) = intake::split(&mut pieces, &model);
        let width = model.input_type().bytes();
        let mut expected = Expected {
            frame_bytes: model.frame_values() * width,
            under_way: (Vec::new(), true),
            waiting: 0,
            whole: Vec::new(),
            counts: Counts::default(),
        };
        let mut noise = Noise::new(seed);
        let mut take = |expected: &mut Expected, session: &mut Session<'_, '_>| {
            match intake.take(session).unwrap() {
                Taken::Nothing => assert_eq!(expected.waiting, 0),
                Taken::Frame => {
                    assert_eq!(intake.take(session), if intake.is_empty() {
                        Ok(Taken::Nothing)
                    } else {
                        Err(bt_core::error::PushError::FrameComplete)
                    });
                    session.step().unwrap();
                    expected.waiting -= 1;
                }
                Taken::Piece | Taken::Lost => expected.waiting -= 1,
            }
            intake.counts()
        };
        for act in acts {
            match act {
                Act::Deliver(values) => {
                    let bytes = noise.bytes(values * width);
                    let lost = expected.counts.bytes_lost;
                    expected.deliver(&bytes);
                    let found_room = bytes.len() - (expected.counts.bytes_lost - lost) as usize;
                    prop_assert_eq!(delivery.deliver(&bytes), found_room);
                }
                Act::Align => {
                    expected.align();
                    delivery.align();
                }
                Act::Take(times) => for _ in 0..times {
                    take(&mut expected, &mut session);
                }
            }
        }
        // Losses are seen when something comes after them.
        while expected.waiting > 0 {
            take(&mut expected, &mut session);
        }
        expected.align();
        delivery.align();
        let frame = noise.bytes(expected.frame_bytes);
        let mut counts = Counts::default();
        for piece in frame.chunks(PIECE) {
            expected.deliver(piece);
            delivery.deliver(piece);
            counts = take(&mut expected, &mut session);
        }
        prop_assert_eq!(counts, expected.counts);
        prop_assert_eq!(session.steps(), counts.frames);
        let mut scores = vec![0; model.outputs()];
        session.scores(&mut scores).unwrap();
        prop_assert_eq!(scores, scores_of(&model, &expected.whole));
    }
}

/// Sound has no frames: what lies behind a gap follows what lay before it, and the gap is told.
#[test]
fn sound_goes_on_behind_a_gap() {
    let file = Dense {
        input_type: InputType::I16,
        values: 16,
        vectors: 2,
        ..Dense::default()
    }
    .model();
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut pieces = Pieces::<PIECE, { ROOM + 1 }>::new();
    let (mut delivery, mut intake) = intake::split(&mut pieces, &model);
    let samples = Noise::new(5).bytes(model.frame_values() * 2 * 9 + 12);
    let mut heard = Vec::new();
    let mut lost = 0;
    for (at, bytes) in samples.chunks(2 * PIECE + 4).enumerate() {
        let found_room = delivery.deliver(bytes);
        // Every 50th time the loop is too late for the next two.
        heard.extend(&bytes[..found_room]);
        lost += bytes.len() - found_room;
        while at % 50 != 49 && !intake.is_empty() {
            if intake.take(&mut session).unwrap() == Taken::Frame {
                session.step().unwrap();
            }
        }
    }
    while intake.take(&mut session).unwrap() != Taken::Nothing {
        if session.frame_complete() {
            session.step().unwrap();
        }
    }
    assert!(lost > 0);
    let counts = intake.counts();
    assert_eq!((counts.frames_lost, counts.bytes_lost), (0, lost as u32));
    let frame_bytes = model.frame_values() * 2;
    let steps = heard.len() / frame_bytes;
    assert_eq!(
        (counts.frames, session.steps()),
        (steps as u32, steps as u32)
    );
    let mut scores = vec![0; model.outputs()];
    session.scores(&mut scores).unwrap();
    assert_eq!(scores, scores_of(&model, &heard[..steps * frame_bytes]));
}

#[test]
fn a_dropped_frame_leaves_no_trace() {
    let random: Vec<ModelBytes> = (0..12).map(exported::random).collect();
    for (number, file) in models().iter().chain(&random).enumerate() {
        let model = Model::parse(file.bytes()).unwrap();
        let values = model.frame_values();
        let width = model.input_type().bytes();
        let mut noise = Noise::new(number as u32);
        let frames = noise.bytes(3 * values * width);
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        for frame in frames.chunks(values * width) {
            for part in [values, noise.bits() as usize % values, 0] {
                let mut bytes = &noise.bytes(part * width)[..];
                assert_eq!(session.feed(&mut bytes).unwrap(), part == values);
                assert_eq!(session.drop_frame(), part);
                assert!(!session.frame_complete());
            }
            assert!(session.feed(&mut { frame }).unwrap());
            session.step().unwrap();
        }
        assert_eq!(session.steps(), 3);
        let mut scores = vec![0; model.outputs()];
        session.scores(&mut scores).unwrap();
        assert_eq!(scores, scores_of(&model, &frames), "model {number}");
    }
}

#[test]
fn of_sound_nothing_is_dropped() {
    let file = Dense {
        input_type: InputType::I16,
        values: 16,
        vectors: 2,
        ..Dense::default()
    }
    .model();
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let samples = Noise::new(1).bytes(model.frame_values() * 2);
    let (before, after) = samples.split_at(samples.len() / 4 * 2);
    assert!(!session.feed(&mut { before }).unwrap());
    assert_eq!(session.drop_frame(), 0);
    assert!(session.feed(&mut { after }).unwrap());
    session.step().unwrap();
    let mut scores = vec![0; model.outputs()];
    session.scores(&mut scores).unwrap();
    assert_eq!(scores, scores_of(&model, &samples));
}
