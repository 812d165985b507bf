//! A step: the recurrent map, then the cell, then what the head pools.

use super::{POOLED_MAX, Session, StepError};
use crate::cell::{self, Cell, Units};
use crate::kernel;
use crate::map;
use crate::model::layout::CELL_FRACTION;
use crate::model::{Feature, Model, Pool};
use crate::proven::Proven;
use crate::q::{round_shift, saturate};

/// What a step worked on and what it came to; see [`Session::step_watched`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Watched<'s> {
    /// Which layer, from 0.
    pub layer: usize,
    /// Pre-activations `[gates·J]`, Q4.11: bias and the shares of its maps.
    pub z: &'s [i16],
    /// The recurrent map's share `[gates·J]`, Q4.11, where the cell keeps it apart; otherwise none, and it
    /// is in z.
    pub recurrent_z: &'s [i16],
    /// State `[J]`, [`Model::cell_fraction`] fraction bits.
    pub c: &'s [i32],
    /// Hidden state `[J]`, [`Model::hidden_fraction`] fraction bits.
    pub h: &'s [i16],
}

impl Session<'_, '_> {
    /// Filters z where the model has a filter, adds the recurrent map's share to it and updates c and h (of an
    /// LSTM, the paper's equations 1 to 6), layer after layer. Of a model that tells captions the frame is a picture:
    /// it begins a caption (h = c = 0), and the step is that on [`END`](crate::captions::END);
    /// [`step_word`](Session::step_word) goes on.
    ///
    /// # Errors
    ///
    /// [`StepError`]; nothing happens then.
    pub fn step(&mut self) -> Result<(), StepError> {
        self.step_watched(|_| ())
    }

