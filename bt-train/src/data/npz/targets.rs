//! y: classes, values or bits, of sequences or of steps.

use super::Archive;
use super::items::{LABEL_MAX, is_integer, row_major, row_major_integers, wrong_type};
use super::natural::{half, narrow};
use crate::data::logs::in_order;
use crate::data::npy::Header;
use crate::data::{Items, PartName, Targets};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::HeadName;
use bt_core::OutputKind;
use ndarray::Array2;
use std::collections::BTreeSet;
use std::io::Read;

/// How y lies in its array.
#[derive(Clone, Copy)]
struct Form {
    every_step: bool,
    /// Numbers of each sequence, or of each step.
    width: usize,
}

impl Form {
    /// That of what a head of this name gives, if an array of this shape may be so. A last axis of 1 may stand or not.
    fn of(name: HeadName, shape: &[usize], (sequences, steps): (usize, usize)) -> Option<Form> {
        let every_step = name.every_step();
        let lead = if every_step {
            &[sequences, steps][..]
        } else {
            &[sequences]
        };
        let width = match shape.strip_prefix(lead)? {
            [] => 1,
            &[width] if width == 1 || name.kind() != OutputKind::Classes => width,
            _ => return None,
        };
        (width > 0).then_some(Form { every_step, width })
    }

    /// Places of the numbers that count, sequences of `steps` steps of which `lengths` are valid.
    fn places(self, steps: usize, lengths: &[usize]) -> Vec<usize> {
        if !self.every_step {
            return (0..lengths.len() * self.width).collect();
        }
        let of = |(sequence, &length): (usize, &usize)| {
            let first = sequence * steps * self.width;
            first..first + length * self.width
        };
        lengths.iter().enumerate().flat_map(of).collect()
    }
}

/// What y is by its type and shape.
fn by_itself(is_whole: bool, shape: &[usize], steps: usize) -> HeadName {
    match (is_whole, shape) {
        // A column of classes, as tables have them, is one for each sequence, or for each step.
        (true, [_] | [_, 1]) if shape.len() == 1 || steps > 1 => HeadName::Classes,
        (true, [_, _] | [_, _, 1]) => HeadName::StepClasses,
        (true, _) => HeadName::StepBits,
        (false, [_, _, _]) => HeadName::StepValues,
        (false, _) => HeadName::Values,
    }
}

/// That y has no shape that it may have.
fn wrong_shape(
    is_whole: bool,
    asked: Option<HeadName>,
    shape: &[usize],
    of: (usize, usize),
) -> Error {
    let (sequences, steps) = of;
    let expected = match asked {
        Some(name) => match (name.kind(), name.every_step()) {
            (OutputKind::Classes, false) => {
                format!("[{sequences}], a class for each sequence of x")
            }
            (OutputKind::Classes, true) => format!("[{sequences}, {steps}], a class for each step"),
            (_, false) => {
                format!("[{sequences}] or [{sequences}, K], a number or K for each sequence of x")
            }
            (_, true) => format!(
                "[{sequences}, {steps}] or [{sequences}, {steps}, K], a number or K for each step"
            ),
        },
        None if is_whole => format!(
            "[{sequences}], a class for each sequence of x, or [{sequences}, {steps}], one for each step, or \
             [{sequences}, {steps}, K], K bits for each step"
        ),
        None => format!(
            "[{sequences}] or [{sequences}, K], a value or K for each sequence of x, or [{sequences}, {steps}, K], K \
             for each step"
        ),
    };
    Error::new(ErrorKind::Shape {
        expected,
        found: shape.to_vec(),
    })
    .remedy(match (asked, is_whole) {
        (Some(_), _) => "x and y need equal counts",
        (None, true) => {
            "x and y need equal counts; save values as f32, or ask for a head that integers are for"
        }
        (None, false) => "x and y need equal counts; save classes as integers",
    })
}

