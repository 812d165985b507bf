//! Heads, the whole way down: classes of every step, values of sequences and of steps, means of recent steps;
//! data, training, integers, and scores that a host and a device give.

use bt_tests::model::Noise;
use bt_tests::program::{Toy, fails, quantize_words, run, text};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Steps of the longest sequence, and values of a step.
const STEPS: usize = 8;
const WIDTH: usize = 3;

/// A part of sequences of 3 to 8 steps of uniform noise, [sequences][step][feature].
fn noise(sequences: usize, seed: u32) -> (Vec<f32>, Vec<i32>) {
    let mut noise = Noise::new(seed);
    let x = (0..sequences * STEPS * WIDTH).map(|_| f32::from(noise.bits() as i16) / 32_768.0);
    let x = x.collect();
    let lengths = (0..sequences).map(|s| 3 + (s % 6) as i32).collect();
    (x, lengths)
}

/// What y is to x: for each sequence and step, or for a sequence its last valid step.
type Truth<'t, T> = &'t dyn Fn(&[f32], usize) -> T;

/// Writes training and test part; `each` says what y is of a step, from all values of the sequence.
fn data<T: npyz::AutoSerialize + Copy>(
    place: &Path,
    every_step: bool,
    tail: &[usize],
    each: Truth<'_, Vec<T>>,
) -> String {
    let mut toy = Toy::empty();
    for (part, sequences, seed) in [("train", 240, 1), ("test", 60, 2)] {
        let (x, lengths) = noise(sequences, seed);
        let mut y = Vec::new();
        for (values, &length) in x.chunks(STEPS * WIDTH).zip(&lengths) {
            match every_step {
                true => (0..STEPS).for_each(|t| y.extend(each(values, t))),
                false => y.extend(each(values, length as usize - 1)),
            }
        }
        let mut shape = vec![sequences];
        shape.extend(every_step.then_some(STEPS));
        shape.extend(tail);
        toy.add(&format!("x_{part}"), &[sequences, STEPS, WIDTH], &x);
        toy.add(&format!("y_{part}"), &shape, &y);
        toy.add(&format!("lengths_{part}"), &[sequences], &lengths);
    }
    toy.write(place)
}

/// A program's object.
fn json(words: &[&str]) -> Value {
    let left = run(words);
    assert_eq!(left.status, Some(0), "{words:?}: {left:?}");
    serde_json::from_str(&left.out).unwrap()
}

/// Trains; the run's folder.
fn trained(place: &Path, data: &str, flags: &[&str]) -> PathBuf {
    let out = place.join("run");
    let mut words = vec!["train", "--data", data, "--out", text(&out), "--json"];
    words.extend([
        "--input-map",
        "dense",
        "--input-modes",
        "3",
        "--hidden-modes",
        "12",
    ]);
    words.extend(flags);
    json(&words);
    out
}

/// An array of a file of scores: its shape, and its values as f64.
fn array<T: npyz::Deserialize + Into<f64>>(path: &Path, name: &str) -> (Vec<u64>, Vec<f64>) {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let entry = archive.by_name(&format!("{name}.npy")).unwrap();
    let array = npyz::NpyFile::new(entry).unwrap();
    let shape = array.shape().to_vec();
    let values = array.into_vec::<T>().unwrap();
    (shape, values.into_iter().map(Into::into).collect())
}

fn names(path: &Path) -> Vec<String> {
    let archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut names: Vec<String> = archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    names.sort();
    names
}

/// `pred` is i64.
fn predictions(path: &Path) -> (Vec<u64>, Vec<i64>) {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let array = npyz::NpyFile::new(archive.by_name("pred.npy").unwrap()).unwrap();
    (array.shape().to_vec(), array.into_vec().unwrap())
}

/// What a run came to in floats and in integers, and the files of both.
struct Both {
    floats: Value,
    integers: Value,
    float_scores: PathBuf,
    integer_scores: PathBuf,
    model: PathBuf,
}

fn both(place: &Path, run_folder: &Path, data: &str) -> Both {
    let [model, float_scores, integer_scores] =
        ["m.btm", "f.npz", "i.npz"].map(|name| place.join(name));
    let left = run(&quantize_words(text(run_folder), data, text(&model), &[]));
    assert_eq!(left.status, Some(0), "{left:?}");
    assert!(!left.out.contains("warning"), "{left:?}");
    let scores = |command, of, to: &Path| {
        json(&[command, of, "--data", data, "--json", "--logits", text(to)])
    };
    Both {
        floats: scores("eval", text(run_folder), &float_scores),
        integers: scores("run", text(&model), &integer_scores),
        float_scores,
        integer_scores,
        model,
    }
}

