//! DRAW (Gregor et al. 2015): an encoder that looks at a picture and a decoder that paints it, over T steps.
//!
//! In each, with a canvas c of logits, zeros at first, and ε from N(0, 1):
//!
//! ```text
//! h = encoder([x, x − σ(c), g])      μ, ln s = L·h + l      z = μ + s·ε      g = decoder(z)      c += W·g + b
//! ```
//!
//! With attention the encoder reads both pictures, and W·g + b is painted, through a window ([`attention`]).
//!
//! The bound on −ln p(x) in nats is the cross entropy of x by the last canvas and, for every step and latent value, the
//! divergence of N(μ, s²) from N(0, 1): (μ² + s² − 1)/2 − ln s. To draw without a picture, z is ε.

mod attention;
mod batch;
mod linear;
mod views;
mod walk;

use crate::float::cell::Kind;
use crate::float::config::{HeadConfig, ModelConfig, PLACES};
use crate::float::head::Head;
use crate::float::layer::{Layer, LayerGradients, LayerWeights};
use crate::float::map::part::MapPart;
use crate::float::map::{Frames, Map, Prepared, WeightSums};
use crate::float::real::Real;
use crate::shape::MapShape;
use attention::Size;
use linear::Linear;
use ndarray::{Array2, ArrayD, ArrayView2, ArrayView3, ArrayViewD, ArrayViewMutD};
use rayon::prelude::*;
use views::{Attention, Views};
use walk::Walk;

/// What a model that draws pictures has beside its first layer, the encoder, and its head, which paints.
#[derive(Debug)]
pub(super) struct Decoder<T> {
    /// From latent values.
    pub layer: LayerWeights<T>,
    /// L [2·Z, J] and l: first μ, then ln s.
    pub latent: Head<T>,
    /// A [10, J] and a, where it has attention.
    pub attention: Option<Head<T>>,
}

/// Number of the decoder's layer in names of tensors; the encoder is layer 0.
pub(crate) const DECODER: usize = 1;

/// Names of L and l.
pub(super) const LATENT: [&str; 2] = ["latent.weight", "latent.bias"];

/// Names of A and a.
pub(crate) const ATTENTION: [&str; 2] = ["attention.weight", "attention.bias"];

impl<T: Real> Decoder<T> {
    /// All zero; none where the model does not draw pictures.
    pub fn zeros(config: &ModelConfig) -> Option<Decoder<T>> {
        Some(Decoder {
            layer: LayerWeights::zeros(&config.decoder_shape()?, config.kind(), None),
            latent: Head::zeros(config.units(), 2 * config.latent_values()),
            attention: config
                .head
                .attention
                .map(|_| Head::zeros(config.units(), PLACES)),
        })
    }

    /// Every array by its name in a checkpoint.
    pub fn parameters(&self, config: &ModelConfig) -> Vec<(String, ArrayViewD<'_, T>)> {
        let mut all = self.layer.parameters(config.cell, DECODER);
        let heads = std::iter::once((LATENT, &self.latent))
            .chain(self.attention.iter().map(|head| (ATTENTION, head)));
        for ([weight, bias], head) in heads {
            all.push((weight.into(), head.weight.view().into_dyn()));
            all.push((bias.into(), head.bias.view().into_dyn()));
        }
        all
    }

    /// The same arrays, to be changed.
    pub fn parameters_mut(&mut self, config: &ModelConfig) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let mut all = self.layer.parameters_mut(config.cell, DECODER);
        let heads = std::iter::once((LATENT, &mut self.latent))
            .chain(self.attention.iter_mut().map(|head| (ATTENTION, head)));
        for ([weight, bias], head) in heads {
            all.push((weight.into(), head.weight.view_mut().into_dyn()));
            all.push((bias.into(), head.bias.view_mut().into_dyn()));
        }
        all
    }
}

impl<T: Real> Clone for Decoder<T> {
    fn clone(&self) -> Decoder<T> {
        Decoder {
            layer: self.layer.clone(),
            latent: self.latent.clone(),
            attention: self.attention.clone(),
        }
    }
}

