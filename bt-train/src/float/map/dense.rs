//! The full matrix.

use super::{Frames, Map, Prepared};
use crate::float::product::{Buffer, Product, Strides, transpose};
use crate::float::real::Real;
use crate::shape::name;
use ndarray::{Array2, ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Columns that one task computes of a large matrix, rows of a small one.
const PANEL: usize = 128;
const ROWS: usize = 32;
/// Rows of a gradient that one task computes: four tiles of the products' kernels.
const TILES: usize = 48;
/// Widest rows, and most values, of which columns are read as they lie.
const NARROW: usize = 256;
const NEAR: usize = 1 << 17;
/// Columns that are laid side by side: those of a tile.
const PACKED: usize = 32;
/// Most multiplications that are not worth a task, some 50 µs of them.
const ALONE_MAX: usize = 1 << 22;

/// A weight matrix [outputs, inputs].
#[derive(Debug, Clone)]
pub struct Dense<T> {
    weight: Array2<T>,
}

impl<T: Real> Dense<T> {
    /// A map with all weights zero.
    pub fn zeros(inputs: usize, outputs: usize) -> Dense<T> {
        Dense {
            weight: Array2::zeros((outputs, inputs)),
        }
    }
}

impl<T: Real> Map<T> for Dense<T> {
    fn inputs(&self) -> usize {
        self.weight.ncols()
    }

    fn outputs(&self) -> usize {
        self.weight.nrows()
    }

    fn parameters(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        vec![(name::MATRIX.into(), self.weight.view().into_dyn())]
    }

    fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        vec![(name::MATRIX.into(), self.weight.view_mut().into_dyn())]
    }

    fn prepare(&self) -> Box<dyn Prepared<T> + '_> {
        Box::new(PreparedDense::new(self.weight.view()))
    }

    fn boxed_clone(&self) -> Box<dyn Map<T>> {
        Box::new(self.clone())
    }
}

/// A matrix [outputs, inputs] ready to run.
pub(in crate::float) struct PreparedDense<'a, T> {
    weight: ArrayView2<'a, T>,
    /// The transpose [inputs, outputs] of a small matrix, whose products are
    /// then of the fast kind; a large one is left to the `gemm` crate.
    turned: Option<Buffer<T>>,
}

/// Most weights of a matrix that is transposed, and taken as near.
const TURNED_MAX: usize = 1 << 20;

impl<'a, T: Real> PreparedDense<'a, T> {
    /// Of this matrix.
    ///
    /// # Panics
    /// If it is not in standard layout.
    pub fn new(matrix: ArrayView2<'a, T>) -> PreparedDense<'a, T> {
        let weight = matrix.as_slice().expect("made in standard layout");
        let (outputs, inputs) = matrix.dim();
        let turned = (weight.len() <= TURNED_MAX).then(|| {
            let mut turned = Buffer::new(weight.len());
            transpose(weight, &mut turned, outputs, inputs);
            turned
        });
        PreparedDense {
            weight: matrix,
            turned,
        }
    }
}

impl<T: Real> PreparedDense<'_, T> {
    fn values(&self) -> &[T] {
        self.weight.as_slice().expect("made in standard layout")
    }
}

/// The frames one behind the other, copied only where they are not so already.
fn packed<'a, T: Real>(x: &Frames<'a, T>, width: usize) -> Cow<'a, [T]> {
    let contiguous = x.starts().windows(2).all(|pair| pair[1] == pair[0] + width);
    let start = x.starts().first().copied().unwrap_or(0);
    if contiguous {
        return Cow::Borrowed(&x.values()[start..start + x.len() * width]);
    }
    let mut frames = Vec::with_capacity(x.len() * width);
    for &start in x.starts() {
        frames.extend_from_slice(&x.values()[start..start + width]);
    }
    Cow::Owned(frames)
}

