//! The firmware's application on the host: the same code as on a board, over a
//! line in memory, with and without noise. Scores are those of a session that
//! was fed directly.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bt_core::internals::front_end::FORMAT;
use bt_core::internals::model::layout;
use bt_core::internals::model::write::Outputs;
use bt_core::{
    Feature, Field, FloatOutput, InputType, Limits, Model, ModelBytes, OutputKind, ParseError,
    Pool, Session, SessionError, Temperature, Watch,
};
use bt_embed::app::{Ended, Memory, run};
use bt_embed::board::{Board, Stack, Ticks};
use bt_embed::service::{Places, Refusal, Service};
use bt_embed::wire::{self, Golden, LineCounts, REASON_BYTES_MAX, Reply, Request, frame};
use bt_tests::exported::{self, recordings};
use bt_tests::line::{End, Faults, Uart, line};
use bt_tests::model::{Dense, Noise, pictures, scores_of};
use bt_tests::serving::{Room, surroundings};
use bt_tests::still::Still;
use bt_train::command::captions::Drawing;
use bt_train::drawing;
use embedded_hal::digital::{ErrorType, OutputPin};
use tools::device::{Device, Identity};
use tools::stream;

/// A clock that goes on by one whenever it is looked at.
struct Count(AtomicU32);

impl Ticks for Count {
    fn hertz(&self) -> u32 {
        1_000_000
    }

