//! What the widths of the integers cost on the paper's layer: signal-to-noise ratio of z against f64,
//! as Markdown tables:
//! `cargo run --release -p bt-train --example ablation -- FRAMES.npy`
//!
//! `FRAMES.npy`: u8, 57,600 values a frame in any shape; `image_frames.py` makes it of images. Every
//! other frame is calibrated on, the others are measured. The weights are random, of the scale that
//! training starts from; the plan is the one that `bt-train plan --ram 10K` puts first, for an M4F where no core
//! is named.

use bt_core::InputType;
use bt_core::about::{Cell, Pool};
use bt_core::internals::model::ArenaLayout;
use bt_train::error::{Error, ErrorKind, Result};
use bt_train::float::init::{deviation, normal};
use bt_train::plan::kernels::Kernels;
use bt_train::plan::search::{Layers, Limits, MapPlan, WholeMap, best, refused};
use bt_train::plan::{Lowered, Plan, TensorMap, lower};
use bt_train::quantize::basis::Bases;
use bt_train::quantize::integer::{IntegerMap, PerBlock};
use bt_train::quantize::rounding::{Rounding, roundings};
use bt_train::quantize::simulate::Simulation;
use bt_train::quantize::tensor::{Calibrated, QuantizeError, Width, maxima, with_headroom};
use bt_train::quantize::z::Z_SCALE;
use bt_train::shape::{MapKind, MapShape};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const INPUTS: [usize; 4] = [8, 20, 20, 18];
const HIDDEN: [usize; 4] = [4, 4, 4, 4];
const BLOCKS: usize = 2;
const RANK: usize = 4;
const RAM_BYTES: usize = 10 << 10;
/// What the largest value of calibration fills of an i16 input: as `quantize` has it.
const INPUT_FILL: f64 = 0.9;
/// Frames of calibration that the widths of levels are searched on; ranges are taken from all.
const SEARCH_FRAMES: usize = 16;
/// Of the light, what is left of it in frames whose bytes are rounded.
const DIMMED: f64 = 0.7;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [path] = words.as_slice() else {
        return Err(Error::usage("give an .npy of u8 frames"));
    };
    let frames = read(Path::new(path))?;
    let kind = MapKind::BlockTerm {
        blocks: BLOCKS,
        rank: RANK,
    };
    let shape = MapShape::to_gates(4, kind, &INPUTS, &HIDDEN);
    let s = deviation(&shape);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let map = TensorMap::from_fn(shape.clone(), |_, _, _| s * normal(&mut rng));
    let chosen = chosen_plan(&shape, Kernels::default())?;
    let count = frames.len();
    println!("{count} frames, half of them measured; plan: {chosen}\n");

    let sums = [
        ("one long sum", true, true),
        ("split by block", false, true),
        ("split by slice", true, false),
        ("split by both", false, false),
    ];
    println!("| weights | input | {} |", sums.map(|s| s.0).join(" | "));
    println!("|---|---|---:|---:|---:|---:|");
    let mut cells = vec![Vec::new(); 4];
    for (_, joint, wide) in sums {
        let plan = Plan {
            joint,
            wide,
            ..chosen.clone()
        };
        let lowered = lower(&shape, &plan)?;
        for (at, input) in [Input::Bytes, Input::Words].into_iter().enumerate() {
            let trial = Trial::new(&lowered, &map, &frames, 1.0, input);
            let calibrated = trial.calibrated();
            cells[at].push(trial.measured(&trial.best(&calibrated, Kernels::default())?));
            cells[at + 2].push(trial.measured(&trial.best_of_8_bits(&calibrated)?));
        }
    }
    let rows = [("i16", "u8"), ("i16", "i16"), ("i8", "u8"), ("i8", "i16")];
    for ((weights, input), cells) in rows.into_iter().zip(cells) {
        let cells: Vec<String> = cells.iter().map(|db| format!("{db:.1}")).collect();
        println!("| {weights} | {input} | {} |", cells.join(" | "));
    }

    let lowered = lower(&shape, &chosen)?;
    println!("\n| levels, i16 weights, u8 input, the chosen plan | dB |\n|---|---:|");
    let trial = Trial::new(&lowered, &map, &frames, 1.0, Input::Bytes);
    let calibrated = trial.calibrated();
    for (name, width) in [
        ("top halves of the sums", Width::Top),
        ("13 bits", Width::Bits(13)),
        ("16 bits", Width::Bits(16)),
    ] {
        let integers = trial.quantized(&calibrated, width)?;
        println!("| {name} | {:.1} |", trial.measured(&integers));
    }
    let best = trial.best(&calibrated, Kernels::default())?;
    println!("| as `quantize` chooses | {:.1} |", trial.measured(&best));

    let mut of_frames = trial.of_frames(&best);
    of_frames.sort_by(f64::total_cmp);
    if let [worst, .., finest] = of_frames[..] {
        let median = of_frames[of_frames.len() / 2];
        println!("| the same, worst frame | {worst:.1} |");
        println!("| median frame | {median:.1} |");
        println!("| best frame | {finest:.1} |");
    }

    println!("\n| as `quantize` chooses for | dB | worst frame |\n|---|---:|---:|");
    for (name, kernels) in [
        ("M4F, M7, M33", Kernels::M4f),
        ("M4 without FPU", Kernels::M4),
        ("M55", Kernels::M55),
        ("M3", Kernels::M3),
        ("M0", Kernels::M0),
        ("RV32", Kernels::Rv32),
    ] {
        let lowered = lower(&shape, &chosen_plan(&shape, kernels)?)?;
        let trial = Trial::new(&lowered, &map, &frames, 1.0, Input::Bytes);
        let best = trial.best(&trial.calibrated(), kernels)?;
        let worst = trial
            .of_frames(&best)
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        let db = trial.measured(&best);
        println!("| {name} | {db:.1} | {worst:.1} |");
    }

    println!("\n| light times {DIMMED}, the chosen plan | dB |\n|---|---:|");
    for (name, input) in [
        ("rounded to u8", Input::Bytes),
        ("rounded to i16", Input::Words),
    ] {
        let trial = Trial::new(&lowered, &map, &frames, DIMMED, input);
        let best = trial.best(&trial.calibrated(), Kernels::default())?;
        println!("| {name} | {:.1} |", trial.measured(&best));
    }
    Ok(())
}

