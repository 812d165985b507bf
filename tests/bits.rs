//! Bits, the whole way down: targets of zeros and ones, their likelihood in floats and integers, and models of the
//! next frame.

use bt_tests::model::Noise;
use bt_tests::program::{Toy, fails, quantize_words, run, text};
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// Steps of a sequence and bits of a frame.
const STEPS: usize = 10;
const WIDTH: usize = 3;

/// How often a bit of a frame is another than that of the frame before.
const FLIPS: f64 = 0.1;

/// So many sequences of frames: the first even, then each bit that of the frame before, but for flips.
fn frames(sequences: usize, seed: u32) -> Vec<u8> {
    let mut noise = Noise::new(seed);
    let mut all: Vec<u8> = Vec::new();
    for at in 0..sequences * STEPS * WIDTH {
        let drawn = f64::from(noise.bits()) / 65_536.0;
        all.push(match at % (STEPS * WIDTH) < WIDTH {
            true => u8::from(drawn < 0.5),
            false => all[at - WIDTH] ^ u8::from(drawn < FLIPS),
        });
    }
    all
}

/// −Σ p ln p of one bit.
fn entropy(p: f64) -> f64 {
    -p * p.ln() - (1.0 - p) * (1.0 - p).ln()
}

fn json(words: &[&str]) -> Value {
    let left = run(words);
    assert_eq!(left.status, Some(0), "{words:?}: {left:?}");
    serde_json::from_str(&left.out).unwrap()
}

fn number(object: &Value, key: &str) -> f64 {
    object[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key}: {object}"))
}

/// `logits` of a file of scores.
fn logits(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    assert!(archive.by_name("pred.npy").is_err());
    let array = npyz::NpyFile::new(archive.by_name("logits.npy").unwrap()).unwrap();
    (array.shape().to_vec(), array.into_vec().unwrap())
}

/// −ln p of bits by their logits, in all: a plain loop in f64.
fn nats(logits: &[f32], bits: &[u8]) -> f64 {
    let of = |(&logit, &bit): (&f32, &u8)| {
        let logit = f64::from(logit);
        -(1.0 / (1.0 + (if bit == 1 { -logit } else { logit }).exp())).ln()
    };
    logits.iter().zip(bits).map(of).sum()
}

const MODEL: [&str; 8] = [
    "--input-map",
    "dense",
    "--units",
    "12",
    "--lr",
    "0.03",
    "--epochs",
    "8",
];

/// A model of the next frame learns the entropy of its source, without any y, and its integers lose nothing.
#[test]
fn the_likelihood_of_frames_is_that_of_their_source() {
    let place = tempfile::tempdir().unwrap();
    let mut toy = Toy::empty();
    for (part, sequences, seed) in [("train", 1500, 1), ("test", 500, 2)] {
        let shape = [sequences, STEPS, WIDTH];
        toy.add(&format!("x_{part}"), &shape, &frames(sequences, seed));
    }
    let data = toy.write(place.path());
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (folder, model) = (at("run"), at("m.btm"));
    let train = ["train", "--data", &data, "--out", &folder, "--json"];
    let told = json(&[&train[..], &MODEL, &["--head", "next-bits"]].concat());
    assert_eq!(told["keep"], "nats");
    let (float_scores, integer_scores) = (at("f.npz"), at("i.npz"));
    let left = run(&quantize_words(&folder, &data, &model, &[]));
    assert_eq!(left.status, Some(0), "{left:?}");
    assert!(
        left.out.contains("\nnats ") && !left.out.contains("warning"),
        "{left:?}"
    );
    let score = |command, of, to| json(&[command, of, "--data", &data, "--json", "--logits", to]);
    let floats = score("eval", &folder, &float_scores);
    let integers = score("run", &model, &integer_scores);

    // Three even bits, then nine times three that are kept nine times in ten. Over 500 sequences the source itself
    // strays by 0.12 nats (a bit's −ln p has a deviation of 0.66).
    let source = WIDTH as f64 * (entropy(0.5) + (STEPS - 1) as f64 * entropy(FLIPS));
    let bits = frames(500, 2);
    for (object, scores) in [(&floats, &float_scores), (&integers, &integer_scores)] {
        let found = number(object, "nats");
        assert!((found - source).abs() < 0.5, "{found} of {source}");
        assert!((number(object, "accuracy") - 0.86).abs() < 0.01, "{object}");
        assert_eq!(
            (&object["sequences"], &object["steps"]),
            (&500.into(), &5000.into())
        );
        let (shape, logits) = logits(Path::new(scores));
        assert_eq!(shape, [500, STEPS as u64, WIDTH as u64]);
        let by_hand = nats(&logits, &bits) / 500.0;
        assert!((found / by_hand - 1.0).abs() < 1e-9, "{found} {by_hand}");
    }
    let change = number(&integers, "nats") / number(&floats, "nats") - 1.0;
    assert!(change.abs() < 2e-3, "{change}");
    let a_bit = number(&floats, "nats") / (STEPS * WIDTH) as f64;
    assert!(
        (number(&floats, "loss") / a_bit - 1.0).abs() < 1e-9,
        "{floats}"
    );
    let about = json(&["inspect", &model, "--json"]);
    assert_eq!(
        (&about["kind"], &about["draws"]),
        (&"bits".into(), &true.into())
    );
    assert_eq!(about["config"]["head"]["steps"], 10);

    // What is no bit is refused with its place, and so is a figure that bits do not have.
    let other = tempfile::tempdir().unwrap();
    let mut toy = Toy::empty();
    for part in ["train", "test"] {
        toy.add(&format!("x_{part}"), &[4, 2, WIDTH], &[1u8; 24]);
    }
    toy.add("x_val", &[1, 2, WIDTH], &[0u8, 0, 0, 0, 7, 0]);
    let wrong = toy.write(other.path());
    let out = other.path().join("run");
    let refused = |data: &str, flags: &[&str], expected: &[&str]| {
        let train = [
            "train",
            "--data",
            data,
            "--out",
            text(&out),
            "--head",
            "next-bits",
            "--json",
        ];
        fails(1, &[&train[..], &MODEL, flags].concat(), expected);
    };
    refused(
        &wrong,
        &[],
        &["x_val", "holds value 7 at 4; ", "save x as zeros and ones"],
    );
    let expected = ["keep", "is rmse; a head of bits has none"];
    refused(&data, &["--keep", "rmse"], &expected);
    let expected = ["pool", "take --pool recent or --pool last"];
    refused(&data, &["--pool", "mean"], &expected);
    let expected = ["label-smoothing", "is for classes, and these are bits"];
    refused(&data, &["--label-smoothing", "0.1"], &expected);
    assert!(!out.exists());
}

