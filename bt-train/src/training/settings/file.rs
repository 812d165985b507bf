//! The TOML file that settings stand in, and its keys.

use super::keys;
use crate::error::{Error, ErrorKind, Result};
use crate::training::augment::{AUGMENT, Augment};
use std::path::Path;

/// A value as a person would write it.
pub(super) fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(value) => (*value as f32).to_string(),
        toml::Value::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", plain(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Reads a TOML file whose keys must all be known.
pub(super) fn read_table(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::from(error).file(path))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        Error::malformed(format!("line {line}: {}", error.message())).file(path)
    })?;
    let mut known = keys();
    known.push(AUGMENT.into());
    let augment = table.get(AUGMENT).and_then(toml::Value::as_table);
    let unknown = |key: &String, known: &[String], name: String| {
        let remedy = format!("did you mean `{}`?", nearest(key, known));
        Error::new(ErrorKind::UnknownKey)
            .file(path)
            .field(name)
            .remedy(remedy)
    };
    if let Some(key) = table.keys().find(|key| !known.contains(key)) {
        return Err(unknown(key, &known, key.clone()));
    }
    let inner: Vec<String> = Augment::keys().map(String::from).collect();
    match augment
        .into_iter()
        .flat_map(toml::Table::keys)
        .find(|key| !inner.contains(key))
    {
        Some(key) => Err(unknown(key, &inner, format!("{AUGMENT}.{key}"))),
        None => Ok(table),
    }
}

/// Every entry of a table alone, with its name; of `augment` every entry within.
pub(super) fn entries(table: &toml::Table) -> Vec<(String, toml::Table)> {
    let alone =
        |key: &String, value: &toml::Value| toml::Table::from_iter([(key.clone(), value.clone())]);
    let mut all = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) if key == AUGMENT => {
                all.extend(inner.iter().map(|(name, value)| {
                    let within = toml::Value::Table(alone(name, value));
                    (format!("{key}.{name}"), alone(key, &within))
                }));
            }
            value => all.push((key.clone(), alone(key, value))),
        }
    }
    all
}

/// The known key that is spelled most alike; before all others one that holds the key as a part, as
/// `input-dropout` holds `dropout`.
pub(super) fn nearest<'a>(key: &str, known: &'a [String]) -> &'a str {
    let key = key.replace('_', "-");
    let similarity = |candidate: &str| {
        let is_part = key.len() > 2 && candidate.contains(&key);
        strsim::jaro_winkler(&key, candidate) + f64::from(is_part)
    };
    known
        .iter()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .map_or("", String::as_str)
}
