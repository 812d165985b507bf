//! `report.html` in the folder of a run.

use bt_tests::program::{Toy, quantize_words, run, text, train_words};

/// What `quantize` says is in the report that it writes again, beside what `train` wrote.
#[test]
fn a_run_has_a_report_that_quantize_writes_again() {
    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(90).write(place.path());
    let out = place.path().join("run");
    let left = run(&train_words(
        &data,
        text(&out),
        &["--epochs", "3", "--json"],
    ));
    assert_eq!(left.status, Some(0), "{left:?}");
    let summary: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    let path = out.join("report.html");
    assert_eq!(summary["files"]["report"], text(&path));
    let read = || std::fs::read_to_string(&path).unwrap();
    let trained = read();
    let accuracy = format!(
        "<b>{:.4}</b><span>accuracy<",
        summary["accuracy"].as_f64().unwrap()
    );
    assert!(trained.contains(&accuracy), "{accuracy}");
    assert!(trained.contains("Not quantized yet"));
    // Loss and accuracy of both parts, the best epoch in both charts.
    assert_eq!(trained.matches("<polyline").count(), 4);
    let best = format!(">best: {}<", summary["best_epoch"]);
    assert_eq!(trained.matches(&best).count(), 2);

    let model = place.path().join("<m>.btm");
    let words = quantize_words(text(&out), &data, text(&model), &[]);
    let words = [&words[..], &["--board", "mps2-an386", "--json"]].concat();
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
    let told: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    let quantized = read();
    assert!(quantized.contains(&accuracy), "what training said stays");
    assert!(quantized.contains("flash, &lt;m&gt;.btm<"));
    let levels = told["input"]["levels"].as_array().unwrap();
    let snr = format!("<td>{:.1}</td>", levels[0]["snr_db"].as_f64().unwrap());
    assert!(quantized.contains(&snr), "{snr}");
    let fixed = told["comparison"]["fixed_accuracy"].as_f64().unwrap();
    assert!(quantized.contains(&format!("<td>{fixed:.4}</td>")));
    let ram = told["ram_bytes"].as_u64().unwrap().to_string();
    assert!(
        quantized
            .replace(',', "")
            .contains(&format!("<b>{ram} B</b>")),
        "{ram}"
    );

    // A model without a run has no place for one.
    let alone = place.path().join("alone.safetensors");
    std::fs::copy(out.join("best.safetensors"), &alone).unwrap();
    let words = quantize_words(text(&alone), &data, text(&model), &[]);
    assert_eq!(run(&words).status, Some(0));
    let reports = std::fs::read_dir(place.path()).unwrap();
    assert!(
        reports
            .flatten()
            .all(|entry| entry.file_name() != "report.html")
    );
}
