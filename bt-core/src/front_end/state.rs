//! What a front end's state can hold between two hops.

use super::high_pass::HighPass;
use super::level::{LEVEL_FRACTION_BITS, LEVEL_MIN, ZERO_LOG2};
use super::{FrontEnd, LASTING, Level};

impl FrontEnd<'_> {
    /// Whether the [saved words](FrontEnd::saved_words) are such as [`push`](FrontEnd::push) leaves at the
    /// end of a hop: no sample of the next one, a mean of samples, levels that 64-bit energies reach. Samples
    /// are any.
    pub(crate) fn could_save(&self, mut words: impl Iterator<Item = u32>) -> bool {
        let most = match self.level {
            Level::Absolute => 0,
            Level::Relative => u64::BITS as i32 - ZERO_LOG2 - LEVEL_MIN,
        };
        let most = (most as u32) << LEVEL_FRACTION_BITS;
        let is_level =
            |words: &mut dyn Iterator<Item = u32>| words.next().is_some_and(|level| level <= most);
        let sound = words.next() == Some(0) && is_level(&mut words);
        if self.high_pass.is_none() {
            return sound;
        }
        let mean = words.next().is_some_and(HighPass::could_save);
        sound && mean && (1..LASTING).all(|_| is_level(&mut words))
    }
}
