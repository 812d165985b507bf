//! A layer in real arithmetic on the map's integers: what the device is calibrated with and measured
//! against.

use super::input::InputFormat;
use super::map::RealMap;
use crate::data::Part;
use crate::error::Result;
use crate::float::cell;
use crate::float::checkpoint::Checkpoint;
use crate::float::config::Gate;
use crate::plan::search::{MapRanked, Ranked};
use crate::shape::name::{INPUT_MAP, RECURRENT_MAP};

/// The maps of a checkpoint in f64, under their plans.
pub(super) struct RealMaps<'p> {
    pub input: RealMap<'p>,
    pub recurrent: RealMap<'p>,
}

impl<'p> RealMaps<'p> {
    pub fn read(checkpoint: &Checkpoint, plans: &'p Ranked<MapRanked>) -> Result<Self> {
        Ok(Self {
            input: RealMap::read(checkpoint, INPUT_MAP, &plans.input.plan)?,
            recurrent: RealMap::read(checkpoint, RECURRENT_MAP, &plans.recurrent.plan)?,
        })
    }
}

/// The values of a checkpoint's tensor.
pub(super) fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f64> {
    let tensor = checkpoint.tensors[name].iter();
    tensor.map(|&value| f64::from(value)).collect()
}

/// A layer in real arithmetic whose input are the map's integers.
pub(super) struct RealLayer<'a> {
    pub maps: &'a RealMaps<'a>,
    /// With what the map makes of integer zeros.
    pub bias: &'a [f64],
    pub gate: Gate,
}

impl RealLayer<'_> {
    /// The input map's share of z for each frame of a sequence.
    pub fn input_shares(&self, frames: &[Vec<i16>], format: &InputFormat) -> Vec<Vec<f64>> {
        let real = |q: &i16| f64::from(*q) * format.map_lsb;
        let real: Vec<Vec<f64>> = frames
            .iter()
            .map(|frame| frame.iter().map(real).collect())
            .collect();
        self.maps.input.apply(&real)
    }

    /// z of a step.
    pub fn z(&self, share: &[f64], h: &Vec<f64>) -> Vec<f64> {
        let states = std::slice::from_ref(h);
        let back = self.maps.recurrent.apply(states).remove(0);
        let sums = share.iter().zip(&back).zip(self.bias);
        sums.map(|((a, b), c)| a + b + c).collect()
    }
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
    /// Hidden states of all steps of every sequence, Q0.15.
    pub hidden: Vec<Vec<i16>>,
    /// Largest magnitude of a cell state.
    pub cell_max: f64,
}

/// The states of all steps of every sequence.
pub(super) fn states(
    frames: &[Vec<Vec<i16>>],
    format: &InputFormat,
    real: &RealLayer<'_>,
) -> RealStates {
    let units = real.bias.len() / 4;
    let (mut all, mut cell_max) = (Vec::new(), 0.0);
    for sequence in frames {
        let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
        for share in real.input_shares(sequence, format) {
            let mut z = real.z(&share, &h);
            cell::forward(real.gate, &mut z, &mut c, &mut h);
            cell_max = c
                .iter()
                .fold(cell_max, |max: f64, c: &f64| max.max(c.abs()));
            all.push(
                h.iter()
                    .map(|h| (h * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)
                    .collect(),
            );
        }
    }
    RealStates {
        hidden: all,
        cell_max,
    }
}