    fn now(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

struct Lamp(Arc<AtomicBool>);

impl ErrorType for Lamp {
    type Error = Infallible;
}

impl OutputPin for Lamp {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

const ARENA: usize = 1000;
const CLASSES: usize = 70;

/// Runs the application with a model until the test drops its device.
fn with_device<T>(
    model: &[u8],
    faults: [Faults; 2],
    seed: u32,
    test: impl FnOnce(Device<End>, &AtomicBool) -> T,
) -> T {
    let (host, device) = line(faults[0], faults[1], seed);
    let lamp = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let board = Board {
            name: "in memory",
            stream: Uart(device),
            ticks: Count(AtomicU32::new(u32::MAX - 20)),
            led: Lamp(Arc::clone(&lamp)),
            stack: || Stack {
                bytes_used: 5,
                bytes: 9,
            },
        };
        let served = scope.spawn(move || {
            let mut memory = Memory::<300, ARENA, CLASSES>::new();
            run(board, model, &mut memory)
        });
        let mut device = Device::new(host, Instant::now() + Duration::from_secs(60));
        device.set_patience(Duration::from_millis(60));
        let result = test(device, &lamp);
        assert_eq!(served.join().unwrap(), Ended::End);
        result
    })
}

fn shapes() -> Vec<Dense> {
    let mut shapes = Vec::new();
    for (seed, input_type) in [InputType::U8, InputType::I8, InputType::I16]
        .into_iter()
        .enumerate()
    {
        for (values, hidden, classes, pool) in [
            (7, 6, 3, Pool::Last),
            (300, 10, 66, Pool::Mean),
            (1, 2, 1, Pool::Last),
            (5, 4, 2, Pool::Recent),
        ] {
            let seed = seed as u32 * 10 + hidden as u32;
            shapes.push(Dense {
                input_type,
                values,
                vectors: 0,
                hidden,
                classes,
                pool,
                horizon_shift: u8::from(pool == Pool::Recent),
                seed,
                ..Dense::default()
            });
        }
    }
    shapes
}

/// Pictures over a quiet line and a noisy one: the host's, bit for bit.
#[test]
fn a_device_draws_what_the_host_draws() {
    let file = Dense {
        values: 66,
        hidden: 10,
        classes: 66,
        ..Dense::default()
    }
    .drawing();
    let model = Model::parse(file.bytes()).unwrap();
    let expected = drawing::draw(&model, u64::MAX, (3, 5), || ()).unwrap();
    assert_ne!(expected.bits[0], expected.bits[1]);
    let noisy = Faults {
        flip: 600,
        drop: 600,
        ..Faults::default()
    };
    for faults in [Faults::default(), noisy] {
        with_device(file.bytes(), [faults; 2], 5, |mut device, _| {
            let found = tools::draw::draw(&mut device, &model, u64::MAX, (3, 5)).unwrap();
            assert_eq!(found, expected);
            // Scores are those of the last step; values pushed end the drawing.
            let scores = device.scores().unwrap();
            assert_eq!((scores.steps, scores.raw.len()), (5, 66));
            device.chunk(&[0; 66]).unwrap();
            let line = device.draw(u64::MAX, 2, 6).unwrap_err().to_string();
            assert!(line.contains("step 0 is due"), "{line}");
        });
    }
}

/// Captions over a quiet line and a noisy one: the host's words, the likeliest and drawn ones.
#[test]
fn a_device_tells_what_the_host_tells() {
    let file = Dense {
        input_type: InputType::U8,
        hidden: 9,
        classes: 40,
        ..Dense::default()
    }
    .captioning(9);
    let model = Model::parse(file.bytes()).unwrap();
    let part = pictures(&model, 5, 3);
    let noisy = Faults {
        flip: 600,
        drop: 600,
        ..Faults::default()
    };
    let drawn = Drawing {
        temperature: Temperature::new(500),
        seed: Some(u64::MAX),
    };
    for (faults, drawing) in [
        (Faults::default(), Drawing::default()),
        (Faults::default(), drawn.clone()),
        (noisy, drawn),
    ] {
        let sequences = [0, 1, 2, 3, 4];
        let teller = |number| drawing.teller(number);
        let expected = bt_train::device::captions(&model, &part, &sequences, teller, || ());
        with_device(file.bytes(), [faults; 2], 5, |mut device, _| {
            let told = tools::caption::tell(&mut device, &model, &part, &sequences, &drawing);
            let told = told.unwrap();
            let words = |caption: &Vec<(usize, String)>| caption.iter().map(|(w, _)| *w).collect();
            let words: Vec<Vec<usize>> = told.captions.iter().map(words).collect();
            assert_eq!(words, expected.unwrap());
            assert!(
                words.iter().any(|caption| caption != &words[0]),
                "{words:?}"
            );
            let (word, text) = &told.captions.concat()[0];
            assert_eq!(text, &format!("class {word}"));
        });
    }
}

/// Asked for after every step, scores are those of the steps so far.
#[test]
fn scores_of_every_step_are_those_of_a_session_fed_directly() {
    let outputs = Outputs {
        kind: OutputKind::Values,
        every_step: true,
        values: vec![
            FloatOutput {
                offset: 20.0,
                lsb: 1e-4
            };
            3
        ],
        ..Outputs::default()
    };
    // Frames of 14 bytes, and of more than a chunk.
    for values in [7, 400] {
        let shape = Dense {
            values,
            ..Dense::default()
        };
        let file = shape.with(outputs.clone());
        let model = Model::parse(file.bytes()).unwrap();
        with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
            let identity = device.hello().unwrap();
            assert_eq!(identity.classes, 3);
            let frame = 2 * values;
            let bytes = Noise::new(2).bytes(5 * frame);
            let scores = stream::sequence(&mut device, &identity, &bytes, true).unwrap();
            assert_eq!(scores.len(), 5);
            for (step, scores) in (1..).zip(&scores) {
                assert_eq!(scores.steps as usize, step);
                assert_eq!(scores.raw, scores_of(&model, &bytes[..step * frame]));
                // No value is the best.
                assert_eq!((scores.best, scores.confidence), (0, 0.0));
            }
            assert_eq!(
                device.label(0).unwrap_err().to_string(),
                "the device answered: there are only 0 classes"
            );
        });
    }
}

