//! Models that PyTorch trained, taken over.
//!
//! `data/torch/make.py` made state dicts, frames and the logits they must give with PyTorch.

use bt_core::drawing::Random;
use bt_tests::program::{Left, Toy, fails, quantize_words, run, text};
use bt_train::data::{PartName, Recordings, load};
use bt_train::float::checkpoint::{Checkpoint, METADATA_KEY};
use bt_train::float::tensors::{read_tensors, write_tensors};
use bt_train::training::evaluate;
use ndarray::{Array2, ArrayD};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn torch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/torch")
        .join(name)
}

/// Scores, row by row: of a sequence, or of each of its steps.
fn expected(name: &str) -> Vec<Vec<f64>> {
    let read = |file| -> BTreeMap<String, Vec<Vec<f64>>> {
        serde_json::from_str(&std::fs::read_to_string(torch(file)).unwrap()).unwrap()
    };
    let mut all = read("expected.json");
    all.append(&mut read("heads.json"));
    all[name].clone()
}

/// Imports with more words; what it printed as JSON, and its warnings.
fn import(model: &Path, out: &Path, more: &[&str]) -> (Value, String) {
    let mut words = vec!["import", text(model), "--out", text(out), "--json"];
    words.extend(more);
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
    (serde_json::from_str(&left.out).unwrap(), left.err)
}

fn logits(model: &Path) -> Array2<f32> {
    let checkpoint = Checkpoint::read(model).unwrap();
    let data = load(
        &torch("data.npz"),
        &Recordings::default(),
        &[PartName::Test],
        None,
    );
    // Its targets are classes of sequences; other heads have none there.
    let mut data = data.unwrap();
    data.test.as_mut().unwrap().targets = None;
    let data = data.for_model(&checkpoint.config).unwrap();
    let model = checkpoint.model().unwrap();
    model.in_units(evaluate::logits(&model, data.test.as_ref().unwrap()))
}

fn largest_difference(found: &Array2<f32>, expected: &[Vec<f64>]) -> f64 {
    assert_eq!(found.nrows(), expected.len());
    let pairs = found.iter().zip(expected.iter().flatten());
    pairs.fold(0.0, |most, (found, expected)| {
        most.max((f64::from(*found) - expected).abs())
    })
}

/// Without flags nothing is lost: PyTorch's logits, with its names of all kinds.
#[test]
fn logits_are_those_of_torch() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("m.safetensors");
    for (name, pool, units) in [
        ("last", "last", 10),
        ("mean", "mean", 7),
        ("gru", "last", 9),
        ("stacked", "mean", 6),
        ("stacked_gru", "last", 6),
    ] {
        let model = torch(&format!("{name}.safetensors"));
        let (told, err) = import(&model, &out, &["--pool", pool]);
        assert_eq!(err, "");
        assert_eq!(
            (&told["units"], &told["inputs"]),
            (&units.into(), &24.into())
        );
        let off = largest_difference(&logits(&out), &expected(name));
        assert!(off < 1e-5, "{name}: {off}");
    }
    for (name, units) in [("tednet_bt", 12), ("tednet_tt", 6)] {
        let model = torch(&format!("{name}.safetensors"));
        let (told, err) = import(&model, &out, &[]);
        assert_eq!((&*err, &told["units"]), ("", &units.into()));
        let off = largest_difference(&logits(&out), &expected(name));
        assert!(off < 1e-5, "{name}: {off}");
        // The other matrix can still be decomposed.
        let (told, _) = import(&model, &out, &["--recurrent-map", "tensor-train"]);
        assert!(told["error"].get("input").is_none());
        assert!(told["error"]["recurrent"].as_f64().is_some());
        let words = ["import", text(&model), "--out", text(&out), "--rank", "2"];
        fails(2, &words, &["the input map is no matrix"]);
    }
    // The head may be named; names of the classes come from the data.
    let data = torch("data.npz");
    let words = ["--head", "fc", "--data", text(&data)];
    let (told, _) = import(&torch("last.safetensors"), &out, &words);
    let right = expected("last");
    let y = [0, 1, 2, 3];
    assert_eq!(
        Checkpoint::read(&out).unwrap().config.head.labels[1],
        "down"
    );
    assert!(told["accuracy"]["imported"].as_f64().is_some());
    assert!(right.len() > y.len());
    let eval = run(&["eval", text(&out), "--data", text(&data), "--json"]);
    let told: Value = serde_json::from_str(&eval.out).unwrap();
    let set = load(&data, &Recordings::default(), &[PartName::Test], None).unwrap();
    let targets = set.test.unwrap().targets.unwrap();
    let labels = targets.labels().unwrap();
    let is_right = |(row, label): (&Vec<f64>, &usize)| row.iter().all(|v| *v <= row[*label]);
    let right = right
        .iter()
        .zip(labels)
        .filter(|&pair| is_right(pair))
        .count();
    assert_eq!(told["accuracy"], right as f64 / labels.len() as f64);
}

