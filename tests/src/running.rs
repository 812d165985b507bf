//! A board in QEMU with a model in its program.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use tools::board::Board;
use tools::device::Device;
use tools::emulator::Emulator;
use tools::firmware::fill;

/// A board that runs.
pub struct Running {
    /// The host's end of its line.
    pub device: Device<UnixStream>,
    // Dropped in this order: QEMU ends before its program goes.
    _emulator: Emulator,
    _elf: NamedTempFile,
}

impl Running {
    /// Starts a program that has a slot for a model, with this one in it. The device may take so long for all that it
    /// is asked.
    ///
    /// # Panics
    ///
    /// The model does not fit, or QEMU does not start.
    pub fn start(board: &Board, program: &[u8], model: &[u8], limit: Duration) -> Running {
        let elf = NamedTempFile::new().expect("a file for the program");
        let program = fill(program, model).expect("a slot for the model");
        std::fs::write(elf.path(), program).expect("the program is written");
        let emulator = Emulator::start(board, elf.path(), false).expect("QEMU starts");
        let uart = emulator.uart(Duration::from_millis(50));
        Running {
            device: Device::new(uart.expect("a line"), Instant::now() + limit),
            _emulator: emulator,
            _elf: elf,
        }
    }
}
