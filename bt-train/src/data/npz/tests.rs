//! Archives that are read, and those that are refused before anything is set aside.

use super::*;
use crate::data::{Items, Normalization, NpzWriter, Targets, Values};
use crate::error::ErrorKind;
use crate::float::config::HeadName;
use std::io::Write;
use zip::CompressionMethod;

struct Fixture {
    place: tempfile::TempDir,
    writer: NpzWriter,
}

impl Fixture {
    /// Two sequences of three steps of two features, without labels.
    fn new() -> Fixture {
        let mut fixture = Fixture {
            place: tempfile::tempdir().unwrap(),
            writer: NpzWriter::new(),
        };
        let values: Vec<u8> = (0..12).collect();
        fixture.add("x_train", &[2, 3, 2], &values);
        fixture
    }

    fn add<T: npyz::AutoSerialize + Copy>(&mut self, name: &str, shape: &[usize], v: &[T]) {
        self.writer.array(name, shape, v).unwrap();
    }

    fn load(&self) -> Result<DataSet> {
        self.load_for(None)
    }

    fn load_for(&self, head: Option<HeadName>) -> Result<DataSet> {
        let path = self.place.path().join("d.npz");
        self.writer.write(&path).unwrap();
        load(&path, &[PartName::Train], head)
    }

    fn line(&self) -> String {
        let line = self.load().unwrap_err().to_string();
        line.split_once("d.npz: ").unwrap().1.to_owned()
    }
}

#[test]
fn reads_any_integer_label_and_ignores_what_it_does_not_know() {
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[1u16, 0]);
    fixture.add("lengths_train", &[2], &[3i8, 1]);
    fixture.add("comment", &[1], &[1.5f64]);
    let set = fixture.load().unwrap();
    let part = set.train.as_ref().unwrap();
    assert_eq!(part.targets, Some(vec![1, 0].into()));
    assert_eq!(part.range(1), 6..8);
    assert_eq!(set.outputs(HeadName::Classes), 2);
}

