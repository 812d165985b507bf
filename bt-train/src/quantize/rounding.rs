//! Rounds weights so that their errors cancel in what a stage reads.
//!
//! A row's sum is off by e·x, with e what rounding added to its weights. Images and features have most of
//! their power in few directions, so weights are rounded one after the other, each making up for those before
//! it in the mean of calibration: with the second moments H = L D Lᵀ of x the mean of (e·x)² is Σ dᵢ (Lᵀe)ᵢ²,
//! and the choice of eᵢ, from the last to the first, keeps each (Lᵀe)ᵢ to half an LSB.

use super::simulate::{Simulation, places};
use crate::plan::TensorMap;
use crate::plan::lower::Lowered;
use bt_core::internals::program::{NONE, Odometer, TILE_N, panel};

/// Columns whose moments are taken together, at most; the slices of a stage that has more are rounded apart,
/// and rows that are longer each weight alone.
const COLUMNS_MAX: usize = 512;

/// What is added to the moments' diagonal, as a share of its mean: other frames differ that much.
const DAMPING: f64 = 0.001;

/// How the weights of one stage are rounded.
#[derive(Debug, Clone)]
pub struct Rounding {
    /// Slices whose sums accumulate, taken together, or 1.
    together: usize,
    /// Per group of slices L, as both triangles of a matrix; none: each weight alone.
    factors: Vec<Vec<f64>>,
}

/// How the weights of every stage are to be rounded where it reads such frames (real values); z starts from
/// `start`.
pub fn roundings(
    lowered: &Lowered,
    map: &TensorMap,
    frames: &[Vec<f64>],
    start: &[f64],
) -> Vec<Rounding> {
    let odometer = Odometer::new();
    let mut moments: Vec<Moments> = (0..lowered.stages.len())
        .map(|index| Moments::new(lowered, index, &odometer))
        .collect();
    let mut simulation = Simulation::new(lowered, map).starting_from(start);
    for frame in frames {
        simulation.run_reading(frame, |index, slice, memory| {
            moments[index].read(slice, memory);
        });
    }
    moments.into_iter().map(Moments::rounding).collect()
}

/// Second moments of what a stage reads.
struct Moments {
    together: usize,
    columns: usize,
    /// Where value k of row n lies: `[n][k]`.
    places: Vec<usize>,
    /// Rows of the slices of a group, `[n][slice][k]`.
    rows: Vec<f64>,
    /// Per group of slices, row-major, the lower triangle alone.
    sums: Vec<Vec<f64>>,
}

impl Moments {
    fn new(lowered: &Lowered, index: usize, odometer: &Odometer) -> Self {
        let stage = &lowered.stages[index];
        let record = &stage.record;
        let (columns, slices) = (stage.columns(), usize::from(record.slices));
        // Padded rows hold what others have left.
        let is_row =
            |n: usize| places(lowered, index, odometer, 0, n / TILE_N)[n % TILE_N].is_some();
        let pairs = usize::from(record.k_pairs);
        let first = record.input_word as usize * 2;
        let rows = (0..usize::from(record.n_tiles) * TILE_N).filter(|&n| is_row(n));
        let places: Vec<usize> = rows
            .flat_map(|n| (0..columns).map(move |k| first + panel::half(pairs, k, n)))
            .collect();
        let adds_up = record.acc_word != NONE && slices * columns <= COLUMNS_MAX;
        let together = if adds_up { slices } else { 1 };
        let width = together * columns;
        let groups = if width <= COLUMNS_MAX {
            slices / together
        } else {
            0
        };
        Self {
            together,
            columns,
            rows: vec![0.0; places.len() * together],
            places,
            sums: vec![vec![0.0; width * width]; groups],
        }
    }

