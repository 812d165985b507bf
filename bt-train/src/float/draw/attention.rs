//! Selective attention (Gregor et al. 2015, eqs 19 to 29): windows of N by N points on a picture.
//!
//! The decoder's hidden state places two windows, by A·g + a, ten numbers: first of the one that reads in the next step,
//! then of the one that paints in this step x̃, ỹ, ln σ², ln δ̃ and ln γ. On a picture of R rows and C columns, whose
//! pixels count from 1:
//!
//! ```text
//! centre x = (C + 1)/2 · (x̃ + 1)     y = (R + 1)/2 · (ỹ + 1)     stride δ = (max(C, R) − 1)/(N − 1) · δ̃
//! point i of 1 … N: μ_i = x + (i − N/2 − ½)·δ         F[i, a] = exp(−(a − μ_i)²/2σ²) / Σ_a …
//! read: γ · F_y X F_xᵀ                                 paint: (1/γ) · F_yᵀ P F_x
//! ```

use crate::float::product::{Product, Strides, transpose};
use crate::float::real::Real;

/// Numbers that place a window.
pub(super) const PLACE: usize = 5;

/// What windows have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// N, 2 or more.
    pub points: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Size {
    /// Values of a patch, N².
    pub fn patch(self) -> usize {
        self.points * self.points
    }

    pub fn pixels(self) -> usize {
        self.rows * self.columns
    }
}

/// A window on a picture.
#[derive(Debug, Clone)]
pub(super) struct Window<T> {
    size: Size,
    x: Axis<T>,
    y: Axis<T>,
    /// ln γ.
    log_gain: T,
    /// F_x the other way round, [C, N].
    turned: Vec<T>,
}

/// The filters of one direction.
#[derive(Debug, Clone)]
struct Axis<T> {
    /// Of pixels.
    length: usize,
    points: usize,
    centre: T,
    stride: T,
    variance: T,
    /// F [N, length].
    filters: Vec<T>,
}

/// Memory for a window's work.
pub(super) struct Scratch<T> {
    lines: Vec<T>,
    turned_lines: Vec<T>,
    patch: Vec<T>,
    by_x: Vec<T>,
    by_y: Vec<T>,
}

impl<T: Real> Scratch<T> {
    pub fn new(size: Size) -> Scratch<T> {
        let zeros = |values: usize| vec![T::zero(); values];
        Scratch {
            lines: zeros(size.points * size.columns),
            turned_lines: zeros(size.points * size.columns),
            patch: zeros(size.patch()),
            by_x: zeros(size.points * size.columns),
            by_y: zeros(size.points * size.rows),
        }
    }
}

impl<T: Real> Axis<T> {
    fn new(length: usize, points: usize, centre: T, stride: T, variance: T) -> Axis<T> {
        let mut axis = Axis {
            length,
            points,
            centre,
            stride,
            variance,
            filters: vec![T::zero(); points * length],
        };
        let half = T::from_f64(0.5);
        for point in 0..points {
            let middle = axis.middle(point);
            let square = |at: usize| {
                let distance = T::from_f64(at as f64 + 1.0) - middle;
                distance * distance
            };
            // Of the nearest pixel e⁰, so that a window far outside has filters too.
            let nearest = (0..length).map(square).fold(T::infinity(), T::min);
            let own = &mut axis.filters[point * length..][..length];
            let mut sum = T::zero();
            for (at, value) in own.iter_mut().enumerate() {
                *value = (half * (nearest - square(at)) / variance).exp();
                sum += *value;
            }
            own.iter_mut().for_each(|value| *value /= sum);
        }
        axis
    }

    /// Where a point's filter has its middle, in pixels from 1 on.
    fn middle(&self, point: usize) -> T {
        self.centre + self.offset(point) * self.stride
    }

    /// The same from the window's centre, in strides.
    fn offset(&self, point: usize) -> T {
        T::from_f64(point as f64 + 0.5 - 0.5 * self.points as f64)
    }

    /// Gradients of centre, ln σ² and ln δ̃, of that of F; `at` says where value [i, a] of it lies.
    fn back(&self, gradient: &[T], at: impl Fn(usize, usize) -> usize) -> [T; 3] {
        let half = T::from_f64(0.5);
        let [mut centre, mut log_variance, mut stride] = [T::zero(); 3];
        for point in 0..self.points {
            let own = &self.filters[point * self.length..][..self.length];
            let each = own.iter().enumerate();
            let mean: T = each
                .clone()
                .map(|(a, &value)| value * gradient[at(point, a)])
                .sum();
            let (middle, mut shift) = (self.middle(point), T::zero());
            for (a, &value) in each {
                let by_exponent = value * (gradient[at(point, a)] - mean);
                let distance = T::from_f64(a as f64 + 1.0) - middle;
                let scaled = distance / self.variance;
                shift += by_exponent * scaled;
                log_variance += half * by_exponent * distance * scaled;
            }
            centre += shift;
            stride += shift * self.offset(point);
        }
        [centre, log_variance, stride * self.stride]
    }
}

