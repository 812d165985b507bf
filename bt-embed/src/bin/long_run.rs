//! A million steps of the model in flash, told by a digest of their scores.
#![no_std]
#![no_main]

use bt_core::{Model, Session};
use bt_embed::board::exit;
use bt_embed::long_run;
use cortex_m_semihosting::hprintln;

const MODEL: &[u8] = bt_embed::model!();
const ARENA: usize = bt_embed::arena_words(MODEL);

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA_WORDS: [u32; ARENA] = [0; ARENA];
    static mut SCORES: [i32; bt_embed::CLASSES] = [0; bt_embed::CLASSES];
    match run(bt_embed::flashed(MODEL), ARENA_WORDS, SCORES) {
        Some(()) => exit::success(),
        None => exit::failure(),
    }
}

bt_embed::handlers!();

fn run(bytes: &[u8], arena: &mut [u32], scores: &mut [i32]) -> Option<()> {
    let model = Model::parse(bytes).ok()?;
    let scores = scores.get_mut(..model.classes())?;
    let mut session = Session::new(&model, arena).ok()?;
    long_run::run(&mut session, scores, |steps, crc| {
        hprintln!("{} {:08x}", steps, crc);
    })
}
