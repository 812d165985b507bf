//! What the benchmark runs: models of known shape and random weights, put
//! through the real exporter.

use std::sync::Arc;

use anyhow::{Context, Result};
use bt_core::ModelBytes;
use bt_train::data::{Part, Values};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::ModelConfig;
use bt_train::float::model::Model;
use bt_train::plan::kernels::Kernels;
use bt_train::plan::search::Limits;
use bt_train::quantize::export::{Exported, Options, export};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// RAM that the plans keep to: what the paper's layer is to fit.
const RAM_BYTES: usize = 10 << 10;

/// RAM of other shapes of the same frame.
const RAM_BYTES_OF_SHAPES: usize = 11 << 10;

/// The same with what a difference keeps of its z of 1,024 values.
const RAM_BYTES_OF_VIDEO: usize = RAM_BYTES + (2 << 10);

/// A figure that a workload gives, with its row's name.
#[derive(Clone, Copy, Debug)]
pub enum Figure {
    /// From the first push to a complete z.
    Frame(&'static str),
    /// The step without the gates: U h.
    Recurrent(&'static str),
    /// The gates alone.
    Gates(&'static str),
    /// Pushes and step.
    Step(&'static str),
}

/// A model to measure.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// What it is measured for.
    pub figures: &'static [Figure],
    /// The model, as the `bt` JSON of its file has it.
    config: &'static str,
    /// Whether its values are bytes; else 16 bits with sign.
    bytes: bool,
    /// RAM that its plans keep to.
    ram_bytes: usize,
}

/// Every workload.
pub const ALL: [Workload; 10] = [
    Workload {
        name: "paper",
        figures: &[
            Figure::Frame("paper_frame"),
            Figure::Recurrent("paper_recurrent"),
            Figure::Gates("gate_update"),
        ],
        config: r#"{"input": {"map": "block-term", "modes": [8,20,20,18], "blocks": 2, "rank": 4},
            "hidden": {"modes": [4,4,4,4]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES,
    },
    Workload {
        name: "video",
        figures: &[Figure::Step("video_step")],
        config: r#"{"input": {"map": "block-term", "modes": [8,20,20,18], "blocks": 2, "rank": 4,
                "filter": "difference"},
            "hidden": {"modes": [4,4,4,4]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES_OF_VIDEO,
    },
    Workload {
        name: "dense recurrence",
        figures: &[Figure::Recurrent("dense_recurrent_256x1024")],
        config: r#"{"input": {"map": "block-term", "modes": [8,20,20,18], "blocks": 2, "rank": 4},
            "hidden": {"modes": [4,4,4,4]}, "recurrent": {"map": "dense"},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES,
    },
    Workload {
        name: "dense LSTM",
        figures: &[Figure::Step("lstm_256x256")],
        config: r#"{"input": {"map": "dense", "modes": [16,16]},
            "hidden": {"modes": [16,16]}, "recurrent": {"map": "dense"},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: false,
        ram_bytes: RAM_BYTES,
    },
    Workload {
        name: "8x16x16x12",
        figures: &[Figure::Frame("frame_8x16x16x12")],
        config: r#"{"input": {"map": "block-term", "modes": [8,16,16,12], "blocks": 2, "rank": 4},
            "hidden": {"modes": [4,4,4,4]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES,
    },
    Workload {
        name: "5x7x9x11",
        figures: &[Figure::Frame("frame_5x7x9x11")],
        config: r#"{"input": {"map": "block-term", "modes": [5,7,9,11], "blocks": 2, "rank": 3},
            "hidden": {"modes": [4,4,4,4]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES,
    },
    // Shapes of the paper's frame that cost a quarter, as `plan --search-shapes` finds them.
    Workload {
        name: "4x20x20x36",
        figures: &[Figure::Frame("frame_4x20x20x36_to_16x4x4x1")],
        config: r#"{"input": {"map": "block-term", "modes": [4,20,20,36], "blocks": 2, "rank": 4},
            "hidden": {"modes": [16,4,4,1]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES_OF_SHAPES,
    },
    Workload {
        name: "8x8x30x30",
        figures: &[Figure::Frame("frame_8x8x30x30_to_32x8x1x1")],
        config: r#"{"input": {"map": "block-term", "modes": [8,8,30,30], "blocks": 1, "rank": 4},
            "hidden": {"modes": [32,8,1,1]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES_OF_SHAPES,
    },
    Workload {
        name: "2x4x80x90",
        figures: &[Figure::Frame("frame_2x4x80x90_to_16x16x1x1")],
        config: r#"{"input": {"map": "block-term", "modes": [2,4,80,90], "blocks": 2, "rank": 4},
            "hidden": {"modes": [16,16,1,1]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2},
            "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#,
        bytes: true,
        ram_bytes: RAM_BYTES_OF_SHAPES,
    },
    Workload {
        name: "spoken digits",
        figures: &[Figure::Step("spoken_digits_step")],
        config: r#"{"input": {"map": "block-term", "modes": [4,8,8], "blocks": 2, "rank": 4},
            "hidden": {"modes": [2,8,8]}, "recurrent": {"map": "dense"},
            "gate": "sigmoid", "head": {"classes": 10, "pool": "last"},
            "front_end": {"sample_rate_hz": 8000, "window": 256, "hop": 128, "bands": 32,
                "low_hz": 80, "high_hz": 3800, "level": "relative", "vectors_per_step": 8,
                "format": 2}}"#,
        bytes: false,
        ram_bytes: RAM_BYTES,
    },
];

/// Frames that calibration sees.
const FRAMES: usize = 8;

impl Workload {
    /// Names of its rows.
    pub fn rows(&self) -> Vec<&'static str> {
        let name = |figure: &Figure| match *figure {
            Figure::Frame(name)
            | Figure::Recurrent(name)
            | Figure::Gates(name)
            | Figure::Step(name) => name,
        };
        self.figures.iter().map(name).collect()
    }

    /// The model's file, planned for a core, the same every time.
    ///
    /// # Errors
    ///
    /// The exporter refuses it.
    pub fn model(&self, kernels: Kernels) -> Result<ModelBytes> {
        Ok(self.exported(kernels)?.bytes)
    }

    /// The same with what the exporter says of it.
    ///
    /// # Errors
    ///
    /// As of [`model`](Self::model).
    pub fn exported(&self, kernels: Kernels) -> Result<Exported> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let config: ModelConfig = serde_json::from_str(self.config).context(self.name)?;
        let width = config.inputs();
        // What is filtered has to move.
        let steps = match config.input.filter_horizon() {
            Some(_) => FRAMES,
            None => 1,
        };
        let mut model = Model::new(config, &mut rng)?;
        let count = FRAMES * width;
        let values = if self.bytes {
            // x̂ = (x − 128) / 74 has variance 1.
            model.offset = vec![128.0].into();
            model.scale = vec![1.0 / 74.0].into();
            Values::U8((0..count).map(|_| rng.random()).collect())
        } else {
            model.offset = vec![0.0].into();
            model.scale = vec![1.0 / 18_900.0].into();
            Values::I16((0..count).map(|_| rng.random()).collect())
        };
        let part = Part {
            values: Arc::new(values),
            width,
            starts: (0..FRAMES)
                .step_by(steps)
                .map(|frame| frame * width)
                .collect(),
            lengths: vec![steps; FRAMES / steps],
            targets: None,
            groups: None,
        };
        let options = Options {
            name: self.name.to_owned(),
            limits: Limits {
                ram_bytes: Some(self.ram_bytes),
                kernels,
                ..Limits::default()
            },
            sequences: FRAMES,
        };
        Ok(export(&Checkpoint::of(&model), &part, &[], &options)?)
    }
}
