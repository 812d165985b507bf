//! Bits that a step drew.

use super::{Fields, Short, TooSmall, frame};

/// Bits that a step drew, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn<'a> {
    /// Steps of the drawing.
    pub steps: u32,
    /// Number of the first bit in `bits`.
    pub first: u16,
    /// Count of bits in all.
    pub count: u16,
    /// The bits, from `first` on.
    pub bits: Bits<'a>,
}

/// Bits: one a byte to send, or packed as they came.
#[derive(Clone, Copy, Debug)]
pub enum Bits<'a> {
    /// Zeros and ones on the device.
    Values(&'a [u8]),
    /// Off the line, eight a byte, the first lowest, and how many there are.
    Packed(&'a [u8], usize),
}

impl Bits<'_> {
    /// Zeros and ones in turn.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        let (values, packed, count) = match *self {
            Bits::Values(values) => (values, &[][..], 0),
            Bits::Packed(packed, count) => (&[][..], packed, count),
        };
        let bits = packed
            .iter()
            .flat_map(|byte| (0..8).map(move |at| byte >> at & 1));
        values.iter().copied().chain(bits.take(count))
    }
}

impl PartialEq for Bits<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> Drawn<'a> {
    /// Bytes of the body before the bits.
    pub const HEADER_BYTES: usize = super::HEADER_BYTES + 10;

    pub(super) fn encode(&self, w: &mut frame::Writer<'_>) -> Result<(), TooSmall> {
        w.u32(self.steps)?;
        w.u16(self.first)?;
        w.u16(self.count)?;
        let held = self.bits.iter().count();
        w.u16(held as u16)?;
        let mut bits = self.bits.iter();
        for _ in 0..held.div_ceil(8) {
            let byte = bits.by_ref().take(8).enumerate();
            w.u8(byte.fold(0, |byte, (at, bit)| byte | (bit & 1) << at))?;
        }
        Ok(())
    }

    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, Short> {
        let (steps, first, count) = (fields.u32()?, fields.u16()?, fields.u16()?);
        let held = usize::from(fields.u16()?);
        let bits = Bits::Packed(fields.take(held.div_ceil(8))?, held);
        Ok(Drawn {
            steps,
            first,
            count,
            bits,
        })
    }
}
