//! The LSTM through time, forward and backward, for sequences of unequal length.
//!
//! Sequences are taken longest first, so those still running at a step are
//! always the first rows; nothing is computed for a step that a sequence does
//! not have. The input map of all steps is done before the recurrence starts.

use crate::float::cell;
use crate::float::config::{Gate, Pool};
use crate::float::map::{Frames, Prepared};
use crate::float::real::Real;
use ndarray::{Array1, Array2, ArrayD, ArrayView2, ArrayView3, Axis, s};
use rayon::prelude::*;
use std::borrow::Cow;

/// Which rows belong to which step.
#[derive(Debug)]
struct Packing {
    /// Sequences, longest first.
    order: Vec<usize>,
    /// Sequences that have step t.
    active: Vec<usize>,
    /// Row of step t's first sequence; one more entry for the total.
    offsets: Vec<usize>,
    /// Steps of each sequence in `order`.
    lengths: Vec<usize>,
}

impl Packing {
    fn new(lengths: &[usize]) -> Packing {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&sequence| std::cmp::Reverse(lengths[sequence]));
        let lengths: Vec<usize> = order.iter().map(|&sequence| lengths[sequence]).collect();
        let steps = lengths.first().copied().unwrap_or(0);
        let active: Vec<usize> = (0..steps)
            .map(|t| lengths.partition_point(|&length| length > t))
            .collect();
        let mut offsets = vec![0];
        for rows in &active {
            offsets.push(offsets[offsets.len() - 1] + rows);
        }
        Packing {
            order,
            active,
            offsets,
            lengths,
        }
    }

    fn rows(&self) -> usize {
        self.offsets[self.active.len()]
    }

    fn steps(&self) -> usize {
        self.active.len()
    }
}

/// The parts of the model that take part in the recurrence.
pub(super) struct Recurrence<'a, T> {
    pub input: Box<dyn Prepared<T> + 'a>,
    pub recurrent: Box<dyn Prepared<T> + 'a>,
    pub bias: &'a Array1<T>,
    pub gate: Gate,
    pub pool: Pool,
}

/// Dropout masks of a batch, one row per sequence, the same at every step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masks<'a, T> {
    pub input: Option<&'a Array2<T>>,
    pub recurrent: Option<&'a Array2<T>>,
}

/// What a sequence went through elsewhere, in integers on the device: the backward pass then
/// differentiates at these values instead of the float model's own.
#[derive(Debug, Clone, PartialEq)]
pub struct States<T> {
    /// Pre-activations [steps, 4·J].
    pub z: Vec<T>,
    /// Cell states [steps, J].
    pub c: Vec<T>,
    /// Hidden states [steps, J].
    pub h: Vec<T>,
}

impl<T: Real> States<T> {
    /// Takes a step's values over, in the form that [`cell::forward`] leaves them.
    fn copy(&self, t: usize, kind: Gate, z: &mut [T], c: &mut [T], h: &mut [T]) {
        let units = c.len();
        z.copy_from_slice(&self.z[4 * t * units..][..4 * units]);
        cell::activate(kind, z);
        c.copy_from_slice(&self.c[t * units..][..units]);
        h.copy_from_slice(&self.h[t * units..][..units]);
    }
}

/// What the backward pass needs of the forward pass. Rows are time-major.
pub(super) struct Trace<'x, T: Real> {
    packing: Packing,
    /// The frames' values.
    frames: Cow<'x, [T]>,
    /// Where each row's frame starts.
    starts: Vec<usize>,
    /// Gates' values [rows, 4·J].
    gates: Array2<T>,
    /// Cell state after each step [rows, J].
    cells: Array2<T>,
    /// Hidden state after each step, as the next step reads it (masked).
    hidden: Array2<T>,
    kept_input: Vec<T>,
    kept_recurrent: Vec<T>,
    /// What the head reads [sequences, J], in the batch's order.
    pub pooled: Array2<T>,
}

/// Gradients of the parts, in their own orders.
pub(super) struct PartGradients<T> {
    pub input: Vec<ArrayD<T>>,
    pub recurrent: Vec<ArrayD<T>>,
    pub bias: Array1<T>,
}

