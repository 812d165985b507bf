//! A serial port of the host: a terminal device, set by `stty` as every Unix has it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Bits a second of every board's line.
const BAUD: &str = "115200";

/// An open port: raw bytes, and reads that give up after 0.1 s.
#[derive(Debug)]
pub struct Port(File);

impl Port {
    /// Opens a port.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is no terminal device.
    pub fn open(path: &Path) -> Result<Port> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.with_context(|| path.display().to_string())?;
        let device = if cfg!(target_os = "macos") {
            "-f"
        } else {
            "-F"
        };
        let output = Command::new("stty")
            .arg(device)
            .arg(path)
            .args([BAUD, "raw", "-echo", "min", "0", "time", "1"])
            .stdin(Stdio::null())
            .output()
            .context("stty could not be started")?;
        if !output.status.success() {
            bail!(
                "{}: is no serial port: {}",
                path.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(Port(file))
    }
}

impl Read for Port {
    /// Nothing within the time that the port waits is `WouldBlock`, not an end.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.0.read(bytes)? {
            0 if !bytes.is_empty() => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
