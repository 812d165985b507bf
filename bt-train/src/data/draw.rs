//! Frames drawn evenly from a sequence.

use crate::data::{Part, Values, memory};
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// Where frame `t` of so many lies in a sequence of `length`, from 0 to its last frame.
pub fn even_position(t: usize, frames: usize, length: usize) -> f64 {
    t as f64 * (length - 1) as f64 / (frames - 1).max(1) as f64
}

/// The frame of such a sequence that is drawn as the one at `t`: the nearest there is, the later of two.
pub fn drawn_place(t: usize, frames: usize, length: usize) -> usize {
    (even_position(t, frames, length) + 0.5).floor() as usize
}

impl Part {
    /// So many frames of every sequence, 2 or more, evenly from its first to its last one, each the nearest there is
    /// (the later of two); of a shorter sequence some more than once. The device is given these.
    ///
    /// # Errors
    /// When there is a target for every step, or no memory for them.
    pub fn drawn(&self, frames: usize) -> Result<Part> {
        if self.lengths.iter().all(|&length| length == frames) {
            return Ok(self.clone());
        }
        let targets = self.targets.as_ref();
        if let Some(targets) = targets.filter(|targets| targets.every_step()) {
            return Err(Error::new(ErrorKind::NotForHead {
                head: targets.name(),
                why: "has a target for every step, and the model is given frames drawn from a sequence",
            })
            .remedy("save one target for each sequence"));
        }
        let element = self.values.element_type();
        let count = (self.sequences() * frames).saturating_mul(self.width);
        memory::check((count * element.bytes()) as u64, memory::available())?;
        let mut part = self.clone();
        let mut values = Values::empty(element);
        let mut frame = Vec::with_capacity(self.width);
        for (sequence, &length) in self.lengths.iter().enumerate() {
            part.starts[sequence] = values.len();
            part.lengths[sequence] = frames;
            for t in 0..frames {
                let place = drawn_place(t, frames, length);
                let start = self.starts[sequence] + place * self.width;
                frame.clear();
                let range = start..start + self.width;
                self.values.for_each(range, |_, value| frame.push(value));
                values.push_nearest(&frame);
            }
        }
        part.values = Arc::new(values);
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Targets;
    use crate::data::targets::Items;

    /// Sequences of 5 and 2 frames of one value, their places.
    fn part() -> Part {
        Part {
            values: Arc::new(Values::I16(vec![0, 1, 2, 3, 4, -1, -1, 10, 11])),
            width: 1,
            starts: vec![0, 7],
            lengths: vec![5, 2],
            targets: Some(vec![1, 0].into()),
            groups: None,
        }
    }

    #[test]
    fn frames_are_drawn_from_first_to_last() {
        let drawn = part().drawn(3).unwrap();
        assert_eq!(*drawn.values, Values::I16(vec![0, 2, 4, 10, 11, 11]));
        assert_eq!((drawn.starts, drawn.lengths), (vec![0, 3], vec![3, 3]));
        let twice = part().drawn(3).unwrap().drawn(3).unwrap();
        assert_eq!(twice.values, part().drawn(3).unwrap().values);
        // 0, 4/3, 8/3, 4 and 0, 1/3, 2/3, 1.
        let four = part().drawn(4).unwrap();
        assert_eq!(*four.values, Values::I16(vec![0, 1, 3, 4, 10, 10, 11, 11]));
        // Half-way: the later one.
        let two = part().subset(&[0]).drawn(9).unwrap();
        assert_eq!(*two.values, Values::I16(vec![0, 1, 1, 2, 2, 3, 3, 4, 4]));
    }

    #[test]
    fn targets_of_every_step_are_not_drawn_from() {
        let steps = Part {
            targets: Some(Targets::of_steps(Items::Classes(vec![0; 7]), &[5, 2])),
            ..part()
        };
        let line = steps.drawn(3).unwrap_err().to_string();
        assert!(line.starts_with("has a target for every step"), "{line}");
    }
}
