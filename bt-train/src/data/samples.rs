//! Samples of 16 bits, made of those of other types.

use crate::error::{Error, ErrorKind, Result};

/// Mono sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// The samples, several channels averaged.
    pub samples: Vec<i16>,
}

/// The sample of 16 bits nearest to an integer of so many, its highest bit being the sign; the largest there is
/// where rounding would go beyond.
pub fn from_integer(sample: i32, bits: u32) -> i16 {
    let sample = i64::from(sample);
    match bits {
        0..=16 => (sample << (16 - bits)) as i16,
        _ => {
            let half = 1 << (bits - 17);
            ((sample + half) >> (bits - 16)).min(i16::MAX.into()) as i16
        }
    }
}

/// The mean of the channels of each frame.
pub fn mono(samples: impl Iterator<Item = i16>, channels: usize) -> Vec<i16> {
    let (mut sum, mut channel) = (0i32, 0);
    let frames = samples.filter_map(|sample| {
        sum += i32::from(sample);
        channel += 1;
        if channel < channels {
            return None;
        }
        channel = 0;
        Some((std::mem::take(&mut sum) / channels as i32) as i16)
    });
    frames.collect()
}

/// The sample nearest to a float of full scale 1.
///
/// # Errors
/// When it is no number.
pub fn from_float(sample: f64, place: usize) -> Result<i16> {
    if !sample.is_finite() {
        return Err(Error::new(ErrorKind::NotFinite {
            value: sample as f32,
            index: vec![place],
        })
        .field("samples"));
    }
    // What is beyond full scale is cut off there: so does a microphone.
    Ok((sample * 32_768.0).round_ties_even() as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_width_become_the_nearest_of_16_bits() {
        for (sample, bits, expected) in [
            (-128, 8, -32_768),
            (127, 8, 32_512),
            (-5, 16, -5),
            (0x7f_ffff, 24, i16::MAX),
            (-0x80_0000, 24, i16::MIN),
            (384, 24, 2),
            (383, 24, 1),
            (-385, 24, -2),
            (i32::MAX, 32, i16::MAX),
            (i32::MIN, 32, i16::MIN),
            (3 << 15, 32, 2),
        ] {
            assert_eq!(from_integer(sample, bits), expected, "{sample} of {bits}");
        }
        assert_eq!(from_float(0.5, 0).unwrap(), 16_384);
        assert_eq!(from_float(1.5, 0).unwrap(), i16::MAX);
        assert_eq!(from_float(-1.5, 0).unwrap(), i16::MIN);
        assert_eq!(from_float(2.5 / 32_768.0, 0).unwrap(), 2);
        let line = from_float(f64::NAN, 7).unwrap_err().to_string();
        assert!(line.contains("NaN") && line.contains("[7]"), "{line}");
        assert_eq!(mono([1i16, 3, -5, -6].into_iter(), 2), [2, -5]);
    }
}
