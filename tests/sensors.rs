//! `train`, `quantize` and `run` on data in every unit, and what `quantize` refuses or warns about: the
//! remedy it names is tried and works.

use std::path::Path;

use bt_core::drawing::Random;
use bt_tests::program::{Left, Toy, quantize_words, run, text};
use serde_json::Value;

/// Numbers of a normal distribution, by the sum of twelve.
struct Normal(Random);

impl Normal {
    fn next(&mut self) -> f64 {
        let mut uniform = || f64::from(self.0.next_u32() >> 8) / f64::from(1 << 24);
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }
}

const STEPS: usize = 8;

/// Sequences of `width` normal numbers a step: of three classes, which of the first three features is
/// 1.5 larger.
fn gestures(sequences: usize, width: usize, seed: u32) -> (Vec<f64>, Vec<i64>) {
    let mut normal = Normal(Random::new(seed.into(), 0));
    let class = |sequence: usize| sequence % 3;
    let mut x = Vec::new();
    for at in 0..sequences * STEPS * width {
        let (sequence, i) = (at / (STEPS * width), at % width);
        x.push(normal.next() + if i == class(sequence) { 1.5 } else { 0.0 });
    }
    (x, (0..sequences).map(|s| class(s) as i64).collect())
}

/// A data set of gestures, each feature as `unit` has it.
fn write<T: npyz::AutoSerialize + Copy>(
    place: &Path,
    width: usize,
    unit: impl Fn(usize, f64) -> T,
) -> String {
    let mut toy = Toy::empty();
    for (part, sequences, seed) in [("train", 150, 1), ("test", 120, 2)] {
        let (x, y) = gestures(sequences, width, seed);
        let x: Vec<T> = x
            .iter()
            .enumerate()
            .map(|(at, &v)| unit(at % width, v))
            .collect();
        toy.add(&format!("x_{part}"), &[sequences, STEPS, width], &x);
        toy.add(&format!("y_{part}"), &[sequences], &y);
    }
    toy.write(place)
}

/// Trains on a data set; returns the folder of the run.
fn trained(place: &Path, data: &str, flags: &[&str]) -> String {
    let out = text(&place.join("run")).to_owned();
    let _ = std::fs::remove_dir_all(&out);
    let mut words = vec!["train", "--data", data, "--out", &out];
    words.extend(flags);
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
    out
}

fn quantize(place: &Path, model: &str, data: &str) -> Left {
    let btm = place.join("m.btm");
    run(&quantize_words(model, data, text(&btm), &[]))
}

fn accuracy(words: &[&str]) -> f64 {
    let left = run(words);
    assert_eq!(left.status, Some(0), "{left:?}");
    let object: Value = serde_json::from_str(&left.out).unwrap();
    object["accuracy"].as_f64().unwrap()
}

/// Accuracy of floats and of integers on the test part.
fn both(place: &Path, data: &str, flags: &[&str]) -> (f64, f64) {
    let model = trained(place, data, flags);
    let left = quantize(place, &model, data);
    assert_eq!(left.status, Some(0), "{left:?}");
    assert!(!left.out.contains("warning"), "{left:?}");
    let btm = place.join("m.btm");
    (
        accuracy(&["eval", &model, "--data", data, "--json"]),
        accuracy(&["run", text(&btm), "--data", data, "--json"]),
    )
}

const DENSE: &[&str] = &[
    "--input-map",
    "dense",
    "--input-modes",
    "6",
    "--hidden-modes",
    "8",
    "--lr",
    "0.02",
    "--epochs",
    "15",
];

