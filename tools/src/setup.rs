//! `cargo xtask setup`: what the other commands need and rustup alone does not bring.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bt_train::remark;
use wait_timeout::ChildExt;

use crate::board::{self, Board};

/// A download that takes longer than this has stalled.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// A 32-bit target whose programs run on an x86-64 Linux host as they are: it brings its own C library.
pub const HOST_32_BIT: &str = "i686-unknown-linux-musl";

/// What the page in the browser is compiled for.
pub const WEB_TARGET: &str = "wasm32-unknown-unknown";

/// The browser that tests the page.
pub const CHROMIUM: &str = "chromium";

/// A program that a package of Debian's brings.
struct Package {
    program: &'static str,
    /// Asks for its version.
    version: &'static str,
    debian: &'static str,
    /// How else to come by it.
    by_hand: &'static str,
}

/// QEMU's programs.
const EMULATORS: [Package; 2] = [
    Package {
        program: "qemu-system-arm",
        version: "--version",
        debian: "qemu-system-arm",
        by_hand: "install QEMU for Arm and put qemu-system-arm on the PATH (Fedora: dnf install qemu-system-arm; macOS: brew install qemu)",
    },
    Package {
        program: "qemu-system-riscv32",
        version: "--version",
        debian: "qemu-system-misc",
        by_hand: "install QEMU for RISC-V and put qemu-system-riscv32 on the PATH (Fedora: dnf install qemu-system-riscv; macOS: brew install qemu)",
    },
];

/// What compiles the C examples.
const C_TOOLS: [Package; 2] = [
    Package {
        program: "arm-none-eabi-gcc",
        version: "--version",
        debian: "gcc-arm-none-eabi",
        by_hand: "install Arm's GNU toolchain (Fedora: dnf install arm-none-eabi-gcc-cs; macOS: brew install arm-none-eabi-gcc)",
    },
    Package {
        program: "cmake",
        version: "--version",
        debian: "cmake",
        by_hand: "install CMake (Fedora: dnf install cmake; macOS: brew install cmake)",
    },
];

/// What compiles libFuzzer.
const CXX: Package = Package {
    program: "c++",
    version: "--version",
    debian: "g++",
    by_hand: "install a compiler for C++ (Fedora: dnf install gcc-c++; macOS: xcode-select --install)",
};

/// The 32-bit target of programs that need the C library of the compiler for C++, such as libFuzzer.
pub const GNU_32_BIT: &str = "i686-unknown-linux-gnu";

/// What compiles it then, by the same program.
const CXX_32_BIT: Package = Package {
    program: "c++ -m32",
    debian: "g++-multilib",
    by_hand: "install headers and libraries of C++ for 32 bits (Fedora: dnf install glibc-devel.i686 libstdc++-devel.i686)",
    ..CXX
};

/// What decodes clips of video.
const DECODER: Package = Package {
    program: "ffmpeg",
    version: "-version",
    debian: "ffmpeg",
    by_hand: "install FFmpeg and put ffmpeg on the PATH (Fedora: dnf install ffmpeg-free; macOS: brew install ffmpeg)",
};

const BROWSER: Package = Package {
    program: CHROMIUM,
    version: "--version",
    debian: "chromium",
    by_hand: "install Chromium and put chromium on the PATH (Fedora: dnf install chromium; macOS: brew install chromium)",
};

/// Nothing to choose.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Installs what is missing for every board.
///
/// # Errors
///
/// Something cannot be installed from here; the message is the command to run.
pub fn run(_: Args) -> Result<()> {
    ensure(&board::all().iter().collect::<Vec<_>>())?;
    c_tools()?;
    video()?;
    web()?;
    remark!(
        "Everything is here: QEMU, a compiler for C, FFmpeg, {CHROMIUM} and the targets of {} boards.",
        board::all().len()
    );
    Ok(())
}

/// Installs what is missing for these boards, after saying so; silent when
/// nothing is.
///
/// # Errors
///
/// As [`run`].
pub fn ensure(boards: &[&Board]) -> Result<()> {
    targets(boards)?;
    for emulator in &EMULATORS {
        let runs = |board: &&Board| board.qemu.is_some() && board.emulator() == emulator.program;
        if boards.iter().copied().any(|board| runs(&board)) {
            package(emulator)?;
        }
    }
    Ok(())
}

/// Installs the C compiler and CMake where they are missing.
///
/// # Errors
///
/// As [`run`].
pub fn c_tools() -> Result<()> {
    C_TOOLS.iter().try_for_each(package)
}

/// Installs a compiler for C++ where it is missing.
///
/// # Errors
///
/// As [`run`].
pub fn cxx() -> Result<()> {
    package(&CXX)
}

/// Installs what compiles C++ for 32 bits where it is missing, and the target.
///
/// # Errors
///
/// As [`run`].
pub fn cxx_32_bit() -> Result<()> {
    cxx()?;
    target(GNU_32_BIT)?;
    // The package brings no program of its own: whether a header of C++ is found tells.
    let probe = [
        "-m32",
        "-xc++",
        "-fsyntax-only",
        "-include",
        "vector",
        "/dev/null",
    ];
    match output(Command::new("c++").args(probe)) {
        Ok(_) => Ok(()),
        Err(_) => install_package(&CXX_32_BIT),
    }
}

/// Installs FFmpeg where it is missing.
///
/// # Errors
///
/// As [`run`].
pub fn video() -> Result<()> {
    package(&DECODER)
}

