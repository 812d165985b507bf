//! Cycles of what the kernels do, about, by the processors' timing tables.
//!
//! Inner loops are counted instruction by instruction; all other instructions have a mean, weighed by what they are
//! in the paper's frame (endings of tiles, gathering, compiled code). Weights come from flash, which gives
//! [`FLASH_LINE_BYTES`] at once after so many wait states. Not modelled: instruction fetches (a cache, or a flash
//! that fetches ahead of time, is taken for granted), data caches, other bus masters, interrupts, and operands that
//! an instruction has to wait for elsewhere than in the inner loops.

use super::kernels::Kernels;

/// Bytes that a flash delivers at once.
pub const FLASH_LINE_BYTES: u64 = 16;

/// Processors by the name that commands know.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Processor {
    /// Cortex-M0 and M0+
    M0,
    /// Cortex-M3
    M3,
    /// Cortex-M4 without FPU, and whatever leaves its registers alone
    M4,
    /// Cortex-M4 with FPU
    M4f,
    /// Cortex-M7: as m4f, whose kernels it runs
    M7,
    /// Cortex-M33 with DSP extension and FPU: as m4f (without FPU: m4; without both: m3)
    M33,
    /// Cortex-M55, by Helium: rows of whole vectors
    M55,
    /// RISC-V, RV32IM
    Rv32,
}

/// Cycles of one processor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Of one k pair of a tile.
    pub pair: f64,
    /// Of two values times two rows of a dense map.
    pub dense_pair: f64,
    /// Of a block of four rows of bytes of a dense map: 64 multiply-accumulates.
    pub byte_block: f64,
    /// Of an instruction elsewhere.
    pub other: f64,
    /// Where they come from.
    pub source: &'static str,
}

impl Processor {
    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map_or(String::new(), |value| value.get_name().to_owned())
    }

    /// The kernels that it runs.
    pub fn kernels(self) -> Kernels {
        match self {
            Self::M0 => Kernels::M0,
            Self::M3 => Kernels::M3,
            Self::M4 => Kernels::M4,
            Self::Rv32 => Kernels::Rv32,
            Self::M4f | Self::M7 | Self::M33 => Kernels::M4f,
            Self::M55 => Kernels::M55,
        }
    }

    /// Its timing.
    ///
    /// M4, by its manual: LDM, LDRD and VLDM of n words n + 1, VMOV of two registers 2, SMLAD, SMLALD and the rest 1,
    /// a branch or LDR PC 2 to 4 more: 46 for three pairs, 22 for 16 products of a dense map, 37 for an ending of 18
    /// instructions, 7 for the 5 that gather four bytes. M3: loads 2, MLA 2. M0: loads 2, MULS 1 (32-cycle multipliers exist).
    pub fn timing(self) -> Timing {
        let m4f = Timing {
            pair: 46.0 / 3.0,
            dense_pair: 6.0,
            byte_block: 630.0,
            other: 1.9,
            source: "Arm's manual",
        };
        match self {
            Self::M0 => Timing {
                pair: 75.0,
                dense_pair: 40.0,
                byte_block: 1150.0,
                other: 1.4,
                source: "Arm's manual",
            },
            Self::M3 => Timing {
                pair: 52.0,
                dense_pair: 30.0,
                byte_block: 700.0,
                other: 1.6,
                source: "Arm's manual",
            },
            Self::M4 => Timing { pair: 17.0, ..m4f },
            Self::M4f => m4f,
            Self::M7 => Timing {
                pair: 12.0,
                dense_pair: 4.5,
                byte_block: 450.0,
                other: 1.0,
                source: "LLVM's model; Arm publishes no table",
            },
            Self::M33 => Timing {
                source: "the M4's; Arm publishes no table",
                ..m4f
            },
            // A product of vectors and a load of one 2 each, most loads beside products.
            Self::M55 => Timing {
                pair: 5.0,
                dense_pair: 1.6,
                byte_block: 21.0,
                other: 1.9,
                source: "two a vector product; Arm publishes no table",
            },
            Self::Rv32 => Timing {
                pair: 53.0,
                dense_pair: 27.0,
                byte_block: 600.0,
                other: 1.0,
                source: "one an instruction; cores differ",
            },
        }
    }
}

impl Timing {
    /// Cycles of so many instructions, of which the inner loops did the multiply-accumulates of `inner_loops`.
    pub fn cycles(
        &self,
        instructions: u64,
        inner_loops: &InnerLoops,
        kernels: Kernels,
        wait_states: u32,
    ) -> u64 {
        let counts = kernels.counts();
        let (pairs, dense_pairs, blocks) = (
            inner_loops.program_macs as f64 / 16.0,
            inner_loops.dense_macs as f64 / 4.0,
            inner_loops.byte_macs as f64 / 64.0,
        );
        let pair = counts.vectors.map_or(counts.pair, |v| v.vector / 4.0);
        let inner = pairs * pair + dense_pairs * counts.dense_pair + blocks * counts.byte_block;
        let other = (instructions as f64 - inner).max(0.0);
        let lines = (inner_loops.weight_bytes / FLASH_LINE_BYTES) as f64;
        let cycles = other * self.other
            + pairs * self.pair
            + dense_pairs * self.dense_pair
            + blocks * self.byte_block
            + lines * f64::from(wait_states);
        cycles.round() as u64
    }
}

/// What the inner loops do: padded multiply-accumulates, and bytes of weights that they read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InnerLoops {
    /// Of programs.
    pub program_macs: u64,
    /// Of dense maps.
    pub dense_macs: u64,
    /// Of dense maps of rows of bytes.
    pub byte_macs: u64,
    /// Weights read from flash.
    pub weight_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn the_list_of_kernels_has_those_of_every_processor() {
        for processor in Processor::value_variants() {
            let kernels = processor.kernels();
            assert!(Kernels::ALL.contains(&kernels), "{kernels:?}");
        }
    }
}
