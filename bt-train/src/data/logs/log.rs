//! One log as it was read, cut wherever something changes or is missing.

use super::Cutting;
use crate::data::PartName;
use crate::data::npz::check_names;
use crate::error::{Error, ErrorKind, Lack, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// A file as it was read.
pub(super) struct Log {
    pub(super) file: PathBuf,
    pub(super) header: Vec<String>,
    /// Cells of each row, and its line.
    pub(super) rows: Vec<(u64, csv::StringRecord)>,
    pub(super) label: Option<usize>,
    pub(super) group: Option<usize>,
    pub(super) held: Option<usize>,
    /// Time of each row, where that is told in numbers.
    pub(super) times: Option<Vec<f64>>,
    pub(super) time: Option<usize>,
    /// The first line whose time is no number, and what is there, where nobody asked for the column.
    pub(super) untimed: Option<(u64, String)>,
}

impl Log {
    pub(super) fn read(file: &Path, how: &Cutting) -> Result<Log> {
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
        // Channels may be called 1, 2, 3; what has a fraction is a row.
        let is_value = |name: &String| name.contains('.') && name.parse::<f64>().is_ok();
        if header.iter().all(|name| name.parse::<f64>().is_ok()) || header.iter().any(is_value) {
            return Err(Error::new(ErrorKind::Missing)
                .field("line 1: the names of the columns")
                .remedy("write one for each column"));
        }
        check_names(&header).map_err(|error| error.field("line 1: the names of the columns"))?;
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
                let is_time = |name: &String| without_unit(name).eq_ignore_ascii_case(known);
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
            untimed: None,
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
            return Err(Error::new(ErrorKind::Lacks(Lack::Rows)).remedy("drop it"));
        }
        if let Some(column) = time {
            let times = log.rows.iter().map(|(_, row)| row[column].parse::<f64>());
            log.times = times.collect::<std::result::Result<_, _>>().ok();
            if log.times.is_none() {
                let is_none =
                    |(_, row): &&(u64, csv::StringRecord)| row[column].parse::<f64>().is_err();
                let (line, row) = log.rows.iter().find(is_none).expect("one is no number");
                if how.time.is_none() {
                    log.untimed = Some((*line, row[column].to_owned()));
                    return Ok(log);
                }
                return Err(Error::new(ErrorKind::NoNumber {
                    found: row[column].into(),
                })
                .field(format!("line {line}: column `{}`", header[column]))
                .remedy("give the time in seconds or milliseconds"));
            }
        }
        Ok(log)
    }

    /// The first cell of a column that is neither a number nor missing, and its line.
    pub(super) fn text_in(&self, column: usize) -> Option<(u64, &str)> {
        self.rows.iter().find_map(|(line, row)| {
            let cell = &row[column];
            let is_text = number(cell).is_none() && !is_missing(cell);
            is_text.then_some((*line, cell))
        })
    }

    /// Cells of a column that are numbers, and those that are neither numbers nor missing.
    pub(super) fn numbers_and_texts(&self, column: usize) -> [usize; 2] {
        let cells = || self.rows.iter().map(|(_, row)| &row[column]);
        let numbers = cells().filter(|cell| number(cell).is_some()).count();
        let missing = cells().filter(|cell| is_missing(cell)).count();
        [numbers, self.rows.len() - numbers - missing]
    }

    /// The rows cut wherever something changes or is missing; tells of what is.
    pub(super) fn stretches<'a>(
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
            let group = cell(self.group);
            let is_there =
                |text: &Option<String>| text.as_deref().is_none_or(|text| !is_missing(text));
            let Some(cells) = cells.filter(|_| is_there(&label) && is_there(&group)) else {
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
            let group = group.unwrap_or_else(|| name.clone());
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
            if lines.is_empty() {
                return;
            }
            let some: Vec<String> = lines.iter().take(5).map(u64::to_string).collect();
            let more = if lines.len() > 5 { ", …" } else { "" };
            let word = if lines.len() == 1 { "line" } else { "lines" };
            warnings.push(format!(
                "{}: {what} at {} {word}: {}{more}; no window goes across",
                self.file.display(),
                lines.len(),
                some.join(", ")
            ));
        };
        tell(&missing, "a value is missing");
        tell(&gaps, "time jumps");
        if let Some((line, cell)) = &self.untimed {
            warnings.push(format!(
                "{}: line {line}: column `{}` holds `{cell}`, which is no time in numbers: jumps are not looked for",
                self.file.display(),
                self.header[self.time.expect("it was read")]
            ));
        }
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

/// The name of a column less its unit: `Time (s)`, `t[ms]`.
fn without_unit(name: &str) -> &str {
    name.split(['(', '[']).next().unwrap_or(name).trim()
}

/// A finite number.
fn number(cell: &str) -> Option<f32> {
    cell.parse().ok().filter(|value: &f32| value.is_finite())
}

fn is_missing(cell: &str) -> bool {
    MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Rows that follow each other.
pub(super) struct Stretch<'a> {
    pub(super) log: &'a Log,
    pub(super) width: usize,
    /// [rows, columns]
    pub(super) values: Vec<f32>,
    /// First and last line.
    pub(super) lines: (u64, u64),
    pub(super) label: Option<String>,
    pub(super) group: String,
    pub(super) held: String,
}

impl Stretch<'_> {
    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// Start and part of every window.
    pub(super) fn windows(
        &self,
        how: &Cutting,
        test: Option<&BTreeSet<String>>,
    ) -> Vec<(usize, PartName)> {
        let last = self.rows() - how.window;
        let starts: Vec<usize> = (0..=last).step_by(how.hop).collect();
        let is_test = match (&how.hold_out, test) {
            (Some((_, values)), _) => Some(values.contains(&self.held)),
            (None, Some(groups)) => Some(groups.contains(&self.group)),
            (None, None) => None,
        };
        if let Some(is_test) = is_test {
            let part = match is_test {
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
