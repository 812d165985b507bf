//! Sound: samples of an utterance, which ends where it likes.
//!
//! `cargo run -p bt-core --features alloc --example audio [M.btm]`

mod tiny;

use bt_core::{Error, Model, Session, argmax};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = tiny::from_command_line(2)?;
    let model = Model::parse(bytes.bytes())?;
    for period in [40, 4] {
        let class = classify(&model, &tone(period))?;
        let label = class.and_then(|class| model.label(class)).unwrap_or("?");
        println!("a period of {period} samples: {label}");
    }
    Ok(())
}

/// 1,000 samples of a square wave: no whole number of steps.
fn tone(period: usize) -> Vec<i16> {
    let high = |n: usize| n % period < period / 2;
    (0..1000)
        .map(|n| if high(n) { 4000 } else { -4000 })
        .collect()
}

/// The class of one utterance.
fn classify(model: &Model<'_>, samples: &[i16]) -> Result<Option<usize>, Error> {
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena)?;
    // As a microphone's buffers come.
    for buffer in samples.chunks(50) {
        let mut rest = buffer;
        while !rest.is_empty() {
            rest = &rest[session.push_i16(rest)?..];
            if session.frame_complete() {
                session.step()?;
            }
        }
    }
    // The last step is completed with silence, if it was begun.
    session.finish()?;
    if session.frame_complete() {
        session.step()?;
    }
    let mut scores = vec![0; model.outputs()];
    session.scores(&mut scores)?;
    Ok(argmax(&scores))
}

#[test]
fn low_and_high_are_told_apart() {
    let bytes = tiny::model(2).unwrap();
    let model = Model::parse(bytes.bytes()).unwrap();
    assert_eq!(classify(&model, &tone(40)), Ok(Some(0)));
    assert_eq!(classify(&model, &tone(4)), Ok(Some(1)));
}
