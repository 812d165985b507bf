//! `cargo xtask qemu`: a model on an emulated board, fed with a data set over
//! the UART; the scores are the device's own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bt_core::Model;
use bt_core::model::write::ModelBytes;
use bt_embed::wire::{Golden, Statistics};
use bt_train::data::dataset::{DataSet, PartName};
use bt_train::data::device_input::device_input;
use bt_train::data::npz;
use bt_train::data::npz_writer::NpzWriter;
use serde::Serialize;

use crate::board::{self, Board};
use crate::device::{Device, Identity};
use crate::emulator::{self, Emulator};
use crate::firmware::{Firmware, ModelIn};
use crate::{progress, setup, stream};

/// How long a read or write of the UART's socket waits before it looks at the clock.
const UART_PATIENCE: Duration = Duration::from_millis(100);

/// A model on an emulated board.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board: microbit, mps2-an385, mps2-an386, mps2-an500, mps2-an505 or mps3-an547.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
    /// The model to flash.
    #[arg(long, value_name = "M.btm")]
    model: PathBuf,
    /// The data set; its test part is sent.
    #[arg(long, value_name = "D.npz")]
    data: PathBuf,
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
    /// Raw scores, sequence by sequence.
    pub raw: Vec<Vec<i32>>,
    /// Its counts and times.
    pub statistics: Statistics,
    /// Requests that had to be sent again.
    pub repeats: u32,
}

impl Outcome {
    /// The class of each sequence: the first of the largest scores.
    pub fn predictions(&self) -> Vec<usize> {
        let best = |scores: &Vec<i32>| {
            let largest = scores.iter().max();
            scores.iter().position(|score| Some(score) == largest)
        };
        self.raw
            .iter()
            .map(|scores| best(scores).unwrap_or(0))
            .collect()
    }

    /// Share of the predictions that are right; `None` without labels.
    pub fn accuracy(&self, labels: Option<&[usize]>) -> Option<f64> {
        let labels = labels?;
        let pairs = self.predictions();
        let right = pairs.iter().zip(labels).filter(|(a, b)| a == b).count();
        (!pairs.is_empty()).then(|| right as f64 / pairs.len() as f64)
    }

    /// Instructions of one step on average, pushes included.
    pub fn instructions_per_step(&self) -> f64 {
        let ticks = self.statistics.ticks as f64 / f64::from(self.statistics.steps.max(1));
        emulator::instructions(ticks, self.identity.tick_hz)
    }
}

/// Figures for programs; see the workspace's README.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    sequences: usize,
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
    let model = ModelFile::read(&args.model)?;
    let data = load(&args.data)?;
    setup::ensure(&[board])?;
    let limit = Duration::from_secs(args.timeout);
    let outcome = evaluate(
        board, &model, &data, &args.data, args.limit, args.log, limit,
    )?;

    let labels = data.part(PartName::Test)?.labels.as_deref();
    let accuracy = outcome.accuracy(labels);
    if let Some(path) = &args.logits {
        write_logits(path, &outcome)?;
    }
    let instructions = |ticks: u32| emulator::instructions(ticks.into(), outcome.identity.tick_hz);
    let report = Report {
        accuracy,
        sequences: outcome.raw.len(),
        instructions_per_step: outcome.instructions_per_step().round(),
        instructions_step_max: instructions(outcome.statistics.step_ticks_max).round(),
        instructions_push_max: instructions(outcome.statistics.push_ticks_max).round(),
        stack_bytes: outcome.statistics.stack_bytes_used,
        ram_bytes: outcome.identity.arena_bytes,
        golden: outcome.identity.golden == Golden::Passed,
    };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        if let Some(accuracy) = accuracy {
            println!("accuracy               {:.2} %", accuracy * 100.0);
        }
        println!("sequences              {}", report.sequences);
        println!("instructions per step  {}", report.instructions_per_step);
        println!("  longest step         {}", report.instructions_step_max);
        println!("  longest push         {}", report.instructions_push_max);
        println!("stack used             {} bytes", report.stack_bytes);
    }
    if outcome.identity.golden == Golden::Failed {
        bail!("{}: the device's self test failed", board.name);
    }
    Ok(())
}

