//! Data sets in `.npz` files: the contract, name by name.
//!
//! `x_train`, `y_train`, `x_test`, `y_test`, optionally `x_val`, `y_val`,
//! `lengths_*`, `group_train` and `labels`. x is [sequences, steps, features…]
//! of u8, i8, i16 or f32, y `[sequences]` of any integer type. Other arrays are
//! not looked at, whatever they are.

use crate::data::mapped::Mapped;
use crate::data::memory;
use crate::data::{DataSet, ElementType, Part, PartName, Values};
use crate::error::{Error, ErrorKind, Result};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use npyz::{DType, NpyFile, Order, TypeChar};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use zip::{CompressionMethod, ZipArchive};

/// Reads the parts asked for; `Validation` may be absent, the others may not.
///
/// # Errors
/// Names the file, the array and the remedy.
pub fn load(path: &Path, parts: &[PartName]) -> Result<DataSet> {
    let room = Room {
        map_from: MAP_FROM,
        available: memory::available(),
    };
    load_in(path, parts, room)
}

fn load_in(path: &Path, parts: &[PartName], room: Room) -> Result<DataSet> {
    Archive::open(path, room)
        .and_then(|mut archive| archive.data_set(parts))
        .map_err(|error| error.file(path))
}

/// What an array may take of memory.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Bytes from which on a stored array stays in its file.
    map_from: u64,
    /// Bytes there are for one that does not, where known.
    available: Option<u64>,
}

/// Smaller arrays are read at once: they fit, and their file may be written again meanwhile.
const MAP_FROM: u64 = 1 << 30;

struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// The same file, for arrays that stay in it.
    file: File,
    room: Room,
}

/// Where an array's values lie.
struct Place {
    /// Bytes of its values.
    bytes: u64,
    /// Where they start in the archive, if they are not compressed.
    start: Option<u64>,
}

