//! `cargo xtask test`: every check there is, cheapest first; failures are
//! gathered to the end. Continuous integration runs this and nothing else.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bt_train::{remark, say};

use crate::{board, firmware, lanes, setup};

/// Which checks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only checks whose name contains one of these words.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Leave out what runs in QEMU.
    #[arg(long)]
    host: bool,
    /// Write reviewed tables (`tests/golden`) anew where they differ.
    #[arg(long)]
    bless: bool,
    /// With what takes longer or needs more than the rest: a million steps on every board, ten thousand frames
    /// on a noisy line, a day of sound, firmware projects that QEMU has no board for, AddressSanitizer, PyTorch beside ours,
    /// licences.
    #[arg(long)]
    long: bool,
}

/// One command that must succeed.
struct Check {
    name: &'static str,
    cargo: &'static [&'static str],
    /// Needs QEMU and the Thumb targets.
    device: bool,
    /// Only when asked for.
    long: bool,
    /// Its test programs run several at a time; they may not need each other's files.
    side_by_side: bool,
    /// Variables of its own.
    variables: &'static [(&'static str, &'static str)],
}

impl Check {
    /// What most checks are.
    const PLAIN: Check = Check {
        name: "",
        cargo: &[],
        device: false,
        long: false,
        side_by_side: false,
        variables: &[],
    };
}

const CHECKS: [Check; 22] = [
    Check {
        name: "format",
        cargo: &["fmt", "--all", "--check"],
        ..Check::PLAIN
    },
    Check {
        name: "clippy",
        cargo: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        ..Check::PLAIN
    },
    Check {
        name: "clippy-firmware",
        cargo: &[
            "clippy",
            "--package=bt-embed",
            "--profile=firmware-small",
            "--target=thumbv7em-none-eabihf",
            "--features=board-mps2-an386,log",
            "--",
            "-D",
            "warnings",
        ],
        device: true,
        ..Check::PLAIN
    },
    Check {
        name: "docs",
        cargo: &[
            "doc",
            "--no-deps",
            "--package=bt-core",
            "--package=bt-train",
        ],
        ..Check::PLAIN
    },
    Check {
        // Without the packages whose tests are elsewhere: they ask more features of shared crates than the others
        // do, and all of those would be built twice.
        name: "host",
        cargo: &[
            "test",
            "--workspace",
            "--exclude=bt-tests",
            "--exclude=bt-python",
            "--exclude=bt-benches",
        ],
        ..Check::PLAIN
    },
    Check {
        name: "no-front-end",
        cargo: &[
            "test",
            "--package=bt-core",
            "--lib",
            "--no-default-features",
            "--features=alloc,dense,cells,filter,scales,words,attention",
            "model",
        ],
        ..Check::PLAIN
    },
    Check {
        name: "few-models",
        cargo: &[
            "test",
            "--package=bt-core",
            "--lib",
            "--no-default-features",
            "--features=alloc",
            "model::parse",
        ],
        ..Check::PLAIN
    },
    Check {
        name: "adapters",
        cargo: &[
            "test",
            "--package=bt-embed",
            "--lib",
            "--features=nb,embedded-io-06,embedded-io-async,defmt",
            "adapter",
        ],
        ..Check::PLAIN
    },
    // The combinations of features that nothing else builds.
    Check {
        name: "bare",
        cargo: &["check", "--package=bt-core", "--no-default-features"],
        ..Check::PLAIN
    },
    Check {
        name: "bare-firmware",
        cargo: &["check", "--package=bt-embed", "--no-default-features"],
        ..Check::PLAIN
    },
    // Sizes that wrap on a microcontroller wrap here too.
    Check {
        name: "32-bit",
        cargo: &[
            "test",
            "--package=bt-core",
            "--lib",
            "--features=alloc",
            "--target",
            setup::HOST_32_BIT,
            "model",
        ],
        ..Check::PLAIN
    },
    Check {
        name: "python",
        cargo: &["xtask", "python"],
        ..Check::PLAIN
    },
    Check {
        name: "pipeline",
        cargo: &["test", "--package=bt-tests"],
        device: true,
        side_by_side: true,
        ..Check::PLAIN
    },
    Check {
        name: "long-run",
        cargo: &[
            "test",
            "--package=bt-tests",
            "--test=long_run",
            "--",
            "--ignored",
        ],
        device: true,
        long: true,
        ..Check::PLAIN
    },
    Check {
        name: "noise",
        cargo: &[
            "test",
            "--package=bt-tests",
            "--test=noisy_board",
            "--",
            "--ignored",
        ],
        device: true,
        long: true,
        ..Check::PLAIN
    },
    Check {
        name: "projects",
        cargo: &[
            "test",
            "--package=bt-tests",
            "--test=boards",
            "--",
            "--ignored",
        ],
        device: true,
        long: true,
        ..Check::PLAIN
    },
    Check {
        name: "python-long",
        cargo: &["xtask", "python", "--long"],
        long: true,
        ..Check::PLAIN
    },
    Check {
        name: "licences",
        cargo: &["deny", "check", "licenses", "bans", "sources"],
        long: true,
        ..Check::PLAIN
    },
    // Of every target, long enough to show that the fuzzer goes.
    Check {
        name: "fuzzer",
        cargo: &["xtask", "fuzz", "--seconds=10"],
        long: true,
        ..Check::PLAIN
    },
    Check {
        name: "fuzzer-32",
        cargo: &["xtask", "fuzz", "--bits=32", "--seconds=10"],
        long: true,
        ..Check::PLAIN
    },
    // The kernels, with addresses of 32 bits and of 64: some minutes each.
    Check {
        name: "miri",
        cargo: &["xtask", "miri"],
        long: true,
        ..Check::PLAIN
    },
    // A sanitizer is not of the stable compiler; a target folder of its own keeps the others' builds.
    Check {
        name: "asan",
        cargo: &[
            "test",
            "--package=bt-core",
            "--lib",
            "--features=alloc",
            "--target=x86_64-unknown-linux-gnu",
            "--target-dir=target/asan",
        ],
        long: true,
        variables: &[
            ("RUSTC_BOOTSTRAP", "1"),
            ("RUSTFLAGS", "-Zsanitizer=address"),
        ],
        ..Check::PLAIN
    },
];

