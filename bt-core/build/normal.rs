//! The quantile of N(0, 1) as lines; `src/normal.rs` says what an entry is.

use std::fmt::Write as _;

use super::exp;

/// Lines of an octave.
const LINES: usize = 8;

/// Source of the table.
pub fn table() -> String {
    let mut source = String::from("static NORMAL: [u32; 256] = [\n");
    let mut above = 0.0;
    for octave in 0..32 {
        // From the middle out: an octave's upper end is the lower one of that before it.
        let ends: Vec<f64> = (0..=4 * LINES)
            .map(|k| {
                let place = 1.0 + k as f64 / (4 * LINES) as f64;
                quantile(place / 2f64.powi(octave + 2), above)
            })
            .collect();
        above = ends[0];
        for line in ends.windows(5).step_by(4) {
            let _ = writeln!(source, "    {},", entry(line));
        }
    }
    source.push_str("];\n");
    source
}

/// The chord of a line's quantiles at its quarters, moved to the middle of what lies below it. A place stands for the
/// middle of its stretch, of which there are 2048.
fn entry(line: &[f64]) -> u32 {
    let (first, last) = (line[0], line[line.len() - 1]);
    let slope = (4096.0 * (first - last) * 32.0).round();
    let mut below: f64 = 0.0;
    for (k, x) in line.iter().enumerate() {
        let chord = first + (last - first) * k as f64 / (line.len() - 1) as f64;
        below = below.max(chord - x);
    }
    let start = 4096.0 * (first - below / 2.0) - slope / 32.0 / 4096.0;
    ((8.0 * start).round() as u32) << 14 | slope as u32
}

/// x whose tail is q, at least `from`: Newton's method from below, where the tail is convex.
fn quantile(q: f64, from: f64) -> f64 {
    let mut x = from;
    for _ in 0..100 {
        let step = (tail(x) - q) / density(x);
        // At the end rounding takes turns.
        if step <= 1e-15 {
            break;
        }
        x += step.min(0.5);
    }
    x
}

/// Tail of N(0, 1) beyond x ≥ 0.
fn tail(x: f64) -> f64 {
    if x < 2.5 {
        // 1/2 less x + x³/3 + x⁵/(3·5) + …, times the density.
        let (mut term, mut sum) = (x, x);
        for k in 1..60 {
            term *= x * x / f64::from(2 * k + 1);
            sum += term;
        }
        return 0.5 - density(x) * sum;
    }
    // Laplace's continued fraction.
    let fraction = (1..200).rev().fold(x, |below, k| x + f64::from(k) / below);
    density(x) / fraction
}

fn density(x: f64) -> f64 {
    const ROOT_OF_TAU: f64 = 2.506_628_274_631_000_5;
    exp(-x * x / 2.0) / ROOT_OF_TAU
}
