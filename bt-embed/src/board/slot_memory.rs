//! Where the linker leaves memory to two models: read in place, whatever writes it.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use embedded_storage::nor_flash::NorFlashErrorKind;

use super::register::Register;
use crate::{SLOT_BYTES, SLOTS_START};

/// The memory of one slot.
pub struct SlotMemory {
    start: usize,
}

impl SlotMemory {
    /// Both of them, once.
    pub fn take() -> Option<[SlotMemory; 2]> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        // Load and store: the M0 has no swap, and no interrupt comes here.
        if TAKEN.load(Ordering::Relaxed) {
            return None;
        }
        TAKEN.store(true, Ordering::Relaxed);
        Some([SLOTS_START, SLOTS_START + SLOT_BYTES].map(|start| SlotMemory { start }))
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: memory that the linker leaves to this slot, readable for ever, and written through `&mut self` alone.
        unsafe {
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance(self.start), SLOT_BYTES)
        }
    }

    /// Copies bytes from an offset on; those behind the end stay as they are.
    pub fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let from = self.bytes().iter().skip(offset as usize);
        for (place, &byte) in bytes.iter_mut().zip(from) {
            *place = byte;
        }
        Ok(())
    }

    /// A word of the slot, by its offset, which 4 divides and which lies in it.
    pub fn word(&mut self, offset: usize) -> Register {
        debug_assert!(offset.is_multiple_of(4) && offset < SLOT_BYTES);
        // SAFETY: a word of this slot, which the linker leaves to it; nobody holds its bytes, since they are borrowed
        // from this value.
        unsafe { Register::at(self.start + offset) }
    }
}
