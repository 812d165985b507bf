//! A batch of pictures: bundles of them go through all steps by themselves, in parallel, and their gradients are added in
//! order. Bundles are the same for any number of threads, and so is the result.

use super::{Draw, DrawGradients, Trace};
use crate::float::real::Real;
use ndarray::{Array2, ArrayView2, ArrayView3, Axis, concatenate, s};
use rayon::prelude::*;
use std::ops::Range;

/// Most pictures of a bundle: enough for the products' kernels; two in tests, whose batches are then several bundles.
const BUNDLE_MAX: usize = if cfg!(test) { 2 } else { 32 };

/// What the backward pass needs of the forward pass.
pub(in crate::float) struct BatchTrace<'l, T> {
    /// Which pictures, and their trace.
    bundles: Vec<(Range<usize>, Trace<'l, T>)>,
}

impl<T: Real> BatchTrace<'_, T> {
    /// The logits of the pixels, [batch, K].
    pub fn canvas(&self) -> Array2<T> {
        let canvases = self.bundles.iter().map(|(_, trace)| trace.canvas.view());
        let canvases: Vec<_> = canvases.collect();
        concatenate(Axis(0), &canvases).expect("pictures of one size")
    }

    /// The divergence of all latent values of all pictures, of which a step has `count`, in nats.
    pub fn divergence(&self, count: usize) -> f64 {
        let of = |row: &[T]| {
            let (mean, log) = row.split_at(count);
            let each = mean.iter().zip(log).map(|(mean, log)| {
                let (mean, log) = (mean.widen(), log.widen());
                0.5 * (mean * mean + (2.0 * log).exp() - 1.0) - log
            });
            each.sum::<f64>()
        };
        let bundles = self.bundles.iter().map(|(_, trace)| {
            let rows = trace.latents.chunks_exact(2 * count);
            rows.map(of).sum::<f64>()
        });
        bundles.sum()
    }
}

impl<T: Real> Draw<'_, T> {
    /// Looks at pictures `x` [batch, K] and paints them; `noise` [T, batch, Z] is ε.
    pub fn forward(&self, x: ArrayView2<'_, T>, noise: ArrayView3<'_, T>) -> BatchTrace<'_, T> {
        let pictures = x.nrows();
        let count = pictures.div_ceil(BUNDLE_MAX).max(1);
        let own = |at: usize| pictures * at / count..pictures * (at + 1) / count;
        let bundles = (0..count).into_par_iter().map(|at| {
            let own = own(at);
            let noise = noise.slice(s![.., own.clone(), ..]);
            let trace = self.bundle_forward(x.slice(s![own.clone(), ..]), noise);
            (own, trace)
        });
        BatchTrace {
            bundles: bundles.collect(),
        }
    }

    /// Gradients of `scale` times the divergence and of what has the gradient `dcanvas` [batch, K] by the last
    /// canvas.
    pub fn backward(
        &self,
        trace: BatchTrace<'_, T>,
        noise: ArrayView3<'_, T>,
        dcanvas: ArrayView2<'_, T>,
        scale: T,
    ) -> DrawGradients<T> {
        let bundles = trace.bundles.into_par_iter().map(|(own, trace)| {
            let noise = noise.slice(s![.., own.clone(), ..]);
            let dcanvas = dcanvas.slice(s![own, ..]);
            self.bundle_back(trace, noise, dcanvas, scale)
        });
        self.gradients(bundles.collect())
    }
}
