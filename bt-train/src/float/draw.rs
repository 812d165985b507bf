//! DRAW (Gregor et al. 2015) without attention: an encoder that looks at a picture and a decoder that paints it, over T
//! steps.
//!
//! In each, with a canvas c of logits, zeros at first, and ε from N(0, 1):
//!
//! ```text
//! h = encoder([x, x − σ(c), g])      μ, ln s = L·h + l      z = μ + s·ε      g = decoder(z)      c += W·g + b
//! ```
//!
//! The bound on −ln p(x) in nats is the cross entropy of x by the last canvas and, for every step and latent value, the
//! divergence of N(μ, s²) from N(0, 1): (μ² + s² − 1)/2 − ln s. To draw without a picture, z is ε.

use crate::float::cell::Row;
use crate::float::config::ModelConfig;
use crate::float::head::Head;
use crate::float::layer::{Layer, LayerGradients, LayerWeights};
use crate::float::map::Frames;
use crate::float::real::Real;
use ndarray::{Array1, Array2, ArrayD, ArrayView2, ArrayView3, ArrayViewD, ArrayViewMutD, Axis, s};
use rayon::prelude::*;

/// What a model that draws pictures has beside its first layer, the encoder, and its head, which paints.
#[derive(Debug)]
pub(super) struct Decoder<T> {
    /// From latent values.
    pub layer: LayerWeights<T>,
    /// L [2·Z, J] and l: first μ, then ln s.
    pub latent: Head<T>,
}

/// Number of the decoder's layer in names of tensors; the encoder is layer 0.
pub(crate) const DECODER: usize = 1;

/// Names of L and l.
pub(super) const LATENT: [&str; 2] = ["latent.weight", "latent.bias"];

impl<T: Real> Decoder<T> {
    /// All zero; none where the model does not draw pictures.
    pub fn zeros(config: &ModelConfig) -> Option<Decoder<T>> {
        Some(Decoder {
            layer: LayerWeights::zeros(&config.decoder_shape()?, config.kind(), None),
            latent: Head::zeros(config.units(), 2 * config.latent_values()),
        })
    }

    /// Every array by its name in a checkpoint.
    pub fn parameters(&self, config: &ModelConfig) -> Vec<(String, ArrayViewD<'_, T>)> {
        let mut all = self.layer.parameters(config.cell, DECODER);
        let [weight, bias] = LATENT.map(String::from);
        all.push((weight, self.latent.weight.view().into_dyn()));
        all.push((bias, self.latent.bias.view().into_dyn()));
        all
    }

    /// The same arrays, to be changed.
    pub fn parameters_mut(&mut self, config: &ModelConfig) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let mut all = self.layer.parameters_mut(config.cell, DECODER);
        let [weight, bias] = LATENT.map(String::from);
        all.push((weight, self.latent.weight.view_mut().into_dyn()));
        all.push((bias, self.latent.bias.view_mut().into_dyn()));
        all
    }
}

impl<T: Real> Clone for Decoder<T> {
    fn clone(&self) -> Decoder<T> {
        Decoder {
            layer: self.layer.clone(),
            latent: self.latent.clone(),
        }
    }
}

/// A model that draws pictures, ready to run.
pub(super) struct Draw<'a, T> {
    pub encoder: Layer<'a, T>,
    pub decoder: Layer<'a, T>,
    pub latent: &'a Head<T>,
    /// W [K, J] and b.
    pub paint: &'a Head<T>,
    /// Values that the encoder's map reads, 2·K + J or more; zeros fill them up.
    pub inputs: usize,
}

/// What the backward pass needs of the forward pass.
pub(super) struct Trace<'l, T> {
    encoder: Walk<'l, T>,
    decoder: Walk<'l, T>,
    /// The canvas [batch, K] before each step, and at the end.
    canvases: Vec<Array2<T>>,
    /// μ and ln s [batch, 2·Z] of each step.
    latents: Vec<Array2<T>>,
}

