//! The float model against `numpy.einsum` in float64; `data/einsum/make.py`
//! made the values.

use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::map::{BlockTerm, Dense, Frames, Map, TensorTrain};
use bt_train::float::model::Network;
use ndarray::{Array3, ArrayView2, ArrayViewD, IxDyn};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Values {
    shape: Vec<usize>,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct MapCase {
    map: String,
    input: Vec<usize>,
    output: Vec<usize>,
    blocks: usize,
    rank: usize,
    weights: BTreeMap<String, Values>,
    x: Vec<f64>,
    z: Vec<f64>,
}

#[derive(Deserialize)]
struct ModelCase {
    file: String,
    lengths: Vec<usize>,
    shape: [usize; 3],
    x: Vec<f64>,
    logits: Vec<f64>,
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "einsum", name]
        .iter()
        .collect()
}

fn cases<T: for<'a> Deserialize<'a>>(name: &str) -> Vec<T> {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// Both sides compute in float64, in different orders.
#[test]
fn maps() {
    for case in cases::<MapCase>("maps.json") {
        let mut map: Box<dyn Map<f64>> = match case.map.as_str() {
            "block-term" => Box::new(BlockTerm::zeros(
                &case.input,
                &case.output,
                case.blocks,
                case.rank,
            )),
            "tensor-train" => Box::new(TensorTrain::zeros(&case.input, &case.output, case.rank)),
            _ => Box::new(Dense::zeros(
                case.input.iter().product(),
                case.output.iter().product(),
            )),
        };
        assert_eq!(map.parameters().len(), case.weights.len());
        for (name, mut weight) in map.parameters_mut() {
            let Values { shape, values } = &case.weights[&name];
            weight.assign(&ArrayViewD::from_shape(IxDyn(shape), values).unwrap());
        }
        let mut z = vec![0.0; case.z.len()];
        let frames = Frames::packed(&case.x, map.inputs());
        map.prepare().forward(&frames, &mut z);
        for (found, expected) in z.iter().zip(&case.z) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{} {:?}: {found} for {expected}",
                case.map,
                case.input
            );
        }
    }
}

/// Files written by another program load; their logits are those of float64
/// within its rounding, and in single precision within 1e-5.
#[test]
fn models() {
    for case in cases::<ModelCase>("models.json") {
        let single = Checkpoint::read(&path(&case.file))
            .and_then(|checkpoint| checkpoint.model())
            .unwrap_or_else(|error| panic!("{error}"));
        let mut double = Network::<f64>::zeros(single.config.clone()).unwrap();
        let weights = single.parameters().into_iter();
        for ((_, mut to), (_, from)) in double.parameters_mut().into_iter().zip(weights) {
            to.assign(&from.mapv(f64::from));
        }
        let x = Array3::from_shape_vec(case.shape, case.x).unwrap();
        let classes = single.config.head.gives.outputs();
        let expected = ArrayView2::from_shape((case.lengths.len(), classes), &case.logits).unwrap();
        let found = double.logits(x.view(), &case.lengths);
        let error = (&found - &expected).mapv(f64::abs);
        assert!(error.iter().all(|&e| e < 1e-12), "{}: {error}", case.file);
        let found = single.logits(x.mapv(|v| v as f32).view(), &case.lengths);
        let error = (found.mapv(f64::from) - expected).mapv(f64::abs);
        assert!(error.iter().all(|&e| e < 1e-5), "{}: {error}", case.file);
    }
}
