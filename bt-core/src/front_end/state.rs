//! What a front end's state can hold between two hops.

use super::{FrontEnd, LEVEL_FRACTION_BITS, LEVEL_MIN, Level, ZERO_LOG2};

impl FrontEnd<'_> {
    /// Whether the [saved words](FrontEnd::saved_words) are such as [`push`](FrontEnd::push) leaves at the
    /// end of a hop: no sample of the next one, a level that 64-bit energies reach. Samples are any.
    pub(crate) fn could_save(&self, mut words: impl Iterator<Item = u32>) -> bool {
        let most = match self.level {
            Level::Absolute => 0,
            Level::Relative => u64::BITS as i32 - ZERO_LOG2 - LEVEL_MIN,
        };
        let most = (most as u32) << LEVEL_FRACTION_BITS;
        let (filled, level) = (words.next(), words.next());
        filled == Some(0) && level.is_some_and(|level| level <= most)
    }
}
