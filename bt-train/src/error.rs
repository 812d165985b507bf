//! Errors of the host: what went wrong, where (file, field) and what to do about it.

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
    /// What to do about it.
    pub remedy: Option<String>,
}

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
    /// A setting that cannot be.
    #[error("{0}")]
    Setting(String),
    /// A key that nothing reads.
    #[error("unknown key")]
    UnknownKey,
    /// The loss went out of bounds.
    #[error("the loss became {loss} at step {step} of epoch {epoch}")]
    Diverged {
        /// The loss.
        loss: f32,
        /// Step within the epoch, from 1.
        step: usize,
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
    /// A command used wrongly (exit status 2).
    #[error("{0}")]
    Usage(String),
    /// Stopped by Ctrl-C; what was written can be used.
    #[error("interrupted after epoch {epochs}")]
    Interrupted {
        /// Epochs completed.
        epochs: usize,
    },
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

    /// A setting that cannot be, in words.
    pub fn setting(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Setting(what.into()))
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

    /// The same error as wrong usage, if it is a setting that cannot be.
    #[must_use]
    pub fn into_usage(self) -> Error {
        let kind = match self.kind {
            ErrorKind::Setting(text) => ErrorKind::Usage(text),
            kind => kind,
        };
        Error { kind, ..self }
    }

    /// Exit status of a command that ends with this error.
    pub fn exit_status(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage(_) => 2,
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
