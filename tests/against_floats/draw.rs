//! Random models over everything that the format says, and data for them.

use std::sync::Arc;

use bt_tests::units::{Held, normal};
use bt_train::data::{Normalization, NormalizeOver, Part, Values};
use bt_train::float::checkpoint::{Checkpoint, INPUT_OFFSET, INPUT_SCALE};
use bt_train::float::config::ModelConfig;
use bt_train::float::model::Model;
use ndarray::Array1;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// The form of a map.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    Dense,
    BlockTerm { blocks: usize, rank: usize },
    TensorTrain { rank: usize },
}

impl Form {
    fn json(self) -> Value {
        match self {
            Form::Dense => json!({ "map": "dense" }),
            Form::BlockTerm { blocks, rank } => {
                json!({ "map": "block-term", "blocks": blocks, "rank": rank })
            }
            Form::TensorTrain { rank } => json!({ "map": "tensor-train", "rank": rank }),
        }
    }
}

/// A front end in front of the model.
#[derive(Debug, Clone, Copy)]
pub struct Sound {
    pub format: u32,
    pub relative: bool,
    pub bands: usize,
    pub vectors: usize,
    /// Largest sample.
    pub loudness: f64,
}

/// What a model and its data are made from. Every field shrinks towards the plainest.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub input_modes: Vec<usize>,
    pub hidden_modes: Vec<usize>,
    pub input: Form,
    pub recurrent: Form,
    pub hard_gate: bool,
    pub mean_pool: bool,
    pub classes: usize,
    /// Zeros behind the data's own values, at most.
    pub padding: usize,
    pub held: Held,
    pub over: NormalizeOver,
    /// Of features, in turn.
    pub units: Vec<[f64; 3]>,
    /// Features that never change, one in so many.
    pub constant: Option<usize>,
    /// Weights of both maps and the head, log₂ of how much larger than untrained ones.
    pub gains: [i32; 3],
    /// Sizes moved from one tensor of a map to the next, log₂; a dense map's rows differ by as much.
    pub skew: i32,
    /// Largest bias of z.
    pub bias: f64,
    /// Largest bias of the head beside its weights, log₂.
    pub head_bias: i32,
    pub sound: Option<Sound>,
    /// log₂ of the steps of the mean that is taken off; 0: the step before.
    pub filter: Option<u32>,
    pub sequences: usize,
    pub steps: usize,
    pub seed: u64,
}

/// A mode of `order`, on the side that has values of `most` at order 1.
fn mode(order: usize, is_input: bool) -> BoxedStrategy<usize> {
    let most: usize = match (is_input, order) {
        (true, 1) => 1200,
        (true, 2) => 24,
        (true, 3) => 9,
        (true, 4) => 5,
        (true, 5) => 4,
        (true, _) => 3,
        (false, 1) => 40,
        (false, 2) => 7,
        (false, 3) => 4,
        (false, _) => 2,
    };
    prop_oneof![1 => Just(1usize), 4 => 1..=most].boxed()
}

fn form(order: usize) -> BoxedStrategy<Form> {
    if order == 1 {
        return Just(Form::Dense).boxed();
    }
    let rank = if order > 3 { 1..=2usize } else { 1..=5 };
    prop_oneof![
        2 => Just(Form::Dense),
        2 => rank.clone().prop_map(|rank| Form::TensorTrain { rank }),
        4 => (1..=3usize, rank).prop_map(|(blocks, rank)| Form::BlockTerm { blocks, rank }),
    ]
    .boxed()
}

fn sound() -> impl Strategy<Value = Option<Sound>> {
    let some = (1..=2u32, any::<bool>(), 1..=16usize, 1..=3usize, 0.0..1.0).prop_map(
        |(format, relative, bands, vectors, loudness): (_, _, _, _, f64)| {
            Some(Sound {
                format,
                relative,
                bands,
                vectors,
                loudness: 10f64.powf(1.0 + 3.4 * loudness),
            })
        },
    );
    prop_oneof![7 => Just(None), 1 => some]
}

