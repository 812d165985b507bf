//! `cargo xtask fuzz` and `cargo xtask compare-integers`: tests that search, for as long as asked.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::firmware;

/// What to fuzz, and how long.
#[derive(Debug, clap::Args)]
pub struct FuzzArgs {
    /// One target instead of all: parse, state, front_end, wire, npz, wav, safetensors, csv or toml.
    target: Option<String>,
    /// Seconds of each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Number of the first input; a finding is told by its number.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

/// How many models.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Random models.
    #[arg(long, default_value_t = 2000)]
    models: u32,
    /// Where drawing them starts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs everything that reads bytes on damaged ones; what does harm is kept in `tests/fuzz/findings`.
///
/// # Errors
///
/// When something is found.
pub fn fuzz(args: FuzzArgs) -> Result<()> {
    let mut command = test("fuzz", "nothing_that_reads_does_harm");
    if let Some(target) = &args.target {
        command.env("BT_TARGET", target);
    }
    command.env("BT_SECONDS", args.seconds.to_string());
    command.env("BT_FIRST", args.first.to_string());
    succeed(command, "an input does harm, or there is no such target")
}

/// Exports random models of every kind and compares a device's integers with the float model.
///
/// # Errors
///
/// When integers are worse than their formats explain; the model is told, as small as it can be.
pub fn compare(args: CompareArgs) -> Result<()> {
    let mut command = test("against_floats", "integers_are_as_good_as_floats");
    command.env("BT_MODELS", args.models.to_string());
    command.env("BT_SEED", args.seed.to_string());
    succeed(command, "integers are worse than floats")
}

/// One test of the pipeline's, which says what it does.
fn test(file: &str, name: &str) -> Command {
    let mut command = firmware::cargo();
    command.args(["test", "--package=bt-tests", "--test", file]);
    command.args(["--", "--exact", "--nocapture", name]);
    command
}

fn succeed(mut command: Command, otherwise: &str) -> Result<()> {
    let status = command.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("{otherwise}; see above");
    }
    Ok(())
}