/// The encoder's input map in two: the part that reads nothing but the picture, which is the same in all steps, and
/// the part that reads the rest.
pub(super) struct Parts<T> {
    still: Option<MapPart<T>>,
    moving: MapPart<T>,
    /// Pixels that the first part reads.
    still_values: usize,
    /// Values that the other reads.
    moving_values: usize,
    /// Shapes of the whole map's tensors.
    tensors: Vec<Vec<usize>>,
}

impl<T: Real> Parts<T> {
    /// Of a map of this shape that reads so many `values`, the first `pixels` of them the same in all steps.
    pub fn new(map: &dyn Map<T>, shape: &MapShape, pixels: usize, values: usize) -> Parts<T> {
        let slab = MapPart::<T>::slab(shape);
        let cut = pixels / slab;
        let end = values.div_ceil(slab);
        Parts {
            still: (cut > 0).then(|| MapPart::new(map, shape, 0..cut)),
            moving: MapPart::new(map, shape, cut..end),
            still_values: cut * slab,
            moving_values: (end - cut) * slab,
            tensors: shape
                .tensors()
                .into_iter()
                .map(|(_, shape)| shape)
                .collect(),
        }
    }

    /// Gradients of the whole map's tensors, of those of its parts.
    fn join(&self, still: Option<&[ArrayD<T>]>, moving: &[ArrayD<T>]) -> Vec<ArrayD<T>> {
        let zeros = |shape: &Vec<usize>| ArrayD::zeros(shape.as_slice());
        let mut whole: Vec<ArrayD<T>> = self.tensors.iter().map(zeros).collect();
        self.moving.add(moving, &mut whole);
        if let (Some(part), Some(still)) = (&self.still, still) {
            part.add(still, &mut whole);
        }
        whole
    }
}

/// A model that draws pictures, ready to run.
pub(super) struct Draw<'a, T> {
    /// Its map is the moving part.
    encoder: Layer<'a, T>,
    still: Option<Box<dyn Prepared<T> + 'a>>,
    parts: &'a Parts<T>,
    decoder: Layer<'a, T>,
    latent: Linear<'a, T>,
    /// W [K, J] and b, with attention [N², J].
    paint: Linear<'a, T>,
    attention: Option<Attention<'a, T>>,
}

/// Pictures on their way through all steps together.
struct Bundle<'l, T> {
    /// [batch, K], row by row.
    pictures: Vec<T>,
    encoder: Walk<'l, T>,
    /// Of the part of the encoder's map that stands still.
    kept_still: Vec<T>,
    decoder: Walk<'l, T>,
    views: Option<Views<'l, T>>,
}

/// A bundle after the last step.
struct Trace<'l, T> {
    bundle: Bundle<'l, T>,
    /// The last canvas [batch, K].
    canvas: Array2<T>,
    /// μ and ln s [batch, 2·Z] of each step.
    latents: Vec<T>,
}

/// A bundle after the way back.
struct Back<'l, T> {
    bundle: Bundle<'l, T>,
    /// The gradient of μ and ln s, [T, batch, 2·Z].
    dvalues: Vec<T>,
    /// That of the canvas after each step, [T, batch, K].
    dcanvases: Vec<T>,
}

/// Gradients of all weights.
pub(super) struct DrawGradients<T> {
    encoder: LayerGradients<T>,
    decoder: LayerGradients<T>,
    latent: Head<T>,
    attention: Option<Head<T>>,
    paint: Head<T>,
}

impl<T> DrawGradients<T> {
    /// In the order of the model's parameters.
    pub fn arrays(self) -> Vec<ArrayD<T>> {
        let mut arrays = self.encoder.arrays();
        arrays.extend(self.decoder.arrays());
        let heads = [Some(self.latent), self.attention, Some(self.paint)];
        for head in heads.into_iter().flatten() {
            arrays.extend([head.weight.into_dyn(), head.bias.into_dyn()]);
        }
        arrays
    }
}

