//! x of the types that NumPy makes by itself: float64, float16, integers of other widths, bool. They become f32 where
//! that loses nothing that matters, and are refused where it would.

use super::items::{check_finite, row_major};
use crate::data::npy::Header;
use crate::error::{Error, ErrorKind, Result};
use std::cell::Cell;
use std::io::Read;

/// Bytes that an item takes while it is read; none: not of a type that is read here.
pub(super) fn bytes(header: &Header) -> Option<u64> {
    match (header.kind, header.item_bytes) {
        ('f', Some(8)) => Some(12),
        ('f', Some(2)) | ('b', Some(1)) | ('u', Some(2)) | ('i' | 'u', Some(4 | 8)) => Some(4),
        _ => None,
    }
}

/// All values as f32, the last axis fastest.
///
/// # Errors
/// When the values are not finite, or f32 cannot tell them apart.
pub(super) fn read(header: &Header, reader: &mut dyn Read, width: usize) -> Result<Vec<f32>> {
    let lost = Cell::new(None);
    /// The f32 of this value, if there is one.
    macro_rules! exact {
        ($type:ty) => {
            row_major(header, reader, |item| {
                let value = <$type>::from_le_bytes(item);
                let float = value as f32;
                // Above 2²⁴ an f32 skips integers.
                if i128::from(value) != float as i128 {
                    lost.set(lost.get().or(Some(value as f64)));
                }
                float
            })
        };
    }
    let values = match (header.kind, header.item_bytes) {
        ('f', Some(8)) => return narrowed(header, reader, width),
        ('f', _) => row_major(header, reader, |item| half(u16::from_le_bytes(item))),
        ('b', _) => row_major(header, reader, |[item]: [u8; 1]| f32::from(item != 0)),
        ('u', Some(2)) => row_major(header, reader, |item| f32::from(u16::from_le_bytes(item))),
        ('u', Some(4)) => exact!(u32),
        ('u', _) => exact!(u64),
        ('i', Some(4)) => exact!(i32),
        _ => exact!(i64),
    }?;
    if let Some(value) = lost.get() {
        return Err(Error::new(ErrorKind::NoFloat {
            what: "a value is".into(),
            value,
            lost: "it",
        })
        .remedy(
            "subtract an offset, or save it in a larger unit, so that values stay below 16777216",
        ));
    }
    for (at, &value) in values.iter().enumerate() {
        check_finite(value, at, &header.shape)?;
    }
    Ok(values)
}

/// Rounding to f32 may take this share of a feature's range.
const SHARE_LOST: f64 = 1e-5;

/// float64, feature by feature.
fn narrowed(header: &Header, reader: &mut dyn Read, width: usize) -> Result<Vec<f32>> {
    let wide: Vec<f64> = row_major(header, reader, f64::from_le_bytes)?;
    let places = wide.iter().copied().enumerate();
    narrow(places, width, &header.shape, "feature")
}

/// Values and their places as f32, `width` of different units after one another, called `what`: what rounding takes off
/// must be small beside the range of those of one unit.
pub(super) fn narrow(
    values: impl ExactSizeIterator<Item = (usize, f64)>,
    width: usize,
    shape: &[usize],
    what: &str,
) -> Result<Vec<f32>> {
    #[derive(Clone)]
    struct Range {
        low: f64,
        high: f64,
        lost: f64,
    }
    let empty = Range {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        lost: 0.0,
    };
    let mut features = vec![empty; width];
    let count = values.len();
    let mut floats = Vec::new();
    floats
        .try_reserve_exact(count)
        .map_err(|_| Error::new(ErrorKind::NoRoom { values: count }))?;
    for (at, value) in values {
        let float = value as f32;
        if value.is_finite() && !float.is_finite() {
            return Err(too_fine(what, at % width, value));
        }
        check_finite(float, at, shape)?;
        let feature = &mut features[at % width];
        feature.low = feature.low.min(value);
        feature.high = feature.high.max(value);
        feature.lost = feature.lost.max((value - f64::from(float)).abs());
        floats.push(float);
    }
    for (i, feature) in features.iter().enumerate() {
        if feature.lost > SHARE_LOST * (feature.high - feature.low) && feature.high > feature.low {
            return Err(too_fine(what, i, feature.high));
        }
    }
    Ok(floats)
}

fn too_fine(what: &str, number: usize, value: f64) -> Error {
    Error::new(ErrorKind::NoFloat {
        what: format!("{what} {number} has values such as").into(),
        value,
        lost: "what they differ by",
    })
    .remedy("subtract an offset or choose another unit before it is saved")
}

/// The value of a float of 16 bits.
pub(super) fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    sign * match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the table of IEEE 754.
    #[test]
    fn halves_are_what_they_are() {
        for (bits, expected) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), expected, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
