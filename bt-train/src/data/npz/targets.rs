//! y: classes, values or bits, of sequences or of steps.

use super::Archive;
use super::items::{
    LABEL_MAX, check_finite, is_integer, row_major, row_major_integers, wrong_type,
};
use super::natural::half;
use crate::data::logs::in_order;
use crate::data::{Items, PartName, Targets};
use crate::error::{Error, ErrorKind, Result};
use ndarray::Array2;
use std::collections::BTreeSet;

impl Archive {
    /// Classes or values of sequences of `steps` steps, of which `lengths` are valid.
    pub(super) fn targets(
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
                        Error::new(ErrorKind::UnknownClass { found: text.clone().into() })
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
            if header.kind != 'f' || !matches!(header.item_bytes, Some(2 | 4 | 8)) {
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
                Some(2) => row_major(header, reader, |item| half(u16::from_le_bytes(item)))?,
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
    pub(super) fn names_in_y(&mut self) -> Vec<String> {
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
}