impl Archive {
    fn open(path: &Path, room: Room) -> Result<Archive> {
        let file = File::open(path)?;
        let zip = ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|error| {
            Error::malformed(error)
                .remedy("the file is cut short or no .npz; write it again with numpy.savez")
        })?;
        Ok(Archive { zip, file, room })
    }

    fn data_set(&mut self, parts: &[PartName]) -> Result<DataSet> {
        let mut set = DataSet::default();
        if self.has("labels") {
            set.labels = self.strings("labels")?;
        }
        let classes = Some(set.labels.len()).filter(|&classes| classes > 0);
        for &name in parts {
            let part = match name {
                PartName::Validation if !self.has("x_val") => continue,
                _ => self.part(name, classes)?,
            };
            match name {
                PartName::Train => set.train = Some(part),
                PartName::Validation => set.validation = Some(part),
                PartName::Test => set.test = Some(part),
            }
        }
        let widths: Vec<(PartName, usize)> = parts
            .iter()
            .filter_map(|&name| Some((name, set.part(name).ok()?.width)))
            .collect();
        for pair in widths.windows(2) {
            if pair[0].1 != pair[1].1 {
                return Err(Error::setting(format!(
                    "has {} features a step, x_{} has {}",
                    pair[1].1,
                    pair[0].0.suffix(),
                    pair[0].1
                ))
                .field(format!("x_{}", pair[1].0.suffix()))
                .remedy("give every part the same features"));
            }
        }
        Ok(set)
    }

    fn part(&mut self, name: PartName, classes: Option<usize>) -> Result<Part> {
        let suffix = name.suffix();
        let field = format!("x_{suffix}");
        let (values, shape) = self.values(&field)?;
        if shape.len() < 3 || shape.contains(&0) {
            return Err(Error::new(ErrorKind::Shape {
                expected: "[sequences, steps, features…], none of them 0".into(),
                found: shape,
            })
            .field(field)
            .remedy("reshape it; a single feature a step still needs an axis"));
        }
        let (sequences, steps) = (shape[0], shape[1]);
        let width: usize = shape[2..].iter().product();
        let field = format!("lengths_{suffix}");
        let lengths = if self.has(&field) {
            let lengths = self.integers(&field, sequences)?;
            check_range(&lengths, 1, steps as i64).map_err(|error| {
                error.field(&field).remedy(
                    "every sequence needs at least one step and no more than its x has; drop empty ones",
                )
            })?;
            lengths.into_iter().map(|length| length as usize).collect()
        } else {
            vec![steps; sequences]
        };
        let field = format!("y_{suffix}");
        let labels = if self.has(&field) {
            let labels = self.integers(&field, sequences)?;
            let most = classes.map_or(LABEL_MAX, |classes| classes as i64 - 1);
            check_range(&labels, 0, most).map_err(|error| {
                error
                    .field(&field)
                    .remedy("classes count from 0 and `labels`, if there, names each of them")
            })?;
            Some(labels.into_iter().map(|label| label as usize).collect())
        } else {
            None
        };
        let groups = if name == PartName::Train && self.has("group_train") {
            Some(self.integers("group_train", sequences)?)
        } else {
            None
        };
        Ok(Part {
            values: Arc::new(values),
            width,
            starts: (0..sequences).map(|s| s * steps * width).collect(),
            lengths,
            labels,
            groups,
        })
    }

    fn has(&self, field: &str) -> bool {
        self.zip.index_for_name(&format!("{field}.npy")).is_some()
    }

    /// Reads an array: `read` gets it past its header and takes all of it.
    fn array<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(NpyFile<&mut dyn Read>, Place) -> Result<T>,
    ) -> Result<T> {
        if !self.has(field) {
            return Err(Error::new(ErrorKind::Missing)
                .field(field)
                .remedy("save the array under this name"));
        }
        let damaged = |error: &dyn std::fmt::Display| {
            Error::malformed(error)
                .field(field)
                .remedy("the file is damaged; write it again with numpy.savez")
        };
        let mut entry = self
            .zip
            .by_name(&format!("{field}.npy"))
            .map_err(|error| damaged(&error))?;
        let size = entry.size();
        let stored = (entry.compression() == CompressionMethod::Stored)
            .then(|| entry.data_start())
            .flatten();
        let npy = NpyFile::new(&mut entry as &mut dyn Read).map_err(|error| damaged(&error))?;
        // The header is not to be believed about how much memory to set aside.
        let bytes = npy
            .shape()
            .iter()
            .chain([&(npy.dtype().num_bytes().unwrap_or(1) as u64)])
            .try_fold(1u64, |product, &n| product.checked_mul(n));
        let Some(bytes) = bytes.filter(|&bytes| bytes <= size) else {
            return Err(damaged(&format!(
                "its header promises shape {:?}, which its {size} bytes cannot hold",
                npy.shape()
            )));
        };
        let place = Place {
            bytes,
            start: stored.map(|start| start + size - bytes),
        };
        let value = read(npy, place).map_err(|error| match error.kind {
            ErrorKind::Io(error) => damaged(&error),
            _ => error.field(field),
        })?;
        // The archive compares its checksum when the end is reached, not before.
        let left =
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(|error| damaged(&error))?;
        match left {
            0 => Ok(value),
            left => Err(damaged(&format!("{left} bytes follow its values"))),
        }
    }

    fn values(&mut self, field: &str) -> Result<(Values, Vec<usize>)> {
        let room = self.room;
        let file = self.file.try_clone()?;
        self.array(field, |npy, place| {
            let dtype = npy.dtype();
            if let Some((start, element)) = stays(&npy, &place, room) {
                let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
                // They are read once all the same: the archive's checksum is over all of them.
                match element {
                    ElementType::U8 => pass::<u8>(npy)?,
                    ElementType::I8 => pass::<i8>(npy)?,
                    ElementType::I16 => pass::<i16>(npy)?,
                    ElementType::F32 => {
                        check_finite(npy.data().map_err(Error::malformed)?, &shape)?;
                    }
                }
                let mapped = Mapped::new(&file, start, place.bytes as usize, element)
                    .map_err(unmappable)?;
                return Ok((Values::Mapped(mapped), shape));
            }
            let copies = if npy.order() == Order::C { 1 } else { 2 };
            memory::check(place.bytes.saturating_mul(copies), room.available).map_err(|error| {
                error.remedy(
                    "save it with numpy.savez, not compressed, rows first: it then stays in its file",
                )
            })?;
            let (values, shape) = match plain(&dtype) {
                (Some(TypeChar::Uint), 1) => row_major(npy, Values::U8),
                (Some(TypeChar::Int), 1) => row_major(npy, Values::I8),
                (Some(TypeChar::Int), 2) => row_major(npy, Values::I16),
                (Some(TypeChar::Float), 4) => row_major(npy, Values::F32),
                _ => Err(wrong_type(&dtype).remedy("save it as f32, u8, i8 or i16")),
            }?;
            if let Values::F32(values) = &values {
                check_finite(values.iter().map(|&value| Ok(value)), &shape)?;
            }
            Ok((values, shape))
        })
    }

    /// One integer for each sequence, of any integer type.
    fn integers(&mut self, field: &str, sequences: usize) -> Result<Vec<i64>> {
        self.array(field, |npy, _| {
            let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
            let dtype = npy.dtype();
            macro_rules! widen {
                ($type:ty) => {
                    npy.into_vec::<$type>()?
                        .into_iter()
                        .map(|value| i64::try_from(value).unwrap_or(i64::MAX))
                        .collect()
                };
            }
            let values: Vec<i64> = match plain(&dtype) {
                (Some(TypeChar::Int), 1) => widen!(i8),
                (Some(TypeChar::Int), 2) => widen!(i16),
                (Some(TypeChar::Int), 4) => widen!(i32),
                (Some(TypeChar::Int), 8) => widen!(i64),
                (Some(TypeChar::Uint), 1) => widen!(u8),
                (Some(TypeChar::Uint), 2) => widen!(u16),
                (Some(TypeChar::Uint), 4) => widen!(u32),
                (Some(TypeChar::Uint), 8) => widen!(u64),
                _ => {
                    return Err(wrong_type(&dtype).remedy(if field.starts_with("y_") {
                        "save the class of each sequence as an integer; regression is not supported"
                    } else {
                        "save one integer for each sequence"
                    }));
                }
            };
            if shape != [sequences] {
                return Err(Error::new(ErrorKind::Shape {
                    expected: format!("[{sequences}], one value for each sequence of x"),
                    found: shape,
                })
                .remedy(if field.starts_with("y_") {
                    "x and y need equal counts; labels of single steps are not supported"
                } else {
                    "save one integer for each sequence"
                }));
            }
            Ok(values)
        })
    }

    fn strings(&mut self, field: &str) -> Result<Vec<String>> {
        self.array(field, |npy, _| {
            let dtype = npy.dtype();
            if npy.shape().len() != 1 {
                return Err(Error::new(ErrorKind::Shape {
                    expected: "[classes]".into(),
                    found: npy.shape().iter().map(|&n| n as usize).collect(),
                })
                .remedy("give one name for each class"));
            }
            match plain(&dtype) {
                (Some(TypeChar::UnicodeStr), _) => Ok(npy.into_vec::<String>()?),
                _ => Err(wrong_type(&dtype).remedy("save it as an array of str (dtype <U)")),
            }
        })
    }
}

