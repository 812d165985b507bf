//! Chooses the kernels by target and features; computes the tables of the nonlinearities, of
//! the logarithm and of N(0, 1).
//!
//! The tables come from `+ − × ÷` on f64 alone, which IEEE 754 rounds alike
//! everywhere: every host that builds this crate gets the same bits, whatever
//! its C library thinks of `exp`.

#[path = "build/kernels.rs"]
mod kernels;
#[path = "build/normal.rs"]
mod normal;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/kernels.rs");
    println!("cargo::rerun-if-changed=build/normal.rs");
    if let Err(reason) = choose() {
        println!("cargo::error={reason}");
    }

    let directory = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut tables = String::new();
    table(&mut tables, "SIGMOID", 16, 7, sigmoid);
    table(&mut tables, "TANH", 15, 6, tanh);
    fs::write(directory.join("nonlinearity_tables.rs"), tables)?;

    let mut chords = String::from("/// log₂(1 + k/64), Q1.15.\nstatic LOG2: [u16; 65] = [\n");
    for k in 0..=64 {
        let value = 32_768.0 * ln_1p(f64::from(k) / 64.0) / ln_1p(1.0);
        let _ = writeln!(chords, "    {},", value.round());
    }
    chords.push_str("];\n");
    fs::write(directory.join("logarithm_table.rs"), chords)?;
    fs::write(directory.join("normal_table.rs"), normal::table())
}

/// Tells the compiler which kernels to take.
fn choose() -> Result<(), kernels::Refused> {
    println!(
        "cargo::rustc-check-cfg=cfg(bt_kernel, values(\"portable\", \"armv6m\", \"armv7m\", \"armv7em\", \"helium\"))"
    );
    println!("cargo::rustc-check-cfg=cfg(bt_fp_registers, bt_armv8m)");
    let variable = |name| env::var(name).unwrap_or_default();
    let feature = |name| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let kernels = kernels::choose(
        &variable("TARGET"),
        variable("CARGO_CFG_TARGET_OS") == "none",
        kernels::Features {
            dsp: feature("DSP"),
            helium: feature("HELIUM"),
            no_fp_registers: feature("NO_FP_REGISTERS"),
        },
    )?;
    for set in kernels.sets {
        println!("cargo::rustc-cfg=bt_kernel=\"{set}\"");
    }
    if kernels.fp_registers {
        println!("cargo::rustc-cfg=bt_fp_registers");
    }
    if kernels.armv8m {
        println!("cargo::rustc-cfg=bt_armv8m");
    }
    Ok(())
}

/// One table of lines for inputs of `input_bits` bits in Q4.11, a line every
/// 2^`segment_bits` inputs, indexed by the input's top bits *as an unsigned
/// number*: entry 0 holds the line from 0 up, the last one the line below 0.
fn table(
    source: &mut String,
    name: &str,
    input_bits: u32,
    segment_bits: u32,
    f: impl Fn(f64) -> f64,
) {
    let segments = 1i32 << (input_bits - segment_bits);
    let sign_bits = 32 - input_bits;
    let _ = writeln!(source, "pub(crate) static {name}: [i32; {segments}] = [");
    for segment in 0..segments {
        let first = (segment << segment_bits << sign_bits) >> sign_bits;
        let line = fit(first, 1 << segment_bits, &f);
        let _ = writeln!(source, "    {line},");
    }
    let _ = writeln!(source, "];");
}

/// The best line over inputs `first .. first + count`.
///
/// An entry is `base·2^16 + slope`, slope in the low half, and is used as
/// `(entry + slope·d) >> 16` with d = (input · 32) mod 2^16 as an i16: the
/// addend's low half is the slope itself, a known fraction that the search
/// below accounts for. So one load and one SMLABB give the value, in the top
/// half of a register.
///
/// d may also stand between two inputs (the cell's tanh does that), so the
/// search looks at five places an input: the least error over all of them
/// wins, as long as the inputs themselves stay within [`ERROR_AT_INPUTS`].
fn fit(first: i32, count: i32, f: &impl Fn(f64) -> f64) -> i32 {
    let places: Vec<(i32, f64, bool)> = (first..first + count)
        .flat_map(|z| [0, 8, 16, 24, 31].map(|between| (z, between)))
        .map(|(z, between)| {
            let d = i32::from((z << 5) as i16) + between;
            let x = (f64::from(z) + f64::from(between) / 32.0) / 2048.0;
            (d, 32_768.0 * f(x), between == 0)
        })
        .collect();
    let (d_first, start, _) = places[0];
    let (d_last, end, _) = places[places.len() - 1];
    let chord = ((end - start) / f64::from(d_last - d_first) * 65_536.0) as i32;

    let mut best = (f64::INFINITY, 0);
    for slope in (chord - 40).max(0)..=(chord + 40).min(32_767) {
        let (mut at_inputs, mut anywhere) = (Errors::default(), Errors::default());
        for &(d, ideal, is_input) in &places {
            let error = f64::from((slope + slope * d) >> 16) - ideal;
            anywhere.add(error);
            if is_input {
                at_inputs.add(error);
            }
        }
        let middle = -((anywhere.low + anywhere.high) / 2.0).round() as i32;
        for base in middle - 1..=middle + 1 {
            let least = ((slope + slope * d_first) >> 16) + base;
            let most = ((slope + slope * d_last) >> 16) + base;
            if least < -32_768 || most > 32_767 {
                continue;
            }
            let excess = (at_inputs.largest(base) - ERROR_AT_INPUTS).max(0.0);
            let cost = anywhere.largest(base) + 100.0 * excess;
            if cost < best.0 {
                best = (cost, base.wrapping_shl(16) + slope);
            }
        }
    }
    best.1
}

/// LSB of Q0.15; the tests assert it for each function.
const ERROR_AT_INPUTS: f64 = 1.99;

struct Errors {
    low: f64,
    high: f64,
}

impl Default for Errors {
    fn default() -> Errors {
        Errors {
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }
}

impl Errors {
    fn add(&mut self, error: f64) {
        self.low = self.low.min(error);
        self.high = self.high.max(error);
    }

    fn largest(&self, base: i32) -> f64 {
        (self.high + f64::from(base)).max(-(self.low + f64::from(base)))
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

fn tanh(x: f64) -> f64 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// e^x for |x| ≤ 32, relative error < 10⁻¹²: Taylor's series of x/1024,
/// squared ten times.
pub(crate) fn exp(x: f64) -> f64 {
    let x = x / 1024.0;
    let mut sum = 1.0;
    for k in (1..=10).rev() {
        sum = 1.0 + sum * x / f64::from(k);
    }
    for _ in 0..10 {
        sum *= sum;
    }
    sum
}

/// ln(1 + x) for 0 ≤ x ≤ 1: 2·artanh(x/(2 + x)), whose argument is at most 1/3.
fn ln_1p(x: f64) -> f64 {
    let t = x / (2.0 + x);
    let mut sum = 0.0;
    for k in (0..20).rev() {
        sum = sum * t * t + 1.0 / f64::from(2 * k + 1);
    }
    2.0 * t * sum
}
