//! Data sets in directories of `.wav` and `.flac` files.
//!
//! Either an `index.csv` with the columns `file` and `label`, and where there
//! is one `split` (`train`, `val`, `test`), or one folder for each class, by itself or within folders
//! `train`, `val` and `test`. A
//! hold-out makes all recordings with certain values of a column the test
//! part, whatever their split. Without split and hold-out one recording in
//! five is for the test, chosen by its name alone; where names tell the
//! speaker, all recordings of one in five speakers.

use crate::data::hash::Fnv;
use crate::data::logs::in_order;
use crate::data::logs::is_log;
use crate::data::{DataSet, Part, PartName, Targets, Values, sound, twins};
use crate::error::{Error, ErrorKind, Lack, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to make of the columns of an index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recordings {
    /// Column and values of the recordings that form the test part.
    pub hold_out: Option<(String, Vec<String>)>,
    /// Column whose recordings of one value validation keeps together.
    pub group: Option<String>,
}

impl Recordings {
    /// From `speaker=theo,yweweler` and `speaker`; empty texts mean none.
    ///
    /// # Errors
    /// When the hold-out has no `=`.
    pub fn new(hold_out: &str, group: &str) -> Result<Recordings> {
        let hold_out = match hold_out.split_once('=') {
            Some((column, values)) => Some((
                column.trim().to_owned(),
                values.split(',').map(|v| v.trim().to_owned()).collect(),
            )),
            None if hold_out.is_empty() => None,
            None => {
                return Err(Error::new(ErrorKind::HoldOut {
                    found: hold_out.into(),
                })
                .field("hold-out")
                .into_usage());
            }
        };
        Ok(Recordings {
            hold_out,
            group: Some(group.to_owned()).filter(|group| !group.is_empty()),
        })
    }
}

/// One recording as the index has it.
struct Entry {
    file: PathBuf,
    /// What it is called there.
    name: String,
    label: String,
    /// Where index or hold-out tell it.
    part: Option<PartName>,
    group: Option<String>,
}

impl Entry {
    /// Who speaks, where the name tells it as `SPEAKER_nohash_N.wav`, the way of Google's speech
    /// commands.
    fn speaker(&self) -> Option<&str> {
        let name = self.name.rsplit(['/', '\\']).next()?;
        let (speaker, _) = name.split_once("_nohash_")?;
        Some(speaker).filter(|speaker| !speaker.is_empty())
    }
}

/// Reads the parts asked for as mono 16-bit samples: width 1, a step a sample.
///
/// # Errors
/// Names the file, the column and the remedy.
pub fn load(directory: &Path, recordings: &Recordings, parts: &[PartName]) -> Result<DataSet> {
    let index = directory.join("index.csv");
    let mut set = DataSet::default();
    let mut entries = if index.exists() {
        from_index(directory, &index, recordings).map_err(|error| error.file(&index))
    } else {
        from_folders(directory, recordings, &mut set.warnings)
            .map_err(|error| error.file(directory))
    }?;
    set.warnings.extend(by_speaker(&mut entries));
    let part_of = |entry: &Entry| entry.part.unwrap_or_else(|| by_name(&entry.name));
    set.labels = in_order(entries.iter().map(|entry| entry.label.clone()).collect());
    for &name in parts {
        let chosen: Vec<&Entry> = entries
            .iter()
            .filter(|entry| part_of(entry) == name)
            .collect();
        if chosen.is_empty() {
            if name == PartName::Validation {
                continue;
            }
            return Err(Error::new(ErrorKind::Lacks(Lack::RecordingsOfPart {
                part: name.suffix(),
            }))
            .file(directory)
            .remedy("check the split column or the hold-out"));
        }
        let part = read(&chosen, &set.labels, &mut set.sample_rate)?;
        match name {
            PartName::Train => set.train = Some(part),
            PartName::Validation => set.validation = Some(part),
            PartName::Test => set.test = Some(part),
        }
    }
    if parts.contains(&PartName::Train) {
        // A test part that was not asked for is looked at too, where it can be read.
        let in_part = |name| entries.iter().filter(move |entry| part_of(entry) == name);
        let unasked = match set.test {
            Some(_) => None,
            None => {
                let chosen: Vec<&Entry> = in_part(PartName::Test).collect();
                read(&chosen, &set.labels, &mut set.sample_rate).ok()
            }
        };
        let file = |name, sequence| {
            let entry = in_part(name).nth(sequence);
            entry.map_or_else(String::new, |entry| entry.file.display().to_string())
        };
        let found = twins::warnings(&set, unasked.as_ref(), file);
        set.warnings.extend(found);
    }
    Ok(set)
}

/// Where names tell several speakers, keeps each one's recordings together: in the test part or out
/// of it where nothing else tells, and in validation where no group was chosen. Says so.
fn by_speaker(entries: &mut [Entry]) -> Option<String> {
    let speakers: BTreeSet<String> = entries
        .iter()
        .filter_map(|entry| entry.speaker().map(str::to_owned))
        .collect();
    if speakers.len() < 2 {
        return None;
    }
    let mut test: BTreeSet<&String> = speakers
        .iter()
        .filter(|speaker| by_name(speaker) == PartName::Test)
        .collect();
    // Few speakers may all fall to one part: each part has at least one.
    let first = speakers.iter().min_by_key(|speaker| Fnv::of(speaker));
    if test.is_empty() {
        test.extend(first);
    } else if test.len() == speakers.len()
        && let Some(first) = first
    {
        test.remove(first);
    }
    let splits = entries.iter().any(|entry| entry.part.is_none());
    let groups = entries.iter().all(|entry| entry.group.is_none());
    for entry in entries.iter_mut() {
        let Some(speaker) = entry.speaker().map(str::to_owned) else {
            // A name without a speaker stands for itself.
            if groups {
                entry.group = Some(entry.name.clone());
            }
            continue;
        };
        let part = if test.contains(&speaker) {
            PartName::Test
        } else {
            PartName::Train
        };
        entry.part.get_or_insert(part);
        entry.group.get_or_insert(speaker);
    }
    let parts = match (splits, groups) {
        (true, true) => "test and validation part take",
        (true, false) => "the test part takes",
        (false, true) => "validation takes",
        (false, false) => return None,
    };
    Some(format!(
        "names such as SPEAKER_nohash_N tell {} speakers: {parts} whole speakers; an index.csv with `hold-out` and `group` chooses otherwise",
        speakers.len()
    ))
}

fn from_index(directory: &Path, index: &Path, recordings: &Recordings) -> Result<Vec<Entry>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(index)
        .map_err(Error::malformed)?;
    let header = reader.headers().map_err(Error::malformed)?.clone();
    let column = |name: &str| header.iter().position(|column| column == name);
    let required = |name: &str| {
        column(name).ok_or_else(|| {
            Error::new(ErrorKind::Missing)
                .field(format!("column `{name}`"))
                .remedy(format!(
                    "the columns are {}",
                    header.iter().collect::<Vec<_>>().join(", ")
                ))
        })
    };
    let (file, label, split) = (required("file")?, required("label")?, column("split"));
    let hold_out = match &recordings.hold_out {
        Some((name, values)) => Some((required(name)?, values)),
        None => None,
    };
    let group = recordings.group.as_deref().map(required).transpose()?;
    let mut unused: BTreeSet<&String> = hold_out.iter().flat_map(|(_, values)| *values).collect();
    let mut entries = Vec::new();
    for row in reader.records() {
        let row = row.map_err(Error::malformed)?;
        let name = &row[file];
        let part = match (&hold_out, split) {
            (Some((column, values)), _) => {
                let value = row[*column].to_owned();
                unused.remove(&value);
                Some(if values.contains(&value) {
                    PartName::Test
                } else {
                    PartName::Train
                })
            }
            (None, Some(split)) => match &row[split] {
                "train" => Some(PartName::Train),
                "val" | "validation" => Some(PartName::Validation),
                "test" => Some(PartName::Test),
                other => {
                    return Err(Error::new(ErrorKind::IndexCell {
                        found: other.into(),
                        recording: name.into(),
                    })
                    .field("column `split`")
                    .remedy("write train, val or test"));
                }
            },
            (None, None) => None,
        };
        if row[label].is_empty() {
            return Err(Error::new(ErrorKind::IndexCell {
                found: "".into(),
                recording: name.into(),
            })
            .field("column `label`")
            .remedy("name its class"));
        }
        entries.push(Entry {
            file: directory.join(name),
            name: name.to_owned(),
            label: row[label].to_owned(),
            part,
            group: group.map(|column| row[column].to_owned()),
        });
    }
    match unused.first() {
        Some(value) => Err(Error::new(ErrorKind::Lacks(Lack::HeldRecordings {
            value: value.to_string().into(),
        }))
        .field("hold-out")
        .remedy("write the values as the index has them")),
        None => Ok(entries),
    }
}

