//! The float model in f64, step by step beside a device: maps that are tested against NumPy, loops for
//! the rest. Nothing here is the exporter's.

use bt_train::data::Part;
use bt_train::float::cell::{Kind, Row};
use bt_train::float::checkpoint::{Checkpoint, INPUT_OFFSET, INPUT_SCALE};
use bt_train::float::config::{Gate, Pool};
use bt_train::float::map::{self, Frames, Map};
use bt_train::shape::{Cell, MapKind, MapShape};
use ndarray::ArrayD;

/// A model in f64.
pub struct Plain<'c> {
    pub checkpoint: &'c Checkpoint,
    pub input: Share,
    pub recurrent: Share,
    /// [4J].
    pub bias: Vec<f64>,
    /// [classes][J].
    pub head: Vec<Vec<f64>>,
    /// [classes].
    pub head_bias: Vec<f64>,
}

/// A map, and what its integers may be off.
pub struct Share {
    map: Box<dyn Map<f64>>,
    shape: MapShape,
    /// One LSB of a row's weights at 8 bits, [4J]; of dense maps.
    row_lsb: Option<Vec<f64>>,
    /// √(Σ w²) over all rows.
    norm: f64,
}

fn tensor<'c>(checkpoint: &'c Checkpoint, name: &str) -> &'c ArrayD<f32> {
    &checkpoint.tensors[name]
}

fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f64> {
    tensor(checkpoint, name).iter().map(|&v| v.into()).collect()
}

impl Share {
    fn new(checkpoint: &Checkpoint, prefix: &str, shape: MapShape) -> Share {
        let mut map = map::zeros::<f64>(&shape);
        for (name, mut values) in map.parameters_mut() {
            values.assign(&tensor(checkpoint, &format!("{prefix}.{name}")).mapv(f64::from));
        }
        let inputs = shape.width();
        // Column by column.
        let mut square = 0.0;
        let mut lsb = vec![0.0f64; shape.height()];
        for column in 0..inputs {
            let mut unit = vec![0.0; inputs];
            unit[column] = 1.0;
            let weights = apply(&*map, &unit);
            square += weights.iter().map(|w| w * w).sum::<f64>();
            for (lsb, w) in lsb.iter_mut().zip(weights) {
                *lsb = lsb.max(w.abs() / 127.0);
            }
        }
        Share {
            row_lsb: (shape.kind == MapKind::Dense).then_some(lsb),
            norm: square.sqrt(),
            map,
            shape,
        }
    }

    /// W·x of one frame, [4J].
    pub fn of(&self, x: &[f64]) -> Vec<f64> {
        apply(&*self.map, x)
    }

    /// Power of what rounding costs a frame `x` whose share of z is `z`, summed over the rows; `x_lsb` is
    /// the LSB of its integers, `folded` the largest share of an offset that stays in them.
    pub fn noise(&self, x: &[f64], z: &[f64], x_lsb: f64, folded: f64) -> f64 {
        let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let weights = match &self.row_lsb {
            // Each weight is half an LSB off at most.
            Some(lsb) => lsb.iter().map(|lsb| lsb * lsb / 12.0 * square(x)).sum(),
            None => {
                let offset = folded * folded * z.len() as f64;
                TENSOR_NOISE * TENSOR_NOISE * (square(z) + offset)
            }
        };
        weights + (self.norm * x_lsb).powi(2) / 12.0
    }

    /// Times that this map's share, or a part of it, is rounded to an LSB of z.
    pub fn roundings(&self) -> usize {
        self.shape.blocks()
    }
}

/// Noise of a tensor map's levels of 16 bits, relative to its share of z.
const TENSOR_NOISE: f64 = 1.0 / 1024.0;

fn apply(map: &dyn Map<f64>, x: &[f64]) -> Vec<f64> {
    let mut z = vec![0.0; map.outputs()];
    map.prepare().forward(&Frames::packed(x, x.len()), &mut z);
    z
}

