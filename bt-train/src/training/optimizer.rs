//! Adam with decoupled weight decay and clipped gradients.

use crate::float::model::{Gradients, Model};
use crate::shape::name;
use ndarray::ArrayD;
use pulp::Arch;
use rayon::prelude::*;

/// Decay of the first moment.
const BETA_1: f32 = 0.9;
/// Added to the root of the second moment.
const EPSILON: f32 = 1e-8;

/// Parameters that one task moves.
const VALUES: usize = 1 << 14;

/// Moments of every parameter, in the order of [`Model::parameters`].
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    /// Running mean of the gradients.
    pub first: Vec<ArrayD<f32>>,
    /// Running mean of their squares.
    pub second: Vec<ArrayD<f32>>,
    /// Updates made.
    pub updates: usize,
    /// Decay of the second moment.
    beta2: f32,
}

/// By how much of the rate weights get smaller in every update.
#[derive(Debug, Clone, Copy)]
pub struct Decay {
    /// Matrices: dense maps and the head.
    pub weights: f32,
    /// Cores and factors of block-term and tensor-train maps. Their products make the matrix, so shrinking each of
    /// them shrinks it by a power of that.
    pub factors: f32,
}

impl Decay {
    /// Of the parameter of this name; biases do not decay.
    fn of(self, name: &str) -> f32 {
        if name.ends_with("bias") {
            0.0
        } else if name::is_factor(name) {
            self.factors
        } else {
            self.weights
        }
    }
}

impl Adam {
    /// No update made yet.
    pub fn new(model: &Model, beta2: f32) -> Adam {
        let zeros = || {
            model
                .parameters()
                .iter()
                .map(|(_, values)| ArrayD::zeros(values.raw_dim()))
                .collect()
        };
        Adam {
            first: zeros(),
            second: zeros(),
            updates: 0,
            beta2,
        }
    }

    /// Moves every parameter.
    pub fn update(&mut self, model: &mut Model, gradients: &Gradients, rate: f32, decay: Decay) {
        let beta2 = self.beta2;
        self.updates += 1;
        let power = i32::try_from(self.updates).unwrap_or(i32::MAX);
        let first_unbias = 1.0 / (1.0 - BETA_1.powi(power));
        let second_unbias = 1.0 / (1.0 - beta2.powi(power));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for (((name, parameter), gradient), (first, second)) in model
            .parameters_mut()
            .into_iter()
            .zip(&gradients.arrays)
            .zip(moments)
        {
            let keep = 1.0 - rate * decay.of(&name);
            // Plain slices, whose loop is straight code for the vectoriser.
            let gradient = gradient.as_standard_layout();
            let all = (
                parameter.into_slice(),
                gradient.as_slice(),
                first.as_slice_mut(),
                second.as_slice_mut(),
            );
            let (Some(values), Some(gradient), Some(first), Some(second)) = all else {
                unreachable!("parameters and moments are made in standard layout");
            };
            let values = values
                .par_chunks_mut(VALUES)
                .zip(gradient.par_chunks(VALUES));
            let moments = first
                .par_chunks_mut(VALUES)
                .zip(second.par_chunks_mut(VALUES));
            values
                .zip(moments)
                .for_each(|((values, gradient), (first, second))| {
                    Arch::new().dispatch(|| {
                        let moments = first.iter_mut().zip(second);
                        let each = values.iter_mut().zip(gradient).zip(moments);
                        for ((value, &gradient), (first, second)) in each {
                            *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
                            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
                            let root = (*second * second_unbias).sqrt() + EPSILON;
                            *value = *value * keep - rate * (*first * first_unbias / root);
                        }
                    });
                });
        }
    }
}

/// Shortens gradients whose joint length exceeds `longest`; returns the length before.
pub fn clip(gradients: &mut Gradients, longest: f32) -> f32 {
    let square: f64 = gradients.arrays.iter().map(square).sum();
    let length = square.sqrt() as f32;
    if length > longest {
        let factor = longest / length;
        for array in &mut gradients.arrays {
            array.mapv_inplace(|value| value * factor);
        }
    }
    length
}

