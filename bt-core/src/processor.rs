//! Whether the processor has what this build takes for granted.
//!
//! The kernels are chosen when a program is built. On a chip without their instructions they end in a fault
//! that does not say why; the registers by which an Arm processor tells what it is do.

#[cfg(bt_fp_registers)]
mod canary;

/// Whether the kernels of this build keep values in the registers of the floating-point unit.
pub const HOLDS_FP_REGISTERS: bool = cfg!(bt_fp_registers);

/// What a processor lacks that the kernels of this build need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProcessorError {
    /// It has no DSP extension.
    NoDsp,
    /// It has no floating-point unit.
    NoFpu,
    /// It has no vector extension for integers.
    NoHelium,
    /// The registers of its floating-point unit are switched off (CPACR).
    FpuOff,
    /// Registers of its floating-point unit had other values after interrupts.
    RegistersLost {
        /// Of s0 to s31.
        count: u32,
    },
}

impl core::fmt::Display for ProcessorError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let text = match self {
            Self::NoDsp => {
                "this processor has no DSP extension: build bt-core without its feature `dsp`, for thumbv7m or thumbv8m.main"
            }
            Self::NoFpu => {
                "this processor has no floating-point unit: build for a target without `hf`, or bt-core with its feature `no-fp-registers`"
            }
            Self::NoHelium => {
                "this processor has no Helium: build bt-core with its feature `dsp` instead of `helium`"
            }
            Self::FpuOff => {
                "the floating-point registers are switched off: set bits 20 to 23 of CPACR before, or build bt-core with its feature `no-fp-registers`"
            }
            Self::RegistersLost { count } => {
                return write!(
                    f,
                    "an interrupt or a switch of tasks changed {count} of the floating-point registers: its handler or the RTOS must save them (docs/interrupts.md), or build bt-core with its feature `no-fp-registers`"
                );
            }
        };
        f.write_str(text)
    }
}

impl core::error::Error for ProcessorError {}

/// Checks that this processor can run the kernels of this build; to be called once, before the first session.
///
/// It reads registers of the System Control Space, so the caller is privileged: on a Cortex-M a task of an RTOS
/// that is not gets a fault instead. Builds that need no extension read nothing.
///
/// # Errors
///
/// What is missing, and how to build for this processor.
///
/// ```
/// // Every host will do.
/// assert_eq!(bt_core::check_processor(), Ok(()));
/// ```
pub fn check_processor() -> Result<(), ProcessorError> {
    #[cfg(bt_kernel = "armv7em")]
    {
        NEEDS.of(&registers::read())
    }
    #[cfg(not(bt_kernel = "armv7em"))]
    Ok(())
}

/// Checks that interrupts leave the registers of the floating-point unit alone, which kernels hold weights in:
/// a handler or an RTOS that does not gives wrong scores otherwise, without a word.
///
/// For a test of a board, with all interrupts and tasks running as in the product: it fills s0 to s31, waits
/// `rounds` rounds of two instructions, some periods of the slowest interrupt, and compares. After
/// [`check_processor`], or it may end in a fault. Builds that leave these registers alone have nothing to check.
///
/// # Errors
///
/// [`ProcessorError::RegistersLost`].
///
/// ```
/// assert_eq!(bt_core::health::check_interrupts(1_000), Ok(()));
/// ```
pub fn check_interrupts(rounds: u32) -> Result<(), ProcessorError> {
    #[cfg(bt_fp_registers)]
    let count = canary::changed(rounds);
    #[cfg(not(bt_fp_registers))]
    let count = {
        // Nothing is waited for.
        let _ = rounds;
        0
    };
    match count {
        0 => Ok(()),
        count => Err(ProcessorError::RegistersLost { count }),
    }
}

/// What the kernels need.
#[cfg(any(bt_kernel = "armv7em", test))]
struct Needs {
    dsp: bool,
    helium: bool,
    fp_registers: bool,
}

#[cfg(bt_kernel = "armv7em")]
const NEEDS: Needs = Needs {
    dsp: true,
    helium: cfg!(bt_kernel = "helium"),
    fp_registers: cfg!(bt_fp_registers),
};

/// What the processor says of itself.
#[cfg(any(bt_kernel = "armv7em", test))]
struct Registers {
    /// Bits 4 to 15: the part number.
    cpuid: u32,
    /// Instruction set attributes; bits 4 to 7: 3 with the DSP extension.
    id_isar3: u32,
    /// Floating-point features; bits 4 to 7: 2 with single precision.
    mvfr0: u32,
    /// Bits 8 to 11: 1 with vectors of integers, 2 with those of floats too.
    mvfr1: u32,
    /// Bits 20 to 23: access to coprocessors 10 and 11, the floating-point and vector registers.
    cpacr: u32,
}

