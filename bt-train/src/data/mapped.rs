//! Values that stay in their file: the operating system brings in what is read and drops it again.

use crate::data::{ElementType, Values};
use crate::error::Result;
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::sync::Arc;

/// Little-endian values in a file, one after the other.
#[derive(Debug, Clone)]
pub struct Mapped {
    bytes: Arc<Mmap>,
    element: ElementType,
}

impl Mapped {
    /// The `len` bytes from `start` on.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new(file: &File, start: u64, len: usize, element: ElementType) -> Result<Mapped> {
        let mut options = MmapOptions::new();
        options.offset(start).len(len);
        // SAFETY: the map is read-only and its bytes become integers and floats by value, of which
        // any bits are one. Another process that writes the file meanwhile changes what is learned;
        // one that cuts it short ends this one by a signal.
        let bytes = Arc::new(unsafe { options.map(file) }?);
        Ok(Mapped { bytes, element })
    }

    /// Their type.
    pub fn element_type(&self) -> ElementType {
        self.element
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.element.bytes()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with the place and the value of each in `range`, in order.
    pub fn for_each(&self, range: std::ops::Range<usize>, mut f: impl FnMut(usize, f32)) {
        let size = self.element.bytes();
        let bytes = &self.bytes[range.start * size..range.end * size];
        match self.element {
            ElementType::U8 => {
                let values = bytes.iter().map(|&b| f32::from(b));
                values.enumerate().for_each(|(i, v)| f(i, v));
            }
            ElementType::I8 => {
                let values = bytes.iter().map(|&b| f32::from(b as i8));
                values.enumerate().for_each(|(i, v)| f(i, v));
            }
            ElementType::I16 => {
                let values = bytes.as_chunks().0.iter().copied();
                let values = values.map(|b| f32::from(i16::from_le_bytes(b)));
                values.enumerate().for_each(|(i, v)| f(i, v));
            }
            ElementType::F32 => {
                let values = bytes.as_chunks().0.iter().copied();
                let values = values.map(f32::from_le_bytes);
                values.enumerate().for_each(|(i, v)| f(i, v));
            }
        }
    }

    /// All of them in memory.
    pub fn read(&self) -> Values {
        let bytes = &self.bytes[..];
        match self.element {
            ElementType::U8 => Values::U8(bytes.to_vec()),
            ElementType::I8 => Values::I8(bytes.iter().map(|&b| b as i8).collect()),
            ElementType::I16 => {
                let values = bytes.as_chunks().0.iter();
                Values::I16(values.map(|&b| i16::from_le_bytes(b)).collect())
            }
            ElementType::F32 => {
                let values = bytes.as_chunks().0.iter();
                Values::F32(values.map(|&b| f32::from_le_bytes(b)).collect())
            }
        }
    }
}

impl PartialEq for Mapped {
    fn eq(&self, other: &Mapped) -> bool {
        self.element == other.element && self.bytes[..] == other.bytes[..]
    }
}
