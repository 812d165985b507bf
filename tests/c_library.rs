//! `bt-core` in C programs, built by arm-none-eabi-gcc and run in QEMU: the scores of the host, bit for bit.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bt_core::captions::{END, Teller, Temperature};
use bt_core::detection::{Detector, Rule, Watch};
use bt_core::drawing::Random;
use bt_core::{InputType, Model, Session};
use bt_tests::model::{Dense, Noise, scores_of};
use bt_train::drawing;
use bt_train::plan::timing::Processor;
use clap::Parser;
use tools::board::Board;
use tools::c_library::{Library, Sources};
use tools::emulator::Emulator;

/// A QEMU run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(60);

const HARD: [&str; 3] = ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bt-embed/c/example")
}

/// What `cargo xtask c-library` writes for a target and a model.
fn library(folder: &Path, target: &str, model: &[u8]) {
    let path = folder.join("model.btm");
    std::fs::write(&path, model).unwrap();
    let library = Library {
        target,
        processor: None,
        front_end: true,
    };
    library.write(folder).unwrap();
    let sources = Sources::read(&path, "model").unwrap();
    sources.write(folder).unwrap();
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    // Neither header nor sources give a warning.
    assert!(!said.contains("warning"), "{command:?}: {said}");
}

/// The sources of the models in a folder of the library.
fn models(library: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(library).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "c"))
        .collect()
}

/// One of the examples by one line of the compiler, for a Cortex-M4F.
fn compiled(library: &Path, (main, program): (&str, &str), flags: &[&str]) -> PathBuf {
    let (example, elf) = (example(), library.join(program));
    let mut command = Command::new("arm-none-eabi-gcc");
    command
        .args(HARD)
        .args(["-mthumb", "-O2", "-ffreestanding", "-nostdlib"])
        .args(["-Wl,--gc-sections", "-Wl,-z,noexecstack"])
        .args(["-std=c99", "-pedantic", "-Wall", "-Wextra"])
        .args(flags)
        .arg("-I")
        .arg(library)
        .args([main, "mps2.c", "text.c"].map(|name| example.join(name)))
        .args(models(library))
        .arg(library.join("libbt_core.a"))
        .arg("-T")
        .arg(example.join("mps2.ld"))
        .arg("-o")
        .arg(&elf);
    succeeds(&mut command);
    elf
}

/// What the program says on a board: so many lines, after these bytes.
fn said(board: &str, elf: &Path, bytes: &[u8], lines: usize) -> Vec<String> {
    let board = Board::find(board).unwrap();
    let emulator = Emulator::start(board, elf, false).unwrap();
    let mut uart = emulator.uart(Duration::from_millis(50)).unwrap();
    uart.write_all(bytes).unwrap();
    let until = Instant::now() + LIMIT;
    let mut text = Vec::new();
    while text.iter().filter(|&&byte| byte == b'\n').count() < lines {
        assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&text));
        let mut piece = [0; 256];
        if let Ok(count) = uart.read(&mut piece) {
            text.extend_from_slice(&piece[..count]);
        }
    }
    let text = String::from_utf8(text).unwrap();
    text.lines().take(lines).map(str::to_owned).collect()
}

/// The example's, of every class.
const RULE: Rule = Rule {
    threshold: 19_661,
    smoothing: 1,
    hold_off: 3,
};

/// The lines that the example says of these frames.
fn expected(model: &Model<'_>, bytes: &[u8], steps: usize) -> Vec<String> {
    let frame = model.frame_values() * model.input_type().bytes();
    let mut watches = vec![Watch::OFF; model.outputs()];
    let mut detector = Detector::new(model, &mut watches).unwrap();
    for class in 0..model.outputs() {
        detector.watch(class, Some(RULE)).unwrap();
    }
    let step = |step: usize| {
        detector.pass();
        let scores = scores_of(model, &bytes[..step * frame]);
        let best = (0..scores.len()).rev().max_by_key(|&class| scores[class]);
        let label = model.label(best.unwrap()).unwrap();
        let texts: Vec<String> = scores.iter().map(i32::to_string).collect();
        let scored = format!("step {step} {label} {}", texts.join(" "));
        let found = detector.look(&scores).unwrap().map(|found| {
            let label = model.label(found.class).unwrap();
            format!("detected {label} {} {}", found.step, found.confidence)
        });
        [Some(scored), found].into_iter().flatten()
    };
    let mut lines = vec!["ready".to_owned()];
    lines.extend((1..=steps).flat_map(step));
    let detections = lines.len() - 1 - steps;
    assert!(detections > 1 && detections < steps, "{lines:?}");
    lines
}

