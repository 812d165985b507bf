//! `cargo xtask flash`: firmware with a model onto a real board, by `probe-rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use bt_boards::NoSlots;
use bt_train::say;

use crate::board::Board;
use crate::firmware::{Firmware, ModelIn};
use crate::setup;

/// Firmware with a model, onto a board at a debug probe.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board; `cargo xtask boards` lists which can be bought.
    #[arg(long, default_value = "microbit")]
    board: String,
    /// The model to flash.
    #[arg(long, value_name = "M.btm", required_unless_present = "slots")]
    model: Option<PathBuf>,
    /// With two slots for models beside it, which cargo xtask flash-model fills; `--model` is then the one to begin
    /// with, if there is one.
    #[arg(long)]
    slots: bool,
}

/// Builds the firmware and hands it to `probe-rs`, which verifies what it wrote.
///
/// # Errors
///
/// The board is emulated only, or `probe-rs` is missing or fails.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let Some(chip) = board.chip else {
        bail!("{} is emulated only; use cargo xtask qemu", board.name);
    };
    if args.slots && board.slots.is_none() {
        bail!(NoSlots(board.name));
    }
    setup::targets(&[board])?;
    let elf = Firmware {
        board,
        model: match &args.model {
            Some(model) if !args.slots => ModelIn::Program(model),
            model => ModelIn::Slots(model.as_deref()),
        },
        log: false,
        binary: None,
    }
    .build()?;
    probe_rs(&["download", "--verify", "--chip", chip], Some(&elf))?;
    // A download leaves the processor halted.
    probe_rs(&["reset", "--chip", chip], None)?;
    say!(
        "{}: flashed; cargo xtask verify --board {} --port … compares it with the host",
        board.name,
        board.name
    );
    Ok(())
}

fn probe_rs(arguments: &[&str], elf: Option<&Path>) -> Result<()> {
    let status = Command::new("probe-rs")
        .args(arguments)
        .args(elf)
        .status()
        .context("probe-rs could not be started; cargo install probe-rs-tools brings it")?;
    if !status.success() {
        bail!("probe-rs {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}
