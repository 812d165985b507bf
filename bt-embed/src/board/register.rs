//! Volatile access to device registers: the only `unsafe` beside [`super::stack`].
#![allow(unsafe_code)]

use core::ptr;

/// One 32-bit device register.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    address: usize,
}

impl Register {
    /// The register at an address.
    ///
    /// # Safety
    ///
    /// `address` is a multiple of 4 and that of a device register which may be
    /// read and written at any time without touching memory of the program.
    pub const unsafe fn at(address: usize) -> Self {
        Register { address }
    }

    /// Reads the register.
    pub fn read(self) -> u32 {
        // SAFETY: `at` was promised a device register, aligned and readable.
        unsafe { ptr::read_volatile(ptr::with_exposed_provenance(self.address)) }
    }

    /// Writes the register.
    pub fn write(self, value: u32) {
        // SAFETY: `at` was promised a device register, aligned and writable,
        // that no Rust object overlaps.
        unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(self.address), value) }
    }
}

/// A device: a block of registers.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    base: usize,
}

impl Block {
    /// The block at a base address.
    ///
    /// # Safety
    ///
    /// `base` is a multiple of 4, and [`Register::at`] is sound for every
    /// offset that the block's driver uses.
    pub const unsafe fn at(base: usize) -> Self {
        Block { base }
    }

    /// The register at an offset of the block.
    pub const fn register(self, offset: usize) -> Register {
        // SAFETY: `at` was promised that the driver's offsets are registers.
        unsafe { Register::at(self.base + offset) }
    }
}
