//! z, which maps add to: its format, and how near its integers are to reals.

/// LSB of z per unit: Q4.11.
pub const Z_SCALE: f64 = 2048.0;

/// How z of a map is kept while the map adds to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ZFormat {
    /// LSB per unit.
    pub scale: f64,
    /// What z starts from, beside a bias; none: zeros.
    pub start: Vec<f64>,
}

impl Default for ZFormat {
    /// As a cell reads it.
    fn default() -> Self {
        Self {
            scale: Z_SCALE,
            start: Vec::new(),
        }
    }
}

impl ZFormat {
    /// What z starts from, in integers.
    pub fn integers(&self) -> impl Iterator<Item = i16> {
        let integer = |start: &f64| (start * self.scale).round().clamp(-32_768.0, 32_767.0) as i16;
        self.start.iter().map(integer)
    }
}

/// 10·log10 of signal over noise power of z, over all pairs of (integers of `scale` LSB per unit, real).
pub fn snr_db<'z>(pairs: impl Iterator<Item = (Vec<i16>, &'z Vec<f64>)>, scale: f64) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (found, wanted) in pairs {
        for (found, wanted) in found.iter().zip(wanted) {
            signal += wanted * wanted;
            noise += (f64::from(*found) / scale - wanted).powi(2);
        }
    }
    10.0 * (signal / noise.max(f64::MIN_POSITIVE)).log10()
}
