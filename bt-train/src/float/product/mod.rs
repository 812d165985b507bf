//! Batches of small strided matrix products: the one primitive every layer is made of.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use buffer::Buffer;

use crate::float::real::Real;
use ndarray::{Array1, ArrayView2};
use pulp::Arch;
use rayon::prelude::*;
use std::any::TypeId;

/// `c[batch][row, col] (+)= Σ_outer Σ_inner a[batch][row, (outer, inner)] · b[batch][(outer, inner), col]`
///
/// All strides count elements. The sum has two digits so that a tensor whose
/// summed axes do not lie side by side needs no copy. A product with
/// `b_col == 1` and `c_col == 1` is the fast case; `a` may lie anyhow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Product {
    /// Rows of `c`.
    pub rows: usize,
    /// Columns of `c`.
    pub cols: usize,
    /// Length of the slower digit of the sum.
    pub outer: usize,
    /// Length of the faster digit of the sum.
    pub inner: usize,
    /// How many such products.
    pub batch: usize,
    /// Strides of `a`.
    pub a: Strides,
    /// Strides of `b`; `row` is that of a column of `c`.
    pub b: Strides,
    /// Stride between rows of `c`.
    pub c_row: usize,
    /// Stride between columns of `c`.
    pub c_col: usize,
    /// Stride between the results of a batch.
    pub c_batch: usize,
    /// Add to `c` instead of overwriting it.
    pub add: bool,
}

/// Strides of one factor of a [`Product`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Strides {
    /// From one row (of `a`) or column (of `b`) to the next.
    pub line: usize,
    /// From one value of the slower digit of the sum to the next.
    pub outer: usize,
    /// From one value of the faster digit of the sum to the next.
    pub inner: usize,
    /// From one product of the batch to the next.
    pub batch: usize,
}

impl Strides {
    fn last(&self, lines: usize, p: &Product) -> usize {
        (lines - 1) * self.line
            + (p.outer - 1) * self.outer
            + (p.inner - 1) * self.inner
            + (p.batch - 1) * self.batch
    }
}

impl Product {
    /// Computes the product.
    ///
    /// # Panics
    /// If a stride leads outside a buffer.
    pub fn run<T: Real>(&self, a: &[T], b: &[T], c: &mut [T]) {
        if self.rows == 0 || self.cols == 0 || self.batch == 0 {
            return;
        }
        assert!(self.outer > 0 && self.inner > 0, "an empty sum");
        let c_last = (self.rows - 1) * self.c_row
            + (self.cols - 1) * self.c_col
            + (self.batch - 1) * self.c_batch;
        assert!(
            self.a.last(self.rows, self) < a.len()
                && self.b.last(self.cols, self) < b.len()
                && c_last < c.len(),
            "a product reaches outside its buffers: {self:?}"
        );
        // SAFETY: the largest index into each buffer was checked above, and
        // `c` is borrowed exclusively.
        unsafe { self.multiply(a.as_ptr(), b.as_ptr(), c.as_mut_ptr()) }
    }

    /// The product by the fastest way there is for its numbers.
    ///
    /// # Safety
    /// Every index the product reaches lies inside the buffer concerned, and `c`
    /// overlaps neither `a` nor `b`.
    unsafe fn multiply<T: Real>(&self, a: *const T, b: *const T, c: *mut T) {
        if TypeId::of::<T>() == TypeId::of::<f32>() {
            // SAFETY: T is f32; the rest is passed on from the caller.
            unsafe { self.run_single(a.cast(), b.cast(), c.cast()) }
        } else {
            // SAFETY: passed on from the caller.
            unsafe { self.run_gemm(a, b, c) }
        }
    }

    /// The product in single precision, by the fastest way there is here.
    ///
    /// # Safety
    /// As for [`multiply`](Self::multiply).
    unsafe fn run_single(&self, a: *const f32, b: *const f32, c: *mut f32) {
        #[cfg(target_arch = "x86_64")]
        if self.b.line == 1 && self.c_col == 1 {
            if avx512::is_there() {
                // SAFETY: the processor has it; the rest is passed on from the caller.
                return unsafe { avx512::run(self, a, b, c) };
            }
            if avx2::is_there() {
                // SAFETY: likewise.
                return unsafe { avx2::run(self, a, b, c) };
            }
        }
        // SAFETY: passed on from the caller.
        unsafe { self.run_gemm(a, b, c) }
    }

