//! What a look at the training values tells before anything is learned from them: features of different units,
//! constant ones, and single values that flatten all others.

use crate::data::{NormalizeOver, Part};

/// A feature by its valid values, or all features of a wide frame together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub mean: f64,
    /// Standard deviation; exactly 0 where it is constant.
    pub deviation: f64,
}

/// Up to so many features a step may be sensors of different units; more are pixels or bands of one.
const SENSORS_MAX: usize = 64;

/// Deviations that differ by more are units of their own: a scale for each costs a few multiplications a frame.
const SCALES_DIFFER: f64 = 2.0;

/// Deviations that differ by more do not share one scale without a word.
const SCALE_TOO_COARSE: f64 = 4.0;

/// Means that lie so many deviations apart deserve offsets of their own.
const MEANS_DIFFER: f64 = 3.0;

/// A deviation that is so many times that of the middle half of the values comes from few of them.
const FLATTENED: f64 = 10.0;

/// Steps that the middle half is looked for in.
const SAMPLE: usize = 4096;

/// What fits features like these: one offset and scale, offsets, or both for each.
pub(super) fn choose(features: &[Spread]) -> NormalizeOver {
    let moving = || features.iter().filter(|feature| feature.deviation > 0.0);
    if features.len() > SENSORS_MAX || moving().count() < 2 {
        return NormalizeOver::Set;
    }
    let [least, most] = extremes(moving().map(|feature| feature.deviation));
    let [lowest, highest] = extremes(moving().map(|feature| feature.mean));
    if most > SCALES_DIFFER * least {
        NormalizeOver::Feature
    } else if highest - lowest > MEANS_DIFFER * most {
        NormalizeOver::Offset
    } else {
        NormalizeOver::Set
    }
}

fn extremes(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    [
        values.clone().fold(f64::INFINITY, f64::min),
        values.fold(f64::NEG_INFINITY, f64::max),
    ]
}

/// What a user should know of the values.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Of features, a line each.
    pub warnings: Vec<String>,
    pub outlier: Option<Outlier>,
}

/// A value so far from the others that it flattens them.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlier {
    /// Its sequence in the part that was looked at.
    pub sequence: usize,
    /// Its step there.
    pub step: usize,
    /// Its feature.
    pub feature: usize,
    /// It.
    pub value: f64,
    /// The middle of the values.
    pub median: f64,
    /// Half of the values lie so close to the median.
    pub within: f64,
}

impl Outlier {
    /// A line that names it by its place in `x_train`.
    pub fn line(&self, sequence: usize, step: usize) -> String {
        format!(
            "x_train: sequence {sequence}, step {step}, feature {} is {}, where half of the values lie within {:.2e} of \
             {:.4}; values so far away flatten all others, on the device above all: where they are no measurements, \
             take them out or cut them off",
            self.feature, self.value, self.within, self.median
        )
    }
}

/// `over` is what offset and scale are taken over. Where the features are those of what a filter passes, the values
/// themselves say nothing about single ones.
pub(super) fn of(
    part: &Part,
    features: &[Spread],
    over: NormalizeOver,
    is_filtered: bool,
) -> Survey {
    let mut survey = Survey::default();
    let constant: Vec<usize> = (0..features.len())
        .filter(|&i| features[i].deviation == 0.0)
        .collect();
    match &constant[..] {
        [] => {}
        [only] => survey.warnings.push(format!(
            "x_train: feature {only} is constant and tells nothing"
        )),
        [first, second, ..] => survey.warnings.push(format!(
            "x_train: {} of {} features are constant and tell nothing: {first}, {second}{}",
            constant.len(),
            features.len(),
            if constant.len() > 2 { ", …" } else { "" }
        )),
    }
    let shares_scale = matches!(over, NormalizeOver::Set | NormalizeOver::Offset);
    let moving = features.iter().filter(|feature| feature.deviation > 0.0);
    let [least, most] = extremes(moving.map(|feature| feature.deviation));
    let unlike = || {
        format!(
            "x_train: features deviate by {least:.2e} to {most:.2e}, and one scale for all leaves little of the \
             small ones; `normalize feature` gives each its own"
        )
    };
    if shares_scale && choose(features) == NormalizeOver::Feature && most > SCALE_TOO_COARSE * least
    {
        survey.warnings.push(unlike());
    }
    if over != NormalizeOver::None && !is_filtered {
        match flattened(part, features) {
            Some(Flattened::By(outlier)) => survey.outlier = Some(outlier),
            Some(Flattened::ByFeatures) if shares_scale => survey.warnings.push(unlike()),
            Some(Flattened::ByFeatures) | None => {}
        }
    }
    survey
}

/// What most values are flattened by.
enum Flattened {
    /// One value, or a few.
    By(Outlier),
    /// Features of a wide frame that vary far more than the others.
    ByFeatures,
}

