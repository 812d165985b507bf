//! Runs that end at any operation on a file: `--resume` gives the bytes of an unbroken run.

use crate::command::Cli;
use crate::data::NpzWriter;
use crate::error::{ErrorKind, Result};
use crate::file::{End, FolderLock, ending};
use crate::float::checkpoint::Checkpoint;
use crate::training::run::{RunFolder, RunWatch};
use crate::training::settings::Settings;
use crate::training::trainer::tests::{data, settings};
use crate::training::trainer::{Epoch, State, Trainer, Update};
use clap::Parser;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Checks that two folders hold the same files with the same bytes.
pub fn assert_same_files(found: &Path, expected: &Path, when: &str) {
    let (found, expected) = (files(found), files(expected));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected), "{when}");
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{when}: {name}");
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

struct Quiet;

impl RunWatch for Quiet {
    fn start(&mut self, _: &Trainer<'_>) {}

    fn updated(&mut self, _: Update) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn epoch(&mut self, _: &Epoch) {}
}

fn short() -> Settings {
    Settings {
        epochs: 3,
        batch: 26,
        ..settings()
    }
}

fn train(folder: &Path) -> Result<Vec<Epoch>> {
    let (settings, data) = (short(), data());
    let mut trainer = Trainer::new(&settings, settings.model(&data)?, &data)?;
    RunFolder::new(folder).train(&settings, &mut trainer, &mut Quiet)
}

/// Every operation of a run in turn is its last, by a kill, on a full disk, in a folder that became
/// read-only. What is under a final name is whole, and the run goes on to the same bytes.
#[test]
fn a_run_that_ends_at_any_operation_resumes_to_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let (epochs, operations) = ending(usize::MAX, End::Killed, || train(&whole));
    assert_eq!(epochs.unwrap().len(), 3);
    // Folder and lock, settings, state, best and metrics of three epochs, two pictures.
    assert!(operations > 60, "{operations}");
    for end in [End::Killed, End::Full, End::ReadOnly] {
        for at in 0..operations {
            let when = format!("{end:?} at {at}");
            let folder = place.path().join("broken");
            let left = ending(at, end, || train(&folder)).0;
            // Renaming needs no room, so the last operation is one that a full disk lets pass.
            let Err(error) = left else {
                assert!(end == End::Full && at + 1 == operations, "{when}");
                continue;
            };
            let line = error.to_string();
            assert!(matches!(error.kind, ErrorKind::Io(_)), "{when}: {line}");
            assert!(line.starts_with(folder.to_str().unwrap()), "{line}");
            let remedy = ["`resume` goes on", "choose an `out` that can be written"];
            assert!(remedy.iter().any(|end| line.ends_with(end)), "{line}");
            if folder.join("best.safetensors").exists() {
                Checkpoint::read(&folder.join("best.safetensors")).unwrap();
            }
            // It may be killed again before it comes further.
            if end == End::Killed && at % 4 == 0 {
                let _ = ending(at / 2, end, || train(&folder));
            }
            let epochs = train(&folder).unwrap();
            assert_eq!(epochs.len(), 3, "{when}");
            assert_same_files(&folder, &whole, &when);
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
}

/// A process that is gone, with its lock, between two operations or within one.
#[test]
fn a_process_that_is_killed_leaves_a_run_to_go_on_with() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let operations = ending(usize::MAX, End::Killed, || train(&whole)).1;
    for at in (1..operations).step_by(operations / 6) {
        let folder = place.path().join(at.to_string());
        let left = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["training::crash::killed_process", "--exact", "--ignored"])
            .env(FOLDER, &folder)
            .env(AT, at.to_string())
            .output()
            .unwrap();
        assert_eq!(left.status.code(), None, "{left:?}");
        train(&folder).unwrap();
        assert_same_files(&folder, &whole, &format!("killed at {at}"));
    }
}

const FOLDER: &str = "BT_TRAIN_TEST_FOLDER";
const AT: &str = "BT_TRAIN_TEST_AT";

#[test]
#[ignore = "the process that the test above kills"]
fn killed_process() {
    let (Some(folder), Ok(at)) = (std::env::var_os(FOLDER), std::env::var(AT)) else {
        return;
    };
    let _ = ending(at.parse().unwrap(), End::Abort, || {
        train(Path::new(&folder))
    });
}