/// `c [rows, cols] (+)= a · b`, in parallel where it is worth that: by rows, in place, where there are many and all of
/// `b` stays near the processor, otherwise by panels of columns.
fn multiply<T: Real>(product: Product, a: &[T], b: &[T], b_col: usize, c: &mut [T], add: bool) {
    let (rows, cols) = (product.rows, product.cols);
    let is_small = rows * cols * product.inner <= ALONE_MAX;
    if is_small || rows > ROWS && cols * product.inner <= TURNED_MAX {
        let part = if is_small { rows } else { ROWS };
        let parts = a.par_chunks(part * product.inner);
        let parts = parts.zip(c[..rows * cols].par_chunks_mut(part * cols));
        parts.for_each(|(a, c)| {
            let product = Product {
                rows: c.len() / cols,
                c_row: cols,
                add,
                ..product
            };
            product.run(a, b, c);
        });
        return;
    }
    let panels: Vec<Buffer<T>> = (0..cols.div_ceil(PANEL))
        .into_par_iter()
        .map(|panel| {
            let start = panel * PANEL;
            let width = PANEL.min(cols - start);
            let mut out = Buffer::new(rows * width);
            let product = Product {
                cols: width,
                c_row: width,
                ..product
            };
            product.run(a, &b[start * b_col..], &mut out);
            out
        })
        .collect();
    for (panel, values) in panels.iter().enumerate() {
        let start = panel * PANEL;
        let width = PANEL.min(cols - start);
        for (row, values) in values.chunks_exact(width).enumerate() {
            let out = &mut c[row * cols + start..][..width];
            for (out, &value) in out.iter_mut().zip(values) {
                *out = if add { *out + value } else { value };
            }
        }
    }
}

/// Columns of rows of `width` values side by side, [rows, columns].
fn columns<T: Real>(values: &[T], width: usize, columns: Range<usize>) -> Buffer<T> {
    let mut out = Buffer::new(values.len() / width * columns.len());
    let rows = values.chunks_exact(width);
    for (out, row) in out.chunks_exact_mut(columns.len()).zip(rows) {
        out.copy_from_slice(&row[columns.clone()]);
    }
    out
}

/// `gradient [outputs, inputs] = dzᵀ · x`, by rows in parallel, for `x [frames, inputs]` and `dz [frames, outputs]`.
fn gradient_of_product<T: Real>(
    x: &[T],
    dz: &[T],
    gradient: &mut [T],
    (inputs, outputs): (usize, usize),
) {
    // What a tile reads of wide rows lies on a page of its own for each frame: side by side it is read at once.
    let is_far = outputs > NARROW && dz.len() > NEAR;
    let width = if is_far { PACKED } else { inputs };
    let panels: Vec<Range<usize>> = (0..inputs)
        .step_by(width)
        .map(|start| start..inputs.min(start + width))
        .collect();
    let packed: Vec<Buffer<T>> = match is_far {
        true => {
            let panels = panels.par_iter();
            panels
                .map(|panel| columns(x, inputs, panel.clone()))
                .collect()
        }
        false => Vec::new(),
    };
    let strides = |inner| Strides {
        line: 1,
        inner,
        ..Strides::default()
    };
    let tasks = gradient.par_chunks_mut(TILES * inputs).enumerate();
    tasks.for_each(|(task, out)| {
        let rows = out.len() / inputs;
        let first = TILES * task;
        let own = is_far.then(|| columns(dz, outputs, first..first + rows));
        let (dz, dz_width) = match &own {
            Some(own) => (&**own, rows),
            None => (&dz[first..], outputs),
        };
        for (at, panel) in panels.iter().enumerate() {
            let product = Product {
                rows,
                cols: panel.len(),
                outer: 1,
                inner: x.len() / inputs,
                batch: 1,
                a: strides(dz_width),
                b: strides(panel.len()),
                c_row: inputs,
                c_col: 1,
                ..Product::default()
            };
            let x = packed.get(at).map_or(x, |packed| &**packed);
            product.run(dz, x, &mut out[panel.start..]);
        }
    });
}

