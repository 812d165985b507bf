//! `bt-train quantize RUN|M.safetensors --data D.npz --out M.btm`

use crate::command::comparison::{Comparison, VALIDATION};
use crate::command::device::DeviceArgs;
use crate::command::tuning::{Tuned, tune};
use crate::command::{checkpoint, load, model_path, number_classes};
use crate::data::{DataSet, Part, PartName};
use crate::device;
use crate::drawing::Agreement;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{check_integers, check_out, write_atomic};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::HeadName;
use crate::quantize::export::{
    CALIBRATION_SEQUENCES, Exported, LayerReport, MapReport, Options, Scheme, Z_MAX,
};
use crate::report::{self, Report};
use crate::training::material::parts;
use crate::training::run::RunFolder;
use crate::training::settings::Settings;
use crate::training::trainer::Trainer;
use crate::{say, warn};
use bt_core::internals::model::layout::CELL_FRACTION;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Arguments of `quantize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder or a .safetensors file
    pub model: PathBuf,
    /// The data set; only its training and validation parts are used, and none of a model of pictures
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The quantized model to write
    #[arg(long, value_name = "BTM")]
    pub out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// Name in the model file [default: that of the file]
    #[arg(long)]
    pub name: Option<String>,
    /// Train so many epochs more with values rounded and cut off as on the device
    ///
    /// The epoch that validates best is kept, or the model as it came where no epoch is better.
    #[arg(long, value_name = "EPOCHS")]
    pub fine_tune: Option<NonZeroUsize>,
    /// Print what the integers cost, stage by stage and class by class
    ///
    /// Of every stage: range, shift, bits, signal-to-noise ratio and the share of values cut off. Of every
    /// class that is told more or less often than in floats: how often.
    #[arg(long)]
    pub report: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Recordings that form the test part [default: as the run was trained]
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    pub hold_out: Option<String>,
}

/// What to do when the loss explodes while fine-tuning.
const DIVERGED: &str =
    "leave --fine-tune out, or train again with a lower --lr, a tenth of which it takes";

/// A share of wrong gates that deserves one.
const WRONG_MAX: f64 = 0.001;

/// Sums that stay below this are not cut off at 16 on their way, bias and maps in any order.
const CUT_OFF: f64 = 8.0;

/// A cell state of which the device forgets an eighth a step, though its forget gate be wide open.
const CELL_LEAKS: f64 = 4096.0;

/// Calibrates on the training part, fine-tunes if asked to, and writes the integers.
///
/// # Errors
/// When a file cannot be used or nothing keeps to the limits.
pub fn run(args: Args) -> Result<()> {
    let path = model_path(&args.model);
    let data = args.data.iter().map(PathBuf::as_path);
    let read: Vec<&Path> = data.chain([path.as_path()]).collect();
    check_out(&args.out, &read)?;
    RunFolder::new(&args.model).check_other(&args.out)?;
    check_integers(&args.out)?;
    let checkpoint = checkpoint(&path)?;
    let settings = crate::command::settings(&args.model, &checkpoint.config)?;
    let recordings = crate::command::recordings(&args.model, args.hold_out.clone())?;
    let mut data = match &args.data {
        // What is not read need not be there.
        Some(_) if checkpoint.config.head.gives.is_pictures() => return Err(not_read()),
        Some(data) => Some(load(
            data,
            &recordings,
            &[PartName::Train, PartName::Validation],
            Some(checkpoint.config.head.gives.name()),
        )?),
        None => None,
    };
    if let Some((data, path)) = data.as_mut().zip(args.data.as_deref()) {
        number_classes(data, &checkpoint.config, path);
    }
    let request = Request {
        checkpoint: &checkpoint,
        settings: &settings,
        data: data.as_ref(),
        device: args.device,
        name: name(&args),
        fine_tune: args.fine_tune,
        files: Some((&path, args.data.as_deref())),
    };
    let quantized = request.run(|trainer| tune("integers: ", DIVERGED, trainer))?;
    let Quantized {
        exported,
        comparison,
        drawing,
        tuned,
        warnings,
        ..
    } = &quantized;
    write_atomic(
        &args.out,
        |file| Ok(file.write_all(exported.bytes.bytes())?),
    )?;
    if let Some(epochs) = tuned.as_ref().and_then(|tuned| tuned.interrupted) {
        return Err(Error::new(ErrorKind::Interrupted { epochs })
            .file(&args.out)
            .remedy("it holds the best so far and can be used"));
    }
    let report = write_report(&args, &settings, data.as_ref(), &checkpoint, &quantized);
    // The integers are there, and do not need it.
    let report = report.unwrap_or_else(|error| {
        warn!("{error}");
        None
    });
    if args.json {
        say!("{}", quantized.json()?);
        return Ok(());
    }
    if let Some(tuned) = &tuned {
        tuned.print();
    }
    for (at, layer) in exported.layers.iter().enumerate() {
        print_layer(at, layer, exported.layers.len(), args.report);
    }
    if let Some(words) = &exported.words {
        let ratio = decibels(words.snr_db);
        say!(
            "words      8-bit rows: {ratio} dB, |z| up to {:.2}",
            words.max
        );
    }
    if let Some(window) = &exported.window {
        let [x, y, log_variance, log_stride, log_gain] = window.place_max;
        say!(
            "window     |x̃| up to {x:.2}, |ỹ| {y:.2}, |ln σ²| {log_variance:.2}, |ln δ̃| {log_stride:.2}, |ln γ| {log_gain:.2}, all of 16"
        );
        say!(
            "canvas     logits up to {:.1} of {}, {} fraction bits",
            window.canvas_max,
            2f64.powi(31 - window.canvas_fraction),
            window.canvas_fraction
        );
    }
    if let Some(comparison) = &comparison {
        comparison.print(args.report);
    }
    if let Some(drawing) = drawing {
        say!(
            "pictures   {:.1} dB, probabilities of pixels up to {:.4} off, {:.5} in the mean, of {} beside floats",
            drawing.snr_db,
            drawing.error_max,
            drawing.error_mean,
            drawing.pictures
        );
    }
    for warning in warnings {
        say!("warning: {warning}");
    }
    let model = device::parse(&exported.bytes)?;
    say!(
        "{}: {} bytes of flash, {} bytes of RAM",
        args.out.display(),
        model.flash_bytes(),
        model.arena_bytes()
    );
    if let Some(report) = report {
        say!("{}", report.display());
    }
    Ok(())
}

/// What is to become integers, and how.
pub struct Request<'a> {
    /// The float model.
    pub checkpoint: &'a Checkpoint,
    /// With what it was trained: how the validation part is split off, and what fine-tuning goes on with.
    pub settings: &'a Settings,
    /// Training and validation part as loaded; none of a model of pictures.
    pub data: Option<&'a DataSet>,
    /// What plans must keep to.
    pub device: DeviceArgs,
    /// Name in the model file.
    pub name: String,
    /// Epochs of training in integers.
    pub fine_tune: Option<NonZeroUsize>,
    /// Where model and data come from, for errors.
    pub files: Option<(&'a Path, Option<&'a Path>)>,
}

/// A model in integers, and what there is to say about it.
pub struct Quantized {
    /// The model.
    pub exported: Exported,
    /// Of all maps for one step.
    pub cycles: u64,
    /// Beside the floats; none without targets, of pictures, or when fine-tuning was broken off.
    pub comparison: Option<Comparison>,
    /// Of a model that paints pictures, those of its integers beside those of floats.
    pub drawing: Option<Agreement>,
    /// Where it was fine-tuned.
    pub tuned: Option<Tuned>,
    /// What a user should know, a line each.
    pub warnings: Vec<String>,
}

impl Request<'_> {
    /// Calibrates on the training part, fine-tunes by `tune` where that is asked for, and exports.
    ///
    /// # Errors
    /// When model and data do not fit, nothing keeps to the limits, or the loss explodes.
    pub fn run(&self, tune: impl FnOnce(Trainer<'_>) -> Result<Tuned>) -> Result<Quantized> {
        let in_model = |error: Error| match self.files {
            Some((model, _)) => error.file(model),
            None => error,
        };
        let in_data = |error: Error| match self.files {
            Some((_, Some(data))) => error.file(data),
            _ => error,
        };
        let checkpoint = self.checkpoint;
        let paints = checkpoint.config.head.gives.is_pictures();
        if paints && self.fine_tune.is_some() {
            let why =
                "is not for pictures: a device holds their decoder, which learns from none alone";
            let error = Error::new(ErrorKind::NotForHead {
                head: HeadName::Draw,
                why,
            })
            .field("fine-tune");
            return Err(error.remedy("leave it out"));
        }
        let data = match self.data {
            Some(_) if paints => return Err(not_read()),
            None if !paints => {
                let why = "integers are calibrated on what a model was trained on; give --data";
                return Err(Error::usage(why));
            }
            data => data,
        };
        let frames = data.map(|data| data.clone().for_model(&checkpoint.config));
        let frames = frames.transpose().map_err(in_data)?;
        let labels = match data {
            Some(data) if checkpoint.config.head.labels.is_empty() => &data.labels,
            _ => &checkpoint.config.head.labels,
        };
        let nothing = Part::empty();
        let part = match &frames {
            Some(frames) => frames.part(PartName::Train).map_err(in_data)?,
            None => &nothing,
        };
        let options = Options {
            name: self.name.clone(),
            limits: self.device.limits()?,
            sequences: CALIBRATION_SEQUENCES,
        };
        let explained = |error| in_model(self.device.explain(error));
        let scheme = Scheme::calibrate(checkpoint, part, labels, &options).map_err(explained)?;
        let tuned = match self.fine_tune.zip(data) {
            Some((epochs, data)) => {
                let settings = self.settings.fine_tuning(epochs.get());
                let trainer = Trainer::fine_tune(&settings, checkpoint, &scheme, data);
                Some(tune(trainer.map_err(in_data)?)?)
            }
            None => None,
        };
        let kept = tuned.as_ref().map_or(checkpoint, |tuned| &tuned.checkpoint);
        let exported = scheme.export(kept).map_err(explained)?;
        let is_whole = tuned
            .as_ref()
            .is_none_or(|tuned| tuned.interrupted.is_none());
        let comparison = match &frames {
            Some(frames) if is_whole => {
                Comparison::new(self.settings, frames, checkpoint, kept, &scheme)?
            }
            _ => None,
        };
        let drawing = match paints {
            true => {
                let integers = device::parse(&exported.bytes)?;
                let float = checkpoint.model()?;
                Some(Agreement::new(&float, &integers, 0, COMPARED_PICTURES)?)
            }
            false => None,
        };
        let mut warnings = warnings(&exported, comparison.as_ref(), tuned.is_some());
        if kept.config.imported && comparison.as_ref().is_some_and(|c| c.part == VALIDATION) {
            warnings.push(
                "the model was imported: its validation part may be what it was trained on, and so say too much of it"
                    .into(),
            );
        }
        Ok(Quantized {
            cycles: scheme.plans().cycles(self.device.processor(), 0),
            exported,
            comparison,
            drawing,
            tuned,
            warnings,
        })
    }
}

/// Of a model of pictures, whose decoder paints those that it is calibrated on.
fn not_read() -> Error {
    let why = "is not for pictures: their decoder is calibrated on some that it paints itself";
    let error = Error::new(ErrorKind::NotForHead {
        head: HeadName::Draw,
        why,
    })
    .field("data");
    error.remedy("leave it out")
}

/// Pictures that floats and integers both paint, to be held side by side.
const COMPARED_PICTURES: usize = 64;

impl Quantized {
    /// For programs.
    ///
    /// # Errors
    /// Never for a model that was exported.
    pub fn json(&self) -> Result<Value> {
        let model = device::parse(&self.exported.bytes)?;
        let first = &self.exported.layers[0];
        let mut object = json!({
            "ram_bytes": model.arena_bytes(),
            "flash_bytes": model.flash_bytes(),
            "instructions": self.exported.instructions,
            "input": first.input,
            "recurrent": first.recurrent,
            "z": first.z,
            "cell": first.cell,
            "layers": self.exported.layers,
            "words": self.exported.words,
            "window": self.exported.window,
            "warnings": self.warnings,
        });
        if let Some(comparison) = &self.comparison {
            object["comparison"] = comparison.json();
        }
        if let Some(drawing) = &self.drawing {
            object["drawing"] = json!(drawing);
        }
        if let Some(tuned) = &self.tuned {
            object["fine_tune"] = json!({ "epochs": tuned.epochs, "best": tuned.best });
        }
        Ok(object)
    }
}

/// Writes the report of the run's folder again, with the integers; nothing where the model came without one.
fn write_report(
    args: &Args,
    settings: &Settings,
    data: Option<&DataSet>,
    checkpoint: &Checkpoint,
    quantized: &Quantized,
) -> Result<Option<PathBuf>> {
    let folder = RunFolder::new(&args.model);
    let Some((epochs, best)) = folder.history()? else {
        return Ok(None);
    };
    let file = device::parse(&quantized.exported.bytes)?;
    let of_validation = quantized
        .comparison
        .as_ref()
        .filter(|found| found.part == VALIDATION);
    let name = args.out.file_name().unwrap_or_default();
    let clock_hz = args.device.clock();
    let learned = data.map(|data| parts(settings, data));
    let epoch = |tuned: &Tuned| tuned.best.as_ref().map_or(0, |best| best.epoch);
    Report {
        settings,
        config: &checkpoint.config,
        epochs: &epochs,
        best: best.as_ref(),
        learned: learned.transpose()?.map(|(part, _)| part.sequences()),
        validation: of_validation.map(|found| &found.float),
        device: Some(report::Device {
            file: name.to_string_lossy().into_owned(),
            core: args.device.processor().name(),
            clock_hz,
            ram_bytes: file.arena_bytes(),
            flash_bytes: file.flash_bytes(),
            instructions: quantized.exported.instructions,
            milliseconds: quantized.cycles as f64 / clock_hz as f64 * 1e3,
            layers: &quantized.exported.layers,
            fixed: of_validation.map(|found| &found.fixed),
            fine_tuned: quantized
                .tuned
                .as_ref()
                .map(|tuned| (tuned.epochs.len(), epoch(tuned))),
            warnings: &quantized.warnings,
        }),
    }
    .write(&folder.report())?;
    Ok(Some(folder.report()))
}

/// As it was told, or as the file is called.
fn name(args: &Args) -> String {
    let stem = args.out.file_stem().unwrap_or_default();
    let name = args.name.clone();
    name.unwrap_or_else(|| stem.to_string_lossy().into_owned())
}

/// What a user should know, and the remedy.
fn warnings(exported: &Exported, comparison: Option<&Comparison>, tuned: bool) -> Vec<String> {
    let remedy = if tuned {
        "more epochs of --fine-tune may help"
    } else {
        "--fine-tune 5 may win them back"
    };
    let mut warnings = Vec::new();
    if let Some(loss) = comparison.and_then(Comparison::loss) {
        warnings.push(format!("the integers {loss}; {remedy}"));
    }
    for (at, layer) in exported.layers.iter().enumerate() {
        let of = match exported.layers.len() {
            1 => String::new(),
            _ => format!("layer {at}: "),
        };
        let own = layer_warnings(layer, remedy).into_iter();
        warnings.extend(own.map(|warning| format!("{of}{warning}")));
    }
    warnings
}

/// The same about one layer.
fn layer_warnings(layer: &LayerReport, remedy: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let z = &layer.z;
    if z.wrong > WRONG_MAX {
        let back = layer.recurrent.as_ref().map_or(0.0, |map| map.z_max);
        let maps = layer.input.z_max.max(back);
        let wrong = format!("{:.2} % of the gates are wrong", 100.0 * z.wrong);
        warnings.push(if z.bias > Z_MAX {
            format!(
                "{wrong}: the bias of z is up to {:.1} and is cut off at 16 before the maps add to it",
                z.bias
            )
        } else if maps.max(z.max) > CUT_OFF {
            format!(
                "{wrong}: one map adds up to {maps:.1}, and partial sums are cut off at 16; training \
                 with --weight-decay 0.1 keeps them smaller"
            )
        } else {
            format!("{wrong}: the rounded weights are too coarse for so large a z; {remedy}")
        });
    }
    let cell = &layer.cell;
    if cell.max > CELL_LEAKS {
        warnings.push(format!(
            "the cell counts up to {:.0}: the device's forget gate ends at 1 - 2^-15, so that it loses \
             {:.2} a step there",
            cell.max,
            cell.max / 32_768.0
        ));
    }
    warnings
}

fn print_layer(at: usize, layer: &LayerReport, layers: usize, levels: bool) {
    if layers > 1 {
        say!("layer {at}");
    }
    print_map("input", &layer.input, levels);
    if let Some(recurrent) = &layer.recurrent {
        print_map("recurrent", recurrent, levels);
    }
    say!(
        "z          up to {:.2}, {:.3} % beyond 16, {:.3} % of the gates wrong",
        layer.z.max,
        100.0 * layer.z.beyond,
        100.0 * layer.z.wrong
    );
    let cell = &layer.cell;
    if cell.fraction < CELL_FRACTION {
        say!(
            "cell       up to {:.1}: kept in Q{}.{}",
            cell.max,
            31 - cell.fraction,
            cell.fraction
        );
    }
}

/// A ratio, or nothing where calibration saw no signal.
fn decibels(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.1}")
    } else {
        "-".into()
    }
}

fn print_map(name: &str, map: &MapReport, levels: bool) {
    let plan = map.plan.as_deref().unwrap_or("dense, 8-bit rows");
    say!(
        "{name:<10} {plan}: {} dB, |z| up to {:.2}",
        decibels(map.snr_db),
        map.z_max
    );
    if !levels {
        return;
    }
    say!(
        "  {:>5}{:>12}{:>12}{:>14}{:>7}{:>6}{:>9}{:>13}",
        "stage",
        "largest",
        "range",
        "LSB per unit",
        "shift",
        "bits",
        "SNR dB",
        "saturated %"
    );
    for (stage, level) in map.levels.iter().enumerate() {
        say!(
            "  {stage:>5}{:>12.5}{:>12.5}{:>14.2}{:>7}{:>6}{:>9}{:>13.4}",
            level.max,
            level.range,
            level.scale,
            level.shift,
            level.bits,
            decibels(level.snr_db),
            100.0 * level.saturated
        );
    }
}
