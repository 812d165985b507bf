//! What commands are told about the device: its processor, its RAM and its flash.

use crate::command::units::{bytes, hertz};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::kernels::Kernels;
use crate::plan::search::Limits;
use crate::plan::timing::Processor;
use bt_boards::{Board, Room};
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
    /// Of the board, what a slot leaves to a model, which `cargo xtask flash-model` fills
    #[arg(long, requires = "board")]
    slots: bool,
    /// RAM that a session may take: 10K, 10KB, 10KiB or 10240 [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    ram: Option<usize>,
    /// Flash that the maps may take, or the model file that is written; sizes as of --ram [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    flash: Option<usize>,
    /// Processor that plans and predicted instructions are for [default: m4f]
    #[arg(long = "core", conflicts_with = "board")]
    processor: Option<Processor>,
    /// Clock that milliseconds are computed for, such as 64MHz [default: the board's, or 64MHz]
    #[arg(long, value_name = "HERTZ", value_parser = hertz)]
    clock: Option<u64>,
}

impl DeviceArgs {
    /// The processor by the name that was given, or the board's.
    pub fn processor(&self) -> Processor {
        let of_board = |board: &Board| Processor::from_str(board.core, false).ok();
        self.processor
            .or_else(|| self.board.and_then(of_board))
            .unwrap_or(Processor::M4f)
    }

    /// The clock in Hz: that which was given, or the board's, or else 64 MHz.
    pub fn clock(&self) -> u64 {
        let of_board = self.board.map(|board| board.clock_hz.into());
        self.clock.or(of_board).unwrap_or(CLOCK_HZ)
    }

    /// What the board leaves to a model.
    ///
    /// # Errors
    /// When it should have slots and has none.
    fn room(&self) -> Result<Option<Room>> {
        let Some(board) = self.board else {
            return Ok(None);
        };
        if !self.slots {
            return Ok(Some(board.room()));
        }
        let room = board.room_in_slot();
        room.map(Some)
            .ok_or_else(|| Error::usage(format!("--slots: {}", bt_boards::NoSlots(board.name))))
    }

    /// The limits for the search of plans.
    ///
    /// # Errors
    /// When the board should have slots and has none.
    pub fn limits(&self) -> Result<Limits> {
        let room = self.room()?;
        Ok(Limits {
            ram_bytes: self.ram.or(room.map(|room| room.ram_bytes)),
            flash_bytes: self.flash.or(room.map(|room| room.flash_bytes)),
            kernels: self.processor().kernels(),
        })
    }

    /// An error about limits in the board's words, where it was the board that set them.
    pub fn explain(&self, error: Error) -> Error {
        let (Ok(Some(room)), ErrorKind::OverLimits(over)) = (self.room(), &error.kind) else {
            return error;
        };
        let over_ram = over.ram_bytes > room.ram_bytes;
        let over_flash = over.flash_bytes > room.flash_bytes;
        let of_board = over_ram && self.ram.is_none() || over_flash && self.flash.is_none();
        if !of_board {
            return error;
        }
        let remedy = format!(
            "{} has {} bytes of RAM and {} of flash {}: choose smaller modes, ranks or fewer blocks, \
             or a larger board",
            room.board, room.ram_bytes, room.flash_bytes, room.place
        );
        error.field("board").remedy(remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Words {
        #[command(flatten)]
        device: DeviceArgs,
    }

    fn limits(words: &str) -> Result<(Option<usize>, Option<usize>)> {
        let words = std::iter::once("plan").chain(words.split(' '));
        let limits = <Words as clap::Parser>::try_parse_from(words)
            .unwrap()
            .device
            .limits()?;
        Ok((limits.ram_bytes, limits.flash_bytes))
    }

    /// By the figures of boards.toml: 16 KiB less 6 of RAM and 256 less 112 of flash, or 9 of RAM and 64 in a slot.
    #[test]
    fn a_slot_leaves_less_than_the_board() {
        let board = limits("--board microbit").unwrap();
        assert_eq!(board, (Some(10 << 10), Some(136 << 10)));
        let slot = limits("--board microbit --slots").unwrap();
        assert_eq!(slot, (Some(9 << 10), Some((64 << 10) - 64)));
        let slot = limits("--board microbit --slots --ram 2K").unwrap();
        assert_eq!(slot, (Some(2 << 10), Some((64 << 10) - 64)));
        let error = limits("--board nrf52840dk --slots").unwrap_err();
        assert!(
            error.to_string().contains(
                "nrf52840dk has no slots for models; microbit, mps2-an386, netduinoplus2, pico2 have"
            ),
            "{error}"
        );
    }

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
