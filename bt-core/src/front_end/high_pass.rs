//! The high-pass in front of everything: what is constant in the samples is
//! taken off them, exactly and from the first one on.
//!
//! y = x − m, where m follows x, m += (x − m)·2^−shift, and starts at the first
//! sample. So a stream begins with y = 0 whatever offset it has, and a constant
//! added to all samples moves m by that constant and changes no bit of y.
//!
//! No overflow: m (15 fraction bits) lies between the least and the largest
//! sample so far, within ±2³⁰, so x − m stays within ±(2³¹ − 2¹⁵) and its
//! rounding term within an i32. y can exceed 16 bits only where a sample lies
//! more than 32,767 off m, and saturates there.

use core::num::NonZeroU8;

use crate::q::saturate;

/// Fraction bits of m.
const FRACTION_BITS: u32 = 15;
/// Half an LSB of the samples.
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// The sample rate over this is what 2^shift may reach.
const HERTZ: u32 = 500;
/// Beyond this m would stop further than 1/32 of an LSB from its mark.
const SHIFT_MAX: u32 = 10;

/// The filter; its state is a word of the caller's, 0 before the first sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct HighPass {
    /// Not 0, so that an `Option` takes no room of its own.
    shift: NonZeroU8,
}

impl HighPass {
    /// With its corner (−3 dB) at rate/(2π·2^shift), which is 80 to 160 Hz for
    /// sample rates from 1 to 512 kHz.
    ///
    /// So high because it costs spoken digits nothing and takes the tail of a
    /// plop out of the bands: with corners of 20, 40 and 80 Hz 95.8, 96.1 and
    /// 95.9 % of clean ones were right, at a tenth of the level under a plop of
    /// 20,000 that takes 30 ms to fall to 1/e 89.3, 89.9 and 91.5 % (three folds
    /// of the training part, two seeds).
    pub(super) fn new(sample_rate_hz: u32) -> HighPass {
        let shift = (sample_rate_hz / HERTZ).max(2).ilog2().min(SHIFT_MAX);
        HighPass {
            shift: NonZeroU8::new(shift as u8).unwrap_or(NonZeroU8::MIN),
        }
    }

    /// Goes on from `state`, which a stream's first sample sets.
    #[inline(always)]
    pub(super) fn following(self, state: u32, first: i16) -> Following {
        let mean = match state {
            0 => i32::from(first) << FRACTION_BITS,
            state => (state ^ START) as i32,
        };
        Following {
            mean,
            // Known to be in range, it is not masked at every sample.
            shift: u32::from(self.shift.get()) & 31,
        }
    }

    /// Whether a filter can have left this state: none yet, or a mean of samples.
    pub(super) fn could_save(state: u32) -> bool {
        let (low, high) = (i32::from(i16::MIN), i32::from(i16::MAX));
        let means = low << FRACTION_BITS..=high << FRACTION_BITS;
        state == 0 || means.contains(&((state ^ START) as i32))
    }

    /// The sample that the filter turns into 0, now and again and again; 0
    /// before the first sample.
    pub(super) fn silence(state: u32) -> i16 {
        match state {
            0 => 0,
            state => saturate((((state ^ START) as i32).wrapping_add(HALF - 1)) >> FRACTION_BITS),
        }
    }
}

/// What a state is told apart from «no sample yet» by: ±2³⁰ never becomes 0.
const START: u32 = 1 << 31;

/// A filter at work.
pub(super) struct Following {
    /// m, Q15.
    mean: i32,
    shift: u32,
}

impl Following {
    /// The next sample less what m says, rounded.
    #[inline(always)]
    pub(super) fn next(&mut self, sample: i16) -> i16 {
        // A state that no filter wrote may wrap; it finds its way back.
        let above = (i32::from(sample) << FRACTION_BITS).wrapping_sub(self.mean);
        self.mean = self.mean.wrapping_add(above >> self.shift);
        saturate(above.wrapping_add(HALF) >> FRACTION_BITS)
    }