fn refused_integers(error: QuantizeError) -> Error {
    Error::new(ErrorKind::Quantize {
        map: "input",
        error: error.into(),
    })
}

fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path).map_err(Error::malformed)?;
    let array = npyz::NpyFile::new(&bytes[..]).map_err(Error::malformed)?;
    let values: Vec<u8> = array.into_vec().map_err(Error::malformed)?;
    let width: usize = INPUTS.iter().product();
    if values.len() < 2 * width || !values.len().is_multiple_of(width) {
        let allowed = format!("give two frames or more of {width} values");
        return Err(Error::out_of_range(values.len(), allowed).file(path));
    }
    Ok(values.chunks(width).map(<[u8]>::to_vec).collect())
}

/// The plan of the input map of the paper's layer.
fn chosen_plan(shape: &MapShape, kernels: Kernels) -> Result<Plan> {
    let recurrent = MapKind::BlockTerm { blocks: 2, rank: 2 };
    let layers = Layers {
        input: shape.clone(),
        whole: vec![WholeMap {
            shape: MapShape::to_gates(4, recurrent, &HIDDEN, &HIDDEN),
            apart_words: 0,
        }],
        arena: ArenaLayout::new((Cell::Lstm, 1), 256, (Pool::Last, None), None, 0, 0),
    };
    let limits = Limits {
        ram_bytes: Some(RAM_BYTES),
        kernels,
        ..Limits::default()
    };
    match best(&layers, &limits) {
        Ok(ranked) => match ranked.input.plan {
            MapPlan::Program(lowered) => Ok(lowered.plan),
            MapPlan::Dense { .. } => Err(Error::new(ErrorKind::Internal("the plan is dense"))),
        },
        Err(error) => Err(refused(&error, &limits)),
    }
}

