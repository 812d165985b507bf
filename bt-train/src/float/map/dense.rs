//! The full matrix.

use super::{Frames, Map, Prepared, WeightSums};
use crate::float::product::{Buffer, Product, Strides, transpose};
use crate::float::real::Real;
use crate::shape::name;
use ndarray::{Array2, ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

/// Columns that one task computes of a large matrix, rows of a small one.
const STRIP: usize = 128;
const ROWS: usize = 32;
/// Rows of a gradient that one task computes: four tiles of the products' kernels.
const TILES: usize = 48;
/// Widest rows, and most values, of which columns are read as they lie.
const NARROW: usize = 256;
const NEAR: usize = 1 << 17;
/// Columns that are laid side by side: those of a tile.
const PANEL: usize = 32;
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
    /// The transpose [inputs, outputs] of a small matrix, once a frame has been mapped; a large one is left to the
    /// `gemm` crate.
    turned: OnceLock<Panels<T>>,
    /// A small matrix itself, once the gradient of a frame has been asked for.
    straight: OnceLock<Panels<T>>,
}

/// Most weights of a matrix that is laid out anew for its products.
const SMALL_MAX: usize = 1 << 20;

impl<'a, T: Real> PreparedDense<'a, T> {
    /// Of this matrix.
    ///
    /// # Panics
    /// If it is not in standard layout.
    pub fn new(matrix: ArrayView2<'a, T>) -> PreparedDense<'a, T> {
        assert!(matrix.is_standard_layout(), "made in standard layout");
        PreparedDense {
            weight: matrix,
            turned: OnceLock::new(),
            straight: OnceLock::new(),
        }
    }
}

impl<T: Real> PreparedDense<'_, T> {
    fn values(&self) -> &[T] {
        self.weight.as_slice().expect("made in standard layout")
    }

    fn is_small(&self) -> bool {
        self.weight.len() <= SMALL_MAX
    }
}

/// A matrix [rows, columns] as the right factor of products: its columns side by side in panels as wide as a tile, each
/// of which a product reads from its first value to its last.
struct Panels<T> {
    panels: Vec<Buffer<T>>,
    rows: usize,
    columns: usize,
}

impl<T: Real> Panels<T> {
    /// The transpose of a matrix with so many columns.
    fn turned(matrix: &[T], columns: usize) -> Panels<T> {
        let panels = matrix.chunks(PANEL * columns).map(|rows| {
            let mut panel = Buffer::new(rows.len());
            transpose(rows, &mut panel, rows.len() / columns, columns);
            panel
        });
        Panels {
            panels: panels.collect(),
            rows: columns,
            columns: matrix.len() / columns,
        }
    }

    /// A matrix with so many columns.
    fn straight(matrix: &[T], columns: usize) -> Panels<T> {
        let panels = panels(columns, PANEL).map(|panel| cut(matrix, columns, panel));
        Panels {
            panels: panels.collect(),
            rows: matrix.len() / columns,
            columns,
        }
    }

    /// `c [lines, columns] (+)= a · matrix`, for `a [lines, rows]`, in parallel where it is worth that.
    fn multiply(&self, a: &[T], c: &mut [T], add: bool) {
        let lines = match a.len() * self.columns <= ALONE_MAX {
            true => (a.len() / self.rows).max(1),
            false => ROWS,
        };
        let parts = a.par_chunks(lines * self.rows);
        let parts = parts.zip(c.par_chunks_mut(lines * self.columns));
        parts.for_each(|(a, c)| {
            for (at, panel) in self.panels.iter().enumerate() {
                let product = Product {
                    rows: a.len() / self.rows,
                    c_row: self.columns,
                    add,
                    ..product(self.rows, panel.len() / self.rows)
                };
                product.run(a, panel, &mut c[at * PANEL..]);
            }
        });
    }
}

/// Where panels of so many columns lie, or strips, each `width` wide.
fn panels(columns: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..columns).step_by(width);
    starts.map(move |start| start..columns.min(start + width))
}

/// Some of the columns of a matrix, side by side.
fn cut<T: Real>(matrix: &[T], columns: usize, wanted: Range<usize>) -> Buffer<T> {
    let mut panel = Buffer::new(matrix.len() / columns * wanted.len());
    let rows = matrix.chunks_exact(columns);
    for (to, row) in panel.chunks_exact_mut(wanted.len()).zip(rows) {
        to.copy_from_slice(&row[wanted.clone()]);
    }
    panel
}

