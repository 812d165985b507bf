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

/// What a user should know of the values, a line each; `over` is what offset and scale are taken over. Where the
/// features are those of what a filter passes, the values themselves say nothing about single ones.
pub(super) fn warnings(
    part: &Part,
    features: &[Spread],
    over: NormalizeOver,
    is_filtered: bool,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let constant: Vec<usize> = (0..features.len())
        .filter(|&i| features[i].deviation == 0.0)
        .collect();
    match &constant[..] {
        [] => {}
        [only] => warnings.push(format!(
            "x_train: feature {only} is constant and tells nothing"
        )),
        [first, second, ..] => warnings.push(format!(
            "x_train: {} of {} features are constant and tell nothing: {first}, {second}{}",
            constant.len(),
            features.len(),
            if constant.len() > 2 { ", …" } else { "" }
        )),
    }
    let moving = features.iter().filter(|feature| feature.deviation > 0.0);
    let [least, most] = extremes(moving.map(|feature| feature.deviation));
    if matches!(over, NormalizeOver::Set | NormalizeOver::Offset)
        && choose(features) == NormalizeOver::Feature
        && most > SCALE_TOO_COARSE * least
    {
        warnings.push(format!(
            "x_train: features deviate by {least:.2e} to {most:.2e}, and one scale for all leaves little of the \
             small ones; `normalize feature` gives each its own"
        ));
    }
    if over != NormalizeOver::None && !is_filtered {
        warnings.extend(flattened(part, features));
    }
    warnings
}

/// Features that a few values far away from the others flatten.
fn flattened(part: &Part, features: &[Spread]) -> Option<String> {
    let is_wide = features.len() > SENSORS_MAX;
    let groups = if is_wide { 1 } else { features.len() };
    let steps: usize = part.lengths.iter().sum();
    let stride = steps.div_ceil(SAMPLE).max(1);
    let mut samples = vec![Vec::new(); groups];
    let (mut step, mut next) = (0, 0);
    for sequence in 0..part.sequences() {
        let range = part.range(sequence);
        while next < step + part.lengths[sequence] {
            let first = range.start + (next - step) * part.width;
            // Of a wide frame other features in every step.
            let skip = if is_wide { 61 } else { 1 };
            part.values.for_each(first..first + part.width, |i, value| {
                if (i + next).is_multiple_of(skip) {
                    samples[i % groups].push(value);
                }
            });
            next += stride;
        }
        step += part.lengths[sequence];
    }
    for (group, sample) in samples.iter_mut().enumerate() {
        sample.sort_by(f32::total_cmp);
        let quantile = |share: usize| f64::from(sample[sample.len() * share / 4]);
        if sample.len() < 8 {
            continue;
        }
        let (median, middle) = (quantile(2), (quantile(3) - quantile(1)) / 1.349);
        let of = |i: usize| groups == 1 || i == group;
        let deviation = features
            .iter()
            .enumerate()
            .filter(|(i, _)| of(*i))
            .map(|(_, feature)| feature.deviation.powi(2) + (feature.mean - median).powi(2))
            .sum::<f64>()
            / features.len().div_ceil(groups).max(1) as f64;
        if middle > 0.0 && deviation.sqrt() > FLATTENED * middle {
            return Some(tell(part, of, median, middle));
        }
    }
    None
}

/// Names the value that lies furthest from the median.
fn tell(part: &Part, of: impl Fn(usize) -> bool, median: f64, middle: f64) -> String {
    let (mut furthest, mut place) = (median, (0, 0, 0));
    for sequence in 0..part.sequences() {
        let mut at = 0;
        part.values.for_each(part.range(sequence), |_, value| {
            let (step, feature) = (at / part.width, at % part.width);
            at += 1;
            let value = f64::from(value);
            if of(feature) && (value - median).abs() > (furthest - median).abs() {
                (furthest, place) = (value, (sequence, step, feature));
            }
        });
    }
    let (sequence, step, feature) = place;
    format!(
        "x_train: sequence {sequence}, step {step}, feature {feature} is {furthest}, where half of the values lie \
         within {:.2e} of {median:.4}; values so far away flatten all others, on the device above all: where they \
         are no measurements, take them out or cut them off",
        0.6745 * middle
    )
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
        let steps = 1000;
        let values: Vec<f32> = (0..steps)
            .flat_map(|t| [(t % 7) as f32, value(t)])
            .collect();
        let features = (0..2)
            .map(|i| {
                let of: Vec<f64> = values
                    .iter()
                    .skip(i)
                    .step_by(2)
                    .map(|&v| v.into())
                    .collect();
                let mean = of.iter().sum::<f64>() / steps as f64;
                let square = of.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                spread(mean, (square / steps as f64).sqrt())
            })
            .collect();
        let part = Part {
            values: Arc::new(Values::F32(values)),
            width: 2,
            starts: (0..10).map(|s| s * 200).collect(),
            lengths: vec![100; 10],
            targets: None,
            groups: None,
        };
        (part, features)
    }

    #[test]
    fn tells_an_outlier_by_its_place() {
        let (part_, features) = part(|t| if t == 321 { 1e6 } else { (t % 5) as f32 });
        let told = warnings(&part_, &features, NormalizeOver::Feature, false);
        assert_eq!(told.len(), 1, "{told:?}");
        let place = "x_train: sequence 3, step 21, feature 1 is 1000000";
        assert!(told[0].starts_with(place), "{told:?}");
        // A code for «missing» in every tenth step.
        let (part_, features) = part(|t| if t % 10 == 9 { -9999.0 } else { (t % 5) as f32 });
        let told = warnings(&part_, &features, NormalizeOver::Set, false);
        assert!(
            told.iter().any(|line| line.contains("is -9999")),
            "{told:?}"
        );
        // Mostly zero, as events are: nothing strange.
        let (part_, features) = part(|t| if t % 50 == 0 { 10.0 } else { 0.0 });
        assert_eq!(
            warnings(&part_, &features, NormalizeOver::Set, false),
            [""; 0]
        );
    }

    #[test]
    fn tells_constant_features_and_units_that_share_a_scale() {
        let (part_, features) = part(|_| 3.0);
        let told = warnings(&part_, &features, NormalizeOver::Feature, false);
        assert_eq!(told, ["x_train: feature 1 is constant and tells nothing"]);
        let (part_, features) = part(|t| 100.0 * (t % 5) as f32);
        assert_eq!(
            warnings(&part_, &features, NormalizeOver::Feature, false),
            [""; 0]
        );
        let told = warnings(&part_, &features, NormalizeOver::Set, false);
        assert!(told[0].contains("`normalize feature`"), "{told:?}");
    }
}
