//! Errors of the host: what went wrong, where (file, field) and what to do about it.

use crate::float::config::HeadName;
use bt_core::ParseError;
use std::fmt;
use std::path::{Path, PathBuf};

/// A failure that a person can act on; its `Display` is always one line:
/// `d.npz: x_test: is float64; save it as f32, u8, i8 or i16`.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The file concerned.
    pub file: Option<PathBuf>,
    /// The array, tensor, key or flag concerned.
    pub field: Option<String>,
    /// What to do about it. Settings stand in backticks, under their keys in the TOML: "lower `lr`"; a
    /// command writes its flags instead.
    pub remedy: Option<String>,
}

/// The typed error of a room above, which this one does not know by name: `downcast_ref` does.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Result of the host's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for programs that want to tell the cases apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An array, tensor, key or file that must be there is not.
    #[error("is missing")]
    Missing,
    /// Bytes that are not what the file's name promises (cut short, not an archive, bad header…).
    #[error("cannot be read: {0}")]
    Malformed(String),
    /// An element type that is not taken here.
    #[error("is {found}")]
    ElementType {
        /// The type found, NumPy's name.
        found: String,
    },
    /// A shape other than the one that the rest asks for.
    #[error("has shape {found:?}, expected {expected}")]
    Shape {
        /// What would fit.
        expected: String,
        /// What is there.
        found: Vec<usize>,
    },
    /// A value out of its range.
    #[error("value {found} at {index} is outside {low}..={high}")]
    Range {
        /// The value.
        found: i64,
        /// Its index, row-major.
        index: usize,
        /// Smallest value allowed.
        low: i64,
        /// Largest value allowed.
        high: i64,
    },
    /// A NaN or an infinity in the data.
    #[error("holds a value that is not finite ({value}) at {index:?}")]
    NotFinite {
        /// The value.
        value: f32,
        /// Its index.
        index: Vec<usize>,
    },
    /// Modes whose product is not the width.
    #[error("{} multiply to {product}, but the width is {width}", times(modes))]
    Modes {
        /// The modes given.
        modes: Vec<usize>,
        /// Their product.
        product: usize,
        /// The width they should have multiplied to.
        width: usize,
    },
    /// More memory than there is.
    #[error("takes {:.2} GB of memory, {:.2} GB are free", *need as f64 / 1e9, *available as f64 / 1e9)]
    Memory {
        /// Bytes needed.
        need: u64,
        /// Bytes that can be had.
        available: u64,
    },
    /// No room for so many values, whatever the operating system says is free.
    #[error("there is no room for {values} values")]
    NoRoom {
        /// Values that were to be read.
        values: usize,
    },
    /// A number that cannot be.
    #[error("is {found}; {allowed}")]
    OutOfRange {
        /// The number given.
        found: Box<str>,
        /// What can be, in words: `give a number above 0`.
        allowed: Box<str>,
    },
    /// A value of a wrong type, or a word that is none of those known.
    #[error("{0}")]
    WrongValue(String),
    /// Modes that multiply to more than is taken.
    #[error("{} is too large; give {allowed}", times(modes))]
    TooLarge {
        /// The modes given.
        modes: Vec<usize>,
        /// What is taken, in words.
        allowed: &'static str,
    },
    /// More names of classes, or longer ones, than are taken.
    #[error("holds {count} names of {characters} characters at most")]
    Names {
        /// Names there are.
        count: usize,
        /// Characters of the longest.
        characters: usize,
    },
    /// Modes that are no sizes.
    #[error("{modes:?} is not a list of positive sizes")]
    Sizes {
        /// The modes given.
        modes: Vec<usize>,
    },
    /// A tensor map of too few or too many modes.
    #[error("has {modes} modes; a tensor map takes {} to {}", allowed.start(), allowed.end())]
    Order {
        /// Modes given.
        modes: usize,
        /// How many there may be.
        allowed: std::ops::RangeInclusive<usize>,
    },
    /// Two numbers that must be the same.
    #[error("has {} {}, {} {}", .0.found, .0.what, .0.other, .0.expected)]
    Mismatch(Box<Mismatch>),
    /// Values of a type that the model does not take.
    #[error("holds {found}, the model takes {expected}")]
    ModelInput {
        /// The type found.
        found: Box<str>,
        /// What the model takes.
        expected: String,
    },
    /// Several things of which there can be one.
    #[error("{} could be meant: {what}", names.join(", "))]
    Several {
        /// What they are.
        what: &'static str,
        /// Their names.
        names: Vec<String>,
    },
    /// Targets of one kind where a head gives another.
    #[error("holds the {}, wanted is the {}", found.words(), expected.words())]
    Targets {
        /// What they are.
        found: HeadName,
        /// What the head gives.
        expected: HeadName,
    },
    /// Something that does not go with what else was given.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Nothing where there should be something.
    #[error("{0}")]
    Empty(String),
    /// A cell of an index of recordings that cannot be.
    #[error("is {} for {recording}", if found.is_empty() { "empty".into() } else { format!("`{found}`") })]
    IndexCell {
        /// What the cell holds.
        found: Box<str>,
        /// The recording of its row.
        recording: Box<str>,
    },
    /// A number of the data that no f32 holds.
    #[error("{what} {value:.1e}, and no f32 holds {lost}")]
    NoFloat {
        /// What has the value, with a verb.
        what: Box<str>,
        /// The value.
        value: f64,
        /// What is to be kept: `it` or `the inverse`.
        lost: &'static str,
    },
    /// A tensor of ours in a file whose metadata do not ask for it.
    #[error("belongs to no part of the metadata's model")]
    StrayTensor,
    /// A front end that cannot be.
    #[error("{0}")]
    FrontEnd(String),
    /// The best plan found does not keep to the limits.
    #[error(
        "no plan fits; the closest ({}) needs {} bytes of RAM and {} bytes of flash",
        .0.plan, .0.ram_bytes, .0.flash_bytes
    )]
    OverLimits(Box<OverLimits>),
    /// Every plan has a partial result that the model file cannot describe.
    #[error("every plan has a partial result that is too large for the device")]
    NoPlan,
    /// No factorization of a layer keeps to the limits.
    #[error("no shape of {inputs} values and {units} units keeps to the limits")]
    NoShape {
        /// Values of a frame.
        inputs: usize,
        /// Hidden units.
        units: usize,
    },
    /// No model that could be searched for keeps to the limits.
    #[error(
        "none of {} models looked at keeps to the limits; the nearest ({}) needs {}",
        .0.looked_at, .0.nearest, exceeded(&.0.over)
    )]
    NothingFits(Box<NothingFits>),
    /// Of the trials of a search none came to anything.
    #[error("every trial failed; the first: {first}")]
    EveryTrialFailed {
        /// Why.
        first: Box<str>,
    },
    /// A plan that cannot be carried out.
    #[error("{0}")]
    Lower(Cause),
    /// A map that cannot be turned into integers.
    #[error("the {map} map: {error}")]
    Quantize {
        /// `input` or `recurrent`.
        map: &'static str,
        /// Why not.
        error: Cause,
    },
    /// What was exported is no model: a mistake of this program.
    #[error("the exported model is refused: {0}")]
    Exported(ParseError),
    /// The device's code refused what it was fed: a mistake of this program.
    #[error("{0}")]
    Device(Cause),
    /// A mistake of this program that no input should bring about.
    #[error("{0}")]
    Internal(&'static str),
    /// The folder of a new run holds another.
    #[error("holds a run already")]
    RunExists,
    /// A run that goes on was started with another setting.
    #[error("is {told}, but the run was started with {started}")]
    OtherSetting {
        /// The value now.
        told: Box<str>,
        /// The value then.
        started: Box<str>,
    },
    /// A setting that the model to start from does not have.
    #[error("is {told}, but the model to start from has {model}")]
    OtherModel {
        /// The value told.
        told: Box<str>,
        /// The model's.
        model: Box<str>,
    },
    /// The loss of a kind of model went out of bounds at every learning rate tried.
    #[error("the loss of {map} explodes at every rate tried")]
    EveryRateDiverged {
        /// The input map.
        map: String,
    },
    /// A key that nothing reads.
    #[error("unknown key")]
    UnknownKey,
    /// The loss went out of bounds.
    #[error("the loss became {loss} at update {update} of epoch {epoch}")]
    Diverged {
        /// The loss.
        loss: f32,
        /// Update within the epoch, from 1.
        update: usize,
        /// Epoch, from 1.
        epoch: usize,
    },
    /// Another process writes in the folder.
    #[error("another training run writes here")]
    InUse,
    /// A run that goes on was started with another data set.
    #[error("the run was started with another data set")]
    OtherData,
    /// A class without a single training sequence.
    #[error("class {class} has no training sequence")]
    ClassMissing {
        /// The class.
        class: usize,
    },
    /// A command used wrongly, in words (exit status 2).
    #[error("{0}")]
    Usage(String),
    /// A flag with a value that cannot be (exit status 2).
    #[error("{0}")]
    Flag(Box<ErrorKind>),
    /// Stopped by Ctrl-C; what was written can be used.
    #[error("interrupted after epoch {epochs}")]
    Interrupted {
        /// Epochs completed.
        epochs: usize,
    },
}

