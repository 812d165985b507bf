//! Files that appear whole or not at all.
//!
//! Whatever the program changes on disk it changes here, one operation after
//! the other through `fault`, where tests stop a program at any of them.

mod fault;

#[cfg(test)]
pub(crate) use fault::{End, ending};

use crate::error::{Error, ErrorKind, Result, With};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a file under a temporary name beside its place, then renames it. A
/// reader sees the old file or the new one; on failure the old one stays and
/// nothing else is left. A kill may leave the temporary file, `.bt-train-` and
/// the name; the next write of the same file uses it again. What is no file,
/// such as `/dev/null` or a pipe, is written as it stands: a rename would put a
/// file in its place.
///
/// # Errors
/// Names the file and what the operating system said.
pub fn write_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let attempt = || -> Result<()> {
        if is_special(path)? {
            let mut buffer = BufWriter::new(OpenOptions::new().write(true).open(path)?);
            write(&mut buffer)?;
            return Ok(buffer.flush()?);
        }
        let mut temporary = Temporary::beside(path)?;
        let mut buffer = BufWriter::new(&mut temporary);
        write(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        Ok(temporary.put_at(path)?)
    };
    attempt().map_err(|error| error.file(path))
}

/// Checks that a file can be put there, before the work that it is to hold.
/// What is there stays as it is, and nothing appears under the name.
///
/// # Errors
/// Names the file and what the operating system said about its folder.
pub fn check_place(path: &Path) -> Result<()> {
    let attempt = || -> io::Result<()> {
        if !is_special(path)? {
            Temporary::beside(path)?;
        }
        Ok(())
    };
    attempt().map_err(|error| Error::from(error).file(path))
}

/// As [`check_place`]; checks too that it is none of the files that are read, and nothing that lies in a folder that is,
/// which would be lost.
///
/// # Errors
/// As [`check_place`], or names the file.
pub fn check_out(path: &Path, read: &[&Path]) -> Result<()> {
    check_place(path)?;
    if !is_special(path).unwrap_or(false) {
        read.iter().try_for_each(|read| check_other(path, read))?;
    }
    Ok(())
}

/// Checks that a file, if it is there, is not what is read, nor in a folder that is.
///
/// # Errors
/// Names the file.
pub fn check_other(path: &Path, read: &Path) -> Result<()> {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    let (Some(own), Some(read)) = (whole(path), whole(read)) else {
        return Ok(());
    };
    let why = match (own == read, own.starts_with(&read)) {
        (true, _) => "is read here, and would be lost",
        (false, true) => "is there already, in a folder that is read here, and would be lost",
        (false, false) => return Ok(()),
    };
    let with = With::Input;
    Err(Error::new(ErrorKind::Conflict { with, why })
        .file(path)
        .remedy("write to another name"))
}

/// Checks that a model in integers is not called what one in floats is.
///
/// # Errors
/// Names the file.
pub fn check_integers(path: &Path) -> Result<()> {
    let why = "is named as floats are, and integers are written here";
    check_ending(path, "safetensors", why, "call it .btm")
}

/// Checks that a model in floats is not called what one in integers is.
///
/// # Errors
/// Names the file.
pub fn check_floats(path: &Path) -> Result<()> {
    let why = "is named as integers are, and floats are written here";
    let remedy = "call it .safetensors; `bt-train quantize` makes integers of it";
    check_ending(path, "btm", why, remedy)
}

fn check_ending(path: &Path, other: &str, why: &'static str, remedy: &str) -> Result<()> {
    let ending = path.extension();
    if !ending.is_some_and(|ending| ending.eq_ignore_ascii_case(other)) {
        return Ok(());
    }
    let with = With::Kind;
    Err(Error::new(ErrorKind::Conflict { with, why })
        .file(path)
        .remedy(remedy))
}

/// Makes a folder, and those above it, where there is none.
///
/// # Errors
/// Names the folder and what the operating system said.
pub fn create_folder(path: &Path) -> Result<()> {
    fault::before(fault::Operation::Create)
        .and_then(|()| std::fs::create_dir_all(path))
        .map_err(|error| Error::from(error).file(path))
}

/// A folder that no other process may write in. It is free again when this is
/// dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Takes the folder by a lock on the file `.lock` in it, which stays.
    ///
    /// # Errors
    /// [`ErrorKind::InUse`] when another has it; otherwise what the operating system said.
    pub fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join(".lock");
        let in_file = |error: io::Error| Error::from(error).file(&path);
        fault::before(fault::Operation::Create).map_err(in_file)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(in_file)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { file }),
            Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::InUse).file(folder)),
            Err(TryLockError::Error(error)) => Err(in_file(error)),
        }
    }
}

impl Drop for FolderLock {
    /// Closing the file would not do: a program that another thread is starting has a copy of it
    /// for a moment, and the lock lasts as long as any copy.
    fn drop(&mut self) {
        // What cannot be given back here is given back with the last copy.
        let _ = self.file.unlock();
    }
}

/// Whether something that is neither file nor folder has the name.
fn is_special(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(about) if about.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(about) => Ok(!about.is_file()),
        Err(_) => Ok(false),
    }
}

/// A file under its temporary name; removed when dropped.
struct Temporary {
    file: File,
    path: PathBuf,
    /// Whether it still has that name.
    is_there: bool,
}