/// Sum of the squares, in lanes of its own each so that it need not wait for the sum before.
fn square(array: &ArrayD<f32>) -> f64 {
    const LANES: usize = 8;
    let array = array.as_standard_layout();
    let (chunks, rest) = array.as_slice().unwrap_or(&[]).as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let rest = rest
        .iter()
        .map(|&value| f64::from(value) * f64::from(value));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let config = serde_json::from_str(
            r#"{"input": {"map": "dense", "modes": [2]}, "hidden": {"modes": [1]}, "head": {"classes": 2}}"#,
        )
        .unwrap();
        Model::zeros(config).unwrap()
    }

    fn ones(model: &Model) -> Gradients {
        Gradients {
            arrays: model
                .parameters()
                .iter()
                .map(|(_, values)| ArrayD::ones(values.raw_dim()))
                .collect(),
        }
    }

    const NONE: Decay = Decay {
        weights: 0.0,
        factors: 0.0,
    };

    #[test]
    fn the_first_step_is_as_long_as_the_rate() {
        // m̂ = g and v̂ = g² after one step, so the step is rate·g/|g|.
        let mut model = model();
        let gradients = ones(&model);
        Adam::new(&model, 0.999).update(&mut model, &gradients, 0.5, NONE);
        for (name, values) in model.parameters() {
            assert!(values.iter().all(|v| (v + 0.5).abs() < 1e-6), "{name}");
        }
    }

    /// `torch.optim.AdamW` of PyTorch 2.15 in f64: ten updates of 0.05 with betas (0.9, 0.99), decay 0.05 of core and
    /// factors, 0.2 of matrices, none of biases. Weight i of array p starts at ((3i + p) mod 5 − 2)/4; its gradient in
    /// update s is ((7i + 5s + 3p) mod 11 − 5)/4.
    #[test]
    fn ten_updates_are_those_of_pytorch() {
        let config = serde_json::from_str(
            r#"{"input": {"map": "block-term", "modes": [2, 2], "blocks": 1, "rank": 1}, "hidden": {"modes": [1, 1]},
            "head": {"classes": 2}}"#,
        );
        let mut model = Model::zeros(config.unwrap()).unwrap();
        for (p, (_, mut values)) in model.parameters_mut().into_iter().enumerate() {
            let start = |i: usize| ((3 * i + p) % 5) as f32 / 4.0 - 0.5;
            values
                .iter_mut()
                .enumerate()
                .for_each(|(i, v)| *v = start(i));
        }
        let mut adam = Adam::new(&model, 0.99);
        for s in 0..10 {
            let mut gradients = ones(&model);
            for (p, array) in gradients.arrays.iter_mut().enumerate() {
                let slope = |i: usize| ((7 * i + 5 * s + 3 * p) % 11) as f32 / 4.0 - 1.25;
                array
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, v)| *v = slope(i));
            }
            let decay = Decay {
                weights: 0.2,
                factors: 0.05,
            };
            adam.update(&mut model, &gradients, 0.05, decay);
        }
        let expected: [(&str, &[f32]); 7] = [
            ("lstm.input.block.0.core", &[-0.4451288]),
            (
                "lstm.input.block.0.factor.0",
                &[
                    -0.1235925, 0.3123986, -0.0501629, -0.3295604, 0.1696409, -0.4055887,
                    0.6194325, -0.0098035,
                ],
            ),
            ("lstm.input.block.0.factor.1", &[-0.0501629, -0.3295604]),
            (
                "lstm.recurrent.weight",
                &[0.1574144, -0.3813833, 0.5762171, -0.007825],
            ),
            ("lstm.bias", &[0.6344721, -0.0105012, -0.4767392, 0.293896]),
            ("head.weight", &[-0.4295214, 0.2646305]),
            ("head.bias", &[-0.2472884, 0.6218556]),
        ];
        for ((name, values), (expected_name, expected)) in model.parameters().iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert_eq!(values.len(), expected.len());
            let close = values
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(close, "{name}: {values} for {expected:?}");
        }
    }

    #[test]
    fn long_gradients_are_shortened_and_short_ones_are_not() {
        let model = model();
        let mut gradients = ones(&model);
        let length = clip(&mut gradients, 1.0);
        assert!(length > 1.0);
        assert!((clip(&mut gradients, 1.0) - 1.0).abs() < 1e-6);
        let before = gradients.clone();
        clip(&mut gradients, 2.0);
        assert_eq!(gradients, before);
    }
}