#[derive(Clone, Copy)]
enum Input {
    /// u8 less 128, shifted to fill i16.
    Bytes,
    /// i16, the mean of the calibration frames taken off.
    Words,
}

/// A map, its plan and frames as one type of input.
struct Trial<'a> {
    lowered: &'a Lowered,
    /// In the bases of its ranks that lose least.
    map: TensorMap,
    /// The map's integers of every frame, and the real value of one.
    integers: Vec<Vec<i16>>,
    step: f64,
    /// Per frame W·x of what was exact before it became integers, and the pre-activation: W times the
    /// normalized frame. They differ by a constant, which the bias takes.
    shares: Vec<Vec<f64>>,
    signals: Vec<Vec<f64>>,
    input_max: u32,
    ranges: PerBlock,
    roundings: Vec<Rounding>,
}

impl<'a> Trial<'a> {
    fn new(
        lowered: &'a Lowered,
        map: &TensorMap,
        frames: &[Vec<u8>],
        light: f64,
        input: Input,
    ) -> Self {
        let map = Bases::of(map, lowered).applied(map);
        let real: Vec<Vec<f64>> = frames
            .iter()
            .map(|frame| frame.iter().map(|&x| f64::from(x) * light).collect())
            .collect();
        let seen = || real.iter().step_by(2).flatten();
        let values = seen().count() as f64;
        let mean = seen().sum::<f64>() / values;
        let deviation = (seen().map(|x| (x - mean).powi(2)).sum::<f64>() / values).sqrt();
        let (zero, unit, input_max) = match input {
            Input::Bytes => {
                let middle = InputType::MIDDLE;
                let left = InputType::U8.left_shift(middle);
                let unit = 1.0 / f64::from(1u32 << left);
                (f64::from(middle), unit, InputType::U8.map_max(middle))
            }
            Input::Words => {
                let half = seen().fold(0.0f64, |a, x| a.max((x - mean).abs()));
                (mean, half / (32_767.0 * INPUT_FILL), 1 << 15)
            }
        };
        let whole = |x: f64| match input {
            Input::Bytes => (x.round() - zero) / unit,
            Input::Words => ((x - zero) / unit).round(),
        };
        let integers = real
            .iter()
            .map(|frame| frame.iter().map(|&x| whole(x) as i16).collect())
            .collect();
        let mut simulation = Simulation::new(lowered, &map);
        let mut less = |offset: f64| -> Vec<Vec<f64>> {
            real.iter()
                .map(|frame| {
                    let frame: Vec<f64> = frame.iter().map(|x| (x - offset) / deviation).collect();
                    simulation.run(&frame)
                })
                .collect()
        };
        let (shares, signals) = (less(zero), less(mean));
        let seen: Vec<Vec<f64>> = real
            .iter()
            .step_by(2)
            .map(|frame| frame.iter().map(|x| (x - zero) / deviation).collect())
            .collect();
        let ranges = with_headroom(&maxima(lowered, &map, &seen, &[]));
        let roundings = roundings(lowered, &map, &seen, &[]);
        Self {
            lowered,
            map,
            integers,
            step: unit / deviation,
            shares,
            signals,
            input_max,
            ranges,
            roundings,
        }
    }

