//! Firmware projects of their own, in QEMU: the very program that would be flashed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bt_core::Model;
use bt_embed::store::RECORD_BYTES;
use bt_train::data::Recordings;
use clap::Parser;
use tools::board::{Board, projects};
use tools::device::Device;
use tools::emulator::Emulator;
use tools::firmware::{Firmware, ModelIn, workspace};
use tools::port::Port;
use tools::qemu::{Evaluation, test_part};
use tools::stack::Program;
use tools::verify;

/// A command of `cargo xtask`, its words as a user gives them.
#[derive(Parser)]
struct Words<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/version3")
        .join(name)
}

fn verify(words: &[&str]) -> Result<(), String> {
    let (model, set) = (data("bytes.btm"), data("bytes.npz"));
    let mut all = vec!["verify", "--model", model.to_str().unwrap()];
    all.extend(["--data", set.to_str().unwrap()]);
    all.extend(words);
    let parsed = Words::try_parse_from(all).map_err(|error| error.to_string())?;
    verify::run(parsed.args).map_err(|error| format!("{error:#}"))
}

/// Scores that another version of the program computed, and the clock that QEMU has: no crystal answers there.
#[test]
fn projects_give_the_scores_of_the_host_in_qemu() {
    let scores = std::fs::read_to_string(data("scores.json")).unwrap();
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    let expected: Vec<Vec<i32>> = serde_json::from_value(scores["bytes"].clone()).unwrap();
    let path = data("bytes.btm");
    let bytes = bt_train::device::read_model(&path).unwrap();
    let model = Model::parse(bytes.bytes()).unwrap();
    let part = test_part(&model, &data("bytes.npz"), &Recordings::default()).unwrap();
    let mut instructions = Vec::new();
    for board in projects().filter(|board| board.qemu.is_some()) {
        let outcome = Evaluation {
            board,
            model: &path,
            part: &part,
            log: false,
            limit: Duration::from_secs(60),
        }
        .run()
        .unwrap();
        assert_eq!(outcome.raw, expected, "{}", board.name);
        assert_eq!(outcome.identity.board, board.name);
        let steps = outcome.statistics.steps as usize;
        assert!(steps > 0 && outcome.instructions_per_step() > 500.0);
        instructions.push((board.core, outcome.instructions_per_step()));
        // What the table of boards says that the program takes.
        let size = tools::size::read(outcome.elf.as_deref().unwrap()).unwrap();
        let flash = size.flash_bytes as usize - model.flash_bytes();
        let stack = outcome.statistics.stack_bytes_used as usize;
        let ram = size.ram_bytes as usize - model.arena_bytes() + stack;
        assert!(
            flash <= board.flash.bytes() - board.room().flash_bytes,
            "{flash}"
        );
        assert!(ram <= board.ram.bytes() - board.room().ram_bytes, "{ram}");
        // The bound of the stack is one, and not made of air.
        let row = Row::of(outcome.elf.as_deref().unwrap(), &model);
        println!(
            "{}: stack {stack}, at most {}",
            board.name, row.stack_bytes_max
        );
        assert!(
            stack <= row.stack_bytes_max && row.stack_bytes_max < 2 * stack,
            "{}: {stack}, {row:?}",
            board.name
        );
        row.is_told_of(board);
    }
    // An M0, whose counter is not that of its clock, needs more of them than an M4F, and not ten times as many.
    let of = |core: &str| {
        instructions
            .iter()
            .find(|(name, _)| *name == core)
            .unwrap()
            .1
    };
    assert!(
        of("m0") > of("m4f") && of("m0") < 10.0 * of("m4f"),
        "{instructions:?}"
    );
}