    /// [`Session::step`], showing what it did to `watch`, layer after layer: a trainer
    /// differentiates at these values, a debugger looks for saturation.
    ///
    /// # Errors
    ///
    /// As [`Session::step`]; `watch` is not called then.
    pub fn step_watched(&mut self, watch: impl FnMut(Watched<'_>)) -> Result<(), StepError> {
        if self.loading.is_some() {
            return Err(StepError::StateUnderWay);
        }
        if !self.complete {
            return Err(StepError::FrameIncomplete {
                need: self.model.frame_values(),
                found: self.pushed(),
            });
        }
        if let Some(steps) = self.painted() {
            return Err(StepError::PictureComplete { steps });
        }
        self.filter();
        self.begin_picture();
        self.run_layers(watch);
        self.end_frame();
        Ok(())
    }

    /// What a step does once z of the first layer has all but the recurrent map's share.
    pub(super) fn run_layers(&mut self, mut watch: impl FnMut(Watched<'_>)) {
        for layer in 0..self.model.layers() {
            if layer > 0 {
                self.begin_layer(layer);
                self.add(layer, Side::Input);
            }
            self.begin_recurrent(layer);
            self.add(layer, Side::Recurrent);
            self.update(layer, &mut watch);
        }
        self.pool();
        self.steps = self.steps.saturating_add(1);
    }

    /// Takes off the first layer's z what the filter keeps of those before, where there is one, and adds the
    /// bias.
    #[inline(never)]
    fn filter(&mut self) {
        let Some((record, _)) = self.model.filter.filter(|_| Feature::Filter.is_built()) else {
            return;
        };
        let layout = &self.model.arena;
        let values = self.model.cell.gates() * self.model.hidden();
        let bias: &[i16] = bytemuck::cast_slice(self.model.bias(0).0);
        let is_first = self.steps == 0;
        let parts = layout.z_and_kept(self.memory).and_then(|(z, kept)| {
            let z: &mut [i16] = bytemuck::cast_slice_mut(z);
            Some((z.get_mut(..values)?, kept, bias.get(..values)?))
        });
        if let Some((z, kept, bias)) = parts.proven() {
            record.apply(z, kept, bias, is_first);
        }
    }

    /// z of a layer above the first starts as its bias.
    fn begin_layer(&mut self, layer: usize) {
        let z = self.memory.get_mut(..self.model.arena.z_words());
        kernel::copy(z.proven().unwrap_or(&mut []), self.model.bias(layer).0);
    }

    /// What the recurrent map adds to, where that is not z: zeros, and a bias in the last gate.
    fn begin_recurrent(&mut self, layer: usize) {
        let layout = &self.model.arena;
        let apart = layout.scratch_word..layout.recurrent_scratch_word;
        if apart.is_empty() || !Feature::Cells.is_built() {
            return;
        }
        let apart = self.memory.get_mut(apart).proven().unwrap_or(&mut []);
        kernel::clear(apart);
        let values: &mut [i16] = bytemuck::cast_slice_mut(apart);
        let gates = self.model.cell.gates();
        let last = values
            .chunks_exact_mut(self.model.hidden().max(1))
            .nth(gates - 1);
        let bias = self.model.bias(layer).1;
        for (place, &bias) in last.proven().unwrap_or(&mut []).iter_mut().zip(bias) {
            *place = bias;
        }
    }

    /// Adds the share of a map of a layer that reads an h, if there is one.
    #[inline(never)]
    fn add(&mut self, layer: usize, side: Side) {
        let layout = &self.model.arena;
        let (map, places) = match side {
            Side::Input => (
                self.model.input_of(layer),
                (layout.h_word(layer.saturating_sub(1)), 0),
            ),
            Side::Recurrent => (
                self.model.recurrent_of(layer),
                (layout.h_word(layer), layout.recurrent_z_word),
            ),
        };
        let Some(map) = map else {
            return;
        };
        if self.needs_zeros & side.bit(layer) != 0 {
            let first = match side {
                Side::Input => layout.scratch_word,
                Side::Recurrent => layout.recurrent_scratch_word,
            };
            map::clear_scratch(first, self.memory);
        }
        map::whole(self.model, &map, places, self.memory);
    }

    /// c and h of a layer.
    // Apart from `add`: the stack holds one of them at a time.
    #[inline(never)]
    fn update(&mut self, layer: usize, watch: &mut impl FnMut(Watched<'_>)) {
        let model = self.model;
        let Some(parts) = layer_parts(model, layer, self.memory).proven() else {
            return;
        };
        let LayerParts {
            z,
            recurrent_z,
            h,
            c,
        } = parts;
        let gate = model.gate;
        let units = match model.cell {
            Cell::Lstm => {
                Units::new(z, &mut *c, &mut *h).map(|units| match model.cell_fraction(layer) {
                    CELL_FRACTION => cell::update(gate, units),
                    fraction => cell::wide::update(gate, fraction, units),
                })
            }
            Cell::Gru | Cell::MinGru if !Feature::Cells.is_built() => None,
            Cell::Gru => cell::gru::Units::new(z, recurrent_z, &mut *c, &mut *h)
                .map(|units| cell::gru::update(gate, units)),
            Cell::MinGru => cell::min_gru::Units::new(z, &mut *c, &mut *h)
                .map(|units| cell::min_gru::update(gate, units)),
        };
        if units.proven().is_some() {
            watch(Watched {
                layer,
                z,
                recurrent_z,
                c,
                h,
            });
        }
    }

    /// Adds h of the last layer to the sums of a mean, or paints what the head makes of it.
    fn pool(&mut self) {
        if let Some(window) = self.model.window() {
            return self.paint_through(window);
        }
        let Some((h, sums)) = pooled_parts(self.model, self.memory).proven() else {
            return;
        };
        match self.model.pool {
            Pool::Last | Pool::Canvas => {}
            Pool::Mean => pool(sums, h, &mut self.pooled),
            Pool::Recent => pool_recent(sums, h, &mut self.pooled, self.model.horizon_shift()),
            Pool::Sum => {
                let shift = self.model.draw.map(|record| record.sum_shift);
                if let Some(shift) = shift.filter(|_| Feature::Painting.is_built()) {
                    pool_sum(bytemuck::cast_slice_mut(sums), h, shift);
                }
            }
        }
    }
}

/// Which of a layer's maps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Input = 0,
    Recurrent = 1,
}

impl Side {
    /// A bit of its own among all maps of a model.
    pub(super) fn bit(self, layer: usize) -> u32 {
        1 << (2 * layer + self as usize)
    }
}

/// What a layer's cell works on.
struct LayerParts<'a> {
    /// `[gates·J]`.
    z: &'a [i16],
    /// The same of the recurrent map where it is kept apart, or none.
    recurrent_z: &'a [i16],
    /// `[J]`; where J is odd, a half behind it that is always 0 fills the word.
    h: &'a mut [i16],
    /// `[J]`.
    c: &'a mut [i32],
}

/// The one place that cuts them from the arena, so that they agree on J.
#[inline(always)]
fn layer_parts<'a>(
    model: &Model<'_>,
    layer: usize,
    memory: &'a mut [u32],
) -> Option<LayerParts<'a>> {
    let layout = &model.arena;
    let (hidden, values) = (model.hidden(), model.cell.gates() * model.hidden());
    let (memory, scratch) = memory.split_at_mut_checked(layout.scratch_word)?;
    let apart: &[i16] = bytemuck::cast_slice(scratch.get(..layout.apart_words())?);
    let (z, states) = memory.split_at_mut_checked(layout.hidden_word)?;
    let z: &[i16] = bytemuck::cast_slice(z);
    let first = layout.h_word(layer) - layout.hidden_word;
    let state = states.get_mut(first..first + layout.h_words() + hidden)?;
    let (h, c) = state.split_at_mut_checked(layout.h_words())?;
    let h: &mut [i16] = bytemuck::cast_slice_mut(h);
    Some(LayerParts {
        z: z.get(..values)?,
        recurrent_z: apart.get(..values).unwrap_or(&[]),
        h: h.get_mut(..hidden)?,
        c: bytemuck::cast_slice_mut(c),
    })
}

