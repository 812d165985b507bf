//! The same scores, bit for bit, on every core in QEMU as on the host.

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

/// A board's program: its firmware, or another binary of `bt-embed`. Built once, and a copy that stays as it is: what
/// cargo leaves is written anew when a test beside this one builds for another model.
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
    let number = programs.len();
    let program = programs
        .entry(format!("{} {model:?} {binary:?}", board.name))
        .or_insert_with(|| {
            let built = firmware.build().unwrap();
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("device-{number}.elf"));
            std::fs::copy(built, &kept).unwrap();
            kept
        });
    program.clone()
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

/// Pictures that a Cortex-M0 and an M4F paint from a seed: the host's, bit for bit, and the golden one too.
#[test]
fn boards_paint_what_the_host_paints() {
    let file = Dense {
        values: 12,
        hidden: 7,
        classes: 60,
        ..Dense::default()
    }
    .painting(6, 5);
    let model = Model::parse(file.bytes()).unwrap();
    let expected = drawing::draw(&model, 1 << 40, (3, 6), || ()).unwrap();
    assert_ne!(expected.bits[0], expected.bits[1]);
    for board in ["microbit", "mps2-an386"] {
        let board = Board::find(board).unwrap();
        let program = std::fs::read(built(board, SLOT, None)).unwrap();
        let device = &mut Running::start(board, &program, file.bytes(), LIMIT).device;
        assert_eq!(device.hello().unwrap().golden, Golden::Passed);
        let found = tools::draw::draw(device, &model, 1 << 40, (3, 6)).unwrap();
        assert_eq!(found, expected, "{}", board.name);
        assert_eq!(device.statistics().unwrap().steps, 18);
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
        // Models take all RAM but the program's: what is left for the stack is more than it ever took.
        let mut device = Device::new(uart(), Instant::now() + LIMIT);
        let statistics = device.statistics().unwrap();
        let (used, there) = (statistics.stack_bytes_used, statistics.stack_bytes);
        assert!(used + 512 <= there, "{name}: {used} of {there} bytes");
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
        let program = std::fs::read(program).unwrap();
        let device = &mut Running::start(board, &program, file.bytes(), LIMIT).device;
        let identity = device.hello().unwrap();
        let bytes = Noise::new(3).bytes(3 * identity.frame_values * identity.input.bytes());
        stream::sequence(device, &identity, &bytes, false).unwrap();
        let stack_bytes = device.statistics().unwrap().stack_bytes_used as usize;
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
            "needs {} bytes of flash, microbit has 147456",
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

/// The kernels of every core, assembly or not, on the list of cases that the host's tests compare with
/// an i64 reference.
#[test]
fn kernels_give_the_digest_of_the_portable_ones() {
    for board in emulated() {
        let elf = built(board, ModelIn::Nowhere, Some("kernel_check"));
        run_to_end(board, &elf, LIMIT).unwrap_or_else(|error| panic!("{}: {error}", board.name));
    }
}

/// On a chip that lacks what its kernels need, a program says so instead of ending in a fault. The boot core of
/// QEMU's an521 is an M33 without DSP extension and FPU in the an505's place.
#[test]
fn a_processor_that_lacks_what_was_built_in_is_refused() {
    let built_for = |name| {
        let board = Board::find(name).unwrap();
        (*board, built(board, ModelIn::Nowhere, Some("kernel_check")))
    };
    let refusal =
        |board: &Board, elf: &Path| run_to_end(board, elf, LIMIT).unwrap_err().to_string();
    let (m33, elf) = built_for("mps2-an505");
    let qemu = m33.qemu.map(|qemu| Machine {
        machine: "mps2-an521",
        ..qemu
    });
    let without_dsp = Board { qemu, ..m33 };
    let said = refusal(&without_dsp, &elf);
    assert!(said.contains("no DSP extension"), "{said}");
    let (m4f, elf) = built_for("mps2-an386");
    let (m4, elf_without_fpu) = built_for("mps2-an386-no-fpu");
    let said = refusal(&m4, &elf);
    assert!(said.contains("no floating-point unit"), "{said}");
    // The other way round nothing is missing.
    run_to_end(&m4f, &elf_without_fpu, LIMIT).unwrap();
}

/// A handler that clobbers s16 to s31 is seen by the canary and gives wrong results, and neither where the
/// kernels leave these registers alone; FPU registers that are switched off are seen before.
#[test]
fn interrupts_that_clobber_registers_are_seen_or_do_not_matter() {
    let firmware = Firmware {
        board: Board::find("mps2-an386").unwrap(),
        model: ModelIn::Nowhere,
        log: false,
        binary: Some("fpu_interrupts"),
    };
    for purpose in [Purpose::Use, Purpose::NoFpRegisters] {
        let elf = firmware.build_for(purpose).unwrap();
        run_to_end(firmware.board, &elf, LIMIT).unwrap();
    }
}

/// Frames come by interrupt while steps are computed: at a rate that the core holds none is lost, beyond it they are
/// counted, and the scores are those of the whole ones.
#[test]
fn a_sensor_that_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.btm");
    let file = Dense {
        values: 190,
        hidden: 24,
        ..Dense::default()
    };
    std::fs::write(&model, file.model().bytes()).unwrap();
    let board = Board::find("mps2-an386").unwrap();
    let elf = built(board, ModelIn::Program(&model), Some("intake"));
    let said = run_to_end(board, &elf, LIMIT).unwrap();
    println!("{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}

/// The build script's refusal reaches whoever builds.
#[test]
fn a_build_for_what_no_chip_of_the_target_has_is_refused() {
    let build = Command::new(env!("CARGO"))
        .args(["check", "--package", "bt-core", "--features", "dsp"])
        .args(["--target", "thumbv6m-none-eabi"])
        .current_dir(tools::firmware::workspace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&build.stderr);
    assert!(!build.status.success(), "{said}");
    assert!(
        said.contains("feature `dsp` of bt-core on thumbv6m-none-eabi: only thumbv7em"),
        "{said}"
    );
}

/// `bt-core` links without a panic handler, for every instruction set, and runs.
#[test]
fn nothing_in_the_core_can_panic() {
    let file = Dense::default().model();
    let elf = tempfile::NamedTempFile::new().unwrap();
    for name in [
        "microbit",
        "mps2-an385",
        "mps2-an386",
        "mps2-an386-no-fpu",
        "mps3-an547",
    ] {
        let board = Board::find(name).unwrap();
        let program = std::fs::read(built(board, SLOT, Some("no_panic"))).unwrap();
        std::fs::write(elf.path(), fill(&program, file.bytes()).unwrap()).unwrap();
        run_to_end(board, elf.path(), LIMIT).unwrap();
        // What refuses, fails.
        std::fs::write(elf.path(), fill(&program, &file.bytes()[1..]).unwrap()).unwrap();
        assert!(run_to_end(board, elf.path(), LIMIT).is_err());
    }
}

/// The program whose flash `cargo xtask bench` counts links without a panic handler too, and runs.
#[test]
fn what_is_counted_as_inference_runs() {
    let bytes = Dense {
        input_type: InputType::U8,
        ..Dense::default()
    };
    let elf = tempfile::NamedTempFile::new().unwrap();
    for name in ["microbit", "mps2-an386"] {
        let board = Board::find(name).unwrap();
        let firmware = Firmware {
            board,
            model: SLOT,
            log: false,
            binary: Some("inference"),
        };
        let program = std::fs::read(firmware.build_for(Purpose::Flash("dense")).unwrap()).unwrap();
        std::fs::write(elf.path(), fill(&program, bytes.model().bytes()).unwrap()).unwrap();
        run_to_end(board, elf.path(), LIMIT).unwrap();
        // It takes nothing but bytes.
        let wide = Dense::default().model();
        std::fs::write(elf.path(), fill(&program, wide.bytes()).unwrap()).unwrap();
        assert!(run_to_end(board, elf.path(), LIMIT).is_err());
    }
}

#[test]
fn a_damaged_model_is_refused_on_the_board_and_the_board_serves_on() {
    let board = Board::find("mps2-an386").unwrap();
    let program = std::fs::read(built(board, SLOT, None)).unwrap();
    let file = Dense::default().model();
    let mut damaged = file.bytes().to_vec();
    *damaged.last_mut().unwrap() ^= 0x10;
    let reason = Model::parse(ModelBytes::from_unaligned(&damaged).bytes()).unwrap_err();
    let device = &mut Running::start(board, &program, &damaged, LIMIT).device;
    for _ in 0..2 {
        let error = device.hello().unwrap_err().to_string();
        assert_eq!(error, format!("the device has no model to serve: {reason}"));
    }
}

/// What wraps at 32 bits is refused where there are no more: each file by one of the boards, which in
/// turn take the sound model that it was made of.
#[test]
fn boards_refuse_what_the_host_refuses() {
    let sound = cases::program().write().unwrap();
    let crafted = cases::crafted();
    for (first, board) in emulated().enumerate() {
        let program = std::fs::read(built(board, SLOT, None)).unwrap();
        let hello = |model: &[u8]| Running::start(board, &program, model, LIMIT).device.hello();
        let identity = hello(sound.bytes()).unwrap();
        assert_eq!(identity.golden, Golden::Passed, "{}", board.name);
        for file in crafted.iter().skip(first).step_by(emulated().count()) {
            // One that is taken says who it is.
            let error = hello(file.bytes.bytes()).expect_err(file.name).to_string();
            let reason = file.refused.to_string();
            assert!(error.ends_with(&reason), "{}: {error}", file.name);
        }
    }
}

/// The UART's end of an emulator started with breaks.
struct Breaking {
    uart: UnixStream,
}

/// What makes a break of a `b` behind it.
const ESCAPE: u8 = 0x14;

impl Read for Breaking {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.uart.read(bytes)
    }
}

impl Write for Breaking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            let twice = 1 + usize::from(byte == ESCAPE);
            self.uart.write_all(&[byte; 2][..twice])?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.uart.flush()
    }
}