/// Every model.
pub fn drawn() -> impl Strategy<Value = Drawn> {
    let shape = (1..=6usize).prop_flat_map(|order| {
        (
            prop::collection::vec(mode(order, true), order),
            prop::collection::vec(mode(order, false), order),
            form(order),
            form(order),
        )
    });
    let classes = prop_oneof![8 => 2..=12usize, 1 => Just(100), 1 => Just(1000)];
    let head = (any::<bool>(), any::<bool>(), classes, -6..=6i32);
    let over = prop::sample::select(vec![
        NormalizeOver::Set,
        NormalizeOver::Offset,
        NormalizeOver::Feature,
    ]);
    let data = (
        prop_oneof![4 => Just(0usize), 1 => 1..=5usize],
        prop::sample::select(Held::ALL.to_vec()),
        over,
        prop::collection::vec(prop::array::uniform3(0.0..1.0f64), 1..=6),
        prop_oneof![3 => Just(None), 1 => (1..=4usize).prop_map(Some)],
    );
    let sizes = (
        [-6..=2i32, -6..=2i32, -30..=30i32],
        prop_oneof![2 => Just(0), 1 => -10..=10i32],
        prop_oneof![3 => 0.0..4.0f64, 1 => 4.0..12.0f64],
    );
    let amount = (3..=10usize, 1..=8usize, any::<u64>());
    (shape, head, data, sizes, sound(), amount).prop_map(
        |(shape, head, data, sizes, sound, amount)| Drawn {
            input_modes: shape.0,
            hidden_modes: shape.1,
            input: shape.2,
            recurrent: shape.3,
            hard_gate: head.0,
            mean_pool: head.1,
            classes: head.2,
            head_bias: head.3,
            padding: data.0,
            held: data.1,
            over: data.2,
            units: data.3,
            constant: data.4,
            gains: sizes.0,
            skew: sizes.1,
            bias: sizes.2,
            sound,
            filter: match amount.2 % 12 {
                0 | 1 => Some(0),
                shift @ 2..=4 => Some(shift as u32 - 1),
                _ => None,
            },
            sequences: amount.0,
            steps: amount.1,
            seed: amount.2,
        },
    )
}

/// What a device gets and what its model learned from.
pub struct Material {
    pub checkpoint: Checkpoint,
    /// What is pushed: frames, or samples.
    pub raw: Part,
    /// Frames of the input map, before normalization.
    pub frames: Part,
}

impl Drawn {
    fn config(&self) -> ModelConfig {
        let mut input = self.input.json();
        let mut modes = self.input_modes.clone();
        if let Some(sound) = self.sound {
            // So many modes, and all but the first two 1.
            modes.fill(1);
            modes[0] = sound.vectors;
            *modes.last_mut().unwrap() *= sound.bands;
        }
        let inputs: usize = modes.iter().product();
        input["modes"] = json!(modes);
        let width = inputs.saturating_sub(self.padding).max(1);
        if self.sound.is_none() && width < inputs {
            input["width"] = json!(width);
        }
        match self.filter {
            None => {}
            Some(0) => input["filter"] = json!("difference"),
            Some(shift) => {
                input["filter"] = json!("high-pass");
                input["filter_horizon"] = json!(1 << shift);
            }
        }
        let mut config = json!({
            "input": input,
            "hidden": { "modes": self.hidden_modes },
            "recurrent": self.recurrent.json(),
            "gate": if self.hard_gate { "hard-sigmoid" } else { "sigmoid" },
            "head": { "classes": self.classes, "pool": if self.mean_pool { "mean" } else { "last" } },
        });
        if let Some(sound) = self.sound {
            config["front_end"] = json!({ "sample_rate_hz": 8000, "window": 256, "hop": 64,
                "bands": sound.bands, "low_hz": 100, "high_hz": 3800,
                "level": if sound.relative { "relative" } else { "absolute" },
                "vectors_per_step": sound.vectors, "format": sound.format });
        }
        serde_json::from_value(config).expect("a configuration")
    }