/// h of the last layer, and the sums.
fn pooled_parts<'a>(
    model: &Model<'_>,
    memory: &'a mut [u32],
) -> Option<(&'a [i16], &'a mut [i32])> {
    let layout = &model.arena;
    let memory = memory.get_mut(..layout.kept_word)?;
    let (memory, sums) = memory.split_at_mut_checked(layout.pool_word)?;
    let first = layout.h_word(model.layers().saturating_sub(1));
    let h: &[i16] = bytemuck::cast_slice(memory.get(first..first + layout.h_words())?);
    Some((h.get(..model.hidden())?, bytemuck::cast_slice_mut(sums)))
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

/// Adds a step's h in parts of 2^−shift to the sums of a picture: of 2^shift steps, all there can be, none leaves
/// ±2¹⁵, and only 2¹⁵ itself, 2^shift times the largest h rounded up, is cut off, to 2¹⁵ − 1.
#[inline(always)]
fn pool_sum(sums: &mut [i16], h: &[i16], shift: u32) {
    debug_assert!(sums.len() >= h.len());
    for (sum, &h) in sums.iter_mut().zip(h) {
        *sum = saturate(i32::from(*sum) + round_shift(h.into(), shift));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beside i64, and at the ends of h, where one unit is all that is ever cut off.
    #[test]
    fn sums_of_a_picture_lose_nothing_but_the_last_unit() {
        for shift in 0..=10u32 {
            let h = [i16::MIN, i16::MAX, -1, 1, 12_345];
            let (mut sums, mut plain) = ([0; 6], [0i64; 5]);
            for step in 0..1i16 << shift {
                let h = h.map(|h| {
                    if h.unsigned_abs() < 20_000 {
                        h ^ step
                    } else {
                        h
                    }
                });
                pool_sum(&mut sums, &h, shift);
                for (plain, h) in plain.iter_mut().zip(h) {
                    *plain += (i64::from(h) + ((1 << shift) >> 1)) >> shift;
                }
            }
            assert!(plain.iter().all(|sum| (-32_768..=32_768).contains(sum)));
            assert_eq!(
                sums[..5],
                plain.map(|sum| sum.min(32_767) as i16),
                "{shift}"
            );
            assert_eq!(sums[5], 0);
        }
    }

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