/// The same data in units of 1, 2⁻²⁰ (as V are to µV) and 2³⁰: the same weights to the last bit, and as
/// good integers.
#[test]
fn the_unit_of_the_data_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut plain = None;
    for unit in [1.0f32, 2f32.powi(-20), 2f32.powi(30)] {
        let data = write(place.path(), 6, |_, v| v as f32 * unit);
        let (floats, integers) = both(place.path(), &data, DENSE);
        assert!(
            floats >= 0.97 && integers >= 0.97,
            "{unit}: {floats} {integers}"
        );
        let best = place.path().join("run/best.safetensors");
        let best = bt_train::float::checkpoint::Checkpoint::read(&best).unwrap();
        let weights = best.tensors["lstm.input.weight"].clone();
        assert_eq!(plain.get_or_insert(weights.clone()), &weights, "{unit}");
    }
}

/// Bytes of little contrast far from 0 and from 128, many and few, into a dense map.
#[test]
fn bytes_of_low_contrast_are_as_good_as_others() {
    let place = tempfile::tempdir().unwrap();
    for (width, mean, deviation) in [(64, 40.0, 12.0), (5, 210.0, 12.0), (6, 90.0, 2.0)] {
        let byte = |_, v: f64| (mean + deviation * v).round().clamp(0.0, 255.0) as u8;
        let data = write(place.path(), width, byte);
        let modes = width.to_string();
        let mut flags = DENSE.to_vec();
        flags[3] = &modes;
        let (floats, integers) = both(place.path(), &data, &flags);
        assert!(floats >= 0.9, "{width} of {mean}: {floats}");
        assert!(
            integers >= floats - 0.01,
            "{width} of {mean}: {floats} {integers}"
        );
    }
}

const EACH: &[&str] = &[
    "--normalize",
    "feature",
    "--input-modes",
    "2x2",
    "--hidden-modes",
    "2x4",
    "--lr",
    "0.02",
    "--epochs",
    "20",
];

/// An accelerometer in g beside °C, Pa or lux, in floats and in registers of 16 bits.
#[test]
fn every_sensor_keeps_its_own_unit() {
    let place = tempfile::tempdir().unwrap();
    // The light of a day: a hundred thousand times brighter at noon.
    let fourth: [&dyn Fn(f64) -> f64; 3] = [&|v| 23.9 + 2.0 * v, &|v| 101_325.0 + 59.0 * v, &|v| {
        (3.0 * v).exp()
    }];
    for fourth in fourth {
        let sensors = |i: usize, v: f64| {
            if i == 3 {
                fourth(v) as f32
            } else {
                0.6 * v as f32
            }
        };
        let data = write(place.path(), 4, sensors);
        let (floats, integers) = both(place.path(), &data, EACH);
        assert!(floats >= 0.97, "{floats}");
        assert!(integers >= floats - 0.01, "{floats} {integers}");
    }
    // Factors that differ by 10⁴ share no shift; offsets at both ends of the range.
    let units = [
        (-30_000.0, 1.5),
        (30_000.0, 600.0),
        (0.0, 10_000.0),
        (10_132.0, 3.0),
    ];
    let register = |i: usize, v: f64| {
        let (offset, deviation) = units[i];
        (offset + deviation * v).round().clamp(-32_768.0, 32_767.0) as i16
    };
    let data = write(place.path(), 4, register);
    let (floats, integers) = both(place.path(), &data, EACH);
    assert!(floats >= 0.97, "{floats}");
    assert!(integers >= floats - 0.01, "{floats} {integers}");
    let left = run(&["inspect", text(&place.path().join("m.btm"))]);
    for expected in ["an offset of its own", "a scale of its own"] {
        assert!(left.out.contains(expected), "{expected}: {}", left.out);
    }
}

/// Rates that throw weights far out: what that does depends on chance, so seeds are tried until
/// `struck`. Returns what `quantize` said then, and what it says with more weight decay.
fn until_wild(place: &Path, data: &str, struck: impl Fn(&Left) -> bool) -> (Left, Left) {
    let mut flags: Vec<&str> = DENSE[..6].to_vec();
    flags.extend([
        "--epochs", "150", "--batch", "8", "--lr", "19", "--clip", "1000",
    ]);
    for seed in 0..12 {
        let seed = seed.to_string();
        let seeded = [&flags[..], &["--seed", &seed]].concat();
        let left = quantize(place, &trained(place, data, &seeded), data);
        if struck(&left) {
            let decayed = [&seeded[..], &["--weight-decay", "0.1"]].concat();
            let cured = quantize(place, &trained(place, data, &decayed), data);
            return (left, cured);
        }
    }
    panic!("no seed throws the weights that far")
}

