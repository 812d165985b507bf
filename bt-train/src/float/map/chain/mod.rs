//! Executes a [`Stages`]: forward, gradient of the input, gradient of the weights.
//!
//! Here frames are cut into groups and slices; [`first`] and [`later`] hold
//! the arithmetic of one stage.

mod first;
mod later;

use super::stages::{Stage, Stages};
use super::{Frames, WeightSums};
use crate::float::product::{Buffer, transpose};
use crate::float::real::Real;
use crate::float::spare::Spare;
use ndarray::{Array1, Array3, ArrayView2};
use rayon::prelude::*;

/// Tasks the gradient of the weights is cut into. Their partial sums are added
/// in order, so the result does not depend on the number of threads.
const TASKS: usize = 16;

/// The same where frames of one step are taken by themselves: each task's sums
/// cost as much as a few frames.
const TASKS_OF_A_STEP: usize = 2;

/// A contraction with the weights of its stages, ready to run.
#[derive(Debug)]
pub struct Chain<'a, T> {
    plan: &'a Stages,
    /// Per stage `[blocks, sum, new]`; `[sum, blocks, new]` for a shared first stage.
    weights: Vec<Buffer<T>>,
    /// Where the first stage reads the frame's last axis, its weights the other way round, `[…, new, sum]`: the
    /// gradient of the frames is then a product of the fast kind.
    turned_first: Option<Buffer<T>>,
    spare: Spare<Scratch<T>>,
}

/// What is worked on in one go.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// The first frame.
    first: usize,
    /// How many frames.
    frames: usize,
    /// Which slice of them.
    slice: usize,
}

/// Buffers of one task.
#[derive(Debug)]
pub struct Scratch<T> {
    /// `levels[s]`: what stage s left, shuffled; of a slice for the inner stages.
    levels: Vec<Buffer<T>>,
    /// Gradients of `levels`, same sizes.
    gradients: Vec<Buffer<T>>,
    /// A result before its shuffle, or a gradient after undoing it.
    raw: Buffer<T>,
    /// A transposed gradient.
    turned: Buffer<T>,
}

