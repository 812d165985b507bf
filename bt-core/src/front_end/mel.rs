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
    /// The energy of each band, lowest first, in units of 2⁻¹⁵ of a power.
    ///
    /// No overflow: by Parseval all powers of a window together are below
    /// 2^47.6 (see [`fft`](super::fft)), times 2^15 for the weight. Tables that
    /// no writer made may wrap, no more.
    pub(super) fn energies(self, powers: &[[i32; 2]]) -> impl Iterator<Item = u64> {
        let mut bins = powers.iter().zip(self.rises);
        // Bins below the first edge belong to no band.
        let below = usize::from(self.edges.first().copied().unwrap_or(0));
        if let Some(last) = below.checked_sub(1) {
            bins.nth(last);
        }
        let widths = self.edges.windows(2).map(|pair| match pair {
            &[start, end] => usize::from(end.saturating_sub(start)),
            _ => 0,
        });
        let intervals = widths.map(move |width| {
            let (mut sum, mut risen) = (0u64, 0u64);
            for (&[low, high], &rise) in bins.by_ref().take(width) {
                let (low, high, rise) = (low as u32, high as u32, u32::from(rise));
                sum = sum.wrapping_add((u64::from(high) << 32) | u64::from(low));
                // A power is below 2^48: its high word times 2^15 stays in 32 bits.
                risen = risen.wrapping_add(u64::from(low) * u64::from(rise));
                risen = risen.wrapping_add(u64::from(high.wrapping_mul(rise)) << 32);
            }
            (sum.wrapping_mul(u64::from(RISE_ONE)), risen)
        });
        let mut below = None;
        intervals.filter_map(move |(sum, risen)| {
            let fallen = sum.wrapping_sub(risen);
            below
                .replace(risen)
                .map(|lower: u64| lower.wrapping_add(fallen))
        })
    }
}
