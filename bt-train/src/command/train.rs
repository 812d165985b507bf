//! `bt-train train --data D.npz --out RUN`

use crate::command::advice::flags;
use crate::command::progress::{Progress, catch_interrupts};
use crate::command::scores::merge;
use crate::command::{checkpoint, load, number_classes};
use crate::data::PartName;
use crate::error::{Error, Result};
use crate::training::confusion::Confusion;
use crate::training::curves;
use crate::training::outcome::Outcome;
use crate::training::run::RunFolder;
use crate::training::settings::{Flags, Settings};
use crate::training::trainer::Trainer;
use crate::{say, warn};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data set: an .npz file or a directory of .wav files
    #[arg(long)]
    pub data: PathBuf,
    /// Folder of the run; best.safetensors will be in it
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Go on with the run in that folder
    #[arg(long)]
    pub resume: bool,
    /// Settings in TOML, keys named like the flags; flags win
    #[arg(long, value_name = "TOML")]
    pub config: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    settings: Flags,
}

/// Trains a model.
///
/// # Errors
/// When data and settings do not fit, the loss explodes, or Ctrl-C ends it.
pub fn run(args: Args) -> Result<()> {
    let folder = RunFolder::new(&args.out);
    let settings = folder.settings(args.config.as_deref(), &args.settings, args.resume)?;
    let mut data = load(
        &args.data,
        &settings.recordings()?,
        &[PartName::Train, PartName::Validation],
        settings.head.name(),
    )?;
    let in_data = |error: Error| error.file(&args.data);
    let chosen = settings.input_modes.0.is_empty() || settings.hidden_modes.0.is_empty();
    let settings = settings.fitted(&data).map_err(in_data)?;
    if chosen && !args.json {
        say!("{}", modes_taken(&settings));
    }
    let (config, trainer) = if settings.init.is_empty() {
        let config = settings.model(&data).map_err(in_data)?;
        (config.clone(), Trainer::new(&settings, config, &data))
    } else {
        let checkpoint = checkpoint(Path::new(&settings.init))?;
        number_classes(&mut data, &checkpoint.config, &args.data);
        let trainer = Trainer::warm(&settings, &checkpoint, &data);
        (checkpoint.config, trainer)
    };
    let parameters = config.parameters();
    let mut trainer = trainer.map_err(in_data)?;
    for warning in trainer.warnings() {
        warn!("{}: {}", args.data.display(), flags(warning));
    }
    catch_interrupts()?;
    let epochs = folder.train(&settings, &mut trainer, &mut Progress::new(""))?;
    if args.json {
        say!(
            "{}",
            summary(&folder, &trainer, parameters, &data.warnings)?
        );
        return Ok(());
    }
    if let Some(over) = trainer.chosen() {
        say!("taken: --normalize {}", over.name());
    }
    say!(
        "{}",
        curves::table(
            &epochs,
            trainer.best().map(|best| best.epoch),
            trainer.keep()
        )
    );
    let outcome = trainer.outcome()?;
    let confusion = outcome.as_ref().and_then(Outcome::confusion);
    if let Some(confusion) = confusion {
        let table = confusion.table(&data.labels);
        if !table.is_empty() {
            say!("\n{table}\n");
        }
    }
    let (learned, validated) = trainer.sequences();
    say!("{learned} sequences to learn from, {validated} to validate");
    if let Some(best) = trainer.best() {
        let score = best.validation.map_or(String::new(), |score| {
            format!(": validation {}, loss {:.4}", score.figures, score.loss)
        });
        say!("best epoch {} of {}{score}", best.epoch, trainer.epochs());
    }
    if let Some(warning) = warning(&trainer, confusion) {
        say!("warning: {warning}");
    }
    say!("{}", folder.best().display());
    say!("{}", folder.report().display());
    Ok(())
}

/// The modes that were chosen, as flags that ask for them.
fn modes_taken(settings: &Settings) -> String {
    format!(
        "taken: {}--input-modes {} --hidden-modes {}",
        if settings.pad { "--pad " } else { "" },
        settings.input_modes,
        settings.hidden_modes
    )
}

/// That the accuracy hides a class, where it does.
fn warning(trainer: &Trainer<'_>, confusion: Option<&Confusion>) -> Option<String> {
    let names = trainer.checkpoint().config.head.labels;
    Some(flags(&confusion?.warning(&names)?))
}

/// What a finished run came to. The figures are those of the best epoch on the validation part, accuracy and
/// loss null where nothing was kept for that.
fn summary(
    folder: &RunFolder,
    trainer: &Trainer<'_>,
    parameters: usize,
    of_data: &[String],
) -> Result<Value> {
    let best = trainer.best();
    let score = best.and_then(|best| best.validation);
    let (train, validation) = trainer.sequences();
    let outcome = trainer.outcome()?;
    let confusion = outcome.as_ref().and_then(Outcome::confusion);
    let of_data = of_data.iter().chain(trainer.warnings());
    let of_data = of_data.map(|warning| flags(warning));
    let warnings: Vec<String> = of_data.chain(warning(trainer, confusion)).collect();
    let mut summary = json!({
        "best_epoch": best.map(|best| best.epoch),
        "epochs": trainer.epochs(),
        "accuracy": null,
        "loss": null,
        "keep": trainer.keep(),
        "normalize": trainer.chosen(),
        "warnings": warnings,
        "parameters": parameters,
        "sequences": { "train": train, "validation": validation },
        "files": folder.files(),
    });
    merge(&mut summary, &json!(score));
    Ok(summary)
}