/// The same project with slots: it serves the model in the program, and takes others. QEMU's machine has no controller
/// of the flash: what a write comes to there is told, and the model served goes on.
#[test]
fn a_project_with_slots_serves_and_says_what_its_flash_refuses() {
    let path = data("bytes.btm");
    let bytes = bt_train::device::read_model(&path).unwrap();
    let board = Board::find("netduinoplus2").unwrap();
    let firmware = Firmware {
        board,
        model: ModelIn::Slots(Some(&path)),
        log: false,
        binary: None,
    };
    let elf = firmware.build().unwrap();
    // All of the RAM is the models' and the program's, its deepest stack counted.
    let size = tools::size::read(&elf).unwrap();
    let stack_bytes_max = Program::read(&elf).unwrap().bound().unwrap().bytes;
    println!("{size:?}, stack at most {stack_bytes_max}");
    assert!(size.ram_bytes + stack_bytes_max <= board.ram.bytes() as u64);
    let emulator = Emulator::start(board, &elf, false).unwrap();
    let uart = emulator.uart(Duration::from_millis(50)).unwrap();
    let mut device = Device::new(uart, Instant::now() + Duration::from_secs(60));
    let served = device.hello().unwrap();
    assert_eq!(served.model_crc, Model::parse(bytes.bytes()).unwrap().crc());
    let slots = device.slots().unwrap();
    let image_bytes_max = (128 << 10) - RECORD_BYTES;
    assert_eq!((slots.served, slots.image_bytes_max), (0, image_bytes_max));
    let refused = device.put_model(bytes.bytes()).unwrap_err().to_string();
    assert!(
        refused.starts_with("the device does not accept the model: "),
        "{refused}"
    );
    assert_eq!(device.hello().unwrap(), served);
}

/// What reads sensors by drivers of others, or listens with two models, beside the project's firmware.
const SENSORS: [(&str, &str); 3] = [
    ("nrf52840dk", "wake_word"),
    ("microbit-v2", "motion"),
    ("pico2", "camera"),
];

/// Programs that read sensors build, and fit their boards.
#[test]
#[ignore = "long"]
fn every_sensor_builds() {
    let path = data("bytes.btm");
    for (name, binary) in SENSORS {
        let board = Board::find(name).unwrap();
        tools::setup::targets(&[board]).unwrap();
        let firmware = Firmware {
            board,
            model: ModelIn::Pair {
                wake: &path,
                commands: &path,
            },
            log: false,
            binary: Some(binary),
        };
        let size = tools::size::read(&firmware.build().unwrap()).unwrap();
        println!("{name}, {binary}: {size:?}");
        assert!((size.flash_bytes as usize) < board.flash.bytes());
        assert!((size.ram_bytes as usize) < board.ram.bytes());
    }
}

/// The slots' driver of the STM32F405 against a model of its flash controller, on the host: the project's own test.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
#[ignore = "long"]
fn the_flash_of_an_stm32f405_is_written_by_the_manual() {
    let board = Board::find("netduinoplus2").unwrap();
    let status = Command::new(env!("CARGO"))
        .current_dir(manifest(board).parent().unwrap())
        .args(["test", "--quiet", "--target", "x86_64-unknown-linux-gnu"])
        .args(["--features", "slots", "--example", "flash_registers"])
        .arg("--target-dir")
        .arg(workspace().join("target/examples"))
        .env("BT_MODEL", data("bytes.btm"))
        .status()
        .unwrap();
    assert!(status.success());
}

/// What the README says of a project: beside the model and its arena, and the most stack that it can need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    flash_bytes: usize,
    ram_bytes: usize,
    stack_bytes_max: usize,
}

impl Row {
    fn of(elf: &Path, model: &Model<'_>) -> Self {
        let size = tools::size::read(elf).unwrap();
        let program = Program::read(elf).unwrap();
        Self {
            flash_bytes: size.flash_bytes as usize - model.flash_bytes(),
            ram_bytes: size.ram_bytes as usize - model.arena_bytes(),
            stack_bytes_max: program.bound().unwrap().bytes as usize,
        }
    }

