//! Section bytes to [`FrontEnd`]: everything is checked here, once.

use core::fmt;

use super::fft::{self, Turn};
use super::high_pass::HighPass;
use super::layout::{self, Tables};
use super::level::LEVEL_FRACTION_BITS;
use super::{FrontEnd, Level};

/// Why a section is not a front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrontEndError {
    /// The bytes do not start on a multiple of 4.
    Misaligned,
    /// Fewer or more bytes than the tables take.
    Length {
        /// Bytes that the header asks for (the header alone, if not even
        /// that is there).
        need: usize,
        /// Bytes given.
        found: usize,
    },
    /// A layout that this version does not read.
    Format {
        /// The number found.
        found: u32,
    },
    /// The sample rate is zero.
    SampleRate,
    /// Not a power of two from 32 to 2048.
    Window {
        /// Samples found.
        found: u16,
    },
    /// Odd, zero or longer than the window.
    Hop {
        /// Samples found.
        found: u16,
    },
    /// Zero or more than 256.
    Bands {
        /// Bands found.
        found: u16,
    },
    /// An unknown treatment of the level.
    Level {
        /// The number found.
        found: u16,
    },
    /// A pair of cosine and sine longer than one: the FFT could overflow.
    Turn {
        /// Its place in the table.
        index: usize,
    },
    /// A mel weight above one.
    Rise {
        /// Its place in the table.
        index: usize,
    },
    /// Mel edges that fall, or lie beyond the last FFT bin.
    Edge {
        /// Its place in the table.
        index: usize,
    },
}

impl fmt::Display for FrontEndError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned => write!(f, "does not start on a multiple of 4 bytes"),
            Self::Length { need, found } => write!(f, "{found} bytes where {need} are needed"),
            Self::Format { found } => write!(
                f,
                "format {found}, not {} or {}",
                layout::FORMAT_UNFILTERED,
                layout::FORMAT
            ),
            Self::SampleRate => write!(f, "a sample rate of zero"),
            Self::Window { found } => write!(f, "a window of {found} samples"),
            Self::Hop { found } => write!(f, "a hop of {found} samples"),
            Self::Bands { found } => write!(f, "{found} bands"),
            Self::Level { found } => write!(f, "unknown treatment {found} of the level"),
            Self::Turn { index } => write!(f, "turn {index} lies beyond the unit circle"),
            Self::Rise { index } => write!(f, "mel weight {index} is above one"),
            Self::Edge { index } => write!(f, "mel edge {index} is out of order"),
        }
    }
}

impl core::error::Error for FrontEndError {}

impl<'m> FrontEnd<'m> {
    /// Checks a section and borrows its tables.
    ///
    /// # Errors
    ///
    /// Names the first field that breaks its limits. What passes cannot
    /// overflow, whatever the samples.
    #[doc(hidden)]
    // Its frame is not to lie under all that a model's parser does.
    #[inline(never)]
    pub fn parse(section: &'m [u8]) -> Result<FrontEnd<'m>, FrontEndError> {
        let found = section.len();
        let header = FrontEndError::Length {
            need: layout::HEADER_BYTES,
            found,
        };
        let half = |range| {
            let bytes: Option<&[u8; 2]> = section.get(range).and_then(|b: &[u8]| b.try_into().ok());
            bytes.map(|&b| u16::from_le_bytes(b)).ok_or(header)
        };
        let word = |range| {
            let bytes: Option<&[u8; 4]> = section.get(range).and_then(|b: &[u8]| b.try_into().ok());
            bytes.map(|&b| u32::from_le_bytes(b)).ok_or(header)
        };

        let format = word(layout::FORMAT_FIELD)?;
        let sample_rate_hz = word(layout::SAMPLE_RATE)?;
        let window = half(layout::WINDOW)?;
        let hop = half(layout::HOP)?;
        let bands = half(layout::BANDS)?;
        let level = half(layout::LEVEL)?;
        let high_pass = match format {
            layout::FORMAT => Some(HighPass::new(sample_rate_hz)),
            layout::FORMAT_UNFILTERED => None,
            found => return Err(FrontEndError::Format { found }),
        };
        let windows = layout::WINDOW_MIN..=layout::WINDOW_MAX;
        if !window.is_power_of_two() || !windows.contains(&usize::from(window)) {
            return Err(FrontEndError::Window { found: window });
        }
        if hop == 0 || hop % 2 != 0 || hop > window {
            return Err(FrontEndError::Hop { found: hop });
        }
        if bands == 0 || usize::from(bands) > layout::BANDS_MAX {
            return Err(FrontEndError::Bands { found: bands });
        }
        let Some(level) = Level::from_number(level) else {
            return Err(FrontEndError::Level { found: level });
        };

        // An octave a second.
        let release = (u32::from(hop) << LEVEL_FRACTION_BITS)
            .checked_div(sample_rate_hz)
            .ok_or(FrontEndError::SampleRate)?;

        let end = Tables::new(window.into(), bands.into()).end;
        if found != end {
            return Err(FrontEndError::Length { need: end, found });
        }
        let front_end = FrontEnd {
            sample_rate_hz,
            window,
            hop,
            bands,
            level,
            release,
            high_pass,
            section: bytemuck::try_cast_slice(section).map_err(|_| FrontEndError::Misaligned)?,
        };

        // One and a half LSB of rounding beyond the unit circle.
        let one = i64::from((1i32 << 15) + 1);
        let too_long = |&turn: &Turn| {
            let (cos, sin) = (i64::from(fft::cos(turn)), i64::from(fft::sin(turn)));
            cos * cos + sin * sin > one * one
        };
        if let Some(index) = front_end.turns().iter().position(too_long) {
            return Err(FrontEndError::Turn { index });
        }
        let mut rises = front_end.rises().iter();
        if let Some(index) = rises.position(|&rise| rise > layout::RISE_ONE) {
            return Err(FrontEndError::Rise { index });
        }
        let mut lowest = 0;
        for (index, &edge) in front_end.edges().iter().enumerate() {
            if edge < lowest || edge > window / 2 {
                return Err(FrontEndError::Edge { index });
            }
            lowest = edge;
        }
        Ok(front_end)
    }
}
