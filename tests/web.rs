//! The page in a real browser, without a window: the scores of the device's code on the host, bit for bit.

use std::path::Path;
use std::process::{Command, Stdio};

use bt_core::about::Pool;
use bt_core::captions::Temperature;
use bt_core::{InputType, Model, ModelBytes};
use bt_tests::model::{Dense, Noise};
use bt_train::command::captions::Drawing;
use bt_train::data::{NpzWriter, PartName, Recordings, load};
use bt_train::{device, drawing};
use tools::{setup, web};

/// What the page says when it was opened with these files: its raw scores, or else the problem shown.
fn opened(folder: &Path, query: &str) -> Result<Vec<Vec<i32>>, String> {
    shown(folder, &format!("index.html?{query}"))
}

/// As [`opened`], of any page.
fn shown(folder: &Path, page: &str) -> Result<Vec<Vec<i32>>, String> {
    let profile = tempfile::tempdir().unwrap();
    let page = format!("file://{}/{page}", folder.display());
    let output = Command::new(setup::CHROMIUM)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args([
            "--no-first-run",
            "--disable-sync",
            "--disable-component-update",
        ])
        .args(["--disable-background-networking", "--disable-dev-shm-usage"])
        // A page opened from disk reads what lies beside it only so; from a file server always.
        .arg("--allow-file-access-from-files")
        .args(["--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(page)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    let between = |start: &str, end: &str| {
        let (_, rest) = page.split_once(start)?;
        Some(rest.split_once(end)?.0.to_owned())
    };
    match between("<pre id=\"raw\" data-done=\"yes\">", "</pre>") {
        Some(raw) => Ok(serde_json::from_str(&raw).unwrap()),
        None => Err(between("<p id=\"problem\" role=\"alert\">", "</p>").unwrap_or(page)),
    }
}

#[test]
fn the_page_gives_the_scores_of_the_host() {
    setup::web().unwrap();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let frames = Dense {
        input_type: InputType::U8,
        values: 6,
        hidden: 9,
        pool: Pool::Mean,
        ..Dense::default()
    }
    .model();
    web::write(folder, frames.bytes(), &[]).unwrap();

    // Bytes, of the model that the page opens with; sequences of different lengths.
    let bytes = Noise::new(3).bytes(2 * 5 * 6);
    let mut npz = NpzWriter::new();
    npz.array("x_test", &[2, 5, 6], &bytes).unwrap();
    npz.array("lengths_test", &[2], &[5i64, 3]).unwrap();
    npz.write(&folder.join("frames.npz")).unwrap();
    let model = Model::parse(frames.bytes()).unwrap();
    let expected = on_the_host(&model, &folder.join("frames.npz"));
    assert_ne!(expected[0], expected[1]);
    assert_eq!(opened(folder, "data=frames.npz"), Ok(expected));

    // Floats, each feature with a scale of its own: a file that an older exporter wrote, with its scores.
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/version4");
    for name in ["floats", "registers"] {
        for end in ["btm", "npz"] {
            let file = format!("{name}.{end}");
            std::fs::copy(kept.join(&file), folder.join(&file)).unwrap();
        }
        let scores = std::fs::read_to_string(kept.join("scores.json")).unwrap();
        let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
        let expected: Vec<Vec<i32>> = serde_json::from_value(scores[name].clone()).unwrap();
        let query = format!("model={name}.btm&data={name}.npz");
        assert_eq!(opened(folder, &query), Ok(expected), "{name}");
    }

    // Sound, whose last step is completed with silence.
    let sound = heard();
    let model = Model::parse(sound.bytes()).unwrap();
    std::fs::write(folder.join("sound.btm"), sound.bytes()).unwrap();
    let step = model.frame_values();
    let samples: Vec<i16> = (0..3 * step + step / 2)
        .map(|n| 400 + (8_000.0 * (n as f64 * 0.31).sin()) as i16)
        .collect();
    std::fs::write(folder.join("sound.wav"), wav(&model, &samples)).unwrap();
    let mut npz = NpzWriter::new();
    npz.array("x_test", &[1, samples.len(), 1], &samples)
        .unwrap();
    npz.write(&folder.join("sound.npz")).unwrap();
    let expected = on_the_host(&model, &folder.join("sound.npz"));
    for file in ["sound.npz", "sound.wav"] {
        let query = format!("model=sound.btm&data={file}");
        assert_eq!(opened(folder, &query), Ok(expected.clone()), "{file}");
    }

    // A model and a recording that are dropped together take the place of what was open, of which nothing is left when
    // the model alone is.
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    std::fs::write(folder.join("dropped.html"), page + DROPS).unwrap();
    assert_eq!(shown(folder, "dropped.html?data=frames.npz"), Ok(expected));

    // Frames of colour, which are shown as pictures; the scores are those of the values all the same.
    let pixels = Dense {
        input_type: InputType::U8,
        values: 12 * 10 * 3,
        hidden: 5,
        ..Dense::default()
    }
    .model();
    std::fs::write(folder.join("pixels.btm"), pixels.bytes()).unwrap();
    let bytes = Noise::new(4).bytes(2 * 4 * 360);
    let mut npz = NpzWriter::new();
    npz.array("x_test", &[2, 4, 12, 10, 3], &bytes).unwrap();
    npz.write(&folder.join("pixels.npz")).unwrap();
    let model = Model::parse(pixels.bytes()).unwrap();
    let expected = on_the_host(&model, &folder.join("pixels.npz"));
    assert_ne!(expected[0], expected[1]);
    let query = "model=pixels.btm&data=pixels.npz";
    assert_eq!(opened(folder, query), Ok(expected));

    // A picture of a seed whose halves both count, row by row.
    let draws = draws();
    let model = Model::parse(draws.bytes()).unwrap();
    std::fs::write(folder.join("draws.btm"), draws.bytes()).unwrap();
    let seed = (7 << 32) + 5;
    let picture = &drawing::draw(&model, seed, (1, 28), || ()).unwrap().bits[0];
    let rows = |picture: &[u8], columns: usize| -> Vec<Vec<i32>> {
        let row = |row: &[u8]| row.iter().map(|&pixel| pixel.into()).collect();
        picture.chunks(columns).map(row).collect()
    };
    let query = format!("model=draws.btm&seed={seed}");
    assert_eq!(opened(folder, &query), Ok(rows(picture, 5)));

    // One that is painted has rows and steps of its own.
    let paints = Dense {
        values: 5,
        hidden: 9,
        classes: 12,
        ..Dense::default()
    }
    .painting(4, 3);
    let model = Model::parse(paints.bytes()).unwrap();
    std::fs::write(folder.join("paints.btm"), paints.bytes()).unwrap();
    let picture = &drawing::draw(&model, seed, (1, 4), || ()).unwrap().bits[0];
    let query = format!("model=paints.btm&seed={seed}");
    assert_eq!(opened(folder, &query), Ok(rows(picture, 4)));

    // Captions of pictures, the likeliest words and drawn ones.
    let captions = Dense {
        input_type: InputType::U8,
        hidden: 9,
        classes: 40,
        ..Dense::default()
    }
    .captioning(8);
    let model = Model::parse(captions.bytes()).unwrap();
    std::fs::write(folder.join("captions.btm"), captions.bytes()).unwrap();
    let mut npz = NpzWriter::new();
    let bytes = Noise::new(5).bytes(3 * 7);
    npz.array("x_test", &[3, 1, 7], &bytes).unwrap();
    npz.write(&folder.join("pictures.npz")).unwrap();
    let drawn = Drawing {
        temperature: Temperature::new(300),
        seed: Some((7 << 32) + 5),
    };
    let set = load(
        &folder.join("pictures.npz"),
        &Recordings::default(),
        &[PartName::Test],
    );
    let set = set.unwrap();
    let part = set.part(PartName::Test).unwrap();
    let mut told = Vec::new();
    for (drawing, asked) in [
        (Drawing::default(), String::new()),
        (drawn, format!("&temperature=1.17&seed={seed}")),
    ] {
        let words = device::captions(&model, part, &[0, 1, 2], |n| drawing.teller(n), || ());
        let words: Vec<Vec<i32>> = words
            .unwrap()
            .iter()
            .map(|words| words.iter().map(|&word| word as i32).collect())
            .collect();
        let query = format!("model=captions.btm&data=pictures.npz{asked}");
        assert_eq!(opened(folder, &query).as_ref(), Ok(&words));
        told.push(words);
    }
    assert_ne!(told[0], told[1]);
    let problem = opened(
        folder,
        "model=captions.btm&data=pictures.npz&temperature=0.1",
    );
    assert_eq!(
        problem,
        Err("temperature 0.1: it is 0, or 0.125 to 255".to_owned())
    );

    // Tables: a decimal comma is no mark between values, a row with a number is no heading, lines are those of the file.
    for (name, table, says) in [
        ("comma", "0,5;1;2;3;4;5\n", "line 1, column 1 is no number"),
        (
            "half",
            "a,1,2,3,4,5\n1,2,3,4,5,6\n",
            "line 1, column 1 is no number",
        ),
        (
            "blank",
            "a,b,c,d,e,f\n\n1,2,3,4,5,x\n",
            "line 3, column 6 is no number",
        ),
        (
            "short",
            "1,2,3,4,5,6\n1,2\n",
            "line 2 has 2 values, line 1 6",
        ),
    ] {
        std::fs::write(folder.join(format!("{name}.csv")), table).unwrap();
        let problem = opened(folder, &format!("data={name}.csv"));
        assert_eq!(problem, Err(format!("{name}.csv: {says}")));
    }

    // What does not fit is said, and by name.
    let problem = opened(folder, "data=nosuch.npz").unwrap_err();
    assert!(
        problem.starts_with("nosuch.npz: cannot be fetched"),
        "{problem}"
    );
    let problem = opened(folder, "model=frames.npz").unwrap_err();
    assert!(problem.starts_with("frames.npz: "), "{problem}");
    let problem = opened(folder, "data=sound.wav").unwrap_err();
    assert!(problem.starts_with("sound.wav: is sound"), "{problem}");
    let problem = opened(folder, "seed=1").unwrap_err();
    assert!(problem.contains("does not draw"), "{problem}");
    let problem = opened(folder, "model=draws.btm&seed=-1").unwrap_err();
    assert!(problem.starts_with("seed -1: "), "{problem}");
    let problem = opened(folder, "data=floats.npz").unwrap_err();
    assert!(
        problem.contains("12 values a step, the model takes 6"),
        "{problem}"
    );
}

/// Drops `sound.btm`, looks that nothing is left of what was open, and drops it and `sound.wav` together, the recording
/// first. What goes wrong takes the mark of the scores away.
const DROPS: &str = r#"<script type="module">
const raw = document.getElementById("raw");
const done = async () => {
  while (!raw.dataset.done) await new Promise((resolve) => setTimeout(resolve, 50));
};
const bytes = async (name) => new File([await (await fetch(name)).arrayBuffer()], name);
const drop = (...files) => {
  const dataTransfer = new DataTransfer();
  for (const file of files) dataTransfer.items.add(file);
  return document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
};
await done();
const [model, recording] = [await bytes("sound.btm"), await bytes("sound.wav")];
const leaves = drop(model);
while (raw.dataset.done) await new Promise((resolve) => setTimeout(resolve, 50));
const left = raw.textContent !== "[]" || document.getElementById("told").textContent !== "";
drop(recording, model);
await done();
if (leaves || left) delete raw.dataset.done;
</script>"#;

/// A model that draws.
fn draws() -> ModelBytes {
    Dense {
        values: 5,
        hidden: 9,
        classes: 5,
        ..Dense::default()
    }
    .drawing()
}

/// Raw scores of a data set's test part.
fn on_the_host(model: &Model<'_>, data: &Path) -> Vec<Vec<i32>> {
    let data = load(data, &Recordings::default(), &[PartName::Test]).unwrap();
    device::run(model, data.part(PartName::Test).unwrap(), || ()).unwrap()
}

/// A model with an audio front end.
fn heard() -> ModelBytes {
    Dense {
        values: 24,
        vectors: 3,
        input_type: InputType::I16,
        ..Dense::default()
    }
    .model()
}

/// A recording at the model's rate, one channel.
fn wav(model: &Model<'_>, samples: &[i16]) -> Vec<u8> {
    let rate = model.front_end().unwrap().sample_rate_hz();
    let length = 2 * samples.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((2 * rate).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}
