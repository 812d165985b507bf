//! Frames on the line: `COBS(body ‖ CRC-32 of body, little-endian) ‖ 0x00`.
//!
//! The zero byte stands nowhere but at the end of a frame, so a receiver that
//! lost its place finds it again at the next frame. The CRC is that of zlib
//! and Ethernet (`zlib.crc32` in Python).

use cobs::CobsEncoder;
use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use heapless::Vec;

use super::Error;

/// Ends every frame.
pub const DELIMITER: u8 = 0;

/// Bytes of the checksum.
pub const CRC_BYTES: usize = 4;

/// Checksum of a body.
pub const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

static CHECKSUM: Crc<u32, Table<1>> = CRC;

/// Bytes on the line, delimiter included, of the longest body of `body_bytes`.
pub const fn line_bytes_max(body_bytes: usize) -> usize {
    let plain = body_bytes + CRC_BYTES;
    plain + plain / 254 + 1 + 1
}

/// Longest body that is sure to fit a line of `line_bytes`, delimiter included.
pub const fn body_bytes_max(line_bytes: usize) -> usize {
    let overhead = line_bytes / 255 + 2 + CRC_BYTES;
    line_bytes.saturating_sub(overhead)
}

/// The buffer is too small for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

impl core::fmt::Display for TooSmall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the message does not fit its buffer")
    }
}

impl core::error::Error for TooSmall {}

/// Writes one body, encoded and summed as it grows; the body itself is never stored.
pub struct Writer<'a> {
    cobs: CobsEncoder<'a>,
    digest: Digest<'static, u32, Table<1>>,
}

