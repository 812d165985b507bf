//! The model in plain loops, through which the device's values pass straight.

use super::*;

/// Numbers that a forward pass comes to: of the weights as they are first, then of others.
#[derive(Default)]
pub struct Straight {
    pub own: Vec<f64>,
    /// Where others are; none while the own ones are taken down.
    pub at: Option<usize>,
}

impl Straight {
    /// What stands for `real`, to which the device came as `given`.
    pub fn through(&mut self, real: f64, given: f64) -> f64 {
        match &mut self.at {
            None => {
                self.own.push(real);
                given
            }
            Some(at) => {
                *at += 1;
                given + real - self.own[*at - 1]
            }
        }
    }

    pub fn all(&mut self, real: &[f64], given: &[f64]) -> Vec<f64> {
        assert_eq!(real.len(), given.len());
        let pairs = real.iter().zip(given);
        pairs
            .map(|(&real, &given)| self.through(real, given))
            .collect()
    }
}

/// A map as a matrix, by the formula of its form: rows are pre-activations, places count the slowest mode first.
pub fn matrix(
    tensors: &BTreeMap<String, ArrayD<f64>>,
    map: &str,
    shape: &MapShape,
) -> Vec<Vec<f64>> {
    let tensor = |name: String| &tensors[&format!("{map}.{name}")];
    let digits = |mut at: usize, modes: &[usize]| {
        let mut digits = vec![0; modes.len()];
        for (digit, mode) in digits.iter_mut().zip(modes).rev() {
            (*digit, at) = (at % mode, at / mode);
        }
        digits
    };
    let [rank, order] = [shape.rank(), shape.order()];
    let entry = |row: usize, column: usize| {
        let (j, i) = (digits(row, &shape.outputs), digits(column, &shape.inputs));
        match shape.kind {
            MapKind::Dense => tensor(name::MATRIX.into())[[row, column]],
            MapKind::TensorTrain { .. } => {
                let mut chain = vec![1.0];
                for k in 0..order {
                    let core = tensor(name::train(k));
                    let (from, to) = (shape.bond(k), shape.bond(k + 1));
                    let next = |b: usize| {
                        let terms = (0..from).map(|a| chain[a] * core[[a, i[k], j[k], b]]);
                        terms.sum()
                    };
                    chain = (0..to).map(next).collect();
                }
                chain[0]
            }
            MapKind::BlockTerm { blocks, .. } => {
                let mut sum = 0.0;
                for n in 0..blocks {
                    for place in 0..rank.pow(order as u32) {
                        let r = digits(place, &shape.core());
                        let factors =
                            (0..order).map(|k| tensor(name::factor(n, k))[[i[k], j[k], r[k]]]);
                        sum += tensor(name::core(n))[&r[..]] * factors.product::<f64>();
                    }
                }
                sum
            }
        }
    };
    let row = |row: usize| {
        (0..shape.width())
            .map(|column| entry(row, column))
            .collect()
    };
    (0..shape.height()).map(row).collect()
}

pub fn times(matrix: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let row = |row: &Vec<f64>| row.iter().zip(x).map(|(w, x)| w * x).sum();
    matrix.iter().map(row).collect()
}

pub fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The model in plain loops.
pub struct Plain<'c> {
    pub config: &'c ModelConfig,
    pub tensors: BTreeMap<String, ArrayD<f64>>,
    pub value_offset: Vec<f64>,
    pub value_scale: Vec<f64>,
}

