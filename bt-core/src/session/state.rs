//! A session's state across a power cycle.

use super::{Session, StateError};

impl Session<'_, '_> {
    /// Bytes of a saved state.
    pub fn saved_bytes(&self) -> usize {
        8 + 4 * self.state_words()
    }

    /// h, c, the pool and the front end's window: words of the arena from `hidden_word` on.
    fn state_words(&self) -> usize {
        let front_end = self
            .model
            .front_end()
            .map_or(0, |front_end| front_end.saved_words());
        self.model.arena.front_end_word + front_end - self.model.arena.hidden_word
    }

    /// Writes the state (h, c, pool, front end, steps) between frames.
    ///
    /// # Errors
    ///
    /// [`StateError`]; nothing is written then.
    pub fn save(&self, bytes: &mut [u8]) -> Result<(), StateError> {
        let (need, found) = (self.saved_bytes(), bytes.len());
        if need != found {
            return Err(StateError::WrongLength { need, found });
        }
        if self.complete || self.samples != 0 || !self.progress.is_start() {
            return Err(StateError::FrameUnderWay);
        }
        let first = self.model.arena.hidden_word;
        let state = self
            .memory
            .get(first..first + self.state_words())
            .unwrap_or(&[]);
        let words = [self.model.crc(), self.steps]
            .into_iter()
            .chain(state.iter().copied());
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        Ok(())
    }

    /// Goes on from a saved state, at the start of a frame.
    ///
    /// # Errors
    ///
    /// [`StateError`]; the session is as before then.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (need, found) = (self.saved_bytes(), bytes.len());
        if need != found {
            return Err(StateError::WrongLength { need, found });
        }
        let (words, _) = bytes.as_chunks::<4>();
        let Some(([model, steps], state)) = words.split_first_chunk::<2>() else {
            return Err(StateError::Mismatch);
        };
        if u32::from_le_bytes(*model) != self.model.crc() {
            return Err(StateError::Mismatch);
        }
        self.reset();
        self.steps = u32::from_le_bytes(*steps);
        let first = self.model.arena.hidden_word;
        for (place, word) in self
            .memory
            .get_mut(first..)
            .unwrap_or(&mut [])
            .iter_mut()
            .zip(state)
        {
            *place = u32::from_le_bytes(*word);
        }
        Ok(())
    }
}
