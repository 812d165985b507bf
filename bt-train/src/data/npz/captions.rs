//! Captions of pictures.

use super::Archive;
use super::items::{check_range, is_integer, row_major_integers, wrong_type};
use crate::data::{Part, Targets, Values};
use crate::error::{Error, ErrorKind, Lack, Result, With};
use crate::float::config::END;
use std::sync::Arc;

impl Archive {
    /// The captions of these pictures, a sequence each.
    pub(super) fn captions(
        &mut self,
        suffix: &str,
        (values, shape): (Values, Vec<usize>),
    ) -> Result<Part> {
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
                return Err(Error::new(ErrorKind::Conflict {
                    with: With::Captions,
                    why,
                })
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
}

/// A row's words up to the end, and that.
fn caption((row, words): (usize, &[i64])) -> Result<Vec<usize>> {
    let is_end = |&word: &i64| word == END as i64;
    let length = words.iter().position(is_end).unwrap_or(words.len());
    if length == 0 {
        return Err(Error::new(ErrorKind::Lacks(Lack::Words { row }))
            .remedy("leave captions without words out"));
    }
    if let Some(at) = words[length..].iter().position(|word| !is_end(word)) {
        let at = length + at;
        return Err(
            Error::new(ErrorKind::WordBehindEnd { row, at }).remedy("fill rows up with zeros")
        );
    }
    let own = words[..length].iter().map(|&word| word as usize);
    Ok(own.chain([END]).collect())
}
