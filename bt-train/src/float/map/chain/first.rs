//! The first stage, which reads the frames where they lie.

use super::{Chain, Frames, Piece, Scratch};
use crate::float::product::{Product, Strides, prefetch};
use crate::float::real::Real;

/// Where one frame, or a slice of it, lies: rows as two digits.
struct Rows {
    start: usize,
    outer: usize,
    outer_stride: usize,
    inner: usize,
    inner_stride: usize,
}

/// How the first stage's result is laid out.
struct Layout {
    /// Values of a row.
    width: usize,
    /// Products to make: 1 where all blocks stand side by side.
    runs: usize,
    /// Where the piece's values start.
    at: usize,
    /// From one block to the next.
    block: usize,
    /// From one frame to the next.
    frame: usize,
}

impl<T: Real> Chain<'_, T> {
    fn rows(&self, start: usize, slice: usize) -> Rows {
        let [before, size, after] = self.plan.input;
        let count = before * after / self.plan.slices;
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

    /// Asks for the `share`-th of `shares` equal shares of the slice that comes
    /// after this one. A frame is longer than a cache and read in short
    /// stretches, which the hardware does not foresee.
    pub(super) fn prefetch_next(
        &self,
        x: &Frames<'_, T>,
        piece: Piece,
        share: usize,
        shares: usize,
    ) {
        let plan = self.plan;
        let (frame, slice) = match piece.slice + 1 {
            slice if slice < plan.slices => (piece.first, slice),
            _ => (piece.first + piece.frames, 0),
        };
        let len = plan.inputs() / plan.slices;
        if plan.slices == 1 || frame >= x.len() {
            return;
        }
        let start = x.start(frame) + slice * len;
        let from = start + len * share / shares;
        let to = start + len * (share + 1) / shares;
        if let Some(values) = x.values().get(from..to) {
            prefetch(values);
        }
    }

    fn first_layout(&self, piece: Piece) -> Layout {
        let plan = self.plan;
        let new = plan.stages[0].new;
        let (at, block) = self.placement(0, piece);
        let count = self.positions(0, 1);
        if plan.shared_first {
            let width = plan.blocks * new;
            return Layout {
                width,
                runs: 1,
                at: at * plan.blocks,
                block: 0,
                frame: count * width,
            };
        }
        Layout {
            width: new,
            runs: plan.blocks,
            at,
            // A first stage that is also the last adds its blocks up.
            block: if plan.stages.len() == 1 { 0 } else { block },
            frame: count * new,
        }
    }

    /// `levels[0]` of a piece.
    pub(super) fn first_forward(&self, x: &Frames<'_, T>, piece: Piece, scratch: &mut Scratch<T>) {
        let plan = self.plan;
        let stage = &plan.stages[0];
        let layout = self.first_layout(piece);
        let sum_blocks = plan.stages.len() == 1;
        for frame in 0..piece.frames {
            let rows = self.rows(x.start(piece.first + frame), piece.slice);
            for n in 0..layout.runs {
                let product = Product {
                    rows: rows.inner,
                    cols: layout.width,
                    outer: 1,
                    inner: stage.sum,
                    batch: rows.outer,
                    a: Strides {
                        line: rows.inner_stride,
                        outer: 0,
                        inner: plan.input[2],
                        batch: rows.outer_stride,
                    },
                    b: Strides {
                        line: 1,
                        outer: 0,
                        inner: layout.width,
                        batch: 0,
                    },
                    c_row: layout.width,
                    c_col: 1,
                    c_batch: rows.inner * layout.width,
                    add: sum_blocks && n > 0,
                };
                let at = layout.at + n * layout.block + frame * layout.frame;
                product.run(
                    &x.values()[rows.start..],
                    &self.weights[0][n * stage.sum * layout.width..],
                    &mut scratch.levels[0][at..],
                );
            }
        }
    }

    /// Adds the gradient of the first stage's weights to `sum`.
    pub(super) fn first_weight_gradient(
        &self,
        x: &Frames<'_, T>,
        piece: Piece,
        scratch: &Scratch<T>,
        sum: &mut [T],
    ) {
        let plan = self.plan;
        let stage = &plan.stages[0];
        let layout = self.first_layout(piece);
        for frame in 0..piece.frames {
            let rows = self.rows(x.start(piece.first + frame), piece.slice);
            let product = Product {
                rows: stage.sum,
                cols: layout.width,
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
                    outer: rows.inner * layout.width,
                    inner: layout.width,
                    batch: 0,
                },
                c_row: layout.width,
                c_col: 1,
                c_batch: 0,
                add: true,
            };
            for n in 0..layout.runs {
                let at = layout.at + n * layout.block + frame * layout.frame;
                product.run(
                    &x.values()[rows.start..],
                    &scratch.gradients[0][at..],
                    &mut sum[n * stage.sum * layout.width..],
                );
            }
        }
    }

    /// The gradient of a piece of the frames, which lie one behind the other.
    pub(super) fn first_input_gradient(&self, piece: Piece, scratch: &Scratch<T>, dx: &mut [T]) {
        let plan = self.plan;
        let stage = &plan.stages[0];
        let layout = self.first_layout(piece);
        let width = layout.width;
        let (weights, line, inner) = match &self.turned_first {
            Some(turned) => (turned, 1, stage.sum),
            None => (&self.weights[0], width, 1),
        };
        for frame in 0..piece.frames {
            let rows = self.rows(frame * plan.inputs(), piece.slice);
            for n in 0..layout.runs {
                let product = Product {
                    rows: rows.inner,
                    cols: stage.sum,
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
                        line,
                        outer: 0,
                        inner,
                        batch: 0,
                    },
                    c_row: rows.inner_stride,
                    c_col: plan.input[2],
                    c_batch: rows.outer_stride,
                    add: n > 0,
                };
                let at = layout.at + n * layout.block + frame * layout.frame;
                product.run(
                    &scratch.gradients[0][at..],
                    &weights[n * stage.sum * width..],
                    &mut dx[rows.start..],
                );
            }
        }
    }
}
