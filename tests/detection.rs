//! Detections on the host, over the wire, on the cores of QEMU, and in recordings.

use std::process::Output;
use std::time::Duration;

use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::internals::front_end::FORMAT;
use bt_core::{Model, Session};
use bt_embed::wire::{DETECTION_BYTES, Error, Reply, Request};
use bt_tests::exported;
use bt_tests::model::{Dense, Noise};
use bt_tests::program::{bt_train, wav};
use bt_tests::running::Running;
use bt_tests::serving::{Room, surroundings};
use bt_train::detection;
use tools::board::Board;
use tools::firmware::{Firmware, ModelIn};

const LIMIT: Duration = Duration::from_secs(60);

/// A model whose probabilities go up and down.
const SHAPE: Dense = Dense {
    input_type: bt_core::InputType::U8,
    values: 12,
    vectors: 0,
    hidden: 6,
    classes: 3,
    pool: bt_core::about::Pool::Last,
    horizon_shift: 0,
    // Logits between −8 and 8.
    score_shift: 26,
    cell: bt_core::about::Cell::Lstm,
    layers: 1,
    filter: None,
    form: bt_core::internals::kernel::RowsForm::Pairs,
    seed: 5,
};

const STEPS: usize = 120;

/// Of two of three classes: smoothing and hold-off.
const WATCHED: [(usize, u8, u16); 2] = [(0, 1, 4), (2, 2, 7)];

/// A look: the steps before it and its own, and the smoothed probabilities of the classes watched.
type Look = (u32, [f64; 2]);

/// The model's scores (which other tests hold against floats), all else in f64 as the documentation words it.
fn looks(model: &Model<'_>, bytes: &[u8], window: usize) -> Vec<Look> {
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena).unwrap();
    let mut scores = vec![0; model.outputs()];
    let (mut smoothed, mut all) = ([0.0; 2], Vec::new());
    for (at, frame) in bytes.chunks(SHAPE.values).enumerate() {
        session.push_u8(frame).unwrap();
        session.step().unwrap();
        if window != 0 && (at + 1) % window != 0 {
            continue;
        }
        session.scores(&mut scores).unwrap();
        if window != 0 {
            session.reset();
        }
        let unit = 2f64.powi(-model.score_shift());
        let term = |score: i32| (f64::from(score) * unit).exp();
        let sum: f64 = scores.iter().map(|&score| term(score)).sum();
        for (smoothed, (class, smoothing, _)) in smoothed.iter_mut().zip(WATCHED) {
            let p = 32_768.0 * term(scores[class]) / sum;
            *smoothed += (p - *smoothed) / 2f64.powi(smoothing.into());
        }
        all.push((at as u32 + 1, smoothed));
    }
    all
}

/// Rules whose thresholds lie in the widest gap of the upper looks, so that no look is within the integers' bound of one.
fn rules(looks: &[Look]) -> [(usize, Rule); 2] {
    [0, 1].map(|place| {
        let mut all: Vec<f64> = looks.iter().map(|(_, smoothed)| smoothed[place]).collect();
        all.sort_by(f64::total_cmp);
        let upper = &all[all.len() / 2..all.len() * 9 / 10];
        let gaps = upper
            .windows(2)
            .map(|pair| (pair[1] - pair[0], (pair[0] + pair[1]) / 2.0));
        let (gap, middle) = gaps.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        assert!(gap > 12.0, "{gap}: choose another seed");
        let (class, smoothing, hold_off) = WATCHED[place];
        let threshold = middle as u16;
        (
            class,
            Rule {
                threshold,
                smoothing,
                hold_off,
            },
        )
    })
}

/// Class and step of what is to be detected.
fn expected(looks: &[Look], rules: &[(usize, Rule); 2]) -> Vec<(usize, u32)> {
    let (mut held, mut found) = (0, Vec::new());
    for &(step, smoothed) in looks {
        let above = rules.iter().zip(smoothed);
        let above = above.filter(|((_, rule), p)| *p >= f64::from(rule.threshold));
        let best = above.max_by(|a, b| a.1.total_cmp(&b.1));
        if held > 0 {
            held -= 1;
        } else if let Some(((class, rule), _)) = best {
            held = rule.hold_off;
            found.push((*class, step));
        }
    }
    found
}

