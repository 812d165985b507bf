//! Data sets in `.npz` files: the contract, name by name.
//!
//! `x_train`, `y_train`, `x_test`, `y_test`, optionally `x_val`, `y_val`,
//! `lengths_*`, `group_train` and `labels`. x is [sequences, steps, features…]
//! of u8, i8, i16 or f32, or of another type of NumPy that becomes f32 without
//! loss. y holds classes as integers of any type, `[sequences]`
//! or [sequences, steps], values as floats, [sequences, K] or [sequences,
//! steps, K], or bits as integers [sequences, steps, K]; what lies behind the end of a sequence is not looked at, and
//! neither are other arrays, whatever they are.
//!
//! Of captions, x is a picture each, [pictures, 1, features…]. `words_*` [captions, words] holds each caption's words by
//! their numbers in `labels`, 0 behind its end; word 0 is the end, word 1 stands for what `labels` has not.
//! `picture_*` `[captions]` says which picture of x a caption is of. There is then no y, and no lengths.

use crate::data::logs::in_order;
use crate::data::memory;
use crate::data::npy::Header;
use crate::data::twins;
use crate::data::{DataSet, ElementType, Items, Part, PartName, Targets, Values};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::END;
use ndarray::{Array2, ArrayD, IxDyn, ShapeBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

mod natural;
mod source;

pub use source::Array;
use source::{Place, Source};

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

/// As [`load`], of arrays in memory. What can stay there is not copied.
///
/// # Errors
/// Names the array and the remedy.
pub fn load_arrays(arrays: BTreeMap<String, Array>, parts: &[PartName]) -> Result<DataSet> {
    let room = Room {
        map_from: 0,
        available: memory::available(),
    };
    Archive::new(Source::Arrays(arrays), room).data_set(parts)
}

struct Archive {
    source: Source,
    room: Room,
    /// Names of the classes.
    names: Vec<String>,
}

impl Archive {
    fn open(path: &Path, room: Room) -> Result<Archive> {
        Ok(Archive::new(Source::open(path)?, room))
    }

    fn new(source: Source, room: Room) -> Archive {
        Archive {
            source,
            room,
            names: Vec::new(),
        }
    }

    fn data_set(&mut self, parts: &[PartName]) -> Result<DataSet> {
        let mut set = DataSet::default();
        if self.has("labels") {
            set.labels = self.strings("labels")?;
        } else {
            set.labels = self.names_in_y();
        }
        self.names = set.labels.clone();
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
                return Err(Error::mismatch(
                    "features a step",
                    pair[1].1,
                    pair[0].1,
                    format!("x_{} has", pair[0].0.suffix()),
                )
                .field(format!("x_{}", pair[1].0.suffix()))
                .remedy("give every part the same features"));
            }
        }
        if parts.contains(&PartName::Train) {
            set.warnings = self.twins(&set);
        }
        Ok(set)
    }

    /// Sequences that are in two parts or have two labels. A test part that was not asked for is
    /// looked at too, where it can be used.
    fn twins(&mut self, set: &DataSet) -> Vec<String> {
        let unasked = match set.test {
            Some(_) => None,
            None => self.part(PartName::Test, None).ok(),
        };
        twins::warnings(set, unasked.as_ref(), |part, sequence| {
            format!("x_{}[{sequence}]", part.suffix())
        })
    }

    fn part(&mut self, name: PartName, classes: Option<usize>) -> Result<Part> {
        let suffix = name.suffix();
        let field = format!("x_{suffix}");
        let (values, shape) = self.values(&field)?;
        let (sequences, steps) = (shape[0], shape[1]);
        let width: usize = shape[2..].iter().product();
        if self.has(&format!("words_{suffix}")) {
            return self.captions(suffix, (values, shape));
        }
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
        let targets = match self.has(&field) {
            true => Some(self.targets(&field, steps, &lengths, classes)?),
            false => None,
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
            targets,
            groups,
        })
    }

    /// The captions of these pictures, a sequence each.
    fn captions(&mut self, suffix: &str, (values, shape): (Values, Vec<usize>)) -> Result<Part> {
        let field = format!("words_{suffix}");
        let in_words = |error: Error| error.field(&field);
        if shape[1] != 1 {
            let error = Error::mismatch("steps", shape[1], 1, "a picture with captions has");
            return Err(error
                .field(format!("x_{suffix}"))
                .remedy("save pictures as [pictures, 1, features…]"));
        }
        for other in ["y", "lengths"].map(|name| format!("{name}_{suffix}")) {
            if self.has(&other) {
                let why = "stands beside captions, which say it themselves";
                return Err(Error::new(ErrorKind::Unsupported(why))
                    .field(other)
                    .remedy("leave it out, or `words` and `picture`"));
            }
        }
        let vocabulary = self.names.len();
        if vocabulary == 0 {
            return Err(Error::new(ErrorKind::Missing)
                .field("labels")
                .remedy("save the words of the vocabulary under this name"));
        }
        let captions = self.array(&field, |header, reader, _| {
            let &[_, longest @ 1..=usize::MAX] = header.shape.as_slice() else {
                return Err(Error::new(ErrorKind::Shape {
                    expected: "[captions, words], not 0 of them".into(),
                    found: header.shape.clone(),
                })
                .remedy("give every caption a row, with zeros behind its end"));
            };
            if !is_integer(header) {
                return Err(wrong_type(header).remedy("save the numbers of the words in `labels`"));
            }
            let all = row_major_integers(header, reader)?;
            check_range(&all, 0, vocabulary as i64 - 1).map_err(|error| {
                error.remedy("`labels` must have every word; 1 stands for others")
            })?;
            all.chunks(longest)
                .enumerate()
                .map(caption)
                .collect::<Result<Vec<_>>>()
        });
        let captions = captions.map_err(in_words)?;
        let field = format!("picture_{suffix}");
        let pictures = self.integers(&field, captions.len())?;
        check_range(&pictures, 0, shape[0] as i64 - 1).map_err(|error| {
            error
                .field(&field)
                .remedy("give the index of a picture of x")
        })?;
        let width: usize = shape[2..].iter().product();
        Ok(Part {
            values: Arc::new(values),
            width,
            starts: pictures.iter().map(|&at| at as usize * width).collect(),
            lengths: vec![1; captions.len()],
            targets: Some(Targets::of_captions(&captions)),
            groups: Some(pictures),
        })
    }

    fn has(&self, field: &str) -> bool {
        self.source.has(field)
    }

    /// Reads an array, as [`Source::array`].
    fn array<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&Header, &mut dyn Read, Option<Place>) -> Result<T>,
    ) -> Result<T> {
        self.source.array(field, read)
    }

    fn values(&mut self, field: &str) -> Result<(Values, Vec<usize>)> {
        let room = self.room;
        self.array(field, |header, reader, place| {
            let shape = header.shape.clone();
            let natural = natural::bytes(header);
            let element = match (element_type(header), natural) {
                (Some(element), _) => element,
                (None, Some(_)) => ElementType::F32,
                (None, None) => {
                    return Err(wrong_type(header).remedy("save it as f32, u8, i8 or i16"));
                }
            };
            if shape.len() < 3 || shape.contains(&0) {
                return Err(Error::new(ErrorKind::Shape {
                    expected: "[sequences, steps, features…], none of them 0".into(),
                    found: shape,
                })
                .remedy("reshape it; a single feature a step still needs an axis"));
            }
            let item_bytes = natural.unwrap_or(element.bytes() as u64);
            let bytes = (header.items as u64).saturating_mul(item_bytes);
            let as_it_lies = !header.columns_first && !header.big_endian && natural.is_none();
            if let Some(place) = place.filter(|_| bytes >= room.map_from && as_it_lies) {
                // They are read once all the same: an archive's checksum is over all of them.
                match element {
                    ElementType::F32 => {
                        let mut at = 0;
                        header.for_each(reader, |item| {
                            at += 1;
                            check_finite(f32::from_le_bytes(item), at - 1, &shape)
                        })?;
                    }
                    _ => {
                        std::io::copy(&mut reader.take(bytes), &mut std::io::sink())?;
                    }
                }
                let mapped = place.mapped(bytes as usize, element)?;
                return Ok((Values::Mapped(mapped), shape));
            }
            let copies = if header.columns_first { 2 } else { 1 };
            memory::check(bytes.saturating_mul(copies), room.available).map_err(|error| {
                error.remedy(
                    "save it with numpy.savez, not compressed, rows first: it then stays in its file",
                )
            })?;
            if natural.is_some() {
                let width = shape[2..].iter().product();
                return Ok((Values::F32(natural::read(header, reader, width)?), shape));
            }
            let values = match element {
                ElementType::U8 => Values::U8(row_major(header, reader, u8::from_le_bytes)?),
                ElementType::I8 => Values::I8(row_major(header, reader, i8::from_le_bytes)?),
                ElementType::I16 => Values::I16(row_major(header, reader, i16::from_le_bytes)?),
                ElementType::F32 => Values::F32(row_major(header, reader, f32::from_le_bytes)?),
            };
            if let Values::F32(values) = &values {
                for (at, &value) in values.iter().enumerate() {
                    check_finite(value, at, &shape)?;
                }
            }
            Ok((values, shape))
        })
    }

    /// Classes or values of sequences of `steps` steps, of which `lengths` are valid.
    fn targets(
        &mut self,
        field: &str,
        steps: usize,
        lengths: &[usize],
        classes: Option<usize>,
    ) -> Result<Targets> {
        let names = std::mem::take(&mut self.names);
        let found = self.targets_named(field, steps, lengths, classes, &names);
        self.names = names;
        found
    }

    fn targets_named(
        &mut self,
        field: &str,
        steps: usize,
        lengths: &[usize],
        classes: Option<usize>,
        names: &[String],
    ) -> Result<Targets> {
        let sequences = lengths.len();
        let most = classes.map_or(LABEL_MAX, |classes| classes as i64 - 1);
        self.array(field, |header, reader, _| {
            let shape = header.shape.as_slice();
            let wrong_shape = |expected: String| {
                Error::new(ErrorKind::Shape {
                    expected,
                    found: shape.to_vec(),
                })
            };
            // Places of the values that count, and whether they are steps.
            let valid = |per_step: usize| -> Vec<usize> {
                let of = |(sequence, &length): (usize, &usize)| {
                    let first = sequence * steps * per_step;
                    first..first + length * per_step
                };
                lengths.iter().enumerate().flat_map(of).collect()
            };
            // A column of classes, as tables have them, is one for each sequence.
            let is_column = shape == [sequences, 1] && steps > 1;
            if header.kind == 'U' {
                if !(is_column || shape == [sequences]) {
                    let expected = format!("[{sequences}], the name of a class for each sequence");
                    return Err(wrong_shape(expected).remedy("x and y need equal counts"));
                }
                let labels = header.texts(reader)?.into_iter().map(|text| {
                    let place = names.iter().position(|name| *name == text);
                    place.ok_or_else(|| {
                        Error::new(ErrorKind::WrongValue(format!("holds `{text}`")))
                            .remedy("`labels` must name every class of y")
                    })
                });
                let items = Items::Classes(labels.collect::<Result<_>>()?);
                return Ok(Targets::of_sequences(items));
            }
            let is_whole = is_integer(header) || header.kind == 'b';
            if let (true, &[count, of_each, width]) = (is_whole, shape)
                && width > 0
                && (count, of_each) == (sequences, steps)
            {
                let all = row_major_integers(header, reader)?;
                let bits = valid(width).into_iter().map(|at| match all[at] {
                    bit @ (0 | 1) => Ok(bit == 1),
                    found => Err(Error::new(ErrorKind::Range {
                        found,
                        index: at,
                        low: 0,
                        high: 1,
                    })
                    .remedy("integers [sequences, steps, K] are bits; save values as f32")),
                });
                let bits = bits.collect::<Result<Vec<_>>>()?;
                let bits = Array2::from_shape_vec((bits.len() / width, width), bits);
                let items = Items::Bits(bits.map_err(Error::malformed)?);
                return Ok(Targets::of_steps(items, lengths));
            }
            if is_whole {
                let places = match shape {
                    [count] if *count == sequences => (0..sequences).collect(),
                    _ if is_column => (0..sequences).collect(),
                    [count, of_each] if (*count, *of_each) == (sequences, steps) => valid(1),
                    _ => {
                        return Err(wrong_shape(format!(
                            "[{sequences}], a class for each sequence of x, or [{sequences}, {steps}], \
                             one for each step"
                        ))
                        .remedy("x and y need equal counts; save values as f32"));
                    }
                };
                let all = row_major_integers(header, reader)?;
                let labels = places.iter().map(|&at| match all[at] {
                    label if (0..=most).contains(&label) => Ok(label as usize),
                    found => Err(Error::new(ErrorKind::Range {
                        found,
                        index: at,
                        low: 0,
                        high: most,
                    })
                    .remedy("classes count from 0 and `labels`, if there, names each of them")),
                });
                let items = Items::Classes(labels.collect::<Result<_>>()?);
                return Ok(match shape.len() {
                    2 if !is_column => Targets::of_steps(items, lengths),
                    _ => Targets::of_sequences(items),
                });
            }
            if header.kind != 'f' || !matches!(header.item_bytes, Some(4 | 8)) {
                return Err(wrong_type(header)
                    .remedy("save classes as integers, values that are to be learned as f32"));
            }
            let (width, places) = match *shape {
                [count] if count == sequences => (1, (0..count).collect::<Vec<_>>()),
                [count, width] if count == sequences && width > 0 => {
                    (width, (0..count * width).collect())
                }
                [count, of_each, width] if (count, of_each) == (sequences, steps) && width > 0 => {
                    (width, valid(width))
                }
                _ => {
                    return Err(wrong_shape(format!(
                        "[{sequences}, K], K values for each sequence of x, or [{sequences}, {steps}, K], \
                         for each step"
                    ))
                    .remedy("x and y need equal counts; save classes as integers"));
                }
            };
            let all: Vec<f32> = match header.item_bytes {
                Some(4) => row_major(header, reader, f32::from_le_bytes)?,
                _ => row_major(header, reader, |item| f64::from_le_bytes(item) as f32)?,
            };
            for &at in &places {
                check_finite(all[at], at, shape)?;
            }
            let values = places.iter().map(|&at| all[at]).collect();
            let values = Array2::from_shape_vec((places.len() / width, width), values);
            let items = Items::Values(values.map_err(Error::malformed)?);
            Ok(match shape.len() {
                3 => Targets::of_steps(items, lengths),
                _ => Targets::of_sequences(items),
            })
        })
    }

    /// Names of the classes where y holds texts: all there are, of every part, in order.
    fn names_in_y(&mut self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for part in [PartName::Train, PartName::Validation, PartName::Test] {
            let field = format!("y_{}", part.suffix());
            // Whatever is wrong with an array is told when it is asked for.
            let texts = self.array(&field, |header, reader, _| match header.kind {
                'U' => header.texts(reader),
                _ => Err(wrong_type(header)),
            });
            names.extend(texts.unwrap_or_default());
        }
        in_order(names)
    }

    /// One integer for each sequence, of any integer type.
    fn integers(&mut self, field: &str, sequences: usize) -> Result<Vec<i64>> {
        self.array(field, |header, reader, _| {
            if !is_integer(header) {
                return Err(wrong_type(header).remedy("save one integer for each sequence"));
            }
            if header.shape != [sequences] {
                return Err(Error::new(ErrorKind::Shape {
                    expected: format!("[{sequences}], one value for each sequence of x"),
                    found: header.shape.clone(),
                })
                .remedy("save one integer for each sequence"));
            }
            row_major_integers(header, reader)
        })
    }

    fn strings(&mut self, field: &str) -> Result<Vec<String>> {
        self.array(field, |header, reader, _| {
            if header.kind != 'U' {
                return Err(wrong_type(header).remedy("save it as an array of str (dtype <U)"));
            }
            if header.shape.len() != 1 {
                return Err(Error::new(ErrorKind::Shape {
                    expected: "[classes]".into(),
                    found: header.shape.clone(),
                })
                .remedy("give one name for each class"));
            }
            if header.items as i64 > LABEL_MAX + 1 || header.bytes() > Some(NAMES_MAX) {
                return Err(Error::new(ErrorKind::Names {
                    count: header.items,
                    characters: header.item_bytes.unwrap_or(0) / 4,
                })
                .remedy("give one short name for each class"));
            }
            header.texts(reader)
        })
    }
}

