//! What the device makes of the pre-activations, and of the gates in the end.

use super::map::Z_MAX;
use super::real::{RealLayer, of_hidden};
use super::z::Z_SCALE;
use crate::device::LayerPassage;

/// What becomes of the pre-activations z, Q4.11, on calibration sequences.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ZReport {
    /// Largest magnitude in real arithmetic.
    pub max: f64,
    /// Largest magnitude of the bias that z starts from.
    pub bias: f64,
    /// Share of them beyond ±16, where the device cuts them off. That alone does no harm: sigmoid
    /// and tanh are flat there to the last bit. (A minGRU's values are not.)
    pub beyond: f64,
    /// Share of gates that are off by more than 1/32 for it: a partial sum was cut off on the way, or
    /// the weights are too coarse.
    pub wrong: f64,
}

impl ZReport {
    /// The passages of sequences through a layer of the device beside real arithmetic, step by step at the
    /// device's own hidden states. `read` is what the layer's input map read in each, in real numbers.
    pub(super) fn of(
        passages: &[&LayerPassage],
        read: &[Vec<Vec<f64>>],
        real: &RealLayer<'_>,
    ) -> ZReport {
        let (mut max, mut beyond, mut wrong, mut count) = (0.0f64, 0u64, 0u64, 0u64);
        let (units, values) = (real.units(), real.bias.len());
        let in_units =
            |z: &[i16]| -> Vec<f64> { z.iter().map(|&z| f64::from(z) / Z_SCALE).collect() };
        for (sequence, (frames, passage)) in read.iter().zip(passages).enumerate() {
            let mut h = vec![0.0; units];
            let shares = real.shares(sequence, frames);
            for (t, share) in shares.iter().enumerate() {
                let (mut wanted, apart) = real.z(share, &h);
                for z in wanted.iter().chain(&apart) {
                    max = max.max(z.abs());
                    beyond += u64::from(z.abs() > Z_MAX);
                }
                let own = t * values..(t + 1) * values;
                let mut found = in_units(&passage.z[own.clone()]);
                let found_apart = in_units(passage.apart.get(own).unwrap_or(&[]));
                real.kind.activate(&mut wanted, &apart);
                real.kind.activate(&mut found, &found_apart);
                let pairs = wanted.iter().zip(&found);
                wrong += pairs.filter(|(a, b)| (*a - *b).abs() > GATE_WRONG).count() as u64;
                count += wanted.len() as u64;
                h = of_hidden(real.kind.cell, &passage.h[t * units..][..units]);
            }
        }
        let share = |part: u64| part as f64 / count.max(1) as f64;
        ZReport {
            max,
            bias: real.bias.iter().fold(0.0, |max, b| max.max(b.abs())),
            beyond: share(beyond),
            wrong: share(wrong),
        }
    }
}

/// An error of a gate that counts.
const GATE_WRONG: f64 = 1.0 / 32.0;
