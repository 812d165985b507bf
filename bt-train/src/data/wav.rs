//! Data sets in directories of `.wav` files.
//!
//! Either an `index.csv` with the columns `file` and `label`, and where there
//! is one `split` (`train`, `val`, `test`), or one folder for each class. A
//! hold-out makes all recordings with certain values of a column the test
//! part, whatever their split. Without split and hold-out one recording in
//! five is for the test, chosen by its name alone.

use crate::data::{DataSet, Part, PartName, Values};
use crate::error::{Error, ErrorKind, Result};
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
                return Err(Error::new(ErrorKind::Usage(format!(
                    "--hold-out {hold_out} is not of the form speaker=theo,yweweler"
                ))));
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
    label: String,
    part: PartName,
    group: Option<String>,
}

/// Reads the parts asked for as mono 16-bit samples: width 1, a step a sample.
///
/// # Errors
/// Names the file, the column and the remedy.
pub fn load(directory: &Path, recordings: &Recordings, parts: &[PartName]) -> Result<DataSet> {
    let index = directory.join("index.csv");
    let entries = if index.exists() {
        from_index(directory, &index, recordings).map_err(|error| error.file(&index))
    } else {
        from_folders(directory, recordings).map_err(|error| error.file(directory))
    }?;
    let labels = in_order(entries.iter().map(|entry| entry.label.clone()).collect());
    let mut set = DataSet {
        labels,
        ..DataSet::default()
    };
    for &name in parts {
        let chosen: Vec<&Entry> = entries.iter().filter(|entry| entry.part == name).collect();
        if chosen.is_empty() {
            if name == PartName::Validation {
                continue;
            }
            return Err(
                Error::setting(format!("no recording is in the {} part", name.suffix()))
                    .file(directory)
                    .remedy("check the split column or the hold-out"),
            );
        }
        let part = read(&chosen, &set.labels, &mut set.sample_rate)?;
        match name {
            PartName::Train => set.train = Some(part),
            PartName::Validation => set.validation = Some(part),
            PartName::Test => set.test = Some(part),
        }
    }
    Ok(set)
}

/// Distinct names, numbers by their value before all others.
fn in_order(names: BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|name| name.parse::<u64>().unwrap_or(u64::MAX));
    names
}

fn from_index(directory: &Path, index: &Path, recordings: &Recordings) -> Result<Vec<Entry>> {
    let mut reader = csv::Reader::from_path(index).map_err(Error::malformed)?;
    let header = reader.headers().map_err(Error::malformed)?.clone();
    let column = |name: &str| header.iter().position(|column| column.trim() == name);
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
                if values.contains(&value) {
                    PartName::Test
                } else {
                    PartName::Train
                }
            }
            (None, Some(split)) => match row[split].trim() {
                "train" => PartName::Train,
                "val" | "validation" => PartName::Validation,
                "test" => PartName::Test,
                other => {
                    return Err(Error::setting(format!("is `{other}` for {name}"))
                        .field("column `split`")
                        .remedy("write train, val or test"));
                }
            },
            (None, None) => by_name(name),
        };
        entries.push(Entry {
            file: directory.join(name),
            label: row[label].to_owned(),
            part,
            group: group.map(|column| row[column].to_owned()),
        });
    }
    match unused.first() {
        Some(value) => Err(
            Error::setting(format!("no recording has the value `{value}`"))
                .field("hold-out")
                .remedy("write the values as the index has them"),
        ),
        None => Ok(entries),
    }
}

fn from_folders(directory: &Path, recordings: &Recordings) -> Result<Vec<Entry>> {
    if recordings.hold_out.is_some() || recordings.group.is_some() {
        return Err(Error::new(ErrorKind::Missing)
            .field("index.csv")
            .remedy("--hold-out and --group name a column of it"));
    }
    let mut entries = Vec::new();
    for folder in sorted(directory)?.into_iter().filter(|path| path.is_dir()) {
        let label = file_name(&folder);
        for file in sorted(&folder)? {
            if file
                .extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("wav"))
            {
                entries.push(Entry {
                    part: by_name(&file_name(&file)),
                    label: label.clone(),
                    file,
                    group: None,
                });
            }
        }
    }
    if entries.is_empty() {
        return Err(
            Error::setting("holds neither index.csv nor folders of .wav files")
                .remedy("put the recordings of each class into a folder named after it"),
        );
    }
    Ok(entries)
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

