//! Pictures painted from latent values: a session beside plain arithmetic, integers beside floats, over the wire, and on
//! the command line.

use bt_core::about::Cell;
use bt_core::drawing::{Painting, Random};
use bt_core::error::{DrawError, PushError, ScoresError, StateError, StepError};
use bt_core::{Model, ModelBytes, Session};
use bt_embed::wire::{Error, Reply, Request};
use bt_tests::model::{Dense, scores};
use bt_tests::program::{fails, run};
use bt_tests::serving::{Room, surroundings};
use bt_train::data::{NpzWriter, Part, Values};
use bt_train::drawing::{self, Agreement};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::model::Model as Network;
use bt_train::quantize::export::{Exported, Options, export};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const STEPS: u32 = 5;
const ROWS: u32 = 3;
const PIXELS: usize = 12;

/// A model that paints, of random weights; its hidden units are odd.
fn model(seed: u32) -> ModelBytes {
    shape(seed).painting(STEPS, ROWS)
}

fn shape(seed: u32) -> Dense {
    Dense {
        values: 7,
        hidden: 9,
        classes: PIXELS,
        seed,
        ..Dense::default()
    }
}

/// Latent values pushed by hand and h as it comes, summed and multiplied in i64; σ in f64.
#[test]
fn a_canvas_is_the_sum_of_what_every_step_paints() {
    let mut greys = std::collections::BTreeSet::new();
    for (seed, cell) in [(1, Cell::Lstm), (2, Cell::Gru), (3, Cell::MinGru)] {
        let shape = Dense {
            cell,
            ..shape(seed)
        };
        let file = shape.painting(STEPS, ROWS);
        let model = Model::parse(file.bytes()).unwrap();
        let picture = Painting {
            steps: STEPS,
            rows: 3,
            columns: 4,
        };
        assert_eq!(model.painting(), Some(picture));
        let [mut ours, mut theirs] = [(); 2].map(|()| vec![0; model.arena_words()]);
        let mut painting = Session::new(&model, &mut ours).unwrap();
        let mut plain = Session::new(&model, &mut theirs).unwrap();
        let mut random = Random::new(seed.into(), 8);
        let mut latent = random.clone();
        let weights = shape.head_weights();
        let mut sums = [0i64; 9];
        for step in 1..=i64::from(STEPS) {
            painting.paint(&mut random).unwrap();
            let values: Vec<i16> = (0..7).map(|_| latent.normal()).collect();
            assert_eq!(plain.push_i16(&values), Ok(7));
            plain.step().unwrap();
            for (sum, &h) in sums.iter_mut().zip(plain.hidden_state()) {
                // 2³ steps is the power of two that holds five of them.
                *sum += (i64::from(h) + 4) >> 3;
            }
            let canvas: Vec<i32> = (0..PIXELS)
                .map(|pixel| {
                    let row = weights[9 * pixel..][..9].iter().zip(sums);
                    let painted: i64 = row.map(|(&w, sum)| i64::from(w) * sum).sum();
                    let bias = (pixel as i64 % 5 - 2) << 17;
                    i32::try_from(painted + step * bias).unwrap()
                })
                .collect();
            assert_eq!(scores(&painting), canvas, "{cell:?}, step {step}");
            assert_eq!(scores(&plain), canvas);
            let mut pixels = [0; PIXELS];
            painting.pixels(0, &mut pixels).unwrap();
            for (&grey, raw) in pixels.iter().zip(&canvas) {
                let logit = f64::from(*raw) * 2f64.powi(-21);
                let exact = 255.0 / (1.0 + (-logit.clamp(-16.0, 16.0)).exp());
                // Half a grey, and of 2¹⁵ parts of a probability 1.43 by the table and 4 by the logit's rounding.
                let slack = 0.5 + 255.0 * 5.5 / 32_768.0;
                assert!((f64::from(grey) - exact).abs() <= slack, "{grey} {exact}");
            }
            greys.extend(pixels);
            let mut some = [0; 3];
            painting.pixels(5, &mut some).unwrap();
            assert_eq!(some, pixels[5..8]);
        }
        assert_eq!(random, latent);
    }
    assert!(greys.len() > 20, "{greys:?}");
}

