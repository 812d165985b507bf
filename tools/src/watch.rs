//! `cargo xtask stream`: one sequence, its scores told after every step, as a
//! listener would follow them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bt_core::OutputKind;
use bt_train::device as host;
use bt_train::say;

use crate::board::{self, Board};
use crate::device::Device;
use crate::qemu::{Served, Subject};
use crate::setup;

/// How long the sequence may take.
const LIMIT: Duration = Duration::from_secs(120);

/// One sequence through a model on an emulated board, step by step.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board; `cargo xtask boards` lists them.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
    #[command(flatten)]
    subject: Subject,
    /// Index of the sequence in the test part.
    #[arg(long, default_value_t = 0)]
    sequence: usize,
}

/// Streams the sequence and prints class and confidence after every step.
///
/// # Errors
///
/// Names the file, or says what the device or QEMU did.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let bytes = host::read_model(&args.subject.model)?;
    let model = host::parse(&bytes)?;
    let part = args.subject.test_part(&model)?;
    if args.sequence >= part.sequences() {
        bail!(
            "{}: has {} test sequences",
            args.subject.data.display(),
            part.sequences()
        );
    }
    setup::ensure(&[board])?;
    let served = Served::start(board, &args.subject.model, false)?;
    let mut device = Device::new(&served.line, Instant::now() + LIMIT);
    let identity = device.hello().context(board.name)?;
    say!("{} on {}", identity.model, identity.board);
    device.reset()?;
    let values = host::stream(&model, &part, args.sequence);
    let step_bytes = identity.frame_values * identity.input.bytes();
    for step in values.chunks(step_bytes) {
        for chunk in step.chunks(identity.chunk_bytes_max.max(1)) {
            device.chunk(chunk)?;
        }
        device.finish()?;
        let scores = device.scores()?;
        let steps = scores.steps;
        if model.output_kind() == OutputKind::Values {
            let raw = scores.raw.iter().enumerate();
            let values = raw.filter_map(|(output, &raw)| model.value(output, raw));
            let values: Vec<String> = values.map(|value| format!("{value:>12.4}")).collect();
            say!("step {steps:>4}  {}", values.join(" "));
            continue;
        }
        if model.output_kind() == OutputKind::Bits {
            let likelier = |raw: &i32| if *raw > 0 { '1' } else { '0' };
            say!(
                "step {steps:>4}  {}",
                scores.raw.iter().map(likelier).collect::<String>()
            );
            continue;
        }
        let label = device.label(scores.best)?;
        let confidence = 100.0 * scores.confidence;
        say!("step {steps:>4}  {label:<20} {confidence:>5.1} %");
    }
    let targets = part.targets.as_ref();
    if let Some(label) = targets.and_then(|targets| targets.label(args.sequence)) {
        say!("label      {}", model.label(label).unwrap_or_default());
    }
    Ok(())
}