#[test]
fn scores_are_those_of_a_session_fed_directly() {
    for shape in shapes() {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
            let identity = device.hello().unwrap();
            assert_eq!(identity.golden, Golden::Passed);
            assert_eq!(identity.board, "in memory");
            assert_eq!(identity.model, model.name());
            assert_eq!(identity.classes, model.classes());
            assert_eq!(identity.frame_values, model.frame_values());
            assert_eq!(identity.arena_bytes, model.arena_bytes());
            assert_eq!(identity.model_crc, model.crc());
            // The clock goes on by one while the self test runs.
            assert_eq!((identity.step_ticks, identity.sample_hz), (1, 0));
            assert_eq!(
                device.label(shape.classes - 1).unwrap(),
                format!("class {}", shape.classes - 1)
            );
            for steps in [1, 4] {
                let bytes = Noise::new(steps)
                    .bytes(steps as usize * shape.values * shape.input_type.bytes());
                let scores = stream::sequence(&mut device, &identity, &bytes, false)
                    .unwrap()
                    .pop()
                    .unwrap();
                assert_eq!(scores.steps, steps);
                assert_eq!(scores.raw, scores_of(&model, &bytes), "{shape:?}");
                let largest = scores.raw.iter().max().unwrap();
                assert_eq!(
                    scores.raw.iter().position(|score| score == largest),
                    Some(scores.best)
                );
            }
            let statistics = device.clear().unwrap();
            assert_eq!((statistics.period, statistics.steps), (0, 5));
            assert_eq!(statistics.line, LineCounts::default());
            assert_eq!(
                (statistics.stack_bytes_used, statistics.stack_bytes),
                (5, 9)
            );
            // The clock wraps in the test; one look before and one after each call.
            assert!((10..1000).contains(&statistics.ticks), "{statistics:?}");
            let statistics = device.statistics().unwrap();
            assert_eq!((statistics.period, statistics.steps), (1, 0));
            assert_eq!(device.repeats(), 0);
        });
    }
}

#[test]
fn chunks_of_any_length_give_the_same_scores() {
    let shape = Dense::default();
    let file = shape.model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(3).bytes(5 * 14);
    let wanted = scores_of(&model, &bytes);
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        for length in [1, 2, 3, 13, 14, 15, 29, 70] {
            device.reset().unwrap();
            for chunk in bytes.chunks(length) {
                device.chunk(chunk).unwrap();
                device.chunk(&[]).unwrap();
            }
            let scores = device.scores().unwrap();
            assert_eq!((scores.steps, scores.raw), (5, wanted.clone()), "{length}");
        }
    });
}

/// An utterance that ends within a step has the scores that `bt-train run` gives it, however often the
/// host says that it ended.
#[test]
fn an_utterance_ends_as_run_ends_it() {
    let file = exported::sound(1, FORMAT);
    let model = Model::parse(file.bytes()).unwrap();
    let mut noise = Noise::new(9);
    let sounds: Vec<Vec<i16>> = [1, 64, 65, 500]
        .into_iter()
        .map(|length| {
            (0..length)
                .map(|_| 900 + (noise.bits() as i16 >> 6))
                .collect()
        })
        .collect();
    let expected = bt_train::device::run(&model, &recordings(&sounds), || ()).unwrap();
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        let identity = device.hello().unwrap();
        for (sound, expected) in sounds.iter().zip(&expected) {
            let bytes: Vec<u8> = sound
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect();
            let scores = stream::sequence(&mut device, &identity, &bytes, false)
                .unwrap()
                .pop()
                .unwrap();
            assert_eq!(scores.steps as usize, sound.len().div_ceil(64));
            assert_eq!(&scores.raw, expected);
            assert_eq!(device.finish().unwrap(), scores.steps);
            assert_eq!(&device.scores().unwrap().raw, expected);
        }
        // Half a sample is a fault of the host's.
        device.chunk(&[1]).unwrap();
        assert_eq!(
            device.finish().unwrap_err().to_string(),
            "the device answered: the last step is not complete"
        );
    });
    // Nothing stands for the values of a frame.
    let file = Dense::default().model();
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        device.chunk(&[0; 4]).unwrap();
        assert_eq!(
            device.finish().unwrap_err().to_string(),
            "the device answered: the last step is not complete"
        );
        device.chunk(&[0; 10]).unwrap();
        assert_eq!(device.finish().unwrap(), 1);
    });
}

