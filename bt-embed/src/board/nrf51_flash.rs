//! The flash of the nRF51 series by its controller (NVMC), which halts the core while it works. QEMU has it too.
#![allow(unsafe_code)]

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::register::Block;
use super::slot_memory::SlotMemory;
use crate::SLOT_BYTES;
use crate::store::Slot;

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
    memory: SlotMemory,
}

/// Both slots, once.
pub fn take_slots() -> Option<[Flash; 2]> {
    let memories = SlotMemory::take()?;
    // SAFETY: by the nRF51 reference manual this is the controller, and no memory of the program.
    let controller = unsafe { Block::at(NVMC) };
    Some(memories.map(|memory| Flash { controller, memory }))
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
        self.memory.read(offset, bytes)
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
            let address = self.memory.bytes().as_ptr().addr() as u32 + page;
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
            let place = offset as usize + 4 * index;
            self.with(WRITE_ENABLED, |flash| {
                flash.memory.word(place).write(u32::from_le_bytes(word));
            });
        }
        Ok(())
    }
}

impl Slot for Flash {
    fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }
}
