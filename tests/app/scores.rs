//! Values in, scores out: those of a session fed directly.

use std::sync::atomic::Ordering;

use bt_core::about::FloatOutput;
use bt_core::health::Limits;
use bt_core::internals::front_end::FORMAT;
use bt_core::internals::model::write::Outputs;
use bt_core::{Model, OutputKind};
use bt_embed::wire::{Golden, LineCounts};
use bt_tests::exported::{self, recordings};
use bt_tests::line::Faults;
use bt_tests::model::{Dense, Noise, scores_of};
use tools::stream;

use super::{shapes, with_device};

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
