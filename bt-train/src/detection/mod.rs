//! Detection in long recordings, by the device's own code: how often it is right, late to nothing, or wrong.

mod choose;
mod count;
mod recordings;

pub use choose::choose;
pub use count::{Count, Told, count};
pub use recordings::{Event, Recording, read};

use crate::error::{Error, ErrorKind, Result};
use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::internals::detection::probabilities;
use bt_core::{Model, Session};
use rayon::prelude::*;

/// Rules of all classes, in their order; none of those that are not looked for.
pub type Rules = Vec<Option<Rule>>;

/// What a detector sees of a recording: the probabilities of every look.
#[derive(Debug, Clone, PartialEq)]
pub struct Looks {
    /// Probabilities [looks, classes], Q0.15.
    pub probabilities: Vec<u16>,
    /// Seconds of sound until each look.
    pub seconds: Vec<f64>,
}

/// Looks at recordings as a device does that is fed one of them after a reset; with a `window`, it restarts every so
/// many steps.
///
/// # Errors
/// When the model tells no classes.
pub fn look(model: &Model<'_>, recordings: &[Recording], window: u32) -> Result<Vec<Looks>> {
    recordings
        .par_iter()
        .map(|recording| {
            let mut looks = Looks {
                probabilities: Vec::new(),
                seconds: Vec::new(),
            };
            let every = window.max(1);
            run(
                model,
                recording,
                &vec![None; model.outputs()],
                window,
                |step, samples, scores| {
                    if step % every == 0 {
                        looks
                            .probabilities
                            .extend(probabilities(scores, model.score_shift()));
                        looks.seconds.push(recording.seconds(samples));
                    }
                },
            )?;
            Ok(looks)
        })
        .collect()
}

/// What these rules detect in a recording, by the device's own code.
///
/// # Errors
/// When the model tells no classes, or a rule cannot be.
pub fn detect(
    model: &Model<'_>,
    recording: &Recording,
    rules: &[Option<Rule>],
    window: u32,
) -> Result<Vec<Detection>> {
    run(model, recording, rules, window, |_, _, _| ())
}

/// Feeds a recording and takes all steps. `watch` is shown the number of each step, the samples so far and the scores.
fn run(
    model: &Model<'_>,
    recording: &Recording,
    rules: &[Option<Rule>],
    window: u32,
    mut watch: impl FnMut(u32, usize, &[i32]),
) -> Result<Vec<Detection>> {
    let mut arena = vec![0; model.arena_words()];
    let mut scores = vec![0; model.outputs()];
    let mut watches = vec![Watch::OFF; model.outputs()];
    let mut detector = Detector::new(model, &mut watches).map_err(refused)?;
    for (class, rule) in rules.iter().enumerate() {
        detector.watch(class, *rule).map_err(refused)?;
    }
    detector.set_window(window);
    let mut session = Session::new(model, &mut arena).map_err(refused)?;
    let (mut taken, mut step, mut found) = (0, 0, Vec::new());
    while taken < recording.samples.len() {
        taken += session
            .push_i16(&recording.samples[taken..])
            .map_err(refused)?;
        if !session.frame_complete() {
            break;
        }
        session.step().map_err(refused)?;
        step += 1;
        found.extend(detector.step(&mut session, &mut scores).map_err(refused)?);
        watch(step, taken, &scores);
    }
    Ok(found)
}

/// What rules detect where these are the looks.
fn judge(model: &Model<'_>, rules: &[Option<Rule>], looks: &Looks) -> Result<Vec<Told>> {
    let mut watches = vec![Watch::OFF; model.outputs()];
    let mut detector = Detector::new(model, &mut watches).map_err(refused)?;
    for (class, rule) in rules.iter().enumerate() {
        detector.watch(class, *rule).map_err(refused)?;
    }
    let rows = looks.probabilities.chunks(model.outputs());
    let mut told = Vec::new();
    for (row, &seconds) in rows.zip(&looks.seconds) {
        let found = detector.judge(|class| row[class]);
        told.extend(found.map(|found| Told {
            class: found.class,
            confidence: f64::from(found.confidence) / 32_768.0,
            seconds,
        }));
    }
    Ok(told)
}

/// What rules come to over several recordings: for each class a count, and for each recording what they told.
///
/// # Errors
/// When a rule cannot be.
pub fn evaluate(
    model: &Model<'_>,
    rules: &[Option<Rule>],
    (recordings, looks): (&[Recording], &[Looks]),
    tolerance: f64,
) -> Result<(Vec<Count>, Vec<Vec<Told>>)> {
    let told: Vec<Vec<Told>> = looks
        .par_iter()
        .map(|looks| judge(model, rules, looks))
        .collect::<Result<_>>()?;
    let mut counts = vec![Count::default(); model.outputs()];
    for (recording, told) in recordings.iter().zip(&told) {
        count(&mut counts, &recording.events, told, tolerance);
    }
    Ok((counts, told))
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Device(Box::new(error)))
}