/// Installs one Rust target, if it is missing.
///
/// # Errors
///
/// As [`run`].
pub fn target(target: &str) -> Result<()> {
    install_targets(&BTreeSet::from([target]))
}

/// Installs the Rust targets of these boards that are missing.
///
/// # Errors
///
/// As [`run`].
pub fn targets(boards: &[&Board]) -> Result<()> {
    install_targets(&boards.iter().map(|board| board.target).collect())
}

/// Installs the target of the tests that run as a 32-bit program, if it is missing.
///
/// # Errors
///
/// As [`run`].
pub fn host_32_bit() -> Result<()> {
    install_targets(&BTreeSet::from([HOST_32_BIT]))
}

/// Installs Miri, which is not of the stable compiler, where it is missing.
///
/// # Errors
///
/// As [`run`].
pub fn miri() -> Result<()> {
    let version = ["run", "nightly", "cargo", "miri", "--version"];
    if output(Command::new("rustup").args(version)).is_ok() {
        return Ok(());
    }
    let mut command = vec!["rustup", "toolchain", "install", "nightly"];
    command.extend(["--profile=minimal", "--component=miri,rust-src"]);
    install(&command, "Miri, of the nightly compiler")
}

/// Installs what testing the page takes: the target and a browser.
///
/// # Errors
///
/// As [`run`].
pub fn web() -> Result<()> {
    target(WEB_TARGET)?;
    package(&BROWSER)
}

/// Installs the program that reads `deny.toml`, if it is missing.
///
/// # Errors
///
/// As [`run`].
pub fn cargo_deny() -> Result<()> {
    if output(Command::new("cargo").args(["deny", "--version"])).is_ok() {
        return Ok(());
    }
    install(
        &["cargo", "install", "--locked", "cargo-deny"],
        "cargo-deny (its build takes some minutes)",
    )
}

/// Installs the packages of PyPI that this Python lacks; `numpy`, or with versions `numpy>=2`.
///
/// # Errors
///
/// As [`run`].
pub fn python_packages(python: &Path, packages: &[&str]) -> Result<()> {
    let listed = output(Command::new(python).args(["-m", "pip", "list", "--format=freeze"]))?;
    let is_there = |package: &&&str| {
        let name = package.split(['<', '>', '=']).next().unwrap_or(package);
        listed
            .lines()
            .any(|line| line.split("==").next() == Some(name))
    };
    let missing: Vec<&str> = packages
        .iter()
        .filter(|one| !is_there(one))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let python = python.to_string_lossy();
    let mut command = vec![&*python, "-m", "pip", "install", "--quiet"];
    command.extend(&missing);
    install(
        &command,
        &format!("the Python packages {}", missing.join(", ")),
    )
}

fn install_targets(wanted: &BTreeSet<&str>) -> Result<()> {
    let Ok(listed) = output(Command::new("rustup").args(["target", "list", "--installed"])) else {
        // A toolchain without rustup has its targets from elsewhere; the build will tell.
        return Ok(());
    };
    let missing: Vec<_> = wanted
        .iter()
        .copied()
        .filter(|target| !listed.lines().any(|line| line.trim() == *target))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut command = vec!["rustup", "target", "add"];
    command.extend(&missing);
    install(
        &command,
        &format!("the Rust targets {}", missing.join(", ")),
    )
}

fn package(package: &Package) -> Result<()> {
    match output(Command::new(package.program).arg(package.version)) {
        Ok(_) => Ok(()),
        Err(_) => install_package(package),
    }
}

fn install_package(package: &Package) -> Result<()> {
    let Package {
        program,
        debian,
        by_hand,
        ..
    } = package;
    if output(Command::new("apt-get").arg("--version")).is_err() {
        bail!("{program} is missing: {by_hand}");
    }
    let mut command = vec![
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        debian,
    ];
    let mut update = vec!["apt-get", "update"];
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        if output(Command::new("sudo").args(["-n", "true"])).is_err() {
            bail!(
                "{program} is missing and needs root to install: sudo {}",
                command.join(" ")
            );
        }
        command.splice(0..0, ["sudo", "-n"]);
        update.splice(0..0, ["sudo", "-n"]);
    }
    let what = format!("{program} (Debian package {debian})");
    // A package list that was never fetched knows no packages.
    if attempt(&command, &what).is_ok() {
        return Ok(());
    }
    attempt(&update, "the list of packages")?;
    install(&command, &what)
}

/// Says and does it, once more if the first time fails.
fn install(command: &[&str], what: &str) -> Result<()> {
    attempt(command, what)
        .or_else(|_| attempt(command, what))
        .with_context(|| format!("{what} could not be installed; run: {}", command.join(" ")))
}

fn attempt(command: &[&str], what: &str) -> Result<()> {
    remark!("Installing {what}: {}", command.join(" "));
    let (program, arguments) = command.split_first().context("an empty command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| (*program).to_owned())?;
    let ended = child.wait_timeout(DOWNLOAD_LIMIT);
    match ended.with_context(|| (*program).to_owned())? {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("{program} ended with {status}"),
        None => {
            child.kill().context("ending a stalled download")?;
            child.wait().context("ending a stalled download")?;
            bail!("{program} took longer than {} s", DOWNLOAD_LIMIT.as_secs());
        }
    }
}

/// Standard output of a command that succeeds.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .context("not found")?;
    if !output.status.success() {
        bail!("ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
