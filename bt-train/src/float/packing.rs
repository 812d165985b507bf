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
}

pub(super) fn values<T>(array: &Array2<T>) -> &[T] {
    array.as_slice().expect("made in standard layout")
}

pub(super) fn values_mut<T>(array: &mut Array2<T>) -> &mut [T] {
    array.as_slice_mut().expect("made in standard layout")
}
