//! `cargo xtask fuzz` and `cargo xtask compare-integers`: tests that search, for as long as asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use bt_train::remark;

use crate::bits::Bits;
use crate::{firmware, setup};

/// What to fuzz, and how long.
#[derive(Debug, clap::Args)]
pub struct FuzzArgs {
    /// One target instead of all, as parse, state, wire or npz; a wrong name is answered with all of them.
    target: Option<String>,
    /// Seconds of each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Bytes of the longest input.
    #[arg(long, default_value_t = 8192)]
    longest: u32,
    /// Bits of an address: 32 as on a device (of an x86-64 Linux host), or as here.
    #[arg(long, value_enum, default_value_t = Bits::Here)]
    bits: Bits,
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

/// What counts the branches that an input takes and tells libFuzzer what numbers are compared. These are passes of
/// LLVM that every rustc has.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs everything that reads bytes on damaged ones, led by coverage. What does harm is kept in
/// `tests/fuzz/findings`, where the tests try it ever after; what reaches new code in `target/fuzz`, from where the
/// next run goes on.
///
/// # Errors
///
/// When something is found.
pub fn fuzz(args: FuzzArgs) -> Result<()> {
    let program = build(args.bits)?;
    let all = targets(&program)?;
    let wanted: Vec<&String> = match &args.target {
        Some(name) => all.iter().filter(|&target| target == name).collect(),
        None => all.iter().collect(),
    };
    if wanted.is_empty() {
        bail!("there is no such target; there are {}", all.join(", "));
    }
    let mut harmed = Vec::new();
    for target in wanted {
        let corpus = firmware::workspace().join("target/fuzz").join(target);
        let findings = firmware::workspace()
            .join("tests/fuzz/findings")
            .join(target);
        for folder in [&corpus, &findings] {
            fs::create_dir_all(folder)
                .with_context(|| format!("{} could not be created", folder.display()))?;
        }
        remark!("Fuzzing {target} for {} s.", args.seconds);
        let status = Command::new(&program)
            .env("BT_TARGET", target)
            .env("BT_CORPUS", &corpus)
            .arg(&corpus)
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg(format!("-max_total_time={}", args.seconds))
            .arg(format!("-max_len={}", args.longest))
            .args([
                // The targets judge their own time, of a processor; this is by the clock.
                "-timeout=120",
                "-report_slow_units=120",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
                "-verbosity=1",
            ])
            .status()
            .context("the fuzzer could not be started")?;
        if !status.success() {
            harmed.push(format!("{target} (tests/fuzz/findings/{target})"));
        }
        // Where nothing was found; a folder that is not empty stays.
        let _ = fs::remove_dir(&findings);
    }
    if !harmed.is_empty() {
        bail!("an input does harm: {}; see above", harmed.join(", "));
    }
    Ok(())
}

/// Builds the fuzzer, counters in everything, and returns its path.
fn build(bits: Bits) -> Result<PathBuf> {
    match bits {
        Bits::Narrow if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) => {
            bail!("programs of 32 bits run on Linux on x86-64; leave out --bits 32");
        }
        Bits::Narrow => setup::cxx_32_bit()?,
        Bits::Here => setup::cxx()?,
    }
    // With a target named, build scripts and macros are built without counters, which they could not be linked with.
    let target = bits.target()?;
    let target_dir = firmware::workspace().join("target/coverage");
    let status = firmware::cargo()
        .current_dir(firmware::workspace().join("tests/fuzz"))
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            &target,
            "--target-dir",
        ])
        .arg(&target_dir)
        .env("RUSTFLAGS", COVERAGE)
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the fuzzer does not build; see above");
    }
    Ok(target_dir.join(target).join("release/bt-fuzz"))
}

/// Names of the targets, which the fuzzer tells when none is asked for.
fn targets(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).env_remove("BT_TARGET").output();
    let output = output.context("the fuzzer could not be started")?;
    if !output.status.success() {
        bail!("the fuzzer does not tell its targets: {}", output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(str::to_owned).collect())
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
