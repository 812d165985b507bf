//! Every stage but the first: levels in, levels out.

use super::{Chain, Piece, Scratch};
use crate::float::product::{Product, Strides, transpose};
use crate::float::real::Real;

/// How the level that a stage reads is laid out.
struct Level {
    block: usize,
    position: usize,
    sum: usize,
    side: usize,
}

impl<T: Real> Chain<'_, T> {
    fn level(&self, s: usize, piece: Piece) -> Level {
        let plan = self.plan;
        let stage = &plan.stages[s];
        if s == 1 && plan.shared_first {
            let sum = plan.blocks * stage.post;
            return Level {
                block: stage.post,
                position: stage.sum * sum,
                sum,
                side: stage.post,
            };
        }
        let sum = stage.side * stage.post;
        let position = stage.sum * sum;
        Level {
            block: self.positions(s, piece.frames) * position,
            position,
            sum,
            side: stage.post,
        }
    }

    /// Values of one block's result of a piece.
    fn result_len(&self, s: usize, piece: Piece) -> usize {
        let stage = &self.plan.stages[s];
        self.positions(s, piece.frames) * stage.side * stage.new * stage.post
    }

    /// `levels[s]` from `levels[s − 1]`.
    pub(super) fn stage_forward(&self, s: usize, piece: Piece, scratch: &mut Scratch<T>) {
        let plan = self.plan;
        let stage = &plan.stages[s];
        let last = s + 1 == plan.stages.len();
        let level = self.level(s, piece);
        let len = self.result_len(s, piece);
        let (before, after) = scratch.levels.split_at_mut(s);
        let input = &before[s - 1];
        let (at, placed) = self.placement(s, piece);
        let (out, out_at, out_block) = match stage.shuffle {
            Some(_) => (&mut scratch.raw, 0, len),
            None => (&mut after[0], at, placed),
        };
        let product = Product {
            rows: stage.new,
            cols: stage.post,
            // The last stage adds the blocks up; its side axes are used up.
            outer: if last { plan.blocks } else { 1 },
            inner: stage.sum,
            batch: self.positions(s, piece.frames),
            a: Strides {
                line: 1,
                outer: stage.sum * stage.new,
                inner: stage.new,
                batch: 0,
            },
            b: Strides {
                line: 1,
                outer: level.block,
                inner: level.sum,
                batch: level.position,
            },
            c_row: stage.post,
            c_col: 1,
            c_batch: stage.side * stage.new * stage.post,
            add: false,
        };
        for n in 0..if last { 1 } else { plan.blocks } {
            for side in 0..stage.side {
                product.run(
                    &self.weights[s][n * stage.sum * stage.new..],
                    &input[n * level.block + side * level.side..],
                    &mut out[out_at + n * out_block + side * stage.new * stage.post..],
                );
            }
        }
        if let Some(shuffle) = &stage.shuffle {
            for n in 0..plan.blocks {
                let raw = &scratch.raw[n * len..][..len];
                shuffle.apply(raw, &mut after[0][at + n * placed..][..len]);
            }
        }
    }

    /// Where stage s has a shuffle, puts the gradient of its unshuffled result
    /// into `raw`.
    pub(super) fn undo_shuffle(&self, s: usize, piece: Piece, scratch: &mut Scratch<T>) {
        let Some(shuffle) = &self.plan.stages[s].shuffle else {
            return;
        };
        let (at, placed) = self.placement(s, piece);
        let len = self.result_len(s, piece);
        for n in 0..self.plan.blocks {
            let gradient = &scratch.gradients[s][at + n * placed..][..len];
            shuffle.undo(gradient, &mut scratch.raw[n * len..][..len]);
        }
    }

    /// Where the gradient of stage s's result starts, and from block to block;
    /// in `raw` if the stage has a shuffle.
    fn result_gradient(&self, s: usize, piece: Piece) -> (usize, usize) {
        if self.plan.stages[s].shuffle.is_some() {
            return (0, self.result_len(s, piece));
        }
        let (at, placed) = self.placement(s, piece);
        // The last stage's result is that of all blocks.
        let last = s + 1 == self.plan.stages.len();
        (at, if last { 0 } else { placed })
    }

    /// `gradients[s − 1]` from the gradient of stage s's result.
    pub(super) fn level_gradient(&self, s: usize, piece: Piece, scratch: &mut Scratch<T>) {
        let plan = self.plan;
        let stage = &plan.stages[s];
        let level = self.level(s, piece);
        let (before, after) = scratch.gradients.split_at_mut(s);
        let source = match stage.shuffle {
            Some(_) => &scratch.raw,
            None => &after[0],
        };
        let (at, block) = self.result_gradient(s, piece);
        let product = Product {
            rows: stage.sum,
            cols: stage.post,
            outer: 1,
            inner: stage.new,
            batch: self.positions(s, piece.frames),
            a: Strides {
                line: stage.new,
                inner: 1,
                ..Strides::default()
            },
            b: Strides {
                line: 1,
                outer: 0,
                inner: stage.post,
                batch: stage.side * stage.new * stage.post,
            },
            c_row: level.sum,
            c_col: 1,
            c_batch: level.position,
            add: false,
        };
        for n in 0..plan.blocks {
            for side in 0..stage.side {
                product.run(
                    &self.weights[s][n * stage.sum * stage.new..],
                    &source[at + n * block + side * stage.new * stage.post..],
                    &mut before[s - 1][n * level.block + side * level.side..],
                );
            }
        }
    }

    /// Adds the gradient of stage s's weights to `sum`.
    pub(super) fn stage_weight_gradient(
        &self,
        s: usize,
        piece: Piece,
        scratch: &mut Scratch<T>,
        sum: &mut [T],
    ) {
        let plan = self.plan;
        let stage = &plan.stages[s];
        let positions = self.positions(s, piece.frames);
        let level = self.level(s, piece);
        let source = match stage.shuffle {
            Some(_) => &scratch.raw,
            None => &scratch.gradients[s],
        };
        let (at, block) = self.result_gradient(s, piece);
        let len = self.result_len(s, piece);
        let product = Product {
            rows: stage.sum,
            cols: stage.new,
            outer: positions,
            inner: stage.post,
            batch: 1,
            a: Strides {
                line: level.sum,
                outer: level.position,
                inner: 1,
                batch: 0,
            },
            b: Strides {
                line: 1,
                outer: stage.side * stage.new * stage.post,
                inner: stage.new,
                batch: 0,
            },
            c_row: stage.new,
            c_col: 1,
            c_batch: 0,
            add: true,
        };
        for n in 0..plan.blocks {
            if n == 0 || block > 0 {
                let source = &source[at + n * block..][..len];
                let turned = &mut scratch.turned[..len];
                transpose(source, turned, stage.new, stage.post);
            }
            for side in 0..stage.side {
                product.run(
                    &scratch.levels[s - 1][n * level.block + side * level.side..],
                    &scratch.turned[side * stage.new * stage.post..],
                    &mut sum[n * stage.sum * stage.new..],
                );
            }
        }
    }
}