    /// For the next piece.
    #[inline(always)]
    pub(super) fn state(&self) -> u32 {
        self.mean as u32 ^ START
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Noise;

    /// The same filter in f64, from its formula: y, before rounding, saturated.
    fn reference(shift: u32, pcm: &[i16]) -> Vec<f64> {
        let mut mean = f64::from(pcm[0]);
        let next = |&sample: &i16| {
            let above = f64::from(sample) - mean;
            mean += above / f64::from(1u32 << shift);
            above.clamp(-32_768.0, 32_767.0)
        };
        pcm.iter().map(next).collect()
    }

    fn filtered(high_pass: HighPass, state: &mut u32, pcm: &[i16]) -> Vec<i16> {
        let mut following = high_pass.following(*state, pcm[0]);
        let y = pcm.iter().map(|&sample| following.next(sample)).collect();
        *state = following.state();
        y
    }

    fn noise(bits: u32, length: usize) -> Vec<i16> {
        let mut noise = Noise(3);
        let next = || noise.sample() >> (16 - bits);
        core::iter::repeat_with(next).take(length).collect()
    }

    /// Everything that drives m to its ends and y beyond 16 bits among it.
    fn signals() -> Vec<Vec<i16>> {
        let square = |period: usize| {
            (0..20_000)
                .map(|n| [i16::MIN, i16::MAX][n / period % 2])
                .collect()
        };
        vec![
            noise(16, 20_000),
            noise(3, 20_000),
            vec![i16::MIN; 20_000],
            square(1),
            square(3),
            square(5_000),
        ]
    }

    /// Half an LSB for the rounding of y, and what rounding m down at every
    /// sample adds up to: 2^shift of its 2⁻¹⁵.
    #[test]
    fn follows_the_f64_filter() {
        for sample_rate_hz in [1_000, 8_000, 16_000, 48_000, u32::MAX] {
            let high_pass = HighPass::new(sample_rate_hz);
            let shift = high_pass.shift.get().into();
            let bound = 0.5 + f64::from((1u32 << shift) + 1) / 32_768.0;
            for pcm in signals() {
                let found = filtered(high_pass, &mut 0, &pcm);
                let expected = reference(shift, &pcm);
                for (&found, expected) in found.iter().zip(expected) {
                    let error = (f64::from(found) - expected).abs();
                    assert!(error <= bound, "{sample_rate_hz}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_corner_lies_where_the_docs_say() {
        for sample_rate_hz in (1_000..=512_000).step_by(250) {
            let shift = HighPass::new(sample_rate_hz).shift.get();
            let corner =
                f64::from(sample_rate_hz) / (core::f64::consts::TAU * f64::from(1u32 << shift));
            assert!(
                (79.0..160.0).contains(&corner),
                "{sample_rate_hz}: {corner}"
            );
        }
    }

    #[test]
    fn an_offset_changes_no_bit() {
        let high_pass = HighPass::new(8_000);
        let pcm = noise(12, 3_000);
        let plain = filtered(high_pass, &mut 0, &pcm);
        assert_eq!(plain[0], 0);
        for offset in [-30_720, -500, 1, 77, 30_720] {
            let shifted: Vec<i16> = pcm.iter().map(|&sample| sample + offset).collect();
            assert_eq!(filtered(high_pass, &mut 0, &shifted), plain, "{offset}");
        }
    }

    /// At any place of any stream, and however much of it follows.
    #[test]
    fn silence_becomes_zeros() {
        let high_pass = HighPass::new(8_000);
        assert_eq!(HighPass::silence(0), 0);
        for pcm in signals() {
            let mut state = 0;
            for piece in pcm.chunks(61) {
                filtered(high_pass, &mut state, piece);
                let silence = HighPass::silence(state);
                let y = filtered(high_pass, &mut state.clone(), &[silence; 300]);
                assert_eq!(y, [0; 300]);
            }
        }
    }

    /// m finds its way from wherever a damaged word put it, around the end of
    /// the integers if need be.
    #[test]
    fn recovers_from_any_state() {
        let high_pass = HighPass::new(8_000);
        for at in 0..1_000 {
            let mut state = at * 4_294_967 + 1;
            for sample in [i16::MIN, 0, i16::MAX] {
                filtered(high_pass, &mut state, &vec![sample; 500]);
                assert_eq!(filtered(high_pass, &mut state, &[sample]), [0]);
            }
        }
    }
}
