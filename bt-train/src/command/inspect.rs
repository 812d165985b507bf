//! `bt-train inspect FILE`

use crate::command::{checkpoint, model_path};
use crate::device;
use crate::error::{Error, ErrorKind, FileKind, Result, times};
use crate::float::config::{ModelConfig, Pool};
use crate::plan::calls::{Call, Calls};
use crate::plan::timing::Processor;
use crate::say;
use crate::shape::{Cell, MapKind, MapShape};
use bt_core::about::FloatInput;
use bt_core::drawing::NextFrame;
use bt_core::internals::model::Map;
use bt_core::internals::model::layout::CELL_FRACTION;
use bt_core::internals::program::NONE;
use bt_core::{Model, OutputKind};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .safetensors or .btm file or a run's folder
    pub file: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Describes a model file.
///
/// # Errors
/// When the file is not a model.
pub fn run(args: Args) -> Result<()> {
    let path = model_path(&args.file);
    match path.extension().and_then(|end| end.to_str()) {
        Some("safetensors") => float(&path, args.json),
        Some("btm") => integers(&path, args.json),
        _ => Err(Error::new(ErrorKind::FileKind(FileKind::Unknown))
            .file(&path)
            .remedy("give a .safetensors or .btm file or a run's folder")),
    }
}

fn float(path: &Path, as_json: bool) -> Result<()> {
    let checkpoint = checkpoint(path)?;
    let config = &checkpoint.config;
    if as_json {
        say!("{}", describe(config)?);
        return Ok(());
    }
    let map = |name: &str, shape: MapShape| {
        let parameters = shape.parameters();
        say!(
            "{name:<12}{}, {} ({}) -> {} x {} ({}), {parameters} parameters, {:.1} times fewer than dense",
            form(shape.kind),
            shape.width(),
            times(&shape.inputs),
            config.gates(),
            config.units(),
            times(&config.hidden.modes),
            shape.dense().parameters() as f64 / parameters as f64
        );
    };
    say!("layers      {} of {}", config.layers, config.cell.name());
    map("input", config.input_shape());
    if let Some(horizon) = config.input.filter_horizon() {
        say!("filter      {}", filtered(horizon));
    }
    if config.layers > 1 {
        map("layer above", config.upper_input_shape());
    }
    if let Some(recurrent) = config.recurrent_shape() {
        map("recurrent", recurrent);
    }
    let head = &config.head;
    let outputs = head.gives.outputs();
    let what = kind_words(head.gives.kind());
    let when = match head.gives.every_step() {
        true => " after every step",
        false => "",
    };
    let states = match head.pool {
        Pool::Last => "the last hidden state".to_owned(),
        Pool::Mean => "the mean hidden state".to_owned(),
        Pool::Recent => format!("the mean of about {} recent hidden states", head.horizon()),
    };
    say!("head        {outputs} {what}{when} from {states}");
    if !config.head.labels.is_empty() {
        say!("labels      {}", config.head.labels.join(", "));
    }
    for (name, tensor) in &checkpoint.tensors {
        let largest = tensor
            .iter()
            .fold(0f32, |most, value| most.max(value.abs()));
        say!("{name:<32}{:?}, largest {largest:.4}", tensor.shape());
    }
    Ok(())
}

/// What scores are of.
fn kind_words(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Classes => "classes",
        OutputKind::Values => "values",
        OutputKind::Bits => "bits",
    }
}

