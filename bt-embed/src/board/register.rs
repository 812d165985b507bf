//! Volatile access to device registers.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr;

/// One device register of a word, or of a byte.
#[derive(Clone, Copy, Debug)]
pub struct Register<T = u32> {
    address: usize,
    width: PhantomData<T>,
}

impl<T: Copy> Register<T> {
    /// The register at an address.
    ///
    /// # Safety
    ///
    /// `address` is aligned to a `T` and that of a device register which may be
    /// read and written at any time without touching memory of the program.
    pub const unsafe fn at(address: usize) -> Self {
        Register {
            address,
            width: PhantomData,
        }
    }

    /// Reads the register.
    pub fn read(self) -> T {
        // SAFETY: `at` was promised a device register, aligned and readable.
        unsafe { ptr::read_volatile(ptr::with_exposed_provenance(self.address)) }
    }

    /// Writes the register.
    pub fn write(self, value: T) {
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

    /// The register of a byte at an offset of the block.
    #[cfg(feature = "_virt")]
    pub const fn byte(self, offset: usize) -> Register<u8> {
        // SAFETY: `at` was promised that the driver's offsets are registers.
        unsafe { Register::at(self.base + offset) }
    }
}