/// What no format holds is refused with its cause, and the remedy of each refusal works.
#[test]
fn refusals_name_the_cause_and_a_remedy_that_works() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    // Millions that were never normalized.
    let data = write(place, 6, |_, v| (1e6 * (v + 1.0)) as f32);
    let short = ["--lr", "0.02", "--epochs", "2"];
    for map in [
        &["dense", "--input-modes", "6", "--hidden-modes", "8"],
        &[
            "block-term",
            "--input-modes",
            "2x3",
            "--hidden-modes",
            "2x4",
        ],
    ] {
        let flags: Vec<&str> = [&["--input-map"], &map[..], &short].concat();
        let model = trained(
            place,
            &data,
            &[&flags[..], &["--normalize", "none"]].concat(),
        );
        let left = quantize(place, &model, &data);
        assert_eq!(left.status, Some(1), "{left:?}");
        for expected in [
            "the input map",
            "z ends at 16",
            "its input goes up to",
            "train with --normalize set or --normalize feature",
        ] {
            assert!(left.err.contains(expected), "{expected}: {}", left.err);
        }
        for remedy in ["set", "feature"] {
            let model = trained(
                place,
                &data,
                &[&flags[..], &["--normalize", remedy]].concat(),
            );
            let left = quantize(place, &model, &data);
            assert_eq!(left.status, Some(0), "{remedy}: {left:?}");
        }
    }
    let data = write(place, 6, |_, v| v as f32);
    let (left, cured) = until_wild(place, &data, |left| left.status != Some(0));
    assert_eq!(left.err.trim_end().lines().count(), 1, "{left:?}");
    for expected in ["z ends at 16", "train with --weight-decay 0.1"] {
        assert!(left.err.contains(expected), "{expected}: {}", left.err);
    }
    assert_eq!(cured.status, Some(0), "{cured:?}");
}

/// The warning of wrong gates names its remedy, which makes it go.
#[test]
fn the_remedy_of_wrong_gates_works() {
    let place = tempfile::tempdir().unwrap();
    let data = write(place.path(), 6, |_, v| v as f32);
    let remedy = "--weight-decay 0.1 keeps them smaller";
    let (left, cured) = until_wild(place.path(), &data, |left| left.out.contains(remedy));
    assert!(left.out.contains("of the gates are wrong"), "{left:?}");
    assert_eq!(cured.status, Some(0), "{cured:?}");
    assert!(!cured.out.contains("gates are wrong"), "{cured:?}");
}

/// A model of integers is not fed fractions in silence.
#[test]
fn floats_into_a_model_of_bytes_must_be_bytes() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let byte = |v: f64| (128.0 + 40.0 * v).round().clamp(0.0, 255.0);
    let data = write(place, 6, |_, v| byte(v) as u8);
    let (_, integers) = both(place, &data, DENSE);
    let model = place.join("m.btm");
    let words = |data: &'static str| ["run", "", "--data", data, "--json"].map(str::to_owned);
    let with = |data: &str| {
        let mut words = words("");
        (words[1], words[3]) = (text(&model).to_owned(), data.to_owned());
        run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let whole = write(place, 6, |_, v| byte(v) as f32);
    let left = with(&whole);
    let object: Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(object["accuracy"].as_f64(), Some(integers));
    let fractions = write(place, 6, |_, v| byte(v) as f32 / 255.0);
    let left = with(&fractions);
    assert_eq!(left.status, Some(1), "{left:?}");
    assert!(
        left.err.contains("holds f32, the model takes U8"),
        "{left:?}"
    );
    assert!(left.err.contains("save the data in the type"), "{left:?}");
}
