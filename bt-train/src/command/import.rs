//! `bt-train import STATE.safetensors --out M.safetensors`

use crate::command::load;
use crate::command::progress;
use crate::command::tuning::{Tuned, tune};
use crate::data::{DataSet, Part, PartName, Recordings, Targets};
use crate::error::{Error, ErrorKind, FileKind, Result, times};
use crate::file::check_place;
use crate::float::checkpoint::{Checkpoint, METADATA_KEY};
use crate::float::config::{HeadName, ModelConfig, Pool};
use crate::float::tensors::read_tensors;
use crate::import::torch::{self, Imported, Wanted};
use crate::import::{decompose, head};
use crate::shape::name::{self, MATRIX};
use crate::shape::{MapKind, MapName, MapShape};
use crate::training::evaluate::{self, Score};
use crate::training::material;
use crate::training::metrics::{Keep, digits};
use crate::training::modes::{self, Modes};
use crate::training::settings::Settings;
use crate::training::trainer::Trainer;
use crate::{say, warn};
use bt_core::OutputKind;
use ndarray::{ArrayView2, Ix2};
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

/// What the matrices become. Without any of these flags they stay as they are.
#[derive(Debug, clap::Args)]
struct Maps {
    /// Decompose the matrix of the frames into this form
    #[arg(long, value_name = "MAP", help_heading = "Decomposition")]
    input_map: Option<MapName>,
    /// Modes of a frame, slowest first [default: even ones]
    #[arg(long, value_name = "MODES", help_heading = "Decomposition")]
    input_modes: Option<Modes>,
    /// Modes of the hidden state, as many as of a frame [default: even ones]
    #[arg(long, value_name = "MODES", help_heading = "Decomposition")]
    hidden_modes: Option<Modes>,
    /// Blocks (N) of a block-term input map [default: 2]
    #[arg(long, value_name = "N", help_heading = "Decomposition")]
    blocks: Option<usize>,
    /// Rank (R) of the input map [default: 4]
    #[arg(long, value_name = "R", help_heading = "Decomposition")]
    rank: Option<usize>,
    /// Decompose the matrix of the hidden state into this form
    #[arg(long, value_name = "MAP", help_heading = "Decomposition")]
    recurrent_map: Option<MapName>,
    /// Blocks of a block-term recurrent map [default: 2]
    #[arg(long, value_name = "N", help_heading = "Decomposition")]
    recurrent_blocks: Option<usize>,
    /// Rank of the recurrent map [default: 4]
    #[arg(long, value_name = "R", help_heading = "Decomposition")]
    recurrent_rank: Option<usize>,
}

impl Maps {
    /// The model with the maps asked for in the place of its matrices.
    fn config(&self, dense: &ModelConfig) -> Result<ModelConfig> {
        let kind = |map: Option<MapName>, blocks: Option<usize>, rank: Option<usize>| {
            let implied = (blocks.is_some() || rank.is_some()).then_some(MapName::BlockTerm);
            let map = map.or(implied).unwrap_or(MapName::Dense);
            map.with(blocks.unwrap_or(2), rank.unwrap_or(4))
        };
        let input = match (self.input_map, &self.input_modes) {
            (None, Some(_)) => Some(MapName::BlockTerm),
            (map, _) => map,
        };
        let input = kind(input, self.blocks, self.rank);
        let recurrent = kind(
            self.recurrent_map,
            self.recurrent_blocks,
            self.recurrent_rank,
        );
        let mut config = dense.clone();
        if dense.input.map != MapKind::Dense {
            let of_input = [self.blocks, self.rank].iter().any(Option::is_some)
                || self.input_map.is_some()
                || self.input_modes.is_some()
                || self.hidden_modes.is_some();
            if of_input {
                return Err(Error::usage(
                    "the input map is no matrix, its modes are as they are; only --recurrent-map and what belongs \
                     to it can be given",
                ));
            }
            config.recurrent.map = recurrent;
            config.validate()?;
            return Ok(config);
        }
        if input == MapKind::Dense && recurrent == MapKind::Dense {
            return match (&self.input_modes, &self.hidden_modes) {
                (None, None) => Ok(config),
                _ => Err(Error::usage(
                    "modes are of use to a map only; give --input-map or --recurrent-map too",
                )),
            };
        }
        let (inputs, units) = (dense.inputs(), dense.units());
        let given = self.input_modes.as_ref().or(self.hidden_modes.as_ref());
        let order = given.map_or(modes::order(inputs), |modes| modes.0.len());
        let or_even = |modes: &Option<Modes>, width| match modes {
            Some(modes) => modes.0.clone(),
            None => modes::even(width, order),
        };
        if input != MapKind::Dense {
            config.input.modes = or_even(&self.input_modes, inputs);
            modes::check(modes::INPUT, &config.input.modes, inputs, false)?;
        }
        config.hidden.modes = or_even(&self.hidden_modes, units);
        modes::check(modes::HIDDEN, &config.hidden.modes, units, false)?;
        config.input.map = input;
        config.recurrent.map = recurrent;
        config.validate()?;
        Ok(config)
    }
}

