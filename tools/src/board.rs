//! The boards that firmware exists for, and `cargo xtask boards`, which lists them.

use bt_train::say;

pub use bt_boards::{Board, Machine, all, emulated, projects};

/// The board that commands take when none is named.
pub const DEFAULT: &str = "mps2-an386";

/// The boards that there are.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints one line for each board.
pub fn run(_: &Args) {
    say!(
        "{:<17} {:<21} {:<12} {:<6} {:>8} {:>8} {:>8}  {:<14} {:<14} silicon",
        "board",
        "what it is",
        "processor",
        "--core",
        "flash",
        "RAM",
        "clock",
        "probe-rs chip",
        "QEMU"
    );
    for board in all() {
        say!(
            "{:<17} {:<21} {:<12} {:<6} {:>4} KiB {:>4} KiB {:>4} MHz  {:<14} {:<14} {}",
            board.name,
            board.board,
            board.cpu,
            board.core,
            board.flash.kib,
            board.ram.kib,
            board.clock_hz / 1_000_000,
            board.chip.unwrap_or("-"),
            board.qemu.map_or("-", |machine| machine.machine),
            match (board.silicon, board.chip) {
                (true, _) => "has run there",
                (false, Some(_)) => "not yet run on silicon",
                (false, None) => "emulated only",
            }
        );
    }
}