/// Values that are flattened by others far away.
fn flattened(part: &Part, features: &[Spread]) -> Option<Flattened> {
    let is_wide = features.len() > SENSORS_MAX;
    let groups: Vec<Group> = match is_wide {
        true => vec![Group::All],
        false => (0..features.len()).map(Group::Feature).collect(),
    };
    for group in groups {
        let Some(middle) = Middle::of(part, group) else {
            continue;
        };
        let own: Vec<&Spread> = match group {
            Group::All => features.iter().collect(),
            Group::Feature(feature) => vec![&features[feature]],
        };
        let squares = own
            .iter()
            .map(|feature| feature.deviation.powi(2) + (feature.mean - middle.median).powi(2));
        let deviation = (squares.sum::<f64>() / own.len() as f64).sqrt();
        if !middle.is_flattened_by(deviation) {
            continue;
        }
        let outlier = furthest(part, group, middle);
        let Spread { mean, deviation } = features[outlier.feature];
        // Of a wide frame the feature may be as it is all the time.
        let is_single = match Middle::of(part, Group::Feature(outlier.feature)) {
            _ if !is_wide => true,
            Some(own) if own.deviation > 0.0 => own.is_flattened_by(deviation),
            _ => (outlier.value - mean).abs() > FLATTENED * deviation,
        };
        return Some(match is_single {
            true => Flattened::By(outlier),
            false => Flattened::ByFeatures,
        });
    }
    None
}

/// Values that are looked at together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Group {
    All,
    Feature(usize),
}

/// The middle half of a group's values.
#[derive(Debug, Clone, Copy)]
struct Middle {
    median: f64,
    /// The standard deviation of normal values with such a middle half.
    deviation: f64,
}

impl Middle {
    /// By a sample; none of too few values.
    fn of(part: &Part, group: Group) -> Option<Middle> {
        let steps: usize = part.lengths.iter().sum();
        let stride = steps.div_ceil(SAMPLE).max(1);
        let mut sample = Vec::new();
        let (mut step, mut next) = (0, 0);
        for sequence in 0..part.sequences() {
            let start = part.range(sequence).start;
            while next < step + part.lengths[sequence] {
                let first = start + (next - step) * part.width;
                match group {
                    Group::Feature(feature) => {
                        let at = first + feature;
                        part.values
                            .for_each(at..at + 1, |_, value| sample.push(value));
                    }
                    // Other features in every step.
                    Group::All => part.values.for_each(first..first + part.width, |i, value| {
                        if (i + next).is_multiple_of(61) {
                            sample.push(value);
                        }
                    }),
                }
                next += stride;
            }
            step += part.lengths[sequence];
        }
        if sample.len() < 8 {
            return None;
        }
        sample.sort_by(f32::total_cmp);
        let quantile = |share: usize| f64::from(sample[sample.len() * share / 4]);
        Some(Middle {
            median: quantile(2),
            deviation: (quantile(3) - quantile(1)) / 1.349,
        })
    }

    fn is_flattened_by(self, deviation: f64) -> bool {
        self.deviation > 0.0 && deviation > FLATTENED * self.deviation
    }
}

