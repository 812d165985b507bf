//! What commands are told about the device: its core, its RAM and its flash.

use crate::command::units::bytes;
use crate::plan::cost::Core;
use crate::plan::search::Limits;
use clap::ValueEnum;
use serde::Serialize;

/// Cores that commands know by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CoreName {
    /// Cortex-M0 and M0+
    M0,
    /// Cortex-M3
    M3,
    /// Cortex-M4 with FPU
    M4f,
    /// Cortex-M7: as m4f, whose kernels it runs
    M7,
    /// Cortex-M33: as m3, whose kernels it gets today
    M33,
    /// Cortex-M55: as m3, whose kernels it gets today
    M55,
}

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
        match self.core {
            CoreName::M0 => Core::M0,
            CoreName::M3 | CoreName::M33 | CoreName::M55 => Core::M3,
            CoreName::M4f | CoreName::M7 => Core::M4f,
        }
    }
}

/// What plans must keep to, and the core that they are for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DeviceArgs {
    /// RAM that a session may take: 10K, 10KB, 10KiB or 10240 [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    ram: Option<usize>,
    /// Flash that both maps may take, written likewise [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    flash: Option<usize>,
    #[command(flatten)]
    core: CoreArg,
}

impl DeviceArgs {
    /// The core by the name that was given.
    pub fn core(&self) -> CoreName {
        self.core.core
    }

    /// The same for the search of plans.
    pub fn limits(&self) -> Limits {
        Limits {
            ram_bytes: self.ram,
            flash_bytes: self.flash,
            core: self.core.kernels(),
        }
    }
}
