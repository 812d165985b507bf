//! A model of streams: learned from recordings with events, a class for every step, and counted in a stream that goes on.

use bt_tests::model::Noise;
use bt_tests::program::{fails, quantize_words, run, text, wav};
use serde_json::Value;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

const RATE: f64 = 8_000.0;

/// Recordings of noise with tones of 0.5 s in it, two of which are events.
fn part(folder: &Path, recordings: usize, seconds: usize, seed: u32) {
    fs::create_dir_all(folder).unwrap();
    let mut noise = Noise::new(seed);
    let mut events = "file,label,start,end\n".to_owned();
    for recording in 0..recordings {
        let mut samples: Vec<f64> = (0..seconds * 8_000)
            .map(|_| f64::from(noise.bits() as i16) / 128.0)
            .collect();
        let mut start = 1.0;
        while start < seconds as f64 - 2.0 {
            let (label, hertz) = match noise.bits() % 3 {
                0 => (Some("low"), 500.0),
                1 => (Some("high"), 2_400.0),
                _ => (None, 1_200.0),
            };
            let first = (start * RATE) as usize;
            for (at, sample) in samples[first..first + 4_000].iter_mut().enumerate() {
                *sample += 6_000.0 * (TAU * hertz * at as f64 / RATE).sin();
            }
            if let Some(label) = label {
                events += &format!("{recording}.wav,{label},{start},{}\n", start + 0.5);
            }
            start += 1.5 + f64::from(noise.bits() % 1_000) / 1_000.0;
        }
        let samples: Vec<i16> = samples.iter().map(|sample| *sample as i16).collect();
        wav(&folder.join(format!("{recording}.wav")), &samples);
    }
    fs::write(folder.join("events.csv"), events).unwrap();
}

fn object(words: &[&str]) -> Value {
    let left = run(words);
    assert_eq!(left.status, Some(0), "{words:?}: {left:?}");
    serde_json::from_str(&left.out).unwrap()
}

#[test]
fn events_are_learned_from_streams_and_detected_in_others() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let data = path("data");
    part(&data.join("train"), 4, 30, 1);
    part(&data.join("validation"), 1, 30, 2);
    part(&data.join("test"), 2, 40, 3);
    let (data, out, file) = (text(&data).to_owned(), path("run"), path("m.btm"));
    let common = ["train", "--data", &data, "--json", "--bands", "16"];
    let shape = [
        "--vectors-per-step",
        "4",
        "--input-modes",
        "8x8",
        "--hidden-modes",
        "4x4",
    ];
    let rate = [
        "--cell", "gru", "--epochs", "25", "--batch", "4", "--lr", "0.02",
    ];
    let trained = object(&[&common[..], &shape, &rate, &["--out", text(&out)]].concat());
    // 30 s are two or three pieces of about 12 s.
    assert_eq!(trained["sequences"]["train"], 4 * 3);
    assert_eq!(trained["sequences"]["validation"], 3);

    let told = object(&["eval", text(&out), "--data", &data, "--json"]);
    // Steps of 64 ms; up to one is left out of each of the 6 pieces.
    let steps = told["steps"].as_u64().unwrap();
    assert!((1_250 - 6..=1_250).contains(&steps), "{steps}");
    assert_eq!(told["recall"].as_array().unwrap().len(), 3);
    assert!(told["macro_f1"].as_f64().unwrap() > 0.9, "{told}");
    let words = quantize_words(text(&out), &data, text(&file), &["--json"]);
    object(&words);
    let logits = path("l.npz");
    let integers = object(&[
        "run",
        text(&file),
        "--data",
        &data,
        "--json",
        "--logits",
        text(&logits),
    ]);
    assert_eq!(integers["steps"], steps);
    let difference = integers["macro_f1"].as_f64().unwrap() - told["macro_f1"].as_f64().unwrap();
    assert!(difference.abs() < 0.02, "{difference}");

    // The same folder, as a stream that goes on for 40 s.
    let test = path("data/test");
    let rules = [
        "--threshold",
        "0.5",
        "--smoothing",
        "1",
        "--hold-off",
        "0.5",
    ];
    let words = ["detect", text(&file), "--data", text(&test), "--json"];
    let detected = object(&[&words[..], &rules].concat());
    let lines = fs::read_to_string(test.join("events.csv")).unwrap();
    let events = lines.lines().count() as u64 - 1;
    assert_eq!(detected["events"], events);
    assert!(events > 15, "{events}");
    assert!(detected["misses"].as_u64().unwrap() <= 1, "{detected}");
    assert!(
        detected["false_alarms"].as_u64().unwrap() <= 1,
        "{detected}"
    );
    let classes = detected["classes"].as_array().unwrap();
    let labels: Vec<&str> = classes
        .iter()
        .filter_map(|one| one["label"].as_str())
        .collect();
    assert_eq!(labels, ["high", "low"]);
}

#[test]
fn what_streams_cannot_be_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let data = path("data");
    part(&data.join("train"), 2, 10, 1);
    let out = path("run");
    let words = |data: &Path, more: &[&str]| -> Vec<String> {
        let words = [
            "train",
            "--data",
            text(data),
            "--out",
            text(&out),
            "--epochs",
            "1",
            "--input-modes",
            "8x8x4",
            "--hidden-modes",
            "4x4x4",
        ];
        let all = words.iter().chain(more).map(|word| (*word).to_owned());
        all.collect()
    };
    let refused = |status, data: &Path, more: &[&str], expected: &[&str]| {
        let words = words(data, more);
        fails(
            status,
            &words.iter().map(String::as_str).collect::<Vec<_>>(),
            expected,
        );
    };
    refused(
        1,
        &data.join("train"),
        &[],
        &["single folder of streams", "as `train`"],
    );
    refused(
        1,
        &data,
        &["--hold-out", "speaker=a"],
        &["streams", "--hold-out"],
    );
    let moves = "would move streams away from the times of their events";
    refused(1, &data, &["--delays", "1"], &["delays: ", moves]);
    let config = path("c.toml");
    fs::write(&config, "[augment]\ntime-shift = 0.1\n").unwrap();
    let augment = ["--config", text(&config)];
    refused(1, &data, &augment, &["augment.time-shift", moves]);
    refused(1, &data, &["--head", "classes"], &["y_train", "every step"]);

    wav(&path("data/train/1.wav"), &[0; 300]);
    fs::write(
        path("data/train/events.csv"),
        "file,label,start,end\n0.wav,a,1,2\n",
    )
    .unwrap();
    refused(1, &data, &[], &["less than a step", "drop it"]);
    fs::write(
        path("data/train/events.csv"),
        "file,label,start,end\n0.wav,,1,2\n",
    )
    .unwrap();
    refused(1, &data, &[], &["events.csv", "event 1, column `label`"]);
    let mut other = fs::read(path("data/train/0.wav")).unwrap();
    other[24..28].copy_from_slice(&11_025u32.to_le_bytes());
    fs::write(path("data/train/1.wav"), other).unwrap();
    fs::write(
        path("data/train/events.csv"),
        "file,label,start,end\n0.wav,a,1,2\n",
    )
    .unwrap();
    refused(1, &data, &[], &["1.wav", "11025 samples a second", "8000"]);
}
