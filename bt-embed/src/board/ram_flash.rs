//! RAM that stands in for flash, on boards of which all memory is RAM: what is erased is all ones, and writing only
//! clears bits. It outlives a reset, not the power.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::register::Register;
use crate::store::Slot;
use crate::{SLOT_BYTES, SLOTS_START};

/// One slot.
pub struct Flash {
    start: usize,
}

/// Both slots, once.
pub fn take_slots() -> Option<[Flash; 2]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let is_first = !TAKEN.swap(true, Ordering::Relaxed);
    is_first.then(|| [SLOTS_START, SLOTS_START + SLOT_BYTES].map(|start| Flash { start }))
}

impl Flash {
    /// A word of the slot.
    fn word(&mut self, offset: usize) -> Register {
        // SAFETY: a word of this slot, which the linker leaves to it; nobody holds its bytes, since they are borrowed
        // from this value.
        unsafe { Register::at(self.start + offset) }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let from = self.bytes().iter().skip(offset as usize);
        for (place, &byte) in bytes.iter_mut().zip(from) {
            *place = byte;
        }
        Ok(())
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
            self.word(offset).write(u32::MAX);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let (words, _) = bytes.as_chunks::<4>();
        for (index, &word) in words.iter().enumerate() {
            let place = self.word(offset as usize + 4 * index);
            place.write(place.read() & u32::from_le_bytes(word));
        }
        Ok(())
    }
}

impl Slot for Flash {
    fn bytes(&self) -> &[u8] {
        // SAFETY: RAM that the linker leaves to this slot, readable for ever, and written through `&mut self` alone.
        unsafe {
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance(self.start), SLOT_BYTES)
        }
    }
}