/// A row's words up to the end, and that.
fn caption((row, words): (usize, &[i64])) -> Result<Vec<usize>> {
    let is_end = |&word: &i64| word == END as i64;
    let length = words.iter().position(is_end).unwrap_or(words.len());
    if length == 0 {
        return Err(
            Error::new(ErrorKind::Empty(format!("has no word in row {row}")))
                .remedy("leave captions without words out"),
        );
    }
    if let Some(at) = words[length..].iter().position(|word| !is_end(word)) {
        let place = format!("has a word behind the end of row {row}, at {}", length + at);
        return Err(Error::new(ErrorKind::WrongValue(place)).remedy("fill rows up with zeros"));
    }
    let own = words[..length].iter().map(|&word| word as usize);
    Ok(own.chain([END]).collect())
}

fn is_integer(header: &Header) -> bool {
    matches!(header.kind, 'i' | 'u') && matches!(header.item_bytes, Some(1 | 2 | 4 | 8))
}

/// All integers, the last axis fastest; what no i64 holds is the largest.
fn row_major_integers(header: &Header, reader: &mut dyn Read) -> Result<Vec<i64>> {
    macro_rules! widen {
        ($type:ty) => {
            row_major(header, reader, |item| {
                i64::try_from(<$type>::from_le_bytes(item)).unwrap_or(i64::MAX)
            })
        };
    }
    match (header.kind, header.item_bytes) {
        ('i', Some(1)) => widen!(i8),
        ('i', Some(2)) => widen!(i16),
        ('i', Some(4)) => widen!(i32),
        ('i', _) => widen!(i64),
        (_, Some(1)) => widen!(u8),
        (_, Some(2)) => widen!(u16),
        (_, Some(4)) => widen!(u32),
        _ => widen!(u64),
    }
}

