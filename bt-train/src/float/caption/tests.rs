//! Captions against plain loops.

use super::*;
use crate::float::config::{END, ModelConfig};
use crate::float::map::check::noise;
use ndarray::Array3;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const CONFIG: &str = r#"{"input": {"map": "dense", "modes": [6]}, "hidden": {"modes": [4]}, "head": {"next_words": 5, "steps": 4}}"#;

fn network(text: &str) -> Network<f64> {
    let config: ModelConfig = serde_json::from_str(text).unwrap();
    Network::new(config, &mut ChaCha8Rng::seed_from_u64(3)).unwrap()
}

fn pictures(count: usize, inputs: usize) -> Array3<f64> {
    Array3::from_shape_vec((count, 1, inputs), noise(count * inputs, 4)).unwrap()
}

/// z = W·picture + table\[word before\] + U·h + b at every step, in a loop of its own.
#[test]
fn logits_are_those_of_a_plain_loop() {
    let mut model = network(CONFIG);
    for (name, mut values) in model.parameters_mut() {
        if name == "head.bias" || name == "lstm.bias" {
            let noise = noise(values.len(), 9);
            values.iter_mut().zip(noise).for_each(|(v, n)| *v = n);
        }
    }
    let of = |name: &str| -> Vec<f64> {
        let all = model.parameters();
        let found = all.iter().find(|(found, _)| found == name);
        found.unwrap().1.iter().copied().collect()
    };
    let (w, u, table) = (
        of("lstm.input.weight"),
        of("lstm.recurrent.weight"),
        of("words.weight"),
    );
    let (b, v, d) = (of("lstm.bias"), of("head.weight"), of("head.bias"));
    let x = pictures(3, 6);
    let (lengths, words) = ([2, 4, 1], [3, 0, 2, 4, 1, 0, 0]);
    let found = model.word_logits(x.view(), &lengths, &words);
    assert_eq!(found.dim(), (7, 5));
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let mut row = 0;
    for (picture, &length) in lengths.iter().enumerate() {
        let (mut h, mut c) = ([0.0; 4], [0.0; 4]);
        let mut last = 0;
        for _ in 0..length {
            let z: Vec<f64> = (0..16)
                .map(|k| {
                    let seen: f64 = (0..6).map(|i| w[k * 6 + i] * x[[picture, 0, i]]).sum();
                    let kept: f64 = (0..4).map(|j| u[k * 4 + j] * h[j]).sum();
                    seen + kept + table[last * 16 + k] + b[k]
                })
                .collect();
            for j in 0..4 {
                c[j] = sigmoid(z[4 + j]) * c[j] + sigmoid(z[j]) * z[8 + j].tanh();
                h[j] = sigmoid(z[12 + j]) * c[j].tanh();
            }
            for k in 0..5 {
                let told: f64 = (0..4).map(|j| v[k * 4 + j] * h[j]).sum::<f64>() + d[k];
                assert!((told - found[[row, k]]).abs() < 1e-12);
            }
            last = words[row];
            row += 1;
        }
    }
}

/// Word by word, with captions that are dropped and doubled on the way, as all at once; every cell, two layers.
#[test]
fn a_decoder_tells_what_whole_captions_do() {
    let others = [
        r#"{"input": {"map": "block-term", "modes": [2,3], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,2]}, "cell": "gru", "layers": 2, "head": {"next_words": 5}}"#,
        r#"{"input": {"map": "tensor-train", "modes": [2,3], "rank": 2}, "hidden": {"modes": [2,2]}, "cell": "min-gru", "head": {"next_words": 5}}"#,
    ];
    for text in [CONFIG].into_iter().chain(others) {
        let model = network(text);
        let x = pictures(2, 6);
        let words = [3, 4, 2, 2, 3, 4];
        let whole = model.word_logits(x.view(), &[3, 3], &words);
        let mut decoder = model.decoder(x.index_axis(Axis(1), 0));
        let first = decoder.step(&[END, END]);
        decoder.select(&[1, 0, 1]);
        let second = decoder.step(&[2, 3, 2]);
        let third = decoder.step(&[3, 4, 3]);
        let close = |found: ndarray::ArrayView1<'_, f64>, row: usize| {
            let error = &found - &whole.row(row);
            assert!(error.iter().all(|e| e.abs() < 1e-12), "{text}: {error}");
        };
        for (found, row) in [(first.row(0), 0), (first.row(1), 3)] {
            close(found, row);
        }
        for (at, sequence) in [(0, 3), (1, 0), (2, 3)] {
            close(second.row(at), sequence + 1);
            close(third.row(at), sequence + 2);
        }
    }
}
