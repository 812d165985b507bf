//! `cargo xtask bench`: instructions of frames, recurrences and gates on every
//! core, by QEMU with `-icount`: exact and repeatable. Each count comes from a
//! run whose results were compared with the host's in that run.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bt_core::ModelBytes;
use bt_core::about::Feature;
use bt_core::internals::kernel::RowsForm;
use bt_core::internals::model::Map;
use bt_core::{InputType, Model, Session};
use bt_embed::pattern::Pattern;
use bt_embed::wire::frame::CRC;
use bt_train::plan::kernels::Kernels;
use bt_train::plan::timing::{InnerLoops, Processor};
use bt_train::{remark, say};
use clap::ValueEnum;
use serde::Serialize;

use crate::board::{self, Board};
use crate::emulator::{instructions, run_to_end};
use crate::firmware::{Firmware, ModelIn, Purpose, fill};
use crate::{setup, size, train_bench, workload};

/// A QEMU run that takes longer has failed.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Figures of the inference core.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this board; all of them by default.
    #[arg(long)]
    board: Option<String>,
    /// Only rows whose name contains one of these words.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Time a training step on this machine instead.
    #[arg(long, conflicts_with_all = ["board", "words"])]
    train: bool,
    /// With --train: PyTorch's and TedNet's step in the same run.
    #[arg(long, requires = "train")]
    peers: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// One figure on one core.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// The core.
    pub core: &'static str,
    /// Instructions in all.
    pub instructions: u64,
    /// Cycles estimated from them, by the processor's timing table and without wait states; see
    /// `bt_train::plan::timing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u64>,
    /// Multiply-accumulates in all; units for the gates.
    pub macs: u64,
    /// Largest difference between zeros, extremes and noise, in instructions.
    pub spread: u64,
    /// Instructions of all maps of a step, in the first row of a model without a front end; beside it what
    /// `plan` predicts of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maps_instructions: Option<u64>,
    /// See `maps_instructions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maps_predicted: Option<u64>,
    /// Instructions of the longest push of a line of 480 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_instructions_max: Option<u64>,
    /// The session's whole arena; like what follows, in the first row of a model only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram_bytes: Option<u64>,
    /// Model and code of a program that does nothing else, without the chip's vector table: binary
    /// `inference` of `bt-embed` where the model takes bytes, else `no_panic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash_bytes: Option<u64>,
    /// Stack used by parse, push, step and scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_bytes: Option<u64>,
}

/// Measures and prints.
///
/// # Errors
///
/// A program cannot be built or run, or its results differ from the host's.
pub fn run(args: Args) -> Result<()> {
    if args.train {
        return train_bench::run(args.peers, args.json);
    }
    let boards: Vec<&Board> = match &args.board {
        Some(name) => vec![Board::find(name)?],
        None => one_a_core().collect(),
    };
    setup::ensure(&boards)?;
    let wanted =
        |name: &str| args.words.is_empty() || args.words.iter().any(|word| name.contains(&**word));
    let mut rows = Vec::new();
    for board in boards {
        rows.extend(measure(board, &wanted)?);
    }
    if args.json {
        say!("{}", serde_json::json!({ "rows": rows }));
        return Ok(());
    }
    say!(
        "| row | core | instructions | cycles, about, no wait states | MACs | per MAC | spread | maps | predicted | RAM | flash | stack |"
    );
    say!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        let number = |value: Option<u64>| value.map_or_else(String::new, |n| n.to_string());
        say!(
            "| {} | {} | {} | {} | {} | {:.2} | {} | {} | {} | {} | {} | {} |",
            row.name,
            row.core,
            row.instructions,
            number(row.cycles),
            row.macs,
            row.instructions as f64 / row.macs as f64,
            row.spread,
            number(row.maps_instructions),
            number(row.maps_predicted),
            number(row.ram_bytes),
            number(row.flash_bytes),
            number(row.stack_bytes),
        );
    }
    Ok(())
}

/// The first board of each core.
fn one_a_core() -> impl Iterator<Item = &'static Board> {
    let mut seen = Vec::new();
    board::emulated().filter(move |board| {
        let first = !seen.contains(&board.core);
        seen.push(board.core);
        first
    })
}

/// Room for a model in the programs of a board.
fn slot(board: &Board) -> ModelIn<'static> {
    let small = board.core == "m0";
    ModelIn::Slot {
        flash_bytes: if small { 128 << 10 } else { 640 << 10 },
        arena_bytes: if small { 11 << 10 } else { 64 << 10 },
        classes: 16,
    }
}

