//! The command line: one file for each subcommand, each with `Args` and `run`.

pub mod advice;
pub mod captions;
pub mod compare;
pub mod comparison;
mod controls;
pub mod cut;
pub mod decomposition;
pub mod detect;
pub mod device;
pub mod eval;
pub mod generate;
pub mod import;
pub mod import_video;
pub mod inspect;
pub mod plan;
pub mod progress;
pub mod quantize;
pub mod run;
pub mod scores;
pub mod search;
pub mod train;
pub mod tuning;
pub mod units;

use crate::data::{self, DataSet, PartName, Recordings};
use crate::error::{ErrorKind, FileKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::{HeadName, ModelConfig};
use crate::training::modes::Modes;
use crate::training::run::RunFolder;
use crate::training::settings::{Flags, Settings};
use crate::warn;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Train, evaluate and quantize block-term LSTMs.
#[derive(Debug, Parser)]
#[command(
    name = "bt-train",
    version,
    about,
    arg_required_else_help = false,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model on a data set
    Train(Box<train::Args>),
    /// Cut logs of sensors (.csv) into windows: a data set
    Cut(cut::Args),
    /// Evaluate a float model on the test part
    Eval(eval::Args),
    /// Turn a float model into the integers of a device
    Quantize(Box<quantize::Args>),
    /// Run a quantized model, bit for bit as a device does
    Run(run::Args),
    /// Detect events in long recordings as a device does: misses, and false alarms an hour
    Detect(detect::Args),
    /// Draw pictures with a quantized model, bit for bit as a device does, or with a float model of pictures
    Generate(generate::Args),
    /// Train models with every form of map, and linear ones, and compare them
    Compare(Box<compare::Args>),
    /// Find the best orders of contraction under limits of RAM and flash
    Plan(plan::Args),
    /// Search for models that keep to a device's limits, and show what nothing beats
    Search(Box<search::Args>),
    /// Take over a model of PyTorch, as it is or decomposed
    Import(Box<import::Args>),
    /// Decode clips of video, a folder a class, into a data set
    ImportVideo(import_video::Args),
    /// Describe a model file
    Inspect(inspect::Args),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever the subcommand could not do.
    pub fn run(self) -> Result<()> {
        let done = match self.command {
            Command::Train(args) => train::run(*args),
            Command::Cut(args) => cut::run(args),
            Command::Eval(args) => eval::run(args),
            Command::Quantize(args) => quantize::run(*args),
            Command::Run(args) => run::run(args),
            Command::Detect(args) => detect::run(args),
            Command::Generate(args) => generate::run(args),
            Command::Compare(args) => compare::run(*args),
            Command::Plan(args) => plan::run(args),
            Command::Search(args) => search::run(*args),
            Command::Import(args) => import::run(*args),
            Command::ImportVideo(args) => import_video::run(args),
            Command::Inspect(args) => inspect::run(args),
        };
        done.map_err(advice::with_flags)
    }
}

/// The file of a model given as a run's folder or as the file itself.
pub fn model_path(given: &Path) -> PathBuf {
    if given.is_dir() {
        RunFolder::new(given).best()
    } else {
        given.to_owned()
    }
}

/// Reads the parts asked for, y as the head takes it where that is known, and warns of what is strange about them.
fn load(
    path: &Path,
    recordings: &Recordings,
    parts: &[PartName],
    head: Option<HeadName>,
) -> Result<DataSet> {
    let set = data::load(path, recordings, parts, head)?;
    for warning in &set.warnings {
        warn!("{}: {}", path.display(), advice::flags(warning));
    }
    Ok(set)
}

/// Gives the classes of a data set the numbers that they have in the model, by their names; warns of names that it does
/// not know.
fn number_classes(data: &mut DataSet, model: &ModelConfig, path: &Path) {
    if let Some(warning) = data.number_classes_as(model.head.gives, &model.head.labels) {
        warn!("{}: {warning}", path.display());
    }
}

/// Reads a model and warns of what is strange about its file.
fn checkpoint(path: &Path) -> Result<Checkpoint> {
    let (checkpoint, warnings) = Checkpoint::read_with_warnings(path).map_err(|error| {
        match error.kind {
            ErrorKind::FileKind(FileKind::Integers) => error.remedy(
                "`bt-train run` evaluates it; of captions --captions writes them; quantize and train take the floats",
            ),
            _ => error,
        }
    })?;
    for warning in warnings {
        warn!("{}: {warning}", path.display());
    }
    Ok(checkpoint)
}

/// The hold-out asked for, or else the one that the run was trained with.
fn recordings(model: &Path, hold_out: Option<String>) -> Result<Recordings> {
    let config = RunFolder::new(model).config();
    match hold_out {
        Some(hold_out) => Recordings::new(&hold_out, ""),
        None if config.exists() => {
            Settings::resolve(Some(&config), &Flags::default())?.recordings()
        }
        None => Ok(Recordings::default()),
    }
}

/// The settings that a run was trained with, or else the defaults for a model that came alone.
///
/// # Errors
/// When the run's settings cannot be read.
pub fn settings(model: &Path, config: &ModelConfig) -> Result<Settings> {
    let saved = RunFolder::new(model).config();
    if saved.exists() {
        return Settings::resolve(Some(&saved), &Flags::default());
    }
    Ok(Settings {
        input_modes: Modes(config.input.modes.clone()),
        hidden_modes: Modes(config.hidden.modes.clone()),
        ..Settings::default()
    })
}
