//! From a device's limits to models: what may fit is drawn, the planner and the exporter say what it needs,
//! and only what keeps to the limits is trained, by successive halving.
//!
//! | file | what it knows |
//! |---|---|
//! | `space` | which models there are to draw from |
//! | `needs` | what one of them needs on the device, before it is trained |
//! | `record` | what was asked for, trials and their results |
//! | `trials` | the folder of a search: rungs, training, the front |
//! | `front` | what nothing beats, and its picture |
//!
//! A trial is a run's folder like any other. All that a search knows is in its folder, so it goes on after a kill,
//! and trials can be run anywhere, in any order. The test part is never read.

mod front;
mod needs;
mod record;
mod space;
mod trials;

pub use front::{Front, Standing};
pub use needs::{Bounds, Needs};
pub use record::{Asked, DeviceResult, Rung, Trial, TrialResult, Validation};
pub use trials::Search;

use crate::data::DataSet;
use crate::error::{Error, ErrorKind, Result};
use crate::training::settings::Settings;
use needs::{Predictor, Verdict};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use space::Space;

/// Models that are drawn at most for each that is wanted, and at least.
const DRAWS_A_TRIAL: usize = 24;
const DRAWS_LEAST: usize = 160;
/// Drawn at a time.
const AT_ONCE: usize = 16;
/// Seeds of drawing and of training have nothing to do with each other.
const STREAM: u64 = 0x5ea7c4;

/// What was found, and how many models were looked at for it.
struct Drawn {
    trials: Vec<(Settings, Needs)>,
    looked_at: usize,
}

/// Draws models that keep to the bounds, at most so many.
///
/// # Errors
/// When nothing keeps to the bounds: names what comes nearest and by which limit it fails.
fn draw(asked: &Asked, data: &DataSet) -> Result<Drawn> {
    let (base, bounds, count) = (&asked.settings, &asked.bounds, asked.trials);
    let predictor = Predictor::new(base, data, *bounds)?;
    let mut space = Space::new(base, &asked.told, data)?;
    let mut rng = ChaCha8Rng::seed_from_u64(base.seed);
    rng.set_stream(STREAM);
    let own = base.fitted(data)?;
    let mut seen = vec![own.clone()];
    let mut drawn = Drawn {
        trials: Vec::new(),
        looked_at: 0,
    };
    let mut nearest: Option<(Settings, Needs)> = None;
    // First what training takes by itself, and the smallest there are: if those are too large, all are.
    let mut next = vec![own];
    next.extend(space.smallest());
    let mut spare: Vec<(Settings, Needs)> = Vec::new();
    let draws = DRAWS_LEAST.max(DRAWS_A_TRIAL * count);
    loop {
        let verdicts: Vec<Result<Verdict>> = next
            .par_iter()
            .map(|settings| predictor.predict(settings))
            .collect();
        let is_first = drawn.looked_at == 0;
        for (at, (settings, verdict)) in next.drain(..).zip(verdicts).enumerate() {
            drawn.looked_at += 1;
            match verdict? {
                Verdict::Fits(needs) => {
                    space.fits(&settings);
                    // The smallest show that there is something; they are taken where little else is.
                    let taken = match is_first && at > 0 {
                        true => &mut spare,
                        false => &mut drawn.trials,
                    };
                    taken.push((settings, needs));
                }
                Verdict::Over(needs) => {
                    space.does_not_fit(&settings);
                    let excess = |needs: &Needs| bounds.excess(needs);
                    let is_nearer = nearest
                        .as_ref()
                        .is_none_or(|(_, best)| excess(&needs) < excess(best));
                    if is_nearer {
                        nearest = Some((settings, needs));
                    }
                }
                Verdict::Impossible => space.does_not_fit(&settings),
            }
        }
        drawn.trials.truncate(count);
        if is_first && !space.has_any() {
            break;
        }
        if drawn.trials.len() == count || drawn.looked_at >= draws {
            break;
        }
        let mut tries = 0;
        while next.len() < AT_ONCE && tries < 8 * AT_ONCE {
            tries += 1;
            let Some(settings) = space.draw(&mut rng) else {
                break;
            };
            if !seen.contains(&settings) {
                seen.push(settings.clone());
                next.push(settings);
            }
        }
        if next.is_empty() {
            break;
        }
    }
    for (settings, needs) in spare {
        let is_new = !drawn.trials.iter().any(|(taken, _)| *taken == settings);
        if is_new && drawn.trials.len() < count {
            drawn.trials.push((settings, needs));
        }
    }
    if drawn.trials.is_empty() {
        return Err(nothing_fits(drawn.looked_at, nearest, bounds));
    }
    Ok(drawn)
}

fn nothing_fits(looked_at: usize, nearest: Option<(Settings, Needs)>, bounds: &Bounds) -> Error {
    let Some((settings, needs)) = nearest else {
        return Error::new(ErrorKind::NoPlan);
    };
    let over = bounds.exceeded(&needs);
    let field = over.first().map_or("ram", |over| over.limit);
    let allow: Vec<String> = over
        .iter()
        .map(|over| format!("`{} {}`", over.limit, over.need))
        .collect();
    let remedy = format!("allow {}, or take a larger board", allow.join(" and "));
    Error::new(ErrorKind::NothingFits(Box::new(
        crate::error::NothingFits {
            looked_at,
            nearest: space::words(&settings),
            over,
        },
    )))
    .field(field)
    .remedy(remedy)
}

#[cfg(test)]
mod tests;
