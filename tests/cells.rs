//! GRU, minGRU and stacked layers, from floats to the device: PyTorch's values, plain loops in f64, and the
//! integers of every form of their maps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bt_core::Model;
use bt_tests::model::Noise;
use bt_tests::mutate::{self, Ran};
use bt_tests::units::normal;
use bt_train::data::{Part, Values};
use bt_train::device;
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::ModelConfig;
use bt_train::float::model::Model as FloatModel;
use bt_train::float::tensors::Tensors;
use bt_train::quantize::export::{Exported, Options, export};
use bt_train::shape::{Cell, name};
use ndarray::{Array2, Array3, ArrayD, IxDyn};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::{Value, json};

/// `data/cells/torch.json`.
#[derive(Deserialize)]
struct Torch {
    sequences: usize,
    steps: usize,
    inputs: usize,
    units: usize,
    models: BTreeMap<String, TorchModel>,
}

#[derive(Deserialize)]
struct TorchModel {
    layers: usize,
    weights: BTreeMap<String, Vec<f32>>,
    /// [sequences, steps, inputs].
    x: Vec<f32>,
    /// [sequences, steps, units] of the last layer.
    h: Vec<f32>,
}

impl Torch {
    fn read() -> Torch {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cells/torch.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The model whose logits are the hidden states.
    fn checkpoint(&self, name: &str, torch: &TorchModel) -> Checkpoint {
        let cell = if name.starts_with("gru") {
            Cell::Gru
        } else {
            Cell::Lstm
        };
        let (units, gates) = (self.units, cell.device().gates());
        let config = json!({ "input": { "map": "dense", "modes": [self.inputs] },
            "hidden": { "modes": [units] }, "cell": cell, "layers": torch.layers,
            "head": { "classes": units } });
        let config: ModelConfig = serde_json::from_value(config).unwrap();
        let mut tensors = Tensors::new();
        let mut put = |name: String, shape: &[usize], values: Vec<f32>| {
            let values = ArrayD::from_shape_vec(IxDyn(shape), values).unwrap();
            tensors.insert(name, values);
        };
        for at in 0..torch.layers {
            let own = |name: &str| torch.weights[&format!("{name}_l{at}")].clone();
            let inputs = if at == 0 { self.inputs } else { units };
            let weight = format!("{}.weight", name::input_map(cell, at));
            put(weight, &[gates * units, inputs], own("weight_ih"));
            let weight = format!("{}.weight", name::recurrent_map(cell, at));
            put(weight, &[gates * units, units], own("weight_hh"));
            // A GRU's r multiplies what the recurrent map gives with its bias.
            let apart = if cell == Cell::Gru { units } else { 0 };
            let mut together = own("bias_hh");
            let alone = together.split_off(gates * units - apart);
            let mut bias = own("bias_ih");
            bias.iter_mut().zip(together).for_each(|(b, t)| *b += t);
            put(name::bias(cell, at), &[gates * units], bias);
            if apart > 0 {
                put(name::recurrent_bias(cell, at), &[units], alone);
            }
        }
        let identity = Array2::<f32>::eye(units).into_raw_vec_and_offset().0;
        put("head.weight".into(), &[units, units], identity);
        Checkpoint::new(config, tensors).unwrap()
    }
}

fn part(values: Values, width: usize, steps: usize) -> Part {
    let sequences = values.len() / width / steps;
    Part {
        values: Arc::new(values),
        width,
        starts: (0..sequences).map(|at| at * steps * width).collect(),
        lengths: vec![steps; sequences],
        targets: None,
        groups: None,
    }
}

fn exported(checkpoint: &Checkpoint, part: &Part) -> Exported {
    let options = Options {
        name: "cells".into(),
        limits: Default::default(),
        sequences: part.sequences(),
    };
    export(checkpoint, part, &[], &options).unwrap()
}

/// Logits of the device.
fn integers(exported: &Exported, part: &Part) -> Vec<Vec<f64>> {
    let model = device::parse(&exported.bytes).unwrap();
    let unit = 2f64.powi(-model.score_shift());
    let raw = device::run(&model, part, || ()).unwrap();
    raw.iter()
        .map(|raw| raw.iter().map(|&raw| f64::from(raw) * unit).collect())
        .collect()
}

/// PyTorch's hidden states: the floats to 1e-5, the integers as near as 8-bit weights come.
#[test]
fn layers_of_torch_give_its_values() {
    let torch = Torch::read();
    assert_eq!(torch.models.len(), 3);
    for (name, of_torch) in &torch.models {
        let checkpoint = torch.checkpoint(name, of_torch);
        let shape = (torch.sequences, torch.steps, torch.inputs);
        let x = Array3::from_shape_vec(shape, of_torch.x.clone()).unwrap();
        let model = checkpoint.model().unwrap();
        let part = part(Values::F32(of_torch.x.clone()), torch.inputs, torch.steps);
        let exported = exported(&checkpoint, &part);
        let fixed = integers(&exported, &part);
        let floats = model.logits(x.view(), &vec![torch.steps; torch.sequences]);
        let sequences = of_torch.h.chunks(torch.steps * torch.units);
        for (at, states) in sequences.enumerate() {
            let last = &states[(torch.steps - 1) * torch.units..];
            for (unit, &wanted) in last.iter().enumerate() {
                let found = floats[[at, unit]];
                assert!((found - wanted).abs() < 1e-5, "{name}: {found} {wanted}");
                let found = fixed[at][unit];
                let off = (found - f64::from(wanted)).abs();
                assert!(off < 0.02, "{name}: {found} {wanted}");
            }
        }
    }
}

/// The paper's equations of the minGRU, sequence by sequence, in f64.
#[test]
fn min_gru_follows_its_equations() {
    let (inputs, units, steps) = (4, 3, 9);
    let config = json!({ "input": { "map": "dense", "modes": [inputs] }, "hidden": { "modes": [units] },
        "cell": "min-gru", "head": { "classes": units, "pool": "last" } });
    let config: ModelConfig = serde_json::from_value(config).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut model = FloatModel::new(config, &mut rng).unwrap();
    for (name, mut values) in model.parameters_mut() {
        match name.as_str() {
            "head.weight" => values.iter_mut().enumerate().for_each(|(at, w)| {
                *w = f32::from(u8::from(at % (units + 1) == 0));
            }),
            "head.bias" => values.fill(0.0),
            _ => values.mapv_inplace(|_| 1.5 * normal(&mut rng) as f32),
        }
    }
    let x: Vec<f32> = (0..5 * steps * inputs)
        .map(|_| normal(&mut rng) as f32)
        .collect();
    let checkpoint = Checkpoint::of(&model);
    let tensor = |name: &str| -> Vec<f64> {
        checkpoint.tensors[name]
            .iter()
            .map(|&v| f64::from(v))
            .collect()
    };
    let (weight, bias) = (tensor("min-gru.input.weight"), tensor("min-gru.bias"));
    let part = part(Values::F32(x.clone()), inputs, steps);
    let fixed = integers(&exported(&checkpoint, &part), &part);
    let frames = Array3::from_shape_vec((5, steps, inputs), x.clone()).unwrap();
    let floats = model.logits(frames.view(), &[steps; 5]);
    for (at, sequence) in x.chunks(steps * inputs).enumerate() {
        let mut h = vec![0.0; units];
        for frame in sequence.chunks(inputs) {
            let z = |row: usize| -> f64 {
                let row_weights = &weight[row * inputs..][..inputs];
                let products = row_weights
                    .iter()
                    .zip(frame)
                    .map(|(w, &x)| w * f64::from(x));
                products.sum::<f64>() + bias[row]
            };
            for (j, h) in h.iter_mut().enumerate() {
                let a = 1.0 / (1.0 + (-z(j)).exp());
                *h = (1.0 - a) * *h + a * z(units + j);
            }
        }
        for (j, &wanted) in h.iter().enumerate() {
            assert!((f64::from(floats[[at, j]]) - wanted).abs() < 1e-5);
            assert!(
                (fixed[at][j] - wanted).abs() < 0.05,
                "{} {wanted}",
                fixed[at][j]
            );
        }
    }
}

/// The forms of a map.
fn forms() -> [Value; 3] {
    [
        json!({ "map": "dense" }),
        json!({ "map": "block-term", "blocks": 2, "rank": 2 }),
        json!({ "map": "tensor-train", "rank": 3 }),
    ]
}

/// Signal over noise of logits, dB, each less its mean over the sequences.
fn snr_db(floats: &Array2<f32>, fixed: &[Vec<f64>]) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (class, column) in floats.columns().into_iter().enumerate() {
        let mean = f64::from(column.sum()) / column.len() as f64;
        for (&wanted, found) in column.iter().zip(fixed) {
            signal += (f64::from(wanted) - mean).powi(2);
            noise += (f64::from(wanted) - found[class]).powi(2);
        }
    }
    10.0 * (signal / noise).log10()
}

