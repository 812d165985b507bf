//! `bt-train eval RUN|M.safetensors --data D.npz`

use crate::command::scores::{Rows, counted, merge, report};
use crate::command::{advice, checkpoint, load, model_path};
use crate::data::{Items, PartName};
use crate::error::Result;
use crate::say;
use crate::training::confusion::Confusion;
use crate::training::evaluate::{self, Score};
use crate::training::metrics::{Figures, ValueFigures};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `eval`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder or a .safetensors file
    pub model: PathBuf,
    /// The data set: an .npz file or a directory of .wav files
    #[arg(long)]
    pub data: PathBuf,
    /// Write `logits` `[sequences, classes]` and `pred` `[sequences]` to this file
    ///
    /// With a head on every step they are [sequences, steps, classes] and [sequences, steps]; of values there are
    /// `logits` alone, in the units of y.
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
    let model = checkpoint.model()?;
    let head = &checkpoint.config.head;
    let every_step = head.gives.every_step();
    let logits = evaluate::logits(&model, part);
    let items = part.targets.as_ref().map(|targets| &targets.items);
    let score = items.map(|items| Score::of(&model, &logits, items));
    let confusion = match items {
        Some(Items::Classes(labels)) => {
            let told = evaluate::predictions(&logits);
            Some(Confusion::new(head.gives.outputs(), labels, &told))
        }
        _ => None,
    };
    let logits = model.in_units(logits);
    if let Some(path) = &args.logits {
        let rows = Rows {
            part,
            every_step,
            is_values: head.gives.is_values(),
        };
        rows.write(path, &logits, None)?;
    }
    let outputs = match items {
        Some(Items::Values(values)) => ValueFigures::of_outputs(&logits, values),
        _ => Vec::new(),
    };
    let warning = confusion
        .as_ref()
        .and_then(|confusion| confusion.warning(&head.labels));
    if args.json {
        let mut object = report(part, every_step, score.map(|score| score.figures));
        if let Some(score) = score {
            object["loss"] = score.loss.into();
        }
        if let Some(confusion) = &confusion {
            let warnings: Vec<String> = warning.iter().map(|line| advice::flags(line)).collect();
            let more = json!({ "recall": confusion.recalls(), "warnings": warnings });
            merge(&mut object, &more);
        }
        if !outputs.is_empty() {
            object["outputs"] = json!(outputs);
        }
        say!("{object}");
        return Ok(());
    }
    let Some(score) = score else {
        say!("{} without targets", counted(part, every_step));
        return Ok(());
    };
    say!(
        "{} on {}, loss {:.4}",
        score.figures,
        counted(part, every_step),
        score.loss
    );
    if let Figures::Classes {
        balanced_accuracy,
        macro_f1,
        ..
    } = score.figures
    {
        say!("balanced accuracy {balanced_accuracy:.4}, macro-F1 {macro_f1:.4}");
    }
    if let Some(confusion) = &confusion {
        say!("{}", confusion.table(&head.labels));
    }
    if outputs.len() > 1 {
        for (at, output) in outputs.iter().enumerate() {
            let name = head.labels.get(at).cloned().unwrap_or(at.to_string());
            say!("  {name:<16}{}", Figures::Values(*output));
        }
    }
    if let Some(warning) = warning {
        say!("warning: {}", advice::flags(&warning));
    }
    Ok(())
}