fn from_folders(
    directory: &Path,
    recordings: &Recordings,
    warnings: &mut Vec<String>,
) -> Result<Vec<Entry>> {
    if recordings.hold_out.is_some() || recordings.group.is_some() {
        let remedy = match has_logs(directory)? {
            true => OF_LOGS,
            false => "`hold-out` and `group` name a column of it",
        };
        return Err(Error::new(ErrorKind::Missing)
            .field("index.csv")
            .remedy(remedy));
    }
    let mut entries = Vec::new();
    let parts = part_folders(directory)?;
    if parts.is_empty() {
        classes(directory, None, &mut entries, warnings)?;
    }
    for (part, folder) in &parts {
        classes(folder, Some(*part), &mut entries, warnings)?;
    }
    if !parts.is_empty() {
        let is_part = |path: &PathBuf| parts.iter().any(|(_, folder)| folder == path);
        let others = sorted(directory)?
            .into_iter()
            .filter(|path| path.is_dir() && !is_part(path));
        let others: Vec<String> = others.map(|path| file_name(&path)).collect();
        if !others.is_empty() {
            warnings.push(format!(
                "{} beside {} is no part and left out",
                others.join(", "),
                file_name(&parts[0].1)
            ));
        }
    }
    if entries.is_empty() {
        let remedy = match has_logs(directory)? {
            true => OF_LOGS,
            false => "put the recordings of each class into a folder named after it",
        };
        return Err(Error::new(ErrorKind::Lacks(Lack::Index)).remedy(remedy));
    }
    Ok(entries)
}

