//! A caption, word by word, of a picture that is read once.

use super::{Session, Watched, WordError};
use crate::kernel;
use crate::proven::Proven;
use crate::words::{END, Words};

impl<'m> Session<'m, '_> {
    /// Takes a step on a word of the caption under way: z is the picture's share and the word's, the rest is as of
    /// [`step`](Session::step).
    ///
    /// # Errors
    ///
    /// [`WordError`]; nothing happens then.
    pub fn step_word(&mut self, word: usize) -> Result<(), WordError> {
        self.step_word_watched(word, |_| ())
    }

    /// [`Session::step_word`], showing what it did as [`Session::step_watched`] does.
    ///
    /// # Errors
    ///
    /// As of [`Session::step_word`]; `watch` is not called then.
    pub fn step_word_watched(
        &mut self,
        word: usize,
        watch: impl FnMut(Watched<'_>),
    ) -> Result<(), WordError> {
        let words = self.words_of_picture()?;
        let count = self.model.outputs();
        if word >= count {
            return Err(WordError::NoSuchWord { words: count });
        }
        self.begin_word(&words, word);
        self.run_layers(watch);
        Ok(())
    }

    /// Begins another caption of the picture that was pushed last: h = c = 0, and a step on [`END`].
    ///
    /// # Errors
    ///
    /// [`WordError`]; nothing happens then.
    pub fn begin_caption(&mut self) -> Result<(), WordError> {
        let words = self.words_of_picture()?;
        self.forget();
        self.begin_word(&words, END);
        self.run_layers(|_| ());
        Ok(())
    }

    /// The table of words, where there is a picture's share to add them to and nothing under way.
    fn words_of_picture(&self) -> Result<Words<'m>, WordError> {
        let words = self.model.words().ok_or(WordError::NotWords)?;
        if self.loading.is_some() {
            return Err(WordError::StateUnderWay);
        }
        if self.complete || self.pushed() != 0 {
            return Err(WordError::PictureUnderWay);
        }
        if self.steps == 0 {
            return Err(WordError::NoPicture);
        }
        Ok(words)
    }

    /// z of a frame is a picture's share, where the model tells captions: it is kept, and a caption begins.
    pub(super) fn begin_picture(&mut self) {
        let Some(words) = self.model.words() else {
            return;
        };
        self.forget();
        let layout = &self.model.arena;
        if let Some((z, kept)) = layout.z_and_kept(self.memory).proven() {
            kernel::copy(kept, z);
        }
        self.add_word(&words, END);
    }

    /// z starts as the picture's share and the word's.
    fn begin_word(&mut self, words: &Words<'_>, word: usize) {
        let layout = &self.model.arena;
        if let Some((z, kept)) = layout.z_and_kept(self.memory).proven() {
            kernel::copy(z, kept);
        }
        self.add_word(words, word);
    }

    fn add_word(&mut self, words: &Words<'_>, word: usize) {
        let z = self.memory.get_mut(..self.model.arena.z_words());
        let z: &mut [i16] = bytemuck::cast_slice_mut(z.proven().unwrap_or(&mut []));
        let values = self.model.cell.gates() * self.model.hidden();
        words.add(word, z.get_mut(..values).proven().unwrap_or(&mut []));
    }
}
