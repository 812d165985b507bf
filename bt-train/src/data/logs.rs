//! Logs of sensors in `.csv` files, cut into windows of equal length.
//!
//! A row is a time step. A window lies within rows that follow each other without a gap in time, a missing value, or
//! another class or group. Whole groups go to one part; where there are none, each stretch gives its last fifth to
//! the test part and what comes before that to validation, without overlap.

use crate::data::PartName;
use crate::data::hash::Fnv;
use crate::error::{Error, ErrorKind, Result};
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

/// Names by which a column is taken for the time.
const TIMES: [&str; 8] = [
    "time",
    "timestamp",
    "t",
    "ts",
    "seconds",
    "ms",
    "time_s",
    "time_ms",
];

/// What loggers write where there is no value.
const MISSING: [&str; 7] = ["", "nan", "na", "n/a", "null", "none", "?"];

/// A step of time that is so many times the usual one is a gap.
const GAP: f64 = 1.5;

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
    let mut stretches = Vec::new();
    for log in &logs {
        stretches.extend(log.stretches(&set.columns, &mut set.warnings)?);
    }
    let longest = stretches.iter().map(Stretch::rows).max().unwrap_or(0);
    if longest < how.window {
        return Err(Error::new(ErrorKind::Empty(format!(
            "no stretch of one class without a gap is {} rows long; the longest has {longest}",
            how.window
        )))
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
    let test = set.grouped.then(|| test_groups(&stretches, how));
    if let Some((column, values)) = &how.hold_out {
        let held: BTreeSet<&String> = stretches.iter().map(|stretch| &stretch.held).collect();
        if let Some(value) = values.iter().find(|value| !held.contains(value)) {
            return Err(Error::new(ErrorKind::Empty(format!(
                "no row has the value `{value}` in column `{column}`"
            )))
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
    Ok(set)
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
    files.retain(|file| {
        let ending = file.extension();
        ending.is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
    });
    files.sort();
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Empty("holds no .csv file".into())).file(path));
    }
    Ok(files)
}

/// A file as it was read.
struct Log {
    file: PathBuf,
    header: Vec<String>,
    /// Cells of each row, and its line.
    rows: Vec<(u64, csv::StringRecord)>,
    label: Option<usize>,
    group: Option<usize>,
    held: Option<usize>,
    /// Time of each row, where that is told in numbers.
    times: Option<Vec<f64>>,
    time: Option<usize>,
}

impl Log {
    fn read(file: &Path, how: &Cutting) -> Result<Log> {
        let text = std::fs::read(file)?;
        let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let count = |mark: u8| first.iter().filter(|&&byte| byte == mark).count();
        let mark = [b',', b';', b'\t']
            .into_iter()
            .max_by_key(|&mark| (count(mark), mark == b','));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(mark.unwrap_or(b','))
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(&text[..]);
        let header = reader.headers().map_err(Error::malformed)?;
        let header: Vec<String> = header.iter().map(str::to_owned).collect();
        if header.iter().all(|name| name.parse::<f64>().is_ok()) {
            return Err(Error::new(ErrorKind::Missing)
                .field("line 1: the names of the columns")
                .remedy("write one for each column"));
        }
        let column = |name: &str| header.iter().position(|column| column == name);
        let required = |name: &String| {
            column(name).ok_or_else(|| {
                Error::new(ErrorKind::Missing)
                    .field(format!("column `{name}`"))
                    .remedy(format!("the columns are {}", header.join(", ")))
            })
        };
        let held = match &how.hold_out {
            Some((name, _)) if name == "file" && column(name).is_none() => None,
            Some((name, _)) => Some(required(name)?),
            None => None,
        };
        let time = match &how.time {
            Some(name) => Some(required(name)?),
            None => TIMES.iter().find_map(|known| {
                let is_time = |name: &String| name.eq_ignore_ascii_case(known);
                header.iter().position(is_time)
            }),
        };
        let mut log = Log {
            file: file.to_owned(),
            label: how.label.as_ref().map(required).transpose()?,
            group: how.group.as_ref().map(required).transpose()?,
            held,
            time,
            times: None,
            rows: Vec::new(),
            header: header.clone(),
        };
        let (mut line, mut at) = (1, 0);
        for row in reader.records() {
            let row = row.map_err(Error::malformed)?;
            // The reader may stand at the end of the line before.
            let mut start = row
                .position()
                .map_or(0, |position| position.byte() as usize);
            while matches!(text.get(start), Some(b'\r' | b'\n')) {
                start += 1;
            }
            line += text[at..start]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count() as u64;
            at = start;
            if row.len() != header.len() {
                let (found, expected) = (row.len(), header.len());
                return Err(
                    Error::mismatch("cells", found, expected, "the header names")
                        .field(format!("line {line}"))
                        .remedy("write as many in every line; one may be empty"),
                );
            }
            log.rows.push((line, row));
        }
        if log.rows.is_empty() {
            return Err(Error::new(ErrorKind::Empty("holds no row".into())).remedy("drop it"));
        }
        if let Some(column) = time {
            let times = log.rows.iter().map(|(_, row)| row[column].parse::<f64>());
            log.times = times.collect::<std::result::Result<_, _>>().ok();
            if log.times.is_none() && how.time.is_some() {
                let is_none =
                    |(_, row): &&(u64, csv::StringRecord)| row[column].parse::<f64>().is_err();
                let (line, row) = log.rows.iter().find(is_none).expect("one is no number");
                return Err(Error::new(ErrorKind::WrongValue(format!(
                    "`{}` is no number",
                    &row[column]
                )))
                .field(format!("line {line}: column `{}`", header[column]))
                .remedy("give the time in seconds or milliseconds"));
            }
        }
        Ok(log)
    }

    /// The first cell of a column that is neither a number nor missing, and its line.
    fn text_in(&self, column: usize) -> Option<(u64, &str)> {
        self.rows.iter().find_map(|(line, row)| {
            let cell = &row[column];
            let is_text = number(cell).is_none() && !is_missing(cell);
            is_text.then_some((*line, cell))
        })
    }

    /// The rows cut wherever something changes or is missing; tells of what is.
    fn stretches<'a>(
        &'a self,
        columns: &[String],
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Stretch<'a>>> {
        let places: Vec<usize> = columns
            .iter()
            .map(|name| self.header.iter().position(|column| column == name))
            .collect::<Option<_>>()
            .expect("every file has the columns");
        let name = self.file.file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let usual = self.usual_step();
        let (mut missing, mut gaps) = (Vec::new(), Vec::new());
        let mut stretches: Vec<Stretch<'_>> = Vec::new();
        let mut goes_on = false;
        for (i, (line, row)) in self.rows.iter().enumerate() {
            let cells: Option<Vec<f32>> = places.iter().map(|&c| number(&row[c])).collect();
            let cell = |column: Option<usize>| column.map(|column| row[column].to_owned());
            let label = cell(self.label);
            let Some(cells) = cells.filter(|_| label.as_deref().is_none_or(|l| !is_missing(l)))
            else {
                missing.push(*line);
                goes_on = false;
                continue;
            };
            if let (Some(times), Some(usual)) = (&self.times, usual)
                && i > 0
                && !(0.0..=GAP * usual).contains(&(times[i] - times[i - 1]))
            {
                gaps.push(*line);
                goes_on = false;
            }
            let group = cell(self.group).unwrap_or_else(|| name.clone());
            let held = cell(self.held).unwrap_or_else(|| name.clone());
            match stretches.last_mut() {
                Some(last)
                    if goes_on
                        && (&last.label, &last.group, &last.held) == (&label, &group, &held) =>
                {
                    last.values.extend(cells);
                    last.lines.1 = *line;
                }
                _ => stretches.push(Stretch {
                    log: self,
                    width: columns.len(),
                    values: cells,
                    lines: (*line, *line),
                    label,
                    group,
                    held,
                }),
            }
            goes_on = true;
        }
        let mut tell = |lines: &[u64], what: &str| {
            if let Some(first) = lines.first() {
                let some: Vec<String> = lines.iter().take(5).map(u64::to_string).collect();
                let more = if lines.len() > 5 { ", …" } else { "" };
                let word = if lines.len() == 1 { "line" } else { "lines" };
                debug_assert!(*first > 0, "the header is line 1");
                warnings.push(format!(
                    "{}: {what} at {} {word}: {}{more}; no window goes across",
                    self.file.display(),
                    lines.len(),
                    some.join(", ")
                ));
            }
        };
        tell(&missing, "a value is missing");
        tell(&gaps, "time jumps");
        Ok(stretches)
    }

    /// The median step of time.
    fn usual_step(&self) -> Option<f64> {
        let times = self.times.as_ref()?;
        let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_by(f64::total_cmp);
        steps
            .get(steps.len() / 2)
            .copied()
            .filter(|&step| step > 0.0)
    }
}

