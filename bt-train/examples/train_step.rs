//! Times a training step, at the paper's UCF11 shape unless told otherwise; `--help` lists the options.

use bt_train::benchmark::{Shape, train_step};
use bt_train::float::workers;
use bt_train::shape::{Cell, MapName};
use bt_train::training::modes::Modes;
use clap::Parser;

/// Times a training step: loss, gradients and descent of one batch
#[derive(Debug, Parser)]
struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Steps that are timed
    #[arg(long, default_value_t = 30)]
    repetitions: usize,
    /// The cell
    #[arg(long, default_value = "lstm")]
    cell: Cell,
    /// Layers of it
    #[arg(long, default_value_t = 1)]
    layers: usize,
    /// Form of the input map
    #[arg(long, default_value = "block-term")]
    map: MapName,
    /// Modes of a frame
    #[arg(long, default_value = "8x20x20x18")]
    input: Modes,
    /// Modes of the hidden state
    #[arg(long, default_value = "4x4x4x4")]
    hidden: Modes,
    /// Blocks of the input map
    #[arg(long, default_value_t = 2)]
    blocks: usize,
    /// Its rank
    #[arg(long, default_value_t = 4)]
    rank: usize,
    /// Sequences in a batch
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Steps of each
    #[arg(long, default_value_t = 6)]
    steps: usize,
}

/// As in the program `bt-train`.
#[cfg(target_pointer_width = "64")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    workers::join()?;
    let args = Args::parse();
    let shape = Shape {
        cell: args.cell,
        layers: args.layers,
        map: args.map.with(args.blocks, args.rank),
        input: args.input.0,
        hidden: args.hidden.0,
        batch: args.batch.max(1),
        steps: args.steps.max(1),
    };
    let row = train_step(&shape, args.repetitions)?;
    if args.json {
        println!("{}", serde_json::to_string(&row)?);
    } else {
        println!(
            "{}: {:.1} ms (median {:.1}), {:.0} MB, {:.0} of {:.0} GFLOP/s on {} threads",
            row.name,
            row.milliseconds,
            row.milliseconds_median,
            row.peak_rss_bytes as f64 / 1e6,
            row.gflops,
            row.sgemm_peak_gflops,
            row.threads
        );
    }
    Ok(())
}
