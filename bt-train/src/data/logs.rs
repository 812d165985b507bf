//! Logs of sensors in `.csv` files, cut into windows of equal length.
//!
//! A row is a time step. A window lies within rows that follow each other without a gap in time, a missing value, or
//! another class or group. Whole groups go to one part; where there are none, each stretch gives its last fifth to
//! the test part and what comes before that to validation, without overlap.

mod log;

use crate::data::PartName;
use crate::data::hash::Fnv;
use crate::data::npz::check_names;
use crate::error::{Error, ErrorKind, Lack, Result};
use log::{Log, Stretch};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How logs are cut.
#[derive(Debug, Clone, Default)]
pub struct Cutting {
    /// Rows of a window.
    pub window: usize,
    /// Rows from the start of one window to that of the next.
    pub hop: usize,
    /// Column of the classes.
    pub label: Option<String>,
    /// Column of what must not be in two parts: a user, a session; none: each file of several.
    pub group: Option<String>,
    /// Column of the time, in numbers; none: one that is called so.
    pub time: Option<String>,
    /// Columns of a frame; none: all of numbers that are nothing else.
    pub columns: Vec<String>,
    /// Column and values of the rows that form the test part; `file` is the name of the file.
    pub hold_out: Option<(String, Vec<String>)>,
}

/// Windows of one part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Windows {
    /// [windows, rows, columns]
    pub x: Vec<f32>,
    /// Class of each window; empty where there is no column of classes.
    pub y: Vec<i64>,
    /// Number of each window's group.
    pub groups: Vec<i64>,
    /// How many.
    pub count: usize,
}

/// Logs as a data set.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// Columns of a frame.
    pub columns: Vec<String>,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Windows by part.
    pub parts: BTreeMap<PartName, Windows>,
    /// Whether groups mean something: users, sessions, files.
    pub grouped: bool,
    /// What is strange about the logs, a line each.
    pub warnings: Vec<String>,
}

/// Cuts one file, or all `.csv` files of a folder.
///
/// # Errors
/// Names the file, the line and the column.
pub fn cut(path: &Path, how: &Cutting) -> Result<Cut> {
    let files = files(path)?;
    let mut logs = Vec::new();
    for file in &files {
        logs.push(Log::read(file, how).map_err(|error| error.file(file))?);
    }
    let mut set = Cut {
        grouped: how.group.is_some() || files.len() > 1,
        ..Cut::default()
    };
    set.columns = columns(&logs, how, &mut set.warnings)?;
    check_names(&set.columns).map_err(|error| error.field("columns"))?;
    let mut stretches = Vec::new();
    for log in &logs {
        stretches.extend(log.stretches(&set.columns, &mut set.warnings)?);
    }
    let longest = stretches.iter().map(Stretch::rows).max().unwrap_or(0);
    if longest < how.window {
        return Err(Error::new(ErrorKind::Lacks(Lack::Stretch {
            need: how.window,
            longest,
        }))
        .file(path)
        .remedy("take a shorter `window`"));
    }
    let short: Vec<&Stretch<'_>> = stretches.iter().filter(|s| s.rows() < how.window).collect();
    if let Some(first) = short.first() {
        set.warnings.push(format!(
            "{} of {} stretches are shorter than a window and were left out, first that of {}: line {}",
            short.len(),
            stretches.len(),
            first.log.file.display(),
            first.lines.0
        ));
    }
    stretches.retain(|stretch| stretch.rows() >= how.window);
    set.labels = in_order(stretches.iter().filter_map(|s| s.label.clone()).collect());
    let by_group = set.grouped && how.hold_out.is_none();
    let test = by_group.then(|| test_groups(&stretches));
    if let Some((column, values)) = &how.hold_out {
        let held: BTreeSet<&String> = stretches.iter().map(|stretch| &stretch.held).collect();
        if let Some(value) = values.iter().find(|value| !held.contains(value)) {
            return Err(Error::new(ErrorKind::Lacks(Lack::HeldRows {
                value: value.as_str().into(),
                column: column.as_str().into(),
            }))
            .field("hold-out")
            .remedy("write the values as the logs have them"));
        }
    }
    let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
    for stretch in &stretches {
        let next = numbers.len() as i64;
        let group = *numbers.entry(&stretch.group).or_insert(next);
        let label = stretch.label.as_ref().map(|label| {
            let place = set.labels.iter().position(|known| known == label);
            place.expect("collected above") as i64
        });
        for (start, part) in stretch.windows(how, test.as_ref()) {
            let windows = set.parts.entry(part).or_default();
            let width = set.columns.len();
            let rows = start * width..(start + how.window) * width;
            windows.x.extend_from_slice(&stretch.values[rows]);
            windows.y.extend(label);
            windows.groups.push(group);
            windows.count += 1;
        }
    }
    for (part, what) in [(PartName::Train, "learn from"), (PartName::Test, "test")] {
        if !set.parts.contains_key(&part) {
            set.warnings.push(format!(
                "{}: no window to {what}: stretches are too short to be divided, or `hold-out` names none or all",
                path.display()
            ));
        }
    }
    Ok(set)
}

