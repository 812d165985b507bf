//! The longest calls of a session, predicted from the model's file: what a watchdog has to wait for.
//!
//! A call ends by itself and no hook is inside it, so its length is what a product states. Values may be pushed one by one;
//! then the last of a frame is the longest, since every stage's turn comes with it. A call that draws or paints is about the
//! push of a frame, a step and scores.

use super::cost::{Cost, Outline, dense_slices};
use super::kernels::Kernels;
use super::timing::{InnerLoops, Processor};
use bt_core::Model;
use bt_core::about::{Cell, Feature, Pool};
use bt_core::internals::model::Map;
use bt_core::internals::model::layout::CELL_FRACTION;
use bt_core::internals::window::Window;
use bt_core::sound::FrontEnd;

/// Instructions of what is no map, fitted to counts of QEMU (the test `calls` prints both side by side).
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// A unit of an LSTM whose c has the usual format, by the kernels's own kernel.
    lstm: f64,
    /// The same with fewer fraction bits, a unit of a GRU, and one of a minGRU: portable code.
    wide: f64,
    gru: f64,
    min_gru: f64,
    /// A value of z that a filter passes.
    filter: f64,
    /// Adding a unit to a mean, and to a picture's sum.
    pool: f64,
    sum: f64,
    /// A value that loses an offset of its own or is scaled.
    adjust: f64,
    /// A value of z that is kept of a picture and to which a word adds its own.
    word: f64,
    /// The audio front end.
    sound: SoundCounts,
    /// A call and what it checks.
    call: f64,
    /// A product of the head, a row of it, and both where a row is of an odd number of units.
    score: f64,
    score_row: f64,
    odd_score: f64,
    odd_row: f64,
    /// A unit's mean, divided anew.
    mean: f64,
    /// A score that joins a checksum.
    checksum: f64,
    /// A point of a window in one direction, a weight of it for a row or a column, and a value that a window's lines
    /// leave, beside their products.
    point: f64,
    weight: f64,
    painted: f64,
    /// A logit of a canvas.
    logit: f64,
}

/// Instructions of the audio front end, which is portable code: fitted to 14 windows of 32 to 1,024 samples, 1.6 % off at most.
#[derive(Debug, Clone, Copy)]
struct SoundCounts {
    /// A sample that passes the high-pass.
    sample: f64,
    /// A pair of samples under a window: weighed, transformed in fours, its power, its part of a band.
    pair: f64,
    /// The same in two further stages of the transform, and in one.
    two_stages: f64,
    one_stage: f64,
    /// A band: its logarithm and level.
    band: f64,
    /// Two samples that stay for the next window.
    kept: f64,
    /// A window.
    window: f64,
}

impl SoundCounts {
    /// Instructions of so many samples that complete a window.
    fn of(&self, front_end: &FrontEnd<'_>, samples: f64) -> f64 {
        let pairs = front_end.window() / 2;
        let doublings = (pairs / 4).max(1).ilog2();
        let a_pair = self.pair
            + f64::from(doublings / 2) * self.two_stages
            + f64::from(doublings % 2) * self.one_stage;
        let kept = (front_end.window() - front_end.hop()) as f64 / 2.0;
        samples * self.sample
            + pairs as f64 * a_pair
            + front_end.bands() as f64 * self.band
            + kept * self.kept
            + self.window
    }
}