fn number(object: &Value, key: &str) -> f64 {
    object[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key}: {object}"))
}

/// The class of a step is the largest feature of the step before it: it can be told from memory alone.
#[test]
fn classes_of_every_step() {
    let place = tempfile::tempdir().unwrap();
    let before = |x: &[f32], t: usize| {
        let row = &x[t.saturating_sub(1) * WIDTH..][..WIDTH];
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        vec![row.iter().position(|v| *v == largest).unwrap() as u8]
    };
    let data = data(place.path(), true, &[], &before);
    let folder = trained(place.path(), &data, &["--lr", "0.03", "--epochs", "25"]);
    let both = both(place.path(), &folder, &data);
    let (floats, integers) = (
        number(&both.floats, "accuracy"),
        number(&both.integers, "accuracy"),
    );
    assert!(floats > 0.85, "{floats}");
    assert!((floats - integers).abs() < 0.02, "{floats} {integers}");
    assert_eq!(both.floats["sequences"], 60);
    // Lengths 3 to 8, ten times each.
    assert_eq!(both.integers["steps"], 330);
    for key in ["balanced_accuracy", "macro_f1"] {
        assert!(
            (number(&both.floats, key) - floats).abs() < 0.1,
            "{}",
            both.floats
        );
        assert!(number(&both.integers, key) > 0.8);
    }
    assert_eq!(both.floats["recall"].as_array().unwrap().len(), 3);

    // The accuracy is that of the predictions over the valid steps, in the place of each.
    let (x, lengths) = noise(60, 2);
    for (scores, accuracy) in [
        (&both.float_scores, floats),
        (&both.integer_scores, integers),
    ] {
        let (shape, logits) = array::<f32>(scores, "logits");
        assert_eq!(shape, [60, STEPS as u64, 3]);
        let (shape, found) = predictions(scores);
        assert_eq!(shape, [60, STEPS as u64]);
        let (mut right, mut count) = (0, 0);
        for (sequence, &length) in lengths.iter().enumerate() {
            for t in 0..STEPS {
                let at = sequence * STEPS + t;
                if t >= length as usize {
                    assert_eq!(found[at], -1);
                    assert_eq!(logits[3 * at..3 * at + 3], [0.0; 3]);
                    continue;
                }
                let truth = before(&x[sequence * STEPS * WIDTH..], t)[0];
                count += 1;
                right += i32::from(found[at] == i64::from(truth));
                let row = &logits[3 * at..3 * at + 3];
                assert!(row.iter().all(|v| *v <= row[found[at] as usize]));
            }
        }
        assert_eq!(f64::from(right) / f64::from(count), accuracy);
    }
    let (shape, raw) = array::<i32>(&both.integer_scores, "raw");
    assert_eq!(shape, [60, STEPS as u64, 3]);
    assert!(raw.iter().any(|raw| *raw != 0.0));

    // Another figure keeps the epoch; a head of classes has no error of values.
    let again = place.path().join("again");
    let mut words = vec!["train", "--data", &data, "--out", text(&again), "--json"];
    words.extend([
        "--input-map",
        "dense",
        "--input-modes",
        "3",
        "--hidden-modes",
        "4",
    ]);
    words.extend(["--epochs", "3"]);
    let told = json(&[&words[..], &["--keep", "macro-f1"]].concat());
    assert_eq!(told["keep"], "macro-f1");
    let metrics = std::fs::read_to_string(again.join("metrics.jsonl")).unwrap();
    let epochs: Vec<Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let best = epochs
        .iter()
        .map(|epoch| number(&epoch["validation"], "macro_f1"))
        .fold(0.0, f64::max);
    assert_eq!(number(&told, "macro_f1"), best);
    std::fs::remove_dir_all(&again).unwrap();
    let refused = [&words[..], &["--keep", "rmse"]].concat();
    fails(
        1,
        &refused,
        &["keep", "is rmse; a head of classes has none"],
    );
    let refused = [&words[..], &["--pool", "mean"]].concat();
    fails(1, &refused, &["pool", "take --pool recent or --pool last"]);
    let refused = [&words[..], &["--loss", "huber"]].concat();
    fails(1, &refused, &["loss", "is for values, and y holds classes"]);
}

/// Two values of very different units: the mean of a feature, and the last of another.
fn two_values(x: &[f32], t: usize) -> Vec<f32> {
    let steps = x.chunks(WIDTH).take(t + 1);
    let mean = steps.map(|row| row[0]).sum::<f32>() / (t + 1) as f32;
    vec![1000.0 + 50.0 * mean, 0.01 * x[t * WIDTH + 1] - 0.2]
}

