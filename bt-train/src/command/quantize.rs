//! `bt-train quantize RUN|M.safetensors --data D.npz --out M.btm`

use crate::command::comparison::{Comparison, VALIDATION};
use crate::command::device::{CLOCK_HZ, DeviceArgs};
use crate::command::tuning::{Tuned, tune};
use crate::command::{checkpoint, load, model_path};
use crate::data::{DataSet, PartName};
use crate::device;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{check_place, write_atomic};
use crate::float::checkpoint::Checkpoint;
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
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Arguments of `quantize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder or a .safetensors file
    pub model: PathBuf,
    /// The data set; only its training and validation parts are used
    #[arg(long)]
    pub data: PathBuf,
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
    check_place(&args.out)?;
    let path = model_path(&args.model);
    let checkpoint = checkpoint(&path)?;
    let settings = crate::command::settings(&args.model, &checkpoint.config)?;
    let recordings = crate::command::recordings(&args.model, args.hold_out.clone())?;
    let in_data = |error: Error| error.file(&args.data);
    let data = load(
        &args.data,
        &recordings,
        &[PartName::Train, PartName::Validation],
    )?;
    let frames = data
        .clone()
        .for_model(&checkpoint.config)
        .map_err(in_data)?;
    let labels = if checkpoint.config.head.labels.is_empty() {
        &data.labels
    } else {
        &checkpoint.config.head.labels
    };
    let part = frames.part(PartName::Train).map_err(in_data)?;
    let scheme = Scheme::calibrate(&checkpoint, part, labels, &options(&args))
        .map_err(|error| args.device.explain(error).file(&path))?;
    let tuned = match args.fine_tune {
        Some(epochs) => {
            let settings = settings.fine_tuning(epochs.get());
            let trainer = Trainer::fine_tune(&settings, &checkpoint, &scheme, &data);
            Some(tune("integers: ", DIVERGED, trainer.map_err(in_data)?)?)
        }
        None => None,
    };
    let kept = tuned
        .as_ref()
        .map_or(&checkpoint, |tuned| &tuned.checkpoint);
    let exported = scheme
        .export(kept)
        .map_err(|error| args.device.explain(error).file(&path))?;
    write_atomic(
        &args.out,
        |file| Ok(file.write_all(exported.bytes.bytes())?),
    )?;
    if let Some(epochs) = tuned.as_ref().and_then(|tuned| tuned.interrupted) {
        return Err(Error::new(ErrorKind::Interrupted { epochs })
            .file(&args.out)
            .remedy("it holds the best so far and can be used"));
    }
    let comparison = Comparison::new(&settings, &frames, &checkpoint, kept, &scheme)?;
    let mut warnings = warnings(&exported, comparison.as_ref(), tuned.is_some());
    if kept.config.imported && comparison.as_ref().is_some_and(|c| c.part == VALIDATION) {
        warnings.push(
            "the model was imported: its validation part may be what it was trained on, and so say too much of it"
                .into(),
        );
    }
    let model = device::parse(&exported.bytes)?;
    let report = write_report(&Shown {
        args: &args,
        settings: &settings,
        frames: &frames,
        checkpoint: &checkpoint,
        exported: &exported,
        cycles: scheme.plans().cycles(args.device.core(), 0),
        comparison: comparison.as_ref(),
        tuned: tuned.as_ref(),
        warnings: &warnings,
    });
    // The integers are there, and do not need it.
    let report = report.unwrap_or_else(|error| {
        warn!("{error}");
        None
    });
    if args.json {
        let first = &exported.layers[0];
        let mut object = json!({
            "ram_bytes": model.arena_bytes(),
            "flash_bytes": model.flash_bytes(),
            "instructions": exported.instructions,
            "input": first.input,
            "recurrent": first.recurrent,
            "z": first.z,
            "cell": first.cell,
            "layers": exported.layers,
            "warnings": warnings,
        });
        if let Some(comparison) = &comparison {
            object["comparison"] = comparison.json();
        }
        if let Some(tuned) = &tuned {
            object["fine_tune"] = json!({ "epochs": tuned.epochs, "best": tuned.best });
        }
        say!("{object}");
        return Ok(());
    }
    if let Some(tuned) = &tuned {
        tuned.print();
    }
    for (at, layer) in exported.layers.iter().enumerate() {
        print_layer(at, layer, exported.layers.len(), args.report);
    }
    if let Some(comparison) = &comparison {
        comparison.print(args.report);
    }
    for warning in warnings {
        say!("warning: {warning}");
    }
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

/// What a report is made of.
struct Shown<'a> {
    args: &'a Args,
    settings: &'a Settings,
    frames: &'a DataSet,
    checkpoint: &'a Checkpoint,
    exported: &'a Exported,
    /// Of all maps for one step.
    cycles: u64,
    comparison: Option<&'a Comparison>,
    tuned: Option<&'a Tuned>,
    warnings: &'a [String],
}

/// Writes the report of the run's folder again, with the integers; nothing where the model came without one.
fn write_report(shown: &Shown<'_>) -> Result<Option<PathBuf>> {
    let args = shown.args;
    let folder = RunFolder::new(&args.model);
    let Some((epochs, best)) = folder.history()? else {
        return Ok(None);
    };
    let file = device::parse(&shown.exported.bytes)?;
    let of_validation = shown.comparison.filter(|found| found.part == VALIDATION);
    let name = args.out.file_name().unwrap_or_default();
    let clock_hz = args.device.clock().unwrap_or(CLOCK_HZ);
    let epoch = |tuned: &Tuned| tuned.best.as_ref().map_or(0, |best| best.epoch);
    Report {
        settings: shown.settings,
        config: &shown.checkpoint.config,
        epochs: &epochs,
        best: best.as_ref(),
        learned: parts(shown.settings, shown.frames)?.0.sequences(),
        validation: of_validation.map(|found| &found.float),
        device: Some(report::Device {
            file: name.to_string_lossy().into_owned(),
            core: args.device.core().name(),
            clock_hz,
            ram_bytes: file.arena_bytes(),
            flash_bytes: file.flash_bytes(),
            instructions: shown.exported.instructions,
            milliseconds: shown.cycles as f64 / clock_hz as f64 * 1e3,
            layers: &shown.exported.layers,
            fixed: of_validation.map(|found| &found.fixed),
            fine_tuned: shown.tuned.map(|tuned| (tuned.epochs.len(), epoch(tuned))),
            warnings: shown.warnings,
        }),
    }
    .write(&folder.report())?;
    Ok(Some(folder.report()))
}

fn options(args: &Args) -> Options {
    let stem = args
        .out
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Options {
        name: args.name.clone().unwrap_or(stem),
        limits: args.device.limits(),
        sequences: CALIBRATION_SEQUENCES,
    }
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
