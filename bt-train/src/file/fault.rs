//! Where every operation that changes the file system passes. In tests it can
//! end there, as by a kill or on a full disk; otherwise nothing happens here.

use std::fs::File;
use std::io;

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A file or a folder appears.
    Create,
    /// Bytes are written, or brought to the disk.
    Write,
    /// A file takes its final name.
    Rename,
    /// A temporary file goes.
    Remove,
}

/// Whether the operation may be done.
#[cfg(not(test))]
pub fn before(_: Operation) -> io::Result<()> {
    Ok(())
}

/// Writes some of the bytes.
#[cfg(not(test))]
pub fn write(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    io::Write::write(file, bytes)
}

/// Brings what was written to the disk.
#[cfg(not(test))]
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

#[cfg(test)]
pub use injected::{End, before, ending, sync, write};

#[cfg(test)]
mod injected {
    use super::{File, Operation, io};
    use std::cell::Cell;
    use std::io::Write;

    /// How the operations of a thread end.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum End {
        /// From then on nothing has any effect, as if the process were no more.
        Killed,
        /// From then on nothing can be created or written; renaming and removing go on.
        Full,
        /// Nothing can be created, written, renamed or removed: the folder became read-only.
        ReadOnly,
        /// The process ends, with nothing cleaned up.
        Abort,
    }

    thread_local! {
        /// Operations left until the end, how it ends, operations seen.
        static PLAN: Cell<Option<(usize, End, usize)>> = const { Cell::new(None) };
    }

    /// Does `work` with the end after `at` operations; gives how many there were, those that failed
    /// included.
    pub fn ending<T>(at: usize, end: End, work: impl FnOnce() -> T) -> (T, usize) {
        PLAN.set(Some((at, end, 0)));
        let result = work();
        let seen = PLAN.take().map_or(0, |(_, _, seen)| seen);
        (result, seen)
    }

    pub fn before(operation: Operation) -> io::Result<()> {
        match next(operation) {
            Some(End::Abort) => std::process::abort(),
            Some(end) => Err(error(end)),
            None => Ok(()),
        }
    }

    /// Half of the bytes are written when it ends here.
    pub fn write(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        let Some(end) = next(Operation::Write) else {
            return file.write(bytes);
        };
        if end != End::ReadOnly {
            file.write_all(&bytes[..bytes.len() / 2])?;
        }
        match end {
            End::Abort => std::process::abort(),
            end => Err(error(end)),
        }
    }

    /// Tests end processes, not the machine: what was written is there without waiting for the disk.
    pub fn sync(_: &File) -> io::Result<()> {
        before(Operation::Write)
    }

    /// The end, if the operation falls to it.
    fn next(operation: Operation) -> Option<End> {
        let (left, end, seen) = PLAN.get()?;
        PLAN.set(Some((left.saturating_sub(1), end, seen + 1)));
        let goes_on = matches!(operation, Operation::Rename | Operation::Remove);
        (left == 0 && !(end == End::Full && goes_on)).then_some(end)
    }

    fn error(end: End) -> io::Error {
        match end {
            End::Full => io::ErrorKind::StorageFull.into(),
            End::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
            _ => io::Error::other("killed"),
        }
    }
}
