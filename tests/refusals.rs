//! What the commands refuse: exit status, and one line that names file, field and remedy.

use bt_core::about::{Cell, Pool};
use bt_core::internals::model::ArenaLayout;
use bt_tests::program::{Left, Toy, bt_train, fails, run, text, train_words};
use bt_train::data::Recordings;
use bt_train::error::{ErrorKind, FileKind, Lack, With};
use bt_train::plan::search::{Layers, Limits, rank, refused};
use bt_train::shape::{MapKind, MapShape};
use std::path::Path;

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    fails(2, &[], &["subcommand"]);
    fails(2, &["train", "--bogus"], &["--bogus"]);
    fails(2, &["train", "--data", "d.npz"], &["--out"]);
    let words = [
        "train",
        "--data",
        "d",
        "--out",
        "o",
        "--input-modes",
        "8by4",
    ];
    fails(2, &words, &["8by4", "8x20x20x18"]);
    let help = run(&["train", "--help"]);
    assert_eq!(help.status, Some(0));
    assert!(help.out.contains("--input-modes"));
}

/// A program can tell a refusal by its kind, without reading its words.
#[test]
fn refusals_of_the_library_have_kinds() {
    let kind = |map| MapShape::to_gates(4, map, &[4, 8, 8], &[2, 8, 8]);
    let map = MapKind::BlockTerm { blocks: 2, rank: 4 };
    let layers = Layers {
        input: kind(map),
        whole: vec![],
        arena: ArenaLayout::new((Cell::Lstm, 1), 128, (Pool::Last, None), None, 0, 0),
    };
    let limits = Limits {
        ram_bytes: Some(1 << 10),
        ..Limits::default()
    };
    let error = refused(&rank(&layers, &limits).unwrap_err(), &limits);
    let ErrorKind::OverLimits(over) = &error.kind else {
        panic!("{error}");
    };
    assert_eq!((over.ram_limit, over.flash_limit), (limits.ram_bytes, None));
    // What it says would do, does.
    let limits = Limits {
        ram_bytes: Some(over.ram_bytes),
        ..limits
    };
    assert!(rank(&layers, &limits).is_ok());

    let shape = MapShape {
        outputs: vec![8, 8],
        ..kind(map)
    };
    let error = shape.validate("", "hidden-modes").unwrap_err();
    let ErrorKind::Mismatch(numbers) = &error.kind else {
        panic!("{error}");
    };
    assert_eq!((numbers.found, numbers.expected), (3, 2));
    let error = MapKind::TensorTrain { rank: 65 }.validate("").unwrap_err();
    let ErrorKind::OutOfRange { found, .. } = &error.kind else {
        panic!("{error}");
    };
    assert_eq!((&**found, error.exit_status()), ("65", 1));
    let error = Recordings::new("theo", "").unwrap_err();
    let ErrorKind::Flag(kind) = &error.kind else {
        panic!("{error}");
    };
    assert!(matches!(&**kind, ErrorKind::HoldOut { found } if &**found == "theo"));
    assert_eq!(error.exit_status(), 2);

    // A setting beside something else, a file of another kind, and what is not there.
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log.csv");
    std::fs::write(&log, "t,x\n").unwrap();
    let held_out = Recordings::new("speaker=theo", "").unwrap();
    let error = bt_train::data::load(&log, &held_out, &[], None).unwrap_err();
    let with = With::File;
    assert!(matches!(error.kind, ErrorKind::Conflict { with: found, .. } if found == with));
    let load =
        |path: &Path| bt_train::data::load(path, &Recordings::default(), &[], None).unwrap_err();
    let kind = load(&log).kind;
    assert!(matches!(kind, ErrorKind::FileKind(FileKind::Log)), "{kind}");
    let kind = load(place.path()).kind;
    assert!(matches!(kind, ErrorKind::Lacks(Lack::Index)), "{kind}");
}

