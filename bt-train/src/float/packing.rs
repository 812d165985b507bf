//! The sequences of a batch as rows, step by step.

use crate::float::pool::Reads;
use ndarray::Array2;
use std::ops::Range;

/// Which rows belong to which step.
#[derive(Debug)]
pub(super) struct Packing {
    /// Sequences, longest first.
    pub order: Vec<usize>,
    /// Sequences that have step t.
    pub active: Vec<usize>,
    /// Row of step t's first sequence; one more entry for the total.
    pub offsets: Vec<usize>,
    /// Steps of each sequence in `order`.
    pub lengths: Vec<usize>,
    /// Rows that the head reads of each sequence, in the batch's order.
    read: Vec<Range<usize>>,
}

/// Fewest sequences that are worth a task.
const GROUP_MIN: usize = 8;

impl Packing {
    pub fn new(lengths: &[usize], reads: Reads) -> Packing {
        let mut read = Vec::with_capacity(lengths.len());
        let mut next = 0;
        for &length in lengths {
            read.push(next..next + reads.rows(length));
            next += reads.rows(length);
        }
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&sequence| std::cmp::Reverse(lengths[sequence]));
        let lengths: Vec<usize> = order.iter().map(|&sequence| lengths[sequence]).collect();
        let steps = lengths.first().copied().unwrap_or(0);
        let active: Vec<usize> = (0..steps)
            .map(|t| lengths.partition_point(|&length| length > t))
            .collect();
        let mut offsets = vec![0];
        for rows in &active {
            offsets.push(offsets[offsets.len() - 1] + rows);
        }
        Packing {
            order,
            active,
            offsets,
            lengths,
            read,
        }
    }

    /// Rows that the head reads in all.
    pub fn rows_read(&self) -> usize {
        self.read.last().map_or(0, |rows| rows.end)
    }

    /// Values of `units` that the head reads of the sequence in this row of a step.
    pub fn read_of(&self, row: usize, units: usize) -> Range<usize> {
        let read = &self.read[self.order[row]];
        read.start * units..read.end * units
    }

    pub fn rows(&self) -> usize {
        self.offsets[self.active.len()]
    }

    pub fn steps(&self) -> usize {
        self.active.len()
    }

    /// Sequences in as many groups as there are threads, of about as many rows each: a task takes one through all
    /// steps by itself. Results are the same for any grouping.
    pub fn groups(&self) -> Vec<Range<usize>> {
        let sequences = self.order.len();
        let count = rayon::current_num_threads().min(sequences / GROUP_MIN);
        let count = count.max(1);
        let mut groups = Vec::with_capacity(count);
        let (mut start, mut rows) = (0, 0);
        for (at, length) in self.lengths.iter().enumerate() {
            rows += length;
            if rows * count >= self.rows() * (groups.len() + 1) {
                groups.push(start..at + 1);
                start = at + 1;
            }
        }
        groups
    }

    /// How many sequences of a group have step t: its first ones.
    pub fn active_in(&self, group: &Range<usize>, t: usize) -> usize {
        self.active[t].clamp(group.start, group.end) - group.start
    }

    /// Rows of `width` values, which may be 0, as each group's at each step.
    pub fn split<'v, T>(
        &self,
        groups: &[Range<usize>],
        values: &'v mut [T],
        width: usize,
    ) -> Vec<Vec<&'v mut [T]>> {
        let mut parts: Vec<Vec<_>> = groups.iter().map(|_| Vec::new()).collect();
        let mut rest = values;
        for t in 0..self.steps() {
            for (part, group) in parts.iter_mut().zip(groups) {
                let (own, behind) = rest.split_at_mut(self.active_in(group, t) * width);
                part.push(own);
                rest = behind;
            }
        }
        parts
    }
}

pub(super) fn values<T>(array: &Array2<T>) -> &[T] {
    array.as_slice().expect("made in standard layout")
}

pub(super) fn values_mut<T>(array: &mut Array2<T>) -> &mut [T] {
    array.as_slice_mut().expect("made in standard layout")
}
