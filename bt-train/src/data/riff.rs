//! Samples in `.wav` files: a RIFF header, then chunks one after the other.

use crate::data::samples::{Sound, from_float, from_integer, mono};
use crate::error::{Error, ErrorKind, Result};

/// A recorder that streams cannot go back to write how much it recorded; it leaves the largest size
/// that it knows, or 0. From this on a size is no size of a file that is smaller.
const SIZE_LEFT_OPEN: usize = 0x7fff_0000;

/// The sound of a whole file.
///
/// # Errors
/// When it is cut short, or holds other than integers and floats.
pub fn parse(bytes: &[u8]) -> Result<Sound> {
    let Some((header, mut rest)) = bytes.split_first_chunk::<12>() else {
        return Err(malformed("it ends within its header"));
    };
    if !header.starts_with(b"RIFF") || !header.ends_with(b"WAVE") {
        return Err(malformed("it has no RIFF header"));
    }
    // Not the size and eight: 32 bits do not hold what a header may say.
    let is_closed = bytes.len().checked_sub(8) == Some(u32_at(header, 4) as usize);
    let mut format = None;
    loop {
        let Some((head, content)) = rest.split_first_chunk::<8>() else {
            return Err(malformed("it ends before its samples"));
        };
        let size = u32_at(head, 4) as usize;
        let is_open = size >= SIZE_LEFT_OPEN || (size == 0 && !is_closed);
        if head.starts_with(b"data") && is_open && size.wrapping_sub(1) >= content.len() {
            return samples(format, content);
        }
        let Some((content, behind)) = content.split_at_checked(size) else {
            return Err(malformed("it ends within a chunk"));
        };
        match &head[..4] {
            b"fmt " => format = Some(Format::parse(content)?),
            b"data" => return samples(format, content),
            _ => (),
        }
        // A chunk of odd size is followed by a byte that belongs to none.
        rest = behind.get(size % 2..).unwrap_or_default();
    }
}

#[derive(Clone, Copy)]
struct Format {
    channels: usize,
    rate: u32,
    kind: Kind,
}

/// What a sample is; those of 8 bits have no sign.
#[derive(Clone, Copy)]
enum Kind {
    Integer { bytes: usize },
    Float { bytes: usize },
}

/// Integers, and the tag of formats that are told in an extension.
const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;
const EXTENDED: u16 = 0xfffe;

impl Format {
    fn parse(chunk: &[u8]) -> Result<Format> {
        if chunk.len() < 16 {
            return Err(malformed("its format is too short"));
        }
        let bits = u16_at(chunk, 14);
        let tag = match u16_at(chunk, 0) {
            EXTENDED if chunk.len() >= 26 => u16_at(chunk, 24),
            tag => tag,
        };
        let bytes = usize::from(bits / 8);
        let kind = match (tag, bits) {
            (INTEGERS, 8 | 16 | 24 | 32) => Kind::Integer { bytes },
            (FLOATS, 32 | 64) => Kind::Float { bytes },
            _ => {
                let kind = match tag {
                    INTEGERS => "integers".to_owned(),
                    FLOATS => "floats".to_owned(),
                    tag => format!("format {tag}"),
                };
                return Err(Error::new(ErrorKind::ElementType {
                    found: format!("{kind} of {bits} bits"),
                })
                .field("samples")
                .remedy("save it as 16-bit integers"));
            }
        };
        let format = Format {
            kind,
            channels: usize::from(u16_at(chunk, 2)),
            rate: u32_at(chunk, 4),
        };
        if format.channels == 0 || format.rate == 0 {
            return Err(malformed("it has no channel or no sample rate"));
        }
        Ok(format)
    }
}

