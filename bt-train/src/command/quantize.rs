//! `bt-train quantize RUN|M.safetensors --data D.npz --out M.btm`

use crate::command::model_path;
use crate::data::{PartName, load};
use crate::device;
use crate::error::{Error, Result};
use crate::file::write_atomic;
use crate::float::checkpoint::Checkpoint;
use crate::plan::search::Limits;
use crate::quantize::export::{MapReport, Options, export};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `quantize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder or a .safetensors file.
    pub model: PathBuf,
    /// The data set; only its training part is used.
    #[arg(long)]
    pub data: PathBuf,
    /// The quantized model to write.
    #[arg(long, value_name = "BTM")]
    pub out: PathBuf,
    /// RAM that a session may take, as `10K`.
    #[arg(long, value_parser = crate::command::bytes)]
    pub ram: Option<usize>,
    /// Flash that the model may take, as `64K`.
    #[arg(long, value_parser = crate::command::bytes)]
    pub flash: Option<usize>,
    /// Name in the model file [default: that of the file].
    #[arg(long)]
    pub name: Option<String>,
    /// Print range, shift, bits and signal-to-noise ratio of every level.
    #[arg(long)]
    pub report: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    /// Recordings that form the test part [default: as the run was trained].
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    pub hold_out: Option<String>,
}

/// Sequences that calibration looks at.
const CALIBRATION_SEQUENCES: usize = 128;

/// Calibrates on the training part and writes the integers.
///
/// # Errors
/// When a file cannot be used or nothing keeps to the limits.
pub fn run(args: Args) -> Result<()> {
    let path = model_path(&args.model);
    let checkpoint = Checkpoint::read(&path)?;
    let recordings = crate::command::recordings(&args.model, args.hold_out)?;
    let in_data = |error: Error| error.file(&args.data);
    let data = load(&args.data, &recordings, &[PartName::Train])?
        .for_model(&checkpoint.config)
        .map_err(in_data)?;
    let part = data.part(PartName::Train).map_err(in_data)?;
    let stem = args
        .out
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let options = Options {
        name: args.name.unwrap_or(stem),
        limits: Limits {
            ram_bytes: args.ram,
            flash_bytes: args.flash,
            ..Limits::default()
        },
        sequences: CALIBRATION_SEQUENCES,
    };
    let labels = if checkpoint.config.head.labels.is_empty() {
        &data.labels
    } else {
        &checkpoint.config.head.labels
    };
    let exported =
        export(&checkpoint, part, labels, &options).map_err(|error| error.file(&path))?;
    write_atomic(
        &args.out,
        |file| Ok(file.write_all(exported.bytes.bytes())?),
    )?;
    let model = device::parse(&exported.bytes)?;
    if args.json {
        println!(
            "{}",
            json!({
                "ram_bytes": model.arena_bytes(),
                "flash_bytes": model.flash_bytes(),
                "input": exported.input,
                "recurrent": exported.recurrent,
            })
        );
        return Ok(());
    }
    for (name, map) in [
        ("input", &exported.input),
        ("recurrent", &exported.recurrent),
    ] {
        print(name, map, args.report);
    }
    println!(
        "{}: {} bytes of flash, {} bytes of RAM",
        args.out.display(),
        model.flash_bytes(),
        model.arena_bytes()
    );
    Ok(())
}

fn print(name: &str, map: &MapReport, levels: bool) {
    let plan = map.plan.as_deref().unwrap_or("dense, 8-bit rows");
    println!(
        "{name:<10} {plan}: {:.1} dB, |z| up to {:.2}",
        map.snr_db, map.z_max
    );
    if !levels {
        return;
    }
    for (step, level) in map.levels.iter().enumerate() {
        println!(
            "  step {step:<2} largest {:>12.5}  {:>12.2} LSB per unit  shift {:>2}  {:>2} bits",
            level.max, level.scale, level.shift, level.bits
        );
    }
}