/// Every cell with every form of both maps, one layer and two, widths odd and even: the device runs what plain
/// loops over the file run, bit by bit, and its logits are the floats' as near as the weights' bits allow.
#[test]
fn integers_follow_the_floats() {
    let (inputs, steps, sequences) = (12, 7, 24);
    for cell in [Cell::Lstm, Cell::Gru, Cell::MinGru] {
        for (case, (input, recurrent)) in forms()
            .iter()
            .flat_map(|input| forms().map(move |recurrent| (input.clone(), recurrent)))
            .enumerate()
        {
            let recurrent_counts = cell.device().is_recurrent();
            if !recurrent_counts && recurrent["map"] != "dense" {
                continue;
            }
            let layers = 1 + case % 2;
            let hidden = [[2, 3], [3, 3], [1, 5]][case % 3];
            let gate = ["sigmoid", "hard-sigmoid"][case / 2 % 2];
            let pool = ["last", "mean"][case % 2];
            let mut of_input = input.clone();
            of_input["modes"] = json!([3, 4]);
            let config = json!({ "input": of_input, "hidden": { "modes": hidden }, "cell": cell,
                "layers": layers, "recurrent": recurrent, "gate": gate,
                "head": { "classes": 4, "pool": pool } });
            let config: ModelConfig = serde_json::from_value(config).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(case as u64);
            let mut model = FloatModel::new(config, &mut rng).unwrap();
            for (name, mut values) in model.parameters_mut() {
                if name.ends_with(".bias") {
                    values.mapv_inplace(|b| b + 0.3 * normal(&mut rng) as f32);
                }
            }
            let x: Vec<f32> = (0..sequences * steps * inputs)
                .map(|_| normal(&mut rng) as f32)
                .collect();
            let frames = Array3::from_shape_vec((sequences, steps, inputs), x.clone()).unwrap();
            let floats = model.logits(frames.view(), &vec![steps; sequences]);
            let part = part(Values::F32(x), inputs, steps);
            let exported = exported(&Checkpoint::of(&model), &part);
            let context = format!("{cell:?} {layers} {hidden:?} {input} {recurrent}");
            assert_eq!(exported.layers.len(), layers, "{context}");
            for layer in &exported.layers {
                assert_eq!(layer.z.wrong, 0.0, "{context}");
                assert_eq!(layer.recurrent.is_some(), recurrent_counts);
            }
            let file = Model::parse(exported.bytes.bytes()).unwrap();
            assert_eq!((file.cell(), file.layers()), (cell.device(), layers));
            let snr = snr_db(&floats, &integers(&exported, &part));
            assert!(snr > 25.0, "{context}: {snr}");
            assert_eq!(
                mutate::run(&exported.bytes, &mut Noise::new(case as u32)),
                Ran::Told,
                "{context}"
            );
        }
    }
}
