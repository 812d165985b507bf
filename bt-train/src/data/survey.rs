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
    if features.len() > SENSORS_MAX || moving().count() == 0 {
        return NormalizeOver::Set;
    }
    let [least, most] = extremes(moving().map(|feature| feature.deviation));
    // A constant one far away would take as much from the others as one that moves.
    let [lowest, highest] = extremes(features.iter().map(|feature| feature.mean));
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
    pub value: f32,
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
    let moving = || features.iter().filter(|feature| feature.deviation > 0.0);
    let [least, most] = extremes(moving().map(|feature| feature.deviation));
    let is_coarse = shares_scale && most > SCALE_TOO_COARSE * least;
    let unlike = || {
        format!(
            "x_train: features deviate by {least:.2e} to {most:.2e}, and one scale for all leaves little of the \
             small ones; `normalize feature` gives each its own"
        )
    };
    if is_coarse && choose(features) == NormalizeOver::Feature {
        survey.warnings.push(unlike());
    }
    if over == NormalizeOver::None || is_filtered {
        return survey;
    }
    let is_wide = features.len() > SENSORS_MAX;
    match flattened(part, features, over) {
        Some(Flattened::By(outlier)) => survey.outlier = Some(outlier),
        Some(Flattened::ByFeatures) if is_wide && is_coarse => survey.warnings.push(unlike()),
        Some(Flattened::ByFeatures) if over == NormalizeOver::Set => {
            let [lowest, highest] = extremes(features.iter().map(|feature| feature.mean));
            survey.warnings.push(format!(
                "x_train: features have means from {lowest:.2e} to {highest:.2e} and deviate by {most:.2e} at most, of \
                 which one offset for all leaves little; `normalize offset` gives each its own"
            ));
        }
        Some(Flattened::ByFeatures) | None => {}
    }
    survey
}

/// What most values are flattened by.
enum Flattened {
    /// One value, or a few.
    By(Outlier),
    /// Features of a wide frame that lie or vary far from the others.
    ByFeatures,
}

/// Values that are flattened by others far away: of all features of a wide frame that share a scale, or of one that has
/// its own.
fn flattened(part: &Part, features: &[Spread], over: NormalizeOver) -> Option<Flattened> {
    let is_wide = features.len() > SENSORS_MAX;
    if !is_wide {
        // Of several features that which is flattened most.
        let flattened = |feature| {
            let group = Group::Feature(feature);
            let middle = group.flattened(part, features)?;
            Some((
                group,
                middle,
                group.deviation(features, middle) / middle.deviation,
            ))
        };
        let worst = (0..features.len()).filter_map(flattened);
        let (group, middle, _) = worst.max_by(|(.., a), (.., b)| a.total_cmp(b))?;
        return Some(Flattened::By(group.furthest(part, features, middle)));
    }
    if over == NormalizeOver::Feature {
        // The feature with the value furthest out for its deviation speaks for all.
        let feature = most_extreme(part, features)?;
        let middle = flattened_by_few(part, features, feature)?;
        let group = Group::Feature(feature);
        return Some(Flattened::By(group.furthest(part, features, middle)));
    }
    let group = match over {
        NormalizeOver::Offset => Group::Centred,
        _ => Group::All,
    };
    let middle = group.flattened(part, features)?;
    let outlier = group.furthest(part, features, middle);
    // The feature may be as it is all the time.
    Some(match flattened_by_few(part, features, outlier.feature) {
        Some(_) => Flattened::By(outlier),
        None => Flattened::ByFeatures,
    })
}

/// The middle half of a feature of a wide frame that owes its deviation to few values.
fn flattened_by_few(part: &Part, features: &[Spread], feature: usize) -> Option<Middle> {
    let group = Group::Feature(feature);
    let middle = group.middle(part, features)?;
    if middle.deviation > 0.0 {
        let deviation = group.deviation(features, middle);
        return Some(middle).filter(|middle| middle.is_flattened_by(deviation));
    }
    // Half of the values are one: the others are few, or happen now and then.
    let (mut others, mut count) = (0, 0);
    group.for_each(part, features, |_, value| {
        count += 1;
        others += usize::from(value != middle.median);
    });
    (1..=1 + count / RARE).contains(&others).then_some(middle)
}

