//! Programs beside the firmware: kernels, interrupts, panics, counts.

use super::*;

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