fn on_host(
    model: &Model<'_>,
    bytes: &[u8],
    (window, rules): (u32, [(usize, Rule); 2]),
) -> Vec<Detection> {
    let mut arena = vec![0; model.arena_words()];
    let (mut watches, mut scores) = ([Watch::OFF; 3], [0; 3]);
    let mut detector = Detector::new(model, &mut watches).unwrap();
    for (class, rule) in rules {
        detector.watch(class, Some(rule)).unwrap();
    }
    detector.set_window(window);
    let mut session = Session::new(model, &mut arena).unwrap();
    let mut found = Vec::new();
    for frame in bytes.chunks(SHAPE.values) {
        session.push_u8(frame).unwrap();
        session.step().unwrap();
        found.extend(detector.step(&mut session, &mut scores).unwrap());
    }
    found
}

/// Host, Cortex-M0 and Cortex-M4F detect what f64 says, at the same steps, with a state that goes on and in windows.
#[test]
fn cores_detect_what_the_host_detects() {
    let file = SHAPE.model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(8).bytes(STEPS * SHAPE.values);
    let slot = ModelIn::Slot {
        flash_bytes: 16 << 10,
        arena_bytes: 2 << 10,
        classes: 8,
    };
    let streams = [0, 3].map(|window| {
        let looks = looks(&model, &bytes, window as usize);
        let rules = rules(&looks);
        let host = on_host(&model, &bytes, (window, rules));
        let told: Vec<(usize, u32)> = host.iter().map(|one| (one.class, one.step)).collect();
        assert_eq!(told, expected(&looks, &rules));
        for class in [0, 2] {
            assert!(told.iter().any(|(of, _)| *of == class), "{told:?}");
        }
        (window, rules, host)
    });
    for name in ["microbit", "mps2-an386"] {
        let board = Board::find(name).unwrap();
        let firmware = Firmware {
            board,
            model: slot,
            log: false,
            binary: None,
        };
        let program = std::fs::read(firmware.build().unwrap()).unwrap();
        let mut running = Running::start(board, &program, file.bytes(), LIMIT);
        let device = &mut running.device;
        device.hello().unwrap();
        for (window, rules, host) in &streams {
            device.reset().unwrap();
            device.window(*window).unwrap();
            for (class, rule) in rules {
                device.watch(*class, Some(*rule)).unwrap();
            }
            let mut found = Vec::new();
            for (at, chunk) in bytes.chunks(50).enumerate() {
                device.chunk(chunk).unwrap();
                if at % 7 == 0 {
                    found.extend(device.detections(found.len() as u32).unwrap());
                }
            }
            found.extend(device.detections(found.len() as u32).unwrap());
            assert_eq!(&found, host, "{name}, window {window}");
            let scores = device.scores().unwrap();
            assert_eq!(scores.steps as usize, STEPS);
        }
        let error = device.watch(3, None).unwrap_err().to_string();
        assert_eq!(error, "the device answered: there are only 3 classes");
    }
}

