//! `bt-train run M.btm --data D.npz`

use crate::command::load;
use crate::command::progress::bar;
use crate::data::dataset::check_labels;
use crate::data::{NpzWriter, PartName, Recordings};
use crate::device;
use crate::error::{Error, Result};
use crate::say;
use bt_core::{Model, argmax};
use std::path::{Path, PathBuf};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A quantized model
    pub model: PathBuf,
    /// The data set: an .npz file or a directory of .wav files
    #[arg(long)]
    pub data: PathBuf,
    /// Write `logits`, `pred` and `raw` [sequences, classes] to this file
    #[arg(long, value_name = "NPZ")]
    pub logits: Option<PathBuf>,
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
    let bytes = device::read_model(&args.model)?;
    let model = device::parse(&bytes)?;
    let config = device::config(&model).map_err(|error| error.file(&args.model))?;
    let recordings = match &args.hold_out {
        Some(hold_out) => Recordings::new(hold_out, "")?,
        None => Recordings::default(),
    };
    let in_data = |error: Error| error.file(&args.data);
    let data = load(&args.data, &recordings, &[PartName::Test])?
        .raw_for_model(&config)
        .map_err(in_data)?;
    let part = data.part(PartName::Test)?;
    if let Some(labels) = &part.labels {
        check_labels(labels, model.classes()).map_err(|error| in_data(error.field("y_test")))?;
    }
    let progress = bar(part.sequences(), "sequences");
    let raw = device::run(&model, part, || progress.inc(1)).map_err(in_data)?;
    progress.finish_and_clear();
    if let Some(path) = &args.logits {
        write_scores(path, &model, &raw)?;
    }
    report(part.labels.as_deref(), &raw, args.json);
    Ok(())
}

/// Share of sequences whose largest raw score is the label's.
pub fn accuracy(labels: &[usize], raw: &[Vec<i32>]) -> f64 {
    let right = labels
        .iter()
        .zip(raw)
        .filter(|(label, raw)| argmax(*raw) == Some(**label))
        .count();
    right as f64 / raw.len().max(1) as f64
}

fn report(labels: Option<&[usize]>, raw: &[Vec<i32>], json: bool) {
    let accuracy = labels.map(|labels| accuracy(labels, raw));
    if json {
        let mut object = serde_json::json!({ "sequences": raw.len() });
        if let Some(accuracy) = accuracy {
            object["accuracy"] = accuracy.into();
        }
        say!("{object}");
    } else if let Some(accuracy) = accuracy {
        say!("accuracy {accuracy:.4} on {} sequences", raw.len());
    } else {
        say!("{} sequences without labels", raw.len());
    }
}

/// Writes `logits` (f32), `pred` and `raw` (i32) of raw scores `[sequences, classes]`.
///
/// # Errors
/// Names the file.
pub fn write_scores(path: &Path, model: &Model<'_>, raw: &[Vec<i32>]) -> Result<()> {
    let unit = 2f64.powi(-model.score_shift());
    let flat: Vec<i32> = raw.iter().flatten().copied().collect();
    let logits: Vec<f32> = flat
        .iter()
        .map(|&raw| (f64::from(raw) * unit) as f32)
        .collect();
    let predictions: Vec<i64> = raw
        .iter()
        .map(|raw| argmax(raw).unwrap_or(0) as i64)
        .collect();
    let shape = [raw.len(), model.classes()];
    let mut writer = NpzWriter::new();
    writer.array("logits", &shape, &logits)?;
    writer.array("pred", &[raw.len()], &predictions)?;
    writer.array("raw", &shape, &flat)?;
    writer.write(path)
}