    /// Another compiler may move figures by one in a hundred.
    fn is_told_of(self, board: &Board) {
        let readme = std::fs::read_to_string(workspace().join("bt-embed/README.md")).unwrap();
        let begin = format!("| `{}` (", board.name);
        let line = readme
            .lines()
            .find(|line| line.starts_with(&begin))
            .unwrap();
        let number = |column: &str| {
            column
                .trim()
                .strip_suffix(" bytes")?
                .replace(',', "")
                .parse()
                .ok()
        };
        let cells: Vec<Option<usize>> = line.split('|').map(number).collect();
        let [flash_bytes, ram_bytes, stack_bytes_max] = [4, 5, 7].map(|at| cells[at].unwrap());
        for (found, told) in [
            (self.flash_bytes, flash_bytes),
            (self.ram_bytes, ram_bytes),
            (self.stack_bytes_max, stack_bytes_max),
        ] {
            assert!(100 * found.abs_diff(told) <= told, "{line}: {self:?}");
        }
    }
}

/// Those that QEMU does not have, too. Their HALs take minutes to compile.
#[test]
#[ignore = "long"]
fn every_project_builds_and_takes_what_the_tables_say() {
    let path = data("bytes.btm");
    let bytes = bt_train::device::read_model(&path).unwrap();
    let model = Model::parse(bytes.bytes()).unwrap();
    let rows = projects().map(|board| {
        tools::setup::targets(&[board]).unwrap();
        let firmware = Firmware {
            board,
            model: ModelIn::Program(&path),
            log: false,
            binary: None,
        };
        let row = Row::of(&firmware.build().unwrap(), &model);
        println!("{}: {row:?}", board.name);
        (board, row)
    });
    // All are told before one of them fails.
    for (board, row) in rows.collect::<Vec<_>>() {
        assert!(row.flash_bytes <= board.flash.bytes() - board.room().flash_bytes);
        // With all the stack that it can need: none overflows.
        let ram_bytes = row.ram_bytes + row.stack_bytes_max;
        assert!(ram_bytes <= board.ram.bytes() - board.room().ram_bytes);
        row.is_told_of(board);
    }
}

fn sizes(words: &[&str]) -> Result<(), String> {
    let parsed = Words::try_parse_from(["size"].iter().chain(words));
    let args = parsed.map_err(|error| error.to_string())?.args;
    tools::size::run(args).map_err(|error| format!("{error:#}"))
}

/// A program that was built elsewhere; one that was linked without what is needed says so.
#[test]
fn the_stack_of_a_program_of_ones_own() {
    let firmware = Firmware {
        board: Board::find("microbit-v1").unwrap(),
        model: ModelIn::Program(&data("bytes.btm")),
        log: false,
        binary: None,
    };
    let elf = firmware.build().unwrap();
    let name = elf.to_str().unwrap();
    sizes(&["--elf", name, "--stack"]).unwrap();
    sizes(&["--elf", name, "--stack", "--json"]).unwrap();
    let error = sizes(&["--elf", name, "--board", "microbit-v1"]).unwrap_err();
    assert!(error.contains("cannot be used with"), "{error}");

    let mut bytes = std::fs::read(&elf).unwrap();
    let number = |bytes: &[u8], at: usize, count: usize| {
        let digits = bytes[at..at + count].iter().rev();
        digits.fold(0, |number, &byte| number << 8 | usize::from(byte))
    };
    let headers = number(&bytes, 0x20, 4);
    let (header_bytes, count) = (number(&bytes, 0x2E, 2), number(&bytes, 0x30, 2));
    for header in (0..count).map(|section| headers + section * header_bytes) {
        const REL: usize = 9;
        if number(&bytes, header + 4, 4) == REL {
            bytes[header + 4] = 0;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("bare.elf");
    std::fs::write(&bare, bytes).unwrap();
    let name = bare.to_str().unwrap();
    sizes(&["--elf", name]).unwrap();
    let error = sizes(&["--elf", name, "--stack"]).unwrap_err();
    let expected =
        "it does not say what points to a function; link it with -C link-arg=--emit-relocs";
    assert!(error.ends_with(expected), "{error}");
}

/// The `Cargo.toml` of a board's project.
fn manifest(board: &Board) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(board.project.unwrap()).join("Cargo.toml")
}

#[test]
fn projects_are_formatted() {
    for board in projects() {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["fmt", "--check", "--manifest-path"])
            .arg(manifest(board));
        assert!(command.status().unwrap().success(), "{}", board.name);
    }
}

