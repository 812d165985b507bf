//! `bt-train cut LOGS --out D.npz --window 128 --hop 64`

use crate::command::advice::flags;
use crate::data::logs::{self, Cutting, Windows};
use crate::data::{NpzWriter, PartName, Recordings};
use crate::error::Result;
use crate::file::check_out;
use crate::{say, warn};
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Arguments of `cut`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .csv file of sensor values, a row a time step, or a folder of such files
    pub logs: PathBuf,
    /// The data set to write
    #[arg(long, value_name = "NPZ")]
    pub out: PathBuf,
    /// Rows of a window
    #[arg(long, value_name = "ROWS")]
    pub window: NonZeroUsize,
    /// Rows from the start of one window to that of the next [default: half a window]
    #[arg(long, value_name = "ROWS")]
    pub hop: Option<NonZeroUsize>,
    /// Column of the classes
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Column of what must not be in two parts, such as a user [default: the file, of several]
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<String>,
    /// Column of the time, which tells gaps [default: one that is called time, timestamp, t, …]
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Columns of a frame [default: all others that hold numbers]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Rows that form the test part [default: one group in five, or the last fifth]
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    pub hold_out: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Cuts logs into windows and writes them as a data set.
///
/// # Errors
/// When a file cannot be used, or no window fits.
pub fn run(args: Args) -> Result<()> {
    check_out(&args.out, &[&args.logs])?;
    let hold_out = Recordings::new(args.hold_out.as_deref().unwrap_or_default(), "")?.hold_out;
    let window = args.window.get();
    let cut = logs::cut(
        &args.logs,
        &Cutting {
            window,
            hop: args.hop.map_or(window.div_ceil(2), NonZeroUsize::get),
            label: args.label,
            group: args.group,
            time: args.time,
            columns: args.columns,
            hold_out,
        },
    )?;
    for warning in &cut.warnings {
        warn!("{}", flags(warning));
    }
    let width = cut.columns.len();
    let mut writer = NpzWriter::new();
    for (name, windows) in &cut.parts {
        let suffix = name.suffix();
        let shape = [windows.count, window, width];
        writer.array(&format!("x_{suffix}"), &shape, &windows.x)?;
        if !windows.y.is_empty() {
            writer.array(&format!("y_{suffix}"), &[windows.count], &windows.y)?;
        }
        if *name == PartName::Train && cut.grouped {
            writer.array("group_train", &[windows.count], &windows.groups)?;
        }
    }
    if !cut.labels.is_empty() {
        writer.texts("labels", &cut.labels);
    }
    writer.write(&args.out)?;
    let count = |part| {
        cut.parts
            .get(&part)
            .map_or(0, |windows: &Windows| windows.count)
    };
    let [train, validation, test] =
        [PartName::Train, PartName::Validation, PartName::Test].map(count);
    if args.json {
        say!(
            "{}",
            json!({
                "columns": cut.columns,
                "labels": cut.labels,
                "sequences": { "train": train, "validation": validation, "test": test },
                "warnings": cut.warnings,
            })
        );
        return Ok(());
    }
    say!("frames of {width}: {}", cut.columns.join(", "));
    if !cut.labels.is_empty() {
        say!("classes: {}", cut.labels.join(", "));
    }
    say!(
        "{}: windows of {window} rows, {train} to learn from, {validation} to validate, {test} to test",
        args.out.display()
    );
    Ok(())
}
