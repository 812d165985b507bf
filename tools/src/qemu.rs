//! `cargo xtask qemu`: a model on an emulated board, fed with a data set over
//! the UART; the scores are the device's own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bt_core::Model;
use bt_core::health::Limits;
use bt_embed::wire::{Golden, LineCounts, Statistics};
use bt_train::command::scores;
use bt_train::data::{self, Part, PartName, Recordings};
use bt_train::training::metrics::Figures;
use bt_train::{device, say, warn};
use serde::Serialize;

use crate::board::{self, Board};
use crate::device::{Device, Identity};
use crate::emulator::{self, Emulator};
use crate::firmware::{Firmware, ModelIn};
use crate::{progress, setup, stream};

/// How long a read or write of the UART's socket waits before it looks at the clock.
const UART_PATIENCE: Duration = Duration::from_millis(100);

/// A model, and what is sent to it.
#[derive(Debug, clap::Args)]
pub struct Subject {
    /// The model.
    #[arg(long, value_name = "M.btm")]
    pub model: PathBuf,
    /// The data set; its test part is sent: an .npz file or a directory of .wav files.
    #[arg(long, value_name = "D.npz")]
    pub data: PathBuf,
    /// Recordings that form the test part of a directory.
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    pub hold_out: Option<String>,
}

impl Subject {
    /// The test part as the model takes it.
    ///
    /// # Errors
    ///
    /// Names the data set, or the model where it tells captions.
    pub fn test_part(&self, model: &Model<'_>) -> Result<Part> {
        if model.caption_words().is_some() {
            bail!(
                "{}: tells captions; `cargo xtask caption` sends pictures and compares the words",
                self.model.display()
            );
        }
        let recordings = Recordings::new(self.hold_out.as_deref().unwrap_or_default(), "")?;
        let part = test_part(model, &self.data, &recordings);
        Ok(part.map_err(|error| error.file(&self.data))?)
    }
}

/// A model on an emulated board.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board; `cargo xtask boards` lists them.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
    #[command(flatten)]
    subject: Subject,
    /// Send only the first K sequences.
    #[arg(long, value_name = "K")]
    limit: Option<usize>,
    /// Write `logits`, `pred` and `raw` of the sequences sent.
    #[arg(long, value_name = "L.npz")]
    logits: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Print the device's log to standard error.
    #[arg(long)]
    log: bool,
    /// Seconds that the run may take, builds apart.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

/// What a device said about a data set.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Who it was.
    pub identity: Identity,
    /// Raw scores: a row for each sequence, or with a head on every step for each valid step.
    pub raw: Vec<Vec<i32>>,
    /// Its counts and times.
    pub statistics: Statistics,
    /// Requests that had to be sent again.
    pub repeats: u32,
    /// The firmware, where it was built for this.
    pub elf: Option<PathBuf>,
    /// Ticks in a second, as the device says; of an emulated one, whose firmware may be wrong about it, as they are.
    ticks_hz: u32,
}

impl Outcome {
    /// Instructions of one step on average, pushes included.
    pub fn instructions_per_step(&self) -> f64 {
        let ticks = self.statistics.ticks as f64 / f64::from(self.statistics.steps.max(1));
        emulator::instructions(ticks, self.ticks_hz)
    }
}

/// Figures for programs; see the workspace's README.
#[derive(Debug, Serialize)]
struct Report {
    instructions_per_step: f64,
    instructions_step_max: f64,
    instructions_push_max: f64,
    stack_bytes: u32,
    ram_bytes: usize,
    golden: bool,
}

/// Runs a model on a board and reports.
///
/// # Errors
///
/// Names the file, or says what the device or QEMU did.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let bytes = device::read_model(&args.subject.model)?;
    let model = device::parse(&bytes)?;
    let part = args.subject.test_part(&model)?;
    setup::ensure(&[board])?;
    let count = part.sequences().min(args.limit.unwrap_or(usize::MAX));
    let part = part.subset(&(0..count).collect::<Vec<_>>());
    let outcome = Evaluation {
        board,
        model: &args.subject.model,
        part: &part,
        log: args.log,
        limit: Duration::from_secs(args.timeout),
    }
    .run()?;
    let targets = part.targets.as_ref();
    let figures = targets.map(|targets| scores::figures(&model, targets, &outcome.raw));
    let figures = figures.transpose()?;
    if let Some(path) = &args.logits {
        let logits = scores::logits(&model, &outcome.raw)?;
        scores::rows(&model, &part).write(path, &logits, Some(&outcome.raw))?;
    }
    let instructions = |ticks: u32| emulator::instructions(ticks.into(), outcome.ticks_hz);
    let report = Report {
        instructions_per_step: outcome.instructions_per_step().round(),
        instructions_step_max: instructions(outcome.statistics.step_ticks_max).round(),
        instructions_push_max: instructions(outcome.statistics.push_ticks_max).round(),
        stack_bytes: outcome.statistics.stack_bytes_used,
        ram_bytes: outcome.identity.arena_bytes,
        golden: outcome.identity.golden == Golden::Passed,
    };
    if args.json {
        let mut object = scores::report(&part, model.scores_every_step(), figures);
        scores::merge(&mut object, &serde_json::to_value(&report)?);
        say!("{object}");
    } else {
        match figures {
            Some(Figures::Classes { accuracy, .. }) => {
                say!("accuracy               {:.2} %", accuracy * 100.0);
            }
            Some(Figures::Bits(bits)) => {
                say!("nats a sequence        {:.4}", bits.nats);
            }
            Some(values) => say!("values                 {values}"),
            None => {}
        }
        say!("sequences              {}", part.sequences());
        say!("instructions per step  {}", report.instructions_per_step);
        say!("  longest step         {}", report.instructions_step_max);
        say!("  longest push         {}", report.instructions_push_max);
        say!("stack used             {} bytes", report.stack_bytes);
        let line = outcome.statistics.line;
        if outcome.repeats > 0 || line != LineCounts::default() {
            say!("requests sent again    {}", outcome.repeats);
            say!("  frames garbled       {}", line.frames_garbled);
            say!("  too long             {}", line.frames_too_long);
            say!("  lost by read errors  {}", line.frames_lost);
            say!("  read errors          {}", line.read_errors);
            say!("  replies lost         {}", line.replies_lost);
        }
        say!("{}", limits(&outcome.statistics.limits));
    }
    if outcome.identity.golden == Golden::Failed {
        bail!("{}: the device's self test failed", board.name);
    }
    Ok(())
}