fn has_logs(directory: &Path) -> Result<bool> {
    Ok(sorted(directory)?.iter().any(|path| is_log(path)))
}

/// What to do with logs.
const OF_LOGS: &str =
    "if its .csv files are logs of sensors, cut them into windows first: bt-train cut";

/// What folders of parts are called.
pub(super) const PART_FOLDERS: [(&str, PartName); 4] = [
    ("train", PartName::Train),
    ("val", PartName::Validation),
    ("validation", PartName::Validation),
    ("test", PartName::Test),
];

/// Folders called as parts are that hold folders of classes, and not recordings as a class does.
fn part_folders(directory: &Path) -> Result<Vec<(PartName, PathBuf)>> {
    let mut parts = Vec::new();
    for (name, part) in PART_FOLDERS {
        let folder = directory.join(name);
        if !folder.is_dir() {
            continue;
        }
        let inside = sorted(&folder)?;
        let holds_folders = inside.iter().any(|path| path.is_dir());
        if holds_folders && !inside.iter().any(|path| sound::is_recording(path)) {
            parts.push((part, folder));
        }
    }
    Ok(parts)
}

/// Adds the recordings of a folder of classes.
fn classes(
    directory: &Path,
    part: Option<PartName>,
    entries: &mut Vec<Entry>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    for folder in sorted(directory)?.into_iter().filter(|path| path.is_dir()) {
        let label = file_name(&folder).trim().to_owned();
        let files = sorted(&folder)?
            .into_iter()
            .filter(|file| sound::is_recording(file));
        if label.starts_with(['_', '.']) {
            let count = files.count();
            if count > 0 {
                warnings.push(format!(
                    "{label} is no class by its name: {count} recordings are left out"
                ));
            }
            continue;
        }
        entries.extend(files.map(|file| Entry {
            part,
            label: label.clone(),
            name: file_name(&file),
            file,
            group: None,
        }));
    }
    Ok(())
}

fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// One in five to test, whatever else the directory holds.
fn by_name(name: &str) -> PartName {
    if Fnv::of(name) >> 32 & 0xffff < 0xffff / 5 {
        PartName::Test
    } else {
        PartName::Train
    }
}

fn read(entries: &[&Entry], labels: &[String], sample_rate: &mut Option<u32>) -> Result<Part> {
    let mut samples: Vec<i16> = Vec::new();
    let mut part = Part {
        values: Arc::new(Values::I16(Vec::new())),
        width: 1,
        starts: Vec::new(),
        lengths: Vec::new(),
        targets: None,
        groups: None,
    };
    for entry in entries {
        let start = samples.len();
        let sound = sound::read(&entry.file).map_err(|error| error.file(&entry.file))?;
        let rate = sound.rate;
        samples.extend(sound.samples);
        let first = *sample_rate.get_or_insert(rate);
        if first != rate {
            let (rate, first) = (rate as usize, first as usize);
            return Err(Error::mismatch(
                "samples a second",
                rate,
                first,
                "recordings before it have",
            )
            .file(&entry.file)
            .remedy("all recordings need the same rate; resample"));
        }
        if samples.len() == start {
            return Err(Error::new(ErrorKind::Lacks(Lack::Samples))
                .file(&entry.file)
                .remedy("drop it"));
        }
        part.starts.push(start);
        part.lengths.push(samples.len() - start);
    }
    let number_of: BTreeMap<&str, usize> = labels
        .iter()
        .enumerate()
        .map(|(i, label)| (label.as_str(), i))
        .collect();
    let labels: Option<Vec<usize>> = entries
        .iter()
        .map(|entry| number_of.get(entry.label.as_str()).copied())
        .collect();
    part.targets = labels.map(Targets::from);
    let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
    part.groups = entries
        .iter()
        .map(|entry| {
            let next = numbers.len() as i64;
            entry
                .group
                .as_deref()
                .map(|group| *numbers.entry(group).or_insert(next))
        })
        .collect();
    part.values = Arc::new(Values::I16(samples));
    Ok(part)
}

#[cfg(test)]
mod tests;