#[test]
fn a_folder_is_trained_in_by_one() {
    let place = tempfile::tempdir().unwrap();
    let _other = FolderLock::take(place.path()).unwrap();
    let line = train(place.path()).unwrap_err().to_string();
    let name = place.path().to_str().unwrap();
    let expected = ": another training run writes here; wait for its end, or choose another `out`";
    assert_eq!(line, format!("{name}{expected}"));
}

/// Another run that came and went between reading the settings and training is not mixed with.
#[test]
fn a_run_with_other_settings_is_not_gone_on_with() {
    let place = tempfile::tempdir().unwrap();
    train(place.path()).unwrap();
    let before = files(place.path());
    let (mut settings, data) = (short(), data());
    settings.lr = 0.5;
    let model = settings.model(&data).unwrap();
    let mut trainer = Trainer::new(&settings, model, &data).unwrap();
    let left = RunFolder::new(place.path()).train(&settings, &mut trainer, &mut Quiet);
    let line = left.unwrap_err().to_string();
    assert!(line.starts_with("lr: is 0.5, but the run"), "{line}");
    assert!(files(place.path()) == before);
}

/// Floats of a state are read as they were written, all of them.
#[test]
fn every_float_of_a_state_comes_back() {
    let mut random = bt_core::drawing::Random::new(1, 0);
    for _ in 0..20_000 {
        let bits = u64::from(random.next_u32()) << 32 | u64::from(random.next_u32());
        // Between 2^-10 and 2, where losses and shares lie.
        let exponent = 1013 + (bits >> 52) % 11;
        let loss = f64::from_bits(exponent << 52 | bits >> 12);
        let score = crate::training::evaluate::Score {
            figures: crate::training::metrics::Figures::Classes {
                accuracy: 0.5,
                balanced_accuracy: loss,
                macro_f1: loss,
            },
            captions: None,
            loss,
        };
        let state = State {
            epochs: 1,
            updates: 1,
            data: bits,
            best: Some(crate::training::trainer::Best {
                epoch: 1,
                validation: Some(score),
            }),
        };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }
}

/// The other commands that write leave the old file or a whole new one, and nothing besides on a
/// full disk; without a fault they write the same again.
#[test]
fn commands_that_end_at_any_operation_leave_whole_files() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let mut writer = NpzWriter::new();
    let x: Vec<u8> = (0..24 * 8)
        .map(|i| (i * 37 % 100) as u8 + if i / 8 % 2 == 0 { 100 } else { 0 })
        .collect();
    let y: Vec<u8> = (0..24).map(|i| i % 2).collect();
    for part in ["train", "test"] {
        let name = |array: &str| format!("{array}_{part}");
        writer.array(&name("x"), &[24, 1, 8], &x).unwrap();
        writer.array(&name("y"), &[24], &y).unwrap();
    }
    let (data, run) = (path("d.npz"), path("run"));
    writer.write(Path::new(&data)).unwrap();
    let command = |words: &[&str]| {
        let words = std::iter::once(&"bt-train").chain(words);
        Cli::try_parse_from(words).unwrap().run()
    };
    train(Path::new(&run)).unwrap();
    let (logits, model) = (path("l.npz"), path("m.btm"));
    let eval = ["eval", &run, "--data", &data, "--json", "--logits", &logits];
    let quantize = ["quantize", &run, "--data", &data, "--json", "--out", &model];
    let scores = path("s.npz");
    let on = [
        "run", &model, "--data", &data, "--json", "--logits", &scores,
    ];
    for (words, file) in [(&eval, &logits), (&quantize, &model), (&on, &scores)] {
        let (left, operations) = ending(usize::MAX, End::Killed, || command(words));
        left.unwrap();
        let expected = std::fs::read(file).unwrap();
        for end in [End::Killed, End::Full] {
            for at in 0..operations {
                std::fs::write(file, b"old").unwrap();
                let before = std::fs::read_dir(place.path()).unwrap().count();
                let left = ending(at, end, || command(words)).0;
                let found = std::fs::read(file).unwrap();
                let when = format!("{words:?}, {end:?} at {at}");
                match left {
                    Ok(()) => assert!(found == expected, "{when}"),
                    Err(error) => {
                        assert!(found == b"old", "{when}");
                        let line = error.to_string();
                        assert!(line.starts_with(file.as_str()), "{line}");
                    }
                }
                let after = std::fs::read_dir(place.path()).unwrap().count();
                assert!(end == End::Killed || after == before, "{when}");
                command(words).unwrap();
                assert!(std::fs::read(file).unwrap() == expected, "{when}");
                let after = std::fs::read_dir(place.path()).unwrap().count();
                assert_eq!(after, before, "{when}");
            }
        }
    }
}
