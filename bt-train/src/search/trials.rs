//! The folder of a search: what was asked for, the trials, and what they came to.
//!
//! | file | content |
//! |---|---|
//! | `search.json` | what was asked for, the trials with settings and needs; written once |
//! | `trial-7/` | the run of a trial, as `train` leaves one |
//! | `trial-7/result.json` | what its last rung came to |
//! | `rung-1.json` | the trials that go on after the first rung |
//! | `front.svg` | the front |
//!
//! Which trials go on, and how far, follows from the results alone: whoever looks sees the same.

use super::front::{Front, Standing, front, ranked};
use super::record::{
    Asked, DeviceResult, Rung, Saved, Trial, TrialResult, Validation, no_validation, rungs,
    validation,
};
use super::space::words;
use super::{Drawn, draw};
use crate::data::{DataSet, PartName};
use crate::error::{Error, ErrorKind, Result, With};
use crate::file::{create_folder, write_atomic};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::HeadName;
use crate::quantize::export::{CALIBRATION_SEQUENCES, Options, Scheme};
use crate::quantize::fine_tune;
use crate::training::material::split_off;
use crate::training::metrics::Keep;
use crate::training::outcome::Outcome;
use crate::training::run::{RunFolder, RunWatch};
use crate::training::settings::{HeadChoice, Settings};
use crate::training::trainer::Trainer;
use bt_core::OutputKind;
use std::path::{Path, PathBuf};

/// A search in its folder.
#[derive(Debug, Clone)]
pub struct Search {
    folder: PathBuf,
    saved: Saved,
}

impl Search {
    /// Draws the trials and makes the folder, or goes on with what is there.
    ///
    /// # Errors
    /// When the folder holds another search, nothing keeps to the bounds, or nothing is kept for validation.
    pub fn start(folder: &Path, asked: &Asked, data: &DataSet) -> Result<Search> {
        if Search::is_in(folder) {
            let search = Search::open(folder)?;
            search.check(asked)?;
            search.check_data(data)?;
            return Ok(search);
        }
        let settings = &asked.settings;
        for (field, is_set) in [
            ("init", !settings.init.is_empty()),
            ("patience", settings.patience > 0),
            ("schedule-epochs", settings.schedule_epochs > 0),
        ] {
            if is_set {
                let why = "does not go with a search, which says itself how far a model is trained";
                let error = Error::new(ErrorKind::Conflict {
                    with: With::Search,
                    why,
                })
                .field(field);
                return Err(error.remedy("leave it out"));
            }
        }
        if settings.head == HeadChoice::Draw {
            let why = "paints pictures, of which integers tell no bound to search by";
            return Err(Error::new(ErrorKind::NotForHead {
                head: HeadName::Draw,
                why,
            })
            .field("head"));
        }
        let validation = validation(settings, data)?;
        let Drawn { trials, looked_at } = draw(asked, data)?;
        let trials = trials.into_iter();
        let saved = Saved {
            asked: asked.clone(),
            data: data.fingerprint(),
            validation,
            looked_at,
            trials: trials
                .map(|(settings, needs)| Trial { settings, needs })
                .collect(),
        };
        create_folder(folder)?;
        let text = serde_json::to_string_pretty(&saved).map_err(Error::malformed)?;
        write_atomic(&path(folder), |file| Ok(file.write_all(text.as_bytes())?))?;
        Ok(Search {
            folder: folder.to_owned(),
            saved,
        })
    }

    /// Whether a search was started there.
    pub fn is_in(folder: &Path) -> bool {
        path(folder).exists()
    }

