//! The session's promises: pieces of any length, save and load, several streams over one model.

mod mean;
mod sound;
mod state;

use bt_core::about::Pool;
use bt_core::error::{PushError, ScoresError, StateError, StepError};
use bt_core::internals::front_end::{FORMAT, FORMAT_UNFILTERED};
use bt_core::{Model, Session};
use bt_tests::exported::{self, SOUND_STEP, recordings};
use bt_tests::model::{Dense, Noise};
use bt_train::device;
use crc::{CRC_32_ISCSI, Crc};
use proptest::prelude::*;

fn frame_bytes(model: &Model<'_>) -> usize {
    model.frame_values() * model.input_type().bytes()
}

/// Feeds whole frames in pieces of `piece` values.
fn feed(session: &mut Session<'_, '_>, bytes: &[u8], piece: usize) {
    let piece = piece * session.model().input_type().bytes();
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + piece);
        let mut values = &bytes[at..end];
        while session.feed(&mut values).unwrap() {
            session.step().unwrap();
        }
        at = end;
    }
}

fn scores(session: &Session<'_, '_>) -> Vec<i32> {
    let mut scores = vec![0; session.model().outputs()];
    session.scores(&mut scores).unwrap();
    scores
}

/// A model of few bytes of state, with a pool.
fn small(hidden: usize) -> Dense {
    Dense {
        values: 3,
        hidden,
        pool: Pool::Mean,
        ..Dense::default()
    }
}

/// Puts the CRC-32C of a changed state right.
fn reseal(state: &mut [u8]) {
    let (bytes, crc) = state.split_last_chunk_mut::<4>().unwrap();
    *crc = Crc::<u32>::new(&CRC_32_ISCSI).checksum(bytes).to_le_bytes();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_length_give_the_same_scores(
        seed in 0..10_000u64,
        pieces in prop::collection::vec(1..100usize, 4),
    ) {
        let bytes = exported::random(seed);
        let model = Model::parse(bytes.bytes()).unwrap();
        let data = Noise::new(seed as u32).bytes(3 * frame_bytes(&model));
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut found = |piece: usize| {
            let mut session = Session::new(&model, &mut arena).unwrap();
            feed(&mut session, &data, piece);
            assert_eq!(session.steps(), 3);
            scores(&session)
        };
        let whole = found(model.frame_values());
        for piece in [&[1, 10 * model.frame_values()], &pieces[..]].concat() {
            prop_assert_eq!(found(piece), whole.clone(), "pieces of {}", piece);
        }
    }

    #[test]
    fn a_saved_state_goes_on_as_if_nothing_had_happened(
        seed in 0..10_000u64,
        frames_before in 0..5usize,
        pieces in prop::array::uniform3(1..20usize),
    ) {
        let bytes = exported::random(seed);
        let model = Model::parse(bytes.bytes()).unwrap();
        let data = Noise::new(seed as u32).bytes(6 * frame_bytes(&model));
        let (first, second) = data.split_at(frames_before * frame_bytes(&model));
        let (mut a, mut b) = (
            vec![0; model.arena_bytes() / 4],
            vec![0; model.arena_bytes() / 4],
        );
        let mut unbroken = Session::new(&model, &mut a).unwrap();
        feed(&mut unbroken, first, pieces[0]);
        let mut state = vec![0; unbroken.saved_bytes()];
        unbroken.save(&mut state).unwrap();
        feed(&mut unbroken, second, pieces[1]);
        let mut resumed = Session::new(&model, &mut b).unwrap();
        resumed.load(&state).unwrap();
        feed(&mut resumed, second, pieces[2]);
        prop_assert_eq!(scores(&resumed), scores(&unbroken));
        // Of a wrong length, or in the middle of a frame.
        let is_refused = matches!(resumed.load(&state[1..]), Err(StateError::WrongLength { .. }));
        prop_assert!(is_refused);
        if model.frame_values() > 1 {
            let value = &data[..model.input_type().bytes()];
            resumed.push_bytes(value).unwrap();
            prop_assert_eq!(resumed.save(&mut state), Err(StateError::FrameUnderWay));
        }
    }
}

#[test]
fn misuse_is_an_error_and_changes_nothing() {
    let bytes = exported::random(8);
    let model = Model::parse(bytes.bytes()).unwrap();
    let data = Noise::new(1).bytes(frame_bytes(&model));
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut out = vec![0; model.outputs()];
    assert_eq!(session.scores(&mut out), Err(ScoresError::NoStep));
    let need = model.frame_values();
    assert_eq!(
        session.step(),
        Err(StepError::FrameIncomplete { need, found: 0 })
    );
    session.push_bytes(&data).unwrap();
    assert_eq!(session.push_bytes(&data), Err(PushError::FrameComplete));
    session.step().unwrap();
    out.pop();
    let classes = model.outputs();
    assert_eq!(
        session.scores(&mut out),
        Err(ScoresError::WrongLength {
            need: classes,
            found: classes - 1
        })
    );
    session.reset();
    assert_eq!(session.steps(), 0);
    assert!(session.hidden_state().iter().all(|&h| h == 0));
}

/// Silence stands for sound alone.
#[test]
fn a_frame_of_values_is_not_made_up() {
    let bytes = exported::random(8);
    let model = Model::parse(bytes.bytes()).unwrap();
    let need = model.frame_values();
    assert!(need > 1);
    let data = Noise::new(1).bytes(frame_bytes(&model));
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    session.finish().unwrap();
    let (value, rest) = data.split_at(model.input_type().bytes());
    session.push_bytes(value).unwrap();
    assert_eq!(
        session.finish(),
        Err(StepError::FrameIncomplete { need, found: 1 })
    );
    session.push_bytes(rest).unwrap();
    session.step().unwrap();
    session.finish().unwrap();
    assert_eq!(session.steps(), 1);
}