/// The head follows from y's type and shape; what lies behind the end of a sequence may be anything.
#[test]
fn targets_are_classes_or_values_of_sequences_or_steps() {
    let read = |fixture: &Fixture| fixture.load().unwrap().train.unwrap().targets.unwrap();
    let mut fixture = Fixture::new();
    fixture.add("lengths_train", &[2], &[3u8, 1]);
    fixture.add("y_train", &[2, 3], &[0i8, 1, 1, 2, -1, -1]);
    let expected = Items::Classes(vec![0, 1, 1, 2]);
    assert_eq!(read(&fixture), Targets::of_steps(expected, &[3, 1]));

    let mut fixture = Fixture::new();
    fixture.add("lengths_train", &[2], &[1u8, 2]);
    let y = [
        0.5,
        -1.5,
        f32::NAN,
        0.0,
        f32::NAN,
        0.0,
        1.0,
        2.0,
        3.0,
        4.0,
        f32::INFINITY,
        0.0,
    ];
    fixture.add("y_train", &[2, 3, 2], &y);
    let expected = Items::Values(ndarray::array![[0.5, -1.5], [1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(read(&fixture), Targets::of_steps(expected, &[1, 2]));

    // As NumPy makes floats, and a single value without an axis.
    for shape in [&[2usize, 1][..], &[2]] {
        let mut fixture = Fixture::new();
        fixture.add("y_train", shape, &[0.1f64, 7.0]);
        let expected = Items::Values(ndarray::array![[0.1f32], [7.0]]);
        assert_eq!(read(&fixture), Targets::of_sequences(expected));
    }
}

/// The same numbers, of whatever type, are what the head takes that was named; without one, what y is by itself.
#[test]
fn a_head_that_is_named_reads_the_shapes_that_it_takes() {
    let read = |shape: &[usize], y: &[i32], head| {
        let floats: Vec<f32> = y.iter().map(|&y| y as f32).collect();
        let mut whole = Fixture::new();
        whole.add("lengths_train", &[2], &[3u8, 1]);
        whole.add("y_train", shape, y);
        let mut float = Fixture::new();
        float.add("lengths_train", &[2], &[3u8, 1]);
        float.add("y_train", shape, &floats);
        [whole, float].map(|fixture| {
            let set = fixture
                .load_for(head)?
                .for_head(head.unwrap_or(HeadName::Classes));
            Ok(set?.train.unwrap().targets.unwrap())
        })
    };
    let each = |found: [Result<Targets>; 2], expected: Targets| {
        for found in found {
            assert_eq!(found.unwrap(), expected);
        }
    };
    let values = |values| Targets::of_sequences(Items::Values(values));
    let of_steps = |items| Targets::of_steps(items, &[3, 1]);
    use ndarray::array;
    // K = 2, and K as many as there are steps, which by itself is a class of each step.
    let found = read(&[2, 2], &[-7, 1, 300, 2], Some(HeadName::Values));
    each(found, values(array![[-7.0, 1.0], [300.0, 2.0]]));
    let found = read(&[2, 3], &[1, 2, 3, 4, 5, 6], Some(HeadName::Values));
    each(found, values(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    for shape in [&[2][..], &[2, 1]] {
        let found = read(shape, &[-3, 4], Some(HeadName::Values));
        each(found, values(array![[-3.0], [4.0]]));
        let found = read(shape, &[1, 0], Some(HeadName::Classes));
        each(found, vec![1, 0].into());
    }
    for shape in [&[2, 3][..], &[2, 3, 1]] {
        let y = [5, 6, 7, 8, -1, -1];
        let expected = Items::Values(array![[5.0], [6.0], [7.0], [8.0]]);
        each(
            read(shape, &y, Some(HeadName::StepValues)),
            of_steps(expected),
        );
        let expected = Items::Classes(vec![5, 6, 7, 8]);
        each(
            read(shape, &y, Some(HeadName::StepClasses)),
            of_steps(expected),
        );
        let bits = Items::Bits(array![[true], [false], [true], [true]]);
        let y = [1, 0, 1, 1, -1, -1];
        each(read(shape, &y, Some(HeadName::StepBits)), of_steps(bits));
    }
    let y = [1, 0, 0, 1];
    let bits = Items::Bits(array![[true, false], [false, true]]);
    each(
        read(&[2, 2], &y, Some(HeadName::Bits)),
        Targets::of_sequences(bits),
    );
    let wide = [1, 0, 0, 1, 1, 1, 0, 0, -1, -1, -1, -1];
    let bits = array![[true, false], [false, true], [true, true], [false, false]];
    let found = read(&[2, 3, 2], &wide, Some(HeadName::StepBits));
    each(found, of_steps(Items::Bits(bits)));
    // What is not of such a shape is told as what it is, whatever its numbers.
    let refused_as = |shape: &[usize], y: &[i32], head, is: &str| {
        let [whole, _] = read(shape, y, Some(head));
        let line = whole.unwrap_err().to_string();
        assert!(line.contains(&format!("y_train: holds the {is}")), "{line}");
    };
    let wide = [1, 4, 7, 1, 1, 1, 0, 0, 9, 9, 9, 9];
    refused_as(&[2, 3, 2], &wide, HeadName::Values, "bits of every step");
    refused_as(
        &[2, 3, 2],
        &wide,
        HeadName::StepClasses,
        "bits of every step",
    );
    refused_as(
        &[2, 3],
        &wide[..6],
        HeadName::Classes,
        "class of every step",
    );
    refused_as(
        &[2],
        &wide[..2],
        HeadName::StepValues,
        "class of a sequence",
    );
    // A column of classes of steps is one, as is one of sequences.
    let [by_itself, _] = read(
        &[2, 3, 1],
        &[5, 6, 7, 8, -1, -1],
        Some(HeadName::StepClasses),
    );
    let mut fixture = Fixture::new();
    fixture.add("lengths_train", &[2], &[3u8, 1]);
    fixture.add("y_train", &[2, 3, 1], &[5i64, 6, 7, 8, -1, -1]);
    let found = fixture.load().unwrap().train.unwrap().targets;
    assert_eq!(found.unwrap(), by_itself.unwrap());
    // What no shape holds, or no number is.
    let refused = |shape: &[usize], y: &[i32], head, expected: &str| {
        for found in read(shape, y, Some(head)) {
            let line = found.unwrap_err().to_string();
            assert!(line.contains(expected), "{line}");
        }
    };
    let shape =
        "y_train: has shape [2, 4, 1], expected [2, 3] or [2, 3, K], a number or K for each step";
    refused(&[2, 4, 1], &[0; 8], HeadName::StepValues, shape);
    let shape = "y_train: has shape [3], expected [2], a class for each sequence of x";
    refused(&[3], &[0; 3], HeadName::Classes, shape);
    refused(&[2, 2], &[0, 1, 2, 1], HeadName::Bits, "y_train: ");
    // Of one step too.
    let mut fixture = Fixture::new();
    fixture.writer = NpzWriter::new();
    fixture.add("x_train", &[2, 1, 2], &[1u8, 2, 3, 4]);
    fixture.add("y_train", &[2, 1, 1], &[2i64, 1]);
    let found = fixture.load().unwrap().train.unwrap().targets.unwrap();
    assert_eq!(
        found,
        Targets::of_steps(Items::Classes(vec![2, 1]), &[1, 1])
    );
    // Captions are asked for where there are none.
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2, 9], &[1i64; 18]);
    let line = fixture
        .load_for(Some(HeadName::NextWords))
        .unwrap_err()
        .to_string();
    assert!(
        line.contains("words_train: is missing; save captions"),
        "{line}"
    );
    // y is not looked at where the frames are what is to be learned.
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[7], &[f32::NAN; 7]);
    let set = fixture.load_for(Some(HeadName::NextBits)).unwrap();
    assert_eq!(set.train.unwrap().targets, None);
}

/// As of x: what f32 does not tell apart is refused, of integers and of float64.
#[test]
fn values_that_f32_does_not_tell_apart_are_refused() {
    let second = 1_700_000_000i64;
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[second, second + 9]);
    let line = fixture
        .load_for(Some(HeadName::Values))
        .unwrap_err()
        .to_string();
    assert!(
        line.contains(
            "y_train: value 0 has values such as 1.7e9, and no f32 holds what they differ by"
        ),
        "{line}"
    );
    let mut fixture = Fixture::new();
    fixture.add(
        "y_train",
        &[2, 2],
        &[0.5, second as f64, 1.5, second as f64 + 9.0],
    );
    assert!(
        fixture
            .line()
            .starts_with("y_train: value 1 has values such as 1.7e9")
    );
    // Rounded, beside a range that is far larger.
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[(1i64 << 24) + 1, -(1 << 24)]);
    let read = fixture.load_for(Some(HeadName::Values)).unwrap();
    let expected = Items::Values(ndarray::array![[16_777_216.0], [-16_777_216.0]]);
    assert_eq!(read.train.unwrap().targets.unwrap().items, expected);
}

