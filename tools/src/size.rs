//! `cargo xtask size`: flash, RAM and a bound of the stack of a firmware, read off its ELF file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bt_train::say;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};
use serde::Serialize;

use crate::board::{self, Board};
use crate::firmware::{Firmware, ModelIn};
use crate::setup;
use crate::stack::{Bound, Depth, Program};

/// Flash and RAM of a board's firmware with a model, and a bound of its stack.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
    /// The model to put in.
    #[arg(long, value_name = "M.btm")]
    model: Option<PathBuf>,
    /// Instead, a program for Cortex-M that has been built, of a board of your own.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["board", "model"])]
    elf: Option<PathBuf>,
    /// The most stack that the program can need, interrupts included, call by call; of a board without a project and
    /// without a model that of parse and of each call of a session.
    #[arg(long)]
    stack: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Bytes of a firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Code, constants, model and initial values of data.
    pub flash_bytes: u64,
    /// Of these, the chip's vector table.
    pub vector_table_bytes: u64,
    /// Static memory: arena, scores, line buffers. The stack has the rest of the RAM.
    pub ram_bytes: u64,
}

/// What is printed of a firmware.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    size: Size,
    /// The bound, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_bytes_max: Option<u64>,
}

/// Reads and prints the sizes.
///
/// # Errors
///
/// The firmware cannot be built or read, or its stack has no bound.
pub fn run(args: Args) -> Result<()> {
    let elf = match args.elf {
        Some(elf) => elf,
        None => {
            let board = Board::find(&args.board)?;
            setup::ensure(&[board])?;
            if args.stack && args.model.is_none() && board.project.is_none() {
                return print_calls(board, args.json);
            }
            let model = args.model.as_deref();
            Firmware {
                board,
                model: model.map_or(ModelIn::Nowhere, ModelIn::Program),
                log: false,
                binary: None,
            }
            .build()?
        }
    };
    let size = read(&elf)?;
    let program = args.stack.then(|| Program::read(&elf)).transpose()?;
    let bound = program.as_ref().map(Program::bound).transpose();
    let bound = bound.with_context(|| elf.display().to_string())?;
    if args.json {
        let stack_bytes_max = bound.map(|bound| bound.bytes);
        let report = Report {
            size,
            stack_bytes_max,
        };
        say!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    say!("flash {:>8} bytes, model included", size.flash_bytes);
    say!(
        "ram   {:>8} bytes, static; the stack besides",
        size.ram_bytes
    );
    if let Some(bound) = bound {
        print_bound(&bound);
    }
    Ok(())
}

/// A bound of a whole program, what it is made of, and what it leaves out.
fn print_bound(bound: &Bound<'_>) {
    say!("stack {:>8} bytes at most", bound.bytes);
    say!("{:>6} bytes  from reset on", bound.program.bytes);
    print_chain(&bound.program);
    for depth in &bound.interrupts {
        let name = depth.chain.first().map_or("", |handler| &handler.name);
        say!("{:>6} bytes  on top by the interrupt {name}", depth.bytes);
        print_chain(depth);
    }
    for (caller, deepest) in &bound.pointers {
        let deepest = deepest.unwrap_or("nothing");
        say!("through a pointer, {caller} reaches at most {deepest}");
    }
    for end in &bound.ends {
        say!("not counted, the program ends there: {end}");
    }
}

fn print_chain(depth: &Depth<'_>) {
    for function in &depth.chain {
        say!("{:>14}  {}", function.frame_bytes, function.name);
    }
}

/// Bounds of the stack of parse, of every call of a session and, last, of a program that makes all of them.
fn print_calls(board: &Board, json: bool) -> Result<()> {
    if json {
        bail!("--stack --json takes a whole program: give --model");
    }
    let elf = Firmware {
        board,
        model: ModelIn::Nowhere,
        log: false,
        binary: Some("no_panic"),
    }
    .build()?;
    let program = Program::read(&elf)?;
    let is_call = |name: &str| {
        name.contains("Session>::") || name.contains("Session::") || name.contains("Model>::parse")
    };
    let calls = program.find(is_call);
    for (address, function) in calls.chain(program.find(|name| name == "main")) {
        let depth = program.depth(address)?;
        say!("{:>6} bytes  {}", depth.bytes, function.name);
        print_chain(&depth);
    }
    Ok(())
}

/// Sizes of the sections of an ELF file that are in flash and in RAM.
///
/// # Errors
///
/// It is no ELF file of a firmware.
pub fn read(elf: &Path) -> Result<Size> {
    let bytes = fs::read(elf).with_context(|| elf.display().to_string())?;
    let file = object::File::parse(&*bytes).with_context(|| elf.display().to_string())?;
    let address = |name: &str| {
        file.symbol_by_name(name)
            .map(|symbol| symbol.address())
            .with_context(|| format!("{}: has no symbol {name}", elf.display()))
    };
    let (ram_start, stack_end) = (address("__sdata")?, address("_stack_end")?);
    if stack_end < ram_start {
        bail!("{}: its memory map is upside down", elf.display());
    }
    // Bytes loaded, wherever they run: code and constants in place, data copied to RAM.
    let flash_bytes = file.segments().map(|segment| segment.file_range().1).sum();
    let vectors = file.section_by_name(".vector_table");
    Ok(Size {
        flash_bytes,
        vector_table_bytes: vectors.map_or(0, |section| section.size()),
        ram_bytes: stack_end - ram_start,
    })
}
