//! Boards in QEMU on a line of which one byte in a hundred is flipped, lost, doubled or swapped with the next, both ways:
//! every answer is right or the request is given up by name, nothing hangs, and what the line lost is counted.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bt_core::captions::{END, Teller, Temperature};
use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::drawing::Random;
use bt_core::{Model, Session};
use bt_tests::model::{Dense, Noise};
use bt_tests::noisy::Noisy;
use tempfile::NamedTempFile;
use tools::board::Board;
use tools::device::Device;
use tools::emulator::Emulator;
use tools::firmware::{Firmware, ModelIn, fill};

/// One byte in so many suffers.
const ONCE_IN: u32 = 100;

/// Frames of a sequence.
const SEQUENCE: usize = 25;

/// No reply takes so long.
const PATIENCE: Duration = Duration::from_millis(25);

/// A board and its noisy line.
struct Line {
    device: Device<Noisy<UnixStream>>,
    /// Requests that were given up: reported lost.
    given_up: u32,
}

impl Line {
    /// Asks until there is an answer. A request that is given up may be asked again: none does harm.
    fn ask<T>(
        &mut self,
        mut request: impl FnMut(&mut Device<Noisy<UnixStream>>) -> anyhow::Result<T>,
    ) -> T {
        for _ in 0..10 {
            match request(&mut self.device) {
                Ok(answer) => return answer,
                Err(error) => {
                    let error = error.to_string();
                    // A refusal would be a wrong answer.
                    let is_noise = error.starts_with("the line is too noisy: ");
                    assert!(is_noise || error == "the device does not answer", "{error}");
                    self.given_up += 1;
                }
            }
        }
        panic!("ten times given up in a row");
    }
}

/// What a session here makes of the same frames.
struct Expected<'m> {
    session: Session<'m, 'm>,
    detector: Detector<'m>,
    scores: Vec<i32>,
    found: Vec<Detection>,
}

impl Expected<'_> {
    fn frame(&mut self, mut bytes: &[u8]) {
        assert!(self.session.feed(&mut bytes).unwrap());
        self.session.step().unwrap();
        let found = self.detector.step(&mut self.session, &mut self.scores);
        self.found.extend(found.unwrap());
    }

    fn reset(&mut self) {
        self.session.reset();
        self.detector.reset();
        self.found.clear();
    }
}

const RULE: Rule = Rule {
    threshold: 14_000,
    smoothing: 1,
    hold_off: 2,
};

/// Starts the program of all these tests on a board, with a model in it and a noisy line to it.
fn start(name: &str, model: &[u8], requests: usize) -> (Emulator, Line) {
    let board = Board::find(name).unwrap();
    let slot = ModelIn::Slot {
        flash_bytes: 16 << 10,
        arena_bytes: 2 << 10,
        classes: 8,
    };
    let firmware = Firmware {
        board,
        model: slot,
        log: false,
        binary: None,
    };
    let program = std::fs::read(firmware.build().unwrap()).unwrap();
    let elf = NamedTempFile::new().unwrap();
    std::fs::write(elf.path(), fill(&program, model).unwrap()).unwrap();
    let emulator = Emulator::start(board, elf.path(), false).unwrap();
    let uart = emulator.uart(Duration::from_millis(5)).unwrap();
    // A hang is a failure: ten times what it should take, and the boot.
    let limit = Duration::from_secs(60) + Duration::from_millis(200) * requests as u32;
    let noisy = Noisy::new(uart, ONCE_IN, requests as u32);
    let mut line = Line {
        device: Device::new(noisy, Instant::now() + limit),
        given_up: 0,
    };
    // At boot nothing answers.
    while line.device.hello().is_err() {}
    line.device.set_patience(PATIENCE);
    (emulator, line)
}

