//! What goes to standard output and standard error.

use bt_tests::program::{Left, Toy, bt_train, fails, run, text, train_words};

/// `--json`: one object on standard output, nothing else there, nothing on standard error.
#[test]
fn training_is_summed_up_in_json() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let out = place.path().join("run");
    let left = run(&train_words(
        &data,
        text(&out),
        &["--epochs", "3", "--json"],
    ));
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(object["epochs"], 3);
    // Two blocks of (3·8 + 4·4)·4 and a core of 4², dense 32·8, 32 biases, head 3·8 + 3.
    assert_eq!(object["parameters"], 2 * (160 + 16) + 256 + 32 + 27);
    let sequences = &object["sequences"];
    let count = |part: &str| sequences[part].as_u64().unwrap();
    assert_eq!(count("train") + count("validation"), 60);
    // What metrics.jsonl holds of that epoch.
    let metrics = std::fs::read_to_string(object["files"]["metrics"].as_str().unwrap()).unwrap();
    let best = object["best_epoch"].as_u64().unwrap() as usize;
    let line: serde_json::Value =
        serde_json::from_str(metrics.lines().nth(best - 1).unwrap()).unwrap();
    assert_eq!(object["accuracy"], line["validation"]["accuracy"]);
    assert_eq!(object["loss"], line["validation"]["loss"]);
    for file in ["model", "settings", "state", "curves", "confusion"] {
        let path = object["files"][file].as_str().unwrap();
        assert!(std::path::Path::new(path).is_file(), "{path}");
    }

    // Without a validation part there is no accuracy to tell.
    let out = place.path().join("other");
    let more = ["--epochs", "1", "--json", "--validation", "0"];
    let left = run(&train_words(&data, text(&out), &more));
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert!(
        object["accuracy"].is_null() && object["best_epoch"] == 1,
        "{object}"
    );
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

/// What is strange about data or a model is told in a line each on standard error, when the command is
/// done: standard output keeps to its object, and a command that fails writes its one line.
#[test]
fn warnings_follow_on_standard_error() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let mut toy = Toy::empty();
    let x: Vec<u8> = (0..20u32 * 12)
        .map(|i| (i * i % 97) as u8 + if i / 12 % 2 == i % 12 { 120 } else { 0 })
        .collect();
    let y: Vec<i64> = (0..20).map(|sequence| sequence % 2).collect();
    for part in ["train", "test"] {
        toy.add(&format!("x_{part}"), &[20, 1, 12], &x);
        toy.add(&format!("y_{part}"), &[20], &y);
    }
    let data = toy.write(place.path());
    let left = run(&train_words(&data, text(&out), &["--epochs", "2"]));
    let expected = format!(
        "warning: {data}: 20 sequences of the test part with the values of one of the training part, such as x_train[0] and x_test[0]; drop them from one of the two\n"
    );
    assert_eq!((left.status, &left.err), (Some(0), &expected), "{left:?}");
    let model = place.path().join("m.btm");
    let words = ["quantize", text(&out), "--data", &data, "--json", "--out"];
    let left = run(&[&words[..], &[text(&model)]].concat());
    assert_eq!((left.status, &left.err), (Some(0), &expected), "{left:?}");
    serde_json::from_str::<serde_json::Value>(&left.out).unwrap();
    fails(
        1,
        &train_words(&data, text(&place.path().join("other")), &["--lr", "1e9"]),
        &["the loss became"],
    );
}
