//! A slot in flash that one driver drives as a whole, as HALs have it.
#![allow(unsafe_code)]

use core::cell::RefCell;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use super::Slot;

/// A part of a flash that holds one model; both slots share the driver.
///
/// ```
/// use core::cell::RefCell;
/// use bt_embed::store::{Part, Slots};
/// use embedded_storage::nor_flash::NorFlash;
///
/// /// The last two sectors of an STM32F405, whose flash lies at 0x0800_0000.
/// fn slots<F: NorFlash>(flash: &RefCell<F>) -> Slots<Part<'_, F>> {
///     const SECTOR: usize = 128 * 1024;
///     let slot = |offset: usize| {
///         // SAFETY: the linker leaves these sectors to the models (memory.x), and nobody else writes to them.
///         unsafe { Part::new(flash, offset as u32, 0x0800_0000 + offset, SECTOR) }
///     };
///     Slots { flash: [slot(6 * SECTOR), slot(7 * SECTOR)], accept: |_| true }
/// }
/// ```
pub struct Part<'c, F> {
    flash: &'c RefCell<F>,
    /// Where it begins in the flash, and in memory.
    offset: u32,
    address: usize,
    length: usize,
}

impl<'c, F: NorFlash> Part<'c, F> {
    /// `length` bytes from `offset` of a flash on, whole blocks, which can be read at `address`, a multiple of 4.
    ///
    /// # Safety
    ///
    /// There these bytes can be read for as long as the part is used; they change through it alone, and what `flash`
    /// writes is read there when it returns.
    pub unsafe fn new(flash: &'c RefCell<F>, offset: u32, address: usize, length: usize) -> Self {
        debug_assert!((offset as usize).is_multiple_of(F::ERASE_SIZE) && address.is_multiple_of(4));
        Part {
            flash,
            offset,
            address,
            length,
        }
    }
}

impl<F: ErrorType> ErrorType for Part<'_, F> {
    type Error = F::Error;
}

impl<F: NorFlash> ReadNorFlash for Part<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        let at = self.offset + offset;
        self.flash.borrow_mut().read(at, bytes)
    }

    fn capacity(&self) -> usize {
        self.length
    }
}

impl<F: NorFlash> NorFlash for Part<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        debug_assert!(to as usize <= self.length);
        let (from, to) = (self.offset + from, self.offset + to);
        self.flash.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        debug_assert!(offset as usize + bytes.len() <= self.length);
        let at = self.offset + offset;
        self.flash.borrow_mut().write(at, bytes)
    }
}

impl<F: NorFlash> Slot for Part<'_, F> {
    fn bytes(&self) -> &[u8] {
        // SAFETY: readable by the promise of `new`; written through `&mut self` alone, which nobody has meanwhile.
        unsafe {
            core::slice::from_raw_parts(
                core::ptr::with_exposed_provenance(self.address),
                self.length,
            )
        }
    }
}