/// What a check came to: its tests, or itself where it has none.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    passed: usize,
    failed: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs the checks and prints, last, how many tests passed and failed.
///
/// # Errors
///
/// Names the checks that failed.
pub fn run(args: Args) -> Result<()> {
    let wanted = |check: &&Check| {
        !(args.host && check.device)
            && (args.long || !check.long)
            && (args.words.is_empty() || args.words.iter().any(|word| check.name.contains(&**word)))
    };
    let checks: Vec<_> = CHECKS.iter().filter(wanted).collect();
    if checks.is_empty() {
        let names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        bail!("no such check; there are {}", names.join(", "));
    }
    if checks.iter().any(|check| check.device) {
        setup::ensure(&board::all().iter().collect::<Vec<_>>())?;
        setup::c_tools()?;
        setup::video()?;
    }
    if checks.iter().any(|check| check.name == "32-bit") {
        setup::host_32_bit()?;
    }
    if checks.iter().any(|check| check.name == "licences") {
        setup::cargo_deny()?;
    }
    let mut total = Count::default();
    let mut failures = Vec::new();
    for check in checks {
        let start = Instant::now();
        say!("== {}: cargo {}", check.name, check.cargo.join(" "));
        let (count, success) = execute(check, args.bless)?;
        total += count;
        let verdict = if success { "passed" } else { "FAILED" };
        say!(
            "== {} {verdict} in {:.0} s",
            check.name,
            start.elapsed().as_secs_f64()
        );
        if !success {
            failures.push(check.name);
        }
    }
    say!("\n{} passed, {} failed", total.passed, total.failed);
    if !failures.is_empty() {
        bail!("failed: {}", failures.join(", "));
    }
    Ok(())
}