/// A model file in memory.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    bytes: ModelBytes,
}

impl ModelFile {
    /// Reads and checks a model file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no model.
    pub fn read(path: &Path) -> Result<ModelFile> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = ModelFile {
            path: path.to_owned(),
            bytes: ModelBytes::from_unaligned(&bytes),
        };
        file.model()?;
        Ok(file)
    }

    /// The model in it.
    ///
    /// # Errors
    ///
    /// Never, once read.
    pub fn model(&self) -> Result<Model<'_>> {
        Model::parse(self.bytes.bytes())
            .map_err(|error| anyhow!("{}: {error}", self.path.display()))
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Loads the test part of a data set.
///
/// # Errors
///
/// Names file and array.
pub fn load(path: &Path) -> Result<DataSet> {
    Ok(npz::load(path, &[PartName::Test])?)
}

/// Builds the firmware, starts it, and streams the test sequences through it.
///
/// # Errors
///
/// As [`run`].
pub fn evaluate(
    board: &'static Board,
    file: &ModelFile,
    data: &DataSet,
    data_path: &Path,
    count: Option<usize>,
    log: bool,
    limit: Duration,
) -> Result<Outcome> {
    let part = data.part(PartName::Test)?;
    let count = count.unwrap_or(usize::MAX).min(part.sequences());
    let model = file.model()?;
    let input = |sequence: usize| {
        device_input(&model, part, sequence).map_err(|error| error.file(data_path).field("x_test"))
    };
    if count > 0 {
        input(0)?;
    }
    let elf = Firmware {
        board,
        model: ModelIn::Program(file.path()),
        log,
        binary: None,
    }
    .build()?;
    let emulator = Emulator::start(board, &elf, log)?;
    let mut device = Device::new(emulator.uart(UART_PATIENCE)?, Instant::now() + limit);
    let identity = device.hello().context(board.name)?;
    if identity.classes != model.classes() || identity.arena_bytes != model.arena_bytes() {
        bail!("{}: the firmware holds another model", board.name);
    }
    device.statistics(true)?;
    let bar = progress::bar(count, &format!("streaming to {}", board.name));
    let mut raw = Vec::with_capacity(count);
    for sequence in 0..count {
        let bytes = input(sequence)?;
        let scores = stream::sequence(&mut device, &identity, &bytes)
            .with_context(|| format!("sequence {sequence} on {}", board.name))?;
        let Some(scores) = scores else {
            bail!(
                "{}: x_test: sequence {sequence} is shorter than one step of {} values",
                data_path.display(),
                identity.frame_values
            );
        };
        raw.push(scores.raw);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let statistics = device.statistics(false)?;
    Ok(Outcome {
        identity,
        raw,
        statistics,
        repeats: device.repeats(),
    })
}

/// Writes the arrays that `--logits` promises.
///
/// # Errors
///
/// Names the file.
pub fn write_logits(path: &Path, outcome: &Outcome) -> Result<()> {
    let classes = outcome.identity.classes;
    let shape = [outcome.raw.len(), classes];
    let raw: Vec<i32> = outcome.raw.concat();
    let step = (-f64::from(outcome.identity.score_shift)).exp2();
    let logits: Vec<f32> = raw
        .iter()
        .map(|&raw| (f64::from(raw) * step) as f32)
        .collect();
    let predictions: Vec<i64> = outcome
        .predictions()
        .iter()
        .map(|&class| class as i64)
        .collect();
    let mut file = NpzWriter::new();
    file.array("logits", &shape, &logits)?;
    file.array("pred", &[predictions.len()], &predictions)?;
    file.array("raw", &shape, &raw)?;
    Ok(file.write(path)?)
}
