//! Streams: long recordings with the events in them, a folder of `.wav` or `.flac` files and `events.csv`; and data
//! sets of them, with a class for every step.

use crate::data::logs::in_order;
use crate::data::{DataSet, Items, Part, PartName, Recordings, Targets, Values, sound, wav};
use crate::error::{Error, ErrorKind, FileKind, Lack, Result, With};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that should be detected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// Its class.
    pub class: usize,
    /// Seconds from the start of the recording to its start.
    pub start: f64,
    /// Likewise to its end.
    pub end: f64,
}

/// A recording and its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Name of its file.
    pub name: String,
    /// Samples a second.
    pub rate: u32,
    /// Mono.
    pub samples: Vec<i16>,
    /// In order of their starts.
    pub events: Vec<Event>,
}

impl Recording {
    /// How long so many samples last.
    pub fn seconds(&self, samples: usize) -> f64 {
        samples as f64 / f64::from(self.rate)
    }

    /// Where a tick begins.
    fn sample(&self, tick: usize) -> usize {
        (tick as u64 * u64::from(self.rate) / TICKS as u64) as usize
    }

    /// The class of every tick. In the first half of an event nobody can know yet what it is: its second half is of
    /// its class, all else is background.
    fn ticks(&self) -> Vec<usize> {
        let count = self.seconds(self.samples.len()) * TICKS as f64;
        let mut classes = vec![0; count.ceil() as usize];
        for event in &self.events {
            let place =
                |seconds: f64| ((seconds * TICKS as f64).round() as usize).min(classes.len());
            let own = place((event.start + event.end) / 2.0)..place(event.end);
            classes[own].fill(event.class);
        }
        classes
    }
}

/// The events of a folder.
const INDEX: &str = "events.csv";

/// The class of what is no event. By its name it is never detected.
pub const BACKGROUND: &str = "_background";

/// Targets of streams a second: finer than any step.
pub const TICKS: usize = 100;

/// Recordings are cut into sequences of about so many seconds: a state that goes on for ever is learned from no more.
const PIECE_SECONDS: usize = 12;

