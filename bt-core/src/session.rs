//! A stream of frames through a model: `push` → `step` → scores, over a caller-owned arena.
//!
//! The state (h, c) survives between steps until [`Session::reset`]; [`Session::save`] and
//! [`Session::load`] carry it across a power cycle. Several sessions can share one model.

use crate::cell;
use crate::kernel::{self, Centred, Sample};
use crate::map::{self, Progress};
use crate::model::layout::CRC;
use crate::model::{InputType, Model, Pool};
use crate::program::NONE;
use crate::q::{round_shift_saturate, saturate};

/// Steps the mean pools before it stops taking in more (its sums are 32 bits wide).
pub const POOL_STEPS_MAX: u32 = u16::MAX as u32;

/// Why a session could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The arena is smaller than [`Model::arena_bytes`].
    ArenaTooSmall {
        /// Bytes the model needs.
        need: usize,
        /// Bytes given.
        found: usize,
    },
}

/// Why values were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The model takes another type of value.
    WrongType {
        /// The model's.
        need: InputType,
    },
    /// Bytes end inside a value.
    PartialValue,
    /// The frame is complete: call [`Session::step`] first.
    FrameComplete,
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepError {
    /// Values of the frame are missing.
    FrameIncomplete {
        /// Values of a frame.
        need: usize,
        /// Values pushed since the last step.
        found: usize,
    },
}

/// Why scores were not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoresError {
    /// The slice does not have one place per class.
    WrongLength {
        /// Classes of the model.
        need: usize,
        /// Length of the slice.
        found: usize,
    },
    /// No step since reset.
    NoStep,
}

/// Why a state was not saved or loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// The buffer does not have [`Session::saved_bytes`] bytes.
    WrongLength {
        /// Bytes of a state.
        need: usize,
        /// Bytes given.
        found: usize,
    },
    /// A frame is under way; a state is saved between frames.
    FrameUnderWay,
    /// The state is another model's, or damaged.
    Mismatch,
}

macro_rules! display {
    ($($error:ty => |$e:ident, $f:ident| $body:expr;)*) => {$(
        impl core::fmt::Display for $error {
            fn fmt(&self, $f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let $e = self;
                $body
            }
        }
        impl core::error::Error for $error {}
    )*};
}

display! {
    SessionError => |e, f| match e {
        Self::ArenaTooSmall { need, found } => write!(f, "the arena has {found} bytes, the model needs {need}"),
    };
    PushError => |e, f| match e {
        Self::WrongType { need } => write!(f, "the model takes values of type {need:?}"),
        Self::PartialValue => f.write_str("bytes end inside a value"),
        Self::FrameComplete => f.write_str("the frame is complete, a step is due"),
    };
    StepError => |e, f| match e {
        Self::FrameIncomplete { need, found } => write!(f, "the frame has {found} of {need} values"),
    };
    ScoresError => |e, f| match e {
        Self::WrongLength { need, found } => write!(f, "{found} places for {need} scores"),
        Self::NoStep => f.write_str("no step since reset"),
    };
    StateError => |e, f| match e {
        Self::WrongLength { need, found } => write!(f, "a state has {need} bytes, not {found}"),
        Self::FrameUnderWay => f.write_str("a frame is under way"),
        Self::Mismatch => f.write_str("the state belongs to another model or is damaged"),
    };
}

/// What a step worked on and what it came to; see [`Session::step_watched`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched<'s> {
    /// Pre-activations `[4J]`, Q4.11, bias and both maps' shares: what the gates were given.
    pub z: &'s [i16],
    /// Cell state `[J]`, Q7.24.
    pub c: &'s [i32],
    /// Hidden state `[J]`, Q0.15.
    pub h: &'s [i16],
}

/// One stream through a model.
#[derive(Debug)]
pub struct Session<'m, 'a> {
    model: &'m Model<'m>,
    memory: &'a mut [u32],
    progress: Progress,
    complete: bool,
    steps: u32,
    /// PCM samples of the frame under way.
    samples: u32,
}

