//! Executes a [`Contraction`]: forward, gradient of the input, gradient of the weights.

use super::Frames;
use super::contraction::{Contraction, Shuffle, Step};
use crate::float::product::{Product, Strides, transpose};
use crate::float::real::Real;
use ndarray::{Array3, ArrayView2};
use rayon::prelude::*;

/// Tasks the gradient of the weights is cut into. Their partial sums are added
/// in order, so the result does not depend on the number of threads.
const TASKS: usize = 16;

/// A contraction with the weights of its steps, ready to run.
#[derive(Debug)]
pub struct Chain<'a, T> {
    plan: &'a Contraction,
    /// Per step `[blocks, sum, new]`; `[sum, blocks, new]` for a shared first step.
    weights: Vec<Vec<T>>,
}

/// Where one frame, or a slice of it, lies: rows as two digits.
struct Rows {
    start: usize,
    outer: usize,
    outer_stride: usize,
    inner: usize,
    inner_stride: usize,
}

/// Buffers of one task.
struct Scratch<T> {
    /// `states[s]`: what step s left, shuffled; of a slice for the inner steps.
    states: Vec<Vec<T>>,
    /// Gradients of `states`, same sizes.
    gradients: Vec<Vec<T>>,
    /// A result before its shuffle, or a gradient after undoing it.
    raw: Vec<T>,
    /// A transposed gradient.
    turned: Vec<T>,
}

