//! A device that sleeps between frames: its state goes to flash or battery-backed RAM and comes back.
//!
//! `cargo run -p bt-core --features alloc --example saved_state [M.btm]`

mod tiny;

use bt_core::{Error, Model, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = tiny::from_command_line(0)?;
    let model = Model::parse(bytes.bytes())?;
    let frame = model.frame_values() * model.input_type().bytes();
    let frames: Vec<u8> = (0..4 * frame).map(|at| (at * 7) as u8).collect();
    let (before, after) = frames.split_at(2 * frame);
    let state = sleep(&model, before)?;
    println!("{} bytes of state", state.len());
    println!("{:?}", wake(&model, &state, after)?);
    Ok(())
}

/// Steps through the frames and saves the state.
fn sleep(model: &Model<'_>, mut frames: &[u8]) -> Result<Vec<u8>, Error> {
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena)?;
    while session.feed(&mut frames)? {
        session.step()?;
    }
    let mut state = vec![0; session.saved_bytes()];
    session.save(&mut state)?;
    Ok(state)
}

/// Goes on from a saved state; the scores after more frames. A state that was damaged, or is another
/// model's, is refused: a device then begins anew.
fn wake(model: &Model<'_>, state: &[u8], mut frames: &[u8]) -> Result<Vec<i32>, Error> {
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena)?;
    session.load(state)?;
    while session.feed(&mut frames)? {
        session.step()?;
    }
    let mut scores = vec![0; model.outputs()];
    session.scores(&mut scores)?;
    Ok(scores)
}

#[test]
fn sleeping_changes_no_score() {
    let bytes = tiny::model(0).unwrap();
    let model = Model::parse(bytes.bytes()).unwrap();
    let frames = [10, 20, 200, 40, 50, 60, 70, 80, 90, 100, 110, 250];
    let (before, after) = frames.split_at(8);
    let at_rest = sleep(&model, &[]).unwrap();
    let mut state = sleep(&model, before).unwrap();
    let scores = wake(&model, &state, after);
    assert_eq!(scores, wake(&model, &at_rest, &frames));
    assert_ne!(scores, wake(&model, &at_rest, after));
    state[5] ^= 1;
    assert!(matches!(wake(&model, &state, after), Err(Error::State(_))));
}