#[test]
fn values_of_sequences_in_their_own_units() {
    let place = tempfile::tempdir().unwrap();
    let data = data(place.path(), false, &[2], &two_values);
    let folder = trained(place.path(), &data, &["--lr", "0.03", "--epochs", "60"]);
    let both = both(place.path(), &folder, &data);
    for object in [&both.floats, &both.integers] {
        assert!(
            object["accuracy"].is_null() && object["steps"].is_null(),
            "{object}"
        );
        assert!(number(object, "r2") > 0.9, "{object}");
    }
    let (floats, integers) = (number(&both.floats, "rmse"), number(&both.integers, "rmse"));
    assert!(
        (integers / floats - 1.0).abs() < 0.03,
        "{floats} {integers}"
    );
    // Deviations of 50 · 0.58 / √steps and 0.01 · 0.58.
    let outputs = both.floats["outputs"].as_array().unwrap();
    assert!(number(&outputs[0], "rmse") < 4.0, "{outputs:?}");
    assert!(number(&outputs[1], "rmse") < 0.002, "{outputs:?}");

    // The figures are those of the values in the file.
    let (x, lengths) = noise(60, 2);
    assert_eq!(names(&both.float_scores), ["logits.npy"]);
    assert_eq!(names(&both.integer_scores), ["logits.npy", "raw.npy"]);
    for (scores, object) in [
        (&both.float_scores, &both.floats),
        (&both.integer_scores, &both.integers),
    ] {
        let (shape, values) = array::<f32>(scores, "logits");
        assert_eq!(shape, [60, 2]);
        let truth = x.chunks(STEPS * WIDTH).zip(&lengths);
        let truth = truth.flat_map(|(x, &length)| two_values(x, length as usize - 1));
        let errors = values.iter().zip(truth).map(|(v, y)| v - f64::from(y));
        let errors: Vec<f64> = errors.collect();
        let rmse = (errors.iter().map(|e| e * e).sum::<f64>() / 120.0).sqrt();
        let mae = errors.iter().map(|e| e.abs()).sum::<f64>() / 120.0;
        assert!(
            (number(object, "rmse") / rmse - 1.0).abs() < 1e-9,
            "{object}"
        );
        assert!((number(object, "mae") / mae - 1.0).abs() < 1e-9, "{object}");
    }
    // What firmware is told: value = offset + raw · lsb.
    let about = json(&["inspect", text(&both.model), "--json"]);
    let units = about["units"].as_array().unwrap();
    let (_, raw) = array::<i32>(&both.integer_scores, "raw");
    let (_, values) = array::<f32>(&both.integer_scores, "logits");
    for (at, (raw, value)) in raw.iter().zip(values).enumerate() {
        let found = number(&units[at % 2], "offset") + raw * number(&units[at % 2], "lsb");
        assert!(
            (found - value).abs() <= 1e-6 * value.abs(),
            "{found} {value}"
        );
    }
    assert_eq!(
        (&about["classes"], &about["outputs"]),
        (&0.into(), &2.into())
    );

    // Data of another kind, or of another number of values.
    let other = tempfile::tempdir().unwrap();
    let mut toy = Toy::empty();
    for part in ["train", "test"] {
        toy.add(&format!("x_{part}"), &[4, 2, WIDTH], &[0f32; 8 * WIDTH]);
        toy.add(&format!("y_{part}"), &[4], &[0u8, 1, 0, 1]);
    }
    let classes = toy.write(other.path());
    let [eval, run, quantize] = ["eval", "run", "quantize"];
    let out = other.path().join("other.btm");
    let (folder, model) = (text(&folder), text(&both.model));
    // Labels are numbers, too; but one is not two.
    let expected = ["y_t", "has 1 values an item, the model gives 2"];
    fails(1, &[eval, folder, "--data", &classes], &expected);
    fails(1, &[run, model, "--data", &classes], &expected);
    fails(
        1,
        &[quantize, folder, "--data", &classes, "--out", text(&out)],
        &expected,
    );
    assert!(!out.exists());
}

