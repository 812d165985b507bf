//! `bt-train compare --data D.npz …`: every form of map, a GRU and linear controls, one table.

mod table;

use crate::command::controls::Weighed;
use crate::command::device::ProcessorArg;
use crate::command::progress::{Progress, catch_interrupts};
use crate::command::{load, scores};
use crate::data::{DataSet, Part, PartName};
use crate::device;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{check_out, write_atomic};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::ModelConfig;
use crate::plan::search::Limits;
use crate::quantize::export::{CALIBRATION_SEQUENCES, Options, export};
use crate::say;
use crate::shape::{Cell, MapName};
use crate::training::curves;
use crate::training::evaluate::{self, Score};
use crate::training::metrics::Keep;
use crate::training::run::RunWatch;
use crate::training::settings::{Flags, Settings};
use crate::training::trainer::{Epoch, Trainer};
use bt_core::OutputKind;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use table::Row;

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data set: an .npz file or a directory of .wav files
    #[arg(long)]
    pub data: PathBuf,
    /// Models to train of each kind; their seeds count up from --seed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Choose a learning rate for each kind: half, once or twice --lr
    ///
    /// Each rate trains one model, with the first seed; the rate that validates best is taken.
    #[arg(long)]
    pub tune: bool,
    /// After --tune, train on the training and the validation part together, for all epochs
    #[arg(long, requires = "tune")]
    pub refit: bool,
    /// Settings in TOML, keys named like the flags; flags win
    #[arg(long, value_name = "TOML")]
    pub config: Option<PathBuf>,
    /// Write the learning curves: a picture if the name ends in .svg, else a line of JSON an epoch
    #[arg(long, value_name = "FILE")]
    pub curves: Option<PathBuf>,
    #[command(flatten)]
    processor: ProcessorArg,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    settings: Flags,
}

/// One model.
struct Outcome {
    checkpoint: Checkpoint,
    validation: Option<Score>,
    /// The figure that the best epoch was kept by.
    keep: Keep,
    epochs: Vec<Epoch>,
    /// Wall time of all epochs.
    seconds: f64,
}

/// How one model learned.
struct Curve {
    name: String,
    cell: &'static str,
    input_map: &'static str,
    recurrent_map: Option<&'static str>,
    seed: u64,
    epochs: Vec<Epoch>,
}

impl Curve {
    fn write(&self, file: &mut dyn Write) -> std::io::Result<()> {
        for epoch in &self.epochs {
            let line = json!({
                "cell": self.cell,
                "input_map": self.input_map,
                "recurrent_map": self.recurrent_map,
                "seed": self.seed,
                "metrics": epoch,
            });
            writeln!(file, "{line}")?;
        }
        Ok(())
    }
}

/// The curves of each kind as one.
fn picture(curves: &[Curve]) -> String {
    let mut kinds: Vec<(&str, Vec<&[Epoch]>)> = Vec::new();
    for curve in curves {
        match kinds.last_mut() {
            Some((name, models)) if *name == curve.name => models.push(&curve.epochs),
            _ => kinds.push((&curve.name, vec![&curve.epochs])),
        }
    }
    curves::compared(&kinds)
}

/// Trains all models and prints one table.
///
/// # Errors
/// When data and settings do not fit, a loss explodes, or Ctrl-C ends it.
pub fn run(args: Args) -> Result<()> {
    let settings = Settings::resolve(args.config.as_deref(), &args.settings)?;
    if !settings.init.is_empty() {
        return Err(Error::usage(
            "compare trains every kind of model from its start; leave `init` out",
        ));
    }
    if let Some(path) = &args.curves {
        let config = args.config.iter().map(PathBuf::as_path);
        let read: Vec<&Path> = config.chain([args.data.as_path()]).collect();
        check_out(path, &read)?;
    }
    let parts = [PartName::Train, PartName::Validation, PartName::Test];
    let in_data = |error: Error| error.file(&args.data);
    let data = load(
        &args.data,
        &settings.recordings()?,
        &parts,
        settings.head.name(),
    )?;
    check(&settings, &data).map_err(in_data)?;
    catch_interrupts()?;
    let mut rows = Vec::new();
    let mut curves: Vec<Curve> = Vec::new();
    let whole = args.refit.then(|| without_validation(&data));
    let weighed = Weighed::new(&settings, &data, whole.as_ref()).map_err(in_data)?;
    let controls = weighed.controls().map_err(in_data)?;
    for settings in kinds(&settings) {
        let row = kind(&settings, &data, whole.as_ref(), &args, &mut curves).map_err(in_data)?;
        rows.push(row);
    }
    if let Some(path) = &args.curves {
        let extension = path.extension();
        let is_picture = extension.is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
        write_atomic(path, |file| {
            match is_picture {
                true => file.write_all(picture(&curves).as_bytes())?,
                false => curves.iter().try_for_each(|curve| curve.write(file))?,
            }
            Ok(())
        })?;
    }
    let (train, validation, test) = weighed.sequences();
    let split = table::Split {
        train,
        validation,
        test,
    };
    if args.json {
        say!(
            "{}",
            json!({
                "rows": rows,
                "controls": controls,
                "seeds": (settings.seed..settings.seed + args.seeds).collect::<Vec<u64>>(),
                "sequences": split,
                "baseline": weighed.majority(),
            })
        );
    } else {
        let seeds = format!(
            "seeds {} to {}",
            settings.seed,
            settings.seed + args.seeds - 1
        );
        table::print(&rows, &controls, &split, &seeds, weighed.majority());
    }
    Ok(())
}