/// Runs one check, its output passed on, its tests counted.
fn execute(check: &Check, bless: bool) -> Result<(Count, bool)> {
    let mut command: Command = firmware::cargo();
    if bless {
        command.env("BT_BLESS", "1");
    }
    // What stands behind `--` is for the tests, not for cargo.
    let behind = check.cargo.iter().position(|word| *word == "--");
    let (first, last) = check.cargo.split_at(behind.unwrap_or(check.cargo.len()));
    let no_fail_fast = first.contains(&"test").then_some("--no-fail-fast");
    // The linker that comes with Rust: no 32-bit libraries of the system are needed.
    command
        .envs(check.variables.iter().copied())
        .env("CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
        .args(first);
    if check.side_by_side {
        return side_by_side(&mut command, bless);
    }
    let mut child = command
        .args(no_fail_fast)
        .args(last)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo could not be started")?;
    let mut count = Count::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("reading the check's output")?;
            say!("{line}");
            count += results(&line).unwrap_or_default();
        }
    }
    let success = child.wait().context("waiting for the check")?.success();
    Ok((counted(count, success), success))
}

/// Builds the test programs and runs several at a time; each one's output is passed on when it ends.
fn side_by_side(command: &mut Command, bless: bool) -> Result<(Count, bool)> {
    let failed = || "the tests do not build".to_owned();
    let messages = match firmware::messages(command.arg("--no-run"), failed) {
        Ok(messages) => messages,
        Err(error) => {
            remark!("{error:#}");
            return Ok((counted(Count::default(), false), false));
        }
    };
    let (mut count, mut success) = (Count::default(), true);
    let bless = bless.then_some(("BT_BLESS", "1"));
    lanes::run(&messages, bless, |name, output| {
        say!("     Ran {name}");
        let mut own = Count::default();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            say!("{line}");
            own += results(line).unwrap_or_default();
        }
        if !output.stderr.is_empty() {
            remark!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        success &= output.status.success();
        if !output.status.success() && own.failed == 0 {
            own.failed = 1;
        }
        count += own;
    })?;
    Ok((counted(count, success), success))
}

/// What a check counts as that has no tests, or broke before they ran.
fn counted(mut count: Count, success: bool) -> Count {
    // A check without tests is one; so is one that broke before its tests ran.
    if success && count.passed == 0 {
        count.passed = 1;
    }
    if !success && count.failed == 0 {
        count.failed = 1;
    }
    count
}

/// The counts in a line `test result: ok. 3 passed; 0 failed; …`, or `=== 1 failed, 3 passed in 1.21s ===` of pytest's.
fn results(line: &str) -> Option<Count> {
    let Some(rest) = line.strip_prefix("test result: ") else {
        let (counts, _) = line
            .strip_prefix("==")?
            .trim_matches(['=', ' '])
            .split_once(" in ")?;
        let number = |word: &str| {
            let mut parts = counts.split(", ");
            parts.find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
        };
        let (passed, failed) = (number(" passed"), number(" failed"));
        return (passed.is_some() || failed.is_some()).then(|| Count {
            passed: passed.unwrap_or(0),
            failed: failed.unwrap_or(0) + number(" errors").or(number(" error")).unwrap_or(0),
        });
    };
    let number = |word: &str| {
        rest.split([';', '.'])
            .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        let line = "test result: FAILED. 13 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.08s";
        let count = results(line).unwrap();
        assert_eq!((count.passed, count.failed), (13, 2));
        assert!(results("test wire::x ... ok").is_none());
        let line = "==== 1 failed, 12 passed, 9 deselected, 2 errors in 3.20s ====";
        let count = results(line).unwrap();
        assert_eq!((count.passed, count.failed), (12, 3));
        assert!(results("===== test session starts =====").is_none());
    }
}
