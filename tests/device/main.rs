//! The same scores, bit for bit, on every core in QEMU as on the host.

mod programs;
mod refusals;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bt_core::about::{Cell, FloatOutput, Pool};
use bt_core::captions::Temperature;
use bt_core::internals::kernel::RowsForm;
use bt_core::internals::model::cases;
use bt_core::internals::model::layout::FilterRecord;
use bt_core::internals::model::write::Outputs;
use bt_core::{InputType, Model, ModelBytes, OutputKind};
use bt_embed::wire::Golden;
use bt_tests::exported;
use bt_tests::model::{Dense, Noise, pictures, scores_of};
use bt_tests::running::Running;
use bt_train::command::captions::Drawing;
use bt_train::drawing;
use tools::board::{Board, Machine, emulated};
use tools::device::{Device, Scores};
use tools::emulator::{Emulator, run_to_end};
use tools::firmware::{Firmware, ModelIn, Purpose, fill};
use tools::flash_model;
use tools::stack::Program;
use tools::stream;

/// A QEMU run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// Random models for each board.
const MODELS: usize = 35;

const FLASH_BYTES: usize = 64 << 10;
const ARENA_BYTES: usize = 8 << 10;

/// One build for all models below.
const SLOT: ModelIn<'static> = ModelIn::Slot {
    flash_bytes: FLASH_BYTES,
    arena_bytes: ARENA_BYTES,
    classes: 64,
};

/// A board's program: its firmware, or another binary of `bt-embed`. Built once.
fn built(board: &Board, model: ModelIn<'_>, binary: Option<&str>) -> PathBuf {
    static PROGRAMS: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let firmware = Firmware {
        board,
        model,
        log: false,
        binary,
    };
    // A build that failed fails for whoever asks next, too.
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let program = programs
        .entry(format!("{} {model:?} {binary:?}", board.name))
        .or_insert_with(|| firmware.build().unwrap());
    program.clone()
}

/// The most stack that a program for Cortex-M can need.
fn stack_bytes_max(program: &Path) -> usize {
    let program = Program::read(program).unwrap();
    program.bound().unwrap().bytes as usize
}

/// Scores of the same bytes on a board.
fn on_board(board: &Board, program: &[u8], model: &[u8], bytes: &[u8]) -> Scores {
    let device = &mut Running::start(board, program, model, LIMIT).device;
    let identity = device.hello().unwrap();
    assert_eq!(identity.golden, Golden::Passed, "{}", board.name);
    assert_eq!(identity.board, board.name);
    stream::sequence(device, &identity, bytes, false)
        .unwrap()
        .pop()
        .unwrap()
}

#[test]
fn every_board_gives_the_scores_of_the_host() {
    let shapes = [
        Dense::default(),
        Dense {
            input_type: InputType::U8,
            values: 90,
            hidden: 14,
            classes: 60,
            ..Dense::default()
        },
        Dense {
            input_type: InputType::I8,
            values: 33,
            hidden: 7,
            pool: Pool::Mean,
            ..Dense::default()
        },
        Dense {
            hidden: 1,
            ..Dense::default()
        },
        Dense {
            input_type: InputType::U8,
            values: 37,
            hidden: 20,
            form: RowsForm::Bytes,
            ..Dense::default()
        },
        Dense {
            cell: Cell::Gru,
            hidden: 5,
            layers: 3,
            ..Dense::default()
        },
        Dense {
            cell: Cell::MinGru,
            layers: 2,
            pool: Pool::Mean,
            ..Dense::default()
        },
        Dense {
            filter: Some(FilterRecord {
                horizon_shift: 0,
                fraction: 13,
            }),
            ..Dense::default()
        },
        Dense {
            cell: Cell::Gru,
            hidden: 5,
            filter: Some(FilterRecord {
                horizon_shift: 3,
                fraction: 9,
            }),
            ..Dense::default()
        },
    ];
    for board in emulated() {
        let program = std::fs::read(built(board, SLOT, None)).unwrap();
        for shape in shapes {
            let file = shape.model();
            let model = Model::parse(file.bytes()).unwrap();
            let frame = model.frame_values() * model.input_type().bytes();
            let bytes = Noise::new(9).bytes(4 * frame);
            let scores = on_board(board, &program, file.bytes(), &bytes);
            assert_eq!(
                scores.raw,
                scores_of(&model, &bytes),
                "{}: {shape:?}",
                board.name
            );
        }
    }
}

