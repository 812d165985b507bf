//! What the input map gives, less a mean of what it gave before: motion, without a frame to compare with.
//!
//! The map is linear, so W·(x_t − x_{t−1}) = W·x_t − W·x_{t−1}: G·J values are kept, not a frame. With z as
//! the map leaves it, in [`FilterRecord::fraction`] bits of its own,
//!
//! ```text
//! y = z − m      m' = m + round(y / 2^horizon_shift)      z' = saturate(round(y in Q4.11) + bias)
//! ```
//!
//! and m = z at the first step after a reset, of which nothing passes. A difference (horizon_shift 0) keeps
//! the last z, i16; a mean has [`MEAN_BITS`] fraction bits more, i32.

use crate::model::layout::FilterRecord;
use crate::proven::Proven;
use crate::q::{round_shift, saturate};

/// Fraction bits that a mean has more than z.
pub const MEAN_BITS: u32 = 14;

/// Every mean of an i16.
pub const MEAN: core::ops::RangeInclusive<i32> = -(1 << 29)..=(i16::MAX as i32) << MEAN_BITS;

/// Fraction bits of z as cells read it.
const Z_BITS: u32 = 11;

impl FilterRecord {
    /// Words of what is kept of so many values.
    pub const fn words(horizon_shift: u32, values: usize) -> usize {
        if horizon_shift == 0 {
            values.div_ceil(2)
        } else {
            values
        }
    }

    /// Turns z as the map left it into what a cell reads, and takes it over into what is `kept`, the
    /// [`words`](Self::words) of so many values.
    #[inline(never)]
    pub fn apply(&self, z: &mut [i16], kept: &mut [u32], bias: &[i16], is_first: bool) {
        debug_assert_eq!(z.len(), bias.len());
        debug_assert_eq!(kept.len(), Self::words(self.horizon_shift, z.len()));
        if self.horizon_shift == 0 {
            let before: &mut [i16] = bytemuck::cast_slice_mut(kept);
            for ((z, before), &bias) in z.iter_mut().zip(before).zip(bias) {
                let last = if is_first { *z } else { *before };
                *before = *z;
                *z = self.passed((i32::from(*z) - i32::from(last)) << MEAN_BITS, bias);
            }
            return;
        }
        let means: &mut [i32] = bytemuck::cast_slice_mut(kept);
        for ((z, mean), &bias) in z.iter_mut().zip(means).zip(bias) {
            let fine = i32::from(*z) << MEAN_BITS;
            // Both lie in `MEAN`, so their distance fits, and a part of it leads to nowhere beyond.
            let distance = if is_first { 0 } else { fine - *mean };
            *mean = fine - distance + round_shift(distance, self.horizon_shift);
            *z = self.passed(distance, bias);
        }
    }

    /// A distance, below 2³⁰, in Q4.11 with the bias. Half of the last bit, at most 2²⁶, fits beside it.
    #[inline(always)]
    fn passed(&self, distance: i32, bias: i16) -> i16 {
        let bits = self.fraction + MEAN_BITS - Z_BITS;
        saturate(round_shift(distance, bits) + i32::from(bias))
    }

    /// Whether a session can keep such words of so many values.
    pub(crate) fn could_keep(
        &self,
        values: usize,
        mut kept: impl Iterator<Item = u32> + Clone,
    ) -> bool {
        if self.horizon_shift != 0 {
            return kept.all(|mean| MEAN.contains(&(mean as i32)));
        }
        // The half that fills the last word.
        values.is_multiple_of(2) || kept.last().proven().is_some_and(|word| word >> 16 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Noise;
    use std::vec;
    use std::vec::Vec;

    /// Beside i128, which rounds and saturates at the end alone: noise, the ends of the range in turn, and
    /// every format.
    #[test]
    fn passes_what_plain_arithmetic_passes() {
        let mut noise = Noise(11);
        for horizon_shift in 0..=15 {
            for fraction in 0..=24 {
                let record = FilterRecord {
                    horizon_shift,
                    fraction,
                };
                const VALUES: usize = 5;
                let mut kept = vec![0; FilterRecord::words(horizon_shift, VALUES)];
                let mut means = [0i128; VALUES];
                for step in 0..24 {
                    let given: Vec<i16> = (0..VALUES)
                        .map(|at| match (at, step % 5) {
                            (0, 0 | 3) | (1, 1) => i16::MIN,
                            (0, _) | (1, _) => i16::MAX,
                            (2, _) => noise.sample() / 512,
                            _ => noise.sample(),
                        })
                        .collect();
                    let bias: Vec<i16> = (0..VALUES).map(|_| noise.sample()).collect();
                    let mut z = given.clone();
                    record.apply(&mut z, &mut kept, &bias, step == 0);
                    for at in 0..VALUES {
                        let fine = i128::from(given[at]) << 14;
                        if step == 0 {
                            means[at] = fine;
                        }
                        let distance = fine - means[at];
                        let half = |bits: u32| (1i128 << bits) >> 1;
                        let bits = fraction + 3;
                        let passed = ((distance + half(bits)) >> bits) + i128::from(bias[at]);
                        let passed = passed.clamp(-32_768, 32_767) as i16;
                        assert_eq!(z[at], passed, "{record:?}, step {step}, value {at}");
                        means[at] += (distance + half(horizon_shift)) >> horizon_shift;
                        assert!(means[at] >= -(1 << 29) && means[at] <= 32_767 << 14);
                    }
                    assert!(record.could_keep(VALUES, kept.iter().copied()));
                }
            }
        }
    }

    #[test]
    fn what_no_session_keeps_is_known() {
        let record = |horizon_shift| FilterRecord {
            horizon_shift,
            fraction: 11,
        };
        let of =
            |shift, values, words: &[u32]| record(shift).could_keep(values, words.iter().copied());
        assert!(of(0, 3, &[0xFFFF_FFFF, 0x0000_FFFF]));
        assert!(!of(0, 3, &[0, 0x0001_0000]));
        assert!(of(0, 4, &[0, 0x0001_0000]));
        let ends = [(-(1i32 << 29)) as u32, 32_767 << 14];
        assert!(of(2, 2, &ends));
        assert!(!of(2, 2, &[ends[0] - 1, 0]) && !of(2, 2, &[0, ends[1] + 1]));
    }
}
