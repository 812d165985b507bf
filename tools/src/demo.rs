//! `cargo xtask demo`: from recordings of spoken digits to a chip that tells
//! them apart, every part real: training, quantization, firmware, UART, scores.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bt_core::Model;
use bt_core::ModelBytes;
use bt_embed::wire::Golden;
use bt_train::command::progress::{Progress, bar, catch_interrupts};
use bt_train::command::scores;
use bt_train::data::{DataSet, PartName, load};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::plan::search::Limits;
use bt_train::plan::timing::Processor;
use bt_train::quantize::export::{Options, export};
use bt_train::training::evaluate::{self, Score};
use bt_train::training::run::RunFolder;
use bt_train::training::settings::{Flags, Settings};
use bt_train::training::trainer::Trainer;
use bt_train::{device, remark, say};
use clap::ValueEnum;

use crate::board::{self, Board};
use crate::qemu::{Evaluation, Outcome, test_part};
use crate::{bench, firmware, setup, size};

/// Clocks that instructions are told in milliseconds for: nRF52840 and STM32F4.
const CLOCKS_MHZ: [f64; 2] = [64.0, 168.0];

/// Sequences that calibration looks at.
const CALIBRATION_SEQUENCES: usize = 128;

/// How long the emulated chip may take for the whole test part.
const QEMU_LIMIT: Duration = Duration::from_secs(600);

/// Spoken digits, from recordings to predictions on an emulated chip.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recordings or an .npz file to use instead of tests/data/fsdd.
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// Recordings that form the test part, such as speaker=theo,yweweler.
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    hold_out: Option<String>,
    /// Training settings instead of bt-train/recipes/spoken-digits-demo.toml; keys as the flags of
    /// bt-train train.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Seed of the training.
    #[arg(long)]
    seed: Option<u64>,
    /// The board.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
}

/// Runs the demo.
///
/// # Errors
///
/// A step fails, or one score of the device differs by one bit from the host's.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    setup::ensure(&[board])?;
    let data = args.data.unwrap_or_else(recordings);
    let config = args.config.unwrap_or_else(recipe);
    let folder = folder()?;
    let flags = Flags {
        hold_out: args.hold_out,
        seed: args.seed,
        ..Flags::default()
    };
    let settings = Settings::resolve(Some(&config), &flags)?;

    remark!("1/4 training on {}", data.display());
    let start = Instant::now();
    let checkpoint = train(&settings, &data, &folder)?;
    let trained = start.elapsed();
    let float = float_accuracy(&checkpoint, &settings, &data)?;

    remark!("2/4 quantizing");
    let path = folder.join("digits.btm");
    let bytes = quantize(&checkpoint, &settings, &data, &path)?;
    let model = device::parse(&bytes)?;

    remark!("3/4 the same integers on the host");
    let part = test_part(&model, &data, &settings.recordings()?)?;
    let progress = bar(part.sequences(), "sequences");
    let host = device::run(&model, &part, || progress.inc(1))?;
    progress.finish_and_clear();

    remark!(
        "4/4 on the chip: {} in QEMU, sound over its UART",
        board.cpu
    );
    let start = Instant::now();
    let outcome = Evaluation {
        board,
        model: &path,
        part: &part,
        log: false,
        limit: QEMU_LIMIT,
    }
    .run()?;
    let streamed = start.elapsed();

    let targets = part.known_targets(PartName::Test)?;
    let accuracy = |raw: &[Vec<i32>]| -> Result<f64> {
        let figures = scores::figures(&model, targets, raw)?;
        figures.accuracy().context("the model tells no classes")
    };
    say!("");
    say!("{:<34}{:>9.2} %", "float accuracy", 100.0 * float);
    let fixed = accuracy(&host)?;
    say!(
        "{:<34}{:>9.2} %",
        "fixed-point accuracy on the host",
        100.0 * fixed
    );
    let on_device = accuracy(&outcome.raw)?;
    say!(
        "{:<34}{:>9.2} %",
        "accuracy on the device",
        100.0 * on_device
    );
    let agree = agreement(&host, &outcome.raw);
    sizes(&checkpoint, &model, &outcome)?;
    speed(board, &model, &outcome);
    say!("{:<34}{:>9.0} s", "training", trained.as_secs_f64());
    say!(
        "{:<34}{:>9.0} s",
        "building and streaming",
        streamed.as_secs_f64()
    );
    if outcome.identity.golden == Golden::Failed {
        bail!("the device's self test failed");
    }
    if !agree {
        bail!("host and device disagree");
    }
    Ok(())
}

/// The recordings that lie in the repository.
pub(crate) fn recordings() -> PathBuf {
    firmware::workspace().join("tests/data/fsdd")
}

fn recipe() -> PathBuf {
    firmware::workspace().join("bt-train/recipes/spoken-digits-demo.toml")
}

/// The demo's model, trained and quantized in a folder of its own.
pub(crate) fn model(folder: &Path) -> Result<ModelBytes> {
    let data = recordings();
    let settings = Settings::resolve(Some(&recipe()), &Flags::default())?;
    let checkpoint = train(&settings, &data, folder)?;
    quantize(&checkpoint, &settings, &data, &folder.join("digits.btm"))
}

