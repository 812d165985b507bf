//! How long a whole training step takes, at the paper's UCF11 shape or another.
//!
//! `cargo run --release -p bt-train --example train_step -- --json` runs it in
//! a process of its own, so that the peak of the memory is that of the step.
//!
//! Two quiet cores with AVX-512 (sgemm peak 390 GFLOP/s), ten interleaved
//! rounds of `tools/peers/train_step.py` with PyTorch 2.15:
//!
//! | | least ms | median ms | peak MB |
//! |---|---|---|---|
//! | ours | 15.4 | 16.2 | 33 |
//! | PyTorch by hand, compiled | 58.0 | 71.6 | 1128 |
//! | PyTorch by hand, eager | 71.3 | 108.8 | 1013 |
//! | dense `nn.LSTM` | 431.7 | 449.0 | 1775 |
//! | TedNet's `BTTLSTM` | 1523.1 | 1623.8 | 2237 |

use crate::Result;
use crate::float::config::{
    HeadConfig, HeadKind, HiddenConfig, InputConfig, InputFilter, ModelConfig, Pool,
    RecurrentConfig,
};
use crate::float::init;
use crate::float::map::{BlockTerm, TensorTrain};
use crate::float::model::{LossOptions, Model};
use crate::float::product::{Product, Strides};
use crate::shape::{Cell, MapKind, MapShape};
use ndarray::Array3;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::Serialize;
use std::time::Instant;

/// What a step is timed at; recurrent maps are dense.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// The cell.
    pub cell: Cell,
    /// Layers, each of that cell and of maps of this form.
    pub layers: usize,
    /// Form of the input map.
    pub map: MapKind,
    /// Modes of a frame.
    pub input: Vec<usize>,
    /// Modes of the hidden state.
    pub hidden: Vec<usize>,
    /// Sequences in a batch.
    pub batch: usize,
    /// Steps of each.
    pub steps: usize,
}

impl Default for Shape {
    /// The paper's for UCF11: frames of 57,600 values.
    fn default() -> Shape {
        Shape {
            cell: Cell::Lstm,
            layers: 1,
            map: MapKind::BlockTerm { blocks: 2, rank: 4 },
            input: vec![8, 20, 20, 18],
            hidden: vec![4, 4, 4, 4],
            batch: 16,
            steps: 6,
        }
    }
}

impl Shape {
    fn config(&self) -> ModelConfig {
        ModelConfig {
            input: InputConfig {
                map: self.map,
                modes: self.input.clone(),
                width: None,
                filter: InputFilter::None,
                filter_horizon: None,
                frames: None,
            },
            hidden: HiddenConfig {
                modes: self.hidden.clone(),
            },
            cell: self.cell,
            layers: self.layers,
            recurrent: RecurrentConfig {
                map: MapKind::Dense,
            },
            gate: Default::default(),
            head: HeadConfig {
                gives: HeadKind::Classes(CLASSES),
                pool: Pool::Last,
                horizon: None,
                steps: None,
                latent: None,
                attention: None,
                rows: None,
                labels: Vec::new(),
            },
            front_end: None,
            imported: false,
        }
    }

    /// `train_step_ucf11`, or the modes of the frame and what else is not the paper's layer.
    fn name(&self) -> String {
        if *self == Shape::default() {
            return "train_step_ucf11".into();
        }
        let mut name = format!("train_step_{}", crate::error::times(&self.input));
        if self.cell != Cell::Lstm {
            name += &format!("_{}", self.cell.name());
        }
        if self.layers > 1 {
            name += &format!("_{}_layers", self.layers);
        }
        match self.map {
            MapKind::BlockTerm { .. } => name,
            map => name + "_" + map.name(),
        }
    }
}

const CLASSES: usize = 11;

/// A row of `cargo xtask bench --train`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainStep {
    /// `train_step_ucf11`, or for another shape `train_step_`, the modes of its frame, the cell and the number of layers
    /// where they are not an LSTM's and 1, and the form of a map that is not block-term.
    pub name: String,
    /// Shortest update.
    pub milliseconds: f64,
    /// Median of all updates.
    pub milliseconds_median: f64,
    /// Most memory the process held, the batch included; 0 where the system
    /// does not tell.
    pub peak_rss_bytes: u64,
    /// Arithmetic that an update needs (recomputed levels not counted) by its
    /// shortest time.
    pub gflops: f64,
    /// What a large single-precision matrix product reaches on as many threads.
    pub sgemm_peak_gflops: f64,
    /// Threads in use.
    pub threads: usize,
    /// Updates timed.
    pub repetitions: usize,
}

