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
    let probe = Probe {
        program: Path::new("probe-rs"),
        chip,
    };
    probe.flash(&elf)?;
    say!(
        "{}: flashed; cargo xtask verify --board {} --port … compares it with the host",
        board.name,
        board.name
    );
    Ok(())
}

/// The program that talks to a debug probe, and the chip behind it.
struct Probe<'a> {
    program: &'a Path,
    chip: &'a str,
}

impl Probe<'_> {
    /// Writes a program, reads it back, and starts it.
    fn flash(&self, elf: &Path) -> Result<()> {
        self.call(&["download", "--verify", "--chip", self.chip], Some(elf))?;
        // A download leaves the processor halted.
        self.call(&["reset", "--chip", self.chip], None)
    }

    fn call(&self, arguments: &[&str], elf: Option<&Path>) -> Result<()> {
        let status = Command::new(self.program)
            .args(arguments)
            .args(elf)
            .status()
            .context("probe-rs could not be started; cargo install probe-rs-tools brings it")?;
        if !status.success() {
            bail!("probe-rs {} ended with {status}", arguments.join(" "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program in the place of probe-rs that writes down its words and fails at one of them.
    fn flashed(fails_at: &str) -> (Result<()>, String) {
        let folder = tempfile::tempdir().unwrap();
        let (program, words) = (folder.path().join("probe"), folder.path().join("words"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> '{}'\n[ \"$1\" != {fails_at} ]\n",
            words.display()
        );
        // By another program: one that is started meanwhile would inherit what this one has open to write.
        let draft = folder.path().join("draft");
        fs::write(&draft, script).unwrap();
        let copied = Command::new("cp").args([&draft, &program]).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let probe = Probe {
            program: &program,
            chip: "STM32F405RGTx",
        };
        let result = probe.flash(Path::new("a program.elf"));
        (result, fs::read_to_string(words).unwrap())
    }

    #[test]
    fn a_program_is_written_verified_and_started() {
        let download = "download --verify --chip STM32F405RGTx a program.elf\n";
        let (result, words) = flashed("nothing");
        result.unwrap();
        assert_eq!(words, format!("{download}reset --chip STM32F405RGTx\n"));
        // What could not be written is not started.
        let (result, words) = flashed("download");
        let error = result.unwrap_err().to_string();
        assert!(
            error.starts_with("probe-rs download --verify --chip STM32F405RGTx ended with"),
            "{error}"
        );
        assert_eq!(words, download);
        let (result, _) = flashed("reset");
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with("probe-rs reset --chip"), "{error}");
    }

    #[test]
    fn what_to_install_and_what_cannot_be_flashed_is_said() {
        let probe = Probe {
            program: Path::new("/no/such/program"),
            chip: "RP235x",
        };
        let error = probe.flash(Path::new("a.elf")).unwrap_err().to_string();
        assert!(error.contains("cargo install probe-rs-tools"), "{error}");
        let args = |board: &str, slots| Args {
            board: board.to_owned(),
            model: None,
            slots,
        };
        let error = run(args("mps2-an386", true)).unwrap_err().to_string();
        let expected = "mps2-an386 is emulated only; use cargo xtask qemu";
        assert_eq!(error, expected);
        let error = run(args("nrf52840dk", true)).unwrap_err().to_string();
        assert!(error.contains("nrf52840dk has no slots"), "{error}");
    }
}