/// A picture is told by seed and stream; what refuses leaves everything as it was.
#[test]
fn what_cannot_be_painted_is_refused() {
    let file = model(1);
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let paint = |session: &mut Session<'_, '_>, seed, stream| {
        session.reset();
        let mut random = Random::new(seed, stream);
        let mut picture = [0; PIXELS];
        for _ in 0..STEPS {
            session.draw(&mut random, &mut picture).unwrap();
        }
        picture
    };
    let one = paint(&mut session, 1, 0);
    assert_ne!(paint(&mut session, 2, 0), one);
    assert_ne!(paint(&mut session, 1, 1), one);
    assert_eq!(paint(&mut session, 1, 0), one);

    // It has all its steps, whoever asks for more.
    let mut random = Random::new(9, 9);
    let complete = DrawError::PictureComplete { steps: STEPS };
    assert_eq!(session.paint(&mut random), Err(complete));
    assert_eq!(session.draw(&mut random, &mut [0; PIXELS]), Err(complete));
    assert_eq!(session.push_i16(&[0; 7]), Ok(7));
    let steps = STEPS;
    assert_eq!(session.step(), Err(StepError::PictureComplete { steps }));
    session.drop_frame();
    let mut pixels = [0; PIXELS];
    session.pixels(0, &mut pixels).unwrap();
    assert_eq!((pixels, session.steps()), (one, STEPS));

    session.reset();
    assert_eq!(session.pixels(0, &mut pixels), Err(ScoresError::NoStep));
    let wrong = |need, found| DrawError::WrongLength { need, found };
    let refused = session.draw(&mut random, &mut [0; 4]);
    assert_eq!(refused, Err(wrong(PIXELS, 4)));
    session.push_i16(&[1]).unwrap();
    assert_eq!(session.paint(&mut random), Err(DrawError::FrameUnderWay));
    assert_eq!((session.steps(), &random), (0, &Random::new(9, 9)));
    session.drop_frame();
    session.paint(&mut random).unwrap();
    for (first, found, need) in [(0, 13, 12), (12, 1, 0), (13, 1, 0), (usize::MAX, 1, 0)] {
        let refused = session.pixels(first, &mut vec![0; found]);
        assert_eq!(refused, Err(ScoresError::WrongLength { need, found }));
    }
    assert_eq!(session.pixels(12, &mut []), Ok(()));

    let draws = Dense {
        values: PIXELS,
        ..shape(1)
    };
    for file in [Dense::default().model(), draws.drawing()] {
        let model = Model::parse(file.bytes()).unwrap();
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        assert_eq!(session.paint(&mut random), Err(DrawError::NotPainted));
        let wrong = ScoresError::WrongLength { need: 0, found: 1 };
        assert_eq!(session.pixels(0, &mut [0]), Err(wrong));
    }
    assert!(matches!(
        session.push_u8(&[0]),
        Err(PushError::WrongType { .. })
    ));
}

