//! Any number of hidden units: the integers follow a plain LSTM in f64, and trained models stay as good.

use std::sync::Arc;

use bt_core::{Model, Session};
use bt_tests::program::{Toy, quantize_words, run, text};
use bt_train::data::{Part, Values};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::{Gate, ModelConfig, Pool};
use bt_train::float::model::Model as FloatModel;
use bt_train::quantize::export::{Options, export};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const INPUTS: usize = 3;
const STEPS: usize = 12;
const CLASSES: usize = 3;

/// Real value of one LSB of the frames.
const INPUT_STEP: f32 = 1.0 / 16_384.0;

/// A weight `[rows, columns]` that i8 holds exactly: whole multiples of a row's step, the largest 127.
fn i8_grid(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut values = Vec::new();
    for _ in 0..rows {
        let step = rng.random_range(0.2..1.0) / 127.0 / (columns as f32).sqrt();
        let full = rng.random_range(0..columns);
        values.extend((0..columns).map(|k| match k {
            k if k == full => 127.0 * step,
            _ => rng.random_range(-127..=127i32) as f32 * step,
        }));
    }
    values
}

/// A layer as its equations read: matrices, and loops over them.
struct Plain<'c> {
    checkpoint: &'c Checkpoint,
    /// `[4J][INPUTS]`.
    input: Vec<Vec<f64>>,
    /// `[4J][J]`.
    recurrent: Vec<Vec<f64>>,
}

