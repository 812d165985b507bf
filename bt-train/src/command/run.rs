//! `bt-train run M.btm --data D.npz`

use crate::command::progress::bar;
use crate::command::{captions, load, number_classes, scores};
use crate::data::{PartName, Recordings};
use crate::device;
use crate::error::{Error, Result};
use crate::file::check_out;
use crate::say;
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A quantized model
    pub model: PathBuf,
    /// The data set: an .npz file or a directory of .wav files
    #[arg(long)]
    pub data: PathBuf,
    /// Write `logits`, `pred` and `raw` [sequences, classes] to this file
    ///
    /// With a head on every step they are [sequences, steps, classes]; of values and bits there is no `pred`, and
    /// `logits` of values are in the units of y.
    #[arg(long, value_name = "NPZ")]
    pub logits: Option<PathBuf>,
    /// Captions: write every picture's, beside those of people, to this file
    #[arg(long, value_name = "JSON")]
    pub captions: Option<PathBuf>,
    #[command(flatten)]
    drawing: captions::Drawing,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Recordings that form the test part
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    pub hold_out: Option<String>,
}

/// Runs the test part through the device's own integers.
///
/// # Errors
/// When a file cannot be used or model and data do not fit.
pub fn run(args: Args) -> Result<()> {
    for out in args.logits.iter().chain(&args.captions) {
        check_out(out, &[&args.model, &args.data])?;
    }
    let bytes = device::read_model(&args.model)?;
    let model = device::parse(&bytes)?;
    device::check_reads(&model).map_err(|error| error.file(&args.model))?;
    let config = device::config(&model).map_err(|error| error.file(&args.model))?;
    let recordings = match &args.hold_out {
        Some(hold_out) => Recordings::new(hold_out, "")?,
        None => Recordings::default(),
    };
    let in_data = |error: Error| error.file(&args.data);
    let mut data = load(
        &args.data,
        &recordings,
        &[PartName::Test],
        Some(config.head.gives.name()),
    )?;
    number_classes(&mut data, &config, &args.data);
    let data = data.raw_for_model(&config).map_err(in_data)?;
    let part = data.part(PartName::Test)?;
    if model.caption_words().is_some() {
        if args.logits.is_some() {
            return Err(captions::no_logits());
        }
        let asked = captions::OfDevice {
            drawing: &args.drawing,
            out: args.captions.as_deref(),
            json: args.json,
        };
        return captions::run_integers(&model, part, &asked).map_err(in_data);
    }
    for (field, is_given) in [
        ("captions", args.captions.is_some()),
        ("temperature", args.drawing.temperature.is_some()),
    ] {
        if is_given {
            return Err(captions::only_of_captions(field, config.head.gives.name()));
        }
    }
    let progress = bar(part.sequences(), "sequences");
    let raw = device::run(&model, part, || progress.inc(1)).map_err(in_data)?;
    progress.finish_and_clear();
    if let Some(path) = &args.logits {
        scores::rows(&model, part).write(path, &scores::logits(&model, &raw)?, Some(&raw))?;
    }
    let targets = part.targets.as_ref();
    let figures = targets.map(|targets| scores::figures(&model, targets, &raw));
    let figures = figures.transpose()?;
    let every_step = model.scores_every_step();
    if args.json {
        say!("{}", scores::report(part, every_step, figures));
        return Ok(());
    }
    let counted = scores::counted(part, every_step);
    match figures {
        Some(figures) => say!("{figures} on {counted}"),
        None => say!("{counted} without targets"),
    }
    Ok(())
}