/// A finite number.
fn number(cell: &str) -> Option<f32> {
    cell.parse().ok().filter(|value: &f32| value.is_finite())
}

fn is_missing(cell: &str) -> bool {
    MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word))
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
        match text {
            None => columns.push(name),
            Some((log, line, cell)) if !how.columns.is_empty() => {
                return Err(Error::new(ErrorKind::WrongValue(format!(
                    "`{cell}` is no number"
                )))
                .field(format!("line {line}: column `{name}`"))
                .file(&log.file));
            }
            Some((log, line, cell)) => warnings.push(format!(
                "{}: line {line}: column `{name}` holds `{cell}`, which is no number: it is left out",
                log.file.display()
            )),
        }
    }
    if columns.is_empty() {
        return Err(
            Error::new(ErrorKind::Empty("no column holds numbers".into()))
                .file(&first.file)
                .remedy(format!("the columns are {}", first.header.join(", "))),
        );
    }
    Ok(columns)
}

/// Rows that follow each other.
struct Stretch<'a> {
    log: &'a Log,
    width: usize,
    /// [rows, columns]
    values: Vec<f32>,
    /// First and last line.
    lines: (u64, u64),
    label: Option<String>,
    group: String,
    held: String,
}

impl Stretch<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// Start and part of every window.
    fn windows(&self, how: &Cutting, test: Option<&BTreeSet<String>>) -> Vec<(usize, PartName)> {
        let last = self.rows() - how.window;
        let starts: Vec<usize> = (0..=last).step_by(how.hop).collect();
        if let Some((_, values)) = &how.hold_out {
            let part = match values.contains(&self.held) {
                true => PartName::Test,
                false => PartName::Train,
            };
            return starts.into_iter().map(|start| (start, part)).collect();
        }
        if let Some(test) = test {
            let part = match test.contains(&self.group) {
                true => PartName::Test,
                false => PartName::Train,
            };
            return starts.into_iter().map(|start| (start, part)).collect();
        }
        let count = starts.len();
        let (test, validation) = (count - count / 5, count - count / 5 - count / 8);
        let part = |i: usize| match i {
            _ if i >= test => PartName::Test,
            _ if i >= validation => PartName::Validation,
            _ => PartName::Train,
        };
        let windows = starts.iter().enumerate();
        windows
            .filter(|&(i, &start)| {
                // A window that reaches into the next part is in none.
                let reached = starts
                    .iter()
                    .skip(i)
                    .take_while(|&&next| next < start + how.window);
                reached.enumerate().all(|(k, _)| part(i + k) == part(i))
            })
            .map(|(i, &start)| (start, part(i)))
            .collect()
    }
}

