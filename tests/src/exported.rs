//! Models of every form of map, random weights put through the real exporter.

use std::sync::Arc;

use bt_core::ModelBytes;
use bt_core::internals::front_end::FORMAT;
use bt_train::data::{ElementType, Part, Values};
use bt_train::error::Result;
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::ModelConfig;
use bt_train::float::model::Model;
use bt_train::plan::kernels::Kernels;
use bt_train::plan::search::Limits;
use bt_train::quantize::export::{Options, export};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// A random shape, random weights and random data to calibrate on, all from `seed`: d of 2 to 5, modes
/// of 1 to 5, every form of both maps, all input types, both gates and pools, per-feature scales, filters.
///
/// # Panics
///
/// The exporter refuses it, which is a failure of every test that asks for it.
pub fn random(seed: u64) -> ModelBytes {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let order = rng.random_range(2..=5);
    let largest = if order > 3 { 3 } else { 5 };
    let mut modes =
        |most: usize| -> Vec<usize> { (0..order).map(|_| rng.random_range(1..=most)).collect() };
    let (input_modes, hidden_modes) = (modes(largest), modes(largest.min(3)));
    let mut map = || match rng.random_range(0..4) {
        0 => json!({ "map": "dense" }),
        1 => json!({ "map": "tensor-train", "rank": rng.random_range(1..=4) }),
        _ => {
            json!({ "map": "block-term", "blocks": rng.random_range(1..=3), "rank": rng.random_range(1..=if order > 3 { 2 } else { 4 }) })
        }
    };
    let mut input = map();
    let recurrent = map();
    input["modes"] = json!(input_modes);
    // Every fifth and its neighbour: not drawn, so that all else is what it ever was.
    match seed % 5 {
        3 => input["filter"] = json!("difference"),
        4 => {
            input["filter"] = json!("high-pass");
            input["filter_horizon"] = json!(2 << (seed / 5 % 4));
        }
        _ => {}
    }
    let config: ModelConfig = serde_json::from_value(json!({
        "input": input,
        "hidden": { "modes": hidden_modes },
        "recurrent": recurrent,
        "gate": if rng.random() { "sigmoid" } else { "hard-sigmoid" },
        "head": { "classes": rng.random_range(2..7), "pool": if rng.random() { "last" } else { "mean" } },
    }))
    .expect("a configuration");
    // Plans for Helium, with rows of whole vectors, run on every core.
    let limits = Limits {
        kernels: if seed % 2 == 1 {
            Kernels::M55
        } else {
            Kernels::M4f
        },
        ..Limits::default()
    };
    let found = exported(&config, &mut rng, seed, limits);
    found.unwrap_or_else(|error| panic!("seed {seed}, {config:?}: {error}"))
}

/// A model whose frames come in slabs over outer modes, by the plans that need least RAM: steps keep sums
/// from slab to slab.
///
/// # Panics
///
/// As [`random`].
pub fn streamed(seed: u64) -> ModelBytes {
    let config: ModelConfig = serde_json::from_value(json!({
        "input": { "map": "block-term", "modes": [3, 3, 4, 2], "blocks": 2, "rank": 2 },
        "hidden": { "modes": [2, 2, 2, 1] },
        "recurrent": { "map": "block-term", "blocks": 1, "rank": 2 },
        "head": { "classes": 3 },
    }))
    .expect("a configuration");
    let within = |ram_bytes| {
        let limits = Limits {
            ram_bytes,
            ..Limits::default()
        };
        exported(&config, &mut ChaCha8Rng::seed_from_u64(seed), seed, limits)
    };
    let mut found = within(None).expect("a model");
    loop {
        let model = bt_core::Model::parse(found.bytes()).expect("a model");
        match within(Some(model.arena_bytes() - 4)) {
            Ok(smaller) => found = smaller,
            Err(_) => return found,
        }
    }
}

/// A model of random weights, input type and scales.
fn exported(
    config: &ModelConfig,
    rng: &mut ChaCha8Rng,
    seed: u64,
    limits: Limits,
) -> Result<ModelBytes> {
    let mut model = Model::new(config.clone(), rng).expect("a model");
    let width = config.inputs();
    let steps = 4;
    let count = 6 * steps * width;
    let values = match rng.random_range(0..4) {
        0 => Values::U8((0..count).map(|_| rng.random()).collect()),
        1 => Values::I8((0..count).map(|_| rng.random()).collect()),
        2 => Values::I16((0..count).map(|_| rng.random()).collect()),
        _ => Values::F32((0..count).map(|_| rng.random_range(-3.0..5.0)).collect()),
    };
    let (offset, scale) = match values.element_type() {
        ElementType::U8 => (128.0, 1.0 / 74.0),
        ElementType::I8 => (0.0, 1.0 / 74.0),
        ElementType::I16 => (-50.0, 1.0 / 19_000.0),
        ElementType::F32 => (1.0, 0.43),
    };
    let features = if rng.random_range(0..3) == 0 {
        width
    } else {
        1
    };
    model.offset = (0..features)
        .map(|_| offset * rng.random_range(0.8..1.2))
        .collect();
    model.scale = (0..features)
        .map(|_| scale * rng.random_range(0.5..1.5))
        .collect();
    let part = Part {
        values: Arc::new(values),
        width,
        starts: (0..6).map(|sequence| sequence * steps * width).collect(),
        lengths: vec![steps; 6],
        targets: None,
        groups: None,
    };
    let options = Options {
        name: format!("random {seed}"),
        limits,
        sequences: 6,
    };
    Ok(export(&Checkpoint::of(&model), &part, &[], &options)?.bytes)
}

