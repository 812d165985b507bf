//! Which training sequences serve for validation.

use crate::data::Part;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Indices of a part's sequences that learn and that validate, each ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Sequences to learn from.
    pub train: Vec<usize>,
    /// Sequences to choose the best epoch by.
    pub validation: Vec<usize>,
}

/// Sets about `fraction` of the sequences apart: whole groups where the part
/// has groups, otherwise so many of each class where sequences have one. The
/// same seed gives the same split.
pub fn split(part: &Part, fraction: f32, seed: u64) -> Split {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let label = |sequence| part.targets.as_ref()?.label(sequence);
    let keys: Vec<i64> = match &part.groups {
        Some(groups) => groups.clone(),
        None => (0..part.sequences())
            .map(|sequence| label(sequence).map_or(0, |label| label as i64))
            .collect(),
    };
    let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (sequence, key) in keys.into_iter().enumerate() {
        members.entry(key).or_default().push(sequence);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    let mut validation = if part.groups.is_some() {
        whole_groups(members, fraction, part.sequences(), &mut rng)
    } else {
        so_many_of_each(members, fraction, &mut rng)
    };
    validation.sort_unstable();
    let train = (0..part.sequences())
        .filter(|sequence| validation.binary_search(sequence).is_err())
        .collect();
    Split { train, validation }
}

/// Whole groups in random order until the next would lead further from the
/// fraction than stopping; at least one where there are two.
fn whole_groups(
    mut groups: Vec<Vec<usize>>,
    fraction: f32,
    sequences: usize,
    rng: &mut impl Rng,
) -> Vec<usize> {
    if groups.len() < 2 || fraction <= 0.0 {
        return Vec::new();
    }
    groups.shuffle(rng);
    groups.pop();
    let wanted = fraction * sequences as f32;
    let mut validation: Vec<usize> = Vec::new();
    for group in groups {
        let (before, after) = (validation.len(), validation.len() + group.len());
        if before > 0 && (after as f32 - wanted).abs() >= (before as f32 - wanted).abs() {
            break;
        }
        validation.extend(group);
    }
    validation
}

/// The fraction of each class, rounded; a class never loses its last sequence.
fn so_many_of_each(classes: Vec<Vec<usize>>, fraction: f32, rng: &mut impl Rng) -> Vec<usize> {
    let mut validation = Vec::new();
    for mut class in classes {
        class.shuffle(rng);
        let count = (fraction * class.len() as f32).round() as usize;
        validation.extend(&class[..count.min(class.len() - 1)]);
    }
    validation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use std::sync::Arc;

    fn part(labels: Vec<usize>, groups: Option<Vec<i64>>) -> Part {
        Part {
            values: Arc::new(Values::U8(vec![0; labels.len()])),
            width: 1,
            starts: (0..labels.len()).collect(),
            lengths: vec![1; labels.len()],
            targets: Some(labels.into()),
            groups,
        }
    }

    #[test]
    fn takes_the_fraction_of_every_class() {
        let labels: Vec<usize> = (0..100).map(|i| i % 4).collect();
        let part = part(labels.clone(), None);
        let split = split(&part, 0.2, 7);
        assert_eq!(split.validation.len(), 20);
        assert_eq!(split.train.len(), 80);
        for class in 0..4 {
            let count = split.validation.iter().filter(|&&s| labels[s] == class);
            assert_eq!(count.count(), 5);
        }
        assert_eq!(split, super::split(&part, 0.2, 7));
        assert_ne!(split, super::split(&part, 0.2, 8));
    }

    #[test]
    fn keeps_groups_whole() {
        let groups: Vec<i64> = (0..90).map(|i| i64::from(i) / 10).collect();
        let part = part(vec![0; 90], Some(groups.clone()));
        let split = split(&part, 0.2, 1);
        assert_eq!(split.validation.len(), 20);
        for &s in &split.validation {
            assert!(!split.train.iter().any(|&t| groups[t] == groups[s]));
        }
    }

    #[test]
    fn leaves_each_class_something_to_learn() {
        let split = split(&part(vec![0, 1], None), 0.9, 1);
        assert_eq!(split.train, [0, 1]);
    }
}