/// Numbers are those that a run goes on with, however they were saved.
#[test]
fn a_fingerprint_does_not_know_how_y_was_saved() {
    let of = |head, add: &dyn Fn(&mut Fixture)| {
        let mut fixture = Fixture::new();
        add(&mut fixture);
        let set = fixture.load_for(Some(head)).unwrap().for_head(head);
        set.unwrap().fingerprint()
    };
    let classes = of(HeadName::Classes, &|f| f.add("y_train", &[2], &[1i64, 0]));
    assert_eq!(
        of(HeadName::Classes, &|f| f.add("y_train", &[2, 1], &[1u8, 0])),
        classes
    );
    assert_eq!(
        of(HeadName::Classes, &|f| f.add(
            "y_train",
            &[2],
            &[1.0f32, 0.0]
        )),
        classes
    );
    assert_ne!(
        of(HeadName::Classes, &|f| f.add("y_train", &[2], &[0i64, 1])),
        classes
    );
    let values = of(HeadName::Values, &|f| {
        f.add("y_train", &[2], &[1.0f32, 0.0])
    });
    assert_eq!(
        of(HeadName::Values, &|f| f.add("y_train", &[2, 1], &[1i16, 0])),
        values
    );
}

/// Floats that may be something else are told of, where nothing was said of them.
#[test]
fn floats_that_may_be_classes_or_values_of_steps_are_told() {
    let warnings = |shape: &[usize], y: &[f64], head| {
        let mut fixture = Fixture::new();
        fixture.add("y_train", shape, y);
        fixture.load_for(head).unwrap().warnings
    };
    let told = |shape: &[usize], y: &[f64], expected: &[&str]| {
        let warnings = warnings(shape, y, None);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for part in expected {
            assert!(warnings[0].contains(part), "{warnings:?}");
        }
    };
    let classes = "are taken as values to be learned";
    told(
        &[2],
        &[3.0, 1.0],
        &[classes, "save integers or ask for the head classes"],
    );
    told(&[2, 1], &[3.0, 1.0], &[classes, "the head classes"]);
    let steps = [0.0, 1.0, 1.0, 2.0, 0.0, 0.0];
    told(&[2, 3], &steps, &[classes, "the head step-classes"]);
    let steps = [0.5, 1.0, 1.0, 2.0, 0.0, 0.0];
    let values = "are taken as 3 values of each sequence";
    told(&[2, 3], &steps, &[values, "ask for the head step-values"]);
    for (shape, y) in [
        (&[2][..], &[0.5, 1.0][..]),
        (&[2], &[-1.0, 1.0]),
        (&[2], &[1.0, 1e4]),
        (&[2, 2], &[0.5, 1.0, 2.0, 3.0]),
        (&[2, 3, 1], &[0.5, 1.0, 1.0, 2.0, 0.0, 0.0]),
    ] {
        assert_eq!(warnings(shape, y, None), [""; 0], "{shape:?} {y:?}");
    }
    assert_eq!(warnings(&[2], &[3.0, 1.0], Some(HeadName::Values)), [""; 0]);
    told(
        &[2, 3, 1],
        &[0.0, 1.0, 2.0, 0.0, 1.0, 1.0],
        &[classes, "the head step-classes"],
    );
    // One of K, as another library has classes: in floats, and in integers of which there are as many as steps.
    let one_hot = "one of 2 is 1 everywhere and the others 0; if that is a class, save its number, y.argmax(-1)";
    told(&[2, 2], &[0.0, 1.0, 1.0, 0.0], &[classes, one_hot]);
    let each_step = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    told(&[2, 3, 2], &each_step, &[classes, one_hot]);
    let integers = |y: [i64; 6]| {
        let mut fixture = Fixture::new();
        fixture.add("y_train", &[2, 3], &y);
        fixture.load().unwrap().warnings
    };
    let found = integers([0, 0, 1, 1, 0, 0]);
    assert!(
        found.len() == 1 && found[0].contains("taken as classes of steps, though one of 3 is 1"),
        "{found:?}"
    );
    assert_eq!(integers([0, 1, 1, 1, 0, 0]), [""; 0]);
}

