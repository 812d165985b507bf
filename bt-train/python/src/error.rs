//! The library's errors as Python exceptions, with settings under the names of keyword arguments.

use bt_train::command::advice;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pyo3::create_exception!(
    bt_lstm,
    Error,
    PyValueError,
    "What went wrong, where, and what to do about it."
);

/// Arrays of a data set's file by the argument that is one of them.
const ARGUMENTS: [(&str, &str); 7] = [
    ("x_train", "x"),
    ("y_train", "y"),
    ("lengths_train", "lengths"),
    ("group_train", "groups"),
    ("x_test", "x"),
    ("y_test", "y"),
    ("lengths_test", "lengths"),
];

/// The exception of an error.
pub fn raised(error: bt_train::Error) -> PyErr {
    Error::new_err(line(error))
}

/// An error in Python's words.
pub fn line(error: bt_train::Error) -> String {
    keywords(&advice::with_settings(error, keyword).to_string())
}

/// A warning in Python's words.
pub fn in_words(text: &str) -> String {
    keywords(&advice::settings(text, keyword))
}

/// A setting of the library, `weight-decay 0.1`, as a keyword argument.
fn keyword(setting: &str) -> String {
    let (name, value) = setting.split_once(' ').unwrap_or((setting, ""));
    let name = name.replace('-', "_");
    match value {
        "" => format!("`{name}`"),
        value if value.parse::<f64>().is_ok() => format!("`{name}={value}`"),
        value => format!("`{name}=\"{value}\"`"),
    }
}

/// The exception of an error about arrays that were arguments.
pub fn raised_of_arrays(error: bt_train::Error) -> PyErr {
    Error::new_err(arguments(&line(error)))
}

/// A text that names arrays as files have them, with the arguments' names.
pub fn arguments(text: &str) -> String {
    let named = ARGUMENTS.iter();
    named.fold(text.to_owned(), |text, (array, argument)| {
        text.replace(array, argument)
    })
}

/// A text of the command line with its flags as keyword arguments: `--weight-decay 0.1` becomes
/// `` `weight_decay=0.1` ``, and a field in front of the text loses its dashes.
pub fn keywords(text: &str) -> String {
    let (field, text) = match text.split_once(": ") {
        Some((field, rest)) if is_name(field) => (field.replace('-', "_") + ": ", rest),
        _ => (String::new(), text),
    };
    let mut written = field;
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let (before, after) = rest.split_at(at);
        let after = &after[2..];
        let end = after.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        let (name, behind) = after.split_at(end.unwrap_or(after.len()));
        written += before;
        if name.is_empty() {
            written += "--";
            rest = after;
            continue;
        }
        let value = behind.strip_prefix(' ').unwrap_or_default();
        let end = value
            .find([' ', ',', ';', ')', '\'', '`'])
            .unwrap_or(value.len());
        let value = &value[..end];
        let quote = if before.ends_with(['\'', '`']) {
            ""
        } else {
            "`"
        };
        written += quote;
        written += &name.replace('-', "_");
        rest = behind;
        if value.starts_with(|c: char| c.is_ascii_digit()) {
            let is_number = value.parse::<f64>().is_ok();
            written += &if is_number {
                format!("={value}")
            } else {
                format!("=\"{value}\"")
            };
            rest = &behind[1 + value.len()..];
        }
        written += quote;
    }
    written + rest
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}