#[test]
fn noise_on_the_line_loses_nothing() {
    let shape = Dense {
        values: 40,
        classes: 20,
        ..Dense::default()
    };
    let file = shape.model();
    let model = Model::parse(file.bytes()).unwrap();
    let kinds = [
        Faults {
            flip: 150,
            ..Faults::default()
        },
        Faults {
            drop: 200,
            ..Faults::default()
        },
        Faults {
            insert: 200,
            ..Faults::default()
        },
        Faults {
            cut: 400,
            ..Faults::default()
        },
        Faults {
            flip: 700,
            drop: 700,
            insert: 700,
            cut: 900,
        },
    ];
    for (at, faults) in kinds.into_iter().enumerate() {
        for (seed, both) in [
            [faults, Faults::default()],
            [Faults::default(), faults],
            [faults; 2],
        ]
        .into_iter()
        .enumerate()
        {
            with_device(
                file.bytes(),
                both,
                (10 * at + seed) as u32,
                |mut device, _| {
                    let mut repeats = 0;
                    for round in 0..3 {
                        let bytes = Noise::new(round).bytes(6 * 80);
                        // Short chunks, so that most frames survive.
                        device.reset().unwrap();
                        for chunk in bytes.chunks(31) {
                            device.chunk(chunk).unwrap();
                        }
                        let scores = device.scores().unwrap();
                        assert_eq!(
                            (scores.steps, scores.raw),
                            (6, scores_of(&model, &bytes)),
                            "{both:?}"
                        );
                        repeats += device.repeats();
                    }
                    assert!(repeats > 0, "{both:?}: nothing was damaged");
                },
            );
        }
    }
}

#[test]
fn a_detection_lights_the_lamp() {
    // One class: its softmax is 1.
    let shape = Dense {
        classes: 1,
        ..Dense::default()
    };
    with_device(
        shape.model().bytes(),
        [Faults::default(); 2],
        1,
        |mut device, lamp| {
            device.reset().unwrap();
            assert!(!lamp.load(Ordering::Relaxed));
            device.chunk(&[0; 14]).unwrap();
            assert!(lamp.load(Ordering::Relaxed));
            assert_eq!(device.scores().unwrap().confidence, 1.0);
            device.reset().unwrap();
            assert!(!lamp.load(Ordering::Relaxed));
        },
    );
}

#[test]
fn wrong_requests_have_clear_answers() {
    let file = Dense::default().model();
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        let message = |result: anyhow::Result<()>| format!("{:#}", result.unwrap_err());
        assert_eq!(
            message(device.scores().map(drop)),
            "the device answered: no step is complete yet"
        );
        assert_eq!(
            message(device.label(3).map(drop)),
            "the device answered: there are only 3 classes"
        );
        assert_eq!(
            message(device.chunk(&[0; 400]).map(drop)),
            "the line is too noisy: a frame is longer than 300 bytes, 12 times in a row"
        );
        // It serves on.
        assert_eq!(device.hello().unwrap().classes, 3);
    });
}

/// A device that answers whatever it is asked with one frame.
struct Stubborn {
    answer: Vec<u8>,
    unread: Vec<u8>,
}

impl io::Read for Stubborn {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.unread.len().min(bytes.len());
        bytes[..count].copy_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Ok(count)
    }
}

impl io::Write for Stubborn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unread.extend(&self.answer);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_device_of_another_version_is_refused_by_name_at_once() {
    // As devices of versions 1 and 2 answer it, and one that answers in our version.
    for (body, named) in [
        ([1, 0xFF, 0, 3, 1, 0, 0, 0], 1),
        ([2, 0xFF, 0, 3, 2, 0, 0, 0], 2),
        ([3, 0xFF, 1, 3, 7, 0, 0, 0], 7),
    ] {
        let mut line = [0; 40];
        let length = frame::encode(&mut line, |w| w.bytes(&body)).unwrap();
        let stream = Stubborn {
            answer: line[..length].to_vec(),
            unread: Vec::new(),
        };
        let mut device = Device::new(stream, Instant::now() + Duration::from_secs(10));
        let error = device.hello().unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "the device answered: it speaks version {named} of the protocol, this program version 3"
            )
        );
        assert_eq!(device.repeats(), 0);
    }
}

