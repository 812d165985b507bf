//! Words of captions: what each adds to z.
//!
//! z of a step is the picture's share, which the input map gives once, and a row of a table for the word before.

use crate::float::config::{END, UNKNOWN};
use crate::float::packing::Packing;
use crate::float::real::Real;
use ndarray::Array2;

/// Words that a layer reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a, T> {
    /// What each adds to z [V, G·J].
    pub table: &'a Array2<T>,
    /// The word of every step, sequence by sequence in the batch's order.
    pub read: &'a [usize],
}

impl<T: Real> Words<'_, T> {
    /// Calls back with every row of z, time-major, the row of its picture, and its word.
    fn for_each(&self, packing: &Packing, mut f: impl FnMut(usize, usize, usize)) {
        let mut starts = vec![0; packing.order.len()];
        for (&sequence, &length) in packing.order.iter().zip(&packing.lengths) {
            starts[sequence] = length;
        }
        let mut next = 0;
        for start in &mut starts {
            next += std::mem::replace(start, next);
        }
        for (t, &rows) in packing.active.iter().enumerate() {
            for row in 0..rows {
                let word = self.read[starts[packing.order[row]] + t];
                f(packing.offsets[t] + row, row, word);
            }
        }
    }

    /// Adds to z [rows, G·J] the share of each row's picture [sequences, G·J], longest first, and its word.
    pub fn forward(&self, packing: &Packing, pictures: &Array2<T>, z: &mut Array2<T>) {
        self.for_each(packing, |row, picture, word| {
            let mut z = z.row_mut(row);
            z += &pictures.row(picture);
            z += &self.table.row(word);
        });
    }

    /// Gradients of the pictures' shares, likewise, and of the table, from that of z.
    pub fn backward(&self, packing: &Packing, dz: &Array2<T>) -> (Array2<T>, Array2<T>) {
        let pictures = packing.active.first().copied().unwrap_or(0);
        let mut dpictures = Array2::zeros((pictures, dz.ncols()));
        let mut dtable = Array2::zeros(self.table.raw_dim());
        self.for_each(packing, |row, picture, word| {
            let dz = dz.row(row);
            let mut dpicture = dpictures.row_mut(picture);
            dpicture += &dz;
            let mut dword = dtable.row_mut(word);
            dword += &dz;
        });
        (dpictures, dtable)
    }
}

/// The word before each of captions, `lengths[b]` of caption b, caption by caption: [`END`] before the first.
pub fn words_before(words: &[usize], lengths: &[usize]) -> Vec<usize> {
    let mut before = Vec::with_capacity(words.len());
    let mut rest = words;
    for &length in lengths {
        let (own, others) = rest.split_at(length);
        if let [own @ .., _] = own {
            before.push(END);
            before.extend(own);
        }
        rest = others;
    }
    before
}

/// Puts [`UNKNOWN`] in the places of words that are hidden; not of [`END`], which begins a caption.
///
/// # Panics
/// If `hidden` does not tell of every word.
pub fn hide(read: &mut [usize], hidden: &[bool]) {
    assert_eq!(read.len(), hidden.len(), "hidden words");
    for (word, _) in read.iter_mut().zip(hidden).filter(|(_, hidden)| **hidden) {
        if *word != END {
            *word = UNKNOWN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_after_it_was_told() {
        let before = words_before(&[3, 2, 0, 0, 4, 0], &[3, 0, 1, 2]);
        assert_eq!(before, [0, 3, 2, 0, 0, 4]);
    }

    #[test]
    fn a_hidden_word_is_read_as_one_that_is_unknown() {
        let mut read = [END, 3, 2, END, END, 4];
        hide(&mut read, &[true, true, false, false, true, true]);
        assert_eq!(read, [END, UNKNOWN, 2, END, END, UNKNOWN]);
    }
}
