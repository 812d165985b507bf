//! What a search was asked for, what its trials are and came to: the content of its files.

use super::needs::{Bounds, Needs};
use crate::data::DataSet;
use crate::data::PartName;
use crate::error::{Error, ErrorKind, Lack, Result};
use crate::training::evaluate::Score;
use crate::training::material::split_off;
use crate::training::metrics::Figures;
use crate::training::settings::Settings;
use bt_core::OutputKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What was asked for. A search goes on only with the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What all models share: data, training, and what of a model is not drawn.
    pub settings: Settings,
    /// Keys that somebody gave a value: they are not drawn.
    pub told: BTreeSet<String>,
    /// What the device allows.
    pub bounds: Bounds,
    /// Models to train.
    pub trials: usize,
}

/// What `search.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    pub asked: Asked,
    /// [`DataSet::fingerprint`].
    pub data: u64,
    pub validation: Validation,
    pub looked_at: usize,
    pub trials: Vec<Trial>,
}

/// What trials are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Sequences of the validation part.
    pub sequences: usize,
    /// Share of its commonest class; none of values.
    pub majority: Option<f64>,
    /// Whether the targets are bits.
    #[serde(default)]
    pub bits: bool,
}

/// A model that is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// How it is trained, to the end.
    pub settings: Settings,
    /// What it needs by the plans, before anything is trained.
    pub needs: Needs,
}

/// What a trial came to so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrialResult {
    /// Epochs that it was trained for.
    pub epochs: usize,
    /// Of the best of them on the validation part.
    pub validation: Option<Score>,
    /// Why it cannot go on.
    pub failed: Option<String>,
    /// Of the integers, once it was trained to the end.
    pub device: Option<DeviceResult>,
}

/// What a trained model is on the device.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct DeviceResult {
    /// By the file itself.
    pub needs: Needs,
    /// Of the integers on the validation part.
    pub fixed: Figures,
}

/// So many trials, trained so far; the best of them go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// Epochs from the start.
    pub epochs: usize,
    /// Trials.
    pub trials: usize,
}

impl Asked {
    /// Checks that the same was asked for when the search was started.
    ///
    /// # Errors
    /// Names the first thing that was not.
    pub(super) fn check(&self, started: &Asked) -> Result<()> {
        let other = |field: &str, told: String, started: String| {
            Err(Error::new(ErrorKind::OtherSetting {
                told: told.into(),
                started: started.into(),
            })
            .field(field))
        };
        if let Some((key, told, started)) = self.settings.first_difference(&started.settings)? {
            return other(&key, told, started);
        }
        if let Some(key) = self.told.symmetric_difference(&started.told).next() {
            let drawn = |told: &BTreeSet<String>| match told.contains(key) {
                true => "told",
                false => "drawn",
            };
            return other(key, drawn(&self.told).into(), drawn(&started.told).into());
        }
        let (ours, theirs) = (self.limits(), started.limits());
        let mut pairs = ours.into_iter().zip(theirs);
        match pairs.find(|(ours, theirs)| ours.1 != theirs.1) {
            Some(((field, told), (_, started))) => other(field, told, started),
            None => Ok(()),
        }
    }

    /// All that is no setting, by its key.
    fn limits(&self) -> [(&'static str, String); 7] {
        let limit = |value: Option<String>| value.unwrap_or_else(|| "no limit".into());
        let bytes = |value: Option<usize>| limit(value.map(|value| value.to_string()));
        let bounds = &self.bounds;
        [
            ("ram", bytes(bounds.ram_bytes)),
            ("flash", bytes(bounds.flash_bytes)),
            (
                "ms-per-step",
                limit(bounds.ms_per_step.map(|value| value.to_string())),
            ),
            ("core", bounds.processor.name()),
            ("clock", bounds.clock_hz.to_string()),
            ("wait-states", bounds.wait_states.to_string()),
            ("trials", self.trials.to_string()),
        ]
    }
}

/// What is kept for validation.
pub(super) fn validation(settings: &Settings, data: &DataSet) -> Result<Validation> {
    let config = settings.model(data)?;
    let read = data.clone().for_head(config.head.gives.name())?;
    let (_, part) = split_off(settings, &read)?;
    let part = part.ok_or_else(no_validation)?;
    let targets = part.known_targets(PartName::Validation)?;
    let majority = targets.labels().map(|labels| {
        let mut counts = vec![0usize; config.head.gives.outputs()];
        labels.iter().for_each(|&label| counts[label] += 1);
        let most = counts.into_iter().max().unwrap_or(0);
        most as f64 / labels.len().max(1) as f64
    });
    Ok(Validation {
        sequences: part.sequences(),
        majority,
        bits: targets.items.kind() == OutputKind::Bits,
    })
}

pub(super) fn no_validation() -> Error {
    Error::new(ErrorKind::Lacks(Lack::Validation))
        .field("validation")
        .remedy("give it a share, or data with a validation part")
}

/// Halvings at most: what a quarter of the epochs tells of a model is worth something.
const HALVINGS_MAX: u32 = 2;

/// Half of the trials go on at each rung, for twice the epochs; at least two and one epoch are left.
pub(super) fn rungs(trials: usize, epochs: usize) -> Vec<Rung> {
    let halvings = HALVINGS_MAX
        .min(trials.max(2).ilog2() - 1)
        .min(epochs.max(1).ilog2());
    let rung = |left: u32| Rung {
        epochs: epochs.div_ceil(1 << left),
        trials: trials.div_ceil(1 << (halvings - left)),
    };
    (0..=halvings).rev().map(rung).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_trials_go_on_for_twice_the_epochs() {
        let of = |trials, epochs| -> Vec<(usize, usize)> {
            let rungs = rungs(trials, epochs).into_iter();
            rungs.map(|rung| (rung.trials, rung.epochs)).collect()
        };
        assert_eq!(of(16, 20), [(16, 5), (8, 10), (4, 20)]);
        assert_eq!(of(9, 5), [(9, 2), (5, 3), (3, 5)]);
        assert_eq!(of(4, 60), [(4, 30), (2, 60)]);
        assert_eq!(of(3, 60), [(3, 60)]);
        assert_eq!(of(16, 1), [(16, 1)]);
        assert_eq!(of(16, 2), [(16, 1), (8, 2)]);
        assert_eq!(of(1, 7), [(1, 7)]);
    }
}
