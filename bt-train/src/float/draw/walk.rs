//! A layer taken step by step, each by frames that the step before made.

use crate::float::cell::Row;
use crate::float::layer::{Layer, LayerGradients};
use crate::float::map::{Frames, Prepared, WeightSums};
use crate::float::product::sum_of_rows;
use crate::float::real::Real;
use ndarray::{Array1, Array2, ArrayView2, s};
use rayon::prelude::*;

/// A layer under way. Rows are time-major.
pub(super) struct Walk<'l, T> {
    layer: &'l Layer<'l, T>,
    batch: usize,
    /// Values of a frame.
    inputs: usize,
    /// What z starts from in every step, [batch, G·J].
    start: Vec<T>,
    frames: Vec<T>,
    gates: Vec<T>,
    /// States and hidden states, the zeros before the first step included.
    cells: Vec<T>,
    hidden: Vec<T>,
    kept_input: Vec<T>,
    kept_recurrent: Vec<T>,
    /// Gradients of the input map's weights, of the steps whose frames' gradient was wanted, where the map gives both
    /// at once.
    gathered: WeightSums<T>,
}

impl<'l, T: Real> Walk<'l, T> {
    /// Before the first of so many steps on frames of so many values.
    pub fn new(layer: &'l Layer<'l, T>, batch: usize, inputs: usize, steps: usize) -> Walk<'l, T> {
        let width = batch * layer.units();
        let states = || {
            let mut states = Vec::with_capacity((steps + 1) * width);
            states.resize(width, T::zero());
            states
        };
        let gates = layer.bias.len();
        let bias = layer.bias.iter().copied();
        Walk {
            layer,
            batch,
            inputs,
            start: bias.cycle().take(batch * gates).collect(),
            frames: Vec::with_capacity(steps * batch * inputs),
            gates: Vec::with_capacity(steps * batch * gates),
            cells: states(),
            hidden: states(),
            kept_input: Vec::new(),
            kept_recurrent: Vec::new(),
            gathered: WeightSums::default(),
        }
    }

    /// Adds to every step's z what `map` makes of frames that are the same in all steps. What it returns is for the
    /// gradient of the map's weights.
    pub fn stand(&mut self, map: &dyn Prepared<T>, frames: &Frames<'_, T>) -> Vec<T> {
        map.forward(frames, &mut self.start)
    }

    /// Values of all hidden states of a step.
    fn width(&self) -> usize {
        self.batch * self.layer.units()
    }

    /// Frames of step t, [batch, I].
    pub fn frames(&self, t: usize) -> &[T] {
        let values = self.batch * self.inputs;
        &self.frames[t * values..][..values]
    }

    /// Hidden states before step t, [batch, J].
    pub fn hidden(&self, t: usize) -> &[T] {
        &self.hidden[t * self.width()..][..self.width()]
    }

    /// Hidden states after every step, [T·batch, J].
    pub fn outputs(&self) -> &[T] {
        &self.hidden[self.width()..]
    }

    /// The same, and before them those before the first step.
    pub fn all_hidden(&self) -> &[T] {
        &self.hidden
    }

    /// Takes a step on the frames [batch, I] that `fill` writes over zeros.
    pub fn step(&mut self, fill: impl FnOnce(&mut [T])) {
        let (layer, units, width) = (self.layer, self.layer.units(), self.width());
        let before = self.hidden.len() - width;
        let gates = layer.bias.len();
        let (frames, z) = (self.frames.len(), self.gates.len());
        self.frames
            .resize(frames + self.batch * self.inputs, T::zero());
        fill(&mut self.frames[frames..]);
        self.gates.extend_from_slice(&self.start);
        let z = &mut self.gates[z..];
        let of_batch = Frames::packed(&self.frames[frames..], self.inputs);
        self.kept_input.extend(layer.input.forward(&of_batch, z));
        if let (Some(recurrent), true) = (&layer.recurrent, before > 0) {
            let hidden = Frames::packed(&self.hidden[before..], units);
            self.kept_recurrent.extend(recurrent.forward(&hidden, z));
        }
        self.cells.extend_from_within(before..);
        self.hidden.resize(before + 2 * width, T::zero());
        z.par_chunks_mut(gates)
            .zip(self.cells[before + width..].par_chunks_mut(units))
            .zip(self.hidden[before + width..].par_chunks_mut(units))
            .for_each(|((z, c), h)| layer.kind.forward(Row { z, apart: &mut [] }, c, h));
    }

    /// Step t back: `dh` and `dc` turn from the gradients of hidden states and states behind it into those before it,
    /// `dframes`, where there is one, is overwritten with that of its frames.
    pub fn back(&mut self, t: usize, dh: &mut [T], dc: &mut [T], dframes: Option<&mut [T]>) {
        let (layer, units, width) = (self.layer, self.layer.units(), self.width());
        let gates = layer.bias.len();
        let rows = t * self.batch * gates..(t + 1) * self.batch * gates;
        let own = &mut self.gates[rows];
        let before = &self.cells[t * width..][..width];
        let after = &self.cells[(t + 1) * width..][..width];
        own.par_chunks_mut(gates)
            .zip(before.par_chunks(units).zip(after.par_chunks(units)))
            .zip(dh.par_chunks(units).zip(dc.par_chunks_mut(units)))
            .for_each(|((z, (before, after)), (dh, dc))| {
                let row = Row { z, apart: &mut [] };
                layer.kind.backward(row, before, after, dh, dc);
            });
        let dz = ArrayView2::from_shape((self.batch, gates), own).expect("gates of a step");
        let steps = self.hidden.len() / width - 1;
        let values = self.batch * self.inputs;
        let frames = Frames::packed(&self.frames[t * values..][..values], self.inputs);
        let kept = self.kept_input.len() / steps;
        let kept = &self.kept_input[t * kept..][..kept];
        match dframes {
            Some(dframes) => {
                let (map, sums) = (&layer.input, &mut self.gathered);
                if !map.add_both_gradients(&frames, kept, dz, dframes, sums) {
                    map.input_gradient(dz, dframes);
                }
            }
            // What was gathered lacks this step.
            None if !self.gathered.is_empty() => {
                let sums = &mut self.gathered;
                layer.input.add_weight_gradient(&frames, kept, dz, sums);
            }
            None => (),
        }
        match &layer.recurrent {
            Some(recurrent) if t > 0 => recurrent.input_gradient(dz, dh),
            _ => dh.fill(T::zero()),
        }
    }

    /// After all steps back, the gradient of what z starts from in every one, [batch, G·J].
    pub fn start_gradient(&self) -> Array2<T> {
        let gates = self.layer.bias.len();
        let mut sum = Array2::zeros((self.batch, gates));
        for of_step in self.gates.chunks_exact(self.batch * gates) {
            let pairs = sum.iter_mut().zip(of_step);
            pairs.for_each(|(sum, &dz)| *sum += dz);
        }
        sum
    }

    /// Gradients of the weights of `layer`, after all steps back of its walks.
    pub fn gradients(layer: &Layer<'_, T>, walks: Vec<Self>) -> LayerGradients<T> {
        let (units, gates) = (layer.units(), layer.bias.len());
        let mut input_sums = WeightSums::default();
        let mut recurrent_sums = WeightSums::default();
        let mut bias = Array1::zeros(gates);
        for walk in walks {
            let width = walk.width();
            let dz = Array2::from_shape_vec((walk.gates.len() / gates, gates), walk.gates);
            let dz = dz.expect("gates of all steps");
            let last = walk.hidden.len() - width;
            let hidden = Frames::packed(&walk.hidden[width..last], units);
            if let Some(map) = &layer.recurrent {
                let later = dz.slice(s![walk.batch.., ..]);
                map.add_weight_gradient(&hidden, &walk.kept_recurrent, later, &mut recurrent_sums);
            }
            if walk.gathered.is_empty() {
                let frames = Frames::packed(&walk.frames, walk.inputs);
                let kept = &walk.kept_input;
                let map = &layer.input;
                map.add_weight_gradient(&frames, kept, dz.view(), &mut input_sums);
            } else {
                input_sums.add(walk.gathered);
            }
            bias += &sum_of_rows(dz.view());
        }
        let recurrent = layer.recurrent.as_ref();
        LayerGradients {
            input: layer.input.of_parameters(input_sums),
            recurrent: recurrent.map_or(Vec::new(), |map| map.of_parameters(recurrent_sums)),
            bias,
            recurrent_bias: Array1::zeros(0),
            words: None,
        }
    }
}
