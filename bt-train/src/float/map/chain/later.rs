//! Every step but the first: states in, states out.

use super::{Chain, Part, Scratch};
use crate::float::product::{Product, Strides, transpose};
use crate::float::real::Real;

/// How the state that a step reads is laid out.
struct State {
    block: usize,
    position: usize,
    sum: usize,
    side: usize,
}

impl<T: Real> Chain<'_, T> {
    fn state(&self, s: usize, part: Part) -> State {
        let plan = self.plan;
        let step = &plan.steps[s];
        if s == 1 && plan.shared_first {
            let sum = plan.blocks * step.post;
            return State {
                block: step.post,
                position: step.sum * sum,
                sum,
                side: step.post,
            };
        }
        let sum = step.side * step.post;
        let position = step.sum * sum;
        State {
            block: self.positions(s, part.frames) * position,
            position,
            sum,
            side: step.post,
        }
    }

    /// Values of one block's result of a part.
    fn result_len(&self, s: usize, part: Part) -> usize {
        let step = &self.plan.steps[s];
        self.positions(s, part.frames) * step.side * step.new * step.post
    }

    /// `states[s]` from `states[s − 1]`.
    pub(super) fn step_forward(&self, s: usize, part: Part, scratch: &mut Scratch<T>) {
        let plan = self.plan;
        let step = &plan.steps[s];
        let last = s + 1 == plan.steps.len();
        let state = self.state(s, part);
        let len = self.result_len(s, part);
        let (before, after) = scratch.states.split_at_mut(s);
        let input = &before[s - 1];
        let (at, placed) = self.placement(s, part);
        let (out, out_at, out_block) = match step.shuffle {
            Some(_) => (&mut scratch.raw, 0, len),
            None => (&mut after[0], at, placed),
        };
        let product = Product {
            rows: step.new,
            cols: step.post,
            // The last step adds the blocks up; its side axes are used up.
            outer: if last { plan.blocks } else { 1 },
            inner: step.sum,
            batch: self.positions(s, part.frames),
            a: Strides {
                line: 1,
                outer: step.sum * step.new,
                inner: step.new,
                batch: 0,
            },
            b: Strides {
                line: 1,
                outer: state.block,
                inner: state.sum,
                batch: state.position,
            },
            c_row: step.post,
            c_col: 1,
            c_batch: step.side * step.new * step.post,
            add: false,
        };
        for n in 0..if last { 1 } else { plan.blocks } {
            for side in 0..step.side {
                product.run(
                    &self.weights[s][n * step.sum * step.new..],
                    &input[n * state.block + side * state.side..],
                    &mut out[out_at + n * out_block + side * step.new * step.post..],
                );
            }
        }
        if let Some(shuffle) = &step.shuffle {
            for n in 0..plan.blocks {
                let raw = &scratch.raw[n * len..][..len];
                shuffle.apply(raw, &mut after[0][at + n * placed..][..len]);
            }
        }
    }

    /// Where step s has a shuffle, puts the gradient of its unshuffled result
    /// into `raw`.
    pub(super) fn undo_shuffle(&self, s: usize, part: Part, scratch: &mut Scratch<T>) {
        let Some(shuffle) = &self.plan.steps[s].shuffle else {
            return;
        };
        let (at, placed) = self.placement(s, part);
        let len = self.result_len(s, part);
        for n in 0..self.plan.blocks {
            let gradient = &scratch.gradients[s][at + n * placed..][..len];
            shuffle.undo(gradient, &mut scratch.raw[n * len..][..len]);
        }
    }

    /// Where the gradient of step s's result starts, and from block to block;
    /// in `raw` if the step has a shuffle.
    fn result_gradient(&self, s: usize, part: Part) -> (usize, usize) {
        if self.plan.steps[s].shuffle.is_some() {
            return (0, self.result_len(s, part));
        }
        let (at, placed) = self.placement(s, part);
        // The last step's result is that of all blocks.
        let last = s + 1 == self.plan.steps.len();
        (at, if last { 0 } else { placed })
    }

    /// `gradients[s − 1]` from the gradient of step s's result.
    pub(super) fn state_gradient(&self, s: usize, part: Part, scratch: &mut Scratch<T>) {
        let plan = self.plan;
        let step = &plan.steps[s];
        let state = self.state(s, part);
        let (before, after) = scratch.gradients.split_at_mut(s);
        let source = match step.shuffle {
            Some(_) => &scratch.raw,
            None => &after[0],
        };
        let (at, block) = self.result_gradient(s, part);
        let product = Product {
            rows: step.sum,
            cols: step.post,
            outer: 1,
            inner: step.new,
            batch: self.positions(s, part.frames),
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
            c_row: state.sum,
            c_col: 1,
            c_batch: state.position,
            add: false,
        };
        for n in 0..plan.blocks {
            for side in 0..step.side {
                product.run(
                    &self.weights[s][n * step.sum * step.new..],
                    &source[at + n * block + side * step.new * step.post..],
                    &mut before[s - 1][n * state.block + side * state.side..],
                );
            }
        }
    }

    /// Adds the gradient of step s's weights to `sum`.
    pub(super) fn step_weight_gradient(
        &self,
        s: usize,
        part: Part,
        scratch: &mut Scratch<T>,
        sum: &mut [T],
    ) {
        let plan = self.plan;
        let step = &plan.steps[s];
        let positions = self.positions(s, part.frames);
        let state = self.state(s, part);
        let source = match step.shuffle {
            Some(_) => &scratch.raw,
            None => &scratch.gradients[s],
        };
        let (at, block) = self.result_gradient(s, part);
        let len = self.result_len(s, part);
        let product = Product {
            rows: step.sum,
            cols: step.new,
            outer: positions,
            inner: step.post,
            batch: 1,
            a: Strides {
                line: state.sum,
                outer: state.position,
                inner: 1,
                batch: 0,
            },
            b: Strides {
                line: 1,
                outer: step.side * step.new * step.post,
                inner: step.new,
                batch: 0,
            },
            c_row: step.new,
            c_col: 1,
            c_batch: 0,
            add: true,
        };
        for n in 0..plan.blocks {
            if n == 0 || block > 0 {
                let source = &source[at + n * block..][..len];
                let turned = &mut scratch.turned[..len];
                transpose(source, turned, step.new, step.post);
            }
            for side in 0..step.side {
                product.run(
                    &scratch.states[s - 1][n * state.block + side * state.side..],
                    &scratch.turned[side * step.new * step.post..],
                    &mut sum[n * step.sum * step.new..],
                );
            }
        }
    }
}
