//! A front end's section from its configuration (host; feature `alloc`).

use alloc::vec::Vec;
use core::f64::consts::PI;
use core::fmt;

use super::Level;
use super::layout::{self, BANDS_MAX, RISE_ONE, Tables, WINDOW_MAX, WINDOW_MIN};

/// What the tables are computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// Samples under one Hann window, which is also the FFT's length: a power
    /// of two, [`WINDOW_MIN`] to [`WINDOW_MAX`].
    pub window: usize,
    /// Samples from one window to the next: even, at most the window.
    pub hop: usize,
    /// Mel bands, [`BANDS_MAX`] at most.
    pub bands: usize,
    /// Lower end of the lowest band, Hz.
    pub low_hz: f32,
    /// Upper end of the highest band, Hz; at most half the sample rate.
    pub high_hz: f32,
    /// What values are measured against.
    pub level: Level,
    /// [`FORMAT`](super::FORMAT); [`FORMAT_UNFILTERED`](super::FORMAT_UNFILTERED)
    /// for a network that learned from such vectors.
    pub format: u32,
}

impl Default for Config {
    /// Spoken digits: 32 bands of 8 kHz audio every 16 ms, 32 ms at a time.
    fn default() -> Config {
        Config {
            sample_rate_hz: 8_000,
            window: 256,
            hop: 128,
            bands: 32,
            low_hz: 80.0,
            high_hz: 3_800.0,
            level: Level::Relative,
            format: layout::FORMAT,
        }
    }
}

/// Why there are no tables for a configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither of the formats that there are.
    Format {
        /// The number asked for.
        found: u32,
    },
    /// The sample rate is zero.
    SampleRate,
    /// The window is not a power of two from [`WINDOW_MIN`] to [`WINDOW_MAX`].
    Window {
        /// Samples asked for.
        found: usize,
    },
    /// The hop is odd, zero or longer than the window.
    Hop {
        /// Samples asked for.
        found: usize,
        /// The window.
        max: usize,
    },
    /// No band, or more than [`BANDS_MAX`].
    Bands {
        /// Bands asked for.
        found: usize,
    },
    /// Not 0 ≤ `low_hz` < `high_hz` ≤ half the sample rate.
    Frequencies {
        /// Lower end, Hz.
        low_hz: f32,
        /// Upper end, Hz.
        high_hz: f32,
        /// Half the sample rate.
        max_hz: f32,
    },
    /// A band so narrow that no FFT bin falls into it: fewer bands or a longer
    /// window are needed.
    EmptyBand {
        /// The first such band.
        band: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ConfigError::Format { found } => write!(
                f,
                "format {found}; there are {} and {}",
                layout::FORMAT_UNFILTERED,
                layout::FORMAT
            ),
            ConfigError::SampleRate => write!(f, "the sample rate is zero"),
            ConfigError::Window { found } => write!(
                f,
                "a window of {found} samples; it must be a power of two, {WINDOW_MIN} to {WINDOW_MAX}"
            ),
            ConfigError::Hop { found, max } => {
                write!(
                    f,
                    "a hop of {found} samples; it must be even, 2 to {max} (the window)"
                )
            }
            ConfigError::Bands { found } => {
                write!(f, "{found} bands; there must be 1 to {BANDS_MAX}")
            }
            ConfigError::Frequencies {
                low_hz,
                high_hz,
                max_hz,
            } => write!(
                f,
                "bands from {low_hz} to {high_hz} Hz; they must rise and lie within 0 to {max_hz} Hz"
            ),
            ConfigError::EmptyBand { band } => write!(
                f,
                "band {band} is so narrow that no FFT bin falls into it; take fewer bands or a longer window"
            ),
        }
    }
}

impl core::error::Error for ConfigError {}

/// The section of a model file that [`FrontEnd::parse`](super::FrontEnd::parse)
/// reads.
///
/// The same bytes on every host: `libm` computes the tables, not the system.
///
/// # Errors
///
/// The first field that breaks its limits.
pub fn write(config: &Config) -> Result<Vec<u8>, ConfigError> {
    let Config {
        sample_rate_hz,
        window,
        hop,
        bands,
        low_hz,
        high_hz,
        level,
        format,
    } = *config;
    if ![layout::FORMAT_UNFILTERED, layout::FORMAT].contains(&format) {
        return Err(ConfigError::Format { found: format });
    }
    if sample_rate_hz == 0 {
        return Err(ConfigError::SampleRate);
    }
    if !window.is_power_of_two() || !(WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        return Err(ConfigError::Window { found: window });
    }
    if hop == 0 || hop % 2 != 0 || hop > window {
        return Err(ConfigError::Hop {
            found: hop,
            max: window,
        });
    }
    if bands == 0 || bands > BANDS_MAX {
        return Err(ConfigError::Bands { found: bands });
    }
    let max_hz = sample_rate_hz as f32 / 2.0;
    // Written so that a NaN is refused.
    if !(0.0 <= low_hz && low_hz < high_hz && high_hz <= max_hz) {
        return Err(ConfigError::Frequencies {
            low_hz,
            high_hz,
            max_hz,
        });
    }

    let (low, high) = (mel(f64::from(low_hz)), mel(f64::from(high_hz)));
    let step = (high - low) / (bands + 1) as f64;
    let bins = window / 2;
    // Each bin's place on the scale of edges, 0 (low) to bands + 1 (high).
    let place = |bin: usize| {
        let hz = bin as f64 * f64::from(sample_rate_hz) / window as f64;
        (mel(hz) - low) / step
    };
    let edge = |index: usize| {
        (0..bins)
            .find(|&bin| place(bin) >= index as f64)
            .unwrap_or(bins)
    };
    let edges: Vec<usize> = (0..bands + 2).map(edge).collect();
    if let Some(band) = (0..bands).find(|&band| edges[band] == edges[band + 2]) {
        return Err(ConfigError::EmptyBand { band });
    }

    let tables = Tables::new(window, bands);
    let mut section = Vec::with_capacity(tables.end);
    section.extend(format.to_le_bytes());
    section.extend(sample_rate_hz.to_le_bytes());
    let level = match level {
        Level::Absolute => 0,
        Level::Relative => 1,
    };
    for field in [window, hop, bands, level] {
        section.extend((field as u16).to_le_bytes());
    }
    for k in 0..bins {
        let angle = 2.0 * PI * k as f64 / window as f64;
        for value in [libm::cos(angle), libm::sin(angle)] {
            // The cast saturates: cos 0 becomes 1 − 2⁻¹⁵.
            section.extend((libm::rint(value * 32_768.0) as i16).to_le_bytes());
        }
    }
    for bin in 0..bins {
        let place = place(bin).clamp(0.0, (bands + 1) as f64);
        let rise = place - libm::floor(place);
        section.extend((libm::rint(rise * f64::from(RISE_ONE)) as u16).to_le_bytes());
    }
    for edge in edges {
        section.extend((edge as u16).to_le_bytes());
    }
    section.resize(tables.end, 0);
    Ok(section)
}

/// The mel scale: 2595·log₁₀(1 + f/700 Hz).
fn mel(hz: f64) -> f64 {
    2_595.0 * libm::log10(1.0 + hz / 700.0)
}
