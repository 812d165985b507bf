//! Integers against floats: random models over everything that the format says are exported, and a device
//! runs them beside the float model in f64.
//!
//! What the integers may be off is what their formats hold, not a number of decibels: a model whose z is
//! tiny keeps few bits of it in Q4.11, and that is no fault. So, at every step, from the device's own
//! state before it:
//!
//! * z: the power of its error over a whole run is at most [`MARGIN`] times that of rounding, added up
//!   from LSBs: of z, one for each time that something is added to it; of the frame's 16 bits; of dense
//!   weights at 8 bits; of the levels of tensor maps, 54 dB below their share. What is beyond ±8 does not
//!   count: partial sums may be cut off at 16, which `quantize` reports.
//! * c and h: gates are at most 2 LSB of Q0.15 off, tanh reads c in Q4.11.
//! * logits: head weights have 16 bits, their sums 32.
//!
//! Over a whole sequence errors may grow: no more than [`SHAKEN`] times as far as the float model's own
//! when its z is shaken by noise of that power at every step. Where the float's best two logits are
//! further apart than that, the class is the same.
//!
//! `cargo xtask compare-integers --models N` tries more.

mod draw;
mod plain;

use bt_train::device::{self, Passage};
use bt_train::error::ErrorKind;
use bt_train::quantize::export::{Exported, Options, export};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use bt_tests::units::Held;
use bt_train::data::NormalizeOver;
use draw::{Drawn, Form, Material, Sound, drawn};
use plain::Plain;

/// Models of the test; `BT_MODELS` asks for more.
const MODELS: u32 = 150;
/// Where drawing them starts; `BT_SEED` is another place.
const SEED: u64 = 1;

/// How many times the power of rounding the error of z may have.
const MARGIN: f64 = 4.0;
/// How many times as far off as the shaken floats the integers may be.
const SHAKEN: f64 = 4.0;
/// One LSB of z.
const Z_LSB: f64 = 1.0 / 2048.0;
/// Where z counts.
const Z_COUNTS: f64 = 8.0;
/// The share of gates that are wrong beyond which `quantize` warns.
const WRONG_MAX: f64 = 0.001;

/// How a model came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// As good as the floats.
    Good,
    /// `quantize` says what is cut off.
    Warned,
    /// `quantize` refuses it.
    Refused,
}

fn options(sequences: usize) -> Options {
    Options {
        name: "against floats".into(),
        limits: Default::default(),
        sequences,
    }
}

/// Everything about one model, or what is wrong.
fn compare(drawn: &Drawn, refusals: &RefCell<BTreeSet<String>>) -> Result<Verdict, String> {
    let material = drawn.material();
    let Material {
        checkpoint,
        raw,
        frames,
    } = &material;
    let exported = match export(checkpoint, frames, &[], &options(frames.sequences())) {
        Ok(exported) => exported,
        Err(error) => {
            let kinds = matches!(
                error.kind,
                ErrorKind::Quantize { .. } | ErrorKind::NoFloat { .. }
            );
            let is_typed = kinds && error.remedy.is_some();
            return match is_typed {
                true => {
                    refusals.borrow_mut().insert(error.to_string());
                    Ok(Verdict::Refused)
                }
                false => Err(format!("refused without a remedy: {error}")),
            };
        }
    };
    let model = device::parse(&exported.bytes).map_err(|error| error.to_string())?;
    let passages = device::trace(&model, raw).map_err(|error| error.to_string())?;
    let plain = Plain::new(checkpoint);
    let sequences = plain.frames(frames);
    let unit = 2f64.powi(-model.score_shift());
    let run = Run {
        plain: &plain,
        sequences: &sequences,
        passages: &passages,
        cell_lsb: 2f64.powi(-(model.cell_fraction(0) as i32)),
        share_lsb: match model.filter() {
            Some((record, _)) => 2f64.powi(-(record.fraction as i32)),
            None => Z_LSB,
        },
    };
    run.cell()?;
    run.head(unit)?;
    let budget = run.z(&exported);
    if exported.layers[0].z.wrong > WRONG_MAX {
        // Something is cut off, or weights are as coarse as they may be.
        let reach = exported.layers[0]
            .z
            .max
            .max(exported.layers[0].z.bias)
            .max(run.reach());
        return match budget {
            Err(error) if reach <= Z_COUNTS => Err(error),
            _ => Ok(Verdict::Warned),
        };
    }
    run.logits(budget?, unit, drawn.seed)?;
    Ok(Verdict::Good)
}

