//! Offset and scale by which raw values become those that a model learns from.

use crate::data::Part;
use crate::float::model::Model;

/// x̂ = (x − offset)·scale, for frames of `width` values.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Values of a frame of the model. Data that have fewer a step are followed
    /// by raw zeros.
    pub width: usize,
    /// One for all features or one each.
    pub offset: Vec<f32>,
    /// One for all features or one each.
    pub scale: Vec<f32>,
}

/// What the offset and scale are taken over.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum NormalizeOver {
    /// One offset and one scale for all features.
    #[default]
    Set,
    /// An offset for each feature, one scale for all: costs the device nothing.
    Offset,
    /// An offset and a scale for each feature: a multiplication a value on the device.
    Feature,
    /// None: the data are taken as they are.
    None,
}

impl Normalization {
    /// Offset 0 and scale 1.
    pub fn identity(width: usize) -> Normalization {
        Normalization {
            width,
            offset: vec![0.0],
            scale: vec![1.0],
        }
    }

    /// The mean and the inverse standard deviation of the valid values of a
    /// part. A constant feature keeps scale 1.
    pub fn fit(part: &Part, width: usize, over: NormalizeOver) -> Normalization {
        if over == NormalizeOver::None {
            return Normalization::identity(width);
        }
        let mut sum = vec![0f64; part.width];
        let mut square = vec![0f64; part.width];
        let mut steps = 0;
        for sequence in 0..part.sequences() {
            steps += part.lengths[sequence];
            part.values.for_each(part.range(sequence), |i, value| {
                let value = f64::from(value);
                sum[i % part.width] += value;
                square[i % part.width] += value * value;
            });
        }
        let count = steps as f64;
        let mean: Vec<f64> = sum.iter().map(|sum| sum / count).collect();
        let variance: Vec<f64> = square
            .iter()
            .zip(&mean)
            .map(|(square, mean)| (square / count - mean * mean).max(0.0))
            .collect();
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let inverse = |variance: f64| {
            if variance > 1e-12 {
                variance.sqrt().recip() as f32
            } else {
                1.0
            }
        };
        let total_mean = average(&mean);
        let total_variance = average(&variance)
            + average(
                &mean
                    .iter()
                    .map(|m| (m - total_mean).powi(2))
                    .collect::<Vec<_>>(),
            );
        let per_feature = |values: Vec<f32>, fill: f32| {
            let mut values = values;
            values.resize(width, fill);
            values
        };
        let offsets = || per_feature(mean.iter().map(|&mean| mean as f32).collect(), 0.0);
        let (offset, scale) = match over {
            NormalizeOver::Set => (vec![total_mean as f32], vec![inverse(total_variance)]),
            NormalizeOver::Offset => (offsets(), vec![inverse(average(&variance))]),
            NormalizeOver::Feature => (
                offsets(),
                per_feature(variance.iter().map(|&v| inverse(v)).collect(), 1.0),
            ),
            NormalizeOver::None => unreachable!("returned above"),
        };
        Normalization {
            width,
            offset,
            scale,
        }
    }

    /// What a model was trained with.
    pub fn of(model: &Model) -> Normalization {
        Normalization {
            width: model.config.inputs(),
            offset: model.offset.to_vec(),
            scale: model.scale.to_vec(),
        }
    }

    /// The normalized value of feature `i`.
    pub fn apply(&self, i: usize, value: f32) -> f32 {
        let pick = |values: &[f32]| {
            if values.len() == 1 {
                values[0]
            } else {
                values[i]
            }
        };
        (value - pick(&self.offset)) * pick(&self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::tests::part;

    #[test]
    fn normalization_takes_valid_values_only() {
        // Valid: 1..=6; the trailing nines belong to no sequence.
        let set = Normalization::fit(&part(), 2, NormalizeOver::Set);
        assert_eq!(set.offset, [3.5]);
        assert!((set.scale[0] - (35.0f32 / 12.0).sqrt().recip()).abs() < 1e-6);
        let feature = Normalization::fit(&part(), 3, NormalizeOver::Feature);
        assert_eq!(feature.offset, [3.0, 4.0, 0.0]);
        assert_eq!(feature.scale[2], 1.0);
        let sub = part().subset(&[1]);
        assert_eq!(
            Normalization::fit(&sub, 2, NormalizeOver::Set).offset,
            [5.5]
        );
    }
}
