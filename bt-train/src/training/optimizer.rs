//! Adam with decoupled weight decay and clipped gradients.

use crate::float::model::{Gradients, Model};
use ndarray::{ArrayD, Zip};

/// Decay of the first moment.
const BETA_1: f32 = 0.9;
/// Decay of the second moment.
const BETA_2: f32 = 0.999;
/// Added to the root of the second moment.
const EPSILON: f32 = 1e-8;

/// Moments of every parameter, in the order of [`Model::parameters`].
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    /// Running mean of the gradients.
    pub first: Vec<ArrayD<f32>>,
    /// Running mean of their squares.
    pub second: Vec<ArrayD<f32>>,
    /// Steps taken.
    pub steps: usize,
}

impl Adam {
    /// No step taken yet.
    pub fn new(model: &Model) -> Adam {
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
            steps: 0,
        }
    }

    /// Moves every parameter; biases do not decay.
    pub fn step(&mut self, model: &mut Model, gradients: &Gradients, rate: f32, decay: f32) {
        self.steps += 1;
        let power = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let first_unbias = 1.0 / (1.0 - BETA_1.powi(power));
        let second_unbias = 1.0 / (1.0 - BETA_2.powi(power));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for (((name, parameter), gradient), (first, second)) in model
            .parameters_mut()
            .into_iter()
            .zip(&gradients.arrays)
            .zip(moments)
        {
            let keep = if name.ends_with("bias") {
                1.0
            } else {
                1.0 - rate * decay
            };
            Zip::from(parameter)
                .and(gradient)
                .and(first)
                .and(second)
                .for_each(|value, &gradient, first, second| {
                    *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
                    *second = BETA_2 * *second + (1.0 - BETA_2) * gradient * gradient;
                    let step = *first * first_unbias / ((*second * second_unbias).sqrt() + EPSILON);
                    *value = *value * keep - rate * step;
                });
        }
    }
}

/// Shortens gradients whose joint length exceeds `longest`; returns the length before.
pub fn clip(gradients: &mut Gradients, longest: f32) -> f32 {
    let square: f64 = gradients
        .arrays
        .iter()
        .flat_map(|array| array.iter())
        .map(|&value| f64::from(value) * f64::from(value))
        .sum();
    let length = square.sqrt() as f32;
    if length > longest {
        let factor = longest / length;
        for array in &mut gradients.arrays {
            array.mapv_inplace(|value| value * factor);
        }
    }
    length
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

    #[test]
    fn the_first_step_is_as_long_as_the_rate() {
        // m̂ = g and v̂ = g² after one step, so the step is rate·g/|g|.
        let mut model = model();
        let gradients = ones(&model);
        Adam::new(&model).step(&mut model, &gradients, 0.5, 0.0);
        for (name, values) in model.parameters() {
            assert!(values.iter().all(|v| (v + 0.5).abs() < 1e-6), "{name}");
        }
    }

    #[test]
    fn weights_decay_and_biases_do_not() {
        let mut model = model();
        for (_, mut values) in model.parameters_mut() {
            values.fill(1.0);
        }
        let mut gradients = ones(&model);
        for array in &mut gradients.arrays {
            array.fill(0.0);
        }
        Adam::new(&model).step(&mut model, &gradients, 0.5, 0.1);
        for (name, values) in model.parameters() {
            let expected = if name.ends_with("bias") { 1.0 } else { 0.95 };
            assert!(values.iter().all(|v| (v - expected).abs() < 1e-6), "{name}");
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
