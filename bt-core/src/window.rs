//! Where a step of a model with attention paints: through a window of N by N points, which h places anew each time.
//!
//! The head's rows give a patch P `[N][N]` and five numbers x̃, ỹ, ln σ², ln δ̃ and ln γ. On a picture of R rows and C
//! columns, counted from 0, the points lie at
//!
//! ```text
//! μ_i = (C + 1)/2 · (x̃ + 1) − 1 + (i − (N − 1)/2)·δ        δ = (max(C, R) − 1)/(N − 1) · δ̃
//! ```
//!
//! and likewise down by ỹ and R. With n the pixel nearest to μ, pixel n + m gets the weight f = e^−(m² + 2mr)/2σ² for r =
//! n − μ, so that the nearest has e⁰ however far out the point lies. What is painted is
//!
//! ```text
//! canvas += 1/γ · Σ_ji f_j P_ji f_i / (S_j·S_i)            S the sum of a point's weights
//! ```
//!
//! In integers: numbers and pixels have 16 fraction bits, weights 14. Exponents are of 2 with 26 fraction bits; from pixel
//! to pixel they grow by what grows evenly, so that there is nothing but sums and 2^−t. The patch is divided, not the
//! weights. It, and what a column of it comes to, are i16 with as many bits as the largest sum leaves them: a sum of
//! halves keeps to 2³⁰, whatever the file says and h is. The canvas is i32 and saturates.
//!
//! Costs the same wherever a window lies.

use core::ops::Range;

use crate::kernel::{self, HeadRows};
use crate::model::layout::WindowRecord;
use crate::proven::Proven;
use crate::q::{multiply_shift_16, rescale, round_shift, round_shift_saturate, saturate};
use crate::softmax::LOG2_E;

/// A window on pictures of one size, checked.
#[derive(Clone, Copy, Debug)]
pub struct Window<'m> {
    record: &'m WindowRecord,
    rows: usize,
    columns: usize,
}

/// Fraction bits of the numbers that place a window, and of pixels.
const FRACTION: u32 = 16;

/// What the numbers saturate to: ±16, far outside every picture, and a σ, δ̃ or γ that paints nothing or all.
const PLACE_MAX: i64 = 16 << FRACTION;

/// Farther from the picture, 2¹² pixels, a point stays where it is.
const OUTSIDE_MAX: i64 = 1 << (12 + FRACTION);

/// log₂(log₂e / 2), by which 1/2σ² becomes an exponent of 2.
const LOG2_HALF_LOG2_E: i64 = -30_883;

/// Fraction bits of exponents.
const EXPONENT_FRACTION: u32 = 26;

/// Sums that are computed at once.
const BLOCK: usize = 16;

/// Most bits of a sum of halves: rounding it leaves 32 bits no more than it does.
const SUM_BITS: u32 = 30;

impl<'m> Window<'m> {
    /// On pictures of so many rows and pixels.
    pub const fn new(record: &'m WindowRecord, rows: usize, pixels: usize) -> Self {
        let columns = match pixels.checked_div(rows) {
            Some(columns) => columns,
            None => 0,
        };
        Self {
            record,
            rows,
            columns,
        }
    }

    /// Rows and columns of the pictures.
    pub const fn sides(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Pixels of the canvas.
    pub const fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// Its record.
    pub const fn record(&self) -> &'m WindowRecord {
        self.record
    }

    /// Points each way.
    const fn points(&self) -> usize {
        self.record.points as usize
    }

    /// Words of a line of as many halves.
    const fn half_points(&self) -> usize {
        self.points().div_ceil(2)
    }

    /// Words of the scratch that painting takes: the sums of the head's rows, and lines of a half a point, rounded up to a
    /// word, of the patch, of both directions' weights, and of what the patch comes to in each column. Of a file that is yet
    /// to be checked they saturate.
    pub const fn scratch_words(&self) -> usize {
        let of_picture = self.columns.saturating_mul(2).saturating_add(self.rows);
        let lines = self.points().saturating_add(of_picture);
        let words = lines.saturating_mul(self.half_points());
        self.record.head_rows().saturating_add(words)
    }

    /// Multiply-accumulates of a step, with those of the head's rows of so many units; a weight counts as
    /// [`OF_WEIGHT`] of them.
    pub(crate) fn work(&self, units: usize) -> usize {
        let (points, sides) = (self.points(), self.rows + self.columns);
        let products = points * points * self.columns + points * self.rows * self.columns;
        self.record.head_rows() * units + products + points * sides * OF_WEIGHT
    }

