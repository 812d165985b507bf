//! Captions, the whole way down in floats: words and pictures of a file, training, captions and their figures.

use bt_tests::program::{fails, quantize_words, run, text};
use bt_train::data::NpzWriter;
use serde_json::Value;
use std::path::Path;

/// Values of a picture.
const WIDTH: usize = 6;

/// Words of the vocabulary; the first two mean the end and all others.
const WORDS: [&str; 8] = [
    "<end>", "<other>", "red", "green", "blue", "ball", "rolls", "away",
];

/// The caption of every picture of a kind, 0 to 2.
fn caption(kind: usize) -> [u16; 6] {
    [2 + kind as u16, 5, 6, 7, 2 + kind as u16, 0]
}

/// Pictures of three kinds, one value of each bright, and two captions of each picture; the second begins with the word
/// before last.
struct Data {
    pictures: usize,
    width: usize,
    words: Vec<u16>,
    of: Vec<i32>,
    labels: usize,
}

impl Data {
    fn new(pictures: usize) -> Data {
        let of: Vec<i32> = (0..2 * pictures).map(|at| (at / 2) as i32).collect();
        let words = of.iter().flat_map(|&picture| caption(picture as usize % 3));
        Data {
            pictures,
            width: WIDTH,
            words: words.collect(),
            of,
            labels: WORDS.len(),
        }
    }

    fn add(&self, part: &str, to: &mut NpzWriter) {
        let value = |picture: usize, at: usize| match at == picture % 3 {
            true => 200,
            false => (picture * 7 + at * 13 % 40) as u8 % 40,
        };
        let values: Vec<u8> = (0..self.pictures)
            .flat_map(|picture| (0..self.width).map(move |at| value(picture, at)))
            .collect();
        to.array(
            &format!("x_{part}"),
            &[self.pictures, 1, self.width],
            &values,
        )
        .unwrap();
        let captions = self.of.len();
        let longest = self.words.len() / captions;
        to.array(&format!("words_{part}"), &[captions, longest], &self.words)
            .unwrap();
        to.array(&format!("picture_{part}"), &[captions], &self.of)
            .unwrap();
    }

    /// Writes it as both parts.
    fn write(&self, place: &Path) -> String {
        self.write_as(&["train", "test"], place)
    }

    /// Writes it as each of these parts.
    fn write_as(&self, parts: &[&str], place: &Path) -> String {
        let mut writer = NpzWriter::new();
        for part in parts {
            self.add(part, &mut writer);
        }
        if self.labels > 0 {
            let labels: Vec<String> = WORDS[..self.labels].iter().map(|&w| w.into()).collect();
            writer.texts("labels", &labels);
        }
        let path = place.join("d.npz");
        writer.write(&path).unwrap();
        text(&path).to_owned()
    }
}

fn json(words: &[&str]) -> Value {
    let left = run(words);
    assert_eq!(left.status, Some(0), "{words:?}: {left:?}");
    serde_json::from_str(&left.out).unwrap()
}

const MODEL: [&str; 10] = [
    "--input-modes",
    "2x3",
    "--hidden-modes",
    "4x4",
    "--epochs",
    "25",
    "--lr",
    "0.02",
    "--head",
    "next-words",
];

