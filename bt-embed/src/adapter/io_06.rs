//! `embedded-io` 0.6, the version before.

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use embedded_io_06::ErrorKind as OldKind;

/// A stream of `embedded-io` 0.6 as one of 0.7.
#[derive(Clone, Copy, Debug)]
pub struct Io06<S>(pub S);

/// An error of the older traits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Io06Error<E>(pub E);

impl<E: core::fmt::Debug> core::fmt::Display for Io06Error<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the line failed: {:?}", self.0)
    }
}

impl<E: core::fmt::Debug> core::error::Error for Io06Error<E> {}

impl<E: embedded_io_06::Error> embedded_io::Error for Io06Error<E> {
    fn kind(&self) -> ErrorKind {
        match self.0.kind() {
            // After these a call is made again; after all others bytes may be lost.
            OldKind::Interrupted => ErrorKind::Interrupted,
            OldKind::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Other,
        }
    }
}

impl<S: embedded_io_06::ErrorType> ErrorType for Io06<S> {
    type Error = Io06Error<S::Error>;
}

impl<S: embedded_io_06::Read> Read for Io06<S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(buffer).map_err(Io06Error)
    }
}

impl<S: embedded_io_06::Write> Write for Io06<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.write(bytes).map_err(Io06Error)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        self.0.flush().map_err(Io06Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_io::Error as _;

    /// The older crate's own error.
    struct Stream {
        fails: Option<OldKind>,
        gone: Vec<u8>,
    }

    impl embedded_io_06::ErrorType for Stream {
        type Error = OldKind;
    }

    impl embedded_io_06::Read for Stream {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize, OldKind> {
            match self.fails.take() {
                Some(kind) => Err(kind),
                None => {
                    buffer.fill(5);
                    Ok(buffer.len())
                }
            }
        }
    }

    impl embedded_io_06::Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, OldKind> {
            self.gone.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<(), OldKind> {
            Ok(())
        }
    }

    #[test]
    fn bytes_pass_and_errors_keep_their_kind() {
        let mut line = Io06(Stream {
            fails: Some(OldKind::TimedOut),
            gone: Vec::new(),
        });
        let mut bytes = [0; 2];
        let error = line.read(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!((line.read(&mut bytes), bytes), (Ok(2), [5, 5]));
        line.0.fails = Some(OldKind::InvalidData);
        let error = line.read(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        line.write_all(&[1, 2]).unwrap();
        assert_eq!(line.0.gone, [1, 2]);
    }
}
