//! `search`: trials, rungs, kills, the front and the commands that it prints.

use bt_tests::program::{Toy, bt_train, quantize_words, run, text};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const LIMITS: [&str; 16] = [
    "--ram",
    "1K",
    "--flash",
    "8K",
    "--ms-per-step",
    "2",
    "--core",
    "m4f",
    "--clock",
    "64MHz",
    "--trials",
    "4",
    "--epochs",
    "4",
    "--lr",
    "0.02",
];

fn words<'a>(data: &'a str, folder: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["search", "--data", data, "--out", text(folder)];
    [&words[..], &LIMITS[..], more].concat()
}

fn json(words: &[&str]) -> Value {
    let left = run(words);
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    serde_json::from_str(&left.out).unwrap()
}

/// All but the names of the folder.
fn found(object: &Value) -> Vec<String> {
    let rows = object["front"].as_array().unwrap().iter();
    rows.map(|row| {
        let mut row = row.clone();
        row["run"] = Value::Null;
        row.to_string()
    })
    .collect()
}

/// A search in one go, one that is killed, and one whose trials are run one by one come to the same; the command
/// of the front trains the very model.
#[test]
fn a_search_comes_to_the_same_however_it_is_run() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(90).write(place.path());
    let whole = place.path().join("whole");
    let first = json(&words(&data, &whole, &["--json"]));
    let front = first["front"].as_array().unwrap();
    assert!(!front.is_empty());
    assert_eq!(
        (first["trials"].as_u64(), first["trained"].as_u64()),
        (Some(4), Some(2))
    );
    assert_eq!(first["pending"].as_array().unwrap().len(), 0);
    for row in front {
        assert!(row["ram_bytes"].as_u64().unwrap() <= 1024, "{row}");
        assert!(row["flash_bytes"].as_u64().unwrap() <= 8192, "{row}");
        assert!(row["milliseconds"].as_f64().unwrap() <= 2.0, "{row}");
        assert!(row["instructions"].as_u64().unwrap() > 0, "{row}");
        assert!(row["fixed_accuracy"].is_number(), "{row}");
        assert_eq!(row["epochs"], 4);
    }
    let picture = std::fs::read_to_string(first["plot"].as_str().unwrap()).unwrap();
    assert!(picture.contains("accuracy (validation) over RAM"));

    // The command trains the same weights, which need what the front says.
    let row = &front[0];
    let command = row["command"].as_str().unwrap();
    let command: Vec<&str> = command.split_whitespace().skip(1).collect();
    let trained = bt_train().args(&command).current_dir(place.path()).output();
    let trained = trained.unwrap();
    assert!(trained.status.success(), "{trained:?}");
    let out = command.iter().position(|word| *word == "--out").unwrap() + 1;
    let model = place.path().join(command[out]).join("best.safetensors");
    let of_trial = Path::new(row["run"].as_str().unwrap()).join("best.safetensors");
    assert_eq!(
        std::fs::read(&model).unwrap(),
        std::fs::read(of_trial).unwrap()
    );
    let btm = place.path().join("model.btm");
    let quantized = json(&quantize_words(
        text(&model),
        &data,
        text(&btm),
        &["--ram", "1K", "--flash", "8K", "--json"],
    ));
    for field in ["ram_bytes", "flash_bytes", "instructions"] {
        assert_eq!(quantized[field], row[field], "{field}");
    }
    let inspected = json(&["inspect", text(&model), "--json"]);
    assert_eq!(inspected["parameters"], row["parameters"]);

    // Again: all is done. And gathered only.
    for more in [&["--json"][..], &["--collect", "--json"]] {
        assert_eq!(json(&words(&data, &whole, more)), first);
    }

    let killed = place.path().join("killed");
    let mut child = bt_train()
        .args(words(&data, &killed, &["--json"]))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !killed.join("trial-1/state.safetensors").exists() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "no trial began"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let again = json(&words(&data, &killed, &["--json"]));
    assert_eq!(found(&again), found(&first));
    for trial in 0..4 {
        let best =
            |folder: &Path| std::fs::read(folder.join(format!("trial-{trial}/best.safetensors")));
        assert_eq!(best(&killed).unwrap(), best(&whole).unwrap(), "{trial}");
    }

    // One by one, as other programs would.
    let listed = place.path().join("listed");
    let mut rounds = Vec::new();
    loop {
        let left = run(&words(&data, &listed, &["--list"]));
        assert_eq!(left.status, Some(0), "{left:?}");
        let commands: Vec<&str> = left.out.lines().collect();
        if commands.is_empty() {
            break;
        }
        rounds.push(commands.len());
        for command in commands.iter().rev() {
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let left = run(&words);
            assert_eq!(left.status, Some(0), "{command}: {left:?}");
        }
    }
    assert_eq!(rounds, [4, 2]);
    let gathered = json(&[
        "search",
        "--data",
        &data,
        "--out",
        text(&listed),
        "--collect",
        "--json",
    ]);
    assert_eq!(found(&gathered), found(&first));
}

#[test]
fn searches_that_cannot_be_are_told_in_a_line() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let folder = place.path().join("s");
    let refused = |more: &[&str], expected: &str| {
        let words = [
            "search",
            "--data",
            &data,
            "--out",
            text(&folder),
            "--trials",
            "2",
        ];
        let left = run(&[&words[..], more].concat());
        assert!(!matches!(left.status, Some(0) | None), "{left:?}");
        assert_eq!(
            (left.out.as_str(), left.err.lines().count()),
            ("", 1),
            "{left:?}"
        );
        assert!(left.err.contains(expected), "{expected}: {}", left.err);
    };
    let none = "looked at keeps to the limits; the nearest (";
    refused(&["--ram", "60"], none);
    refused(&["--ram", "60"], "allow --ram ");
    refused(&["--ms-per-step", "0.00001"], "allow --ms-per-step ");
    refused(
        &["--board", "mps2-an386", "--flash", "200"],
        "bytes of flash where 200",
    );
    refused(&["--ms-per-step", "never"], "`never` is not a time");
    refused(&["--patience", "2"], "patience: does not go with a search");
    refused(
        &["--validation", "0"],
        "validation: leaves nothing to rank models by",
    );
    refused(&["--collect"], "holds no search");
    assert!(
        !folder.exists(),
        "what cannot be searched for leaves nothing"
    );

    // Another search in the same folder.
    let list = [
        "search",
        "--data",
        &data,
        "--out",
        text(&folder),
        "--trials",
        "2",
        "--list",
    ];
    let left = run(&list);
    assert_eq!(
        (left.status, left.out.lines().count()),
        (Some(0), 2),
        "{left:?}"
    );
    refused(
        &["--ram", "4K"],
        "ram: is 4096, but the run was started with no limit",
    );
    refused(&["--cell", "gru"], "cell: is ");
    refused(
        &["--trial", "7"],
        "trial: is 7; the search has trials 0 to 1",
    );
}
