//! The plans that the search chooses, as a table that is reviewed: a change of any figure is a diff.
//!
//! `cargo xtask test --bless` writes it anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use bt_core::about::{Cell, Pool};
use bt_core::internals::model::ArenaLayout;
use bt_train::plan::kernels::Kernels;
use bt_train::plan::search::{Layers, Limits, WholeMap, best};
use bt_train::shape::{MapKind, MapShape};

const KINDS: [(&str, MapKind); 2] = [
    ("block-term", MapKind::BlockTerm { blocks: 2, rank: 4 }),
    ("tensor-train", MapKind::TensorTrain { rank: 4 }),
];

/// Input and hidden modes.
const SHAPES: [(&[usize], &[usize]); 5] = [
    (&[8, 20, 20, 18], &[4, 4, 4, 4]),
    (&[8, 16, 16, 12], &[4, 4, 4, 4]),
    (&[5, 7, 9, 11], &[4, 4, 4, 4]),
    (&[4, 8, 8], &[2, 8, 8]),
    (&[16, 16], &[8, 16]),
];

fn table() -> String {
    let mut text =
        String::from("input -> hidden, map, core: MACs, instructions, RAM, flash, plan\n");
    for (inputs, hidden) in SHAPES {
        for (name, kind) in KINDS {
            for kernels in Kernels::ALL.into_iter().rev() {
                let units = hidden.iter().product();
                let layers = Layers {
                    input: MapShape::to_gates(4, kind, inputs, hidden),
                    whole: vec![WholeMap {
                        shape: MapShape::to_gates(4, kind, hidden, hidden),
                        apart_words: 0,
                    }],
                    arena: ArenaLayout::new((Cell::Lstm, 1), units, (Pool::Last, None), None, 0, 0),
                };
                let limits = Limits {
                    ram_bytes: Some(10 << 10),
                    flash_bytes: None,
                    kernels,
                };
                let plan = best(&layers, &limits).unwrap();
                let cost = plan.input.cost;
                writeln!(
                    text,
                    "{inputs:?} -> {hidden:?}, {name}, {kernels:?}: {}, {}, {}, {}, {}; {}",
                    cost.macs,
                    plan.instructions,
                    plan.ram_bytes,
                    plan.flash_bytes,
                    plan.input.plan,
                    plan.whole[0].plan,
                )
                .unwrap();
            }
        }
    }
    text
}

#[test]
fn the_plans_of_known_shapes() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "golden", "plans.txt"]
        .iter()
        .collect();
    let found = table();
    if std::env::var_os("BT_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    similar_asserts::assert_eq!(found: found, golden: golden, "see {}", path.display());
}
