//! What y says of sequences: classes, values or bits, of a sequence or of each of its steps.

use crate::data::streams::TICKS;
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::{END, HeadKind, HeadName};
use crate::float::head::Wanted;
use bt_core::OutputKind;
use ndarray::{Array2, Axis, concatenate};
use std::ops::Range;

/// What is to be learned of each sequence of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// One for each sequence, or for each valid step, sequence by sequence.
    pub items: Items,
    /// Where the items of every step begin: of each sequence, and once more the end.
    steps: Option<Vec<usize>>,
    /// What they are of the sequences themselves.
    follow: Follow,
}

/// What the targets are of the sequences themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// Nothing: they were given.
    Nothing,
    /// The bits of the frames that follow, see [`Part::next_frames`](crate::data::Part::next_frames).
    Frames,
    /// The bits of the picture that a sequence is, see [`Part::pictures`](crate::data::Part::pictures).
    Pictures,
    /// The words of a caption, the last of them its end; its sequence is a picture, of one frame.
    Words,
    /// What is at each tick of a stream, see [`streams`](crate::data::streams); no steps yet.
    Time,
}

/// Classes, values or bits, item by item.
#[derive(Debug, Clone, PartialEq)]
pub enum Items {
    /// The class of each.
    Classes(Vec<usize>),
    /// The values of each, [items, K], in their own units.
    Values(Array2<f32>),
    /// The bits of each, [items, K].
    Bits(Array2<bool>),
}

impl Items {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Items::Classes(labels) => labels.len(),
            Items::Values(values) => values.nrows(),
            Items::Bits(bits) => bits.nrows(),
        }
    }

    /// What they are.
    pub fn kind(&self) -> OutputKind {
        self.wanted().kind()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As what a model's rows should have been.
    pub fn wanted(&self) -> Wanted<'_> {
        match self {
            Items::Classes(labels) => labels.into(),
            Items::Values(values) => Wanted::Values(values.view()),
            Items::Bits(bits) => Wanted::Bits(bits.view()),
        }
    }

    fn pick(&self, at: &[usize]) -> Items {
        match self {
            Items::Classes(labels) => Items::Classes(at.iter().map(|&at| labels[at]).collect()),
            Items::Values(values) => Items::Values(values.select(Axis(0), at)),
            Items::Bits(bits) => Items::Bits(bits.select(Axis(0), at)),
        }
    }
}

impl From<Vec<usize>> for Targets {
    /// The class of each sequence.
    fn from(labels: Vec<usize>) -> Targets {
        Targets::of_sequences(Items::Classes(labels))
    }
}

impl Targets {
    /// One item for each sequence.
    pub fn of_sequences(items: Items) -> Targets {
        Targets {
            items,
            steps: None,
            follow: Follow::Nothing,
        }
    }

