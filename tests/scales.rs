//! Numbers of any scale: whatever units and offsets features have, the integers are as good as the
//! floats, or the exporter says truly why not and what helps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bt_tests::units::{Held, Unit, normal};
use bt_train::data::{DataSet, Part, PartName, Recordings, Values, load};
use bt_train::device;
use bt_train::error::Result;
use bt_train::float::checkpoint::{Checkpoint, INPUT_OFFSET, INPUT_SCALE};
use bt_train::float::config::ModelConfig;
use bt_train::float::model::Network;
use bt_train::quantize::export::{Exported, Options, export};
use ndarray::{Array1, Array3};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Sequences, steps and features of the property.
const SEQUENCES: usize = 24;
const STEPS: usize = 6;
const FEATURES: usize = 6;

/// The floor of the property: what the integers' logits are at least, signal over noise.
const SNR_DB_MIN: f64 = 30.0;

fn snr_db(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (wanted, found) in pairs {
        signal += wanted * wanted;
        noise += (wanted - found).powi(2);
    }
    10.0 * (signal / f64::max(noise, f64::MIN_POSITIVE)).log10()
}

fn part(values: Values, width: usize, steps: usize) -> Part {
    let sequences = values.len() / (width * steps);
    Part {
        values: Arc::new(values),
        width,
        starts: (0..sequences).map(|s| s * width * steps).collect(),
        lengths: vec![steps; sequences],
        targets: None,
        groups: None,
    }
}

fn quantized(checkpoint: &Checkpoint, part: &Part) -> Result<Exported> {
    let options = Options {
        name: "scales".into(),
        limits: Default::default(),
        sequences: part.sequences(),
    };
    export(checkpoint, part, &[], &options)
}

/// Logits of the integers, [sequence][class].
fn integers(exported: &Exported, part: &Part) -> Vec<Vec<f64>> {
    let model = device::parse(&exported.bytes).unwrap();
    let unit = 2f64.powi(-model.score_shift());
    let raw = device::run(&model, part, || ()).unwrap();
    let logits = |raw: Vec<i32>| raw.iter().map(|&raw| f64::from(raw) * unit).collect();
    raw.into_iter().map(logits).collect()
}

/// Logits of a checkpoint in f64 throughout, the raw values of `part` normalized in f64 too.
fn floats(checkpoint: &Checkpoint, part: &Part) -> Vec<Vec<f64>> {
    let mut network = Network::<f64>::zeros(checkpoint.config.clone()).unwrap();
    for (name, mut values) in network.parameters_mut() {
        values.assign(&checkpoint.tensors[&name].mapv(f64::from));
    }
    let of = |name: &str, i: usize| {
        let values = &checkpoint.tensors[name];
        f64::from(values[[if values.len() == 1 { 0 } else { i }]])
    };
    let mut raw = Vec::new();
    for sequence in 0..part.sequences() {
        part.values
            .for_each(part.range(sequence), |_, v| raw.push(f64::from(v)));
    }
    let shape = (part.sequences(), part.lengths[0], part.width);
    let x = Array3::from_shape_fn(shape, |(s, t, i)| {
        let value = raw[(s * shape.1 + t) * shape.2 + i];
        (value - of(INPUT_OFFSET, i)) * of(INPUT_SCALE, i)
    });
    let logits = network.logits(x.view(), &part.lengths);
    logits.outer_iter().map(|row| row.to_vec()).collect()
}

/// How near the integers come to the floats of f64.
fn nearness(checkpoint: &Checkpoint, part: &Part) -> f64 {
    let exported = quantized(checkpoint, part).unwrap();
    let pairs = floats(checkpoint, part)
        .into_iter()
        .zip(integers(&exported, part));
    snr_db(pairs.flat_map(|(wanted, found)| wanted.into_iter().zip(found)))
}

/// A model of random weights that tells classes of normal numbers apart clearly enough.
fn model(map: &str, seed: u64) -> Checkpoint {
    let mut input = json!({ "map": map, "modes": [2, 3] });
    if map == "block-term" {
        (input["blocks"], input["rank"]) = (json!(2), json!(2));
    }
    let config: ModelConfig = serde_json::from_value(json!({
        "input": input,
        "hidden": { "modes": [2, 4] },
        "head": { "classes": 3 },
    }))
    .unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Checkpoint::of(&Network::new(config, &mut rng).unwrap())
}