impl<T: Real> Window<T> {
    /// Placed by five numbers.
    pub fn new(size: Size, place: &[T]) -> Window<T> {
        let [x, y, log_variance, log_stride, log_gain] =
            place.try_into().expect("five numbers place a window");
        let Size {
            points,
            rows,
            columns,
        } = size;
        let half = |length: usize| T::from_f64(0.5 * (length as f64 + 1.0));
        let spread = (rows.max(columns) - 1) as f64 / (points - 1) as f64;
        let (stride, variance) = (T::from_f64(spread) * log_stride.exp(), log_variance.exp());
        let axis = |length: usize, centre: T| {
            let centre = half(length) * (centre + T::one());
            Axis::new(length, points, centre, stride, variance)
        };
        let (x, y) = (axis(columns, x), axis(rows, y));
        let mut turned = vec![T::zero(); points * columns];
        transpose(&x.filters, &mut turned, points, columns);
        Window {
            size,
            x,
            y,
            log_gain,
            turned,
        }
    }

    /// γ.
    pub fn gain(&self) -> T {
        self.log_gain.exp()
    }

    /// F_y X: [N, C].
    fn lines(&self, picture: &[T], out: &mut [T]) {
        let Size {
            points,
            rows,
            columns,
        } = self.size;
        product([points, columns, rows], [rows, 1], columns).run(&self.y.filters, picture, out);
    }

    /// F_y X F_xᵀ, [N, N], of a picture [R, C].
    pub fn read(&self, picture: &[T], scratch: &mut Scratch<T>, out: &mut [T]) {
        let Size {
            points, columns, ..
        } = self.size;
        self.lines(picture, &mut scratch.lines);
        product([points, points, columns], [columns, 1], points).run(
            &scratch.lines,
            &self.turned,
            out,
        );
    }

    /// Adds F_yᵀ P F_x of a patch [N, N] to a picture [R, C].
    pub fn paint(&self, patch: &[T], scratch: &mut Scratch<T>, picture: &mut [T]) {
        let Size {
            points,
            rows,
            columns,
        } = self.size;
        let across = product([points, columns, points], [points, 1], columns);
        across.run(patch, &self.x.filters, &mut scratch.lines);
        let down = Product {
            add: true,
            ..product([rows, columns, points], [1, rows], columns)
        };
        down.run(&self.y.filters, &scratch.lines, picture);
    }

    /// Adds the gradient of Σ P ∘ (F_y X F_xᵀ) to that of the four numbers by which filters are placed.
    pub fn back(&self, patch: &[T], picture: &[T], scratch: &mut Scratch<T>, place: &mut [T]) {
        let Size {
            points,
            rows,
            columns,
        } = self.size;
        // dF_x = Pᵀ F_y X.
        self.lines(picture, &mut scratch.lines);
        product([points, columns, points], [1, points], columns).run(
            patch,
            &scratch.lines,
            &mut scratch.by_x,
        );
        // dF_yᵀ = X F_xᵀ Pᵀ.
        transpose(patch, &mut scratch.patch, points, points);
        product([columns, points, points], [points, 1], points).run(
            &self.turned,
            &scratch.patch,
            &mut scratch.turned_lines,
        );
        product([rows, points, columns], [columns, 1], points).run(
            picture,
            &scratch.turned_lines,
            &mut scratch.by_y,
        );
        let half = |length: usize| T::from_f64(0.5 * (length as f64 + 1.0));
        let by_x = self.x.back(&scratch.by_x, |i, a| i * columns + a);
        let by_y = self.y.back(&scratch.by_y, |i, a| a * points + i);
        place[0] += by_x[0] * half(columns);
        place[1] += by_y[0] * half(rows);
        place[2] += by_x[1] + by_y[1];
        place[3] += by_x[2] + by_y[2];
    }
}