/// A picture goes on from a saved state, with the source where it was; one that no session saves is refused.
#[test]
fn a_picture_goes_on_from_a_saved_state() {
    let files = [(model(4), 2), (shape(4).attended((STEPS, ROWS), 3), 1)];
    for (file, wrong_states) in files {
        let model = Model::parse(file.bytes()).unwrap();
        let [mut one, mut two] = [(); 2].map(|()| vec![u32::MAX; model.arena_words()]);
        let mut random = Random::new(3, 1);
        let mut session = Session::new(&model, &mut one).unwrap();
        for _ in 0..2 {
            session.paint(&mut random).unwrap();
        }
        let mut state = vec![0; session.saved_bytes()];
        session.save(&mut state).unwrap();
        let mut other = Session::new(&model, &mut two).unwrap();
        other.load(&state).unwrap();
        let mut again = random.clone();
        for _ in 2..STEPS {
            session.paint(&mut random).unwrap();
            other.paint(&mut again).unwrap();
        }
        assert_eq!(scores(&other), scores(&session));
        let complete = DrawError::PictureComplete { steps: STEPS };
        assert_eq!(other.paint(&mut again), Err(complete));

        // More steps than a picture has, and something behind the last of nine sums; a canvas holds any words.
        let wrongs = [(4, STEPS as u8 + 1), (state.len() - 5, 1)];
        for (at, value) in wrongs.into_iter().take(wrong_states) {
            let mut wrong = state.clone();
            wrong[at] = value;
            let end = wrong.len() - 4;
            let crc = bt_core::health::Crc32c::new().with(&wrong[..end]).value();
            wrong[end..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(other.load(&wrong), Err(StateError::Damaged), "byte {at}");
        }
        other.load(&state).unwrap();
    }
}

/// Its integers, which need no data: a painting is calibrated on numbers drawn from a seed.
fn exported(float: &Network) -> bt_train::Result<Exported> {
    let options = Options {
        name: "paints".into(),
        limits: Default::default(),
        sequences: 64,
    };
    let nothing = Part {
        values: Arc::new(Values::U8(Vec::new())),
        width: 48,
        starts: Vec::new(),
        lengths: Vec::new(),
        targets: None,
        groups: None,
    };
    export(&Checkpoint::of(float), &nothing, &[], &options)
}

/// A float model of random weights, all larger than they begin, and its integers: the same latent values, almost the
/// same canvas.
#[test]
fn integers_paint_what_floats_paint() {
    let maps = [
        (
            json!({"map": "block-term", "modes": [9, 15], "blocks": 2, "rank": 2}),
            [2, 4],
        ),
        (
            json!({"map": "tensor-train", "modes": [9, 15], "rank": 3}),
            [4, 4],
        ),
        (json!({"map": "dense", "modes": [9, 15]}), [3, 2]),
    ];
    for (steps, (mut input, latent)) in [10, 1, 3].into_iter().zip(maps) {
        input["width"] = json!(48);
        let config = json!({
            "input": input,
            "hidden": {"modes": [4, 8]},
            "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "head": {"draw": 48, "steps": steps, "latent": latent, "rows": 6},
        });
        let mut rng = ChaCha8Rng::seed_from_u64(steps);
        let config = serde_json::from_value(config).unwrap();
        let mut float = Network::new(config, &mut rng).unwrap();
        for (name, mut values) in float.parameters_mut() {
            match name.as_str() {
                "head.weight" => values.mapv_inplace(|w| 4.0 * w),
                "head.bias" => values.iter_mut().enumerate().for_each(|(at, b)| {
                    *b = (at % 7) as f32 * 0.1 - 0.3;
                }),
                name if name.contains("factor") => values.mapv_inplace(|w| 1.3 * w),
                _ => {}
            }
        }
        let exported = exported(&float).unwrap();
        let model = bt_train::device::parse(&exported.bytes).unwrap();
        assert_eq!(model.frame_values(), latent[0] * latent[1]);
        assert_eq!(
            model.painting().map(|picture| picture.steps),
            Some(steps as u32)
        );
        // Of another seed than calibration's.
        let found = Agreement::new(&float, &model, 77, 40).unwrap();
        assert!(
            found.snr_db > 40.0 && found.error_max < 0.02,
            "{steps}: {found:?}"
        );
        let greys = |pictures: drawing::Pictures| pictures.bits.concat();
        let steps = steps as usize;
        let integers = greys(drawing::draw(&model, 5, (8, steps), || ()).unwrap());
        let floats = greys(drawing::paint(&float, 5, 8, || ()).unwrap());
        agree(&integers, &floats, 5);
    }
}

/// No grey of integers is more than `most` off that of floats, and they are many different ones.
#[track_caller]
fn agree(integers: &[u8], floats: &[u8], most: u8) {
    let far = integers
        .iter()
        .zip(floats)
        .filter(|(a, b)| a.abs_diff(**b) > most);
    assert_eq!(far.count(), 0);
    let distinct: std::collections::BTreeSet<_> = integers.iter().collect();
    assert!(distinct.len() > 40, "{}", distinct.len());
}

/// The same with attention: windows of random places, which a picture's five numbers move from step to step.
#[test]
fn integers_paint_through_the_windows_of_floats() {
    let shapes = [
        (
            json!({"input": {"map": "block-term", "modes": [5, 10], "blocks": 2, "rank": 2}}),
            [2, 4],
            (3, 3, 6),
        ),
        (
            json!({"input": {"map": "dense", "modes": [8, 16]}}),
            [2, 2],
            (5, 5, 8),
        ),
        (
            json!({"input": {"map": "tensor-train", "modes": [5, 10], "rank": 3}}),
            [2, 2],
            (1, 2, 6),
        ),
    ];
    for (seed, (config, latent, (steps, points, rows))) in (1..).zip(shapes) {
        let mut config = config;
        config["hidden"] = json!({"modes": [4, 8]});
        config["head"] = json!({
            "draw": 48, "steps": steps, "latent": latent, "rows": rows, "attention": points,
        });
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let config = serde_json::from_value(config).unwrap();
        let mut float = Network::new(config, &mut rng).unwrap();
        for (name, mut values) in float.parameters_mut() {
            match name.as_str() {
                "head.weight" => values.mapv_inplace(|w| 6.0 * w),
                // Windows that are narrower than pictures, some of them half outside.
                "attention.weight" => values.mapv_inplace(|w| 3.0 * w),
                "attention.bias" => values
                    .iter_mut()
                    .zip([0.0, 0.0, -0.5, -0.5, -0.2].iter().cycle())
                    .for_each(|(b, &value)| *b = value),
                name if name.contains("factor") => values.mapv_inplace(|w| 1.3 * w),
                _ => {}
            }
        }
        let exported = exported(&float).unwrap();
        let model = bt_train::device::parse(&exported.bytes).unwrap();
        let window = exported.window.unwrap();
        assert!(
            window.canvas_max > 1.0 && window.place_max[0] > 0.3,
            "{window:?}"
        );
        let found = Agreement::new(&float, &model, 77, 40).unwrap();
        assert!(
            found.snr_db > 40.0 && found.error_max < 0.03,
            "{seed}: {found:?}"
        );
        let draw = || drawing::draw(&model, 5, (8, steps), || ()).unwrap();
        let integers = draw();
        assert_eq!(draw(), integers);
        let floats = drawing::paint(&float, 5, 8, || ()).unwrap();
        assert_eq!(
            (integers.width, integers.steps),
            (floats.width, floats.steps)
        );
        agree(&integers.bits.concat(), &floats.bits.concat(), 8);
    }
}

/// h as it comes, its sums in i64, and the paper's equations in f64, loop by loop.
#[test]
fn a_canvas_is_what_windows_leave_on_it() {
    const POINTS: usize = 3;
    const COLUMNS: usize = PIXELS / ROWS as usize;
    for (seed, cell, layers) in [(1, Cell::Lstm, 1), (2, Cell::Gru, 2), (3, Cell::MinGru, 1)] {
        let shape = Dense {
            cell,
            layers,
            ..shape(seed)
        };
        let file = shape.attended((STEPS, ROWS), POINTS as u32);
        let model = Model::parse(file.bytes()).unwrap();
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let mut random = Random::new(seed.into(), 8);
        let rows = POINTS * POINTS + 5;
        let weights = shape.head_rows(rows);
        let mut canvas = [0.0; PIXELS];
        let mut largest = 0.0f64;
        for _ in 0..STEPS {
            session.paint(&mut random).unwrap();
            let value = |row: usize| {
                let products = weights[9 * row..][..9].iter().zip(session.hidden_state());
                let sum: i64 = products.map(|(&w, &h)| i64::from(w) * i64::from(h)).sum();
                (sum + ((row as i64 % 5 - 2) << 17)) as f64
            };
            // Shifts of `Dense::attended`.
            let patch: Vec<f64> = (0..POINTS * POINTS)
                .map(|row| value(row) / f64::from(1 << 17))
                .collect();
            let place: Vec<f64> = (POINTS * POINTS..rows)
                .map(|row| value(row) / f64::from(1 << 21))
                .collect();
            let stride = (COLUMNS as f64 - 1.0) / (POINTS as f64 - 1.0) * place[3].exp();
            let filters = |length: usize, centre: f64| -> Vec<Vec<f64>> {
                let middle = (length as f64 + 1.0) / 2.0 * (centre + 1.0);
                let filter = |i: usize| {
                    let mu = middle + (i as f64 + 0.5 - POINTS as f64 / 2.0) * stride;
                    let square = |a: usize| (a as f64 - mu).powi(2);
                    let least = (1..=length).map(square).fold(f64::INFINITY, f64::min);
                    let each =
                        (1..=length).map(|a| ((least - square(a)) / 2.0 / place[2].exp()).exp());
                    let sum: f64 = each.clone().sum();
                    each.map(|value| value / sum).collect()
                };
                (0..POINTS).map(filter).collect()
            };
            let (across, down) = (filters(COLUMNS, place[0]), filters(ROWS as usize, place[1]));
            for (at, pixel) in canvas.iter_mut().enumerate() {
                for (j, down) in down.iter().enumerate() {
                    for (i, across) in across.iter().enumerate() {
                        let weight = down[at / COLUMNS] * across[at % COLUMNS];
                        *pixel += weight * patch[POINTS * j + i] / place[4].exp();
                    }
                }
            }
            largest = canvas
                .iter()
                .fold(largest, |most, pixel| most.max(pixel.abs()));
            for (raw, exact) in scores(&session).into_iter().zip(canvas) {
                // Half an LSB a step, and what `bt_core`'s tests allow of the largest value.
                let slack = 0.5 * f64::from(STEPS) + 512.0 * largest / 400.0;
                let error = (f64::from(raw) - 512.0 * exact).abs();
                assert!(error <= slack, "{cell:?}: {raw} {}", 512.0 * exact);
            }
        }
        assert!(largest > 1.0, "{largest}");
    }
}

/// Over the line, a step a request: pixels when they are asked for, repetitions without a step.
#[test]
fn a_service_takes_each_step_once() {
    // More pixels than one reply holds.
    let file = Dense {
        classes: 300,
        ..shape(3)
    }
    .painting(STEPS, 15);
    let model = Model::parse(file.bytes()).unwrap();
    let expected = drawing::draw(&model, 9, (2, STEPS as usize), || ()).unwrap();
    assert_eq!(
        (expected.width, expected.steps, expected.white),
        (20, 15, 255)
    );
    let mut room = Room::of(&model);
    let mut service = room.serve(&model, file.bytes());
    let mut ask = |number, step, first| {
        let request = Request::Draw {
            seed: 9,
            number,
            step,
            first,
        };
        match service.handle(request, &surroundings()) {
            Reply::Painted(painted) => {
                assert_eq!((painted.first, painted.count), (first, 300));
                assert_eq!((painted.rows, painted.steps_in_all), (15, STEPS as u16));
                Ok((painted.steps, painted.greys.to_vec()))
            }
            Reply::Error(error) => Err(error),
            reply => panic!("{reply:?}"),
        }
    };
    assert_eq!(ask(0, 1, 0), Err(Error::Sequence { expected: 0 }));
    for number in 0..2 {
        for step in 0..STEPS {
            for _ in 0..2 {
                assert_eq!(ask(number, step, 300), Ok((step + 1, Vec::new())));
            }
        }
        let mut greys = Vec::new();
        while greys.len() < 300 {
            let (steps, part) = ask(number, STEPS - 1, greys.len() as u16).unwrap();
            assert_eq!((steps, part.is_empty()), (STEPS, false));
            greys.extend(part);
        }
        assert_eq!(greys, expected.bits[number as usize]);
        let complete = Error::PictureComplete { steps: STEPS };
        assert_eq!(ask(number, STEPS, 0), Err(complete));
        assert_eq!(ask(number, STEPS - 1, 300).unwrap().0, STEPS);
    }
    assert_eq!(ask(1, STEPS - 1, 301), Err(Error::Class { classes: 300 }));

    // The canvas, of whoever pushes latent values, as far as a picture goes.
    let reply = service.handle(Request::Scores { first: 0 }, &surroundings());
    let Reply::Scores(found) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!((found.steps, found.classes), (STEPS, 300));
    service.handle(Request::Reset, &surroundings());
    let bytes = vec![1; 2 * 7 * (STEPS as usize + 1)];
    let data = Request::Data {
        sequence: 0,
        bytes: &bytes,
    };
    let complete = Error::PictureComplete { steps: STEPS };
    let reply = service.handle(data, &surroundings());
    assert_eq!(reply, Reply::Error(complete));
}

/// A picture of the golden seed, greys and all, as the exporter of version 8 painted it.
#[test]
fn a_file_of_version_8_paints_what_it_painted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/version8/painting.btm");
    let file = bt_train::device::read_model(&path).unwrap();
    assert_eq!(file.bytes()[4..6], [8, 0]);
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    assert_eq!(session.self_test(), bt_core::SelfTest::Passed);
}

