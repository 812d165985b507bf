//! Captions made word by word.

use crate::float::cell::Row;
use crate::float::layer::Layer;
use crate::float::map::Frames;
use crate::float::model::Network;
use crate::float::packing::{values, values_mut};
use crate::float::real::Real;
use ndarray::{Array2, ArrayView2, Axis, s};

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
    /// Logits [captions, V] of the next word of each by its word before, first of all [`END`](crate::float::config::END).
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