/// Two numbers that must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What is counted: `features a step`.
    pub what: &'static str,
    /// The number found.
    pub found: usize,
    /// The other one.
    pub expected: usize,
    /// Who says the other, with a verb: `the model takes`.
    pub other: String,
}

/// What was allowed, and what the plan nearest to it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverLimits {
    /// The plan of the input map.
    pub plan: String,
    /// RAM of a session by that plan.
    pub ram_bytes: usize,
    /// Flash of both maps by it.
    pub flash_bytes: usize,
    /// RAM that was allowed.
    pub ram_limit: Option<usize>,
    /// Flash that was allowed.
    pub flash_limit: Option<usize>,
}

/// What comes nearest to limits that nothing keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NothingFits {
    /// Models that were looked at.
    pub looked_at: usize,
    /// The nearest, in words.
    pub nearest: String,
    /// By which limits it fails.
    pub over: Vec<Exceeded>,
}

/// A limit, and what is needed instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Its key: `ram`, `flash` or `ms-per-step`.
    pub limit: &'static str,
    /// What is needed, in bytes or milliseconds.
    pub need: String,
    /// What is allowed.
    pub has: String,
}

fn exceeded(over: &[Exceeded]) -> String {
    let words = over.iter().map(|over| {
        let unit = match over.limit {
            "ram" => "bytes of RAM",
            "flash" => "bytes of flash",
            _ => "ms a step",
        };
        format!("{} {unit} where {} are allowed", over.need, over.has)
    });
    words.collect::<Vec<_>>().join(" and ")
}