#[test]
fn targets_that_cannot_be_used_are_refused() {
    let line = |shape: &[usize], y: &[f32]| {
        let mut fixture = Fixture::new();
        fixture.add("y_train", shape, y);
        fixture.line()
    };
    let found = line(&[2, 1], &[1.0, f32::NAN]);
    assert!(
        found.starts_with("y_train: holds a value that is not finite (NaN) at [1, 0]"),
        "{found}"
    );
    let found = line(&[2, 2, 1], &[0.0; 4]);
    let expected = "y_train: has shape [2, 2, 1], expected [2] or [2, K], a value or K for each sequence of x, or [2, 3, K]";
    assert!(found.starts_with(expected), "{found}");
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2, 2], &[0i64; 4]);
    let found = fixture.line();
    let expected =
        "y_train: has shape [2, 2], expected [2], a class for each sequence of x, or [2, 3]";
    assert!(found.starts_with(expected), "{found}");
    let mut fixture = Fixture::new();
    fixture.add("lengths_train", &[2], &[3u8, 2]);
    fixture.add("y_train", &[2, 3], &[0i64, 1, 0, 1, -1, 1]);
    let found = fixture.line();
    assert!(
        found.starts_with("y_train: value -1 at 4 is outside 0..="),
        "{found}"
    );
}

