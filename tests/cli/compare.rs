//! `compare`: every form of map, a GRU, linear controls.

use bt_tests::program::{MODES, Toy, run};

#[test]
fn compares_every_form_of_map_a_gru_and_linear_controls() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let mut words = vec!["compare", "--data", &data, "--json", "--seeds", "2"];
    words.extend(MODES);
    words.extend(["--blocks", "1", "--rank", "2", "--epochs", "4", "--tune"]);
    let left = run(&words);
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    let rows = object["rows"].as_array().unwrap();
    let maps: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["input_map"].as_str())
        .collect();
    let block_term = "block-term";
    assert_eq!(
        maps,
        ["dense", "tensor-train", block_term, block_term, block_term]
    );
    let of = |key: &str| {
        rows.iter()
            .map(|row| row[key].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("cell"), ["lstm", "lstm", "lstm", "lstm", "gru"]);
    assert_eq!(
        of("recurrent_map"),
        ["dense", "dense", "dense", block_term, "dense"]
    );
    // Beside them what knows no order, and what knows no memory; the class shows in the mean.
    let controls = object["controls"].as_array().unwrap();
    assert_eq!(controls[0]["reads"], "mean");
    assert_eq!(controls[1]["reads"]["frames"], 8);
    for control in controls {
        assert!(control["accuracy"].as_f64().unwrap() > 0.9, "{control}");
        assert!(control["validation"].is_number() && control["penalty"].is_number());
    }
    assert_eq!(object["seeds"], serde_json::json!([0, 1]));
    assert_eq!(object["sequences"]["test"], 60);
    assert!((object["baseline"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
    for row in rows {
        let accuracies: Vec<f64> = row["accuracies"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(serde_json::Value::as_f64)
            .collect();
        assert_eq!(accuracies.len(), 2);
        let mean = row["accuracy_mean"].as_f64().unwrap();
        assert!((mean - (accuracies[0] + accuracies[1]) / 2.0).abs() < 1e-12);
        assert!(row["accuracy_sd"].is_number() && row["lr"].is_number());
        assert!(row["device_bytes"].as_u64().unwrap() > 0);
    }
    // 12·32 dense; ranks 2: 3·8·2 + 2·4·4 in a train; 2·(3·8 + 4·4) + 2² in a block.
    let weights: Vec<u64> = rows
        .iter()
        .filter_map(|row| row["input_parameters"].as_u64())
        .collect();
    // A GRU has three gates: 2·(3·6 + 4·4) + 2².
    assert_eq!(weights, [384, 80, 84, 84, 72]);
}

/// `--refit`: rates chosen by validation, models of every seed trained without one.
#[test]
fn compares_models_that_learnt_from_the_validation_part_too() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let curves = place.path().join("curves.jsonl");
    let mut words = vec!["compare", "--data", &data, "--json", "--seeds", "2"];
    words.extend(MODES);
    words.extend(["--blocks", "1", "--rank", "2", "--epochs", "4", "--refit"]);
    words.extend(["--curves", curves.to_str().unwrap()]);
    assert_eq!(run(&words).status, Some(2), "--refit takes --tune");
    words.push("--tune");
    let left = run(&words);
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    for row in object["rows"].as_array().unwrap() {
        assert!(row["validation_mean"].is_number() && row["epochs_to_90_percent"].is_number());
        for key in ["accuracies", "fixed_accuracies"] {
            assert_eq!(row[key].as_array().unwrap().len(), 2, "{key}");
        }
    }
    let text = std::fs::read_to_string(&curves).unwrap();
    let epochs: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(epochs.len(), 5 * 2 * 4);
    assert!(
        epochs
            .iter()
            .all(|epoch| epoch["metrics"]["validation"].is_null())
    );
    let picture = place.path().join("curves.svg");
    let at = words.iter().position(|word| *word == "--curves").unwrap();
    words[at + 1] = picture.to_str().unwrap();
    assert_eq!(run(&words).status, Some(0));
    let svg = std::fs::read_to_string(&picture).unwrap();
    for map in ["dense", "tensor-train", "block-term", "gru, block-term"] {
        assert!(svg.contains(&format!(">{map}</text>")), "{svg}");
    }
}