impl Error {
    /// An error of this kind, nothing else known yet.
    pub fn new(kind: ErrorKind) -> Error {
        Error {
            kind,
            file: None,
            field: None,
            remedy: None,
        }
    }

    /// A number that cannot be, and what can: `give a number above 0`.
    pub fn out_of_range(found: impl fmt::Display, allowed: impl Into<String>) -> Error {
        Error::new(ErrorKind::OutOfRange {
            found: found.to_string().into(),
            allowed: allowed.into().into(),
        })
    }

    /// Two numbers that must be the same; fields as of [`Mismatch`].
    pub fn mismatch(
        what: &'static str,
        found: usize,
        expected: usize,
        other: impl Into<String>,
    ) -> Error {
        Error::new(ErrorKind::Mismatch(Box::new(Mismatch {
            what,
            found,
            expected,
            other: other.into(),
        })))
    }

    /// A command used wrongly, in words.
    pub fn usage(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage(what.into()))
    }

    /// Bytes that do not form what they should.
    pub fn malformed(what: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Malformed(what.to_string()))
    }

    /// The same error, naming its file unless one is named already.
    #[must_use]
    pub fn file(mut self, file: impl AsRef<Path>) -> Error {
        self.file.get_or_insert_with(|| file.as_ref().to_path_buf());
        self
    }

    /// The same error, naming the array, tensor, key or flag unless one is named already.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Error {
        self.field.get_or_insert_with(|| field.into());
        self
    }

    /// The same error with what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Error {
        self.remedy = Some(remedy.into());
        self
    }

    /// The same error as wrong usage: it was a flag's fault.
    #[must_use]
    pub fn into_usage(self) -> Error {
        let kind = match self.kind {
            kind @ (ErrorKind::Usage(_) | ErrorKind::Flag(_)) => kind,
            kind => ErrorKind::Flag(Box::new(kind)),
        };
        Error { kind, ..self }
    }

    /// Exit status of a command that ends with this error.
    pub fn exit_status(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage(_) | ErrorKind::Flag(_) => 2,
            _ => 1,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::new(ErrorKind::Io(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        if let Some(file) = &self.file {
            line += &format!("{}: ", file.display());
        }
        if let Some(field) = &self.field {
            line += &format!("{field}: ");
        }
        line += &self.kind.to_string();
        if let Some(remedy) = &self.remedy {
            line += &format!("; {remedy}");
        }
        f.write_str(&one_line(&line))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}

/// The words of a text on one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Modes as people write them: `8x20x20x18`.
pub fn times(modes: &[usize]) -> String {
    let digits: Vec<String> = modes.iter().map(usize::to_string).collect();
    digits.join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_file_field_and_remedy_on_one_line() {
        let error = Error::new(ErrorKind::ElementType {
            found: "float64".into(),
        })
        .field("x_test")
        .file("d.npz")
        .remedy("save it as f32,\n  u8, i8 or i16");
        assert_eq!(
            error.to_string(),
            "d.npz: x_test: is float64; save it as f32, u8, i8 or i16"
        );
        assert_eq!(error.exit_status(), 1);
    }

    #[test]
    fn the_first_place_named_stays() {
        let error = Error::new(ErrorKind::Missing).file("inner").file("outer");
        assert_eq!(error.to_string(), "inner: is missing");
    }
}
