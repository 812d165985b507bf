//! N(0, 1) in integers: the quantile of a random number, by a table of lines.
//!
//! Of a number n of 32 bits the lowest says the sign and all of it, that bit set, how far out the value lies: the tail
//! beyond it has the probability q = (n | 1) / 2³³. Every octave of q, from (1/4, 1/2) to 2⁻³³ alone, has 8 lines, so
//! that the tails are as good as the middle; 256 lines take 1 KiB, which `build.rs` computes. No value lies beyond
//! ±6.34, and every value is as likely as its negative.
//!
//! An entry is `base · 2^14 + slope`: base, what the line begins with, in eighths of an LSB, slope what it loses to its
//! end in 32nds.

include!(concat!(env!("OUT_DIR"), "/normal_table.rs"));

/// The quantile, Q3.12 in −25,960 ..= 25,960: at most 2.1 LSB, 0.0005, off for every number.
#[inline(always)]
#[must_use]
pub fn normal(number: u32) -> i16 {
    let tail = number | 1;
    let octave = tail.leading_zeros();
    // The top bit is set; the next three name the line, eleven more the place on it.
    let place = tail << octave;
    let line = (octave << 3 | place >> 28 & 7) as usize;
    let entry = NORMAL.get(line).copied().unwrap_or(0);
    let (base, slope) = (entry >> 14, entry & 0x3FFF);
    let at = place >> 17 & 0x7FF;
    let value = ((base << 13) + (1 << 15)).wrapping_sub(slope * at) >> 16;
    let sign = -((number & 1) as i32);
    ((value as i32 ^ sign) - sign) as i16
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    /// Tail of N(0, 1), by another's erfc.
    fn tail(x: f64) -> f64 {
        0.5 * libm::erfc(x / core::f64::consts::SQRT_2)
    }

    /// The quantile of a tail, in LSB of Q3.12, by Newton's method.
    fn quantile(q: f64) -> f64 {
        let density = |x: f64| libm::exp(-x * x / 2.0) / libm::sqrt(core::f64::consts::TAU);
        let mut x: f64 = 0.0;
        for _ in 0..40 {
            // The tail is convex, so that from below it never oversteps.
            x += ((tail(x) - q) / density(x)).min(1.0);
        }
        4096.0 * x
    }

    /// Every place on every line, in the middle and at its ends, beside the quantile in f64.
    #[test]
    fn every_line_is_near_the_quantile() {
        let (mut worst, mut largest) = (0f64, 0);
        for octave in 0..32 {
            for place in 0..1u32 << 14 {
                for low in [0, 1 << 16, (1 << 17) - 1] {
                    let number = (1 << 31 | place << 17 | low) >> octave;
                    if (number | 1).leading_zeros() != octave || place % 7 != 0 {
                        continue;
                    }
                    let exact = quantile(f64::from(number | 1) / 2f64.powi(33));
                    let (even, odd) = (normal(number & !1), normal(number | 1));
                    assert_eq!(even, -odd, "{number}");
                    worst = worst.max((f64::from(odd) + exact).abs());
                    largest = largest.max(odd.unsigned_abs());
                }
            }
        }
        assert!(worst <= 2.1, "{worst}");
        assert_eq!(largest, 25_960);
    }
}
