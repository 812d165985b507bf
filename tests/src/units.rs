//! Data in units of every size, as sensors and data sets have them.

use bt_train::data::Values;
use rand::{Rng, RngExt};

/// Units of a feature: the raw value of normalized 0, and of 1 more than that.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// The raw value of 0.
    pub offset: f64,
    /// Raw values from 0 to 1; negative where the feature is turned over.
    pub deviation: f64,
}

/// What data sets hold, with the units that it can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Bytes without a sign.
    U8,
    /// Bytes with one.
    I8,
    /// Registers.
    I16,
    /// Floats.
    F32,
}

impl Held {
    /// All of them.
    pub const ALL: [Held; 4] = [Held::U8, Held::I8, Held::I16, Held::F32];

    /// The nearest values that this type holds.
    pub fn values(self, raw: Vec<f64>) -> Values {
        match self {
            Held::U8 => Values::U8(whole(raw, 0.0, 255.0).map(|v| v as u8).collect()),
            Held::I8 => Values::I8(whole(raw, -128.0, 127.0).map(|v| v as i8).collect()),
            Held::I16 => Values::I16(whole(raw, -32_768.0, 32_767.0).map(|v| v as i16).collect()),
            Held::F32 => Values::F32(raw.into_iter().map(|v| v as f32).collect()),
        }
    }

    /// A unit from three numbers of 0 to 1, its sign among them.
    pub fn unit(self, [place, size, sign]: [f64; 3]) -> Unit {
        let (deviation, offset) = match self {
            Held::U8 => (10f64.powf(0.3 + 1.2 * size), 60.0 + 130.0 * place),
            Held::I8 => (10f64.powf(0.3 + 1.2 * size), 100.0 * (place - 0.5)),
            Held::I16 => (10f64.powf(0.3 + 3.2 * size), 50_000.0 * (place - 0.5)),
            Held::F32 => {
                let deviation = 10f64.powf(18.0 * size - 9.0);
                // Up to 10⁵ deviations, at which f32 resolves 1/128 of one; small ones too.
                (
                    deviation,
                    deviation * (10f64.powf(7.0 * place - 2.0) - 0.01),
                )
            }
        };
        let sign = if sign < 0.25 { -1.0 } else { 1.0 };
        Unit {
            offset: f64::from(offset as f32),
            deviation: sign * deviation,
        }
    }
}

fn whole(raw: Vec<f64>, low: f64, high: f64) -> impl Iterator<Item = f64> {
    raw.into_iter()
        .map(move |value| value.round().clamp(low, high))
}

/// A normal number, by the sum of twelve.
pub fn normal(rng: &mut impl Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}
