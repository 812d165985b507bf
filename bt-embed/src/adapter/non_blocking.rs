//! `embedded-hal` 0.2's serial traits, as stm32f4xx-hal and others have them.

use core::fmt::Debug;

use embedded_hal_02::serial;
use embedded_io::{ErrorKind, ErrorType, Read, Write};

/// A serial port of `embedded-hal` 0.2 as a line: it waits where that one would return `WouldBlock`.
#[derive(Clone, Copy, Debug)]
pub struct Nb<S>(pub S);

/// What a HAL found wrong with its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalError<E>(pub E);

impl<E: Debug> core::fmt::Display for HalError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the line failed: {:?}", self.0)
    }
}

impl<E: Debug> core::error::Error for HalError<E> {}

impl<E: Debug> embedded_io::Error for HalError<E> {
    fn kind(&self) -> ErrorKind {
        // Bytes may be lost; the traits below do not say what it was.
        ErrorKind::Other
    }
}

impl<S: serial::Read<u8, Error: Debug>> ErrorType for Nb<S> {
    type Error = HalError<S::Error>;
}

impl<S: serial::Read<u8, Error: Debug>> Read for Nb<S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        *first = nb::block!(self.0.read()).map_err(HalError)?;
        Ok(1)
    }
}

impl<S, E: Debug> Write for Nb<S>
where
    S: serial::Read<u8, Error = E> + serial::Write<u8, Error = E>,
{
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        let Some(&first) = bytes.first() else {
            return Ok(0);
        };
        nb::block!(self.0.write(first)).map_err(HalError)?;
        Ok(1)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        nb::block!(self.0.flush()).map_err(HalError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that is ready every third time it is asked, and whose byte 0xEE is noise.
    #[derive(Default)]
    struct Port {
        asked: u32,
        coming: Vec<u8>,
        gone: Vec<u8>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Noise;

    impl Port {
        fn wait(&mut self) -> nb::Result<(), Noise> {
            self.asked += 1;
            match self.asked % 3 {
                0 => Ok(()),
                _ => Err(nb::Error::WouldBlock),
            }
        }
    }

    impl serial::Read<u8> for Port {
        type Error = Noise;

        fn read(&mut self) -> nb::Result<u8, Noise> {
            self.wait()?;
            match self.coming.remove(0) {
                0xEE => Err(nb::Error::Other(Noise)),
                byte => Ok(byte),
            }
        }
    }

    impl serial::Write<u8> for Port {
        type Error = Noise;

        fn write(&mut self, byte: u8) -> nb::Result<(), Noise> {
            self.wait()?;
            self.gone.push(byte);
            Ok(())
        }

        fn flush(&mut self) -> nb::Result<(), Noise> {
            self.wait()
        }
    }

    #[test]
    fn bytes_pass_and_errors_are_told() {
        let mut line = Nb(Port {
            coming: vec![1, 0xEE, 2],
            ..Port::default()
        });
        let mut byte = [0; 4];
        assert_eq!(line.read(&mut []), Ok(0));
        assert_eq!((line.read(&mut byte), byte[0]), (Ok(1), 1));
        assert_eq!(line.read(&mut byte), Err(HalError(Noise)));
        assert_eq!((line.read(&mut byte), byte[0]), (Ok(1), 2));
        line.write_all(&[7, 8, 9]).unwrap();
        line.flush().unwrap();
        assert_eq!(line.0.gone, [7, 8, 9]);
        assert_eq!(line.0.asked, 3 * 7);
    }
}
