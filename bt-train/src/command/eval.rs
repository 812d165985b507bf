//! `bt-train eval RUN|M.safetensors --data D.npz`

use crate::command::{checkpoint, load, model_path};
use crate::data::dataset::check_labels;
use crate::data::{NpzWriter, PartName};
use crate::error::Result;
use crate::say;
use crate::training::confusion::Confusion;
use crate::training::evaluate::{self, Score};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Arguments of `eval`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder or a .safetensors file
    pub model: PathBuf,
    /// The data set: an .npz file or a directory of .wav files
    #[arg(long)]
    pub data: PathBuf,
    /// Write `logits` `[sequences, classes]` and `pred` `[sequences]` to this file
    #[arg(long, value_name = "NPZ")]
    pub logits: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Recordings that form the test part [default: as the run was trained]
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    pub hold_out: Option<String>,
}

/// Computes the scores of the test part in floats.
///
/// # Errors
/// When a file cannot be used or model and data do not fit.
pub fn run(args: Args) -> Result<()> {
    let path = model_path(&args.model);
    let checkpoint = checkpoint(&path)?;
    let recordings = crate::command::recordings(&args.model, args.hold_out)?;
    let data = load(&args.data, &recordings, &[PartName::Test])?
        .for_model(&checkpoint.config)
        .map_err(|error| error.file(&args.data))?;
    let part = data.part(PartName::Test)?;
    if let Some(labels) = &part.labels {
        check_labels(labels, checkpoint.config.head.classes)
            .map_err(|error| error.field("y_test").file(&args.data))?;
    }
    let logits = evaluate::logits(&checkpoint.model()?, part);
    let score = part
        .labels
        .as_ref()
        .map(|labels| Score::of(&logits, labels));
    if let Some(path) = &args.logits {
        write_logits(path, &logits)?;
    }
    if args.json {
        let mut object = serde_json::json!({ "sequences": part.sequences() });
        if let Some(score) = score {
            object["accuracy"] = score.accuracy.into();
            object["loss"] = score.loss.into();
        }
        say!("{object}");
    } else if let Some(score) = score {
        say!(
            "accuracy {:.4} on {} sequences, loss {:.4}",
            score.accuracy,
            part.sequences(),
            score.loss
        );
        let labels = part.labels.as_deref().unwrap_or_default();
        let head = &checkpoint.config.head;
        let confusion = Confusion::new(head.classes, labels, &evaluate::predictions(&logits));
        say!("{}", confusion.table(&head.labels));
    } else {
        say!("{} sequences without labels", part.sequences());
    }
    Ok(())
}

/// Writes `logits` `[sequences, classes]` and `pred` `[sequences]`.
fn write_logits(path: &Path, logits: &Array2<f32>) -> Result<()> {
    let predictions: Vec<i64> = evaluate::predictions(logits)
        .into_iter()
        .map(|class| class as i64)
        .collect();
    let mut writer = NpzWriter::new();
    let values: Vec<f32> = logits.iter().copied().collect();
    writer.array("logits", logits.shape(), &values)?;
    writer.array("pred", &[predictions.len()], &predictions)?;
    writer.write(path)
}