impl<T: Real> Trace<'_, T> {
    /// The logits of the pixels, [batch, K].
    pub fn canvas(&self) -> ArrayView2<'_, T> {
        self.canvases[self.latents.len()].view()
    }

    /// The divergence of all latent values of all pictures, in nats.
    pub fn divergence(&self) -> f64 {
        let of = |values: ArrayView2<'_, T>| {
            let (mean, log) = values.split_at(Axis(1), values.ncols() / 2);
            let pairs = mean.iter().zip(log);
            let each = pairs.map(|(mean, log)| {
                let (mean, log) = (mean.widen(), log.widen());
                0.5 * (mean * mean + (2.0 * log).exp() - 1.0) - log
            });
            each.sum::<f64>()
        };
        self.latents.iter().map(|values| of(values.view())).sum()
    }
}

/// Gradients of all weights.
pub(super) struct DrawGradients<T> {
    encoder: LayerGradients<T>,
    decoder: LayerGradients<T>,
    latent: Head<T>,
    paint: Head<T>,
}

impl<T> DrawGradients<T> {
    /// In the order of the model's parameters.
    pub fn arrays(self) -> Vec<ArrayD<T>> {
        let mut arrays = self.encoder.arrays();
        arrays.extend(self.decoder.arrays());
        for head in [self.latent, self.paint] {
            arrays.extend([head.weight.into_dyn(), head.bias.into_dyn()]);
        }
        arrays
    }
}