fn samples(format: Option<Format>, data: &[u8]) -> Result<Sound> {
    let Some(Format {
        channels,
        rate,
        kind,
    }) = format
    else {
        return Err(malformed("its format is missing"));
    };
    let (Kind::Integer { bytes } | Kind::Float { bytes }) = kind;
    // Half a frame at the end is none.
    let whole = data.len() - data.len() % (bytes * channels);
    let items = data[..whole].chunks_exact(bytes);
    let samples: Vec<i16> = match kind {
        Kind::Integer { bytes: 1 } => items
            .map(|item| from_integer(i32::from(item[0]) - 128, 8))
            .collect(),
        Kind::Integer { bytes } => items
            .map(|item| {
                let mut wide = [0; 4];
                wide[4 - bytes..].copy_from_slice(item);
                from_integer(i32::from_le_bytes(wide), 32)
            })
            .collect(),
        Kind::Float { bytes: 4 } => items
            .enumerate()
            .map(|(place, item)| from_float(f32::from_bits(u32_at(item, 0)).into(), place))
            .collect::<Result<_>>()?,
        Kind::Float { .. } => items
            .enumerate()
            .map(|(place, item)| {
                let bits = u64::from(u32_at(item, 4)) << 32 | u64::from(u32_at(item, 0));
                from_float(f64::from_bits(bits), place)
            })
            .collect::<Result<_>>()?,
    };
    let samples = mono(samples.into_iter(), channels);
    Ok(Sound { rate, samples })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn malformed(what: &str) -> Error {
    Error::malformed(what).remedy("the file is cut short or no .wav")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A file as an independent writer makes it.
    fn written(channels: u16, samples: &[i16]) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        samples
            .iter()
            .for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    const SAMPLES: [i16; 6] = [0, 1, -2, i16::MAX, i16::MIN, 7];

    fn sound() -> Sound {
        Sound {
            rate: 8000,
            samples: SAMPLES.to_vec(),
        }
    }

    fn data_at(bytes: &[u8]) -> usize {
        bytes.windows(4).position(|name| name == b"data").unwrap()
    }

    #[test]
    fn reads_what_others_write() {
        assert_eq!(parse(&written(1, &SAMPLES)).unwrap(), sound());
        let stereo = parse(&written(2, &SAMPLES)).unwrap();
        assert_eq!(stereo.samples, [0, 16_382, -16_380]);
        // An empty recording with something behind it is empty.
        let mut empty = written(1, &[]);
        empty.extend(b"LIST\x04\0\0\0info");
        let size = empty.len() as u32 - 8;
        empty[4..8].copy_from_slice(&size.to_le_bytes());
        assert!(parse(&empty).unwrap().samples.is_empty());
    }

    /// Sizes that recorders and pipes leave behind: to the end of the file.
    #[test]
    fn reads_to_the_end_where_the_size_was_left_open() {
        for size in [
            0u32,
            u32::MAX,
            u32::MAX - 36,
            0x7fff_ffff,
            0x7fff_f000,
            0x8000_0000,
        ] {
            let mut bytes = written(1, &SAMPLES);
            let at = data_at(&bytes);
            bytes[at + 4..at + 8].copy_from_slice(&size.to_le_bytes());
            bytes[4..8].copy_from_slice(&size.wrapping_add(36).to_le_bytes());
            assert_eq!(parse(&bytes).unwrap(), sound(), "{size:#x}");
            // Half a sample at the end is none.
            bytes.push(1);
            assert_eq!(parse(&bytes).unwrap(), sound(), "{size:#x}");
        }
    }

    #[test]
    fn a_chunk_of_odd_size_has_a_byte_behind_it() {
        for before in [
            &b"id3 \x03\0\0\0xyz\0"[..],
            b"LIST\x02\0\0\0ab",
            b"junk\0\0\0\0",
        ] {
            let mut bytes = written(1, &SAMPLES);
            let at = data_at(&bytes);
            bytes.splice(at..at, before.iter().copied());
            assert_eq!(parse(&bytes).unwrap(), sound());
        }
    }

    #[test]
    fn a_file_cut_short_is_an_error_at_every_length() {
        let whole = written(1, &SAMPLES);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn other_formats_are_told_by_name() {
        let mut bytes = written(1, &SAMPLES);
        let at = bytes.windows(4).position(|name| name == b"fmt ").unwrap() + 8;
        bytes[at..at + 2].copy_from_slice(&FLOATS.to_le_bytes());
        bytes[at + 14] = 16;
        let expected = "samples: is floats of 16 bits; save it as 16-bit integers";
        assert_eq!(parse(&bytes).unwrap_err().to_string(), expected);
    }
}