/// The same of every kind of head: from the last, the mean and every state, one output and several.
#[test]
fn heads_of_every_kind_are_those_of_torch() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("m.safetensors");
    for (name, gives, pool, outputs) in [
        ("step_classes", "step-classes", "last", 4),
        ("values", "values", "mean", 3),
        ("step_values", "step-values", "last", 1),
        ("bits", "bits", "last", 3),
    ] {
        let model = torch(&format!("{name}.safetensors"));
        let (told, err) = import(&model, &out, &["--gives", gives, "--pool", pool]);
        assert_eq!(err, "");
        assert_eq!(
            (&told["head"], &told["outputs"]),
            (&gives.into(), &outputs.into())
        );
        let off = largest_difference(&logits(&out), &expected(name));
        assert!(off < 1e-5, "{name}: {off}");
    }
    let model = torch("step_classes.safetensors");
    let words = [
        "import",
        text(&model),
        "--out",
        text(&out),
        "--gives",
        "step-classes",
    ];
    fails(
        1,
        &[&words[..], &["--pool", "mean"]].concat(),
        &["head.pool", "the mean of all steps"],
    );
    // What y is says what the head gives: 3 values where y has 4.
    let y: Vec<f32> = (0..36).map(|at| at as f32).collect();
    let data = regression(place.path(), &[9, 4], &y);
    let model = torch("values.safetensors");
    let words = ["import", text(&model), "--out", text(&out), "--data", &data];
    fails(
        1,
        &words,
        &["d.npz: y_train", "has 4 values an item, the model gives 3"],
    );
}

/// Frames of the size of `data.npz`, and y of them.
fn regression(place: &Path, shape: &[usize], y: &[f32]) -> String {
    let mut random = Random::new(3, 0);
    let mut value = || (random.next_u32() >> 16) as f32 / 16_384.0 - 2.0;
    let x: Vec<f32> = (0..9 * 7 * 24).map(|_| value()).collect();
    let mut toy = Toy::empty();
    toy.add("x_train", &[9, 7, 24], &x);
    toy.add("y_train", shape, y);
    toy.write(place)
}

