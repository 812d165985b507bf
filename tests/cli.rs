//! The command line: what it leaves, its exit status, its one line of error.

use bt_tests::program::{Left, Toy, bt_train, run};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const MODES: &[&str] = &["--input-modes", "3x4", "--hidden-modes", "2x4"];

/// Runs and expects a failure with one line that holds all these words.
fn fails(status: i32, words: &[&str], expected: &[&str]) {
    let left = run(words);
    assert_eq!(left.status, Some(status), "{words:?}: {left:?}");
    assert_eq!(
        left.err.trim_end().lines().count(),
        1,
        "{words:?}: {left:?}"
    );
    assert_eq!(left.out, "", "{words:?}");
    for expected in expected {
        assert!(left.err.contains(expected), "{expected}: {}", left.err);
    }
}

fn train_words<'a>(data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["train", "--data", data, "--out", out];
    words.extend(MODES);
    words.extend(more);
    words
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn trains_evaluates_and_describes() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(90).write(place.path());
    let out = place.path().join("run");
    let left = run(&train_words(
        &data,
        text(&out),
        &["--epochs", "30", "--lr", "0.02"],
    ));
    assert_eq!(left.status, Some(0), "{left:?}");
    assert_eq!(left.err, "", "no bar where there is no terminal");
    for expected in ["validation", "best", "is / seen        0        1        2"] {
        assert!(left.out.contains(expected), "{expected}: {}", left.out);
    }

    let logits = place.path().join("l.npz");
    let words = [
        "eval",
        text(&out),
        "--data",
        &data,
        "--json",
        "--logits",
        text(&logits),
    ];
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(object["sequences"], 90);
    assert!(object["accuracy"].as_f64().unwrap() > 0.8, "{object}");
    assert!(std::fs::metadata(&logits).unwrap().len() > 90 * 3 * 4);

    let best = out.join("best.safetensors");
    let left = run(&["inspect", text(&best), "--json"]);
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    // Two blocks of (3·8 + 4·4)·4 and a core of 4², dense 32·8, 32 biases, head 3·8 + 3.
    assert_eq!(object["parameters"], 2 * (160 + 16) + 256 + 32 + 27);

    let model = place.path().join("m.btm");
    let left = run(&[
        "quantize",
        text(&out),
        "--data",
        &data,
        "--out",
        text(&model),
    ]);
    assert_eq!(left.status, Some(0), "{left:?}");
    let left = run(&["inspect", text(&model), "--json"]);
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(object["frame_values"], 12);
    assert_eq!(
        object["flash_bytes"],
        std::fs::metadata(&model).unwrap().len()
    );
}

/// `--report` names levels and classes; `--fine-tune` never ends worse on the validation part, and the
/// accuracy it tells is that of the file it wrote.
#[test]
fn reports_and_fine_tunes_the_integers() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(90).write(place.path());
    let out = place.path().join("run");
    let more = ["--epochs", "6", "--lr", "0.02"];
    assert_eq!(run(&train_words(&data, text(&out), &more)).status, Some(0));
    let model = place.path().join("m.btm");
    let words = ["quantize", text(&out), "--data", &data, "--out"];
    let words = [&words[..], &[text(&model)]].concat();
    let left = run(&[&words[..], &["--report"]].concat());
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    for expected in [
        "step",
        "saturated %",
        "in integers on the",
        "sequences of the validation part",
        "beyond 16",
    ] {
        assert!(left.out.contains(expected), "{expected}: {}", left.out);
    }

    let comparison = |more: &[&str]| {
        let left = run(&[&words[..], &["--json"], more].concat());
        assert_eq!(left.status, Some(0), "{left:?}");
        serde_json::from_str::<serde_json::Value>(&left.out).unwrap()
    };
    let plain = comparison(&[]);
    let level = &plain["input"]["levels"][0];
    for field in ["max", "scale", "shift", "bits", "snr_db", "saturated"] {
        assert!(level[field].is_number(), "{field}: {plain}");
    }
    assert!(plain["recurrent"]["levels"][0]["snr_db"].as_f64().unwrap() > 20.0);
    assert_eq!(plain["z"]["wrong"], 0.0);
    let classes = plain["comparison"]["classes"].as_array().unwrap();
    let counts = classes.iter().map(|class| class["sequences"].as_u64());
    assert_eq!(
        counts.sum::<Option<u64>>(),
        plain["comparison"]["sequences"].as_u64()
    );

    let tuned = comparison(&["--fine-tune", "3"]);
    assert_eq!(tuned["fine_tune"]["epochs"].as_array().unwrap().len(), 3);
    let accuracy =
        |object: &serde_json::Value| object["comparison"]["fixed_accuracy"].as_f64().unwrap();
    assert!(accuracy(&tuned) >= accuracy(&plain));
    assert_eq!(
        accuracy(&tuned),
        tuned["fine_tune"]["best"]["validation"]["accuracy"]
            .as_f64()
            .unwrap()
    );
    let left = run(&["run", text(&model), "--data", &data, "--json"]);
    assert_eq!(left.status, Some(0), "{left:?}");

    // Calibration needs no labels, fine-tuning does.
    let mut unlabelled = Toy::empty();
    unlabelled.add("x_train", &[2, 4, 3, 4], &[7u8; 96]);
    let bare = place.path().join("bare");
    std::fs::create_dir(&bare).unwrap();
    let bare = unlabelled.write(&bare);
    let words = [
        "quantize",
        text(&out),
        "--data",
        &bare,
        "--out",
        text(&model),
    ];
    let left = run(&words);
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    fails(
        1,
        &[&words[..], &["--fine-tune", "1"]].concat(),
        &["d.npz: y_train: is missing"],
    );
    let nowhere = ["quantize", text(&out), "--data", "x.npz", "--out"];
    fails(
        1,
        &[&nowhere[..], &["/nowhere/m.btm"]].concat(),
        &["/nowhere/m.btm: No such file"],
    );
    fails(
        2,
        &[&words[..], &["--fine-tune", "0"]].concat(),
        &["--fine-tune"],
    );
}

