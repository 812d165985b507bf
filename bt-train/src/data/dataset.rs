//! Sequences in memory, in the type their file had, and batches of them as floats.

use crate::data::hash::Fnv;
use crate::data::{Normalization, Values};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::ModelConfig;
use ndarray::Array3;
use std::ops::Range;
use std::sync::Arc;

/// The parts of a data set that were asked for.
#[derive(Debug, Clone, Default)]
pub struct DataSet {
    /// Sequences to learn from.
    pub train: Option<Part>,
    /// Sequences to choose the best epoch by, where the data set sets some apart.
    pub validation: Option<Part>,
    /// Sequences for the final figure only.
    pub test: Option<Part>,
    /// Names of the classes; empty when the data set has none.
    pub labels: Vec<String>,
    /// Samples a second, when the values are sound.
    pub sample_rate: Option<u32>,
    /// What is strange about the data, a line each, though they can be used.
    pub warnings: Vec<String>,
}

/// One part of a data set by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartName {
    /// `x_train`.
    Train,
    /// `x_val`.
    Validation,
    /// `x_test`.
    Test,
}

impl PartName {
    /// The ending of its arrays' names.
    pub fn suffix(self) -> &'static str {
        match self {
            PartName::Train => "train",
            PartName::Validation => "val",
            PartName::Test => "test",
        }
    }

    /// What people call it: the … part.
    pub fn word(self) -> &'static str {
        match self {
            PartName::Train => "training",
            PartName::Validation => "validation",
            PartName::Test => "test",
        }
    }
}

impl DataSet {
    /// A part that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn part(&self, name: PartName) -> Result<&Part> {
        let part = match name {
            PartName::Train => &self.train,
            PartName::Validation => &self.validation,
            PartName::Test => &self.test,
        };
        part.as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Missing).field(format!("x_{}", name.suffix())))
    }

    /// The parts as a session of the model is fed: samples where it has a front end, frames
    /// otherwise.
    ///
    /// # Errors
    /// When a part does not fit the model.
    pub fn raw_for_model(self, config: &ModelConfig) -> Result<DataSet> {
        if let (Some(front_end), Some(found)) = (&config.front_end, self.sample_rate)
            && front_end.sample_rate_hz != found
        {
            return Err(Error::mismatch(
                "samples a second",
                found as usize,
                front_end.sample_rate_hz as usize,
                "the model takes",
            )
            .remedy("resample the recordings"));
        }
        if let Some(front_end) = &config.front_end {
            front_end.section()?;
        }
        self.map_parts(|part| {
            if let Some(front_end) = &config.front_end {
                part.check_samples(front_end)?;
                return Ok(part.clone());
            }
            let width = config.data_width();
            if part.width == width {
                return Ok(part.clone());
            }
            Err(
                Error::mismatch("features a step", part.width, width, "the model takes")
                    .remedy("use the data set that the model was trained for"),
            )
        })
    }

    /// The parts as the float model takes them: frames.
    ///
    /// # Errors
    /// When a part does not fit the model.
    pub fn for_model(self, config: &ModelConfig) -> Result<DataSet> {
        let raw = self.raw_for_model(config)?;
        match &config.front_end {
            Some(front_end) => raw.map_parts(|part| part.features(front_end)),
            None => Ok(raw),
        }
    }

    /// A number that tells one training and validation part from another: of all that is learned
    /// from, values, classes, lengths and groups (FNV-1a of 64 bits).
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        let mut add = |word: u64| hash.add(word);
        for part in [&self.train, &self.validation].into_iter().flatten() {
            add(part.width as u64);
            for sequence in 0..part.sequences() {
                add(part.lengths[sequence] as u64);
                if let Some(labels) = &part.labels {
                    add(labels[sequence] as u64);
                }
                if let Some(groups) = &part.groups {
                    add(groups[sequence] as u64);
                }
                let range = part.range(sequence);
                part.values
                    .for_each(range, |_, value| add(u64::from(value.to_bits())));
            }
        }
        hash.0
    }

    fn map_parts(mut self, map: impl Fn(&Part) -> Result<Part>) -> Result<DataSet> {
        for (name, part) in [
            (PartName::Train, &mut self.train),
            (PartName::Validation, &mut self.validation),
            (PartName::Test, &mut self.test),
        ] {
            if let Some(part) = part {
                *part = map(part).map_err(|error| error.field(format!("x_{}", name.suffix())))?;
            }
        }
        Ok(self)
    }

    /// Number of classes: that of the labels, or else the largest label used for training plus one.
    pub fn classes(&self) -> usize {
        let used = [&self.train, &self.validation]
            .into_iter()
            .flatten()
            .filter_map(|part| part.labels.as_ref())
            .flat_map(|labels| labels.iter().map(|&label| label + 1))
            .max()
            .unwrap_or(0);
        self.labels.len().max(used)
    }
}

/// Checks that a model has a class for every label.
///
/// # Errors
/// Gives the first label that it has none for.
pub fn check_labels(labels: &[usize], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| label >= classes) {
        Some(index) => Err(Error::new(ErrorKind::Range {
            found: labels[index] as i64,
            index,
            low: 0,
            high: classes as i64 - 1,
        })
        .remedy(format!("the model tells {classes} classes apart"))),
        None => Ok(()),
    }
}