impl<T: Real> Prepared<T> for PreparedDense<'_, T> {
    fn forward(&self, x: &Frames<'_, T>, z: &mut [T]) -> Vec<T> {
        let (outputs, inputs) = self.weight.dim();
        if !x.is_empty() {
            let (values, line, inner) = match &self.turned {
                Some(turned) => (&**turned, 1, outputs),
                None => (self.values(), inputs, 1),
            };
            let product = Product {
                rows: x.len(),
                cols: outputs,
                outer: 1,
                inner: inputs,
                batch: 1,
                a: Strides {
                    line: inputs,
                    inner: 1,
                    ..Strides::default()
                },
                b: Strides {
                    line,
                    inner,
                    ..Strides::default()
                },
                c_col: 1,
                ..Product::default()
            };
            multiply(product, &packed(x, inputs), values, line, z, true);
        }
        Vec::new()
    }

    fn input_gradient(&self, dz: ArrayView2<'_, T>, dx: &mut [T]) {
        let (outputs, inputs) = self.weight.dim();
        let dz = dz.as_standard_layout();
        if dz.is_empty() {
            return;
        }
        let product = Product {
            rows: dz.nrows(),
            cols: inputs,
            outer: 1,
            inner: outputs,
            batch: 1,
            a: Strides {
                line: outputs,
                inner: 1,
                ..Strides::default()
            },
            b: Strides {
                line: 1,
                inner: inputs,
                ..Strides::default()
            },
            c_col: 1,
            ..Product::default()
        };
        let dz = dz.as_slice().expect("standard layout");
        multiply(product, dz, self.values(), 1, dx, false);
    }

    fn weight_gradient(
        &self,
        x: &Frames<'_, T>,
        _kept: &[T],
        dz: ArrayView2<'_, T>,
    ) -> Vec<ArrayD<T>> {
        let (outputs, inputs) = self.weight.dim();
        let mut gradient = Array2::zeros((outputs, inputs));
        if !x.is_empty() {
            let x = packed(x, inputs);
            let dz = dz.as_standard_layout();
            let dz = dz.as_slice().expect("standard layout");
            let gradient = gradient.as_slice_mut().expect("standard layout");
            gradient_of_product(&x, dz, gradient, (inputs, outputs));
        }
        vec![gradient.into_dyn()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn gradients_and_matrix() {
        for (inputs, outputs) in [(1, 4), (7, 12), (150, 40), (20, 300)] {
            let mut map = Dense::zeros(inputs, outputs);
            let noise = check::noise(inputs * outputs, 9);
            map.weight.iter_mut().zip(noise).for_each(|(w, n)| *w = n);
            assert_eq!(check::matrix(&map), map.weight);
            check::gradients(&mut map, 5);
            check::same_on_any_number_of_threads(&map, 17);
        }
    }

    /// Columns that are laid side by side and such that are not, whole tiles and less.
    #[test]
    fn gradients_of_any_width() {
        for (frames, inputs, outputs) in [(30, 7, 20), (3, 40, 600), (300, 70, 500)] {
            let (x, dz) = (
                check::noise(frames * inputs, 1),
                check::noise(frames * outputs, 2),
            );
            let mut found = vec![0.0; inputs * outputs];
            gradient_of_product(&x, &dz, &mut found, (inputs, outputs));
            for (at, found) in found.iter().enumerate() {
                let (output, input) = (at / inputs, at % inputs);
                let term = |t: usize| x[t * inputs + input] * dz[t * outputs + output];
                let expected: f64 = (0..frames).map(term).sum();
                assert!((found - expected).abs() < 1e-11, "{found} for {expected}");
            }
        }
    }

    /// Frames that do not follow each other are gathered first.
    #[test]
    fn scattered_frames() {
        let mut map = Dense::<f64>::zeros(2, 4);
        map.weight[[1, 0]] = 1.0;
        map.weight[[2, 1]] = 3.0;
        let frames = Frames::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![4, 0]);
        let mut z = [0.5; 8];
        map.prepare().forward(&frames, &mut z);
        assert_eq!(z, [0.5, 5.5, 18.5, 0.5, 0.5, 1.5, 6.5, 0.5]);
    }
}
