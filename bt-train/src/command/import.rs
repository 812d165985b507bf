//! `bt-train import STATE.safetensors --out M.safetensors`

use crate::command::advice::flags;
use crate::command::decomposition::{Maps, Replaced, decompose};
use crate::command::load;
use crate::command::progress;
use crate::command::tuning::{Tuned, tune};
use crate::data::{DataSet, Part, PartName, Recordings, Targets};
use crate::error::{Error, ErrorKind, FileKind, Result, times};
use crate::file::{check_floats, check_out};
use crate::float::checkpoint::{Checkpoint, METADATA_KEY};
use crate::float::config::{HeadName, ModelConfig, Pool};
use crate::float::tensors::read_tensors;
use crate::import::head;
use crate::import::torch::{self, Imported, Wanted};
use crate::training::evaluate::{self, Score};
use crate::training::material;
use crate::training::metrics::{Keep, digits};
use crate::training::modes::Modes;
use crate::training::settings::Settings;
use crate::training::trainer::Trainer;
use crate::{say, warn};
use bt_core::OutputKind;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The state_dict of a PyTorch model with an nn.LSTM or nn.GRU and an nn.Linear, as .safetensors
    pub model: PathBuf,
    /// The model to write
    #[arg(long, value_name = "SAFETENSORS")]
    pub out: PathBuf,
    /// Name of the nn.Linear, where more than one matrix could be it
    #[arg(long, value_name = "NAME")]
    pub head: Option<String>,
    /// What the nn.Linear gives [default: what y of --data is; without one the class of a sequence]
    #[arg(long, value_name = "WHAT")]
    pub gives: Option<HeadName>,
    /// Hidden state that the nn.Linear reads; where it gives something after every step, `last` is that step's
    #[arg(long, default_value = "last")]
    pub pool: Pool,
    /// A data set: names of the classes, accuracy or error, and what --fine-tune learns from
    #[arg(long)]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    maps: Maps,
    /// Then train so many epochs; the one that validates best is kept
    #[arg(long, value_name = "EPOCHS", requires = "data")]
    pub fine_tune: Option<NonZeroUsize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// What to do when the loss explodes.
const DIVERGED: &str =
    "leave --fine-tune out; train --init goes on from the model with an --lr of your own";

/// How well the models do on sequences whose targets are known.
#[derive(Debug, Serialize)]
struct Figures {
    /// Accuracy of classes, RMSE of values, nats of bits.
    #[serde(skip)]
    keep: Keep,
    /// `validation`, or `training` where nothing is kept for that.
    part: &'static str,
    sequences: usize,
    imported: f64,
    decomposed: Option<f64>,
    fine_tuned: Option<f64>,
}

