//! Sizes made from the fields of a model file.

use core::ops::{Add, Mul};

/// A number of words, values or products that fields of a file come to.
///
/// It is 32 bits wide on every target and stops at its end instead of wrapping: whatever passes a
/// comparison with a smaller limit is exact, and what is larger fails it on a microcontroller as on a
/// 64-bit host. It can only grow: a difference or quotient of a size that has stopped would be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u32);

impl Size {
    /// The number of elements; that of a size no limit has passed may be too small.
    #[inline(always)]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// As a field of a file.
    pub const fn to_u32(self) -> u32 {
        self.0
    }
}

impl From<u32> for Size {
    #[inline(always)]
    fn from(count: u32) -> Self {
        Self(count)
    }
}

impl From<u16> for Size {
    #[inline(always)]
    fn from(count: u16) -> Self {
        Self(count.into())
    }
}

impl From<usize> for Size {
    #[inline(always)]
    fn from(count: usize) -> Self {
        Self(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl<T: Into<Size>> Add<T> for Size {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: T) -> Self {
        Self(self.0.saturating_add(other.into().0))
    }
}

impl<T: Into<Size>> Mul<T> for Size {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: T) -> Self {
        Self(self.0.saturating_mul(factor.into().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_stops_at_the_end() {
        let half = Size::from(1u32 << 31);
        assert_eq!((half + 5u32).get(), (1 << 31) + 5);
        assert_eq!((half * 2u32).to_u32(), u32::MAX);
        assert_eq!((half + half).to_u32(), u32::MAX);
        // Once it has stopped it stays beyond every limit.
        assert!(half * 2u32 + 1u32 > half && half * half * 3u32 > half);
        assert_eq!(Size::from(usize::MAX).to_u32(), u32::MAX);
    }
}
