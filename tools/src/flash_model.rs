//! `cargo xtask flash-model`: a model into a slot of running firmware, which stays as it is. Without a port the same in
//! QEMU, firmware and all.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bt_boards::NoSlots;
use bt_core::Model;
use bt_embed::wire::Golden;
use bt_train::{device, say};

use crate::board::Board;
use crate::device::Device;
use crate::emulator::Emulator;
use crate::firmware::{Firmware, ModelIn};
use crate::port::Port;
use crate::setup;

/// A model for a board whose firmware has slots.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board; its firmware is one of `cargo xtask flash --slots`.
    #[arg(long, default_value = "microbit")]
    board: String,
    /// The model.
    #[arg(long, value_name = "M.btm")]
    model: PathBuf,
    /// What the product appends to the model for its own check, a signature.
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
    /// The serial port of a flashed board; without it QEMU runs the firmware that would be flashed.
    #[arg(long, value_name = "/dev/tty…")]
    port: Option<PathBuf>,
    /// Seconds that the run may take, builds apart.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

/// Sends the model and asks which one the board then serves.
///
/// # Errors
///
/// The board has no slots, or the model does not fit, is refused or is not served after all.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let bytes = device::read_model(&args.model)?;
    let model = device::parse(&bytes)?;
    let mut image = bytes.bytes().to_vec();
    if let Some(path) = &args.append {
        image.extend(std::fs::read(path).with_context(|| path.display().to_string())?);
    }
    let limit = Duration::from_secs(args.timeout);
    let said = match &args.port {
        Some(port) => put(Port::open(port)?, Instant::now() + limit, &model, &image),
        None => {
            let room = board.room_in_slot().ok_or(NoSlots(board.name))?;
            if board.project.is_some() {
                bail!(
                    "{}: give --port; QEMU has no flash of it that could be written",
                    board.name
                );
            }
            room.fits(image.len(), model.arena_bytes())
                .with_context(|| args.model.display().to_string())
                .with_context(|| format!("export it for a slot, {}", for_slot(board)))?;
            setup::ensure(&[board])?;
            let firmware = Firmware {
                board,
                model: ModelIn::Slots(None),
                log: false,
                binary: None,
            };
            let elf = firmware.build()?;
            let emulator = Emulator::start(board, &elf, false)?;
            let uart = emulator.uart(Duration::from_secs(1))?;
            put(uart, Instant::now() + limit, &model, &image)
        }
    };
    say!("{}: {}", board.name, said.context(board.name)?);
    Ok(())
}

// The table of boards cannot ask the firmware, whose build reads it.
const _: () = assert!(bt_boards::SLOT_RECORD_BYTES == bt_embed::store::RECORD_BYTES);

/// The command that makes a model for a slot.
fn for_slot(board: &Board) -> String {
    format!("bt-train quantize … --board {} --slots", board.name)
}

/// Puts an image into the slot that is not served, and says which model is then.
///
/// # Errors
///
/// As [`run`].
pub fn put(
    line: impl Read + Write,
    deadline: Instant,
    model: &Model<'_>,
    image: &[u8],
) -> Result<String> {
    let mut device = Device::new(line, deadline);
    // Said by the device too, when all of it is written.
    let (need, have) = (model.arena_bytes(), device.slots()?.arena_bytes_max);
    if need > have && have > 0 {
        bail!(
            "the model needs {need} bytes of RAM, this firmware leaves {have} to a model in a slot: \
             export it with --slots, or with --ram {have}"
        );
    }
    device.put_model(image)?;
    let identity = device.hello()?;
    let slots = device.slots()?;
    if identity.model_crc != model.crc() {
        bail!(
            "the model was accepted and is not served ({}); the device serves {} ({:08x})",
            slots.passed_over,
            identity.model,
            identity.model_crc
        );
    }
    if identity.golden == Golden::Failed {
        bail!("the device's self test failed");
    }
    Ok(format!(
        "serves {} ({:08x}) from slot {}, number {}",
        identity.model, identity.model_crc, slots.served, slots.sequence
    ))
}
