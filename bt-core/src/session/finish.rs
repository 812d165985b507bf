//! The end of an utterance.

use super::{PIECE, Session, StepError};

impl Session<'_, '_> {
    /// Ends an utterance: completes the step under way with silence, so that
    /// [`Session::frame_complete`] holds, and does nothing between steps or
    /// when it holds already. Take the step, read the scores, then reset.
    ///
    /// Silence are samples that the front end's high-pass turns into zeros, so
    /// an offset of the microphone makes no click here. Training and
    /// `bt-train run` end every recording this way.
    ///
    /// # Errors
    ///
    /// [`StepError::FrameIncomplete`] when values of a frame are missing that
    /// nothing can stand for: the model has no front end. Nothing happens then.
    pub fn finish(&mut self) -> Result<(), StepError> {
        if self.loading.is_some() {
            return Err(StepError::StateUnderWay);
        }
        let found = self.pushed();
        if self.complete || found == 0 {
            return Ok(());
        }
        let need = self.model.frame_values();
        let missing = StepError::FrameIncomplete { need, found };
        let front_end = self.model.front_end().ok_or(missing)?;
        let first = self.model.arena.front_end_word;
        let silence = front_end.silence(self.memory.get(first..).unwrap_or(&[]));
        while !self.complete {
            if self.push_pcm(front_end, &[silence; PIECE]) == 0 {
                return Err(missing);
            }
        }
        Ok(())
    }
}
