//! The linear control: multinomial logistic regression on what a sequence holds, without any memory. What a
//! sequence model adds is what it has beyond that.

use crate::data::Part;
use ndarray::{Array1, Array2, Axis, s};

/// What of a sequence the control reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// The mean frame: nothing of the order. With a class for every step the step's own frame.
    Mean,
    /// Frames at so many even places of its time, one behind the other. With a class for every step the frames
    /// before it.
    Frames(usize),
}

/// Even places of time at most, and values of all of them together.
const FRAMES_MAX: usize = 8;
const VALUES_MAX: usize = 4096;

impl Reads {
    /// What is worth reading of frames of this width: both, or the mean alone where frames are long.
    pub fn all(width: usize) -> Vec<Reads> {
        let frames = FRAMES_MAX.min(VALUES_MAX / width.max(1));
        let ordered = (frames > 1).then_some(Reads::Frames(frames));
        std::iter::once(Reads::Mean).chain(ordered).collect()
    }

    /// Features [items, values] of a part: of every sequence, or of every valid step of each.
    pub fn features(self, part: &Part, every_step: bool) -> Array2<f32> {
        let width = part.width;
        let frames = match self {
            Reads::Mean => 1,
            Reads::Frames(frames) => frames,
        };
        let items = match every_step {
            true => part.lengths.iter().sum(),
            false => part.sequences(),
        };
        let mut features = Array2::zeros((items, frames * width));
        let mut rows = features.axis_iter_mut(Axis(0));
        for sequence in 0..part.sequences() {
            let length = part.lengths[sequence];
            let mut all = Array2::<f32>::zeros((length, width));
            part.values.for_each(part.range(sequence), |i, value| {
                all[[i / width, i % width]] = value;
            });
            for item in 0..if every_step { length } else { 1 } {
                let Some(mut row) = rows.next() else {
                    return features;
                };
                match (self, every_step) {
                    (Reads::Mean, true) => row.assign(&all.row(item)),
                    (Reads::Mean, false) => {
                        row.assign(&all.mean_axis(Axis(0)).unwrap_or_default());
                    }
                    (Reads::Frames(_), _) => {
                        for frame in 0..frames {
                            let (low, share) = match every_step {
                                true => ((item + 1 + frame).saturating_sub(frames), 0.0),
                                false => place(frame, frames, length),
                            };
                            let high = (low + 1).min(length - 1);
                            let mixed = &all.row(low) * (1.0 - share) + &all.row(high) * share;
                            row.slice_mut(s![frame * width..(frame + 1) * width])
                                .assign(&mixed);
                        }
                    }
                }
            }
        }
        features
    }
}

/// The step before an even place of time, and how far the place is on the way to the next.
fn place(frame: usize, frames: usize, length: usize) -> (usize, f32) {
    let at = frame as f32 * (length - 1) as f32 / (frames - 1) as f32;
    let low = (at as usize).min(length - 1);
    (low, at - low as f32)
}

/// A fitted control.
#[derive(Debug, Clone)]
pub struct Linear {
    mean: Array1<f32>,
    scale: Array1<f32>,
    /// [values, classes].
    weights: Array2<f32>,
    bias: Array1<f32>,
}

/// Steps of the optimizer at most; it ends before where nothing moves any more.
const STEPS_MAX: usize = 400;
/// Largest gradient at which nothing does.
const STILL: f32 = 1e-4;

impl Linear {
    /// One that knows nothing yet, with features standardised by these.
    pub fn new(features: &Array2<f32>, classes: usize) -> Linear {
        let mean = features.mean_axis(Axis(0)).unwrap_or_default();
        let deviation = features.std_axis(Axis(0), 0.0);
        Linear {
            weights: Array2::zeros((features.ncols(), classes)),
            bias: Array1::zeros(classes),
            scale: deviation.mapv(|deviation| {
                if deviation > 1e-12 {
                    1.0 / deviation
                } else {
                    1.0
                }
            }),
            mean,
        }
    }

    /// Weights of the matrix and the bias.
    pub fn parameters(&self) -> usize {
        self.weights.len() + self.bias.len()
    }

    /// Fits mean cross entropy + penalty/2·|W|², from the weights that are there, by accelerated descent.
    pub fn fit(&mut self, features: &Array2<f32>, labels: &[usize], penalty: f32) {
        let x = self.standard(features);
        let count = x.nrows().max(1) as f32;
        // The curvature of the cross entropy is at most half of the features'; the bias is a feature of 1.
        let rate = 1.0 / (0.5 * (largest_square(&x) / count + 1.0) + penalty);
        let (mut weights, mut bias) = (self.weights.clone(), self.bias.clone());
        let mut momentum = 1.0f32;
        for _ in 0..STEPS_MAX {
            let mut errors = shares(x.dot(&weights) + &bias);
            for (mut row, &label) in errors.axis_iter_mut(Axis(0)).zip(labels) {
                row[label] -= 1.0;
            }
            errors /= count;
            let gradient = x.t().dot(&errors) + &(&weights * penalty);
            let of_bias = errors.sum_axis(Axis(0));
            let largest = gradient.iter().chain(&of_bias);
            let largest = largest.fold(0f32, |most, value| most.max(value.abs()));
            let next_weights = &weights - &(&gradient * rate);
            let next_bias = &bias - &(&of_bias * rate);
            // Where the way turns back, speed is given up.
            let turned = (&gradient * &(&next_weights - &self.weights)).sum() > 0.0;
            let next = if turned {
                1.0
            } else {
                0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt())
            };
            let share = if turned { 0.0 } else { (momentum - 1.0) / next };
            weights = &next_weights + &((&next_weights - &self.weights) * share);
            bias = &next_bias + &((&next_bias - &self.bias) * share);
            (self.weights, self.bias, momentum) = (next_weights, next_bias, next);
            if largest < STILL {
                break;
            }
        }
    }

    /// Logits [items, classes].
    pub fn logits(&self, features: &Array2<f32>) -> Array2<f32> {
        self.standard(features).dot(&self.weights) + &self.bias
    }

    fn standard(&self, features: &Array2<f32>) -> Array2<f32> {
        (features - &self.mean) * &self.scale
    }
}

