//! The longest calls of a session as `inspect` predicts them, beside what QEMU counts.

use std::path::Path;

use std::time::Duration;

use bt_core::about::{Cell, Pool};
use bt_core::internals::front_end::FORMAT;
use bt_core::internals::model::layout::FilterRecord;
use bt_core::{InputType, Model, ModelBytes};
use bt_tests::exported;
use bt_tests::model::{Dense, Noise};
use bt_tests::program::bt_train;
use bt_train::plan::calls::Calls;
use bt_train::plan::timing::Processor;
use clap::ValueEnum;
use serde_json::Value;
use tools::board::Board;
use tools::emulator::{instructions, run_to_end};
use tools::firmware::{Firmware, ModelIn, fill};
use tools::qemu::Evaluation;

const LIMIT: Duration = Duration::from_secs(60);

const SLOT: ModelIn<'static> = ModelIn::Slot {
    flash_bytes: 96 << 10,
    arena_bytes: 8 << 10,
    classes: 208,
};

/// The kind of the demo's model.
const DIGITS: &str = "sound of digits";

/// Models of every kind of map, cell and input.
fn models() -> Vec<(&'static str, ModelBytes)> {
    let dense = Dense {
        values: 120,
        hidden: 40,
        ..Dense::default()
    };
    let of = |shape: Dense| shape.model();
    let mut all = vec![
        ("dense", of(dense)),
        (
            "bytes",
            of(Dense {
                input_type: InputType::U8,
                pool: Pool::Mean,
                ..dense
            }),
        ),
        (
            "gru",
            of(Dense {
                cell: Cell::Gru,
                layers: 2,
                ..dense
            }),
        ),
        (
            "min_gru",
            of(Dense {
                cell: Cell::MinGru,
                layers: 2,
                ..dense
            }),
        ),
        (
            "filter",
            of(Dense {
                filter: Some(FilterRecord {
                    horizon_shift: 3,
                    fraction: 9,
                }),
                ..dense
            }),
        ),
        (
            "wide_head",
            of(Dense {
                hidden: 32,
                classes: 201,
                ..dense
            }),
        ),
        (
            "odd_head",
            of(Dense {
                hidden: 33,
                classes: 60,
                ..dense
            }),
        ),
        (
            "mean_head",
            of(Dense {
                classes: 60,
                pool: Pool::Mean,
                ..dense
            }),
        ),
        (
            "captions",
            Dense {
                hidden: 32,
                classes: 200,
                ..dense
            }
            .captioning(8),
        ),
        (
            "painting",
            Dense {
                classes: 196,
                ..dense
            }
            .painting(4, 14),
        ),
        (
            "attended",
            Dense {
                classes: 196,
                ..dense
            }
            .attended((4, 14), 5),
        ),
        (
            "attended_by_many",
            Dense {
                classes: 120,
                ..dense
            }
            .attended((4, 10), 8),
        ),
        ("sound", exported::sound(3, FORMAT)),
        (DIGITS, exported::digits(3)),
        ("sound_512", exported::windowed(16_000, 512, 160, 40)),
        ("sound_1024", exported::windowed(8_000, 1024, 256, 120)),
        ("streamed", exported::streamed(3)),
    ];
    all.extend([4, 9, 10].map(|seed| ("random", exported::random(seed))));
    all
}

/// What the program `bench` counts on a board: the longest push of a value, the frame in lines of 480 bytes, the step, the
/// scores.
fn counted(board: &Board, program: &[u8], model: &[u8]) -> [f64; 4] {
    let elf = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elf.path(), fill(program, model).unwrap()).unwrap();
    let text = run_to_end(board, elf.path(), LIMIT).unwrap();
    let numbers = |line: &str| -> Vec<f64> {
        let words = line.split(' ').skip(1);
        words.map(|word| word.parse().unwrap()).collect()
    };
    let mut lines = text.lines();
    let hertz = numbers(lines.next().unwrap())[0] as u32;
    let runs: Vec<Vec<f64>> = lines.map(numbers).collect();
    let most = |place: usize| {
        let ticks = runs.iter().map(|run| run[place]).fold(0.0, f64::max);
        instructions(ticks, hertz)
    };
    [most(4), most(0), most(2), most(3)]
}

