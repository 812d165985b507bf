//! Recordings in memory: samples of 16 bits, whatever their file holds.

use crate::data::riff;
use crate::data::samples::{from_integer, mono};
use crate::error::{Error, Result};
use std::path::Path;

pub use crate::data::samples::Sound;

/// Endings of the files that are read.
pub const ENDINGS: [&str; 2] = ["wav", "flac"];

/// Whether a file is a recording by its name.
pub fn is_recording(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// Reads a file of `.wav` or `.flac`, told apart by its first bytes.
///
/// # Errors
/// When it cannot be read, is cut short, or holds what is no sound.
pub fn read(path: &Path) -> Result<Sound> {
    let bytes = std::fs::read(path)?;
    match bytes.starts_with(b"fLaC") {
        true => flac(&bytes),
        false => riff::parse(&bytes),
    }
}

fn flac(bytes: &[u8]) -> Result<Sound> {
    let damaged = |error: claxon::Error| {
        Error::malformed(error).remedy("the file is cut short, damaged or no .flac")
    };
    let mut reader = claxon::FlacReader::new(bytes).map_err(damaged)?;
    let about = reader.streaminfo();
    let (channels, bits) = (about.channels as usize, about.bits_per_sample);
    let samples = reader
        .samples()
        .collect::<std::result::Result<Vec<i32>, _>>();
    let samples = samples.map_err(damaged)?;
    let found = samples.len() as u64 / u64::from(about.channels).max(1);
    if about.samples.is_some_and(|promised| promised != found) || about.sample_rate == 0 {
        return Err(Error::malformed(format!(
            "it holds {found} samples at {} a second, not those its header promises",
            about.sample_rate
        ))
        .remedy("the file is cut short or damaged"));
    }
    let samples = samples.into_iter().map(|sample| from_integer(sample, bits));
    Ok(Sound {
        rate: about.sample_rate,
        samples: mono(samples, channels),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sound in every format, as libsndfile wrote it; see `tests/data/sound/make.py`.
    #[test]
    fn formats_of_one_sound_agree() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/sound");
        let read = |name: &str| read(&place.join(name)).unwrap();
        let plain = read("i16.wav");
        assert_eq!((plain.rate, plain.samples.len()), (8000, 400));
        assert!(
            plain
                .samples
                .iter()
                .any(|sample| sample.unsigned_abs() > 8000)
        );
        for name in [
            "i24.wav", "i32.wav", "f32.wav", "f64.wav", "i16.flac", "i24.flac",
        ] {
            assert_eq!(read(name), plain, "{name}");
        }
        // Eight bits keep the upper byte.
        for name in ["u8.wav", "i8.flac"] {
            let coarse = read(name);
            let pairs = coarse.samples.iter().zip(&plain.samples);
            let furthest = pairs.map(|(a, b)| (a - b).unsigned_abs()).max();
            assert!(furthest <= Some(256), "{name}: {furthest:?}");
        }
        // The other channel is the same sound backwards.
        let stereo = read("stereo.flac");
        let (first, last) = (i32::from(plain.samples[0]), i32::from(plain.samples[399]));
        assert_eq!(i32::from(stereo.samples[0]), (first + last) / 2);
    }

    /// Cut at any length or with any bit of its frames turned a .flac is refused, or gives the same sound.
    #[test]
    fn damage_is_found() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/sound");
        for name in ["i16.flac", "stereo.flac"] {
            let whole = std::fs::read(place.join(name)).unwrap();
            let sound = flac(&whole).unwrap();
            for length in 4..whole.len() {
                flac(&whole[..length]).unwrap_err();
            }
            // Rate and width stand in the 42 bytes before, which have no checksum.
            for at in 42..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << (at % 8);
                let found = flac(&damaged).map(|found| found.samples);
                assert!(found.is_err() || found.unwrap() == sound.samples, "{at}");
            }
        }
    }
}