/// The hardware's error flags are read, cleared and counted, and service goes on.
#[test]
fn breaks_on_the_line_are_counted_and_served_over() {
    let board = Board::find("microbit").unwrap();
    let program = std::fs::read(built(board, SLOT, None)).unwrap();
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let elf = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elf.path(), fill(&program, file.bytes()).unwrap()).unwrap();
    let emulator = Emulator::start_with_breaks(board, elf.path(), ESCAPE).unwrap();
    let mut uart = emulator.uart(Duration::from_millis(50)).unwrap();
    let line = Breaking {
        uart: uart.try_clone().unwrap(),
    };
    let mut device = Device::new(line, Instant::now() + LIMIT);
    let identity = device.hello().unwrap();
    let frame = model.frame_values() * model.input_type().bytes();
    let bytes = Noise::new(9).bytes(20 * frame);
    let mut breaks = 0;
    device.reset().unwrap();
    for chunk in bytes.chunks(frame) {
        uart.write_all(&[ESCAPE, b'b']).unwrap();
        breaks += 1;
        device.chunk(chunk).unwrap();
    }
    assert_eq!(device.scores().unwrap().raw, scores_of(&model, &bytes));
    let line = device.statistics().unwrap().line;
    assert_eq!((line.read_errors, line.frames_lost), (breaks, breaks));
    assert!(device.repeats() >= breaks);
    assert_eq!(identity.model_crc, model.crc());
}
