//! Offset and scale by which raw values become those that a model learns from.

use crate::data::Part;
use crate::data::survey::{self, Outlier, Spread};
use crate::error::{Error, ErrorKind, Result};
use crate::float::filter::Filter;
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
    /// What the training values ask for: set, offset or feature.
    #[default]
    Auto,
    /// One offset and one scale for all features.
    Set,
    /// An offset for each feature, one scale for all: costs the device nothing.
    Offset,
    /// An offset and a scale for each feature: a multiplication a value on the device.
    Feature,
    /// None: the data are taken as they are.
    None,
}

impl NormalizeOver {
    /// Its name among the settings.
    pub fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map_or(String::new(), |value| value.get_name().into())
    }
}

/// Offset and scale of a training part.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// They.
    pub normalization: Normalization,
    /// What they were taken over; never `Auto`.
    pub over: NormalizeOver,
    /// What is strange about the features, a line each.
    pub warnings: Vec<String>,
    /// A value that flattens all others.
    pub outlier: Option<Outlier>,
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
    /// part. A feature that is constant, to the resolution of its own values,
    /// keeps scale 1, whatever the unit. Behind a `filter` deviations are those of
    /// what it passes, from the second step of a sequence on.
    ///
    /// # Errors
    /// When the values are so small or so large that no f32 holds the scale.
    pub fn fit(
        part: &Part,
        width: usize,
        over: NormalizeOver,
        filter: Option<Filter>,
    ) -> Result<Normalization> {
        Ok(Normalization::fit_and_tell(part, width, over, filter)?.normalization)
    }

    /// As [`Normalization::fit`]; tells also what it was taken over and what is strange about the values.
    ///
    /// # Errors
    /// As [`Normalization::fit`].
    pub fn fit_and_tell(
        part: &Part,
        width: usize,
        over: NormalizeOver,
        filter: Option<Filter>,
    ) -> Result<Fitted> {
        // From the first value on, so that a large offset takes nothing from small deviations.
        let mut features = vec![Moments::default(); part.width];
        let mut steps = 0;
        for sequence in 0..part.sequences() {
            steps += part.lengths[sequence];
            part.values.for_each(part.range(sequence), |i, value| {
                features[i % part.width].add(f64::from(value));
            });
        }
        let count = steps as f64;
        let mean: Vec<f64> = features.iter().map(|f| f.mean(count)).collect();
        let (passed, passed_count) = match filter {
            Some(filter) => passed(part, filter, &features),
            None => (features.clone(), count),
        };
        let variance: Vec<f64> = passed.iter().map(|f| f.variance(passed_count)).collect();
        let spreads: Vec<Spread> = passed
            .iter()
            .zip(&variance)
            .map(|(passed, variance)| Spread {
                mean: passed.mean(passed_count),
                deviation: variance.sqrt(),
            })
            .collect();
        let over = match over {
            NormalizeOver::Auto => survey::choose(&spreads),
            given => given,
        };
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let total_mean = average(&mean);
        let means: Vec<f64> = spreads.iter().map(|spread| spread.mean).collect();
        let mean_of_means = average(&means);
        let distances = means.iter().map(|mean| (mean - mean_of_means).powi(2));
        let spread = average(&distances.collect::<Vec<_>>());
        let largest = features.iter().fold(0.0, |max: f64, f| max.max(f.largest));
        let total_variance = match average(&variance) {
            0.0 => variance_resolved(spread, largest),
            within => within + spread,
        };
        let per_feature = |values: Vec<f32>, fill: f32| {
            let mut values = values;
            values.resize(width, fill);
            values
        };
        let offsets = || per_feature(mean.iter().map(|&mean| mean as f32).collect(), 0.0);
        let (offset, scale) = match over {
            NormalizeOver::Set => (vec![total_mean as f32], vec![inverse(total_variance)?]),
            NormalizeOver::Offset => (offsets(), vec![inverse(average(&variance))?]),
            NormalizeOver::Feature => {
                let scale = |(i, &variance): (usize, &f64)| {
                    inverse(variance).map_err(|error| error.field(format!("feature {i}")))
                };
                let scales = variance.iter().enumerate().map(scale);
                (offsets(), per_feature(scales.collect::<Result<_>>()?, 1.0))
            }
            NormalizeOver::None => (vec![0.0], vec![1.0]),
            NormalizeOver::Auto => unreachable!("chosen above"),
        };
        let survey = survey::of(part, &spreads, over, filter.is_some());
        Ok(Fitted {
            normalization: Normalization {
                width,
                offset,
                scale,
            },
            over,
            warnings: survey.warnings,
            outlier: survey.outlier,
        })
    }

    /// What a model was trained with.
    pub fn of(model: &Model) -> Normalization {
        Normalization {
            width: model.config.frame_values(),
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

/// Sums of what a filter passes of each feature, from the second step of a sequence on, and the steps of it.
fn passed(part: &Part, filter: Filter, features: &[Moments]) -> (Vec<Moments>, f64) {
    // Whether it is constant goes by the resolution of the values themselves.
    let of = |feature: &Moments| Moments {
        largest: feature.largest,
        ..Moments::default()
    };
    let mut passed: Vec<Moments> = features.iter().map(of).collect();
    let mut mean = vec![0.0f64; part.width];
    let mut frame = Vec::with_capacity(part.width);
    let mut steps = 0;
    for sequence in 0..part.sequences() {
        let mut is_first = true;
        part.values.for_each(part.range(sequence), |_, value| {
            frame.push(f64::from(value));
            if frame.len() < part.width {
                return;
            }
            filter.apply(&mut mean, &mut frame, is_first);
            if !is_first {
                let features = passed.iter_mut().zip(&frame);
                features.for_each(|(passed, &value)| passed.add(value));
                steps += 1;
            }
            is_first = false;
            frame.clear();
        });
    }
    (passed, f64::from(steps.max(1)))
}

/// Sums of one feature's values, less the first of them.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    first: Option<f64>,
    sum: f64,
    square: f64,
    /// Largest magnitude of a value.
    largest: f64,
}

/// Half the distance of two neighbours among f32, relative to them: what deviates less is constant.
const RESOLUTION: f64 = 1.0 / (1u32 << 24) as f64;

impl Moments {
    fn add(&mut self, value: f64) {
        let distance = value - *self.first.get_or_insert(value);
        self.sum += distance;
        self.square += distance * distance;
        self.largest = self.largest.max(value.abs());
    }

    fn mean(&self, count: f64) -> f64 {
        self.first.unwrap_or(0.0) + self.sum / count
    }

    /// Exactly 0 where the feature is constant.
    fn variance(&self, count: f64) -> f64 {
        let mean = self.sum / count;
        let variance = (self.square / count - mean * mean).max(0.0);
        variance_resolved(variance, self.largest)
    }
}

/// 0 where it is below what f32 resolves among values of that magnitude.
fn variance_resolved(variance: f64, largest: f64) -> f64 {
    if variance.sqrt() <= RESOLUTION * largest {
        0.0
    } else {
        variance
    }
}

/// The scale for a variance: 1 where there is none.
fn inverse(variance: f64) -> Result<f32> {
    let scale = match variance {
        0.0 => 1.0,
        variance => variance.sqrt().recip() as f32,
    };
    if scale.is_normal() {
        return Ok(scale);
    }
    Err(Error::new(ErrorKind::NoFloat {
        what: "values deviate by".into(),
        value: variance.sqrt(),
        lost: "the inverse",
    })
    .remedy("save them in a unit that makes that larger than 1e-30 and smaller than 1e30"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::tests::part;

    #[test]
    fn normalization_takes_valid_values_only() {
        // Valid: 1..=6; the trailing nines belong to no sequence.
        let fit = |part: &Part, width, over| Normalization::fit(part, width, over, None).unwrap();
        let set = fit(&part(), 2, NormalizeOver::Set);
        assert_eq!(set.offset, [3.5]);
        assert!((set.scale[0] - (35.0f32 / 12.0).sqrt().recip()).abs() < 1e-6);
        let feature = fit(&part(), 3, NormalizeOver::Feature);
        assert_eq!(feature.offset, [3.0, 4.0, 0.0]);
        assert_eq!(feature.scale[2], 1.0);
        let sub = part().subset(&[1]);
        assert_eq!(fit(&sub, 2, NormalizeOver::Set).offset, [5.5]);
    }

    /// Feature 0 stands still but for its last step, feature 1 climbs by 1, 1, 4 and falls by 6, 2: the
    /// deviation of that, the first steps left out, whatever the pictures.
    #[test]
    fn behind_a_filter_deviations_are_those_of_what_passes() {
        let values = [0, 100, 0, 101, 0, 102, 0, 106, 200, -50, 200, -56, 230, -58];
        let part = Part {
            values: std::sync::Arc::new(crate::data::Values::I16(values.to_vec())),
            width: 2,
            starts: vec![0, 8],
            lengths: vec![4, 3],
            targets: None,
            groups: None,
        };
        let difference = Some(Filter { shift: 0 });
        let fit = |over, filter| Normalization::fit(&part, 3, over, filter).unwrap();
        let feature = fit(NormalizeOver::Feature, difference);
        // Differences 0, 0, 0, 0, 30 of mean 6; 1, 1, 4, −6, −2 of mean −0.4.
        let variances = [144.0f32, (1.0 + 1.0 + 16.0 + 36.0 + 4.0) / 5.0 - 0.16];
        for (scale, variance) in feature.scale.iter().zip(variances) {
            assert!((scale - variance.sqrt().recip()).abs() < 1e-6, "{scale}");
        }
        assert_eq!(feature.scale[2], 1.0);
        assert_eq!(feature.offset, [90.0, 35.0, 0.0]);
        let set = fit(NormalizeOver::Set, difference);
        let total = (variances[0] + variances[1]) / 2.0 + 3.2 * 3.2;
        assert!((set.scale[0] - total.sqrt().recip()).abs() < 1e-6);
        // m = 100, 100.5, 101.25 of feature 1's first sequence: 1, 1.5, 4.75; −50, −53 of its second: −6, −5.
        let high_pass = fit(NormalizeOver::Feature, Some(Filter { shift: 1 }));
        let passed = [1.0f32, 1.5, 4.75, -6.0, -5.0];
        let mean = passed.iter().sum::<f32>() / 5.0;
        let variance = passed.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / 5.0;
        assert!((high_pass.scale[1] - variance.sqrt().recip()).abs() < 1e-6);
    }

    /// Sequences of one step of two features: what is given, and its place.
    fn floats(values: &[f32]) -> Part {
        Part {
            values: std::sync::Arc::new(crate::data::Values::F32(values.to_vec())),
            width: 2,
            starts: (0..values.len()).step_by(2).collect(),
            lengths: vec![1; values.len() / 2],
            targets: None,
            groups: None,
        }
    }

    /// Deviations from 1e-30 to 1e30, alone and on an offset a million times as large: the scale is
    /// their inverse.
    #[test]
    fn no_unit_is_constant() {
        for exponent in -30..=30 {
            let unit = 10f32.powi(exponent);
            for offset in [0.0, 1e3, -1e6] {
                // ±1 and ±2 units about the offset, as f32 holds them.
                let value = |k: f32| (offset + k) * unit;
                let part = floats(&[value(1.0), value(2.0), value(-1.0), value(-2.0)]);
                let found = Normalization::fit(&part, 2, NormalizeOver::Feature, None).unwrap();
                for (i, deviation) in [1.0, 2.0].into_iter().enumerate() {
                    let scale = found.scale[i] * unit * deviation;
                    // An f32 of 1e6 is 1/16 off at most.
                    let tolerance = if offset == -1e6 { 0.07 } else { 1e-4 };
                    assert!(
                        (scale - 1.0).abs() < tolerance,
                        "{exponent} {offset}: {scale}"
                    );
                    assert!((found.apply(i, value(deviation)) - 1.0).abs() < 0.13);
                }
            }
        }
    }

    /// Exactly constant, or flickering between two neighbours among f32: scale 1, in every unit.
    #[test]
    fn what_f32_does_not_resolve_is_constant() {
        for value in [0.0f32, 3e-20, 1.0, 101_325.0, 2e20] {
            let next = f32::from_bits(value.to_bits() + u32::from(value != 0.0));
            let part = floats(&[value, value, value, next, value, value, value, next]);
            for over in [
                NormalizeOver::Feature,
                NormalizeOver::Offset,
                NormalizeOver::Set,
            ] {
                let found = Normalization::fit(&part, 2, over, None).unwrap();
                assert!(
                    found.scale.iter().all(|&scale| scale == 1.0),
                    "{value} {over:?}"
                );
            }
        }
    }

    /// A deviation whose inverse is no f32 is refused; the remedy, another unit, works.
    #[test]
    fn a_scale_that_no_f32_holds_is_refused() {
        let fit = |unit: f32| {
            let part = floats(&[1.0, unit, 2.0, -unit]);
            Normalization::fit(&part, 2, NormalizeOver::Feature, None)
        };
        let error = fit(1e-40).unwrap_err();
        let line = error.to_string();
        assert!(
            line.starts_with("feature 1: values deviate by 1.0e-40"),
            "{line}"
        );
        assert!(line.contains("larger than 1e-30"), "{line}");
        let found = fit(1e-29).unwrap();
        assert!((found.scale[1] * 1e-29 - 1.0).abs() < 1e-6);
    }
}
