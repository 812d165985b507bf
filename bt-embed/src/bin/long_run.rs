//! A million steps of the model in flash, told by a digest of their scores.
#![no_std]
#![no_main]

use bt_core::{Model, Session};
use bt_embed::board::exit;
use bt_embed::long_run;
use semihosting::println;

const MODEL: &[u8] = bt_embed::model!();
const ARENA: usize = bt_embed::arena_words(MODEL);

/// Arena and scores.
type Memory = ([u32; ARENA], [i32; bt_embed::CLASSES]);

bt_embed::entry!(start, Memory = ([0; ARENA], [0; bt_embed::CLASSES]));

fn start((arena, scores): &'static mut Memory) -> ! {
    match run(bt_embed::flashed(MODEL), arena, scores) {
        Some(()) => exit::success(),
        None => exit::failure(),
    }
}

bt_embed::handlers!();

fn run(bytes: &[u8], arena: &mut [u32], scores: &mut [i32]) -> Option<()> {
    let model = Model::parse(bytes).ok()?;
    let scores = scores.get_mut(..model.outputs())?;
    let mut session = Session::new(&model, arena).ok()?;
    long_run::run(&mut session, scores, |steps, crc| {
        println!("{} {:08x}", steps, crc);
    })
}
