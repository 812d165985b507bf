//! Linker memory of the board, linker arguments, and the model's bytes.

use std::env;
use std::fs;
use std::path::PathBuf;

const BOARDS: [&str; 6] = [
    "microbit",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let enabled = |feature: &str| {
        let name = feature.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };

    // The model to flash. Without one the firmware runs and says so.
    println!("cargo:rerun-if-env-changed=BT_MODEL");
    // Read by defmt's macros, which cargo cannot see.
    println!("cargo:rerun-if-env-changed=DEFMT_LOG");
    println!("cargo:rerun-if-env-changed=BT_MODEL_SLOT");
    let model = variable("BT_MODEL").map(|path| {
        println!("cargo:rerun-if-changed={path}");
        fs::read(&path).unwrap_or_else(|error| panic!("BT_MODEL {path}: {error}"))
    });
    let flash = match (model, variable("BT_MODEL_SLOT")) {
        (Some(model), None) => included(model),
        (None, Some(sizes)) => slot(&sizes),
        (None, None) => included(Vec::new()),
        (Some(_), Some(_)) => panic!("BT_MODEL and BT_MODEL_SLOT exclude each other"),
    };
    let constants = format!(
        "/// Classes there is room for.\n\
         pub const CLASSES: usize = {};\n\
         /// Bytes of the arena when the model is put in after the build, else 0.\n\
         pub const SLOT_ARENA_BYTES: usize = {};\n",
        flash.classes, flash.slot_arena_bytes
    );
    fs::write(out.join("model.rs"), constants).expect("OUT_DIR can be written");
    fs::write(out.join("model.btm"), flash.bytes).expect("OUT_DIR can be written");

    let boards: Vec<&str> = BOARDS
        .into_iter()
        .filter(|board| enabled(&format!("board-{board}")))
        .collect();
    match boards[..] {
        [] => {}
        [board] => {
            let memory = format!("memory/{board}.x");
            println!("cargo:rerun-if-changed={memory}");
            fs::copy(&memory, out.join("memory.x")).expect("a memory map for every board");
            println!("cargo:rustc-link-search={}", out.display());
            for argument in ["--nmagic", "-Tlink.x"] {
                println!("cargo:rustc-link-arg-bins={argument}");
            }
            if enabled("log") {
                println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
            }
        }
        _ => panic!("choose one board, not {}", boards.join(" and ")),
    }
}

/// What goes into flash, and the memory made for it.
struct Flash {
    bytes: Vec<u8>,
    classes: usize,
    slot_arena_bytes: usize,
}

/// A model: everything is made to measure. One that is damaged is flashed all
/// the same; the firmware refuses it and keeps serving.
fn included(bytes: Vec<u8>) -> Flash {
    let aligned = bt_core::ModelBytes::from_unaligned(&bytes);
    let classes = match bt_core::Model::parse(aligned.bytes()) {
        Ok(model) => model.classes(),
        Err(error) => {
            if !bytes.is_empty() {
                println!("cargo:warning=BT_MODEL is no model: {error}");
            }
            0
        }
    };
    Flash {
        bytes,
        classes,
        slot_arena_bytes: 0,
    }
}

/// Room for a model that is written into the program after the build:
/// `BT_MODEL_SLOT=flash bytes,arena bytes,classes`. The tools find the room by
/// the mark at its start.
fn slot(sizes: &str) -> Flash {
    let sizes: Vec<usize> = sizes
        .split(',')
        .map(|size| size.parse().expect("BT_MODEL_SLOT is three numbers"))
        .collect();
    let [length, arena, classes] = sizes[..] else {
        panic!("BT_MODEL_SLOT is three numbers");
    };
    let mut bytes = include_bytes!("src/slot.mark").to_vec();
    bytes.resize(length, 0xFF);
    Flash {
        bytes,
        classes,
        slot_arena_bytes: arena,
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
