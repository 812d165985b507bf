//! The commands: what they leave and tell.

use bt_tests::program::{Left, MODES, Toy, bt_train, fails, run, text, train_words};

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
fn compares_every_form_of_map_a_gru_and_linear_controls() {
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
    let block_term = "block-term";
    assert_eq!(
        maps,
        ["dense", "tensor-train", block_term, block_term, block_term]
    );
    let of = |key: &str| {
        rows.iter()
            .map(|row| row[key].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("cell"), ["lstm", "lstm", "lstm", "lstm", "gru"]);
    assert_eq!(
        of("recurrent_map"),
        ["dense", "dense", "dense", block_term, "dense"]
    );
    // Beside them what knows no order, and what knows no memory; the class shows in the mean.
    let controls = object["controls"].as_array().unwrap();
    assert_eq!(controls[0]["reads"], "mean");
    assert_eq!(controls[1]["reads"]["frames"], 8);
    for control in controls {
        assert!(control["accuracy"].as_f64().unwrap() > 0.9, "{control}");
        assert!(control["validation"].is_number() && control["penalty"].is_number());
    }
    assert_eq!(object["seeds"], serde_json::json!([0, 1]));
    assert_eq!(object["sequences"]["test"], 60);
    assert!((object["baseline"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
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
    // A GRU has three gates: 2·(3·6 + 4·4) + 2².
    assert_eq!(weights, [384, 80, 84, 84, 72]);
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
    assert_eq!(epochs.len(), 5 * 2 * 4);
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
    for map in ["dense", "tensor-train", "block-term", "gru, block-term"] {
        assert!(svg.contains(&format!(">{map}</text>")), "{svg}");
    }
}

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

/// Old and new spellings of flags and sizes say the same; every core has its kernels.
#[test]
fn plan_and_quantize_speak_one_dialect() {
    let plan = |words: &[&str]| {
        let left = run(&[&["plan", "--json"], words].concat());
        assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
        serde_json::from_str::<serde_json::Value>(&left.out).unwrap()
    };
    let new = ["--input-modes", "4x4x4", "--hidden-modes", "2x2x4"];
    let old = ["--input", "4x4x4", "--hidden", "2x2x4"];
    let first = plan(&[&new[..], &["--ram", "2048"]].concat());
    for size in ["2K", "2k", "2KB", "2KiB"] {
        assert_eq!(
            plan(&[&old[..], &["--ram", size]].concat()),
            first,
            "{size}"
        );
    }
    let fast = plan(&[&new[..], &["--clock", "128MHz"]].concat());
    assert_eq!(fast["clock_hz"], 128_000_000);
    let of_core = |core: &str| {
        let object = plan(&[&new[..], &["--core", core]].concat());
        assert_eq!(object["core"], core);
        object["plans"].clone()
    };
    // The same kernels at another pace.
    let (m7, m4f) = (of_core("m7"), of_core("m4f"));
    assert_eq!(m7[0]["instructions"], m4f[0]["instructions"]);
    assert!(m7[0]["cycles"].as_u64() < m4f[0]["cycles"].as_u64());
    assert_eq!(of_core("m33"), of_core("m4f"));
    assert!(of_core("m0") != of_core("m3") && of_core("m3") != of_core("m4f"));
    assert!(of_core("m4") != of_core("m3") && of_core("m4") != of_core("m4f"));
    assert!(of_core("m55") != of_core("m4f"));

    // A board stands for its core, clock and limits: 256 KiB of flash and 16 KiB of RAM, less the program's.
    let board = plan(&[&new[..], &["--board", "microbit"]].concat());
    assert_eq!(board["core"], "m0");
    assert_eq!(board["clock_hz"], 16_000_000);
    let flags = [
        "--core", "m0", "--clock", "16M", "--ram", "10K", "--flash", "144K",
    ];
    assert_eq!(board, plan(&[&new[..], &flags].concat()));
    let faster = ["--board", "microbit", "--clock", "32M", "--ram", "2K"];
    let faster = plan(&[&new[..], &faster].concat());
    assert_eq!(faster["clock_hz"], 32_000_000);
    assert_eq!(
        faster["plans"][0]["ram_bytes"],
        first["plans"][0]["ram_bytes"]
    );
    let large = [
        "plan", "--input", "4x4x4", "--hidden", "16x16x8", "--board", "microbit",
    ];
    let words = [
        "board: no plan fits",
        "bytes of RAM",
        "microbit has 10240 bytes of RAM and 147456 of flash for a model",
    ];
    fails(1, &large, &words);
    fails(
        2,
        &[&large[..5], &["--board", "macrobit"]].concat(),
        &["no board 'macrobit'"],
    );

    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let out = place.path().join("run");
    assert_eq!(
        run(&train_words(&data, text(&out), &["--epochs", "1"])).status,
        Some(0)
    );
    let model = place.path().join("m.btm");
    let words = [
        "quantize",
        text(&out),
        "--data",
        &data,
        "--out",
        text(&model),
    ];
    let instructions = |core: &str| {
        let left = run(&[&words[..], &["--json", "--core", core]].concat());
        let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
        object["instructions"].as_u64().unwrap()
    };
    assert!(instructions("m0") > instructions("m4f"));
    let small = [&words[..], &["--ram", "16B"]].concat();
    fails(1, &small, &["ram: no plan fits", "allow it --ram "]);
}

/// Every help fits 100 columns and names the old spellings.
#[test]
fn help_fits_a_hundred_columns() {
    for command in [
        "train", "eval", "quantize", "run", "compare", "plan", "inspect", "search",
    ] {
        for help in ["--help", "-h"] {
            let left = run(&[command, help]);
            assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
            for line in left.out.lines() {
                assert!(line.chars().count() <= 100, "{command}: {line}");
            }
        }
    }
    let help = run(&["plan", "--help"]).out;
    assert!(help.contains("[alias: --input]") && help.contains("[alias: --hidden]"));
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

/// Logs of sensors become a data set that is trained on.
#[test]
fn logs_are_cut_into_a_data_set() {
    let place = tempfile::tempdir().unwrap();
    let logs = place.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    for user in 0..6 {
        let mut text = String::from("time,ax,ay,activity,device\n");
        for row in 0..240 {
            let (class, t) = (row / 60 % 2, f64::from(row) * 0.05);
            let x = if class == 1 {
                (t * 9.0).sin()
            } else {
                0.05 * (t * 31.0).sin()
            };
            let gap = if user == 2 && row == 30 { "" } else { "0.5" };
            let name = ["rest", "wave"][class as usize];
            text += &format!("{t:.2},{x:.4},{gap},{name},watch\n");
        }
        std::fs::write(logs.join(format!("user{user}.csv")), text).unwrap();
    }
    let data = place.path().join("d.npz");
    let words = [
        "cut",
        text(&logs),
        "--out",
        text(&data),
        "--window",
        "20",
        "--hop",
        "10",
    ];
    let words = [
        &words[..],
        &[
            "--label",
            "activity",
            "--hold-out",
            "file=user4,user5",
            "--json",
        ],
    ]
    .concat();
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
    assert_eq!(left.err.lines().count(), 2, "{left:?}");
    assert!(
        left.err
            .contains("user2.csv: a value is missing at 1 line: 32"),
        "{left:?}"
    );
    assert!(
        left.err.contains("column `device` holds `watch`"),
        "{left:?}"
    );
    let told: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    // Four stretches of 60 rows a file, five windows each; 30 and 29 rows give two and one.
    assert_eq!(told["sequences"]["train"], 4 * 20 - 5 + 2 + 1);
    assert_eq!(told["sequences"]["test"], 2 * 20);
    assert_eq!(told["columns"], serde_json::json!(["ax", "ay"]));
    let out = place.path().join("run");
    let words = [
        "train",
        "--data",
        text(&data),
        "--out",
        text(&out),
        "--units",
        "8",
    ];
    let left = run(&[&words[..], &["--epochs", "30", "--lr", "0.02"]].concat());
    assert_eq!(left.status, Some(0), "{left:?}");
    assert!(
        left.err.contains("x_train: feature 1 is constant"),
        "{left:?}"
    );
    assert!(
        left.out.contains("is / seen") && left.out.contains("wave"),
        "{left:?}"
    );
    let left = run(&["eval", text(&out), "--data", text(&data), "--json"]);
    let told: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert!(told["accuracy"].as_f64().unwrap() > 0.9, "{told}");
    let log = logs.join("user0.csv");
    let other = place.path().join("other");
    let words = ["train", "--data", text(&log), "--out", text(&other)];
    fails(1, &words, &["user0.csv: is a log", "bt-train cut"]);
    let bad = ["cut", text(&logs), "--out", text(&data), "--window", "90"];
    fails(
        1,
        &[&bad[..], &["--label", "activity"]].concat(),
        &["90 rows long; the longest has 60", "--window"],
    );
}

/// Nobody needs to know of modes for a first run: even ones are taken, for widths of 1 and primes too, and the
/// whole way to the device works.
#[test]
fn a_first_run_needs_no_modes() {
    let place = tempfile::tempdir().unwrap();
    let cases: [(usize, &[&str], &str); 5] = [
        (12, &[], "--input-modes 4x3 --hidden-modes 8x8"),
        (
            13,
            &["--units", "10"],
            "--pad --input-modes 7x2 --hidden-modes 5x2",
        ),
        (1, &["--units", "6"], "--input-modes 1x1 --hidden-modes 3x2"),
        (
            7,
            &["--input-map", "dense", "--units", "11"],
            "--input-modes 7 --hidden-modes 11",
        ),
        (
            66,
            &[
                "--input-map",
                "tensor-train",
                "--recurrent-map",
                "block-term",
                "--units",
                "7",
            ],
            "--input-modes 11x3x2 --hidden-modes 7x1x1",
        ),
    ];
    for (width, more, expected) in cases {
        let mut toy = Toy::empty();
        let sequences = 40;
        for part in ["train", "test"] {
            let x: Vec<u8> = (0..sequences * 2 * width)
                .map(|i| ((i * 37) % 50 + 100 * (i / (2 * width) % 2)) as u8)
                .collect();
            let y: Vec<i64> = (0..sequences as i64).map(|s| s % 2).collect();
            toy.add(&format!("x_{part}"), &[sequences, 2, width], &x);
            toy.add(&format!("y_{part}"), &[sequences], &y);
        }
        let data = toy.write(place.path());
        let out = place.path().join(format!("run{width}"));
        let words = [
            "train",
            "--data",
            &data,
            "--out",
            text(&out),
            "--epochs",
            "15",
        ];
        let left = run(&[&words[..], &["--lr", "0.02"], more].concat());
        assert_eq!(left.status, Some(0), "{left:?}");
        assert!(
            left.out.starts_with(&format!("taken: {expected}")),
            "{left:?}"
        );
        let btm = place.path().join("m.btm");
        let words = ["quantize", text(&out), "--data", &data, "--out", text(&btm)];
        assert_eq!(run(&words).status, Some(0));
        let left = run(&["run", text(&btm), "--data", &data, "--json"]);
        let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
        assert!(
            object["accuracy"].as_f64().unwrap() > 0.9,
            "{width}: {object}"
        );
    }
    // Units and modes that disagree.
    let data = Toy::new(30).write(place.path());
    let out = place.path().join("wrong");
    let words = [
        "train",
        "--data",
        &data,
        "--out",
        text(&out),
        "--units",
        "9",
    ];
    let words = [&words[..], &["--hidden-modes", "2x4"]].concat();
    fails(
        1,
        &words,
        &["hidden-modes: 2x4 multiply to 8, but the width is 9", "3x3"],
    );
}

/// Shapes of the paper's frame within a budget, and a budget that nothing keeps to.
#[test]
fn shapes_are_searched_for_by_weights_and_instructions() {
    let words = ["plan", "--search-shapes", "--input-modes", "57600"];
    let words = [&words[..], &["--hidden-modes", "256", "--ram", "11K"]].concat();
    let left = run(&[&words[..], &["--parameters", "4200", "--json"]].concat());
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    let shapes = object["shapes"].as_array().unwrap();
    assert!(!shapes.is_empty());
    for shape in shapes {
        let modes = |name: &str| -> Vec<u64> {
            let modes = shape[name].as_array().unwrap().iter();
            modes.map(|mode| mode.as_u64().unwrap()).collect()
        };
        let (inputs, hidden) = (modes("input_modes"), modes("hidden_modes"));
        assert_eq!(inputs.iter().product::<u64>(), 57_600);
        assert_eq!(hidden.iter().product::<u64>(), 256);
        // N·(Σ I·J'·R + R^d), J'_1 = 4·J_1.
        let number = |name: &str| shape[name].as_u64().unwrap();
        let (blocks, rank) = (number("blocks"), number("rank"));
        let factors: u64 = inputs.iter().zip(&hidden).map(|(i, j)| i * j * rank).sum();
        let gates = 3 * inputs[0] * hidden[0] * rank;
        let core = rank.pow(inputs.len() as u32);
        assert_eq!(number("parameters"), blocks * (factors + gates + core));
        assert!(number("parameters") <= 4_200 && number("ram_bytes") <= 11 << 10);
    }
    let few = [&words[..], &["--parameters", "100"]].concat();
    fails(
        1,
        &few,
        &[
            "search-shapes: no shape of 57600 values and 256 units",
            "--parameters",
        ],
    );
}