/// Several labels of a step that exclude nothing: bits of y, integers [sequences, steps, K], of which two are those
/// of the step before.
#[test]
fn bits_of_every_step_are_learned_from_y() {
    let place = tempfile::tempdir().unwrap();
    let mut toy = Toy::empty();
    let mut truth = Vec::new();
    for (part, sequences, seed) in [("train", 400, 3), ("test", 50, 4)] {
        let mut noise = Noise::new(seed);
        let count = sequences * STEPS * 2;
        let x: Vec<f32> = (0..count)
            .map(|_| f32::from(noise.bits() as i16) / 32_768.0)
            .collect();
        truth.clear();
        for step in 0..sequences * STEPS {
            let now = if step % STEPS == 0 { step } else { step - 1 };
            truth.extend([u8::from(x[2 * now] > 0.0), u8::from(x[2 * now + 1] > 0.5)]);
        }
        toy.add(&format!("x_{part}"), &[sequences, STEPS, 2], &x);
        toy.add(&format!("y_{part}"), &[sequences, STEPS, 2], &truth);
    }
    let data = toy.write(place.path());
    let folder = place.path().join("run");
    let train = ["train", "--data", &data, "--out", text(&folder), "--json"];
    json(&[&train[..], &MODEL].concat());
    let scores = place.path().join("f.npz");
    let told = json(&[
        "eval",
        text(&folder),
        "--data",
        &data,
        "--json",
        "--logits",
        text(&scores),
    ]);
    assert!(number(&told, "accuracy") > 0.93, "{told}");
    let (shape, logits) = logits(&scores);
    assert_eq!(shape, [50, STEPS as u64, 2]);
    let by_hand = nats(&logits, &truth) / 50.0;
    assert!(
        (number(&told, "nats") / by_hand - 1.0).abs() < 1e-6,
        "{told} {by_hand}"
    );
    let right = logits
        .iter()
        .zip(&truth)
        .filter(|&(&l, &b)| (l > 0.0) == (b == 1))
        .count();
    assert_eq!(number(&told, "accuracy"), right as f64 / truth.len() as f64);

    // Anything but zeros and ones is refused where it stands.
    let mut toy = Toy::empty();
    toy.add("x_train", &[2, 1, 1], &[0f32; 2]);
    toy.add("y_train", &[2, 1, 2], &[0u8, 1, 2, 0]);
    let other = tempfile::tempdir().unwrap();
    let wrong = toy.write(other.path());
    let out = other.path().join("run");
    let expected = [
        "y_train",
        "value 2 at 2 is outside 0..=1",
        "are bits; save values as f32",
    ];
    let train = ["train", "--data", &wrong, "--out", text(&out)];
    fails(1, &[&train[..], &MODEL].concat(), &expected);
}
