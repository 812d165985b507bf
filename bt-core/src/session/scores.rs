//! What the head makes of the hidden states.

use super::{ScoresError, Session};
use crate::kernel;
use crate::model::{Feature, Pool};
use crate::proven::Proven;

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
        for (score, value) in scores.iter_mut().zip(self.raw_scores()) {
            *score = value;
        }
        Ok(())
    }

    /// The raw scores, output by output.
    pub(super) fn raw_scores(&self) -> impl Iterator<Item = i32> + '_ {
        self.raw_scores_from(0)
    }

    /// The same from an output on.
    pub(super) fn raw_scores_from(&self, first: usize) -> impl Iterator<Item = i32> + '_ {
        let hidden = self.model.hidden();
        let weights = self.model.head_weights.get(first.saturating_mul(hidden)..);
        let rows = weights
            .unwrap_or(&[])
            .chunks_exact(hidden.max(1))
            .zip(self.model.head_bias.get(first..).unwrap_or(&[]));
        rows.map(move |(row, &bias)| match self.model.pool {
            Pool::Last => kernel::dot(row, self.hidden_state(), bias),
            Pool::Sum if !Feature::Painting.is_built() => bias,
            Pool::Sum => {
                let bias = bias.wrapping_mul(self.steps as i32);
                kernel::dot(row, self.hidden_sum(), bias)
            }
            Pool::Mean | Pool::Recent => {
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

    /// The sum of h of a picture's steps, `[J]`.
    fn hidden_sum(&self) -> &[i16] {
        let layout = &self.model.arena;
        let words = self.memory.get(layout.pool_word..layout.kept_word);
        let sums: &[i16] = bytemuck::cast_slice(words.proven().unwrap_or(&[]));
        sums.get(..self.model.hidden()).proven().unwrap_or(&[])
    }
}

/// sum / pooled, half up; pooled ≥ 1. |sum| ≤ 2¹⁵·(2¹⁶ − 1), so the rounding term fits.
fn mean(sum: i32, pooled: i32) -> i16 {
    sum.wrapping_add(pooled / 2)
        .checked_div_euclid(pooled)
        .unwrap_or(0) as i16
}
