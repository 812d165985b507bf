//! Where the commands write, and what y is read as.

use bt_tests::program::{Toy, fails, quantize_words, run, text, train_words};

#[test]
fn no_command_writes_over_what_it_reads() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(30).write(place.path());
    let out = place.path().join("run");
    let left = run(&train_words(&data, text(&out), &["--epochs", "1"]));
    assert_eq!(left.status, Some(0), "{left:?}");
    let (best, model) = (out.join("best.safetensors"), place.path().join("m.btm"));
    let left = run(&quantize_words(text(&out), &data, text(&model), &[]));
    assert_eq!(left.status, Some(0), "{left:?}");
    let files = [data.as_str(), text(&best), text(&model)];
    let before = files.map(|file| std::fs::read(file).unwrap());
    let (run_, best, model) = (text(&out), text(&best), text(&model));
    // A name of the same file, by another way.
    let round = place.path().join("run/../m.btm");
    let lost = "is read here, and would be lost; write to another name";
    for words in [
        &["eval", run_, "--data", &data, "--logits", &data][..],
        &["eval", run_, "--data", &data, "--logits", best],
        &["run", model, "--data", &data, "--logits", text(&round)],
        &["run", model, "--data", &data, "--logits", &data],
        &["quantize", run_, "--data", &data, "--out", &data],
        &["quantize", run_, "--data", &data, "--out", best],
        &["compare", "--data", &data, "--curves", &data],
        &["generate", model, "--out", model],
    ] {
        fails(1, words, &[lost]);
    }
    // Nothing that is there in a folder that is read, which may be a part of it.
    let folder = place.path().join("sound");
    std::fs::create_dir(&folder).unwrap();
    let index = folder.join("index.csv");
    std::fs::write(&index, "file,label\n").unwrap();
    let words = [
        "eval",
        run_,
        "--data",
        text(&folder),
        "--logits",
        text(&index),
    ];
    let in_folder = "index.csv: is there already, in a folder that is read here, and would be lost";
    fails(1, &words, &[in_folder]);
    let config = out.join("config.toml");
    let words = ["eval", run_, "--data", &data, "--logits", text(&config)];
    fails(1, &words, &["config.toml: is read here, and would be lost"]);
    let report = out.join("report.html");
    let words = ["quantize", run_, "--data", &data, "--out", text(&report)];
    fails(1, &words, &["report.html: is read here, and would be lost"]);
    // What a run begins with, in its own folder.
    let started = place.path().join("started");
    std::fs::create_dir(&started).unwrap();
    let [model_there, config_there] =
        ["best.safetensors", "config.toml"].map(|name| started.join(name));
    std::fs::copy(best, &model_there).unwrap();
    let words = ["train", "--data", &data, "--out", text(&started)];
    fails(
        1,
        &[&words[..], &["--init", text(&model_there)]].concat(),
        &["best.safetensors: is read here"],
    );
    std::fs::remove_file(&model_there).unwrap();
    std::fs::write(&config_there, "epochs = 1\n").unwrap();
    fails(
        1,
        &[&words[..], &["--config", text(&config_there)]].concat(),
        &["config.toml: is read here"],
    );
    assert_eq!(
        std::fs::read_to_string(&config_there).unwrap(),
        "epochs = 1\n"
    );
    let floats = place.path().join("m.safetensors");
    let words = ["quantize", run_, "--data", &data, "--out", text(&floats)];
    let named =
        "m.safetensors: is named as floats are, and integers are written here; call it .btm";
    fails(1, &words, &[named]);
    assert!(!floats.exists());
    assert_eq!(files.map(|file| std::fs::read(file).unwrap()), before);
    // Integers are nothing to start from.
    let other = place.path().join("other");
    let words = train_words(&data, text(&other), &["--init", model]);
    fails(
        1,
        &words,
        &["m.btm: is in integers already", "the model of floats"],
    );
    let words = ["train", "--data", &data, "--out", text(&other)];
    let none = "units: is 0; give 1 or more, or leave it out";
    fails(2, &[&words[..], &["--units", "0"]].concat(), &[none]);
    let config = place.path().join("c.toml");
    std::fs::write(&config, "units = 0\n").unwrap();
    fails(
        1,
        &[&words[..], &["--config", text(&config)]].concat(),
        &["c.toml", none],
    );
}

/// Integers are values where the head says so; floats that are whole numbers are told of, and values have no accuracy.
#[test]
fn the_head_says_what_y_is() {
    let place = tempfile::tempdir().unwrap();
    let mut toy = Toy::empty();
    let x: Vec<u8> = (0..40u32 * 12).map(|i| (i * 37 % 101) as u8).collect();
    let y: Vec<i64> = (0..80).map(|i| 300 * (i % 7) - 900).collect();
    for part in ["train", "test"] {
        toy.add(&format!("x_{part}"), &[40, 1, 12], &x);
        toy.add(&format!("y_{part}"), &[40, 2], &y);
    }
    let data = toy.write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--epochs", "1"]);
    fails(1, &words, &["y_train: has shape [40, 2]", "ask for a head"]);
    let words = train_words(&data, text(&out), &["--epochs", "1", "--head", "values"]);
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
    assert!(
        left.out.contains("rmse") && !left.out.contains("accuracy"),
        "{left:?}"
    );
    let left = run(&["eval", text(&out), "--data", &data, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(told["outputs"].as_array().unwrap().len(), 2, "{told}");
    let model = place.path().join("m.btm");
    let left = run(&quantize_words(text(&out), &data, text(&model), &[]));
    assert_eq!(left.status, Some(0), "{left:?}");
    let left = run(&["run", text(&model), "--data", &data, "--json"]);
    assert_eq!(left.status, Some(0), "{left:?}");

    let mut toy = Toy::empty();
    toy.add("x_train", &[40, 1, 12], &x);
    let y: Vec<f32> = (0..40).map(|i| (i % 3) as f32).collect();
    toy.add("y_train", &[40], &y);
    let data = toy.write(place.path());
    let out = place.path().join("floats");
    let told = |more: &[&str]| {
        let left = run(&train_words(
            &data,
            text(&out),
            &[&["--epochs", "1"], more].concat(),
        ));
        assert_eq!(left.status, Some(0), "{left:?}");
        std::fs::remove_dir_all(&out).unwrap();
        left.err
    };
    let doubt = "floats are taken as values to be learned, though all of them are whole numbers";
    let err = told(&[]);
    assert!(
        err.contains(doubt) && err.contains("ask for the head classes"),
        "{err}"
    );
    assert_eq!(told(&["--head", "classes"]), "");
    assert_eq!(told(&["--head", "values"]), "");
}