impl<T: Real> Draw<'_, T> {
    /// Looks at pictures `x` [batch, K] and paints them; `noise` [T, batch, Z] is ε.
    pub fn forward(&self, x: ArrayView2<'_, T>, noise: ArrayView3<'_, T>) -> Trace<'_, T> {
        let (rows, pixels) = x.dim();
        let units = self.decoder.units();
        let mut trace = Trace {
            encoder: Walk::new(&self.encoder, rows),
            decoder: Walk::new(&self.decoder, rows),
            canvases: vec![Array2::zeros((rows, pixels))],
            latents: Vec::new(),
        };
        let mut frames = vec![T::zero(); rows * self.inputs];
        for (t, noise) in noise.outer_iter().enumerate() {
            let canvas = &trace.canvases[t];
            let known = x.outer_iter().zip(canvas.outer_iter());
            frames
                .chunks_exact_mut(self.inputs)
                .zip(known)
                .zip(trace.decoder.hidden(t).chunks_exact(units))
                .for_each(|((frame, (x, canvas)), g)| {
                    let (pictures, hidden) = frame.split_at_mut(2 * pixels);
                    let (picture, error) = pictures.split_at_mut(pixels);
                    for (at, (&x, canvas)) in x.iter().zip(canvas).enumerate() {
                        (picture[at], error[at]) = (x, x - canvas.sigmoid());
                    }
                    hidden[..units].copy_from_slice(g);
                });
            trace.encoder.step(&frames);
            let values = self.latent.forward(trace.encoder.rows(t + 1));
            let (mean, log) = values.view().split_at(Axis(1), noise.ncols());
            let mut z = mean.to_owned();
            ndarray::Zip::from(&mut z)
                .and(log)
                .and(noise)
                .for_each(|z, log, &noise| *z += log.exp() * noise);
            trace.decoder.step(&z.into_iter().collect::<Vec<T>>());
            let painted = self.paint.forward(trace.decoder.rows(t + 1));
            let canvas = &trace.canvases[t] + &painted;
            trace.canvases.push(canvas);
            trace.latents.push(values);
        }
        trace
    }

    /// Gradients of `scale` times the divergence and of what has the gradient `dcanvas` [batch, K] by the last
    /// canvas.
    pub fn backward(
        &self,
        trace: Trace<'_, T>,
        noise: ArrayView3<'_, T>,
        mut dcanvas: Array2<T>,
        scale: T,
    ) -> DrawGradients<T> {
        let Trace {
            mut encoder,
            mut decoder,
            canvases,
            latents,
        } = trace;
        let (rows, pixels) = dcanvas.dim();
        let units = self.decoder.units();
        let zeros = || vec![T::zero(); rows * units];
        let [mut dh, mut dc, mut dg, mut dcell] = [zeros(), zeros(), zeros(), zeros()];
        let mut dframes = vec![T::zero(); rows * self.inputs];
        let mut latent = Head::zeros(units, self.latent.bias.len());
        let mut paint = Head::zeros(units, pixels);
        for (t, noise) in noise.outer_iter().enumerate().rev() {
            let values = &latents[t];
            let painted = self.paint.backward(decoder.rows(t + 1), dcanvas.view());
            add(&mut dg, &painted.0);
            paint.weight += &painted.1;
            paint.bias += &painted.2;
            let mut dz = vec![T::zero(); noise.len()];
            decoder.back(t, &mut dg, &mut dcell, &mut dz);
            let count = noise.ncols();
            let mut dvalues = Array2::zeros(values.dim());
            for (row, dz) in dz.chunks_exact(count).enumerate() {
                for (at, &dz) in dz.iter().enumerate() {
                    let s = values[[row, count + at]].exp();
                    dvalues[[row, at]] = dz + scale * values[[row, at]];
                    let by_log = dz * noise[[row, at]] * s;
                    dvalues[[row, count + at]] = by_log + scale * (s * s - T::one());
                }
            }
            let told = self.latent.backward(encoder.rows(t + 1), dvalues.view());
            add(&mut dh, &told.0);
            latent.weight += &told.1;
            latent.bias += &told.2;
            encoder.back(t, &mut dh, &mut dc, &mut dframes);
            let before = canvases[t].outer_iter();
            dframes
                .chunks_exact(self.inputs)
                .zip(dcanvas.outer_iter_mut().zip(before))
                .zip(dg.chunks_exact_mut(units))
                .for_each(|((dframe, (dcanvas, before)), dg)| {
                    let (dpictures, dhidden) = dframe.split_at(2 * pixels);
                    let derror = &dpictures[pixels..];
                    for ((d, before), &derror) in dcanvas.into_iter().zip(before).zip(derror) {
                        let y = before.sigmoid();
                        *d -= derror * y * (T::one() - y);
                    }
                    dg.iter_mut().zip(dhidden).for_each(|(dg, &d)| *dg += d);
                });
        }
        DrawGradients {
            encoder: encoder.gradients(self.inputs),
            decoder: decoder.gradients(noise.len_of(Axis(2))),
            latent,
            paint,
        }
    }

    /// Logits of pixels [batch, K] drawn from latent values `z` [T, batch, Z] of N(0, 1).
    pub fn draw(&self, z: ArrayView3<'_, T>) -> Array2<T> {
        let rows = z.len_of(Axis(1));
        let mut decoder = Walk::new(&self.decoder, rows);
        let mut canvas = Array2::zeros((rows, self.paint.bias.len()));
        for (t, z) in z.outer_iter().enumerate() {
            decoder.step(&z.iter().copied().collect::<Vec<T>>());
            canvas += &self.paint.forward(decoder.rows(t + 1));
        }
        canvas
    }
}

/// A layer taken step by step, each by frames that the step before made. Rows are time-major.
struct Walk<'l, T> {
    layer: &'l Layer<'l, T>,
    batch: usize,
    frames: Vec<T>,
    gates: Vec<T>,
    /// States and hidden states, the zeros before the first step included.
    cells: Vec<T>,
    hidden: Vec<T>,
    kept_input: Vec<T>,
    kept_recurrent: Vec<T>,
}

