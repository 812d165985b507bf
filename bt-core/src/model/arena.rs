//! Where a session keeps what in its arena.

use super::Pool;
use super::layout::FilterRecord;
use crate::cell::Cell;
use crate::window::Window;

/// What a session keeps of the input map's share of z beside z itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What a filter of such a horizon_shift takes off.
    Filter(u32),
    /// That of a picture, which every word is added to.
    Picture,
}

impl Kept {
    /// Words of what is kept of so many values.
    const fn words(self, values: usize) -> usize {
        match self {
            Self::Filter(shift) => FilterRecord::words(shift, values),
            Self::Picture => values.div_ceil(2),
        }
    }
}

/// Where a session keeps what, in words of its arena. The scratch of all maps comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaLayout {
    /// z, i16 Q4.11 `[gates·J]`, starts at word 0 and serves one layer after the other; then, for every
    /// layer, h, i16 `[J]`, and c, i32 `[J]`. Those of the first, here.
    pub hidden_word: usize,
    /// c of the first layer, [`Model::cell_fraction`](super::Model::cell_fraction) fraction bits.
    pub cell_word: usize,
    /// Sums of h of the last layer, i32 `[J]`, when the head reads a mean; i16 `[J]` of a picture, or its canvas, i32
    /// `[outputs]`.
    pub pool_word: usize,
    /// What is [`Kept`] of the input map's share, `[gates·J]`.
    pub kept_word: usize,
    /// State of the front end.
    pub front_end_word: usize,
    /// Feature vector of the front end, i16.
    pub vector_word: usize,
    /// Levels of the maps.
    pub scratch_word: usize,
    /// What recurrent maps add to: z, or words of their own at the start of the scratch.
    pub recurrent_z_word: usize,
    /// Levels of recurrent maps.
    pub recurrent_scratch_word: usize,
    /// Words of the scratch that painting through a window takes, when the maps have left it.
    painting_words: usize,
    /// J.
    hidden: usize,
}

impl ArenaLayout {
    /// Places for so many `layers` of a cell and `hidden` units, a pool or none and the window with [`Pool::Canvas`], what
    /// is kept of the input map's share, a front end of so many state words and bands.
    pub const fn new(
        (cell, layers): (Cell, usize),
        hidden: usize,
        (pool, window): (Pool, Option<Window<'_>>),
        kept: Option<Kept>,
        front_end_words: usize,
        bands: usize,
    ) -> Self {
        let hidden_word = (cell.gates() * hidden).div_ceil(2);
        let cell_word = hidden_word + hidden.div_ceil(2);
        let (canvas_words, painting_words) = match window {
            Some(window) => (window.pixels(), window.scratch_words()),
            None => (0, 0),
        };
        let pool_word = hidden_word + layers * (hidden.div_ceil(2) + hidden);
        let kept_word = pool_word
            + match pool {
                Pool::Last => 0,
                Pool::Mean | Pool::Recent => hidden,
                Pool::Sum => hidden.div_ceil(2),
                Pool::Canvas => canvas_words,
            };
        let front_end_word = kept_word
            + match kept {
                Some(kept) => kept.words(cell.gates() * hidden),
                None => 0,
            };
        let vector_word = front_end_word + front_end_words;
        let scratch_word = vector_word + bands.div_ceil(2);
        let (recurrent_z_word, apart) = if cell.keeps_apart() {
            (scratch_word, hidden_word)
        } else {
            (0, 0)
        };
        Self {
            hidden_word,
            cell_word,
            pool_word,
            kept_word,
            front_end_word,
            vector_word,
            scratch_word,
            recurrent_z_word,
            recurrent_scratch_word: scratch_word + apart,
            painting_words,
            hidden,
        }
    }

    /// Words of what is kept.
    pub const fn kept_words(&self) -> usize {
        self.front_end_word - self.kept_word
    }

    /// z of a session's memory, and what is kept beside it.
    #[inline(always)]
    pub(crate) fn z_and_kept<'a>(
        &self,
        memory: &'a mut [u32],
    ) -> Option<(&'a mut [u32], &'a mut [u32])> {
        let (z, kept) = memory.split_at_mut_checked(self.kept_word)?;
        let kept = kept.get_mut(..self.kept_words())?;
        Some((z.get_mut(..self.z_words())?, kept))
    }

    /// Words of z.
    pub const fn z_words(&self) -> usize {
        self.hidden_word
    }

    /// Where h of a layer lies; c is [`c_word`](Self::c_word).
    pub const fn h_word(&self, layer: usize) -> usize {
        self.hidden_word + layer * (self.h_words() + self.hidden)
    }

    /// Where c of a layer lies.
    pub const fn c_word(&self, layer: usize) -> usize {
        self.h_word(layer) + self.h_words()
    }

    /// Words of a layer's h.
    pub const fn h_words(&self) -> usize {
        self.hidden.div_ceil(2)
    }

    /// Words of scratch that there must be, whatever the maps need.
    pub const fn scratch_words_min(&self) -> usize {
        if self.painting_words > self.apart_words() {
            self.painting_words
        } else {
            self.apart_words()
        }
    }

    /// Words of the scratch that are no level of a recurrent map.
    pub const fn apart_words(&self) -> usize {
        self.recurrent_scratch_word - self.scratch_word
    }
}
