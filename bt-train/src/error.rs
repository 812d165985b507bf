//! Errors of the host: what went wrong, where (file, field) and what to do about it.

mod kind;
mod reasons;

pub use kind::{Cause, ErrorKind, Exceeded, Mismatch, NothingFits, OverLimits};
pub use reasons::{FileKind, Foreign, Lack, With};

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

/// Result of the host's operations.
pub type Result<T> = std::result::Result<T, Error>;

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