impl<'l, T: Real> Walk<'l, T> {
    fn new(layer: &'l Layer<'l, T>, batch: usize) -> Walk<'l, T> {
        let zeros = vec![T::zero(); batch * layer.units()];
        Walk {
            layer,
            batch,
            frames: Vec::new(),
            gates: Vec::new(),
            cells: zeros.clone(),
            hidden: zeros,
            kept_input: Vec::new(),
            kept_recurrent: Vec::new(),
        }
    }

    /// Values of all hidden states of a step.
    fn width(&self) -> usize {
        self.batch * self.layer.units()
    }

    /// Hidden states before step t, [batch, J].
    fn hidden(&self, t: usize) -> &[T] {
        &self.hidden[t * self.width()..][..self.width()]
    }

    /// The same as an array.
    fn rows(&self, t: usize) -> ArrayView2<'_, T> {
        let shape = (self.batch, self.layer.units());
        ArrayView2::from_shape(shape, self.hidden(t)).expect("as many values as rows say")
    }

    /// Takes a step on these frames, [batch, I].
    fn step(&mut self, frames: &[T]) {
        let (layer, units, width) = (self.layer, self.layer.units(), self.width());
        let before = self.hidden.len() - width;
        let gates = layer.bias.len();
        let bias = layer.bias.iter().copied();
        let mut z: Vec<T> = bias.cycle().take(self.batch * gates).collect();
        let of_batch = Frames::packed(frames, frames.len() / self.batch);
        self.kept_input
            .extend(layer.input.forward(&of_batch, &mut z));
        if let (Some(recurrent), true) = (&layer.recurrent, before > 0) {
            let hidden = Frames::packed(&self.hidden[before..], units);
            self.kept_recurrent
                .extend(recurrent.forward(&hidden, &mut z));
        }
        self.frames.extend_from_slice(frames);
        self.cells.extend_from_within(before..);
        self.hidden.resize(before + 2 * width, T::zero());
        z.par_chunks_mut(gates)
            .zip(self.cells[before + width..].par_chunks_mut(units))
            .zip(self.hidden[before + width..].par_chunks_mut(units))
            .for_each(|((z, c), h)| layer.kind.forward(Row { z, apart: &mut [] }, c, h));
        self.gates.extend(z);
    }

    /// Step t back: `dh` and `dc` turn from the gradients of hidden states and states behind it into those before it,
    /// `dframes` is overwritten with that of its frames.
    fn back(&mut self, t: usize, dh: &mut [T], dc: &mut [T], dframes: &mut [T]) {
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
        layer.input.input_gradient(dz, dframes);
        match &layer.recurrent {
            Some(recurrent) if t > 0 => recurrent.input_gradient(dz, dh),
            _ => dh.fill(T::zero()),
        }
    }

    /// Gradients of the weights, after all steps back; frames have so many values.
    fn gradients(self, inputs: usize) -> LayerGradients<T> {
        let (units, width) = (self.layer.units(), self.width());
        let gates = self.layer.bias.len();
        let dz = Array2::from_shape_vec((self.gates.len() / gates, gates), self.gates);
        let dz = dz.expect("gates of all steps");
        let frames = Frames::packed(&self.frames, inputs);
        let last = self.hidden.len() - width;
        let hidden = Frames::packed(&self.hidden[width..last], units);
        let recurrent = self.layer.recurrent.as_ref().map(|recurrent| {
            let later = dz.slice(s![self.batch.., ..]);
            recurrent.weight_gradient(&hidden, &self.kept_recurrent, later)
        });
        LayerGradients {
            input: self
                .layer
                .input
                .weight_gradient(&frames, &self.kept_input, dz.view()),
            recurrent: recurrent.unwrap_or_default(),
            bias: dz.sum_axis(Axis(0)),
            recurrent_bias: Array1::zeros(0),
            words: None,
        }
    }
}

fn add<T: Real>(sum: &mut [T], more: &Array2<T>) {
    sum.iter_mut()
        .zip(more)
        .for_each(|(sum, &more)| *sum += more);
}

#[cfg(test)]
mod tests;
