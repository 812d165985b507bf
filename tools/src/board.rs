//! The boards that firmware exists for.

use anyhow::{Result, anyhow};

/// One board, as `bt-embed` and QEMU know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Board {
    /// QEMU's name of the machine; `bt-embed`'s feature is `board-` and this.
    pub name: &'static str,
    /// The core, in short, as reports name it.
    pub core: &'static str,
    /// The core's full name.
    pub cpu: &'static str,
    /// Rust's target triple.
    pub target: &'static str,
    /// Cargo's profile: where the inner loops are assembly, small code costs 0.3 % of a frame and
    /// saves 14 KB; elsewhere it costs 8 % and more.
    pub profile: &'static str,
    /// Whether QEMU gives it Ethernet.
    pub ethernet: bool,
    /// What `probe-rs` calls its chip, when it can be bought.
    pub chip: Option<&'static str>,
}

/// Every board.
pub const BOARDS: [Board; 6] = [
    Board {
        name: "microbit",
        core: "m0",
        cpu: "Cortex-M0",
        target: "thumbv6m-none-eabi",
        profile: "firmware",
        ethernet: false,
        chip: Some("nRF51822_xxAA"),
    },
    Board {
        name: "mps2-an385",
        core: "m3",
        cpu: "Cortex-M3",
        target: "thumbv7m-none-eabi",
        profile: "firmware",
        ethernet: true,
        chip: None,
    },
    Board {
        name: "mps2-an386",
        core: "m4f",
        cpu: "Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        profile: "firmware-small",
        ethernet: true,
        chip: None,
    },
    Board {
        name: "mps2-an500",
        core: "m7",
        cpu: "Cortex-M7",
        target: "thumbv7em-none-eabihf",
        profile: "firmware-small",
        ethernet: true,
        chip: None,
    },
    Board {
        name: "mps2-an505",
        core: "m33",
        cpu: "Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        profile: "firmware",
        ethernet: true,
        chip: None,
    },
    Board {
        name: "mps3-an547",
        core: "m55",
        cpu: "Cortex-M55",
        target: "thumbv8m.main-none-eabihf",
        profile: "firmware",
        ethernet: true,
        chip: None,
    },
];

/// The board that commands take when none is named.
pub const DEFAULT: &str = "mps2-an386";

impl Board {
    /// The board of this name.
    ///
    /// # Errors
    ///
    /// Names the boards there are.
    pub fn find(name: &str) -> Result<&'static Board> {
        BOARDS
            .iter()
            .find(|board| board.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
                anyhow!("no board '{name}'; there are {}", names.join(", "))
            })
    }

    /// Name of the board's binary in `bt-embed`.
    pub fn binary(&self) -> String {
        self.name.replace('-', "_")
    }
}