#[test]
fn the_example_by_gcc_gives_the_scores_of_the_host() {
    let place = tempfile::tempdir().unwrap();
    let shape = Dense {
        hidden: 14,
        values: 40,
        score_shift: 20,
        ..Dense::default()
    };
    let file = shape.model();
    library(place.path(), "thumbv7em-none-eabihf", file.bytes());
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(11).bytes(40 * 40 * 2);
    let elf = compiled(place.path(), ("main.c", "example.elf"), &[]);
    let expected = expected(&model, &bytes, 40);
    let lines = said("mps2-an386", &elf, &bytes, expected.len());
    assert_eq!(lines, expected);

    // A start-up that leaves the FPU off is told so, and does not fault.
    let elf = compiled(place.path(), ("main.c", "off.elf"), &["-DFPU_LEFT_OFF"]);
    let lines = said("mps2-an386", &elf, &[], 1);
    assert_eq!(lines, ["error: BT_ERROR_FPU_OFF"]);
    // A chip without one is told that, whatever its start-up did: an M3, which has none.
    let lines = said("mps2-an385", &elf, &[], 1);
    assert_eq!(lines, ["error: BT_ERROR_PROCESSOR"]);

    // The header is one of C++ too.
    let use_it = place.path().join("use.cpp");
    std::fs::write(&use_it, "#include \"bt_core.h\"\n#include \"model.h\"\n").unwrap();
    succeeds(
        Command::new("arm-none-eabi-gcc")
            .args(HARD)
            .args(["-x", "c++", "-std=c++11", "-Wall", "-Wextra", "-pedantic"])
            .args(["-ffreestanding", "-fsyntax-only", "-I"])
            .arg(place.path())
            .arg(use_it),
    );
}

/// A library for an M55 has the kernels of Helium in it, beside those for what Helium is slower at.
#[test]
fn a_library_for_an_m55_has_its_kernels() {
    let place = tempfile::tempdir().unwrap();
    let library = Library {
        target: "thumbv8m.main-none-eabihf",
        processor: Some(Processor::M55),
        front_end: false,
    };
    library.write(place.path()).unwrap();
    let symbols = Command::new("arm-none-eabi-nm")
        .arg(place.path().join("libbt_core.a"))
        .output()
        .unwrap();
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    for kernels in ["6kernel6helium", "6kernel7armv7em"] {
        assert!(symbols.contains(kernels), "{kernels}");
    }
}

#[test]
fn the_example_by_cmake_gives_the_scores_of_the_host() {
    let place = tempfile::tempdir().unwrap();
    let shape = Dense {
        input_type: InputType::U8,
        values: 33,
        hidden: 7,
        score_shift: 20,
        ..Dense::default()
    };
    let file = shape.model();
    library(place.path(), "thumbv7m-none-eabi", file.bytes());
    let build = place.path().join("build");
    succeeds(
        Command::new("cmake")
            .arg("-S")
            .arg(example())
            .arg("-B")
            .arg(&build)
            .arg("--toolchain")
            .arg(example().join("arm-none-eabi.cmake"))
            .arg(format!("-DBT_CORE={}", place.path().display()))
            .arg("-DCPU=-mcpu=cortex-m3"),
    );
    succeeds(Command::new("cmake").arg("--build").arg(&build));
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(12).bytes(40 * 33);
    let expected = expected(&model, &bytes, 40);
    let lines = said("mps2-an385", &build.join("example"), &bytes, expected.len());
    assert_eq!(lines, expected);
}

/// `cargo xtask c-library`, its words as a user gives them.
#[derive(Parser)]
struct Words {
    #[command(flatten)]
    args: tools::c_library::Args,
}