/// All rows of a board.
fn measure(board: &Board, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Row>> {
    let ModelIn::Slot {
        flash_bytes,
        arena_bytes,
        ..
    } = slot(board)
    else {
        bail!("the programs have no slot");
    };
    let build = |binary: &str, purpose: Purpose<'_>| {
        let firmware = Firmware {
            board,
            model: slot(board),
            log: false,
            binary: Some(binary),
        };
        firmware.build_for(purpose)
    };
    let program = build("bench", Purpose::Use)?;
    let program = std::fs::read(&program).with_context(|| program.display().to_string())?;
    let code_bytes = |binary: &str, purpose: Purpose<'_>| {
        let size = size::read(&build(binary, purpose)?)?;
        anyhow::Ok(size.flash_bytes - size.vector_table_bytes - flash_bytes as u64)
    };
    // Parse, push of bytes, step and scores, with the features that the model needs; and every call of a session,
    // front end included.
    let mut least: Vec<(String, u64)> = Vec::new();
    let mut least_with = |features: String| {
        if let Some((_, bytes)) = least.iter().find(|(built, _)| *built == features) {
            return Ok(*bytes);
        }
        let bytes = code_bytes("inference", Purpose::Flash(&features))?;
        least.push((features, bytes));
        anyhow::Ok(bytes)
    };
    let mut all = None;
    let mut rows = Vec::new();
    for workload in workload::ALL
        .iter()
        .filter(|w| w.rows().iter().any(|row| wanted(row)))
    {
        // Each board's model is planned for its core, as `quantize --board` does.
        let exported = workload.exported(kernels_of(board.core))?;
        let bytes = exported.bytes;
        let model = Model::parse(bytes.bytes()).with_context(|| workload.name.to_owned())?;
        if model.flash_bytes() > flash_bytes || model.arena_bytes() > arena_bytes {
            remark!("{}: does not fit {}", workload.name, board.name);
            continue;
        }
        let runs = on_board(board, &program, &bytes)
            .with_context(|| format!("{} on {}", workload.name, board.name))?;
        check(&model, &runs).with_context(|| format!("{} on {}", workload.name, board.name))?;
        let code_bytes = match model.input_type() {
            InputType::U8 => {
                let needed = Feature::ALL
                    .into_iter()
                    .filter(|&feature| model.needs(feature));
                let needed: Vec<&str> = needed.map(Feature::name).collect();
                least_with(needed.join(","))?
            }
            _ => match all {
                Some(bytes) => bytes,
                None => *all.insert(code_bytes("no_panic", Purpose::Use)?),
            },
        };
        let mut of_model = figures(board, workload, &model, &runs);
        of_model.retain(|row| wanted(row.name));
        if let Some(first) = of_model.first_mut() {
            if model.front_end().is_none() {
                first.maps_instructions = runs.of_maps();
                first.maps_predicted = Some(exported.instructions);
            }
            first.ram_bytes = Some(model.arena_bytes() as u64);
            first.flash_bytes = Some(code_bytes + model.flash_bytes() as u64);
            first.stack_bytes = Some(runs.stack_bytes);
        }
        rows.extend(of_model);
    }
    Ok(rows)
}

/// What a program said.
struct Runs {
    tick_hz: u32,
    stack_bytes: u64,
    gate_ticks: u64,
    patterns: Vec<Run>,
}

impl Runs {
    /// Instructions of a step without its gates, on noise.
    fn of_maps(&self) -> Option<u64> {
        let run = self.patterns.last()?;
        let ticks = (run.push_ticks + run.step_ticks).saturating_sub(self.gate_ticks);
        Some(instructions(ticks as f64, self.tick_hz).round() as u64)
    }
}

/// What it said of one pattern.
struct Run {
    push_ticks: u64,
    push_ticks_max: u64,
    step_ticks: u64,
    crcs: [u64; 2],
}

fn on_board(board: &Board, program: &[u8], model: &ModelBytes) -> Result<Runs> {
    let elf = tempfile::NamedTempFile::new().context("a file for the program")?;
    std::fs::write(elf.path(), fill(program, model.bytes())?).context("the program's file")?;
    let text = run_to_end(board, elf.path(), RUN_LIMIT)?;
    let numbers = |name: &str| -> Result<Vec<u64>> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let line = line.with_context(|| format!("the program said nothing of {name}"))?;
        line.split(' ')
            .map(|word| word.parse().context("a number"))
            .collect()
    };
    let [tick_hz, stack_bytes, gate_ticks] = numbers("board")?[..] else {
        bail!("the program's first line is garbled");
    };
    let patterns = Pattern::ALL.iter().map(|pattern| {
        let [push_ticks, push_ticks_max, step_ticks, _, _, z, scores] =
            numbers(pattern.name())?[..]
        else {
            bail!("the program's line of {} is garbled", pattern.name());
        };
        Ok(Run {
            push_ticks,
            push_ticks_max,
            step_ticks,
            crcs: [z, scores],
        })
    });
    Ok(Runs {
        tick_hz: tick_hz as u32,
        stack_bytes,
        gate_ticks,
        patterns: patterns.collect::<Result<_>>()?,
    })
}

/// The same frames on the host must give the same z and scores.
fn check(model: &Model<'_>, runs: &Runs) -> Result<()> {
    for (pattern, run) in Pattern::ALL.into_iter().zip(&runs.patterns) {
        if run.crcs != on_host(model, pattern)? {
            bail!("{}: z or scores differ from the host's", pattern.name());
        }
    }
    Ok(())
}