impl Temporary {
    /// An empty one in the folder of `path`. Who else is about to write the
    /// same file is waited for: the last one wins, whole.
    fn beside(path: &Path) -> io::Result<Temporary> {
        let mut name = OsString::from(".bt-train-");
        name.push(path.file_name().ok_or(io::ErrorKind::IsADirectory)?);
        let path = path.with_file_name(name);
        loop {
            // Nothing is written through a link that somebody laid there.
            if std::fs::symlink_metadata(&path).is_ok_and(|about| !about.is_file()) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fault::before(fault::Operation::Create)?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            file.lock()?;
            // Whoever had the lock may have renamed the file or removed it.
            if is_at(&file, &path)? {
                let temporary = Temporary {
                    file,
                    path,
                    is_there: true,
                };
                fault::before(fault::Operation::Write)?;
                temporary.file.set_len(0)?;
                return Ok(temporary);
            }
        }
    }

    /// Gives the file its name, once all of it is on the disk.
    fn put_at(mut self, path: &Path) -> io::Result<()> {
        fault::sync(&self.file)?;
        fault::before(fault::Operation::Rename)?;
        std::fs::rename(&self.path, path)?;
        self.is_there = false;
        Ok(())
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fault::write(&mut self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_there && fault::before(fault::Operation::Remove).is_ok() {
            // An error is under way already, and the next write uses the file again.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether an open file is the one that has this name now.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    Ok(std::fs::symlink_metadata(path)
        .is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())))
}

/// Whether an open file is the one that has this name now.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    Ok(path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        write_atomic(&path, |file| Ok(file.write_all(b"old")?)).unwrap();
        let failed = write_atomic(&path, |file| {
            file.write_all(b"new")?;
            Err(Error::malformed("stop"))
        });
        assert!(
            failed
                .unwrap_err()
                .to_string()
                .contains("file: cannot be read: stop")
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    /// Stopped at each operation, by a kill or by a full disk, a write leaves the old file or the new
    /// one; the next write goes through and leaves nothing else.
    #[test]
    fn a_write_stopped_anywhere_leaves_the_old_file_or_the_new_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let old = vec![b'a'; 50_000];
        let new = vec![b'b'; 70_000];
        let write = |bytes: &[u8]| {
            write_atomic(&path, |file| {
                for part in bytes.chunks(30_000) {
                    file.write_all(part)?;
                }
                Ok(())
            })
        };
        let ((), operations) = ending(usize::MAX, End::Killed, || write(&new).unwrap());
        assert!(operations >= 5, "{operations}");
        for end in [End::Killed, End::Full] {
            for at in 0..=operations {
                write(&old).unwrap();
                let left = ending(at, end, || write(&new)).0;
                let found = std::fs::read(&path).unwrap();
                // The last operation renames, which needs no room.
                let last = operations - usize::from(end == End::Full);
                assert_eq!(left.is_ok(), at >= last, "{end:?} at {at}");
                let expected = if left.is_ok() { &new } else { &old };
                assert!(found == *expected, "{end:?} at {at}");
                let files = std::fs::read_dir(place.path()).unwrap().count();
                if let Err(error) = left {
                    let line = error.to_string();
                    assert!(line.starts_with(path.to_str().unwrap()), "{line}");
                    assert!(end == End::Killed || files == 1, "{end:?} at {at}");
                }
                write(&new).unwrap();
                assert!(std::fs::read(&path).unwrap() == new);
                assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
            }
        }
    }

    /// Two that write the same file at the same time: one of them is left, whole.
    #[test]
    fn writers_of_one_file_take_turns() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::thread::scope(|scope| {
            for letter in b'a'..b'e' {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..50 {
                        let bytes = [letter; 10_000];
                        write_atomic(path, |file| Ok(file.write_all(&bytes)?)).unwrap();
                        let found = std::fs::read(path).unwrap();
                        assert_eq!(found.len(), bytes.len());
                        assert!(found.iter().all(|&byte| byte == found[0]));
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_has_one_owner_until_it_is_dropped() {
        let place = tempfile::tempdir().unwrap();
        let owner = FolderLock::take(place.path()).unwrap();
        let error = FolderLock::take(place.path()).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::InUse), "{error}");
        let line = error.to_string();
        assert!(line.starts_with(place.path().to_str().unwrap()), "{line}");
        // As a program that is being started has it for a moment.
        let copy = owner.file.try_clone().unwrap();
        drop(owner);
        FolderLock::take(place.path()).unwrap();
        drop(copy);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_under_the_temporary_name() {
        let place = tempfile::tempdir().unwrap();
        let victim = place.path().join("victim");
        std::fs::write(&victim, b"old").unwrap();
        let trap = place.path().join(".bt-train-file");
        std::os::unix::fs::symlink(&victim, trap).unwrap();
        let path = place.path().join("file");
        write_atomic(&path, |file| Ok(file.write_all(b"new")?)).unwrap_err();
        assert_eq!(std::fs::read(&victim).unwrap(), b"old");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        let path = Path::new("/dev/null");
        write_atomic(path, |file| Ok(file.write_all(b"new")?)).unwrap();
        let kind = std::fs::metadata(path).unwrap().file_type();
        assert!(kind.is_char_device());
    }

    #[test]
    fn a_place_is_checked_and_left_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        check_place(&path).unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        // A kill in between leaves nothing under the name either.
        ending(2, End::Killed, || check_place(&path)).0.unwrap();
        assert!(!path.exists());
        std::fs::write(&path, b"old").unwrap();
        check_place(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let error = check_place(place.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(place.path().to_str().unwrap())
        );
        check_place(Path::new("/nowhere/file")).unwrap_err();
    }

    #[test]
    fn names_the_file_it_cannot_write() {
        let error = write_atomic(Path::new("/nowhere/file"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/file: "));
    }
}