/// Every request may come again; what cannot be is refused, and what is no longer kept shows.
#[test]
fn requests_about_detections_may_be_repeated() {
    let file = SHAPE.model();
    let model = Model::parse(file.bytes()).unwrap();
    let mut room = Room::of(&model);
    let mut service = room.serve(&model, file.bytes());
    let surroundings = surroundings();
    let watch = |class, threshold, smoothing| Request::Watch {
        class,
        rule: Some(Rule {
            threshold,
            smoothing,
            hold_off: 0,
        }),
    };
    for (request, error) in [
        (watch(3, 9, 0), Error::Class { classes: 3 }),
        (watch(0, 32_768, 0), Error::Rule { field: 1 }),
        (watch(0, 9, 11), Error::Rule { field: 2 }),
    ] {
        let reply = service.handle(request, &surroundings);
        assert_eq!(reply, Reply::Error(error));
    }
    // Every look detects.
    let bytes = Noise::new(2).bytes(SHAPE.values);
    for sequence in 0..40 {
        for _ in 0..2 {
            let reply = service.handle(watch(1, 1, 1), &surroundings);
            assert_eq!(reply, Reply::Ready);
            let data = Request::Data {
                sequence,
                bytes: &bytes,
            };
            let reply = service.handle(data, &surroundings);
            let (next, steps) = (sequence + 1, sequence + 1);
            assert_eq!(reply, Reply::Taken { next, steps });
        }
    }
    for (first, from, count) in [(0, 24, 16), (30, 30, 10), (40, 40, 0), (90, 40, 0)] {
        for _ in 0..2 {
            let reply = service.handle(Request::Detections { first }, &surroundings);
            let Reply::Detections {
                total,
                first: found,
                bytes,
            } = reply
            else {
                panic!("{reply:?}");
            };
            assert_eq!((total, found), (40, from));
            assert_eq!(bytes.len(), count * DETECTION_BYTES);
            for (place, one) in bytes.chunks(DETECTION_BYTES).enumerate() {
                let step = from + place as u32 + 1;
                assert_eq!(
                    (&one[..4], &one[4..6]),
                    (&step.to_le_bytes()[..], &[1, 0][..])
                );
            }
        }
    }
    service.handle(Request::Reset, &surroundings);
    let reply = service.handle(Request::Detections { first: 0 }, &surroundings);
    assert!(matches!(reply, Reply::Detections { total: 0, .. }));
}

/// A step in a stream that goes on is a step of a sequence that begins: same samples, same scores.
#[test]
fn a_restart_forgets_the_sequence_and_not_the_sound() {
    let file = exported::sound(3, FORMAT);
    let model = Model::parse(file.bytes()).unwrap();
    let mut noise = Noise::new(4);
    let samples: Vec<i16> = (0..6 * exported::SOUND_STEP)
        .map(|_| noise.bits() as i16 >> 2)
        .collect();
    let scores_of = |restart_after: Option<usize>| {
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let (mut rest, mut all, mut scores) = (&samples[..], Vec::new(), vec![0; 4]);
        loop {
            rest = &rest[session.push_i16(rest).unwrap()..];
            if !session.frame_complete() {
                return all;
            }
            session.step().unwrap();
            session.scores(&mut scores).unwrap();
            all.push((scores.clone(), session.hidden_state().to_vec()));
            if restart_after == Some(all.len()) {
                session.restart();
                assert_eq!(session.steps(), 0);
                assert!(session.hidden_state().iter().all(|&h| h == 0));
            }
        }
    };
    let (whole, cut) = (scores_of(None), scores_of(Some(2)));
    assert_eq!(whole[..2], cut[..2]);
    assert_eq!(whole.len(), cut.len());
    assert_ne!(whole[2], cut[2]);
}

/// `bt-train detect`.
fn detect(words: &[&str]) -> Output {
    bt_train().arg("detect").args(words).output().unwrap()
}