/// From pictures to a sheet by the device's integers; what does not go is said in one line.
#[test]
fn the_program_paints_in_integers() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (data, folder, btm) = (at("p.npz"), at("run"), at("m.btm"));
    let bit = |at: usize| u8::from((at * 7 + at / 24 * 3) % 5 < 2);
    let mut npz = NpzWriter::new();
    for part in ["train", "val", "test"] {
        let bits: Vec<u8> = (0..20 * 24).map(bit).collect();
        npz.array(&format!("x_{part}"), &[20, 4, 6], &bits).unwrap();
    }
    npz.write(Path::new(&data)).unwrap();
    let ran = |words: &[&str]| {
        let left = run(words);
        assert_eq!(left.status, Some(0), "{left:?}");
        left.out
    };
    let train = "--head draw --units 8 --draw-steps 3 --latent 4 --epochs 2 --batch 4";
    let mut words = vec!["train", "--data", &data, "--out", &folder, "--json"];
    words.extend(train.split(' '));
    ran(&words);
    let quantize = ["quantize", &folder, "--out", &btm];
    let said: Value = serde_json::from_str(&ran(&[&quantize[..], &["--json"]].concat())).unwrap();
    let drawing = &said["drawing"];
    assert_eq!(drawing["pictures"], 64);
    assert!(drawing["snr_db"].as_f64() > Some(40.0), "{said}");
    assert!(said.get("comparison").is_none(), "{said}");
    let text = ran(&quantize);
    assert!(text.contains("pictures   "), "{text}");
    let about: Value = serde_json::from_str(&ran(&["inspect", &btm, "--json"])).unwrap();
    let text = ran(&["inspect", &btm]);
    let line = "picture     4 rows of 6 pixels, painted in 3 steps from latent values";
    assert!(text.contains(line), "{text}");
    let picture = json!({"steps": 3, "rows": 4, "columns": 6});
    assert_eq!(
        (&about["picture"], &about["draws"]),
        (&picture, &json!(true))
    );
    assert_eq!(
        (&about["frame_values"], &about["outputs"]),
        (&json!(4), &json!(24))
    );
    assert_eq!(about["config"]["head"]["draw"], 24);

    let drawn = |model: &str, name: &str| {
        let path = at(name);
        let out = ran(&[
            "generate", model, "--seed", "7", "--count", "3", "--json", "--out", &path,
        ]);
        let out: Value = serde_json::from_str(&out).unwrap();
        let expected = json!({"pictures": 3, "steps": 4, "bits": 6, "seed": 7});
        assert_eq!(out, expected);
        let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
        let x = npyz::NpyFile::new(archive.by_name("x.npy").unwrap()).unwrap();
        assert_eq!(x.shape(), [3, 4, 6]);
        x.into_vec::<u8>().unwrap()
    };
    let (integers, floats) = (drawn(&btm, "i.npz"), drawn(&folder, "f.npz"));
    let file = bt_train::device::read_model(Path::new(&btm)).unwrap();
    let model = Model::parse(file.bytes()).unwrap();
    let expected = drawing::draw(&model, 7, (3, 3), || ()).unwrap();
    assert_eq!(integers, expected.bits.concat());
    let near = integers
        .iter()
        .zip(&floats)
        .all(|(a, b)| a.abs_diff(*b) <= 3);
    assert!(near, "{integers:?} {floats:?}");
    let sheet = at("sheet.png");
    ran(&["generate", &btm, "--out", &sheet]);
    assert_eq!(std::fs::read(&sheet).unwrap()[..8], *b"\x89PNG\r\n\x1a\n");

    fails(
        1,
        &["run", &btm, "--data", &data],
        &["m.btm: ", "latent values", "generate"],
    );
    let with_steps = ["generate", &btm, "--out", &sheet, "--steps", "2"];
    fails(2, &with_steps, &["--steps"]);
    let tuned = [&quantize[..], &["--fine-tune", "1"]].concat();
    fails(1, &tuned, &["fine-tune: ", "pictures"]);
    let read = [&quantize[..], &["--data", "none.npz"]].concat();
    fails(1, &read, &["data: is not for pictures", "leave it out"]);

    // With attention, to how far windows and canvas went.
    let folder = at("attended");
    let mut words = vec!["train", "--data", &data, "--out", &folder, "--json"];
    words.extend(train.split(' ').chain(["--attention", "2"]));
    ran(&words);
    let quantize = ["quantize", &folder, "--out", &btm];
    let said: Value = serde_json::from_str(&ran(&[&quantize[..], &["--json"]].concat())).unwrap();
    let window = &said["window"];
    assert_eq!(window["place_max"].as_array().map(Vec::len), Some(5));
    assert!(window["canvas_max"].as_f64() > Some(0.0), "{said}");
    assert!(said["drawing"]["snr_db"].as_f64() > Some(40.0), "{said}");
    let text = ran(&quantize);
    assert!(
        text.contains("window     |x̃| up to ") && text.contains("canvas     logits up to "),
        "{text}"
    );
    let (integers, floats) = (drawn(&btm, "ia.npz"), drawn(&folder, "fa.npz"));
    let near = integers
        .iter()
        .zip(&floats)
        .all(|(a, b)| a.abs_diff(*b) <= 3);
    assert!(near, "{integers:?} {floats:?}");
}