/// The type that x keeps in memory, if it can.
fn element_type(header: &Header) -> Option<ElementType> {
    match (header.kind, header.item_bytes) {
        ('u', Some(1)) => Some(ElementType::U8),
        ('i', Some(1)) => Some(ElementType::I8),
        ('i', Some(2)) => Some(ElementType::I16),
        ('f', Some(4)) => Some(ElementType::F32),
        _ => None,
    }
}

/// Checks that a value is neither a NaN nor an infinity.
fn check_finite(value: f32, at: usize, shape: &[usize]) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFinite {
        value,
        index: unravel(at, shape),
    })
    .remedy("replace such values or drop the sequence"))
}

/// No data set has more classes; a larger label is a mistake.
const LABEL_MAX: i64 = 65_535;

/// Bytes that the names of all classes may take, four a character.
const NAMES_MAX: u64 = 1 << 24;

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

fn wrong_type(header: &Header) -> Error {
    let found = match (header.kind, header.item_bytes) {
        ('f', Some(bytes)) => format!("float{}", 8 * bytes),
        ('i', Some(bytes)) => format!("int{}", 8 * bytes),
        ('u', Some(bytes)) => format!("uint{}", 8 * bytes),
        ('b', _) => "bool".into(),
        ('O', _) => "object".into(),
        ('V', None) => "an array of records".into(),
        _ => header.descr.clone(),
    };
    Error::new(ErrorKind::ElementType { found })
}

/// All values, the last axis fastest.
fn row_major<T: Copy, const N: usize>(
    header: &Header,
    reader: &mut dyn Read,
    from: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let values = header.values(reader, from)?;
    if !header.columns_first {
        return Ok(values);
    }
    let array = ArrayD::from_shape_vec(IxDyn(&header.shape).f(), values);
    Ok(array.map_err(Error::malformed)?.iter().copied().collect())
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
mod tests;