impl Counts {
    fn of(kernels: Kernels) -> Self {
        let dsp = Counts {
            lstm: 31.3,
            wide: 70.0,
            gru: 56.0,
            min_gru: 20.0,
            filter: 17.0,
            pool: 6.0,
            sum: 9.5,
            adjust: 20.0,
            word: 10.8,
            sound: SoundCounts {
                sample: 8.3,
                pair: 93.5,
                two_stages: 23.3,
                one_stage: 8.7,
                band: 131.0,
                kept: 7.7,
                window: 440.0,
            },
            call: 250.0,
            score: 0.72,
            score_row: 12.8,
            odd_score: 1.4,
            odd_row: 36.8,
            mean: 20.0,
            checksum: 55.0,
            point: 700.0,
            weight: 45.0,
            painted: 27.0,
            logit: 3.0,
        };
        match kernels {
            Kernels::M4f => dsp,
            Kernels::M4 => Counts {
                sound: SoundCounts {
                    pair: 96.2,
                    one_stage: 7.7,
                    band: 141.0,
                    ..dsp.sound
                },
                ..dsp
            },
            Kernels::M55 => Counts {
                sound: SoundCounts {
                    sample: 8.8,
                    pair: 98.8,
                    two_stages: 34.1,
                    one_stage: 14.6,
                    ..dsp.sound
                },
                lstm: 11.2,
                gru: 70.0,
                min_gru: 26.0,
                score: 0.313,
                score_row: 8.2,
                odd_score: 0.32,
                odd_row: 8.2,
                mean: 17.0,
                point: 830.0,
                painted: 21.0,
                ..dsp
            },
            Kernels::M3 => Counts {
                lstm: 61.3,
                gru: 50.0,
                filter: 16.0,
                sound: SoundCounts {
                    pair: 93.3,
                    two_stages: 38.8,
                    one_stage: 15.1,
                    band: 129.0,
                    window: 180.0,
                    ..dsp.sound
                },
                word: 12.0,
                score: 3.0,
                score_row: 24.0,
                odd_score: 3.0,
                odd_row: 24.0,
                mean: 20.0,
                point: 655.0,
                weight: 70.0,
                painted: 19.0,
                logit: 1.8,
                ..dsp
            },
            Kernels::Rv32 => Counts {
                lstm: 91.8,
                wide: 110.0,
                gru: 90.0,
                min_gru: 35.0,
                pool: 10.8,
                sum: 13.6,
                sound: SoundCounts {
                    sample: 13.8,
                    pair: 129.0,
                    two_stages: 45.6,
                    one_stage: 20.3,
                    band: 161.0,
                    kept: 5.4,
                    window: 0.0,
                },
                word: 17.7,
                score: 5.5,
                score_row: 20.7,
                odd_score: 5.5,
                odd_row: 20.7,
                mean: 16.0,
                call: 150.0,
                point: 850.0,
                weight: 70.0,
                painted: 15.0,
                logit: 4.4,
                ..dsp
            },
            Kernels::M0 => Counts {
                lstm: 105.1,
                wide: 150.0,
                gru: 210.0,
                min_gru: 60.0,
                filter: 35.0,
                pool: 10.0,
                sum: 15.5,
                adjust: 40.0,
                word: 24.0,
                sound: SoundCounts {
                    sample: 20.9,
                    pair: 288.0,
                    two_stages: 62.6,
                    one_stage: 29.6,
                    band: 222.0,
                    kept: 7.0,
                    window: 300.0,
                },
                score: 4.5,
                score_row: 43.5,
                odd_score: 4.5,
                odd_row: 43.5,
                mean: 182.0,
                checksum: 70.0,
                point: 1015.0,
                weight: 130.0,
                painted: 22.0,
                logit: 2.4,
                ..dsp
            },
        }
    }
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Instructions, about.
    pub instructions: u64,
    /// Cycles, about, without wait states of the flash.
    pub cycles: u64,
}

/// The longest calls of a model's session on a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// The push of one value: the last of a frame.
    pub value: Call,
    /// The push of a whole frame at once.
    pub frame: Call,
    /// A step.
    pub step: Call,
    /// The scores of all outputs.
    pub scores: Call,
    /// The longest piece between two calls of the hook of `Session::self_test_in_pieces`, which pushes values one by one,
    /// looks for the likeliest word before the step on it, and ends with a checksum of all scores.
    pub self_test_piece: Call,
}

impl Calls {
    /// Of a model in its file.
    pub fn of(model: &Model<'_>, processor: Processor) -> Self {
        let kernels = processor.kernels();
        let counts = Counts::of(kernels);
        let call = |cost: Work| {
            let instructions = (cost.instructions + counts.call).round() as u64;
            let timing = processor.timing();
            Call {
                instructions,
                cycles: timing.cycles(instructions, &cost.inner_loops, kernels, 0),
            }
        };
        let (value, step) = (pushed(model, 1, kernels), step(model, kernels));
        let frame = pushed(model, model.frame_values(), kernels);
        let scores = scores(model, counts);
        // Of a picture that is painted the hook comes after a whole step, and between scores.
        let (stepped, summed) = match model.painting() {
            Some(_) => (step.with(frame), Work::default()),
            None => {
                let checksum = model.outputs() as f64 * counts.checksum;
                let told = model.caption_words().map_or(Work::default(), |_| scores);
                (step.with(told), scores.with(Work::other(checksum)))
            }
        };
        let pieces = [value, stepped, summed].map(call);
        Calls {
            value: call(value),
            frame: call(frame),
            step: call(step),
            scores: call(scores),
            self_test_piece: pieces
                .into_iter()
                .max_by_key(|piece| piece.cycles)
                .unwrap_or(call(step)),
        }
    }
}

/// What is added up.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    instructions: f64,
    inner_loops: InnerLoops,
}

impl Work {
    fn other(instructions: f64) -> Self {
        Work {
            instructions,
            ..Work::default()
        }
    }

    fn with(mut self, other: Work) -> Self {
        self.instructions += other.instructions;
        self.add_loops(other.inner_loops);
        self
    }

    fn add(&mut self, cost: Cost) {
        self.instructions += cost.instructions as f64;
        self.add_loops(cost.inner_loops);
    }

    fn add_loops(&mut self, more: InnerLoops) {
        let sum = &mut self.inner_loops;
        sum.program_macs += more.program_macs;
        sum.dense_macs += more.dense_macs;
        sum.byte_macs += more.byte_macs;
        sum.weight_bytes += more.weight_bytes;
    }
}