    /// Paints what the head's rows gave, the sums at the front of `scratch`, on the canvas `[rows][columns]` of
    /// `score_shift` fraction bits.
    #[inline(never)]
    pub(crate) fn paint(&self, scratch: &mut [u32], canvas: &mut [i32], score_shift: i32) {
        let Some(parts) = self.parts(scratch).proven() else {
            return;
        };
        let Parts {
            patch,
            place,
            halves,
            across,
            down,
            lines,
        } = parts;
        let [x, y, log_variance, log_stride, log_gain] = place.map(|sum| {
            let right = self.record.place_shift.saturating_sub(FRACTION as i32);
            rescale(sum, right).clamp(-PLACE_MAX, PLACE_MAX)
        });
        let spread = (self.rows.max(self.columns).saturating_sub(1) as u32) << FRACTION;
        let spread = spread.checked_div(self.record.points.saturating_sub(1));
        let stride = Power::of(binary(log_stride)).times(spread.proven().unwrap_or(0));
        let fall = Fall::new(log_variance);

        let first = normalize(patch);
        let points = self.points();
        let directions = [
            (&mut *across, (self.columns, x), (1, points)),
            (&mut *down, (self.rows, y), (points, 1)),
        ];
        for (lines, (length, centre), (next, term)) in directions {
            for point in 0..points {
                let axis = Axis::new(length, centre, stride, (points, point));
                let sum = axis.weigh(fall, lines, (self.width(), point));
                let values = patch.iter_mut().skip(point * next);
                divide(values.step_by(term.max(1)).take(points), sum);
            }
        }
        let second = normalize(patch);

        // As many bits as what is summed up leaves.
        let (across_bits, down_bits) = (self.sum_bits(across), self.sum_bits(down));
        let bits = |sum_bits| SUM_BITS.saturating_sub(sum_bits).min(15);
        let (patch_bits, line_bits) = (bits(across_bits), bits(down_bits));
        let gain = Power::of(-binary(log_gain));
        let patch_shift = SUM_BITS - patch_bits;
        let line_shift = across_bits + patch_bits - line_bits;
        // Of a sum over lines: its weights', the patch's and what was shifted on the way.
        let shift = i64::from(self.record.patch_shift) - i64::from(score_shift) + 28 - 3
            + i64::from(first + second)
            - i64::from(line_shift + patch_shift)
            - i64::from(gain.exponent);
        // What is too small for that is taken off the lines, whose every bit a shift of 31 takes.
        let excess = (shift - i64::from(SUM_BITS)).clamp(0, 31);
        let line_shift = (line_shift + excess as u32).min(31);
        let shift = shift.clamp(0, SUM_BITS.into()) as u32;

        let gain = round_shift_saturate(gain.mantissa, Power::FRACTION - 15);
        for (point, row) in patch.chunks_exact(points.max(1)).enumerate() {
            let line = halves.get_mut(self.line(point)).proven();
            let line: &mut [i16] = bytemuck::cast_slice_mut(line.unwrap_or(&mut []));
            for (half, &value) in line.iter_mut().zip(row) {
                *half = round_shift_saturate(multiply_shift_16(value, gain), patch_shift);
            }
        }
        for point in 0..points {
            let lane = self.lane(lines, point);
            self.products(across, halves.get(self.line(point)), lane, |line, sum| {
                *line = round_shift_saturate(sum, line_shift);
            });
        }
        for (row, pixels) in canvas.chunks_exact_mut(self.columns.max(1)).enumerate() {
            let weights = down.get(self.line(row));
            self.products(lines, weights, pixels.iter_mut(), |pixel, sum| {
                *pixel = pixel.saturating_add(round_shift(sum, shift));
            });
        }
    }

    /// Words of a line.
    fn line(&self, at: usize) -> Range<usize> {
        at * self.half_points()..(at + 1) * self.half_points()
    }

    /// Halves of a line.
    fn width(&self) -> usize {
        (2 * self.half_points()).max(1)
    }