impl<'a, T: Real> Chain<'a, T> {
    /// `weights[s]`: `[blocks, sum, new]` of step s.
    pub fn new(plan: &'a Contraction, weights: Vec<Array3<T>>) -> Chain<'a, T> {
        let weights = weights.into_iter().enumerate().map(|(s, weight)| {
            let step = &plan.steps[s];
            assert_eq!(weight.dim(), (plan.blocks, step.sum, step.new));
            let weight = if s == 0 && plan.shared_first {
                weight.permuted_axes([1, 0, 2])
            } else {
                weight
            };
            weight.iter().copied().collect()
        });
        Chain {
            plan,
            weights: weights.collect(),
        }
    }

    /// Adds the map of every frame to a row of `z` [frames, outputs]; returns
    /// the states between inner and outer steps that
    /// [`weight_gradient`](Self::weight_gradient) needs.
    pub fn forward(&self, x: &Frames<'_, T>, z: &mut [T]) -> Vec<T> {
        let plan = self.plan;
        let boundary = plan.boundary_len();
        let mut kept = vec![T::zero(); x.len() * boundary];
        let run = |scratch: &mut Scratch<T>, (group, (z, kept)): (usize, (&mut [T], &mut [T]))| {
            let frames = z.len() / plan.outputs();
            let first = group * plan.group;
            for slice in 0..plan.slices {
                self.inner_forward(x, first, frames, slice, plan.inner, scratch);
            }
            for s in plan.inner..plan.steps.len() {
                self.step_forward(s, frames, 0, scratch);
            }
            if boundary > 0 {
                kept.copy_from_slice(&scratch.states[plan.inner - 1]);
            }
            let result = &scratch.states[plan.steps.len() - 1];
            self.add_in_output_order(result, z);
        };
        let group = plan.group;
        let mut no_states: Vec<&mut [T]> = Vec::new();
        let kept_groups: Vec<&mut [T]> = if boundary > 0 {
            kept.chunks_mut(group * boundary).collect()
        } else {
            no_states.resize_with(x.len().div_ceil(group), Default::default);
            no_states
        };
        z.par_chunks_mut(group * plan.outputs())
            .zip(kept_groups)
            .enumerate()
            .for_each_init(
                || self.scratch(),
                |scratch, (group, pair)| run(scratch, (group, pair)),
            );
        kept
    }

    /// dx [frames, inputs] of dz [frames, outputs].
    pub fn input_gradient(&self, dz: ArrayView2<'_, T>, dx: &mut [T]) {
        let plan = self.plan;
        // The whole frame at once: only short inputs (the hidden state) come here.
        let whole = Contraction {
            inner: plan.steps.len(),
            slices: 1,
            ..plan.clone()
        };
        let chain = Chain {
            plan: &whole,
            weights: self.weights.clone(),
        };
        let dz = dz.as_standard_layout();
        let dz = dz.as_slice().unwrap_or(&[]);
        dx.par_chunks_mut(plan.group * plan.inputs())
            .zip(dz.par_chunks(plan.group * plan.outputs()))
            .for_each_init(
                || chain.scratch(),
                |scratch, (dx, dz)| {
                    let frames = dx.len() / plan.inputs();
                    chain.start_backward(dz, scratch);
                    for s in (1..plan.steps.len()).rev() {
                        chain.state_gradient(s, frames, 0, scratch);
                    }
                    chain.first_input_gradient(frames, scratch, dx);
                },
            );
    }

    /// Gradient of the weights of every step, summed over all frames.
    pub fn weight_gradient(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
    ) -> Vec<Array3<T>> {
        let plan = self.plan;
        let dz = dz.as_standard_layout();
        let dz = dz.as_slice().unwrap_or(&[]);
        let groups = x.len().div_ceil(plan.group);
        let per_task = groups.div_ceil(TASKS).max(1);
        let partial: Vec<Vec<Vec<T>>> = (0..groups.div_ceil(per_task))
            .into_par_iter()
            .map_init(
                || self.scratch(),
                |scratch, task| {
                    let mut sums: Vec<Vec<T>> = self
                        .weights
                        .iter()
                        .map(|w| vec![T::zero(); w.len()])
                        .collect();
                    for group in task * per_task..groups.min((task + 1) * per_task) {
                        let first = group * plan.group;
                        let last = x.len().min(first + plan.group);
                        let dz = &dz[first * plan.outputs()..last * plan.outputs()];
                        self.group_gradient(x, first, last - first, kept, dz, scratch, &mut sums);
                    }
                    sums
                },
            )
            .collect();
        let mut partial = partial.into_iter();
        let mut total = partial
            .next()
            .unwrap_or_else(|| vec![Vec::new(); self.weights.len()]);
        for (total, weight) in total.iter_mut().zip(&self.weights) {
            total.resize(weight.len(), T::zero());
        }
        for part in partial {
            for (total, part) in total.iter_mut().zip(part) {
                for (total, part) in total.iter_mut().zip(part) {
                    *total += part;
                }
            }
        }
        let arrays = total.into_iter().enumerate().map(|(s, values)| {
            let Step { sum, new, .. } = plan.steps[s];
            if s == 0 && plan.shared_first {
                let array = Array3::from_shape_vec((sum, plan.blocks, new), values);
                array.map(|a| a.permuted_axes([1, 0, 2]).as_standard_layout().to_owned())
            } else {
                Array3::from_shape_vec((plan.blocks, sum, new), values)
            }
            .expect("as many values as weights")
        });
        arrays.collect()
    }

    fn scratch(&self) -> Scratch<T> {
        let plan = self.plan;
        let sizes: Vec<usize> = (0..plan.steps.len()).map(|s| self.state_len(s)).collect();
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let zeros = |len: usize| vec![T::zero(); len];
        Scratch {
            states: sizes.iter().map(|&len| zeros(len)).collect(),
            gradients: sizes.iter().map(|&len| zeros(len)).collect(),
            raw: zeros(largest),
            turned: zeros(largest),
        }
    }

    /// Values of the buffer for step s's result, all blocks.
    fn state_len(&self, s: usize) -> usize {
        let plan = self.plan;
        let blocks = if s + 1 == plan.steps.len() {
            1
        } else {
            plan.blocks
        };
        let slices = if s + 1 < plan.inner { plan.slices } else { 1 };
        plan.group * blocks * plan.steps[s].output_len() / slices
    }

    /// Positions step s works on in one go.
    fn positions(&self, s: usize, frames: usize) -> usize {
        let slices = if s < self.plan.inner {
            self.plan.slices
        } else {
            1
        };
        frames * self.plan.steps[s].before / slices
    }

    fn rows(&self, start: usize, slice: usize) -> Rows {
        let plan = self.plan;
        let [before, size, after] = plan.input;
        let count = before * after / plan.slices;
        if after == 1 {
            Rows {
                start: start + slice * count * size,
                outer: 1,
                outer_stride: 0,
                inner: count,
                inner_stride: size,
            }
        } else if count >= after {
            let outer = count / after;
            Rows {
                start: start + slice * outer * size * after,
                outer,
                outer_stride: size * after,
                inner: after,
                inner_stride: 1,
            }
        } else {
            let row = slice * count;
            Rows {
                start: start + row / after * size * after + row % after,
                outer: 1,
                outer_stride: 0,
                inner: count,
                inner_stride: 1,
            }
        }
    }

    /// Steps 0..until of one slice of a group of frames.
    fn inner_forward(
        &self,
        x: &Frames<'_, T>,
        first: usize,
        frames: usize,
        slice: usize,
        until: usize,
        scratch: &mut Scratch<T>,
    ) {
        if until == 0 {
            return;
        }
        for frame in 0..frames {
            let rows = self.rows(x.start(first + frame), slice);
            self.first_forward(x.values(), &rows, frame, frames, slice, scratch);
        }
        for s in 1..until {
            self.step_forward(s, frames, slice, scratch);
        }
    }

    /// Offset of a slice and distance between blocks in the buffer of step s.
    fn placement(&self, s: usize, frames: usize, slice: usize) -> (usize, usize) {
        let plan = self.plan;
        let step = &plan.steps[s];
        let positions = self.positions(s, frames);
        let per_position = step.output_len() / step.before;
        let sliced = s + 1 == plan.inner && plan.slices > 1;
        let at = if sliced {
            slice * positions * per_position
        } else {
            0
        };
        let block = if sliced {
            frames * step.output_len()
        } else {
            positions * per_position
        };
        (at, block)
    }

    fn first_forward(
        &self,
        x: &[T],
        rows: &Rows,
        frame: usize,
        frames: usize,
        slice: usize,
        scratch: &mut Scratch<T>,
    ) {
        let plan = self.plan;
        let step = &plan.steps[0];
        let count = rows.outer * rows.inner;
        let last = plan.steps.len() == 1;
        let (at, block) = self.placement(0, frames, slice);
        let width = if plan.shared_first {
            plan.blocks * step.new
        } else {
            step.new
        };
        let mut product = Product {
            rows: rows.inner,
            cols: width,
            outer: if last { plan.blocks } else { 1 },
            inner: step.sum,
            batch: rows.outer,
            a: Strides {
                line: rows.inner_stride,
                outer: 0,
                inner: plan.input[2],
                batch: rows.outer_stride,
            },
            b: Strides {
                line: 1,
                outer: step.sum * step.new,
                inner: width,
                batch: 0,
            },
            c_row: width,
            c_col: 1,
            c_batch: rows.inner * width,
            add: false,
        };
        let x = &x[rows.start..];
        let out = &mut scratch.states[0];
        if plan.shared_first || last {
            let at = if plan.shared_first {
                at * plan.blocks
            } else {
                at
            };
            product.run(x, &self.weights[0], &mut out[at + frame * count * width..]);
        } else {
            product.outer = 1;
            for n in 0..plan.blocks {
                let out = &mut out[at + n * block + frame * count * width..];
                product.run(x, &self.weights[0][n * step.sum * step.new..], out);
            }
        }
    }

    /// Strides of the state that step s reads: block, position, sum, side.
    fn input_strides(&self, s: usize, frames: usize) -> [usize; 4] {
        let plan = self.plan;
        let step = &plan.steps[s];
        if s == 1 && plan.shared_first {
            let sum = plan.blocks * step.post;
            return [step.post, step.sum * sum, sum, step.post];
        }
        let line = step.side * step.post;
        let position = step.sum * line;
        [
            self.positions(s, frames) * position,
            position,
            line,
            step.post,
        ]
    }

    fn step_forward(&self, s: usize, frames: usize, slice: usize, scratch: &mut Scratch<T>) {
        let plan = self.plan;
        let step = &plan.steps[s];
        let last = s + 1 == plan.steps.len();
        let positions = self.positions(s, frames);
        let [in_block, in_position, in_sum, in_side] = self.input_strides(s, frames);
        let (before, after) = scratch.states.split_at_mut(s);
        let input = &before[s - 1];
        let (at, placed) = self.placement(s, frames, slice);
        let per_position = step.side * step.new * step.post;
        let (out, at, out_block) = match step.shuffle {
            Some(_) => (&mut scratch.raw, 0, positions * per_position),
            None => (&mut after[0], at, placed),
        };
        let mut product = Product {
            rows: step.new,
            cols: step.post,
            outer: if last { plan.blocks } else { 1 },
            inner: step.sum,
            batch: positions,
            a: Strides {
                line: 1,
                outer: step.sum * step.new,
                inner: step.new,
                batch: 0,
            },
            b: Strides {
                line: 1,
                outer: in_block,
                inner: in_sum,
                batch: in_position,
            },
            c_row: step.post,
            c_col: 1,
            c_batch: per_position,
            add: false,
        };
        let weights = &self.weights[s];
        if last {
            // Here the side axes are used up.
            product.run(weights, input, out);
            return;
        }
        product.outer = 1;
        for n in 0..plan.blocks {
            for side in 0..step.side {
                product.run(
                    &weights[n * step.sum * step.new..],
                    &input[n * in_block + side * in_side..],
                    &mut out[at + n * out_block + side * step.new * step.post..],
                );
            }
        }
        if let Some(shuffle) = &step.shuffle {
            let (at, placed) = self.placement(s, frames, slice);
            for n in 0..plan.blocks {
                let len = positions * per_position;
                let raw = &scratch.raw[n * len..][..len];
                apply(shuffle, raw, &mut after[0][at + n * placed..][..len]);
            }
        }
    }

    /// Puts dz, in the order of the contraction, where the last step's
    /// gradient belongs.
    fn start_backward(&self, dz: &[T], scratch: &mut Scratch<T>) {
        let [_, size, after] = self.plan.output;
        let out = scratch.gradients.last_mut().expect("at least one step");
        for (dz, out) in dz
            .chunks_exact(size * after)
            .zip(out.chunks_exact_mut(size * after))
        {
            for j in 0..size {
                for k in 0..after {
                    out[k * size + j] = dz[j * after + k];
                }
            }
        }
    }

    fn add_in_output_order(&self, result: &[T], z: &mut [T]) {
        let [_, size, after] = self.plan.output;
        for (z, result) in z
            .chunks_exact_mut(size * after)
            .zip(result.chunks_exact(size * after))
        {
            for j in 0..size {
                for k in 0..after {
                    z[j * after + k] += result[k * size + j];
                }
            }
        }
    }

    /// `gradients[s − 1]` from `gradients[s]`; leaves step s's own gradient,
    /// its shuffle undone, in `raw` where it has one.
    fn state_gradient(&self, s: usize, frames: usize, slice: usize, scratch: &mut Scratch<T>) {
        let plan = self.plan;
        let step = &plan.steps[s];
        let positions = self.positions(s, frames);
        let [in_block, in_position, in_sum, in_side] = self.input_strides(s, frames);
        let (before, after) = scratch.gradients.split_at_mut(s);
        let (source, at, block) =
            self.result_gradient(s, frames, slice, &after[0], &mut scratch.raw);
        let last = s + 1 == plan.steps.len();
        let product = Product {
            rows: step.sum,
            cols: step.post,
            outer: 1,
            inner: step.new,
            batch: positions,
            a: Strides {
                line: step.new,
                inner: 1,
                ..Strides::default()
            },
            b: Strides {
                line: 1,
                outer: 0,
                inner: step.post,
                batch: step.side * step.new * step.post,
            },
            c_row: in_sum,
            c_col: 1,
            c_batch: in_position,
            add: false,
        };
        for n in 0..plan.blocks {
            for side in 0..step.side {
                let from = at + if last { 0 } else { n * block };
                product.run(
                    &self.weights[s][n * step.sum * step.new..],
                    &source[from + side * step.new * step.post..],
                    &mut before[s - 1][n * in_block + side * in_side..],
                );
            }
        }
    }

    /// The gradient of step s's result with its shuffle undone: buffer, offset
    /// and distance between blocks.
    fn result_gradient<'s>(
        &self,
        s: usize,
        frames: usize,
        slice: usize,
        gradient: &'s [T],
        raw: &'s mut [T],
    ) -> (&'s [T], usize, usize) {
        let (at, placed) = self.placement(s, frames, slice);
        let Some(shuffle) = &self.plan.steps[s].shuffle else {
            return (gradient, at, placed);
        };
        let step = &self.plan.steps[s];
        let len = self.positions(s, frames) * step.side * step.new * step.post;
        for n in 0..self.plan.blocks {
            undo(
                shuffle,
                &gradient[at + n * placed..][..len],
                &mut raw[n * len..][..len],
            );
        }
        (raw, 0, len)
    }

