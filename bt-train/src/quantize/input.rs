//! What the device is fed: element type, the real value of one LSB, offset and scale folded away.
//!
//! Floats are quantised by the host, with an LSB and an offset for every feature where the model has
//! scales of its own for them, so that what is pushed are the map's integers and the device has nothing
//! to do. Integers are pushed as they are. Where one scale and one offset serve all of them, the map's
//! weights and the bias of z take both in; otherwise the device takes an offset off every value and
//! multiplies it ([`FormatRecord`](bt_core::internals::model::layout::FormatRecord)).

use crate::data::{ElementType, Normalization, Part};
use crate::error::{Error, ErrorKind, Result};
use bt_core::InputType;
use bt_core::about::FloatInput;
use bt_core::internals::model::write::Elements;
use bt_core::internals::q::{round_shift_saturate, saturate};

/// How raw values become the integers of the input map.
#[derive(Debug, Clone, PartialEq)]
pub struct InputFormat {
    /// Type of pushed values.
    pub input_type: InputType,
    /// How floats are pushed, one for all values or one each; integers are pushed as they are.
    pub floats: Vec<FloatInput>,
    /// What pushed values meet before the map.
    pub elements: Elements,
    /// Bits by which the map reads pushed values shifted left.
    pub left_shift: u32,
    /// Largest magnitude of the map's integers.
    pub map_max: u32,
    /// Normalized value of one LSB of the map's integers; negative where the one scale of all values is.
    pub map_lsb: f64,
    /// Normalized value of integer 0, one per value of the frame.
    pub zero: Vec<f64>,
}

/// What of the offset is taken off every pushed value; the bias of z takes the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// None of it. Floats have lost it on the host.
    Nothing,
    /// 128 off unsigned bytes, which costs the device nothing.
    Middle,
    /// One offset off all values, which are then multiplied by 2^gain.
    Mean {
        /// 0: they are not.
        gain: u32,
    },
    /// An offset of its own off every value, which is then scaled.
    Each,
}

impl Taken {
    /// What it costs the device, in ranks.
    pub fn costs(self) -> u8 {
        match self {
            Taken::Nothing | Taken::Middle => 0,
            Taken::Mean { .. } => 1,
            Taken::Each => 2,
        }
    }
}

/// What calibration has seen of the raw values.
#[derive(Debug)]
pub struct Seen {
    element_type: ElementType,
    /// Per value of the model's frame the smallest and the largest; zeros where data are narrower.
    ranges: Vec<(f64, f64)>,
}

/// Fraction of the range that floats and scaled values seen in calibration may fill.
const HEADROOM: f64 = 0.9;

/// The largest integer that calibrated values become.
const FILLED: f64 = 32_767.0 * HEADROOM;

/// Scales share one shift as long as none of them has fewer bits: it is then at most 2⁻¹¹ of itself off.
const MANTISSA_MIN: f64 = 1024.0;

impl Seen {
    /// Every valid value of `part`, for a model of `width` values a frame.
    pub fn new(part: &Part, width: usize) -> Seen {
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); part.width];
        for sequence in 0..part.sequences() {
            part.values.for_each(part.range(sequence), |at, value| {
                let (low, high) = &mut ranges[at % part.width];
                *low = low.min(f64::from(value));
                *high = high.max(f64::from(value));
            });
        }
        ranges.resize(width, (0.0, 0.0));
        Seen {
            element_type: part.values.element_type(),
            ranges,
        }
    }

    /// The ways to treat offsets, the cheapest on the device first.
    pub fn ways(&self, normalization: &Normalization, has_front_end: bool) -> Vec<Taken> {
        let (offsets, scales) = (normalization.offset.len(), normalization.scale.len());
        if self.element_type == ElementType::F32 {
            return vec![Taken::Nothing];
        }
        if scales > 1 {
            return vec![Taken::Each];
        }
        let mut ways = match (self.element_type, has_front_end) {
            // A feature vector is copied anyway.
            (_, true) => vec![],
            (ElementType::U8, _) => vec![Taken::Nothing, Taken::Middle],
            _ => vec![Taken::Nothing],
        };
        let largest = self.largest(f64::from(mean_zero(normalization)));
        let gains =
            (0..15).take_while(|&gain| gain == 0 || largest * f64::from(1u32 << gain) <= FILLED);
        ways.extend(gains.map(|gain| Taken::Mean { gain }));
        if offsets > 1 {
            ways.push(Taken::Each);
        }
        ways
    }

    /// The largest distance from `origin`.
    fn largest(&self, origin: f64) -> f64 {
        let distances = self.ranges.iter().map(|&range| distance(range, origin));
        distances.fold(0.0, f64::max)
    }
}