#[test]
fn says_what_is_wrong_and_what_to_do() {
    let mut fixture = Fixture::new();
    let set = fixture.load().unwrap();
    let error = set
        .train
        .unwrap()
        .known_targets(PartName::Train)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "y_train: is missing; save the classes or values of its sequences under this name"
    );
    fixture.add("y_train", &[3], &[0i64, 1, 0]);
    assert!(
        fixture
            .line()
            .starts_with("y_train: has shape [3], expected [2]")
    );

    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[-1i64, 1]);
    assert!(
        fixture
            .line()
            .starts_with("y_train: value -1 at 0 is outside 0..=")
    );

    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[0i64, 1]);
    fixture.add("lengths_train", &[2], &[0i64, 3]);
    assert!(
        fixture
            .line()
            .starts_with("lengths_train: value 0 at 0 is outside 1..=3")
    );
}

#[test]
fn refuses_values_that_cannot_be_used() {
    let mut fixture = Fixture::new();
    fixture.writer = NpzWriter::new();
    fixture.writer.texts("x_train", &["one".into()]);
    assert_eq!(
        fixture.line(),
        "x_train: is <U3; save it as f32, u8, i8 or i16"
    );
    fixture.writer = NpzWriter::new();
    fixture.add("x_train", &[1, 1, 2], &[1.0, f32::NAN]);
    assert!(
        fixture
            .line()
            .starts_with("x_train: holds a value that is not finite (NaN) at [0, 0, 1]")
    );
    fixture.writer = NpzWriter::new();
    fixture.add("x_train", &[1, 2], &[1u8, 2]);
    assert!(fixture.line().starts_with("x_train: has shape [1, 2]"));
}

/// Classes as tables have them: a column, truth values, names.
#[test]
fn natural_classes_are_taken() {
    let classes = |fixture: &Fixture| {
        let set = fixture.load().unwrap();
        let targets = set.train.unwrap().targets.unwrap();
        assert!(!targets.every_step());
        (targets.items, set.labels)
    };
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2, 1], &[1i64, 0]);
    assert_eq!(classes(&fixture).0, Items::Classes(vec![1, 0]));
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[true, false]);
    assert_eq!(classes(&fixture).0, Items::Classes(vec![1, 0]));
    let mut fixture = Fixture::new();
    let texts = |texts: [&str; 2]| texts.map(String::from);
    fixture.writer.texts("y_train", &texts(["walk", "sit"]));
    fixture.writer.texts("y_test", &texts(["run", "sit"]));
    let names = ["run", "sit", "walk"].map(String::from).to_vec();
    assert_eq!(classes(&fixture), (Items::Classes(vec![2, 1]), names));
    fixture.writer.texts("labels", &texts(["walk", "run"]));
    let line = fixture.line();
    assert!(
        line.starts_with("y_train: holds `sit`; `labels` must name"),
        "{line}"
    );
}

/// What NumPy makes by itself is taken as the f32 that it is, and refused where it is none.
#[test]
fn natural_types_become_floats() {
    fn read<T: npyz::AutoSerialize + Copy>(values: &[T]) -> std::result::Result<Vec<f32>, String> {
        let mut fixture = Fixture::new();
        fixture.writer = NpzWriter::new();
        fixture.add("x_train", &[2, 1, values.len() / 2], values);
        let part = fixture.load().map_err(|_| fixture.line())?.train.unwrap();
        let Values::F32(values) = &*part.values else {
            panic!("{}", part.values.element_type());
        };
        Ok(values.clone())
    }
    assert_eq!(read(&[0.1f64, -2.5]).unwrap(), [0.1, -2.5]);
    assert_eq!(read(&[70_000i32, -3]).unwrap(), [70_000.0, -3.0]);
    assert_eq!(
        read(&[1i64 << 24, -(1 << 24)]).unwrap(),
        [16_777_216.0, -16_777_216.0]
    );
    assert_eq!(read(&[u16::MAX, 0]).unwrap(), [65_535.0, 0.0]);
    assert_eq!(read(&[7u32, 1 << 31]).unwrap(), [7.0, 2_147_483_648.0]);
    assert_eq!(read(&[true, false]).unwrap(), [1.0, 0.0]);
    for line in [
        read(&[(1i64 << 24) + 1, 0]).unwrap_err(),
        read(&[u64::MAX, 0]).unwrap_err(),
    ] {
        assert!(
            line.starts_with("x_train: a value is 1.") && line.contains("subtract an offset"),
            "{line}"
        );
    }
    // Seconds since 1970 with milliseconds: f32 tells apart what lies two minutes apart.
    let line = read(&[0.5, 1.76e9, 0.7, 1.76e9 + 0.25]).unwrap_err();
    assert!(
        line.starts_with("x_train: feature 1 has values such as 1.8e9"),
        "{line}"
    );
    let line = read(&[0.5, 1e300]).unwrap_err();
    assert!(
        line.starts_with("x_train: feature 0 has values such as 1.0e300"),
        "{line}"
    );
    let line = read(&[0.5, f64::NAN]).unwrap_err();
    assert!(line.contains("not finite (NaN) at [1, 0, 0]"), "{line}");
    assert_eq!(read(&[1e-300, 1.0]).unwrap(), [0.0, 1.0]);
}

