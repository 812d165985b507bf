//! Several streams over one model: the model stays in flash, each session has an arena of its own.
//!
//! `cargo run -p bt-core --features alloc --example several_sessions [M.btm]`

mod tiny;

use bt_core::{Error, Model, Session, argmax};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = tiny::from_command_line(0)?;
    let model = Model::parse(bytes.bytes())?;
    let frame = model.frame_values() * model.input_type().bytes();
    let (dark, bright) = (vec![0; 3 * frame], vec![255; 3 * frame]);
    for class in classify(&model, [&dark, &bright])? {
        let label = class.and_then(|class| model.label(class));
        println!("{}", label.unwrap_or("?"));
    }
    Ok(())
}

/// The class of each of two streams, whose frames come in turn.
fn classify(model: &Model<'_>, streams: [&[u8]; 2]) -> Result<[Option<usize>; 2], Error> {
    let words = model.arena_words();
    let mut arenas = vec![0; 2 * words];
    let (left, right) = arenas.split_at_mut(words);
    let mut sessions = [Session::new(model, left)?, Session::new(model, right)?];
    let mut rest = streams;
    while rest.iter().any(|stream| !stream.is_empty()) {
        for (session, stream) in sessions.iter_mut().zip(&mut rest) {
            if session.feed(stream)? {
                session.step()?;
            }
        }
    }
    let mut scores = vec![0; model.outputs()];
    let mut classes = [None; 2];
    for (class, session) in classes.iter_mut().zip(&sessions) {
        session.scores(&mut scores)?;
        *class = argmax(&scores);
    }
    Ok(classes)
}

#[test]
fn streams_do_not_mix() {
    let bytes = tiny::model(0).unwrap();
    let model = Model::parse(bytes.bytes()).unwrap();
    let (dark, bright) = ([0; 12], [255; 12]);
    assert_eq!(classify(&model, [&dark, &bright]), Ok([Some(0), Some(1)]));
}
