//! What only shows after a long time. `cargo xtask test --long` runs all of it.

use std::time::Duration;

use bt_core::about::Pool;
use bt_core::{InputType, Model, ModelBytes, Session};
use bt_embed::long_run::{self, STEPS};
use bt_tests::exported;
use bt_tests::model::{Dense, Noise};
use tools::board::emulated;
use tools::emulator::run_to_end;
use tools::firmware::{Firmware, ModelIn};

/// A million steps take seconds on most boards, and minutes where a machine is busy.
const LIMIT: Duration = Duration::from_secs(3600);

fn digests(file: &ModelBytes) -> Vec<(u32, u32)> {
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut scores = vec![0; model.classes()];
    let mut told = Vec::new();
    long_run::run(&mut session, &mut scores, |steps, crc| {
        told.push((steps, crc));
    })
    .unwrap();
    told
}

/// Every score of a million steps on every board, by its digest. The mean takes a long run: its sums are
/// halved every 65,536 steps.
#[test]
#[ignore = "takes minutes"]
fn a_million_steps_have_the_bits_of_the_host_on_every_board() {
    let mean = Dense {
        pool: Pool::Mean,
        hidden: 5,
        ..Dense::default()
    };
    let place = tempfile::tempdir().unwrap();
    for (name, file) in [("streamed", exported::streamed(3)), ("mean", mean.model())] {
        let told = digests(&file);
        assert_eq!(told.len(), STEPS.len());
        // A dead model would give the same scores for ever: then the digests agree and show nothing.
        assert!(moves(&file), "{name}");
        let expected: String = told
            .iter()
            .map(|(steps, crc)| format!("{steps} {crc:08x}\n"))
            .collect();
        let path = place.path().join("m.btm");
        std::fs::write(&path, file.bytes()).unwrap();
        for board in emulated() {
            let firmware = Firmware {
                board,
                model: ModelIn::Program(&path),
                log: false,
                binary: Some("long_run"),
            };
            let printed = run_to_end(board, &firmware.build().unwrap(), LIMIT).unwrap();
            assert_eq!(printed, expected, "{}: {name}", board.name);
        }
    }
}

/// Whether the scores of steps of noise differ from one another.
fn moves(file: &ModelBytes) -> bool {
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut noise = Noise::new(1);
    let mut step = || {
        let frame = noise.bytes(model.frame_values() * model.input_type().bytes());
        assert_eq!(session.push_bytes(&frame), Ok(frame.len()));
        session.step().unwrap();
        let mut scores = vec![0; model.classes()];
        session.scores(&mut scores).unwrap();
        scores
    };
    step() != step()
}

/// Ten seconds of sound again and again for a day: whatever front end and session keep comes back to the
/// same values, so nothing creeps.
#[test]
#[ignore = "takes a minute"]
fn a_day_of_the_same_sound_gives_the_same_scores_to_the_end() {
    let file = Dense {
        values: 24,
        vectors: 3,
        input_type: InputType::I16,
        hidden: 9,
        ..Dense::default()
    }
    .model();
    let model = Model::parse(file.bytes()).unwrap();
    let front_end = model.front_end().unwrap();
    // Whole steps, so that the sound starts at the same place of a frame every time.
    let samples =
        10 * front_end.sample_rate_hz() as usize / model.frame_values() * model.frame_values();
    let day = 86_400 * front_end.sample_rate_hz() as usize / samples;
    // A loud word in quiet noise, over an offset.
    let mut noise = Noise::new(5);
    let sound: Vec<i16> = (0..samples)
        .map(|n| {
            let word = (samples / 3..samples / 2).contains(&n);
            let hiss = noise.bits() as i16 / 512;
            let tone = if word {
                9_000.0 * (n as f64 * 0.7).sin()
            } else {
                0.0
            };
            300 + hiss + tone as i16
        })
        .collect();

    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut hear = || {
        let mut rest = &sound[..];
        let mut all = Vec::new();
        while !rest.is_empty() {
            let taken = session.push_i16(rest).unwrap();
            rest = &rest[taken..];
            if session.frame_complete() {
                session.step().unwrap();
                let mut scores = vec![0; model.classes()];
                session.scores(&mut scores).unwrap();
                all.extend(scores);
            }
        }
        all
    };
    let first = hear();
    let early = hear();
    assert!(first.iter().any(|score| *score != first[0]));
    for minute in 2..day {
        assert!(hear() == early, "repetition {minute} of {day}");
    }
}