impl<'a, T: Real> Chain<'a, T> {
    /// `weights[s]`: `[blocks, sum, new]` of stage s; `spare` are buffers of this plan.
    pub fn new(
        plan: &'a Stages,
        weights: Vec<Array3<T>>,
        spare: &Spare<Scratch<T>>,
    ) -> Chain<'a, T> {
        let weights = weights.into_iter().enumerate().map(|(s, weight)| {
            let stage = &plan.stages[s];
            assert_eq!(weight.dim(), (plan.blocks, stage.sum, stage.new));
            let weight = if s == 0 && plan.shared_first {
                weight.permuted_axes([1, 0, 2])
            } else {
                weight
            };
            Buffer::collect(weight.len(), weight.iter().copied())
        });
        let weights: Vec<Buffer<T>> = weights.collect();
        let Stage { sum, mut new, .. } = plan.stages[0];
        if plan.shared_first {
            new *= plan.blocks;
        }
        let turned_first = (plan.input[2] == 1).then(|| {
            let mut turned = Buffer::new(weights[0].len());
            transpose(&weights[0], &mut turned, sum, new);
            turned
        });
        Chain {
            plan,
            weights,
            turned_first,
            spare: spare.clone(),
        }
    }

    /// Adds the map of every frame to a row of `z` [frames, outputs]; returns
    /// the levels between inner and outer stages that
    /// [`weight_gradient`](Self::weight_gradient) needs.
    pub fn forward(&self, x: &Frames<'_, T>, z: &mut [T]) -> Vec<T> {
        let plan = self.plan;
        let boundary = plan.boundary_len();
        let mut kept = vec![T::zero(); x.len() * boundary];
        let run = |scratch: &mut Scratch<T>, (group, (z, kept)): (usize, (&mut [T], &mut [T]))| {
            let mut piece = Piece {
                first: group * plan.group,
                frames: z.len() / plan.outputs(),
                slice: 0,
            };
            for slice in 0..plan.slices {
                piece.slice = slice;
                self.prefetch_next(x, piece, 0, 1);
                self.inner_forward(x, piece, plan.inner, scratch);
            }
            piece.slice = 0;
            for s in plan.inner..plan.stages.len() {
                self.stage_forward(s, piece, scratch);
            }
            if boundary > 0 {
                kept.copy_from_slice(&scratch.levels[plan.inner - 1]);
            }
            let result = &scratch.levels[plan.stages.len() - 1];
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
            .for_each(|(group, pair)| self.with_scratch(|scratch| run(scratch, (group, pair))));
        kept
    }

    /// dx [frames, inputs] of dz [frames, outputs].
    pub fn input_gradient(&self, dz: ArrayView2<'_, T>, dx: &mut [T]) {
        let plan = self.plan;
        let dz = dz.as_standard_layout();
        let dz = dz.as_slice().unwrap_or(&[]);
        dx.par_chunks_mut(plan.group * plan.inputs())
            .zip(dz.par_chunks(plan.group * plan.outputs()))
            .for_each(|(dx, dz)| {
                self.with_scratch(|scratch| {
                    let mut piece = Piece {
                        first: 0,
                        frames: dx.len() / plan.inputs(),
                        slice: 0,
                    };
                    self.start_backward(dz, scratch);
                    for s in (plan.inner..plan.stages.len()).rev() {
                        self.undo_shuffle(s, piece, scratch);
                        self.level_gradient(s, piece, scratch);
                    }
                    for slice in 0..plan.slices {
                        piece.slice = slice;
                        for s in (1..plan.inner).rev() {
                            self.undo_shuffle(s, piece, scratch);
                            self.level_gradient(s, piece, scratch);
                        }
                        self.first_input_gradient(piece, scratch, dx);
                    }
                });
            });
    }

    /// Gradient of the weights of every stage, summed over all frames.
    pub fn weight_gradient(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
    ) -> WeightSums<T> {
        let nothing = Vec::new();
        self.gradients(x, kept, dz, nothing, TASKS)
    }

    /// The same of some frames alone, and dx [frames, inputs] of them: what both need is computed once.
    pub fn both_gradients(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        dx: &mut [T],
    ) -> WeightSums<T> {
        let frames = self.frames_a_task(x.len(), TASKS_OF_A_STEP);
        let dx = dx.chunks_mut(frames * self.plan.inputs()).collect();
        self.gradients(x, kept, dz, dx, TASKS_OF_A_STEP)
    }

    /// Frames that each of so many tasks takes: groups as a whole.
    fn frames_a_task(&self, frames: usize, tasks: usize) -> usize {
        let groups = frames.div_ceil(self.plan.group);
        groups.div_ceil(tasks).max(1) * self.plan.group
    }

    /// Gradients of the weights; `dx`, where it is not empty, has a piece for each task.
    fn gradients(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        mut dx: Vec<&mut [T]>,
        tasks: usize,
    ) -> WeightSums<T> {
        let plan = self.plan;
        let dz = dz.as_standard_layout();
        let dz = dz.as_slice().unwrap_or(&[]);
        let frames = self.frames_a_task(x.len(), tasks);
        dx.resize_with(x.len().div_ceil(frames), Default::default);
        let partial: Vec<Vec<Buffer<T>>> = dx
            .into_par_iter()
            .enumerate()
            .map(|(task, dx)| {
                self.with_scratch(|scratch| {
                    let mut sums = self.zero_gradients();
                    let mut dx = dx.chunks_mut(plan.group * plan.inputs());
                    let end = x.len().min((task + 1) * frames);
                    for first in (task * frames..end).step_by(plan.group) {
                        let piece = Piece {
                            first,
                            frames: plan.group.min(x.len() - first),
                            slice: 0,
                        };
                        let dz = &dz[first * plan.outputs()..][..piece.frames * plan.outputs()];
                        self.start_backward(dz, scratch);
                        self.group_gradient(x, piece, kept, scratch, &mut sums, dx.next());
                    }
                    sums
                })
            })
            .collect();
        let mut partial = partial.into_iter();
        let mut total = partial.next().unwrap_or_else(|| self.zero_gradients());
        for piece in partial {
            for (total, piece) in total.iter_mut().zip(piece) {
                for (total, &piece) in total.iter_mut().zip(piece.iter()) {
                    *total += piece;
                }
            }
        }
        let arrays = total.iter().map(|v| Array1::from(v.to_vec()).into_dyn());
        WeightSums(arrays.collect())
    }

    /// Gradients of the stages' weights `[blocks, sum, new]`, of what this contraction's passes summed.
    pub fn of_stages(&self, sums: WeightSums<T>) -> Vec<Array3<T>> {
        let plan = self.plan;
        let arrays = sums.0.into_iter().enumerate().map(|(s, values)| {
            let Stage { sum, new, .. } = plan.stages[s];
            if s == 0 && plan.shared_first {
                let array = values.into_shape_with_order((sum, plan.blocks, new));
                array.map(|a| a.permuted_axes([1, 0, 2]).as_standard_layout().to_owned())
            } else {
                values.into_shape_with_order((plan.blocks, sum, new))
            }
            .expect("as many values as weights")
        });
        arrays.collect()
    }

    fn zero_gradients(&self) -> Vec<Buffer<T>> {
        let lengths = self.weights.iter().map(|weight| weight.len());
        lengths.map(Buffer::new).collect()
    }

    /// Lends buffers, kept for the next task.
    fn with_scratch<R>(&self, work: impl FnOnce(&mut Scratch<T>) -> R) -> R {
        let spare = self.spare.take(|_| true);
        let mut scratch = spare.unwrap_or_else(|| self.scratch());
        let result = work(&mut scratch);
        self.spare.leave(scratch, usize::MAX);
        result
    }

    fn scratch(&self) -> Scratch<T> {
        let plan = self.plan;
        let sizes: Vec<usize> = (0..plan.stages.len()).map(|s| self.level_len(s)).collect();
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let zeros = Buffer::new;
        Scratch {
            levels: sizes.iter().map(|&len| zeros(len)).collect(),
            gradients: sizes.iter().map(|&len| zeros(len)).collect(),
            raw: zeros(largest),
            turned: zeros(largest),
        }
    }

    /// Values of the buffer for stage s's result, all blocks.
    fn level_len(&self, s: usize) -> usize {
        let plan = self.plan;
        let blocks = if s + 1 == plan.stages.len() {
            1
        } else {
            plan.blocks
        };
        let slices = if s + 1 < plan.inner { plan.slices } else { 1 };
        plan.group * blocks * plan.stages[s].output_len() / slices
    }

    /// Positions stage s works on in one go.
    fn positions(&self, s: usize, frames: usize) -> usize {
        let slices = if s < self.plan.inner {
            self.plan.slices
        } else {
            1
        };
        frames * self.plan.stages[s].before / slices
    }

    /// Offset of a slice and distance between blocks in the buffer of stage s.
    fn placement(&self, s: usize, piece: Piece) -> (usize, usize) {
        let plan = self.plan;
        let stage = &plan.stages[s];
        let positions = self.positions(s, piece.frames);
        let per_position = stage.output_len() / stage.before;
        let sliced = s + 1 == plan.inner && plan.slices > 1;
        let at = if sliced {
            piece.slice * positions * per_position
        } else {
            0
        };
        let block = if sliced {
            piece.frames * stage.output_len()
        } else {
            positions * per_position
        };
        (at, block)
    }

    /// Steps 0..until of one slice of a group of frames.
    fn inner_forward(
        &self,
        x: &Frames<'_, T>,
        piece: Piece,
        until: usize,
        scratch: &mut Scratch<T>,
    ) {
        if until == 0 {
            return;
        }
        self.first_forward(x, piece, scratch);
        for s in 1..until {
            self.stage_forward(s, piece, scratch);
        }
    }

    /// Puts dz, in the order of the contraction, where the last stage's
    /// gradient belongs.
    fn start_backward(&self, dz: &[T], scratch: &mut Scratch<T>) {
        let [_, size, after] = self.plan.output;
        let out = scratch.gradients.last_mut().expect("at least one stage");
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

    /// Weight gradients of one group of frames, added to `sums`, and the gradient
    /// of the frames, if asked for. That of the last stage's result stands ready.
    fn group_gradient(
        &self,
        x: &Frames<'_, T>,
        mut piece: Piece,
        kept: &[T],
        scratch: &mut Scratch<T>,
        sums: &mut [Buffer<T>],
        mut dx: Option<&mut [T]>,
    ) {
        let plan = self.plan;
        let stages = plan.stages.len();
        if plan.inner < stages {
            let len = plan.boundary_len();
            scratch.levels[plan.inner - 1].copy_from_slice(&kept[piece.first * len..][..len]);
            for s in plan.inner..stages - 1 {
                self.stage_forward(s, piece, scratch);
            }
            for s in (plan.inner..stages).rev() {
                self.stage_backward(s, piece, scratch, &mut sums[s]);
            }
        }
        for slice in 0..plan.slices {
            piece.slice = slice;
            self.inner_forward(x, piece, plan.inner - 1, scratch);
            for s in (1..plan.inner).rev() {
                self.prefetch_next(x, piece, plan.inner - 1 - s, plan.inner - 1);
                self.stage_backward(s, piece, scratch, &mut sums[s]);
            }
            self.first_weight_gradient(x, piece, scratch, &mut sums[0]);
            if let Some(dx) = &mut dx {
                self.first_input_gradient(piece, scratch, dx);
            }
        }
    }

    fn stage_backward(&self, s: usize, piece: Piece, scratch: &mut Scratch<T>, sum: &mut [T]) {
        self.undo_shuffle(s, piece, scratch);
        self.stage_weight_gradient(s, piece, scratch, sum);
        self.level_gradient(s, piece, scratch);
    }
}
