//! The control of streams: logistic regression on the vectors of the last steps, through the detector's own rule.
//!
//! `cargo run --release -p bt-train --example stream_control -- M.btm --data STREAMS`
//!
//! reads the vectors that the model reads, learns from the training part, and chooses its penalty, its smoothing and its
//! thresholds on the validation part as `bt-train detect --choose` does. What it misses on the test part, beside what
//! the model misses there, tells what a memory of its own is worth.

use bt_core::detection::Rule;
use bt_train::data::{self, Normalization, NormalizeOver, Part, PartName, Recordings, Values};
use bt_train::detection::{self, Count, Looks, Recording, Rules};
use bt_train::device;
use bt_train::error::Result;
use bt_train::float::config::FrontEndConfig;
use clap::Parser;
use ndarray::{Array1, Array2, ArrayViewMut1, Axis, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;
use std::sync::Arc;

/// Logistic regression on streams, beside a model of them
#[derive(Debug, Parser)]
struct Args {
    /// A quantized model of the streams: its front end and its classes are taken
    model: PathBuf,
    /// The folder with train, validation and test
    #[arg(long)]
    data: PathBuf,
    /// Steps that are read: that of the look and those before it
    #[arg(long, default_value_t = 16)]
    context: usize,
    /// False alarms an hour that thresholds are chosen for
    #[arg(long, value_delimiter = ',', default_values_t = [10.0, 60.0])]
    choose: Vec<f64>,
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// As of `detect`: seconds without another detection, and of grace behind an event.
const HOLD_OFF: f64 = 1.0;
const TOLERANCE: f64 = 0.5;
const BATCH: usize = 256;
const RATE: f32 = 1e-3;
const PENALTIES: [f32; 3] = [1e-2, 1e-3, 1e-4];

/// Vectors of recordings, normalized, and the class of every step where it is known.
struct Steps {
    /// [steps, width], sequence by sequence.
    frames: Array2<f32>,
    /// The sequence's first step, for every step.
    first: Vec<usize>,
    classes: Vec<usize>,
}

impl Steps {
    fn new(part: &Part, normalization: &Normalization) -> Steps {
        let (mut rows, mut first) = (Vec::new(), Vec::new());
        for sequence in 0..part.sequences() {
            first.extend(vec![first.len(); part.lengths[sequence]]);
            part.values.for_each(part.range(sequence), |at, value| {
                rows.push(normalization.apply(at % part.width, value));
            });
        }
        let labels = part.targets.as_ref().and_then(|targets| targets.labels());
        Steps {
            frames: Array2::from_shape_vec((first.len(), part.width), rows).expect("whole frames"),
            classes: labels.unwrap_or_default().to_vec(),
            first,
        }
    }

    /// The last `context` frames at a step; zeros before the sequence's first.
    fn window(&self, at: usize, context: usize, mut row: ArrayViewMut1<f32>) {
        let width = self.frames.ncols();
        row.fill(0.0);
        for back in 0..context.min(at + 1 - self.first[at]) {
            let place = (context - 1 - back) * width;
            row.slice_mut(s![place..place + width])
                .assign(&self.frames.row(at - back));
        }
    }
}

/// Weights [values, classes] with the bias behind them.
struct Regression {
    context: usize,
    weights: Array2<f32>,
    bias: Array1<f32>,
}

impl Regression {
    /// Adam along a cosine; the same seed gives the same weights.
    fn learn(steps: &Steps, classes: usize, penalty: f32, args: &Args) -> Regression {
        let values = args.context * steps.frames.ncols();
        let mut model = Regression {
            context: args.context,
            weights: Array2::zeros((values, classes)),
            bias: Array1::zeros(classes),
        };
        let [mut m, mut v] = [(); 2].map(|()| Array2::<f32>::zeros((values + 1, classes)));
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        let mut order: Vec<usize> = (0..steps.first.len()).collect();
        let updates = args.epochs * order.len().div_ceil(BATCH);
        let mut update = 0;
        for _ in 0..args.epochs {
            order.shuffle(&mut rng);
            for batch in order.chunks(BATCH) {
                let x = model.windows(steps, batch);
                let mut errors = model.probabilities(&x);
                for (mut row, &at) in errors.outer_iter_mut().zip(batch) {
                    row[steps.classes[at]] -= 1.0;
                }
                errors /= batch.len() as f32;
                let gradient = x.t().dot(&errors) + &(&model.weights * penalty);
                let of_bias = errors.sum_axis(Axis(0));
                update += 1;
                let along = std::f32::consts::PI * update as f32 / updates as f32;
                let rate = RATE * (0.5 + 0.5 * along.cos());
                let (b1, b2) = (0.9f32, 0.999f32);
                let corrected = (1.0 - b2.powi(update)).sqrt() / (1.0 - b1.powi(update));
                let mut step = |at: (usize, usize), gradient: f32| {
                    m[at] = b1 * m[at] + (1.0 - b1) * gradient;
                    v[at] = b2 * v[at] + (1.0 - b2) * gradient * gradient;
                    rate * corrected * m[at] / (v[at].sqrt() + 1e-8)
                };
                for (at, weight) in model.weights.indexed_iter_mut() {
                    *weight -= step(at, gradient[at]);
                }
                for (class, bias) in model.bias.iter_mut().enumerate() {
                    *bias -= step((values, class), of_bias[class]);
                }
            }
        }
        model
    }

    fn windows(&self, steps: &Steps, at: &[usize]) -> Array2<f32> {
        let mut x = Array2::zeros((at.len(), self.context * steps.frames.ncols()));
        for (row, &at) in x.outer_iter_mut().zip(at) {
            steps.window(at, self.context, row);
        }
        x
    }

    fn probabilities(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut all = x.dot(&self.weights) + &self.bias;
        for mut row in all.outer_iter_mut() {
            let most = row.fold(f32::MIN, |most, &z| most.max(z));
            row.mapv_inplace(|z| (z - most).exp());
            row /= row.sum();
        }
        all
    }

    /// Of all steps.
    fn all(&self, steps: &Steps) -> Array2<f32> {
        let order: Vec<usize> = (0..steps.first.len()).collect();
        let rows = order
            .chunks(BATCH)
            .map(|batch| self.probabilities(&self.windows(steps, batch)));
        let rows: Vec<Array2<f32>> = rows.collect();
        let views: Vec<_> = rows.iter().map(|rows| rows.view()).collect();
        ndarray::concatenate(Axis(0), &views).expect("rows of one width")
    }

    /// Mean cross entropy.
    fn loss(&self, steps: &Steps) -> f64 {
        let told = self.all(steps);
        let rows = told.outer_iter().zip(&steps.classes);
        let nats = rows.map(|(row, &class)| -f64::from(row[class].max(1e-30)).ln());
        nats.sum::<f64>() / steps.classes.len() as f64
    }
}

/// Recordings as one sequence each.
fn whole(recordings: &[Recording], front_end: &FrontEndConfig) -> Result<Part> {
    let mut samples = Vec::new();
    let mut starts = Vec::new();
    for recording in recordings {
        starts.push(samples.len());
        samples.extend(&recording.samples);
    }
    let part = Part {
        values: Arc::new(Values::I16(samples)),
        width: 1,
        starts,
        lengths: recordings.iter().map(|one| one.samples.len()).collect(),
        targets: None,
        groups: None,
    };
    part.features(front_end)
}

/// What a detector sees of them.
fn looks(model: &Regression, steps: &Steps, part: &Part, seconds: f64) -> Vec<Looks> {
    let told = model.all(steps);
    let mut next = 0;
    let of_sequence = |&length: &usize| {
        let rows = told.slice(s![next..next + length, ..]);
        next += length;
        Looks {
            probabilities: rows
                .iter()
                .map(|&p| (p * 32_768.0).round() as u16)
                .collect(),
            seconds: (1..=length).map(|step| step as f64 * seconds).collect(),
        }
    };
    part.lengths.iter().map(of_sequence).collect()
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let bytes = device::read_model(&args.model)?;
    let model = device::parse(&bytes)?;
    let config = device::config(&model)?;
    let front_end = config.front_end.clone().ok_or("the model takes no sound")?;
    let set = data::load(
        &args.data,
        &Recordings::default(),
        &[PartName::Train, PartName::Validation],
        Some(config.head.gives.name()),
    )?;
    let set = set.for_model(&config)?;
    let train = set.part(PartName::Train)?;
    let normalization = Normalization::fit(train, train.width, NormalizeOver::Feature, None)?;
    let learned = Steps::new(train, &normalization);
    let held = Steps::new(set.part(PartName::Validation)?, &normalization);
    let mut best: Option<(f64, f32, Regression)> = None;
    for penalty in PENALTIES {
        let found = Regression::learn(&learned, model.outputs(), penalty, &args);
        let loss = found.loss(&held);
        eprintln!("penalty {penalty}: {loss:.4} nats a step on the validation part");
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, penalty, found));
        }
    }
    let (_, penalty, regression) = best.ok_or("no penalty")?;
    let seconds = front_end.samples_per_step() as f64 / f64::from(front_end.sample_rate_hz);
    let read = |name: &str| -> Result<(Vec<Recording>, Vec<Looks>)> {
        let recordings = detection::read(&args.data.join(name), &model)?;
        let part = whole(&recordings, &front_end)?;
        let steps = Steps::new(&part, &normalization);
        let looks = looks(&regression, &steps, &part, seconds);
        Ok((recordings, looks))
    };
    let (validation, test) = (read("validation")?, read("test")?);
    let hours = |recordings: &[Recording]| {
        let all = recordings.iter().map(|one| one.seconds(one.samples.len()));
        all.sum::<f64>() / 3_600.0
    };
    println!(
        "context {}, penalty {penalty}, {} weights",
        args.context,
        regression.weights.len() + regression.bias.len()
    );
    for &rate in &args.choose {
        let allowed = (rate * hours(&validation.0)).floor() as usize;
        let mut best: Option<((usize, usize), u8, Rules)> = None;
        for smoothing in 0..=3 {
            let rule = Rule {
                threshold: 26_214,
                smoothing,
                hold_off: (HOLD_OFF / seconds).round() as u16,
            };
            let mut rules: Rules = (0..model.outputs())
                .map(|class| {
                    model
                        .label(class)
                        .is_some_and(|label| !label.starts_with('_'))
                        .then_some(rule)
                })
                .collect();
            let of = (&validation.0[..], &validation.1[..]);
            detection::choose(&model, &mut rules, of, TOLERANCE, allowed)?;
            let (counts, _) = detection::evaluate(&model, &rules, of, TOLERANCE)?;
            let all = total(&counts);
            let found = (all.false_alarms.saturating_sub(allowed), all.misses());
            if best.as_ref().is_none_or(|(least, ..)| found < *least) {
                best = Some((found, smoothing, rules));
            }
        }
        let (on_validation, smoothing, rules) = best.ok_or("no smoothing")?;
        let of = (&test.0[..], &test.1[..]);
        let (counts, _) = detection::evaluate(&model, &rules, of, TOLERANCE)?;
        let all = total(&counts);
        println!(
            "for {rate} an hour, over {} looks: {} of {} missed ({:.1} %), {:.1} false alarms an hour; {} missed on validation",
            1 << smoothing,
            all.misses(),
            all.events,
            100.0 * all.misses() as f64 / all.events as f64,
            all.false_alarms as f64 / hours(&test.0),
            on_validation.1
        );
    }
    Ok(())
}

fn total(counts: &[Count]) -> Count {
    counts.iter().fold(Count::default(), |sum, count| Count {
        events: sum.events + count.events,
        hits: sum.hits + count.hits,
        false_alarms: sum.false_alarms + count.false_alarms,
    })
}
