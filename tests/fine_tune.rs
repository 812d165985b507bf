//! Fine-tuning in integers, for every cell, number of layers, head, form of map and filter: what it learns from
//! is the exported file, its gradients are those of a plain model in f64 through which the device's values
//! pass straight, and it never makes the validation part worse.
//!
//! Straight through: where a device comes to a value y and the reals to f(θ), y + f(θ) − f(θ₀) stands for it, θ₀
//! being the weights as they are. It is the device's own value there and has the reals' slope, which differences of
//! its loss then tell.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bt_core::OutputKind;
use bt_tests::model::Noise;
use bt_train::data::{DataSet, Items, Normalization, Part, PartName, Targets, Values};
use bt_train::device::{self, Passage};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::{
    FILTER_HORIZON, Gate, HORIZON, HeadName, InputFilter, ModelConfig, Pool,
};
use bt_train::float::model::{LossOptions, Model};
use bt_train::quantize::export::{Options, Scheme};
use bt_train::quantize::fine_tune;
use bt_train::shape::{Cell, MapKind, MapName, MapShape, name};
use bt_train::training::modes::Modes;
use bt_train::training::settings::{HeadChoice, Settings};
use bt_train::training::trainer::{Trainer, Update};
use ndarray::{Array2, ArrayD};

/// Values of a frame, and their modes.
const INPUT: [usize; 2] = [2, 3];
/// Classes, values or bits.
const OUTPUTS: usize = 3;
const SEQUENCES: usize = 36;

/// Sequences of 1 to 4 frames, of bits where the next frame is to be told. What is to be told hangs on the
/// frames' first values.
fn data(head: HeadName) -> DataSet {
    let mut noise = Noise::new(5);
    let width: usize = INPUT.iter().product();
    let lengths: Vec<usize> = (0..SEQUENCES).map(|at| 1 + at % 4).collect();
    let is_bits = head == HeadName::NextBits;
    let mut value = || match is_bits {
        true => (noise.bits() % 2) as u8,
        false => (noise.bits() >> 8) as u8,
    };
    let values: Vec<u8> = (0..SEQUENCES * 4 * width).map(|_| value()).collect();
    let starts: Vec<usize> = (0..SEQUENCES).map(|at| at * 4 * width).collect();
    let step = |sequence: usize, t: usize| {
        let frame = &values[starts[sequence] + t * width..][..OUTPUTS];
        frame.iter().map(|&x| usize::from(x)).collect::<Vec<_>>()
    };
    let every_step = matches!(
        head,
        HeadName::StepClasses | HeadName::StepValues | HeadName::StepBits
    );
    let steps = |sequence: usize| match every_step {
        true => 0..lengths[sequence],
        false => lengths[sequence] - 1..lengths[sequence],
    };
    let items: Vec<Vec<usize>> = (0..SEQUENCES)
        .flat_map(|sequence| steps(sequence).map(move |t| (sequence, t)))
        .map(|(sequence, t)| step(sequence, t))
        .collect();
    let shape = (items.len(), OUTPUTS);
    let largest = |item: &Vec<usize>| (0..OUTPUTS).max_by_key(|&k| item[k]).unwrap();
    let flat = || items.iter().flatten().copied();
    let items = match head.kind() {
        OutputKind::Classes => Items::Classes(items.iter().map(largest).collect()),
        OutputKind::Values => {
            let values = flat().map(|x| 0.1 * x as f32 - 3.0).collect();
            Items::Values(Array2::from_shape_vec(shape, values).unwrap())
        }
        OutputKind::Bits => {
            let bits = flat().map(|x| x > 127).collect();
            Items::Bits(Array2::from_shape_vec(shape, bits).unwrap())
        }
    };
    let targets = match (is_bits, every_step) {
        (true, _) => None,
        (false, true) => Some(Targets::of_steps(items, &lengths)),
        (false, false) => Some(Targets::of_sequences(items)),
    };
    let train = Part {
        values: Arc::new(Values::U8(values)),
        width,
        starts,
        lengths,
        targets,
        groups: None,
    };
    let data = DataSet {
        train: Some(train),
        ..DataSet::default()
    };
    data.for_head(head).unwrap()
}

