//! RAM that stands in for flash, on boards of which all memory is RAM: what is erased is all ones, and writing only
//! clears bits. It outlives a reset, not the power.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::slot_memory::SlotMemory;
use crate::SLOT_BYTES;
use crate::store::Slot;

/// One slot.
pub struct Flash {
    memory: SlotMemory,
}

/// Both slots, once.
pub fn take_slots() -> Option<[Flash; 2]> {
    SlotMemory::take().map(|memories| memories.map(|memory| Flash { memory }))
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        self.memory.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        SLOT_BYTES
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for offset in (from as usize..to as usize).step_by(4) {
            self.memory.word(offset).write(u32::MAX);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let (words, _) = bytes.as_chunks::<4>();
        for (index, &word) in words.iter().enumerate() {
            let place = self.memory.word(offset as usize + 4 * index);
            place.write(place.read() & u32::from_le_bytes(word));
        }
        Ok(())
    }
}

impl Slot for Flash {
    fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }
}