/// How often a stream came to the ends of its numbers, in parts of a hundred.
pub(crate) fn limits(limits: &Limits) -> String {
    let percent = |count: u64, of: u64| 100.0 * count as f64 / of.max(1) as f64;
    format!(
        "at their limits        inputs {:.2} %, gates {:.2} %, cells {:.2} %",
        percent(limits.inputs_clipped, limits.inputs),
        percent(limits.gates_saturated, limits.gates),
        percent(limits.cells_at_limit, limits.cells),
    )
}

/// The test part of a data set, checked against the model.
///
/// # Errors
///
/// Names file and array.
pub fn test_part(
    model: &Model<'_>,
    path: &Path,
    recordings: &Recordings,
) -> bt_train::Result<Part> {
    let config = device::config(model)?;
    let mut data = data::load(
        path,
        recordings,
        &[PartName::Test],
        Some(config.head.gives.name()),
    )?;
    if let Some(warning) = data.number_classes_as(config.head.gives, &config.head.labels) {
        warn!("{}: {warning}", path.display());
    }
    let data = data.raw_for_model(&config)?;
    let part = data.part(PartName::Test)?;
    device::check(model, part)?;
    Ok(part.clone())
}

/// A data set sent through a model on a board.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    /// The board.
    pub board: &'static Board,
    /// The model's file.
    pub model: &'a Path,
    /// What is sent, of [`test_part`].
    pub part: &'a Part,
    /// Print the device's log to standard error.
    pub log: bool,
    /// How long QEMU may run.
    pub limit: Duration,
}

/// A board in QEMU that runs firmware with a model in it.
pub struct Served {
    /// The host's end of its line.
    pub line: UnixStream,
    elf: PathBuf,
    // QEMU ends with it.
    _emulator: Emulator,
}

impl Served {
    /// Builds the firmware and starts it, its log printed to standard error or left out.
    ///
    /// # Errors
    ///
    /// It does not build, or QEMU does not start.
    pub fn start(board: &Board, model: &Path, log: bool) -> Result<Self> {
        let elf = Firmware {
            board,
            model: ModelIn::Program(model),
            log,
            binary: None,
        }
        .build()?;
        let emulator = Emulator::start(board, &elf, log)?;
        Ok(Served {
            line: emulator.uart(UART_PATIENCE)?,
            elf,
            _emulator: emulator,
        })
    }
}

impl Evaluation<'_> {
    /// Builds the firmware, starts it, and streams the sequences through it.
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub fn run(&self) -> Result<Outcome> {
        let bytes = device::read_model(self.model)?;
        let model = device::parse(&bytes)?;
        let served = Served::start(self.board, self.model, self.log)?;
        let deadline = Instant::now() + self.limit;
        let outcome = send(&model, self.part, self.board.name, &served.line, deadline)?;
        Ok(Outcome {
            elf: Some(served.elf),
            ticks_hz: self.board.ticks_hz(),
            ..outcome
        })
    }
}

/// Streams sequences over a line to a device that holds the model; errors call it by `name`.
///
/// # Errors
///
/// The device holds another model, refuses, or does not answer.
pub fn send(
    model: &Model<'_>,
    part: &Part,
    name: &str,
    line: impl Read + Write,
    deadline: Instant,
) -> Result<Outcome> {
    let count = part.sequences();
    let mut device = Device::new(line, deadline);
    let identity = device.hello_with(model).with_context(|| name.to_owned())?;
    device.clear()?;
    let bar = progress::bar(count, &format!("streaming to {name}"));
    let mut raw = Vec::with_capacity(count);
    for sequence in 0..count {
        let bytes = device::stream(model, part, sequence);
        let scores = stream::sequence(&mut device, &identity, &bytes, model.scores_every_step())
            .with_context(|| format!("sequence {sequence} on {name}"))?;
        if scores.is_empty() {
            bail!("sequence {sequence} of x_test is empty");
        }
        raw.extend(scores.into_iter().map(|scores| scores.raw));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let statistics = device.statistics()?;
    Ok(Outcome {
        ticks_hz: identity.tick_hz,
        identity,
        raw,
        statistics,
        repeats: device.repeats(),
        elf: None,
    })
}