/// Pictures that a Cortex-M4F draws from a seed: the host's, bit for bit.
#[test]
fn an_m4f_draws_what_the_host_draws() {
    let board = Board::find("mps2-an386").unwrap();
    let file = Dense {
        values: 8,
        hidden: 6,
        classes: 7,
        ..Dense::default()
    }
    .drawing();
    let model = Model::parse(file.bytes()).unwrap();
    let program = std::fs::read(built(board, SLOT, None)).unwrap();
    let device = &mut Running::start(board, &program, file.bytes(), LIMIT).device;
    let found = tools::draw::draw(device, &model, 1 << 40, (4, 12)).unwrap();
    let expected = drawing::draw(&model, 1 << 40, (4, 12), || ()).unwrap();
    assert_eq!(found, expected);
    assert_ne!(found.bits[0], found.bits[1]);
    assert_eq!(device.statistics().unwrap().steps, 48);
}

/// Pictures that boards paint from a seed, as a whole and through windows: the host's, bit for bit, and the golden one too.
#[test]
fn boards_paint_what_the_host_paints() {
    let shape = Dense {
        values: 12,
        hidden: 7,
        classes: 60,
        ..Dense::default()
    };
    let boards = [
        "microbit",
        "mps2-an385",
        "mps2-an386",
        "mps3-an547",
        "virt-rv32imac",
    ];
    for name in boards {
        let board = Board::find(name).unwrap();
        let program = std::fs::read(built(board, SLOT, None)).unwrap();
        // Lines of an even number of points, and of an odd one.
        for file in [
            shape.painting(6, 5),
            shape.attended((6, 5), 4),
            shape.attended((6, 5), 3),
        ] {
            let model = Model::parse(file.bytes()).unwrap();
            let expected = drawing::draw(&model, 1 << 40, (3, 6), || ()).unwrap();
            assert_ne!(expected.bits[0], expected.bits[1]);
            let device = &mut Running::start(board, &program, file.bytes(), LIMIT).device;
            assert_eq!(device.hello().unwrap().golden, Golden::Passed);
            let found = tools::draw::draw(device, &model, 1 << 40, (3, 6)).unwrap();
            assert_eq!(found, expected, "{name}");
            assert_eq!(device.statistics().unwrap().steps, 18);
        }
    }
}

/// Captions that every board tells, the likeliest words and drawn ones: the host's.
#[test]
fn every_board_tells_what_the_host_tells() {
    let file = Dense {
        input_type: InputType::U8,
        hidden: 9,
        classes: 40,
        ..Dense::default()
    }
    .captioning(8);
    let model = Model::parse(file.bytes()).unwrap();
    let (part, sequences) = (pictures(&model, 3, 4), [0, 1, 2]);
    let drawn = Drawing {
        temperature: Temperature::new(300),
        seed: Some(5),
    };
    for board in emulated() {
        let program = std::fs::read(built(board, SLOT, None)).unwrap();
        let device = &mut Running::start(board, &program, file.bytes(), LIMIT).device;
        for drawing in [Drawing::default(), drawn.clone()] {
            let teller = |number| drawing.teller(number);
            let expected = bt_train::device::captions(&model, &part, &sequences, teller, || ());
            let told = tools::caption::tell(device, &model, &part, &sequences, &drawing).unwrap();
            let words = |caption: &Vec<(usize, String)>| caption.iter().map(|(w, _)| *w).collect();
            let words: Vec<Vec<usize>> = told.captions.iter().map(words).collect();
            assert_eq!(words, expected.unwrap(), "{}", board.name);
        }
    }
}