/// One in five to test, whatever else the directory holds (FNV-1a of the name).
fn by_name(name: &str) -> PartName {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    if hash >> 32 & 0xffff < 0xffff / 5 {
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
        labels: None,
        groups: None,
    };
    for entry in entries {
        let start = samples.len();
        let rate =
            read_samples(&entry.file, &mut samples).map_err(|error| error.file(&entry.file))?;
        if *sample_rate.get_or_insert(rate) != rate {
            return Err(Error::setting(format!("has {rate} samples a second"))
                .file(&entry.file)
                .remedy("all recordings need the same rate; resample"));
        }
        if samples.len() == start {
            return Err(Error::setting("holds no sample")
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
    part.labels = entries
        .iter()
        .map(|entry| number_of.get(entry.label.as_str()).copied())
        .collect();
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

/// Appends the samples of a file, several channels averaged; returns its rate.
fn read_samples(path: &Path, samples: &mut Vec<i16>) -> Result<u32> {
    let wrong = |error: hound::Error| match error {
        hound::Error::IoError(error) if error.raw_os_error().is_some() => Error::from(error),
        error => Error::malformed(error).remedy("the file is cut short or no .wav"),
    };
    let reader = hound::WavReader::open(path).map_err(wrong)?;
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample != 16 {
        return Err(Error::new(ErrorKind::ElementType {
            found: format!("{} bits of {:?}", spec.bits_per_sample, spec.sample_format),
        })
        .field("samples")
        .remedy("save it as 16-bit integers"));
    }
    let interleaved = reader
        .into_samples::<i16>()
        .collect::<std::result::Result<Vec<i16>, _>>()
        .map_err(wrong)?;
    let channels = i32::from(spec.channels);
    samples.extend(
        interleaved
            .chunks_exact(usize::from(spec.channels))
            .map(|frame| {
                (frame.iter().map(|&sample| i32::from(sample)).sum::<i32>() / channels) as i16
            }),
    );
    Ok(spec.sample_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, samples: &[i16]) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for &sample in samples {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
    }

    fn indexed() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let mut index = "file,label,speaker,split\n".to_owned();
        for (i, (label, speaker, split)) in [
            ("10", "ann", "train"),
            ("9", "bob", "train"),
            ("10", "cyd", "test"),
        ]
        .iter()
        .enumerate()
        {
            write(
                &place.path().join(format!("{i}.wav")),
                &vec![i as i16; i + 1],
            );
            index += &format!("{i}.wav,{label},{speaker},{split}\n");
        }
        std::fs::write(place.path().join("index.csv"), index).unwrap();
        place
    }

    const BOTH: &[PartName] = &[PartName::Train, PartName::Test];

    #[test]
    fn follows_the_split_of_the_index() {
        let place = indexed();
        let set = load(place.path(), &Recordings::default(), BOTH).unwrap();
        assert_eq!(set.labels, ["9", "10"]);
        assert_eq!(set.sample_rate, Some(8000));
        let train = set.train.unwrap();
        assert_eq!(train.labels.as_deref(), Some(&[1, 0][..]));
        assert_eq!(train.lengths, [1, 2]);
        assert_eq!(*train.values, Values::I16(vec![0, 1, 1]));
        assert_eq!(train.groups, None);
        assert_eq!(set.test.unwrap().sequences(), 1);
    }

    #[test]
    fn holds_speakers_out_and_keeps_them_together() {
        let place = indexed();
        let choice = Recordings::new("speaker=ann", "speaker").unwrap();
        let set = load(place.path(), &choice, BOTH).unwrap();
        assert_eq!(set.test.unwrap().lengths, [1]);
        assert_eq!(set.train.unwrap().groups, Some(vec![0, 1]));
        let choice = Recordings::new("speaker=eve", "").unwrap();
        let line = load(place.path(), &choice, BOTH).unwrap_err().to_string();
        assert!(line.contains("no recording has the value `eve`"), "{line}");
        let choice = Recordings::new("voice=ann", "").unwrap();
        let line = load(place.path(), &choice, BOTH).unwrap_err().to_string();
        assert!(line.contains("column `voice`: is missing"), "{line}");
        assert!(Recordings::new("ann", "").is_err());
    }

    #[test]
    fn takes_folders_as_classes() {
        let place = tempfile::tempdir().unwrap();
        for class in ["no", "yes"] {
            for i in 0..20 {
                write(&place.path().join(format!("{class}/{i}.wav")), &[1]);
            }
        }
        let set = load(place.path(), &Recordings::default(), BOTH).unwrap();
        assert_eq!(set.labels, ["no", "yes"]);
        let (train, test) = (set.train.unwrap(), set.test.unwrap());
        assert_eq!(train.sequences() + test.sequences(), 40);
        assert!(test.sequences() >= 2, "{}", test.sequences());
    }

    #[test]
    fn names_the_recording_that_cannot_be_read() {
        let place = indexed();
        let path = place.path().join("1.wav");
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 20, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let line = load(place.path(), &Recordings::default(), BOTH)
                .unwrap_err()
                .to_string();
            assert!(line.contains("1.wav: cannot be read"), "{line}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = load(place.path(), &Recordings::default(), BOTH).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Io(_)), "{error}");
    }
}
