//! The command line: one file for each subcommand, each with `Args` and `run`.

pub mod inspect;

use crate::error::Result;
use clap::{Parser, Subcommand};

/// Train, evaluate and quantize block-term LSTMs.
#[derive(Debug, Parser)]
#[command(name = "bt-train", version, about, arg_required_else_help = false)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
            Command::Inspect(args) => inspect::run(args),
        }
    }
}
