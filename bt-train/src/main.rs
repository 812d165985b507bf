//! The `bt-train` program: parse, run, print one line when it fails, exit status.

use bt_train::command::Cli;
use bt_train::error::one_line;
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match cli.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(error.exit_status())
            }
        },
        Err(error) if error.use_stderr() && !std::io::stderr().is_terminal() => {
            eprintln!("{}", one_line(&error.to_string()));
            ExitCode::from(2)
        }
        Err(error) => error.exit(),
    }
}
