//! Boards in QEMU on a line of which one byte in a hundred is flipped, lost, doubled or swapped with the next, both ways:
//! every answer is right or the request is given up by name, nothing hangs, and what the line lost is counted.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bt_core::{Detection, Detector, Model, Rule, Session, Watch};
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

/// So many frames to a board, every answer compared with a session's here.
fn stream(name: &str, frames: usize) {
    let shape = Dense {
        score_shift: 20,
        ..Dense::default()
    };
    let file = shape.model();
    let model = Model::parse(file.bytes()).unwrap();
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
    std::fs::write(elf.path(), fill(&program, file.bytes()).unwrap()).unwrap();
    let emulator = Emulator::start(board, elf.path(), false).unwrap();
    let uart = emulator.uart(Duration::from_millis(5)).unwrap();
    // A hang is a failure: ten times what it should take, and the boot.
    let limit = Duration::from_secs(60) + Duration::from_millis(200) * frames as u32;
    let noisy = Noisy::new(uart, ONCE_IN, frames as u32);
    let mut line = Line {
        device: Device::new(noisy, Instant::now() + limit),
        given_up: 0,
    };
    // At boot nothing answers.
    while line.device.hello().is_err() {}
    line.device.set_patience(PATIENCE);

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

#[test]
fn answers_are_right_or_given_up() {
    for name in ["microbit", "mps2-an386"] {
        stream(name, 500);
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