/// Of so many values at most one more is rare.
const RARE: usize = 200;

/// The feature that has the value furthest from its mean, by its deviation.
fn most_extreme(part: &Part, features: &[Spread]) -> Option<usize> {
    let mut most = vec![0.0f64; features.len()];
    Group::Centred.for_each(part, features, |(_, _, feature), value| {
        most[feature] = most[feature].max(value.abs());
    });
    let far = |feature: usize| most[feature] / features[feature].deviation;
    (0..features.len())
        .filter(|&feature| features[feature].deviation > 0.0)
        .max_by(|&a, &b| far(a).total_cmp(&far(b)))
}

/// Values that are looked at together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Group {
    All,
    /// All, each less the mean of its feature.
    Centred,
    Feature(usize),
}

impl Group {
    /// What is taken off a feature's values; none where they are not looked at.
    fn offset(self, features: &[Spread], feature: usize) -> Option<f64> {
        match self {
            Group::All => Some(0.0),
            Group::Centred => Some(features[feature].mean),
            Group::Feature(own) => (own == feature).then_some(0.0),
        }
    }

    /// Every value with its sequence, step and feature.
    fn for_each(
        self,
        part: &Part,
        features: &[Spread],
        mut look: impl FnMut((usize, usize, usize), f64),
    ) {
        let offsets: Vec<Option<f64>> = (0..features.len())
            .map(|feature| self.offset(features, feature))
            .collect();
        for sequence in 0..part.sequences() {
            let mut at = 0;
            part.values.for_each(part.range(sequence), |_, value| {
                let (step, feature) = (at / part.width, at % part.width);
                at += 1;
                if let Some(offset) = offsets[feature] {
                    look((sequence, step, feature), f64::from(value) - offset);
                }
            });
        }
    }

    /// The middle half of the values, by a sample; none of too few.
    fn middle(self, part: &Part, features: &[Spread]) -> Option<Middle> {
        let steps: usize = part.lengths.iter().sum();
        let stride = steps.div_ceil(SAMPLE).max(1);
        let mut sample = Vec::new();
        let (mut step, mut next) = (0, 0);
        for sequence in 0..part.sequences() {
            let start = part.range(sequence).start;
            while next < step + part.lengths[sequence] {
                let first = start + (next - step) * part.width;
                let mut take = |feature: usize, value: f32| {
                    let offset = self.offset(features, feature);
                    sample.extend(offset.map(|offset| f64::from(value) - offset));
                };
                match self {
                    Group::Feature(feature) => {
                        let at = first + feature;
                        part.values
                            .for_each(at..at + 1, |_, value| take(feature, value));
                    }
                    // Other features in every step.
                    Group::All | Group::Centred => {
                        let mut feature = 0;
                        part.values.for_each(first..first + part.width, |i, value| {
                            if (i + next).is_multiple_of(61) {
                                take(feature, value);
                            }
                            feature += 1;
                        });
                    }
                }
                next += stride;
            }
            step += part.lengths[sequence];
        }
        if sample.len() < 8 {
            return None;
        }
        sample.sort_by(f64::total_cmp);
        let quantile = |share: usize| sample[sample.len() * share / 4];
        Some(Middle {
            median: quantile(2),
            deviation: (quantile(3) - quantile(1)) / 1.349,
        })
    }

    /// The deviation of the values from the median.
    fn deviation(self, features: &[Spread], middle: Middle) -> f64 {
        let (mut squares, mut count) = (0.0, 0);
        for (feature, spread) in features.iter().enumerate() {
            if let Some(offset) = self.offset(features, feature) {
                squares +=
                    spread.deviation.powi(2) + (spread.mean - offset - middle.median).powi(2);
                count += 1;
            }
        }
        (squares / f64::from(count)).sqrt()
    }