    /// Half `point` of every line.
    fn lane<'l>(&self, lines: &'l mut [u32], point: usize) -> impl Iterator<Item = &'l mut i16> {
        let halves: &mut [i16] = bytemuck::cast_slice_mut(lines);
        halves.iter_mut().skip(point).step_by(self.width())
    }

    /// Bits of the largest sum of a line of weights.
    #[inline(never)]
    fn sum_bits(&self, lines: &[u32]) -> u32 {
        let halves: &[i16] = bytemuck::cast_slice(lines);
        let sum = |line: &[i16]| line.iter().fold(0, |sum, &half| sum + half as u32);
        let largest = halves.chunks_exact(self.width()).map(sum).max();
        u32::BITS - largest.unwrap_or(0).leading_zeros()
    }

    /// Gives `take` the product of every line with `halves`, in order, each with its place.
    fn products<'p, P: 'p>(
        &self,
        lines: &[u32],
        halves: Option<&[u32]>,
        mut places: impl Iterator<Item = &'p mut P>,
        mut take: impl FnMut(&'p mut P, i32),
    ) {
        let halves = halves.proven().unwrap_or(&[]);
        for lines in lines.chunks((BLOCK * self.half_points()).max(1)) {
            let mut sums = [0; BLOCK];
            let count = lines.len().checked_div(self.half_points()).unwrap_or(0);
            let sums = sums.get_mut(..count).proven().unwrap_or(&mut []);
            let rows = HeadRows {
                weights: bytemuck::cast_slice(lines),
                stride: self.width(),
                values: self.width(),
            };
            kernel::head_add(&rows, halves, sums);
            for (&mut sum, place) in sums.iter_mut().zip(&mut places) {
                take(place, sum);
            }
        }
    }

    /// The scratch in its parts; the halves that fill lines are 0.
    fn parts<'s>(&self, scratch: &'s mut [u32]) -> Option<Parts<'s>> {
        let half_points = self.half_points();
        let (sums, lines) = scratch.split_at_mut_checked(self.record.head_rows())?;
        let (patch, place) = bytemuck::cast_slice_mut(sums).split_last_chunk_mut()?;
        let lines = lines.get_mut(..self.scratch_words() - self.record.head_rows())?;
        kernel::clear(lines);
        let (halves, rest) = lines.split_at_mut_checked(self.points() * half_points)?;
        let (across, rest) = rest.split_at_mut_checked(self.columns * half_points)?;
        let (down, lines) = rest.split_at_mut_checked(self.rows * half_points)?;
        Some(Parts {
            patch,
            place: *place,
            halves,
            across,
            down,
            lines,
        })
    }
}

/// Multiply-accumulates that take as long as a weight.
const OF_WEIGHT: usize = 16;

/// Where painting keeps what. Lines are of a half a point, rounded up to a word.
struct Parts<'s> {
    /// `[N][N]`, down and across.
    patch: &'s mut [i32],
    place: [i32; WindowRecord::PLACE],
    /// The patch in i16, line by line.
    halves: &'s mut [u32],
    /// Weights, a line a column of the picture.
    across: &'s mut [u32],
    /// The same, a line a row.
    down: &'s mut [u32],
    /// What the columns of the patch come to in each column of the picture.
    lines: &'s mut [u32],
}

/// ln → log₂, in 16 fraction bits.
fn binary(natural: i64) -> i64 {
    (natural * LOG2_E as i64) >> 28
}

/// mantissa · 2^(exponent − 29), the mantissa in ½ ..= 1 of 2²⁹.
#[derive(Clone, Copy)]
struct Power {
    mantissa: i32,
    exponent: i32,
}

impl Power {
    /// Fraction bits of a mantissa.
    const FRACTION: u32 = 29;

    /// 2^log.
    #[inline(never)]
    fn of(log: i64) -> Self {
        let exponent = (log + (1 << FRACTION) - 1) >> FRACTION;
        let falls = (exponent << FRACTION) - log;
        Self {
            mantissa: halving((falls >> 1) as i16),
            exponent: exponent as i32,
        }
    }

    /// Times a number below 2²⁵.
    fn times(self, number: u32) -> i64 {
        let product = i64::from(self.mantissa) * i64::from(number);
        // ±24 of an exponent, of numbers that saturate at ±16.
        product >> (Self::FRACTION as i32 - self.exponent).clamp(0, 63)
    }
}

/// 2^−(at / 2¹⁵), Q29, of at from 0 on: at most 2.2·10⁻⁶ off, and 2²⁹ at 0.
fn halving(at: i16) -> i32 {
    // Of 1 − 2^−f, f and its powers, each coefficient twice the one before it: a product is of f/2.
    const COEFFICIENTS: [i32; 4] = [-744_187_950, 514_423_446, -229_246_479, 59_353_612];
    let [first, second, third, fourth] = COEFFICIENTS;
    let value = third + multiply_shift_16(fourth, at);
    let value = second + multiply_shift_16(value, at);
    let value = first + multiply_shift_16(value, at);
    (1 << Power::FRACTION) + multiply_shift_16(value, at)
}

/// Bits of an exponent that a weight does not read.
const NARROW: u32 = EXPONENT_FRACTION - 15;

/// 2^−t, Q14, of t with 26 fraction bits, half of what is not read added: at most 0.7 LSB off.
#[inline(always)]
fn weight(exponent: u32) -> i16 {
    let value = halving((exponent >> NARROW & 0x7FFF) as i16);
    let halvings = (exponent >> EXPONENT_FRACTION).min(16);
    round_shift(value, Power::FRACTION - 14 + halvings) as i16
}

/// How the weights of a window fall with the distance.
#[derive(Clone, Copy)]
struct Fall {
    /// log₂e / 2σ².
    power: Power,
    /// Twice that, as exponents are.
    twice: u32,
}