impl<T: Real> Recurrence<'_, T> {
    fn units(&self) -> usize {
        self.bias.len() / 4
    }

    /// Runs every sequence of `x` [batch, steps, I], through the states `given` for each where there
    /// are any.
    pub fn forward<'x>(
        &self,
        x: &'x ArrayView3<'x, T>,
        lengths: &[usize],
        masks: Masks<'_, T>,
        given: Option<&[States<T>]>,
    ) -> Trace<'x, T> {
        let units = self.units();
        let packing = Packing::new(lengths);
        let (frames, starts) = gather(x, &packing, masks.input);
        let rows = packing.rows();
        let mut gates = Array2::zeros((rows, 4 * units));
        gates.assign(self.bias);
        let view = Frames::new(&frames, starts.clone());
        let kept_input = self.input.forward(&view, values_mut(&mut gates));
        let mut trace = Trace {
            frames,
            starts,
            gates,
            cells: Array2::zeros((rows, units)),
            hidden: Array2::zeros((rows, units)),
            kept_input,
            kept_recurrent: Vec::new(),
            pooled: Array2::zeros((lengths.len(), units)),
            packing,
        };
        for t in 0..trace.packing.steps() {
            self.step(t, masks.recurrent, given, &mut trace);
        }
        trace
    }

    fn step(
        &self,
        t: usize,
        mask: Option<&Array2<T>>,
        given: Option<&[States<T>]>,
        trace: &mut Trace<'_, T>,
    ) {
        let units = self.units();
        let Packing {
            order,
            active,
            offsets,
            lengths,
        } = &trace.packing;
        let (start, end) = (offsets[t] * units, offsets[t + 1] * units);
        let gates = &mut values_mut(&mut trace.gates)[4 * start..4 * end];
        let (hidden_before, hidden) = values_mut(&mut trace.hidden)[..end].split_at_mut(start);
        let (cells_before, cells) = values_mut(&mut trace.cells)[..end].split_at_mut(start);
        if t > 0 {
            let before = offsets[t - 1] * units..offsets[t - 1] * units + hidden.len();
            let frames = Frames::packed(&hidden_before[before.clone()], units);
            let kept = self.recurrent.forward(&frames, gates);
            trace.kept_recurrent.extend(kept);
            cells.copy_from_slice(&cells_before[before]);
        }
        gates
            .par_chunks_mut(4 * units)
            .zip(cells.par_chunks_mut(units))
            .zip(hidden.par_chunks_mut(units))
            .enumerate()
            .for_each(|(row, ((z, c), h))| match given {
                Some(states) => states[order[row]].copy(t, self.gate, z, c, h),
                None => cell::forward(self.gate, z, c, h),
            });
        for (row, h) in hidden.chunks_exact_mut(units).enumerate() {
            let sequence = order[row];
            let mut pooled = trace.pooled.row_mut(sequence);
            match self.pool {
                Pool::Last if t + 1 == lengths[row] => {
                    pooled.iter_mut().zip(&*h).for_each(|(p, &h)| *p = h);
                }
                Pool::Last => {}
                Pool::Mean => {
                    let share = T::from_f64(mean_share(t, lengths[row]));
                    pooled
                        .iter_mut()
                        .zip(&*h)
                        .for_each(|(p, &h)| *p += share * h);
                }
            }
            if let Some(mask) = mask {
                let mask = mask.row(sequence);
                h.iter_mut().zip(mask).for_each(|(h, &m)| *h *= m);
            }
        }
        debug_assert_eq!(active[t] * units, hidden.len());
    }

    /// Gradients of all weights from that of the pooled states [sequences, J].
    pub fn backward(
        &self,
        mut trace: Trace<'_, T>,
        mask: Option<&Array2<T>>,
        dpooled: ArrayView2<'_, T>,
    ) -> PartGradients<T> {
        let units = self.units();
        let packing = &trace.packing;
        let Packing {
            order,
            active,
            offsets,
            lengths,
        } = packing;
        // Rows as in the packing.
        let pooled = dpooled.select(Axis(0), order);
        let mut dh = match self.pool {
            Pool::Last => pooled.clone(),
            Pool::Mean => Array2::zeros(pooled.dim()),
        };
        let mut dc = Array2::<T>::zeros(pooled.dim());
        let cells = trace.cells.as_slice().unwrap_or(&[]);
        let start_cells = vec![T::zero(); active.first().map_or(0, |rows| rows * units)];
        for t in (0..packing.steps()).rev() {
            let rows = active[t];
            if self.pool == Pool::Mean {
                for (row, length) in lengths[..rows].iter().enumerate() {
                    let share = T::from_f64(mean_share(t, *length));
                    dh.row_mut(row).scaled_add(share, &pooled.row(row));
                }
            }
            let (start, end) = (offsets[t] * units, offsets[t + 1] * units);
            let before = match t.checked_sub(1) {
                Some(t) => &cells[offsets[t] * units..][..rows * units],
                None => &start_cells,
            };
            let after = &cells[start..end];
            values_mut(&mut trace.gates)[4 * start..4 * end]
                .par_chunks_mut(4 * units)
                .zip(values_mut(&mut dc)[..rows * units].par_chunks_mut(units))
                .zip(values(&dh).par_chunks(units))
                .enumerate()
                .for_each(|(row, ((gates, dc), dh))| {
                    let at = row * units..(row + 1) * units;
                    let before = &before[at.clone()];
                    cell::backward(self.gate, gates, before, &after[at], dh, dc);
                });
            if t > 0 {
                let dz = trace.gates.slice(s![offsets[t]..offsets[t + 1], ..]);
                let dh = &mut values_mut(&mut dh)[..rows * units];
                self.recurrent.input_gradient(dz, dh);
                if let Some(mask) = mask {
                    for (row, dh) in dh.chunks_exact_mut(units).enumerate() {
                        let mask = mask.row(order[row]);
                        dh.iter_mut().zip(mask).for_each(|(d, &m)| *d *= m);
                    }
                }
            }
        }
        let dz = &trace.gates;
        let later = offsets.get(1).copied().unwrap_or(0);
        let starts = (1..packing.steps())
            .flat_map(|t| (0..active[t]).map(move |row| (offsets[t - 1] + row) * units));
        let hidden = Frames::new(values(&trace.hidden), starts.collect());
        let frames = Frames::new(&trace.frames, trace.starts);
        PartGradients {
            recurrent: self.recurrent.weight_gradient(
                &hidden,
                &trace.kept_recurrent,
                dz.slice(s![later.., ..]),
            ),
            input: self
                .input
                .weight_gradient(&frames, &trace.kept_input, dz.view()),
            bias: dz.sum_axis(Axis(0)),
        }
    }
}