    /// What is there.
    ///
    /// # Errors
    /// When there is none, or it is no search.
    pub fn open(folder: &Path) -> Result<Search> {
        let path = path(folder);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Error::from(error).file(&path))?;
        let saved = serde_json::from_str(&text).map_err(|error| {
            Error::malformed(error)
                .file(&path)
                .remedy("choose another `out`")
        })?;
        Ok(Search {
            folder: folder.to_owned(),
            saved,
        })
    }

    /// Checks that this was asked for.
    ///
    /// # Errors
    /// Names the first thing that was not.
    pub fn check(&self, asked: &Asked) -> Result<()> {
        let checked = asked.check(&self.saved.asked);
        checked.map_err(|error| {
            let remedy = "choose another `out`, or ask for what was searched for there";
            error.file(&self.folder).remedy(remedy)
        })
    }

    /// Checks that these are the data that the search was started with.
    ///
    /// # Errors
    /// When they are not.
    pub fn check_data(&self, data: &DataSet) -> Result<()> {
        if data.fingerprint() == self.saved.data {
            return Ok(());
        }
        Err(Error::new(ErrorKind::OtherData)
            .file(&self.folder)
            .remedy("give the `data` of when the search was started, or choose another `out`"))
    }

    /// What was asked for.
    pub fn asked(&self) -> &Asked {
        &self.saved.asked
    }

    /// All trials.
    pub fn trials(&self) -> &[Trial] {
        &self.saved.trials
    }

    /// Models whose needs were predicted.
    pub fn looked_at(&self) -> usize {
        self.saved.looked_at
    }

    /// What trials are ranked by.
    pub fn validation(&self) -> Validation {
        self.saved.validation
    }

    /// The figure that trials are ranked by.
    pub fn keep(&self) -> Keep {
        let settings = &self.saved.asked.settings;
        let validation = self.saved.validation;
        let kind = match validation.majority {
            Some(_) => OutputKind::Classes,
            None if validation.bits => OutputKind::Bits,
            None => OutputKind::Values,
        };
        settings.keep.of(kind).unwrap_or(Keep::Loss)
    }

    /// The model of a trial in few words.
    pub fn words(&self, trial: usize) -> String {
        let trial = self.saved.trials.get(trial);
        trial.map_or(String::new(), |trial| words(&trial.settings))
    }

    /// The folder of a trial.
    pub fn run(&self, trial: usize) -> RunFolder {
        RunFolder::new(self.trial(trial))
    }

    /// The same as a path.
    pub fn trial(&self, trial: usize) -> PathBuf {
        self.folder.join(format!("trial-{trial}"))
    }

    /// The picture of the front.
    pub fn plot(&self) -> PathBuf {
        self.folder.join("front.svg")
    }

    /// How many trials are trained how far: half of them go on at each rung.
    pub fn rungs(&self) -> Vec<Rung> {
        rungs(self.saved.trials.len(), self.saved.asked.settings.epochs)
    }

    /// What a trial came to so far; nothing before its first rung.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn result(&self, trial: usize) -> Result<Option<TrialResult>> {
        let path = self.trial(trial).join("result.json");
        if !path.exists() {
            return Ok(None);
        }
        let text =
            std::fs::read_to_string(&path).map_err(|error| Error::from(error).file(&path))?;
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| {
            Error::malformed(error)
                .file(&path)
                .remedy("remove it, and the trial is taken up again")
        })
    }

    /// The rung that the search stands at, from 0, and the trials that it waits for; none once all is done.
    ///
    /// # Errors
    /// When a result cannot be read.
    pub fn pending(&self) -> Result<Option<(usize, Vec<usize>)>> {
        let rungs = self.rungs();
        let mut members: Vec<usize> = (0..self.saved.trials.len()).collect();
        for (at, rung) in rungs.iter().enumerate() {
            let mut waiting = Vec::new();
            let mut standings = Vec::new();
            for &trial in &members {
                match self.result(trial)? {
                    Some(result) if result.failed.is_some() => {}
                    Some(result) if result.epochs >= rung.epochs => {
                        let needs = self.saved.trials[trial].needs;
                        let score = result.validation.as_ref();
                        let standing = score.map(|s| Standing::new(trial, s, self.keep(), needs));
                        standings.extend(standing);
                    }
                    _ => waiting.push(trial),
                }
            }
            if !waiting.is_empty() {
                return Ok(Some((at, waiting)));
            }
            let next = rungs.get(at + 1).map_or(0, |rung| rung.trials);
            members = self.going_on(at, &standings, next)?;
        }
        Ok(None)
    }

    /// The trials of the next rung. They are written down before any of them goes on: after that its result is
    /// of more epochs than those of the others.
    fn going_on(&self, rung: usize, standings: &[Standing], count: usize) -> Result<Vec<usize>> {
        let path = self.folder.join(format!("rung-{}.json", rung + 1));
        if count == 0 {
            return Ok(Vec::new());
        }
        if let Ok(text) = std::fs::read_to_string(&path) {
            return serde_json::from_str(&text)
                .map_err(|error| Error::malformed(error).file(&path).remedy("remove it"));
        }
        let best = ranked(standings).into_iter().take(count);
        let members: Vec<usize> = best.map(|standing| standing.trial).collect();
        let text = serde_json::to_string(&members).map_err(Error::malformed)?;
        write_atomic(&path, |file| Ok(file.write_all(text.as_bytes())?))?;
        Ok(members)
    }

    /// Trains a trial as far as the rung goes that the search stands at. What is done already, or is not part of
    /// that rung, is left alone.
    ///
    /// # Errors
    /// When `watch` breaks it off, or a file cannot be read or written. A loss that explodes is a result.
    pub fn train(&self, trial: usize, data: &DataSet, watch: &mut dyn RunWatch) -> Result<()> {
        let is_pending =
            |(rung, waiting): (usize, Vec<usize>)| waiting.contains(&trial).then_some(rung);
        let Some(rung) = self.pending()?.and_then(is_pending) else {
            return Ok(());
        };
        let rungs = self.rungs();
        let of_trial = &self.saved.trials[trial];
        let settings = Settings {
            epochs: rungs[rung].epochs,
            schedule_epochs: of_trial.settings.epochs,
            ..of_trial.settings.clone()
        };
        let config = settings.model(data)?;
        let mut trainer = Trainer::new(&settings, config, data)?;
        let trained = self.run(trial).train(&settings, &mut trainer, watch);
        let failed = match trained {
            Ok(_) => None,
            Err(error) if matches!(error.kind, ErrorKind::Diverged { .. }) => {
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        let mut result = TrialResult {
            epochs: trainer.epochs(),
            validation: trainer.best().and_then(|best| best.validation),
            failed,
            device: None,
        };
        if rung + 1 == rungs.len() && result.failed.is_none() {
            match self.integers(&settings, &trainer.checkpoint(), data) {
                Ok(device) => result.device = Some(device),
                Err(error) if matches!(error.kind, ErrorKind::OverLimits(_)) => {
                    result.failed = Some(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        let text = serde_json::to_string_pretty(&result).map_err(Error::malformed)?;
        let path = self.trial(trial).join("result.json");
        write_atomic(&path, |file| Ok(file.write_all(text.as_bytes())?))
    }

    /// What a trained model is on the device.
    fn integers(
        &self,
        settings: &Settings,
        checkpoint: &Checkpoint,
        data: &DataSet,
    ) -> Result<DeviceResult> {
        let bounds = &self.saved.asked.bounds;
        let frames = data.clone().for_model(&checkpoint.config)?;
        let options = Options {
            name: "model".into(),
            limits: bounds.limits(),
            sequences: CALIBRATION_SEQUENCES,
        };
        let part = frames.part(PartName::Train)?;
        let scheme = Scheme::calibrate(checkpoint, part, &data.labels, &options)?;
        let needs = bounds.needs(&scheme, checkpoint)?;
        let read = frames.for_head(checkpoint.config.head.gives.name())?;
        let (_, validation) = split_off(settings, &read)?;
        let validation = validation.ok_or_else(no_validation)?;
        let model = checkpoint.model()?;
        let targets = validation.known_targets(PartName::Validation)?;
        let logits = fine_tune::logits(&scheme, &model, &validation)?;
        let fixed = Outcome::of(&model, &validation, &targets.items, logits).figures;
        Ok(DeviceResult { needs, fixed })
    }

    /// The front of all trials that were trained to the end so far, and its picture.
    ///
    /// # Errors
    /// When a result cannot be read, or all trials failed.
    pub fn collect(&self) -> Result<Front> {
        let mut all = Vec::new();
        let mut failed = Vec::new();
        for trial in 0..self.saved.trials.len() {
            let Some(result) = self.result(trial)? else {
                continue;
            };
            if let Some((score, device)) = result.validation.as_ref().zip(result.device) {
                all.push(Standing::new(trial, score, self.keep(), device.needs));
            }
            failed.extend(result.failed);
        }
        if failed.len() == self.saved.trials.len()
            && let Some(first) = failed.into_iter().next()
        {
            return Err(Error::new(ErrorKind::EveryTrialFailed {
                first: first.into(),
            })
            .file(&self.folder)
            .remedy("lower `lr`, or allow more"));
        }
        let found = Front {
            front: front(&all),
            all,
            keep: self.keep(),
        };
        if !found.front.is_empty() {
            let picture = found.picture();
            write_atomic(&self.plot(), |file| Ok(file.write_all(picture.as_bytes())?))?;
        }
        Ok(found)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("search.json")
}
