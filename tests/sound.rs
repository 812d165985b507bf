//! Spoken digits, trained, exported, and heard through bad microphones.

use std::path::Path;
use std::sync::Arc;

use bt_core::Model;
use bt_tests::program::{quantize_words, run, text};
use bt_train::command::scores;
use bt_train::data::{Part, PartName, Recordings, Values, load};
use bt_train::device;

/// Every recording changed: `change` gets a sample and its place in the recording.
fn changed(part: &Part, change: impl Fn(f64, usize) -> f64) -> Part {
    let values = part.values.in_memory();
    let Values::I16(samples) = &*values else {
        panic!("no samples")
    };
    let mut changed = samples.clone();
    for sequence in 0..part.sequences() {
        for (n, sample) in changed[part.range(sequence)].iter_mut().enumerate() {
            *sample = change(f64::from(*sample), n).round() as i16;
        }
    }
    Part {
        values: Arc::new(Values::I16(changed)),
        ..part.clone()
    }
}

/// The demo's model, half as long in training. Offset, or a plop as a converter makes it when it is
/// switched on: before there was a high-pass, they cost 14 and 68 points (five seeds).
#[test]
fn an_offset_or_a_plop_under_quiet_speech_costs_little() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sound = root.join("data/fsdd");
    let recipe = root.join("../bt-train/recipes/spoken-digits-demo.toml");
    let place = tempfile::tempdir().unwrap();
    let (out, file) = (place.path().join("run"), place.path().join("m.btm"));
    let train = [
        "train",
        "--data",
        text(&sound),
        "--out",
        text(&out),
        "--config",
        text(&recipe),
        "--epochs",
        "30",
    ];
    let quantize = quantize_words(text(&out), text(&sound), text(&file), &[]);
    for words in [&train[..], &quantize] {
        let left = run(words);
        assert_eq!(left.status, Some(0), "{left:?}");
    }

    let bytes = device::read_model(&file).unwrap();
    let model = Model::parse(bytes.bytes()).unwrap();
    let config = device::config(&model).unwrap();
    let data = load(&sound, &Recordings::default(), &[PartName::Test], None)
        .and_then(|data| data.raw_for_model(&config))
        .unwrap();
    let part = data.part(PartName::Test).unwrap();
    let targets = part.targets.as_ref().unwrap();
    let right = |change: &dyn Fn(f64, usize) -> f64| {
        let raw = device::run(&model, &changed(part, change), || ()).unwrap();
        let figures = scores::figures(&model, targets, &raw).unwrap();
        100.0 * figures.accuracy().unwrap()
    };
    let quiet = right(&|sample, _| 0.1 * sample);
    let offset = right(&|sample, _| 0.1 * sample + 1_000.0);
    let plop = right(&|sample, n| 0.1 * sample + 20_000.0 * (-(n as f64) / 240.0).exp());
    println!("quiet {quiet:.1} %, around 1,000 {offset:.1} %, under a plop {plop:.1} %");
    assert!(quiet > 90.0);
    assert!(quiet - offset <= 2.0, "{quiet} {offset}");
    assert!(quiet - plop <= 8.0, "{quiet} {plop}");
}