fn integers(path: &Path, as_json: bool) -> Result<()> {
    let bytes = device::read_model(path)?;
    let model = device::parse(&bytes)?;
    let labels: Vec<&str> = (0..model.outputs())
        .filter_map(|class| model.label(class))
        .collect();
    let macs = |maps: &mut dyn Iterator<Item = Map<'_>>| -> u64 {
        maps.map(|map| u64::from(map.macs().to_u32())).sum()
    };
    let input_macs = macs(&mut model.maps(Model::input_of));
    let recurrent_macs = macs(&mut model.maps(Model::recurrent_of));
    let fractions: Vec<u32> = (0..model.layers())
        .map(|at| model.cell_fraction(at))
        .collect();
    let cell = Cell::of(model.cell()).name();
    let units: Vec<Value> = (0..model.outputs())
        .filter_map(|output| model.float_output(output))
        .map(|units| json!({ "offset": units.offset, "lsb": units.lsb }))
        .collect();
    let filter = model.filter().map(|(filter, _)| {
        json!({ "horizon": 1u32 << filter.horizon_shift, "fraction": filter.fraction })
    });
    let input_type = format!("{:?}", model.input_type()).to_lowercase();
    if as_json {
        say!(
            "{}",
            json!({
                "format": "btm",
                "name": model.name(),
                "classes": model.classes(),
                "outputs": model.outputs(),
                "every_step": model.scores_every_step(),
                "kind": kind_words(model.output_kind()),
                "draws": model.next_frame() != NextFrame::Pushed,
                "picture": model.painting().map(|picture| json!({
                    "steps": picture.steps, "rows": picture.rows, "columns": picture.columns,
                })),
                "caption_words": model.caption_words(),
                "units": units,
                "labels": labels,
                "hidden": model.hidden(),
                "input_type": input_type,
                "frame_values": model.frame_values(),
                "cell": cell,
                "layers": model.layers(),
                "filter": filter,
                "input_macs": input_macs,
                "recurrent_macs": recurrent_macs,
                "values": values(&model),
                "cell_fraction": model.cell_fraction(0),
                "work": model.frame_work(),
                "ram_bytes": model.arena_bytes(),
                "flash_bytes": model.flash_bytes(),
                "crc": model.crc(),
                "calls": calls(&model).map(|(processor, clock_hz, calls)| json!({
                    "core": processor,
                    "clock_hz": clock_hz,
                    "value": call(calls.value, clock_hz),
                    "frame": call(calls.frame, clock_hz),
                    "step": call(calls.step, clock_hz),
                    "scores": call(calls.scores, clock_hz),
                    "self_test_piece": call(calls.self_test_piece, clock_hz),
                })).collect::<Vec<_>>(),
                "config": device::config(&model).map_err(|error| error.file(path))?,
            })
        );
        return Ok(());
    }
    say!("name        {}", model.name());
    let when = match model.scores_every_step() {
        true if model.next_frame() == NextFrame::Drawn => ", after every step: the next frame",
        true => ", after every step",
        false => "",
    };
    let (what, count) = match model.output_kind() {
        OutputKind::Classes => ("classes", model.classes()),
        OutputKind::Values => ("outputs", model.outputs()),
        OutputKind::Bits => ("bits", model.outputs()),
    };
    say!("{what:<12}{count}: {}{when}", labels.join(", "));
    if let Some(picture) = model.painting() {
        say!(
            "picture     {} rows of {} pixels, painted in {} steps from latent values",
            picture.rows,
            picture.columns,
            picture.steps
        );
    }
    if let Some(words) = model.caption_words() {
        say!("captions    of at most {words} words, of a picture");
    }
    for (output, units) in units.iter().enumerate() {
        let (offset, lsb) = (units["offset"].as_f64(), units["lsb"].as_f64());
        say!(
            "  value {output:<4}{:e} + raw score * {:e}",
            offset.unwrap_or(0.0),
            lsb.unwrap_or(0.0)
        );
    }
    say!(
        "frame       {} values of {input_type}{}",
        model.frame_values(),
        if model.front_end().is_some() {
            ", samples of the front end"
        } else {
            ""
        }
    );
    if let Some(values) = values(&model) {
        say!("values      {values}");
    }
    say!("hidden      {} units", model.hidden());
    say!("layers      {} of {cell}", model.layers());
    if let Some((filter, _)) = model.filter() {
        let what = filtered(1 << filter.horizon_shift);
        say!(
            "filter      {what}; z with {} fraction bits",
            filter.fraction
        );
    }
    if Cell::of(model.cell()) == Cell::Lstm
        && fractions.iter().any(|&fraction| fraction < CELL_FRACTION)
    {
        let formats: Vec<String> = fractions
            .iter()
            .map(|n| format!("Q{}.{n}", 31 - n))
            .collect();
        say!("state       {}", formats.join(", "));
    }
    say!(
        "a step      {} MAC input map, {} MAC recurrent map, work {}",
        input_macs,
        recurrent_macs,
        model.frame_work()
    );
    say!(
        "memory      {} bytes of flash, {} bytes of RAM",
        model.flash_bytes(),
        model.arena_bytes()
    );
    say!("CRC-32C     {:08x}", model.crc());
    say!("longest calls, in instructions and milliseconds, about, by the kernels of");
    say!(
        "  {:<14}{:>21}{:>21}{:>21}{:>21}",
        "core",
        "push of a value",
        "push of a frame",
        "step",
        "self test, a piece"
    );
    for (processor, clock_hz, calls) in calls(&model) {
        let processor = format!("{processor}, {} MHz", clock_hz / 1_000_000);
        let told = [calls.value, calls.frame, calls.step, calls.self_test_piece].map(|call| {
            format!(
                "{} {:>9.3}",
                call.instructions,
                milliseconds(call, clock_hz)
            )
        });
        say!(
            "  {processor:<14}{:>21}{:>21}{:>21}{:>21}",
            told[0],
            told[1],
            told[2],
            told[3]
        );
    }
    Ok(())
}