/// What to do when the loss explodes.
const DIVERGED: &str =
    "leave --fine-tune out; train --init goes on from the model with an --lr of your own";

/// A map that stands where a matrix was.
#[derive(Debug, Serialize)]
struct Replaced {
    #[serde(skip)]
    shape: MapShape,
    error: f64,
}

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
    check_place(&args.out)?;
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
    let (mut decomposed, replaced) = decompose(dense, config).map_err(|e| e.file(&args.model))?;
    let settings = Settings {
        input_modes: Modes(decomposed.config.input.modes.clone()),
        hidden_modes: Modes(decomposed.config.hidden.modes.clone()),
        epochs: args.fine_tune.map_or(1, NonZeroUsize::get),
        ..Settings::default()
    };
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
        let error: BTreeMap<&str, f64> = replaced
            .iter()
            .map(|(name, replaced)| (name.as_str(), replaced.error))
            .collect();
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
            "accuracy": null,
            "warnings": imported.warnings,
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

/// The same model with the maps of `config`, and what they cost, by map.
fn decompose(
    dense: &Checkpoint,
    config: ModelConfig,
) -> Result<(Checkpoint, Vec<(String, Replaced)>)> {
    if config == dense.config {
        return Ok((dense.clone(), Vec::new()));
    }
    let mut tensors = dense.tensors.clone();
    let mut replaced = Vec::new();
    let before = dense.config.layer_shapes();
    for (at, (after, before)) in config.layer_shapes().into_iter().zip(before).enumerate() {
        let maps = [
            (
                "input",
                name::input_map(config.cell, at),
                Some((after.input, before.input)),
            ),
            (
                "recurrent",
                name::recurrent_map(config.cell, at),
                after.recurrent.zip(before.recurrent),
            ),
        ];
        for (map, prefix, shapes) in maps {
            let Some((shape, _)) = shapes.filter(|(after, before)| after.kind != before.kind)
            else {
                continue;
            };
            let matrix = tensors
                .remove(&format!("{prefix}.{MATRIX}"))
                .and_then(|matrix| matrix.into_dimensionality::<Ix2>().ok())
                .expect("a dense map is a matrix");
            let bar = progress::bar(decompose::SWEEPS, "sweeps");
            let matrix = ArrayView2::from(&matrix);
            let found = decompose::decompose(matrix, &shape, &mut || bar.inc(1))?;
            bar.finish_and_clear();
            for (tensor, values) in found.tensors {
                tensors.insert(format!("{prefix}.{tensor}"), values);
            }
            let error = found.error;
            let name = match at {
                0 => map.to_owned(),
                _ => format!("{map}.{at}"),
            };
            replaced.push((name, Replaced { shape, error }));
        }
    }
    Ok((Checkpoint::new(config, tensors)?, replaced))
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
    replaced: &[(String, Replaced)],
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
    for (name, Replaced { shape, error }) in replaced {
        let (kind, parameters) = (shape.kind.name(), shape.parameters());
        say!(
            "{name:<10} {kind} {} -> {}, {parameters} parameters, {:.1} times fewer, relative error {error:.4}",
            times(&shape.inputs),
            times(&shape.outputs),
            shape.dense().parameters() as f64 / parameters as f64
        );
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
