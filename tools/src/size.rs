//! `cargo xtask size`: flash and RAM of a firmware, read off its ELF file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bt_train::say;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};
use serde::Serialize;

use crate::board::{self, Board};
use crate::firmware::{Firmware, ModelIn, Purpose};
use crate::setup;
use crate::stack::Program;

/// Flash and RAM of a board's firmware with a model.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
    /// The model to put in.
    #[arg(long, value_name = "M.btm")]
    model: Option<PathBuf>,
    /// Instead, the most stack that parse, push, step and scores can need.
    #[arg(long, conflicts_with_all = ["model", "json"])]
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

/// Reads and prints the sizes.
///
/// # Errors
///
/// The firmware cannot be built or read.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    setup::ensure(&[board])?;
    if args.stack {
        return print_stack(board);
    }
    let elf = Firmware {
        board,
        model: args
            .model
            .as_deref()
            .map_or(ModelIn::Nowhere, ModelIn::Program),
        log: false,
        binary: None,
    }
    .build()?;
    let size = read(&elf)?;
    if args.json {
        say!("{}", serde_json::to_string(&size)?);
    } else {
        say!("flash {:>8} bytes, model included", size.flash_bytes);
        say!(
            "ram   {:>8} bytes, static; the stack besides",
            size.ram_bytes
        );
    }
    Ok(())
}

/// Bounds of the stack of parse, of every call of a session and, last, of a program that makes all of them.
fn print_stack(board: &Board) -> Result<()> {
    let firmware = Firmware {
        board,
        model: ModelIn::Nowhere,
        log: false,
        binary: Some("no_panic"),
    };
    let program = Program::read(&firmware.build_for(Purpose::Stack)?)?;
    let is_call = |name: &str| {
        name.contains("Session>::") || name.contains("Session::") || name.contains("Model>::parse")
    };
    let calls = program.find(is_call);
    for (address, function) in calls.chain(program.find(|name| name == "main")) {
        let depth = program.depth(address)?;
        println!("{:>6} bytes  {}", depth.bytes, function.name);
        for function in depth.chain {
            println!("{:>14}  {}", function.frame_bytes, function.name);
        }
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