impl Plain<'_> {
    pub fn of(model: &Model) -> Plain<'_> {
        let parameters = model.parameters().into_iter();
        let wide = |values: &ndarray::Array1<f32>| values.iter().map(|&v| v.into()).collect();
        Plain {
            config: &model.config,
            tensors: parameters
                .map(|(name, values)| (name, values.mapv(f64::from)))
                .collect(),
            value_offset: wide(&model.value_offset),
            value_scale: wide(&model.value_scale),
        }
    }

    pub fn values(&self, name: &str) -> Vec<f64> {
        self.tensors[name].iter().copied().collect()
    }

    pub fn open(&self, z: f64) -> f64 {
        match self.config.gate {
            Gate::Sigmoid => 1.0 / (1.0 + (-z).exp()),
            Gate::HardSigmoid => (0.2 * z + 0.5).clamp(0.0, 1.0),
        }
    }

    /// Logits of a sequence, row by row, through what the device came to.
    pub fn logits(
        &self,
        frames: &[Vec<f64>],
        given: &Given,
        straight: &mut Straight,
    ) -> Vec<Vec<f64>> {
        let (config, units) = (self.config, self.config.units());
        let mut reads = frames.to_vec();
        for (at, (shape, given)) in config.layer_shapes().iter().zip(&given.layers).enumerate() {
            let map = |name: String, shape| matrix(&self.tensors, &name, shape);
            let input = map(name::input_map(config.cell, at), &shape.input);
            let recurrent = shape.recurrent.as_ref();
            let recurrent = recurrent.map(|shape| map(name::recurrent_map(config.cell, at), shape));
            let bias = self.values(&name::bias(config.cell, at));
            let mut shares: Vec<Vec<f64>> = reads.iter().map(|x| times(&input, x)).collect();
            if let Some(horizon) = config.input.filter_horizon().filter(|_| at == 0) {
                take_off_mean(&mut shares, horizon);
            }
            let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
            reads.clear();
            for (share, given) in shares.iter().zip(given) {
                let mut z = sum(share, &bias);
                let mut u = match &recurrent {
                    Some(recurrent) => times(recurrent, &h),
                    None => vec![0.0; z.len()],
                };
                if config.cell == Cell::Gru {
                    let own = self.values(&name::recurrent_bias(config.cell, at));
                    u[2 * units..]
                        .iter_mut()
                        .zip(own)
                        .for_each(|(u, own)| *u += own);
                    u = straight.all(&u, &given.apart);
                } else {
                    z = sum(&z, &u);
                }
                let z = straight.all(&z, &given.z);
                c = straight.all(&self.state(&z, &u, &c), &given.c);
                let squashed = |j: usize| match config.cell {
                    Cell::Lstm => self.open(z[3 * units + j]) * c[j].tanh(),
                    Cell::Gru | Cell::MinGru => c[j],
                };
                h = (0..units).map(squashed).collect();
                h = straight.all(&h, &given.h);
                reads.push(h.clone());
            }
        }
        let (weight, bias) = (&self.tensors["head.weight"], self.values("head.bias"));
        let rows = self.pooled(&reads).into_iter().zip(&given.logits);
        rows.map(|(read, given)| {
            let logit =
                |k: usize| bias[k] + (0..units).map(|j| weight[[k, j]] * read[j]).sum::<f64>();
            straight.all(&(0..bias.len()).map(logit).collect::<Vec<_>>(), given)
        })
        .collect()
    }

    /// The state after a step: the cells' formulas.
    pub fn state(&self, z: &[f64], u: &[f64], c: &[f64]) -> Vec<f64> {
        let units = c.len();
        let of_unit = |j: usize| {
            let own = |gate: usize| z[gate * units + j];
            let back = |gate: usize| u[gate * units + j];
            match self.config.cell {
                Cell::Lstm => self.open(own(1)) * c[j] + self.open(own(0)) * own(2).tanh(),
                Cell::Gru => {
                    let (r, z) = (self.open(own(0) + back(0)), self.open(own(1) + back(1)));
                    let n = (own(2) + r * back(2)).tanh();
                    (1.0 - z) * n + z * c[j]
                }
                Cell::MinGru => {
                    let a = self.open(own(0));
                    (1.0 - a) * c[j] + a * own(1)
                }
            }
        };
        (0..units).map(of_unit).collect()
    }

    /// What the head reads, row by row.
    pub fn pooled(&self, states: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let head = &self.config.head;
        let mean_to = |t: usize| {
            let mut mean = vec![0.0; states[0].len()];
            for (t, h) in states[..=t].iter().enumerate() {
                let share = match head.pool {
                    Pool::Last => 1.0,
                    Pool::Mean => 1.0 / (t + 1) as f64,
                    Pool::Recent => 1.0 / head.horizon().min(t + 1) as f64,
                };
                mean.iter_mut()
                    .zip(h)
                    .for_each(|(mean, h)| *mean += share * (h - *mean));
            }
            mean
        };
        match head.gives.every_step() {
            true => (0..states.len()).map(mean_to).collect(),
            false => vec![mean_to(states.len() - 1)],
        }
    }

    /// The mean over all rows: cross entropy of classes and bits, squares of values in their deviations.
    pub fn loss(&self, logits: &[Vec<f64>], items: &Items) -> f64 {
        let rows = logits.len() as f64;
        let of_row = |(row, logits): (usize, &Vec<f64>)| match items {
            Items::Classes(labels) => {
                let all: f64 = logits.iter().map(|l| l.exp()).sum();
                all.ln() - logits[labels[row]]
            }
            Items::Values(values) => {
                let error = |(k, logit): (usize, &f64)| {
                    let wanted = f64::from(values[[row, k]]) - self.value_offset[k];
                    (logit - wanted / self.value_scale[k]).powi(2)
                };
                logits.iter().enumerate().map(error).sum::<f64>() / logits.len() as f64
            }
            Items::Bits(bits) => {
                let nats = |(k, logit): (usize, &f64)| {
                    let for_it = if bits[[row, k]] { *logit } else { -logit };
                    (1.0 + (-for_it).exp()).ln()
                };
                logits.iter().enumerate().map(nats).sum::<f64>() / logits.len() as f64
            }
        };
        logits.iter().enumerate().map(of_row).sum::<f64>() / rows
    }
}

