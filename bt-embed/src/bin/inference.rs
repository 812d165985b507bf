//! The least a product needs: a frame of bytes through the model in flash, and the class that won.
//! What it takes of flash beside the model is parse, push, step and scores, and nothing that prints;
//! `cargo xtask bench` counts it.
#![no_std]
#![no_main]

use core::hint::black_box;

use bt_core::{Model, Session, argmax};
use bt_embed::board::exit;
use panic_never as _;

const MODEL: &[u8] = bt_embed::model!();
const ARENA: usize = bt_embed::arena_words(MODEL);

/// Arena and scores.
type Memory = ([u32; ARENA], [i32; bt_embed::CLASSES]);

bt_embed::entry!(run, Memory = ([0; ARENA], [0; bt_embed::CLASSES]));

fn run((arena, scores): &'static mut Memory) -> ! {
    match classify(bt_embed::flashed(MODEL), arena, scores) {
        Some(_) => exit::success(),
        None => exit::failure(),
    }
}

/// The class with the highest score after one frame; `None` when a call refused.
fn classify(bytes: &[u8], arena: &mut [u32], scores: &mut [i32]) -> Option<usize> {
    let model = Model::parse(bytes).ok()?;
    let scores = scores.get_mut(..model.outputs())?;
    let mut session = Session::new(&model, arena).ok()?;
    while !session.frame_complete() {
        // A sensor's values are not known to the compiler.
        session.push_u8(&black_box([128; 6])).ok()?;
    }
    session.step().ok()?;
    session.scores(scores).ok()?;
    black_box(argmax(&*scores))
}
