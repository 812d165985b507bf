//! A model's file read again while it is in use: flash forgets, and a bit that has flipped makes wrong scores.

use super::ParseError;
use super::layout::CRC_AT;
use crate::crc32c::Crc32c;

/// Goes through a model's file, a few bytes at a time, round and round.
///
/// ```
/// use bt_core::error::ParseError;
/// use bt_core::health::Scrub;
///
/// /// What a product does after every step.
/// fn look(scrub: &mut Scrub, file: &[u8]) -> Result<(), ParseError> {
///     scrub.next(file, 1024)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scrub {
    at: usize,
    crc: Crc32c,
}

impl Scrub {
    /// Looks at the next `count` bytes of the model's file.
    ///
    /// # Errors
    ///
    /// [`ParseError::Crc`] at the end of a round in which the file was not what its CRC says: compute no more
    /// with it.
    pub fn next(&mut self, file: &[u8], count: usize) -> Result<(), ParseError> {
        let end = self.at.saturating_add(count).min(file.len());
        // The CRC is over all bytes but its own.
        for part in [self.at..end.min(CRC_AT.start), self.at.max(CRC_AT.end)..end] {
            self.crc = self.crc.with(file.get(part).unwrap_or_default());
        }
        self.at = end;
        if end < file.len() {
            return Ok(());
        }
        let computed = core::mem::take(self).crc.value();
        let stated = file.get(CRC_AT).and_then(|crc| crc.try_into().ok());
        let stated = u32::from_le_bytes(stated.unwrap_or_default());
        if stated == computed {
            Ok(())
        } else {
            Err(ParseError::Crc { stated, computed })
        }
    }
}
