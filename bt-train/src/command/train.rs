//! `bt-train train --data D.npz --out RUN`

use crate::command::load;
use crate::command::progress::{Progress, catch_interrupts};
use crate::data::PartName;
use crate::error::Result;
use crate::say;
use crate::training::curves;
use crate::training::run::RunFolder;
use crate::training::settings::Flags;
use crate::training::trainer::Trainer;
use serde_json::{Value, json};
use std::path::PathBuf;

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
    let data = load(
        &args.data,
        &settings.recordings()?,
        &[PartName::Train, PartName::Validation],
    )?;
    let config = settings
        .model(&data)
        .map_err(|error| error.file(&args.data))?;
    let parameters = config.parameters();
    let mut trainer =
        Trainer::new(&settings, config, &data).map_err(|error| error.file(&args.data))?;
    catch_interrupts()?;
    let epochs = folder.train(&settings, &mut trainer, &mut Progress::new(""))?;
    if args.json {
        say!("{}", summary(&folder, &trainer, parameters));
        return Ok(());
    }
    say!(
        "{}",
        curves::table(&epochs, trainer.best().map(|best| best.epoch))
    );
    if let Some(confusion) = trainer.confusion()? {
        let table = confusion.table(&data.labels);
        if !table.is_empty() {
            say!("\n{table}\n");
        }
    }
    let (learned, validated) = trainer.sequences();
    say!("{learned} sequences to learn from, {validated} to validate");
    if let Some(best) = trainer.best() {
        let score = best.validation.map_or(String::new(), |score| {
            format!(
                ": validation accuracy {:.4}, loss {:.4}",
                score.accuracy, score.loss
            )
        });
        say!("best epoch {} of {}{score}", best.epoch, trainer.epochs());
    }
    say!("{}", folder.best().display());
    Ok(())
}

/// What a finished run came to. Accuracy and loss are those of the best epoch on the validation part,
/// null where nothing was kept for that.
fn summary(folder: &RunFolder, trainer: &Trainer<'_>, parameters: usize) -> Value {
    let best = trainer.best();
    let score = best.and_then(|best| best.validation);
    let (train, validation) = trainer.sequences();
    json!({
        "best_epoch": best.map(|best| best.epoch),
        "epochs": trainer.epochs(),
        "accuracy": score.map(|score| score.accuracy),
        "loss": score.map(|score| score.loss),
        "parameters": parameters,
        "sequences": { "train": train, "validation": validation },
        "files": folder.files(),
    })
}
