//! What commands are told about the device: its processor, its RAM and its flash.

use crate::command::units::bytes;
use crate::error::{Error, ErrorKind};
use crate::plan::kernels::Kernels;
use crate::plan::search::Limits;
use crate::plan::timing::Processor;
use bt_boards::Board;
use clap::ValueEnum;

/// The clock where none is told.
pub const CLOCK_HZ: u64 = 64_000_000;

/// The processor alone.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ProcessorArg {
    /// Processor that plans and predicted instructions are for
    #[arg(long = "core", default_value = "m4f")]
    processor: Processor,
}

impl ProcessorArg {
    /// The kernels that it runs.
    pub fn kernels(self) -> Kernels {
        self.processor.kernels()
    }
}

/// What plans must keep to, and the processor that they are for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DeviceArgs {
    /// A board, in place of --ram, --flash, --core and --clock: what its program leaves to a model
    ///
    /// `cargo xtask boards` lists them. --ram, --flash or --clock beside it are taken instead of the board's.
    #[arg(long, value_name = "NAME", value_parser = Board::find)]
    board: Option<&'static Board>,
    /// RAM that a session may take: 10K, 10KB, 10KiB or 10240 [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    ram: Option<usize>,
    /// Flash that the maps may take, or the model file that is written; sizes as of --ram [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    flash: Option<usize>,
    /// Processor that plans and predicted instructions are for [default: m4f]
    #[arg(long = "core", conflicts_with = "board")]
    processor: Option<Processor>,
}

impl DeviceArgs {
    /// The processor by the name that was given, or the board's.
    pub fn processor(&self) -> Processor {
        let of_board = |board: &Board| Processor::from_str(board.core, false).ok();
        self.processor
            .or_else(|| self.board.and_then(of_board))
            .unwrap_or(Processor::M4f)
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
            kernels: self.processor().kernels(),
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
                Processor::from_str(board.core, false).is_ok(),
                "{}",
                board.name
            );
        }
    }
}