impl Writer<'_> {
    /// Appends bytes as they are.
    // Once in a program, not once for every width below.
    #[inline(never)]
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), TooSmall> {
        self.digest.update(bytes);
        self.cobs.push(bytes).map_err(|_| TooSmall)
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> Result<(), TooSmall> {
        self.bytes(&[value])
    }

    /// Appends a number of two bytes.
    pub fn u16(&mut self, value: u16) -> Result<(), TooSmall> {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends a number of four bytes.
    pub fn u32(&mut self, value: u32) -> Result<(), TooSmall> {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends a number of eight bytes.
    pub fn u64(&mut self, value: u64) -> Result<(), TooSmall> {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends length and UTF-8 bytes of a text, cut to at most `bytes_max`.
    pub fn text(&mut self, text: &str, bytes_max: u8) -> Result<(), TooSmall> {
        let mut length = text.len().min(bytes_max.into());
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        self.u8(length as u8)?;
        self.bytes(text.as_bytes().get(..length).unwrap_or_default())
    }
}

/// Writes the frame of one body into `line`; its length, delimiter included.
pub fn encode(
    line: &mut [u8],
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), TooSmall>,
) -> Result<usize, TooSmall> {
    if line.is_empty() {
        return Err(TooSmall);
    }
    let mut writer = Writer {
        cobs: CobsEncoder::new(line),
        digest: CHECKSUM.digest(),
    };
    body(&mut writer)?;
    let sum = writer.digest.finalize();
    writer.cobs.push(&sum.to_le_bytes()).map_err(|_| TooSmall)?;
    let end = writer.cobs.finalize();
    *line.get_mut(end).ok_or(TooSmall)? = DELIMITER;
    Ok(end + 1)
}

/// Gathers bytes off the line into bodies. `N` is the longest frame in bytes,
/// delimiter excluded.
#[derive(Debug, Default)]
pub struct Decoder<const N: usize> {
    line: Vec<u8, N>,
    overflow: bool,
    damaged: bool,
    complete: bool,
}

impl<const N: usize> Decoder<N> {
    /// An empty line.
    pub const fn new() -> Self {
        Decoder {
            line: Vec::new(),
            overflow: false,
            damaged: false,
            complete: false,
        }
    }

    /// Takes one byte; true when it ends a frame, which [`Decoder::take`] then
    /// opens. Empty frames are skipped: a sender may put a delimiter in front
    /// of a frame to end whatever noise stands before it.
    pub fn ends_frame(&mut self, byte: u8) -> bool {
        self.begin();
        if byte == DELIMITER {
            self.complete = self.damaged || !self.line.is_empty();
        } else {
            // What does not fit is dropped here and reported by `take`.
            self.overflow |= self.line.push(byte).is_err();
        }
        self.complete
    }

    /// Bytes were lost here: drops the frame under way, up to its delimiter.
    pub fn lose(&mut self) {
        self.begin();
        self.damaged = true;
    }

    /// Makes room for the next frame when one has ended.
    fn begin(&mut self) {
        if core::mem::take(&mut self.complete) {
            self.line.clear();
            self.overflow = false;
            self.damaged = false;
        }
    }

    /// The body of the frame that has just ended, once.
    pub fn take(&mut self) -> Result<&[u8], Error> {
        if self.damaged {
            return Err(Error::Line);
        }
        if self.overflow {
            return Err(Error::TooLong {
                line_bytes_max: N as u32,
            });
        }
        open(&mut self.line).ok_or(Error::Garbled)
    }

    /// Takes one byte; a body or an error when it ends a frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<&[u8], Error>> {
        self.ends_frame(byte).then(|| self.take())
    }
}

/// The body in an encoded line, if COBS and checksum are right.
fn open(line: &mut [u8]) -> Option<&[u8]> {
    let length = cobs::decode_in_place(line).ok()?;
    let (body, sum) = line.get(..length)?.split_last_chunk::<CRC_BYTES>()?;
    (CHECKSUM.checksum(body) == u32::from_le_bytes(*sum)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: usize = 1100;

    fn line(body: &[u8]) -> std::vec::Vec<u8> {
        let mut line = [0xAA; LINE];
        let length = encode(&mut line, |w| w.bytes(body)).unwrap();
        line[..length].to_vec()
    }

    fn received(bytes: &[u8]) -> std::vec::Vec<Result<std::vec::Vec<u8>, Error>> {
        let mut decoder = Decoder::<LINE>::new();
        let mut found = std::vec::Vec::new();
        for &byte in bytes {
            if let Some(result) = decoder.push(byte) {
                found.push(result.map(<[u8]>::to_vec));
            }
        }
        found
    }

    /// The frame of the request "hello" with tag 1, as PROTOCOL.md prints it.
    #[test]
    fn hello_as_documented() {
        let body = [3, 1, 1];
        let sum = CRC.checksum(&body);
        assert_eq!(sum, 0x931B_669C);
        assert_eq!(line(&body), [8, 3, 1, 1, 0x9C, 0x66, 0x1B, 0x93, 0]);
    }

    #[test]
    fn too_long_a_line_is_reported_once_and_survived() {
        let mut decoder = Decoder::<8>::new();
        assert!((0..20).all(|_| decoder.push(7).is_none()));
        assert_eq!(
            decoder.push(0),
            Some(Err(Error::TooLong { line_bytes_max: 8 }))
        );
        let frame = line(&[1, 1, 1]);
        let (end, start) = frame.split_last().unwrap();
        assert!(start.iter().all(|&byte| decoder.push(byte).is_none()));
        assert_eq!(decoder.push(*end), Some(Ok(&[1u8, 1, 1][..])));
    }

    #[test]
    fn lengths_fit_as_promised() {
        for body in 0..1030 {
            let bytes: std::vec::Vec<u8> = (0..body).map(|i| (i % 255 + 1) as u8).collect();
            let frame = line(&bytes);
            assert!(frame.len() <= line_bytes_max(body), "{body}");
            assert!(body_bytes_max(line_bytes_max(body)) <= body);
            let room = body_bytes_max(frame.len());
            assert!(line_bytes_max(room) <= frame.len() || room == 0, "{body}");
        }
    }

    #[test]
    fn a_loss_costs_one_frame_wherever_it_strikes() {
        let frame = line(&[1, 2, 3]);
        for at in 0..frame.len() {
            let mut decoder = Decoder::<LINE>::new();
            let mut found = std::vec::Vec::new();
            for round in 0..3 {
                for (i, &byte) in frame.iter().enumerate() {
                    if (round, i) == (1, at) {
                        decoder.lose();
                    }
                    found.extend(decoder.push(byte).map(|r| r.map(<[u8]>::to_vec)));
                }
            }
            let whole = || Ok(vec![1, 2, 3]);
            assert_eq!(found, [whole(), Err(Error::Line), whole()], "{at}");
        }
    }

    proptest! {
        #[test]
        fn bodies_come_back(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4)
        ) {
            // Written in pieces or at once: the same line.
            let whole = pieces.concat();
            prop_assume!(whole.len() <= body_bytes_max(LINE));
            let mut buffer = [0; LINE];
            let length = encode(&mut buffer, |w| pieces.iter().try_for_each(|p| w.bytes(p))).unwrap();
            prop_assert_eq!(&buffer[..length], &line(&whole)[..]);
            prop_assert_eq!(received(&buffer[..length]), vec![Ok(whole)]);
        }

        #[test]
        fn long_runs_without_zero_come_back(length in 240usize..520, split in 0usize..520) {
            let whole: std::vec::Vec<u8> = (0..length).map(|i| (i % 200 + 1) as u8).collect();
            let (a, b) = whole.split_at(split.min(length));
            let mut buffer = [0; LINE];
            let n = encode(&mut buffer, |w| { w.bytes(a)?; w.bytes(b) }).unwrap();
            prop_assert_eq!(received(&buffer[..n]), vec![Ok(whole)]);
        }

        #[test]
        fn a_damaged_frame_is_never_a_body(
            body in prop::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), flip in 1u8..
        ) {
            let mut bytes = line(&body);
            let i = at.index(bytes.len());
            bytes[i] ^= flip;
            // A second, whole frame after it is received whatever happened.
            bytes.push(DELIMITER);
            bytes.extend(line(&[1, 2, 3]));
            let found = received(&bytes);
            let (last, damaged) = found.split_last().unwrap();
            prop_assert_eq!(last, &Ok(vec![1, 2, 3]));
            prop_assert!(!damaged.is_empty());
            prop_assert!(damaged.iter().all(|r| *r == Err(Error::Garbled)));
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut decoder = Decoder::<300>::new();
            for byte in bytes {
                let _ = decoder.push(byte);
            }
        }
    }
}
