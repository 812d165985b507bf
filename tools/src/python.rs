//! `cargo xtask python`: the Python package, built as a wheel and tested in an environment of its own.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use bt_train::remark;

use crate::firmware::{built, cargo, messages, workspace};
use crate::setup;

/// What the tests need.
const PACKAGES: [&str; 3] = ["maturin>=1.9.4,<2", "numpy", "pytest"];

/// What the long ones need beside it.
const LONG_PACKAGES: [&str; 6] = [
    "torch",
    "safetensors",
    "tensorboard",
    "nbclient",
    "nbformat",
    "ipykernel",
];

/// Which tests.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Those that need PyTorch, TensorBoard or a notebook's kernel, instead of the others
    #[arg(long)]
    long: bool,
}

/// Builds the wheel, installs it and runs its tests.
///
/// # Errors
///
/// Something cannot be installed or built, or a test failed.
pub fn run(args: Args) -> Result<()> {
    let folder = workspace().join("target/python");
    let programs = environment(&folder.join("venv"), args.long)?;
    let package = workspace().join("bt-train/python");
    let program = bt_train()?;

    let wheels = folder.join("wheels");
    let mut build = Command::new(programs.join("maturin"));
    build
        .args(["build", "--profile=dev", "--quiet", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--out")
        .arg(&wheels);
    succeed(&mut build, "the wheel could not be built")?;
    let mut install = Command::new(programs.join("python"));
    install
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"])
        .args(["--force-reinstall", "--find-links"])
        .arg(&wheels)
        .arg("bt-lstm");
    succeed(&mut install, "the wheel could not be installed")?;

    let mut tests = Command::new(programs.join("pytest"));
    tests
        .args(["-p", "no:cacheprovider", "-m"])
        .arg(if args.long { "long" } else { "not long" })
        .env("BT_TRAIN", program)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(package);
    succeed(&mut tests, "a test of the Python package failed")
}

/// The folder of the programs of a virtual environment with all that is needed, made and filled after saying so.
fn environment(folder: &Path, long: bool) -> Result<PathBuf> {
    let programs = folder.join("bin");
    let python = programs.join("python");
    if !python.exists() {
        let system = env::var_os("PYTHON").unwrap_or_else(|| OsString::from("python3"));
        remark!("Making an environment of Python in {}", folder.display());
        let mut venv = Command::new(&system);
        venv.args(["-m", "venv"]).arg(folder);
        let remedy = format!(
            "{} makes no environment: install Python 3.10 or later with venv (Debian: apt-get install python3-venv), \
             or set PYTHON",
            system.display()
        );
        succeed(&mut venv, &remedy)?;
    }
    setup::python_packages(&python, &PACKAGES)?;
    if long {
        setup::python_packages(&python, &LONG_PACKAGES)?;
    }
    Ok(programs)
}

/// The program `bt-train`, which the package is compared with; built as the package is, so that both share what they
/// are made of.
fn bt_train() -> Result<PathBuf> {
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "--package=bt-train",
        "--package=bt-python",
    ]);
    command.arg("--bin=bt-train");
    let messages = messages(&mut command, || "bt-train could not be built".to_owned())?;
    built(&messages, "bt-train")
}

fn succeed(command: &mut Command, otherwise: &str) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.stdin(Stdio::null()).status().context(name)?;
    if !status.success() {
        bail!("{otherwise} ({status})");
    }
    Ok(())
}
