//! Directories with and without an index.

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
    assert_eq!(train.targets, Some(vec![1, 0].into()));
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

/// Folders of parts hold folders of classes; a class may be called train.
#[test]
fn takes_folders_as_parts() {
    let place = tempfile::tempdir().unwrap();
    for (i, name) in [
        "train/no/a",
        "train/yes/b",
        "test/no/a",
        "test/yes/c",
        "test/yes/d",
        "notes/e",
    ]
    .iter()
    .enumerate()
    {
        write(&place.path().join(format!("{name}.wav")), &[i as i16, 7]);
    }
    let set = load(place.path(), &Recordings::default(), BOTH).unwrap();
    assert_eq!(set.labels, ["no", "yes"]);
    assert_eq!(set.train.unwrap().targets, Some(vec![0, 1].into()));
    assert_eq!(set.test.unwrap().targets, Some(vec![0, 1, 1].into()));
    assert_eq!(set.warnings, ["notes beside train is no part and left out"]);
    let place = tempfile::tempdir().unwrap();
    for class in ["train", "tram"] {
        for i in 0..20 {
            write(&place.path().join(format!("{class}/{i}.wav")), &[1]);
        }
    }
    let set = load(place.path(), &Recordings::default(), BOTH).unwrap();
    assert_eq!(set.labels, ["train", "tram"]);
}

/// Blanks around labels and values are none of them.
#[test]
fn blanks_in_an_index_do_not_count() {
    let place = tempfile::tempdir().unwrap();
    let mut index = "file , label, speaker,split\n".to_owned();
    for i in 0..8 {
        let name = format!("{i}.wav");
        write(&place.path().join(&name), &[i, 1]);
        let (label, blank) = (["low", "high"][i as usize / 4], [" ", ""][i as usize % 2]);
        let split = ["train", "test"][i as usize / 2 % 2];
        index += &format!("{name},{label}{blank},{blank}ann{blank},{split}{blank}\n");
    }
    std::fs::write(place.path().join("index.csv"), index).unwrap();
    let choice = Recordings::new("", "speaker").unwrap();
    let set = load(place.path(), &choice, BOTH).unwrap();
    assert_eq!(set.labels, ["high", "low"]);
    let train = set.train.unwrap();
    assert_eq!(train.targets, Some(vec![1, 1, 0, 0].into()));
    assert_eq!(train.groups, Some(vec![0; 4]));
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);

    std::fs::write(place.path().join("index.csv"), "file,label\n0.wav, \n").unwrap();
    let line = load(place.path(), &choice, BOTH).unwrap_err().to_string();
    assert!(line.contains("column `speaker`: is missing"), "{line}");
    let line = load(place.path(), &Recordings::default(), BOTH);
    let line = line.unwrap_err().to_string();
    assert!(
        line.contains("column `label`: is empty for 0.wav"),
        "{line}"
    );
}

/// Speakers that the names tell are in one part each, and together in validation.
#[test]
fn speakers_told_by_names_are_kept_together() {
    let place = tempfile::tempdir().unwrap();
    let mut sample = 0;
    for class in ["no", "yes"] {
        for speaker in 0..12 {
            for take in 0..3 {
                let name = format!("{class}/{speaker:08x}_nohash_{take}.wav");
                sample += 1;
                write(&place.path().join(name), &[sample]);
            }
        }
    }
    let set = load(place.path(), &Recordings::default(), BOTH).unwrap();
    let (train, test) = (set.train.unwrap(), set.test.unwrap());
    assert_eq!(train.sequences() + test.sequences(), 72);
    // Sample n is of speaker (n − 1) / 3 mod 12.
    let speakers = |part: &Part| {
        let Values::I16(samples) = &*part.values else {
            panic!("samples");
        };
        let speaker = |&sample: &i16| (sample - 1) / 3 % 12;
        samples.iter().map(speaker).collect::<Vec<i16>>()
    };
    let in_test = speakers(&test);
    assert!(!in_test.is_empty());
    for (speaker, group) in speakers(&train).iter().zip(train.groups.as_ref().unwrap()) {
        assert!(!in_test.contains(speaker), "{speaker}");
        let of_group = speakers(&train)
            .into_iter()
            .zip(train.groups.as_ref().unwrap())
            .filter(|(_, other)| *other == group);
        assert_eq!(of_group.filter(|(other, _)| other == speaker).count(), 6);
    }
    assert_eq!(set.warnings.len(), 1, "{:?}", set.warnings);
    let expected = "names such as SPEAKER_nohash_N tell 12 speakers: test and validation part take whole speakers";
    assert!(set.warnings[0].starts_with(expected), "{:?}", set.warnings);
}

/// However few they are, each part has one.
#[test]
fn two_speakers_are_one_to_learn_from_and_one_to_test() {
    for (one, other) in [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h"), ("i", "j")] {
        let place = tempfile::tempdir().unwrap();
        for (i, speaker) in [one, other].iter().enumerate() {
            for take in 0..2i16 {
                let name = format!("x/{speaker}_nohash_{take}.wav");
                write(&place.path().join(name), &[i as i16, take]);
            }
        }
        let set = load(place.path(), &Recordings::default(), BOTH).unwrap();
        assert_eq!(set.train.unwrap().sequences(), 2);
        assert_eq!(set.test.unwrap().sequences(), 2);
    }
}

#[test]
fn folders_that_are_no_classes_are_left_out() {
    let place = tempfile::tempdir().unwrap();
    for (i, name) in ["no/1", "no/5", "no/6", "yes/2", "_noise_/3", ".old/4"]
        .iter()
        .enumerate()
    {
        write(&place.path().join(format!("{name}.wav")), &[i as i16]);
    }
    std::fs::create_dir(place.path().join(".git")).unwrap();
    let set = load(place.path(), &Recordings::default(), &[PartName::Train]).unwrap();
    assert_eq!(set.labels, ["no", "yes"]);
    let left_out = "is no class by its name: 1 recordings are left out";
    let expected = [format!(".old {left_out}"), format!("_noise_ {left_out}")];
    assert_eq!(set.warnings, expected);
}

/// A test part that was not asked for is compared too.
#[test]
fn the_same_recording_in_two_parts_is_told() {
    let place = tempfile::tempdir().unwrap();
    let mut index = "file,label,split\n".to_owned();
    for (name, label, split, sample) in [
        ("a", "no", "train", 1),
        ("b", "yes", "train", 2),
        ("c", "no", "test", 1),
        ("d", "no", "val", 2),
    ] {
        write(&place.path().join(format!("{name}.wav")), &[sample; 5]);
        index += &format!("{name}.wav,{label},{split}\n");
    }
    std::fs::write(place.path().join("index.csv"), index).unwrap();
    let parts = [PartName::Train, PartName::Validation];
    let set = load(place.path(), &Recordings::default(), &parts).unwrap();
    assert!(set.test.is_none());
    let names = |a: &str, b: &str| {
        let path = |name: &str| {
            place
                .path()
                .join(format!("{name}.wav"))
                .display()
                .to_string()
        };
        format!("such as {} and {};", path(a), path(b))
    };
    let expected = [
        ("1 sequence of the validation part", names("b", "d")),
        ("1 sequence of the test part", names("a", "c")),
        (
            "1 sequence with the values of one with another label",
            names("b", "d"),
        ),
    ];
    assert_eq!(set.warnings.len(), expected.len(), "{:?}", set.warnings);
    for (line, (start, names)) in set.warnings.iter().zip(&expected) {
        assert!(line.starts_with(start) && line.contains(names), "{line}");
    }
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
