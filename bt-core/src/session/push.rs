//! Values in: what is pushed, by type and in pieces of any length, on its way into the input map.

use super::step::Side;
use super::{PIECE, PushError, Session};
use crate::front_end::{FrontEnd, Push};
use crate::kernel::{self, Centred, Sample};
use crate::map;
use crate::model::{Feature, InputType};
use crate::proven::Proven;
use crate::q::{round_shift_saturate, saturate};

impl Session<'_, '_> {
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
                    return Err(self.no_room());
                }
                // At an even address they are values as they lie.
                if let Ok(values) = bytemuck::try_cast_slice(bytes) {
                    return Ok(self.push_i16(values)? * 2);
                }
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
        Ok(self.frame_complete())
    }

    /// Whether there is anything to take.
    fn takes(&self, given: InputType, values: usize) -> Result<bool, PushError> {
        let need = self.model.input_type;
        match (given == need, values, self.complete) {
            (false, ..) => Err(PushError::WrongType { need }),
            (_, 0, _) => Ok(false),
            (.., true) => Err(self.no_room()),
            _ => Ok(true),
        }
    }

    /// Why values are not taken.
    #[cold]
    fn no_room(&self) -> PushError {
        match self.loading {
            Some(_) => PushError::StateUnderWay,
            None => PushError::FrameComplete,
        }
    }

    /// PCM through the front end; each vector it gives goes into the map.
    #[inline(never)]
    pub(super) fn push_pcm(&mut self, front_end: &FrontEnd<'_>, samples: &[i16]) -> usize {
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
        let is_plain = self.model.meta.input_zero == 0 && self.model.is_unscaled();
        if is_plain || !Feature::Scales.is_built() {
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

    /// z starts as the bias, or as a filter says, the scratch as zeros where the overflow proof wants them.
    #[inline(never)]
    fn begin_frame(&mut self) {
        if self.needs_zeros & Side::Input.bit(0) != 0 {
            map::clear_scratch(self.model.arena.scratch_word, self.memory);
        }
        let z = self.memory.get_mut(..self.model.arena.z_words());
        let (z, start) = (z.proven().unwrap_or(&mut []), self.model.start());
        debug_assert_eq!(z.len(), start.len());
        kernel::copy(z, start);
    }
}