/// Counts of the command against those of a device's detections, one by one; thresholds chosen; what is refused.
#[test]
fn the_command_counts_what_the_device_detects() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let labels = ["a", "b", "_c", "d"].map(str::to_owned);
    let file = exported::named_sound(6, FORMAT, &labels);
    std::fs::write(path("m.btm"), file.bytes()).unwrap();
    let model = Model::parse(file.bytes()).unwrap();
    let mut noise = Noise::new(12);
    for name in ["0.wav", "1.wav"] {
        // Louder and softer by turns.
        let samples: Vec<i16> = (0..40_000)
            .map(|at| noise.bits() as i16 >> (1 + at / 3_000 % 6))
            .collect();
        wav(&path(name), &samples);
    }
    let events =
        "file,label,start,end\n0.wav,a,1.0,2.0\n0.wav,b,2.5,3.5\n1.wav,d,0.5,1.5\n0.wav,a,4,4.5\n";
    std::fs::write(path("events.csv"), events).unwrap();
    let (model_path, data) = (path("m.btm"), folder.path().to_str().unwrap().to_owned());
    let common = [model_path.to_str().unwrap(), "--data", &data, "--json"];
    let with = |more: &[&str]| {
        let output = detect(&[&common[..], more].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (serde_json::from_str::<serde_json::Value>(&text).ok(), error)
    };
    let flags = [
        "--threshold",
        "0.3",
        "--smoothing",
        "4",
        "--hold-off",
        "0.4",
        "--tolerance",
        "0.25",
    ];
    for window in [0u32, 5] {
        let window_word = window.to_string();
        let (object, error) = with(&[&flags[..], &["--window", &window_word]].concat());
        let object = object.unwrap_or_else(|| panic!("{error}"));
        // 64 samples a step of 8,000 a second.
        let look = 0.008 * f64::from(window.max(1));
        let rule = Rule {
            threshold: 9_830,
            smoothing: 2,
            hold_off: (0.4 / look) as u16,
        };
        let rules = [Some(rule), Some(rule), None, Some(rule)];
        let recordings = detection::read(folder.path(), &model).unwrap();
        let (mut hits, mut alarms, mut told) = (0, 0, Vec::new());
        for recording in &recordings {
            let mut open = recording.events.clone();
            for one in detection::detect(&model, recording, &rules, window).unwrap() {
                let seconds = f64::from(one.step) * 0.008;
                told.push((recording.name.clone(), seconds));
                let fits = |event: &detection::Event| {
                    event.class == one.class
                        && event.start <= seconds
                        && seconds <= event.end + 0.25
                };
                match open.iter().position(fits) {
                    Some(at) => {
                        open.remove(at);
                        hits += 1;
                    }
                    None => alarms += 1,
                }
            }
        }
        assert!(told.len() > 4, "{told:?}");
        assert_eq!(object["events"], 4);
        assert_eq!(object["misses"], 4 - hits);
        assert_eq!(object["false_alarms"], alarms);
        let found = object["detections"].as_array().unwrap();
        assert_eq!(found.len(), told.len());
        for (found, (name, seconds)) in found.iter().zip(&told) {
            assert_eq!(found["file"], **name);
            assert!((found["seconds"].as_f64().unwrap() - seconds).abs() < 1e-9);
        }
        let hours = object["hours"].as_f64().unwrap();
        assert!((hours - 10.0 / 3600.0).abs() < 1e-9);
        assert_eq!(object["classes"].as_array().unwrap().len(), 3);
    }
    // None is allowed, and one threshold at least is beyond all that is seen.
    let (object, error) = with(&[&flags[..], &["--choose", "0", "--validation", &data]].concat());
    let object = object.unwrap_or_else(|| panic!("{error}"));
    assert_eq!(object["false_alarms"], 0);

    for (more, wanted) in [
        (&["--threshold", "1"][..], "above 0 and below 1"),
        (&["--smoothing", "3"], "a power of two"),
        (&["--classes", "e"], "the classes are a, b, _c, d"),
        (&["--threshold-of", "a"], "such as yes=0.9"),
        (&["--hold-off=-1"], "give 0 to"),
        (&["--choose", "1"], "--validation"),
    ] {
        let (_, error) = with(more);
        assert!(
            error.contains(wanted) && error.lines().count() == 1,
            "{error}"
        );
    }
    for (events, wanted) in [
        ("file,label,start\n", "column `end`"),
        ("file,label,start,end\n2.wav,a,0,1\n", "name a recording"),
        (
            "file,label,start,end\n0.wav,e,0,1\n",
            "a class of the model",
        ),
        ("file,label,start,end\n0.wav,a,0,6\n", "0 to 5"),
        (
            "file,label,start,end\n0.wav,a,2,1\n",
            "ends after its start",
        ),
        ("file,label,start,end\n0.wav,a,x,1\n", "`start`"),
    ] {
        std::fs::write(path("events.csv"), events).unwrap();
        let (_, error) = with(&[]);
        assert!(
            error.contains("events.csv") && error.contains(wanted),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
