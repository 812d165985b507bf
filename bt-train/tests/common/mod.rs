//! Models of fixed weights with data to calibrate them on.

use std::sync::Arc;

use bt_train::data::{Part, Values};
use bt_train::error::Result;
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::ModelConfig;
use bt_train::float::model::Model;
use bt_train::plan::search::Limits;
use bt_train::quantize::export::{Exported, Options};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;

/// A checkpoint and the frames of its input map.
pub struct Given {
    checkpoint: Checkpoint,
    part: Part,
    /// Of which so many are calibrated on.
    pub sequences: usize,
}

/// A layer of these forms of maps on frames of these modes; `sound`: behind a front end of 8 bands, whose
/// vectors the frames are made of.
pub fn config(input: &str, recurrent: &str, modes: &[usize], sound: bool) -> ModelConfig {
    let mut hidden = vec![1; modes.len()];
    hidden[0] = 4;
    hidden[1] = 2;
    let mut config = json!({
        "input": { "map": input, "modes": modes },
        "hidden": { "modes": hidden },
        "recurrent": { "map": recurrent },
        "head": { "classes": 3 },
    });
    if sound {
        config["front_end"] = json!({ "sample_rate_hz": 8000, "window": 64, "hop": 32, "bands": 8,
            "low_hz": 300, "high_hz": 3800, "vectors_per_step": modes.iter().product::<usize>() / 8,
            "format": bt_core::internals::front_end::FORMAT });
    }
    serde_json::from_value(config).unwrap()
}

impl Given {
    /// The same with a scale of its own for every value of a frame.
    pub fn with_scales(&self) -> Given {
        let mut model = self.checkpoint.model().unwrap();
        let scale = |value| 1.0 / (40 + value % 50) as f32;
        model.scale = (0..self.part.width).map(scale).collect();
        Given {
            checkpoint: Checkpoint::of(&model),
            part: self.part.clone(),
            sequences: self.sequences,
        }
    }

    /// Weights and 12 sequences of 3 frames: bytes, or feature vectors.
    pub fn new(config: ModelConfig) -> Given {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let is_sound = config.front_end.is_some();
        let width = config.inputs();
        let mut model = Model::new(config, &mut rng).unwrap();
        for (_, mut values) in model.parameters_mut() {
            values.map_inplace(|w| *w = (rng.next_u32() >> 8) as f32 / (1 << 25) as f32 - 0.25);
        }
        let mut byte = || (rng.next_u32() >> 24) as u8;
        let count = 12 * 3 * width;
        let (values, offset, scale) = if is_sound {
            let vector = |byte: u8| -10_000 + 40 * i16::from(byte);
            let values = (0..count).map(|_| vector(byte())).collect();
            (Values::I16(values), -5_000.0, 1.0 / 3_000.0)
        } else {
            let values = (0..count).map(|_| byte()).collect();
            (Values::U8(values), 128.0, 1.0 / 74.0)
        };
        model.offset = vec![offset].into();
        model.scale = vec![scale].into();
        Given {
            checkpoint: Checkpoint::of(&model),
            part: Part {
                values: Arc::new(values),
                width,
                starts: (0..12).map(|sequence| sequence * 3 * width).collect(),
                lengths: vec![3; 12],
                targets: None,
                groups: None,
            },
            sequences: 12,
        }
    }
}

/// The model file within these limits.
///
/// # Errors
///
/// As the exporter's.
pub fn export(given: &Given, limits: Limits) -> Result<Exported> {
    let options = Options {
        name: "fixed".into(),
        limits,
        sequences: given.sequences,
    };
    let labels = ["one", "two", "three"].map(String::from);
    bt_train::quantize::export::export(&given.checkpoint, &given.part, &labels, &options)
}
