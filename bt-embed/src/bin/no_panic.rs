//! Links only if no call of `bt-core` can panic: `panic-never` leaves the
//! panic handler undefined, so that the linker finds every path that is left.
//!
//! It runs too: parse, push, step, finish, scores, save, load and draw on the model in flash.
#![no_std]
#![no_main]

use core::hint::black_box;

use bt_core::drawing::Random;
use bt_core::error::{DrawError, ScoresError};
use bt_core::health::{Limits, Watched};
use bt_core::{Model, SelfTest, Session};
use bt_embed::board::exit;
use panic_never as _;

/// Arena, scores and a saved state.
type Memory = ([u32; 2500], [i32; 64], [u8; 2048]);

bt_embed::entry!(run, Memory = ([0; 2500], [0; 64], [0; 2048]));

fn run((arena, scores, state): &'static mut Memory) -> ! {
    // Nothing about the model is known to the compiler.
    let model = black_box(bt_embed::flashed(bt_embed::model!()));
    match all(model, arena, scores, state) {
        Some(()) => exit::success(),
        None => exit::failure(),
    }
}

/// Every call of a session; `None` when one of them refused.
fn all(bytes: &[u8], arena: &mut [u32], scores: &mut [i32], state: &mut [u8]) -> Option<()> {
    let model = Model::parse(bytes).ok()?;
    let mut session = Session::new(&model, arena).ok()?;
    if session.self_test() != SelfTest::Passed {
        return None;
    }
    let values = black_box([1u8; 6]);
    while !session.frame_complete() {
        session.push_bytes(&values).ok()?;
    }
    session.step().ok()?;
    session.finish().ok()?;
    let scores = scores.get_mut(..model.outputs())?;
    session.scores(scores).ok()?;
    let state = state.get_mut(..session.saved_bytes())?;
    session.save(state).ok()?;
    session.reset();
    session.load(state).ok()?;
    let half = session.save_part(0, state.get_mut(..8)?).ok()?;
    let due = session.load_part(0, state.get(..half)?).ok()?;
    session.load_part(due, state.get(due..)?).ok()?;
    let mut limits = Limits::default();
    limits.count_input(model.input_type(), &values);
    while !session.frame_complete() {
        session.push_bytes(&values).ok()?;
    }
    let count = |watched: Watched<'_>| limits.count_step(model.cell(), &watched);
    session.step_watched(count).ok()?;
    if session.steps() != 2 || limits.cells == 0 {
        return None;
    }
    let frame = state.get_mut(..model.outputs())?;
    match session.draw(&mut Random::new(1, 2), frame) {
        Ok(()) | Err(DrawError::NotDrawn) => {}
        Err(_) => return None,
    }
    match (model.painting(), session.pixels(0, frame)) {
        (Some(_), Ok(())) | (None, Err(ScoresError::WrongLength { .. })) => Some(()),
        _ => None,
    }
}
