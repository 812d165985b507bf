//! The level that relative values are measured against.

use crate::numbered::numbered;

numbered! {
    /// What the values of a vector are measured against.
    ///
    /// Speakers and microphones differ in level by factors of ten. A network that
    /// sees absolute levels learns those of its training set: on spoken digits of
    /// two speakers held out (one of them ten times quieter than the rest) a dense
    /// LSTM got 54 % of them right with absolute levels and 87 % with relative
    /// ones, on known speakers 99.2 and 99.7 % (two seeds each).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum Level: u16 {
        /// The scale of the samples: 0 is an energy of 2⁴³, that of white noise
        /// with an RMS of about 140 in one of 32 bands.
        Absolute = 0,
        /// The vector's own loudness (all bands' energy together) or what was
        /// louder before and lasted: that of four vectors in a row, each of
        /// them at least so loud. It is forgotten by an octave of energy (3 dB) a
        /// second, and is never below −2 octaves (white noise with an RMS of
        /// about 20), so that silence is not amplified. A plop is measured against
        /// itself and then forgotten at once. Values are at most 0.
        #[default]
        Relative = 1,
    }
}

/// Vectors in a row that a loudness must last to be remembered: more than a
/// plop's, fewer than a vowel's.
pub const LASTING: usize = 4;

/// log₂ of the energy that becomes 0: energies reach 2^62.6, so absolute
/// values lie between −19 and 19.6.
pub(super) const ZERO_LOG2: i32 = 43;

/// Lowest reference of relative levels, octaves of absolute level: white noise
/// with an RMS of about 20.
pub(super) const LEVEL_MIN: i32 = -2;

/// The level in the state is Q16 of octaves above [`LEVEL_MIN`], so that a
/// stream starts with all words zero.
pub(super) const LEVEL_FRACTION_BITS: u32 = 16;

/// Between Q10 and Q16.
const LEVEL_SHIFT: u32 = LEVEL_FRACTION_BITS - 10;

/// How loud the vectors before were, Q16 octaves above [`LEVEL_MIN`], latest
/// first.
pub(super) type Recent = [u32; LASTING - 1];

/// Moves the level by one hop, in which it falls by `release` (Q16), and
/// returns what a vector of this `loudness` is measured against, both Q10 and
/// absolute. Where there are `recent` vectors, only what they have lasted with
/// this one raises the level.
pub(super) fn follow(
    level: &mut u32,
    recent: Option<&mut Recent>,
    release: u32,
    loudness: i32,
) -> i32 {
    let now = ((loudness - (LEVEL_MIN << 10)).max(0) as u32) << LEVEL_SHIFT;
    let lasting = match recent {
        None => now,
        Some(recent) => {
            let [first, second, third] = *recent;
            *recent = [now, first, second];
            now.min(first).min(second).min(third)
        }
    };
    *level = level.saturating_sub(release).max(lasting);
    // A level that no `follow` wrote (a damaged state) stays in range.
    let octaves = ((*level).max(now) >> LEVEL_SHIFT).min(64 << 10);
    octaves as i32 + (LEVEL_MIN << 10)
}
