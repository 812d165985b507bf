//! The session's promises: pieces of any length, save and load, several streams over one model.

use bt_core::session::{PushError, ScoresError, StateError, StepError};
use bt_core::{Model, Session};
use bt_tests::exported;
use bt_tests::model::Noise;

fn frame_bytes(model: &Model<'_>) -> usize {
    model.frame_values() * model.input_type().bytes()
}

/// Feeds whole frames in pieces of `piece` values.
fn feed(session: &mut Session<'_, '_>, bytes: &[u8], piece: usize) {
    let piece = piece * session.model().input_type().bytes();
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + piece);
        at += session.push_bytes(&bytes[at..end]).unwrap();
        if session.frame_complete() {
            session.step().unwrap();
        }
    }
}

fn scores(session: &Session<'_, '_>) -> Vec<i32> {
    let mut scores = vec![0; session.model().classes()];
    session.scores(&mut scores).unwrap();
    scores
}

#[test]
fn pieces_of_any_length_give_the_same_scores() {
    for seed in 0..30 {
        let bytes = exported::random(seed);
        let model = Model::parse(bytes.bytes()).unwrap();
        let data = Noise::new(seed as u32).bytes(3 * frame_bytes(&model));
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut expected = None;
        for piece in [1, 2, 3, 7, model.frame_values(), 10 * model.frame_values()] {
            let mut session = Session::new(&model, &mut arena).unwrap();
            feed(&mut session, &data, piece);
            assert_eq!(session.steps(), 3);
            let found = scores(&session);
            assert_eq!(
                *expected.get_or_insert(found.clone()),
                found,
                "seed {seed}, pieces of {piece}"
            );
        }
    }
}

#[test]
fn a_saved_state_goes_on_as_if_nothing_had_happened() {
    for seed in 0..20 {
        let bytes = exported::random(seed);
        let model = Model::parse(bytes.bytes()).unwrap();
        let data = Noise::new(seed as u32).bytes(6 * frame_bytes(&model));
        let (first, second) = data.split_at(data.len() / 2);
        let (mut a, mut b) = (
            vec![0; model.arena_bytes() / 4],
            vec![0; model.arena_bytes() / 4],
        );
        let mut unbroken = Session::new(&model, &mut a).unwrap();
        feed(&mut unbroken, first, 5);
        let mut state = vec![0; unbroken.saved_bytes()];
        unbroken.save(&mut state).unwrap();
        feed(&mut unbroken, second, 5);
        let mut resumed = Session::new(&model, &mut b).unwrap();
        resumed.load(&state).unwrap();
        feed(&mut resumed, second, 3);
        assert_eq!(scores(&resumed), scores(&unbroken));
        // A state of another model, of a wrong length, or in the middle of a frame.
        state[0] ^= 1;
        assert_eq!(resumed.load(&state), Err(StateError::Mismatch));
        assert!(matches!(
            resumed.load(&state[1..]),
            Err(StateError::WrongLength { .. })
        ));
        if model.frame_values() > 1 {
            resumed
                .push_bytes(&data[..model.input_type().bytes()])
                .unwrap();
            assert_eq!(resumed.save(&mut state), Err(StateError::FrameUnderWay));
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
    let mut out = vec![0; model.classes()];
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
    let classes = model.classes();
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