/// An array that stays in its file gives the same values, batch by batch, as one that is read; one
/// that cannot stay there and does not fit is refused before anything is set aside.
#[test]
fn large_arrays_stay_in_their_file() {
    let small = |path: &Path| {
        let room = Room {
            map_from: 0,
            available: Some(1),
        };
        load_in(path, &[PartName::Train], None, room)
    };
    fn check<T: npyz::AutoSerialize + Copy>(
        values: &[T],
        small: &dyn Fn(&Path) -> Result<DataSet>,
    ) {
        let mut fixture = Fixture::new();
        fixture.writer = NpzWriter::new();
        fixture.add("x_train", &[2, 2, 3], values);
        fixture.add("y_train", &[2], &[0u8, 1]);
        let read = fixture.load().unwrap();
        let mapped = small(&fixture.place.path().join("d.npz")).unwrap();
        let (whole, part) = (read.train.as_ref().unwrap(), mapped.train.as_ref().unwrap());
        assert!(matches!(*part.values, Values::Mapped(_)));
        assert_eq!(*part.values.in_memory(), *whole.values);
        let normalization = Normalization::identity(3);
        let batch = |part: &Part| part.batch(&[1, 0], &normalization).x;
        assert_eq!(batch(part), batch(whole));
        assert_eq!(read.fingerprint(), mapped.fingerprint());
        let twice = [part.clone(), part.clone()];
        assert_eq!(Part::concatenate(&twice).values.len(), 24);
    }
    check(&[0u8, 1, 2, 3, 200, 255, 6, 7, 8, 9, 10, 11], &small);
    check(&[0i8, 1, -2, 3, -128, 127, 6, 7, 8, 9, 10, 11], &small);
    check(
        &[0i16, 1, -2, 3, -32_768, 32_767, 6, 7, 8, 9, 10, 11],
        &small,
    );
    check(
        &[
            0f32, 1e9, -2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0,
        ],
        &small,
    );

    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[0u8, 1]);
    fixture.load().unwrap();
    let path = fixture.place.path().join("d.npz");
    let room = Room {
        map_from: u64::MAX,
        available: Some(11),
    };
    let error = load_in(&path, &[PartName::Train], None, room).unwrap_err();
    assert!(
        matches!(
            error.kind,
            ErrorKind::Memory {
                need: 12,
                available: 11
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("numpy.savez"), "{error}");

    let mut fixture = Fixture::new();
    fixture.writer = NpzWriter::new();
    fixture.add("x_train", &[1, 1, 2], &[1.0, f32::INFINITY]);
    fixture.add("y_train", &[1], &[0u8]);
    fixture.line();
    let error = small(&fixture.place.path().join("d.npz")).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NotFinite { .. }), "{error}");
}

