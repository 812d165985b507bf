//! How long a whole training step takes at the paper's UCF11 shape.
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
use crate::float::map::BlockTerm;
use crate::float::model::{LossOptions, Model};
use crate::float::product::{Product, Strides};
use crate::shape::{Cell, MapKind};
use ndarray::Array3;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::Serialize;
use std::time::Instant;

/// What a step is timed at: a block-term input map, a dense recurrent map.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Modes of a frame.
    pub input: Vec<usize>,
    /// Modes of the hidden state.
    pub hidden: Vec<usize>,
    /// Blocks of the input map.
    pub blocks: usize,
    /// Its rank.
    pub rank: usize,
    /// Sequences in a batch.
    pub batch: usize,
    /// Steps of each.
    pub steps: usize,
}

impl Default for Shape {
    /// The paper's for UCF11: frames of 57,600 values.
    fn default() -> Shape {
        Shape {
            input: vec![8, 20, 20, 18],
            hidden: vec![4, 4, 4, 4],
            blocks: 2,
            rank: 4,
            batch: 16,
            steps: 6,
        }
    }
}

impl Shape {
    fn config(&self) -> ModelConfig {
        ModelConfig {
            input: InputConfig {
                map: MapKind::BlockTerm {
                    blocks: self.blocks,
                    rank: self.rank,
                },
                modes: self.input.clone(),
                width: None,
                filter: InputFilter::None,
                filter_horizon: None,
                frames: None,
            },
            hidden: HiddenConfig {
                modes: self.hidden.clone(),
            },
            cell: Cell::Lstm,
            layers: 1,
            recurrent: RecurrentConfig {
                map: MapKind::Dense,
            },
            gate: Default::default(),
            head: HeadConfig {
                gives: HeadKind::Classes(CLASSES),
                pool: Pool::Last,
                horizon: None,
                steps: None,
                labels: Vec::new(),
            },
            front_end: None,
            imported: false,
        }
    }

    /// `train_step_ucf11`, or the modes of the frame.
    fn name(&self) -> String {
        if *self == Shape::default() {
            return "train_step_ucf11".into();
        }
        format!("train_step_{}", crate::error::times(&self.input))
    }
}

const CLASSES: usize = 11;

/// A row of `cargo xtask bench --train`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainStep {
    /// `train_step_ucf11`, or for another shape `train_step_` and the modes of its frame.
    pub name: String,
    /// Shortest step.
    pub milliseconds: f64,
    /// Median of all steps.
    pub milliseconds_median: f64,
    /// Most memory the process held, the batch included; 0 where the system
    /// does not tell.
    pub peak_rss_bytes: u64,
    /// Arithmetic that the step needs (recomputed levels not counted) by its
    /// shortest time.
    pub gflops: f64,
    /// What a large single-precision matrix product reaches on as many threads.
    pub sgemm_peak_gflops: f64,
    /// Threads in use.
    pub threads: usize,
    /// Steps timed.
    pub repetitions: usize,
}

/// Times `repetitions` steps: loss and gradients of a batch, and a plain descent
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

/// Floating-point operations of a step in the order the model chose: forward,
/// gradient of the weights, gradient of every state but the frame.
fn step_flops(shape: &Shape) -> f64 {
    let units: usize = shape.hidden.iter().product();
    let outputs = shape.config().input_shape().outputs;
    let map = BlockTerm::<f32>::zeros(&shape.input, &outputs, shape.blocks, shape.rank);
    let plan = map.plan();
    let first = plan.blocks * plan.steps[0].macs();
    let input = shape.batch * shape.steps * (3 * plan.macs() - first);
    let recurrent =
        shape.batch * (shape.steps.max(1) - 1) * 3 * shape.config().gates() * units * units;
    2.0 * (input + recurrent) as f64
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
