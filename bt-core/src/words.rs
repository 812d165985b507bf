//! Captions: what a word adds to z, and which word comes next.
//!
//! z of a step is the picture's share, which the input map gives once and a session keeps, a row of a table for the
//! word before, and U·h. A row is i8 with a scale of its own:
//!
//! ```text
//! z' = saturate(z + round(entry · scale / 2^shift))
//! ```
//!
//! of which entry · scale is below 2²³, half of the last bit at most that: no sum leaves 32 bits, whatever the file.

use crate::argmax::first_largest;
use crate::model::layout::WordsRecord;
use crate::proven::Proven;
use crate::q::{round_shift, saturate};
use crate::random::Random;
use crate::softmax::{LOG2_E, exponential};

/// The word that ends a caption, and that is read before its first.
pub const END: usize = 0;

/// The word that stands for all that a vocabulary has not; no caption has it.
pub const UNKNOWN: usize = 1;

/// The table of words, checked.
#[derive(Clone, Copy, Debug)]
pub struct Words<'m> {
    pub(crate) record: &'m WordsRecord,
    /// One a word.
    pub(crate) scales: &'m [u16],
    /// A row of `values` for each.
    pub(crate) table: &'m [i8],
    /// gates·J.
    pub(crate) values: usize,
}

impl<'m> Words<'m> {
    /// Sizes.
    pub fn record(&self) -> &'m WordsRecord {
        self.record
    }

    /// The scale of a word's row, and the row.
    pub fn row(&self, word: usize) -> Option<(u16, &'m [i8])> {
        let row = self.table.chunks_exact(self.values.max(1)).nth(word)?;
        Some((*self.scales.get(word)?, row))
    }

    /// Most words of a caption.
    pub(crate) fn longest(&self) -> usize {
        self.record.longest as usize
    }

    /// Adds a word's share to z `[gates·J]`; nothing of a word that there is not.
    #[inline(never)]
    pub(crate) fn add(&self, word: usize, z: &mut [i16]) {
        let (scale, row) = self.row(word).proven().unwrap_or((0, &[]));
        debug_assert_eq!(row.len(), z.len());
        for (z, &entry) in z.iter_mut().zip(row) {
            let share = round_shift(i32::from(entry) * i32::from(scale), self.record.shift);
            *z = saturate(i32::from(*z) + share);
        }
    }
}

/// How much drawn words keep to the likely ones: of logits x, word k comes with probability e^(x_k/T) / Σ e^(x/T).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Temperature(u16);

impl Temperature {
    /// Of a T of 1: the model's own probabilities.
    pub const ONE: Self = Self(1 << Self::FRACTION);

    /// Fraction bits of the number that it is given by.
    pub const FRACTION: u32 = 8;

    /// The least number: T = 1/8, with which nearly always the likeliest word comes.
    pub const MIN: u16 = 1 << (Self::FRACTION - 3);

    /// T of such a number, Q8; `None` below [`MIN`](Self::MIN).
    pub const fn new(number: u16) -> Option<Self> {
        if number < Self::MIN {
            return None;
        }
        Some(Self(number))
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// log₂e / T, Q28, below 2³².
    const fn rate(self) -> u64 {
        (LOG2_E << Self::FRACTION) / self.0 as u64
    }
}

/// Who chooses the next word of a caption, of the scores after the last: the same word on every processor.
///
/// ```
/// use bt_core::{Error, Session};
/// use bt_core::captions::{END, Teller};
///
/// /// The words of a picture's caption, as many as there is room for; their number.
/// fn caption(
///     session: &mut Session,
///     mut picture: &[u8],
///     teller: &mut Teller,
///     (scores, words): (&mut [i32], &mut [usize]),
/// ) -> Result<usize, Error> {
///     session.feed(&mut picture)?;
///     session.step()?; // the picture, and the end before the first word
///     for (count, place) in words.iter_mut().enumerate() {
///         session.scores(scores)?;
///         match teller.next_word(scores, session.model().score_shift()) {
///             None | Some(END) => return Ok(count),
///             Some(word) => *place = word,
///         }
///         session.step_word(*place)?;
///     }
///     Ok(words.len())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Teller {
    draws: Option<(Random, Temperature)>,
}

impl Teller {
    /// Always the likeliest word, the first of equals.
    pub const fn likeliest() -> Self {
        Self { draws: None }
    }

    /// Words drawn by their probabilities, one number of the random source a word.
    pub const fn drawing(random: Random, temperature: Temperature) -> Self {
        Self {
            draws: Some((random, temperature)),
        }
    }

    /// The random source as it stands; `None` of the likeliest words.
    pub const fn random(&self) -> Option<&Random> {
        match &self.draws {
            Some((random, _)) => Some(random),
            None => None,
        }
    }

    /// The next word by the raw scores of all, logits · 2^`score_shift`; never [`UNKNOWN`]. `None` where there are none.
    ///
    /// A drawn word's probability is the softmax of its score to 2⁻¹⁶ of the likeliest word's, below e⁻¹² of that 0.
    pub fn next_word(&mut self, scores: &[i32], score_shift: i32) -> Option<usize> {
        let all = scores.iter().copied();
        let best = likeliest_word(all.clone())?;
        let Some((random, temperature)) = &mut self.draws else {
            return Some(best);
        };
        let (largest, rate) = (scores.get(best).copied()?, temperature.rate());
        let term = |score: i32| exponential(largest.abs_diff(score), rate, score_shift);
        // A file has at most 2¹² words, of 2¹⁶ each; more scores, which no model gives, end where the sum is full.
        let sum = told(all.clone()).fold(0u32, |sum, (_, score)| sum.saturating_add(term(score)));
        let mut left = random.below(sum);
        for (word, score) in told(all) {
            match left.checked_sub(term(score)) {
                Some(rest) => left = rest,
                None => return Some(word),
            }
        }
        Some(best)
    }
}

/// The words that a caption can have, and their scores.
fn told(scores: impl Iterator<Item = i32>) -> impl Iterator<Item = (usize, i32)> {
    scores.enumerate().filter(|&(word, _)| word != UNKNOWN)
}

/// The word of the largest score, the first of equals, but [`UNKNOWN`].
pub(crate) fn likeliest_word(scores: impl Iterator<Item = i32>) -> Option<usize> {
    first_largest(told(scores))
}

#[cfg(test)]
mod tests;