/// Takes a model over, decomposes and fine-tunes it if asked to, and writes it.
///
/// # Errors
/// When a file cannot be used, or holds what the network does not have.
pub fn run(args: Args) -> Result<()> {
    refuse_other_formats(&args.model)?;
    let data = args.data.iter().map(PathBuf::as_path);
    let read_too: Vec<&Path> = data.chain([args.model.as_path()]).collect();
    check_out(&args.out, &read_too)?;
    check_floats(&args.out)?;
    let data = match &args.data {
        Some(path) => Some((
            path,
            load(
                path,
                &Recordings::default(),
                &[PartName::Train, PartName::Validation],
                args.gives,
            )?,
        )),
        None => None,
    };
    let imported = read(&args, data.as_ref().map(|(_, data)| data))
        .map_err(|error| error.file(&args.model))?;
    for warning in &imported.warnings {
        warn!("{}: {warning}", args.model.display());
    }
    let dense = &imported.checkpoint;
    let config = args.maps.config(&dense.config).map_err(Error::into_usage)?;
    let bar = progress::bar(0, "sweeps");
    let found = decompose(dense, config, &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let (mut decomposed, replaced) = found.map_err(|error| error.file(&args.model))?;
    let settings = Settings {
        input_modes: Modes(decomposed.config.input.modes.clone()),
        hidden_modes: Modes(decomposed.config.hidden.modes.clone()),
        epochs: args.fine_tune.map_or(1, NonZeroUsize::get),
        ..Settings::default()
    };
    let data_warnings = data.as_ref().map(|(_, data)| data.warnings.clone());
    let data_warnings = data_warnings.unwrap_or_default();
    let mut figures = None;
    let mut tuned = None;
    if let Some((path, data)) = data {
        let in_data = |error: Error| error.file(path);
        let mut parts = Compared::new(&settings, &data, &dense.config).map_err(in_data)?;
        parts.add(dense, |figures| &mut figures.imported)?;
        if let Some((offset, scale)) = &parts.units {
            head::rescale(&mut decomposed, offset, scale);
        }
        if !replaced.is_empty() {
            parts.add(&decomposed, |figures| figures.decomposed.insert(0.0))?;
        }
        if args.fine_tune.is_some() {
            let trainer = Trainer::warm(&settings, &decomposed, &data).map_err(in_data)?;
            let done = tune("fine-tune: ", DIVERGED, trainer)?;
            parts.add(&done.checkpoint, |figures| figures.fine_tuned.insert(0.0))?;
            tuned = Some(done);
        }
        figures = parts.figures;
    }
    let kept = tuned
        .as_ref()
        .map_or(&decomposed, |tuned| &tuned.checkpoint);
    kept.write(&args.out)?;
    if let Some(epochs) = tuned.as_ref().and_then(|tuned| tuned.interrupted) {
        return Err(Error::new(ErrorKind::Interrupted { epochs })
            .file(&args.out)
            .remedy("it holds the best so far and can be used"));
    }
    if args.json {
        let of_maps = replaced.iter();
        let error: BTreeMap<&str, f64> = of_maps.map(|map| (&*map.name, map.error())).collect();
        let of_maps = replaced.iter();
        let of_ranks: BTreeMap<&str, &BTreeMap<usize, f64>> =
            of_maps.map(|map| (&*map.name, &map.errors)).collect();
        let warnings = data_warnings.iter().chain(&imported.warnings);
        let warnings: Vec<String> = warnings.map(|warning| flags(warning)).collect();
        let gives = kept.config.head.gives;
        let classes = match gives.kind() {
            OutputKind::Classes => gives.outputs(),
            OutputKind::Values | OutputKind::Bits => 0,
        };
        let mut object = json!({
            "inputs": kept.config.inputs(),
            "units": kept.config.units(),
            "head": gives.name(),
            "outputs": gives.outputs(),
            "classes": classes,
            "parameters": kept.config.parameters(),
            "error": error,
            "error_by_rank": of_ranks,
            "accuracy": null,
            "warnings": warnings,
        });
        if let Some(figures) = figures {
            object[figures.keep.name()] = json!(figures);
        }
        say!("{object}");
        return Ok(());
    }
    print(
        &args,
        &imported,
        kept,
        &replaced,
        figures.as_ref(),
        tuned.as_ref(),
    );
    Ok(())
}

fn read(args: &Args, data: Option<&DataSet>) -> Result<Imported> {
    let file = read_tensors(&args.model)?;
    if file.metadata.contains_key(METADATA_KEY) {
        return Err(Error::new(ErrorKind::FileKind(FileKind::Ours))
            .remedy("use it as it is; train --init goes on from it"));
    }
    let targets = data.and_then(|data| data.train.as_ref()?.targets.as_ref());
    let of_data = targets.map(Targets::name);
    let wanted = Wanted {
        gives: args.gives.or(of_data).unwrap_or(HeadName::Classes),
        head: args.head.clone(),
        pool: args.pool,
        labels: data.map(|data| data.labels.clone()).unwrap_or_default(),
    };
    torch::import(file, &wanted)
}

/// A file of another kind, known by its ending, is answered with what makes it one of ours.
fn refuse_other_formats(path: &Path) -> Result<()> {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let is = match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("pt" | "pth" | "bin" | "ckpt") => FileKind::PyTorch,
        Some("onnx") => FileKind::Onnx,
        Some("h5" | "hdf5" | "keras") => FileKind::Keras,
        _ => return Ok(()),
    };
    let out = path.with_extension("safetensors");
    Err(Error::new(ErrorKind::FileKind(is))
        .file(path)
        .remedy(format!(
            "convert it: python3 bt-train/python/to_safetensors.py {} {}",
            path.display(),
            out.display()
        )))
}

