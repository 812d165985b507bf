//! The flash of the nRF51 series by its controller (NVMC), which halts the core while it works. QEMU has it too.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::register::{Block, Register};
use crate::store::Slot;
use crate::{SLOT_BYTES, SLOTS_START};

const NVMC: usize = 0x4001_E000;

const READY: usize = 0x400;
const CONFIG: usize = 0x504;
const ERASE_PAGE: usize = 0x508;

const READ_ONLY: u32 = 0;
const WRITE_ENABLED: u32 = 1;
const ERASE_ENABLED: u32 = 2;

/// One slot.
pub struct Flash {
    controller: Block,
    start: usize,
}

/// Both slots, once.
pub fn take_slots() -> Option<[Flash; 2]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // Load and store: the core has no swap, and nobody else comes here.
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    // SAFETY: by the nRF51 reference manual this is the controller, and no memory of the program.
    let controller = unsafe { Block::at(NVMC) };
    Some([SLOTS_START, SLOTS_START + SLOT_BYTES].map(|start| Flash { controller, start }))
}

impl Flash {
    /// Carries out one thing with the flash open for it.
    fn with(&mut self, mode: u32, work: impl FnOnce(&mut Self)) {
        self.controller.register(CONFIG).write(mode);
        work(self);
        while self.controller.register(READY).read() == 0 {}
        self.controller.register(CONFIG).write(READ_ONLY);
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
    const ERASE_SIZE: usize = 1024;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for page in (from..to).step_by(Self::ERASE_SIZE) {
            let address = (self.start + page as usize) as u32;
            self.with(ERASE_ENABLED, |flash| {
                flash.controller.register(ERASE_PAGE).write(address);
            });
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let (words, _) = bytes.as_chunks::<4>();
        for (index, &word) in words.iter().enumerate() {
            let address = self.start + offset as usize + 4 * index;
            self.with(WRITE_ENABLED, |_| {
                // SAFETY: a word of this slot, which the linker leaves to it; nobody holds its bytes, since
                // they are borrowed from this value.
                unsafe { Register::<u32>::at(address) }.write(u32::from_le_bytes(word));
            });
        }
        Ok(())
    }
}

impl Slot for Flash {
    fn bytes(&self) -> &[u8] {
        // SAFETY: flash that the linker leaves to this slot, readable for ever, and written through `&mut self` alone.
        unsafe {
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance(self.start), SLOT_BYTES)
        }
    }
}
