//! Fine-tuning in integers, for every cell, number of layers, head, form of map and filter: what it learns from
//! is the exported file, its gradients are those of a plain model in f64 through which the device's values
//! pass straight, and it never makes the validation part worse.
//!
//! Straight through: where a device comes to a value y and the reals to f(θ), y + f(θ) − f(θ₀) stands for it, θ₀
//! being the weights as they are. It is the device's own value there and has the reals' slope, which differences of
//! its loss then tell.

mod plain;

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
use plain::{Given, Plain, Straight};

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