/// Whether a file is a log by its name.
pub(crate) fn is_log(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// The file itself, or those of a folder, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let about = std::fs::metadata(path).map_err(|error| Error::from(error).file(path))?;
    if !about.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::from(error).file(path))?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()
        .map_err(|error| Error::from(error).file(path))?;
    files.retain(|file| is_log(file));
    files.sort();
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Lacks(Lack::Logs)).file(path));
    }
    Ok(files)
}

/// Columns of a frame: those asked for, or all of numbers that are nothing else.
fn columns(logs: &[Log], how: &Cutting, warnings: &mut Vec<String>) -> Result<Vec<String>> {
    let first = &logs[0];
    let other = [first.label, first.group, first.time, first.held];
    let candidates: Vec<String> = match &how.columns[..] {
        [] => (0..first.header.len())
            .filter(|&column| !other.contains(&Some(column)))
            .map(|column| first.header[column].clone())
            .collect(),
        given => given.to_vec(),
    };
    let mut columns = Vec::new();
    for name in candidates {
        let mut text = None;
        for log in logs {
            let Some(place) = log.header.iter().position(|column| *column == name) else {
                return Err(Error::new(ErrorKind::Missing)
                    .field(format!("column `{name}`"))
                    .file(&log.file)
                    .remedy(format!("the columns are {}", log.header.join(", "))));
            };
            text = text.or_else(|| log.text_in(place).map(|(line, cell)| (log, line, cell)));
        }
        let (mut numbers, mut texts) = (0, 0);
        for log in logs.iter().filter(|_| text.is_some()) {
            let place = log.header.iter().position(|column| *column == name);
            let [more_numbers, more_texts] = log.numbers_and_texts(place.expect("found above"));
            numbers += more_numbers;
            texts += more_texts;
        }
        match text {
            None => columns.push(name),
            // A column of numbers is not left out for a few bad cells.
            Some((log, line, cell)) if !how.columns.is_empty() || numbers > texts => {
                return Err(Error::new(ErrorKind::NoNumber { found: (*cell).into() })
                    .field(format!("line {line}: column `{name}`"))
                    .file(&log.file)
                    .remedy(
                        "leave the cell empty where the value is missing, or name the `columns` to take",
                    ));
            }
            Some((log, line, cell)) => warnings.push(format!(
                "{}: line {line}: column `{name}` holds `{cell}`, which is no number: it is left out",
                log.file.display()
            )),
        }
    }
    if columns.is_empty() {
        return Err(Error::new(ErrorKind::Lacks(Lack::NumberColumns))
            .file(&first.file)
            .remedy(format!("the columns are {}", first.header.join(", "))));
    }
    Ok(columns)
}

/// One group in five, by its name alone; at least one, and never all.
fn test_groups(stretches: &[Stretch<'_>]) -> BTreeSet<String> {
    let groups: BTreeSet<&String> = stretches.iter().map(|stretch| &stretch.group).collect();
    let mut by_hash: Vec<&String> = groups.into_iter().collect();
    by_hash.sort_by_key(|group| Fnv::of(group));
    let count = by_hash
        .len()
        .div_ceil(5)
        .min(by_hash.len().saturating_sub(1));
    by_hash.into_iter().take(count).cloned().collect()
}

/// Distinct names, numbers by their value before all others.
pub(super) fn in_order(names: BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|name| name.parse::<u64>().unwrap_or(u64::MAX));
    names
}

#[cfg(test)]
mod tests;