/// Counts are cleared once, however often the host must ask.
#[test]
fn a_period_is_cleared_once() {
    let file = Dense::default().model();
    let faults = Faults {
        cut: 300,
        ..Faults::default()
    };
    with_device(
        file.bytes(),
        [Faults::default(), faults],
        3,
        |mut device, _| {
            let mut steps = 0;
            for period in 0..30 {
                device.reset().unwrap();
                device.chunk(&[1; 14]).unwrap();
                let ended = device.clear().unwrap();
                assert_eq!((ended.period, ended.steps), (period, 1));
                steps += ended.steps;
            }
            assert_eq!(steps, 30);
            assert!(device.repeats() > 10, "no reply was lost");
        },
    );
}

/// Values at the ends of their type are told, and so are gates and cells.
#[test]
fn a_drifting_sensor_shows_in_the_statistics() {
    let shape = Dense::default();
    let file = shape.model();
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        device.reset().unwrap();
        let values = [i16::MAX, 5, i16::MIN, 0, 32_766, -1, i16::MAX];
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for _ in 0..5 {
            device.chunk(&bytes).unwrap();
        }
        let limits = device.clear().unwrap().limits;
        assert_eq!((limits.inputs, limits.inputs_clipped), (35, 15));
        let hidden = shape.hidden as u64;
        assert_eq!((limits.gates, limits.cells), (20 * hidden, 5 * hidden));
        // The counts are a period's.
        assert_eq!(device.statistics().unwrap().limits, Limits::default());
    });
}

/// A stream goes on after the power was gone, from what the host saved, with the scores of one that never broke.
#[test]
fn a_state_goes_over_the_line_and_a_power_cycle() {
    for (shape, faults) in shapes().into_iter().zip([0, 300].into_iter().cycle()) {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let faults = [Faults {
            flip: faults,
            ..Faults::default()
        }; 2];
        let frame = shape.values * shape.input_type.bytes();
        let bytes = Noise::new(7).bytes(5 * frame);
        let (first, second) = bytes.split_at(3 * frame);
        let stream = |device: &mut Device<End>, bytes: &[u8]| {
            // Short chunks, so that most frames survive.
            for chunk in bytes.chunks(40) {
                device.chunk(chunk).unwrap();
            }
        };
        let state = with_device(file.bytes(), faults, 1, |mut device, _| {
            device.reset().unwrap();
            stream(&mut device, first);
            device.save().unwrap()
        });
        let mut arena = vec![0; ARENA];
        let mut session = Session::new(&model, &mut arena).unwrap();
        session.load(&state).unwrap();
        assert_eq!(session.steps(), 3);
        with_device(file.bytes(), faults, 2, |mut device, _| {
            let identity = device.hello().unwrap();
            // What was under way is forgotten.
            stream(&mut device, &[1; 3]);
            let short = Identity {
                chunk_bytes_max: 43,
                ..identity
            };
            device.load(&short, &state).unwrap();
            let scores = device.scores().unwrap();
            assert_eq!((scores.steps, scores.raw), (3, scores_of(&model, first)));
            stream(&mut device, second);
            let scores = device.scores().unwrap();
            assert_eq!((scores.steps, scores.raw), (5, scores_of(&model, &bytes)));
        });
    }
}