#[test]
fn bad_data_is_one_line_with_file_field_and_remedy() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let out = text(&out);
    let fails_with = |data: &str, expected: &[&str]| {
        fails(1, &train_words(data, out, &[]), expected);
        assert!(!Path::new(out).exists(), "a failed start leaves no run");
    };
    fails_with("nowhere.npz", &["nowhere.npz", "No such file"]);

    let whole = Toy::new(30).write(place.path());
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    fails_with(&whole, &["d.npz", "cut short"]);
    // A byte of x changed: the archive's own checksum tells.
    let mut damaged = bytes.clone();
    damaged[400] ^= 1;
    std::fs::write(&whole, &damaged).unwrap();
    fails_with(&whole, &["d.npz: x_train", "checksum"]);

    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 12], &[1e300f64; 24]);
    fails_with(
        &toy.write(place.path()),
        &["x_train: feature 0 has values such as 1.0e300"],
    );

    let mut toy = Toy::empty();
    let mut values = [0f32; 24];
    values[13] = f32::NAN;
    toy.add("x_train", &[2, 1, 12], &values);
    fails_with(&toy.write(place.path()), &["x_train", "NaN", "[1, 0, 1]"]);

    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 12], &[0u8; 24]);
    fails_with(&toy.write(place.path()), &["y_train: is missing"]);
    toy.add("y_train", &[3], &[0i64, 1, 1]);
    fails_with(
        &toy.write(place.path()),
        &["y_train: has shape [3], expected [2]"],
    );

    // Targets of no head.
    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 12], &[0u8; 24]);
    toy.add("y_train", &[2], &[0.5f32, f32::NAN]);
    let expected = ["y_train: holds a value that is not finite (NaN) at [1]"];
    fails_with(&toy.write(place.path()), &expected);
    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 2, 12], &[0u8; 48]);
    toy.add("y_train", &[2, 3], &[0i64, 1, 1, 0, 0, 0]);
    let expected = ["y_train: has shape [2, 3]", "or [2, 2], one for each step"];
    fails_with(&toy.write(place.path()), &expected);
    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 12], &[0u8; 24]);
    toy.add("lengths_train", &[3], &[1i64, 1, 1]);
    let expected = ["lengths_train: has shape [3]", "one integer for each"];
    fails_with(&toy.write(place.path()), &expected);

    let mut toy = Toy::empty();
    toy.add("x_train", &[24], &[0u8; 24]);
    fails_with(&toy.write(place.path()), &["x_train: has shape [24]"]);

    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 12], &[0u8; 24]);
    toy.add("y_train", &[2], &[0i64, -1]);
    fails_with(&toy.write(place.path()), &["y_train: value -1 at 1"]);

    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 12], &[0u8; 24]);
    toy.add("y_train", &[2], &[0i64, 2]);
    fails_with(
        &toy.write(place.path()),
        &["class 1 has no training sequence"],
    );
    toy.add("lengths_train", &[2], &[0i64, 1]);
    fails_with(&toy.write(place.path()), &["lengths_train: value 0 at 0"]);
}

#[test]
fn modes_that_do_not_fit_are_answered_with_some_that_do() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(30).write(place.path());
    let out = place.path().join("run");
    let words = |modes, more: &[&'static str]| {
        let mut words = vec!["train", "--data", &data, "--out", text(&out)];
        words.extend([
            "--hidden-modes",
            "2x4",
            "--epochs",
            "1",
            "--input-modes",
            modes,
        ]);
        words.extend(more);
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let strs = |words: &[String]| -> i32 {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&words).status.unwrap()
    };
    let wrong = words("3x5", &[]);
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    fails(
        1,
        &wrong,
        &[
            "3x5 multiply to 15, but the width is 12",
            "--input-modes 4x3",
        ],
    );
    assert_eq!(strs(&words("3x5", &["--pad"])), 0);
    let left = run(&["eval", text(&out), "--data", &data, "--json"]);
    assert_eq!(left.status, Some(0), "{left:?}");
}

/// Settings of the front end are looked at before anything is cut or computed by them.
#[test]
fn a_front_end_that_cannot_be_is_one_line() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fsdd");
    for (more, expected) in [
        (["--hop", "0"], "a hop of 0 samples"),
        (["--bands", "0"], "0 bands"),
        (["--vectors-per-step", "0"], "vectors-per-step: is 0"),
        (["--window", "100"], "a window of 100 samples"),
        (["--delays", "1024"], "delays: is 1024; a step has 1024"),
    ] {
        let mut words = vec!["train", "--data", text(&sound), "--out", text(&out)];
        words.extend(["--input-modes", "4x8x8", "--hidden-modes", "2x2x2"]);
        words.extend(more);
        fails(1, &words, &[expected]);
    }
}