/// `cargo run` in a project's folder, as its README has it, means the firmware, whatever else lies there.
#[test]
fn cargo_run_means_the_firmware_of_a_project() {
    for board in projects() {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["metadata", "--no-deps", "--format-version=1"])
            .arg("--manifest-path")
            .arg(manifest(board));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", board.name);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let package = &told["packages"][0];
        let kinds = package["targets"].as_array().unwrap().iter();
        let binaries = kinds
            .filter(|target| target["kind"][0] == "bin")
            .map(|target| target["name"].clone());
        let meant = match package["default_run"].clone() {
            serde_json::Value::Null => binaries.collect(),
            name => vec![name],
        };
        assert_eq!(meant, [serde_json::Value::from(board.binary())]);
    }
}

#[test]
fn verify_proves_itself_in_qemu_and_over_a_port() {
    verify(&["--board", "netduinoplus2", "--limit", "3"]).unwrap();

    // The port of a board: a terminal, here QEMU's.
    let elf = Firmware {
        board: Board::find("netduinoplus2").unwrap(),
        model: ModelIn::Program(&data("bytes.btm")),
        log: false,
        binary: None,
    };
    let (mut qemu, port) = with_a_port(&elf.build().unwrap());
    let result = verify(&["--board", "netduinoplus2", "--port", &port]);
    // A board of the user's own, that no table knows.
    let own = verify(&["--port", &port, "--limit", "2"]);
    // A board that holds another model is told apart before anything is compared.
    let other = data("registers.btm");
    let set = data("registers.npz");
    let words = ["verify", "--board", "netduinoplus2", "--port", &port];
    let files = [
        "--model",
        other.to_str().unwrap(),
        "--data",
        set.to_str().unwrap(),
    ];
    let run = |words: &[&str]| {
        let parsed = Words::parse_from(words.iter().chain(&files));
        verify::run(parsed.args).map_err(|error| format!("{error:#}"))
    };
    let mismatch = run(&words);
    let own_mismatch = run(&["verify", "--port", &port]);
    let _ = qemu.kill();
    let _ = qemu.wait();
    result.unwrap();
    own.unwrap();
    let mismatch = mismatch.unwrap_err();
    assert_eq!(mismatch, "netduinoplus2: the firmware holds another model");
    let expected = format!("{port}: the firmware holds another model");
    assert_eq!(own_mismatch.unwrap_err(), expected);
    let neither = verify(&["--limit", "2"]).unwrap_err();
    assert!(neither.contains("--board <BOARD>"), "{neither}");
}

/// QEMU with the first UART at a terminal device of its own, and that device.
fn with_a_port(elf: &Path) -> (Child, String) {
    let mut qemu = Command::new("qemu-system-arm")
        .args(["-machine", "netduinoplus2", "-nodefaults"])
        .args(["-display", "none", "-monitor", "none", "-icount", "shift=6"])
        .args(["-chardev", "pty,id=uart", "-serial", "chardev:uart"])
        .arg("-kernel")
        .arg(elf)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = qemu.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let port = line.split(' ').find(|word| word.starts_with("/dev/"));
    (qemu, port.unwrap_or_else(|| panic!("{line}")).to_owned())
}

#[test]
fn what_is_no_port_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Port::open(file.path()).unwrap_err().to_string();
    assert!(error.contains("is no serial port"), "{error}");
    let error = verify(&["--board", "netduinoplus2", "--port", "/dev/ttyNONE"]).unwrap_err();
    assert!(error.contains("/dev/ttyNONE"), "{error}");
}