/// The longest calls on every core, at the clock of the first board that has it.
fn calls(model: &Model<'_>) -> impl Iterator<Item = (String, u32, Calls)> {
    Processor::value_variants().iter().filter_map(|&processor| {
        let name = processor.name();
        let board = bt_boards::all().iter().find(|board| board.core == name)?;
        Some((name, board.clock_hz, Calls::of(model, processor)))
    })
}

fn call(call: Call, clock_hz: u32) -> Value {
    json!({
        "instructions": call.instructions,
        "milliseconds": milliseconds(call, clock_hz),
    })
}

fn milliseconds(call: Call, clock_hz: u32) -> f64 {
    call.cycles as f64 / f64::from(clock_hz) * 1e3
}

/// What becomes of the values of a frame before the map, if anything.
fn values(model: &Model<'_>) -> Option<String> {
    let (meta, format) = (model.meta(), model.format());
    let mut said = Vec::new();
    let floats: Vec<FloatInput> = model.float_inputs().collect();
    let lsbs = floats.iter().map(|input| input.lsb.abs());
    let (low, high) = lsbs.fold((f32::INFINITY, 0f32), |(low, high), lsb| {
        (low.min(lsb), high.max(lsb))
    });
    match floats.as_slice() {
        [FloatInput::INTEGER] => {}
        [input] => said.push(format!(
            "floats from {:e} in steps of {:e}",
            input.offset, input.lsb
        )),
        _ => said.push(format!(
            "floats from an offset of each feature's own in steps of {low:e} to {high:e}"
        )),
    }
    match (format.element_offset_table, meta.input_zero) {
        (NONE, 0) => {}
        (NONE, zero) => said.push(format!("{zero} is taken off")),
        _ => said.push("each loses an offset of its own".to_owned()),
    }
    match (meta.element_scale_table, format.element_scale) {
        (NONE, 0) => {}
        (NONE, scale) => said.push(format!(
            "times {}",
            f64::from(scale) / f64::from(1u32 << meta.element_shift)
        )),
        _ => said.push("each times a scale of its own".to_owned()),
    }
    (!said.is_empty()).then(|| said.join(", "))
}

/// What a filter of so many steps takes off a frame.
fn filtered(horizon: usize) -> String {
    match horizon {
        1 => "less the frame before".to_owned(),
        steps => format!("less a mean of about {steps} frames before"),
    }
}

fn form(map: MapKind) -> String {
    match map {
        MapKind::BlockTerm { blocks, rank } => {
            format!("{} of {blocks} blocks, rank {rank}", map.name())
        }
        MapKind::TensorTrain { rank } => format!("{}, rank {rank}", map.name()),
        MapKind::Dense => map.name().to_owned(),
    }
}

/// Sizes of a model and its configuration.
fn describe(config: &ModelConfig) -> Result<Value> {
    Ok(json!({
        "format": "safetensors",
        "config": serde_json::to_value(config).map_err(Error::malformed)?,
        "inputs": config.inputs(),
        "hidden": config.units(),
        "parameters": config.parameters(),
        "input_parameters": config.input_parameters(),
        "cell": config.cell.name(),
        "layers": config.layers,
        "recurrent_parameters": config.recurrent_shape().map_or(0, |shape| shape.parameters()),
        "input_compression": config.input_compression(),
        "compression": config.compression(),
    }))
}