    /// The model and its data.
    pub fn material(&self) -> Material {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let config = self.config();
        let raw = match self.sound {
            Some(sound) => self.samples(&config, sound, &mut rng),
            None => self.values(config.data_width(), &mut rng),
        };
        let frames = match &config.front_end {
            Some(front_end) => raw.features(front_end).expect("features"),
            None => raw.clone(),
        };
        let mut model = Model::new(config.clone(), &mut rng).expect("a model");
        let fitted =
            Normalization::fit(&frames, config.inputs(), self.over, None).expect("a scale");
        let [input, recurrent, head] = self.gains;
        for (name, mut values) in model.parameters_mut() {
            let mut scale = |by: i32| values.mapv_inplace(|w| w * 2f32.powi(by));
            match name.as_str() {
                "lstm.bias" => {
                    values.mapv_inplace(|_| rng.random_range(-1.0..1.0) * self.bias as f32)
                }
                "head.weight" => scale(head),
                "head.bias" => values.mapv_inplace(|_| {
                    rng.random_range(-1.0..1.0) * 2f32.powi(head + self.head_bias)
                }),
                name => {
                    let gain = if name.starts_with("lstm.input") {
                        input
                    } else {
                        recurrent
                    };
                    if name.ends_with("core") || name.ends_with("tt.0") {
                        scale(gain + self.skew);
                    } else if name.ends_with("factor.0") || name.ends_with("tt.1") {
                        scale(-self.skew);
                    } else if name.ends_with("weight") {
                        // Rows of their own size.
                        for (row, mut weights) in values.outer_iter_mut().enumerate() {
                            let by = gain - (self.skew.abs() * (row as i32 % 3)) / 2;
                            weights.mapv_inplace(|w| w * 2f32.powi(by));
                        }
                    }
                }
            }
        }
        let mut checkpoint = Checkpoint::of(&model);
        let own = |values: Vec<f32>| Array1::from(values).into_dyn();
        let tensors = &mut checkpoint.tensors;
        tensors.insert(INPUT_OFFSET.into(), own(fitted.offset));
        tensors.insert(INPUT_SCALE.into(), own(fitted.scale));
        Material {
            checkpoint,
            raw,
            frames,
        }
    }

    /// Frames in their units.
    fn values(&self, width: usize, rng: &mut ChaCha8Rng) -> Part {
        let lengths: Vec<usize> = (0..self.sequences)
            .map(|sequence| 1 + (self.steps + sequence) % self.steps.max(1))
            .collect();
        let steps: usize = lengths.iter().sum();
        let raw = (0..steps * width).map(|at| {
            let feature = at % width;
            let unit = self.held.unit(self.units[feature % self.units.len()]);
            let is_constant = self
                .constant
                .is_some_and(|every| feature.is_multiple_of(every));
            let normal = if is_constant { 0.0 } else { normal(rng) };
            unit.offset + unit.deviation * normal
        });
        let values = self.held.values(raw.collect());
        part(values, width, lengths)
    }

    /// Noise, in part under a tone, that ends anywhere.
    fn samples(&self, config: &ModelConfig, sound: Sound, rng: &mut ChaCha8Rng) -> Part {
        let front_end = config.front_end.as_ref().expect("a front end");
        let step = front_end.hop * front_end.vectors_per_step;
        let lengths: Vec<usize> = (0..self.sequences)
            .map(|_| 300 + rng.random_range(0..=self.steps * step))
            .collect();
        let mut samples = Vec::new();
        for &length in &lengths {
            let tone = rng.random_range(0.05..2.0f64);
            samples.extend((0..length).map(|at| {
                let wave = (tone * at as f64).sin() * sound.loudness;
                (wave + sound.loudness / 8.0 * normal(rng)).clamp(-32_768.0, 32_767.0) as i16
            }));
        }
        part(Values::I16(samples), 1, lengths)
    }
}

fn part(values: Values, width: usize, lengths: Vec<usize>) -> Part {
    let starts = lengths.iter().scan(0, |end, steps| {
        let start = *end;
        *end += steps * width;
        Some(start)
    });
    Part {
        values: Arc::new(values),
        width,
        starts: starts.collect(),
        lengths,
        targets: None,
        groups: None,
    }
}