/// Where in the file an array starts that is too large to be read at once and can be used as it lies
/// there: not compressed, little-endian, rows first.
fn stays(npy: &NpyFile<&mut dyn Read>, place: &Place, room: Room) -> Option<(u64, ElementType)> {
    let start = place.start.filter(|_| place.bytes >= room.map_from)?;
    let dtype = npy.dtype();
    let DType::Plain(found) = &dtype else {
        return None;
    };
    if npy.order() != Order::C || found.endianness() == npyz::Endianness::Big {
        return None;
    }
    let element = match plain(&dtype) {
        (Some(TypeChar::Uint), 1) => ElementType::U8,
        (Some(TypeChar::Int), 1) => ElementType::I8,
        (Some(TypeChar::Int), 2) => ElementType::I16,
        (Some(TypeChar::Float), 4) => ElementType::F32,
        _ => return None,
    };
    Some((start, element))
}

/// A file that is whole but cannot be mapped, as under a limit of address space.
fn unmappable(error: Error) -> Error {
    Error::setting(format!("cannot be mapped: {error}"))
        .remedy("lift the limit of address space (ulimit -v), or split the data set")
}

/// Reads all values and keeps none.
fn pass<T: npyz::Deserialize>(npy: NpyFile<&mut dyn Read>) -> Result<()> {
    for value in npy.data::<T>().map_err(Error::malformed)? {
        value?;
    }
    Ok(())
}

