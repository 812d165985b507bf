//! What stands at the start of a slot: which image lies behind it.

use bt_core::health::Crc32c;

/// Bytes at the start of a slot that the record has to itself: the image begins behind them.
pub const RECORD_BYTES: usize = 64;

/// Bytes of the record proper; erased flash follows them.
pub(super) const LENGTH: usize = 24;

/// First bytes of a record of this version.
const MAGIC: [u8; 8] = *b"BTSLOT\x01\0";

/// A record that a slot may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Number of the slot, one more than that of the slot written before it.
    pub sequence: u32,
    /// Bytes of the image.
    pub length: u32,
    /// CRC-32C of the image.
    pub crc: u32,
}

impl Record {
    /// The record's bytes, with what is erased behind it.
    pub(super) fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0xFF; RECORD_BYTES];
        let fields = [self.sequence, self.length, self.crc];
        let words = fields.into_iter().flat_map(u32::to_le_bytes);
        for (place, byte) in bytes.iter_mut().zip(MAGIC.into_iter().chain(words)) {
            *place = byte;
        }
        if let Some((before, [sum, ..])) = bytes
            .split_at_mut_checked(LENGTH - 4)
            .map(|(before, rest)| (before, rest.as_chunks_mut::<4>().0))
        {
            *sum = Crc32c::new().with(before).value().to_le_bytes();
        }
        bytes
    }

    /// The record at the start of a slot and the image behind it, if both are whole.
    pub(super) fn image_in(slot: &[u8]) -> Option<(Record, &[u8])> {
        let (record, rest) = slot.split_at_checked(RECORD_BYTES)?;
        let field = |at: usize| {
            let bytes = record.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let found = Record {
            sequence: field(8)?,
            length: field(12)?,
            crc: field(16)?,
        };
        if *record != found.to_bytes() {
            return None;
        }
        let image = rest.get(..found.length as usize)?;
        (Crc32c::new().with(image).value() == found.crc).then_some((found, image))
    }
}

/// Bytes of an image that a slot of so many bytes holds.
pub const fn image_bytes(slot: usize) -> usize {
    slot.saturating_sub(RECORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> std::vec::Vec<u8> {
        let image = b"123456789";
        // The check value of CRC-32C's catalogue.
        let record = Record {
            sequence: 7,
            length: 9,
            crc: 0xE306_9283,
        };
        [&record.to_bytes()[..], image, &[0xFF; 7]].concat()
    }

    #[test]
    fn a_whole_slot_has_its_image() {
        let slot = slot();
        assert_eq!(
            slot[..20],
            *b"BTSLOT\x01\0\x07\0\0\0\x09\0\0\0\x83\x92\x06\xE3"
        );
        let (record, image) = Record::image_in(&slot).unwrap();
        assert_eq!((record.sequence, image), (7, &b"123456789"[..]));
        assert_eq!(Record::image_in(&[0xFF; 80]), None);
        assert_eq!(Record::image_in(&[0; 80]), None);
    }

    #[test]
    fn any_change_and_any_cut_makes_it_none() {
        let whole = slot();
        for at in 0..RECORD_BYTES + 9 {
            for bit in 0..8 {
                let mut slot = whole.clone();
                slot[at] ^= 1 << bit;
                assert_eq!(Record::image_in(&slot), None, "{at}");
            }
            assert_eq!(Record::image_in(&whole[..at]), None, "{at}");
        }
    }
}
