//! Training loss and accuracy over the epochs of runs of several kinds, one picture: the mean where a kind has
//! several runs.
//!
//! `cargo run -p bt-train --example learning_curves -- OUT.svg KIND=RUN[,RUN…] …`

use bt_train::training::curves;
use bt_train::training::trainer::Epoch;
use std::error::Error;
use std::path::Path;

const USAGE: &str = "usage: learning_curves OUT.svg KIND=RUN[,RUN…] …";

fn epochs(run: &str) -> Result<Vec<Epoch>, Box<dyn Error>> {
    let path = Path::new(run).join("metrics.jsonl");
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let epochs = text.lines().map(serde_json::from_str);
    Ok(epochs.collect::<Result<_, _>>()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().ok_or(USAGE)?;
    let mut kinds: Vec<(String, Vec<Vec<Epoch>>)> = Vec::new();
    for arg in args {
        let (kind, runs) = arg.split_once('=').ok_or(USAGE)?;
        let runs = runs.split(',').map(epochs).collect::<Result<_, _>>()?;
        kinds.push((kind.to_owned(), runs));
    }
    let lines: Vec<(&str, Vec<&[Epoch]>)> = kinds
        .iter()
        .map(|(kind, runs)| (kind.as_str(), runs.iter().map(Vec::as_slice).collect()))
        .collect();
    std::fs::write(out, curves::compared(&lines))?;
    Ok(())
}