/// Sequences with their labels. Several parts may share the values.
#[derive(Debug, Clone)]
pub struct Part {
    /// All values; sequence s has `lengths[s] * width` of them from `starts[s]` on.
    pub values: Arc<Values>,
    /// Values of one step.
    pub width: usize,
    /// Index of each sequence's first value.
    pub starts: Vec<usize>,
    /// Valid steps of each sequence, at least 1.
    pub lengths: Vec<usize>,
    /// Class of each sequence, where known.
    pub labels: Option<Vec<usize>>,
    /// What validation must not tear apart: a user, a recording.
    pub groups: Option<Vec<i64>>,
}

impl Part {
    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.lengths.len()
    }

    /// Where the valid values of a sequence lie.
    pub fn range(&self, sequence: usize) -> Range<usize> {
        let start = self.starts[sequence];
        start..start + self.lengths[sequence] * self.width
    }

    /// The classes, which must be known.
    ///
    /// # Errors
    /// When the part has none.
    pub fn known_labels(&self, name: PartName) -> Result<&[usize]> {
        self.labels.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Missing)
                .field(format!("y_{}", name.suffix()))
                .remedy("save the class of each sequence under this name")
        })
    }

    /// The sequences of these indices, sharing the values.
    pub fn subset(&self, sequences: &[usize]) -> Part {
        let pick = |all: &[usize]| sequences.iter().map(|&s| all[s]).collect::<Vec<_>>();
        Part {
            values: Arc::clone(&self.values),
            width: self.width,
            starts: pick(&self.starts),
            lengths: pick(&self.lengths),
            labels: self.labels.as_deref().map(pick),
            groups: self
                .groups
                .as_ref()
                .map(|groups| sequences.iter().map(|&s| groups[s]).collect()),
        }
    }

    /// The sequences of several parts of one width and type, one part after the other.
    ///
    /// # Panics
    /// When there is no part, or they differ in width or type.
    pub fn concatenate(parts: &[Part]) -> Part {
        let mut all = parts[0].clone();
        for part in &parts[1..] {
            assert_eq!(part.width, all.width, "features a step");
            let before = all.values.len();
            Arc::make_mut(&mut all.values).extend(&part.values);
            all.starts
                .extend(part.starts.iter().map(|start| before + start));
            all.lengths.extend(&part.lengths);
            all.labels = all.labels.zip(part.labels.as_ref()).map(|(mut all, more)| {
                all.extend(more);
                all
            });
            all.groups = all.groups.zip(part.groups.as_ref()).map(|(mut all, more)| {
                all.extend(more);
                all
            });
        }
        all
    }

    /// Sequences as normalized floats, padded with zeros to the longest of
    /// them and to the width of the model.
    pub fn batch(&self, sequences: &[usize], normalization: &Normalization) -> Batch {
        let lengths: Vec<usize> = sequences.iter().map(|&s| self.lengths[s]).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let width = normalization.width;
        let mut x = Array3::zeros((sequences.len(), steps, width));
        for (mut rows, &sequence) in x.outer_iter_mut().zip(sequences) {
            let range = self.range(sequence);
            for (step, mut row) in rows
                .outer_iter_mut()
                .take(self.lengths[sequence])
                .enumerate()
            {
                let first = range.start + step * self.width;
                self.values
                    .for_each(first..first + self.width, |i, value| row[i] = value);
                for (i, value) in row.iter_mut().enumerate() {
                    *value = normalization.apply(i, *value);
                }
            }
        }
        let labels = match &self.labels {
            Some(labels) => sequences.iter().map(|&s| labels[s]).collect(),
            None => Vec::new(),
        };
        Batch { x, lengths, labels }
    }
}

/// Sequences as a model takes them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// [sequences, steps, width], normalized; zeros behind a sequence's end.
    pub x: Array3<f32>,
    /// Valid steps of each sequence.
    pub lengths: Vec<usize>,
    /// Class of each sequence; empty where not known.
    pub labels: Vec<usize>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two sequences of 1 to 6 in steps of two values; the nines behind them belong to none.
    pub fn part() -> Part {
        Part {
            values: Arc::new(Values::U8(vec![1, 2, 3, 4, 5, 6, 9, 9])),
            width: 2,
            starts: vec![0, 4],
            lengths: vec![2, 1],
            labels: Some(vec![1, 0]),
            groups: None,
        }
    }

    #[test]
    fn batches_mask_and_pad() {
        let batch = part().batch(&[1, 0], &Normalization::identity(3));
        assert_eq!(batch.lengths, [1, 2]);
        assert_eq!(batch.labels, [0, 1]);
        assert_eq!(
            batch.x,
            ndarray::array![
                [[5.0, 6.0, 0.0], [0.0, 0.0, 0.0]],
                [[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]
            ]
        );
    }

    #[test]
    fn parts_stand_one_after_the_other() {
        let both = Part::concatenate(&[part(), part().subset(&[1])]);
        assert_eq!(both.lengths, [2, 1, 1]);
        assert_eq!(both.labels.as_deref(), Some(&[1, 0, 0][..]));
        let identity = Normalization::identity(2);
        assert_eq!(both.batch(&[2], &identity).x, both.batch(&[1], &identity).x);
    }
}
