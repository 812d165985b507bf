//! Times updates of a model that draws pictures: for every line on standard input so many, answered by a line of JSON,
//! milliseconds of the clock and of the processors for each. `tools/peers/draw_update.py` runs it beside PyTorch.

use bt_train::float::config::ModelConfig;
use bt_train::float::head::Wanted;
use bt_train::float::init;
use bt_train::float::model::{LossOptions, Model};
use bt_train::float::workers;
use bt_train::training::optimizer::{Adam, Decay, clip};
use clap::Parser;
use ndarray::{Array2, Array3};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::io::{BufRead, stdin};
use std::time::Instant;

/// Times updates of a model that draws pictures
#[derive(Debug, Parser)]
struct Args {
    /// The model, as JSON of a checkpoint's metadata
    config: String,
    /// Pictures of an update
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Updates for a line
    #[arg(long, default_value_t = 5)]
    updates: usize,
}

/// As in the program `bt-train`.
#[cfg(target_pointer_width = "64")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    workers::join()?;
    let args = Args::parse();
    let config: ModelConfig = serde_json::from_str(&args.config)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut model = Model::new(config, &mut rng)?;
    let mut adam = Adam::new(&model, 0.999);
    let none = Decay {
        weights: 0.0,
        factors: 0.0,
    };
    let pixels = model.config.frame_values();
    let bits = Array2::from_shape_fn((args.batch, pixels), |(b, k)| (b * 7 + k * k) % 11 < 3);
    let x = Array3::from_shape_fn((args.batch, 1, pixels), |(b, _, k)| {
        f32::from(u8::from(bits[[b, k]]))
    });
    let lengths = vec![1; args.batch];
    let shape = (
        model.config.head.steps.unwrap_or(1),
        args.batch,
        model.config.latent_values(),
    );
    let mut update = || {
        let noise = Array3::from_shape_simple_fn(shape, || init::normal(&mut rng) as f32);
        let options = LossOptions {
            noise: Some(noise),
            ..LossOptions::default()
        };
        let wanted = Wanted::Bits(bits.view());
        let (_, mut gradients) = model.loss_and_gradients(x.view(), &lengths, wanted, &options);
        clip(&mut gradients, 1.0);
        adam.update(&mut model, &gradients, 1e-3, none);
    };
    for line in stdin().lock().lines() {
        line?;
        let (start, busy) = (Instant::now(), busy_ms()?);
        (0..args.updates).for_each(|_| update());
        let each = |ms: f64| ms / args.updates as f64;
        let clock = start.elapsed().as_secs_f64() * 1e3;
        println!("[{}, {}]", each(clock), each(busy_ms()? - busy));
    }
    Ok(())
}

/// Milliseconds that processors have spent on this process' threads.
fn busy_ms() -> Result<f64, Box<dyn std::error::Error>> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanoseconds = text.split_whitespace().next().ok_or("no time")?;
        sum += nanoseconds.parse::<f64>()? * 1e-6;
    }
    Ok(sum)
}
