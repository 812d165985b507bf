//! Progress bars, and Ctrl-C between two updates.

use crate::error::Result;
use crate::training::metrics::{Figures, digits};
use crate::training::run::RunWatch;
use crate::training::trainer::{Epoch, Trainer, Update};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C end training between two updates; a second one ends the program.
///
/// # Errors
/// When the operating system refuses, or it was called before.
pub fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .map_err(|error| std::io::Error::other(format!("Ctrl-C cannot be caught: {error}")).into())
}

/// A bar on standard error; nothing at all where that is no terminal.
pub fn bar(length: usize, unit: &str) -> ProgressBar {
    styled(
        length,
        &format!("{{bar:30}} {{pos}}/{{len}} {unit}, left {{eta}}"),
    )
}

fn styled(length: usize, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Narrow, so that loss, accuracy and validation fit the 80 columns of a small terminal.
const OF_TRAINING: &str = "{bar:8} {percent:>3}% left {eta} {wide_msg}";

/// Shows the training of one model.
pub struct Progress {
    bar: ProgressBar,
    name: String,
    validation: String,
}

impl Progress {
    /// A bar with this before its message.
    pub fn new(name: &str) -> Progress {
        Progress {
            bar: styled(0, OF_TRAINING),
            name: name.to_owned(),
            validation: String::new(),
        }
    }
}

impl RunWatch for Progress {
    fn start(&mut self, trainer: &Trainer<'_>) {
        let updates = trainer.updates_an_epoch();
        self.bar.set_length((updates * trainer.epochs_max()) as u64);
        self.bar.set_position((updates * trainer.epochs()) as u64);
        self.bar.reset_eta();
    }

    fn updated(&mut self, update: Update) -> ControlFlow<()> {
        self.bar.inc(1);
        let accuracy = update
            .accuracy
            .map_or(String::new(), |accuracy| format!(" accuracy {accuracy:.3}"));
        self.bar.set_message(format!(
            "{}epoch {} loss {:.3}{accuracy}{}",
            self.name, update.epoch, update.loss, self.validation
        ));
        if INTERRUPTED.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn epoch(&mut self, epoch: &Epoch) {
        if let Some(score) = epoch.validation {
            let figure = match score.figures {
                Figures::Classes { accuracy, .. } => format!("{accuracy:.3}"),
                Figures::Values(values) => format!("rmse {}", digits(values.rmse)),
                Figures::Bits(bits) => format!("{} nats", digits(bits.nats)),
            };
            self.validation = format!(" validation {figure}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
