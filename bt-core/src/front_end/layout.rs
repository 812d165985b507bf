//! The front end's section of a model file: offsets shared by `parse` and
//! `write`. Little-endian; the section starts on a multiple of 4.
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | [`FORMAT`], or [`FORMAT_UNFILTERED`] |
//! | 4..8 | sample rate, Hz |
//! | 8..10 | window: samples under one Hann window, a power of two |
//! | 10..12 | hop: samples from one window to the next, even |
//! | 12..14 | bands |
//! | 14..16 | level: 0 absolute, 1 relative |
//! | 16.. | turns: window/2 pairs of i16, Q0.15: cos, sin of 2πk/window |
//! | then | rises: window/2 of u16, Q1.15: how far FFT bin k has climbed from one mel edge to the next |
//! | then | edges: bands + 2 of u16: the first bin at or above each mel edge |
//! | end | zeros up to a multiple of 4 |

use core::ops::Range;

/// Raise when the section's layout or the meaning of a value changes.
pub const FORMAT: u32 = 2;

/// The format before: the same layout, but the samples are not filtered and the
/// level is that of the loudest vector, however short. Models that learned from
/// such vectors go on getting them.
pub const FORMAT_UNFILTERED: u32 = 1;

pub(super) const FORMAT_FIELD: Range<usize> = 0..4;
pub(super) const SAMPLE_RATE: Range<usize> = 4..8;
pub(super) const WINDOW: Range<usize> = 8..10;
pub(super) const HOP: Range<usize> = 10..12;
pub(super) const BANDS: Range<usize> = 12..14;
pub(super) const LEVEL: Range<usize> = 14..16;
pub(super) const HEADER_BYTES: usize = LEVEL.end;

/// Smallest window, samples.
pub const WINDOW_MIN: usize = 32;
/// Largest window, samples.
pub const WINDOW_MAX: usize = 2048;
/// Most bands of one vector.
pub const BANDS_MAX: usize = 256;

/// A weight of one, Q1.15.
pub(super) const RISE_ONE: u16 = 1 << 15;

/// Where the tables lie, given window and bands.
pub(super) struct Tables {
    pub turns: Range<usize>,
    pub rises: Range<usize>,
    pub edges: Range<usize>,
    /// Bytes of the whole section.
    pub end: usize,
}

impl Tables {
    /// `window` and `bands` within the limits above: nothing overflows.
    pub(super) fn new(window: usize, bands: usize) -> Tables {
        let turns = HEADER_BYTES..HEADER_BYTES + window / 2 * 4;
        let rises = turns.end..turns.end + window / 2 * 2;
        let edges = rises.end..rises.end + (bands + 2) * 2;
        let end = edges.end.next_multiple_of(4);
        Tables {
            turns,
            rises,
            edges,
            end,
        }
    }
}
