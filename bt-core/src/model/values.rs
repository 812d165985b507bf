//! What a session takes and gives, beside the numbers that data are made of.

use crate::numbered::numbered;

numbered! {
    /// The type of the values a session takes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum InputType: u8 {
        /// 0..=255.
        U8 = 0,
        /// −128..=127.
        I8 = 1,
        /// −32768..=32767; PCM when the model has a front end.
        I16 = 2,
    }
}

impl InputType {
    /// Bytes of one value on the wire.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
        }
    }

    /// The least and the largest value.
    pub const fn range(self) -> (i32, i32) {
        match self {
            Self::U8 => (0, 255),
            Self::I8 => (-128, 127),
            Self::I16 => (-32_768, 32_767),
        }
    }

    /// How far a map shifts a value to the left when it reads it, after `zero` has been taken off.
    ///
    /// Bytes are shifted until they fill an i16, so that products keep their top bits: signed ones by 8,
    /// unsigned ones by 7, and by 8 where `zero` is [`MIDDLE`](Self::MIDDLE), which makes them signed. The
    /// kernels do this as they unpack, for nothing. A byte that has lost any other offset no longer fits a
    /// byte, and an i16 is full already: both are read as they are.
    #[doc(hidden)]
    pub const fn left_shift(self, zero: i32) -> u32 {
        match (self, zero) {
            (Self::U8, 0) => 7,
            (Self::U8, Self::MIDDLE) | (Self::I8, 0) => 8,
            _ => 0,
        }
    }

    /// What makes a signed byte of an unsigned one, taken off it.
    #[doc(hidden)]
    pub const MIDDLE: i32 = 128;

    /// Largest magnitude that a map reads when `zero` is taken off every value, saturated to i16.
    #[doc(hidden)]
    pub const fn map_max(self, zero: i32) -> u32 {
        let (low, high) = self.range();
        let (below, above) = ((zero - low).unsigned_abs(), (high - zero).unsigned_abs());
        let max = if below > above { below } else { above };
        if max > 1 << 15 {
            1 << 15
        } else {
            max << self.left_shift(zero)
        }
    }
}

/// How the integer that is pushed is made of a float, see [`integer`](Self::integer).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FloatInput {
    /// What becomes 0.
    pub offset: f32,
    /// What one integer stands for; negative where the feature's scale is, never 0.
    pub lsb: f32,
}

impl FloatInput {
    /// What integer data have: they are pushed as they are.
    pub const INTEGER: Self = Self {
        offset: 0.0,
        lsb: 1.0,
    };

    /// round((value − offset) / lsb), half to even, saturated to the type. Integer data, of LSB 1 and offset
    /// 0, come out as they are; 0 comes out of NaN.
    ///
    /// ```
    /// use bt_core::InputType;
    /// use bt_core::about::FloatInput;
    /// let celsius = FloatInput { offset: 20.0, lsb: 0.25 };
    /// assert_eq!(celsius.integer(InputType::I16, 21.0), 4);
    /// assert_eq!(celsius.integer(InputType::I16, 20.125), 0); // half to even
    /// assert_eq!(celsius.integer(InputType::I8, -40.0), -128);
    /// ```
    pub fn integer(self, input_type: InputType, value: f32) -> i16 {
        // A double of this size has no fraction: adding it rounds. `f64::round_ties_even` is not in core.
        const WHOLE: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52
        let (low, high) = input_type.range();
        let scaled = (f64::from(value) - f64::from(self.offset)) / f64::from(self.lsb);
        let within = scaled.clamp(f64::from(low), f64::from(high));
        ((within + WHOLE) - WHOLE) as i16
    }
}

/// What a raw score of a value stands for: offset + raw · lsb.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FloatOutput {
    /// Value of a score of 0.
    pub offset: f32,
    /// What one integer stands for; not 0.
    pub lsb: f32,
}

impl FloatOutput {
    /// The value of a raw score, to the 24 bits of an f32.
    pub fn value(self, raw: i32) -> f32 {
        self.offset + raw as f32 * self.lsb
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Noise;

    /// Against the standard library, which has what `core` lacks: halves, values of any size, both signs of LSB.
    #[test]
    fn integers_are_the_nearest_ones() {
        let mut noise = Noise(7);
        let mut float = || f32::from(noise.sample()) / 2.0;
        let mut halves = 0;
        for round in 0..30_000 {
            let scale = [1.0, 1.0, 1e-6, 250.0, -3.7][round % 5];
            let (value, offset) = (float() * scale, float().trunc() * scale);
            for lsb in [scale, 2.0 * scale, -scale] {
                for input_type in [InputType::U8, InputType::I8, InputType::I16] {
                    let (low, high) = input_type.range();
                    let scaled = (f64::from(value) - f64::from(offset)) / f64::from(lsb);
                    halves += u32::from((scaled * 2.0) % 2.0 != 0.0 && (scaled * 2.0) % 1.0 == 0.0);
                    let nearest = scaled.round_ties_even().clamp(low.into(), high.into());
                    let input = FloatInput { offset, lsb };
                    assert_eq!(f64::from(input.integer(input_type, value)), nearest);
                }
            }
        }
        assert!(halves > 1_000, "{halves}");
        let infinite = FloatInput::INTEGER.integer(InputType::I16, f32::INFINITY);
        assert_eq!(infinite, i16::MAX);
        assert_eq!(FloatInput::INTEGER.integer(InputType::I16, f32::NAN), 0);
    }
}
