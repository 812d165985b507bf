//! Values to measure with: the benchmark's program and the host that checks
//! its results make the same ones.

/// What a frame is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Zeros.
    Zeros,
    /// The smallest and the largest value in turn.
    Extremes,
    /// Noise, the same every time.
    Noise,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Pattern; 3] = [Pattern::Zeros, Pattern::Extremes, Pattern::Noise];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Pattern::Zeros => "zeros",
            Pattern::Extremes => "extremes",
            Pattern::Noise => "noise",
        }
    }

    /// Byte `at` of a stream of values of `width` bytes with sign or not.
    pub const fn byte(self, at: usize, width: usize, signed: bool) -> u8 {
        match self {
            Pattern::Zeros => 0,
            Pattern::Extremes => {
                let largest = (at / width) % 2 == 1;
                let highest_byte = at % width == width - 1;
                match (largest, signed && highest_byte) {
                    (false, true) => 0x80,
                    (false, false) => 0,
                    (true, true) => 0x7F,
                    (true, false) => 0xFF,
                }
            }
            Pattern::Noise => {
                // A multiplicative hash of the place.
                let mixed = (at as u32 ^ 0x5bd1).wrapping_mul(0x9E37_79B1);
                ((mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA77) >> 24) as u8
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_those_of_the_type() {
        let value = |at: usize| {
            let byte = |i| Pattern::Extremes.byte(2 * at + i, 2, true);
            i16::from_le_bytes([byte(0), byte(1)])
        };
        assert_eq!(
            [value(0), value(1), value(2)],
            [i16::MIN, i16::MAX, i16::MIN]
        );
        let byte = |at: usize, signed| Pattern::Extremes.byte(at, 1, signed);
        assert_eq!([byte(0, false), byte(1, false)], [0, 255]);
        assert_eq!([byte(0, true), byte(1, true)], [0x80, 0x7F]);
    }
}
