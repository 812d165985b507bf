//! The counter over the outer modes of a frame.

use super::record::DIGITS_MAX;

/// The odometer over the outer modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odometer {
    digits: [u16; DIGITS_MAX],
}

impl Odometer {
    /// All digits zero: the first slab of a frame.
    pub const fn new() -> Self {
        Self {
            digits: [0; DIGITS_MAX],
        }
    }

    /// The digit of outer mode `index`, 0 when there is none.
    #[inline]
    pub fn digit(&self, index: usize) -> u16 {
        self.digits.get(index).copied().unwrap_or(0)
    }

    /// The smallest q such that every digit from q on is at its last value: stages of depth ≥ q run.
    #[inline]
    pub fn wrapped(&self, extents: &[u16]) -> usize {
        let mut depth = extents.len();
        for (digit, extent) in self.digits.iter().zip(extents).rev() {
            if digit + 1 != *extent {
                break;
            }
            depth -= 1;
        }
        depth
    }

    /// Slabs done since the frame began.
    pub fn index(&self, extents: &[u16]) -> usize {
        self.digits
            .iter()
            .zip(extents)
            .fold(0, |index, (&digit, &extent)| {
                index * extent as usize + digit as usize
            })
    }

    /// Moves on to the next slab; true when the frame is complete and all digits are zero again.
    #[inline]
    pub fn advance(&mut self, extents: &[u16]) -> bool {
        for (digit, extent) in self.digits.iter_mut().zip(extents).rev() {
            *digit += 1;
            if *digit != *extent {
                return false;
            }
            *digit = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odometer_counts_like_nested_loops() {
        let extents = [2u16, 3, 1];
        let mut odometer = Odometer::new();
        for a in 0..2 {
            for b in 0..3 {
                assert_eq!(
                    [odometer.digit(0), odometer.digit(1), odometer.digit(2)],
                    [a, b, 0]
                );
                let expected = match (a, b) {
                    (1, 2) => 0,
                    (_, 2) => 1,
                    _ => 2,
                };
                assert_eq!(odometer.wrapped(&extents), expected);
                assert_eq!(odometer.advance(&extents), (a, b) == (1, 2));
            }
        }
        assert_eq!(odometer, Odometer::new());
    }
}