impl<'m, 'a> Session<'m, 'a> {
    /// A session at rest. `arena` may be larger than needed; its first part is cleared and used.
    ///
    /// # Errors
    ///
    /// [`SessionError::ArenaTooSmall`], with need and have.
    pub fn new(model: &'m Model<'m>, arena: &'a mut [u32]) -> Result<Self, SessionError> {
        let found = arena.len() * 4;
        let memory = arena
            .get_mut(..model.arena_words)
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
            samples: 0,
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
        if let Some(front_end) = self.model.front_end {
            let layout = self.model.arena;
            let state = self
                .memory
                .get_mut(layout.front_end_word..layout.vector_word);
            front_end.reset(state.unwrap_or(&mut []));
        }
        self.begin_frame();
    }

    /// Steps since reset.
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
        let meta = self.model.meta;
        if meta.input_zero == InputType::MIDDLE && meta.element_scale_table == NONE {
            let values: &[Centred] = bytemuck::cast_slice(values);
            return self.push(InputType::U8, values, Self::feed);
        }
        self.push(InputType::U8, values, Self::feed)
    }

    /// As [`Session::push_u8`], for models of `I8`.
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing is taken then.
    pub fn push_i8(&mut self, values: &[i8]) -> Result<usize, PushError> {
        self.push(InputType::I8, values, Self::feed)
    }

    /// As [`Session::push_u8`], for models of `I16`, PCM included.
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing is taken then.
    pub fn push_i16(&mut self, values: &[i16]) -> Result<usize, PushError> {
        match self.model.front_end {
            Some(_) => self.push(InputType::I16, values, Self::push_pcm),
            None => self.push(InputType::I16, values, Self::feed),
        }
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
                for pairs in pairs.chunks(16) {
                    let mut values = [0i16; 16];
                    for (value, &pair) in values.iter_mut().zip(pairs) {
                        *value = i16::from_le_bytes(pair);
                    }
                    let values = values.get(..pairs.len()).unwrap_or(&[]);
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

    /// Checks what is pushed and lets `take` have it.
    fn push<S: Sample>(
        &mut self,
        given: InputType,
        values: &[S],
        take: impl FnOnce(&mut Self, &[S]) -> usize,
    ) -> Result<usize, PushError> {
        if given != self.model.input_type {
            return Err(PushError::WrongType {
                need: self.model.input_type,
            });
        }
        if values.is_empty() {
            return Ok(0);
        }
        if self.complete {
            return Err(PushError::FrameComplete);
        }
        Ok(take(self, values))
    }

    /// PCM through the front end; each vector it gives goes into the map.
    #[inline(never)]
    fn push_pcm(&mut self, samples: &[i16]) -> usize {
        let Some(front_end) = self.model.front_end else {
            return 0;
        };
        let layout = self.model.arena;
        let mut taken = 0;
        while let Some(rest) = samples
            .get(taken..)
            .filter(|rest| !rest.is_empty() && !self.complete)
        {
            let bands = front_end.bands();
            let Some(state) = self
                .memory
                .get_mut(layout.front_end_word..layout.scratch_word)
            else {
                return taken;
            };
            let Some((state, vector)) =
                state.split_at_mut_checked(layout.vector_word - layout.front_end_word)
            else {
                return taken;
            };
            let vector: &mut [i16] = bytemuck::cast_slice_mut(vector);
            let Some(vector) = vector.get_mut(..bands) else {
                return taken;
            };
            let push = front_end.push(state, rest, vector);
            taken += push.consumed;
            self.samples += push.consumed as u32;
            if push.produced {
                self.feed_vector(bands);
            } else if push.consumed == 0 {
                return taken;
            }
        }
        taken
    }

    /// Feeds the front end's vector from the arena, in pieces that fit the stack.
    fn feed_vector(&mut self, bands: usize) {
        let first = self.model.arena.vector_word;
        let mut done = 0;
        while done < bands {
            let mut piece = [0i16; 16];
            let words = self
                .memory
                .get(first + done / 2..self.model.arena.scratch_word)
                .unwrap_or(&[]);
            let values: &[i16] = bytemuck::cast_slice(words);
            let count = piece.len().min(bands - done);
            for (place, &value) in piece.iter_mut().zip(values) {
                *place = value;
            }
            self.feed(piece.get(..count).unwrap_or(&[]));
            done += count;
        }
    }

    fn feed<S: Sample>(&mut self, values: &[S]) -> usize {
        let meta = self.model.meta;
        if meta.element_scale_table == NONE && meta.input_zero == S::ZERO {
            let (taken, complete) = map::feed(self.model, &mut self.progress, values, self.memory);
            self.complete = complete;
            return taken;
        }
        self.feed_adjusted(values)
    }

    /// Feeds values that lose an offset or are scaled on the way, in pieces that fit the stack.
    #[inline(never)]
    fn feed_adjusted<S: Sample>(&mut self, values: &[S]) -> usize {
        let meta = self.model.meta;
        let mut taken = 0;
        while let Some(rest) = values
            .get(taken..)
            .filter(|rest| !rest.is_empty() && !self.complete)
        {
            let mut piece = [0i16; 16];
            let count = piece.len().min(rest.len());
            for (place, &value) in piece.iter_mut().zip(rest) {
                *place = saturate(i32::from(value.to_i16()) - meta.input_zero);
            }
            if meta.element_scale_table != NONE {
                let first =
                    meta.element_scale_table as usize + self.progress.taken(&self.model.input);
                let scales = self.model.tables.get(first..).unwrap_or(&[]);
                for (place, &scale) in piece.iter_mut().zip(scales) {
                    let product = i32::from(*place) * i32::from(scale as i16);
                    *place = round_shift_saturate(product, u32::from(meta.element_shift));
                }
            }
            let piece = piece.get(..count).unwrap_or(&[]);
            let (now, complete) = map::feed(self.model, &mut self.progress, piece, self.memory);
            self.complete = complete;
            taken += now;
        }
        taken
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
                need: self.model.frame_values,
                found: self.pushed(),
            });
        }
        map::recur(self.model, self.memory);
        let layout = self.model.arena;
        let hidden = self.model.hidden();
        let (z, rest) = self
            .memory
            .split_at_mut(layout.hidden_word.min(self.memory.len()));
        let (h, rest) = rest.split_at_mut(hidden.div_ceil(2).min(rest.len()));
        let (c, rest) = rest.split_at_mut(hidden.min(rest.len()));
        let (z, h): (&[i16], &mut [i16]) = (bytemuck::cast_slice(z), bytemuck::cast_slice_mut(h));
        let c: &mut [i32] = bytemuck::cast_slice_mut(c);
        cell::update(self.model.gate, z, c, h);
        watch(Watched {
            z,
            c,
            h: h.get(..hidden).unwrap_or(&[]),
        });
        if self.model.pool == Pool::Mean && self.steps < POOL_STEPS_MAX {
            let sums: &mut [i32] = bytemuck::cast_slice_mut(rest);
            for (sum, &h) in sums.iter_mut().zip(h.iter()).take(hidden) {
                *sum = sum.wrapping_add(i32::from(h));
            }
        }
        self.steps = self.steps.saturating_add(1);
        self.begin_frame();
        Ok(())
    }

    /// Values pushed since the last step.
    fn pushed(&self) -> usize {
        match self.model.front_end {
            Some(_) => self.samples as usize,
            None => self.progress.taken(&self.model.input),
        }
    }

    /// z starts as the bias, the scratch as zeros: the overflow proof reasons about one map at a time.
    fn begin_frame(&mut self) {
        self.complete = false;
        self.samples = 0;
        map::clear_scratch(self.model, self.memory);
        let z = self
            .memory
            .get_mut(..self.model.arena.hidden_word)
            .unwrap_or(&mut []);
        // 4J values from a section that begins on a word.
        kernel::copy(z, bytemuck::try_cast_slice(self.model.bias).unwrap_or(&[]));
    }

    /// The pre-activations z `[4J]` (Q4.11, gates i, f, g, o, slowest) as they stand: the bias, and
    /// what the input map has added so far; complete once [`Session::frame_complete`].
    pub fn pre_activations(&self) -> &[i16] {
        bytemuck::cast_slice(
            self.memory
                .get(..self.model.arena.hidden_word)
                .unwrap_or(&[]),
        )
    }

    /// The hidden state h `[J]`, Q0.15.
    pub fn hidden_state(&self) -> &[i16] {
        let first = self.model.arena.hidden_word;
        let words = self
            .memory
            .get(first..first + self.model.hidden().div_ceil(2))
            .unwrap_or(&[]);
        let h: &[i16] = bytemuck::cast_slice(words);
        h.get(..self.model.hidden()).unwrap_or(&[])
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
                let sums: &[i32] =
                    bytemuck::cast_slice(self.memory.get(first..first + hidden).unwrap_or(&[]));
                let steps = self.steps.clamp(1, POOL_STEPS_MAX) as i32;
                let terms = row
                    .iter()
                    .zip(sums)
                    .map(|(&w, &sum)| i32::from(w) * i32::from(mean(sum, steps)));
                terms.fold(bias, i32::wrapping_add)
            }
        })
    }

    /// Bytes of a saved state.
    pub fn saved_bytes(&self) -> usize {
        8 + 4 * self.state_words()
    }

    /// h, c, the pool and the front end's window: words of the arena from `hidden_word` on.
    fn state_words(&self) -> usize {
        let front_end = self
            .model
            .front_end
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
        let words = [self.model.crc, self.steps]
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
        if u32::from_le_bytes(*model) != self.model.crc {
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

    /// Runs the golden vector: noise from the model's seed must give scores of the model's CRC.
    /// Resets the session before and after.
    pub fn self_test(&mut self) -> SelfTest {
        let computed = self.golden_crc();
        self.reset();
        let stated = self.model.meta.golden_crc;
        if computed == stated {
            SelfTest::Passed
        } else {
            SelfTest::Failed { stated, computed }
        }
    }

    /// CRC-32C of the raw scores (little-endian, class by class, after the last golden step).
    pub(crate) fn golden_crc(&mut self) -> u32 {
        static TABLE: crc::Crc<u32, crc::Table<1>> = CRC;
        self.reset();
        let mut noise = Noise(self.model.meta.golden_seed | 1);
        for _ in 0..self.model.meta.golden_steps {
            while !self.complete {
                let value = noise.next();
                let taken = match self.model.input_type {
                    InputType::U8 => self.push_u8(&[value as u8]),
                    InputType::I8 => self.push_i8(&[value as i8]),
                    InputType::I16 => self.push_i16(&[value as i16]),
                };
                if taken != Ok(1) {
                    return 0;
                }
            }
            if self.step().is_err() {
                return 0;
            }
        }
        let mut digest = TABLE.digest();
        for score in self.raw_scores() {
            digest.update(&score.to_le_bytes());
        }
        digest.finalize()
    }
}

/// What the golden vector showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTest {
    /// This build computes what the exporter computed.
    Passed,
    /// It does not: the build is broken, or flash is.
    Failed {
        /// CRC in the model.
        stated: u32,
        /// CRC of the scores computed here.
        computed: u32,
    },
}

/// Marsaglia's xorshift32: the golden vector's input.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 >> 8
    }
}

/// sum / steps, half up; steps ≥ 1. |sum| ≤ 2¹⁵·(2¹⁶ − 1), so the rounding term fits.
fn mean(sum: i32, steps: i32) -> i16 {
    sum.wrapping_add(steps / 2)
        .checked_div_euclid(steps)
        .unwrap_or(0) as i16
}