/// The leaking mean of a feature, step after step: a mean of recent steps reads it off.
#[test]
fn values_of_every_step_from_recent_states() {
    let place = tempfile::tempdir().unwrap();
    let recent = |x: &[f32], t: usize| {
        let rows = x.chunks(WIDTH).take(t + 1).enumerate();
        let mean = rows.fold(0.0, |m: f32, (t, row)| {
            m + (row[2] - m) / (t + 1).min(4) as f32
        });
        vec![20.0 + 5.0 * mean]
    };
    let data = data(place.path(), true, &[1], &recent);
    let flags = [
        "--pool",
        "recent",
        "--horizon",
        "4",
        "--loss",
        "huber",
        "--keep",
        "mae",
        "--lr",
        "0.03",
        "--epochs",
        "25",
    ];
    let folder = trained(place.path(), &data, &flags);
    let both = both(place.path(), &folder, &data);
    assert!(number(&both.floats, "r2") > 0.95, "{}", both.floats);
    let (floats, integers) = (number(&both.floats, "rmse"), number(&both.integers, "rmse"));
    assert!(
        (integers / floats - 1.0).abs() < 0.05,
        "{floats} {integers}"
    );
    assert_eq!(both.integers["steps"], 330);
    let (shape, values) = array::<f32>(&both.integer_scores, "logits");
    assert_eq!(shape, [60, STEPS as u64, 1]);
    let (_, float_values) = array::<f32>(&both.float_scores, "logits");
    // Both in the units of y, 15 to 25 on valid steps.
    let valid = values.iter().zip(&float_values).filter(|(v, _)| **v != 0.0);
    let mut count = 0;
    for (integer, float) in valid {
        count += 1;
        assert!((integer - float).abs() < 0.2, "{integer} {float}");
        assert!((10.0..30.0).contains(integer), "{integer}");
    }
    assert_eq!(count, 330);

    // Fine-tuning goes through the same head.
    let tuned = place.path().join("tuned.btm");
    let told = json(&quantize_words(
        text(&folder),
        &data,
        text(&tuned),
        &["--fine-tune", "1", "--json"],
    ));
    assert!(
        number(&told["comparison"], "fixed_rmse")
            <= 1.05 * number(&told["comparison"], "float_rmse")
    );

    let mut words = vec![
        "train",
        "--data",
        &data,
        "--out",
        "never",
        "--input-map",
        "dense",
    ];
    words.extend(["--input-modes", "3", "--hidden-modes", "4"]);
    let with = |flags: &[&'static str]| [&words[..], flags].concat();
    fails(
        1,
        &with(&["--keep", "accuracy"]),
        &["keep", "a head of values has none"],
    );
    fails(
        1,
        &with(&["--head", "values"]),
        &["y_train", "save y as numbers [sequences, K]"],
    );
    fails(
        1,
        &with(&["--class-weights", "balanced"]),
        &["class-weights", "are for classes"],
    );
    fails(
        1,
        &with(&["--horizon", "5", "--pool", "recent"]),
        &["horizon", "power of two"],
    );
    fails(1, &with(&["--horizon", "8"]), &["horizon", "only the pool"]);
    let compared = [
        "compare",
        "--data",
        &data,
        "--input-modes",
        "1x3",
        "--hidden-modes",
        "2x2",
    ];
    fails(
        1,
        &compared,
        &["y_train", "holds values, and what is compared"],
    );
}

/// Integers are values where a flag says so.
#[test]
fn the_head_can_be_another_than_y_suggests() {
    let place = tempfile::tempdir().unwrap();
    let count = |x: &[f32], t: usize| {
        let above = x.chunks(WIDTH).take(t + 1).filter(|row| row[0] > 0.0);
        vec![above.count() as i64]
    };
    let data = data(place.path(), false, &[], &count);
    let folder = trained(
        place.path(),
        &data,
        &["--head", "values", "--lr", "0.03", "--epochs", "40"],
    );
    let told = json(&["eval", text(&folder), "--data", &data, "--json"]);
    assert!(number(&told, "r2") > 0.6, "{told}");
    assert!(told["accuracy"].is_null());
}

/// One sequence in twenty is of another class, and two epochs do not learn it.
#[test]
fn a_class_that_accuracy_hides_is_told() {
    let place = tempfile::tempdir().unwrap();
    let rare = |x: &[f32], _: usize| vec![u8::from(x[0] > 0.9)];
    let data = data(place.path(), false, &[], &rare);
    let folder = trained(place.path(), &data, &["--epochs", "1", "--lr", "0.0001"]);
    let told = json(&["eval", text(&folder), "--data", &data, "--json"]);
    let accuracy = number(&told, "accuracy");
    assert!(
        accuracy > 0.8 && number(&told, "balanced_accuracy") < 0.6,
        "{told}"
    );
    let warnings = told["warnings"].as_array().unwrap();
    let expected = [
        "hides a rare class: of class 1",
        "--class-weights balanced or --keep macro-f1",
    ];
    for expected in expected {
        assert!(warnings[0].as_str().unwrap().contains(expected), "{told}");
    }
}