/// What `inspect` says of a model, by core.
fn inspected(path: &Path) -> Value {
    let output = bt_train()
        .args(["inspect", "--json"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_longest_calls_are_told_before_anything_is_built() {
    let (mut worst, mut worst_scores, mut worst_sound) = (1.0, 1.0, 1.0);
    for name in [
        "microbit",
        "mps2-an385",
        "mps2-an386",
        "mps2-an386-no-fpu",
        "mps3-an547",
        "virt-rv32imac",
    ] {
        let board = Board::find(name).unwrap();
        let firmware = Firmware {
            board,
            model: SLOT,
            log: false,
            binary: Some("bench"),
        };
        let program = std::fs::read(firmware.build().unwrap()).unwrap();
        let processor = Processor::from_str(board.core, false).unwrap();
        for (kind, file) in models() {
            let model = Model::parse(file.bytes()).unwrap();
            let calls = Calls::of(&model, processor);
            let predicted = [calls.value, calls.frame, calls.step, calls.scores]
                .map(|call| call.instructions as f64);
            let counted = counted(board, &program, file.bytes());
            println!("{name} {kind}: counted {counted:.0?}, predicted {predicted:?}");
            // A hundred instructions more or less are none.
            let off = |call: usize, slack: f64| {
                let off = (counted[call] + slack) / (predicted[call] + slack);
                off.max(1.0 / off)
            };
            worst = (0..3).map(|call| off(call, 300.0)).fold(worst, f64::max);
            worst_scores = off(3, 1000.0).max(worst_scores);
            if kind.starts_with("sound") {
                let step = (counted[1] + counted[2]) / (predicted[1] + predicted[2]);
                println!("{name} {kind}: a frame and its step, counted by predicted {step:.3}");
                worst_sound = off(0, 0.0).max(step).max(1.0 / step).max(worst_sound);
            }
        }
    }
    println!("worst factor {worst:.2}, of scores {worst_scores:.2}, of sound {worst_sound:.3}");
    assert!(worst < 1.4 && worst_scores < 1.1, "{worst}, {worst_scores}");
    assert!(worst_sound < 1.1, "{worst_sound}");
}

/// What the firmware counts of a step of sound, its pushes over the wire included, beside what `inspect` says of both.
#[test]
fn a_step_of_sound_takes_what_inspect_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise::new(4);
    let part = exported::recordings(&[(0..4096).map(|_| noise.bits() as i16 >> 3).collect()]);
    for (kind, file) in [
        (DIGITS, exported::digits(3)),
        ("sound_512", exported::windowed(16_000, 512, 160, 40)),
    ] {
        let path = folder.path().join("model.btm");
        std::fs::write(&path, file.bytes()).unwrap();
        let model = Model::parse(file.bytes()).unwrap();
        for name in ["mps2-an386", "mps3-an547"] {
            let board = Board::find(name).unwrap();
            let evaluation = Evaluation {
                board,
                model: &path,
                part: &part,
                log: false,
                limit: LIMIT,
            };
            let counted = evaluation.run().unwrap().instructions_per_step();
            let processor = Processor::from_str(board.core, false).unwrap();
            let calls = Calls::of(&model, processor);
            let predicted = (calls.frame.instructions + calls.step.instructions) as f64;
            println!("{name} {kind}: counted {counted:.0}, predicted {predicted}");
            assert!((0.9..1.1).contains(&(predicted / counted)), "{name} {kind}");
        }
    }
}

#[test]
fn inspect_prints_them_for_people() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/version3/bytes.btm");
    let output: std::process::Output = bt_train().arg("inspect").arg(&path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let json = inspected(&path);
    for calls in json["calls"].as_array().unwrap() {
        let megahertz = calls["clock_hz"].as_u64().unwrap() / 1_000_000;
        let core = calls["core"].as_str().unwrap();
        let row = said.lines().find(|line| {
            line.trim_start()
                .starts_with(&format!("{core}, {megahertz} MHz"))
        });
        let row = row.unwrap_or_else(|| panic!("{core}: {said}"));
        for call in ["value", "frame", "step", "self_test_piece"] {
            let instructions = calls[call]["instructions"].to_string();
            assert!(row.contains(&instructions), "{row}");
            // A cycle an instruction or more, but on the M7 and the M55.
            let milliseconds = calls[call]["milliseconds"].as_f64().unwrap();
            assert!(milliseconds > 0.0 && milliseconds < 5.0, "{row}");
        }
        let [value, step, scores, piece] = ["value", "step", "scores", "self_test_piece"]
            .map(|call| calls[call]["milliseconds"].as_f64().unwrap());
        assert!(scores < step.max(value) && piece == value.max(step));
    }
}
