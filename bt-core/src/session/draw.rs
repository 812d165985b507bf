//! Frames that a session draws by itself, bit by bit, each from what it drew before.

use super::{DrawError, PIECE, Session};
use crate::model::NextFrame;
use crate::nonlinearity::sigmoid;
use crate::q::rescale;
use crate::random::Random;

impl Session<'_, '_> {
    /// Takes a step and leaves in `frame` what was drawn.
    ///
    /// Of a model that paints pictures: [`paint`](Session::paint), then the picture as it stands, as of
    /// [`pixels`](Session::pixels). What follows is about models of the next frame.
    ///
    /// Takes a step on the bits in `frame`, those of the call before, and draws the bits of the next frame in their
    /// place: bit k is 1 with probability σ(score k). The first step after a reset is taken on zeros, whatever
    /// `frame` holds. To go on from frames that are given, push them and take their steps, all but the last, which
    /// goes into `frame`.
    ///
    /// A drawing is the same on every processor: scores and σ are integers (Q0.15, at most 1.43 LSB off, so that a
    /// probability below 2⁻¹⁵ is 0), and each bit takes one number of `random`, in order. Only which bits come out
    /// depends on them, not how long it takes.
    ///
    /// ```
    /// use bt_core::{Error, Session};
    /// use bt_core::drawing::Random;
    ///
    /// /// Picture number `number` of a seed, row by row.
    /// fn picture(
    ///     session: &mut Session,
    ///     (seed, number): (u64, u64),
    ///     rows: &mut [[u8; 28]; 28],
    /// ) -> Result<(), Error> {
    ///     let mut random = Random::new(seed, number);
    ///     let mut row = [0; 28];
    ///     session.reset();
    ///     for drawn in rows {
    ///         session.draw(&mut random, &mut row)?;
    ///         *drawn = row;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DrawError`]; nothing happens then.
    pub fn draw(&mut self, random: &mut Random, frame: &mut [u8]) -> Result<(), DrawError> {
        let (need, found) = (self.model.outputs(), frame.len());
        let next = self.model.next_frame();
        if next != NextFrame::Pushed && need != found {
            return Err(DrawError::WrongLength { need, found });
        }
        match next {
            NextFrame::Pushed => return Err(DrawError::NotDrawn),
            NextFrame::Drawn => {}
            NextFrame::Latent => {
                self.paint(random)?;
                self.grey_from(0, frame);
                return Ok(());
            }
        }
        if self.complete || self.pushed() != 0 {
            return Err(DrawError::FrameUnderWay);
        }
        if self.steps == 0 {
            frame.fill(0);
        }
        let taken = self.push_u8(frame);
        debug_assert_eq!(taken, Ok(need));
        let zeros = [0; PIECE];
        while !self.complete {
            // Both types and frame fit, as `parse` has proven.
            if !self.push_u8(&zeros).is_ok_and(|taken| taken > 0) {
                debug_assert!(false, "zeros complete a frame");
                return Err(DrawError::FrameUnderWay);
            }
        }
        let stepped = self.step();
        debug_assert_eq!(stepped, Ok(()));
        let shift = self.model.score_shift();
        for (bit, score) in frame.iter_mut().zip(self.raw_scores()) {
            *bit = random.bit(sigmoid(pre_activation(score, shift)));
        }
        Ok(())
    }
}

/// score · 2^−shift in Q4.11, rounded half up, saturated.
pub(super) fn pre_activation(score: i32, shift: i32) -> i16 {
    // 20 to the left every score but 0 saturates.
    let scaled = rescale(score, shift.saturating_sub(Q_FRACTION));
    scaled.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Fraction bits of Q4.11.
const Q_FRACTION: i32 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    /// In f64, which holds every i32 times a power of two.
    #[test]
    fn scores_become_pre_activations() {
        let scores = (0..2_000u32).map(|k| k.wrapping_mul(2_654_435_761) as i32);
        let ends = [i32::MIN, -1, 0, 1, i32::MAX];
        for score in scores.chain(ends) {
            for shift in (-40..60).chain([i32::MIN, i32::MAX]) {
                let exact =
                    f64::from(score) * 2f64.powi(11i32.saturating_sub(shift).clamp(-900, 900));
                let expected = (exact + 0.5).floor().clamp(-32_768.0, 32_767.0);
                let found = f64::from(pre_activation(score, shift));
                assert_eq!(found, expected, "{score} >> {shift}");
            }
        }
    }
}
