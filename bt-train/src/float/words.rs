//! Words of captions: what each adds to z, and captions made word by word.
//!
//! z of a step is the picture's share, which the input map gives once, and a row of a table for the word before.

use crate::float::cell::Row;
use crate::float::config::{END, UNKNOWN};
use crate::float::layer::Layer;
use crate::float::map::Frames;
use crate::float::model::Network;
use crate::float::real::Real;
use crate::float::recurrence::{Packing, values, values_mut};
use ndarray::{Array2, ArrayView2, Axis, s};

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

/// Captions under way: a state for each.
pub struct Decoder<'a, T: Real> {
    network: &'a Network<T>,
    layers: Vec<Layer<'a, T>>,
    /// The pictures' shares of z [captions, G·J].
    pictures: Array2<T>,
    /// h and c of every layer, each [captions, J].
    states: Vec<(Array2<T>, Array2<T>)>,
}

impl<T: Real> Network<T> {
    /// Captions of normalised pictures [captions, I], none with a word yet.
    ///
    /// # Panics
    /// If the model reads no words, or pictures of another size.
    pub fn decoder(&self, pictures: ArrayView2<'_, T>) -> Decoder<'_, T> {
        assert!(self.config.words().is_some(), "a model that reads no words");
        assert_eq!(
            pictures.ncols(),
            self.config.inputs(),
            "values of a picture"
        );
        let layers = self.recurrence(Some(&[])).layers;
        let (count, units) = (pictures.nrows(), self.config.units());
        let mut shares = Array2::zeros((count, self.config.bias_values()));
        let pictures = pictures.as_standard_layout();
        let frames = Frames::packed(pictures.as_slice().unwrap_or(&[]), self.config.inputs());
        layers[0].input.forward(&frames, values_mut(&mut shares));
        let zeros = || Array2::zeros((count, units));
        Decoder {
            network: self,
            states: layers.iter().map(|_| (zeros(), zeros())).collect(),
            layers,
            pictures: shares,
        }
    }
}

impl<T: Real> Decoder<'_, T> {
    /// Logits [captions, V] of the next word of each by its word before, first of all [`END`].
    ///
    /// # Panics
    /// If there is not a word of the vocabulary for each.
    pub fn step(&mut self, words: &[usize]) -> Array2<T> {
        let (count, units) = (self.pictures.nrows(), self.network.config.units());
        assert_eq!(words.len(), count, "words");
        let mut below: Option<Array2<T>> = None;
        for (layer, (h, c)) in self.layers.iter().zip(&mut self.states) {
            let mut z = Array2::zeros((count, layer.bias.len()));
            z += layer.bias;
            match (&below, &layer.words) {
                (None, Some(read)) => {
                    z += &self.pictures;
                    z += &read.table.select(Axis(0), words);
                }
                (Some(below), _) => {
                    let frames = Frames::packed(values(below), units);
                    layer.input.forward(&frames, values_mut(&mut z));
                }
                (None, None) => unreachable!("the first layer reads words"),
            }
            let mut apart = Array2::zeros((count, layer.kind.apart_values(units)));
            let last = apart.ncols() - layer.recurrent_bias.len();
            apart.slice_mut(s![.., last..]).assign(layer.recurrent_bias);
            if let Some(recurrent) = &layer.recurrent {
                let frames = Frames::packed(values(h), units);
                let share = if apart.is_empty() { &mut z } else { &mut apart };
                recurrent.forward(&frames, values_mut(share));
            }
            for row in 0..count {
                let mut of = (
                    z.row_mut(row),
                    apart.row_mut(row),
                    c.row_mut(row),
                    h.row_mut(row),
                );
                let slices = (
                    of.0.as_slice_mut(),
                    of.1.as_slice_mut(),
                    of.2.as_slice_mut(),
                    of.3.as_slice_mut(),
                );
                if let (Some(z), Some(apart), Some(c), Some(h)) = slices {
                    layer.kind.forward(Row { z, apart }, c, h);
                }
            }
            below = Some(h.clone());
        }
        let last = below.expect("a model has a layer");
        self.network.head.forward(last.view())
    }

    /// Goes on with these captions, in this order; one may be there several times.
    pub fn select(&mut self, captions: &[usize]) {
        self.pictures = self.pictures.select(Axis(0), captions);
        for (h, c) in &mut self.states {
            *h = h.select(Axis(0), captions);
            *c = c.select(Axis(0), captions);
        }
    }
}

#[cfg(test)]
mod tests;
