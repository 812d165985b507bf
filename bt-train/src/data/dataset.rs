//! Sequences in memory, in the type their file had, and batches of them as floats.

use crate::data::hash::Fnv;
use crate::data::{Items, Normalization, Targets, Values, memory};
use crate::error::{Error, ErrorKind, Result, With};
use crate::float::config::{HeadKind, HeadName, ModelConfig};
use bt_core::OutputKind;
use ndarray::{Array2, Array3};
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
    /// Whether these are those that occur in y, in order, so that their numbers mean nothing elsewhere.
    pub are_named_by_y: bool,
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
    /// otherwise, drawn where the model is given some of them.
    ///
    /// # Errors
    /// When a part does not fit the model.
    pub fn raw_for_model(self, config: &ModelConfig) -> Result<DataSet> {
        let set = self.checked_for_model(config)?;
        match config.input.frames {
            Some(frames) => set.map_parts(|part| part.drawn(frames)),
            None => Ok(set),
        }
    }

    /// The parts as loaded, with targets as the head gives them.
    ///
    /// # Errors
    /// When a part does not fit the model.
    fn checked_for_model(self, config: &ModelConfig) -> Result<DataSet> {
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
        let set = self.for_head(config.head.gives.name())?;
        set.check_targets(config)?;
        set.map_parts(|part| {
            if let Some(front_end) = &config.front_end {
                part.check_samples(front_end)?;
                return part.in_steps(front_end);
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

    /// Checks that a model has a class for every label, or gives as many values as there are.
    fn check_targets(&self, config: &ModelConfig) -> Result<()> {
        for (name, part) in [
            (PartName::Train, &self.train),
            (PartName::Validation, &self.validation),
            (PartName::Test, &self.test),
        ] {
            let Some(part) = part else { continue };
            let Some(targets) = &part.targets else {
                continue;
            };
            if targets.are_of_x() {
                // As many as x has values a step: what is wrong is told of x.
                continue;
            }
            let in_y = |error: Error| error.field(format!("y_{}", name.suffix()));
            targets.check(config.head.gives).map_err(in_y)?;
            let is_uncut = part.width == 1 && !targets.are_of_ticks();
            if config.front_end.is_some() && targets.every_step() && is_uncut {
                let why = "holds a target for every sample, which is no step of the model";
                let with = With::Sound;
                return Err(in_y(Error::new(ErrorKind::Conflict { with, why })).remedy(
                    "cut the sound into steps of the model, or save streams with events.csv",
                ));
            }
        }
        Ok(())
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

    /// Gives every class the number that a model has for its name, where both name theirs. Where the model does not
    /// know a name, class k stays class k of the model, whatever it is called; what should be said of that is given.
    pub fn number_classes_as(&mut self, head: HeadKind, theirs: &[String]) -> Option<String> {
        if head.kind() != OutputKind::Classes
            || head.is_next_word()
            || self.labels.is_empty()
            || (theirs.is_empty() && !self.are_named_by_y)
            || theirs.starts_with(&self.labels)
        {
            return None;
        }
        if theirs.is_empty() {
            return Some(format!(
                "labels: the model does not name its classes, and those of y are numbered as they are sorted: class 0 is \
                 `{}`",
                self.labels[0]
            ));
        }
        if let Some(unknown) = self.labels.iter().find(|label| !theirs.contains(*label)) {
            let same = self.labels.iter().zip(theirs).take_while(|(a, b)| a == b);
            let class = same.count();
            let is = |names: &[String]| match names.get(class) {
                Some(name) => format!("`{name}`"),
                None => "missing".to_owned(),
            };
            let (here, there) = (is(&self.labels), is(theirs));
            return Some(format!(
                "labels: the model has no class `{unknown}`, so classes go by their numbers: class {class} is {here} here and {there} in the model"
            ));
        }
        let place = |label: &String| theirs.iter().position(|known| known == label);
        let places: Vec<usize> = self.labels.iter().filter_map(place).collect();
        for part in [&mut self.train, &mut self.validation, &mut self.test] {
            let targets = part.as_mut().and_then(|part| part.targets.as_mut());
            if let Some(Items::Classes(classes)) = targets.map(|targets| &mut targets.items) {
                for class in classes {
                    // One beyond the names stays for the check of targets.
                    *class = places.get(*class).copied().unwrap_or(*class);
                }
            }
        }
        self.labels = theirs.to_vec();
        None
    }

    /// A number that tells one training and validation part from another: of all that is learned
    /// from, values, classes, lengths and groups (FNV-1a of 64 bits). Targets are to be as the head gives them, so that
    /// it does not matter how they were saved.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        let mut add = |word: u64| hash.add(word);
        for part in [&self.train, &self.validation].into_iter().flatten() {
            add(part.width as u64);
            for sequence in 0..part.sequences() {
                add(part.lengths[sequence] as u64);
                if let Some(targets) = part.targets.as_ref().filter(|targets| !targets.are_of_x()) {
                    targets.for_each_word(sequence, &mut add);
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

    /// Outputs that a head of this name needs: classes, as many as there are names, or else the largest used
    /// for training plus one; or values or bits, as many as an item has.
    pub fn outputs(&self, head: HeadName) -> usize {
        let parts = [&self.train, &self.validation].into_iter().flatten();
        let targets = parts.filter_map(|part| part.targets.as_ref());
        let used = targets.map(Targets::outputs).max().unwrap_or(0);
        match head.kind() {
            OutputKind::Values | OutputKind::Bits => used,
            OutputKind::Classes => self.labels.len().max(used),
        }
    }

    /// The same with targets as a head of this name gives them. Heads whose targets are the frames have a form of these
    /// of their own: see [`Part::next_frames`] and [`Part::pictures`].
    ///
    /// # Errors
    /// Names the array that does not hold them.
    pub fn for_head(mut self, head: HeadName) -> Result<DataSet> {
        for (name, part) in [
            (PartName::Train, &mut self.train),
            (PartName::Validation, &mut self.validation),
            (PartName::Test, &mut self.test),
        ] {
            let Some(part) = part else { continue };
            let read_as = part.targets.as_ref().map(Targets::name);
            let own = match head {
                _ if read_as == Some(head) => None,
                HeadName::NextBits => Some(part.next_frames()),
                HeadName::Draw => Some(part.pictures()),
                _ => None,
            };
            if let Some(own) = own {
                *part = own.map_err(|error| error.field(format!("x_{}", name.suffix())))?;
            }
            if let Some(targets) = &part.targets {
                let read = targets.read_as(head, &part.lengths);
                part.targets =
                    Some(read.map_err(|error| error.field(format!("y_{}", name.suffix())))?);
            }
        }
        Ok(self)
    }
}

/// Sequences with what is to be learned of them. Several parts may share the values.
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
    /// Their classes or values, where known.
    pub targets: Option<Targets>,
    /// What validation must not tear apart: a user, a recording, a picture.
    pub groups: Option<Vec<i64>>,
}

impl Part {
    /// A part without sequences.
    pub fn empty() -> Self {
        Part {
            values: Arc::new(Values::U8(Vec::new())),
            width: 0,
            starts: Vec::new(),
            lengths: Vec::new(),
            targets: None,
            groups: None,
        }
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.lengths.len()
    }

    /// Where the valid values of a sequence lie.
    pub fn range(&self, sequence: usize) -> Range<usize> {
        let start = self.starts[sequence];
        start..start + self.lengths[sequence] * self.width
    }

    /// The steps of the longest sequence, or of the array that the sequences lie in where those are more.
    pub fn steps(&self) -> usize {
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        let ends = self.starts.iter().skip(1).copied();
        let ends = ends.chain([self.values.len()]);
        let room = self.starts.iter().zip(ends);
        let room = room.map(|(start, end)| end.saturating_sub(*start)).min();
        longest.max(room.unwrap_or(0) / self.width.max(1))
    }

    /// The targets, which must be known.
    ///
    /// # Errors
    /// When the part has none.
    pub fn known_targets(&self, name: PartName) -> Result<&Targets> {
        self.targets.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Missing)
                .field(format!("y_{}", name.suffix()))
                .remedy("save the classes or values of its sequences under this name")
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
            targets: self.targets.as_ref().map(|all| all.subset(sequences)),
            groups: self
                .groups
                .as_ref()
                .map(|groups| sequences.iter().map(|&s| groups[s]).collect()),
        }
    }

    /// What a model learns from that draws: at step t it reads the frame before, zeros at first, and its targets are
    /// the bits of frame t. The values become bytes.
    ///
    /// # Errors
    /// Gives the first value that is no bit.
    pub fn next_frames(&self) -> Result<Part> {
        let steps: usize = self.lengths.iter().sum();
        let need = (2 * steps as u64).saturating_mul(self.width as u64);
        memory::check(need, memory::available())?;
        let mut frames = Vec::with_capacity(steps * self.width);
        let mut bits = Vec::with_capacity(steps * self.width);
        let mut starts = Vec::new();
        for sequence in 0..self.sequences() {
            let first = bits.len();
            self.push_bits(sequence, &mut bits)?;
            starts.push(frames.len());
            let before = &bits[first..bits.len() - self.width];
            frames.extend(std::iter::repeat_n(0u8, self.width));
            frames.extend(before.iter().map(|&bit| u8::from(bit)));
        }
        let bits = Array2::from_shape_vec((steps, self.width), bits).map_err(Error::malformed)?;
        Ok(Part {
            values: Arc::new(Values::U8(frames)),
            starts,
            targets: Some(Targets::of_next_frames(bits, &self.lengths)),
            ..self.clone()
        })
    }

    /// What a model learns from that draws pictures: every sequence is one, a row a step; all of it becomes one frame,
    /// as bytes, whose bits are the target too.
    ///
    /// # Errors
    /// Gives the first value that is no bit, or the size of a picture that is another than the first's.
    pub fn pictures(&self) -> Result<Part> {
        let rows = self.lengths.first().copied().unwrap_or(1);
        if let Some(&other) = self.lengths.iter().find(|&&length| length != rows) {
            return Err(
                Error::mismatch("rows", other, rows, "the first picture has")
                    .remedy("save pictures of one size"),
            );
        }
        let (count, pixels) = (self.sequences(), rows * self.width);
        let need = (2 * count as u64).saturating_mul(pixels as u64);
        memory::check(need, memory::available())?;
        let mut bits = Vec::with_capacity(count * pixels);
        for sequence in 0..count {
            self.push_bits(sequence, &mut bits)?;
        }
        let values = bits.iter().map(|&bit| u8::from(bit)).collect();
        let bits = Array2::from_shape_vec((count, pixels), bits).map_err(Error::malformed)?;
        Ok(Part {
            values: Arc::new(Values::U8(values)),
            width: pixels,
            starts: (0..count).map(|at| at * pixels).collect(),
            lengths: vec![1; count],
            targets: Some(Targets::of_pictures(bits)),
            groups: self.groups.clone(),
        })
    }

    /// The values of a sequence, which are to be bits.
    fn push_bits(&self, sequence: usize, bits: &mut Vec<bool>) -> Result<()> {
        let (range, mut wrong) = (self.range(sequence), None);
        self.values.for_each(range.clone(), |at, value| {
            if value != 0.0 && value != 1.0 {
                wrong = wrong.or(Some((range.start + at, value)));
            }
            bits.push(value == 1.0);
        });
        let Some((at, found)) = wrong else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::NoBit { found, at }).remedy("save x as zeros and ones"))
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
            let targets = all.targets.zip(part.targets.as_ref());
            all.targets = targets.map(|(all, more)| all.followed_by(more));
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
        let targets = self.targets.as_ref();
        let words = targets.and_then(|targets| targets.caption_lengths_of(sequences));
        let targets = targets.map(|targets| targets.items_of(sequences));
        Batch {
            x,
            lengths: words.unwrap_or(lengths),
            targets,
        }
    }
}

/// Sequences as a model takes them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// [sequences, steps, width], normalized; zeros behind a sequence's end. With captions a picture each, of 1 step.
    pub x: Array3<f32>,
    /// Valid steps of each sequence; with captions the words of each.
    pub lengths: Vec<usize>,
    /// What each row of the model should be, where known.
    pub targets: Option<Items>,
}

#[cfg(test)]
pub(super) mod tests;