/// The models that are compared: what was asked for with each form of the input map, with both maps block-term, and
/// with a GRU.
fn kinds(settings: &Settings) -> Vec<Settings> {
    let with = |cell, input_map, recurrent_map| Settings {
        cell,
        input_map,
        recurrent_map,
        ..settings.clone()
    };
    let (cell, recurrent) = (settings.cell, settings.recurrent_map);
    let maps = [MapName::Dense, MapName::TensorTrain, MapName::BlockTerm];
    let mut kinds: Vec<Settings> = maps.map(|map| with(cell, map, recurrent)).into();
    if cell.device().is_recurrent() && recurrent == MapName::Dense {
        kinds.push(with(cell, MapName::BlockTerm, MapName::BlockTerm));
    }
    if cell != Cell::Gru {
        kinds.push(with(Cell::Gru, MapName::BlockTerm, recurrent));
    }
    kinds
}

/// Before anything is trained: a model for all of the data, and a test part with classes.
fn check(settings: &Settings, data: &DataSet) -> Result<()> {
    let config = settings.model(data)?;
    let head = &config.head.gives;
    let refused = match head.kind() {
        OutputKind::Classes if head.is_next_word() => Some((
            "y_train",
            "has captions, and what is compared is the accuracy of classes",
        )),
        OutputKind::Classes => None,
        OutputKind::Values => Some((
            "y_train",
            "holds values, and what is compared is the accuracy of classes",
        )),
        // Where the data have no others, those of the frames themselves.
        OutputKind::Bits => Some((
            "head",
            "gives bits, and what is compared is the accuracy of classes",
        )),
    };
    if let Some((field, why)) = refused {
        return Err(Error::new(ErrorKind::NotForHead {
            head: head.name(),
            why,
        })
        .field(field)
        .remedy("train a model of each kind, and compare what eval says of them"));
    }
    data.part(PartName::Test)?.known_targets(PartName::Test)?;
    data.clone().raw_for_model(&config).map(|_| ())
}

fn kind(
    settings: &Settings,
    data: &DataSet,
    whole: Option<&DataSet>,
    args: &Args,
    curves: &mut Vec<Curve>,
) -> Result<Row> {
    let mut settings = settings.clone();
    let config = settings.model(data)?;
    let of_recurrent = config.recurrent_shape().map(|shape| shape.kind.name());
    let name = name(&config);
    let mut outcomes = Vec::new();
    if args.tune {
        outcomes.push(tune(&mut settings, data, &name)?);
    }
    let tuned = if args.refit {
        settings.validation = 0.0;
        std::mem::take(&mut outcomes)
    } else {
        Vec::new()
    };
    for seed in settings.seed + outcomes.len() as u64..settings.seed + args.seeds {
        let settings = Settings {
            seed,
            ..settings.clone()
        };
        let data = whole.unwrap_or(data);
        outcomes.push(train(&settings, data, &format!("{name}, seed {seed}: "))?);
    }
    curves.extend(
        (settings.seed..)
            .zip(&outcomes)
            .map(|(seed, outcome)| Curve {
                name: name.clone(),
                cell: config.cell.name(),
                input_map: config.input.map.name(),
                recurrent_map: of_recurrent,
                seed,
                epochs: outcome.epochs.clone(),
            }),
    );
    let frames = data.clone().for_model(&config)?;
    let raw = data.clone().raw_for_model(&config)?;
    let test = frames.part(PartName::Test)?;
    let targets = test.known_targets(PartName::Test)?;
    let mut accuracies = Vec::new();
    let mut fixed = Vec::new();
    let (mut device_bytes, mut device_ram_bytes, mut instructions) = (0, 0, 0);
    for outcome in &outcomes {
        let float = outcome.checkpoint.model()?;
        let score = Score::of(&float, &evaluate::told(&float, test), targets);
        accuracies.push(score.figures.accuracy().unwrap_or(0.0));
        let options = Options {
            name: config.input.map.name().into(),
            limits: Limits {
                kernels: args.processor.kernels(),
                ..Limits::default()
            },
            sequences: CALIBRATION_SEQUENCES,
        };
        let part = frames.part(PartName::Train)?;
        let exported = export(&outcome.checkpoint, part, &data.labels, &options)?;
        let model = device::parse(&exported.bytes)?;
        device_bytes = device_bytes.max(model.flash_bytes());
        device_ram_bytes = device_ram_bytes.max(model.arena_bytes());
        instructions = instructions.max(exported.instructions);
        let raw = device::run(&model, raw.part(PartName::Test)?, || ())?;
        let figures = scores::figures(&model, targets, &raw)?;
        fixed.push(figures.accuracy().unwrap_or(0.0));
    }
    let validated = if args.refit { &tuned } else { &outcomes };
    let validations: Option<Vec<f64>> = validated
        .iter()
        .map(|outcome| outcome.validation?.figures.accuracy())
        .collect();
    let to_90: Option<Vec<f64>> = validated.iter().map(epochs_to_90_percent).collect();
    let seconds: Vec<f64> = outcomes.iter().map(|outcome| outcome.seconds).collect();
    Ok(Row {
        cell: config.cell.name(),
        input_map: config.input.map.name(),
        recurrent_map: of_recurrent,
        parameters: config.parameters(),
        input_parameters: config.input_shape().parameters(),
        input_compression: config.input_compression(),
        compression: config.compression(),
        lr: settings.lr,
        accuracy_mean: mean(&accuracies),
        accuracy_sd: deviation(&accuracies),
        accuracies,
        validation_mean: validations.map(|values| mean(&values)),
        fixed_accuracy_mean: mean(&fixed),
        fixed_accuracies: fixed,
        epochs_to_90_percent: to_90.map(|values| mean(&values)),
        seconds: mean(&seconds),
        device_bytes,
        device_ram_bytes,
        instructions,
    })
}