impl<'c> Plain<'c> {
    pub fn new(checkpoint: &'c Checkpoint) -> Plain<'c> {
        let config = &checkpoint.config;
        let weights = values(checkpoint, "head.weight");
        Plain {
            checkpoint,
            input: Share::new(checkpoint, "lstm.input", config.input_shape()),
            recurrent: Share::new(
                checkpoint,
                "lstm.recurrent",
                config.recurrent_shape().expect("an LSTM's"),
            ),
            bias: values(checkpoint, "lstm.bias"),
            head: weights
                .chunks(config.units())
                .map(<[f64]>::to_vec)
                .collect(),
            head_bias: values(checkpoint, "head.bias"),
        }
    }

    pub fn gate(&self) -> Gate {
        self.checkpoint.config.gate
    }

    /// The input map's share in every step, less the mean of those before where there is a filter.
    pub fn shares(&self, frames: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut shares: Vec<Vec<f64>> = frames.iter().map(|x| self.input.of(x)).collect();
        if let Some(horizon) = self.checkpoint.config.input.filter_horizon() {
            let mut mean = shares[0].clone();
            for share in &mut shares {
                for (z, mean) in share.iter_mut().zip(&mut mean) {
                    let passed = *z - *mean;
                    *mean = *mean * (1.0 - 1.0 / horizon as f64) + *z / horizon as f64;
                    *z = passed;
                }
            }
        }
        shares
    }

    /// Normalized frames, [sequence][step][I]; raw zeros stand behind narrower ones.
    pub fn frames(&self, part: &Part) -> Vec<Vec<Vec<f64>>> {
        let inputs = self.checkpoint.config.inputs();
        let own = |name: &str, i: usize| {
            let values = tensor(self.checkpoint, name);
            f64::from(values[[if values.len() == 1 { 0 } else { i }]])
        };
        let normalized =
            |i: usize, value: f64| (value - own(INPUT_OFFSET, i)) * own(INPUT_SCALE, i);
        let sequence = |sequence: usize| {
            let mut raw = Vec::new();
            part.values
                .for_each(part.range(sequence), |_, value| raw.push(f64::from(value)));
            let frame = |frame: &[f64]| {
                let padded = frame.iter().copied().chain(std::iter::repeat(0.0));
                let padded = padded.take(inputs).enumerate();
                padded.map(|(i, value)| normalized(i, value)).collect()
            };
            raw.chunks(part.width).map(frame).collect()
        };
        (0..part.sequences()).map(sequence).collect()
    }

    /// c and h after a step from z.
    pub fn cell(&self, mut z: Vec<f64>, mut c: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let mut h = vec![0.0; c.len()];
        let kind = Kind {
            cell: Cell::Lstm,
            gate: self.gate(),
        };
        let (z, apart) = (&mut z[..], &mut [][..]);
        kind.forward(Row { z, apart }, &mut c, &mut h);
        (c, h)
    }

    /// Logits of the hidden states of all steps.
    pub fn logits(&self, states: &[Vec<f64>]) -> Vec<f64> {
        let units = self.bias.len() / 4;
        let mean = |j: usize| states.iter().map(|h| h[j]).sum::<f64>() / states.len() as f64;
        let read: Vec<f64> = match self.checkpoint.config.head.pool {
            Pool::Last => states[states.len() - 1].clone(),
            Pool::Mean => (0..units).map(mean).collect(),
            Pool::Recent => {
                let horizon = self.checkpoint.config.head.horizon();
                let mut mean = vec![0.0; units];
                for (t, h) in states.iter().enumerate() {
                    let share = 1.0 / horizon.min(t + 1) as f64;
                    let all = mean.iter_mut().zip(h);
                    all.for_each(|(mean, h)| *mean += share * (h - *mean));
                }
                mean
            }
        };
        let rows = self.head.iter().zip(&self.head_bias);
        rows.map(|(row, bias)| bias + row.iter().zip(&read).map(|(w, h)| w * h).sum::<f64>())
            .collect()
    }

    /// Logits of a sequence by itself; `shake` is added to z step after step.
    pub fn run(&self, frames: &[Vec<f64>], mut shake: impl FnMut() -> f64) -> Vec<f64> {
        let units = self.bias.len() / 4;
        let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
        let mut states = Vec::new();
        for share in self.shares(frames) {
            let shares = share.into_iter().zip(self.recurrent.of(&h));
            let z = shares
                .zip(&self.bias)
                .map(|((a, b), c)| a + b + c + shake());
            (c, h) = self.cell(z.collect(), c);
            states.push(h.clone());
        }
        self.logits(&states)
    }
}
