//! What a model with attention reads and paints through its windows, step by step and back.

use super::attention::{PLACE, Scratch, Size, Window};
use super::linear::Linear;
use crate::float::config::PLACES;
use crate::float::real::Real;
use rayon::prelude::*;

const _: () = assert!(PLACES == 2 * PLACE);

/// What places the windows, and their size.
pub(super) struct Attention<'a, T> {
    pub size: Size,
    pub place: Linear<'a, T>,
}

/// The windows of a batch. Rows are time-major.
pub(super) struct Views<'l, T> {
    attention: &'l Attention<'l, T>,
    /// What gives patches.
    paint: &'l Linear<'l, T>,
    batch: usize,
    /// The numbers that place them, [T + 1, batch, 10]: by the hidden state before each step, and after the last.
    places: Vec<T>,
    /// Their gradients, after the way back.
    dplaces: Vec<T>,
    reads: Vec<Window<T>>,
    paints: Vec<Window<T>>,
    /// What was painted, over γ, [T, batch, N²]; on the way back it turns into the gradient of what gave it.
    patches: Vec<T>,
    /// What was missing of the pictures before each step, [T, batch, K].
    errors: Vec<T>,
}

impl<'l, T: Real> Views<'l, T> {
    /// Before the first step, with the decoder's hidden states [batch, J] that it starts from.
    pub fn new(
        attention: &'l Attention<'l, T>,
        paint: &'l Linear<'l, T>,
        hidden: &[T],
        batch: usize,
    ) -> Views<'l, T> {
        let mut views = Views {
            attention,
            paint,
            batch,
            places: Vec::new(),
            dplaces: Vec::new(),
            reads: Vec::new(),
            paints: Vec::new(),
            patches: Vec::new(),
            errors: Vec::new(),
        };
        views.place(hidden);
        views
    }

    fn place(&mut self, hidden: &[T]) {
        let first = self.places.len();
        self.places.resize(first + self.batch * PLACES, T::zero());
        self.attention.place.add(hidden, &mut self.places[first..]);
        self.dplaces.resize(self.places.len(), T::zero());
    }

    /// The numbers that place the windows by the latest hidden states, [batch, 10].
    pub fn latest(&self) -> &[T] {
        &self.places[self.places.len() - self.batch * PLACES..]
    }

    /// Reads pictures and what is missing of them by their canvases, [batch, K], to the front of each frame of `width`.
    pub fn read(&mut self, pictures: &[T], canvas: &[T], frames: &mut [T], width: usize) {
        let size = self.attention.size;
        let (pixels, patch) = (size.pixels(), size.patch());
        let first = self.errors.len();
        self.errors.resize(first + pictures.len(), T::zero());
        let mut errors = std::mem::take(&mut self.errors);
        let windows = frames
            .par_chunks_mut(width)
            .zip(self.latest().par_chunks(PLACES))
            .zip(pictures.par_chunks(pixels).zip(canvas.par_chunks(pixels)))
            .zip(errors[first..].par_chunks_mut(pixels))
            .map_init(
                || Scratch::new(size),
                |scratch, (((frame, place), (x, canvas)), error)| {
                    for ((error, &x), canvas) in error.iter_mut().zip(x).zip(canvas) {
                        *error = x - canvas.sigmoid();
                    }
                    let window = Window::new(size, &place[..PLACE]);
                    let (of_x, rest) = frame.split_at_mut(patch);
                    let of_error = &mut rest[..patch];
                    window.read(x, scratch, of_x);
                    window.read(error, scratch, of_error);
                    let gain = window.gain();
                    let read = of_x.iter_mut().chain(of_error);
                    read.for_each(|value| *value *= gain);
                    window
                },
            )
            .collect::<Vec<_>>();
        self.reads.extend(windows);
        self.errors = errors;
    }

    /// Paints by hidden states [batch, J] on canvases [batch, K].
    pub fn paint(&mut self, hidden: &[T], canvas: &mut [T]) {
        self.place(hidden);
        let size = self.attention.size;
        let first = self.patches.len();
        self.patches
            .resize(first + self.batch * size.patch(), T::zero());
        let mut patches = std::mem::take(&mut self.patches);
        self.paint.add(hidden, &mut patches[first..]);
        let windows = canvas
            .par_chunks_mut(size.pixels())
            .zip(patches[first..].par_chunks_mut(size.patch()))
            .zip(self.latest().par_chunks(PLACES))
            .map_init(
                || Scratch::new(size),
                |scratch, ((canvas, patch), place)| {
                    let window = Window::new(size, &place[PLACE..]);
                    let gain = window.gain();
                    patch.iter_mut().for_each(|value| *value /= gain);
                    window.paint(patch, scratch, canvas);
                    window
                },
            )
            .collect::<Vec<_>>();
        self.paints.extend(windows);
        self.patches = patches;
    }

    /// Step t's painting back: adds the gradient of the hidden states after it to `dg`; `dcanvas` is that of the
    /// canvas after it. The next step's reading has been taken back, or there was none. `more` is for work, as long as
    /// `dg`.
    pub fn paint_back(&mut self, t: usize, dcanvas: &[T], dg: &mut [T], more: &mut [T]) {
        let (size, batch) = (self.attention.size, self.batch);
        let values = batch * size.patch();
        let patches = &mut self.patches[t * values..][..values];
        let dplaces = &mut self.dplaces[(t + 1) * batch * PLACES..][..batch * PLACES];
        patches
            .par_chunks_mut(size.patch())
            .zip(dcanvas.par_chunks(size.pixels()))
            .zip(self.paints[t * batch..][..batch].par_iter())
            .zip(dplaces.par_chunks_mut(PLACES))
            .for_each_init(
                || (Scratch::new(size), vec![T::zero(); size.patch()]),
                |(scratch, dpatch), (((patch, dcanvas), window), dplace)| {
                    let dplace = &mut dplace[PLACE..];
                    window.read(dcanvas, scratch, dpatch);
                    window.back(patch, dcanvas, scratch, dplace);
                    let gain = window.gain();
                    for (patch, &dpatch) in patch.iter_mut().zip(dpatch.iter()) {
                        dplace[PLACE - 1] -= dpatch * *patch;
                        *patch = dpatch / gain;
                    }
                },
            );
        for (linear, gradient) in [(self.paint, &*patches), (&self.attention.place, &*dplaces)] {
            linear.back(gradient, more);
            super::add(dg, more);
        }
    }

    /// Step t's reading back, of frames of `width` and their gradient. `canvases` are the gradient by the canvas after
    /// the step and, to be written, by that before it, [batch, K]; the first step has none before it.
    pub fn read_back(
        &mut self,
        t: usize,
        pictures: &[T],
        [frames, dframes]: [&[T]; 2],
        width: usize,
        canvases: (&[T], &mut [T]),
    ) {
        let (size, batch) = (self.attention.size, self.batch);
        let (pixels, count) = (size.pixels(), size.patch());
        let (after, before) = canvases;
        // Where there is no canvas before the step, nothing is written.
        let mut befores: Vec<&mut [T]> = before.chunks_mut(pixels).collect();
        befores.resize_with(batch, Default::default);
        befores
            .into_par_iter()
            .zip(after.par_chunks(pixels))
            .zip(frames.par_chunks(width).zip(dframes.par_chunks(width)))
            .zip(pictures.par_chunks(pixels))
            .zip(self.errors[t * batch * pixels..].par_chunks(pixels))
            .zip(self.reads[t * batch..][..batch].par_iter())
            .zip(self.dplaces[t * batch * PLACES..].par_chunks_mut(PLACES))
            .for_each_init(
                || (Scratch::new(size), vec![T::zero(); pixels], vec![T::zero(); count]),
                |(scratch, derror, patch), ((((((before, after), (frame, dframe)), x), error), window), dplace)| {
                    let gain = window.gain();
                    for (own, picture) in [(0, x), (count, error)] {
                        let read = frame[own..][..count].iter().zip(&dframe[own..][..count]);
                        for (patch, (&value, &gradient)) in patch.iter_mut().zip(read) {
                            dplace[PLACE - 1] += gradient * value;
                            *patch = gradient * gain;
                        }
                        window.back(patch, picture, scratch, &mut dplace[..PLACE]);
                    }
                    if before.is_empty() {
                        return;
                    }
                    derror.fill(T::zero());
                    window.paint(patch, scratch, derror);
                    super::through_canvas(before, after, x, error, derror);
                },
            );
    }

    /// After the way back, the gradient of the numbers that placed windows, before every step and after the last.
    pub fn dplaces(&self) -> &[T] {
        &self.dplaces
    }

    /// After the way back, the gradient of what gave patches.
    pub fn dpatches(&self) -> &[T] {
        &self.patches
    }
}
