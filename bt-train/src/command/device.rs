//! What commands are told about the device: its core, its RAM and its flash.

use crate::command::units::bytes;
use crate::error::{Error, ErrorKind};
use crate::plan::cost::Core;
use crate::plan::search::Limits;
pub use crate::plan::timing::Processor as CoreName;
use bt_boards::Board;
use clap::ValueEnum;

/// The clock where none is told.
pub const CLOCK_HZ: u64 = 64_000_000;

/// The core alone.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CoreArg {
    /// Core of the device: plans and predicted instructions are for its kernels
    #[arg(long, default_value = "m4f")]
    core: CoreName,
}

impl CoreArg {
    /// The kernels that this core runs.
    pub fn kernels(self) -> Core {
        self.core.kernels()
    }
}

/// What plans must keep to, and the core that they are for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DeviceArgs {
    /// The board: stands for the RAM, flash, core and clock that its program leaves to a model
    ///
    /// `cargo xtask boards` lists them. A limit that is given beside it is taken instead of the board's.
    #[arg(long, value_name = "NAME", value_parser = Board::find)]
    board: Option<&'static Board>,
    /// RAM that a session may take: 10K, 10KB, 10KiB or 10240 [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    ram: Option<usize>,
    /// Flash that both maps may take, written likewise [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    flash: Option<usize>,
    /// Core of the device: plans and predicted instructions are for its kernels [default: m4f]
    #[arg(long, conflicts_with = "board")]
    core: Option<CoreName>,
}

impl DeviceArgs {
    /// The core by the name that was given, or the board's.
    pub fn core(&self) -> CoreName {
        let of_board = |board: &Board| CoreName::from_str(board.core, false).ok();
        self.core
            .or_else(|| self.board.and_then(of_board))
            .unwrap_or(CoreName::M4f)
    }

    /// The board's clock in Hz.
    pub fn clock(&self) -> Option<u64> {
        self.board.map(|board| board.clock_hz.into())
    }

    /// The limits for the search of plans.
    pub fn limits(&self) -> Limits {
        Limits {
            ram_bytes: self.ram.or(self.board.map(Board::session_bytes)),
            flash_bytes: self.flash.or(self.board.map(Board::model_bytes)),
            core: self.core().kernels(),
        }
    }

    /// An error about limits in the board's words, where it was the board that set them.
    pub fn explain(&self, error: Error) -> Error {
        let (Some(board), ErrorKind::OverLimits(over)) = (self.board, &error.kind) else {
            return error;
        };
        let over_ram = over.ram_bytes > board.session_bytes();
        let over_flash = over.flash_bytes > board.model_bytes();
        let of_board = over_ram && self.ram.is_none() || over_flash && self.flash.is_none();
        if !of_board {
            return error;
        }
        let remedy = format!(
            "{} has {} bytes of RAM and {} of flash for a model: choose smaller modes, ranks or fewer blocks, \
             or a larger board",
            board.name,
            board.session_bytes(),
            board.model_bytes()
        );
        error.field("board").remedy(remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_a_core_that_is_known() {
        for board in bt_boards::all() {
            assert!(
                CoreName::from_str(board.core, false).is_ok(),
                "{}",
                board.name
            );
        }
    }
}