/// Share of step `t` (from 0) in the mean over `steps`, as on the device: where its sums would reach
/// 65,536 steps, and with every 32,768 steps after that, they and their count are halved.
fn mean_share(t: usize, steps: usize) -> f64 {
    const HALF: usize = 1 << 15;
    let halvings = |steps: usize| (steps / HALF).saturating_sub(1);
    let count = steps - HALF * halvings(steps);
    0.5f64.powi((halvings(steps) - halvings(t)) as i32) / count as f64
}

/// The valid frames, time-major: in place, or masked copies.
fn gather<'x, T: Real>(
    x: &'x ArrayView3<'x, T>,
    packing: &Packing,
    mask: Option<&Array2<T>>,
) -> (Cow<'x, [T]>, Vec<usize>) {
    let (_, steps, inputs) = x.dim();
    let rows = packing.active.iter().enumerate();
    let at = rows.flat_map(|(t, &rows)| (0..rows).map(move |row| (packing.order[row], t)));
    if let Some(mask) = mask {
        let mut values = Vec::with_capacity(packing.rows() * inputs);
        for (sequence, t) in at {
            let frame = x.slice(s![sequence, t, ..]);
            let mask = mask.row(sequence);
            values.extend(frame.iter().zip(mask).map(|(&x, &m)| x * m));
        }
        let starts = (0..packing.rows()).map(|row| row * inputs).collect();
        return (values.into(), starts);
    }
    let starts = at.map(|(sequence, t)| (sequence * steps + t) * inputs);
    let starts = starts.collect();
    match x.as_slice() {
        Some(values) => (values.into(), starts),
        None => (x.iter().copied().collect::<Vec<T>>().into(), starts),
    }
}

fn values<T>(array: &Array2<T>) -> &[T] {
    array.as_slice().expect("made in standard layout")
}

fn values_mut<T>(array: &mut Array2<T>) -> &mut [T] {
    array.as_slice_mut().expect("made in standard layout")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares as the device's sums come to them: every step adds 1 to its own, and all are halved.
    #[test]
    fn shares_of_the_mean_are_those_of_halved_sums() {
        for steps in [1, 7, 65_535, 65_536, 65_537, 98_303, 98_304, 200_000] {
            let mut weights = vec![1.0; steps];
            let mut count = 0;
            for t in 0..steps {
                count += 1;
                if count == 65_536 {
                    weights[..=t].iter_mut().for_each(|weight| *weight /= 2.0);
                    count /= 2;
                }
            }
            for (t, weight) in weights.iter().enumerate() {
                assert_eq!(
                    mean_share(t, steps),
                    weight / f64::from(count),
                    "{t} of {steps}"
                );
            }
            let total: f64 = (0..steps).map(|t| mean_share(t, steps)).sum();
            assert!((total - 1.0).abs() < 1e-9);
        }
    }
}
