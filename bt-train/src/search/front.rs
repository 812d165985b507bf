//! What nothing beats: by its figure on the validation part, RAM, flash and instructions.

use super::needs::Needs;
use crate::chart::{Axis, Chart, Scale, Series, stacked};
use crate::svg::{BLUE, GREY, RED};
use crate::training::evaluate::Score;
use crate::training::metrics::Keep;

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Its number.
    pub trial: usize,
    /// The figure that is searched for: more is better.
    pub good: f64,
    /// What it needs.
    pub needs: Needs,
}

impl Standing {
    /// Of a score, by that figure of it.
    pub(super) fn new(trial: usize, score: &Score, keep: Keep, needs: Needs) -> Standing {
        let figure = score.get(keep).unwrap_or(f64::NAN);
        let good = if keep.is_error() { -figure } else { figure };
        let good = if good.is_nan() {
            f64::NEG_INFINITY
        } else {
            good
        };
        Standing { trial, good, needs }
    }

    /// Whether nothing of the other is better, and something worse; of equals the first stays.
    fn beats(&self, other: &Standing) -> bool {
        let (a, b) = (&self.needs, &other.needs);
        let is_no_worse = self.good >= other.good
            && a.ram_bytes <= b.ram_bytes
            && a.flash_bytes <= b.flash_bytes
            && a.instructions <= b.instructions;
        let is_equal = self.good == other.good
            && (a.ram_bytes, a.flash_bytes, a.instructions)
                == (b.ram_bytes, b.flash_bytes, b.instructions);
        is_no_worse && (!is_equal || self.trial < other.trial)
    }
}

/// What no other of all beats, the best first.
pub(super) fn front(all: &[Standing]) -> Vec<Standing> {
    let beaten = |one: &Standing| all.iter().any(|other| other.beats(one));
    let mut front: Vec<Standing> = all.iter().copied().filter(|one| !beaten(one)).collect();
    front.sort_by(|a, b| {
        let order = b.good.total_cmp(&a.good);
        order.then(a.trial.cmp(&b.trial))
    });
    front
}

/// All of them, those first that are worth going on with: the front, then the front of the rest, and so on;
/// within each by the figure.
pub(super) fn ranked(all: &[Standing]) -> Vec<Standing> {
    let mut rest = all.to_vec();
    let mut ranked: Vec<Standing> = Vec::new();
    while !rest.is_empty() {
        let best = front(&rest);
        rest.retain(|one| !best.iter().any(|best| best.trial == one.trial));
        ranked.extend(best);
    }
    ranked
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    /// What nothing beats, the best first.
    pub front: Vec<Standing>,
    /// Everything that was trained to the end.
    pub all: Vec<Standing>,
    /// The figure.
    pub keep: Keep,
}

impl Front {
    /// Figure against instructions, RAM and flash.
    pub fn picture(&self) -> String {
        let figure = |one: &Standing| {
            if self.keep.is_error() {
                -one.good
            } else {
                one.good
            }
        };
        let chart = |title, name, need: fn(&Needs) -> f64| {
            let points = |all: &[Standing]| -> Vec<(f64, f64)> {
                let mut points: Vec<(f64, f64)> = all
                    .iter()
                    .map(|one| (need(&one.needs), figure(one)))
                    .collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                points
            };
            // In this plane alone.
            let mut line: Vec<(f64, f64)> = Vec::new();
            for (x, y) in points(&self.front) {
                let is_better = line
                    .last()
                    .is_none_or(|&(_, last)| match self.keep.is_error() {
                        true => y < last,
                        false => y > last,
                    });
                if is_better {
                    line.push((x, y));
                }
            }
            let series = |name, colour, points, is_dots| Series {
                name,
                colour,
                points,
                is_dots,
            };
            Chart {
                title,
                x: Axis {
                    name,
                    scale: Scale::Logarithmic,
                },
                y: Axis {
                    name: "",
                    scale: Scale::Linear,
                },
                series: vec![
                    series("trained to the end", GREY, points(&self.all), true),
                    series("front", RED, points(&self.front), true),
                    series("", BLUE, line, false),
                ],
                mark: None,
            }
        };
        let name = self.keep.name();
        let title = |by: &str| format!("{name} (validation) over {by}");
        let titles = ["instructions", "RAM", "flash"].map(title);
        stacked(&[
            chart(&titles[0], "instructions of the maps a step", |needs| {
                needs.instructions as f64
            }),
            chart(&titles[1], "RAM of a session, bytes", |needs| {
                needs.ram_bytes as f64
            }),
            chart(&titles[2], "model file, bytes", |needs| {
                needs.flash_bytes as f64
            }),
        ])
    }
}
