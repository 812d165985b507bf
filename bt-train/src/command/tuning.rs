//! Fine-tuning: a trained model learns some epochs more, in floats or as integers.

use crate::command::progress::{Progress, catch_interrupts};
use crate::error::{ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::say;
use crate::training::run::RunWatch;
use crate::training::trainer::{Best, Epoch, Trainer};

/// What fine-tuning came to.
pub struct Tuned {
    /// The epoch that validates best.
    pub checkpoint: Checkpoint,
    /// All of them.
    pub epochs: Vec<Epoch>,
    /// Which one was kept.
    pub best: Option<Best>,
    /// Epochs completed, where it was broken off.
    pub interrupted: Option<usize>,
}

/// Trains to the end, with this before the words of the progress bar.
///
/// # Errors
/// When the loss explodes; `remedy` says what to do then.
pub(super) fn tune(name: &str, remedy: &str, trainer: Trainer<'_>) -> Result<Tuned> {
    catch_interrupts()?;
    watched(trainer, &mut Progress::new(name)).map_err(|error| match error.kind {
        ErrorKind::Diverged { .. } => error.remedy(remedy),
        _ => error,
    })
}

/// Trains to the end or until `watch` breaks it off; no file is written.
///
/// # Errors
/// When the loss explodes.
pub fn watched(mut trainer: Trainer<'_>, watch: &mut dyn RunWatch) -> Result<Tuned> {
    watch.start(&trainer);
    let (mut epochs, mut interrupted) = (Vec::new(), None);
    while !trainer.finished() {
        let Some(epoch) = trainer.epoch(&mut |update| watch.updated(update))? else {
            interrupted = Some(trainer.epochs());
            break;
        };
        watch.epoch(&epoch);
        epochs.push(epoch);
    }
    Ok(Tuned {
        checkpoint: trainer.checkpoint(),
        epochs,
        best: trainer.best().cloned(),
        interrupted,
    })
}

impl Tuned {
    /// A line for each epoch, and which was kept.
    pub fn print(&self) {
        for epoch in &self.epochs {
            let validation = epoch.validation.map_or(String::new(), |score| {
                format!(", validation {}, loss {:.4}", score.figures, score.loss)
            });
            let accuracy = epoch.accuracy.map_or(String::new(), |accuracy| {
                format!("accuracy {accuracy:.4}, ")
            });
            say!(
                "fine-tune  epoch {}: {accuracy}loss {:.4}{validation}",
                epoch.epoch,
                epoch.loss
            );
        }
        if let Some(best) = &self.best {
            say!(
                "fine-tune  epoch {} of {} is kept",
                best.epoch,
                self.epochs.len()
            );
        }
    }
}