/// Reads all recordings of a folder, in order of their names. `events.csv` has the columns `file`, `label`, `start` and
/// `end`, in seconds; a recording without a row there is background. `class_of` gives the number of a label.
///
/// # Errors
/// Names the file, the row and the remedy.
pub fn read(folder: &Path, class_of: &dyn Fn(&str) -> Option<usize>) -> Result<Vec<Recording>> {
    let in_folder = |error: Error| error.file(folder);
    let entries = std::fs::read_dir(folder).map_err(|error| in_folder(error.into()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| in_folder(error.into()))?;
    paths.retain(|path| sound::is_recording(path));
    paths.sort();
    if paths.is_empty() {
        let nothing = ErrorKind::Lacks(Lack::Recordings);
        return Err(in_folder(Error::new(nothing)));
    }
    let mut recordings = paths
        .par_iter()
        .map(|path| {
            let sound = sound::read(path).map_err(|error| error.file(path))?;
            let name = path.file_name().unwrap_or_default();
            Ok(Recording {
                name: name.to_string_lossy().into_owned(),
                rate: sound.rate,
                samples: sound.samples,
                events: Vec::new(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let index = folder.join(INDEX);
    events(&index, class_of, &mut recordings).map_err(|error| error.file(&index))?;
    Ok(recordings)
}

/// A line of `events.csv`.
struct Row {
    number: usize,
    file: String,
    label: String,
    start: String,
    end: String,
}

impl Row {
    fn wrong(&self, name: &str, found: &str, remedy: &str) -> Error {
        let (found, recording) = (found.into(), self.file.as_str().into());
        Error::new(ErrorKind::IndexCell { found, recording })
            .field(format!("event {}, column `{name}`", self.number))
            .remedy(remedy.to_owned())
    }
}

fn rows(index: &Path) -> Result<Vec<Row>> {
    if !index.exists() {
        return Err(Error::new(ErrorKind::Missing).remedy(
            "write a line `file,label,start,end` and one for each event, times in seconds",
        ));
    }
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(index)
        .map_err(Error::malformed)?;
    let header = reader.headers().map_err(Error::malformed)?.clone();
    let column = |name: &'static str| {
        let found = header.iter().position(|column| column == name);
        found.ok_or_else(|| Error::new(ErrorKind::Missing).field(format!("column `{name}`")))
    };
    let (file, label) = (column("file")?, column("label")?);
    let (start, end) = (column("start")?, column("end")?);
    let rows = reader.records().enumerate().map(|(at, row)| {
        let row = row.map_err(Error::malformed)?;
        Ok(Row {
            number: at + 1,
            file: row[file].to_owned(),
            label: row[label].to_owned(),
            start: row[start].to_owned(),
            end: row[end].to_owned(),
        })
    });
    rows.collect()
}

fn events(
    index: &Path,
    class_of: &dyn Fn(&str) -> Option<usize>,
    recordings: &mut [Recording],
) -> Result<()> {
    for row in rows(index)? {
        let recording = recordings.iter_mut().find(|one| one.name == row.file);
        let Some(recording) = recording else {
            return Err(row.wrong("file", &row.file, "name a recording of this folder"));
        };
        let Some(class) = class_of(&row.label).filter(|_| !row.label.is_empty()) else {
            return Err(row.wrong(
                "label",
                &row.label,
                "write a class of the model; what it does not know is background",
            ));
        };
        let length = recording.seconds(recording.samples.len());
        let time = |name: &str, found: &str| {
            let time = found.parse::<f64>().ok();
            time.filter(|time| (0.0..=length).contains(time))
                .ok_or_else(|| {
                    let remedy = format!("write seconds within the recording, 0 to {length}");
                    row.wrong(name, found, &remedy)
                })
        };
        let (start, end) = (time("start", &row.start)?, time("end", &row.end)?);
        if end <= start {
            return Err(row.wrong("end", &end.to_string(), "an event ends after its start"));
        }
        recording.events.push(Event { class, start, end });
    }
    for recording in recordings {
        recording.events.sort_by(|a, b| a.start.total_cmp(&b.start));
    }
    Ok(())
}

/// The folders of parts that hold streams.
fn parts_in(directory: &Path) -> Vec<(PartName, PathBuf)> {
    let folders = wav::PART_FOLDERS.map(|(name, part)| (part, directory.join(name)));
    folders
        .into_iter()
        .filter(|(_, folder)| folder.join(INDEX).is_file())
        .collect()
}

/// Whether a directory is a data set of streams, or a folder of one.
pub fn are_in(directory: &Path) -> bool {
    directory.join(INDEX).is_file() || !parts_in(directory).is_empty()
}

/// Reads the parts asked for of a directory with the folders `train`, `test` and, where there is one, `val` or
/// `validation`: samples, width 1, and a class for every hundredth of a second. Class 0 is [`BACKGROUND`].
///
/// # Errors
/// Names the file, the row and the remedy.
pub fn load(directory: &Path, recordings: &Recordings, parts: &[PartName]) -> Result<DataSet> {
    let in_directory = |error: Error| error.file(directory);
    let folders = parts_in(directory);
    if folders.is_empty() {
        let why = ErrorKind::FileKind(FileKind::SingleFolder);
        return Err(in_directory(Error::new(why))
            .remedy("put it into another one as `train`, and likewise `test` and `validation`"));
    }
    if *recordings != Recordings::default() {
        let (with, why) = (With::Streams, "holds streams, whose parts are folders");
        return Err(in_directory(Error::new(ErrorKind::Conflict { with, why }))
            .remedy("leave `hold-out` and `group` out"));
    }
    let mut names = BTreeSet::new();
    for (_, folder) in &folders {
        let index = folder.join(INDEX);
        let rows = rows(&index).map_err(|error| error.file(&index))?;
        names.extend(rows.into_iter().map(|row| row.label));
    }
    names.remove(BACKGROUND);
    let mut set = DataSet {
        labels: vec![BACKGROUND.to_owned()],
        ..DataSet::default()
    };
    set.labels.extend(in_order(names));
    for &name in parts {
        let Some((_, folder)) = folders.iter().find(|(part, _)| *part == name) else {
            if name == PartName::Validation {
                continue;
            }
            let part = name.suffix();
            let none = ErrorKind::Lacks(Lack::PartFolder { part });
            return Err(in_directory(Error::new(none)));
        };
        let labels = &set.labels;
        let recordings = read(folder, &|label| labels.iter().position(|one| one == label))?;
        for recording in &recordings {
            let rate = *set.sample_rate.get_or_insert(recording.rate);
            check_rate(recording, rate, "recordings before it have")
                .map_err(|error| error.file(folder.join(&recording.name)))?;
        }
        let part = cut(&recordings);
        match name {
            PartName::Train => set.train = Some(part),
            PartName::Validation => set.validation = Some(part),
            PartName::Test => set.test = Some(part),
        }
    }
    Ok(set)
}

/// Checks that a recording has so many samples a second.
///
/// # Errors
/// When it has not: `of` says what has.
pub fn check_rate(recording: &Recording, rate: u32, of: &'static str) -> Result<()> {
    if recording.rate == rate {
        return Ok(());
    }
    let (found, need) = (recording.rate as usize, rate as usize);
    Err(Error::mismatch("samples a second", found, need, of).remedy("resample it"))
}

/// Recordings in pieces of about [`PIECE_SECONDS`], all of a recording in one group.
fn cut(recordings: &[Recording]) -> Part {
    let (mut samples, mut classes, mut ticks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut starts, mut lengths, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for (group, recording) in recordings.iter().enumerate() {
        let of_recording = recording.ticks();
        let piece = PIECE_SECONDS * TICKS;
        let pieces = ((of_recording.len() + piece / 2) / piece).max(1);
        let edge = |piece: usize| piece * of_recording.len() / pieces;
        let place = |tick: usize| recording.sample(tick).min(recording.samples.len());
        for piece in 0..pieces {
            let (from, to) = (edge(piece), edge(piece + 1));
            starts.push(samples.len() + place(from));
            lengths.push(place(to) - place(from));
            ticks.push(to - from);
            groups.push(group as i64);
        }
        samples.extend(&recording.samples);
        classes.extend(of_recording);
    }
    Part {
        values: Arc::new(Values::I16(samples)),
        width: 1,
        starts,
        lengths,
        targets: Some(Targets::of_ticks(Items::Classes(classes), &ticks)),
        groups: Some(groups),
    }
}

#[cfg(test)]
mod tests;