impl Fall {
    fn new(log_variance: i64) -> Self {
        let power = Power::of(LOG2_HALF_LOG2_E - binary(log_variance));
        let shift = Power::FRACTION as i32 - 1 - EXPONENT_FRACTION as i32 - power.exponent;
        Self {
            power,
            twice: shifted(power.mantissa.into(), shift),
        }
    }

    /// That times a distance of pixels.
    fn at(self, distance: i64) -> u32 {
        let shift = (Power::FRACTION + FRACTION - EXPONENT_FRACTION) as i32;
        let product = i64::from(self.power.mantissa) * distance;
        shifted(product, shift - self.power.exponent)
    }
}

/// value · 2^−right, rounded down, as far as an exponent goes.
#[inline(never)]
fn shifted(value: i64, right: i32) -> u32 {
    const MOST: i64 = u32::MAX as i64;
    let shifted = match u32::try_from(right) {
        Ok(right) => value >> right.min(63),
        // So much is too much, shifted or not.
        Err(_) => value.clamp(0, MOST) << right.unsigned_abs().min(31),
    };
    shifted.clamp(0, MOST) as u32
}

/// A point of a window in one direction.
struct Axis {
    /// Pixels.
    length: usize,
    /// The nearest of them.
    nearest: usize,
    /// How far it is off the point, FRACTION fraction bits.
    off: i64,
}

impl Axis {
    fn new(length: usize, centre: i64, stride: i64, (points, point): (usize, usize)) -> Self {
        const ONE: i64 = 1 << FRACTION;
        let last = length.saturating_sub(1) as i64;
        let centre = (((length as i64 + 1) * (centre + ONE)) >> 1) - ONE;
        let strides = 2 * point as i64 + 1 - points as i64;
        let middle = centre + ((strides * stride) >> 1);
        let nearest = ((middle + ONE / 2) >> FRACTION).clamp(0, last);
        let off = (nearest << FRACTION) - middle;
        Self {
            length,
            nearest: nearest as usize,
            off: off.clamp(-OUTSIDE_MAX, OUTSIDE_MAX),
        }
    }

    /// Puts the weights of all pixels to half `point` of their lines, each of `width` halves, and returns their sum.
    fn weigh(&self, fall: Fall, lines: &mut [u32], (width, point): (usize, usize)) -> u32 {
        const ONE: i64 = 1 << FRACTION;
        let halves: &mut [i16] = bytemuck::cast_slice_mut(lines);
        let here = self.nearest * width + point;
        let (up, down) = (fall.at(ONE + 2 * self.off), fall.at(ONE - 2 * self.off));
        // The nearest has an exponent of 0, and is not to be met twice.
        let above = (here, width, self.length.saturating_sub(self.nearest));
        let below = (here.wrapping_sub(width), width.wrapping_neg(), self.nearest);
        let first_below = (down, down.saturating_add(fall.twice));
        walk(halves, above, (0, up), fall.twice) + walk(halves, below, first_below, fall.twice)
    }
}

/// Puts a weight to each of so many halves, from the first on by steps: their exponent grows by what grows evenly. Returns
/// their sum.
#[inline(never)]
fn walk(
    halves: &mut [i16],
    (mut at, step, count): (usize, usize, usize),
    (first, mut growth): (u32, u32),
    twice: u32,
) -> u32 {
    let mut sum = 0;
    let mut exponent = first.saturating_add(1 << (NARROW - 1));
    for _ in 0..count {
        let weight = weight(exponent);
        sum += weight as u32;
        if let Some(place) = halves.get_mut(at).proven() {
            *place = weight;
        }
        at = at.wrapping_add(step);
        exponent = exponent.saturating_add(growth);
        growth = growth.saturating_add(twice);
    }
    sum
}

/// Shifts values to the left until the largest fills its 32 bits, and returns by how much.
#[inline(never)]
fn normalize(values: &mut [i32]) -> u32 {
    let largest = values.iter().map(|value| value.unsigned_abs()).max();
    let left = largest.unwrap_or(0).leading_zeros().saturating_sub(1);
    for value in values {
        *value <<= left;
    }
    left
}

/// Divides values by twice a point's sum of weights, 2^14 of which are 1.
#[inline(never)]
fn divide<'v>(values: impl Iterator<Item = &'v mut i32>, sum: u32) {
    // Of e⁰ and at most 255 others.
    debug_assert!((1 << 14..=1 << 22).contains(&sum));
    let zeros = sum.leading_zeros();
    let top = sum.wrapping_shl(zeros) >> 16;
    let reciprocal = ((1u32 << 30) + top / 2).checked_div(top).unwrap_or(0);
    let reciprocal = saturate(reciprocal as i32);
    let further = 17u32.saturating_sub(zeros);
    for value in values {
        *value = round_shift(multiply_shift_16(*value, reciprocal), further);
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
