//! A stream of frames through a model: `push` → `step` → scores, over a caller-owned arena.
//!
//! The state (h, c) survives between steps until [`Session::reset`]; [`Session::finish`] completes
//! the last step of an utterance, [`Session::save`] and [`Session::load`] carry the state across a
//! power cycle. Several sessions can share one model.

mod draw;
mod error;
mod finish;
mod limits;
mod paint;
mod push;
mod scores;
mod self_test;
mod state;
mod step;
mod words;
#[cfg(feature = "alloc")]
mod write;

use crate::map::Progress;
use crate::model::Model;
use crate::proven::Proven;
use state::Loading;
use step::Side;

pub use error::{
    DrawError, PushError, ScoresError, SessionError, StateError, StepError, WordError,
};
pub use limits::Limits;
pub use self_test::SelfTest;
pub use step::Watched;

/// Most steps that the mean's sums, 32 bits wide, hold between two calls: the step after it halves them.
const POOLED_MAX: u32 = u16::MAX as u32;

/// Values that are copied to the stack at a time.
const PIECE: usize = 16;

/// One stream through a model.
///
/// ```
/// use bt_core::{Error, Model, Session, argmax};
///
/// /// The class after the last of these frames, as they come off a wire.
/// fn classify(
///     model: &Model,
///     arena: &mut [u32],
///     mut frames: &[u8],
///     scores: &mut [i32],
/// ) -> Result<Option<usize>, Error> {
///     let mut session = Session::new(model, arena)?;
///     while session.feed(&mut frames)? {
///         session.step()?;
///     }
///     session.scores(scores)?;
///     Ok(argmax(scores))
/// }
/// ```
pub struct Session<'m, 'a> {
    model: &'m Model<'m>,
    memory: &'a mut [u32],
    progress: Progress,
    /// No value is taken: a step is due, or the rest of a state.
    complete: bool,
    loading: Option<Loading>,
    steps: u32,
    /// Steps that the mean's sums stand for, up to [`POOLED_MAX`]; 0 without a mean.
    pooled: u32,
    /// PCM samples of the frame under way.
    samples: u32,
    /// [`Model::needs_zeros`] of each map, a [`Side::bit`] each.
    needs_zeros: u32,
}

impl<'m, 'a> Session<'m, 'a> {
    /// A session at rest. `arena` may be larger than needed; its first part is cleared and used.
    ///
    /// # Errors
    ///
    /// [`SessionError::ArenaTooSmall`], with need and have.
    pub fn new(model: &'m Model<'m>, arena: &'a mut [u32]) -> Result<Self, SessionError> {
        let found = arena.len() * 4;
        let memory =
            arena
                .get_mut(..model.arena_bytes() / 4)
                .ok_or(SessionError::ArenaTooSmall {
                    need: model.arena_bytes(),
                    found,
                })?;
        let mut session = Self {
            model,
            memory,
            progress: Progress::new(),
            complete: false,
            loading: None,
            steps: 0,
            pooled: 0,
            samples: 0,
            needs_zeros: needs_zeros(model),
        };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'m> {
        self.model
    }

    /// Forgets everything: h = c = 0, no values of a frame.
    #[inline(never)]
    pub fn reset(&mut self) {
        self.memory.fill(0);
        self.loading = None;
        self.progress = Progress::new();
        self.steps = 0;
        self.pooled = 0;
        if let Some(front_end) = self.model.front_end() {
            let layout = &self.model.arena;
            let state = self
                .memory
                .get_mut(layout.front_end_word..layout.vector_word);
            front_end.reset(state.proven().unwrap_or(&mut []));
        }
        self.end_frame();
    }

    /// Begins a sequence in a stream that goes on: h = c = 0 and no steps, as after a [reset](Session::reset), but
    /// values of a frame under way stay, and what the audio front end has heard. While a state is being loaded nothing
    /// happens.
    pub fn restart(&mut self) {
        if self.loading.is_some() {
            return;
        }
        self.forget();
        self.steps = 0;
    }

    /// h = c = 0, and what a mean has summed up.
    fn forget(&mut self) {
        let layout = &self.model.arena;
        let state = self.memory.get_mut(layout.hidden_word..layout.kept_word);
        state.proven().unwrap_or(&mut []).fill(0);
        self.pooled = 0;
    }

    /// Forgets the values of the frame under way, complete or not, and returns how many they were; h and c stay.
    /// For a sensor whose frame lost something on its way. Of a model with the audio front end nothing is
    /// forgotten (0): its samples are a stream, and what comes next follows them.
    pub fn drop_frame(&mut self) -> usize {
        if self.model.front_end().is_some() {
            return 0;
        }
        let dropped = if self.complete {
            self.model.frame_values()
        } else {
            self.pushed()
        };
        self.progress = Progress::new();
        self.end_frame();
        dropped
    }

    /// Steps since reset, 2³² − 1 for more.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether a step is due.
    pub fn frame_complete(&self) -> bool {
        self.complete && self.loading.is_none()
    }

    /// Values pushed since the last step.
    fn pushed(&self) -> usize {
        match self.model.front_end() {
            Some(_) => self.samples as usize,
            None => self.progress.taken(&self.model.input),
        }
    }

    fn end_frame(&mut self) {
        self.complete = false;
        self.samples = 0;
    }

    /// The pre-activations z `[gates·J]` (Q4.11, the gate slowest: i, f, g, o of an LSTM, r, k, n of a GRU,
    /// a, v of a minGRU) as they stand: from a frame's first value on the first layer's bias and what its
    /// input map has added so far, complete once [`Session::frame_complete`] (where the model filters its
    /// input, until the step in the filter's own format and without the bias); between frames those of the
    /// last step's last layer.
    pub fn pre_activations(&self) -> &[i16] {
        let words = self.memory.get(..self.model.arena.z_words()).proven();
        let z: &[i16] = bytemuck::cast_slice(words.unwrap_or(&[]));
        let values = self.model.cell.gates() * self.model.hidden();
        z.get(..values).proven().unwrap_or(&[])
    }

    /// The hidden state h `[J]` of the last layer, [`Model::hidden_fraction`] fraction bits.
    pub fn hidden_state(&self) -> &[i16] {
        let h: &[i16] = bytemuck::cast_slice(self.hidden_words());
        h.get(..self.model.hidden()).proven().unwrap_or(&[])
    }

    /// The same, two values a word.
    fn hidden_words(&self) -> &[u32] {
        let first = self.model.arena.h_word(self.model.layers() - 1);
        let words = self.model.hidden().div_ceil(2);
        let h = self.memory.get(first..first + words);
        h.proven().unwrap_or(&[])
    }
}

/// Where the stream stands, not what is in the arena.
impl core::fmt::Debug for Session<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("model", &self.model.name())
            .field("steps", &self.steps)
            .field("pushed", &self.pushed())
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Session<'_, '_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Session {{ model: {=str}, steps: {=u32}, pushed: {=usize}, complete: {=bool} }}",
            self.model.name(),
            self.steps,
            self.pushed(),
            self.complete,
        );
    }
}

/// A bit of each map that wants its scratch zeroed.
#[inline(never)]
fn needs_zeros(model: &Model<'_>) -> u32 {
    let mut bits = 0;
    for layer in 0..model.layers() {
        let maps = [
            (Side::Input, model.input_of(layer)),
            (Side::Recurrent, model.recurrent_of(layer)),
        ];
        for (side, map) in maps {
            if map.is_some_and(|map| model.needs_zeros(&map)) {
                bits |= side.bit(layer);
            }
        }
    }
    bits
}
