//! Pictures from latent values: a step for each set of them, and the pixels as they stand.
//!
//! What a step paints is linear in its h, so that no canvas is kept: the head reads the sum of h over the steps
//! ([`DrawRecord`](crate::model::layout::DrawRecord)), once, when somebody looks. With attention h places what it paints
//! as well: the head is read in every step, and what it paints goes through a [`Window`] onto a canvas that is kept.

use super::draw::pre_activation;
use super::{DrawError, PIECE, ScoresError, Session, StepError};
use crate::kernel::{self, HeadRows};
use crate::nonlinearity::sigmoid;
use crate::proven::Proven;
use crate::random::Random;
use crate::window::Window;

impl Session<'_, '_> {
    /// Takes a step of a picture on latent values that `random` gives, one [`normal`](Random::normal) a value of the
    /// frame, in order. After [`Painting::steps`](crate::drawing::Painting::steps) of them the picture is complete, before that
    /// it can be looked at too: [`pixels`](Session::pixels), or [`scores`](Session::scores), the canvas of logits.
    ///
    /// A picture is the same on every processor, told by a seed and a stream:
    ///
    /// ```
    /// use bt_core::{Error, Session};
    /// use bt_core::drawing::Random;
    ///
    /// /// Picture number `number` of a seed, greys row by row.
    /// fn picture(
    ///     session: &mut Session,
    ///     (seed, number): (u64, u64),
    ///     pixels: &mut [u8; 28 * 28],
    /// ) -> Result<(), Error> {
    ///     let mut random = Random::new(seed, number);
    ///     session.reset();
    ///     for _ in 0..session.model().painting().map_or(0, |picture| picture.steps) {
    ///         session.paint(&mut random)?;
    ///     }
    ///     session.pixels(0, pixels)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DrawError`], never of a length; nothing happens then.
    // Its values are not to lie under everything that a step does.
    #[inline(never)]
    pub fn paint(&mut self, random: &mut Random) -> Result<(), DrawError> {
        if self.model.painting().is_none() {
            return Err(DrawError::NotPainted);
        }
        if self.loading.is_some() || self.complete || self.pushed() != 0 {
            return Err(DrawError::FrameUnderWay);
        }
        if let Some(steps) = self.painted() {
            return Err(DrawError::PictureComplete { steps });
        }
        self.push_latent(random);
        let stepped = self.step();
        debug_assert_eq!(stepped, Ok(()));
        stepped.map_err(|error| match error {
            StepError::PictureComplete { steps } => DrawError::PictureComplete { steps },
            _ => DrawError::FrameUnderWay,
        })
    }

    /// Pushes a frame of latent values.
    #[inline(never)]
    fn push_latent(&mut self, random: &mut Random) {
        let mut left = self.model.frame_values();
        while left > 0 {
            let mut values = [0; PIECE];
            let count = left.min(PIECE);
            for value in values.iter_mut().take(count) {
                *value = random.normal();
            }
            let taken = self.push_i16(values.get(..count).unwrap_or(&[]));
            // Type and frame fit, as `parse` has proven.
            debug_assert_eq!(taken, Ok(count));
            left -= count;
        }
    }

    /// Paints on the canvas what h gives and places.
    // The maps have left the scratch by now.
    #[inline(never)]
    pub(super) fn paint_through(&mut self, window: Window<'_>) {
        let model = self.model;
        let layout = &model.arena;
        let parts = self.memory.split_at_mut_checked(layout.scratch_word);
        let parts = parts.and_then(|(memory, scratch)| {
            let (memory, canvas) = memory.split_at_mut_checked(layout.pool_word)?;
            let canvas: &mut [i32] = bytemuck::cast_slice_mut(canvas);
            let hidden = memory.get(layout.h_word(model.layers() - 1)..)?;
            let hidden = hidden.get(..layout.h_words())?;
            Some((hidden, canvas.get_mut(..model.outputs())?, scratch))
        });
        let Some((hidden, canvas, scratch)) = parts.proven() else {
            return;
        };
        let sums: &mut [i32] = bytemuck::cast_slice_mut(scratch);
        let sums = sums.get_mut(..model.head_bias.len()).proven();
        let sums = sums.unwrap_or(&mut []);
        for (sum, &bias) in sums.iter_mut().zip(model.head_bias) {
            *sum = bias;
        }
        let rows = HeadRows {
            weights: model.head_weights,
            stride: model.hidden(),
            values: model.hidden(),
        };
        kernel::head_add(&rows, hidden, sums);
        window.paint(scratch, canvas, model.score_shift());
    }

    /// The steps of a picture that has them all.
    pub(super) fn painted(&self) -> Option<u32> {
        let picture = self.model.painting()?;
        (self.steps >= picture.steps).then_some(picture.steps)
    }

    /// Greys of a picture as it stands, as many as there are places, from pixel `first` on: 255 times the probability
    /// of a 1, rounded half up, of σ at most 1.43 LSB of Q0.15 off. Costs a row of the head for each, but of a canvas that
    /// was painted through windows.
    ///
    /// # Errors
    ///
    /// [`ScoresError::WrongLength`] where there are not so many pixels behind the first, with how many there are, 0 of
    /// a model that paints none; [`ScoresError::NoStep`].
    pub fn pixels(&self, first: usize, pixels: &mut [u8]) -> Result<(), ScoresError> {
        let count = self.model.painting().map_or(0, |_| self.model.outputs());
        let (need, found) = (count.saturating_sub(first), pixels.len());
        if found > need {
            return Err(ScoresError::WrongLength { need, found });
        }
        if self.steps == 0 {
            return Err(ScoresError::NoStep);
        }
        self.grey_from(first, pixels);
        Ok(())
    }

    /// The same of pixels that are there.
    pub(super) fn grey_from(&self, first: usize, pixels: &mut [u8]) {
        let shift = self.model.score_shift();
        let scores = self.raw_scores_of(first..first + pixels.len());
        for (pixel, score) in pixels.iter_mut().zip(scores) {
            *pixel = grey(score, shift);
        }
    }
}

/// 255 · σ(score · 2^−shift), half up.
pub(super) fn grey(score: i32, shift: i32) -> u8 {
    let probability = i32::from(sigmoid(pre_activation(score, shift)));
    ((probability * 255 + (1 << 14)) >> 15) as u8
}
