//! A session's state across a power cycle.
//!
//! ```text
//! model's CRC · steps · pooled · words of the arena from `hidden_word` on · CRC-32C of all before
//! ```
//!
//! Words, little-endian. Flash wears and power fails while it is written: a state is loaded whole or not
//! at all. One that arrives in parts over a line lies in its place in the arena as it comes, so that nobody
//! needs room for it twice; until its last part has proven it, the session does nothing else.

use super::{POOLED_MAX, Session, StateError};
use crate::cell::{Cell, STATE};
use crate::crc32c::Crc32c;
use crate::model::Pool;
use crate::proven::Proven;

/// Words before those of the arena.
const HEAD_WORDS: usize = 3;

impl Session<'_, '_> {
    /// Bytes of a saved state.
    pub fn saved_bytes(&self) -> usize {
        4 * (HEAD_WORDS + self.state_words() + 1)
    }

    /// [`Model::crc`](crate::Model::crc) of the model whose session saved these bytes: what can be said of a
    /// state without the model.
    ///
    /// # Errors
    ///
    /// [`StateError::Damaged`] when they are no saved state.
    pub fn saved_by(bytes: &[u8]) -> Result<u32, StateError> {
        let (bytes, crc) = bytes.split_last_chunk::<4>().ok_or(StateError::Damaged)?;
        let model = bytes.first_chunk::<4>().ok_or(StateError::Damaged)?;
        if *crc != Crc32c::new().with(bytes).value().to_le_bytes() {
            return Err(StateError::Damaged);
        }
        Ok(u32::from_le_bytes(*model))
    }

    /// h, c, the pool, the filter and the front end's window: words of the arena from `hidden_word` on.
    fn state_words(&self) -> usize {
        let front_end = self
            .model
            .front_end()
            .map_or(0, |front_end| front_end.saved_words());
        self.model.arena.front_end_word + front_end - self.model.arena.hidden_word
    }

    /// Writes the state (h, c, pool, filter, front end, steps) between frames.
    ///
    /// # Errors
    ///
    /// [`StateError`]; nothing is written then.
    pub fn save(&self, bytes: &mut [u8]) -> Result<(), StateError> {
        let (need, found) = (self.saved_bytes(), bytes.len());
        if need != found {
            return Err(StateError::WrongLength { need, found });
        }
        self.save_part(0, bytes).map(drop)
    }

    /// Writes the bytes of the state from `at` on, as many whole words as there are or fit, and returns
    /// how many bytes these are. Parts are those of one state if no step was taken between.
    ///
    /// # Errors
    ///
    /// [`StateError::FrameUnderWay`], or [`StateError::Part`] when `at` is no start of a word or lies
    /// behind the end; nothing is written then.
    pub fn save_part(&self, at: usize, bytes: &mut [u8]) -> Result<usize, StateError> {
        let need = self.saved_bytes();
        if !at.is_multiple_of(4) || at > need {
            return Err(StateError::Part { due: need });
        }
        if self.loading.is_some() || self.complete || self.samples != 0 || !self.progress.is_start()
        {
            return Err(StateError::FrameUnderWay);
        }
        let head = [self.model.crc(), self.steps, self.pooled];
        let state = self.state();
        let crc = self.state_crc(head);
        let mut taken = 0;
        let places = bytes.as_chunks_mut::<4>().0.iter_mut();
        for (place, at) in places.zip(at / 4..need / 4) {
            let word = match head.get(at) {
                Some(word) => word,
                None => state.get(at - HEAD_WORDS).unwrap_or(&crc),
            };
            *place = word.to_le_bytes();
            taken += 4;
        }
        Ok(taken)
    }