impl Archive {
    /// Classes, values or bits of sequences of `steps` steps, of which `lengths` are valid: what the head asked for
    /// gives, where the array has a shape for that.
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
        let of = (lengths.len(), steps);
        let most = classes.map_or(LABEL_MAX, |classes| classes as i64 - 1);
        let asked = self.head;
        self.array(field, |header, reader, _| {
            let shape = header.shape.as_slice();
            if header.kind == 'U' {
                if let Some(name) = asked.filter(|name| name.kind() != OutputKind::Classes) {
                    return Err(Targets::refused(HeadName::Classes, name));
                }
                if Form::of(HeadName::Classes, shape, of).is_none() {
                    let expected = format!("[{}], the name of a class for each sequence", of.0);
                    let found = shape.to_vec();
                    let error = Error::new(ErrorKind::Shape { expected, found });
                    return Err(error.remedy("x and y need equal counts"));
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
            let is_float = header.kind == 'f' && matches!(header.item_bytes, Some(2 | 4 | 8));
            if !is_whole && !is_float {
                return Err(wrong_type(header).remedy(match header.kind {
                    'O' | 'S' => {
                        "make names of classes texts, `y.astype(str)`; save classes as integers, values as f32"
                    }
                    _ => "save classes as integers, values that are to be learned as f32",
                }));
            }
            let natural = by_itself(is_whole, shape, steps);
            let name = asked.unwrap_or(natural);
            let Some(form) = Form::of(name, shape, of) else {
                return Err(match Form::of(natural, shape, of) {
                    Some(_) => Targets::refused(natural, name),
                    None => wrong_shape(is_whole, asked, shape, of),
                });
            };
            let places = form.places(steps, lengths);
            let items = match name.kind() {
                OutputKind::Values => values(header, reader, &places, form.width)?,
                // What floats are is told when they are read for the head.
                _ if is_float => values(header, reader, &places, form.width)?,
                OutputKind::Classes => {
                    let labels = integers(header, reader, &places, most, OF_CLASSES)?;
                    Items::Classes(labels.into_iter().map(|label| label as usize).collect())
                }
                OutputKind::Bits => {
                    let bits = integers(header, reader, &places, 1, OF_BITS)?;
                    let bits = bits.into_iter().map(|bit| bit == 1).collect();
                    Items::Bits(rows(bits, form.width)?)
                }
            };
            Ok(if form.every_step {
                Targets::of_steps(items, lengths)
            } else {
                Targets::of_sequences(items)
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

/// What to do about integers that are no classes, and about such that are no bits.
const OF_CLASSES: &str = "classes count from 0 and `labels`, if there, names each of them";
const OF_BITS: &str = "these integers are bits; save values as f32, or ask for another head";

/// The integers at these places, each from 0 to `high`.
fn integers(
    header: &Header,
    reader: &mut dyn Read,
    places: &[usize],
    high: i64,
    remedy: &str,
) -> Result<Vec<i64>> {
    let all = row_major_integers(header, reader)?;
    let within = |&index: &usize| match all[index] {
        found if (0..=high).contains(&found) => Ok(found),
        found => Err(Error::new(ErrorKind::Range {
            found,
            index,
            low: 0,
            high,
        })
        .remedy(remedy)),
    };
    places.iter().map(within).collect()
}

/// The numbers at these places, of whatever type, `width` of them an item.
fn values(header: &Header, reader: &mut dyn Read, places: &[usize], width: usize) -> Result<Items> {
    let all: Vec<f64> = match (header.kind, header.item_bytes) {
        ('f', Some(2)) => row_major(header, reader, |item| {
            f64::from(half(u16::from_le_bytes(item)))
        })?,
        ('f', Some(4)) => row_major(header, reader, |item| f64::from(f32::from_le_bytes(item)))?,
        ('f', _) => row_major(header, reader, f64::from_le_bytes)?,
        _ => {
            let all = row_major_integers(header, reader)?;
            all.into_iter().map(|value| value as f64).collect()
        }
    };
    let at = places.iter().map(|&at| (at, all[at]));
    let values = narrow(at, width, &header.shape, "value")?;
    Ok(Items::Values(rows(values, width)?))
}

/// [items, width].
fn rows<T>(all: Vec<T>, width: usize) -> Result<Array2<T>> {
    Array2::from_shape_vec((all.len() / width, width), all).map_err(Error::malformed)
}

/// What y may be else, where nothing but its type and shape says what it is: a line.
pub(super) fn doubt(targets: &Targets, steps: usize) -> Option<String> {
    one_hot(targets, steps).or_else(|| other_floats(targets, steps))
}

/// How floats are taken.
const AS_VALUES: &str = "floats are taken as values to be learned";

/// That one of K numbers is 1 everywhere and the others 0.
fn one_hot(targets: &Targets, steps: usize) -> Option<String> {
    let is_one_hot = |row: &[f32]| {
        row.iter().all(|value| [0.0, 1.0].contains(value)) && row.iter().sum::<f32>() == 1.0
    };
    let (rows, width, taken): (Vec<f32>, usize, &str) = match &targets.items {
        Items::Values(values) => (values.iter().copied().collect(), values.ncols(), AS_VALUES),
        // As many classes as steps, one of each sequence.
        Items::Classes(classes) if targets.every_step() && steps > 2 => {
            let taken = "integers [sequences, steps] are taken as classes of steps";
            (
                classes.iter().map(|&class| class as f32).collect(),
                steps,
                taken,
            )
        }
        Items::Classes(_) | Items::Bits(_) => return None,
    };
    let is_whole = width > 1 && !rows.is_empty() && rows.len().is_multiple_of(width);
    (is_whole && rows.chunks(width).all(is_one_hot)).then(|| {
        format!(
            "y_train: {taken}, though one of {width} is 1 everywhere and the others 0; if that is a class, save its \
             number, y.argmax(-1)"
        )
    })
}

/// That floats are all small whole numbers, or as many as there are steps.
fn other_floats(targets: &Targets, steps: usize) -> Option<String> {
    let values = targets.values()?;
    let is_class =
        |value: &f32| (0.0..CLASSES_AS_FLOATS as f32).contains(value) && value.fract() == 0.0;
    let every_step = targets.every_step();
    let may_be_steps = !every_step && values.ncols() == steps && steps > 1;
    if values.iter().all(is_class) && (values.ncols() == 1 || may_be_steps) {
        let head = match every_step || may_be_steps {
            true => "step-classes",
            false => "classes",
        };
        return Some(format!(
            "y_train: {AS_VALUES}, though all of them are whole numbers; if they are classes, save integers or ask for \
             the head {head}"
        ));
    }
    may_be_steps.then(|| {
        format!(
            "y_train: floats [sequences, {steps}] are taken as {steps} values of each sequence; if they are one of each \
             step, ask for the head step-values"
        )
    })
}

/// Fewer whole numbers than these may be classes.
const CLASSES_AS_FLOATS: usize = 256;
