//! `cargo xtask`: see `cargo xtask help`.

use std::process::ExitCode;

use bt_train::output::until_unread;
use bt_train::remark;
use clap::Parser;
use clap::error::ErrorKind;

/// The workspace's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Install what the other commands need: Rust's Thumb targets and QEMU
    Setup(tools::setup::Args),
    /// Train on spoken digits, quantize, flash an emulated chip, stream the test recordings to it
    Demo(tools::demo::Args),
    /// Count instructions of frames, recurrences and gates on every core, or time a training step
    Bench(tools::bench::Args),
    /// Run every check, cheapest first: format, clippy, documentation, host tests, tests in QEMU
    Test(tools::test::Args),
    /// Build the Python package's wheel and test it
    Python(tools::python::Args),
    /// Feed damaged bytes to everything that reads them: models, states, the wire, every file
    Fuzz(tools::fuzz::FuzzArgs),
    /// Run bt-core's own tests in Miri, which sees what a run does not tell
    Miri(tools::miri::Args),
    /// Export random models of every kind and compare their integers with the floats
    CompareIntegers(tools::fuzz::CompareArgs),
    /// Run a model on an emulated board and stream a data set through it
    Qemu(tools::qemu::Args),
    /// Stream one sequence to an emulated board and follow its scores step by step
    Stream(tools::watch::Args),
    /// Draw pictures on an emulated board and compare them with the host's
    Draw(tools::draw::Args),
    /// Tell captions of pictures on an emulated board and compare them with the host's
    Caption(tools::caption::Args),
    /// Build bt-core as a C library with its header, and a model as C sources
    CLibrary(tools::c_library::Args),
    /// List the boards: processor, flash, RAM, chip of the probe, QEMU or not
    Boards(tools::board::Args),
    /// Put firmware with a model onto a real board
    Flash(tools::flash::Args),
    /// Put a model into a slot of running firmware, over its line
    FlashModel(tools::flash_model::Args),
    /// Stream a data set through a flashed board, or QEMU, and compare its scores with the host's
    Verify(tools::verify::Args),
    /// Print flash, RAM and a bound of the stack of a firmware
    Size(tools::size::Args),
    /// Write a page that runs a model in the browser, from disk or a file server
    Web(tools::web::Args),
}

fn main() -> ExitCode {
    until_unread(run)
}

fn run() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            remark!("{}", one_line(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Setup(args) => tools::setup::run(args),
        Command::Demo(args) => tools::demo::run(args),
        Command::Bench(args) => tools::bench::run(args),
        Command::Test(args) => tools::test::run(args),
        Command::Python(args) => tools::python::run(args),
        Command::Fuzz(args) => tools::fuzz::fuzz(args),
        Command::Miri(args) => tools::miri::run(args),
        Command::CompareIntegers(args) => tools::fuzz::compare(args),
        Command::Qemu(args) => tools::qemu::run(args),
        Command::Stream(args) => tools::watch::run(args),
        Command::Draw(args) => tools::draw::run(args),
        Command::Caption(args) => tools::caption::run(args),
        Command::CLibrary(args) => tools::c_library::run(&args),
        Command::Boards(args) => {
            tools::board::run(&args);
            Ok(())
        }
        Command::Flash(args) => tools::flash::run(args),
        Command::FlashModel(args) => tools::flash_model::run(args),
        Command::Verify(args) => tools::verify::run(args),
        Command::Size(args) => tools::size::run(args),
        Command::Web(args) => tools::web::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            remark!("error: {}", one_line(&message(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes. bt-train's errors tell theirs themselves.
fn message(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        parts.push(cause.to_string());
        if cause.is::<bt_train::Error>() {
            break;
        }
    }
    parts.join(": ")
}

/// A message on one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