/// Samples of a step of [`sound`]: two vectors a hop of 32.
pub const SOUND_STEP: usize = 64;

/// A small model that takes sound, with a front end of this
/// [format](bt_core::internals::front_end::FORMAT) and random weights.
///
/// # Panics
///
/// The exporter refuses it.
pub fn sound(seed: u64, format: u32) -> ModelBytes {
    named_sound(seed, format, &[])
}

/// As [`sound`], with names of its four classes.
///
/// # Panics
///
/// As [`sound`].
pub fn named_sound(seed: u64, format: u32, labels: &[String]) -> ModelBytes {
    heard(
        seed,
        labels,
        json!({
            "input": { "map": "block-term", "modes": [4, 4], "blocks": 2, "rank": 2 },
            "hidden": { "modes": [2, 4] },
            "recurrent": { "map": "dense" },
            "gate": "sigmoid",
            "head": { "classes": 4, "pool": "last" },
            "front_end": { "sample_rate_hz": 8000, "window": 64, "hop": 32, "bands": 8, "low_hz": 300,
                "high_hz": 3800, "level": "relative", "vectors_per_step": 2, "format": format },
        }),
    )
}

/// A model of the demo's shape: 128 units over windows of spoken digits.
///
/// # Panics
///
/// When the exporter refuses it.
pub fn digits(seed: u64) -> ModelBytes {
    heard(
        seed,
        &[],
        json!({
            "input": { "map": "block-term", "modes": [4, 8, 8], "blocks": 2, "rank": 4 },
            "hidden": { "modes": [2, 8, 8] },
            "recurrent": { "map": "dense" },
            "head": { "classes": 10, "pool": "last" },
            "front_end": { "sample_rate_hz": 8000, "window": 256, "hop": 128, "bands": 32, "low_hz": 80,
                "high_hz": 3800, "level": "relative", "vectors_per_step": 8, "format": FORMAT },
        }),
    )
}

/// A small model of sound with a front end of this window, hop and bands up to half the sample rate, a vector a step.
///
/// # Panics
///
/// When the exporter refuses it.
pub fn windowed(sample_rate_hz: u32, window: usize, hop: usize, bands: usize) -> ModelBytes {
    heard(
        5,
        &[],
        json!({
            "input": { "map": "dense", "modes": [bands] },
            "hidden": { "modes": [2, 4] },
            "recurrent": { "map": "dense" },
            "head": { "classes": 4, "pool": "last" },
            "front_end": { "sample_rate_hz": sample_rate_hz, "window": window, "hop": hop, "bands": bands,
                "low_hz": 100, "high_hz": sample_rate_hz / 2, "level": "relative", "vectors_per_step": 1,
            "format": FORMAT },
        }),
    )
}

/// A model of sound with random weights.
fn heard(seed: u64, labels: &[String], config: serde_json::Value) -> ModelBytes {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let config: ModelConfig = serde_json::from_value(config).expect("a configuration");
    let width = config.inputs();
    let mut model = Model::new(config, &mut rng).expect("a model");
    // Vectors lie some ten octaves of 1,024 below their level.
    model.offset = vec![-5_000.0].into();
    model.scale = vec![1.0 / 3_000.0].into();
    let part = Part {
        values: Arc::new(Values::I16(
            (0..8 * width)
                .map(|_| rng.random_range(-12_000..=0))
                .collect(),
        )),
        width,
        starts: (0..8).map(|sequence| sequence * width).collect(),
        lengths: vec![1; 8],
        targets: None,
        groups: None,
    };
    let options = Options {
        name: format!("sound {seed}"),
        limits: Default::default(),
        sequences: 8,
    };
    export(&Checkpoint::of(&model), &part, labels, &options)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
        .bytes
}

/// Recordings of these samples.
pub fn recordings(sounds: &[Vec<i16>]) -> Part {
    let mut starts = vec![0];
    for sound in sounds {
        starts.push(starts[starts.len() - 1] + sound.len());
    }
    starts.pop();
    Part {
        values: Arc::new(Values::I16(sounds.concat())),
        width: 1,
        starts,
        lengths: sounds.iter().map(Vec::len).collect(),
        targets: None,
        groups: None,
    }
}
