//! Linker memory of the board, linker arguments, and the model's bytes.

use std::env;
use std::fs;
use std::path::PathBuf;

use bt_boards::Board;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let enabled = |feature: &str| {
        let name = feature.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };

    println!("cargo:rustc-check-cfg=cfg(model_apart)");
    println!("cargo:rustc-check-cfg=cfg(slots)");

    // The model to flash. Without one the firmware runs and says so.
    println!("cargo:rerun-if-env-changed=BT_MODEL");
    // Read by defmt's macros, which cargo cannot see.
    println!("cargo:rerun-if-env-changed=DEFMT_LOG");
    println!("cargo:rerun-if-env-changed=BT_MODEL_SLOT");
    println!("cargo:rerun-if-env-changed=BT_WAKE_MODEL");
    println!("cargo:rerun-if-env-changed=BT_SLOTS");
    let model = file("BT_MODEL");
    // The one that listens before it, in the program of two.
    let wake = file("BT_WAKE_MODEL").unwrap_or_default();
    fs::write(out.join("wake.btm"), wake).expect("OUT_DIR can be written");
    // What models that come over the line may take.
    let room = variable("BT_SLOTS").map(|sizes| numbers::<2>("BT_SLOTS", &sizes));
    let mut flash = match (model, variable("BT_MODEL_SLOT")) {
        (Some(model), None) => included(model),
        (None, Some(sizes)) => slot(&sizes),
        (None, None) => included(Vec::new()),
        (Some(_), Some(_)) => panic!("BT_MODEL and BT_MODEL_SLOT exclude each other"),
    };
    if let Some([arena, classes]) = room {
        (flash.classes, flash.bits, flash.rules) = (classes, classes, classes);
        flash.slot_arena_bytes = arena;
        println!("cargo:rustc-cfg=slots");
    }
    let mut constants = format!(
        "/// Classes there is room for.\n\
         pub const CLASSES: usize = {};\n\
         /// Bits of a drawing there is room for.\n\
         pub const BITS: usize = {};\n\
         /// Rules of detection there is room for.\n\
         pub const RULES: usize = {};\n\
         /// Bytes of the arena when models are put in after the build, else 0.\n\
         pub const SLOT_ARENA_BYTES: usize = {};\n",
        flash.classes, flash.bits, flash.rules, flash.slot_arena_bytes
    );
    fs::write(out.join("model.btm"), flash.bytes).expect("OUT_DIR can be written");

    let boards: Vec<&Board> = bt_boards::all()
        .iter()
        .filter(|board| enabled(&format!("board-{}", board.name)))
        .collect();
    match boards[..] {
        [] => {}
        [board] => {
            constants.push_str(&format!(
                "/// Name of the board.\n\
                 pub const BOARD: &str = {:?};\n\
                 /// Clock of its processor.\n\
                 pub const CLOCK_HZ: u32 = {};\n\
                 /// Longest frame on the wire.\n\
                 pub const LINE_BYTES: usize = {};\n",
                board.name, board.clock_hz, board.line_bytes
            ));
            if board.model.is_some() {
                println!("cargo:rustc-cfg=model_apart");
            }
            if room.is_some() {
                let slots = board.slots.expect("the board has slots");
                constants.push_str(&format!(
                    "/// Where the first of two slots begins.\n\
                     pub(crate) const SLOTS_START: usize = {:#x};\n\
                     /// Bytes of a slot.\n\
                     pub(crate) const SLOT_BYTES: usize = {};\n",
                    slots.start,
                    slots.bytes()
                ));
            }
            fs::write(out.join("memory.x"), board.memory_x(room.is_some()))
                .expect("OUT_DIR can be written");
            if board.target.starts_with("riscv") {
                println!("cargo:rerun-if-changed=riscv.x");
                fs::copy("riscv.x", out.join("link.x")).expect("OUT_DIR can be written");
            }
            println!("cargo:rustc-link-search={}", out.display());
            // The relocations are what `cargo xtask size --stack` reads; nothing of them is flashed.
            for argument in ["--nmagic", "--emit-relocs", "-Tlink.x"] {
                println!("cargo:rustc-link-arg-bins={argument}");
            }
            if enabled("log") {
                println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
            }
        }
        _ => {
            let names: Vec<&str> = boards.iter().map(|board| board.name).collect();
            panic!("choose one board, not {}", names.join(" and "))
        }
    }
    fs::write(out.join("constants.rs"), constants).expect("OUT_DIR can be written");
}

/// What goes into flash, and the memory made for it.
struct Flash {
    bytes: Vec<u8>,
    classes: usize,
    /// One for each score of a model that draws its next frame, none of others.
    bits: usize,
    /// Those of a detector of the model.
    rules: usize,
    slot_arena_bytes: usize,
}

/// A model: everything is made to measure. One that is damaged is flashed all
/// the same; the firmware refuses it and keeps serving.
fn included(bytes: Vec<u8>) -> Flash {
    let aligned = bt_core::ModelBytes::from_unaligned(&bytes);
    let (classes, bits, rules) = match bt_core::Model::parse(aligned.bytes()) {
        Ok(model) => {
            let bits = match model.next_frame() {
                bt_core::drawing::NextFrame::Drawn => model.outputs(),
                _ => 0,
            };
            (
                model.outputs(),
                bits,
                bt_core::detection::Detector::places(&model),
            )
        }
        Err(error) => {
            if !bytes.is_empty() {
                println!("cargo:warning=BT_MODEL is no model: {error}");
            }
            (0, 0, 0)
        }
    };
    Flash {
        bytes,
        classes,
        bits,
        rules,
        slot_arena_bytes: 0,
    }
}

/// Room for a model that is written into the program after the build:
/// `BT_MODEL_SLOT=flash bytes,arena bytes,classes`. The tools find the room by
/// the mark at its start.
fn slot(sizes: &str) -> Flash {
    let [length, arena, classes] = numbers("BT_MODEL_SLOT", sizes);
    let mut bytes = include_bytes!("src/slot.mark").to_vec();
    bytes.resize(length, 0xFF);
    Flash {
        bytes,
        classes,
        bits: classes,
        rules: classes,
        slot_arena_bytes: arena,
    }
}

/// Numbers between commas.
fn numbers<const N: usize>(variable: &str, sizes: &str) -> [usize; N] {
    let numbers: Option<Vec<usize>> = sizes.split(',').map(|size| size.parse().ok()).collect();
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .unwrap_or_else(|| panic!("{variable} is {N} numbers"))
}

/// What is in the file that an environment variable names.
fn file(name: &str) -> Option<Vec<u8>> {
    let path = variable(name)?;
    println!("cargo:rerun-if-changed={path}");
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{name} {path}: {error}")))
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