#[test]
fn compares_the_three_kinds_of_map() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let mut words = vec!["compare", "--data", &data, "--json", "--seeds", "2"];
    words.extend(MODES);
    words.extend(["--blocks", "1", "--rank", "2", "--epochs", "4", "--tune"]);
    let left = run(&words);
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    let rows = object["rows"].as_array().unwrap();
    let maps: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["input_map"].as_str())
        .collect();
    assert_eq!(maps, ["dense", "tensor-train", "block-term"]);
    for row in rows {
        let accuracies: Vec<f64> = row["accuracies"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(serde_json::Value::as_f64)
            .collect();
        assert_eq!(accuracies.len(), 2);
        let mean = row["accuracy_mean"].as_f64().unwrap();
        assert!((mean - (accuracies[0] + accuracies[1]) / 2.0).abs() < 1e-12);
        assert!(row["accuracy_sd"].is_number() && row["lr"].is_number());
        assert!(row["device_bytes"].as_u64().unwrap() > 0);
    }
    // 12·32 dense; ranks 2: 3·8·2 + 2·4·4 in a train; 2·(3·8 + 4·4) + 2² in a block.
    let weights: Vec<u64> = rows
        .iter()
        .filter_map(|row| row["input_parameters"].as_u64())
        .collect();
    assert_eq!(weights, [384, 80, 84]);
}

/// `--refit`: rates chosen by validation, models of every seed trained without one.
#[test]
fn compares_models_that_learnt_from_the_validation_part_too() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let curves = place.path().join("curves.jsonl");
    let mut words = vec!["compare", "--data", &data, "--json", "--seeds", "2"];
    words.extend(MODES);
    words.extend(["--blocks", "1", "--rank", "2", "--epochs", "4", "--refit"]);
    words.extend(["--curves", curves.to_str().unwrap()]);
    assert_eq!(run(&words).status, Some(2), "--refit takes --tune");
    words.push("--tune");
    let left = run(&words);
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    for row in object["rows"].as_array().unwrap() {
        assert!(row["validation_mean"].is_number() && row["epochs_to_90_percent"].is_number());
        for key in ["accuracies", "fixed_accuracies"] {
            assert_eq!(row[key].as_array().unwrap().len(), 2, "{key}");
        }
    }
    let text = std::fs::read_to_string(&curves).unwrap();
    let epochs: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(epochs.len(), 3 * 2 * 4);
    assert!(
        epochs
            .iter()
            .all(|epoch| epoch["metrics"]["validation"].is_null())
    );
    let picture = place.path().join("curves.svg");
    let at = words.iter().position(|word| *word == "--curves").unwrap();
    words[at + 1] = picture.to_str().unwrap();
    assert_eq!(run(&words).status, Some(0));
    let svg = std::fs::read_to_string(&picture).unwrap();
    for map in ["dense", "tensor-train", "block-term"] {
        assert!(svg.contains(&format!("accuracy, {map}")), "{svg}");
    }
}

/// `bt-train … | head -0`, and a full disk behind standard output.
#[test]
fn a_reader_that_is_gone_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = bt_train()
        .args(["plan", "--input", "4x4", "--hidden", "2x2"])
        .stdout(writer)
        .output()
        .unwrap();
    let left = Left::from(output);
    assert_eq!((left.status, left.err.as_str()), (Some(141), ""));

    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let output = bt_train()
            .args(["plan", "--input", "4x4", "--hidden", "2x2"])
            .stdout(full)
            .output()
            .unwrap();
        let left = Left::from(output);
        assert_eq!(left.status, Some(1));
        assert!(
            left.err.starts_with("error: standard output: No space"),
            "{left:?}"
        );
        assert_eq!(left.err.lines().count(), 1);
    }
}

/// One thread or three, the same model to the last byte.
#[test]
fn the_number_of_threads_does_not_matter() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let model = |threads: &str| {
        let out = place.path().join(threads);
        let left = bt_train()
            .args(train_words(&data, text(&out), &["--epochs", "3"]))
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(left.status.success());
        std::fs::read(out.join("best.safetensors")).unwrap()
    };
    assert!(model("1") == model("3"));
}