#[test]
fn a_damaged_state_is_refused_by_name_on_both_ends() {
    let file = Dense::default().model();
    let other = Dense {
        seed: 9,
        ..Dense::default()
    }
    .model();
    let model = Model::parse(file.bytes()).unwrap();
    let states: Vec<Vec<u8>> = [&file, &other]
        .into_iter()
        .map(|file| {
            with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
                device.chunk(&[3; 14]).unwrap();
                device.save().unwrap()
            })
        })
        .collect();
    let [state, of_other] = &states[..] else {
        panic!("two states");
    };
    let (crc, other_crc) = (model.crc(), Model::parse(other.bytes()).unwrap().crc());
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        let identity = device.hello().unwrap();
        let message = |result: anyhow::Result<()>| result.unwrap_err().to_string();
        // The host's end.
        for at in 0..state.len() {
            let mut damaged = state.clone();
            damaged[at] ^= 4;
            assert_eq!(
                message(device.load(&identity, &damaged)),
                "the state is damaged"
            );
        }
        assert_eq!(
            message(device.load(&identity, of_other)),
            format!("the state is of model {other_crc:08x}, the device has model {crc:08x}")
        );
        // The device's own: a host that does not look. It has no hello to compare with.
        let trusting = Identity {
            model_crc: other_crc,
            ..identity.clone()
        };
        assert_eq!(
            message(device.load(&trusting, of_other)),
            format!("the device answered: the state is another model's than {crc:08x}")
        );
        let mut long = state.clone();
        long.splice(8..8, [0; 8]);
        reseal(&mut long);
        assert_eq!(
            message(device.load(&identity, &long)),
            format!(
                "the device answered: a state has {} bytes, and this is longer",
                state.len()
            )
        );
        let mut short = state.clone();
        short.drain(8..12);
        reseal(&mut short);
        assert_eq!(
            message(device.load(&identity, &short)),
            format!("a state has {} bytes, not {}", state.len(), short.len())
        );
        // Which leaves the device waiting: it says so, and a reset ends it.
        assert_eq!(
            message(device.chunk(&[0; 2]).map(drop)),
            format!(
                "the device answered: byte {} of a state is due, or a reset",
                short.len()
            )
        );
        // More steps than the mean has: right checksum, and no session comes to it.
        let mut impossible = state.clone();
        impossible[8] ^= 1;
        reseal(&mut impossible);
        assert_eq!(
            message(device.load(&identity, &impossible)),
            "the device answered: the state is damaged"
        );
        // It serves on, and in the middle of a step there is no state.
        device.reset().unwrap();
        device.chunk(&[3; 13]).unwrap();
        assert_eq!(
            message(device.save().map(drop)),
            "the device answered: a step is under way; a state is saved between steps"
        );
        device.chunk(&[3]).unwrap();
        assert_eq!(device.save().unwrap(), *state);
    });
}

/// A right checksum under changed bytes of a state.
fn reseal(state: &mut [u8]) {
    let (bytes, sum) = state.split_last_chunk_mut::<4>().unwrap();
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    *sum = crc.checksum(bytes).to_le_bytes();
}

/// A host that was away may say again what it said before, however long ago.
#[test]
fn every_chunk_that_was_taken_is_taken_once() {
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(3).bytes(10 * 14);
    let mut room = Room::of(&model);
    let ticks = Count(AtomicU32::new(0));
    let lamp = Lamp(Arc::default());
    let service = Service::new(&model, file.bytes(), room.places(), &ticks, lamp);
    let mut service = service.unwrap();
    let surroundings = surroundings();
    for (sequence, chunk) in (0..).zip(bytes.chunks(14)) {
        for repeated in (0..=sequence).rev() {
            let bytes = if repeated == sequence {
                chunk
            } else {
                &[9; 14]
            };
            let request = Request::Data {
                sequence: repeated,
                bytes,
            };
            let taken = Reply::Taken {
                next: sequence + 1,
                steps: sequence + 1,
            };
            assert_eq!(service.handle(request, &surroundings), taken);
        }
        let ahead = Request::Data {
            sequence: sequence + 2,
            bytes: chunk,
        };
        let expected = sequence + 1;
        let refused = Reply::Error(wire::Error::Sequence { expected });
        assert_eq!(service.handle(ahead, &surroundings), refused);
    }
    let Reply::Scores(scores) = service.handle(Request::Scores { first: 0 }, &surroundings) else {
        panic!("no scores");
    };
    assert_eq!(
        scores.raw.iter().collect::<Vec<_>>(),
        scores_of(&model, &bytes)
    );
}

