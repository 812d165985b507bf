//! What the device is fed: element type, the real value of one LSB, offset and scale folded away.

use crate::data::Normalization;
use crate::data::{ElementType, Part};
use bt_core::model::InputType;
use bt_core::q::{round_shift_saturate, saturate};

/// How raw values become the integers of the input map.
#[derive(Debug, Clone, PartialEq)]
pub struct InputFormat {
    /// Type of pushed values.
    pub input_type: InputType,
    /// A float x is pushed as round((x − offset) / step); integers are pushed as they are.
    pub step: f64,
    /// See `step`.
    pub offset: f64,
    /// Subtracted from every pushed value first.
    pub input_zero: i16,
    /// One i16 factor per value and the right shift of the product, where features have scales of their own.
    pub element_scale: Option<(Vec<i16>, u8)>,
    /// Bits by which the map reads pushed values shifted left.
    pub left_shift: u32,
    /// Largest magnitude of the map's integers.
    pub map_max: u32,
    /// Normalized value of one LSB of the map's integers.
    pub map_step: f64,
    /// Normalized value of integer 0, one per value of the frame.
    pub zero: Vec<f64>,
}

/// What of the offset is taken off every pushed value; the bias of z takes the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// None of it.
    Nothing,
    /// 128 off unsigned bytes, which costs the device nothing.
    Middle,
    /// All of it.
    Mean,
}

/// Fraction of the range that floats and scaled values seen in calibration may fill.
const HEADROOM: f64 = 0.9;

impl InputFormat {
    /// The format for a model's normalization and the values of `part`.
    pub fn new(part: &Part, normalization: &Normalization, taken: Taken) -> Self {
        let middle = normalization
            .offset
            .iter()
            .map(|&offset| f64::from(offset))
            .sum::<f64>()
            / normalization.offset.len() as f64;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for sequence in 0..part.sequences() {
            part.values.for_each(part.range(sequence), |_, value| {
                low = low.min(f64::from(value));
                high = high.max(f64::from(value));
            });
        }
        let (input_type, step, offset) = match part.values.element_type() {
            ElementType::U8 => (InputType::U8, 1.0, 0.0),
            ElementType::I8 => (InputType::I8, 1.0, 0.0),
            ElementType::I16 => (InputType::I16, 1.0, 0.0),
            ElementType::F32 => {
                // As the file will state them.
                let offset = f64::from(middle as f32);
                if part.width < normalization.width {
                    (low, high) = (low.min(0.0), high.max(0.0));
                }
                let half = (high - offset).abs().max((low - offset).abs());
                let step = half.max(f64::from(f32::MIN_POSITIVE)) / (32_767.0 * HEADROOM);
                (InputType::I16, f64::from(step as f32), offset)
            }
        };
        let input_zero = match (taken, part.values.element_type()) {
            (Taken::Nothing, _) | (_, ElementType::F32) => 0,
            (Taken::Middle, ElementType::U8) => InputType::MIDDLE as i16,
            (Taken::Middle, _) => 0,
            (Taken::Mean, _) => middle.round().clamp(-32_768.0, 32_767.0) as i16,
        };
        // The raw value that becomes the map's 0.
        let origin = offset + f64::from(input_zero) * step;
        let pick =
            |values: &[f32], i: usize| f64::from(values[if values.len() == 1 { 0 } else { i }]);
        let scale = |i| pick(&normalization.scale, i);
        let zero: Vec<f64> = (0..normalization.width)
            .map(|i| (origin - pick(&normalization.offset, i)) * scale(i))
            .collect();
        if normalization.scale.len() == 1 {
            let left = input_type.left_shift(input_zero.into());
            return Self {
                input_type,
                step,
                offset,
                input_zero,
                element_scale: None,
                left_shift: left,
                map_max: input_type.map_max(input_zero.into()),
                map_step: step * scale(0) / f64::from(1u32 << left),
                zero,
            };
        }
        // value·factor >> shift fills i16 for the largest product that calibration has seen.
        let magnitude = (high - origin).abs().max((low - origin).abs()).max(step) / step;
        let largest = (0..normalization.width)
            .map(|i| scale(i).abs())
            .fold(0.0, f64::max)
            .max(1e-30);
        let map_step = magnitude * step * largest / (32_767.0 * HEADROOM);
        let factor = |i: usize, shift: u8| step * scale(i) / map_step * f64::from(1u32 << shift);
        let shift = (1..=15u8)
            .rev()
            .find(|&shift| (0..normalization.width).all(|i| factor(i, shift).abs() <= 32_767.0))
            .unwrap_or(1);
        let factors = (0..normalization.width)
            .map(|i| factor(i, shift).round().clamp(-32_767.0, 32_767.0) as i16)
            .collect();
        Self {
            input_type,
            step,
            offset,
            input_zero,
            element_scale: Some((factors, shift)),
            left_shift: 0,
            map_max: 1 << 15,
            map_step,
            zero,
        }
    }

    /// The integer that is pushed for a raw value: half to even, saturated.
    pub fn pushed(&self, value: f32) -> i16 {
        pushed(self.input_type, self.step as f32, self.offset as f32, value)
    }

    /// The map's integer for a pushed one at place `i` of the frame.
    pub fn mapped(&self, i: usize, pushed: i16) -> i16 {
        let value = saturate(i32::from(pushed) - i32::from(self.input_zero));
        match &self.element_scale {
            Some((factors, shift)) => {
                round_shift_saturate(i32::from(value) * i32::from(factors[i]), u32::from(*shift))
            }
            None => value << self.left_shift,
        }
    }
}

/// round((value − offset) / step), half to even, saturated to the type: what `run` and the host end of
/// the wire do to float data. Integer data have step 1 and offset 0 and come out as they are.
pub fn pushed(input_type: InputType, step: f32, offset: f32, value: f32) -> i16 {
    let (low, high) = match input_type {
        InputType::U8 => (0.0, 255.0),
        InputType::I8 => (-128.0, 127.0),
        InputType::I16 => (-32_768.0, 32_767.0),
    };
    let scaled = (f64::from(value) - f64::from(offset)) / f64::from(step);
    scaled.round_ties_even().clamp(low, high) as i16
}
