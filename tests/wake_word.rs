//! A wake word, then a command: two models that listen in turn to one stream, on the host and on cores in QEMU.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use bt_core::detection::{Detection, Rule};
use bt_core::error::SessionError;
use bt_core::{Error, InputType, Model, ModelBytes, Session, arena_words, output_count};
use bt_embed::listen::{ListenError, Listener, Task, larger};
use bt_tests::model::{Dense, Noise};
use embedded_io::{ErrorKind, ErrorType, Read};
use tools::board::Board;
use tools::emulator::Emulator;
use tools::firmware::{Firmware, ModelIn};

/// What `src/bin/wake_word.rs` of bt-embed listens for.
const WAKE_RULES: [(usize, Rule); 1] = [(0, rule(6_000, 2))];
const COMMAND_RULES: [(usize, Rule); 2] = [(2, rule(21_500, 1)), (3, rule(10_500, 1))];
const COMMAND_STEPS: u32 = 12;

/// Room for the models below.
const ARENA: usize = 1200;
const CLASSES: usize = 5;

const fn rule(threshold: u16, smoothing: u8) -> Rule {
    Rule {
        threshold,
        smoothing,
        hold_off: 0,
    }
}

/// Sound of 8 bands, so many vectors a step.
fn sound(vectors: u32, shape: Dense) -> ModelBytes {
    let shape = Dense {
        input_type: InputType::I16,
        values: 8 * vectors as usize,
        vectors,
        ..shape
    };
    shape.model()
}

/// Models whose probabilities go up and down.
fn wake() -> ModelBytes {
    let shape = Dense {
        score_shift: 22,
        seed: 3,
        ..Dense::default()
    };
    sound(2, shape)
}

/// Needs more of everything.
fn commands() -> ModelBytes {
    let shape = Dense {
        hidden: 11,
        classes: 5,
        score_shift: 20,
        seed: 9,
        ..Dense::default()
    };
    sound(3, shape)
}

/// Noise that is now bright, now dark, now loud, now soft.
fn samples(count: usize) -> Vec<i16> {
    let mut noise = Noise::new(3);
    let (mut kind, mut low) = (0, 0);
    let mut sample = |at: usize| {
        if at.is_multiple_of(700) {
            kind = noise.bits() % 12;
        }
        let white = i32::from(noise.bits() as i16) >> (kind / 3);
        low += (white - low) / 16;
        let sample = match kind % 3 {
            0 => white,
            1 => low,
            _ => (white - low) / 4,
        };
        sample as i16
    };
    (0..count).map(&mut sample).collect()
}

fn tasks<'m>(wake: &'m Model<'m>, commands: &'m Model<'m>) -> [Task<'m>; 2] {
    [
        Task {
            model: wake,
            rules: &WAKE_RULES,
            window: 0,
            steps_max: None,
        },
        Task {
            model: commands,
            rules: &COMMAND_RULES,
            window: 0,
            steps_max: Some(COMMAND_STEPS),
        },
    ]
}

/// What a task came to: class, step and smoothed probability, if something was detected, and the last scores.
type Heard = (Option<(usize, u32, f64)>, Vec<i32>);

/// One task on the samples from its start on, the probabilities in f64, and the samples that it took; `None` where
/// they are too few.
fn heard(task: &Task<'_>, samples: &[i16]) -> Option<(Heard, usize)> {
    let model = task.model;
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena).unwrap();
    let mut scores = vec![0; model.outputs()];
    let mut smoothed = vec![0.0; model.outputs()];
    for (at, step) in samples.chunks(model.frame_values()).enumerate() {
        if session.push_i16(step).unwrap() < model.frame_values() {
            return None;
        }
        session.step().unwrap();
        session.scores(&mut scores).unwrap();
        let unit = 2f64.powi(-model.score_shift());
        let terms: Vec<f64> = scores
            .iter()
            .map(|&score| (f64::from(score) * unit).exp())
            .collect();
        let sum: f64 = terms.iter().sum();
        let (steps, mut best) = (at as u32 + 1, None);
        for &(class, rule) in task.rules {
            let p = 32_768.0 * terms[class] / sum;
            smoothed[class] += (p - smoothed[class]) / 2f64.powi(rule.smoothing.into());
            let above = smoothed[class] - f64::from(rule.threshold);
            assert!(
                above.abs() > 6.0,
                "too near the threshold: choose another seed"
            );
            if above > 0.0 && best.is_none_or(|(_, _, p)| smoothed[class] > p) {
                best = Some((class, steps, smoothed[class]));
            }
        }
        if best.is_some() || task.steps_max == Some(steps) {
            return Some(((best, scores), (at + 1) * model.frame_values()));
        }
    }
    None
}

