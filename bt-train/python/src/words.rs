//! Keyword arguments as the flags of the command line, which has their types, ranges and defaults.

use crate::error::{Error, keywords};
use bt_train::training::settings::Flags;
use clap::{Args, Command, FromArgMatches};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};

/// What the keyword arguments of `function` say.
///
/// # Errors
/// Names the argument that is not known, or whose value cannot be.
pub fn parsed<A: Args + FromArgMatches>(
    function: &'static str,
    arguments: Option<&Bound<'_, PyDict>>,
) -> PyResult<A> {
    let mut words = vec![function.to_owned()];
    for (name, value) in arguments.into_iter().flatten() {
        let name = name.extract::<String>()?;
        if value.is_none() {
            continue;
        }
        if let Some(why) = no_word(function, &name, &value)? {
            return Err(Error::new_err(format!("{function}: {name}: {why}")));
        }
        let flag = format!("--{}", name.replace('_', "-"));
        match value.cast::<PyBool>() {
            Ok(is_set) if !is_set.is_true() => continue,
            Ok(_) => words.push(flag),
            Err(_) => words.push(format!("{flag}={}", text(&value)?)),
        }
    }
    let command = Command::new(function).disable_help_flag(true);
    let matches = A::augment_args(command).try_get_matches_from(words);
    matches
        .and_then(|matches| A::from_arg_matches(&matches))
        .map_err(|error| {
            let said = error.to_string();
            let lines = said
                .lines()
                .map(str::trim)
                .take_while(|line| !line.starts_with("Usage"));
            let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            let line = lines.join("; ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            // The names of values, `<LR>`, are the command line's.
            let parts =
                line.split(" <")
                    .enumerate()
                    .map(|(at, part)| match (at, part.split_once('>')) {
                        (0, _) | (_, None) => part,
                        (_, Some((_, behind))) => behind,
                    });
            let line: String = parts.collect();
            Error::new_err(format!("{function}: {}", keywords(&line)))
        })
}

/// What a value is that no flag takes, and what does.
fn no_word(function: &str, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if (function, name) == ("train", "augment") {
        let why = "has no keyword; `config` takes a TOML file with the table [augment]";
        return Ok(Some(why.into()));
    }
    if value.get_type().name()? == "FloatModel" {
        let why = "is a model in memory; save it and give the path";
        return Ok(Some(why.into()));
    }
    let axes = value
        .getattr("ndim")
        .and_then(|axes| axes.extract::<usize>());
    Ok(match axes {
        Ok(1) if name.ends_with("modes") => None,
        Ok(axes) if axes > 0 => Some(match name {
            "validation" => {
                "is an array, and a share is wanted; `x_val` and `y_val` take sequences".into()
            }
            _ => "is an array, and one value is wanted".into(),
        }),
        _ => None,
    })
}

/// A value as the command line takes it: sizes as `8x20x20x18`.
fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let is_array = value.hasattr("__array__")? && value.hasattr("__len__")?;
    if !value.is_instance_of::<PyTuple>() && !value.is_instance_of::<PyList>() && !is_array {
        return Ok(value.str()?.to_string());
    }
    let items = value.try_iter()?.map(|item| Ok(item?.str()?.to_string()));
    Ok(items.collect::<PyResult<Vec<String>>>()?.join("x"))
}

/// Names of all settings that `train` takes as keyword arguments.
#[pyfunction]
pub fn settings() -> Vec<String> {
    let command = Flags::augment_args(Command::new("train"));
    let names = command
        .get_arguments()
        .filter_map(|argument| argument.get_long());
    names.map(|name| name.replace('-', "_")).collect()
}
