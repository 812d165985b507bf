//! Memory that one pass leaves to the next.

use std::sync::{Arc, Mutex};

/// Buffers that no task uses at the moment: of a map or layer and its clones, for all their passes. Fresh memory costs a
/// page fault every 4 KiB, and zeros that nobody reads. What an earlier task left in a buffer is never read either.
#[derive(Debug)]
pub struct Spare<B>(Arc<Mutex<Vec<B>>>);

impl<B> Clone for Spare<B> {
    /// The same buffers.
    fn clone(&self) -> Self {
        Spare(self.0.clone())
    }
}

impl<B> Default for Spare<B> {
    /// None yet.
    fn default() -> Self {
        Spare(Arc::default())
    }
}

impl<B> Spare<B> {
    /// One that serves.
    pub fn take(&self, serves: impl Fn(&B) -> bool) -> Option<B> {
        let mut buffers = self.0.lock().ok()?;
        let at = buffers.iter().rposition(serves)?;
        Some(buffers.swap_remove(at))
    }

    /// Leaves one to the next pass, if there are fewer than so many.
    pub fn leave(&self, buffer: B, most: usize) {
        if let Ok(mut buffers) = self.0.lock()
            && buffers.len() < most
        {
            buffers.push(buffer);
        }
    }
}
