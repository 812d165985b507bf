use super::*;
use ndarray::IxDyn;
use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;

fn small() -> Checkpoint {
    let config: ModelConfig = serde_json::from_str(
        r#"{"input": {"map": "block-term", "modes": [2,3], "blocks": 1, "rank": 2}, "hidden": {"modes": [1,2]}, "recurrent": {"map": "tensor-train", "rank": 3}, "head": {"classes": 2}}"#,
    )
    .unwrap();
    let mut tensors = Tensors::new();
    for (name, shape) in shapes(&config) {
        if name.ends_with(".bias") {
            continue;
        }
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| i as f32 / 8.0).collect();
        tensors.insert(name, ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap());
    }
    Checkpoint::new(config, tensors).unwrap()
}

#[test]
fn names_and_shapes_are_those_of_the_contract() {
    let config = small().config;
    let found = shapes(&config);
    let expected = [
        ("lstm.input.block.0.core", vec![2, 2]),
        ("lstm.input.block.0.factor.0", vec![2, 4, 2]),
        ("lstm.input.block.0.factor.1", vec![3, 2, 2]),
        ("lstm.recurrent.tt.0", vec![1, 1, 4, 3]),
        ("lstm.recurrent.tt.1", vec![3, 2, 2, 1]),
        ("lstm.bias", vec![8]),
        ("head.weight", vec![2, 2]),
        ("head.bias", vec![2]),
    ];
    assert_eq!(found.len(), expected.len());
    for ((name, shape), (expected_name, expected_shape)) in found.iter().zip(&expected) {
        assert_eq!((name.as_str(), shape), (*expected_name, expected_shape));
    }
}

#[test]
fn comes_back_as_written_and_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let (a, b) = (place.path().join("a"), place.path().join("b"));
    let checkpoint = small();
    assert_eq!(checkpoint.tensors["lstm.bias"].sum(), 0.0);
    assert_eq!(checkpoint.tensors[INPUT_SCALE].sum(), 1.0);
    checkpoint.write(&a).unwrap();
    let again = Checkpoint::read(&a).unwrap();
    assert_eq!(again, checkpoint);
    Checkpoint::of(&again.model().unwrap()).write(&b).unwrap();
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
}

#[test]
fn names_the_tensor_that_disagrees() {
    let good = small();
    let mut tensors = good.tensors.clone();
    tensors.insert("head.weight".into(), ArrayD::zeros(vec![2, 3]));
    let line = Checkpoint::new(good.config.clone(), tensors)
        .unwrap_err()
        .to_string();
    assert!(
        line.starts_with("head.weight: has shape [2, 3], expected [2, 2]"),
        "{line}"
    );

    let mut tensors = good.tensors.clone();
    tensors.remove("lstm.recurrent.tt.1");
    let line = Checkpoint::new(good.config.clone(), tensors)
        .unwrap_err()
        .to_string();
    assert!(
        line.starts_with("lstm.recurrent.tt.1: is missing"),
        "{line}"
    );

    let mut tensors = good.tensors.clone();
    tensors.insert("lstm.input.block.1.core".into(), ArrayD::zeros(vec![2, 2]));
    let line = Checkpoint::new(good.config, tensors)
        .unwrap_err()
        .to_string();
    assert!(
        line.starts_with("lstm.input.block.1.core: belongs"),
        "{line}"
    );
}

/// A tensor that is no part of the model may be of any type; one of the model's must be f32.
#[test]
fn ignores_what_is_not_the_models() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.safetensors");
    let model = small();
    let write = |extra: &str, dtype| {
        let bytes: Vec<(&String, Vec<u8>)> = model
            .tensors
            .iter()
            .filter(|(name, _)| *name != extra)
            .map(|(name, tensor)| {
                let bytes = tensor.iter().flat_map(|value| value.to_le_bytes());
                (name, bytes.collect())
            })
            .collect();
        let mut views: Vec<(&str, TensorView<'_>)> = bytes
            .iter()
            .map(|(name, bytes)| {
                let shape = model.tensors[*name].shape().to_vec();
                let view = TensorView::new(Dtype::F32, shape, bytes).unwrap();
                (name.as_str(), view)
            })
            .collect();
        views.push((extra, TensorView::new(dtype, vec![2], &[0; 16]).unwrap()));
        let config = serde_json::to_string(&model.config).unwrap();
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), config)]);
        std::fs::write(&path, serialize(views, Some(metadata)).unwrap()).unwrap();
        Checkpoint::read_with_warnings(&path)
    };
    for name in ["steps", "optimizer.step", "lstmx"] {
        let (found, warnings) = write(name, Dtype::I64).unwrap();
        assert_eq!(found, model);
        assert_eq!(warnings, [format!("{name}: no part of the model, ignored")]);
    }
    for name in ["head.bias", "lstm.extra"] {
        let line = write(name, Dtype::F64).unwrap_err().to_string();
        let expected = format!("m.safetensors: {name}: is F64; save it as f32");
        assert!(line.ends_with(&expected), "{line}");
    }
}

