//! A stream of frames through a model: `push` → `step` → scores, over a caller-owned arena.
//!
//! The state (h, c) survives between steps until [`Session::reset`]; [`Session::finish`] completes
//! the last step of an utterance, [`Session::save`] and [`Session::load`] carry the state across a
//! power cycle. Several sessions can share one model.

mod error;
mod finish;
mod self_test;
mod state;
#[cfg(feature = "alloc")]
mod write;

use crate::cell::{self, Units};
use crate::front_end::{FrontEnd, Push};
use crate::kernel::{self, Centred, Sample};
use crate::map::{self, Progress};
use crate::model::layout::CELL_FRACTION;
use crate::model::{ArenaLayout, InputType, Model, Pool};
use crate::proven::Proven;
use crate::q::{round_shift, round_shift_saturate, saturate};

pub use error::{PushError, ScoresError, SessionError, StateError, StepError};
pub use self_test::SelfTest;

/// Most steps that the mean's sums, 32 bits wide, hold between two calls: the step after it halves them.
const POOLED_MAX: u32 = u16::MAX as u32;

/// Values that are copied to the stack at a time.
const PIECE: usize = 16;

/// What a step worked on and what it came to; see [`Session::step_watched`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Watched<'s> {
    /// Pre-activations `[4J]`, Q4.11, bias and both maps' shares: what the gates were given.
    pub z: &'s [i16],
    /// Cell state `[J]`, [`Model::cell_fraction`] fraction bits.
    pub c: &'s [i32],
    /// Hidden state `[J]`, Q0.15.
    pub h: &'s [i16],
}

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
    complete: bool,
    steps: u32,
    /// Steps that the mean's sums stand for, up to [`POOLED_MAX`]; 0 without a mean.
    pooled: u32,
    /// PCM samples of the frame under way.
    samples: u32,
    /// [`Model::needs_zeros`] of each map.
    input_needs_zeros: bool,
    recurrent_needs_zeros: bool,
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
            steps: 0,
            pooled: 0,
            samples: 0,
            input_needs_zeros: model.needs_zeros(&model.input),
            recurrent_needs_zeros: model.needs_zeros(&model.recurrent),
        };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'m> {
        self.model
    }

    /// Forgets everything: h = c = 0, no values of a frame.
    pub fn reset(&mut self) {
        self.memory.fill(0);
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

    /// Steps since reset, 2³² − 1 for more.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether a step is due.
    pub fn frame_complete(&self) -> bool {
        self.complete
    }

    /// Takes values up to the end of the frame and returns how many it took. Running time depends on
    /// how many there are and where in the frame they lie, never on what they are.
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing is taken then.
    pub fn push_u8(&mut self, values: &[u8]) -> Result<usize, PushError> {
        if !self.takes(InputType::U8, values.len())? {
            return Ok(0);
        }
        if self.model.meta.input_zero == InputType::MIDDLE && self.model.is_unscaled() {
            return Ok(self.feed_plain::<Centred>(bytemuck::cast_slice(values)));
        }
        Ok(self.feed_values(values))
    }

    /// As [`Session::push_u8`], for models of `I8`.
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing is taken then.
    pub fn push_i8(&mut self, values: &[i8]) -> Result<usize, PushError> {
        if !self.takes(InputType::I8, values.len())? {
            return Ok(0);
        }
        Ok(self.feed_values(values))
    }

    /// As [`Session::push_u8`], for models of `I16`, PCM included.
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing is taken then.
    pub fn push_i16(&mut self, values: &[i16]) -> Result<usize, PushError> {
        if !self.takes(InputType::I16, values.len())? {
            return Ok(0);
        }
        Ok(match self.model.front_end() {
            Some(front_end) => self.push_pcm(front_end, values),
            None => self.feed_values(values),
        })
    }

    /// Takes little-endian values of the model's own type, as they come off a wire, and returns how
    /// many bytes it took.
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing is taken then.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<usize, PushError> {
        match self.model.input_type {
            InputType::U8 => self.push_u8(bytes),
            InputType::I8 => self.push_i8(bytemuck::cast_slice(bytes)),
            InputType::I16 => {
                let (pairs, rest) = bytes.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(PushError::PartialValue);
                }
                if self.complete {
                    return Err(PushError::FrameComplete);
                }
                // Bytes may lie at an odd address.
                let mut taken = 0;
                for pairs in pairs.chunks(PIECE) {
                    let mut values = [0i16; PIECE];
                    for (value, &pair) in values.iter_mut().zip(pairs) {
                        *value = i16::from_le_bytes(pair);
                    }
                    let values = values.get(..pairs.len()).proven().unwrap_or(&[]);
                    let now = self.push_i16(values)?;
                    taken += now;
                    if now < values.len() || self.complete {
                        break;
                    }
                }
                Ok(taken * 2)
            }
        }
    }

    /// Takes little-endian values of the model's own type off the front of `bytes`, until a step is due
    /// (`true`) or none are left (`false`). Frames may end anywhere in `bytes`:
    ///
    /// ```
    /// # use bt_core::{Error, Session};
    /// # fn of(session: &mut Session, mut bytes: &[u8]) -> Result<(), Error> {
    /// while session.feed(&mut bytes)? {
    ///     session.step()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing is taken then.
    pub fn feed(&mut self, bytes: &mut &[u8]) -> Result<bool, PushError> {
        let taken = self.push_bytes(bytes)?;
        let rest = bytes.get(taken..).proven().unwrap_or(&[]);
        debug_assert!(self.complete || rest.is_empty());
        *bytes = rest;
        Ok(self.complete)
    }

    /// Whether there is anything to take.
    fn takes(&self, given: InputType, values: usize) -> Result<bool, PushError> {
        let need = self.model.input_type;
        match (given == need, values, self.complete) {
            (false, ..) => Err(PushError::WrongType { need }),
            (_, 0, _) => Ok(false),
            (.., true) => Err(PushError::FrameComplete),
            _ => Ok(true),
        }
    }

    /// PCM through the front end; each vector it gives goes into the map.
    #[inline(never)]
    fn push_pcm(&mut self, front_end: &FrontEnd<'_>, samples: &[i16]) -> usize {
        let mut taken = 0;
        while let Some(rest) = samples
            .get(taken..)
            .filter(|rest| !rest.is_empty() && !self.complete)
        {
            let Some(push) = self.push_hop(front_end, rest).proven() else {
                return taken;
            };
            taken += push.consumed;
            self.samples += push.consumed as u32;
            if push.produced {
                self.feed_vector(front_end.bands());
            } else if push.consumed == 0 {
                debug_assert!(false, "the front end has its state and its vector");
                return taken;
            }
        }
        taken
    }

    /// Samples up to the end of a hop; a vector then lies in the arena.
    fn push_hop(&mut self, front_end: &FrontEnd<'_>, samples: &[i16]) -> Option<Push> {
        let layout = &self.model.arena;
        let memory = self
            .memory
            .get_mut(layout.front_end_word..layout.scratch_word)?;
        let (state, vector) =
            memory.split_at_mut_checked(layout.vector_word - layout.front_end_word)?;
        let vector: &mut [i16] = bytemuck::cast_slice_mut(vector);
        Some(front_end.push(state, samples, vector))
    }

    /// Feeds the front end's vector from the arena, in pieces that fit the stack.
    fn feed_vector(&mut self, bands: usize) {
        let first = self.model.arena.vector_word;
        let mut done = 0;
        while done < bands {
            let mut piece = [0i16; PIECE];
            let words = self
                .memory
                .get(first + done / 2..self.model.arena.scratch_word)
                .proven()
                .unwrap_or(&[]);
            let values: &[i16] = bytemuck::cast_slice(words);
            let count = piece.len().min(bands - done);
            for (place, &value) in piece.iter_mut().zip(values) {
                *place = value;
            }
            debug_assert!(values.len() >= count);
            self.feed_values(piece.get(..count).proven().unwrap_or(&[]));
            done += count;
        }
    }

    #[inline(always)]
    fn feed_values<S: Sample>(&mut self, values: &[S]) -> usize {
        if self.model.meta.input_zero == 0 && self.model.is_unscaled() {
            return self.feed_plain(values);
        }
        self.feed_adjusted(values)
    }

    /// Feeds values as they are.
    // On its own so that the stack never holds the frames of both ways.
    #[inline(never)]
    fn feed_plain<S: Sample>(&mut self, values: &[S]) -> usize {
        if self.progress.is_start() {
            self.begin_frame();
        }
        let (taken, complete) = map::feed(self.model, &mut self.progress, values, self.memory);
        self.complete = complete;
        taken
    }

    /// Feeds values that lose an offset or are scaled on the way, in pieces that fit the stack.
    #[inline(never)]
    fn feed_adjusted<S: Sample>(&mut self, values: &[S]) -> usize {
        let mut taken = 0;
        while let Some(rest) = values
            .get(taken..)
            .filter(|rest| !rest.is_empty() && !self.complete)
        {
            let mut piece = [0i16; PIECE];
            let count = piece.len().min(rest.len());
            for (place, &value) in piece.iter_mut().zip(rest) {
                *place = value.to_i16();
            }
            let piece = piece.get_mut(..count).proven().unwrap_or(&mut []);
            self.adjust(piece);
            taken += self.feed_plain(piece);
        }
        taken
    }

    /// Takes their offsets off the next values of a frame and scales them, as of
    /// [`FormatRecord`](crate::model::layout::FormatRecord).
    #[inline(never)]
    fn adjust(&self, piece: &mut [i16]) {
        let (model, meta, format) = (self.model, self.model.meta, self.model.format);
        let from = self.progress.taken(&model.input);
        match model.entries(format.element_offset_table, from) {
            None => {
                for value in &mut *piece {
                    *value = saturate(i32::from(*value) - meta.input_zero);
                }
            }
            Some(offsets) => {
                for (value, &offset) in piece.iter_mut().zip(offsets) {
                    *value = value.saturating_sub(offset as i16);
                }
            }
        }
        let scales = model.entries(meta.element_scale_table, from);
        if scales.is_none() && format.element_scale == 0 {
            return;
        }
        let shifts = model.entries(format.element_shift_table, from);
        for (at, value) in piece.iter_mut().enumerate() {
            // Beyond the frame's end nothing is taken.
            let own = |table: &[u16]| table.get(at).copied().unwrap_or(0);
            let scale = scales.map_or(format.element_scale, |scales| own(scales) as i16 as i32);
            let shift = shifts.map_or(u32::from(meta.element_shift), |shifts| own(shifts).into());
            *value = round_shift_saturate(i32::from(*value) * scale, shift);
        }
    }

    /// Adds the recurrent map's share to z and updates c and h (the paper's equations 1 to 6).
    ///
    /// # Errors
    ///
    /// [`StepError::FrameIncomplete`]; nothing happens then.
    pub fn step(&mut self) -> Result<(), StepError> {
        self.step_watched(|_| ())
    }

    /// [`Session::step`], showing what it did to `watch` before the next frame begins: a trainer
    /// differentiates at these values, a debugger looks for saturation.
    ///
    /// # Errors
    ///
    /// As [`Session::step`]; `watch` is not called then.
    pub fn step_watched(&mut self, watch: impl FnOnce(Watched<'_>)) -> Result<(), StepError> {
        if !self.complete {
            return Err(StepError::FrameIncomplete {
                need: self.model.frame_values(),
                found: self.pushed(),
            });
        }
        if self.recurrent_needs_zeros {
            map::clear_scratch(self.model, self.memory);
        }
        map::recur(self.model, self.memory);
        self.update(watch);
        self.steps = self.steps.saturating_add(1);
        self.end_frame();
        Ok(())
    }

    /// c and h of the step, and the pool's sums.
    // Apart from `recur`: the stack holds one of them at a time.
    #[inline(never)]
    fn update(&mut self, watch: impl FnOnce(Watched<'_>)) {
        let Some(Streamed { z, h, c, sums }) = streamed(&self.model.arena, self.memory).proven()
        else {
            return;
        };
        let Some(units) = Units::new(z, &mut *c, &mut *h).proven() else {
            return;
        };
        match self.model.cell_fraction() {
            CELL_FRACTION => cell::update(self.model.gate, units),
            fraction => cell::wide::update(self.model.gate, fraction, units),
        }
        watch(Watched { z, c, h });
        if self.model.pool == Pool::Mean {
            pool(sums, h, &mut self.pooled);
        }
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

    /// z starts as the bias, the scratch as zeros where the overflow proof wants them.
    #[inline(never)]
    fn begin_frame(&mut self) {
        if self.input_needs_zeros {
            map::clear_scratch(self.model, self.memory);
        }
        let z = self
            .memory
            .get_mut(..self.model.arena.hidden_word)
            .proven()
            .unwrap_or(&mut []);
        // 4J values from a section that begins on a word.
        let bias = bytemuck::try_cast_slice(self.model.bias).ok().proven();
        let bias = bias.unwrap_or(&[]);
        debug_assert_eq!(z.len(), bias.len());
        kernel::copy(z, bias);
    }

    /// The pre-activations z `[4J]` (Q4.11, gates i, f, g, o, slowest) as they stand: from a frame's
    /// first value on its bias and what the input map has added so far, complete once
    /// [`Session::frame_complete`]; between frames those of the last step.
    pub fn pre_activations(&self) -> &[i16] {
        bytemuck::cast_slice(
            self.memory
                .get(..self.model.arena.hidden_word)
                .proven()
                .unwrap_or(&[]),
        )
    }

    /// The hidden state h `[J]`, Q0.15.
    pub fn hidden_state(&self) -> &[i16] {
        let first = self.model.arena.hidden_word;
        let words = self
            .memory
            .get(first..first + self.model.hidden().div_ceil(2))
            .proven()
            .unwrap_or(&[]);
        let h: &[i16] = bytemuck::cast_slice(words);
        h.get(..self.model.hidden()).proven().unwrap_or(&[])
    }

    /// Raw scores of every class; logits are these · 2^−[`Model::score_shift`].
    ///
    /// # Errors
    ///
    /// [`ScoresError`].
    pub fn scores(&self, scores: &mut [i32]) -> Result<(), ScoresError> {
        let (need, found) = (self.model.classes(), scores.len());
        if need != found {
            return Err(ScoresError::WrongLength { need, found });
        }
        if self.steps == 0 {
            return Err(ScoresError::NoStep);
        }
        for (score, value) in scores.iter_mut().zip(self.raw_scores()) {
            *score = value;
        }
        Ok(())
    }

    /// The raw scores, class by class.
    fn raw_scores(&self) -> impl Iterator<Item = i32> + '_ {
        let hidden = self.model.hidden();
        let rows = self
            .model
            .head_weights
            .chunks_exact(hidden.max(1))
            .zip(self.model.head_bias);
        rows.map(move |(row, &bias)| match self.model.pool {
            Pool::Last => kernel::dot(row, self.hidden_state(), bias),
            Pool::Mean => {
                let first = self.model.arena.pool_word;
                let sums = self.memory.get(first..first + hidden).proven();
                let sums: &[i32] = bytemuck::cast_slice(sums.unwrap_or(&[]));
                let pooled = self.pooled.max(1) as i32;
                let terms = row
                    .iter()
                    .zip(sums)
                    .map(|(&w, &sum)| i32::from(w) * i32::from(mean(sum, pooled)));
                terms.fold(bias, i32::wrapping_add)
            }
        })
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

/// What a session keeps of a stream beside the front end's state.
struct Streamed<'a> {
    /// `[4J]`.
    z: &'a [i16],
    /// `[J]`; where J is odd, a half behind it that is always 0 fills the word.
    h: &'a mut [i16],
    /// `[J]`.
    c: &'a mut [i32],
    /// `[J]` for the mean, or none.
    sums: &'a mut [i32],
}

/// The one place that cuts them from the arena, so that they agree on J.
#[inline(always)]
fn streamed<'a>(layout: &ArenaLayout, memory: &'a mut [u32]) -> Option<Streamed<'a>> {
    let memory = memory.get_mut(..layout.front_end_word)?;
    let (memory, sums) = memory.split_at_mut_checked(layout.pool_word)?;
    let (memory, c) = memory.split_at_mut_checked(layout.cell_word)?;
    let (z, h) = memory.split_at_mut_checked(layout.hidden_word)?;
    let h: &mut [i16] = bytemuck::cast_slice_mut(h);
    Some(Streamed {
        z: bytemuck::cast_slice(z),
        h: h.get_mut(..c.len())?,
        c: bytemuck::cast_slice_mut(c),
        sums: bytemuck::cast_slice_mut(sums),
    })
}

/// Adds a step's h to the sums. Those of 65,536 steps, |sum| ≤ 2³¹, become half as many of half the
/// weight: the mean goes on for ever, and what lies long ago fades.
#[inline(always)]
fn pool(sums: &mut [i32], h: &[i16], pooled: &mut u32) {
    debug_assert_eq!(sums.len(), h.len());
    for (sum, &h) in sums.iter_mut().zip(h) {
        *sum = sum.wrapping_add(i32::from(h));
    }
    *pooled += 1;
    if *pooled > POOLED_MAX {
        for sum in sums {
            *sum = round_shift(*sum, 1);
        }
        *pooled /= 2;
    }
}

/// sum / pooled, half up; pooled ≥ 1. |sum| ≤ 2¹⁵·(2¹⁶ − 1), so the rounding term fits.
fn mean(sum: i32, pooled: i32) -> i16 {
    sum.wrapping_add(pooled / 2)
        .checked_div_euclid(pooled)
        .unwrap_or(0) as i16
}