/// What a device says of a model that it refuses, twice.
fn refusal(model: &[u8]) -> String {
    with_device(model, [Faults::default(); 2], 1, |mut device, _| {
        let [first, second] = [(); 2].map(|()| device.hello().unwrap_err().to_string());
        assert_eq!(first, second);
        assert_eq!(device.reset().unwrap_err().to_string(), first);
        assert_eq!(device.repeats(), 0);
        let reason = first.strip_prefix("the device has no model to serve: ");
        reason.expect(&first).to_owned()
    })
}

#[test]
fn a_model_with_any_byte_changed_is_refused_and_the_device_serves_on() {
    let file = Dense::default().model();
    for at in 0..file.bytes().len() {
        let mut damaged = file.bytes().to_vec();
        damaged[at] ^= 1 << (at % 8);
        let damaged = ModelBytes::from_unaligned(&damaged);
        let error = Model::parse(damaged.bytes()).unwrap_err();
        if at % 40 == 0 {
            assert_eq!(refusal(damaged.bytes()), error.to_string());
        }
    }
}

/// The device gives the reason that the host would give, whatever it is.
#[test]
fn the_reason_of_a_refusal_crosses_the_line() {
    let file = Dense::default().model();
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut changed = file.bytes().to_vec();
        change(&mut changed);
        let sum = layout::crc(&changed).unwrap();
        changed[layout::CRC_AT].copy_from_slice(&sum.to_le_bytes());
        ModelBytes::from_unaligned(&changed)
    };
    let (oldest, newest) = (layout::VERSION_OLDEST, layout::VERSION);
    let refusals = [
        (
            changed(&|bytes| bytes[layout::VERSION_AT.start] = 77),
            format!(
                "model file version 77, this build reads {oldest} to {newest}; export it again"
            ),
        ),
        (
            changed(&|bytes| bytes[0] = b'Z'),
            "not a .btm model (wrong first bytes)".to_owned(),
        ),
        (
            changed(&|bytes| bytes[layout::HEADER_LEN..][..4].copy_from_slice(b"NEW!")),
            "model has a section this build does not know: NEW!".to_owned(),
        ),
    ];
    for (model, reason) in &refusals {
        assert_eq!(refusal(model.bytes()), *reason);
        let on_host = Model::parse(model.bytes()).unwrap_err();
        assert_eq!(on_host.to_string(), *reason);
    }
    let half = &file.bytes()[..file.bytes().len() / 2];
    let half = ModelBytes::from_unaligned(half);
    let (need, found) = (file.bytes().len(), half.bytes().len());
    assert_eq!(
        refusal(half.bytes()),
        format!("model has {found} bytes of {need}")
    );
}

/// The longest reasons there can be fit the reply.
#[test]
fn no_reason_is_cut() {
    let most = usize::MAX;
    let mut reasons = vec![
        ParseError::NoFrontEnd.to_string(),
        ParseError::FeatureOff(Feature::Cells).to_string(),
        ParseError::FeatureOff(Feature::Scales).to_string(),
        ParseError::FeatureOff(Feature::Painting).to_string(),
        ParseError::Crc {
            stated: u32::MAX,
            computed: u32::MAX,
        }
        .to_string(),
        ParseError::Version { found: u16::MAX }.to_string(),
        ParseError::UnknownSection { tag: [0xFF; 4] }.to_string(),
        ParseError::Truncated {
            need: most,
            found: most,
        }
        .to_string(),
        Refusal::Classes {
            need: most,
            found: most,
        }
        .to_string(),
        Refusal::SelfTest.to_string(),
        Refusal::Changed.to_string(),
        Refusal::Session(SessionError::ArenaTooSmall {
            need: most,
            found: most,
        })
        .to_string(),
    ];
    for &section in layout::Section::ALL {
        // The longest name of a field.
        let field = Field::ElementScaleTable;
        reasons.push(
            ParseError::Field {
                section,
                field,
                found: u32::MAX,
            }
            .to_string(),
        );
        reasons.push(
            ParseError::Stage {
                section,
                stage: most,
                field,
            }
            .to_string(),
        );
        reasons.push(
            ParseError::Overflow {
                section,
                index: most,
            }
            .to_string(),
        );
    }
    for reason in reasons {
        assert!(reason.len() <= usize::from(REASON_BYTES_MAX), "{reason}");
    }
}