/// The frames less the mean of those before: what a filter of so many steps passes.
pub fn take_off_mean(frames: &mut [Vec<f64>], horizon: usize) {
    let mut mean = frames[0].clone();
    for frame in frames {
        for (x, mean) in frame.iter_mut().zip(&mut mean) {
            *x -= *mean;
            *mean += *x / horizon as f64;
        }
    }
}

/// What the device came to in a step of a layer.
pub struct GivenStep {
    pub z: Vec<f64>,
    pub apart: Vec<f64>,
    pub c: Vec<f64>,
    pub h: Vec<f64>,
}

/// And in a sequence.
pub struct Given {
    pub layers: Vec<Vec<GivenStep>>,
    pub logits: Vec<Vec<f64>>,
}

impl Given {
    pub fn of(passage: &Passage, model: &bt_core::Model<'_>) -> Given {
        let units = model.hidden();
        let lsb = |fraction: u32| 2f64.powi(-(fraction as i32));
        let steps = |values: &[i16], width: usize, lsb: f64| -> Vec<Vec<f64>> {
            let step = |step: &[i16]| step.iter().map(|&v| f64::from(v) * lsb).collect();
            values.chunks(width).map(step).collect()
        };
        let layers = passage.layers.iter().enumerate().map(|(at, layer)| {
            let count = layer.h.len() / units;
            let z = steps(&layer.z, layer.z.len() / count, lsb(11));
            let mut apart = steps(&layer.apart, layer.z.len() / count, lsb(11));
            apart.resize(count, Vec::new());
            let h = steps(&layer.h, units, lsb(model.hidden_fraction()));
            let of_c = |step: &[i32]| {
                let step = step.iter();
                step.map(|&c| f64::from(c) * lsb(model.cell_fraction(at)))
                    .collect()
            };
            let c = layer.c.chunks(units).map(of_c);
            let all = z.into_iter().zip(apart).zip(c).zip(h);
            all.map(|(((z, apart), c), h)| GivenStep { z, apart, c, h })
                .collect()
        });
        let unit = 2f64.powi(-model.score_shift());
        let row = |raw: &[i32]| raw.iter().map(|&raw| f64::from(raw) * unit).collect();
        Given {
            layers: layers.collect(),
            logits: passage.raw.chunks(model.outputs()).map(row).collect(),
        }
    }
}