/// The largest distance of a range's ends from `origin`.
fn distance((low, high): (f64, f64), origin: f64) -> f64 {
    (high - origin).abs().max((low - origin).abs())
}

/// Mean of the offsets.
fn middle(normalization: &Normalization) -> f64 {
    let offsets = normalization.offset.iter().map(|&offset| f64::from(offset));
    offsets.sum::<f64>() / normalization.offset.len() as f64
}

/// What [`Taken::Mean`] takes off.
fn mean_zero(normalization: &Normalization) -> i16 {
    middle(normalization).round().clamp(-32_768.0, 32_767.0) as i16
}

/// The only value, or that of feature `i`.
fn pick(values: &[f32], i: usize) -> f64 {
    f64::from(values[if values.len() == 1 { 0 } else { i }])
}

/// One number where all are the same.
fn collapse<T: PartialEq>(mut numbers: Vec<T>) -> Vec<T> {
    if numbers.iter().all(|number| *number == numbers[0]) {
        numbers.truncate(1);
    }
    numbers
}

impl InputFormat {
    /// The format for a model's normalization and the values that calibration has seen.
    ///
    /// # Errors
    ///
    /// When no f32 holds the LSB of a feature.
    pub fn new(seen: &Seen, normalization: &Normalization, taken: Taken) -> Result<Self> {
        match (seen.element_type, taken) {
            (ElementType::F32, _) => InputFormat::of_floats(seen, normalization),
            (_, Taken::Each) => Ok(InputFormat::of_each(seen, normalization)),
            _ => Ok(InputFormat::of_all(seen, normalization, taken)),
        }
    }

    /// Floats, which the host makes the map's integers of.
    fn of_floats(seen: &Seen, normalization: &Normalization) -> Result<Self> {
        let scale = |i| pick(&normalization.scale, i);
        let offset = |i| pick(&normalization.offset, i);
        let width = seen.ranges.len();
        // With one scale and one offset all values share their range, otherwise each has its own.
        let is_one = normalization.scale.len() == 1 && normalization.offset.len() == 1;
        let reach = |i: usize| distance(seen.ranges[i], offset(i));
        let (floats, map_lsb) = if is_one {
            let half = match seen.largest(offset(0)) {
                0.0 => one_deviation(scale(0)),
                half => half,
            };
            let input = float_input(0, offset(0), half / FILLED)?;
            (vec![input], f64::from(input.lsb) * scale(0))
        } else {
            let largest = (0..width).map(|i| reach(i) * scale(i).abs());
            let map_lsb = match largest.fold(0.0, f64::max) {
                0.0 => 1.0 / FILLED,
                largest => largest / FILLED,
            };
            let input = |i| match scale(i) {
                // Whatever it is, it does not count.
                0.0 => Ok(FloatInput {
                    offset: offset(i) as f32,
                    lsb: f32::MAX,
                }),
                scale => float_input(i, offset(i), map_lsb / scale),
            };
            ((0..width).map(input).collect::<Result<_>>()?, map_lsb)
        };
        Ok(InputFormat {
            input_type: InputType::I16,
            floats,
            elements: Elements::default(),
            left_shift: 0,
            map_max: 1 << 15,
            map_lsb,
            zero: vec![0.0; width],
        })
    }

    /// Integers that share their scale and lose one offset or none.
    fn of_all(seen: &Seen, normalization: &Normalization, taken: Taken) -> Self {
        let input_type = integer_type(seen.element_type);
        let (zero, gain) = match taken {
            Taken::Middle => (InputType::MIDDLE as i16, 0),
            Taken::Mean { gain } => (mean_zero(normalization), gain),
            Taken::Nothing | Taken::Each => (0, 0),
        };
        let scale = pick(&normalization.scale, 0);
        let (left_shift, map_max) = match gain {
            0 => (
                input_type.left_shift(zero.into()),
                input_type.map_max(zero.into()),
            ),
            _ => (0, 1 << 15),
        };
        InputFormat {
            input_type,
            floats: vec![FloatInput::INTEGER],
            elements: Elements {
                offsets: vec![zero],
                scales: match gain {
                    0 => vec![],
                    gain => vec![1 << gain],
                },
                shifts: vec![0],
            },
            left_shift,
            map_max,
            map_lsb: scale / f64::from(1u32 << (left_shift + gain)),
            zero: zeros(&[zero], normalization),
        }
    }