/// Two models in one program, each under a name of its own, beside the one without: their CRCs as C reads them.
#[test]
fn several_models_have_names_of_their_own() {
    const PROGRAM: &str = r#"
        #include "commands.h"
        #include "model.h"
        #include "text.h"
        #include "wake.h"

        static uint32_t memory[WAKE_SESSION_BYTES / 4 + COMMANDS_SESSION_BYTES / 4];

        static void tell(const uint32_t *data, size_t bytes) {
            bt_model_info info;
            bt_status status = bt_model_read(data, bytes, &info);
            write_text(bt_status_name(status));
            write_text(" ");
            write_number((int32_t)info.crc);
            write_text("\n");
        }

        int main(void) {
            memory[0] = WAKE_OUTPUTS + COMMANDS_OUTPUTS;
            tell(wake_data, WAKE_DATA_BYTES);
            tell(commands_data, COMMANDS_DATA_BYTES);
            tell(model_data, MODEL_DATA_BYTES);
            write_text(wake_labels[0]);
            write_text(WAKE_CRC == COMMANDS_CRC ? " same\n" : " others\n");
            for (;;) {
            }
        }
    "#;
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let shape = |hidden| Dense {
        hidden,
        ..Dense::default()
    };
    let files = [7, 9, 12].map(|hidden| shape(hidden).model());
    let mut crcs = Vec::new();
    // The file's name says nothing: both are called alike.
    for (file, name) in files.iter().zip([Some("wake"), Some("commands"), None]) {
        let path = folder.join("a name.btm");
        std::fs::write(&path, file.bytes()).unwrap();
        let [out, path] = [folder, &path].map(|path| path.to_str().unwrap());
        let mut words = vec![
            "c-library",
            "--target",
            "thumbv7em-none-eabihf",
            "--out",
            out,
        ];
        words.extend(["--model", path]);
        words.extend(name.iter().flat_map(|name| ["--name", name]));
        tools::c_library::run(&Words::try_parse_from(words).unwrap().args).unwrap();
        crcs.push(Model::parse(file.bytes()).unwrap().crc().cast_signed());
    }
    std::fs::create_dir(folder.join("program")).unwrap();
    let program = folder.join("program/several.c");
    std::fs::write(&program, PROGRAM).unwrap();
    let elf = compiled(
        folder,
        (program.to_str().unwrap(), "several.elf"),
        &["-I", example().to_str().unwrap()],
    );
    let mut expected: Vec<String> = crcs.iter().map(|crc| format!("BT_OK {crc}")).collect();
    let label = Model::parse(files[0].bytes()).unwrap();
    expected.push(format!("{} others", label.label(0).unwrap_or("")));
    assert_eq!(said("mps2-an386", &elf, &[], 4), expected);

    let words = [
        "c-library",
        "--target",
        "thumbv7em-none-eabihf",
        "--out",
        "x",
    ];
    let more = ["--model", "m.btm", "--name", "2nd"];
    let refused = Words::try_parse_from(words.iter().chain(&more)).err();
    let refused = refused.unwrap().to_string();
    assert!(refused.contains("a letter first"), "{refused}");
}

/// Pictures in C: what the host paints of the same seed, on a Cortex-M4F.
#[test]
fn pictures_in_c_are_those_of_the_host() {
    let place = tempfile::tempdir().unwrap();
    let shape = Dense {
        values: 12,
        hidden: 7,
        classes: 60,
        ..Dense::default()
    };
    let file = shape.painting(6, 5);
    library(place.path(), "thumbv7em-none-eabihf", file.bytes());
    let model = Model::parse(file.bytes()).unwrap();
    let pictures = drawing::draw(&model, 7, (3, 6), || ()).unwrap();
    let rows = pictures.bits.iter().flat_map(|picture| picture.chunks(12));
    let texts = rows.map(|row| row.iter().map(u8::to_string).collect::<Vec<_>>().join(" "));
    let expected: Vec<String> = std::iter::once("ready".to_owned()).chain(texts).collect();
    assert_ne!(expected[1], expected[6]);
    let elf = compiled(place.path(), ("paint.c", "paint.elf"), &[]);
    let lines = said("mps2-an386", &elf, &[0, 1, 2], 16);
    assert_eq!(lines, expected);
}

/// Captions in C: the host's words, the likeliest and those that are drawn, on a Cortex-M4F.
#[test]
fn captions_in_c_are_those_of_the_host() {
    let place = tempfile::tempdir().unwrap();
    let shape = Dense {
        input_type: InputType::U8,
        hidden: 9,
        classes: 40,
        ..Dense::default()
    };
    let file = shape.captioning(8);
    library(place.path(), "thumbv7em-none-eabihf", file.bytes());
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(13).bytes(3 * 7);
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut drawing = Teller::drawing(Random::new(7, 0), Temperature::ONE);
    let mut expected = vec!["ready".to_owned()];
    for mut picture in bytes.chunks(7) {
        assert!(session.feed(&mut picture).unwrap());
        session.step().unwrap();
        for teller in [&mut Teller::likeliest(), &mut drawing] {
            session.begin_caption().unwrap();
            let (mut scores, mut text) = ([0; 40], String::new());
            for _ in 0..8 {
                session.scores(&mut scores).unwrap();
                let word = teller.next_word(&scores, model.score_shift()).unwrap();
                if word == END {
                    break;
                }
                text += &format!("{word} ");
                session.step_word(word).unwrap();
            }
            expected.push(text);
        }
    }
    let distinct: BTreeSet<&String> = expected.iter().collect();
    assert!(distinct.len() > 3, "{expected:?}");
    let elf = compiled(place.path(), ("caption.c", "caption.elf"), &[]);
    let lines = said("mps2-an386", &elf, &bytes, expected.len());
    assert_eq!(lines, expected);
}