/// Times `repetitions` updates: loss and gradients of a batch, and a plain descent
/// of all parameters.
///
/// # Errors
/// When there is no such model.
pub fn train_step(shape: &Shape, repetitions: usize) -> Result<TrainStep> {
    let config = shape.config();
    config.validate()?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let inputs = config.inputs();
    let flops = step_flops(shape);
    let mut model = Model::new(config, &mut rng)?;
    let (batch, steps) = (shape.batch, shape.steps);
    let x = Array3::from_shape_simple_fn((batch, steps, inputs), || init::normal(&mut rng) as f32);
    let lengths = vec![steps; batch];
    let labels: Vec<usize> = (0..batch).map(|b| b % CLASSES).collect();
    let options = LossOptions::default();
    let mut times: Vec<f64> = (0..repetitions.max(1) + 1)
        .map(|_| {
            let start = Instant::now();
            let (_, gradients) = model.loss_and_gradients(x.view(), &lengths, &labels, &options);
            for ((_, mut value), gradient) in
                model.parameters_mut().into_iter().zip(&gradients.arrays)
            {
                value.scaled_add(-1e-3, gradient);
            }
            start.elapsed().as_secs_f64() * 1e3
        })
        .skip(1)
        .collect();
    let peak_rss_bytes = peak_rss_bytes();
    times.sort_by(f64::total_cmp);
    Ok(TrainStep {
        name: shape.name(),
        milliseconds: times[0],
        milliseconds_median: times[times.len() / 2],
        peak_rss_bytes,
        gflops: flops / times[0] * 1e-6,
        sgemm_peak_gflops: sgemm_peak_gflops(),
        threads: rayon::current_num_threads(),
        repetitions: times.len(),
    })
}

/// Floating-point operations of an update in the order the model chose: forward, gradient of the weights, gradient of every
/// state but the frame.
fn step_flops(shape: &Shape) -> f64 {
    let config = shape.config();
    let units: usize = shape.hidden.iter().product();
    let mut macs = 0;
    for (at, layer) in config.layer_shapes().iter().enumerate() {
        let (map, of_input) = input_macs(&layer.input);
        let skipped = if at == 0 { of_input } else { 0 };
        macs += shape.batch * shape.steps * (3 * map - skipped);
        if layer.recurrent.is_some() {
            let steps = shape.steps.max(1) - 1;
            macs += shape.batch * steps * 3 * config.gates() * units * units;
        }
    }
    2.0 * macs as f64
}

/// Multiplications of a frame in an input map, and those that the gradient of the frame takes.
fn input_macs(shape: &MapShape) -> (usize, usize) {
    let (inputs, outputs) = (&shape.inputs, &shape.outputs);
    let plan = match shape.kind {
        MapKind::BlockTerm { blocks, rank } => {
            let map = BlockTerm::<f32>::zeros(inputs, outputs, blocks, rank);
            Some(map.plan().clone())
        }
        MapKind::TensorTrain { rank } => {
            let map = TensorTrain::<f32>::zeros(inputs, outputs, rank);
            Some(map.plan().clone())
        }
        MapKind::Dense => None,
    };
    match plan {
        Some(plan) => (plan.macs(), plan.blocks * plan.stages[0].macs()),
        None => (
            shape.width() * shape.height(),
            shape.width() * shape.height(),
        ),
    }
}

/// The largest resident size this process has had.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Large square products on every thread at once: the `gemm` crate's, and the
/// small-product kernel's on a size that suits it; the better one's best time.
fn sgemm_peak_gflops() -> f64 {
    // A column stride other than 1 sends the product to the crate.
    let crates = square_product_gflops(768, 768, 1, 12);
    let own = square_product_gflops(192, 1, 192, 200);
    crates.max(own)
}

/// Gigaflops of `size`³ products with these strides of the second factor.
fn square_product_gflops(size: usize, line: usize, inner: usize, repetitions: usize) -> f64 {
    let threads = rayon::current_num_threads();
    let product = Product {
        rows: size,
        cols: size,
        outer: 1,
        inner: size,
        batch: 1,
        a: Strides {
            line: size,
            inner: 1,
            ..Strides::default()
        },
        b: Strides {
            line,
            inner,
            ..Strides::default()
        },
        c_row: size,
        c_col: 1,
        ..Product::default()
    };
    let a = vec![1.0f32; size * size];
    let mut results = vec![vec![0.0f32; size * size]; threads];
    let mut best = f64::INFINITY;
    for _ in 0..repetitions {
        let start = Instant::now();
        results.par_iter_mut().for_each(|c| product.run(&a, &a, c));
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (threads * size * size * size) as f64 / best * 1e-9
}