/// The last `count` values of a frame, or samples of a step.
fn pushed(model: &Model<'_>, count: usize, kernels: Kernels) -> Work {
    let counts = Counts::of(kernels);
    let mut work = Work::default();
    let values = match model.front_end() {
        None => count,
        Some(front_end) => {
            let vectors = count.div_ceil(front_end.hop());
            let samples = count as f64 / vectors as f64;
            work.instructions += vectors as f64 * counts.sound.of(front_end, samples);
            vectors * front_end.bands()
        }
    };
    if model.needs(Feature::Scales) {
        work.instructions += values as f64 * counts.adjust;
    }
    match model.input_of(0) {
        Some(Map::Program(program)) => {
            let slab = program.record.slab_values.max(1) as usize;
            let slabs = values.div_ceil(slab) as u64;
            work.add(Outline::of_last(&program, slabs).cost(&kernels.counts()));
            // Gathered before.
            let gathered = slabs as f64 * slab as f64 - values as f64;
            work.instructions -= gathered.max(0.0) * kernels.counts().gather_row;
        }
        Some(Map::Dense(record)) => {
            let slice = record.slice_values.max(1) as usize;
            let slices = values.div_ceil(slice);
            work.add(dense_slices(record, (slice, slices), true, kernels));
            let gathered = (slices * slice) as f64 - values as f64;
            work.instructions -= gathered.max(0.0) * kernels.counts().gather_row;
        }
        None => {}
    }
    work
}

fn step(model: &Model<'_>, kernels: Kernels) -> Work {
    let counts = Counts::of(kernels);
    let mut work = Work::default();
    let whole = |map: Map<'_>| match map {
        Map::Program(program) => Outline::of_last(&program, u64::MAX).cost(&kernels.counts()),
        Map::Dense(record) => {
            let values = record.values as usize;
            dense_slices(record, (values, 1), false, kernels)
        }
    };
    let units = model.hidden() as f64;
    for layer in 0..model.layers() {
        let above = (layer > 0).then(|| model.input_of(layer)).flatten();
        for map in above.into_iter().chain(model.recurrent_of(layer)) {
            work.add(whole(map));
        }
        work.instructions += units
            * match model.cell() {
                Cell::Lstm if model.cell_fraction(layer) == CELL_FRACTION => counts.lstm,
                Cell::Lstm => counts.wide,
                Cell::Gru => counts.gru,
                Cell::MinGru => counts.min_gru,
            };
    }
    if model.filter().is_some() {
        work.instructions += model.cell().gates() as f64 * units * counts.filter;
    }
    if model.words().is_some() {
        work.instructions += model.cell().gates() as f64 * units * counts.word;
    }
    work.instructions += units
        * match model.pool() {
            Pool::Last | Pool::Canvas => 0.0,
            Pool::Mean | Pool::Recent => counts.pool,
            Pool::Sum => counts.sum,
        };
    if let Some(window) = model.window() {
        work.instructions += painted(model, window, counts);
    }
    work
}

/// What a step paints through a window: the head's rows, weights, and two products of lines.
fn painted(model: &Model<'_>, window: Window<'_>, counts: Counts) -> f64 {
    let (points, rows) = (window.record().points as usize, window.record().head_rows());
    let of_rows = |rows: usize, values: usize| rows as f64 * row(counts, values);
    let [down, across] = window.sides();
    let lines = (points + down) * across;
    let line = counts.painted + row(counts, points.next_multiple_of(2));
    of_rows(rows, model.hidden())
        + 2.0 * points as f64 * counts.point
        + (points * (down + across)) as f64 * counts.weight
        + lines as f64 * line
}

/// A row of a head of so many values.
fn row(counts: Counts, values: usize) -> f64 {
    let (product, row) = parts_of_row(counts, values);
    values as f64 * product + row
}

/// A product of such a row, and the row beside its products.
fn parts_of_row(counts: Counts, values: usize) -> (f64, f64) {
    match values.is_multiple_of(2) {
        true => (counts.score, counts.score_row),
        false => (counts.odd_score, counts.odd_row),
    }
}

/// Scores of all outputs.
fn scores(model: &Model<'_>, counts: Counts) -> Work {
    let (units, rows) = (model.hidden(), model.outputs() as f64);
    let (product, row) = parts_of_row(counts, units);
    // Means are divided for so many units at once, and rows read as far as these go.
    let (stretches, mean) = match model.pool() {
        Pool::Canvas => return Work::other(rows * counts.logit),
        Pool::Last | Pool::Sum => (1, 0.0),
        Pool::Mean | Pool::Recent => (units.div_ceil(MEANS), counts.mean),
    };
    let units = units as f64;
    Work::other(rows * (units * product + stretches as f64 * row) + units * mean)
}

/// Units whose means a session has at once.
const MEANS: usize = 32;