/// A device's passages beside the frames that made them.
struct Run<'a> {
    plain: &'a Plain<'a>,
    /// [sequence][step][I].
    sequences: &'a [Vec<Vec<f64>>],
    passages: &'a [Passage],
    cell_lsb: f64,
    /// One LSB of z as the input map leaves it.
    share_lsb: f64,
}

/// Hidden states as they are read.
fn real(h: &[i16]) -> Vec<f64> {
    h.iter().map(|&h| f64::from(h) / 32_768.0).collect()
}

impl Run<'_> {
    fn units(&self) -> usize {
        self.plain.bias.len() / 4
    }

    /// Every step: its frame, h and c before it, z, c and h after it, all as the device has them.
    fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let units = self.units();
        self.sequences
            .iter()
            .zip(self.passages)
            .flat_map(move |(frames, passage)| {
                assert_eq!(
                    passage.layers[0].z.len(),
                    frames.len() * 4 * units,
                    "a step for every frame"
                );
                let shares = self.plain.shares(frames);
                let steps = frames.iter().zip(shares).enumerate();
                steps.map(move |(at, (x, share))| {
                    let before = at.checked_sub(1);
                    let c = |at: usize| -> Vec<f64> {
                        let c = &passage.layers[0].c[at * units..][..units];
                        c.iter().map(|&c| f64::from(c) * self.cell_lsb).collect()
                    };
                    let h = |at: usize| real(&passage.layers[0].h[at * units..][..units]);
                    let z = &passage.layers[0].z[at * 4 * units..][..4 * units];
                    Step {
                        at,
                        x,
                        share,
                        h_before: before.map_or(vec![0.0; units], h),
                        c_before: before.map_or(vec![0.0; units], c),
                        z: z.iter().map(|&z| f64::from(z) * Z_LSB).collect(),
                        c: c(at),
                        h: h(at),
                    }
                })
            })
    }

    /// Largest share of z of either map.
    fn reach(&self) -> f64 {
        let shares = self.steps().flat_map(|step| {
            let mut shares = self.plain.input.of(step.x);
            shares.extend(self.plain.recurrent.of(&step.h_before));
            shares
        });
        shares.fold(0.0, |max, z| z.abs().max(max))
    }

    /// The power of the noise that z may have.
    fn z(&self, exported: &Exported) -> Result<f64, String> {
        let values = self.sequences.iter().flatten().flatten();
        let x_lsb = values.fold(0.0f64, |max, x| x.abs().max(max)) / 29_490.0;
        let plain = self.plain;
        let own = plain.bias.iter().fold(0.0f64, |max, b| b.abs().max(max));
        let is_filtered = plain.checkpoint.config.input.filter_horizon().is_some();
        // What a filter passes nothing of is in the levels all the same.
        let folded = match is_filtered {
            true => self.reach(),
            false => (exported.layers[0].z.bias - own).max(0.0),
        };
        let power = |lsb: f64, roundings: usize| lsb * lsb / 12.0 * roundings as f64;
        let of_input = power(self.share_lsb, plain.input.roundings());
        let of_z = power(
            Z_LSB,
            plain.recurrent.roundings() + 1 + usize::from(is_filtered),
        );
        // Of the mean that a filter takes off, at most that of the frames in it.
        let mut of_mean = 0.0f64;
        let (mut noise, mut budget, mut count, mut all) = (0.0, 0.0, 0usize, 0usize);
        for step in self.steps() {
            let raw = plain.input.of(step.x);
            let input = step.share;
            let back = plain.recurrent.of(&step.h_before);
            let of_share =
                plain.input.noise(step.x, &raw, x_lsb, folded) + of_input * step.z.len() as f64;
            budget += of_share;
            if is_filtered {
                of_mean = if step.at == 0 {
                    of_share
                } else {
                    of_mean.max(of_share)
                };
                budget += of_mean;
            }
            budget += plain
                .recurrent
                .noise(&step.h_before, &back, 1.0 / 32_768.0, 0.0);
            budget += of_z * step.z.len() as f64;
            all += step.z.len();
            let wanted = input.iter().zip(&back).zip(&plain.bias);
            for (((a, b), c), found) in wanted.zip(&step.z) {
                let wanted = a + b + c;
                if [a.abs(), (a + c).abs(), c.abs(), wanted.abs()]
                    .iter()
                    .all(|&z| z < Z_COUNTS)
                {
                    noise += (wanted - found).powi(2);
                    count += 1;
                }
            }
        }
        let budget = budget / all.max(1) as f64;
        let noise = noise / count.max(1) as f64;
        if noise > MARGIN * budget {
            return Err(format!(
                "z is off by {:.2e} (RMS), rounding by {:.2e}; {:?}, maps {:.1} and {:.1?} dB",
                noise.sqrt(),
                budget.sqrt(),
                exported.layers[0].z,
                exported.layers[0].input.snr_db,
                exported.layers[0].recurrent.as_ref().map(|map| map.snr_db),
            ));
        }
        Ok(budget)
    }

    /// c and h of every step from its z.
    fn cell(&self) -> Result<(), String> {
        let lsb = 1.0 / 32_768.0;
        for step in self.steps() {
            let before = step.c_before.clone();
            let (c, h) = self.plain.cell(step.z.clone(), step.c_before);
            for j in 0..self.units() {
                let tolerance = 2.0 * lsb * (before[j].abs() + 2.0) + lsb + self.cell_lsb;
                if (c[j] - step.c[j]).abs() > tolerance {
                    return Err(format!("c of unit {j} is {}, not {}", step.c[j], c[j]));
                }
                // Of the device's own c, not to count its error twice.
                let tolerance = tolerance + Z_LSB / 2.0 + 5.0 * lsb;
                if (h[j] - step.h[j]).abs() > tolerance {
                    return Err(format!("h of unit {j} is {}, not {}", step.h[j], h[j]));
                }
            }
        }
        Ok(())
    }

    /// Scores from the device's own states.
    fn head(&self, unit: f64) -> Result<(), String> {
        let plain = self.plain;
        let rows = plain.head.iter().zip(&plain.head_bias);
        let sum =
            |(row, bias): (&Vec<f64>, &f64)| row.iter().map(|w| w.abs()).sum::<f64>() + bias.abs();
        let largest = rows.map(sum).fold(0.0, f64::max);
        // Weights of 2⁻¹⁵ of the largest sum, or 2⁻¹⁴ of themselves.
        let tolerance = largest / 32_768.0 * self.units() as f64 / 2.0 + largest / 16_384.0 + unit;
        for passage in self.passages {
            let states: Vec<Vec<f64>> =
                passage.layers[0].h.chunks(self.units()).map(real).collect();
            for (class, (wanted, &raw)) in
                plain.logits(&states).iter().zip(&passage.raw).enumerate()
            {
                let found = f64::from(raw) * unit;
                if (wanted - found).abs() > tolerance {
                    return Err(format!("score of class {class} is {found}, not {wanted}"));
                }
            }
        }
        Ok(())
    }

    /// Scores of whole sequences, `budget` the power of noise at every step.
    fn logits(&self, budget: f64, unit: f64, seed: u64) -> Result<(), String> {
        let plain = self.plain;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Uniform noise of that power.
        let half = (3.0 * budget).sqrt();
        let largest = plain.head.iter().flatten().chain(&plain.head_bias);
        let largest = largest.fold(0.0f64, |max, w| w.abs().max(max));
        let floor = largest * (self.units() as f64 / 32_768.0 + 1.0 / 1024.0);
        let off = |a: &[f64], b: &[f64]| {
            a.iter()
                .zip(b)
                .fold(0.0f64, |max, (a, b)| (a - b).abs().max(max))
        };
        let (mut shaken, mut found) = (0.0f64, Vec::new());
        for (frames, passage) in self.sequences.iter().zip(self.passages) {
            let wanted = plain.run(frames, || 0.0);
            for _ in 0..3 {
                let other = plain.run(frames, || rng.random_range(-half..half));
                shaken = shaken.max(off(&wanted, &other));
            }
            let raw: Vec<f64> = passage
                .raw
                .iter()
                .map(|&raw| f64::from(raw) * unit)
                .collect();
            found.push((wanted, raw));
        }
        let tolerance = SHAKEN * shaken + floor;
        for (wanted, raw) in &found {
            let off = off(wanted, raw);
            if off > tolerance {
                return Err(format!(
                    "logits are {off:.2e} off, shaken floats {shaken:.2e}"
                ));
            }
            let best = |logits: &[f64]| {
                let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
                best.expect("classes")
            };
            let (class, other) = (best(wanted), best(raw));
            if class != other && wanted[class] - wanted[other] > 2.0 * tolerance {
                return Err(format!("class {other}, not {class}"));
            }
        }
        Ok(())
    }
}