/// Values of any unit: the imported model's error is that of its outputs, it learns, and its outputs stay what they were
/// where it does not.
#[test]
fn values_come_over_in_their_units_and_learn() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("m.safetensors");
    let y: Vec<f32> = (0..27)
        .map(|at| 50_000.0 + 3_000.0 * (at % 5) as f32)
        .collect();
    let data = regression(place.path(), &[9, 3], &y);
    let mut tensors = read_tensors(&torch("values.safetensors")).unwrap().tensors;
    for (name, value) in [("head.offset", 50_000.0), ("head.scale", 3_000.0)] {
        tensors.insert(name.into(), ArrayD::from_elem(vec![3], value));
    }
    let model = place.path().join("state.safetensors");
    write_tensors(&model, "note", "{}".into(), &tensors).unwrap();
    let words = ["--pool", "mean", "--data", &data];
    let (told, _) = import(&model, &out, &words);
    assert_eq!(
        (&told["head"], &told["accuracy"]),
        (&"values".into(), &Value::Null)
    );
    let wanted: Vec<Vec<f64>> = expected("values")
        .iter()
        .map(|row| row.iter().map(|value| 50_000.0 + 3_000.0 * value).collect())
        .collect();
    // 1e-7 of their size, and 1e-5 of the scale.
    let off = largest_difference(&logits(&out), &wanted);
    assert!(off < 0.1, "{off}");
    // Learning goes by the data's own mean and deviation.
    let checkpoint = Checkpoint::read(&out).unwrap();
    let [offset, scale] = ["head.offset", "head.scale"].map(|name| checkpoint.tensors[name][[0]]);
    assert!((54_000.0..58_000.0).contains(&offset), "{offset}");
    assert!((4_000.0..4_500.0).contains(&scale), "{scale}");

    let words = [&words[..], &["--fine-tune", "60"]].concat();
    let (told, _) = import(&model, &out, &words);
    let [before, tuned] =
        ["imported", "fine_tuned"].map(|which| told["rmse"][which].as_f64().unwrap());
    assert!(before > 1_000.0 && tuned < 0.9 * before, "{told}");
    let file = place.path().join("m.btm");
    let left = run(&quantize_words(text(&out), &data, text(&file), &[]));
    assert_eq!(left.status, Some(0), "{left:?}");
}

/// A decomposition of full rank is the matrix itself; a smaller one tells what it costs, learns, and can
/// be quantized.
#[test]
fn decomposes_and_learns() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("m.safetensors");
    let model = torch("last.safetensors");
    // Pairs of 4·8 and 6·5: no matrix has a rank above 30.
    let words = [
        "--input-map",
        "tensor-train",
        "--input-modes",
        "4x6",
        "--hidden-modes",
        "2x5",
        "--rank",
        "30",
    ];
    let (told, _) = import(&model, &out, &words);
    assert!(told["error"]["input"].as_f64().unwrap() < 1e-4, "{told}");
    assert!(told["error"].get("recurrent").is_none());
    let off = largest_difference(&logits(&out), &expected("last"));
    assert!(off < 1e-3, "{off}");

    // Even modes are found for it: 6x4 and 5x2.
    let data = torch("data.npz");
    let data = text(&data);
    let words = [
        "--rank",
        "2",
        "--recurrent-rank",
        "1",
        "--data",
        data,
        "--fine-tune",
        "20",
    ];
    let (told, _) = import(&model, &out, &words);
    let config = Checkpoint::read(&out).unwrap().config;
    assert_eq!(
        (config.input.modes, config.hidden.modes),
        (vec![6, 4], vec![5, 2])
    );
    for map in ["input", "recurrent"] {
        let error = told["error"][map].as_f64().unwrap();
        assert!((0.2..1.0).contains(&error), "{told}");
    }
    // Every smaller rank leaves more.
    let by_rank = &told["error_by_rank"];
    let of_rank = |rank: &str| by_rank["input"][rank].as_f64().unwrap();
    assert_eq!(of_rank("2"), told["error"]["input"].as_f64().unwrap());
    assert!(of_rank("1") > of_rank("2") && of_rank("1") < 1.0, "{told}");
    assert_eq!(
        by_rank["recurrent"],
        serde_json::json!({ "1": told["error"]["recurrent"] })
    );
    for model in ["imported", "decomposed", "fine_tuned"] {
        let accuracy = told["accuracy"][model].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy), "{told}");
    }
    let better = |a: &str, b: &str| told["accuracy"][a].as_f64() >= told["accuracy"][b].as_f64();
    assert!(better("fine_tuned", "decomposed"), "{told}");

    // Every layer of several is decomposed, and learns.
    let stacked = place.path().join("stacked.safetensors");
    let words = ["--rank", "2", "--recurrent-rank", "1", "--data", data];
    let words = [&words[..], &["--fine-tune", "2"]].concat();
    let (told, _) = import(&torch("stacked_gru.safetensors"), &stacked, &words);
    for map in [
        "input",
        "recurrent",
        "input.1",
        "recurrent.1",
        "input.2",
        "recurrent.2",
    ] {
        let error = told["error"][map].as_f64().unwrap();
        assert!((0.0..1.0).contains(&error), "{map}: {told}");
    }
    assert!(
        Checkpoint::read(&stacked)
            .unwrap()
            .tensors
            .contains_key("gru.2.input.block.0.core")
    );

    let btm = place.path().join("m.btm");
    let words = quantize_words(text(&out), data, text(&btm), &[]);
    let Left {
        status, out: told, ..
    } = run(&words);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("the model was imported"), "{told}");
}

