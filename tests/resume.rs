//! Runs that are killed, interrupted and gone on with.

use bt_tests::program::{Toy, bt_train, fails, run, text, train_words};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

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

/// Killed again and again, a run ends in the same bytes, in every file.
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
    let resume = ["train", "--data", &data, "--out", text(&killed), "--resume"];
    for (words, lines) in [(&words[..], 3), (&resume, 9), (&resume, 15)] {
        let mut child = start_and_wait(words, &killed, lines);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = std::fs::read_to_string(killed.join("metrics.jsonl")).unwrap();
    assert!(
        done.lines().count() < 40,
        "killed too late to mean anything"
    );

    // Not without --resume, and nothing new with it.
    fails(1, &words, &["holds a run already", "--resume"]);
    let mut other = resume.to_vec();
    other.extend(["--lr", "0.5"]);
    fails(1, &other, &["lr: is 0.5"]);
    assert_eq!(run(&resume).status, Some(0));
    assert!(files(&whole) == files(&killed));
    // What is done can be asked for once more.
    assert_eq!(run(&resume).status, Some(0));
    assert!(files(&whole) == files(&killed));
}

/// Name and content of every file of a folder.
fn files(folder: &Path) -> BTreeMap<OsString, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Who trains in a folder is alone there; the one that comes later changes nothing.
#[test]
fn a_folder_takes_one_training_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--epochs", "1000000"]);
    let mut child = start_and_wait(&words, &out, 2);
    let resume = ["train", "--data", &data, "--out", text(&out), "--resume"];
    let expected = [text(&out), "another training run writes here; wait"];
    fails(1, &resume, &expected);
    child.kill().unwrap();
    child.wait().unwrap();
}

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
    let other = train_words(&data, text(&out), &["--epochs", "1", "--resume"]);
    fails(1, &other, &["epochs: is 1", "started with 2"]);
    let there = std::fs::create_dir(place.path().join("other"));
    there.unwrap();
    let other = Toy::new(33).write(&place.path().join("other"));
    let other = train_words(&other, text(&out), &["--resume"]);
    fails(1, &other, &["started with another data set", "--out"]);
    assert!(std::fs::read(out.join("best.safetensors")).unwrap() == best);
}

/// A finished run goes on beyond its end; its model starts other runs, and is kept while it is the best.
#[test]
fn learning_goes_on_from_a_run_and_from_a_model() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(90).write(place.path());
    let out = place.path().join("run");
    let words = train_words(&data, text(&out), &["--epochs", "4", "--lr", "0.02"]);
    assert_eq!(run(&words).status, Some(0));
    let on = ["train", "--data", &data, "--out", text(&out), "--resume"];
    let on = [&on[..], &["--epochs", "7"]].concat();
    assert_eq!(run(&on).status, Some(0));
    let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 7);

    let best = out.join("best.safetensors");
    let warm = place.path().join("warm");
    let words = ["train", "--data", &data, "--out", text(&warm)];
    let init = [&words[..], &["--init", text(&best), "--epochs", "2"]].concat();
    let left = run(&[&init[..], &["--json"]].concat());
    assert_eq!((left.status, &*left.err), (Some(0), ""), "{left:?}");
    let told: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(told["epochs"], 2);
    let config = std::fs::read_to_string(warm.join("config.toml")).unwrap();
    assert!(
        config.contains("hidden-modes = \"2x4\"") && config.contains("init = "),
        "{config}"
    );
    // Offset and scale are the model's; at a rate of nothing so are the weights, and epoch 0 is the best.
    let still = place.path().join("still");
    let words = [
        "train",
        "--data",
        &data,
        "--out",
        text(&still),
        "--epochs",
        "1",
    ];
    let words = [
        &words[..],
        &["--init", text(&best), "--lr", "1e-30", "--json"],
    ]
    .concat();
    let left = run(&words);
    let told: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(told["best_epoch"], 0, "{left:?}");
    let tensors = |path: &Path| bt_train::float::checkpoint::Checkpoint::read(path).unwrap();
    assert_eq!(tensors(&still.join("best.safetensors")), tensors(&best));
    let resume = [&words[..], &["--resume"]].concat();
    assert_eq!(run(&resume).status, Some(0));

    let other = place.path().join("other");
    let with = |more: &[&'static str]| {
        let words = [
            "train",
            "--data",
            &data,
            "--out",
            text(&other),
            "--init",
            text(&best),
        ];
        let words = [&words[..], more].concat();
        fails(
            2,
            &words,
            &more[..1].iter().map(|flag| &flag[2..]).collect::<Vec<_>>(),
        );
    };
    with(&["--hidden-modes", "4x4"]);
    with(&["--normalize", "feature"]);
    with(&["--rank", "3"]);
    let words = [
        "train",
        "--data",
        &data,
        "--out",
        text(&other),
        "--init",
        "nowhere",
    ];
    fails(1, &words, &["nowhere: No such file"]);
}

// Ctrl-C is sent as a signal.
#[cfg(unix)]
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
