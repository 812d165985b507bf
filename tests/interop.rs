//! Models that another program wrote give that program's logits.
//!
//! `data/interop/make.py` made models, data and float64 logits with NumPy;
//! `bt-train/python/bt_lstm` runs them in PyTorch where that is installed.

use bt_train::data::{PartName, Recordings, load};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::model::Model;
use bt_train::training::evaluate;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn interop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/interop")
}

#[test]
fn logits_are_those_of_numpy() {
    let text = std::fs::read_to_string(interop().join("expected.json")).unwrap();
    let expected: BTreeMap<String, Vec<Vec<f64>>> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 4);
    for (name, rows) in expected {
        let path = interop().join(format!("{name}.safetensors"));
        let checkpoint = Checkpoint::read(&path).unwrap();
        let data = load(
            &interop().join("data.npz"),
            &Recordings::default(),
            &[PartName::Test],
            None,
        )
        .unwrap()
        .for_model(&checkpoint.config)
        .unwrap();
        let logits = evaluate::logits(&checkpoint.model().unwrap(), data.test.as_ref().unwrap());
        assert_eq!(logits.nrows(), rows.len());
        for (row, expected) in logits.outer_iter().zip(&rows) {
            for (found, expected) in row.iter().zip(expected) {
                // f32 against f64: 1e-3 is the contract, 1e-5 what is so.
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{name}");
            }
        }
    }
}

#[test]
fn numpy_files_load_in_all_their_variety() {
    // Fortran order, big-endian lengths, unsigned labels, Unicode names, and
    // arrays of types that nothing here knows.
    let parts = [PartName::Train, PartName::Test];
    let data = load(
        &interop().join("data.npz"),
        &Recordings::default(),
        &parts,
        None,
    )
    .unwrap();
    assert_eq!(data.labels, ["nord", "süd", "est", "🧭"]);
    let train = data.train.unwrap();
    assert_eq!(train.targets, Some(vec![0, 1, 2, 3].into()));
    let test = data.test.unwrap();
    assert!(test.targets.is_none());
    assert_eq!(test.width, 24);
    assert!(test.lengths.iter().all(|length| (1..=5).contains(length)));
}

/// A model narrower than its modes, as `--pad` makes it.
fn padded() -> Checkpoint {
    let config = r#"{"input": {"map": "block-term", "modes": [5, 6], "width": 24, "blocks": 2, "rank": 2},
        "hidden": {"modes": [2, 3]}, "head": {"classes": 4}}"#;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let mut model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
    model.offset = vec![100.0].into();
    model.scale = vec![0.02].into();
    Checkpoint::of(&model)
}

/// A model of random weights with this head; values have units.
fn with_head(head: &str) -> Checkpoint {
    let config = format!(
        r#"{{"input": {{"map": "dense", "modes": [24]}}, "hidden": {{"modes": [5]}}, "head": {head}}}"#
    );
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let mut model = Model::new(serde_json::from_str(&config).unwrap(), &mut rng).unwrap();
    model.offset = vec![100.0].into();
    model.scale = vec![0.02].into();
    model.value_offset.fill(3.0);
    model.value_scale.fill(0.5);
    Checkpoint::of(&model)
}

/// A model that reads what moves, by a filter of its input.
fn with_filter(filter: &str, cell: &str) -> Checkpoint {
    let config = format!(
        r#"{{"input": {{"map": "block-term", "modes": [4, 6], "blocks": 2, "rank": 2, {filter}}},
        "hidden": {{"modes": [2, 3]}}, "cell": "{cell}", "layers": 2, "head": {{"classes": 4}}}}"#
    );
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut model = Model::new(serde_json::from_str(&config).unwrap(), &mut rng).unwrap();
    model.offset = vec![100.0].into();
    model.scale = vec![0.02].into();
    Checkpoint::of(&model)
}

/// `bt_lstm.BtLstm` gives the trainer's logits, and the trainer those of what it saves.
#[test]
fn pytorch_gives_the_same_logits_and_saves_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python)
        .args(["-c", "import numpy, safetensors, torch"])
        .output();
    let missing = match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = missing {
        // Not by eprintln!, which a passing test keeps to itself.
        let reason = reason.lines().last().unwrap_or_default().to_owned();
        writeln!(
            std::io::stderr(),
            "SKIPPED bt_lstm: {}: {reason}; pip install numpy safetensors torch, or set PYTHON",
            python.display()
        )
        .unwrap();
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let padding = place.path().join("padded.safetensors");
    padded().write(&padding).unwrap();
    let mut models = ["block_term", "both_block_term", "tensor_train", "dense"]
        .map(|name| interop().join(format!("{name}.safetensors")))
        .to_vec();
    models.push(padding);
    for (name, head) in [
        ("steps", r#"{"step_classes": 3}"#),
        (
            "recent",
            r#"{"classes": 3, "pool": "recent", "horizon": 2}"#,
        ),
        ("values", r#"{"values": 2, "pool": "mean"}"#),
        (
            "step_values",
            r#"{"step_values": 2, "pool": "recent", "horizon": 2}"#,
        ),
    ] {
        models.push(place.path().join(format!("{name}.safetensors")));
        with_head(head).write(&models[models.len() - 1]).unwrap();
    }
    for (name, filter, cell) in [
        ("difference", r#""filter": "difference""#, "lstm"),
        ("high_pass", r#""filter": "high-pass""#, "gru"),
        (
            "slow",
            r#""filter": "high-pass", "filter_horizon": 2"#,
            "min-gru",
        ),
    ] {
        models.push(place.path().join(format!("{name}.safetensors")));
        with_filter(filter, cell)
            .write(&models[models.len() - 1])
            .unwrap();
    }
    let out = place.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let data = interop().join("data.npz");
    let run = Command::new(&python)
        .arg(interop().join("torch_logits.py"))
        .arg(root.join("../bt-train/python"))
        .args([&out, &data])
        .args(&models)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let text = std::fs::read_to_string(out.join("logits.json")).unwrap();
    let torch: BTreeMap<String, [Vec<Vec<f32>>; 2]> = serde_json::from_str(&text).unwrap();
    for path in &models {
        let name = path.file_name().unwrap();
        let [before, after] = &torch[name.to_str().unwrap()];
        assert_ne!(before, after);
        for (path, rows) in [(path, before), (&out.join(name), after)] {
            let checkpoint = Checkpoint::read(path).unwrap();
            let data = load(&data, &Recordings::default(), &[PartName::Test], None);
            let data = data.unwrap().for_model(&checkpoint.config).unwrap();
            let model = checkpoint.model().unwrap();
            let ours = evaluate::logits(&model, data.test.as_ref().unwrap());
            let ours = model.in_units(ours);
            assert_eq!(ours.dim(), (rows.len(), rows[0].len()));
            for (row, torch) in ours.iter().zip(rows.iter().flatten()) {
                assert!(
                    (row - torch).abs() < 1e-4,
                    "{}: {row} {torch}",
                    path.display()
                );
            }
        }
    }
}