/// The normalized values in these units, and the model that undoes them.
fn in_units(
    checkpoint: &Checkpoint,
    units: &[Unit],
    seed: u64,
    values: impl FnOnce(Vec<f64>) -> Values,
) -> (Checkpoint, Part) {
    let mut checkpoint = checkpoint.clone();
    let each = |f: &dyn Fn(&Unit) -> f64| {
        let numbers: Array1<f32> = units.iter().map(|unit| f(unit) as f32).collect();
        numbers.into_dyn()
    };
    checkpoint
        .tensors
        .insert(INPUT_OFFSET.into(), each(&|u| u.offset));
    checkpoint
        .tensors
        .insert(INPUT_SCALE.into(), each(&|u| u.deviation.recip()));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let raw = (0..SEQUENCES * STEPS * FEATURES).map(|at| {
        let unit = units[if units.len() == 1 { 0 } else { at % FEATURES }];
        unit.offset + unit.deviation * normal(&mut rng)
    });
    (checkpoint, part(values(raw.collect()), FEATURES, STEPS))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// One float model, its data in other units: the integers stay as near to it, to 6 dB.
    #[test]
    fn units_of_features_change_nothing(
        held in prop::sample::select(Held::ALL.to_vec()),
        map in prop::sample::select(vec!["dense", "block-term"]),
        units in prop::collection::vec(prop::array::uniform3(0.0..1.0f64), FEATURES),
        shared in any::<bool>(),
        seed in 0..1000u64,
    ) {
        let plain = model(map, seed);
        let one = [Unit { offset: 0.0, deviation: 1.0 }];
        let (reference, data) = in_units(&plain, &one, seed, |raw| Held::F32.values(raw));
        let expected = nearness(&reference, &data);
        prop_assert!(expected > SNR_DB_MIN, "{expected} dB in their own units");

        let mut units: Vec<Unit> = units.into_iter().map(|numbers| held.unit(numbers)).collect();
        if shared {
            units.truncate(1);
        }
        let (model, data) = in_units(&plain, &units, seed, |raw| held.values(raw));
        let found = nearness(&model, &data);
        prop_assert!(found > SNR_DB_MIN.max(expected - 6.0), "{found} dB, {expected} before");
    }

    /// Heads of any size: the integers' logits are as near, and name the same class.
    #[test]
    fn heads_of_any_size(exponent in -36..=36i32, seed in 0..1000u64) {
        let mut plain = model("block-term", seed);
        let factor = 10f32.powi(exponent);
        let one = [Unit { offset: 0.0, deviation: 1.0 }];
        let (reference, data) = in_units(&plain, &one, seed, |raw| Held::F32.values(raw));
        let expected = nearness(&reference, &data);
        for name in ["head.weight", "head.bias"] {
            plain.tensors.get_mut(name).unwrap().mapv_inplace(|w| w * factor);
        }
        let (scaled, data) = in_units(&plain, &one, seed, |raw| Held::F32.values(raw));
        let found = nearness(&scaled, &data);
        prop_assert!((found - expected).abs() < 1.0, "{found} dB, {expected} before");
    }
}

/// x̂ = −x and its like, one negative scale for all: a dense row's sign is in its weights.
#[test]
fn a_negative_scale_is_as_good_as_a_positive_one() {
    for map in ["dense", "block-term"] {
        for held in Held::ALL {
            let offset = if matches!(held, Held::U8) { 128.0 } else { 0.0 };
            let unit = |deviation| [Unit { offset, deviation }];
            let near = |deviation| {
                let plain = model(map, 3);
                let (model, data) = in_units(&plain, &unit(deviation), 4, |raw| held.values(raw));
                nearness(&model, &data)
            };
            let (positive, negative) = (near(20.0), near(-20.0));
            assert!(positive > SNR_DB_MIN, "{map} {held:?}: {positive}");
            assert!(
                (negative - positive).abs() < 4.0,
                "{map} {held:?}: {negative} {positive}"
            );
        }
    }
}

/// c grows by almost 1 a step while the input is positive and falls while it is not: a count of votes.
fn counter() -> Checkpoint {
    let config = json!({ "input": { "map": "dense", "modes": [2] }, "hidden": { "modes": [4] },
        "head": { "classes": 2 } });
    let config: ModelConfig = serde_json::from_value(config).unwrap();
    let mut model = Network::<f32>::zeros(config).unwrap();
    model.scale = vec![0.001].into();
    for (name, mut values) in model.parameters_mut() {
        match name.as_str() {
            // Gates i, f, o open; the candidate follows the first feature.
            "lstm.bias" => (0..16).for_each(|at| values[[at]] = [10.0, 12.0, 0.0, 10.0][at / 4]),
            "lstm.input.weight" => (8..12).for_each(|row| values[[row, 0]] = 3.0),
            "head.weight" => (0..4).for_each(|j| {
                (values[[0, j]], values[[1, j]]) = (-1.0, 1.0);
            }),
            _ => {}
        }
    }
    Checkpoint::of(&model)
}

