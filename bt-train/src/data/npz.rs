//! Data sets in `.npz` files: the contract, name by name.
//!
//! `x_train`, `y_train`, `x_test`, `y_test`, optionally `x_val`, `y_val`,
//! `lengths_*`, `group_train` and `labels`. x is [sequences, steps, features…]
//! of u8, i8, i16 or f32, or of another type of NumPy that becomes f32 without
//! loss. y holds classes as integers of any type, `[sequences]`
//! or [sequences, steps], values as floats, [sequences, K] or [sequences,
//! steps, K], or bits as integers [sequences, steps, K], K more than 1. A head that is named reads the same shapes of any
//! numbers, with K = 1 where the last axis is missing: integers [sequences, K] as values, or as bits. What lies behind the
//! end of a sequence is not looked at, and neither are other arrays, whatever they are.
//!
//! Of captions, x is a picture each, [pictures, 1, features…]. `words_*` [captions, words] holds each caption's words by
//! their numbers in `labels`, 0 behind its end; word 0 is the end, word 1 stands for what `labels` has not.
//! `picture_*` `[captions]` says which picture of x a caption is of. There is then no y, and no lengths.

mod arrays;
mod captions;
mod items;
mod natural;
mod source;
mod targets;

use crate::data::memory;
use crate::data::npy::Header;
use crate::data::twins;
use crate::data::{DataSet, Part, PartName};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::HeadName;
use items::check_range;
pub use source::Array;
use source::{Place, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Reads the parts asked for; `Validation` may be absent, the others may not. y is read as a head of the name given
/// takes it, where its shape allows that; without a name as what its type and shape say.
///
/// # Errors
/// Names the file, the array and the remedy.
pub fn load(path: &Path, parts: &[PartName], head: Option<HeadName>) -> Result<DataSet> {
    let room = Room {
        map_from: MAP_FROM,
        available: memory::available(),
    };
    load_in(path, parts, head, room)
}

fn load_in(path: &Path, parts: &[PartName], head: Option<HeadName>, room: Room) -> Result<DataSet> {
    Archive::open(path, head, room)
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
pub fn load_arrays(
    arrays: BTreeMap<String, Array>,
    parts: &[PartName],
    head: Option<HeadName>,
) -> Result<DataSet> {
    let room = Room {
        map_from: 0,
        available: memory::available(),
    };
    Archive::new(Source::Arrays(arrays), head, room).data_set(parts)
}

struct Archive {
    source: Source,
    /// What y is read for.
    head: Option<HeadName>,
    room: Room,
    /// Names of the classes.
    names: Vec<String>,
}

impl Archive {
    fn open(path: &Path, head: Option<HeadName>, room: Room) -> Result<Archive> {
        Ok(Archive::new(Source::open(path)?, head, room))
    }

    fn new(source: Source, head: Option<HeadName>, room: Room) -> Archive {
        Archive {
            source,
            head,
            room,
            names: Vec::new(),
        }
    }

    fn data_set(&mut self, parts: &[PartName]) -> Result<DataSet> {
        let mut set = DataSet::default();
        if self.has("labels") {
            set.labels = self.strings("labels")?;
            check_names(&set.labels).map_err(|error| error.field("labels"))?;
        } else {
            set.labels = self.names_in_y();
            set.are_named_by_y = !set.labels.is_empty();
        }
        self.names = set.labels.clone();
        let classes = Some(set.labels.len()).filter(|&classes| classes > 0);
        for &name in parts {
            let part = match name {
                PartName::Validation if !self.has("x_val") => {
                    if self.has("y_val") || self.has("lengths_val") {
                        return Err(Error::new(ErrorKind::Missing).field("x_val").remedy(
                            "save the sequences too, or leave `y_val` and `lengths_val` out",
                        ));
                    }
                    continue;
                }
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
            let train = set.part(PartName::Train)?;
            let unsaid = train.targets.as_ref().filter(|_| self.head.is_none());
            let doubt = unsaid.and_then(|targets| targets::doubt(targets, train.steps()));
            set.warnings.extend(doubt);
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
        let words = Some(HeadName::NextWords);
        if name == PartName::Train && self.head == words {
            return Err(Error::new(ErrorKind::Missing).field("words_train").remedy(
                "save captions as `words_train` and `picture_train`, likewise of other parts",
            ));
        }
        // Heads whose targets are the frames read nothing else, and of a part without captions pictures are enough.
        let is_of_x = matches!(self.head, Some(HeadName::NextBits | HeadName::Draw));
        let reads_y = !is_of_x && self.head != words;
        let targets = match self.has(&field) && reads_y {
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
}

/// Checks that no class has the name of another.
///
/// # Errors
/// Names it.
pub(crate) fn check_names(names: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(Error::new(ErrorKind::Twice {
            name: twice.as_str().into(),
        })
        .remedy("give each a name of its own")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