    fn calibrated(&self) -> Calibrated<'_> {
        Calibrated::new(
            self.lowered,
            &self.map,
            &self.ranges,
            self.input_max,
            self.step,
        )
        .with_roundings(&self.roundings)
    }

    /// The integers that `quantize` would choose.
    fn best(&self, calibrated: &Calibrated<'_>, kernels: Kernels) -> Result<IntegerMap> {
        let every = self
            .integers
            .len()
            .div_ceil(SEARCH_FRAMES)
            .next_multiple_of(2);
        let frames: Vec<Vec<i16>> = self.integers.iter().step_by(every).cloned().collect();
        let widths = calibrated.best(&frames, &self.map, kernels);
        widths
            .and_then(|widths| calibrated.quantize(&widths))
            .map_err(refused_integers)
    }

    /// Integers with the same width everywhere.
    fn quantized(&self, calibrated: &Calibrated<'_>, width: Width) -> Result<IntegerMap> {
        calibrated
            .quantize(&vec![width; self.lowered.stages.len()])
            .map_err(refused_integers)
    }

    /// Weights of 8 bits, with the level width that is best for them on the calibration frames.
    fn best_of_8_bits(&self, calibrated: &Calibrated<'_>) -> Result<IntegerMap> {
        let mut found: Option<(f64, IntegerMap)> = None;
        for bits in 10..=16 {
            let Ok(mut integers) = self.quantized(calibrated, Width::Bits(bits)) else {
                continue;
            };
            to_8_bits(&mut integers);
            let db = self.snr_db(&integers, 0);
            if found.as_ref().is_none_or(|(best, _)| db > *best) {
                found = Some((db, integers));
            }
        }
        let found =
            found.ok_or_else(|| Error::new(ErrorKind::Internal("no width can be quantized")))?;
        Ok(found.1)
    }

    /// Over the frames that calibration has not seen.
    fn measured(&self, integers: &IntegerMap) -> f64 {
        self.snr_db(integers, 1)
    }

    /// Over the frames of calibration (`first` 0) or the others (1).
    fn snr_db(&self, integers: &IntegerMap, first: usize) -> f64 {
        let powers = (first..self.integers.len()).step_by(2);
        let (signal, noise) = powers
            .map(|at| self.powers(integers, at))
            .fold((0.0, 0.0), |(s, n), (signal, noise)| {
                (s + signal, n + noise)
            });
        10.0 * (signal / noise).log10()
    }

    /// As [`measured`](Self::measured), of every frame alone.
    fn of_frames(&self, integers: &IntegerMap) -> Vec<f64> {
        (1..self.integers.len())
            .step_by(2)
            .map(|at| self.powers(integers, at))
            .map(|(signal, noise)| 10.0 * (signal / noise).log10())
            .collect()
    }

    /// Signal and noise of z of one frame.
    fn powers(&self, integers: &IntegerMap, at: usize) -> (f64, f64) {
        let found = integers.run(self.lowered, &self.integers[at]);
        let pairs = found.iter().zip(&self.shares[at]);
        let noise = pairs.map(|(&found, wanted)| (f64::from(found) / Z_SCALE - wanted).powi(2));
        (self.signals[at].iter().map(|z| z * z).sum(), noise.sum())
    }
}

/// Rounds the weights of every stage to 8 bits: multiples of a power of two, 127 of it at most. The
/// sums are then those of i8 weights shifted left, and the shift to the right takes it off again.
fn to_8_bits(integers: &mut IntegerMap) {
    for stage in &integers.stages {
        let words = (stage.slice_words() * stage.slices).get();
        let words = &mut integers.weights[stage.weights_word as usize..][..words];
        let halves: &mut [i16] = bytemuck::cast_slice_mut(words);
        let largest = halves.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
        let rounded = |w: i16, unit: f64| (f64::from(w) / unit).round().clamp(-127.0, 127.0);
        let unit = (0..16)
            .map(|bit| f64::from(1u32 << bit))
            .find(|unit| f64::from(largest) / unit < 128.0)
            .unwrap_or(1.0);
        for half in halves {
            *half = (rounded(*half, unit) * unit) as i16;
        }
    }
}
