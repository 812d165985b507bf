//! Mel bands: triangles over the FFT's powers.
//!
//! Between two neighbouring edges the lower band falls as the upper one
//! rises, and the two weights of a bin sum to one. So each bin is multiplied
//! once: an interval's sum, and its part that rises, give both bands.

use super::layout::RISE_ONE;

/// The triangles, as borrowed from the section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bands<'m> {
    pub rises: &'m [u16],
    pub edges: &'m [u16],
}

impl Bands<'_> {
    /// Calls `band` with the energy of each, lowest first, in units of 2⁻¹⁵ of
    /// a power.
    ///
    /// No overflow: by Parseval all powers of a window together are below
    /// 2^47.6 (see [`fft`](super::fft)), times 2^15 for the weight. Tables that
    /// no writer made may wrap, no more.
    #[inline(always)]
    pub(super) fn energies(self, powers: &[[i32; 2]], mut band: impl FnMut(u64)) {
        // What the interval below gave to the band that ends in this one; the
        // first interval ends none.
        let mut below = None;
        for edges in self.edges.windows(2) {
            let &[start, end] = edges else {
                continue;
            };
            let bins = usize::from(start)..usize::from(end);
            let (Some(powers), Some(rises)) = (powers.get(bins.clone()), self.rises.get(bins))
            else {
                continue;
            };
            let (sum, risen) = interval(powers, rises);
            let fallen = sum.wrapping_mul(u64::from(RISE_ONE)).wrapping_sub(risen);
            if let Some(lower) = below.replace(risen) {
                band(fallen.wrapping_add(lower));
            }
        }
    }
}

/// The sum of all powers between two edges, and of what rises of it (Q15).
fn interval(powers: &[[i32; 2]], rises: &[u16]) -> (u64, u64) {
    let (mut sum, mut risen) = (0u64, 0u64);
    for (&[low, high], &rise) in powers.iter().zip(rises) {
        let (low, high, rise) = (low as u32, high as u32, u32::from(rise));
        sum = sum.wrapping_add((u64::from(high) << 32) | u64::from(low));
        // A power is below 2^48: its high word times 2^15 stays in 32 bits.
        risen = risen.wrapping_add(u64::from(low) * u64::from(rise));
        risen = risen.wrapping_add(u64::from(high.wrapping_mul(rise)) << 32);
    }
    (sum, risen)
}
