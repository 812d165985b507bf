//! QEMU's nRF51 takes no bytes before its UART is on, and does not say when it is: the loop that would read them sleeps
//! until something else happens, which may be never.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How often it is woken.
const PAUSE: Duration = Duration::from_millis(50);

/// Goes to the beginning of the monitor's empty line, which prints nothing. (The monitor for people runs in the loop that
/// sleeps, that for programs has a thread of its own.)
const CONTROL_A: u8 = 1;

/// Wakes QEMU's loop for as long as it lives, by a key to its monitor. Virtual time does not notice.
#[derive(Debug)]
pub(super) struct Waker {
    _stop: Sender<()>,
}

impl Waker {
    /// For the QEMU that `command` will start.
    pub(super) fn new(command: &mut Command) -> Result<Waker> {
        let folder = tempfile::tempdir().context("a folder for QEMU's monitor")?;
        let path = folder.path().join("monitor");
        let monitor = UnixListener::bind(&path).context("QEMU's monitor")?;
        monitor.set_nonblocking(true).context("QEMU's monitor")?;
        let chardev = format!("socket,id=monitor,path={}", path.display());
        command
            .args(["-chardev", &chardev])
            .args(["-mon", "chardev=monitor,mode=readline"]);
        let (stop, stopped) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = Vec::new();
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                lines.extend(monitor.accept().map(|(line, _)| line));
                for line in &mut lines {
                    // One that has ended needs no waking.
                    let _ = line.write_all(&[CONTROL_A]);
                }
            }
            drop(folder);
        });
        Ok(Waker { _stop: stop })
    }
}
