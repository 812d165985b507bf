//! A step: the recurrent map, then the cell, then what the head pools.

use super::{POOLED_MAX, Session, StepError};
use crate::cell::{self, Units};
use crate::map;
use crate::model::layout::CELL_FRACTION;
use crate::model::{ArenaLayout, Pool};
use crate::proven::Proven;
use crate::q::round_shift;

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

impl Session<'_, '_> {
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
        match self.model.pool {
            Pool::Last => {}
            Pool::Mean => pool(sums, h, &mut self.pooled),
            Pool::Recent => pool_recent(sums, h, &mut self.pooled, self.model.horizon_shift()),
        }
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
    /// `[J]` for a mean, or none.
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

/// Adds a step's h to the sums of at most N = 2^shift steps: once they hold so many, each loses its N-th
/// part (half up) first.
///
/// |sum| stays at or below 2¹⁵·N: of a sum S within it, S − round(S/N) is within 2¹⁵·N − 2¹⁵ + ½, and h
/// is at most 2¹⁵ − 1 above, 2¹⁵ below; where the half would count, rounding half up goes the other way.
#[inline(always)]
fn pool_recent(sums: &mut [i32], h: &[i16], pooled: &mut u32, shift: u32) {
    debug_assert_eq!(sums.len(), h.len());
    let is_full = *pooled >> shift != 0;
    for (sum, &h) in sums.iter_mut().zip(h) {
        let leaves = if is_full { round_shift(*sum, shift) } else { 0 };
        *sum = sum.wrapping_sub(leaves).wrapping_add(i32::from(h));
    }
    *pooled += u32::from(!is_full);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of the longest horizon keep their bound where h stays at either end, or jumps between them.
    #[test]
    fn recent_sums_keep_their_bound() {
        for shift in [1, 2, 7, 15] {
            let bound = 1i64 << (15 + shift);
            let (mut sums, mut pooled) = ([0; 3], 0);
            for step in 0..6u32 << shift {
                let jump = if step >> shift & 1 == 0 {
                    i16::MAX
                } else {
                    i16::MIN
                };
                pool_recent(&mut sums, &[i16::MAX, i16::MIN, jump], &mut pooled, shift);
                assert!(
                    sums.iter().all(|&sum| i64::from(sum).abs() <= bound),
                    "{sums:?}"
                );
            }
            assert_eq!(pooled, 1 << shift);
            // Held for long, the mean is what was held.
            assert_eq!(sums[1] >> shift, -32_768);
        }
        // Every sum within the bound, h at its ends.
        let (shift, bound) = (1, 1 << 16);
        for sum in -bound..=bound {
            for h in [i16::MIN, i16::MAX] {
                let (mut sums, mut pooled) = ([sum], 2);
                pool_recent(&mut sums, &[h], &mut pooled, shift);
                assert!(sums[0].abs() <= bound, "{sum} {h}");
            }
        }
    }
}