/// Samples as they come: some bytes at a time, whole values or not.
struct Microphone<'s> {
    bytes: &'s [u8],
    noise: Noise,
    fails_at: Option<usize>,
}

impl ErrorType for Microphone<'_> {
    type Error = ErrorKind;
}

impl Read for Microphone<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        assert!(!buffer.is_empty());
        if self.fails_at.is_some_and(|left| self.bytes.len() <= left) {
            self.fails_at = None;
            return Err(ErrorKind::Other);
        }
        let count = (1 + usize::from(self.noise.bits()) % 90)
            .min(buffer.len())
            .min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}

fn microphone(bytes: &[u8]) -> Microphone<'_> {
    Microphone {
        bytes,
        noise: Noise::new(9),
        fails_at: None,
    }
}

/// What was detected, and the scores, as a line of the firmware's.
fn line(who: &str, found: Option<Detection>, scores: &[i32]) -> String {
    let found = match found {
        Some(found) => format!("{} {} {}", found.class, found.step, found.confidence),
        None => "none".to_owned(),
    };
    let scores: Vec<String> = scores.iter().map(i32::to_string).collect();
    format!("{who} {found} {}", scores.join(" "))
}

/// Host, Cortex-M0 and Cortex-M4F hear what f64 says, wake words, commands and pauses without one.
#[test]
fn two_models_listen_in_turn() {
    let (wake, commands) = (wake(), commands());
    let models = [&wake, &commands].map(|file| Model::parse(file.bytes()).unwrap());
    let tasks = tasks(&models[0], &models[1]);
    let samples = samples(60_000);
    let bytes: &[u8] = bytemuck::cast_slice(&samples);

    let mut listener = Listener::<ARENA, CLASSES>::new();
    let mut source = microphone(bytes);
    let (mut rest, mut lines, mut commands_heard) = (&samples[..], Vec::new(), [0; CLASSES]);
    for (who, task) in ["wake", "command"].iter().zip(&tasks).cycle() {
        let Some(((expected, scores), taken)) = heard(task, rest) else {
            let end = listener.listen(*task, &mut source);
            assert_eq!(end, Err(ListenError::End));
            break;
        };
        rest = &rest[taken..];
        let found = listener.listen(*task, &mut source).unwrap();
        assert_eq!(
            found.map(|found| (found.class, found.step)),
            expected.map(|(class, step, _)| (class, step))
        );
        if let (Some(found), Some((_, _, p))) = (found, expected) {
            assert!((f64::from(found.confidence) - p).abs() < 6.0);
        }
        assert_eq!(listener.scores(task.model), scores);
        if *who == "command" {
            commands_heard[expected.map_or(0, |(class, ..)| class)] += 1;
        }
        lines.push(line(who, found, &scores));
    }
    println!(
        "{} lines, of the commands, 0 for none: {commands_heard:?}",
        lines.len()
    );
    assert!([0, 2, 3].iter().all(|&class| commands_heard[class] > 0));

    let files = tempfile::tempdir().unwrap();
    let [wake, commands] = [("wake", &wake), ("commands", &commands)].map(|(name, file)| {
        let path = files.path().join(name);
        std::fs::write(&path, file.bytes()).unwrap();
        path
    });
    for name in ["microbit", "mps2-an386"] {
        let board = Board::find(name).unwrap();
        let firmware = Firmware {
            board,
            model: ModelIn::Pair {
                wake: &wake,
                commands: &commands,
            },
            log: false,
            binary: Some("wake_word"),
        };
        let elf = firmware.build().unwrap();
        // One arena, as large as the commands need.
        let size = tools::size::read(&elf).unwrap();
        let arenas = tasks.map(|task| task.model.arena_bytes());
        println!(
            "{name}: {} bytes of flash, {} of RAM, arenas {arenas:?}",
            size.flash_bytes, size.ram_bytes
        );
        let listener = size_of::<Listener<0, CLASSES>>();
        assert!(size.ram_bytes as usize - arenas[1] <= listener + 32);
        let emulator = Emulator::start(board, &elf, false).unwrap();
        let uart = emulator.uart(Duration::from_secs(60)).unwrap();
        let mut to_device = uart.try_clone().unwrap();
        let said = std::thread::scope(|scope| {
            scope.spawn(move || to_device.write_all(bytes).unwrap());
            let said = BufReader::new(uart).lines().take(lines.len());
            said.collect::<Result<Vec<_>, _>>().unwrap()
        });
        assert_eq!(said, lines, "{name}");
    }
}