/// Checksums of z and scores after two frames of a pattern.
fn on_host(model: &Model<'_>, pattern: Pattern) -> Result<[u64; 2]> {
    let input = model.input_type();
    let signed = input != InputType::U8;
    let frame: Vec<u8> = (0..model.frame_values() * input.bytes())
        .map(|at| pattern.byte(at, input.bytes(), signed))
        .collect();
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(model, &mut arena)?;
    let mut scores = vec![0; model.outputs()];
    let mut crcs = [0; 2];
    for _ in 0..2 {
        session.feed(&mut frame.as_slice())?;
        let sum = CRC;
        let mut z = sum.digest();
        for value in session.pre_activations() {
            z.update(&value.to_le_bytes());
        }
        session.step()?;
        session.scores(&mut scores)?;
        let mut raw = sum.digest();
        for value in &scores {
            raw.update(&value.to_le_bytes());
        }
        crcs = [z.finalize().into(), raw.finalize().into()];
    }
    Ok(crcs)
}

/// Multiply-accumulates of a map, padding included.
fn macs(map: &Map<'_>) -> u64 {
    map.macs().to_u32().into()
}

/// The kernels of a board's core.
fn kernels_of(core: &str) -> Kernels {
    Processor::from_str(core, false).map_or(Kernels::default(), Processor::kernels)
}

/// What the inner loops of maps do; the weights that programs read are not told, so no wait states.
pub fn inner_loops<'m, 'a: 'm>(maps: impl IntoIterator<Item = &'m Map<'a>>) -> InnerLoops {
    let mut inner_loops = InnerLoops::default();
    for map in maps {
        match map {
            Map::Program(_) => inner_loops.program_macs += macs(map),
            Map::Dense(record) => match record.rows_form() {
                Some(RowsForm::Bytes) => inner_loops.byte_macs += macs(map),
                _ => inner_loops.dense_macs += macs(map),
            },
        }
    }
    inner_loops
}

/// Cycles of so many instructions on a core, about, without wait states.
pub fn cycles(core: &str, instructions: u64, inner_loops: &InnerLoops) -> Option<u64> {
    let processor = Processor::from_str(core, false).ok()?;
    let timing = processor.timing();
    Some(timing.cycles(instructions, inner_loops, processor.kernels(), 0))
}

fn figures(
    board: &Board,
    workload: &workload::Workload,
    model: &Model<'_>,
    runs: &Runs,
) -> Vec<Row> {
    let count = |ticks: u64| instructions(ticks as f64, runs.tick_hz).round() as u64;
    // The count that is told is noise's; the others differ by `spread`.
    let row = |name, ticks: &dyn Fn(&Run) -> u64, macs| {
        let all: Vec<u64> = runs.patterns.iter().map(|run| count(ticks(run))).collect();
        let (least, most) = (all.iter().min().copied(), all.iter().max().copied());
        Row {
            name,
            core: board.core,
            instructions: all.last().copied().unwrap_or(0),
            cycles: None,
            macs,
            spread: most.unwrap_or(0) - least.unwrap_or(0),
            maps_instructions: None,
            maps_predicted: None,
            push_instructions_max: None,
            ram_bytes: None,
            flash_bytes: None,
            stack_bytes: None,
        }
    };
    let frame = |name| Row {
        push_instructions_max: runs
            .patterns
            .iter()
            .map(|run| count(run.push_ticks_max))
            .max(),
        ..row(name, &|run| run.push_ticks, macs(&model.input_map()))
    };
    let recurrent = |name| {
        row(
            name,
            &|run| run.step_ticks.saturating_sub(runs.gate_ticks),
            model.maps(Model::recurrent_of).map(|map| macs(&map)).sum(),
        )
    };
    let recurrent_maps: Vec<Map<'_>> = model.maps(Model::recurrent_of).collect();
    let inputs: Vec<Map<'_>> = model.maps(Model::input_of).collect();
    let all = [inputs.clone(), recurrent_maps.clone()].concat();
    let with_cycles = |row: Row, maps: &[Map<'_>]| Row {
        cycles: cycles(board.core, row.instructions, &inner_loops(maps)),
        ..row
    };
    let mut rows = Vec::new();
    for figure in workload.figures {
        rows.push(match *figure {
            workload::Figure::Frame(name) => with_cycles(frame(name), &inputs[..1]),
            workload::Figure::Recurrent(name) => with_cycles(recurrent(name), &recurrent_maps),
            workload::Figure::Gates(name) => {
                with_cycles(row(name, &|_| runs.gate_ticks, model.hidden() as u64), &[])
            }
            workload::Figure::Step(name) => {
                let instructions =
                    row(name, &|run| run.push_ticks + run.step_ticks, 1).instructions;
                let step = Row {
                    instructions,
                    macs: all.iter().map(macs).sum(),
                    ..frame(name)
                };
                with_cycles(step, &all)
            }
        });
    }
    rows
}
