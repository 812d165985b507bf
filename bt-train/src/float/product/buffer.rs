//! Memory for the operands of a product.

use std::ops::{Deref, DerefMut};

/// Values that start on a cache line. A row of 16 that straddles two lines
/// costs two accesses, which is a tenth of a small product's time.
#[derive(Debug)]
pub struct Buffer<T> {
    values: Vec<T>,
    start: usize,
    len: usize,
}

/// Bytes of a cache line and of the widest register.
const LINE: usize = 64;

impl<T: Copy + Default> Buffer<T> {
    /// `len` times the default value.
    pub fn new(len: usize) -> Buffer<T> {
        let spare = LINE / size_of::<T>().max(1);
        let values = vec![T::default(); len + spare];
        // Where the address cannot be aligned, any start will do.
        let start = values.as_ptr().align_offset(LINE).min(spare);
        Buffer { values, start, len }
    }

    /// The values of an iterator that yields `len` of them.
    pub fn collect(len: usize, values: impl Iterator<Item = T>) -> Buffer<T> {
        let mut buffer = Buffer::new(len);
        buffer.iter_mut().zip(values).for_each(|(to, v)| *to = v);
        buffer
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_line() {
        for len in [0, 1, 17, 1000] {
            let mut buffer = Buffer::<f32>::new(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr() as usize % LINE, 0);
            buffer.fill(1.0);
            assert_eq!(buffer.iter().sum::<f32>(), len as f32);
        }
        assert_eq!(*Buffer::collect(3, 1..), [1, 2, 3]);
    }
}