#[test]
fn evaluates_without_labels_and_without_a_training_part() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(30).write(place.path());
    let out = place.path().join("run");
    assert_eq!(
        run(&train_words(&data, text(&out), &["--epochs", "1"])).status,
        Some(0)
    );
    let mut unlabelled = Toy::empty();
    unlabelled.add("x_test", &[2, 4, 3, 4], &[7u8; 96]);
    let data = unlabelled.write(place.path());
    let left = run(&["eval", text(&out), "--data", &data, "--json"]);
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(object, serde_json::json!({ "sequences": 2 }));
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    fails(2, &[], &["subcommand"]);
    fails(2, &["train", "--bogus"], &["--bogus"]);
    fails(
        2,
        &["train", "--data", "d.npz", "--out", "o"],
        &["--input-modes"],
    );
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
    toy.add("x_train", &[2, 1, 12], &[0f64; 24]);
    fails_with(
        &toy.write(place.path()),
        &["x_train: is float64; save it as f32"],
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

    // Regression and labels of single steps are refused by name.
    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 12], &[0u8; 24]);
    toy.add("y_train", &[2], &[0.5f32, 1.5]);
    let expected = ["y_train: is float32", "regression is not supported"];
    fails_with(&toy.write(place.path()), &expected);
    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 2, 12], &[0u8; 48]);
    toy.add("y_train", &[2, 2], &[0i64, 1, 1, 0]);
    let expected = ["y_train: has shape [2, 2]", "labels of single steps"];
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
fn an_exploding_loss_stops_with_the_step_and_the_remedy() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--lr", "1e9"]);
    fails(1, &words, &["the loss became", "of epoch 1; lower --lr"]);
    // Nothing was learned, so nothing stands in the way of another try.
    let words = train_words(&data, text(&out), &["--epochs", "1"]);
    assert_eq!(run(&words).status, Some(0));
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

/// Starts a training run and waits for so many lines of metrics.
fn start_and_wait(words: &[&str], out: &Path, lines: usize) -> Child {
    let child = bt_train()
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = out.join("metrics.jsonl");
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < lines {
        assert!(Instant::now() < deadline, "no progress");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(600).write(place.path());
    let (whole, killed) = (place.path().join("whole"), place.path().join("killed"));
    let more = ["--epochs", "40", "--recurrent-dropout", "0.1"];
    assert_eq!(
        run(&train_words(&data, text(&whole), &more)).status,
        Some(0)
    );

    let words = train_words(&data, text(&killed), &more);
    let mut child = start_and_wait(&words, &killed, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let done = std::fs::read_to_string(killed.join("metrics.jsonl")).unwrap();
    assert!(
        done.lines().count() < 40,
        "killed too late to mean anything"
    );

    // Not without --resume, and nothing new with it.
    fails(1, &words, &["holds a run already", "--resume"]);
    let resume = ["train", "--data", &data, "--out", text(&killed), "--resume"];
    let mut other = resume.to_vec();
    other.extend(["--lr", "0.5"]);
    fails(1, &other, &["lr: is 0.5"]);
    assert_eq!(run(&resume).status, Some(0));
    for file in ["best.safetensors", "state.safetensors", "config.toml"] {
        let read = |run: &Path| std::fs::read(run.join(file)).unwrap();
        assert!(read(&whole) == read(&killed), "{file}");
    }
}

#[cfg(unix)]
/// A run goes on as it was started: with the same data and the same settings.
#[test]
fn a_run_does_not_go_on_with_other_data_or_settings() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(30).write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--epochs", "2"]);
    assert_eq!(run(&words).status, Some(0));
    let best = std::fs::read(out.join("best.safetensors")).unwrap();
    let on = train_words(&data, text(&out), &["--epochs", "2", "--resume"]);
    assert_eq!(run(&on).status, Some(0));
    let other = train_words(&data, text(&out), &["--epochs", "3", "--resume"]);
    fails(1, &other, &["epochs: is 3", "started with 2"]);
    let there = std::fs::create_dir(place.path().join("other"));
    there.unwrap();
    let other = Toy::new(33).write(&place.path().join("other"));
    let other = train_words(&other, text(&out), &["--resume"]);
    fails(1, &other, &["started with another data set", "--out"]);
    assert!(std::fs::read(out.join("best.safetensors")).unwrap() == best);
}

#[test]
fn ctrl_c_leaves_a_usable_checkpoint() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(600).write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--epochs", "100000"]);
    let child = start_and_wait(&words, &out, 2);
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let left = bt_tests::program::Left::from(child.wait_with_output().unwrap());
    assert_eq!(left.status, Some(1), "{left:?}");
    assert_eq!(left.err.trim_end().lines().count(), 1, "{left:?}");
    assert!(left.err.contains("--resume"), "{left:?}");
    let left = run(&["eval", text(&out), "--data", &data]);
    assert_eq!(left.status, Some(0), "{left:?}");
}