    /// One item for each valid step of sequences of these lengths.
    ///
    /// # Panics
    /// When there are more items, or fewer.
    pub fn of_steps(items: Items, lengths: &[usize]) -> Targets {
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |end, &length| {
            *end += length;
            Some(*end)
        }));
        assert_eq!(starts.last(), Some(&items.len()), "items of steps");
        Targets {
            items,
            steps: Some(starts),
            follow: Follow::Nothing,
        }
    }

    /// The bits of the frames that follow, [steps, K], of sequences of these lengths.
    ///
    /// # Panics
    /// When there are more items, or fewer.
    pub fn of_next_frames(bits: Array2<bool>, lengths: &[usize]) -> Targets {
        Targets {
            follow: Follow::Frames,
            ..Targets::of_steps(Items::Bits(bits), lengths)
        }
    }

    /// An item for each tick of a stream, of sequences of so many ticks. They become those of steps when it is known
    /// how long these are.
    ///
    /// # Panics
    /// When there are more items, or fewer.
    pub fn of_ticks(items: Items, ticks: &[usize]) -> Targets {
        Targets {
            follow: Follow::Time,
            ..Targets::of_steps(items, ticks)
        }
    }

    /// Whether they are of ticks.
    pub fn are_of_ticks(&self) -> bool {
        self.follow == Follow::Time
    }

    /// Of ticks, those of steps of `samples` each at this rate: what is at the last sample of a step. `steps` are those
    /// of each sequence.
    pub fn at_steps(&self, steps: &[usize], (samples, rate): (usize, u32)) -> Targets {
        let mut at = Vec::with_capacity(steps.iter().sum());
        for (sequence, &count) in steps.iter().enumerate() {
            let ticks = self.range(sequence);
            at.extend((1..=count).map(|step| {
                let tick = (step * samples - 1) as u64 * TICKS as u64 / u64::from(rate);
                (ticks.start + tick as usize).min(ticks.end - 1)
            }));
        }
        Targets::of_steps(self.items.pick(&at), steps)
    }

    /// A caption for each sequence, which is a picture: its words, each caption ending in [`END`].
    pub fn of_captions(captions: &[Vec<usize>]) -> Targets {
        let lengths: Vec<usize> = captions.iter().map(Vec::len).collect();
        Targets {
            follow: Follow::Words,
            ..Targets::of_steps(Items::Classes(captions.concat()), &lengths)
        }
    }

    /// Items of each sequence, where they are words: the steps of its caption.
    pub fn caption_lengths(&self) -> Option<Vec<usize>> {
        let sequences: Vec<usize> = (0..self.sequences()).collect();
        self.caption_lengths_of(&sequences)
    }

    /// The same of some sequences, in this order.
    pub fn caption_lengths_of(&self, sequences: &[usize]) -> Option<Vec<usize>> {
        let lengths = sequences.iter().map(|&sequence| self.range(sequence).len());
        (self.follow == Follow::Words).then(|| lengths.collect())
    }

    /// The words that are read at the steps of a sequence's caption: at each the one before,
    /// [`END`] first. `None` where items are no words.
    pub fn words_read(&self, sequence: usize) -> Option<Vec<usize>> {
        let Items::Classes(words) = &self.items else {
            return None;
        };
        let own = self.range(sequence);
        let before = words[own].split_last().map(|(_, before)| before)?;
        (self.follow == Follow::Words).then(|| [&[END], before].concat())
    }

    /// The bits of pictures, [sequences, pixels].
    pub fn of_pictures(bits: Array2<bool>) -> Targets {
        Targets {
            follow: Follow::Pictures,
            ..Targets::of_sequences(Items::Bits(bits))
        }
    }

    /// What they are.
    pub fn name(&self) -> HeadName {
        match self.follow {
            Follow::Nothing | Follow::Time => {}
            Follow::Frames => return HeadName::NextBits,
            Follow::Pictures => return HeadName::Draw,
            Follow::Words => return HeadName::NextWords,
        }
        match (&self.items, self.every_step()) {
            (Items::Classes(_), false) => HeadName::Classes,
            (Items::Classes(_), true) => HeadName::StepClasses,
            (Items::Values(_), false) => HeadName::Values,
            (Items::Values(_), true) => HeadName::StepValues,
            (Items::Bits(_), false) => HeadName::Bits,
            (Items::Bits(_), true) => HeadName::StepBits,
        }
    }

    /// Whether they are the frames or pictures of x itself.
    pub fn are_of_x(&self) -> bool {
        matches!(self.follow, Follow::Frames | Follow::Pictures)
    }

    /// Whether there is one for every step.
    pub fn every_step(&self) -> bool {
        self.steps.is_some()
    }

    /// Sequences that they are of.
    pub fn sequences(&self) -> usize {
        match &self.steps {
            Some(starts) => starts.len() - 1,
            None => self.items.len(),
        }
    }

    /// The classes of all items; none where they are others.
    pub fn labels(&self) -> Option<&[usize]> {
        match &self.items {
            Items::Classes(labels) => Some(labels),
            Items::Values(_) | Items::Bits(_) => None,
        }
    }

    /// The values of all items [items, K]; none where they are others.
    pub fn values(&self) -> Option<&Array2<f32>> {
        match &self.items {
            Items::Classes(_) | Items::Bits(_) => None,
            Items::Values(values) => Some(values),
        }
    }

    /// The class of a sequence, where it has one.
    pub fn label(&self, sequence: usize) -> Option<usize> {
        let labels = self.labels().filter(|_| !self.every_step())?;
        labels.get(sequence).copied()
    }

    /// Outputs that a head needs for them: the largest class plus one, or the values or bits of an item.
    pub fn outputs(&self) -> usize {
        match &self.items {
            Items::Classes(labels) => labels.iter().map(|label| label + 1).max().unwrap_or(0),
            Items::Values(values) => values.ncols(),
            Items::Bits(bits) => bits.ncols(),
        }
    }

    /// The items of a sequence.
    pub fn range(&self, sequence: usize) -> Range<usize> {
        match &self.steps {
            Some(starts) => starts[sequence]..starts[sequence + 1],
            None => sequence..sequence + 1,
        }
    }

    /// The items of these sequences, one after the other.
    pub fn items_of(&self, sequences: &[usize]) -> Items {
        let at: Vec<usize> = sequences.iter().flat_map(|&s| self.range(s)).collect();
        self.items.pick(&at)
    }

    /// Those of these sequences.
    pub fn subset(&self, sequences: &[usize]) -> Targets {
        let items = self.items_of(sequences);
        match &self.steps {
            None => Targets {
                follow: self.follow,
                ..Targets::of_sequences(items)
            },
            Some(_) => {
                let lengths = sequences.iter().map(|&s| self.range(s).len());
                Targets {
                    follow: self.follow,
                    ..Targets::of_steps(items, &lengths.collect::<Vec<_>>())
                }
            }
        }
    }

    /// These and others of the same kind behind them.
    ///
    /// # Panics
    /// When they differ in kind.
    pub fn followed_by(&self, more: &Targets) -> Targets {
        assert_eq!(self.name(), more.name(), "targets");
        let items = match (&self.items, &more.items) {
            (Items::Classes(all), Items::Classes(more)) => {
                Items::Classes(all.iter().chain(more).copied().collect())
            }
            (Items::Values(all), Items::Values(more)) => Items::Values(
                concatenate(Axis(0), &[all.view(), more.view()]).expect("values of one K"),
            ),
            (Items::Bits(all), Items::Bits(more)) => Items::Bits(
                concatenate(Axis(0), &[all.view(), more.view()]).expect("bits of one K"),
            ),
            _ => unreachable!("of one kind"),
        };
        let steps = self.steps.as_ref().zip(more.steps.as_ref());
        let end = self.items.len();
        Targets {
            items,
            follow: self.follow,
            steps: steps.map(|(all, more)| {
                let more = more[1..].iter().map(|start| end + start);
                all.iter().copied().chain(more).collect()
            }),
        }
    }

    /// Every number of a sequence, for hashing.
    pub fn for_each_word(&self, sequence: usize, mut f: impl FnMut(u64)) {
        for item in self.range(sequence) {
            match &self.items {
                Items::Classes(labels) => f(labels[item] as u64),
                Items::Values(values) => {
                    let row = values.row(item);
                    row.iter().for_each(|value| f(value.to_bits().into()));
                }
                Items::Bits(bits) => bits.row(item).iter().for_each(|&bit| f(bit.into())),
            }
        }
    }

    /// The same numbers as what a head of this name gives, for sequences of these lengths: classes as
    /// numbers, values without a fraction as classes, zeros and ones as bits, K values of a sequence as one of each of
    /// its steps.
    ///
    /// # Errors
    /// When they are none, with what they are.
    pub fn read_as(&self, name: HeadName, lengths: &[usize]) -> Result<Targets> {
        let refused = || Targets::refused(self.name(), name);
        let is_words = |name| name == HeadName::NextWords;
        if is_words(name) != is_words(self.name()) {
            return Err(refused());
        }
        let shaped = match (self.every_step(), name.every_step()) {
            (false, true) => self.by_step(lengths).ok_or_else(refused)?,
            (true, false) => return Err(refused()),
            _ => self.clone(),
        };
        let items = match (shaped.items, name.kind()) {
            (Items::Classes(labels), OutputKind::Values) => {
                let values = labels.iter().map(|&label| label as f32).collect();
                let column = Array2::from_shape_vec((labels.len(), 1), values);
                Items::Values(column.map_err(Error::malformed)?)
            }
            (Items::Bits(bits), OutputKind::Values) => {
                Items::Values(bits.mapv(|bit| f32::from(u8::from(bit))))
            }
            (Items::Bits(bits), OutputKind::Classes) if bits.ncols() == 1 => {
                Items::Classes(bits.iter().map(|&bit| bit.into()).collect())
            }
            (Items::Bits(_), OutputKind::Classes) => return Err(refused()),
            (Items::Values(values), OutputKind::Bits) => {
                if !values.iter().all(|value| [0.0, 1.0].contains(value)) {
                    return Err(refused());
                }
                Items::Bits(values.mapv(|value| value == 1.0))
            }
            (Items::Classes(labels), OutputKind::Bits) => {
                if labels.iter().any(|&label| label > 1) {
                    return Err(refused());
                }
                let bits = labels.iter().map(|&label| label == 1).collect();
                let column = Array2::from_shape_vec((labels.len(), 1), bits);
                Items::Bits(column.map_err(Error::malformed)?)
            }
            (Items::Values(values), OutputKind::Classes) => {
                let is_class =
                    |value: &f32| (0.0..=65_535.0).contains(value) && value.fract() == 0.0;
                if values.ncols() != 1 || !values.iter().all(is_class) {
                    return Err(refused());
                }
                Items::Classes(values.iter().map(|&value| value as usize).collect())
            }
            (items, _) => items,
        };
        debug_assert_eq!(items.kind(), name.kind());
        Ok(Targets {
            items,
            steps: shaped.steps,
            follow: match name {
                HeadName::NextBits => Follow::Frames,
                HeadName::Draw => Follow::Pictures,
                HeadName::NextWords => Follow::Words,
                _ if self.are_of_ticks() => Follow::Time,
                _ => Follow::Nothing,
            },
        })
    }

    /// That they are of one kind where a head gives another.
    pub(super) fn refused(found: HeadName, expected: HeadName) -> Error {
        Error::new(ErrorKind::Targets { found, expected }).remedy(remedy(expected))
    }

    /// K values of each sequence as one value of each valid step, where K holds them.
    fn by_step(&self, lengths: &[usize]) -> Option<Targets> {
        let values = self.values()?;
        let most = lengths.iter().copied().max().unwrap_or(0);
        if values.ncols() < most {
            return None;
        }
        let rows = values.outer_iter().zip(lengths);
        let items: Vec<f32> = rows
            .flat_map(|(row, &length)| row.to_vec().into_iter().take(length))
            .collect();
        let column = Array2::from_shape_vec((items.len(), 1), items).ok()?;
        Some(Targets::of_steps(Items::Values(column), lengths))
    }

    /// Checks that a head tells all of them apart, or gives as many values.
    ///
    /// # Errors
    /// Gives the first class that it has no score for, or the number of values.
    pub fn check(&self, head: HeadKind) -> Result<()> {
        let outputs = head.outputs();
        match &self.items {
            Items::Classes(labels) => match labels.iter().position(|&label| label >= outputs) {
                Some(index) => Err(Error::new(ErrorKind::Range {
                    found: labels[index] as i64,
                    index,
                    low: 0,
                    high: outputs as i64 - 1,
                })
                .remedy(format!("the model tells {outputs} classes apart"))),
                None => Ok(()),
            },
            Items::Values(values) => same("values an item", values.ncols(), outputs),
            Items::Bits(bits) => same("bits an item", bits.ncols(), outputs),
        }
    }
}

