//! Long recordings with the events in them: a folder of `.wav` or `.flac` files and `events.csv`.

use crate::data::sound;
use crate::error::{Error, ErrorKind, Result};
use bt_core::Model;
use rayon::prelude::*;
use std::path::Path;

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
}

/// The events of a folder.
const INDEX: &str = "events.csv";

/// Reads all recordings of a folder, in order of their names. `events.csv` has the columns `file`, `label`, `start` and
/// `end`, in seconds; a recording without a row there is background.
///
/// # Errors
/// Names the file, the row and the remedy; when the model takes no sound, or of another rate.
pub fn read(folder: &Path, model: &Model<'_>) -> Result<Vec<Recording>> {
    let Some(front_end) = model.front_end() else {
        return Err(Error::new(ErrorKind::Unsupported("takes no sound"))
            .field("the model")
            .remedy("detection in recordings needs a model that was trained on .wav files"));
    };
    let in_folder = |error: Error| error.file(folder);
    let entries = std::fs::read_dir(folder).map_err(|error| in_folder(error.into()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| in_folder(error.into()))?;
    paths.retain(|path| sound::is_recording(path));
    paths.sort();
    if paths.is_empty() {
        let nothing = ErrorKind::Empty("holds no .wav or .flac file".into());
        return Err(in_folder(Error::new(nothing)));
    }
    let (need, takes) = (front_end.sample_rate_hz(), "the model takes");
    let mut recordings = paths
        .par_iter()
        .map(|path| {
            let sound = sound::read(path).map_err(|error| error.file(path))?;
            if sound.rate != need {
                let (found, need) = (sound.rate as usize, need as usize);
                let error = Error::mismatch("samples a second", found, need, takes);
                return Err(error.file(path).remedy("resample it"));
            }
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
    events(&index, model, &mut recordings).map_err(|error| error.file(&index))?;
    Ok(recordings)
}

fn events(index: &Path, model: &Model<'_>, recordings: &mut [Recording]) -> Result<()> {
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
    for (number, row) in reader.records().enumerate() {
        let row = row.map_err(Error::malformed)?;
        let wrong = |name: &str, found: &str, remedy: &str| {
            let (found, recording) = (found.into(), row[file].into());
            Error::new(ErrorKind::IndexCell { found, recording })
                .field(format!("event {}, column `{name}`", number + 1))
                .remedy(remedy.to_owned())
        };
        let recording = recordings.iter_mut().find(|one| one.name == row[file]);
        let Some(recording) = recording else {
            return Err(wrong("file", &row[file], "name a recording of this folder"));
        };
        let class = (0..model.classes()).find(|&class| model.label(class) == Some(&row[label]));
        let Some(class) = class else {
            return Err(wrong(
                "label",
                &row[label],
                "write a class of the model; what it does not know is background",
            ));
        };
        let length = recording.seconds(recording.samples.len());
        let time = |name: &str, at: usize| {
            let time = row[at].parse::<f64>().ok();
            time.filter(|time| (0.0..=length).contains(time))
                .ok_or_else(|| {
                    wrong(
                        name,
                        &row[at],
                        &format!("write seconds within the recording, 0 to {length}"),
                    )
                })
        };
        let (start, end) = (time("start", start)?, time("end", end)?);
        if end <= start {
            return Err(wrong(
                "end",
                &end.to_string(),
                "an event ends after its start",
            ));
        }
        recording.events.push(Event { class, start, end });
    }
    for recording in recordings {
        recording.events.sort_by(|a, b| a.start.total_cmp(&b.start));
    }
    Ok(())
}
