//! A source of random numbers that is the same on every processor.

use crate::normal::normal;

/// PCG32 (M. E. O'Neill's XSH RR 64/32): 2⁶³ streams of 2⁶⁴ numbers of 32 bits each. Small, well tested, and no
/// cipher: whoever sees its numbers can tell the next.
///
/// A drawing is told by a seed and a stream: picture n of a seed takes stream n, so that any of them can be drawn
/// alone.
///
/// ```
/// use bt_core::drawing::Random;
///
/// // What pcg_basic's demo prints: pcg32_srandom_r(&rng, 42, 54).
/// let mut random = Random::new(42, 54);
/// assert_eq!([random.next_u32(), random.next_u32()], [0xa15c_02b7, 0x7b47_f409]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Random {
    state: u64,
    /// Odd: it names the stream.
    increment: u64,
}

impl Random {
    /// The start of a stream. Streams that differ in the top bit alone are one.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self {
            state: 0,
            increment: stream << 1 | 1,
        };
        random.next_u32();
        random.state = random.state.wrapping_add(seed);
        random.next_u32();
        random
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        let mixed = ((old >> 18 ^ old) >> 27) as u32;
        mixed.rotate_right((old >> 59) as u32)
    }

    /// 0 ..= below − 1, each as likely as the others to 2⁻³² · below; 0 where nothing is below.
    pub(crate) fn below(&mut self, below: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(below)) >> 32) as u32
    }

    /// A number of N(0, 1), Q3.12: the quantile of the next number, at most 0.0005 off it and within ±6.34.
    pub fn normal(&mut self) -> i16 {
        normal(self.next_u32())
    }

    /// 1 with a probability, Q0.15 (0 ..= 32767): 1 where the next number's top 15 bits are below it.
    pub(crate) fn bit(&mut self, probability: i16) -> u8 {
        u8::from(((self.next_u32() >> 17) as i16) < probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first round of `pcg32-demo` of pcg-c-basic 0.9, and numbers that its algorithm gives in Python's
    /// integers without end, of which the last seeds are at the ends.
    #[test]
    fn numbers_are_those_of_pcg32() {
        let expected = [
            0xa15c_02b7,
            0x7b47_f409,
            0xba1d_3330,
            0x83d2_f293,
            0xbfa4_784b,
            0xcbed_606e,
        ];
        let mut random = Random::new(42, 54);
        assert_eq!(expected.map(|_| random.next_u32()), expected);
        for (seed, stream, expected) in PYTHON {
            let mut random = Random::new(seed, stream);
            assert_eq!(expected.map(|_| random.next_u32()), expected);
        }
    }

    /// Moments of a million numbers, within four deviations of the mean of so many, and the largest distance of their
    /// distribution from the true one (Kolmogorov and Smirnov's) below what is exceeded once in a thousand times.
    #[cfg(feature = "alloc")]
    #[test]
    fn numbers_are_normal() {
        const COUNT: usize = 1_000_000;
        let mut random = Random::new(3, 1);
        let mut numbers: std::vec::Vec<i16> = (0..COUNT).map(|_| random.normal()).collect();
        // By another's erfc.
        let tail = |x: f64| 0.5 * libm::erfc(x / core::f64::consts::SQRT_2);
        let moment = |power: i32| {
            let all = numbers.iter().map(|&x| (f64::from(x) / 4096.0).powi(power));
            all.sum::<f64>() / COUNT as f64
        };
        // E x^k and the deviation of x^k.
        for (power, expected, deviation) in [
            (1, 0.0, 1.0),
            (2, 1.0, 2f64.sqrt()),
            (3, 0.0, 15f64.sqrt()),
            (4, 3.0, 96f64.sqrt()),
            (6, 15.0, (10_395f64 - 225.0).sqrt()),
        ] {
            let found = moment(power);
            let off = (found - expected).abs() / (deviation / (COUNT as f64).sqrt());
            assert!(off < 4.0, "E x^{power} = {found}, {off} deviations off");
        }
        numbers.sort_unstable();
        let mut distance = 0f64;
        for (below, &x) in numbers.iter().enumerate() {
            // An integer stands for all within half of it; equal numbers are met as if spread over that.
            let middle = 1.0 - tail(f64::from(x) / 4096.0);
            distance = distance.max((below as f64 / COUNT as f64 - middle).abs());
        }
        // 1.95/√n, and half of a number's own probability, 0.4/4096 at most.
        assert!(distance < 1.95e-3 + 0.5e-4, "{distance}");
    }

    /// Shares of ones over 100,000 bits, within five deviations.
    #[test]
    fn bits_are_as_likely_as_they_should_be() {
        let mut random = Random::new(1, 0);
        for probability in [0, 1, 300, 8_192, 16_384, 32_767] {
            let ones: u32 = (0..100_000)
                .map(|_| u32::from(random.bit(probability)))
                .sum();
            let p = f64::from(probability) / 32_768.0;
            let deviation = (p * (1.0 - p) * 100_000.0).sqrt();
            assert!(
                (f64::from(ones) - 100_000.0 * p).abs() <= 5.0 * deviation,
                "{ones} of {p}"
            );
        }
    }

    const PYTHON: [(u64, u64, [u32; 3]); 3] = [
        (0, 0, [0xe4c1_4788, 0x379c_6516, 0x5c4a_b3bb]),
        (7, 3, [0xdb7b_2723, 0xbde0_071c, 0x62a7_a91c]),
        (u64::MAX, u64::MAX, [0x2675_c047, 0x7779_a837, 0xa145_aa13]),
    ];
}
