//! Models that another program wrote give that program's logits.
//!
//! `data/interop/make.py` made models, data and float64 logits with NumPy.

use bt_train::data::{PartName, Recordings, load};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::training::evaluate;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    let data = load(&interop().join("data.npz"), &Recordings::default(), &parts).unwrap();
    assert_eq!(data.labels, ["nord", "süd", "est", "🧭"]);
    let train = data.train.unwrap();
    assert_eq!(train.labels.as_deref(), Some(&[0, 1, 2, 3][..]));
    let test = data.test.unwrap();
    assert!(test.labels.is_none());
    assert_eq!(test.width, 24);
    assert!(test.lengths.iter().all(|length| (1..=5).contains(length)));
}