/// What `to_safetensors.py` makes of other formats gives the logits of the programs that they are from.
#[test]
fn other_formats_are_converted() {
    let place = tempfile::tempdir().unwrap();
    let (state, out) = (place.path().join("s.safetensors"), place.path().join("m"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bt-train/python/to_safetensors.py");
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    for (file, package, name, words) in [
        ("last.pt", "torch", "last", &[][..]),
        ("last.onnx", "onnx", "last", &[]),
        ("keras.weights.h5", "h5py", "keras", &[]),
        (
            "keras_gru.keras",
            "h5py",
            "keras_gru",
            &["--gives", "values", "--pool", "mean"],
        ),
        (
            "keras_steps.keras",
            "h5py",
            "keras_steps",
            &["--gives", "step-classes"],
        ),
    ] {
        let probe = format!("import numpy, safetensors, {package}");
        let probe = Command::new(&python).args(["-c", &probe]).output();
        if !probe.is_ok_and(|probe| probe.status.success()) {
            // Not by eprintln!, which a passing test keeps to itself.
            writeln!(
                std::io::stderr(),
                "SKIPPED to_safetensors.py {file}: pip install numpy safetensors {package}, or set PYTHON"
            )
            .unwrap();
            continue;
        }
        let run = Command::new(&python)
            .arg(&script)
            .args([&torch(file), &state])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{file}: {said}");
        let (_, err) = import(&state, &out, words);
        assert_eq!(err, "", "{file}");
        let off = largest_difference(&logits(&out), &expected(name));
        assert!(off < 1e-5, "{file}: {off}");
    }
    // What no .safetensors would show is refused with the layer's name.
    for (file, why) in [
        ("keras_reset_before", "gru_1 resets before the product"),
        (
            "keras_convolution",
            "conv1d/vars ((3, 24, 5)) is of no LSTM, GRU or Dense layer",
        ),
        ("keras_both_ways", "bidirectional runs in both directions"),
        (
            "keras_hard",
            "lstm_4 has recurrent_activation='hard_sigmoid'",
        ),
    ] {
        let probe = Command::new(&python)
            .args(["-c", "import numpy, safetensors, h5py"])
            .output();
        if !probe.is_ok_and(|probe| probe.status.success()) {
            break;
        }
        let run = Command::new(&python)
            .arg(&script)
            .args([&torch(&format!("{file}.keras")), &state])
            .output();
        let run = run.unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(
            !run.status.success() && said.contains(why),
            "{file}: {said}"
        );
    }
}

/// A tensor more or less, or of another shape, is told by its own name.
#[test]
fn refuses_what_the_network_does_not_have() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("m.safetensors");
    let out = text(&out);
    for (name, words) in [
        ("bidirectional", ["rnn.bias_hh_l0_reverse", "bidirectional"]),
        ("projected", ["rnn.weight_hr_l0", "projection"]),
        ("stacked_too_high", ["layers: is 5", "4 at most"]),
    ] {
        let model = torch(&format!("{name}.safetensors"));
        fails(1, &["import", text(&model), "--out", out], &words);
    }
    let whole = read_tensors(&torch("last.safetensors")).unwrap().tensors;
    let model = place.path().join("changed.safetensors");
    let model = text(&model);
    let write = |change: &dyn Fn(&mut bt_train::float::tensors::Tensors)| {
        let mut tensors = whole.clone();
        change(&mut tensors);
        write_tensors(Path::new(model), "format", "pt".into(), &tensors).unwrap();
    };
    let words = ["import", model, "--out", out];
    type Change<'a> = &'a dyn Fn(&mut bt_train::float::tensors::Tensors);
    let zeros = |shape: &[usize]| ArrayD::<f32>::zeros(shape);
    let cases: [(Change<'_>, &[&str]); 15] = [
        (
            &|t| drop(t.remove("rnn.weight_hh_l0")),
            &["rnn.weight_hh_l0: is missing"],
        ),
        (
            &|t| drop(t.remove("rnn.weight_ih_l0")),
            &["weight_ih_l0: is missing", "nn.LSTM"],
        ),
        (
            &|t| drop(t.remove("fc.weight")),
            &["nn.Linear: is missing", "10 columns"],
        ),
        (
            &|t| drop(t.insert("rnn.weight_ih_l0".into(), zeros(&[39, 24]))),
            &["rnn.weight_ih_l0: has shape [39, 24], expected [40, inputs]"],
        ),
        (
            &|t| drop(t.insert("rnn.weight_hh_l0".into(), zeros(&[39, 10]))),
            &["rnn.weight_hh_l0: has shape [39, 10], expected [40, 10]"],
        ),
        (
            &|t| drop(t.insert("rnn.weight_hh_l0".into(), zeros(&[30, 10]))),
            &["rnn.weight_ih_l0: has shape [40, 24], expected [30, inputs]"],
        ),
        (
            &|t| drop(t.insert("rnn.weight_hh_l0".into(), zeros(&[10, 10]))),
            &["rnn.weight_hh_l0", "nn.RNN"],
        ),
        (
            &|t| drop(t.insert("rnn.weight_hh_l0".into(), zeros(&[40, 0]))),
            &["rnn.weight_hh_l0", "shape [40, 0]"],
        ),
        (
            &|t| drop(t.insert("rnn.weight_hh_l0".into(), zeros(&[40, 11]))),
            &["rnn.weight_hh_l0: has shape [40, 11], expected [40, 10] of an nn.LSTM"],
        ),
        (
            &|t| drop(t.insert("fc.weight".into(), zeros(&[4, 11]))),
            &[
                "nn.Linear: is missing",
                "10 columns",
                "fc.weight has [4, 11]",
            ],
        ),
        (
            &|t| drop(t.insert("rnn.bias_hh_l0".into(), zeros(&[40, 1]))),
            &["rnn.bias_hh_l0: has shape [40, 1], expected [40]"],
        ),
        (
            &|t| drop(t.insert("fc.bias".into(), zeros(&[5]))),
            &["fc.bias: has shape [5], expected [4]"],
        ),
        (
            &|t| t.get_mut("rnn.weight_hh_l0").unwrap()[[3, 4]] = f32::NAN,
            &["rnn.weight_hh_l0", "NaN", "[3, 4]"],
        ),
        (
            &|t| drop(t.insert("aux.weight".into(), zeros(&[2, 10]))),
            &["aux.weight, fc.weight could be meant", "--head"],
        ),
        (
            &|t| drop(t.insert("fc2.weight".into(), zeros(&[3, 4]))),
            &["fc2.weight", "second linear layer"],
        ),
    ];
    for (change, expected) in cases {
        write(change);
        let mut with_file = vec!["changed.safetensors"];
        with_file.extend(expected);
        fails(1, &words, &with_file);
        assert!(!Path::new(out).exists());
    }
    let tensorized = read_tensors(&torch("tednet_bt.safetensors"))
        .unwrap()
        .tensors;
    let name = "lstm.cell.weight_ih.factor1_block1";
    for (tensor, expected) in [
        (None, format!("{name}: is missing")),
        (
            Some(zeros(&[4, 3, 2])),
            format!("{name}: has shape [4, 3, 2], expected [I, J, 3]"),
        ),
    ] {
        let mut tensors = tensorized.clone();
        tensors.remove(name);
        tensors.extend(tensor.map(|tensor| (name.to_owned(), tensor)));
        write_tensors(Path::new(model), "format", "pt".into(), &tensors).unwrap();
        fails(1, &words, &[&expected]);
    }
    write(&|_| ());
    // A head in half precision is there, and says what to do.
    let mut file = std::fs::read(model).unwrap();
    let [whole_precision, half] =
        [r#""F32","shape":[4,10]"#, r#""F16","shape":[8,10]"#].map(str::as_bytes);
    let mut windows = file.windows(half.len());
    let at = windows.position(|bytes| bytes == whole_precision).unwrap();
    file[at..at + half.len()].copy_from_slice(half);
    std::fs::write(model, file).unwrap();
    fails(
        1,
        &words,
        &["nn.Linear: is missing", "fc.weight is F16: save it as f32"],
    );
    // Neither the file that is read is written, nor one that is named as integers are.
    write(&|_| ());
    let before = std::fs::read(model).unwrap();
    let lost = "changed.safetensors: is read here, and would be lost; write to another name";
    fails(1, &["import", model, "--out", model], &[lost]);
    assert_eq!(std::fs::read(model).unwrap(), before);
    let btm = place.path().join("m.btm");
    let named =
        "m.btm: is named as integers are, and floats are written here; call it .safetensors";
    fails(1, &["import", model, "--out", text(&btm)], &[named]);
    assert!(!btm.exists());
    let with = |more: &[&'static str]| [&words[..], more].concat();
    fails(
        1,
        &with(&["--head", "head"]),
        &["head.weight: is missing", "fc.weight"],
    );
    fails(
        2,
        &with(&["--input-map", "block-term", "--input-modes", "4x7"]),
        &["input-modes: 4x7 multiply to 28, but the width is 24; use --input-modes 6x4"],
    );
    fails(
        2,
        &with(&["--recurrent-map", "block-term", "--hidden-modes", "3x3"]),
        &["hidden-modes: 3x3 multiply to 9, but the width is 10; use --hidden-modes 5x2"],
    );
    fails(2, &with(&["--fine-tune", "3"]), &["--data"]);
    // A model of ours is none of PyTorch's.
    write_tensors(Path::new(model), METADATA_KEY, "{}".into(), &whole).unwrap();
    fails(1, &words, &["changed.safetensors: is a model of bt-train"]);
    for (name, what) in [("m.pt", "PyTorch"), ("m.onnx", "ONNX"), ("m.h5", "Keras")] {
        let line = format!("to_safetensors.py {name} m.safetensors");
        fails(1, &["import", name, "--out", out], &[what, &line]);
    }
}

/// What is left out, or half there, is told.
#[test]
fn warns_of_what_it_does_not_use() {
    let place = tempfile::tempdir().unwrap();
    let (model, out) = (place.path().join("s.safetensors"), place.path().join("m"));
    let mut tensors = read_tensors(&torch("last.safetensors")).unwrap().tensors;
    let second = tensors.remove("rnn.bias_hh_l0").unwrap();
    tensors.insert("norm.running_mean".into(), ArrayD::zeros(vec![3]));
    write_tensors(&model, "format", "pt".into(), &tensors).unwrap();
    let (told, err) = import(&model, &out, &[]);
    assert_eq!(err.lines().count(), 2, "{err}");
    assert!(err.contains("s.safetensors: rnn.bias_hh_l0 is missing beside rnn.bias_ih_l0"));
    assert!(err.contains("s.safetensors: norm.running_mean is no part of the model"));
    assert_eq!(told["warnings"].as_array().unwrap().len(), 2);
    let bias = &Checkpoint::read(&out).unwrap().tensors["lstm.bias"];
    assert_eq!(bias, &tensors["rnn.bias_ih_l0"]);
    assert!(second.iter().any(|value| *value != 0.0));
}