/// Values after every step, of a mean of recent steps, on a Cortex-M4F: the same raw scores, which the file turns
/// into units.
#[test]
fn an_m4f_gives_values_after_every_step() {
    let board = Board::find("mps2-an386").unwrap();
    let units = FloatOutput {
        offset: -40.0,
        lsb: 2e-5,
    };
    let file = Dense {
        pool: Pool::Recent,
        ..Dense::default()
    }
    .with(Outputs {
        kind: OutputKind::Values,
        every_step: true,
        horizon_shift: 2,
        values: vec![units; 3],
        ..Outputs::default()
    });
    let model = Model::parse(file.bytes()).unwrap();
    let program = std::fs::read(built(board, SLOT, None)).unwrap();
    let device = &mut Running::start(board, &program, file.bytes(), LIMIT).device;
    let identity = device.hello().unwrap();
    assert_eq!(identity.golden, Golden::Passed);
    let frame = model.frame_values() * model.input_type().bytes();
    let bytes = Noise::new(4).bytes(9 * frame);
    let scores = stream::sequence(device, &identity, &bytes, true).unwrap();
    assert_eq!(scores.len(), 9);
    for (step, scores) in (1..).zip(&scores) {
        assert_eq!(
            scores.raw,
            scores_of(&model, &bytes[..step * frame]),
            "{step}"
        );
        let value = model.value(2, scores.raw[2]).unwrap();
        let expected = -40.0 + f64::from(scores.raw[2]) * 2e-5;
        assert!((f64::from(value) - expected).abs() < 1e-5 * (40.0 + expected.abs()));
    }
}

/// Random models of every form of map through the real exporter, other ones on
/// every board: `BT_MODELS` is how many a board gets.
#[test]
fn random_models_give_the_scores_of_the_host() {
    let count = std::env::var("BT_MODELS").map_or(MODELS, |count| count.parse().unwrap());
    for (first, board) in (0u64..).step_by(1000).zip(emulated()) {
        let program = std::fs::read(built(board, SLOT, None)).unwrap();
        // The smallest board decides which are small enough.
        let files = (first..).map(|seed| (seed, exported::random(seed)));
        let small = files.filter(|(_, file)| {
            let model = Model::parse(file.bytes()).unwrap();
            model.flash_bytes() <= FLASH_BYTES && model.arena_bytes() <= ARENA_BYTES
        });
        let mut odd = 0;
        for (seed, file) in small.take(count) {
            let model = Model::parse(file.bytes()).unwrap();
            odd += model.hidden() % 2;
            let frame = model.frame_values() * model.input_type().bytes();
            let bytes = Noise::new(seed as u32).bytes(5 * frame);
            let scores = on_board(board, &program, file.bytes(), &bytes);
            assert_eq!(
                scores.raw,
                scores_of(&model, &bytes),
                "{}: seed {seed}",
                board.name
            );
        }
        // One in four has an odd number of units.
        assert!(odd > 0 || count < MODELS, "{}", board.name);
    }
}

/// Models come over the line into slots: through the micro:bit's own flash controller, and into RAM that stands in
/// for flash.
#[test]
fn models_are_replaced_on_the_board() {
    for name in ["microbit", "mps2-an386"] {
        let board = Board::find(name).unwrap();
        let program = built(board, ModelIn::Slots(None), None);
        let emulator = Emulator::start(board, &program, false).unwrap();
        let uart = || emulator.uart(Duration::from_millis(50)).unwrap();
        for (number, slot) in [1, 2, 1].into_iter().enumerate() {
            let file = Dense {
                seed: number as u32,
                ..Dense::default()
            }
            .model();
            let model = Model::parse(file.bytes()).unwrap();
            let said = flash_model::put(uart(), Instant::now() + LIMIT, &model, file.bytes());
            let (served, crc) = (model.name(), model.crc());
            let wanted = format!("serves {served} ({crc:08x}) from slot {slot}, number {number}");
            assert_eq!(said.unwrap(), wanted, "{name}");
            let mut device = Device::new(uart(), Instant::now() + LIMIT);
            let identity = device.hello().unwrap();
            let bytes = Noise::new(3).bytes(3 * 14);
            let scores = stream::sequence(&mut device, &identity, &bytes, false).unwrap();
            assert_eq!(scores[0].raw, scores_of(&model, &bytes), "{name}");
        }
        // Models take all RAM but the program's: what is left for the stack is all that it can ever need.
        let mut device = Device::new(uart(), Instant::now() + LIMIT);
        let statistics = device.statistics().unwrap();
        let (used, there) = (statistics.stack_bytes_used, statistics.stack_bytes);
        let most = stack_bytes_max(&program);
        println!("{name}: stack {used}, at most {most} of {there} bytes");
        assert!(used as usize <= most && most <= there as usize, "{name}");
    }
}