    fn read(&mut self, slice: usize, memory: &[f64]) {
        let (columns, width) = (self.columns, self.columns * self.together);
        let Some(sums) = self.sums.get_mut(slice / self.together) else {
            return;
        };
        let at = slice % self.together * columns;
        let rows = self.rows.chunks_mut(width);
        for (row, places) in rows.zip(self.places.chunks(columns)) {
            for (value, &place) in row[at..].iter_mut().zip(places) {
                *value = memory[place];
            }
        }
        if !(slice + 1).is_multiple_of(self.together) {
            return;
        }
        for row in self.rows.chunks(width) {
            for (k, (sums, &x)) in sums.chunks_mut(width).zip(row).enumerate() {
                sums[..=k]
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, y)| *sum += x * y);
            }
        }
    }

    fn rounding(self) -> Rounding {
        let width = self.columns * self.together;
        Rounding {
            together: self.together,
            factors: self
                .sums
                .into_iter()
                .map(|sums| factor(sums, width))
                .collect(),
        }
    }
}

/// L of L D Lᵀ, which is what is left of the symmetric result but for its diagonal. Where nothing was read L is 1.
fn factor(mut moments: Vec<f64>, width: usize) -> Vec<f64> {
    let mean = (0..width).map(|k| moments[k * width + k]).sum::<f64>() / width.max(1) as f64;
    if mean <= 0.0 || !mean.is_finite() {
        return vec![0.0; moments.len()];
    }
    for k in 0..width {
        moments[k * width + k] += DAMPING * mean;
    }
    for j in 0..width {
        let (above, rest) = moments.split_at_mut(j * width);
        let row = &mut rest[..width];
        // Row j of L·D, column by column, then of L.
        for k in 0..j {
            let of_k = &above[k * width..][..k];
            let sum: f64 = of_k.iter().zip(&row[..k]).map(|(l, ld)| l * ld).sum();
            row[k] -= sum;
        }
        let mut diagonal = row[j];
        for k in 0..j {
            let l = row[k] / above[k * width + k];
            diagonal -= l * row[k];
            row[k] = l;
        }
        row[j] = diagonal;
    }
    for j in 0..width {
        for k in 0..j {
            moments[k * width + j] = moments[j * width + k];
        }
    }
    moments
}