    /// Adds step s's weight gradient to `sum`.
    fn step_weight_gradient(
        &self,
        s: usize,
        frames: usize,
        slice: usize,
        scratch: &mut Scratch<T>,
        sum: &mut [T],
    ) {
        let plan = self.plan;
        let step = &plan.steps[s];
        let last = s + 1 == plan.steps.len();
        let positions = self.positions(s, frames);
        let [in_block, in_position, in_sum, in_side] = self.input_strides(s, frames);
        let per_position = step.side * step.new * step.post;
        let (source, at, block) =
            self.result_gradient(s, frames, slice, &scratch.gradients[s], &mut scratch.raw);
        let product = Product {
            rows: step.sum,
            cols: step.new,
            outer: positions,
            inner: step.post,
            batch: 1,
            a: Strides {
                line: in_sum,
                outer: in_position,
                inner: 1,
                batch: 0,
            },
            b: Strides {
                line: 1,
                outer: per_position,
                inner: step.new,
                batch: 0,
            },
            c_row: step.new,
            c_col: 1,
            c_batch: 0,
            add: true,
        };
        let len = positions * per_position;
        for n in 0..plan.blocks {
            if n == 0 || !last {
                let from = at + n * block;
                transpose(
                    &source[from..from + len],
                    &mut scratch.turned[..len],
                    positions * step.side,
                    step.new,
                    step.post,
                );
            }
            for side in 0..step.side {
                product.run(
                    &scratch.states[s - 1][n * in_block + side * in_side..],
                    &scratch.turned[side * step.new * step.post..],
                    &mut sum[n * step.sum * step.new..],
                );
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn first_weight_gradient(
        &self,
        x: &[T],
        rows: &Rows,
        frame: usize,
        frames: usize,
        slice: usize,
        scratch: &mut Scratch<T>,
        sum: &mut [T],
    ) {
        let plan = self.plan;
        let step = &plan.steps[0];
        let last = plan.steps.len() == 1;
        let count = rows.outer * rows.inner;
        let (at, block) = self.placement(0, frames, slice);
        let (width, runs) = if plan.shared_first {
            (plan.blocks * step.new, 1)
        } else {
            (step.new, plan.blocks)
        };
        let product = Product {
            rows: step.sum,
            cols: width,
            outer: rows.outer,
            inner: rows.inner,
            batch: 1,
            a: Strides {
                line: plan.input[2],
                outer: rows.outer_stride,
                inner: rows.inner_stride,
                batch: 0,
            },
            b: Strides {
                line: 1,
                outer: rows.inner * width,
                inner: width,
                batch: 0,
            },
            c_row: width,
            c_col: 1,
            c_batch: 0,
            add: true,
        };
        let at = if plan.shared_first {
            at * plan.blocks
        } else {
            at
        };
        for n in 0..runs {
            let from = at + frame * count * width + if last { 0 } else { n * block };
            product.run(
                &x[rows.start..],
                &scratch.gradients[0][from..],
                &mut sum[n * step.sum * width..],
            );
        }
    }

    fn first_input_gradient(&self, frames: usize, scratch: &Scratch<T>, dx: &mut [T]) {
        let plan = self.plan;
        let step = &plan.steps[0];
        let last = plan.steps.len() == 1;
        let (_, block) = self.placement(0, frames, 0);
        let (width, runs) = if plan.shared_first {
            (plan.blocks * step.new, 1)
        } else {
            (step.new, plan.blocks)
        };
        for frame in 0..frames {
            let rows = self.rows(frame * plan.inputs(), 0);
            let count = rows.outer * rows.inner;
            for n in 0..runs {
                let product = Product {
                    rows: rows.inner,
                    cols: step.sum,
                    outer: 1,
                    inner: width,
                    batch: rows.outer,
                    a: Strides {
                        line: width,
                        outer: 0,
                        inner: 1,
                        batch: rows.inner * width,
                    },
                    b: Strides {
                        line: width,
                        outer: 0,
                        inner: 1,
                        batch: 0,
                    },
                    c_row: rows.inner_stride,
                    c_col: plan.input[2],
                    c_batch: rows.outer_stride,
                    add: n > 0,
                };
                let from = frame * count * width + if last { 0 } else { n * block };
                product.run(
                    &scratch.gradients[0][from..],
                    &self.weights[0][n * step.sum * width..],
                    &mut dx[rows.start..],
                );
            }
        }
    }

    /// Weight gradients of one group of frames, added to `sums`.
    #[allow(clippy::too_many_arguments)]
    fn group_gradient(
        &self,
        x: &Frames<'_, T>,
        first: usize,
        frames: usize,
        kept: &[T],
        dz: &[T],
        scratch: &mut Scratch<T>,
        sums: &mut [Vec<T>],
    ) {
        let plan = self.plan;
        let steps = plan.steps.len();
        let cut = plan.inner < steps;
        self.start_backward(dz, scratch);
        if cut {
            let len = plan.boundary_len();
            scratch.states[plan.inner - 1].copy_from_slice(&kept[first * len..][..len]);
            for s in plan.inner..steps - 1 {
                self.step_forward(s, frames, 0, scratch);
            }
            for s in (plan.inner..steps).rev() {
                self.step_weight_gradient(s, frames, 0, scratch, &mut sums[s]);
                self.state_gradient(s, frames, 0, scratch);
            }
        }
        for slice in 0..plan.slices {
            self.inner_forward(x, first, frames, slice, plan.inner - 1, scratch);
            for s in (1..plan.inner).rev() {
                self.step_weight_gradient(s, frames, slice, scratch, &mut sums[s]);
                self.state_gradient(s, frames, slice, scratch);
            }
            for frame in 0..frames {
                let rows = self.rows(x.start(first + frame), slice);
                self.first_weight_gradient(
                    x.values(),
                    &rows,
                    frame,
                    frames,
                    slice,
                    scratch,
                    &mut sums[0],
                );
            }
        }
    }
}

/// Shuffles every result in `raw`.
fn apply<T: Real>(shuffle: &Shuffle, raw: &[T], out: &mut [T]) {
    let run = shuffle.run;
    for (raw, out) in raw
        .chunks_exact(shuffle.values())
        .zip(out.chunks_exact_mut(shuffle.values()))
    {
        for (out, &source) in out.chunks_exact_mut(run).zip(&shuffle.source) {
            out.copy_from_slice(&raw[source..source + run]);
        }
    }
}

/// The way back.
fn undo<T: Real>(shuffle: &Shuffle, input: &[T], raw: &mut [T]) {
    let run = shuffle.run;
    for (input, raw) in input
        .chunks_exact(shuffle.values())
        .zip(raw.chunks_exact_mut(shuffle.values()))
    {
        for (input, &source) in input.chunks_exact(run).zip(&shuffle.source) {
            raw[source..source + run].copy_from_slice(input);
        }
    }
}
