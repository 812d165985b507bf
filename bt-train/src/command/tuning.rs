//! Fine-tuning: a trained model learns some epochs more, in floats or as integers.

use crate::command::progress::{Progress, catch_interrupts};
use crate::error::{ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::say;
use crate::training::run::RunWatch;
use crate::training::trainer::{Best, Epoch, Trainer};

/// What fine-tuning came to.
pub(super) struct Tuned {
    pub checkpoint: Checkpoint,
    pub epochs: Vec<Epoch>,
    pub best: Option<Best>,
    /// Epochs completed, where Ctrl-C ended it.
    pub interrupted: Option<usize>,
}

/// Trains to the end, with this before the words of the progress bar.
///
/// # Errors
/// When the loss explodes; `remedy` says what to do then.
pub(super) fn tune(name: &str, remedy: &str, mut trainer: Trainer<'_>) -> Result<Tuned> {
    catch_interrupts()?;
    let mut progress = Progress::new(name);
    progress.start(&trainer);
    let (mut epochs, mut interrupted) = (Vec::new(), None);
    while !trainer.finished() {
        let done = trainer
            .epoch(&mut |step| progress.step(step))
            .map_err(|error| match error.kind {
                ErrorKind::Diverged { .. } => error.remedy(remedy),
                _ => error,
            })?;
        let Some(epoch) = done else {
            interrupted = Some(trainer.epochs());
            break;
        };
        progress.epoch(&epoch);
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