impl<'c> Plain<'c> {
    fn new(checkpoint: &'c Checkpoint) -> Plain<'c> {
        let modes = &checkpoint.config.hidden.modes;
        Plain {
            checkpoint,
            input: matrix(checkpoint, "lstm.input", &checkpoint.config.input.modes),
            recurrent: matrix(checkpoint, "lstm.recurrent", modes),
        }
    }

    fn values(&self, name: &str) -> Vec<f64> {
        let values = self.checkpoint.tensors[name].iter();
        values.map(|&value| value.into()).collect()
    }

    /// h after each step, and the logits.
    fn run(&self, frames: &[i16]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let config = &self.checkpoint.config;
        let units = config.units();
        let bias = self.values("lstm.bias");
        let sigmoid = |z: f64| match config.gate {
            Gate::Sigmoid => 1.0 / (1.0 + (-z).exp()),
            Gate::HardSigmoid => (0.2 * z + 0.5).clamp(0.0, 1.0),
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
        let mut states = Vec::new();
        for frame in frames.chunks(INPUTS) {
            let real = |&value: &i16| f64::from(value) * f64::from(INPUT_STEP);
            let x: Vec<f64> = frame.iter().map(real).collect();
            let z =
                |row: usize| bias[row] + dot(&self.input[row], &x) + dot(&self.recurrent[row], &h);
            let z: Vec<f64> = (0..4 * units).map(z).collect();
            for j in 0..units {
                let (i, f) = (sigmoid(z[j]), sigmoid(z[units + j]));
                let (g, o) = (z[2 * units + j].tanh(), sigmoid(z[3 * units + j]));
                c[j] = f * c[j] + i * g;
                h[j] = o * c[j].tanh();
            }
            states.push(h.clone());
        }
        let mean = |j: usize| states.iter().map(|h| h[j]).sum::<f64>() / states.len() as f64;
        let read: Vec<f64> = match config.head.pool {
            Pool::Last => h,
            Pool::Mean => (0..units).map(mean).collect(),
            Pool::Recent => {
                let horizon = config.head.horizon();
                let mut mean = vec![0.0; units];
                for (t, h) in states.iter().enumerate() {
                    let share = 1.0 / horizon.min(t + 1) as f64;
                    let all = mean.iter_mut().zip(h);
                    all.for_each(|(mean, h)| *mean += share * (h - *mean));
                }
                mean
            }
        };
        let weights = self.values("head.weight");
        let rows = weights.chunks(units).zip(self.values("head.bias"));
        let logits = rows.map(|(row, bias)| dot(row, &read) + bias).collect();
        (states, logits)
    }
}

/// The matrix of a dense map or of a block-term map of two modes, entry by entry as the paper's sum.
fn matrix(checkpoint: &Checkpoint, prefix: &str, modes: &[usize]) -> Vec<Vec<f64>> {
    let hidden = &checkpoint.config.hidden.modes;
    let (rows, columns) = (4 * hidden[0] * hidden[1], modes[0] * modes[1]);
    let mut matrix = vec![vec![0.0; columns]; rows];
    if let Some(weight) = checkpoint.tensors.get(&format!("{prefix}.weight")) {
        for (at, &value) in weight.iter().enumerate() {
            matrix[at / columns][at % columns] = value.into();
        }
        return matrix;
    }
    for block in 0.. {
        let tensor = |name: &str| {
            checkpoint
                .tensors
                .get(&format!("{prefix}.block.{block}.{name}"))
        };
        let (Some(core), Some(first), Some(second)) =
            (tensor("core"), tensor("factor.0"), tensor("factor.1"))
        else {
            break;
        };
        for (row, values) in matrix.iter_mut().enumerate() {
            let (j0, j1) = (row / hidden[1], row % hidden[1]);
            for (column, value) in values.iter_mut().enumerate() {
                let (i0, i1) = (column / modes[1], column % modes[1]);
                for ((r0, r1), &g) in core.indexed_iter().map(|(at, g)| ((at[0], at[1]), g)) {
                    let (a, b) = (first[[i0, j0, r0]], second[[i1, j1, r1]]);
                    *value += f64::from(g) * f64::from(a) * f64::from(b);
                }
            }
        }
    }
    matrix
}

/// Random weights, dense ones on the grid of i8, so that the float model has no error of its own.
fn random_model(config: &ModelConfig, rng: &mut ChaCha8Rng) -> FloatModel {
    let mut model = FloatModel::new(config.clone(), rng).unwrap();
    for (name, mut values) in model.parameters_mut() {
        if let (true, &[rows, columns]) = (name.starts_with("lstm"), values.shape()) {
            let grid = i8_grid(rows, columns, rng);
            values
                .iter_mut()
                .zip(grid)
                .for_each(|(place, w)| *place = w);
        }
    }
    model.scale = vec![INPUT_STEP].into();
    model
}

/// h of every step within 2⁻¹⁰, the logits within 2⁻⁸, for every J up to 40, odd or even: an LSB of z is
/// 2⁻¹¹, and both maps round theirs at every step. Units that are not updated are off by all of their h.
#[test]
fn integers_follow_the_equations_for_every_number_of_units() {
    let block_term = |mut map: serde_json::Value| {
        map["map"] = json!("block-term");
        map["blocks"] = json!(2);
        map["rank"] = json!(2);
        map
    };
    let dense = |mut map: serde_json::Value| {
        map["map"] = json!("dense");
        map
    };
    for units in 1..=40 {
        for form in 0..4 {
            let seed = units * 4 + form;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let input = json!({ "modes": [1, INPUTS] });
            let config: ModelConfig = serde_json::from_value(json!({
                "input": if form & 1 == 0 { dense(input) } else { block_term(input) },
                "hidden": { "modes": [1, units] },
                "recurrent": if form & 2 == 0 { dense(json!({})) } else { block_term(json!({})) },
                "gate": if rng.random() { "sigmoid" } else { "hard-sigmoid" },
                "head": match (units / 2 + form / 2) % 3 {
                    0 => json!({ "classes": CLASSES, "pool": "last" }),
                    1 => json!({ "classes": CLASSES, "pool": "mean" }),
                    _ => json!({ "classes": CLASSES, "pool": "recent", "horizon": 2 }),
                },
            }))
            .unwrap();
            let model = random_model(&config, &mut rng);
            let frames: Vec<i16> = (0..4 * STEPS * INPUTS).map(|_| rng.random()).collect();
            let part = Part {
                values: Arc::new(Values::I16(frames.clone())),
                width: INPUTS,
                starts: (0..4).map(|sequence| sequence * STEPS * INPUTS).collect(),
                lengths: vec![STEPS; 4],
                targets: None,
                groups: None,
            };
            let options = Options {
                name: "units".into(),
                limits: Default::default(),
                sequences: 4,
            };
            let checkpoint = Checkpoint::of(&model);
            let exported = export(&checkpoint, &part, &[], &options).unwrap();

            let model = Model::parse(exported.bytes.bytes()).unwrap();
            let mut arena = vec![0; model.arena_bytes() / 4];
            let mut session = Session::new(&model, &mut arena).unwrap();
            let frames = &frames[..STEPS * INPUTS];
            let (states, logits) = Plain::new(&checkpoint).run(frames);
            let mut off = 0.0f64;
            for (frame, wanted) in frames.chunks(INPUTS).zip(&states) {
                assert_eq!(session.push_i16(frame), Ok(INPUTS));
                session.step().unwrap();
                let found = session.hidden_state();
                assert_eq!(found.len(), wanted.len());
                for (&found, wanted) in found.iter().zip(wanted) {
                    off = off.max((f64::from(found) / 32_768.0 - wanted).abs());
                }
            }
            let mut scores = [0; CLASSES];
            session.scores(&mut scores).unwrap();
            for (&raw, wanted) in scores.iter().zip(&logits) {
                let logit = f64::from(raw) * 2f64.powi(-model.score_shift());
                off = off.max((logit - wanted).abs() / 4.0);
            }
            assert!(
                off < 1.0 / 1024.0,
                "{units} units, form {form}: off by {off}, {states:?}"
            );
        }
    }
}

/// Two classes of sequences apart by their mean, drawn like those on which models of odd J came out at
/// 50 %: normal noise of deviation 1 about −0.5 and +0.5.
fn two_classes(place: &std::path::Path) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let mut toy = Toy::empty();
    for (part, sequences) in [("train", 60), ("test", 200)] {
        let mut x: Vec<f32> = Vec::new();
        let y: Vec<i64> = (0..sequences as i64).map(|sequence| sequence % 2).collect();
        for &class in &y {
            x.extend((0..5 * 6).map(|_| {
                let normal: f32 = (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
                normal + class as f32 - 0.5
            }));
        }
        toy.add(&format!("x_{part}"), &[sequences, 5, 6], &x);
        toy.add(&format!("y_{part}"), &[sequences], &y);
    }
    toy.write(place)
}

/// The share of the test part that a command gets right.
fn accuracy(words: &[&str]) -> f64 {
    let left = run(words);
    assert_eq!(left.status, Some(0), "{words:?}: {left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    object["accuracy"].as_f64().unwrap()
}

#[test]
fn odd_models_are_as_good_in_integers_as_in_floats() {
    let place = tempfile::tempdir().unwrap();
    let data = two_classes(place.path());
    for units in ["1x1", "1x3", "1x5", "1x7", "1x31"] {
        for recurrent in ["dense", "block-term"] {
            for pool in ["last", "mean"] {
                let name = format!("{units}-{recurrent}-{pool}");
                let out = place.path().join(&name);
                let model = place.path().join(format!("{name}.btm"));
                let (out, model) = (text(&out), text(&model));
                let mut words = vec!["train", "--data", &data, "--out", out];
                words.extend(["--input-map", "dense", "--input-modes", "1x6"]);
                words.extend(["--hidden-modes", units, "--recurrent-map", recurrent]);
                words.extend(["--pool", pool, "--epochs", "40", "--lr", "0.02"]);
                let left = run(&words);
                assert_eq!(left.status, Some(0), "{left:?}");
                let floats = accuracy(&["eval", out, "--data", &data, "--json"]);
                let left = run(&quantize_words(out, &data, model, &[]));
                assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
                let integers = accuracy(&["run", model, "--data", &data, "--json"]);
                assert!(floats > 0.9, "{name}: {floats}");
                let apart = (floats - integers).abs();
                assert!(apart <= 0.01 + 1e-9, "{name}: {floats}, {integers}");
            }
        }
    }
}