    /// Integers of which each has an offset and a factor.
    fn of_each(seen: &Seen, normalization: &Normalization) -> Self {
        let width = seen.ranges.len();
        let scale = |i| pick(&normalization.scale, i);
        // The nearest integer at which all that calibration has seen stays an i16.
        let offset = |i: usize| {
            let (low, high) = seen.ranges[i];
            let nearest = pick(&normalization.offset, i).round();
            let near = nearest.max(high - 32_767.0).min(low + 32_768.0);
            near.clamp(-32_768.0, 32_767.0) as i16
        };
        let offsets: Vec<i16> = (0..width).map(offset).collect();
        let largest = (0..width)
            .map(|i| distance(seen.ranges[i], offsets[i].into()) * scale(i).abs())
            .fold(0.0, f64::max);
        let map_lsb = match largest {
            0.0 => 1.0 / FILLED,
            largest => largest / FILLED,
        };
        let (scales, shifts) = factors((0..width).map(|i| scale(i) / map_lsb).collect());
        InputFormat {
            input_type: integer_type(seen.element_type),
            floats: vec![FloatInput::INTEGER],
            zero: zeros(&offsets, normalization),
            elements: Elements {
                offsets: collapse(offsets),
                scales,
                shifts,
            },
            left_shift: 0,
            map_max: 1 << 15,
            map_lsb,
        }
    }

    /// The integer that is pushed for a raw value at place `i` of the frame.
    pub fn pushed(&self, i: usize, value: f32) -> i16 {
        let at = if self.floats.len() == 1 { 0 } else { i };
        self.floats[at].integer(self.input_type, value)
    }

    /// The map's integer for a pushed one at place `i` of the frame.
    pub fn mapped(&self, i: usize, pushed: i16) -> i16 {
        let Elements {
            offsets,
            scales,
            shifts,
        } = &self.elements;
        let at = |len: usize| if len == 1 { 0 } else { i };
        let value = saturate(i32::from(pushed) - i32::from(offsets[at(offsets.len())]));
        match scales.len() {
            0 => value << self.left_shift,
            len => round_shift_saturate(
                i32::from(value) * i32::from(scales[at(len)]),
                shifts[at(shifts.len())].into(),
            ),
        }
    }
}

/// What deviates from the mean by 1 after scaling.
fn one_deviation(scale: f64) -> f64 {
    if scale == 0.0 { 1.0 } else { 1.0 / scale.abs() }
}

/// Normalized values of what the device takes off.
fn zeros(offsets: &[i16], normalization: &Normalization) -> Vec<f64> {
    let zero = |i: usize| {
        let taken = offsets[if offsets.len() == 1 { 0 } else { i }];
        (f64::from(taken) - pick(&normalization.offset, i)) * pick(&normalization.scale, i)
    };
    (0..normalization.width).map(zero).collect()
}

/// Mantissas and shifts of factors: factor ≈ mantissa · 2^−shift.
fn factors(factors: Vec<f64>) -> (Vec<i16>, Vec<u8>) {
    let with = |factor: f64, shift: u8| factor * f64::from(1u32 << shift);
    let fits = |factor: f64, shift: u8| with(factor, shift).abs() <= 32_767.0;
    let largest =
        |fits: &dyn Fn(u8) -> bool| (0..=30).rev().find(|&shift| fits(shift)).unwrap_or(0);
    let mantissa = |factor: f64, shift: u8| {
        let rounded = with(factor, shift).round();
        // A factor beyond every format belongs to a feature that calibration saw constant.
        rounded.clamp(-32_767.0, 32_767.0) as i16
    };
    let common = largest(&|shift| factors.iter().all(|&factor| fits(factor, shift)));
    let is_fine = |&factor: &f64| factor == 0.0 || with(factor, common).abs() >= MANTISSA_MIN;
    let shifts: Vec<u8> = if factors.iter().all(is_fine) {
        vec![common; factors.len()]
    } else {
        let own = |&factor: &f64| largest(&|shift| fits(factor, shift));
        factors.iter().map(own).collect()
    };
    let scales = factors.iter().zip(&shifts);
    let scales = scales
        .map(|(&factor, &shift)| mantissa(factor, shift))
        .collect();
    (collapse(scales), collapse(shifts))
}

fn integer_type(found: ElementType) -> InputType {
    match found {
        ElementType::U8 => InputType::U8,
        ElementType::I8 => InputType::I8,
        ElementType::I16 | ElementType::F32 => InputType::I16,
    }
}

/// LSB and offset of feature `i` as the file states them.
fn float_input(i: usize, offset: f64, lsb: f64) -> Result<FloatInput> {
    let input = FloatInput {
        offset: offset as f32,
        lsb: lsb as f32,
    };
    if input.lsb.is_normal() {
        return Ok(input);
    }
    Err(Error::new(ErrorKind::NoFloat {
        what: format!("feature {i} has an LSB of").into(),
        value: lsb,
        lost: "it",
    })
    .remedy("train with data in a unit that makes them larger than 1e-30 and smaller than 1e30"))
}
