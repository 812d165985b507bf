//! CRC-32C (Castagnoli, reflected) by half bytes: 64 bytes of table. It is computed where time does not
//! matter, over a model at boot and, a little a step, while it is served, and over the scores of a self test.

/// What a half byte adds.
static HALVES: [u32; 16] = halves();

const fn halves() -> [u32; 16] {
    let mut halves = [0; 16];
    let mut half = 0;
    while half < 16 {
        let mut crc = half as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = (crc >> 1) ^ ((crc & 1) * 0x82F6_3B78);
            bit += 1;
        }
        halves[half] = crc;
        half += 1;
    }
    halves
}

/// A CRC-32C (Castagnoli) under way: the checksum of model files, saved states and slots.
///
/// ```
/// use bt_core::health::Crc32c;
/// assert_eq!(Crc32c::new().with(b"1234").with(b"56789").value(), 0xE306_9283);
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Crc32c(u32);

impl Crc32c {
    /// Of no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Of these bytes too.
    #[inline(never)]
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |crc, &byte| {
            let crc = crc ^ u32::from(byte);
            let crc = (crc >> 4) ^ HALVES[(crc & 15) as usize];
            (crc >> 4) ^ HALVES[(crc & 15) as usize]
        }))
    }

    /// The checksum.
    #[must_use]
    pub const fn value(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4, and the check value of the catalogues.
    #[test]
    fn published_values() {
        let ascending: [u8; 32] = core::array::from_fn(|k| k as u8);
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"123456789", 0xE306_9283),
            (&[0; 32], 0x8A91_36AA),
            (&[0xFF; 32], 0x62A8_AB43),
            (&ascending, 0x46DD_794E),
        ] {
            assert_eq!(Crc32c::new().with(bytes).value(), expected);
            let (first, rest) = bytes.split_at(bytes.len() / 3);
            assert_eq!(Crc32c::new().with(first).with(rest).value(), expected);
        }
    }
}
