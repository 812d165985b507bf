//! Files that appear whole or not at all.

use crate::error::Result;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes a file under a temporary name beside its place, then renames it. A
/// reader sees the old file or the new one; on failure the old one stays and
/// nothing else is left. What is no file, such as `/dev/null` or a pipe, is
/// written as it stands: a rename would put a file in its place.
///
/// # Errors
/// Names the file and what the operating system said.
pub fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut std::fs::File>) -> Result<()>,
) -> Result<()> {
    let place = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let is_special = std::fs::metadata(path).is_ok_and(|about| !about.is_file());
    let attempt = || -> Result<()> {
        if is_special {
            let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
            let mut buffer = BufWriter::new(&mut file);
            write(&mut buffer)?;
            return Ok(buffer.flush()?);
        }
        let mut temporary = tempfile::Builder::new()
            .prefix(".bt-train-")
            .permissions_like_any_file()
            .tempfile_in(place)?;
        let mut buffer = BufWriter::new(temporary.as_file_mut());
        write(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|error| error.file(path))
}

/// Checks that a file can be put there, before the work that it is to hold.
///
/// # Errors
/// Names the file and what the operating system said about its folder.
pub fn check_place(path: &Path) -> Result<()> {
    if std::fs::metadata(path).is_ok_and(|about| !about.is_dir()) {
        return Ok(());
    }
    write_atomic(path, |_| Ok(()))?;
    Ok(std::fs::remove_file(path)?)
}

/// Temporary files are private by default; a finished file should not be.
trait PermissionsLikeAnyFile {
    fn permissions_like_any_file(&mut self) -> &mut Self;
}

impl PermissionsLikeAnyFile for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_like_any_file(&mut self) -> &mut Self {
        use std::os::unix::fs::PermissionsExt;
        // The process' umask still applies.
        self.permissions(std::fs::Permissions::from_mode(0o666))
    }

    #[cfg(not(unix))]
    fn permissions_like_any_file(&mut self) -> &mut Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        write_atomic(&path, |file| Ok(file.write_all(b"old")?)).unwrap();
        let failed = write_atomic(&path, |file| {
            file.write_all(b"new")?;
            Err(Error::setting("stop"))
        });
        assert!(failed.unwrap_err().to_string().contains("file: stop"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
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