/// A failure of the source ends listening, and the next one begins anew, behind what was lost.
#[test]
fn after_a_failure_listening_begins_anew() {
    let file = wake();
    let model = Model::parse(file.bytes()).unwrap();
    let samples = samples(20_000);
    let bytes: &[u8] = bytemuck::cast_slice(&samples);
    let task = Task {
        rules: &[],
        steps_max: Some(20),
        ..tasks(&model, &model)[0]
    };
    let mut source = microphone(bytes);
    source.fails_at = Some(bytes.len() - 1000);
    let mut listener = Listener::<ARENA, CLASSES>::new();
    let failed = listener.listen(task, &mut source);
    assert_eq!(failed, Err(ListenError::Source(ErrorKind::Other)));
    let lost = bytes.len() - source.bytes.len();
    // The source goes on with whole values: half a one is lost too.
    source.bytes = &bytes[lost.next_multiple_of(2)..];
    let ((_, scores), _) = heard(&task, &samples[lost.div_ceil(2)..]).unwrap();
    assert_eq!(listener.listen(task, &mut source), Ok(None));
    assert_eq!(listener.scores(&model), scores);
}

/// Whatever cannot listen is told by name.
#[test]
fn what_cannot_listen_is_refused() {
    let (wake, commands) = (wake(), commands());
    let models = [&wake, &commands].map(|file| Model::parse(file.bytes()).unwrap());
    let [wake, command] = tasks(&models[0], &models[1]);
    let samples = vec![0; 20_000];
    let mut source = microphone(&samples);

    let mut small = Listener::<ARENA, 3>::new();
    let refused = small.listen(command, &mut source);
    assert_eq!(refused, Err(ListenError::Classes { need: 5, found: 3 }));

    let mut small = Listener::<10, CLASSES>::new();
    let need = models[0].arena_bytes();
    let too_small = SessionError::ArenaTooSmall { need, found: 40 };
    assert_eq!(
        small.listen(wake, &mut source),
        Err(ListenError::Core(Error::Session(too_small)))
    );

    let mut listener = Listener::<ARENA, CLASSES>::new();
    let no_class = Task {
        rules: &[(3, rule(1, 0))],
        ..wake
    };
    let refused = listener.listen(no_class, &mut source).unwrap_err();
    assert_eq!(refused.to_string(), "there are only 3 classes");

    // Bytes behind samples, frames of other lengths: never on one stream.
    let frames = |values| {
        let shape = Dense {
            input_type: InputType::U8,
            values,
            ..Dense::default()
        };
        shape.model()
    };
    for (first, second) in [(&models[0], frames(16)), (&models[1], frames(24))] {
        let other = Model::parse(second.bytes()).unwrap();
        let mut listener = Listener::<ARENA, CLASSES>::new();
        let brief = |model| Task {
            model,
            rules: &[],
            window: 0,
            steps_max: Some(1),
        };
        assert_eq!(listener.listen(brief(first), &mut source), Ok(None));
        let refused = listener.listen(brief(&other), &mut source);
        assert_eq!(refused, Err(ListenError::OtherStream));
    }
    let pair = [frames(16), frames(24)];
    let [short, long] = [&pair[0], &pair[1]].map(|file| Model::parse(file.bytes()).unwrap());
    let mut listener = Listener::<ARENA, CLASSES>::new();
    let brief = |model| Task {
        model,
        rules: &[],
        window: 0,
        steps_max: Some(3),
    };
    assert_eq!(listener.listen(brief(&short), &mut source), Ok(None));
    assert_eq!(
        listener.listen(brief(&long), &mut source),
        Err(ListenError::OtherStream)
    );
}

/// What firmware makes its memory of.
#[test]
fn memory_is_that_of_the_larger_model() {
    let [wake, commands] = [wake(), commands()];
    let words = [&wake, &commands].map(|file| arena_words(file.bytes()));
    assert!(words[0] < words[1] && words[1] <= ARENA, "{words:?}");
    assert_eq!(larger(words[0], words[1]), words[1]);
    assert_eq!(larger(words[1], words[0]), words[1]);
    assert_eq!(output_count(commands.bytes()), CLASSES);
}