#[cfg(any(bt_kernel = "armv7em", test))]
impl Needs {
    fn of(&self, registers: &Registers) -> Result<(), ProcessorError> {
        let field = |register: u32, first: u32| register >> first & 0xF;
        // Every Cortex-M4 has it, whatever QEMU's says of itself.
        let is_m4 = registers.cpuid >> 4 & 0xFFF == 0xC24;
        if self.dsp && !is_m4 && field(registers.id_isar3, 4) < 3 {
            return Err(ProcessorError::NoDsp);
        }
        if self.helium && field(registers.mvfr1, 8) == 0 {
            return Err(ProcessorError::NoHelium);
        }
        // A processor with Helium has its registers, with or without floats.
        if self.fp_registers && !self.helium && field(registers.mvfr0, 4) == 0 {
            return Err(ProcessorError::NoFpu);
        }
        if (self.fp_registers || self.helium) && field(registers.cpacr, 20) != 0xF {
            return Err(ProcessorError::FpuOff);
        }
        Ok(())
    }
}

/// The System Control Space of Armv7-M and Armv8-M Mainline.
#[cfg(bt_kernel = "armv7em")]
#[allow(unsafe_code)]
mod registers {
    use core::ptr::{read_volatile, with_exposed_provenance};

    use super::Registers;

    pub(super) fn read() -> Registers {
        // SAFETY: the architecture has these five registers at these addresses, words that can be read
        // without any effect; what an unprivileged read does is a fault.
        let register = |address: usize| unsafe { read_volatile(with_exposed_provenance(address)) };
        Registers {
            cpuid: register(0xE000_ED00),
            id_isar3: register(0xE000_ED6C),
            mvfr0: register(0xE000_EF40),
            mvfr1: register(0xE000_EF44),
            cpacr: register(0xE000_ED88),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the technical reference manuals have them, the FPU switched on.
    const M3: Registers = Registers {
        cpuid: 0x412F_C231,
        id_isar3: 0x0111_1110,
        mvfr0: 0,
        mvfr1: 0,
        cpacr: 0,
    };
    const M4: Registers = Registers {
        cpuid: 0x410F_C241,
        id_isar3: 0x0111_1131,
        ..M3
    };
    const M4F: Registers = Registers {
        mvfr0: 0x1011_0021,
        mvfr1: 0x1100_0011,
        cpacr: 0xF << 20,
        ..M4
    };
    /// What QEMU 7.2 says.
    const M4_EMULATED: Registers = Registers {
        id_isar3: 0x0111_1110,
        ..M4F
    };
    const M55: Registers = Registers {
        cpuid: 0x410F_D220,
        mvfr0: 0x1011_0221,
        mvfr1: 0x1210_0211,
        ..M4F
    };

    const PLAIN: Needs = Needs {
        dsp: true,
        helium: false,
        fp_registers: false,
    };
    const WITH_FP: Needs = Needs {
        fp_registers: true,
        ..PLAIN
    };
    const WITH_HELIUM: Needs = Needs {
        helium: true,
        ..PLAIN
    };

    #[test]
    fn a_processor_is_taken_for_what_it_is() {
        use ProcessorError::*;
        for (needs, registers, found) in [
            (PLAIN, &M3, Err(NoDsp)),
            (PLAIN, &M4, Ok(())),
            (PLAIN, &M4F, Ok(())),
            (WITH_FP, &M4_EMULATED, Ok(())),
            (WITH_FP, &M3, Err(NoDsp)),
            (WITH_FP, &M4, Err(NoFpu)),
            (WITH_FP, &M4F, Ok(())),
            (WITH_FP, &M55, Ok(())),
            (WITH_HELIUM, &M4F, Err(NoHelium)),
            (WITH_HELIUM, &M55, Ok(())),
        ] {
            assert_eq!(needs.of(registers), found);
        }
    }

    #[test]
    fn registers_that_are_switched_off_are_seen() {
        for cpacr in [0, 0x3 << 20, 0xC << 20, 0x5 << 20, !(0xF << 20)] {
            let off = Registers { cpacr, ..M55 };
            assert_eq!(WITH_FP.of(&off), Err(ProcessorError::FpuOff));
            assert_eq!(WITH_HELIUM.of(&off), Err(ProcessorError::FpuOff));
            assert_eq!(PLAIN.of(&off), Ok(()));
        }
    }
}
