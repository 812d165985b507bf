//! Models in flash of their own: the last two sectors, by the HAL's driver.

use core::cell::RefCell;

use bt_embed::store::{Part, Slots};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};
use stm32f4xx_hal::flash::{Error, FlashExt as _, UnlockedFlash};
use stm32f4xx_hal::pac;

/// Where flash lies and how long it is, where in it the first slot begins, and how long each is; the linker leaves both
/// alone (memory.x).
const FLASH: usize = 0x0800_0000;
const FLASH_BYTES: usize = 1024 * 1024;
const SLOTS_OFFSET: usize = 786_432;
const SLOT_BYTES: usize = 128 * 1024;

/// Both slots in this flash.
pub fn slots(flash: &RefCell<CoherentFlash>) -> Slots<Part<'_, CoherentFlash>> {
    let slot = |number| {
        let offset = SLOTS_OFFSET + number * SLOT_BYTES;
        // SAFETY: these sectors are readable memory that nobody else writes to, and the flash is coherent.
        unsafe { Part::new(flash, offset as u32, FLASH + offset, SLOT_BYTES) }
    };
    Slots {
        flash: [slot(0), slot(1)],
        // A product looks for its signature here.
        accept: |_| true,
    }
}

/// Flash of which what was written is read: the accelerator's data cache, which the HAL switches on, does not see writes.
pub struct CoherentFlash(pub pac::FLASH);

impl CoherentFlash {
    /// One operation of the controller, which is locked before it and behind it. What an operation before it left of
    /// errors is cleared: the HAL would take it for this one's.
    fn operate(
        &mut self,
        work: impl FnOnce(&mut UnlockedFlash<'_>) -> Result<(), Error>,
    ) -> Result<(), NorFlashErrorKind> {
        self.0.sr().write(|w| {
            w.operr().clear();
            w.wrperr().clear();
            w.pgaerr().clear();
            w.pgperr().clear();
            w.pgserr().clear()
        });
        let result = work(&mut self.0.unlocked());
        self.flush();
        result.map_err(|error| error.kind())
    }

    /// Forgets what the data cache holds; it may only be reset while it is off.
    fn flush(&mut self) {
        self.0.acr().modify(|_, w| w.dcen().clear_bit());
        self.0.acr().modify(|_, w| w.dcrst().set_bit());
        self.0.acr().modify(|_, w| w.dcrst().clear_bit());
        self.0.acr().modify(|_, w| w.dcen().set_bit());
    }
}

impl ErrorType for CoherentFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for CoherentFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let from = core::ptr::with_exposed_provenance::<u8>(FLASH + offset as usize);
        // SAFETY: within the flash.
        bytes.copy_from_slice(unsafe { core::slice::from_raw_parts(from, bytes.len()) });
        Ok(())
    }

    fn capacity(&self) -> usize {
        FLASH_BYTES
    }
}

impl NorFlash for CoherentFlash {
    const WRITE_SIZE: usize = 1;
    /// The sectors from the fifth on.
    const ERASE_SIZE: usize = SLOT_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for offset in (from as usize..to as usize).step_by(Self::ERASE_SIZE) {
            // The first 128 KiB are five smaller sectors.
            let sector = 4 + offset / Self::ERASE_SIZE;
            self.operate(|flash| flash.erase(sector as u8))?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.operate(|flash| flash.program(offset as usize, bytes.iter()))
    }
}
