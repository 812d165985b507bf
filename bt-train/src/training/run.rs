//! The folder of a run: what it was told, what it did, how to go on.
//!
//! | file | content |
//! |---|---|
//! | `config.toml` | the settings, complete |
//! | `state.safetensors` | all that the last epoch left: weights, moments, the best weights, the epochs |
//! | `best.safetensors` | the model of the best epoch |
//! | `metrics.jsonl` | one line an epoch |
//! | `events.out.tfevents.0.bt-train` | the same for TensorBoard |
//! | `curves.svg`, `confusion.svg` | loss and accuracy; the best model on the validation part |
//! | `report.html` | all of it for a browser |
//! | `.lock` | empty; locked while somebody trains here |
//!
//! The settings are written before the first epoch, the state after each one, whole or not at all. It
//! alone is read when a run goes on: an epoch counts once it is in the state. The other files are made
//! from it, then and whenever the run goes on, so a kill between two writes cannot make them disagree
//! for good.

use crate::chart;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{FolderLock, check_other, create_folder, write_atomic};
use crate::float::tensors::{Tensors, read_tensors, write_tensors};
use crate::report::Report;
use crate::training::outcome::Outcome;
use crate::training::settings::{Flags, Settings};
use crate::training::trainer::{Best, Epoch, State, Trainer, Update};
use crate::training::{curves, events};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Metadata entry of `state.safetensors`.
const STATE_KEY: &str = "state";