/// One group in five, by its name alone; at least one, and never all.
fn test_groups(stretches: &[Stretch<'_>], how: &Cutting) -> BTreeSet<String> {
    if how.hold_out.is_some() {
        return BTreeSet::new();
    }
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
mod tests {
    use super::*;
    use std::fmt::Write;

    fn how() -> Cutting {
        Cutting {
            window: 4,
            hop: 2,
            label: Some("activity".into()),
            ..Cutting::default()
        }
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log.csv");
        std::fs::write(&path, text).unwrap();
        (place, path)
    }

    /// Rows of a value that counts up: line, class, and what differs.
    fn rows(classes: &[(&str, usize)]) -> String {
        let mut text = "time,activity,x,note\n".to_owned();
        let mut row = 0;
        for (class, count) in classes {
            for _ in 0..*count {
                writeln!(text, "{:.2},{class},{row},word", row as f64 * 0.02).unwrap();
                row += 1;
            }
        }
        text
    }

    #[test]
    fn windows_are_of_one_class_and_parts_do_not_overlap() {
        let (_place, path) = file(&rows(&[("walk", 42), ("sit", 44)]));
        let set = cut(&path, &how()).unwrap();
        assert_eq!(
            (set.columns, set.labels),
            (vec!["x".into()], vec!["sit".into(), "walk".into()])
        );
        assert!(!set.grouped);
        assert_eq!(set.warnings.len(), 1, "{:?}", set.warnings);
        assert!(set.warnings[0].contains("line 2: column `note` holds `word`"));
        // 20 windows of 42 rows: 4 for the test, 2 for validation, each part's last but one overlaps the next.
        let starts = |part: PartName, class: i64| -> Vec<f32> {
            let windows = &set.parts[&part];
            let of = windows.x.chunks(4).zip(&windows.y);
            of.filter(|(_, y)| **y == class)
                .map(|(x, _)| x[0])
                .collect()
        };
        let twos = |range: std::ops::Range<usize>| -> Vec<f32> {
            range.step_by(2).map(|row| row as f32).collect()
        };
        assert_eq!(starts(PartName::Test, 1), twos(32..40));
        assert_eq!(starts(PartName::Validation, 1), twos(28..30));
        assert_eq!(starts(PartName::Train, 1), twos(0..26));
        let test = &set.parts[&PartName::Test];
        assert!(test.x.chunks(4).all(|x| x[3] == x[0] + 3.0));
        assert!(
            starts(PartName::Train, 0)
                .iter()
                .all(|&start| start >= 42.0)
        );
    }

    #[test]
    fn nothing_goes_across_gaps_and_missing_values() {
        let mut text = String::from("activity;t;x;y\r\n");
        for row in 0..40 {
            // A jump before row 20; a value missing in row 30, a class in row 36.
            let t = row * 20 + if row >= 20 { 500 } else { 0 };
            let x = if row == 30 {
                "NaN".into()
            } else {
                row.to_string()
            };
            let class = if row == 36 { "" } else { "1" };
            write!(text, "{class};{t};{x};{}\r\n", -row).unwrap();
        }
        let (_place, path) = file(&text);
        let set = cut(&path, &Cutting { hop: 1, ..how() }).unwrap();
        assert_eq!(set.columns, ["x", "y"]);
        let missing = "a value is missing at 2 lines: 32, 38; no window goes across";
        let jumps = "time jumps at 1 line: 22; no window goes across";
        let short = "1 of 4 stretches are shorter than a window";
        for expected in [missing, jumps, short] {
            assert!(
                set.warnings.iter().any(|line| line.contains(expected)),
                "{:?}",
                set.warnings
            );
        }
        for windows in set.parts.values() {
            for x in windows.x.chunks(8) {
                let rows: Vec<f32> = x.chunks(2).map(|row| row[0]).collect();
                assert!(
                    rows.windows(2).all(|pair| pair[1] == pair[0] + 1.0),
                    "{rows:?}"
                );
                let crosses = rows[0] < 20.0 && rows[3] >= 20.0;
                assert!(!crosses && !rows.contains(&30.0));
                assert!(x.chunks(2).all(|row| row[1] == -row[0]));
            }
        }
    }

    #[test]
    fn groups_are_in_one_part() {
        let mut text = String::from("user,activity,x\n");
        for row in 0..200 {
            writeln!(text, "u{},{},{row}", row / 20, row / 10 % 2).unwrap();
        }
        let (_place, path) = file(&text);
        let grouped = Cutting {
            group: Some("user".into()),
            ..how()
        };
        let set = cut(&path, &grouped).unwrap();
        let users = |windows: &Windows| -> BTreeSet<i64> {
            windows.x.chunks(4).map(|x| x[0] as i64 / 20).collect()
        };
        let (train, test) = (&set.parts[&PartName::Train], &set.parts[&PartName::Test]);
        assert_eq!((users(train).len(), users(test).len()), (8, 2));
        assert!(users(train).is_disjoint(&users(test)));
        assert_eq!(train.groups.len(), train.count);
        let held = Cutting {
            hold_out: Some(("user".into(), vec!["u3".into()])),
            ..grouped.clone()
        };
        let set = cut(&path, &held).unwrap();
        assert_eq!(users(&set.parts[&PartName::Test]), [3].into());
        let nobody = Cutting {
            hold_out: Some(("user".into(), vec!["eve".into()])),
            ..grouped
        };
        let line = cut(&path, &nobody).unwrap_err().to_string();
        assert!(
            line.contains("no row has the value `eve` in column `user`"),
            "{line}"
        );
    }

    #[test]
    fn names_file_line_and_column_of_what_cannot_be() {
        let line = |text: &str, how: Cutting| {
            let (_place, path) = file(text);
            let line = cut(&path, &how).unwrap_err().to_string();
            line.split_once("log.csv: ").unwrap().1.to_owned()
        };
        let good = rows(&[("a", 10)]);
        let column = Cutting {
            label: Some("class".into()),
            ..how()
        };
        let found = line(&good, column);
        assert!(
            found.starts_with("column `class`: is missing; the columns are time, activity"),
            "{found}"
        );
        let note = Cutting {
            columns: vec!["note".into()],
            ..how()
        };
        assert_eq!(
            line(&good, note),
            "line 2: column `note`: `word` is no number"
        );
        let time = Cutting {
            time: Some("note".into()),
            ..how()
        };
        assert!(line(&good, time).starts_with("line 2: column `note`: `word` is no number"));
        let long = Cutting {
            window: 11,
            ..how()
        };
        let found = line(&good, long);
        assert!(
            found.contains("is 11 rows long; the longest has 10"),
            "{found}"
        );
        let found = line("1,2\n3,4\n", how());
        assert!(
            found.starts_with("line 1: the names of the columns: is missing"),
            "{found}"
        );
        let found = line("time,activity,x\n0,a,1\n1,a\n", how());
        assert!(
            found.starts_with("line 3: has 2 cells, the header names 3"),
            "{found}"
        );
        assert!(line("activity,x\n", how()).contains("holds no row"));
    }
}
