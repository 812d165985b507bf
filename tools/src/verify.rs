//! `cargo xtask verify`: a data set through the flashed board, its scores against the host's, bit for bit. Without a
//! port the same in QEMU, firmware and all.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bt_embed::wire::Golden;
use bt_train::data::Part;
use bt_train::{device, say};

use crate::board::Board;
use crate::port::Port;
use crate::qemu::{Evaluation, Outcome, Subject};
use crate::setup;

/// A model on a board against the host.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    /// The serial port of a flashed board; without it QEMU runs the firmware that would be flashed.
    #[arg(long, value_name = "/dev/tty…")]
    port: Option<PathBuf>,
    /// Send only the first K sequences.
    #[arg(long, value_name = "K")]
    limit: Option<usize>,
    /// Seconds that the run may take, builds apart.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

/// Compares and prints.
///
/// # Errors
///
/// Scores differ, the board holds another model or does not answer, or its self test failed.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.subject.board)?;
    let bytes = device::read_model(&args.subject.model)?;
    let model = device::parse(&bytes)?;
    let part = args.subject.test_part(&model)?;
    let count = part.sequences().min(args.limit.unwrap_or(usize::MAX));
    let part = part.subset(&(0..count).collect::<Vec<_>>());
    let limit = Duration::from_secs(args.timeout);
    let evaluation = Evaluation {
        board,
        model: &args.subject.model,
        part: &part,
        log: false,
        limit,
    };
    let outcome = match &args.port {
        Some(port) => evaluation.over(Port::open(port)?, Instant::now() + limit)?,
        None => {
            setup::ensure(&[board])?;
            evaluation.run()?
        }
    };
    let host = device::run(&model, &part, || ())?;
    let same: Vec<bool> = by_sequence(&part, model.scores_every_step(), &outcome.raw)
        .zip(by_sequence(&part, model.scores_every_step(), &host))
        .map(|(device, host)| device == host)
        .collect();
    let agree = same.iter().filter(|same| **same).count();
    say!("{agree}/{count} sequences bit-identical");
    say!("{}", speed(&outcome, board, args.port.is_some()));
    let statistics = &outcome.statistics;
    say!(
        "stack    {} of {} bytes",
        statistics.stack_bytes_used,
        statistics.stack_bytes
    );
    if let Some(first) = same.iter().position(|same| !same) {
        bail!(
            "{}: the scores of sequence {first} are not the host's",
            board.name
        );
    }
    if count == 0 {
        bail!("{}: no sequence was sent", args.subject.data.display());
    }
    if outcome.identity.golden == Golden::Failed {
        bail!("{}: the device's self test failed", board.name);
    }
    Ok(())
}

/// The scores of each sequence: one row, or one for every step.
fn by_sequence<'r>(
    part: &'r Part,
    every_step: bool,
    rows: &'r [Vec<i32>],
) -> impl Iterator<Item = &'r [Vec<i32>]> {
    let mut rest = rows;
    part.lengths.iter().map(move |&length| {
        let rows = if every_step { length } else { 1 };
        let (own, others) = rest.split_at(rows.min(rest.len()));
        rest = others;
        own
    })
}

/// What a step takes: cycles by the clock of a board, instructions by that of QEMU.
fn speed(outcome: &Outcome, board: &Board, on_silicon: bool) -> String {
    if !on_silicon {
        return format!("{:.0} instructions a step", outcome.instructions_per_step());
    }
    let statistics = &outcome.statistics;
    // Of a counter slower than the processor: a tick is so many cycles.
    let a_tick = f64::from(board.clock_hz) / f64::from(board.ticks_hz());
    let cycles = a_tick * statistics.ticks as f64 / f64::from(statistics.steps.max(1));
    let hertz = outcome.identity.tick_hz;
    let slow = if hertz == board.ticks_hz() {
        ""
    } else {
        ", not the clock it should have"
    };
    format!(
        "{cycles:.0} cycles a step, the longest {:.0} ({} MHz{slow})",
        a_tick * f64::from(statistics.step_ticks_max),
        a_tick * f64::from(hertz) / 1e6
    )
}
