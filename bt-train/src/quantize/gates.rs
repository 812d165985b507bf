//! What the device makes of the pre-activations, and of the gates in the end.

use super::input::InputFormat;
use super::map::Z_MAX;
use super::real::RealLayer;
use super::tensor::Z_SCALE;
use crate::device::Passage;
use crate::float::cell;

/// What becomes of the pre-activations z, Q4.11, on calibration sequences.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ZReport {
    /// Largest magnitude in real arithmetic.
    pub max: f64,
    /// Largest magnitude of the bias that z starts from.
    pub bias: f64,
    /// Share of them beyond ±16, where the device cuts them off. That alone does no harm: sigmoid
    /// and tanh are flat there to the last bit.
    pub beyond: f64,
    /// Share of gates that are off by more than 1/32 for it: a partial sum was cut off on the way, or
    /// the weights are too coarse.
    pub wrong: f64,
}

impl ZReport {
    /// The passages of sequences through the device beside real arithmetic, step by step at the
    /// device's own hidden states. `sample` are the same sequences in the map's integers.
    pub(super) fn of(
        passages: &[Passage],
        sample: &[Vec<Vec<i16>>],
        format: &InputFormat,
        real: &RealLayer<'_>,
    ) -> ZReport {
        let (mut max, mut beyond, mut wrong, mut count) = (0.0f64, 0u64, 0u64, 0u64);
        for (frames, passage) in sample.iter().zip(passages) {
            let units = passage.h.len() / frames.len().max(1);
            let mut h = vec![0.0; units];
            let shares = real.input_shares(frames, format);
            let steps = passage.z.chunks(4 * units).zip(passage.h.chunks(units));
            for (share, (found, next)) in shares.iter().zip(steps) {
                let mut wanted = real.z(share, &h);
                for z in &wanted {
                    max = max.max(z.abs());
                    beyond += u64::from(z.abs() > Z_MAX);
                }
                let mut found: Vec<f64> = found.iter().map(|&z| f64::from(z) / Z_SCALE).collect();
                cell::activate(real.gate, &mut wanted);
                cell::activate(real.gate, &mut found);
                let pairs = wanted.iter().zip(&found);
                wrong += pairs.filter(|(a, b)| (*a - *b).abs() > GATE_WRONG).count() as u64;
                count += wanted.len() as u64;
                h = next.iter().map(|&h| f64::from(h) / 32_768.0).collect();
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
