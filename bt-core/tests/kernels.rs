//! Which kernels the build script takes, and what it refuses.

#[path = "../build/kernels.rs"]
mod kernels;

use kernels::{Features, Kernels, choose};

const NONE: Features = Features {
    dsp: false,
    helium: false,
    no_fp_registers: false,
};
const DSP: Features = Features { dsp: true, ..NONE };
const HELIUM: Features = Features {
    helium: true,
    ..DSP
};
const NO_REGISTERS: Features = Features {
    no_fp_registers: true,
    ..HELIUM
};

fn chosen(target: &str, features: Features) -> Kernels {
    choose(target, true, features).unwrap()
}

#[test]
fn kernels_follow_the_target_and_what_the_chip_has() {
    for (target, features, sets, fp_registers) in [
        ("thumbv6m-none-eabi", NONE, &["armv6m"][..], false),
        ("thumbv8m.base-none-eabi", NONE, &["armv6m"], false),
        ("thumbv7m-none-eabi", NONE, &["armv7m"], false),
        ("thumbv7em-none-eabihf", NONE, &["armv7em"], true),
        ("thumbv7em-none-eabihf", DSP, &["armv7em"], true),
        ("thumbv7em-none-eabi", NONE, &["armv7em"], false),
        ("thumbv8m.main-none-eabi", NONE, &["armv7m"], false),
        ("thumbv8m.main-none-eabihf", NONE, &["armv7m"], false),
        ("thumbv8m.main-none-eabi", DSP, &["armv7em"], false),
        ("thumbv8m.main-none-eabihf", DSP, &["armv7em"], true),
        (
            "thumbv8m.main-none-eabihf",
            HELIUM,
            &["armv7em", "helium"],
            true,
        ),
        (
            "thumbv8m.main-none-eabi",
            HELIUM,
            &["armv7em", "helium"],
            false,
        ),
        ("riscv32imac-unknown-none-elf", NONE, &["portable"], false),
    ] {
        let found = chosen(target, features);
        assert_eq!(
            (found.sets, found.fp_registers),
            (sets, fp_registers),
            "{target} {features:?}"
        );
        // Helium's registers are the FPU's.
        if features.helium {
            continue;
        }
        let without = Features {
            no_fp_registers: true,
            ..features
        };
        let found = chosen(target, without);
        assert_eq!((found.sets, found.fp_registers), (sets, false), "{target}");
    }
}

/// Stable Rust's targets of Armv8-M know no extension; those of Armv7E-M do.
#[test]
fn the_assembler_is_told_where_the_target_does_not_tell_it() {
    assert!(chosen("thumbv8m.main-none-eabi", DSP).armv8m);
    assert!(!chosen("thumbv8m.main-none-eabi", NONE).armv8m);
    assert!(!chosen("thumbv7em-none-eabi", DSP).armv8m);
}

#[test]
fn what_no_chip_of_the_target_has_is_refused_by_name() {
    for (target, features, feature) in [
        ("thumbv6m-none-eabi", DSP, "dsp"),
        ("thumbv8m.base-none-eabi", DSP, "dsp"),
        ("thumbv7m-none-eabi", DSP, "dsp"),
        ("riscv32imc-unknown-none-elf", DSP, "dsp"),
        ("thumbv8m.main-none-eabihf", NO_REGISTERS, "helium"),
        ("thumbv7em-none-eabihf", HELIUM, "helium"),
        ("thumbv7m-none-eabi", HELIUM, "helium"),
        ("riscv32imac-unknown-none-elf", HELIUM, "helium"),
    ] {
        let error = choose(target, true, features).unwrap_err().to_string();
        assert!(error.contains(&format!("`{feature}`")), "{error}");
        assert!(error.contains(target), "{error}");
    }
}

/// A project's host tests keep the features of its firmware.
#[test]
fn a_host_runs_portable_code() {
    for target in ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin"] {
        assert_eq!(choose(target, false, HELIUM).unwrap().sets, ["portable"]);
    }
}