/// A step of a device.
struct Step<'a> {
    /// Its number in its sequence.
    at: usize,
    x: &'a [f64],
    /// What the input map adds to z.
    share: Vec<f64>,
    h_before: Vec<f64>,
    c_before: Vec<f64>,
    z: Vec<f64>,
    c: Vec<f64>,
    h: Vec<f64>,
}

fn asked(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

#[test]
fn integers_are_as_good_as_floats() {
    let models = asked("BT_MODELS").map_or(MODELS, |models| models as u32);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&asked("BT_SEED").unwrap_or(SEED).to_le_bytes());
    let config = Config {
        cases: models,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let refusals = RefCell::default();
    let counts = [const { Cell::new(0u32) }; 3];
    let result = TestRunner::new_with_rng(config, rng).run(&drawn(), |drawn| {
        let verdict = compare(&drawn, &refusals).map_err(TestCaseError::fail)?;
        let count = &counts[verdict as usize];
        count.set(count.get() + 1);
        Ok(())
    });
    let [good, warned, refused] = counts.map(Cell::into_inner);
    println!("{good} as good as floats, {warned} warned of, {refused} refused");
    for refusal in refusals.into_inner() {
        println!("  {refusal}");
    }
    if let Err(error) = result {
        panic!("{error}");
    }
    // What is refused or warned of is the exception.
    assert!(good * 10 >= models * 8, "{good} of {models}");
}

/// Models that were worse than floats once, or refused for no reason, as small as they came.
fn found() -> [Drawn; 3] {
    let plain = Drawn {
        input_modes: vec![343],
        hidden_modes: vec![19],
        input: Form::Dense,
        recurrent: Form::Dense,
        hard_gate: false,
        mean_pool: false,
        classes: 5,
        padding: 0,
        held: Held::I16,
        over: NormalizeOver::Offset,
        units: vec![
            [0.0, 0.0, 0.0],
            [0.0, 0.9105304706591316, 0.5171777795425031],
            [0.6013487927680149, 0.0, 0.0],
            [0.3857837459495655, 0.7456006621578395, 0.0],
        ],
        constant: None,
        gains: [-1, 0, 0],
        skew: -2,
        bias: 8.495579417483299,
        head_bias: 0,
        sound: None,
        filter: None,
        sequences: 5,
        steps: 3,
        seed: 3620194592997149798,
    };
    [
        // Frames beyond 16 hid what widths cost the rest.
        Drawn {
            input_modes: vec![1; 4],
            hidden_modes: vec![1, 2, 1, 1],
            input: Form::BlockTerm { blocks: 1, rank: 2 },
            classes: 2,
            held: Held::U8,
            over: NormalizeOver::Feature,
            units: vec![[0.0; 3]],
            gains: [2, -1, 0],
            skew: 0,
            bias: 0.0,
            sound: Some(Sound {
                format: 1,
                relative: false,
                bands: 11,
                vectors: 2,
                loudness: 30.381074570537816,
            }),
            sequences: 7,
            steps: 5,
            seed: 14603118287295891797,
            ..plain.clone()
        },
        // An odd width of a dense map.
        Drawn {
            input_modes: vec![583],
            hidden_modes: vec![1],
            bias: 0.0,
            ..plain.clone()
        },
        // One offset for all, where each has to lose its own.
        plain,
    ]
}

#[test]
fn what_was_found_stays_good() {
    for drawn in found() {
        assert_eq!(
            compare(&drawn, &RefCell::default()),
            Ok(Verdict::Good),
            "{drawn:?}"
        );
    }
}