fn on(_: Update) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn run(trainer: &mut Trainer<'_>) {
    while !trainer.finished() {
        trainer.epoch(&mut on).unwrap().unwrap();
    }
}

/// Numbers that a forward pass comes to: of the weights as they are first, then of others.
#[derive(Default)]
struct Straight {
    own: Vec<f64>,
    /// Where others are; none while the own ones are taken down.
    at: Option<usize>,
}

impl Straight {
    /// What stands for `real`, to which the device came as `given`.
    fn through(&mut self, real: f64, given: f64) -> f64 {
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

    fn all(&mut self, real: &[f64], given: &[f64]) -> Vec<f64> {
        assert_eq!(real.len(), given.len());
        let pairs = real.iter().zip(given);
        pairs
            .map(|(&real, &given)| self.through(real, given))
            .collect()
    }
}

/// A map as a matrix, by the formula of its form: rows are pre-activations, places count the slowest mode first.
fn matrix(tensors: &BTreeMap<String, ArrayD<f64>>, map: &str, shape: &MapShape) -> Vec<Vec<f64>> {
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

fn times(matrix: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let row = |row: &Vec<f64>| row.iter().zip(x).map(|(w, x)| w * x).sum();
    matrix.iter().map(row).collect()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The model in plain loops.
struct Plain<'c> {
    config: &'c ModelConfig,
    tensors: BTreeMap<String, ArrayD<f64>>,
    value_offset: Vec<f64>,
    value_scale: Vec<f64>,
}

impl Plain<'_> {
    fn of(model: &Model) -> Plain<'_> {
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

    fn values(&self, name: &str) -> Vec<f64> {
        self.tensors[name].iter().copied().collect()
    }

    fn open(&self, z: f64) -> f64 {
        match self.config.gate {
            Gate::Sigmoid => 1.0 / (1.0 + (-z).exp()),
            Gate::HardSigmoid => (0.2 * z + 0.5).clamp(0.0, 1.0),
        }
    }

    /// Logits of a sequence, row by row, through what the device came to.
    fn logits(&self, frames: &[Vec<f64>], given: &Given, straight: &mut Straight) -> Vec<Vec<f64>> {
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
    fn state(&self, z: &[f64], u: &[f64], c: &[f64]) -> Vec<f64> {
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
    fn pooled(&self, states: &[Vec<f64>]) -> Vec<Vec<f64>> {
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
    fn loss(&self, logits: &[Vec<f64>], items: &Items) -> f64 {
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
fn take_off_mean(frames: &mut [Vec<f64>], horizon: usize) {
    let mut mean = frames[0].clone();
    for frame in frames {
        for (x, mean) in frame.iter_mut().zip(&mut mean) {
            *x -= *mean;
            *mean += *x / horizon as f64;
        }
    }
}

/// What the device came to in a step of a layer.
struct GivenStep {
    z: Vec<f64>,
    apart: Vec<f64>,
    c: Vec<f64>,
    h: Vec<f64>,
}

/// And in a sequence.
struct Given {
    layers: Vec<Vec<GivenStep>>,
    logits: Vec<Vec<f64>>,
}

impl Given {
    fn of(passage: &Passage, model: &bt_core::Model<'_>) -> Given {
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

/// A kind of model.
#[derive(Debug, Clone, Copy)]
struct Case {
    cell: Cell,
    layers: usize,
    head: HeadName,
    pool: Pool,
    maps: (MapName, MapName),
    filter: InputFilter,
    gate: Gate,
}

impl Case {
    fn settings(&self) -> Settings {
        Settings {
            cell: self.cell,
            layers: self.layers,
            head: match self.head {
                HeadName::NextBits => HeadChoice::NextBits,
                _ => HeadChoice::Auto,
            },
            pool: self.pool,
            horizon: if self.pool == Pool::Recent {
                2
            } else {
                HORIZON
            },
            input_map: self.maps.0,
            recurrent_map: match self.cell {
                Cell::MinGru => MapName::Dense,
                Cell::Lstm | Cell::Gru => self.maps.1,
            },
            input_filter: self.filter,
            filter_horizon: match self.filter {
                InputFilter::HighPass => 2,
                InputFilter::None | InputFilter::Difference => FILTER_HORIZON,
            },
            gate: self.gate,
            input_modes: Modes(INPUT.to_vec()),
            hidden_modes: Modes(vec![2, 2]),
            blocks: 2,
            rank: 2,
            recurrent_blocks: 1,
            recurrent_rank: 2,
            epochs: 2,
            batch: 8,
            lr: 0.02,
            validation: 0.3,
            ..Settings::default()
        }
    }

    /// All that this file says, of one kind of model.
    fn check(&self) {
        let (settings, data) = (self.settings(), data(self.head));
        let config = settings.model(&data).unwrap();
        let mut trainer = Trainer::new(&settings, config, &data).unwrap();
        run(&mut trainer);
        let checkpoint = trainer.checkpoint();
        let part = data.part(PartName::Train).unwrap();
        let options = Options {
            name: "tuned".into(),
            limits: Default::default(),
            sequences: SEQUENCES,
        };
        let scheme = Scheme::calibrate(&checkpoint, part, &[], &options);
        let mut scheme = scheme.unwrap_or_else(|error| panic!("{self:?}: {error}"));
        // As far from the floats as a device never is, so that the two are told apart.
        scheme.coarsen(6);
        self.check_gradients(&scheme, &checkpoint, part);

        let tuning = settings.fine_tuning(3);
        let mut trainer = Trainer::fine_tune(&tuning, &checkpoint, &scheme, &data).unwrap();
        let before = trainer.best().unwrap().validation.unwrap();
        run(&mut trainer);
        let best = trainer.best().unwrap().validation.unwrap();
        assert!(
            best == before || best.beats(&before, trainer.keep()),
            "{self:?}"
        );
        // That is what the file that is written gives.
        let tuned = trainer.checkpoint();
        let exported = scheme.export(&tuned).unwrap();
        let file = device::parse(&exported.bytes).unwrap();
        let (_, validation) = bt_train::training::material::split_off(&tuning, &data).unwrap();
        let validation = validation.unwrap();
        let unit = 2f64.powi(-file.score_shift());
        let raw = device::run(&file, &validation, || ()).unwrap();
        let row = |raw: &Vec<i32>| raw.iter().map(|&raw| f64::from(raw) * unit).collect();
        let logits: Vec<Vec<f64>> = raw.iter().map(row).collect();
        let model = tuned.model().unwrap();
        let items = &validation.targets.as_ref().unwrap().items;
        let found = Plain::of(&model).loss(&logits, items);
        assert!(
            (found - best.loss).abs() < 1e-5 * found,
            "{self:?}: {found} {}",
            best.loss
        );
    }

    fn check_gradients(&self, scheme: &Scheme, checkpoint: &Checkpoint, part: &Part) {
        // One sequence of every length.
        let part = part.subset(&[0, 1, 2, 3, 7]);
        let model = checkpoint.model().unwrap();
        let all: Vec<usize> = (0..part.sequences()).collect();
        let batch = part.batch(&all, &Normalization::of(&model));
        let items = batch.targets.as_ref().unwrap();
        let options = LossOptions::default();
        let (loss, gradients) =
            fine_tune::loss_and_gradients(scheme, &model, &part, &batch, &options).unwrap();

        let file = scheme.file(checkpoint).unwrap();
        let file = device::parse(&file).unwrap();
        let passages = device::trace(&file, &part).unwrap();
        let given: Vec<Given> = passages
            .iter()
            .map(|passage| Given::of(passage, &file))
            .collect();
        let frames: Vec<Vec<Vec<f64>>> = all
            .iter()
            .map(|&at| {
                let steps = 0..batch.lengths[at];
                let frame = |t| batch.x.slice(ndarray::s![at, t, ..]);
                steps
                    .map(|t| frame(t).iter().map(|&x| x.into()).collect())
                    .collect()
            })
            .collect();
        let rounded = scheme.rounded(&model).unwrap();
        let mut plain = Plain::of(&rounded);
        let mut straight = Straight::default();
        let loss_of = |plain: &Plain<'_>, straight: &mut Straight| {
            let rows = frames.iter().zip(&given);
            let rows = rows.flat_map(|(frames, given)| plain.logits(frames, given, straight));
            plain.loss(&rows.collect::<Vec<_>>(), items)
        };
        let own = loss_of(&plain, &mut straight);
        assert!(
            (own - loss.loss).abs() < 1e-5 * own,
            "{self:?}: {own} {}",
            loss.loss
        );
        for ((name, _), found) in rounded.parameters().iter().zip(&gradients.arrays) {
            let largest = found.iter().fold(0.0f32, |max, g| g.abs().max(max));
            for (at, &found) in found.iter().enumerate() {
                let mut shifted = |by: f64| {
                    let values = plain.tensors.get_mut(name).unwrap();
                    values.as_slice_mut().unwrap()[at] += by;
                    straight.at = Some(0);
                    let loss = loss_of(&plain, &mut straight);
                    let values = plain.tensors.get_mut(name).unwrap();
                    values.as_slice_mut().unwrap()[at] -= by;
                    loss
                };
                let expected = (shifted(STEP) - shifted(-STEP)) / (2.0 * STEP);
                let off = (f64::from(found) - expected).abs();
                assert!(
                    off < 1e-3 * f64::from(largest) + 1e-6,
                    "{self:?} {name} {at}: {found} {expected}"
                );
            }
        }
    }
}

/// Of central differences in f64, whose errors stay far below f32's.
const STEP: f64 = 1e-5;

/// Every cell in one layer and in two under every head; maps, filters, pools and gates take turns, so that each
/// stands beside each.
#[test]
fn every_kind_of_model_is_fine_tuned() {
    let heads = [
        HeadName::Classes,
        HeadName::StepClasses,
        HeadName::Values,
        HeadName::StepValues,
        HeadName::Bits,
        HeadName::StepBits,
        HeadName::NextBits,
    ];
    let maps = [MapName::BlockTerm, MapName::TensorTrain, MapName::Dense];
    let filters = [
        InputFilter::None,
        InputFilter::HighPass,
        InputFilter::Difference,
    ];
    let pools = [Pool::Mean, Pool::Last, Pool::Recent];
    let mut turn = 0;
    for cell in [Cell::Lstm, Cell::Gru, Cell::MinGru] {
        for layers in [1, 2] {
            for head in heads {
                turn += 1;
                Case {
                    cell,
                    layers,
                    head,
                    pool: match head.every_step() {
                        true => pools[1 + turn % 2],
                        false => pools[turn % 3],
                    },
                    maps: (maps[turn / 3 % 3], maps[turn / 2 % 3]),
                    filter: filters[turn / 9 % 3],
                    gate: [Gate::Sigmoid, Gate::HardSigmoid][turn / 5 % 2],
                }
                .check();
            }
        }
    }
}

/// The same of every form of map under every filter.
#[test]
fn every_map_is_fine_tuned_behind_every_filter() {
    let maps = [MapName::BlockTerm, MapName::TensorTrain, MapName::Dense];
    let filters = [
        InputFilter::None,
        InputFilter::HighPass,
        InputFilter::Difference,
    ];
    let cells = [Cell::Gru, Cell::Lstm, Cell::MinGru];
    let heads = [HeadName::StepValues, HeadName::Classes];
    for (turn, (input, filter)) in maps
        .into_iter()
        .flat_map(|map| filters.map(|filter| (map, filter)))
        .enumerate()
    {
        Case {
            cell: cells[(turn + turn / 3) % 3],
            layers: 1 + turn % 2,
            head: heads[turn % 2],
            pool: Pool::Last,
            maps: (input, maps[(turn + 1) % 3]),
            filter,
            gate: Gate::Sigmoid,
        }
        .check();
    }
}
