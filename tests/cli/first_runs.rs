//! From data that nobody prepared to a model: logs cut, modes found.

use bt_tests::program::{Toy, fails, quantize_words, run, text};

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
    let words = ["train", "--data", text(&logs), "--out", text(&other)];
    fails(1, &words, &["logs: ", "bt-train cut"]);
    // No log is written over.
    let before = std::fs::read(&log).unwrap();
    let words = ["cut", text(&logs), "--out", text(&log), "--window", "20"];
    fails(
        1,
        &words,
        &["user0.csv: is there already, in a folder that is read here"],
    );
    assert_eq!(std::fs::read(&log).unwrap(), before);
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
        assert!(left.out.contains("\ntaken: --normalize set\n"), "{left:?}");
        let btm = place.path().join("m.btm");
        let words = quantize_words(text(&out), &data, text(&btm), &[]);
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
