//! Layers through time, forward and backward, for sequences of unequal length.
//!
//! Sequences are taken longest first, so those still running at a step are
//! always the first rows; nothing is computed for a step that a sequence does
//! not have. Each layer goes through all steps before the next one begins.

use crate::float::layer::{Layer, LayerGradients, LayerTrace, States};
use crate::float::map::Frames;
use crate::float::packing::{Packing, values, values_mut};
use crate::float::pool::Reads;
use crate::float::real::Real;
use ndarray::{Array2, ArrayView2, ArrayView3, s};
use std::borrow::Cow;

/// The parts of the model that take part in the recurrence.
pub(super) struct Recurrence<'a, T> {
    /// From the frame on.
    pub layers: Vec<Layer<'a, T>>,
    pub reads: Reads,
}

/// Dropout masks of a batch, one row per sequence, the same at every step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masks<'a, T> {
    /// Of the frames.
    pub input: Option<&'a Array2<T>>,
    /// Of the hidden states, layer after layer.
    pub recurrent: Option<&'a Array2<T>>,
}

impl<'a, T> Masks<'a, T> {
    /// Of a layer's hidden state.
    fn of_layer(&self, layer: usize, units: usize) -> Option<ArrayView2<'a, T>> {
        let own = layer * units..(layer + 1) * units;
        self.recurrent.map(|mask| mask.slice(s![.., own]))
    }
}

/// What the backward pass needs of the forward pass. Rows are time-major.
pub(super) struct Trace<'x, T: Real> {
    packing: Packing,
    layers: Vec<LayerTrace<T>>,
    /// What the first layer's map reads, and where each row's frame starts.
    frames: Cow<'x, [T]>,
    starts: Vec<usize>,
    /// What the head reads [sequences, J], or [valid steps, J] sequence by sequence, in the batch's order.
    pub pooled: Array2<T>,
}

impl<T: Real> Recurrence<'_, T> {
    /// Runs every sequence of `x` [batch, steps, I], through the states `given` for each, layer by layer,
    /// where there are any.
    pub fn forward<'x>(
        &self,
        x: &'x ArrayView3<'x, T>,
        lengths: &[usize],
        masks: Masks<'_, T>,
        given: Option<&[Vec<States<T>>]>,
    ) -> Trace<'x, T> {
        let packing = Packing::new(lengths, self.reads);
        let steps = match self
            .layers
            .first()
            .is_some_and(|layer| layer.words.is_some())
        {
            true => 1,
            false => packing.steps(),
        };
        let (frames, starts) = gather(x, &packing, steps, masks.input);
        let mut layers: Vec<LayerTrace<T>> = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            let units = layer.units();
            let read = match layers.last() {
                Some(below) => Frames::packed(values(below.outputs()), units),
                None => Frames::new(&frames, starts.clone()),
            };
            let mask = masks.of_layer(at, units);
            let given = given.map(|states| (states, at));
            layers.push(layer.forward(&read, &packing, mask, given));
        }
        let units = self.layers.first().map_or(0, Layer::units);
        let mut pooled = Array2::zeros((packing.rows_read(), units));
        if let Some(last) = layers.last() {
            self.pool(&packing, last.outputs(), &mut pooled);
        }
        Trace {
            packing,
            layers,
            frames,
            starts,
            pooled,
        }
    }

    /// What the head reads of the last layer's hidden states.
    fn pool(&self, packing: &Packing, outputs: &Array2<T>, pooled: &mut Array2<T>) {
        let units = outputs.ncols();
        for (t, &rows) in packing.active.iter().enumerate() {
            for row in 0..rows {
                let h = &values(outputs)[(packing.offsets[t] + row) * units..][..units];
                let read = &mut values_mut(pooled)[packing.read_of(row, units)];
                self.reads.forward(t, packing.lengths[row], h, read);
            }
        }
    }

    /// Gradients of all layers' weights from that of the pooled states, of the same rows.
    pub fn backward(
        &self,
        trace: Trace<'_, T>,
        masks: Masks<'_, T>,
        dpooled: ArrayView2<'_, T>,
    ) -> Vec<LayerGradients<T>> {
        let packing = &trace.packing;
        let units = dpooled.ncols();
        let dpooled = dpooled.as_standard_layout();
        let dpooled = dpooled.as_slice().unwrap_or(&[]);
        let mut dh = Array2::zeros((packing.rows(), units));
        let mut dmean = vec![T::zero(); packing.order.len() * units];
        for (t, &rows) in packing.active.iter().enumerate().rev() {
            for row in 0..rows {
                let dh = &mut values_mut(&mut dh)[(packing.offsets[t] + row) * units..][..units];
                let dmean = &mut dmean[row * units..][..units];
                let drows = &dpooled[packing.read_of(row, units)];
                self.reads
                    .backward(t, packing.lengths[row], drows, dmean, dh);
            }
        }
        let mut gradients = Vec::new();
        let mut traces = trace.layers;
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let own = traces.pop().expect("a trace of each layer");
            let mask = masks.of_layer(at, layer.units());
            let Some(below) = traces.last() else {
                let read = Frames::new(&trace.frames, trace.starts.clone());
                gradients.push(layer.backward(own, &read, packing, mask, &dh, None));
                break;
            };
            let read = Frames::packed(values(below.outputs()), layer.units());
            let mut dbelow = Array2::zeros((packing.rows(), layer.units()));
            let to_below = Some(values_mut(&mut dbelow));
            gradients.push(layer.backward(own, &read, packing, mask, &dh, to_below));
            dh = dbelow;
        }
        gradients.reverse();
        gradients
    }
}

/// The valid frames of the first `steps`, time-major: in place, or masked copies.
fn gather<'x, T: Real>(
    x: &'x ArrayView3<'x, T>,
    packing: &Packing,
    taken: usize,
    mask: Option<&Array2<T>>,
) -> (Cow<'x, [T]>, Vec<usize>) {
    let (_, steps, inputs) = x.dim();
    let rows = packing.active.iter().take(taken).enumerate();
    let at = rows.flat_map(|(t, &rows)| (0..rows).map(move |row| (packing.order[row], t)));
    if let Some(mask) = mask {
        let mut values = Vec::new();
        for (sequence, t) in at {
            let frame = x.slice(s![sequence, t, ..]);
            let mask = mask.row(sequence);
            values.extend(frame.iter().zip(mask).map(|(&x, &m)| x * m));
        }
        let starts = (0..values.len()).step_by(inputs).collect();
        return (values.into(), starts);
    }
    let starts = at.map(|(sequence, t)| (sequence * steps + t) * inputs);
    let starts = starts.collect();
    match x.as_slice() {
        Some(values) => (values.into(), starts),
        None => (x.iter().copied().collect::<Vec<T>>().into(), starts),
    }
}