impl Rounding {
    /// The integers for the weights `[slice][m][k]` of `rows` rows of a stage; `scale` is how many LSB a unit
    /// of what column k reads has.
    pub fn round(
        &self,
        weights: &[f64],
        rows: usize,
        columns: usize,
        scale: impl Fn(usize) -> f64,
    ) -> Vec<f64> {
        let mut rounded: Vec<f64> = weights.iter().map(|w| w.round()).collect();
        let scale: Vec<f64> = (0..columns).map(scale).collect();
        let width = columns * self.together;
        let mut errors = vec![0.0; width];
        for (group, factor) in self.factors.iter().enumerate() {
            for row in 0..rows {
                let place = |k: usize| {
                    let slice = group * self.together + k / columns;
                    (slice * rows + row) * columns + k % columns
                };
                for k in (0..width).rev() {
                    let of_k = &factor[k * width..][k + 1..width];
                    let sum: f64 = of_k
                        .iter()
                        .zip(&errors[k + 1..])
                        .map(|(l, error)| l * error)
                        .sum();
                    let (at, scale) = (place(k), scale[k % columns]);
                    rounded[at] = (weights[at] - sum / scale).round();
                    errors[k] = (rounded[at] - weights[at]) * scale;
                }
            }
        }
        rounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Rows of values that go together, as neighbours in an image do, and weights for two slices of two rows.
    fn example(rng: &mut ChaCha8Rng, columns: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
        let rows = (0..60).map(|_| {
            let common: f64 = rng.random_range(-1.0..1.0);
            let own = (0..2 * columns).map(|_| common + rng.random_range(-0.05..0.05));
            own.collect()
        });
        let rows = rows.collect();
        let weights = (0..4 * columns).map(|_| rng.random_range(-20.0..20.0));
        (rows, weights.collect())
    }

    fn moments(rows: &[Vec<f64>], columns: usize, together: usize) -> Moments {
        let width = columns * together;
        let mut moments = Moments {
            together,
            columns,
            places: (0..columns).collect(),
            rows: vec![0.0; width],
            sums: vec![vec![0.0; width * width]; 2 / together],
        };
        for row in rows {
            moments.read(0, row);
            moments.read(1, &row[columns..]);
        }
        moments
    }

    /// The mean square of what rounding adds to the sums of both rows of W.
    fn error(rows: &[Vec<f64>], weights: &[f64], rounded: &[f64], columns: usize) -> f64 {
        let sum = |row: &Vec<f64>, m: usize| -> f64 {
            let at = |slice: usize, k: usize| (slice * 2 + m) * columns + k;
            let each = (0..2).flat_map(|slice| (0..columns).map(move |k| (slice, k)));
            each.map(|(slice, k)| {
                (rounded[at(slice, k)] - weights[at(slice, k)]) * row[slice * columns + k]
            })
            .sum()
        };
        let squares = rows
            .iter()
            .map(|row| sum(row, 0).powi(2) + sum(row, 1).powi(2));
        squares.sum::<f64>() / rows.len() as f64
    }

    /// Errors that meet what goes together cancel, and more of them where slices are taken together; one by one
    /// they add up as chance has it. Scales of what is read make no difference.
    #[test]
    fn errors_cancel_in_what_is_read() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let columns = 7;
        let [mut plain, mut apart, mut together] = [0.0; 3];
        for _ in 0..50 {
            let (rows, weights) = example(&mut rng, columns);
            let of = |together: usize, unit: f64| {
                let scaled: Vec<Vec<f64>> = rows
                    .iter()
                    .map(|row| row.iter().map(|x| x * unit).collect())
                    .collect();
                let rounding = moments(&scaled, columns, together).rounding();
                let rounded = rounding.round(&weights, 2, columns, |_| unit);
                assert!(rounded.iter().all(|w| w.fract() == 0.0));
                error(&rows, &weights, &rounded, columns)
            };
            let alone: Vec<f64> = weights.iter().map(|w| w.round()).collect();
            plain += error(&rows, &weights, &alone, columns);
            apart += of(1, 1.0);
            let found = of(2, 1.0);
            assert!((of(2, 1e-4) - found).abs() < 1e-9);
            together += found;
        }
        // By chance 14 errors add up, else what is left of one in two slices, or in one.
        assert!(apart < 0.3 * plain, "{apart} {plain}");
        assert!(together < 0.8 * apart, "{together} {apart}");
    }

    /// Columns may be read at scales of their own: what counts is the sum in the units of the weights times them.
    #[test]
    fn columns_have_scales_of_their_own() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let columns = 6;
        let (rows, weights) = example(&mut rng, columns);
        let lsb = |k: usize| if k < 3 { 1.0 } else { 0.125 };
        // What the device reads: integers of those scales.
        let read: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                row.iter()
                    .enumerate()
                    .map(|(k, x)| x / lsb(k % columns))
                    .collect()
            })
            .collect();
        let rounded = moments(&rows, columns, 2)
            .rounding()
            .round(&weights, 2, columns, |k| 1.0 / lsb(k));
        let same = moments(&read, columns, 2)
            .rounding()
            .round(&weights, 2, columns, |_| 1.0);
        let plain: Vec<f64> = weights.iter().map(|w| w.round()).collect();
        let [found, same, plain] =
            [&rounded, &same, &plain].map(|all| error(&read, &weights, all, columns));
        assert!(
            found < 0.5 * plain && same < 0.5 * plain,
            "{found} {same} {plain}"
        );
    }

    /// Nothing to go by: each weight to its nearest integer.
    #[test]
    fn nothing_read_rounds_each_weight_alone() {
        let weights = [0.4, 0.6, -1.5, 2.2];
        let none = Moments {
            sums: vec![vec![0.0; 16]],
            ..moments(&[], 4, 1)
        };
        let rounded = none.rounding().round(&weights, 1, 4, |_| 1.0);
        assert_eq!(rounded, [0.0, 1.0, -2.0, 2.0]);
    }
}
