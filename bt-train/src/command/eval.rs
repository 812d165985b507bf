//! `bt-train eval RUN|M.safetensors --data D.npz`

use crate::command::scores::{Rows, counted, merge, report};
use crate::command::{advice, captions, checkpoint, load, model_path, number_classes};
use crate::data::{Items, Part, PartName};
use crate::error::{Error, ErrorKind, Result};
use crate::file::check_out;
use crate::float::checkpoint::Checkpoint;
use crate::float::config::HeadName;
use crate::say;
use crate::training::confusion::Confusion;
use crate::training::evaluate::{self, Score};
use crate::training::metrics::{Figures, ValueFigures};
use crate::training::run::RunFolder;
use ndarray::Array2;
use serde_json::{Value, json};
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
    /// With a head on every step they are [sequences, steps, classes] and [sequences, steps]; of values and bits there
    /// are `logits` alone, those of values in the units of y.
    #[arg(long, value_name = "NPZ")]
    pub logits: Option<PathBuf>,
    /// Captions: keep the N likeliest side by side (beam search) [default: 1, always the likeliest word]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub beam: u8,
    /// Captions: write every picture's, beside those of people, to this file
    #[arg(long, value_name = "JSON")]
    pub captions: Option<PathBuf>,
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
    for out in args.logits.iter().chain(&args.captions) {
        check_out(out, &[&path, &args.data])?;
        RunFolder::new(&args.model).check_other(out)?;
    }
    let checkpoint = checkpoint(&path)?;
    let recordings = crate::command::recordings(&args.model, args.hold_out)?;
    if checkpoint.config.head.gives.is_next_word() {
        if args.logits.is_some() {
            return Err(captions::no_logits());
        }
        let asked = captions::Asked {
            beam: args.beam.into(),
            out: args.captions.as_deref(),
            json: args.json,
        };
        return captions::run(&checkpoint, &args.data, &recordings, &asked);
    }
    if args.beam > 1 || args.captions.is_some() {
        let field = if args.captions.is_some() {
            "captions"
        } else {
            "beam"
        };
        return Err(captions::only_of_captions(
            field,
            checkpoint.config.head.gives.name(),
        ));
    }
    let mut data = load(
        &args.data,
        &recordings,
        &[PartName::Test],
        Some(checkpoint.config.head.gives.name()),
    )?;
    number_classes(&mut data, &checkpoint.config, &args.data);
    let data = data
        .for_model(&checkpoint.config)
        .map_err(|error| error.file(&args.data))?;
    let part = data.part(PartName::Test)?;
    let evaluation = Evaluation::new(&checkpoint, part)?;
    let Evaluation {
        logits,
        score,
        confusion,
        outputs,
        warning,
        every_step,
    } = &evaluation;
    let (every_step, head) = (*every_step, &checkpoint.config.head);
    if let Some(path) = &args.logits {
        let rows = Rows {
            part,
            every_step,
            kind: head.gives.kind(),
        };
        rows.write(path, logits, None)?;
    }
    if args.json {
        say!("{}", evaluation.json(part));
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
    if let Some(confusion) = confusion {
        say!("{}", confusion.table(&head.labels));
    }
    if outputs.len() > 1 {
        for (at, output) in outputs.iter().enumerate() {
            let name = head.labels.get(at).cloned().unwrap_or(at.to_string());
            say!("  {name:<16}{}", Figures::Values(*output));
        }
    }
    if let Some(warning) = warning {
        say!("warning: {}", advice::flags(warning));
    }
    Ok(())
}

/// What a float model makes of a part of the data.
pub struct Evaluation {
    /// Logits or values, a row for each sequence or each valid step; values in the units of y.
    pub logits: Array2<f32>,
    /// Beside the targets, where there are any.
    pub score: Option<Score>,
    confusion: Option<Confusion>,
    /// Of values, each output alone.
    outputs: Vec<ValueFigures>,
    warning: Option<String>,
    every_step: bool,
}

impl Evaluation {
    /// Of frames or samples that are checked against the model.
    ///
    /// # Errors
    /// When the tensors are none of the model's.
    pub fn new(checkpoint: &Checkpoint, part: &Part) -> Result<Evaluation> {
        let head = &checkpoint.config.head;
        if head.gives.is_next_word() {
            let why =
                "tells words by those before them; `bt-train eval` makes captions and scores them";
            return Err(Error::new(ErrorKind::NotForHead {
                head: HeadName::NextWords,
                why,
            })
            .field("head.next_words"));
        }
        let model = checkpoint.model()?;
        let told = evaluate::told(&model, part);
        let targets = part.targets.as_ref();
        let items = targets.map(|targets| &targets.items);
        let score = targets.map(|targets| Score::of(&model, &told, targets));
        let confusion = match items {
            Some(Items::Classes(labels)) => {
                let predictions = evaluate::predictions(&told.logits);
                Some(Confusion::new(head.gives.outputs(), labels, &predictions))
            }
            _ => None,
        };
        let logits = model.in_units(told.logits);
        let outputs = match items {
            Some(Items::Values(values)) => ValueFigures::of_outputs(&logits, values),
            _ => Vec::new(),
        };
        let warning = confusion.as_ref();
        let warning = warning.and_then(|confusion| confusion.warning(&head.labels));
        Ok(Evaluation {
            logits,
            score,
            confusion,
            outputs,
            warning,
            every_step: head.gives.every_step(),
        })
    }

    /// For programs.
    pub fn json(&self, part: &Part) -> Value {
        let mut object = report(part, self.every_step, self.score.map(|score| score.figures));
        if let Some(score) = self.score {
            object["loss"] = score.loss.into();
        }
        if let Some(confusion) = &self.confusion {
            let warnings = self.warning.iter().map(|line| advice::flags(line));
            let warnings: Vec<String> = warnings.collect();
            let more = json!({ "recall": confusion.recalls(), "warnings": warnings });
            merge(&mut object, &more);
        }
        if !self.outputs.is_empty() {
            object["outputs"] = json!(self.outputs);
        }
        object
    }
}