/// What the table of boards says that the program takes, measured: its flash, and its static RAM with
/// the stack at its deepest.
#[test]
fn programs_take_no_more_than_the_table_of_boards_says() {
    let file = Dense::default().model();
    for board in emulated() {
        let program = built(board, SLOT, None);
        let size = tools::size::read(&program).unwrap();
        let flash_bytes = size.flash_bytes as usize - FLASH_BYTES;
        assert!(
            flash_bytes <= board.program.flash_kib as usize * 1024,
            "{}: {flash_bytes} bytes of flash",
            board.name
        );
        let bound = (!board.target.starts_with("riscv")).then(|| stack_bytes_max(&program));
        let program = std::fs::read(program).unwrap();
        let device = &mut Running::start(board, &program, file.bytes(), LIMIT).device;
        let identity = device.hello().unwrap();
        let bytes = Noise::new(3).bytes(3 * identity.frame_values * identity.input.bytes());
        stream::sequence(device, &identity, &bytes, false).unwrap();
        let used = device.statistics().unwrap().stack_bytes_used as usize;
        println!("{}: stack {used}, at most {bound:?}", board.name);
        // The machine code of RISC-V is not read.
        let stack_bytes = bound.unwrap_or(used);
        assert!(used <= stack_bytes, "{}", board.name);
        let ram_bytes = size.ram_bytes as usize - ARENA_BYTES + stack_bytes;
        assert!(
            ram_bytes <= board.program.ram_kib as usize * 1024,
            "{}: {ram_bytes} bytes of RAM",
            board.name
        );
    }
}

/// Before anything is built, with what to do.
#[test]
fn a_model_too_large_for_its_board_is_refused_before_the_build() {
    let file = Dense {
        hidden: 120,
        values: 400,
        ..Dense::default()
    };
    let file = file.model();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("large.btm");
    std::fs::write(&path, file.bytes()).unwrap();
    let model = Model::parse(file.bytes()).unwrap();
    let firmware = Firmware {
        board: Board::find("microbit").unwrap(),
        model: ModelIn::Program(&path),
        log: false,
        binary: None,
    };
    let refused = |words: &[String]| {
        let error = format!("{:#}", firmware.build().unwrap_err());
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    };
    refused(&[
        "bt-train quantize … --board microbit".to_owned(),
        "large.btm".to_owned(),
        format!(
            "needs {} bytes of flash, microbit has 139264",
            model.flash_bytes()
        ),
    ]);

    // Of many scores 16 bytes each, a rule in them, but for those of the program's 64, 17 bytes each.
    let many = Dense {
        hidden: 4,
        classes: 2000,
        ..Dense::default()
    };
    let file = many.model();
    std::fs::write(&path, file.bytes()).unwrap();
    let arena_bytes = Model::parse(file.bytes()).unwrap().arena_bytes();
    let scores_bytes = 16 * 2000 - 17 * 64;
    refused(&[
        format!("{scores_bytes} bytes are for its 2000 scores: train it with fewer"),
        format!(
            "needs {} bytes of RAM, microbit has 10240",
            arena_bytes + scores_bytes
        ),
    ]);
}