/// The value that lies furthest from the median.
fn furthest(part: &Part, group: Group, middle: Middle) -> Outlier {
    let mut found = Outlier {
        sequence: 0,
        step: 0,
        feature: 0,
        value: middle.median,
        median: middle.median,
        within: 0.6745 * middle.deviation,
    };
    for sequence in 0..part.sequences() {
        let mut at = 0;
        part.values.for_each(part.range(sequence), |_, value| {
            let (step, feature) = (at / part.width, at % part.width);
            at += 1;
            let value = f64::from(value);
            let is_nearer = (value - middle.median).abs() <= (found.value - middle.median).abs();
            if is_nearer || !(group == Group::All || group == Group::Feature(feature)) {
                return;
            }
            found = Outlier {
                sequence,
                step,
                feature,
                value,
                ..found
            };
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use std::sync::Arc;

    fn spread(mean: f64, deviation: f64) -> Spread {
        Spread { mean, deviation }
    }

    #[test]
    fn chooses_what_fits_the_features() {
        // Two accelerations, a turn in °/s and a pressure in Pa.
        let units = [
            spread(0.0, 1.0),
            spread(9.8, 0.7),
            spread(0.0, 60.0),
            spread(101_325.0, 40.0),
        ];
        assert_eq!(choose(&units), NormalizeOver::Feature);
        assert_eq!(choose(&units[..1]), NormalizeOver::Set);
        // Gravity on one axis.
        assert_eq!(choose(&units[..2]), NormalizeOver::Offset);
        let constant = [spread(0.0, 1.0), spread(5.0, 0.0), spread(0.1, 1.9)];
        assert_eq!(choose(&constant), NormalizeOver::Set);
        let pixels = [spread(0.0, 1.0), spread(0.0, 90.0)].repeat(40);
        assert_eq!(choose(&pixels), NormalizeOver::Set);
    }

    /// Frames of two features, feature 1 being `value`.
    fn part(value: impl Fn(usize) -> f32) -> (Part, Vec<Spread>) {
        wide_part(2, |t, feature| match feature {
            0 => (t % 7) as f32,
            _ => value(t),
        })
    }

    /// Ten sequences of a hundred frames.
    fn wide_part(width: usize, value: impl Fn(usize, usize) -> f32) -> (Part, Vec<Spread>) {
        let steps = 1000;
        let value = &value;
        let values: Vec<f32> = (0..steps)
            .flat_map(|t| (0..width).map(move |feature| value(t, feature)))
            .collect();
        let features = (0..width)
            .map(|i| {
                let of: Vec<f64> = values
                    .iter()
                    .skip(i)
                    .step_by(width)
                    .map(|&v| v.into())
                    .collect();
                let mean = of.iter().sum::<f64>() / steps as f64;
                let square = of.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                spread(mean, (square / steps as f64).sqrt())
            })
            .collect();
        let part = Part {
            values: Arc::new(Values::F32(values)),
            width,
            starts: (0..10).map(|s| s * 100 * width).collect(),
            lengths: vec![100; 10],
            targets: None,
            groups: None,
        };
        (part, features)
    }

    fn warnings(part: &Part, features: &[Spread], over: NormalizeOver) -> Vec<String> {
        let survey = of(part, features, over, false);
        let outlier = survey
            .outlier
            .map(|outlier| outlier.line(outlier.sequence, outlier.step));
        survey.warnings.into_iter().chain(outlier).collect()
    }

    #[test]
    fn tells_an_outlier_by_its_place() {
        let (part_, features) = part(|t| if t == 321 { 1e6 } else { (t % 5) as f32 });
        let told = warnings(&part_, &features, NormalizeOver::Feature);
        assert_eq!(told.len(), 1, "{told:?}");
        let place = "x_train: sequence 3, step 21, feature 1 is 1000000";
        assert!(told[0].starts_with(place), "{told:?}");
        // A code for «missing» in every tenth step.
        let (part_, features) = part(|t| if t % 10 == 9 { -9999.0 } else { (t % 5) as f32 });
        let told = warnings(&part_, &features, NormalizeOver::Set);
        assert!(
            told.iter().any(|line| line.contains("is -9999")),
            "{told:?}"
        );
        // Mostly zero, as events are: nothing strange.
        let (part_, features) = part(|t| if t % 50 == 0 { 10.0 } else { 0.0 });
        assert_eq!(warnings(&part_, &features, NormalizeOver::Set), [""; 0]);
    }

    /// Of a wide frame some features may be larger than the others: no outlier.
    #[test]
    fn tells_features_of_a_wide_frame_that_flatten_the_others() {
        let noise = |t: usize, feature: usize| ((t * 37 + feature * 101) % 97) as f32 - 48.0;
        let unlike = |t, feature: usize| {
            noise(t, feature)
                * if feature.is_multiple_of(9) {
                    500.0
                } else {
                    1.0
                }
        };
        let (part_, features) = wide_part(100, unlike);
        let told = warnings(&part_, &features, NormalizeOver::Set);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("`normalize feature`"), "{told:?}");
        assert_eq!(warnings(&part_, &features, NormalizeOver::Feature), [""; 0]);
        // One that is large now and then, but often.
        let bursts = |t: usize, feature| match feature {
            40 if t.is_multiple_of(20) => 1e5,
            40 => 0.0,
            _ => noise(t, feature),
        };
        let (part_, features) = wide_part(100, bursts);
        let told = warnings(&part_, &features, NormalizeOver::Set);
        assert!(
            told.len() == 1 && told[0].contains("`normalize feature`"),
            "{told:?}"
        );
        let one = |t, feature| match (t, feature) {
            (321, 40) => 1e6,
            _ => noise(t, feature),
        };
        let (part_, features) = wide_part(100, one);
        let told = warnings(&part_, &features, NormalizeOver::Set);
        assert_eq!(told.len(), 1, "{told:?}");
        let place = "x_train: sequence 3, step 21, feature 40 is 1000000";
        assert!(told[0].starts_with(place), "{told:?}");
    }

    #[test]
    fn tells_constant_features_and_units_that_share_a_scale() {
        let (part_, features) = part(|_| 3.0);
        let told = warnings(&part_, &features, NormalizeOver::Feature);
        assert_eq!(told, ["x_train: feature 1 is constant and tells nothing"]);
        let (part_, features) = part(|t| 100.0 * (t % 5) as f32);
        assert_eq!(warnings(&part_, &features, NormalizeOver::Feature), [""; 0]);
        let told = warnings(&part_, &features, NormalizeOver::Set);
        assert!(told[0].contains("`normalize feature`"), "{told:?}");
    }
}