/// Rows, columns and terms of a product of matrices; strides of `a` from row to row and from term to term; columns of
/// `b` and of the result, which lie side by side, are `width` from term to term and from row to row.
fn product([rows, cols, inner]: [usize; 3], [line, term]: [usize; 2], width: usize) -> Product {
    Product {
        rows,
        cols,
        outer: 1,
        inner,
        batch: 1,
        a: Strides {
            line,
            inner: term,
            ..Strides::default()
        },
        b: Strides {
            line: 1,
            inner: width,
            ..Strides::default()
        },
        c_row: width,
        c_col: 1,
        ..Product::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::map::check::noise;

    const SIZE: Size = Size {
        points: 3,
        rows: 5,
        columns: 7,
    };

    /// Plain loops over the paper's equations.
    fn reference(place: &[f64], picture: &[f64]) -> Vec<f64> {
        let (a, b) = (SIZE.columns as f64, SIZE.rows as f64);
        let n = SIZE.points as f64;
        let (gx, gy) = (
            (a + 1.0) / 2.0 * (place[0] + 1.0),
            (b + 1.0) / 2.0 * (place[1] + 1.0),
        );
        let delta = (a.max(b) - 1.0) / (n - 1.0) * place[3].exp();
        let filter = |centre: f64, i: usize, length: usize| {
            let mu = centre + (i as f64 - n / 2.0 - 0.5) * delta;
            let value = |p: usize| (-(p as f64 - mu).powi(2) / (2.0 * place[2].exp())).exp();
            let z: f64 = (1..=length).map(value).sum();
            (1..=length).map(|p| value(p) / z).collect::<Vec<_>>()
        };
        let mut out = Vec::new();
        for j in 1..=SIZE.points {
            for i in 1..=SIZE.points {
                let (fx, fy) = (filter(gx, i, SIZE.columns), filter(gy, j, SIZE.rows));
                let mut sum = 0.0;
                for (y, fy) in fy.iter().enumerate() {
                    for (x, fx) in fx.iter().enumerate() {
                        sum += fy * picture[y * SIZE.columns + x] * fx;
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    fn read(place: &[f64], picture: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; SIZE.patch()];
        let mut scratch = Scratch::new(SIZE);
        Window::new(SIZE, place).read(picture, &mut scratch, &mut out);
        out
    }

    #[test]
    fn reads_as_the_equations_say() {
        let picture = noise(SIZE.pixels(), 1);
        for place in [
            [0.0; PLACE],
            [0.3, -0.2, 0.5, -0.4, 0.0],
            [-1.2, 0.9, -0.7, 0.2, 0.0],
        ] {
            let found = read(&place, &picture);
            let expected = reference(&place, &picture);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
            assert!(
                found.iter().zip(&expected).all(close),
                "{found:?} {expected:?}"
            );
        }
        // Far outside every filter is the nearest edge, and no number is lost.
        let far = read(&[1e4, -1e4, -20.0, -5.0, 0.0], &picture);
        assert!(
            far.iter()
                .all(|&value| (value - picture[SIZE.columns - 1]).abs() < 1e-9)
        );
    }

    /// ⟨P, read X⟩ = ⟨paint P, X⟩.
    #[test]
    fn painting_is_reading_turned_round() {
        let (picture, patch) = (noise(SIZE.pixels(), 2), noise(SIZE.patch(), 3));
        let place = [0.2, 0.4, -0.3, -0.1, 0.7];
        let mut painted = vec![1.0; SIZE.pixels()];
        let window = Window::new(SIZE, &place);
        window.paint(&patch, &mut Scratch::new(SIZE), &mut painted);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let ones: f64 = picture.iter().sum();
        let error = dot(&patch, &read(&place, &picture)) - (dot(&painted, &picture) - ones);
        assert!(error.abs() < 1e-12);
        assert!((window.gain() - 0.7f64.exp()).abs() < 1e-15);
    }

    #[test]
    fn gradients_of_the_place() {
        let (picture, patch) = (noise(SIZE.pixels(), 4), noise(SIZE.patch(), 5));
        for place in [[0.1, -0.3, 0.2, -0.2, 0.0], [1.5, 0.8, -0.5, 0.3, 0.0]] {
            let mut found = [0.5; PLACE];
            let window = Window::new(SIZE, &place);
            window.back(&patch, &picture, &mut Scratch::new(SIZE), &mut found);
            for (at, found) in found.iter().enumerate().take(4) {
                let value = |by: f64| {
                    let mut place = place;
                    place[at] += by;
                    let read = reference(&place, &picture);
                    read.iter().zip(&patch).map(|(r, p)| r * p).sum::<f64>()
                };
                let expected = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!(
                    (found - 0.5 - expected).abs() < 1e-8,
                    "{at}: {found} {expected}"
                );
            }
            assert_eq!(found[4], 0.5);
        }
    }
}
