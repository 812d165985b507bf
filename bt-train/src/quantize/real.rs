//! A layer in real arithmetic on the map's integers: what the device is calibrated with and measured
//! against.

use super::input::InputFormat;
use super::map::RealMap;
use super::words::RealWords;
use crate::data::Part;
use crate::error::{Error, ErrorKind, Result};
use crate::float::cell::{Kind, Row};
use crate::float::checkpoint::Checkpoint;
use crate::float::filter::Filter;
use crate::plan::search::Ranked;
use crate::shape::{Cell, name};

/// The maps of a layer in f64, under their plans.
pub(super) struct RealMaps<'p> {
    pub input: RealMap<'p>,
    /// Where the cell has one.
    pub recurrent: Option<RealMap<'p>>,
}

impl<'p> RealMaps<'p> {
    /// Those of every layer of a checkpoint.
    pub fn read(checkpoint: &Checkpoint, plans: &'p Ranked) -> Result<Vec<Self>> {
        let config = &checkpoint.config;
        let mut whole = plans.whole.iter();
        let mut next = || {
            let missing = Error::new(ErrorKind::Internal("a map has no plan"));
            whole.next().ok_or(missing)
        };
        (0..config.layers)
            .map(|at| {
                let plan = match at {
                    0 => &plans.input,
                    _ => next()?,
                };
                let prefix = name::input_map(config.cell, at);
                let input = RealMap::read(checkpoint, &prefix, &plan.plan)?;
                let recurrent = match config.recurrent_shape() {
                    Some(_) => {
                        let prefix = name::recurrent_map(config.cell, at);
                        Some(RealMap::read(checkpoint, &prefix, &next()?.plan)?)
                    }
                    None => None,
                };
                Ok(Self { input, recurrent })
            })
            .collect()
    }
}

/// A layer in real arithmetic.
pub(super) struct RealLayer<'a> {
    pub maps: &'a RealMaps<'a>,
    /// With what the input map makes of integer zeros.
    pub bias: &'a [f64],
    /// Of the recurrent map's last gate; empty where its share is not kept apart.
    pub recurrent_bias: &'a [f64],
    pub kind: Kind,
    /// What becomes of the input map's share, where anything does.
    pub filter: Option<Filter>,
    /// What is added to it at every step of a caption, where its frame is a picture.
    pub words: Option<&'a RealWords>,
}

impl RealLayer<'_> {
    /// J.
    pub fn units(&self) -> usize {
        self.bias.len() / self.kind.gates()
    }

    /// The input map's share of z in every step of a sequence, words included.
    pub fn shares(&self, sequence: usize, frames: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut shares = self.maps.input.apply(frames);
        if let Some(words) = self.words {
            let picture = shares.first().map_or(&[][..], Vec::as_slice);
            return words.shares(sequence, picture);
        }
        if let Some(filter) = self.filter {
            let mut mean = vec![0.0; self.bias.len()];
            for (t, share) in shares.iter_mut().enumerate() {
                filter.apply(&mut mean, share, t == 0);
            }
        }
        shares
    }

    /// z of a step from the input map's share, and what the recurrent map gives where that is kept apart.
    pub fn z(&self, share: &[f64], h: &Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let mut z: Vec<f64> = share.iter().zip(self.bias).map(|(a, b)| a + b).collect();
        let mut apart = vec![0.0; self.kind.apart_values(self.units())];
        if let Some(recurrent) = &self.maps.recurrent {
            let back = recurrent.apply(std::slice::from_ref(h)).remove(0);
            let sums = if apart.is_empty() { &mut z } else { &mut apart };
            sums.iter_mut()
                .zip(&back)
                .for_each(|(sum, back)| *sum += back);
        }
        let last = apart.len() - self.recurrent_bias.len();
        let biased = apart[last..].iter_mut().zip(self.recurrent_bias);
        biased.for_each(|(sum, bias)| *sum += bias);
        (z, apart)
    }
}

/// Integers of LSB `lsb` in real numbers.
pub(super) fn real(values: &[i16], lsb: f64) -> Vec<f64> {
    values.iter().map(|&q| f64::from(q) * lsb).collect()
}

/// What hidden states of a cell stand for.
pub(super) fn of_hidden(cell: Cell, h: &[i16]) -> Vec<f64> {
    real(h, hidden_lsb(cell))
}

/// The real value of one LSB of h.
pub(super) fn hidden_lsb(cell: Cell) -> f64 {
    2f64.powi(-(cell.device().hidden_fraction() as i32))
}

/// The bias with `share`, what the map makes of integer zeros.
pub(super) fn folded_bias(share: &[f64], bias: &[f64]) -> Vec<f64> {
    bias.iter().zip(share).map(|(b, z)| b + z).collect()
}

/// The map's integers, `[sequence][step][value]`, of the sequences chosen.
pub(super) fn frames(part: &Part, format: &InputFormat, chosen: &[usize]) -> Vec<Vec<Vec<i16>>> {
    let width = format.zero.len();
    chosen
        .iter()
        .map(|&sequence| {
            let mut values = Vec::new();
            part.values
                .for_each(part.range(sequence), |_, value| values.push(value));
            values
                .chunks(part.width)
                .map(|step| {
                    let padded = step
                        .iter()
                        .copied()
                        .chain(std::iter::repeat(0.0))
                        .take(width);
                    padded
                        .enumerate()
                        .map(|(i, value)| format.mapped(i, format.pushed(i, value)))
                        .collect()
                })
                .collect()
        })
        .collect()
}

/// What a layer went through, computed in f64.
pub(super) struct RealStates {
    /// Hidden states of all steps of every sequence, as the device rounds them.
    pub hidden: Vec<Vec<Vec<i16>>>,
    /// Largest magnitude of a state.
    pub cell_max: f64,
}

/// The states of all steps of every sequence whose input map reads `frames` of LSB `lsb`.
pub(super) fn states(frames: &[Vec<Vec<i16>>], lsb: f64, layer: &RealLayer<'_>) -> RealStates {
    let units = layer.units();
    let per_unit = 1.0 / hidden_lsb(layer.kind.cell);
    let (mut hidden, mut cell_max) = (Vec::new(), 0.0f64);
    for (number, sequence) in frames.iter().enumerate() {
        let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
        let read: Vec<Vec<f64>> = sequence.iter().map(|frame| real(frame, lsb)).collect();
        let mut steps = Vec::new();
        for share in layer.shares(number, &read) {
            let (mut z, mut apart) = layer.z(&share, &h);
            let (z, apart) = (&mut z[..], &mut apart[..]);
            layer.kind.forward(Row { z, apart }, &mut c, &mut h);
            cell_max = c.iter().fold(cell_max, |max, c| max.max(c.abs()));
            let rounded = |h: &f64| (h * per_unit).round().clamp(-32_768.0, 32_767.0) as i16;
            steps.push(h.iter().map(rounded).collect());
        }
        hidden.push(steps);
    }
    RealStates { hidden, cell_max }
}