/// A small file that promises much is refused by its header, before anything is set aside.
#[test]
fn promises_that_a_file_cannot_keep_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("d.npz");
    // Each array as type, shape and bytes behind the header.
    let line = |arrays: &[(&str, &str, &str, usize)], packed: bool| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut zip = zip::ZipWriter::new(&mut bytes);
        for (name, descr, shape, count) in arrays {
            let method = if packed {
                CompressionMethod::Deflated
            } else {
                CompressionMethod::Stored
            };
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            let text =
                format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
            zip.write_all(b"\x93NUMPY\x01\0").unwrap();
            zip.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
            zip.write_all(&vec![0; *count]).unwrap();
        }
        zip.finish().unwrap();
        std::fs::write(&path, bytes.into_inner()).unwrap();
        let line = load(&path, &[PartName::Train], None)
            .unwrap_err()
            .to_string();
        line.split_once("d.npz: ").unwrap().1.to_owned()
    };
    let x = ("x_train", "|u1", "(2, 3, 2)", 12);
    for packed in [false, true] {
        let line = |arrays: &[(&str, &str, &str, usize)]| line(arrays, packed);
        let found = line(&[("labels", "<U0", "(4294967296,)", 0)]);
        let expected = "labels: cannot be read: its type <U0 has no bytes; the file is damaged";
        assert!(found.starts_with(expected), "{found}");
        let found = line(&[x, ("lengths_train", "<U0", "(4,12,1,60,1,2,1,)", 0)]);
        assert!(found.starts_with("lengths_train: cannot be read: its type <U0"));
        let found = line(&[("labels", "<U1", "(4294967296,)", 60)]);
        assert!(
            found.contains("labels: cannot be read: its header promises"),
            "{found}"
        );
        let found = line(&[("labels", "<U2000000", "(3,)", 24_000_000)]);
        assert!(
            found.starts_with("labels: holds 3 names of 2000000"),
            "{found}"
        );
        let found = line(&[("labels", "<U1", "(70000,)", 280_000)]);
        assert!(found.starts_with("labels: holds 70000 names"), "{found}");
        let found = line(&[("x_train", "|u1", "(4294967296, 4294967296, 4)", 8)]);
        assert!(
            found.contains("its header promises shape [4294967296"),
            "{found}"
        );
        let found = line(&[("x_train", "|u1", "(9000000000000000000, 1, 1)", 8)]);
        assert!(
            found.contains("its header promises shape [9000000"),
            "{found}"
        );
        let found = line(&[("x_train", "|u1", "(4294967296, 0, 1)", 0)]);
        assert!(
            found.starts_with("x_train: has shape [4294967296, 0, 1]"),
            "{found}"
        );
        let found = line(&[x, ("y_train", "<i8", "(99,)", 792)]);
        assert!(
            found.starts_with("y_train: has shape [99], expected [2]"),
            "{found}"
        );
        let found = line(&[("x_train", "|u1", "(2, 3, 2)", 13)]);
        assert!(found.contains("1 bytes follow its values"), "{found}");
        let found = line(&[("x_train", "[('a', '|u1')]", "(2, 3, 2)", 12)]);
        assert!(found.contains("cannot be understood"), "{found}");
    }
    // The archive's directory says how large an array is: 4 GB out of some bytes cannot be.
    line(&[("x_train", "|u1", "(1, 1, 4294967000)", 8)], true);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes
        .windows(4)
        .position(|sign| sign == b"PK\x01\x02")
        .unwrap();
    bytes[at + 24..at + 28].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let line = load(&path, &[PartName::Train], None)
        .unwrap_err()
        .to_string();
    assert!(
        line.contains("it promises 4294967294 bytes, which"),
        "{line}"
    );
}

#[test]
fn sequences_in_two_parts_are_told() {
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[0u8, 1]);
    let other: Vec<u8> = (6..18).collect();
    fixture.add("x_test", &[2, 3, 2], &other);
    fixture.add("y_test", &[2], &[0u8, 1]);
    let warnings = fixture.load().unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "1 sequence of the test part with the values of one of the training part, such as x_train[1] and x_test[0]; drop them from one of the two",
            "1 sequence with the values of one with another label, such as x_train[1] and x_test[0]; correct the labels or drop them",
        ]
    );
    // A test part that cannot be used is none of training's business.
    let mut fixture = Fixture::new();
    fixture.add("x_test", &[2, 3, 2], &[0f64; 12]);
    assert!(fixture.load().unwrap().warnings.is_empty());
}

#[test]
fn a_file_cut_short_is_an_error_at_every_length() {
    let mut fixture = Fixture::new();
    fixture.add("y_train", &[2], &[1u16, 0]);
    let path = fixture.place.path().join("d.npz");
    fixture.writer.write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(
            load(&path, &[PartName::Train], None).is_err(),
            "{length} bytes"
        );
    }
}
