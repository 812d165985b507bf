//! A sensor that delivers frames, in pieces as they come: a class after every frame.
//!
//! `cargo run -p bt-core --features alloc --example frame_loop [M.btm]`

mod tiny;

use bt_core::{Error, Model, Session, argmax};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = tiny::from_command_line(0)?;
    let model = Model::parse(bytes.bytes())?;
    let frame = model.frame_values() * model.input_type().bytes();
    let stream: Vec<u8> = (0..8 * frame).map(|at| (at / frame * 30) as u8).collect();
    for class in classes(&model, &stream)? {
        println!("{}", model.label(class).unwrap_or("?"));
    }
    Ok(())
}

/// The class after each frame of the stream.
fn classes(model: &Model<'_>, stream: &[u8]) -> Result<Vec<usize>, Error> {
    // On a microcontroller: static memory of `bt_core::arena_words(MODEL)` words.
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena)?;
    let mut scores = vec![0; model.outputs()];
    let mut classes = Vec::new();
    // A sensor's buffer ends where it likes, but never within a value.
    for mut piece in stream.chunks(3 * model.input_type().bytes()) {
        while session.feed(&mut piece)? {
            session.step()?;
            session.scores(&mut scores)?;
            classes.extend(argmax(&scores));
        }
    }
    Ok(classes)
}

#[test]
fn what_gets_brighter_ends_bright() {
    let bytes = tiny::model(0).unwrap();
    let model = Model::parse(bytes.bytes()).unwrap();
    let stream: Vec<u8> = [0, 0, 255, 255].iter().flat_map(|&x| [x; 4]).collect();
    assert_eq!(classes(&model, &stream).unwrap(), [0, 0, 1, 1]);
}
