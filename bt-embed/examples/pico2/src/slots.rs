//! Models in flash of their own: the end of the flash chip, by the boot ROM's functions.

use core::cell::RefCell;

use bt_embed::store::{Part, Slots};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use rp235x_hal::rom_data;

/// Where flash lies and how long it is, where in it the first slot begins, and how long each is; the linker leaves both
/// alone (memory.x).
const FLASH: usize = 0x1000_0000;
const FLASH_BYTES: usize = 4 * 1024 * 1024;
const SLOTS_OFFSET: usize = 3_670_016;
const SLOT_BYTES: usize = 256 * 1024;

/// What the chip programs at once; what is 0xFF in it stays as it was.
const PAGE: usize = 256;

/// `flash_op` of the boot ROM: an address of the running image, as secure code, and what to do there (`CFLASH_ASPACE`,
/// `CFLASH_SECLEVEL` and `CFLASH_OP` of pico-sdk's `boot/bootrom_constants.h`).
const RUNTIME_ADDRESS: u32 = 1;
const SECURE: u32 = 1 << 8;
const ERASE: u32 = 0 << 16;
const PROGRAM: u32 = 1 << 16;

/// Both slots in this flash.
pub fn slots(flash: &RefCell<RomFlash>) -> Slots<Part<'_, RomFlash>> {
    let slot = |number| {
        let offset = SLOTS_OFFSET + number * SLOT_BYTES;
        // SAFETY: this end of the flash is readable memory that nobody else writes to, and no cache keeps what was there.
        unsafe { Part::new(flash, offset as u32, FLASH + offset, SLOT_BYTES) }
    };
    Slots {
        flash: [slot(0), slot(1)],
        // A product looks for its signature here.
        accept: |_| true,
    }
}

/// The flash chip. The other core must not run from it, nor DMA read it, while it is written.
pub struct RomFlash;

impl RomFlash {
    /// Carries out one operation of the boot ROM, with which the flash is no memory for the while. The ROM writes beside
    /// the cache, which goes on with what was there until it is flushed.
    fn operate(what: u32, offset: u32, bytes: u32, data: *mut u8) -> Result<(), NorFlashErrorKind> {
        let flags = RUNTIME_ADDRESS | SECURE | what;
        let address = FLASH as u32 + offset;
        // Interrupts are handled by code in flash.
        let status = cortex_m::interrupt::free(|_| {
            // SAFETY: `data` has so many bytes where they are read; the ROM checks address and length, and reads by
            // commands that leave the flash memory in between. Nothing is pinned in the cache.
            unsafe {
                let status = rom_data::flash_op(flags, address, bytes, data);
                rom_data::flash_flush_cache();
                status
            }
        });
        match status {
            0 => Ok(()),
            _ => Err(NorFlashErrorKind::Other),
        }
    }
}

impl ErrorType for RomFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RomFlash {
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

impl NorFlash for RomFlash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        RomFlash::operate(ERASE, from, to - from, core::ptr::null_mut())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let (mut at, mut rest) = (offset as usize, bytes);
        while !rest.is_empty() {
            let within = at % PAGE;
            let (now, later) = rest.split_at(rest.len().min(PAGE - within));
            let mut page = [0xFF; PAGE];
            for (place, &byte) in page.iter_mut().skip(within).zip(now) {
                *place = byte;
            }
            let begin = (at - within) as u32;
            RomFlash::operate(PROGRAM, begin, PAGE as u32, page.as_mut_ptr())?;
            at += now.len();
            rest = later;
        }
        Ok(())
    }
}
