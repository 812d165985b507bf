//! The commands: what they leave and tell.

mod compare;
mod dialect;
mod first_runs;
mod outputs;
mod streams;

use bt_tests::program::{Toy, bt_train, fails, quantize_words, run, text, train_words};

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
    let left = run(&quantize_words(text(&out), &data, text(&model), &[]));
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
        "stage",
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
    let words = quantize_words(text(&out), &bare, text(&model), &[]);
    let left = run(&words);
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    fails(
        1,
        &[&words[..], &["--fine-tune", "1"]].concat(),
        &["d.npz: y_train: is missing"],
    );
    fails(
        2,
        &["quantize", text(&out), "--out", text(&model)],
        &["calibrated on what", "give --data"],
    );
    for command in ["eval", "quantize"] {
        let words = [command, text(&model), "--data", &bare];
        let out = match command {
            "quantize" => &["--out", "again.btm"][..],
            _ => &[],
        };
        fails(
            1,
            &[&words[..], out].concat(),
            &[
                "m.btm: is in integers already",
                "bt-train run",
                "--captions",
            ],
        );
    }
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

/// The same test part with its classes in another order: whoever scores it goes by their names.
#[test]
fn classes_go_by_their_names() {
    let place = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut named = Toy::new(90);
    named.name_classes(["down", "left", "up"]);
    let data = named.write(place.path());
    let mut renumbered = Toy::renumbered(90, [2, 0, 1]);
    renumbered.name_classes(["left", "up", "down"]);
    let renumbered = renumbered.write(other.path());

    let (out, model) = (place.path().join("run"), place.path().join("m.btm"));
    let trained = train_words(&data, text(&out), &["--epochs", "30", "--lr", "0.02"]);
    assert_eq!(run(&trained).status, Some(0));
    let words = quantize_words(text(&out), &data, text(&model), &[]);
    assert_eq!(run(&words).status, Some(0));
    for (command, model) in [("eval", &out), ("run", &model)] {
        let score = |data: &str| {
            let left = run(&[command, text(model), "--data", data, "--json"]);
            assert_eq!((left.status, &*left.err), (Some(0), ""), "{left:?}");
            serde_json::from_str::<serde_json::Value>(&left.out).unwrap()
        };
        let expected = score(&data);
        assert!(expected["accuracy"].as_f64().unwrap() > 0.8, "{expected}");
        assert_eq!(score(&renumbered), expected, "{command}");
    }

    // A class that the model does not know is named, and the numbers count.
    let mut foreign = Toy::renumbered(90, [0, 1, 2]);
    foreign.name_classes(["down", "noise", "up"]);
    let foreign = foreign.write(other.path());
    let left = run(&["eval", text(&out), "--data", &foreign, "--json"]);
    assert_eq!(left.status, Some(0), "{left:?}");
    assert!(
        left.err.contains("the model has no class `noise`"),
        "{left:?}"
    );
}
