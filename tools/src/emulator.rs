//! QEMU as a child process that never outlives us.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::board::Board;
use crate::firmware;

mod waker;

use waker::Waker;

/// Nanoseconds of virtual time that one instruction takes under `-icount shift=6`.
pub const INSTRUCTION_NS: u64 = 64;

/// Instructions that passed in so many ticks of a clock of `tick_hz`.
pub fn instructions(ticks: f64, tick_hz: u32) -> f64 {
    ticks * 1e9 / (f64::from(tick_hz) * INSTRUCTION_NS as f64)
}

/// QEMU running one firmware, its first UART in our hands.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    uart: UnixStream,
    log: Option<Child>,
    /// Ends with us.
    _waker: Option<Waker>,
}

impl Emulator {
    /// Starts a firmware. With `log`, a build with that feature, its messages
    /// go to our standard error.
    ///
    /// # Errors
    ///
    /// QEMU cannot be started; the message says how to install it.
    pub fn start(board: &Board, elf: &Path, log: bool) -> Result<Emulator> {
        if log {
            build_log_printer()?;
        }
        let uart = ["-chardev", "socket,id=uart,fd=0", "-serial", "chardev:uart"];
        Emulator::launch(board, elf, log, &uart)
    }

    /// As [`start`](Self::start), with a UART that can be disturbed: `escape` and `b` sent to it make
    /// a break on the line, `escape` twice is that byte. Of our boards' UARTs QEMU models breaks only
    /// in the micro:bit's, and overruns in none.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with_breaks(board: &Board, elf: &Path, escape: u8) -> Result<Emulator> {
        let escape = escape.to_string();
        let uart = [
            "-chardev",
            "socket,id=uart,fd=0,mux=on",
            "-serial",
            "chardev:uart",
            "-echr",
            &escape,
        ];
        Emulator::launch(board, elf, false, &uart)
    }

    fn launch(board: &Board, elf: &Path, log: bool, serial: &[&str]) -> Result<Emulator> {
        let (uart, theirs) = UnixStream::pair().context("a socket for the UART")?;
        let mut command = qemu(board, elf)?;
        let waker = match board.qemu {
            Some(machine) if machine.machine == "microbit" => Some(Waker::new(&mut command)?),
            _ => None,
        };
        // Semihosting, and the log with it, writes to standard output.
        command
            .args(serial)
            .stdin(OwnedFd::from(theirs))
            .stdout(if log { Stdio::piped() } else { Stdio::null() })
            .stderr(Stdio::inherit());
        let mut emulator = Emulator {
            child: command
                .spawn()
                .map_err(|error| not_started(board, &error))?,
            uart,
            log: None,
            _waker: waker,
        };
        if let Some(output) = emulator.child.stdout.take() {
            emulator.log = Some(print_log(elf, output)?);
        }
        Ok(emulator)
    }

    /// The UART's other end. Reads and writes give up after `patience`.
    ///
    /// # Errors
    ///
    /// As setting a socket's time limits.
    pub fn uart(&self, patience: Duration) -> Result<UnixStream> {
        let uart = self.uart.try_clone().context("the UART's socket")?;
        uart.set_read_timeout(Some(patience))
            .and_then(|()| uart.set_write_timeout(Some(patience)))
            .context("the UART's socket")?;
        Ok(uart)
    }

    /// Why the firmware is silent: it ended with this status, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The child may have ended by itself; then there is nothing to kill.
        let _ = self.uart.shutdown(Shutdown::Both);
        let _ = self.child.kill();
        let _ = self.child.wait();
        // It ends when it has printed what QEMU left.
        if let Some(log) = &mut self.log {
            let _ = log.wait();
        }
    }
}

/// The program that decodes the log, with the decoder's many dependencies.
const LOG_PRINTER: [&str; 7] = [
    "--quiet",
    "--package",
    "tools",
    "--features",
    "log",
    "--bin",
    "device_log",
];

fn build_log_printer() -> Result<()> {
    let status = firmware::cargo()
        .arg("build")
        .args(LOG_PRINTER)
        .stdin(Stdio::null())
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the program that prints the log could not be built");
    }
    Ok(())
}

fn print_log(elf: &Path, output: ChildStdout) -> Result<Child> {
    firmware::cargo()
        .arg("run")
        .args(LOG_PRINTER)
        .arg("--")
        .arg(elf)
        .stdin(output)
        .stdout(Stdio::null())
        .spawn()
        .context("cargo could not be started")
}

/// Runs a program that prints by semihosting and exits by itself, and returns
/// what it printed.
///
/// # Errors
///
/// It took longer than `limit`, or ended with a failure: the message ends with
/// what it printed last.
pub fn run_to_end(board: &Board, elf: &Path, limit: Duration) -> Result<String> {
    let mut output = tempfile::NamedTempFile::new().context("a file for the program's output")?;
    let mut command = qemu(board, elf)?;
    let said = || {
        output
            .as_file()
            .try_clone()
            .context("a file for the program's output")
    };
    command
        .args(["-serial", "null"])
        .stdin(Stdio::null())
        .stdout(said()?)
        .stderr(said()?);
    let mut child = Guard(
        command
            .spawn()
            .map_err(|error| not_started(board, &error))?,
    );
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.0.try_wait().context("waiting for QEMU")? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    drop(child);
    let mut text = String::new();
    io::Seek::rewind(&mut output)
        .and_then(|()| io::Read::read_to_string(&mut output, &mut text))
        .context("the program's output")?;
    match status {
        Some(status) if status.success() => Ok(text),
        status => {
            let last = text.lines().next_back().unwrap_or("nothing");
            let what = match status {
                Some(_) => "failed".to_owned(),
                None => format!("was not done after {} s", limit.as_secs()),
            };
            bail!("the program {what} on {}; it last said: {last}", board.name)
        }
    }
}

/// Kills its child when it goes.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// QEMU without screen, monitor or network, counting instructions. The kernel
/// kills it when we die, however we do, where `setpriv` is at hand.
fn qemu(board: &Board, elf: &Path) -> Result<Command> {
    let Some(machine) = board.qemu else {
        bail!(
            "QEMU has no {}; cargo xtask flash puts firmware onto it, cargo xtask verify --port asks it there",
            board.name
        );
    };
    let mut command = if setpriv() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", board.emulator()]);
        command
    } else {
        Command::new(board.emulator())
    };
    // Boards with Ethernet warn when nothing is plugged in; this reaches nothing either.
    let network = if machine.ethernet {
        "user,restrict=on"
    } else {
        "none"
    };
    command
        .args(["-machine", machine.machine, "-nodefaults", "-nic", network])
        .args(["-display", "none", "-monitor", "none"])
        .args(["-icount", "shift=6"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-kernel")
        .arg(elf);
    if machine.machine == "virt" {
        // Without firmware of QEMU's own, which would lie where the program does.
        command.args(["-bios", "none"]);
    }
    if let Some(property) = machine.without {
        command.args(["-global", property]);
    }
    Ok(command)
}

fn setpriv() -> bool {
    let found = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

fn not_started(board: &Board, error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "{} could not be started ({error}); cargo xtask setup installs it",
        board.emulator()
    )
}
