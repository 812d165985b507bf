//! What programs that search for faults are built for: this machine, or addresses as narrow as a device's.

use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;

/// Bits of an address.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Bits {
    /// As on a device.
    #[value(name = "32")]
    Narrow,
    /// As on this machine.
    #[value(name = "64")]
    Here,
}

impl Bits {
    /// The target that programs of so many bits are built for.
    ///
    /// # Errors
    ///
    /// The compiler does not tell what it is for.
    pub fn target(self) -> Result<String> {
        match self {
            Self::Narrow => Ok(setup::GNU_32_BIT.to_owned()),
            Self::Here => host(),
        }
    }
}

/// The target that programs for this machine are built for.
fn host() -> Result<String> {
    let rustc = Command::new("rustc").arg("-vV").output();
    let text = String::from_utf8(rustc.context("rustc could not be started")?.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}
