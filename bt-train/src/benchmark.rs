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
use crate::float::config::ModelConfig;
use crate::float::init;
use crate::float::map::BlockTerm;
use crate::float::model::{LossOptions, Model};
use crate::float::product::{Product, Strides};
use ndarray::Array3;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::Serialize;
use std::time::Instant;

/// Sequences in a batch.
const BATCH: usize = 16;

/// Steps of each.
const STEPS: usize = 6;

const CONFIG: &str = r#"{
    "input": {"map": "block-term", "modes": [8, 20, 20, 18], "blocks": 2, "rank": 4},
    "hidden": {"modes": [4, 4, 4, 4]},
    "recurrent": {"map": "dense"},
    "head": {"classes": 11}
}"#;

/// A row of `cargo xtask bench --train`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainStep {
    /// `train_step_ucf11`.
    pub name: &'static str,
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

/// Times `repetitions` steps: loss and gradients of a batch of 16 sequences of
/// 6 frames of 57,600 values, and a plain descent of all parameters.
///
/// # Errors
/// None with the shape built in; the model's constructor could refuse another.
pub fn train_step(repetitions: usize) -> Result<TrainStep> {
    let config: ModelConfig =
        serde_json::from_str(CONFIG).map_err(|e| crate::Error::setting(e.to_string()))?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let inputs = config.inputs();
    let flops = step_flops(&config);
    let classes = config.head.classes;
    let mut model = Model::new(config, &mut rng)?;
    let x = Array3::from_shape_simple_fn((BATCH, STEPS, inputs), || init::normal(&mut rng) as f32);
    let lengths = [STEPS; BATCH];
    let labels: Vec<usize> = (0..BATCH).map(|b| b % classes).collect();
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
        name: "train_step_ucf11",
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
fn step_flops(config: &ModelConfig) -> f64 {
    let units = config.units();
    let mut output = config.hidden.modes.clone();
    output[0] *= 4;
    let map = BlockTerm::<f32>::zeros(&config.input.modes, &output, 2, 4);
    let plan = map.plan();
    let first = plan.blocks * plan.steps[0].macs();
    let input = BATCH * STEPS * (3 * plan.macs() - first);
    let recurrent = BATCH * (STEPS - 1) * 3 * 4 * units * units;
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