impl<'a, T: Real> Draw<'a, T> {
    /// Of an encoder, a decoder and what paints; `parts` are of the encoder's map.
    pub fn new(
        kind: Kind,
        encoder: &'a LayerWeights<T>,
        parts: &'a Parts<T>,
        decoder: &'a Decoder<T>,
        paint: &'a Head<T>,
        head: &HeadConfig,
    ) -> Draw<'a, T> {
        let windows = decoder.attention.as_ref().zip(head.window());
        Draw {
            encoder: encoder.prepare_reading(parts.moving.map.prepare(), kind, None, None),
            still: parts.still.as_ref().map(|part| part.map.prepare()),
            parts,
            decoder: decoder.layer.prepare(kind, None, None),
            latent: Linear::new(&decoder.latent),
            paint: Linear::new(paint),
            attention: windows.map(|(place, [points, rows, columns])| Attention {
                size: Size {
                    points,
                    rows,
                    columns,
                },
                place: Linear::new(place),
            }),
        }
    }

    /// Values of a frame of the encoder's moving part before those of the decoder.
    fn read_values(&self, pixels: usize) -> usize {
        match &self.attention {
            Some(attention) => 2 * attention.size.patch(),
            None => 2 * pixels - self.parts.still_values,
        }
    }

    /// Looks at pictures `x` [batch, K] and paints them; `noise` [T, batch, Z] is ε.
    fn bundle_forward(&self, x: ArrayView2<'_, T>, noise: ArrayView3<'_, T>) -> Trace<'_, T> {
        let (rows, pixels) = x.dim();
        let (steps, _, count) = noise.dim();
        let units = self.decoder.units();
        let (still, width) = (self.parts.still_values, self.parts.moving_values);
        let pictures: Vec<T> = x.iter().copied().collect();
        let mut encoder = Walk::new(&self.encoder, rows, width, steps);
        let mut decoder = Walk::new(&self.decoder, rows, count, steps);
        let kept_still = self.still.as_ref().map(|map| {
            let starts = (0..rows).map(|row| row * pixels).collect();
            encoder.stand(map.as_ref(), &Frames::new(&pictures, starts))
        });
        let mut views = self
            .attention
            .as_ref()
            .map(|attention| Views::new(attention, &self.paint, decoder.hidden(0), rows));
        let read = self.read_values(pixels);
        let mut canvas = vec![T::zero(); rows * pixels];
        let mut latents = Vec::with_capacity(2 * noise.len());
        for (t, noise) in noise.outer_iter().enumerate() {
            encoder.step(|frames| {
                let of_decoder = frames.par_chunks_mut(width);
                let of_decoder = of_decoder.zip(decoder.hidden(t).par_chunks(units));
                of_decoder.for_each(|(frame, g)| frame[read..][..units].copy_from_slice(g));
                if let Some(views) = &mut views {
                    return views.read(&pictures, &canvas, frames, width);
                }
                frames
                    .par_chunks_mut(width)
                    .zip(pictures.par_chunks(pixels).zip(canvas.par_chunks(pixels)))
                    .for_each(|(frame, (x, canvas))| {
                        let (picture, rest) = frame.split_at_mut(pixels - still);
                        picture.copy_from_slice(&x[still..]);
                        for ((error, &x), canvas) in rest.iter_mut().zip(x).zip(canvas) {
                            *error = x - canvas.sigmoid();
                        }
                    });
            });
            let first = latents.len();
            latents.resize(first + 2 * noise.len(), T::zero());
            let values = &mut latents[first..];
            self.latent.add(encoder.hidden(t + 1), values);
            decoder.step(|frames| {
                let each = frames
                    .chunks_exact_mut(count)
                    .zip(values.chunks_exact(2 * count));
                for ((z, values), noise) in each.zip(noise.outer_iter()) {
                    let (mean, log) = values.split_at(count);
                    for (((z, &mean), log), &noise) in z.iter_mut().zip(mean).zip(log).zip(noise) {
                        *z = mean + log.exp() * noise;
                    }
                }
            });
            match &mut views {
                Some(views) => views.paint(decoder.hidden(t + 1), &mut canvas),
                None => self.paint.add(decoder.hidden(t + 1), &mut canvas),
            }
        }
        Trace {
            bundle: Bundle {
                pictures,
                encoder,
                kept_still: kept_still.unwrap_or_default(),
                decoder,
                views,
            },
            canvas: Array2::from_shape_vec((rows, pixels), canvas).expect("a canvas a picture"),
            latents,
        }
    }

    /// The way back of a bundle, of `scale` times the divergence and of what has the gradient `dcanvas` [batch, K] by the
    /// last canvas.
    fn bundle_back<'l>(
        &self,
        trace: Trace<'l, T>,
        noise: ArrayView3<'_, T>,
        dcanvas: ArrayView2<'_, T>,
        scale: T,
    ) -> Back<'l, T> {
        let Trace {
            mut bundle,
            latents,
            ..
        } = trace;
        let Bundle {
            pictures,
            encoder,
            decoder,
            views,
            ..
        } = &mut bundle;
        let (rows, pixels) = dcanvas.dim();
        let (steps, _, count) = noise.dim();
        let units = self.decoder.units();
        let (still, width) = (self.parts.still_values, self.parts.moving_values);
        let zeros = |values: usize| vec![T::zero(); rows * values];
        let read = self.read_values(pixels);
        let [mut dh, mut dc, mut dg, mut dcell] = [(); 4].map(|()| zeros(units));
        let (mut more, mut dframes, mut dz) = (zeros(units), zeros(width), zeros(count));
        // Of every step, as the weights' gradients want them.
        let mut dvalues = zeros(steps * 2 * count);
        let mut dcanvases = zeros(steps * pixels);
        let last = (steps - 1) * rows * pixels;
        dcanvases[last..]
            .iter_mut()
            .zip(&dcanvas)
            .for_each(|(to, &d)| *to = d);
        for (t, noise) in noise.outer_iter().enumerate().rev() {
            let (before, own) = dcanvases.split_at_mut(t * rows * pixels);
            let own = &own[..rows * pixels];
            match views {
                Some(views) => views.paint_back(t, own, &mut dg, &mut more),
                None => {
                    self.paint.back(own, &mut more);
                    add(&mut dg, &more);
                }
            }
            decoder.back(t, &mut dg, &mut dcell, Some(&mut dz));
            let values = &latents[2 * t * rows * count..][..2 * rows * count];
            let dvalues = &mut dvalues[2 * t * rows * count..][..2 * rows * count];
            let each = dvalues
                .chunks_exact_mut(2 * count)
                .zip(values.chunks_exact(2 * count));
            let each = each.zip(dz.chunks_exact(count)).zip(noise.outer_iter());
            for (((dvalues, values), dz), noise) in each {
                for (at, (&dz, &noise)) in dz.iter().zip(noise).enumerate() {
                    let s = values[count + at].exp();
                    dvalues[at] = dz + scale * values[at];
                    dvalues[count + at] = dz * noise * s + scale * (s * s - T::one());
                }
            }
            self.latent.back(dvalues, &mut more);
            add(&mut dh, &more);
            // The first step's canvas and hidden state are zero, whatever the weights; not so its windows.
            let wanted = t > 0 || views.is_some();
            encoder.back(t, &mut dh, &mut dc, wanted.then_some(&mut dframes));
            let before = match t {
                0 => &mut [],
                _ => &mut before[(t - 1) * rows * pixels..],
            };
            match views {
                Some(views) => {
                    let frames = [encoder.frames(t), &dframes];
                    views.read_back(t, pictures, frames, width, (own, before));
                }
                None => before
                    .par_chunks_mut(pixels)
                    .zip(own.par_chunks(pixels).zip(pictures.par_chunks(pixels)))
                    .zip(encoder.frames(t).par_chunks(width))
                    .zip(dframes.par_chunks(width))
                    .for_each(|(((before, (own, x)), frame), dframe)| {
                        let errors = pixels - still..2 * pixels - still;
                        let (error, derror) = (&frame[errors.clone()], &dframe[errors]);
                        through_canvas(before, own, x, error, derror);
                    }),
            }
            if t > 0 {
                let of_decoder = dg.chunks_exact_mut(units).zip(dframes.chunks_exact(width));
                of_decoder.for_each(|(dg, dframe)| add(dg, &dframe[read..][..units]));
            }
        }
        Back {
            bundle,
            dvalues,
            dcanvases,
        }
    }

    /// Gradients of all weights, of the ways back of bundles.
    fn gradients(&self, backs: Vec<Back<'_, T>>) -> DrawGradients<T> {
        let latent = backs
            .iter()
            .map(|back| (back.bundle.encoder.outputs(), &*back.dvalues));
        let latent = self.latent.gradients(latent);
        let paint = backs.iter().map(|back| {
            let views = back.bundle.views.as_ref();
            let dvalues = views.map_or(&*back.dcanvases, Views::dpatches);
            (back.bundle.decoder.outputs(), dvalues)
        });
        let paint = self.paint.gradients(paint);
        let bundles: Vec<_> = backs.into_iter().map(|back| back.bundle).collect();
        let attention = self.attention.as_ref().map(|attention| {
            let places = bundles.iter().filter_map(|bundle| {
                let views = bundle.views.as_ref()?;
                Some((bundle.decoder.all_hidden(), views.dplaces()))
            });
            attention.place.gradients(places)
        });
        let of_still = self.still.as_ref().map(|map| {
            let mut sums = WeightSums::default();
            for bundle in &bundles {
                let dz = bundle.encoder.start_gradient();
                let pixels = bundle.pictures.len() / dz.nrows();
                let starts = (0..dz.nrows()).map(|row| row * pixels).collect();
                let frames = Frames::new(&bundle.pictures, starts);
                map.add_weight_gradient(&frames, &bundle.kept_still, dz.view(), &mut sums);
            }
            map.of_parameters(sums)
        });
        let walks = bundles.into_iter();
        let walks = walks.map(|bundle| (bundle.encoder, bundle.decoder));
        let (encoders, decoders) = walks.unzip();
        let mut encoder = Walk::gradients(&self.encoder, encoders);
        encoder.input = self.parts.join(of_still.as_deref(), &encoder.input);
        DrawGradients {
            encoder,
            decoder: Walk::gradients(&self.decoder, decoders),
            latent,
            attention,
            paint,
        }
    }

    /// Logits of pixels [batch, K] drawn from latent values `z` [T, batch, Z] of N(0, 1). After each step `watch` sees the
    /// numbers that placed windows, [batch, 10] with attention and none without, and the canvas [batch, K].
    pub fn draw(
        &self,
        z: ArrayView3<'_, T>,
        mut watch: impl FnMut(&[T], ArrayView2<'_, T>),
    ) -> Array2<T> {
        let (steps, rows, count) = z.dim();
        let mut decoder = Walk::new(&self.decoder, rows, count, steps);
        let pixels = match &self.attention {
            Some(attention) => attention.size.pixels(),
            None => self.paint.outputs(),
        };
        let mut views = self
            .attention
            .as_ref()
            .map(|attention| Views::new(attention, &self.paint, decoder.hidden(0), rows));
        let mut canvas = Array2::zeros((rows, pixels));
        for (t, z) in z.outer_iter().enumerate() {
            decoder.step(|frames| frames.iter_mut().zip(z).for_each(|(to, &z)| *to = z));
            let values = canvas.as_slice_mut().expect("in standard layout");
            match &mut views {
                Some(views) => views.paint(decoder.hidden(t + 1), values),
                None => self.paint.add(decoder.hidden(t + 1), values),
            }
            let places = views.as_ref().map_or(&[][..], Views::latest);
            watch(places, canvas.view());
        }
        canvas
    }
}

/// The gradient by the canvas before a step, of that by the one after it and of that by what is missing of the picture
/// x, the error x − σ(c).
fn through_canvas<T: Real>(before: &mut [T], after: &[T], x: &[T], error: &[T], derror: &[T]) {
    let each = before.iter_mut().zip(after).zip(x.iter().zip(error));
    for (((before, &after), (&x, &error)), &derror) in each.zip(derror) {
        let y = x - error;
        *before = after - derror * y * (T::one() - y);
    }
}

fn add<T: Real>(sum: &mut [T], more: &[T]) {
    sum.iter_mut()
        .zip(more)
        .for_each(|(sum, &more)| *sum += more);
}

#[cfg(test)]
mod tests;
