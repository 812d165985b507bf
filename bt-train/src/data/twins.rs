//! Sequences with the same values: in two parts, or with two labels.

use crate::data::hash::Fnv;
use crate::data::{DataSet, Part, PartName};
use std::collections::HashMap;

/// A sequence of a part by its index.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    part: PartName,
    sequence: usize,
    label: Option<usize>,
}

/// How many sequences have a twin, and the first of them.
#[derive(Default)]
struct Twins {
    count: usize,
    first: Option<(Place, Place)>,
}

impl Twins {
    fn add(&mut self, one: Place, other: Place) {
        self.count += 1;
        self.first.get_or_insert((one, other));
    }
}

/// A line for each two parts of `set` that share sequences, and one for those with two labels.
/// `unasked_test` is a test part that is looked at too where the set has none; `name` tells a person which
/// sequence is meant.
pub fn warnings(
    set: &DataSet,
    unasked_test: Option<&Part>,
    name: impl Fn(PartName, usize) -> String,
) -> Vec<String> {
    let parts = [
        (PartName::Train, set.train.as_ref()),
        (PartName::Validation, set.validation.as_ref()),
        (PartName::Test, set.test.as_ref().or(unasked_test)),
    ];
    let parts = parts
        .into_iter()
        .filter_map(|(name, part)| Some((name, part?)));
    among(&parts.collect::<Vec<_>>(), name)
}

/// As [`warnings`], of these parts. Sequences are compared by a hash of length and values.
fn among(parts: &[(PartName, &Part)], name: impl Fn(PartName, usize) -> String) -> Vec<String> {
    // Where each content was met first, in each part.
    let mut met: HashMap<u64, Vec<Place>> = HashMap::new();
    let mut shared: Vec<((PartName, PartName), Twins)> = Vec::new();
    let mut labelled = Twins::default();
    for &(part_name, part) in parts {
        for sequence in 0..part.sequences() {
            let place = Place {
                part: part_name,
                sequence,
                label: part
                    .targets
                    .as_ref()
                    .and_then(|targets| targets.label(sequence)),
            };
            let places = met.entry(content(part, sequence)).or_default();
            let other_label =
                |other: &&Place| other.label.zip(place.label).is_some_and(|(a, b)| a != b);
            if let Some(&other) = places.iter().find(other_label) {
                labelled.add(other, place);
            }
            for &other in places.iter().filter(|other| other.part != part_name) {
                let pair = (other.part, part_name);
                let at = shared.iter().position(|(found, _)| *found == pair);
                let at = at.unwrap_or_else(|| {
                    shared.push((pair, Twins::default()));
                    shared.len() - 1
                });
                shared[at].1.add(other, place);
            }
            if places.iter().all(|other| other.part != part_name) {
                places.push(place);
            }
        }
    }
    let example = |twins: &Twins| {
        twins.first.map_or_else(String::new, |(one, other)| {
            let name = |place: Place| name(place.part, place.sequence);
            format!("such as {} and {}", name(one), name(other))
        })
    };
    let mut lines: Vec<String> = shared
        .iter()
        .map(|((one, other), twins)| {
            format!(
                "{} of the {} part with the values of one of the {} part, {}; drop them from one of the two",
                counted(twins.count),
                other.word(),
                one.word(),
                example(twins)
            )
        })
        .collect();
    if labelled.count > 0 {
        lines.push(format!(
            "{} with the values of one with another label, {}; correct the labels or drop them",
            counted(labelled.count),
            example(&labelled)
        ));
    }
    lines
}

fn counted(count: usize) -> String {
    format!("{count} sequence{}", if count == 1 { "" } else { "s" })
}

fn content(part: &Part, sequence: usize) -> u64 {
    let mut hash = Fnv::default();
    hash.add(part.lengths[sequence] as u64);
    part.values.for_each(part.range(sequence), |_, value| {
        hash.add(u64::from(value.to_bits()));
    });
    hash.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use std::sync::Arc;

    /// Sequences of one value each.
    fn part(values: &[u8], labels: &[usize]) -> Part {
        Part {
            values: Arc::new(Values::U8(values.to_vec())),
            width: 1,
            starts: (0..values.len()).collect(),
            lengths: vec![1; values.len()],
            targets: Some(labels.to_vec().into()),
            groups: None,
        }
    }

    #[test]
    fn twins_in_two_parts_or_under_two_labels_are_counted() {
        let name = |part: PartName, sequence| format!("{}{sequence}", part.suffix());
        let train = part(&[5, 6, 7, 6], &[0, 0, 1, 0]);
        let test = part(&[8, 6, 7, 7], &[0, 0, 1, 0]);
        let parts = [(PartName::Train, &train), (PartName::Test, &test)];
        assert_eq!(
            among(&parts, name),
            [
                "3 sequences of the test part with the values of one of the training part, such as train1 and test1; drop them from one of the two",
                "1 sequence with the values of one with another label, such as train2 and test3; correct the labels or drop them",
            ]
        );
        // The same label twice within a part is nothing to tell.
        assert!(among(&parts[..1], name).is_empty());
        // A longer one is another one.
        let mut longer = part(&[6, 0], &[0]);
        (longer.starts, longer.lengths) = (vec![0], vec![2]);
        assert!(among(&[parts[0], (PartName::Test, &longer)], name).is_empty());
    }
}