/// A kind of model in few words.
fn name(config: &ModelConfig) -> String {
    let input = config.input.map.name();
    match (
        config.cell,
        config.recurrent_shape().map(|shape| shape.kind.name()),
    ) {
        (Cell::Lstm, Some("dense") | None) => input.to_owned(),
        (Cell::Lstm, Some(_)) => format!("{input}, both maps"),
        (cell, _) => format!("{}, {input}", cell.name()),
    }
}

/// The data with the validation part, where they have one, among the training part.
fn without_validation(data: &DataSet) -> DataSet {
    let parts: Vec<Part> = data.train.iter().chain(&data.validation).cloned().collect();
    DataSet {
        train: (!parts.is_empty()).then(|| Part::concatenate(&parts)),
        validation: None,
        ..data.clone()
    }
}

/// Sets the learning rate that validates best; gives the model trained with it.
fn tune(settings: &mut Settings, data: &DataSet, name: &str) -> Result<Outcome> {
    let mut best: Option<(f32, Outcome)> = None;
    for factor in [0.5, 1.0, 2.0] {
        let lr = settings.lr * factor;
        let tried = Settings {
            lr,
            ..settings.clone()
        };
        let outcome = match train(&tried, data, &format!("{name}, rate {lr}: ")) {
            Ok(outcome) => outcome,
            // A rate too high for this kind is a rate not to take.
            Err(error) if matches!(error.kind, ErrorKind::Diverged { .. }) => continue,
            Err(error) => return Err(error),
        };
        let better = match (&best, outcome.validation) {
            (Some((_, best)), Some(new)) => {
                best.validation.is_none_or(|old| new.beats(&old, best.keep))
            }
            (best, _) => best.is_none(),
        };
        if better {
            best = Some((lr, outcome));
        }
    }
    let (lr, outcome) = best.ok_or_else(|| {
        Error::new(ErrorKind::EveryRateDiverged { map: name.into() })
            .field("lr")
            .remedy("lower it")
    })?;
    settings.lr = lr;
    Ok(outcome)
}

fn train(settings: &Settings, data: &DataSet, name: &str) -> Result<Outcome> {
    let mut trainer = Trainer::new(settings, settings.model(data)?, data)?;
    let mut progress = Progress::new(name);
    progress.start(&trainer);
    let mut epochs = Vec::new();
    let started = Instant::now();
    while !trainer.finished() {
        let Some(epoch) = trainer.epoch(&mut |update| progress.updated(update))? else {
            let epochs = trainer.epochs();
            return Err(Error::new(ErrorKind::Interrupted { epochs }));
        };
        progress.epoch(&epoch);
        epochs.push(epoch);
    }
    Ok(Outcome {
        checkpoint: trainer.checkpoint(),
        validation: trainer.best().and_then(|best| best.validation),
        keep: trainer.keep(),
        epochs,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn epochs_to_90_percent(outcome: &Outcome) -> Option<f64> {
    let accuracy = |epoch: &Epoch| epoch.validation?.figures.accuracy();
    let best = outcome
        .epochs
        .iter()
        .filter_map(accuracy)
        .max_by(f64::total_cmp)?;
    let first = outcome
        .epochs
        .iter()
        .find(|epoch| accuracy(epoch).is_some_and(|accuracy| accuracy >= 0.9 * best))?;
    Some(first.epoch as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Standard deviation of a sample; 0 for one value.
fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (square / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviation_is_that_of_a_sample() {
        assert_eq!(deviation(&[0.5]), 0.0);
        // Mean 2, squares 1 + 0 + 1, divided by n − 1 = 2.
        assert_eq!(deviation(&[1.0, 2.0, 3.0]), 1.0);
    }
}
