//! `cargo xtask miri`: bt-core's own tests in an interpreter, which sees what a run does not tell: memory that is not
//! one's own, values that are none, places that are not aligned. Kernels are the portable ones there.

use std::process::Command;

use anyhow::{Context, Result, bail};
use bt_train::remark;

use crate::bits::Bits;
use crate::{firmware, setup};

/// What runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only tests whose name contains this, as kernel, model or words; all of them take hours, those of kernels minutes.
    #[arg(default_value = "kernel")]
    word: String,
    /// Bits of an address, one or both: 32 as on a device.
    #[arg(long, value_enum, default_values = ["32", "64"])]
    bits: Vec<Bits>,
}

/// Interprets the tests.
///
/// # Errors
///
/// Miri cannot be installed, or a test fails in it.
pub fn run(args: Args) -> Result<()> {
    setup::miri()?;
    for bits in args.bits {
        // An interpreter needs no linker, so either runs on every host.
        let target = bits.target()?;
        let test = |more: &[&str]| {
            // The proxy of rustup: the cargo that runs this is the stable one itself.
            let mut command = Command::new("rustup");
            command
                .current_dir(firmware::workspace())
                .args([
                    "run",
                    "nightly",
                    "cargo",
                    "miri",
                    "test",
                    "--package=bt-core",
                ])
                .args(["--lib", "--features=alloc", "--target", &target])
                .args(["--target-dir", "target/miri", "--", &args.word])
                .args(more);
            command
        };
        remark!("Interpreting tests of {} for {target}.", args.word);
        let listed = test(&["--list"]).output();
        let listed = listed.context("Miri could not be started")?;
        let names = String::from_utf8_lossy(&listed.stdout);
        if listed.status.success() && !names.contains(": test") {
            bail!("no test's name contains {}", args.word);
        }
        let status = test(&[]).status().context("Miri could not be started")?;
        if !status.success() {
            bail!("a test fails in Miri; see above");
        }
    }
    Ok(())
}
