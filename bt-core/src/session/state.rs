//! A session's state across a power cycle.
//!
//! ```text
//! model's CRC · steps · pooled · words of the arena from `hidden_word` on · CRC-32C of all before
//! ```
//!
//! Words, little-endian. Flash wears and power fails while it is written: a state is loaded whole or not
//! at all.

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
        let wrong_length = StateError::WrongLength { need, found };
        if need != found {
            return Err(wrong_length);
        }
        if self.complete || self.samples != 0 || !self.progress.is_start() {
            return Err(StateError::FrameUnderWay);
        }
        let (bytes, crc) = bytes.split_last_chunk_mut::<4>().ok_or(wrong_length)?;
        let first = self.model.arena.hidden_word;
        let state = self.memory.get(first..first + self.state_words());
        let state = state.proven().unwrap_or(&[]);
        let words = [self.model.crc(), self.steps, self.pooled]
            .into_iter()
            .chain(state.iter().copied());
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        *crc = Crc32c::new().with(bytes).value().to_le_bytes();
        Ok(())
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
        let (bytes, crc) = bytes.split_last_chunk::<4>().ok_or(wrong_length)?;
        if *crc != Crc32c::new().with(bytes).value().to_le_bytes() {
            return Err(StateError::Damaged);
        }
        let (words, _) = bytes.as_chunks::<4>();
        let (head, state) = words
            .split_first_chunk::<HEAD_WORDS>()
            .ok_or(wrong_length)?;
        let [model, steps, pooled] = head.map(u32::from_le_bytes);
        if model != self.model.crc() {
            return Err(StateError::Mismatch);
        }
        if !self.could_save(steps, pooled, state) {
            return Err(StateError::Damaged);
        }
        self.reset();
        (self.steps, self.pooled) = (steps, pooled);
        let first = self.model.arena.hidden_word;
        let places = self.memory.get_mut(first..first + state.len());
        for (place, word) in places.proven().unwrap_or(&mut []).iter_mut().zip(state) {
            *place = u32::from_le_bytes(*word);
        }
        Ok(())
    }

    /// Whether a session of this model can come to such a state: h, c of an LSTM and the window's samples
    /// are any, all others have their ranges.
    fn could_save(&self, steps: u32, pooled: u32, state: &[[u8; 4]]) -> bool {
        let layout = &self.model.arena;
        let from = |word: usize| {
            let words = state.get(word - layout.hidden_word..).proven();
            let words = words.unwrap_or(&[]).iter();
            words.map(|&word| u32::from_le_bytes(word))
        };
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
        };
        let mut sums = from(layout.pool_word).take(layout.filter_word - layout.pool_word);
        let values = self.model.cell.gates() * self.model.hidden();
        let filter = self.model.filter.is_none_or(|(filter, _)| {
            let kept = from(layout.filter_word).take(layout.filter_words());
            filter.could_keep(values, kept)
        });
        let front_end = self
            .model
            .front_end()
            .is_none_or(|front_end| front_end.could_save(from(layout.front_end_word)));
        let mut layers = 0..self.model.layers();
        layers.all(of_layer)
            && count
            && filter
            && front_end
            && sums.all(|sum| (sum as i32).unsigned_abs() <= pooled << 15)
    }
}