    /// Goes on from a saved state, at the start of a frame.
    ///
    /// # Errors
    ///
    /// [`StateError`]; the session is as before then.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (need, found) = (self.saved_bytes(), bytes.len());
        let wrong_length = StateError::WrongLength { need, found };
        if need != found {
            return Err(wrong_length);
        }
        if Self::saved_by(bytes)? != self.model.crc() {
            return Err(StateError::Mismatch);
        }
        let (words, _) = bytes.as_chunks::<4>();
        let (head, state) = words
            .split_first_chunk::<HEAD_WORDS>()
            .ok_or(wrong_length)?;
        let [_, steps, pooled] = head.map(u32::from_le_bytes);
        let first = self.model.arena.hidden_word;
        let word = |word: usize| state.get(word - first).copied().map(u32::from_le_bytes);
        if !self.could_save(steps, pooled, word) {
            return Err(StateError::Damaged);
        }
        self.reset();
        (self.steps, self.pooled) = (steps, pooled);
        for (place, word) in self.state_mut().iter_mut().zip(state) {
            *place = u32::from_le_bytes(*word);
        }
        Ok(())
    }

    /// Takes the bytes of a saved state from `at` on, whole words, and returns where the next part begins:
    /// [`Session::saved_bytes`] when that was the last and the session goes on from the state. The first
    /// part (`at` 0) resets the session, which takes nothing else until the last, but a reset.
    ///
    /// # Errors
    ///
    /// [`StateError::Part`] when another part is due or the bytes are no whole words; nothing happens then.
    /// [`StateError::WrongLength`] when they run past the end, `Mismatch` and `Damaged`: the session is
    /// reset then.
    pub fn load_part(&mut self, at: usize, bytes: &[u8]) -> Result<usize, StateError> {
        let (words, rest) = bytes.as_chunks::<4>();
        let due = self.load_due().unwrap_or(0);
        if !rest.is_empty() || (at != 0 && at != due) {
            return Err(StateError::Part { due });
        }
        if at == 0 {
            self.reset();
        }
        let mut loading = self.loading.unwrap_or_default();
        match self.take_words(&mut loading, words) {
            Ok(false) => {
                (self.loading, self.complete) = (Some(loading), true);
                Ok(4 * loading.words)
            }
            Ok(true) => {
                let [_, steps, pooled] = loading.head;
                (self.steps, self.pooled) = (steps, pooled);
                self.loading = None;
                self.end_frame();
                Ok(self.saved_bytes())
            }
            Err(error) => {
                self.reset();
                Err(error)
            }
        }
    }

    /// Where the next part of a state begins that is being loaded, if one is.
    pub fn load_due(&self) -> Option<usize> {
        self.loading.map(|loading| 4 * loading.words)
    }

    /// Puts words of a state into their places; `true` when the last one has proven them all.
    fn take_words(&mut self, loading: &mut Loading, words: &[[u8; 4]]) -> Result<bool, StateError> {
        let (need, found) = (
            self.saved_bytes(),
            4 * loading.words.saturating_add(words.len()),
        );
        if found > need {
            return Err(StateError::WrongLength { need, found });
        }
        for &word in words {
            let (at, word) = (loading.words, u32::from_le_bytes(word));
            loading.words += 1;
            if at == 0 && word != self.model.crc() {
                return Err(StateError::Mismatch);
            }
            if let Some(place) = loading.head.get_mut(at) {
                *place = word;
            } else if let Some(place) = self.state_mut().get_mut(at - HEAD_WORDS) {
                *place = word;
            } else if word != self.state_crc(loading.head) {
                return Err(StateError::Damaged);
            }
        }
        let is_whole = found == need;
        let [_, steps, pooled] = loading.head;
        if is_whole && !self.could_save(steps, pooled, |word| self.memory.get(word).copied()) {
            return Err(StateError::Damaged);
        }
        Ok(is_whole)
    }

    /// Words of the arena that a state holds.
    fn state(&self) -> &[u32] {
        let first = self.model.arena.hidden_word;
        let state = self.memory.get(first..first + self.state_words());
        state.proven().unwrap_or(&[])
    }

    /// As [`Session::state`].
    fn state_mut(&mut self) -> &mut [u32] {
        let first = self.model.arena.hidden_word;
        let state = first..first + self.state_words();
        self.memory.get_mut(state).proven().unwrap_or(&mut [])
    }

    /// The last word of a state.
    fn state_crc(&self, head: [u32; HEAD_WORDS]) -> u32 {
        let crc = Crc32c::new().with(bytemuck::cast_slice(&head));
        crc.with(bytemuck::cast_slice(self.state())).value()
    }

    /// Whether a session of this model can come to such a state: h, c of an LSTM and the window's samples
    /// are any, all others have their ranges.
    /// `word` gives a word of the arena that the state holds, `None` behind its end.
    fn could_save(&self, steps: u32, pooled: u32, word: impl Fn(usize) -> Option<u32>) -> bool {
        let layout = &self.model.arena;
        let from = |first: usize| (first..).map_while(&word);
        let of_layer = |layer: usize| {
            // The half that fills the last word of h.
            let last_of_h = from(layout.c_word(layer) - 1).next().unwrap_or(0);
            let pad = self.model.hidden() % 2 == 1 && last_of_h >> 16 != 0;
            let is_any = self.model.cell == Cell::Lstm;
            let mut c = from(layout.c_word(layer)).take(self.model.hidden());
            !pad && (is_any || c.all(|c| STATE.contains(&(c as i32))))
        };
        let count = match self.model.pool {
            Pool::Last => pooled == 0,
            Pool::Mean if steps <= POOLED_MAX => pooled == steps,
            Pool::Mean => (POOLED_MAX.div_ceil(2)..=POOLED_MAX).contains(&pooled),
            Pool::Recent => pooled == steps.min(self.model.horizon()),
            Pool::Sum | Pool::Canvas => {
                pooled == 0 && self.model.draw.is_some_and(|draw| steps <= draw.steps)
            }
        };
        let mut sums = from(layout.pool_word).take(layout.kept_word - layout.pool_word);
        let sums = match self.model.pool {
            // Any halves, and the one that fills the last word.
            Pool::Sum => {
                self.model.hidden().is_multiple_of(2)
                    || sums.last().is_some_and(|sum| sum >> 16 == 0)
            }
            Pool::Canvas => true,
            _ => sums.all(|sum| (sum as i32).unsigned_abs() <= pooled << 15),
        };
        let values = self.model.cell.gates() * self.model.hidden();
        let filter = self.model.filter.is_none_or(|(filter, _)| {
            let kept = from(layout.kept_word).take(layout.kept_words());
            filter.could_keep(values, kept)
        });
        let front_end = self
            .model
            .front_end()
            .is_none_or(|front_end| front_end.could_save(from(layout.front_end_word)));
        let mut layers = 0..self.model.layers();
        layers.all(of_layer) && count && filter && front_end && sums
    }
}

/// A state that is being loaded part by part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loading {
    /// Words taken.
    words: usize,
    head: [u32; HEAD_WORDS],
}
