//! The firmware's application on the host: the same code as on a board, over a
//! line in memory, with and without noise. Scores are those of a session that
//! was fed directly.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bt_core::{InputType, Model, Pool, Session};
use bt_embed::app::{Ended, Memory, run};
use bt_embed::board::{Board, Stack, Ticks};
use bt_embed::wire::{Golden, Reply, Request};
use bt_tests::line::{End, Faults, Uart, line};
use bt_tests::model::{Dense, Noise};
use embedded_hal::digital::{ErrorType, OutputPin};
use tools::device::Device;
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

/// Raw scores of a session fed directly.
fn expected(model: &Model<'_>, bytes: &[u8]) -> Vec<i32> {
    let mut arena = vec![0; ARENA];
    let mut session = Session::new(model, &mut arena).unwrap();
    let frame = model.frame_values() * model.input_type().bytes();
    for frame in bytes.chunks_exact(frame) {
        let mut at = 0;
        while at < frame.len() {
            at += session.push_bytes(&frame[at..]).unwrap();
        }
        session.step().unwrap();
    }
    let mut scores = vec![0; model.classes()];
    session.scores(&mut scores).unwrap();
    scores
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
        ] {
            let seed = seed as u32 * 10 + hidden as u32;
            shapes.push(Dense {
                input_type,
                values,
                vectors: 0,
                hidden,
                classes,
                pool,
                seed,
            });
        }
    }
    shapes
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
            assert_eq!(
                device.label(shape.classes - 1).unwrap(),
                format!("class {}", shape.classes - 1)
            );
            for steps in [1, 4] {
                let bytes = Noise::new(steps)
                    .bytes(steps as usize * shape.values * shape.input_type.bytes());
                let scores = stream::sequence(&mut device, &identity, &bytes)
                    .unwrap()
                    .unwrap();
                assert_eq!(scores.steps, steps);
                assert_eq!(scores.raw, expected(&model, &bytes), "{shape:?}");
                let largest = scores.raw.iter().max().unwrap();
                assert_eq!(
                    scores.raw.iter().position(|score| score == largest),
                    Some(scores.best)
                );
            }
            let statistics = device.statistics(true).unwrap();
            assert_eq!((statistics.steps, statistics.frames_garbled), (5, 0));
            assert_eq!(
                (statistics.stack_bytes_used, statistics.stack_bytes),
                (5, 9)
            );
            // The clock wraps in the test; one look before and one after each call.
            assert!((10..1000).contains(&statistics.ticks), "{statistics:?}");
            assert_eq!(device.statistics(false).unwrap().steps, 0);
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
    let wanted = expected(&model, &bytes);
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
                            (6, expected(&model, &bytes)),
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

#[test]
fn a_model_with_any_byte_changed_is_refused_and_the_device_serves_on() {
    let file = Dense::default().model();
    let whole = file.bytes();
    for at in 0..whole.len() {
        let mut words = vec![0u32; whole.len() / 4];
        let damaged: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        damaged.copy_from_slice(whole);
        damaged[at] ^= 1 << (at % 8);
        assert!(Model::parse(damaged).is_err(), "byte {at}");
        if at % 40 == 0 {
            with_device(damaged, [Faults::default(); 2], 1, |mut device, _| {
                for _ in 0..2 {
                    let error = device.hello().unwrap_err().to_string();
                    assert_eq!(error, "the device answered: the model in flash is damaged");
                }
            });
        }
    }
}

#[test]
fn a_model_too_big_for_its_memory_is_refused() {
    let shape = Dense {
        hidden: 300,
        ..Dense::default()
    };
    with_device(
        shape.model().bytes(),
        [Faults::default(); 2],
        1,
        |mut device, _| {
            let error = device.hello().unwrap_err().to_string();
            assert_eq!(error, "the device answered: the model needs a larger arena");
        },
    );
    let shape = Dense {
        classes: 71,
        ..Dense::default()
    };
    with_device(
        shape.model().bytes(),
        [Faults::default(); 2],
        1,
        |mut device, _| {
            let error = device.hello().unwrap_err().to_string();
            assert_eq!(error, "the device answered: the model has too many classes");
        },
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
