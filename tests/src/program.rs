//! The `bt-train` program, built as it is now, and data for it.

use crate::model::Noise;
use bt_train::data::NpzWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The program, about to be run.
///
/// # Panics
/// When it cannot be built.
pub fn bt_train() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PROGRAM.get_or_init(build))
}

/// Builds the program beside the running test, in the same profile.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("a test lies in PROFILE/deps");
    // With the features that the tests have, so that nothing is built a second time.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "bt-features",
        "--package",
        "bt-train",
        "--bin",
        "bt-train",
    ]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    if let Some(target) = profile.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "bt-train does not build");
    profile.join(format!("bt-train{}", std::env::consts::EXE_SUFFIX))
}

/// What a program left: exit status, standard output, standard error.
#[derive(Debug)]
pub struct Left {
    /// Exit status; none after a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Left {
    fn from(output: Output) -> Left {
        Left {
            status: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `bt-train` with these words.
///
/// # Panics
/// When it cannot be started.
pub fn run(words: &[&str]) -> Left {
    let output = bt_train().args(words).output().expect("bt-train starts");
    Left::from(output)
}

/// A data set that a small model learns in seconds: the class of a sequence is
/// the one of its first three features that is large on average.
pub struct Toy {
    writer: NpzWriter,
}

/// Features of a stage of a [`Toy`].
pub const TOY_WIDTH: usize = 12;

impl Toy {
    /// Training and test part of `sequences` each, 4 stages long at most.
    pub fn new(sequences: usize) -> Toy {
        let mut toy = Toy::empty();
        for (part, seed) in [("train", 1), ("test", 2)] {
            let (x, y, lengths) = toy_part(sequences, seed);
            toy.add(&format!("x_{part}"), &[sequences, 4, TOY_WIDTH], &x);
            toy.add(&format!("y_{part}"), &[sequences], &y);
            toy.add(&format!("lengths_{part}"), &[sequences], &lengths);
        }
        toy
    }

    /// A test part alone, which numbers class k of [`Toy::new`] as `numbers[k]`.
    pub fn renumbered(sequences: usize, numbers: [i64; 3]) -> Toy {
        let mut toy = Toy::empty();
        let (x, y, lengths) = toy_part(sequences, 2);
        let y: Vec<i64> = y.into_iter().map(|class| numbers[class as usize]).collect();
        toy.add("x_test", &[sequences, 4, TOY_WIDTH], &x);
        toy.add("y_test", &[sequences], &y);
        toy.add("lengths_test", &[sequences], &lengths);
        toy
    }

    /// No array yet.
    pub fn empty() -> Toy {
        Toy {
            writer: NpzWriter::new(),
        }
    }

    /// Adds an array.
    ///
    /// # Panics
    /// When shape and values do not fit.
    pub fn add<T: npyz::AutoSerialize + Copy>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) {
        self.writer
            .array(name, shape, values)
            .expect("shape and values fit");
    }

    /// Adds the names of the classes.
    pub fn name_classes(&mut self, names: [&str; 3]) {
        self.writer.texts("labels", &names.map(str::to_owned));
    }

    /// Writes the file and returns its path as text.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, place: &Path) -> String {
        let path = place.join("d.npz");
        self.writer.write(&path).expect("the place can be written");
        path.to_str().expect("the path is text").to_owned()
    }
}

fn toy_part(sequences: usize, seed: u32) -> (Vec<u8>, Vec<i64>, Vec<i32>) {
    let mut noise = Noise::new(seed);
    let mut noise = || noise.bits() as u8 / 2;
    let (mut x, mut y, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for sequence in 0..sequences {
        let class = sequence % 3;
        for _ in 0..4 {
            x.extend((0..TOY_WIDTH).map(|i| noise() + if i == class { 100 } else { 0 }));
        }
        y.push(class as i64);
        lengths.push(1 + (sequence % 4) as i32);
    }
    (x, y, lengths)
}

/// Modes for [`Toy`] data.
pub const MODES: &[&str] = &["--input-modes", "3x4", "--hidden-modes", "2x4"];

/// Runs and expects a failure with one line that holds all these words.
///
/// # Panics
/// When it is otherwise.
pub fn fails(status: i32, words: &[&str], expected: &[&str]) {
    let left = run(words);
    assert_eq!(left.status, Some(status), "{words:?}: {left:?}");
    assert_eq!(
        left.err.trim_end().lines().count(),
        1,
        "{words:?}: {left:?}"
    );
    assert_eq!(left.out, "", "{words:?}");
    for expected in expected {
        assert!(left.err.contains(expected), "{expected}: {}", left.err);
    }
}

/// `train` of [`MODES`], with more flags.
pub fn train_words<'a>(data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["train", "--data", data, "--out", out];
    words.extend(MODES);
    words.extend(more);
    words
}

/// `quantize` of a model with its data, with more flags.
pub fn quantize_words<'a>(
    model: &'a str,
    data: &'a str,
    out: &'a str,
    more: &[&'a str],
) -> Vec<&'a str> {
    let mut words = vec!["quantize", model, "--data", data, "--out", out];
    words.extend(more);
    words
}

/// A path of a test is UTF-8.
///
/// # Panics
/// When it is not.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A recording of 8,000 samples a second.
///
/// # Panics
/// When it cannot be written.
pub fn wav(path: &Path, samples: &[i16]) {
    let data = 2 * samples.len() as u32;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(8_000u32.to_le_bytes());
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}