/// So many frames to a board, every answer compared with a session's here.
fn stream(name: &str, frames: usize) {
    let shape = Dense {
        score_shift: 20,
        ..Dense::default()
    };
    let file = shape.model();
    let model = Model::parse(file.bytes()).unwrap();
    let (_emulator, mut line) = start(name, file.bytes(), frames);

    let (mut arena, mut watches) = (vec![0; model.arena_words()], [Watch::OFF; 3]);
    let mut expected = Expected {
        session: Session::new(&model, &mut arena).unwrap(),
        detector: Detector::new(&model, &mut watches).unwrap(),
        scores: vec![0; 3],
        found: Vec::new(),
    };
    for class in [0, 2] {
        expected.detector.watch(class, Some(RULE)).unwrap();
        line.ask(|device| device.watch(class, Some(RULE)));
    }
    let identity = line.ask(Device::hello);
    assert_eq!((identity.board.as_str(), identity.classes), (name, 3));
    let frame_bytes = 2 * model.frame_values();
    let (mut noise, mut detections, mut states) = (Noise::new(4), 0, 0);
    for number in 0..frames {
        if number % SEQUENCE == 0 {
            line.ask(Device::reset);
            expected.reset();
        }
        let bytes = noise.bytes(frame_bytes);
        expected.frame(&bytes);
        let steps = line.ask(|device| device.chunk(&bytes));
        assert_eq!(steps as usize, number % SEQUENCE + 1, "frame {number}");
        if number % 5 == 4 {
            let scores = line.ask(Device::scores);
            assert_eq!(scores.raw, expected.scores, "frame {number}");
        }
        if number % SEQUENCE == SEQUENCE - 1 {
            let found = line.ask(|device| device.detections(0));
            assert_eq!(found, expected.found, "frame {number}");
            detections += found.len();
            let class = number % 3;
            let label = line.ask(|device| device.label(class));
            assert_eq!(label, format!("class {class}"));
        }
        if number % 100 == 99 {
            let mut state = vec![0; expected.session.saved_bytes()];
            expected.session.save(&mut state).unwrap();
            let told = line.ask(Device::save);
            assert_eq!(told, state, "frame {number}");
            // Forgotten, and put back.
            line.ask(Device::reset);
            line.ask(|device| device.load(&identity, &told));
            let scores = line.ask(Device::scores);
            assert_eq!(scores.raw, expected.scores, "frame {number}");
            states += 1;
        }
    }
    let repeats = line.device.repeats();
    let suffered = line.device.stream().suffered();
    line.device.stream().calm();
    let statistics = line.ask(Device::statistics);
    println!(
        "{name}: {frames} frames, {repeats} requests again, {} given up, {suffered:?}, {detections} detections, \
         {states} states, {:?}",
        line.given_up, statistics.line
    );
    assert_eq!(statistics.steps as usize, frames);
    assert!(statistics.line.frames_garbled > 0 && repeats > 0 && detections > 0);
    let kinds = [
        suffered.flipped,
        suffered.lost,
        suffered.doubled,
        suffered.swapped,
    ];
    assert!(
        kinds.iter().all(|&count| count as usize > frames / 50),
        "{suffered:?}"
    );
}

/// Drawn captions of so many pictures, every word compared with a session's here.
fn captions(name: &str, pictures: u32) {
    const LONGEST: usize = 6;
    let shape = Dense {
        classes: 8,
        ..Dense::default()
    };
    let file = shape.captioning(LONGEST as u32);
    let model = Model::parse(file.bytes()).unwrap();
    let (_emulator, mut line) = start(name, file.bytes(), pictures as usize * LONGEST);
    line.ask(Device::reset);
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let (mut scores, mut noise) = (vec![0; model.outputs()], Noise::new(6));
    let (mut steps, mut words) = (0, 0);
    for number in 0..pictures {
        let picture = noise.bytes(2 * model.frame_values());
        assert!(session.feed(&mut &picture[..]).unwrap());
        session.step().unwrap();
        line.ask(|device| device.chunk(&picture));
        steps += 1;
        let mut teller = Teller::drawing(Random::new(5, number.into()), Temperature::ONE);
        for at in 0..=LONGEST {
            session.scores(&mut scores).unwrap();
            let next = teller.next_word(&scores, model.score_shift()).unwrap();
            let expected = if at < LONGEST { next } else { END };
            let of = (5, number, Temperature::ONE.number());
            let (word, text) = line.ask(|device| device.tell(of, at as u16));
            assert_eq!(word, expected, "word {at} of picture {number}");
            assert_eq!(text, format!("class {expected}"));
            steps += 1;
            if word == END {
                break;
            }
            words += 1;
            session.step_word(word).unwrap();
        }
    }
    let repeats = line.device.repeats();
    line.device.stream().calm();
    let statistics = line.ask(Device::statistics);
    println!(
        "{name}: {words} words of {pictures} pictures, {repeats} requests again, {} given up, {:?}",
        line.given_up, statistics.line
    );
    // A word that is told again takes no step.
    assert_eq!(statistics.steps, steps);
    assert!(statistics.line.frames_garbled > 0 && repeats > 0 && words > pictures);
}

#[test]
fn answers_are_right_or_given_up() {
    for name in ["microbit", "mps2-an386"] {
        stream(name, 500);
        captions(name, 100);
    }
}

/// On demand: `cargo xtask test --long noise`.
#[test]
#[ignore = "long"]
fn answers_are_right_or_given_up_for_ten_thousand_frames() {
    for name in ["microbit", "mps2-an386"] {
        stream(name, 10_000);
    }
}
