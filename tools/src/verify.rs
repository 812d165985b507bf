//! `cargo xtask verify`: a data set through the flashed board, its scores against the host's, bit for bit. Without a
//! port the same in QEMU, firmware and all; with a port alone whatever speaks the wire there, a board of the user's own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bt_embed::wire::Golden;
use bt_train::data::Part;
use bt_train::{device, say};

use crate::board::Board;
use crate::port::Port;
use crate::qemu::{self, Evaluation, Outcome, Subject};
use crate::setup;

/// A model on a board against the host.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board; `cargo xtask boards` lists them. With a port it can be left out: then nothing is taken for granted
    /// of what answers there.
    #[arg(long, required_unless_present = "port")]
    board: Option<String>,
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
    let board = args.board.as_deref().map(Board::find).transpose()?;
    let bytes = device::read_model(&args.subject.model)?;
    let model = device::parse(&bytes)?;
    let part = args.subject.test_part(&model)?;
    let count = part.sequences().min(args.limit.unwrap_or(usize::MAX));
    let part = part.subset(&(0..count).collect::<Vec<_>>());
    let limit = Duration::from_secs(args.timeout);
    let (name, outcome, speed) = match (&args.port, board) {
        (Some(path), board) => {
            let name = board.map_or_else(|| path.display().to_string(), |board| board.name.into());
            let deadline = Instant::now() + limit;
            let outcome = qemu::send(&model, &part, &name, Port::open(path)?, deadline)?;
            let speed = board.map_or_else(|| times(&outcome), |board| cycles(&outcome, board));
            (name, outcome, speed)
        }
        (None, Some(board)) => {
            setup::ensure(&[board])?;
            let evaluation = Evaluation {
                board,
                model: &args.subject.model,
                part: &part,
                log: false,
                limit,
            };
            let outcome = evaluation.run()?;
            let speed = format!("{:.0} instructions a step", outcome.instructions_per_step());
            (board.name.to_owned(), outcome, speed)
        }
        (None, None) => bail!("give --board, --port, or both"),
    };
    let host = device::run(&model, &part, || ())?;
    let same: Vec<bool> = by_sequence(&part, model.scores_every_step(), &outcome.raw)
        .zip(by_sequence(&part, model.scores_every_step(), &host))
        .map(|(device, host)| device == host)
        .collect();
    let agree = same.iter().filter(|same| **same).count();
    say!("{agree}/{count} sequences bit-identical");
    say!("{speed}");
    let statistics = &outcome.statistics;
    say!(
        "stack    {} of {} bytes",
        statistics.stack_bytes_used,
        statistics.stack_bytes
    );
    if let Some(first) = same.iter().position(|same| !same) {
        bail!("{name}: the scores of sequence {first} are not the host's");
    }
    if count == 0 {
        bail!("{}: no sequence was sent", args.subject.data.display());
    }
    if outcome.identity.golden == Golden::Failed {
        bail!("{name}: the device's self test failed");
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

/// What a step takes, in cycles by the clock of a board.
fn cycles(outcome: &Outcome, board: &Board) -> String {
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

/// What a step takes, by the clock that the device itself tells of.
fn times(outcome: &Outcome) -> String {
    let (identity, statistics) = (&outcome.identity, &outcome.statistics);
    let hertz = f64::from(identity.tick_hz.max(1));
    let ticks = statistics.ticks as f64 / f64::from(statistics.steps.max(1));
    let milliseconds = |ticks: f64| 1000.0 * ticks / hertz;
    format!(
        "{ticks:.0} ticks of its {} MHz a step ({:.3} ms), the longest {} ({:.3} ms), by a device that calls itself {}",
        hertz / 1e6,
        milliseconds(ticks),
        statistics.step_ticks_max,
        milliseconds(statistics.step_ticks_max.into()),
        identity.board
    )
}