/// Keys of the metadata that nothing reads, and tensors that are rarely left out on purpose, are told.
#[test]
fn warns_of_what_a_writer_may_have_got_wrong() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.safetensors");
    let warnings = |config: &str, without: &[&str]| {
        let mut tensors = small().tensors;
        tensors.retain(|name, _| !without.contains(&name.as_str()));
        write_tensors(&path, METADATA_KEY, config.into(), &tensors).unwrap();
        Checkpoint::read_with_warnings(&path).unwrap().1
    };
    let config = r#"{"input": {"map": "block-term", "modes": [2,3], "blocks": 1, "rank": 2, "width": null}, "hidden": {"modes": [1,2], "units": 2}, "recurrent": {"map": "tensor-train", "rank": 3, "blocks": 2}, "head": {"classes": 2, "labels": []}, "dropout": 0.1}"#;
    assert_eq!(
        warnings(config, &[]),
        [
            "metadata `bt`: dropout, hidden.units, recurrent.blocks: nothing here reads that, ignored"
        ]
    );
    // What states no more than its default is read; a key beside it whose name is a little longer is not.
    let stated = r#"{"input": {"map": "block-term", "modes": [2,3], "blocks": 1, "rank": 2, "width": null,
        "filter": "none", "filter_horizon": null, "frames": null}, "hidden": {"modes": [1,2]}, "cell": "lstm",
        "layers": 1, "recurrent": {"map": "tensor-train", "rank": 3}, "gate": "sigmoid", "imported": false,
        "head": {"classes": 2, "pool": "last", "horizon": null, "steps": null, "labels": []}, "front_end": null"#;
    assert_eq!(warnings(&format!("{stated}}}"), &[]), [""; 0]);
    let told = |keys: &str| warnings(&format!("{stated}, {keys}}}"), &[]).join("");
    let of = |keys: &str| format!("metadata `bt`: {keys}: nothing here reads that, ignored");
    assert_eq!(
        told(r#""cells": "lstm", "note": {"layers": 1}, "notes": null"#),
        of("cells, note, notes")
    );
    let many: Vec<String> = (0..40).map(|at| format!(r#""x{at:02}": 0"#)).collect();
    let named: Vec<String> = (0..16).map(|at| format!("x{at:02}")).collect();
    assert_eq!(
        told(&many.join(",")),
        of(&(named.join(", ") + ", and others"))
    );
    let config = serde_json::to_string(&small().config).unwrap();
    assert_eq!(warnings(&config, &[]), [""; 0]);
    let both = warnings(&config, &["input.scale", "input.offset", "head.bias"]);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[0].starts_with("input.offset and input.scale are missing"));
    assert!(both[1].starts_with("head.bias is missing"));
    let one = warnings(&config, &["input.scale", "head.bias", "lstm.bias"]);
    assert_eq!(one.len(), 1, "{one:?}");
    assert!(one[0].starts_with("input.scale is missing"));
}

/// Headers that promise more than the file holds, with the numbers as large as they can be written.
#[test]
fn refuses_headers_that_promise_nonsense() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.safetensors");
    let max = u64::MAX;
    let tensor = |shape: &str, end: u64| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    for (length, header) in [
        (Some(max), "{}".to_owned()),
        (Some(1 << 40), "{}".to_owned()),
        (None, tensor("[4294967296,4294967296,4]", 8)),
        (None, tensor("[4611686018427387904]", 0)),
        (None, tensor("[2]", max)),
        (None, tensor("[9000000000000000000]", 8)),
    ] {
        let length = length.unwrap_or(header.len() as u64);
        let bytes = [&length.to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
        std::fs::write(&path, bytes).unwrap();
        let line = read_tensors(&path).unwrap_err().to_string();
        assert!(line.contains("m.safetensors: cannot be read"), "{line}");
    }
}

#[test]
fn refuses_a_file_cut_short() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.safetensors");
    small().write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(Checkpoint::read(&path).is_err(), "{length} bytes");
    }
}