/// A model that memory cannot hold is refused before it is made; the limit of address space counts.
#[cfg(target_os = "linux")]
#[test]
fn a_model_larger_than_memory_is_one_line() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(30).write(place.path());
    let out = place.path().join("run");
    let words = |modes: &'static str| {
        let mut words = vec!["train", "--data", &data, "--out", text(&out)];
        words.extend(["--input-modes", "3x4", "--hidden-modes", modes]);
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let huge = words("10000x10000");
    let huge: Vec<&str> = huge.iter().map(String::as_str).collect();
    fails(
        1,
        &huge,
        &["hidden-modes: takes", "GB of memory", "smaller"],
    );
    // 4·10,000² weights, 8 GB while they learn.
    let program = bt_train();
    let left = Left::from(
        std::process::Command::new("sh")
            .args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""])
            .arg(program.get_program())
            .args(words("100x100"))
            .env("RAYON_NUM_THREADS", "1")
            .output()
            .unwrap(),
    );
    assert_eq!(left.status, Some(1), "{left:?}");
    assert_eq!(left.err.lines().count(), 1, "{left:?}");
    assert!(left.err.contains("takes 8.0"), "{left:?}");
}

/// One line, and nothing of the archive's own.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_the_logits_is_one_line() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(30).write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--epochs", "1"]);
    assert_eq!(run(&words).status, Some(0));
    let words = ["eval", text(&out), "--data", &data, "--logits", "/dev/full"];
    let left = run(&words);
    assert_eq!(left.status, Some(1), "{left:?}");
    assert!(
        left.err.starts_with("error: /dev/full: No space"),
        "{left:?}"
    );
    assert_eq!(left.err.lines().count(), 1, "{left:?}");
}

#[test]
fn an_exploding_loss_stops_with_the_update_and_the_remedy() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--lr", "1e9"]);
    fails(1, &words, &["the loss became", "of epoch 1; lower --lr"]);
    // Nothing was learned, so nothing stands in the way of another try.
    let words = train_words(&data, text(&out), &["--epochs", "1"]);
    assert_eq!(run(&words).status, Some(0));
}

/// A value that cannot be is wrong usage as a flag, a failure as a line of a file.
#[test]
fn a_value_that_cannot_be_is_told_with_its_place() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("model.toml");
    std::fs::write(&config, "input-dropout = 2.0\n").unwrap();
    let expected = ["input-dropout: "];
    let flag = train_words("d.npz", "o", &["--input-dropout", "2"]);
    fails(2, &flag, &expected);
    let words = ["--config", text(&config)];
    let line = train_words("d.npz", "o", &words);
    fails(1, &line, &["model.toml: input-dropout: "]);
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_known_one() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("model.toml");
    std::fs::write(&config, "epoch = 3\n").unwrap();
    let words = ["--config", text(&config)];
    let expected = ["model.toml: epoch: unknown key; did you mean `epochs`?"];
    fails(1, &train_words("d.npz", "o", &words), &expected);
}

#[test]
fn damaged_models_are_one_line() {
    let place = tempfile::tempdir().unwrap();
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/interop");
    let data = interop.join("data.npz");
    let bytes = std::fs::read(interop.join("dense.safetensors")).unwrap();
    let path = place.path().join("m.safetensors");
    let fails_with = |bytes: &[u8], expected: &[&str]| {
        std::fs::write(&path, bytes).unwrap();
        fails(1, &["eval", text(&path), "--data", text(&data)], expected);
    };
    fails_with(&bytes[..100], &["m.safetensors: cannot be read"]);
    fails_with(
        &bytes[..bytes.len() - 4],
        &["m.safetensors: cannot be read"],
    );
    // Other metadata of the same length: the tensors no longer fit.
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let expected = ["head.weight: has shape [4, 5], expected [7, 5]"];
    fails_with(
        &changed("\\\"classes\\\": 4", "\\\"classes\\\": 7"),
        &expected,
    );
    let expected = ["lstm.input.weight: has shape [20, 24], expected [20, 23]"];
    fails_with(&changed("[24]", "[23]"), &expected);
    fails_with(
        &changed("\"bt\":", "\"tb\":"),
        &["metadata `bt`: is missing"],
    );
    fails(1, &["inspect", text(&data)], &["data.npz"]);
}

#[test]
fn a_model_of_another_width_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/interop/dense.safetensors");
    let data = Toy::new(30).write(place.path());
    let expected = ["x_test: has 12 features a step, the model takes 24"];
    fails(1, &["eval", text(&model), "--data", &data], &expected);
}