    /// The product by the `gemm` crate, for any strides.
    ///
    /// # Safety
    /// As for [`multiply`](Self::multiply).
    unsafe fn run_gemm<T: Real>(&self, a: *const T, b: *const T, c: *mut T) {
        for batch in 0..self.batch {
            for outer in 0..self.outer {
                // SAFETY: the offsets are parts of the indices the caller vouches for.
                unsafe {
                    gemm::gemm(
                        self.rows,
                        self.cols,
                        self.inner,
                        c.add(batch * self.c_batch),
                        self.c_col as isize,
                        self.c_row as isize,
                        self.add || outer > 0,
                        a.add(batch * self.a.batch + outer * self.a.outer),
                        self.a.inner as isize,
                        self.a.line as isize,
                        b.add(batch * self.b.batch + outer * self.b.outer),
                        self.b.line as isize,
                        self.b.inner as isize,
                        T::one(),
                        T::one(),
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            }
        }
    }
}

/// Asks for values to be brought near the processor while it computes
/// something else.
pub fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks((64 / size_of::<T>().max(1)).max(1)) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint; it reads nothing and cannot fault.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// `out[…][col, row] = input[…][row, col]` for every matrix in `input`, all
/// densely packed.
pub fn transpose<T: Real>(input: &[T], out: &mut [T], rows: usize, cols: usize) {
    /// Rows and columns that are turned in registers.
    const BLOCK: usize = 4;
    let size = rows * cols;
    let blocked = rows.is_multiple_of(BLOCK) && cols.is_multiple_of(BLOCK);
    for (input, out) in input.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        if !blocked {
            for (row, line) in input.chunks_exact(cols).enumerate() {
                for (col, &value) in line.iter().enumerate() {
                    out[col * rows + row] = value;
                }
            }
            continue;
        }
        let (input, _) = input.as_chunks::<BLOCK>();
        let (out, _) = out.as_chunks_mut::<BLOCK>();
        let (across, down) = (cols / BLOCK, rows / BLOCK);
        for row in 0..down {
            for col in 0..across {
                let at = row * BLOCK * across + col;
                let block = [
                    input[at],
                    input[at + across],
                    input[at + 2 * across],
                    input[at + 3 * across],
                ];
                for i in 0..BLOCK {
                    out[(col * BLOCK + i) * down + row] = block.map(|line| line[i]);
                }
            }
        }
    }
}

/// The sum of rows, one after the other.
///
/// # Panics
/// If a row's values do not lie side by side.
pub fn sum_of_rows<T: Real>(rows: ArrayView2<'_, T>) -> Array1<T> {
    /// Columns that one task adds up: several registers, so that no sum waits for the one before.
    const COLUMNS: usize = 128;
    let mut sums = Array1::zeros(rows.ncols());
    let parts = sums.as_slice_mut().expect("standard layout");
    let parts = parts.par_chunks_mut(COLUMNS).enumerate();
    parts.for_each(|(part, sums)| {
        Arch::new().dispatch(|| {
            for row in rows.outer_iter() {
                let row = row.to_slice().expect("values side by side");
                let row = &row[part * COLUMNS..];
                sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += v);
            }
        });
    });
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, s};

    /// Values that differ everywhere and are exact in `f32`.
    fn ramp(len: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 7919 + 13) % 31) as f32 - 15.0)
            .collect()
    }

    fn naive(p: &Product, a: &[f32], b: &[f32], c: &mut [f32]) {
        for batch in 0..p.batch {
            for row in 0..p.rows {
                for col in 0..p.cols {
                    let mut sum = 0.0;
                    for outer in 0..p.outer {
                        for inner in 0..p.inner {
                            let at = batch * p.a.batch
                                + row * p.a.line
                                + outer * p.a.outer
                                + inner * p.a.inner;
                            let bt = batch * p.b.batch
                                + col * p.b.line
                                + outer * p.b.outer
                                + inner * p.b.inner;
                            sum += a[at] * b[bt];
                        }
                    }
                    let at = batch * p.c_batch + row * p.c_row + col * p.c_col;
                    c[at] = if p.add { c[at] + sum } else { sum };
                }
            }
        }
    }

    /// Integers this small multiply and add without rounding, so any order of
    /// summation must give the same bits.
    #[test]
    fn equals_plain_loops() {
        for rows in [1, 2, 5, 12, 13, 20, 33] {
            for cols in [1, 3, 15, 16, 17, 31, 32, 40, 64, 70] {
                for (outer, inner, batch) in [(1, 1, 1), (2, 5, 1), (1, 18, 3), (3, 4, 2)] {
                    for (add, swap_a, gap) in [(false, false, 0), (true, true, 3)] {
                        let sum = outer * inner;
                        let p = Product {
                            rows,
                            cols,
                            outer,
                            inner,
                            batch,
                            a: Strides {
                                line: if swap_a { 1 } else { sum },
                                outer: if swap_a { inner * rows } else { inner },
                                inner: if swap_a { rows } else { 1 },
                                batch: rows * sum,
                            },
                            b: Strides {
                                line: 1,
                                outer: inner * (cols + gap),
                                inner: cols + gap,
                                batch: sum * (cols + gap),
                            },
                            c_row: cols + gap,
                            c_col: 1,
                            c_batch: rows * (cols + gap),
                            add,
                        };
                        let a = ramp(batch * rows * sum);
                        let b = ramp(batch * sum * (cols + gap));
                        let mut c = ramp(batch * rows * (cols + gap));
                        let mut expected = c.clone();
                        naive(&p, &a, &b, &mut expected);
                        let start = c.clone();
                        p.run(&a, &b, &mut c);
                        assert_eq!(c, expected, "{p:?}");
                        // What another processor would take, too.
                        let (a, b) = (a.as_ptr(), b.as_ptr());
                        let mut c = start.clone();
                        // SAFETY: `run` has checked the buffers of this very product.
                        unsafe { p.run_gemm(a, b, c.as_mut_ptr()) };
                        assert_eq!(c, expected, "{p:?} by gemm");
                        #[cfg(target_arch = "x86_64")]
                        if avx2::is_there() {
                            let mut c = start;
                            // SAFETY: likewise, and the processor has it.
                            unsafe { avx2::run(&p, a, b, c.as_mut_ptr()) };
                            assert_eq!(c, expected, "{p:?} by AVX2");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sums_rows() {
        for (rows, width) in [(0, 3), (1, 1), (5, 130), (3, 256)] {
            let values = Array2::from_shape_vec((rows, width), ramp(rows * width)).unwrap();
            for rows in [values.view(), values.slice(s![.., width / 2..])] {
                assert_eq!(sum_of_rows(rows), rows.sum_axis(Axis(0)));
            }
        }
    }

    #[test]
    fn transposes() {
        for (rows, cols) in [(2, 3), (4, 4), (8, 4), (4, 12), (5, 8), (16, 16)] {
            let size = rows * cols;
            let input = ramp(2 * size);
            let mut out = vec![0.0; 2 * size];
            transpose(&input, &mut out, rows, cols);
            for (at, &value) in input.iter().enumerate() {
                let (matrix, row, col) = (at / size, at % size / cols, at % cols);
                assert_eq!(out[matrix * size + col * rows + row], value);
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside its buffers")]
    fn refuses_to_leave_the_buffer() {
        let p = Product {
            rows: 2,
            cols: 2,
            outer: 1,
            inner: 2,
            batch: 1,
            a: Strides {
                line: 2,
                inner: 1,
                ..Strides::default()
            },
            b: Strides {
                line: 1,
                inner: 2,
                ..Strides::default()
            },
            c_row: 2,
            c_col: 1,
            ..Product::default()
        };
        p.run(&[0.0f32; 4], &[0.0; 3], &mut [0.0; 4]);
    }
}
