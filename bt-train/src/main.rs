//! The `bt-train` program: parse, run, print one line when it fails, exit status.

use bt_train::command::Cli;
use bt_train::error::one_line;
use bt_train::float::workers;
use bt_train::output::{tell_warnings, until_unread};
use bt_train::remark;
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Starts every large array on a cache line, and keeps what an update frees for the next one.
#[cfg(target_pointer_width = "64")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Err(error) = workers::join() {
        remark!("error: {error}");
        return ExitCode::FAILURE;
    }
    until_unread(run)
}

fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match cli.run() {
            Ok(()) => {
                tell_warnings();
                ExitCode::SUCCESS
            }
            Err(error) => {
                remark!("error: {error}");
                ExitCode::from(error.exit_status())
            }
        },
        Err(error) if error.use_stderr() && !std::io::stderr().is_terminal() => {
            remark!("{}", one_line(&error.to_string()));
            ExitCode::from(2)
        }
        Err(error) => error.exit(),
    }
}