/// What looks at the picture says all of its caption; what is given another picture's has the three words in the middle
/// right and no run of four, and what looks at none is right of a third.
#[test]
fn captions_say_what_is_in_the_picture() {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(58).write(place.path());
    let out = place.path().join("run");
    let mut words = vec!["train", "--data", &data, "--out", text(&out), "--json"];
    words.extend(MODEL);
    json(&words);
    let told = place.path().join("told.json");
    let eval = ["eval", text(&out), "--data", &data, "--json"];
    let found = json(&[&eval[..], &["--captions", text(&told)]].concat());
    assert_eq!(found["pictures"], 58);
    assert_eq!(found["captions"], 116);
    assert_eq!(found["distinct"], 3);
    assert_eq!(found["bleu"][3], 1.0);
    let perplexity = |of: &Value| of["perplexity"].as_f64().unwrap();
    assert!(perplexity(&found) < 1.1, "{found}");
    assert!(perplexity(&found["shuffled"]) > 3.0, "{found}");
    // Half of 58 further on is a picture of another kind, on either side of the end.
    assert_eq!(found["shuffled"]["bleu"][3], 0.0);
    assert_eq!(found["shuffled"]["distinct"], 3);
    let most = &found["controls"]["most_frequent"];
    assert_eq!(most["distinct"], 1);
    assert!(most["bleu"][3].as_f64().unwrap() < 0.7, "{found}");
    assert_eq!(found["controls"]["nearest"]["bleu"][3], 1.0);
    let told: Value = serde_json::from_slice(&std::fs::read(told).unwrap()).unwrap();
    for kind in 0..3 {
        let colour = WORDS[2 + kind];
        let caption = format!("{colour} ball rolls away {colour}");
        assert_eq!(told[kind]["caption"], caption);
        assert_eq!(told[kind]["references"][1], caption);
    }
    // The likeliest of several is that of one after the other where every word is nearly certain.
    let beam = json(&[&eval[..], &["--beam", "3"]].concat());
    assert_eq!(beam["bleu"], found["bleu"]);
    let text_of = run(&["eval", text(&out), "--data", &data]);
    assert!(
        text_of
            .out
            .contains("BLEU-1 to 4 100.0 100.0 100.0 100.0, 3 distinct")
    );

    // Other data, and what a model of captions is not for.
    let other = tempfile::tempdir().unwrap();
    let wide = Data {
        width: WIDTH + 1,
        ..Data::new(4)
    };
    let wide = wide.write(other.path());
    let of_wide = ["eval", text(&out), "--data", &wide];
    fails(
        1,
        &of_wide,
        &["x_train: has 7 features a step, the model takes 6"],
    );
    let logits = place.path().join("l.npz");
    fails(
        1,
        &[
            "eval",
            text(&out),
            "--data",
            &data,
            "--logits",
            text(&logits),
        ],
        &["logits"],
    );

    // The integers tell the same.
    let btm = place.path().join("m.btm");
    let quantize = quantize_words(text(&out), &data, text(&btm), &[]);
    let quantized = json(&[&quantize[..], &["--json"]].concat());
    let comparison = &quantized["comparison"];
    let share = |key: &str| comparison[key].as_f64().unwrap();
    let change = share("fixed_perplexity") / share("float_perplexity") - 1.0;
    assert!(change.abs() < 0.01, "{comparison}");
    assert!(quantized["words"]["snr_db"].as_f64().unwrap() > 40.0);
    let tuned = json(&[&quantize[..], &["--fine-tune", "1", "--json"]].concat());
    assert_eq!(tuned["fine_tune"]["epochs"].as_array().unwrap().len(), 1);
    assert_eq!(
        tuned["fine_tune"]["best"]["validation"]["bleu"],
        found["bleu"]
    );
    assert!(tuned["comparison"]["fixed_perplexity"].as_f64().unwrap() < 1.2);
    let said = run(&quantize);
    assert!(said.out.contains(" words of "), "{said:?}");
    let told_again = place.path().join("again.json");
    let runs = ["run", text(&btm), "--data", &data];
    let integers = json(&[&runs[..], &["--json", "--captions", text(&told_again)]].concat());
    for key in ["bleu", "distinct", "pictures", "captions"] {
        assert_eq!(integers[key], found[key], "{key}");
    }
    let change = perplexity(&integers) / perplexity(&found) - 1.0;
    assert!(change.abs() < 0.01, "{integers}");
    let told_again: Value = serde_json::from_slice(&std::fs::read(told_again).unwrap()).unwrap();
    assert_eq!(told_again, told);
    let said = run(&runs).out;
    assert!(said.starts_with("red ball rolls away red\ngreen"), "{said}");
    assert!(
        said.contains(", 3 distinct captions, perplexity 1.0"),
        "{said}"
    );

    // Drawn from a seed: again the same, from another others; hot enough, many.
    let hot = |seed: &'static str| {
        let flags = ["--temperature", "4", "--seed", seed];
        let left = run(&[&runs[..], &flags].concat());
        assert_eq!(left.status, Some(0), "{left:?}");
        left.out
    };
    assert_eq!(hot("7"), hot("7"));
    assert_ne!(hot("7"), hot("8"));
    let lines: std::collections::BTreeSet<String> = hot("9").lines().map(str::to_owned).collect();
    assert!(
        lines.len() > 20 && !hot("9").contains(WORDS[1]),
        "{lines:?}"
    );
    for (flags, expected) in [
        (
            &["--temperature", "0.1"][..],
            "is no number from 0.125 to 255",
        ),
        (&["--temperature", "256"], "is no number from 0.125 to 255"),
        (&["--temperature", "x"], "is no number from 0.125 to 255"),
        (&["--seed", "1"], "--temperature"),
        (&["--temperature", "1", "--seed=-1"], "--seed"),
    ] {
        fails(2, &[&runs[..], flags].concat(), &[expected]);
    }
    fails(
        1,
        &[&runs[..], &["--logits", text(&logits)]].concat(),
        &["logits"],
    );
    fails(1, &["run", text(&btm), "--data", &wide], &["x_test"]);
    let draw = place.path().join("x.npz");
    let generate = ["generate", text(&btm), "--out", text(&draw)];
    fails(1, &generate, &["the model does not draw"]);

    // Pictures that nobody has captioned.
    let mut writer = NpzWriter::new();
    let picture: Vec<u8> = vec![200, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0];
    writer.array("x_test", &[2, 1, WIDTH], &picture).unwrap();
    let bare = place.path().join("bare.npz");
    writer.write(&bare).unwrap();
    let said = run(&["run", text(&btm), "--data", text(&bare)]).out;
    let expected =
        "red ball rolls away red\ngreen ball rolls away green\n2 distinct captions of 2 pictures\n";
    assert_eq!(said, expected);
    let inspected = json(&["inspect", text(&btm), "--json"]);
    assert_eq!(inspected["caption_words"], 5);
}