/// The product of rows of `inner` values and a matrix [inner, cols], all side by side.
fn product(inner: usize, cols: usize) -> Product {
    Product {
        cols,
        outer: 1,
        inner,
        batch: 1,
        a: Strides {
            line: inner,
            inner: 1,
            ..Strides::default()
        },
        b: Strides {
            line: 1,
            inner: cols,
            ..Strides::default()
        },
        c_row: cols,
        c_col: 1,
        ..Product::default()
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

/// `c [rows, cols] (+)= a · b` for a large matrix b, in parallel where it is worth that, by strips of columns.
fn multiply<T: Real>(product: Product, a: &[T], b: &[T], c: &mut [T], add: bool) {
    let Product { rows, cols, .. } = product;
    if rows * cols * product.inner <= ALONE_MAX {
        return Product { add, ..product }.run(a, b, c);
    }
    let strips: Vec<Range<usize>> = panels(cols, STRIP).collect();
    let results: Vec<Buffer<T>> = strips
        .par_iter()
        .map(|strip| {
            let mut out = Buffer::new(rows * strip.len());
            let product = Product {
                cols: strip.len(),
                c_row: strip.len(),
                ..product
            };
            product.run(a, &b[strip.start * product.b.line..], &mut out);
            out
        })
        .collect();
    for (strip, values) in strips.iter().zip(&results) {
        let lines = values.chunks_exact(strip.len());
        for (out, values) in c.chunks_exact_mut(cols).zip(lines) {
            for (out, &value) in out[strip.clone()].iter_mut().zip(values) {
                *out = if add { *out + value } else { value };
            }
        }
    }
}

/// `gradient [outputs, inputs] (+)= dzᵀ · x`, by rows in parallel, for `x [frames, inputs]` and `dz [frames, outputs]`.
fn gradient_of_product<T: Real>(
    x: &[T],
    dz: &[T],
    gradient: &mut [T],
    (inputs, outputs): (usize, usize),
    add: bool,
) {
    // What a tile reads of wide rows lies on a page of its own for each frame: side by side it is read at once.
    let is_far = outputs > NARROW && dz.len() > NEAR;
    let width = if is_far { PANEL } else { inputs };
    let panels: Vec<Range<usize>> = panels(inputs, width).collect();
    let cuts: Vec<Buffer<T>> = match is_far {
        true => panels
            .par_iter()
            .map(|panel| cut(x, inputs, panel.clone()))
            .collect(),
        false => Vec::new(),
    };
    let tasks = gradient.par_chunks_mut(TILES * inputs).enumerate();
    tasks.for_each(|(task, out)| {
        let rows = out.len() / inputs;
        let first = TILES * task;
        let own = is_far.then(|| cut(dz, outputs, first..first + rows));
        let (dz, dz_width) = match &own {
            Some(own) => (&**own, rows),
            None => (&dz[first..], outputs),
        };
        for (at, panel) in panels.iter().enumerate() {
            let product = Product {
                rows,
                a: Strides {
                    line: 1,
                    inner: dz_width,
                    ..Strides::default()
                },
                c_row: inputs,
                add,
                ..product(x.len() / inputs, panel.len())
            };
            let x = cuts.get(at).map_or(x, |cut| &**cut);
            product.run(dz, x, &mut out[panel.start..]);
        }
    });
}

impl<T: Real> Prepared<T> for PreparedDense<'_, T> {
    /// Returns the frames one behind the other where they were not so.
    fn forward(&self, x: &Frames<'_, T>, z: &mut [T]) -> Vec<T> {
        let (outputs, inputs) = self.weight.dim();
        let packed = packed(x, inputs);
        if self.is_small() {
            let turned = || Panels::turned(self.values(), inputs);
            self.turned.get_or_init(turned).multiply(&packed, z, true);
        } else {
            let product = Product {
                rows: x.len(),
                b: Strides {
                    line: inputs,
                    inner: 1,
                    ..Strides::default()
                },
                ..product(inputs, outputs)
            };
            multiply(product, &packed, self.values(), z, true);
        }
        match packed {
            Cow::Borrowed(_) => Vec::new(),
            Cow::Owned(frames) => frames,
        }
    }

    fn input_gradient(&self, dz: ArrayView2<'_, T>, dx: &mut [T]) {
        let (outputs, inputs) = self.weight.dim();
        let dz = dz.as_standard_layout();
        let dz = dz.as_slice().expect("standard layout");
        if !self.is_small() {
            let product = Product {
                rows: dz.len() / outputs,
                ..product(outputs, inputs)
            };
            return multiply(product, dz, self.values(), dx, false);
        }
        let straight = || Panels::straight(self.values(), inputs);
        self.straight.get_or_init(straight).multiply(dz, dx, false);
    }

    fn add_weight_gradient(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        WeightSums(sums): &mut WeightSums<T>,
    ) {
        let (outputs, inputs) = self.weight.dim();
        let is_first = sums.is_empty();
        if is_first {
            sums.push(ArrayD::zeros(self.weight.shape()));
        }
        if x.is_empty() {
            return;
        }
        let frames = match kept {
            [] => packed(x, inputs),
            kept => Cow::Borrowed(kept),
        };
        let dz = dz.as_standard_layout();
        let dz = dz.as_slice().expect("standard layout");
        let sum = sums[0].as_slice_mut().expect("standard layout");
        gradient_of_product(&frames, dz, sum, (inputs, outputs), !is_first);
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
        for (frames, inputs, outputs) in [(30, 7, 20), (3, 40, 600), (900, 70, 500)] {
            let (x, dz) = (
                check::noise(frames * inputs, 1),
                check::noise(frames * outputs, 2),
            );
            let mut found = vec![f64::NAN; inputs * outputs];
            // In two parts, the second added to the first.
            let (x1, x2) = x.split_at(frames / 3 * inputs);
            let (dz1, dz2) = dz.split_at(frames / 3 * outputs);
            for (x, dz, add) in [(x1, dz1, false), (x2, dz2, true)] {
                gradient_of_product(x, dz, &mut found, (inputs, outputs), add);
            }
            for (at, found) in found.iter().enumerate() {
                let (output, input) = (at / inputs, at % inputs);
                let term = |t: usize| x[t * inputs + input] * dz[t * outputs + output];
                let expected: f64 = (0..frames).map(term).sum();
                assert!((found - expected).abs() < 1e-11, "{found} for {expected}");
            }
        }
    }

    /// A matrix that is not laid out anew is multiplied in strips, the last of which is narrower: as f64 and by hand.
    #[test]
    fn large_matrices_are_multiplied_in_strips() {
        let (frames, inputs, outputs) = (5, 1030, 1050);
        let mut map = Dense::zeros(inputs, outputs);
        let noise = check::noise(inputs * outputs, 3);
        map.weight.iter_mut().zip(noise).for_each(|(w, n)| *w = n);
        assert!(map.weight.len() > SMALL_MAX && outputs % STRIP != 0 && inputs % STRIP != 0);
        assert!(frames * inputs * outputs > ALONE_MAX);
        let (x, dz) = (
            check::noise(frames * inputs, 4),
            check::noise(frames * outputs, 5),
        );
        let prepared = map.prepare();
        let starts = (0..frames).map(|frame| frame * inputs).collect();
        let mut z = vec![0.25; frames * outputs];
        prepared.forward(&Frames::new(&x, starts), &mut z);
        let mut dx = vec![f64::NAN; frames * inputs];
        let gradient = ndarray::ArrayView2::from_shape((frames, outputs), &dz).unwrap();
        prepared.input_gradient(gradient, &mut dx);
        for frame in 0..frames {
            for output in [0, 127, 128, 1023, 1024, 1049] {
                let term = |input: usize| map.weight[[output, input]] * x[frame * inputs + input];
                let expected = 0.25 + (0..inputs).map(term).sum::<f64>();
                let found = z[frame * outputs + output];
                assert!((found - expected).abs() < 1e-10, "{found} for {expected}");
            }
            for input in [0, 127, 128, 1023, 1024, 1029] {
                let term =
                    |output: usize| map.weight[[output, input]] * dz[frame * outputs + output];
                let expected: f64 = (0..outputs).map(term).sum();
                let found = dx[frame * inputs + input];
                assert!((found - expected).abs() < 1e-10, "{found} for {expected}");
            }
        }
    }

    /// A first pass without frames leaves zeros that the next adds to.
    #[test]
    fn sums_begin_with_a_pass_of_no_frames() {
        let map = Dense::<f64>::zeros(3, 4);
        let prepared = map.prepare();
        let dz = ndarray::array![[1.0, 2.0, 0.0, -1.0]];
        let mut sums = WeightSums::default();
        prepared.add_weight_gradient(
            &Frames::new(&[], vec![]),
            &[],
            dz.slice(ndarray::s![..0, ..]),
            &mut sums,
        );
        let x = [2.0, 0.5, -1.0];
        prepared.add_weight_gradient(&Frames::new(&x, vec![0]), &[], dz.view(), &mut sums);
        let expected = ndarray::array![
            [2.0, 0.5, -1.0],
            [4.0, 1.0, -2.0],
            [0.0, 0.0, 0.0],
            [-2.0, -0.5, 1.0]
        ];
        assert_eq!(sums.0, [expected.into_dyn()]);
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
