//! Values that stay where they are: in their file, of which the operating system brings in what is read and drops it
//! again, or in memory of somebody else.

use crate::data::{ElementType, Values};
use crate::error::Result;
use memmap2::MmapOptions;
use std::fmt;
use std::fs::File;
use std::sync::Arc;

/// Bytes that belong to somebody else and stay as they are for as long as this is held.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Little-endian values in a file or elsewhere, one after the other.
#[derive(Clone)]
pub struct Mapped {
    bytes: Bytes,
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
        Ok(Mapped::of(bytes, element))
    }

    /// All of these bytes.
    pub fn of(bytes: Bytes, element: ElementType) -> Mapped {
        Mapped { bytes, element }
    }

    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// Their type.
    pub fn element_type(&self) -> ElementType {
        self.element
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.bytes().len() / self.element.bytes()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with the place and the value of each in `range`, in order.
    pub fn for_each(&self, range: std::ops::Range<usize>, mut f: impl FnMut(usize, f32)) {
        let size = self.element.bytes();
        let bytes = &self.bytes()[range.start * size..range.end * size];
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
        let bytes = self.bytes();
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

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values of {}", self.len(), self.element)
    }
}

impl PartialEq for Mapped {
    fn eq(&self, other: &Mapped) -> bool {
        self.element == other.element && self.bytes() == other.bytes()
    }
}