/// Checks that no value is a NaN or an infinity.
fn check_finite(values: impl Iterator<Item = std::io::Result<f32>>, shape: &[usize]) -> Result<()> {
    for (at, value) in values.enumerate() {
        let value = value?;
        if !value.is_finite() {
            return Err(Error::new(ErrorKind::NotFinite {
                value,
                index: unravel(at, shape),
            })
            .remedy("replace such values or drop the sequence"));
        }
    }
    Ok(())
}

/// No data set has more classes; a larger label is a mistake.
const LABEL_MAX: i64 = 65_535;

fn check_range(values: &[i64], low: i64, high: i64) -> Result<()> {
    match values
        .iter()
        .position(|value| !(low..=high).contains(value))
    {
        Some(index) => Err(Error::new(ErrorKind::Range {
            found: values[index],
            index,
            low,
            high,
        })),
        None => Ok(()),
    }
}

/// Kind and bytes of a plain type.
fn plain(dtype: &DType) -> (Option<TypeChar>, u64) {
    match dtype {
        DType::Plain(plain) => (Some(plain.type_char()), plain.size_field()),
        _ => (None, 0),
    }
}

fn wrong_type(dtype: &DType) -> Error {
    let found = match plain(dtype) {
        (Some(TypeChar::Float), size) => format!("float{}", 8 * size),
        (Some(TypeChar::Int), size) => format!("int{}", 8 * size),
        (Some(TypeChar::Uint), size) => format!("uint{}", 8 * size),
        (Some(TypeChar::Bool), _) => "bool".into(),
        (Some(TypeChar::Object), _) => "object".into(),
        _ => dtype.descr(),
    };
    Error::new(ErrorKind::ElementType { found })
}

/// All values, the last axis fastest, and the shape.
fn row_major<T: npyz::Deserialize + Clone>(
    npy: NpyFile<&mut dyn Read>,
    wrap: impl FnOnce(Vec<T>) -> Values,
) -> Result<(Values, Vec<usize>)> {
    let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
    let order = npy.order();
    let values = npy.into_vec::<T>()?;
    let values = match order {
        Order::C => values,
        Order::Fortran => ArrayD::from_shape_vec(IxDyn(&shape).f(), values)
            .map_err(Error::malformed)?
            .iter()
            .cloned()
            .collect(),
    };
    Ok((wrap(values), shape))
}

fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (digit, &size) in index.iter_mut().zip(shape).rev() {
        *digit = at % size;
        at /= size;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Normalization, NpzWriter};

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
            let path = self.place.path().join("d.npz");
            self.writer.write(&path).unwrap();
            load(&path, &[PartName::Train])
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
        assert_eq!(part.labels.as_deref(), Some(&[1, 0][..]));
        assert_eq!(part.range(1), 6..8);
        assert_eq!(set.classes(), 2);
    }

    #[test]
    fn says_what_is_wrong_and_what_to_do() {
        let mut fixture = Fixture::new();
        let set = fixture.load().unwrap();
        let error = set
            .train
            .unwrap()
            .known_labels(PartName::Train)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "y_train: is missing; save the class of each sequence under this name"
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
        fixture.add("x_train", &[1, 1, 2], &[1.0f64, 2.0]);
        assert_eq!(
            fixture.line(),
            "x_train: is float64; save it as f32, u8, i8 or i16"
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

    /// An array that stays in its file gives the same values, batch by batch, as one that is read; one
    /// that cannot stay there and does not fit is refused before anything is set aside.
    #[test]
    fn large_arrays_stay_in_their_file() {
        let small = |path: &Path| {
            let room = Room {
                map_from: 0,
                available: Some(1),
            };
            load_in(path, &[PartName::Train], room)
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
        let error = load_in(&path, &[PartName::Train], room).unwrap_err();
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

    #[test]
    fn a_file_cut_short_is_an_error_at_every_length() {
        let mut fixture = Fixture::new();
        fixture.add("y_train", &[2], &[1u16, 0]);
        let path = fixture.place.path().join("d.npz");
        fixture.writer.write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(load(&path, &[PartName::Train]).is_err(), "{length} bytes");
        }
    }
}
