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
    for line in table() {
        say!("{line}");
    }
}

/// A heading, and a line for each board.
fn table() -> Vec<String> {
    let mut lines = vec![format!(
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
    )];
    lines.extend(all().iter().map(|board| {
        format!(
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
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_a_line_with_what_it_is() {
        let lines = table();
        assert_eq!(lines.len(), 1 + all().len());
        let of = |name: &str| {
            let begins = |line: &&String| line.split_whitespace().next() == Some(name);
            let line = lines.iter().find(begins).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            of("netduinoplus2"),
            "netduinoplus2 STM32F405 Cortex-M4F m4f 1024 KiB 128 KiB 168 MHz STM32F405RGTx netduinoplus2 \
             not yet run on silicon"
        );
        assert_eq!(
            of("mps3-an547"),
            "mps3-an547 Arm MPS3, AN547 Cortex-M55 m55 512 KiB 512 KiB 32 MHz - mps3-an547 emulated only"
        );
        assert!(of("pico2").ends_with("RP235x - not yet run on silicon"));
    }
}