/// The epoch that is kept is the one of the best BLEU-4, and its figures are those that `eval` finds of the same
/// pictures; words that are hidden change what is learned.
#[test]
fn the_epoch_of_the_best_captions_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(58).write_as(&["train", "val", "test"], place.path());
    let train = |name: &str, flags: &[&str]| {
        let out = place.path().join(name);
        let mut words = vec!["train", "--data", &data, "--out", text(&out), "--json"];
        let (modes, rest) = (&MODEL[..4], &MODEL[6..]);
        words.extend(modes.iter().chain(rest));
        words.extend(["--epochs", "8", "--keep", "bleu"]);
        let told = json(&[&words[..], flags].concat());
        let epochs = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let epochs = epochs
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        (told, epochs.collect::<Vec<Value>>(), out)
    };
    let (told, epochs, out) = train("run", &[]);
    assert_eq!((&told["keep"], epochs.len()), (&Value::from("bleu"), 8));
    let bleu = |epoch: &Value| epoch["validation"]["bleu"][3].as_f64().unwrap();
    let best = epochs.iter().map(bleu).fold(0.0, f64::max);
    assert!(bleu(&epochs[0]) < 1.0, "{}", epochs[0]);
    let kept = &epochs[told["best_epoch"].as_u64().unwrap() as usize - 1];
    assert_eq!(bleu(kept), best);
    let found = json(&["eval", text(&out), "--data", &data, "--json"]);
    for key in ["bleu", "distinct"] {
        assert_eq!(found[key], kept["validation"][key], "{key}");
        assert_eq!(found[key], told[key], "{key}");
    }
    assert!(
        std::fs::read_to_string(out.join("curves.svg"))
            .unwrap()
            .contains("BLEU-4")
    );
    let (_, hidden, _) = train("hidden", &["--hide-words", "0.5"]);
    let loss = |epochs: &[Value]| epochs[7]["loss"].as_f64().unwrap();
    assert!(loss(&hidden) != loss(&epochs), "{hidden:?}");
}

#[test]
fn what_is_no_caption_is_refused_where_it_is() {
    let refused = |data: &Data, expected: &str| {
        let place = tempfile::tempdir().unwrap();
        let path = data.write(place.path());
        let out = place.path().join("run");
        let mut words = vec!["train", "--data", &path, "--out", text(&out)];
        words.extend(MODEL);
        fails(1, &words, &[expected]);
        assert!(!out.exists());
    };
    let good = || Data::new(3);
    let with = |at: usize, word: u16| {
        let mut data = good();
        data.words[at] = word;
        data
    };
    refused(&with(7, 8), "words_train: value 8 at 7 is outside 0..=7");
    refused(&with(6, 0), "words_train: has no word in row 1");
    refused(
        &with(2, 0),
        "words_train: has a word behind the end of row 0, at 3",
    );
    let mut data = good();
    data.of[4] = 3;
    refused(&data, "picture_train: value 3 at 4 is outside 0..=2");
    data.of[4] = -1;
    refused(&data, "picture_train: value -1 at 4 is outside 0..=2");
    data = good();
    data.labels = 0;
    refused(&data, "labels");
}

/// Captions are named where something else is asked of them, and the other way round.
#[test]
fn heads_and_captions_go_together() {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(6).write(place.path());
    let out = place.path().join("run");
    let trains = |data: &str, head: &str, expected: &[&str]| {
        let mut words = vec!["train", "--data", data, "--out", text(&out)];
        words.extend(&MODEL[..4]);
        words.extend(["--head", head]);
        fails(1, &words, expected);
    };
    trains(&data, "step-classes", &["holds the next word of a caption"]);
    fails(
        1,
        &["compare", "--data", &data],
        &["y_train: has captions, and what is compared"],
    );
    let toy = tempfile::tempdir().unwrap();
    let classes = bt_tests::program::Toy::new(6).write(toy.path());
    let expected = "words_train: is missing; save captions as `words_train` and `picture_train`";
    trains(&classes, "next-words", &[expected, "words_train"]);
    for flags in [["--keep", "bleu"], ["--hide-words", "0.1"]] {
        let words = bt_tests::program::train_words(&classes, text(&out), &flags);
        let name = &flags[0][2..];
        let expected = format!("{name}: is for captions (`head next-words`); leave it out");
        fails(1, &words, &[&expected]);
    }
}