/// A fresh folder for the run and the model.
fn folder() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| firmware::workspace().join("target"), PathBuf::from);
    let folder = target.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn train(settings: &Settings, data_path: &Path, folder: &Path) -> Result<Checkpoint> {
    let parts = [PartName::Train, PartName::Validation];
    let data = load(
        data_path,
        &settings.recordings()?,
        &parts,
        settings.head.name(),
    )?;
    let in_data = |error: bt_train::Error| error.file(data_path);
    let config = settings.model(&data).map_err(in_data)?;
    let mut trainer = Trainer::new(settings, config, &data).map_err(in_data)?;
    catch_interrupts()?;
    let run = RunFolder::new(folder.join("run"));
    run.train(settings, &mut trainer, &mut Progress::new(""))?;
    Ok(Checkpoint::read(&run.best())?)
}

/// One part of the data set, as the model takes it.
fn frames(
    checkpoint: &Checkpoint,
    settings: &Settings,
    data_path: &Path,
    part: PartName,
) -> Result<DataSet> {
    let recordings = settings.recordings()?;
    let data = load(data_path, &recordings, &[part], settings.head.name())?;
    Ok(data.for_model(&checkpoint.config)?)
}

fn float_accuracy(checkpoint: &Checkpoint, settings: &Settings, data_path: &Path) -> Result<f64> {
    let data = frames(checkpoint, settings, data_path, PartName::Test)?;
    let part = data.part(PartName::Test)?;
    let model = checkpoint.model()?;
    let targets = part.known_targets(PartName::Test)?;
    let score = Score::of(&model, &evaluate::told(&model, part), targets);
    let accuracy = score.figures.accuracy();
    accuracy.context("the model tells no classes")
}

fn quantize(
    checkpoint: &Checkpoint,
    settings: &Settings,
    data_path: &Path,
    path: &Path,
) -> Result<ModelBytes> {
    let data = frames(checkpoint, settings, data_path, PartName::Train)?;
    let options = Options {
        name: "spoken digits".to_owned(),
        limits: Limits::default(),
        sequences: CALIBRATION_SEQUENCES,
    };
    let labels = &checkpoint.config.head.labels;
    let exported = export(checkpoint, data.part(PartName::Train)?, labels, &options)?;
    fs::write(path, exported.bytes.bytes()).with_context(|| path.display().to_string())?;
    Ok(exported.bytes)
}

/// Prints how many sequences have the same raw scores to the bit.
fn agreement(host: &[Vec<i32>], device: &[Vec<i32>]) -> bool {
    let equal = host.iter().zip(device).filter(|(a, b)| a == b).count();
    let count = host.len().max(device.len());
    let share = 100 * equal / count.max(1);
    say!("host/device agreement: {equal}/{count} ({share} %)");
    equal == count
}

fn sizes(checkpoint: &Checkpoint, model: &Model<'_>, outcome: &Outcome) -> Result<()> {
    let config = &checkpoint.config;
    let map = |name: &str, parameters: usize, dense: usize| {
        let times = dense as f64 / parameters as f64;
        say!("{name:<34}{parameters:>9}   {times:.1} times fewer than dense");
    };
    map(
        "parameters of the input map",
        config.input_shape().parameters(),
        config.input_shape().dense().parameters(),
    );
    let mut dense = config.input_shape().dense().parameters() + config.bias_values();
    if let Some(recurrent) = config.recurrent_shape() {
        let of_dense = recurrent.dense().parameters();
        map(
            "parameters of the recurrent map",
            recurrent.parameters(),
            of_dense,
        );
        dense += of_dense;
    }
    let layer = (dense as f64 / config.compression()).round() as usize;
    map("parameters of the whole layer", layer, dense);
    let firmware = size::read(outcome.elf.as_deref().context("the firmware that ran")?)?;
    let model_bytes = model.flash_bytes();
    let arena_bytes = outcome.identity.arena_bytes;
    say!(
        "{:<34}{:>9} bytes, the model {model_bytes}",
        "flash of the firmware",
        firmware.flash_bytes
    );
    say!(
        "{:<34}{:>9} bytes, the session {arena_bytes}",
        "RAM of the firmware, static",
        firmware.ram_bytes
    );
    say!(
        "{:<34}{:>9} bytes",
        "stack used",
        outcome.statistics.stack_bytes_used
    );
    Ok(())
}

/// Milliseconds by the processor's timing table, which is said.
fn speed(board: &Board, model: &Model<'_>, outcome: &Outcome) {
    let instructions = outcome.instructions_per_step();
    say!("{:<34}{:>9.0}", "instructions per frame", instructions);
    let Ok(processor) = Processor::from_str(board.core, false) else {
        return;
    };
    let maps = model
        .maps(Model::input_of)
        .chain(model.maps(Model::recurrent_of));
    let inner_loops = bench::inner_loops(&maps.collect::<Vec<_>>());
    let timing = processor.timing();
    let cycles = timing.cycles(instructions as u64, &inner_loops, processor.kernels(), 0);
    say!(
        "{:<34}{cycles:>9} by {}, no wait states of the flash",
        "cycles per frame, about",
        timing.source
    );
    for clock in CLOCKS_MHZ {
        let milliseconds = cycles as f64 / (clock * 1e3);
        say!(
            "{:<34}{milliseconds:>9.2} ms, about, of no wait states",
            format!("  at {clock} MHz")
        );
    }
}