/// What that entry holds, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    trainer: State,
    epochs: Vec<Epoch>,
}

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at this path, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> RunFolder {
        RunFolder { path: path.into() }
    }

    /// The model of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The settings.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    fn state(&self) -> PathBuf {
        self.path.join("state.safetensors")
    }

    fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    fn events(&self) -> PathBuf {
        self.path.join("events.out.tfevents.0.bt-train")
    }

    fn curves(&self) -> PathBuf {
        self.path.join("curves.svg")
    }

    fn confusion(&self) -> PathBuf {
        self.path.join("confusion.svg")
    }

    /// What people look at.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Checks that a file is none of the run's own.
    ///
    /// # Errors
    /// Names the file.
    pub fn check_other(&self, path: &Path) -> Result<()> {
        self.files()
            .values()
            .try_for_each(|own| check_other(path, own))
    }

    /// What the folder holds of a finished run, by what it is.
    pub fn files(&self) -> BTreeMap<&'static str, PathBuf> {
        let files = [
            ("model", self.best()),
            ("settings", self.config()),
            ("state", self.state()),
            ("metrics", self.metrics()),
            ("events", self.events()),
            ("curves", self.curves()),
            ("confusion", self.confusion()),
            ("report", self.report()),
        ];
        files
            .into_iter()
            .filter(|(_, path)| path.exists())
            .collect()
    }

    /// Settings of a run that starts or goes on here.
    ///
    /// # Errors
    /// When a run that goes on is told something new, or a new one finds another.
    pub fn settings(&self, file: Option<&Path>, flags: &Flags, resume: bool) -> Result<Settings> {
        let saved = self.config();
        let begun = self.state().exists() || self.best().exists();
        let goes_on = saved.exists() && (begun || resume);
        if goes_on && !resume {
            return Err(Error::new(ErrorKind::RunExists).file(&self.path));
        }
        let file = if goes_on {
            Some(file.unwrap_or(&saved))
        } else {
            file
        };
        let mut told = Settings::of_run(file, flags)?;
        if goes_on {
            told = told.going_on(&self.started()?);
            self.check_started_with(&told)?;
        } else {
            // What a run leaves would take the place of what it begins with.
            let read = file.iter().copied().chain(told.model_to_start_from());
            for read in read {
                check_other(&saved, read)?;
                check_other(&self.best(), read)?;
            }
        }
        Ok(told)
    }

    fn started(&self) -> Result<Settings> {
        Settings::resolve(Some(&self.config()), &Flags::default())
    }

    /// Checks that the run here was started with these settings, or fewer epochs of the same schedule.
    fn check_started_with(&self, told: &Settings) -> Result<()> {
        let mut started = self.started()?.counted();
        let told = told.clone().counted();
        if told.epochs > started.epochs && told.schedule() == started.schedule() {
            started.epochs = told.epochs;
            started.schedule_epochs = told.schedule_epochs;
        }
        match told.first_difference(&started)? {
            None => Ok(()),
            Some((key, told, started)) => Err(Error::new(ErrorKind::OtherSetting {
                told: told.into(),
                started: started.into(),
            })
            .field(key)
            .remedy("leave it out; a run goes on as it was started")),
        }
    }

    /// Trains to the end, from where the folder's run stopped, or until `watch`
    /// breaks it off. Gives all epochs of the run.
    ///
    /// # Errors
    /// When another process trains here, a file cannot be written, the loss explodes, or `watch` broke
    /// it off. What was written before can be used and gone on with.
    pub fn train(
        &self,
        settings: &Settings,
        trainer: &mut Trainer<'_>,
        watch: &mut dyn RunWatch,
    ) -> Result<Vec<Epoch>> {
        create_folder(&self.path)
            .map_err(|error| error.remedy("choose an `out` that can be written"))?;
        let _lock = FolderLock::take(&self.path).map_err(|error| match error.kind {
            ErrorKind::InUse => error.remedy("wait for its end, or choose another `out`"),
            _ => error.remedy("choose an `out` that can be written"),
        })?;
        self.train_alone(settings, trainer, watch)
            .map_err(|error| match error.kind {
                ErrorKind::Io(_) => error.remedy("once it can be written, `resume` goes on"),
                _ => error,
            })
    }

    fn train_alone(
        &self,
        settings: &Settings,
        trainer: &mut Trainer<'_>,
        watch: &mut dyn RunWatch,
    ) -> Result<Vec<Epoch>> {
        let mut epochs = self.restore(settings, trainer)?;
        watch.start(trainer);
        write_text(&self.config(), &settings.to_toml()?)?;
        // A model to start from is the best there is until an epoch is better.
        if trainer.best().is_some() {
            trainer.checkpoint().write(&self.best())?;
        }
        self.write_metrics(&epochs)?;
        self.write_events(&epochs)?;
        while !trainer.finished() {
            let done = trainer.epoch(&mut |update| watch.updated(update))?;
            let Some(epoch) = done else {
                if trainer.epochs() == 0 {
                    trainer.checkpoint().write(&self.best())?;
                }
                let epochs = trainer.epochs();
                return Err(Error::new(ErrorKind::Interrupted { epochs })
                    .file(&self.path)
                    .remedy("best.safetensors can be used; `resume` goes on"));
            };
            watch.epoch(&epoch);
            epochs.push(epoch);
            self.write_state(trainer, &epochs)?;
            if trainer
                .best()
                .is_some_and(|best| best.epoch == trainer.epochs())
            {
                trainer.checkpoint().write(&self.best())?;
            }
            self.write_metrics(&epochs)?;
            self.append_event(&epochs)?;
        }
        let best = trainer.best();
        let charts = curves::charts(&epochs, best.map(|best| best.epoch));
        write_text(&self.curves(), &chart::stacked(&charts))?;
        let outcome = trainer.outcome()?;
        let config = trainer.checkpoint().config;
        if let Some(confusion) = outcome.as_ref().and_then(Outcome::confusion) {
            write_text(&self.confusion(), &confusion.svg(&config.head.labels))?;
        }
        let report = Report {
            settings,
            config: &config,
            epochs: &epochs,
            best,
            learned: Some(trainer.sequences().0),
            validation: outcome.as_ref(),
            device: None,
        };
        report.write(&self.report())?;
        Ok(epochs)
    }

    /// All epochs that were trained here, and the one that is kept; nothing where no run is.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn history(&self) -> Result<Option<(Vec<Epoch>, Option<Best>)>> {
        if !self.state().exists() {
            return Ok(None);
        }
        let (saved, _) = self.saved()?;
        Ok(Some((saved.epochs, saved.trainer.best)))
    }

    fn write_metrics(&self, epochs: &[Epoch]) -> Result<()> {
        write_atomic(&self.metrics(), |file| {
            for epoch in epochs {
                serde_json::to_writer(&mut *file, epoch).map_err(std::io::Error::from)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    fn write_events(&self, epochs: &[Epoch]) -> Result<()> {
        write_atomic(&self.events(), |file| {
            file.write_all(&events::start())?;
            for epoch in epochs {
                file.write_all(&events::of_epoch(epoch))?;
            }
            Ok(())
        })
    }

    /// The last epoch's, behind those that are there: TensorBoard reads on in a file that grows.
    fn append_event(&self, epochs: &[Epoch]) -> Result<()> {
        let path = self.events();
        let append = |event: Vec<u8>| {
            OpenOptions::new()
                .append(true)
                .open(&path)?
                .write_all(&event)
        };
        let last = epochs.last().map(events::of_epoch);
        let done = last.map_or(Ok(()), append);
        done.map_err(|error| Error::from(error).file(&path))
    }

    fn write_state(&self, trainer: &Trainer<'_>, epochs: &[Epoch]) -> Result<()> {
        let (state, tensors) = trainer.state();
        let saved = Saved {
            trainer: state,
            epochs: epochs.to_vec(),
        };
        let json = serde_json::to_string(&saved).map_err(Error::malformed)?;
        write_tensors(&self.state(), STATE_KEY, json, &tensors)
    }

    /// Brings a trainer to where the run stopped; gives the epochs done so far.
    fn restore(&self, settings: &Settings, trainer: &mut Trainer<'_>) -> Result<Vec<Epoch>> {
        let path = self.state();
        if !path.exists() {
            return Ok(Vec::new());
        }
        // Another run may have come and gone since the settings were read.
        if self.config().exists() {
            self.check_started_with(settings)?;
        }
        let (saved, tensors) = self.saved()?;
        trainer
            .restore(saved.trainer, tensors)
            .map_err(|error| error.file(&path))?;
        Ok(saved.epochs)
    }

    /// What `state.safetensors` holds.
    fn saved(&self) -> Result<(Saved, Tensors)> {
        let path = self.state();
        let file = read_tensors(&path)?;
        let text = file
            .metadata
            .get(STATE_KEY)
            .ok_or_else(|| Error::new(ErrorKind::Missing).field(STATE_KEY).file(&path))?;
        let saved = serde_json::from_str(text).map_err(|error| {
            Error::malformed(error)
                .file(&path)
                .field(STATE_KEY)
                .remedy("another version of bt-train wrote it; choose another `out`")
        })?;
        Ok((saved, file.tensors))
    }
}

/// Who looks on while a run trains.
pub trait RunWatch {
    /// Before the first update, `trainer` being where the run goes on.
    fn start(&mut self, trainer: &Trainer<'_>);

    /// After every update; may break the run off.
    fn updated(&mut self, update: Update) -> ControlFlow<()>;

    /// After every epoch.
    fn epoch(&mut self, epoch: &Epoch);
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomic(path, |file| Ok(file.write_all(text.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::checkpoint::Checkpoint;
    use crate::training::crash;
    use crate::training::settings::HeadChoice;
    use crate::training::trainer::tests::{data, drawing, pictures, settings, varied};

    /// Breaks off at an update, counted over the whole run from 1; 0: never.
    struct BreakAt(usize);

    impl RunWatch for BreakAt {
        fn start(&mut self, _: &Trainer<'_>) {}

        fn updated(&mut self, _: Update) -> ControlFlow<()> {
            self.0 = self.0.wrapping_sub(1);
            if self.0 == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }

        fn epoch(&mut self, _: &Epoch) {}
    }

    fn train(folder: &RunFolder, settings: &Settings, break_at: usize) -> Result<Vec<Epoch>> {
        let data = match settings.head {
            HeadChoice::Draw => pictures(),
            _ => data(),
        };
        let mut trainer = Trainer::new(settings, settings.model(&data)?, &data)?;
        folder.train(settings, &mut trainer, &mut BreakAt(break_at))
    }

    /// Breaks in the first epoch, in a later one, right after one: the files
    /// are those of an unbroken run.
    #[test]
    fn a_broken_run_ends_in_the_same_bytes() {
        for settings in [settings(), varied(), drawing()] {
            check_broken(&settings);
        }
    }

    fn check_broken(settings: &Settings) {
        let place = tempfile::tempdir().unwrap();
        let whole = RunFolder::new(place.path().join("whole"));
        train(&whole, settings, 0).unwrap();
        for break_at in [1, 7, 8, 24] {
            let broken = RunFolder::new(place.path().join(break_at.to_string()));
            let error = train(&broken, settings, break_at).unwrap_err();
            assert!(
                matches!(error.kind, ErrorKind::Interrupted { .. }),
                "{error}"
            );
            Checkpoint::read(&broken.best()).unwrap();
            train(&broken, settings, 0).unwrap();
            crash::assert_same_files(&broken.path, &whole.path, "broken off");
        }
    }

    /// A run told more epochs goes on at its last rate; broken off there too, in the same bytes.
    #[test]
    fn a_finished_run_goes_on_beyond_its_end() {
        let settings = settings();
        let place = tempfile::tempdir().unwrap();
        let longer = Flags {
            epochs: Some(9),
            ..Flags::default()
        };
        let begin = |name: &str| {
            let folder = RunFolder::new(place.path().join(name));
            train(&folder, &settings, 0).unwrap();
            let told = folder.settings(None, &longer, true).unwrap();
            assert_eq!((told.epochs, told.schedule_epochs), (9, settings.epochs));
            (folder, told)
        };
        let (whole, told) = begin("whole");
        let epochs = train(&whole, &told, 0).unwrap();
        assert_eq!(epochs.len(), 9);
        let last = settings.lr * settings.final_lr;
        for epoch in &epochs[settings.epochs..] {
            assert!((epoch.lr / last - 1.0).abs() < 1e-5, "{epoch:?}");
        }
        let (broken, told) = begin("broken");
        train(&broken, &told, 9).unwrap_err();
        let again = broken.settings(None, &Flags::default(), true).unwrap();
        assert_eq!(again, told);
        train(&broken, &again, 0).unwrap();
        crash::assert_same_files(&broken.path, &whole.path, "beyond its end");
        let fewer = broken.settings(
            None,
            &Flags {
                epochs: Some(8),
                ..longer.clone()
            },
            true,
        );
        assert!(fewer.unwrap_err().to_string().starts_with("epochs: is 8"));
    }

    #[test]
    fn a_run_goes_on_as_it_was_started() {
        let settings = settings();
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(place.path());
        train(&folder, &settings, 9).unwrap_err();
        let told = |flags: &Flags, resume| folder.settings(None, flags, resume);
        assert_eq!(told(&Flags::default(), true).unwrap(), settings);
        let same = Flags {
            epochs: Some(settings.epochs),
            ..Flags::default()
        };
        assert_eq!(told(&same, true).unwrap(), settings);
        assert!(told(&same, false).is_err());
        let other = Flags {
            lr: Some(1.0),
            ..Flags::default()
        };
        let line = told(&other, true).unwrap_err().to_string();
        assert!(
            line.starts_with("lr: is 1, but the run was started with 0.03"),
            "{line}"
        );
    }
}