/// e^z over its sum, row by row.
fn shares(mut logits: Array2<f32>) -> Array2<f32> {
    for mut row in logits.axis_iter_mut(Axis(0)) {
        let most = row
            .iter()
            .fold(f32::NEG_INFINITY, |most, &value| most.max(value));
        row.mapv_inplace(|value| (value - most).exp());
        let sum = row.sum();
        row /= sum;
    }
    logits
}

/// The largest eigenvalue of xᵀ·x, from above by a little.
fn largest_square(x: &Array2<f32>) -> f32 {
    // No direction that data are likely to be at right angles to.
    let mut direction = Array1::from_shape_fn(x.ncols(), |i| 1.0 + (i % 7) as f32 * 0.3);
    let mut value = 0.0;
    for _ in 0..30 {
        let length = direction.dot(&direction).sqrt();
        if length <= f32::MIN_POSITIVE {
            return 0.0;
        }
        direction /= length;
        direction = x.t().dot(&x.dot(&direction));
        value = direction.dot(&direction).sqrt();
    }
    1.1 * value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use ndarray::array;
    use std::sync::Arc;

    /// Two sequences of 3 and 1 steps of 2 values.
    fn part() -> Part {
        Part {
            values: Arc::new(Values::U8(vec![0, 10, 2, 20, 4, 60, 7, 9, 0, 0, 0, 0])),
            width: 2,
            starts: vec![0, 6],
            lengths: vec![3, 1],
            targets: None,
            groups: None,
        }
    }

    #[test]
    fn features_are_means_and_frames_at_even_places() {
        let part = part();
        assert_eq!(
            Reads::Mean.features(&part, false),
            array![[2.0, 30.0], [7.0, 9.0]]
        );
        // Places 0, 2/3, 4/3, 2 of the first; the second has one frame only.
        let frames = Reads::Frames(4).features(&part, false);
        let expected = array![
            [
                0.0,
                10.0,
                4.0 / 3.0,
                50.0 / 3.0,
                8.0 / 3.0,
                100.0 / 3.0,
                4.0,
                60.0
            ],
            [7.0, 9.0, 7.0, 9.0, 7.0, 9.0, 7.0, 9.0]
        ];
        assert!(
            (&frames - &expected).iter().all(|e| e.abs() < 1e-4),
            "{frames}"
        );
        // Of every step: it, and the one before it where there is one.
        assert_eq!(
            Reads::Frames(2).features(&part, true),
            array![
                [0.0, 10.0, 0.0, 10.0],
                [0.0, 10.0, 2.0, 20.0],
                [2.0, 20.0, 4.0, 60.0],
                [7.0, 9.0, 7.0, 9.0]
            ]
        );
        assert_eq!(Reads::Mean.features(&part, true).nrows(), 4);
        assert_eq!(Reads::all(57_600), [Reads::Mean]);
        assert_eq!(Reads::all(1_024), [Reads::Mean, Reads::Frames(4)]);
    }

    /// Beside Newton's method in f64, written out for one feature and two classes: with w = (−v, v) and
    /// b = (−c, c) the gradient in v and c is zero.
    #[test]
    fn the_minimum_is_found() {
        let x = array![[-2.0f32], [-1.0], [0.5], [1.0], [1.5]];
        let labels = [0, 1, 0, 1, 1];
        let penalty = 0.1f32;
        let mut linear = Linear::new(&x, 2);
        linear.fit(&x, &labels, penalty);
        let mean: f64 = 0.0;
        let deviation = (x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 5.0).sqrt();
        let z: Vec<f64> = x
            .iter()
            .map(|&x| (f64::from(x) - mean) / deviation)
            .collect();
        let (mut v, mut c) = (0.0f64, 0.0f64);
        for _ in 0..50 {
            // Of mean cross entropy + penalty/2 · 2v²; p is the share of class 1.
            let (mut gv, mut gc, mut hvv, mut hvc, mut hcc) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (&z, &label) in z.iter().zip(&labels) {
                let p = 1.0 / (1.0 + (-2.0 * (v * z + c)).exp());
                let (error, curve) = (2.0 * (p - label as f64) / 5.0, 4.0 * p * (1.0 - p) / 5.0);
                gv += error * z;
                gc += error;
                hvv += curve * z * z;
                hvc += curve * z;
                hcc += curve;
            }
            gv += 2.0 * f64::from(penalty) * v;
            hvv += 2.0 * f64::from(penalty);
            let det = hvv * hcc - hvc * hvc;
            v -= (hcc * gv - hvc * gc) / det;
            c -= (hvv * gc - hvc * gv) / det;
        }
        let logits = linear.logits(&x);
        for (row, z) in logits.axis_iter(Axis(0)).zip(&z) {
            let expected = 2.0 * (v * z + c);
            assert!(
                (f64::from(row[1] - row[0]) - expected).abs() < 2e-3,
                "{row} {expected}"
            );
        }
    }
}