/// `sequences` of `steps`, the first `up(sequence)` of them +1000, the rest −1000; the second feature 0.
fn votes(sequences: usize, steps: usize, up: impl Fn(usize) -> usize) -> Part {
    let value = |at: usize| {
        let (sequence, step) = (at / (2 * steps), at / 2 % steps);
        match (at % 2, step < up(sequence)) {
            (1, _) => 0,
            (_, true) => 1000,
            (_, false) => -1000,
        }
    };
    let values = (0..sequences * steps * 2).map(value).collect();
    part(Values::I16(values), 2, steps)
}

/// A majority of 600 votes, all of one kind first: c goes to 300 and back.
#[test]
fn a_cell_that_counts_beyond_128_keeps_its_count() {
    let checkpoint = counter();
    let data = votes(20, 600, |sequence| {
        300 + 20 * (sequence / 2 + 1) * (sequence % 2) - 10
    });
    let exported = quantized(&checkpoint, &data).unwrap();
    assert!(
        exported.layers[0].cell.max > 290.0,
        "{:?}",
        exported.layers[0].cell
    );
    assert_eq!(exported.layers[0].cell.fraction, 21);
    let model = device::parse(&exported.bytes).unwrap();
    assert_eq!(model.cell_fraction(0), 21);
    let wanted = floats(&checkpoint, &data);
    for (sequence, (wanted, found)) in wanted.iter().zip(integers(&exported, &data)).enumerate() {
        assert_eq!(wanted[1] > wanted[0], sequence % 2 == 1);
        assert_eq!(
            found[1] > found[0],
            sequence % 2 == 1,
            "{sequence}: {found:?}"
        );
    }
    // Where c stays small nothing changes: Q7.24.
    let short = votes(20, 60, |sequence| 40 * (sequence % 2));
    assert_eq!(
        quantized(&checkpoint, &short).unwrap().layers[0]
            .cell
            .fraction,
        24
    );
}

/// Files of older versions parse, pass their own test and give the scores that their exporter gave.
#[test]
fn files_of_older_versions_give_the_same_scores() {
    gives_the_same_scores(3, &["registers", "bytes", "floats"]);
    gives_the_same_scores(4, &["registers", "floats"]);
    gives_the_same_scores(5, &["steps", "layers"]);
    gives_the_same_scores(6, &["motion", "drawing"]);
    gives_the_same_scores(7, &["dense"]);
    gives_the_same_scores(8, &["rows"]);
}

fn gives_the_same_scores(version: u8, names: &[&str]) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/version{version}"));
    let scores = std::fs::read_to_string(place.join("scores.json")).unwrap();
    let scores: BTreeMap<String, Vec<Vec<i32>>> = serde_json::from_str(&scores).unwrap();
    assert_eq!(scores.len(), names.len());
    for &name in names {
        let bytes = device::read_model(&place.join(format!("{name}.btm"))).unwrap();
        assert_eq!(bytes.bytes()[4..6], [version, 0]);
        let model = device::parse(&bytes).unwrap();
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = bt_core::Session::new(&model, &mut arena).unwrap();
        assert_eq!(session.self_test(), bt_core::SelfTest::Passed);
        let data = place.join(format!("{name}.npz"));
        let data: DataSet = load(&data, &Recordings::default(), &[PartName::Test], None).unwrap();
        let raw = device::run(&model, data.part(PartName::Test).unwrap(), || ()).unwrap();
        assert_eq!(raw, scores[name], "{name} of version {version}");
    }
}

/// Offsets and steps that are no numbers are refused by name, wherever they are stated.
#[test]
fn numbers_that_are_none_are_refused_by_name() {
    let bad = model("dense", 1);
    for name in [INPUT_OFFSET, INPUT_SCALE] {
        for value in [f32::NAN, f32::INFINITY] {
            let mut tensors = bad.tensors.clone();
            tensors.insert(name.into(), Array1::from_elem(1, value).into_dyn());
            let error = Checkpoint::new(bad.config.clone(), tensors)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(name) && error.contains("not finite"),
                "{error}"
            );
        }
    }
    // 1e38: the LSB is below what f32 holds. The unit that the line asks
    // for is taken.
    let unit = |deviation: f64| {
        vec![
            Unit {
                offset: 0.0,
                deviation
            };
            FEATURES
        ]
    };
    let (tiny, data) = in_units(&bad, &unit(1e-38), 1, |raw| Held::F32.values(raw));
    let error = quantized(&tiny, &data).unwrap_err().to_string();
    assert!(error.contains("feature 0 has an LSB of"), "{error}");
    assert!(error.contains("larger than 1e-30"), "{error}");
    let (larger, data) = in_units(&bad, &unit(1e-25), 1, |raw| Held::F32.values(raw));
    assert!(nearness(&larger, &data) > SNR_DB_MIN);
}
