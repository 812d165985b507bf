//! The page in a real browser, without a window: the scores of the device's code on the host, bit for bit.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bt_core::about::Pool;
use bt_core::captions::Temperature;
use bt_core::{InputType, Model, ModelBytes, Session, argmax};
use bt_tests::model::{Dense, Noise};
use bt_train::command::captions::Drawing;
use bt_train::data::{NpzWriter, PartName, Recordings, load};
use bt_train::{device, drawing};
use tools::{setup, web};

/// A browser without a window that shows a page of the folder.
fn browser(folder: &Path, page: &str, profile: &Path) -> Command {
    let page = format!("file://{}/{page}", folder.display());
    let mut browser = Command::new(setup::CHROMIUM);
    browser
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
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(page)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    browser
}

/// What the page says when it was opened with these files: its raw scores, or else the problem shown.
fn opened(folder: &Path, query: &str) -> Result<Vec<Vec<i32>>, String> {
    shown(folder, &format!("index.html?{query}"))
}

/// As [`opened`], of any page.
fn shown(folder: &Path, page: &str) -> Result<Vec<Vec<i32>>, String> {
    let profile = tempfile::tempdir().unwrap();
    let output = browser(folder, page, profile.path())
        .args(["--virtual-time-budget=60000", "--dump-dom"])
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
    let (step, rate) = (
        model.frame_values(),
        model.front_end().unwrap().sample_rate_hz(),
    );
    let samples: Vec<i16> = (0..3 * step + step / 2)
        .map(|n| 400 + (8_000.0 * (n as f64 * 0.31).sin()) as i16)
        .collect();
    std::fs::write(folder.join("sound.wav"), wav(rate, &samples)).unwrap();
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
        None,
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

/// What a page that listens tells.
#[derive(serde::Deserialize)]
struct Listened {
    /// Every sample since the button was pressed.
    heard: Vec<f64>,
    /// How many of them, and the result shown then.
    shown: Vec<(usize, String)>,
    /// While it listened, and after it was told to stop.
    pressed: [String; 2],
    problem: String,
}

/// The microphone is a file of 1 kHz at 48 kHz that the browser plays; the page hears it at the model's rate, as loud as
/// it is, and shows what the host makes of the same samples.
#[test]
fn the_page_hears_as_the_host() {
    setup::web().unwrap();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let sound = heard();
    let model = Model::parse(sound.bytes()).unwrap();
    web::write(folder, sound.bytes(), &[]).unwrap();
    let (amplitude, turn) = (8_000.0, std::f64::consts::TAU * 1_000.0);
    let samples: Vec<i16> = (0..48_000)
        .map(|n| (amplitude * (turn * f64::from(n) / 48_000.0).sin()).round() as i16)
        .collect();
    let tone = folder.join("tone.wav");
    std::fs::write(&tone, wav(48_000, &samples)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    let script = LISTENS.replace("PORT", &port.to_string());
    std::fs::write(folder.join("listens.html"), page + &script).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let mut browser = browser(folder, "listens.html", profile.path())
        .args([
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
        ])
        .arg(format!(
            "--use-file-for-fake-audio-capture={}",
            tone.display()
        ))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let told = posted(&listener, Duration::from_secs(60));
    browser.kill().unwrap();
    browser.wait().unwrap();
    let told: Listened = serde_json::from_str(&told.expect("the page tells")).unwrap();
    assert_eq!(told.problem, "");
    assert_eq!(told.pressed, ["true", "false"]);

    // A busy machine leaves gaps: most tenths of a second have the tone as it is, and nothing else.
    let rate = f64::from(model.front_end().unwrap().sample_rate_hz());
    let tenths = told.heard.chunks_exact(rate as usize / 10);
    let is_tone = |tenth: &[f64]| {
        let (mut cosine, mut sine, mut power) = (0.0, 0.0, 0.0);
        for (n, x) in tenth.iter().enumerate() {
            let angle = turn * n as f64 / rate;
            cosine += x * angle.cos();
            sine += x * angle.sin();
            power += x * x;
        }
        let count = tenth.len() as f64;
        let heard = 2.0 / count * cosine.hypot(sine);
        let is_as_loud = (heard * 32_768.0 / amplitude - 1.0).abs() < 0.02;
        is_as_loud && heard * heard / 2.0 > 0.99 * power / count
    };
    let (all, tones) = (tenths.len(), tenths.filter(|tenth| is_tone(tenth)).count());
    assert!(2 * tones > all, "{tones} of {all}");

    // The page feeds four hops at once.
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let input = model.float_inputs().next().unwrap();
    let (mut fed, mut compared) = (0, 0);
    let mut different = BTreeSet::new();
    for (count, result) in told.shown {
        if count - fed < 4 * model.front_end().unwrap().hop() {
            continue;
        }
        for x in &told.heard[fed..count] {
            // Halves go up, as in JavaScript.
            let sample = (x * 32_768.0 + 0.5).floor() as f32;
            let sample = input.integer(InputType::I16, sample);
            assert_eq!(session.push_i16(&[sample]), Ok(1));
            if session.frame_complete() {
                session.step().unwrap();
                compared += 1;
            }
        }
        fed = count;
        if compared > 0 {
            let mut scores = vec![0; model.outputs()];
            session.scores(&mut scores).unwrap();
            let best = argmax(&scores).unwrap();
            let logit = |score: i32| f64::from(score) * 0.5f64.powi(model.score_shift());
            let rest = scores
                .iter()
                .map(|&score| (logit(score) - logit(scores[best])).exp());
            let share = 100.0 / rest.sum::<f64>();
            let expected = format!("{} ({share:.0} %)", model.label(best).unwrap());
            assert_eq!(
                result, expected,
                "{count} samples, {compared} steps: {scores:?}"
            );
            different.insert(result);
        }
    }
    assert!(different.len() > 1, "{different:?}");
    assert!(compared > 20, "{compared} steps");
}

/// The body of what is posted here first.
fn posted(listener: &TcpListener, patience: Duration) -> Option<String> {
    listener.set_nonblocking(true).unwrap();
    let end = Instant::now() + patience;
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(_) if Instant::now() > end => return None,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut lines = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    Some(String::from_utf8(body).unwrap())
}

/// Presses Listen, takes down what comes from the microphone and what is shown, and presses again after two seconds of it.
const LISTENS: &str = r#"<script type="module">
const button = document.getElementById("microphone");
const text = (id) => document.getElementById(id).textContent;
const [heard, shown] = [[], []];
const Node = AudioWorkletNode;
window.AudioWorkletNode = class extends Node {
  constructor(...all) {
    super(...all);
    const port = this.port;
    Object.defineProperty(port, "onmessage", { set: (own) => {
      port.addEventListener("message", (event) => {
        heard.push(...event.data);
        own(event);
        shown.push([heard.length, text("result")]);
      });
      port.start();
    } });
  }
};
const until = async (is) => {
  for (let waited = 0; !is() && waited < 40000; waited += 50) await new Promise((resolve) => setTimeout(resolve, 50));
};
await until(() => !button.hidden);
button.click();
await until(() => heard.length > 16000);
const pressed = [button.getAttribute("aria-pressed")];
button.click();
pressed.push(button.getAttribute("aria-pressed"));
const body = JSON.stringify({ heard, shown, pressed, problem: text("problem") });
await fetch("http://127.0.0.1:PORT/", { method: "POST", mode: "no-cors", body });
</script>"#;

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
    let data = load(data, &Recordings::default(), &[PartName::Test], None).unwrap();
    device::run(model, data.part(PartName::Test).unwrap(), || ()).unwrap()
}

/// A model with an audio front end.
fn heard() -> ModelBytes {
    Dense {
        values: 24,
        vectors: 3,
        input_type: InputType::I16,
        // Logits of some units, so that not one class has all.
        score_shift: 22,
        ..Dense::default()
    }
    .model()
}

/// A recording of one channel.
fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
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