/// The part of the data that models are compared on.
struct Compared {
    part: Part,
    figures: Option<Figures>,
    /// Of values: their offset and scale in the training part, each [K].
    units: Option<(Vec<f32>, Vec<f32>)>,
}

impl Compared {
    fn new(settings: &Settings, data: &DataSet, config: &ModelConfig) -> Result<Compared> {
        let frames = data.clone().for_model(config)?;
        let units = match frames.part(PartName::Train)? {
            train if train.targets.is_some() => material::units(train)?,
            _ => None,
        };
        let (name, part) = match material::split_off(settings, &frames)? {
            (_, Some(validation)) => ("validation", validation),
            (train, None) => ("training", train),
        };
        let figures = Figures {
            keep: Keep::Auto.of(config.head.gives.kind())?,
            part: name,
            sequences: part.sequences(),
            imported: 0.0,
            decomposed: None,
            fine_tuned: None,
        };
        Ok(Compared {
            figures: part.targets.is_some().then_some(figures),
            part,
            units,
        })
    }

    /// Computes the figure of a model and puts it in its place.
    fn add(
        &mut self,
        checkpoint: &Checkpoint,
        place: impl Fn(&mut Figures) -> &mut f64,
    ) -> Result<()> {
        let (Some(figures), Some(targets)) = (&mut self.figures, &self.part.targets) else {
            return Ok(());
        };
        let model = checkpoint.model()?;
        let told = evaluate::told(&model, &self.part);
        let score = Score::of(&model, &told, targets);
        // Of the head's own kind, which has it.
        let figure = score.get(figures.keep).unwrap_or(f64::NAN);
        *place(figures) = figure;
        Ok(())
    }
}

fn print(
    args: &Args,
    imported: &Imported,
    kept: &Checkpoint,
    replaced: &[Replaced],
    figures: Option<&Figures>,
    tuned: Option<&Tuned>,
) {
    let config = &kept.config;
    let name = |name: &str| match name {
        "" => String::new(),
        _ => format!(" `{}`", name.trim_end_matches('.')),
    };
    say!(
        "{}{}{}, {} inputs, {} units; nn.Linear{}, {} outputs, the {} from the {} hidden state",
        imported.kind,
        name(&imported.layer),
        match config.layers {
            1 => String::new(),
            layers => format!(", {layers} layers"),
        },
        config.inputs(),
        config.units(),
        name(&imported.head),
        config.head.gives.outputs(),
        config.head.gives.name().words(),
        match config.head.pool {
            Pool::Last => "last",
            Pool::Mean => "mean",
            Pool::Recent => "recent",
        }
    );
    for map in replaced {
        let shape = &map.shape;
        let (kind, parameters) = (shape.kind.name(), shape.parameters());
        say!(
            "{:<10} {kind} {} -> {}, {parameters} parameters, {:.1} times fewer, relative error {:.4}",
            map.name,
            times(&shape.inputs),
            times(&shape.outputs),
            shape.dense().parameters() as f64 / parameters as f64,
            map.error()
        );
        let of_rank = |(rank, error): (&usize, &f64)| format!("{error:.4} of {rank}");
        let errors: Vec<String> = map.errors.iter().map(of_rank).collect();
        say!("{:<10} relative error by rank: {}", "", errors.join(", "));
    }
    if let Some(tuned) = tuned {
        tuned.print();
    }
    if let Some(figures) = figures {
        let more = |word: &str, value: Option<f64>| {
            value.map_or(String::new(), |value| format!(", {} {word}", digits(value)))
        };
        say!(
            "{:<10} {} as it came{}{} on {} sequences of the {} part, which it may have been trained on",
            figures.keep.name(),
            digits(figures.imported),
            more("decomposed", figures.decomposed),
            more("fine-tuned", figures.fine_tuned),
            figures.sequences,
            figures.part
        );
    }
    say!("{}: {} parameters", args.out.display(), config.parameters());
}