/// That there are as many as the model gives.
fn same(what: &'static str, found: usize, outputs: usize) -> Result<()> {
    if found == outputs {
        return Ok(());
    }
    let error = Error::mismatch(what, found, outputs, "the model gives");
    Err(error.remedy("use the data set that the model was trained for"))
}

/// What y has to be for a head.
fn remedy(name: HeadName) -> &'static str {
    match name {
        HeadName::Classes => "save y as integers [sequences]",
        HeadName::StepClasses => "save y as integers [sequences, steps]",
        HeadName::Values => "save y as numbers [sequences, K]",
        HeadName::StepValues => "save y as numbers [sequences, steps, K]",
        HeadName::Bits => "save y as zeros and ones [sequences, K]",
        HeadName::StepBits => "save y as zeros and ones [sequences, steps, K]",
        // Their targets are their frames, whatever y is.
        HeadName::NextBits | HeadName::Draw => "save x as zeros and ones",
        HeadName::NextWords => {
            "save captions as `words_train` and `picture_train`, likewise of other parts"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn items_of_steps_follow_their_sequences() {
        let all = Targets::of_steps(Items::Classes(vec![0, 1, 2, 3, 4, 5]), &[2, 1, 3]);
        assert_eq!(all.range(2), 3..6);
        assert_eq!(all.items_of(&[2, 0]), Items::Classes(vec![3, 4, 5, 0, 1]));
        let some = all.subset(&[2, 0]);
        assert_eq!(some.range(1), 3..5);
        let both = some.followed_by(&all);
        assert_eq!((both.range(2), both.range(4)), (5..7, 8..11));
        assert_eq!((both.name(), both.outputs()), (HeadName::StepClasses, 6));
        assert_eq!(both.label(0), None);
        let mut words = Vec::new();
        both.for_each_word(1, |word| words.push(word));
        assert_eq!(words, [0, 1]);
    }

    #[test]
    fn numbers_are_read_as_a_head_gives_them() {
        let lengths = [2, 1];
        let classes = Targets::from(vec![3, 0]);
        let values = classes.read_as(HeadName::Values, &lengths).unwrap();
        assert_eq!(values.values(), Some(&array![[3.0], [0.0]]));
        assert_eq!(
            values.read_as(HeadName::Classes, &lengths).unwrap(),
            classes
        );
        // Two values a sequence, the second of which is behind the end of the second sequence.
        let pairs = Targets::of_sequences(Items::Values(array![[0.5, 1.0], [2.0, 9.0]]));
        let steps = pairs.read_as(HeadName::StepValues, &lengths).unwrap();
        let expected = Items::Values(array![[0.5], [1.0], [2.0]]);
        assert_eq!(steps, Targets::of_steps(expected, &lengths));
        // Zeros and ones are bits, however they are saved, and bits are numbers.
        let bits = Items::Bits(array![[false, true], [true, false]]);
        let bits = Targets::of_sequences(bits);
        let values = bits.read_as(HeadName::Values, &lengths).unwrap();
        assert_eq!(values.values(), Some(&array![[0.0, 1.0], [1.0, 0.0]]));
        assert_eq!(values.read_as(HeadName::Bits, &lengths).unwrap(), bits);
        let one = Targets::from(vec![1, 0]);
        let column = one.read_as(HeadName::Bits, &lengths).unwrap();
        assert_eq!(column.items, Items::Bits(array![[true], [false]]));
        assert_eq!(column.read_as(HeadName::Classes, &lengths).unwrap(), one);
        for (targets, name) in [
            (&classes, HeadName::Bits),
            (&bits, HeadName::Classes),
            (&bits, HeadName::StepBits),
            (&classes, HeadName::StepClasses),
            (&pairs, HeadName::Classes),
            (&steps, HeadName::Values),
            (&steps, HeadName::StepClasses),
        ] {
            let line = targets.read_as(name, &lengths).unwrap_err().to_string();
            assert!(
                line.starts_with("holds the ") && line.contains("save y as "),
                "{line}"
            );
        }
        let line = pairs.check(HeadKind::Values(3)).unwrap_err().to_string();
        assert!(
            line.starts_with("has 2 values an item, the model gives 3"),
            "{line}"
        );
        let line = classes.check(HeadKind::Classes(3)).unwrap_err().to_string();
        assert!(line.starts_with("value 3 at 0 is outside 0..=2"), "{line}");
    }
}
