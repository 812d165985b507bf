//! What a UART finds wrong.

use embedded_io::ErrorKind;

/// Bytes were lost or damaged on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartError {
    /// Bytes came faster than they were read, or were written faster than sent.
    Overrun,
    /// A byte came in a form that it cannot have: its parity, its stop bit, or a break.
    Framing,
}

impl core::fmt::Display for UartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            UartError::Overrun => "the UART lost bytes",
            UartError::Framing => "the UART received no byte but noise",
        })
    }
}

impl core::error::Error for UartError {}

impl embedded_io::Error for UartError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