#[test]
fn a_model_too_big_for_its_memory_is_refused() {
    let shape = Dense {
        hidden: 300,
        ..Dense::default()
    };
    let file = shape.model();
    let need = Model::parse(file.bytes()).unwrap().arena_bytes();
    assert_eq!(
        refusal(file.bytes()),
        format!("the arena has 4000 bytes, the model needs {need}")
    );
    let shape = Dense {
        classes: 71,
        ..Dense::default()
    };
    assert_eq!(
        refusal(shape.model().bytes()),
        "the firmware has room for 70 scores, the model gives 71"
    );
}

/// RAM of bits and rules is taken for models that have them: what is missing is refused, what is not used is nothing.
#[test]
fn memory_follows_the_model() {
    let shape = Dense {
        values: 12,
        classes: 12,
        ..Dense::default()
    };
    let bytes_in = Dense {
        input_type: InputType::U8,
        ..shape
    };
    for (file, bits, rules) in [
        (shape.model(), 0, 12),
        (shape.drawing(), 12, 0),
        (shape.painting(3, 4), 0, 0),
        (bytes_in.captioning(3), 0, 0),
    ] {
        let model = Model::parse(file.bytes()).unwrap();
        let fits = |bits: usize, rules: usize| {
            let places = Places {
                arena: &mut vec![0; model.arena_words()],
                scores: &mut [0; 12],
                drawn: &mut vec![0; bits],
                watches: &mut vec![Watch::OFF; rules],
            };
            let service = Service::new(&model, file.bytes(), places, Still, Still);
            service.err()
        };
        assert_eq!(fits(bits, rules), None);
        let refused = Some(Refusal::Classes {
            need: 12,
            found: 11,
        });
        assert_eq!(fits(bits, rules.max(1) - 1), refused.filter(|_| rules > 0));
        assert_eq!(fits(bits.max(1) - 1, rules), refused.filter(|_| bits > 0));
    }
    // Of each score 4 bytes, of each rule 12, of each bit one.
    let bytes = size_of::<Memory<300, 100, 2000>>();
    assert_eq!(
        bytes - size_of::<Memory<300, 100, 0>>(),
        2000 * (4 + 12 + 1)
    );
    assert_eq!(
        bytes - size_of::<Memory<300, 100, 2000, 0, 0>>(),
        2000 * (12 + 1)
    );
}

/// The frames that PROTOCOL.md prints.
#[test]
fn frames_as_documented() {
    let page = include_str!("../bt-embed/PROTOCOL.md");
    let hex = |frame: &[u8]| {
        frame
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut line = [0; 100];
    let requests = [
        Request::Hello,
        Request::Reset,
        Request::Data {
            sequence: 0,
            bytes: &[1, 0, 255, 255],
        },
        Request::Scores { first: 0 },
        Request::Finish,
        Request::Save { at: 0 },
    ];
    for (tag, request) in requests.iter().enumerate() {
        let length = request.encode(tag as u8 + 1, &mut line).unwrap();
        assert!(
            page.contains(&hex(&line[..length])),
            "{request:?}: {}",
            hex(&line[..length])
        );
    }
    let length = Reply::Taken { next: 1, steps: 0 }
        .encode(3, &mut line)
        .unwrap();
    assert!(
        page.contains(&hex(&line[..length])),
        "{}",
        hex(&line[..length])
    );
}
