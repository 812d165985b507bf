//! The command line: one file for each subcommand, each with `Args` and `run`.

pub mod eval;
pub mod inspect;
pub mod progress;
pub mod train;

use crate::error::Result;
use crate::training::run::RunFolder;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Train, evaluate and quantize block-term LSTMs.
#[derive(Debug, Parser)]
#[command(name = "bt-train", version, about, arg_required_else_help = false)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model on a data set.
    Train(Box<train::Args>),
    /// Evaluate a float model on the test part.
    Eval(eval::Args),
    /// Describe a model file.
    Inspect(inspect::Args),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever the subcommand could not do.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Train(args) => train::run(*args),
            Command::Eval(args) => eval::run(args),
            Command::Inspect(args) => inspect::run(args),
        }
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
