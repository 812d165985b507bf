//! What the head makes of the hidden states.

use core::iter;
use core::ops::Range;

use super::{ScoresError, Session};
use crate::kernel::{self, HeadRows};
use crate::model::{Feature, Pool};
use crate::proven::Proven;

/// Scores that are computed at once where they are passed on one by one: rows of the head share what is read of h.
const BLOCK: usize = 16;

/// Units whose means are computed at once; rows of an even number keep their words aligned.
const UNITS: usize = 32;

impl Session<'_, '_> {
    /// Raw scores of every class, or of every value; logits are these · 2^−[`Model::score_shift`](crate::Model::score_shift), values
    /// as of [`Model::value`](crate::Model::value).
    ///
    /// # Errors
    ///
    /// [`ScoresError`].
    pub fn scores(&self, scores: &mut [i32]) -> Result<(), ScoresError> {
        let (need, found) = (self.model.outputs(), scores.len());
        if need != found {
            return Err(ScoresError::WrongLength { need, found });
        }
        if self.steps == 0 {
            return Err(ScoresError::NoStep);
        }
        self.score(0, scores);
        Ok(())
    }

    /// The raw scores, output by output.
    pub(super) fn raw_scores(&self) -> impl Iterator<Item = i32> + '_ {
        self.raw_scores_of(0..self.model.outputs())
    }

    /// The same of some of the outputs, all of which there are.
    pub(super) fn raw_scores_of(&self, outputs: Range<usize>) -> impl Iterator<Item = i32> + '_ {
        let mut block = [0; BLOCK];
        let mut ahead = 0..0;
        let mut outputs = outputs;
        iter::from_fn(move || {
            if ahead.is_empty() {
                ahead = 0..outputs.len().min(BLOCK);
                self.score(outputs.start, block.get_mut(ahead.clone())?);
                outputs.start += ahead.len();
            }
            block.get(ahead.next()?).copied()
        })
    }

    /// Raw scores of as many outputs as there are places, from output `first` on.
    #[inline(never)]
    fn score(&self, first: usize, scores: &mut [i32]) {
        if self.model.window().is_some() {
            let canvas = self.canvas().get(first..).proven().unwrap_or(&[]);
            for (score, &logit) in scores.iter_mut().zip(canvas) {
                *score = logit;
            }
            return;
        }
        let hidden = self.model.hidden();
        let weights = self.model.head_weights.get(first.saturating_mul(hidden)..);
        let bias = self.model.head_bias.get(first..);
        let (Some(weights), Some(bias)) = (weights.proven(), bias.proven()) else {
            return;
        };
        let times = match self.model.pool {
            Pool::Sum if Feature::Painting.is_built() => self.steps as i32,
            _ => 1,
        };
        for (score, bias) in scores.iter_mut().zip(bias) {
            *score = bias.wrapping_mul(times);
        }
        let rows = HeadRows {
            weights,
            stride: hidden,
            values: hidden,
        };
        match self.model.pool {
            Pool::Last => kernel::head_add(&rows, self.hidden_words(), scores),
            // The canvas is there already, in builds that have one.
            Pool::Canvas => {}
            Pool::Sum if !Feature::Painting.is_built() => {}
            Pool::Sum => kernel::head_add(&rows, self.hidden_sum(), scores),
            Pool::Mean | Pool::Recent => self.score_means(&rows, scores),
        }
    }

    /// Adds the products of rows with the mean of h.
    #[inline(never)]
    fn score_means(&self, rows: &HeadRows<'_>, scores: &mut [i32]) {
        let first = self.model.arena.pool_word;
        let sums = self.memory.get(first..first + rows.values).proven();
        let pooled = self.pooled.max(1) as i32;
        let mut weights = rows.weights;
        for sums in sums.unwrap_or(&[]).chunks(UNITS) {
            let mut means = [0; UNITS / 2];
            let halves: &mut [i16] = bytemuck::cast_slice_mut(&mut means);
            for (half, &sum) in halves.iter_mut().zip(sums) {
                *half = mean(sum as i32, pooled);
            }
            let rows = HeadRows {
                weights,
                values: sums.len(),
                ..*rows
            };
            let means = means.get(..sums.len().div_ceil(2)).unwrap_or(&[]);
            kernel::head_add(&rows, means, scores);
            weights = weights.get(sums.len()..).unwrap_or(&[]);
        }
    }

    /// The canvas that is painted through a window.
    fn canvas(&self) -> &[i32] {
        let layout = &self.model.arena;
        let canvas = self.memory.get(layout.pool_word..layout.kept_word).proven();
        bytemuck::cast_slice(canvas.unwrap_or(&[]))
    }

    /// The sum of h of a picture's steps, `[J]`, two values a word.
    fn hidden_sum(&self) -> &[u32] {
        let first = self.model.arena.pool_word;
        let words = self.model.hidden().div_ceil(2);
        let sum = self.memory.get(first..first + words);
        sum.proven().unwrap_or(&[])
    }
}

/// sum / pooled, half up; pooled ≥ 1. |sum| ≤ 2¹⁵·(2¹⁶ − 1), so the rounding term fits.
fn mean(sum: i32, pooled: i32) -> i16 {
    sum.wrapping_add(pooled / 2)
        .checked_div_euclid(pooled)
        .unwrap_or(0) as i16
}