    /// The middle half, where the deviation is far larger than it makes likely.
    fn flattened(self, part: &Part, features: &[Spread]) -> Option<Middle> {
        let middle = self.middle(part, features)?;
        let deviation = self.deviation(features, middle);
        Some(middle).filter(|middle| middle.is_flattened_by(deviation))
    }

    /// The value that lies furthest from the median.
    fn furthest(self, part: &Part, features: &[Spread], middle: Middle) -> Outlier {
        let Middle { median, deviation } = middle;
        let (mut most, mut place) = (median, (0, 0, 0));
        self.for_each(part, features, |at, value| {
            if (value - median).abs() > (most - median).abs() {
                (most, place) = (value, at);
            }
        });
        let (sequence, step, feature) = place;
        let offset = self.offset(features, feature).unwrap_or(0.0);
        Outlier {
            sequence,
            step,
            feature,
            value: (most + offset) as f32,
            median: median + offset,
            within: 0.6745 * deviation,
        }
    }
}

/// The middle half of a group's values.
#[derive(Debug, Clone, Copy)]
struct Middle {
    median: f64,
    /// The standard deviation of normal values with such a middle half.
    deviation: f64,
}

impl Middle {
    fn is_flattened_by(self, deviation: f64) -> bool {
        self.deviation > 0.0 && deviation > FLATTENED * self.deviation
    }
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
        // One that never moves, far from one that does, and from several.
        let far = [spread(0.0, 1.0), spread(1000.0, 0.0), spread(0.1, 1.9)];
        for some in [&far[..2], &far[..]] {
            assert_eq!(choose(some), NormalizeOver::Offset);
        }
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

    /// What cures an offset, or differing scales, is not asked for where it has been taken.
    #[test]
    fn a_wide_frame_is_told_what_is_wrong_with_it() {
        let noise = |t: usize, feature: usize| ((t * 37 + feature * 101) % 97) as f32 - 48.0;
        let only = |part: &Part, features: &[Spread], over, expected: &str| {
            let told = warnings(part, features, over);
            assert!(
                told.len() == 1 && told[0].contains(expected),
                "{over:?}: {told:?}"
            );
        };
        // One feature far away from all others, which varies as they do.
        let (part_, features) = wide_part(100, |t, feature| {
            noise(t, feature) + if feature == 3 { 1e5 } else { 0.0 }
        });
        only(&part_, &features, NormalizeOver::Set, "`normalize offset`");
        for over in [NormalizeOver::Offset, NormalizeOver::Feature] {
            assert_eq!(warnings(&part_, &features, over), [""; 0], "{over:?}");
        }
        // And one that does not vary at all.
        let (part_, features) = wide_part(100, |t, feature| match feature {
            3 => 1e5,
            _ => noise(t, feature),
        });
        let told = warnings(&part_, &features, NormalizeOver::Set);
        assert!(
            told.len() == 2 && told[1].contains("`normalize offset`"),
            "{told:?}"
        );
        for over in [NormalizeOver::Offset, NormalizeOver::Feature] {
            assert_eq!(warnings(&part_, &features, over).len(), 1, "{over:?}");
        }
        // An outlier beside it, whatever is taken, and beside a feature of a far larger scale.
        for (scale, offset) in [(1.0, 1e5), (1e6, 0.0)] {
            let (part_, features) = wide_part(100, |t, feature| match (t, feature) {
                (321, 40) => 3e5,
                (_, 3) => scale * noise(t, feature) + offset,
                _ => noise(t, feature),
            });
            let place = "x_train: sequence 3, step 21, feature 40 is 300000";
            only(&part_, &features, NormalizeOver::Feature, place);
            if scale == 1.0 {
                only(&part_, &features, NormalizeOver::Offset, place);
            }
        }
        // In a feature that is nothing else, and of few steps.
        let (part_, features) = wide_part(100, |t, feature| match (t, feature) {
            (321, 40) => 1e6,
            (_, 40) => 0.0,
            _ => noise(t, feature),
        });
        let place = "x_train: sequence 3, step 21, feature 40 is 1000000";
        for over in [NormalizeOver::Set, NormalizeOver::Feature] {
            only(&part_, &features, over, place);
        }
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
