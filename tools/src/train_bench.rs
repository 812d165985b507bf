//! `cargo xtask bench --train [--peers]`: a whole training step at the paper's
//! UCF11 shape, and of small dense LSTMs and GRUs, one layer and two, in a process of its own so that its peak of memory
//! is its own; on request the same step in PyTorch, round by round in the same run.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use bt_train::say;
use serde::{Deserialize, Serialize};

use crate::firmware::{built, cargo, messages, workspace};

/// Steps that are timed where there is nobody to compare with.
const REPETITIONS: &str = "50";

/// What is timed, as the words of the example and of the peers, and the steps of a round: the paper's layer, and what
/// most sensors have, 112 values a step and 64 units.
const SHAPES: [(&[&str], &str); 5] = [
    (&[], "10"),
    (&small("lstm", "1"), "20"),
    (&small("gru", "1"), "20"),
    (&small("lstm", "2"), "20"),
    (&small("gru", "2"), "20"),
];

const fn small(cell: &'static str, layers: &'static str) -> [&'static str; 14] {
    [
        "--cell", cell, "--layers", layers, "--map", "dense", "--input", "112", "--hidden", "64",
        "--batch", "64", "--steps", "16",
    ]
}

/// One trainer's step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `train_step_ucf11`, or a peer's name.
    pub name: String,
    /// Shortest step.
    pub milliseconds: f64,
    /// Median step.
    pub milliseconds_median: f64,
    /// Most memory that its process held.
    pub peak_rss_bytes: u64,
    /// Threads in use.
    pub threads: usize,
    /// Arithmetic that the step needs, by its shortest time; not told of peers, which do more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gflops: Option<f64>,
    /// How many times ours a peer takes: the median of the rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ours: Option<f64>,
    /// What a large single-precision product reaches on as many threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sgemm_peak_gflops: Option<f64>,
}

/// What `tools/peers/train_step.py` prints.
#[derive(Deserialize)]
struct Rows {
    rows: Vec<Row>,
}

/// Measures and prints.
///
/// # Errors
///
/// The step cannot be built or run; PyTorch or TedNet is missing.
pub fn run(peers: bool, json: bool) -> Result<()> {
    // Before the build, which takes longer.
    let python = peers.then(python).transpose()?;
    let ours = build()?;
    let mut rows = Vec::new();
    for (shape, inner) in SHAPES {
        match &python {
            Some(python) => rows.extend(beside_peers(python, &ours, shape, inner)?),
            None => rows.push(alone(&ours, shape)?),
        }
    }
    if json {
        say!("{}", serde_json::json!({ "rows": rows }));
        return Ok(());
    }
    say!("| step | least ms | median ms | to ours | peak MB | GFLOP/s | sgemm peak |");
    say!("|---|---:|---:|---:|---:|---:|---:|");
    for row in &rows {
        let rate = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.0}"));
        say!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.0} | {} | {} |",
            row.name,
            row.milliseconds,
            row.milliseconds_median,
            row.to_ours.unwrap_or(1.0),
            row.peak_rss_bytes as f64 / 1e6,
            rate(row.gflops),
            rate(row.sgemm_peak_gflops),
        );
    }
    Ok(())
}

/// The example of bt-train that times the step.
fn build() -> Result<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--release", "--package", "bt-train"])
        .args(["--example", "train_step"]);
    let messages = messages(&mut command, || {
        "the training step could not be built; the compiler's messages are above".to_owned()
    })?;
    built(&messages, "train_step")
}

fn alone(program: &Path, shape: &[&str]) -> Result<Row> {
    let mut command = Command::new(program);
    command.args(["--json", "--repetitions", REPETITIONS]);
    command.args(shape);
    serde_json::from_slice(&output(&mut command)?).context("the training step's answer")
}

fn beside_peers(python: &OsString, ours: &Path, shape: &[&str], inner: &str) -> Result<Vec<Row>> {
    let mut command = Command::new(python);
    command
        .arg(workspace().join("tools/peers/train_step.py"))
        .arg("--json")
        .arg("--ours")
        .arg(ours)
        .args(["--inner", inner])
        .args(shape);
    let rows: Rows = serde_json::from_slice(&output(&mut command)?).context("the peers' answer")?;
    Ok(rows.rows)
}

/// Standard output of a program that succeeds.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| name.clone())?;
    if !output.status.success() {
        bail!("{name} failed ({})", output.status);
    }
    Ok(output.stdout)
}

/// A Python that has the peers: `$PYTHON`, otherwise `python3`.
fn python() -> Result<OsString> {
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python)
        .args(["-c", "import numpy, torch, tednet"])
        .stdin(Stdio::null())
        .output();
    let reason = match probe {
        Ok(output) if output.status.success() => return Ok(python),
        Ok(output) => last_line(&output.stderr),
        Err(error) => error.to_string(),
    };
    let name = python.display();
    bail!(
        "the peers need NumPy, PyTorch and TedNet, {name} says: {reason}; run \
         `{name} -m pip install numpy torch tednet`, or set PYTHON to a Python that has them"
    )
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().last().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_kinds_are_read() {
        let text = br#"{"rows": [
            {"name": "train_step_ucf11", "milliseconds": 15.4, "milliseconds_median": 16.2,
             "peak_rss_bytes": 33000000, "gflops": 150.0, "sgemm_peak_gflops": 390.0,
             "threads": 2, "repetitions": 10},
            {"name": "dense_lstm", "milliseconds": 431.7, "milliseconds_median": 449.0,
             "peak_rss_bytes": 1775000000, "threads": 2, "to_ours": 28.1}]}"#;
        let rows: Rows = serde_json::from_slice(text).unwrap();
        assert_eq!(rows.rows[0].gflops, Some(150.0));
        assert_eq!(
            (rows.rows[0].to_ours, rows.rows[1].to_ours),
            (None, Some(28.1))
        );
        let peer = serde_json::to_value(&rows.rows[1]).unwrap();
        assert_eq!(peer["peak_rss_bytes"], 1_775_000_000);
        assert!(peer.get("gflops").is_none());
    }
}
