//! Which kernels a build takes: by target, and by features where the target does not tell.
//!
//! Stable Rust names neither the DSP extension nor Helium for Armv8-M, so that whoever knows the chip, the
//! firmware, says it by a feature. A feature that the target cannot have is refused. A host runs portable
//! code whatever is said of the chip, with the same bits.

/// What the firmware says of its chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// The DSP extension.
    pub dsp: bool,
    /// The M-profile vector extension; `dsp` comes with it.
    pub helium: bool,
    /// The registers of the FPU are left alone.
    pub no_fp_registers: bool,
}

/// What the compiler is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernels {
    /// Values of the cfg `bt_kernel`. Helium's come beside those of the DSP extension, which do what it does
    /// not speed up.
    pub sets: &'static [&'static str],
    /// Contractions keep weights in the registers of the FPU.
    pub fp_registers: bool,
    /// The assembler must be told of the extensions.
    pub armv8m: bool,
}

/// A feature that a target cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    feature: &'static str,
    target: String,
    needs: &'static str,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Refused {
            feature,
            target,
            needs,
        } = self;
        write!(
            f,
            "feature `{feature}` of bt-core on {target}: only {needs} can have it; \
             leave the feature out or choose the chip's target"
        )
    }
}

/// The kernels for a target triple; `device`: it has no operating system.
///
/// # Errors
///
/// A feature that no chip of this target has.
pub fn choose(target: &str, device: bool, features: Features) -> Result<Kernels, Refused> {
    let architecture = target.split('-').next().unwrap_or_default();
    let armv8m = architecture == "thumbv8m.main";
    let refused = |feature, needs| {
        Err(Refused {
            feature,
            target: target.to_owned(),
            needs,
        })
    };
    if device && features.helium && !armv8m {
        return refused("helium", "thumbv8m.main (Cortex-M52, M55, M85)");
    }
    if device && features.helium && features.no_fp_registers {
        return refused(
            "helium",
            "builds without `no-fp-registers` (Helium's registers are the FPU's)",
        );
    }
    if device && features.dsp && !armv8m && architecture != "thumbv7em" {
        return refused(
            "dsp",
            "thumbv7em and thumbv8m.main (Cortex-M4, M7, M33, M55)",
        );
    }
    let sets: &[_] = match architecture {
        "thumbv6m" | "thumbv8m.base" => &["armv6m"],
        "thumbv8m.main" if features.helium => &["armv7em", "helium"],
        "thumbv8m.main" if features.dsp => &["armv7em"],
        "thumbv7em" => &["armv7em"],
        "thumbv7m" | "thumbv8m.main" => &["armv7m"],
        _ => &["portable"],
    };
    let is_dsp = sets.contains(&"armv7em");
    Ok(Kernels {
        sets,
        fp_registers: is_dsp && target.ends_with("hf") && !features.no_fp_registers,
        armv8m: is_dsp && armv8m,
    })
}
