//! A slot written anew, piece by piece.

use bt_core::health::Crc32c;
use embedded_storage::nor_flash::NorFlash;

use super::Slot;
use super::record::{RECORD_BYTES, Record, image_bytes};

/// Every piece of an image but the last has a multiple of so many bytes: no flash writes more at once.
pub const PIECE_ALIGN: usize = RECORD_BYTES;

/// Why a slot was not written. It is no whole slot then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StoreError {
    /// The image is longer than the slot.
    TooSmall {
        /// Bytes of the longest image.
        image_bytes: usize,
    },
    /// Another piece is due, or this one is no multiple of [`PIECE_ALIGN`] long and not the last.
    Piece {
        /// Where the next piece begins.
        due: usize,
    },
    /// What lies in flash has another CRC-32C than was stated.
    Damaged {
        /// Of what is there.
        found: u32,
    },
    /// The product does not accept the image.
    NotAccepted,
    /// The flash could not be erased or written, or holds other bytes than were written.
    Flash,
}

impl core::fmt::Display for StoreError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StoreError::TooSmall { image_bytes } => {
                write!(f, "the slot holds models of {image_bytes} bytes")
            }
            StoreError::Piece { due } => write!(f, "byte {due} of the model is due"),
            StoreError::Damaged { found } => {
                write!(
                    f,
                    "the model came damaged: its CRC-32C in flash is {found:08x}"
                )
            }
            StoreError::NotAccepted => write!(f, "the product does not accept the model"),
            StoreError::Flash => write!(f, "the flash could not be erased or written"),
        }
    }
}

impl core::error::Error for StoreError {}

/// An image on its way into a slot.
///
/// Dropped at any moment, or cut off by a power failure, it leaves a slot that is none.
#[derive(Debug)]
pub struct Update {
    length: usize,
    crc: u32,
    /// Bytes of the image that are there.
    due: usize,
    /// Bytes of the slot that are erased, or written since.
    erased: usize,
}

impl Update {
    /// Begins to write an image of `length` bytes whose CRC-32C is `crc`: the slot's record is erased.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooSmall`], and nothing happens; or [`StoreError::Flash`].
    pub fn begin<F: Slot>(flash: &mut F, length: usize, crc: u32) -> Result<Update, StoreError> {
        const {
            assert!(
                RECORD_BYTES.is_multiple_of(F::WRITE_SIZE),
                "the record is written at once"
            );
        }
        let image_bytes = image_bytes(flash.capacity());
        if length > image_bytes {
            return Err(StoreError::TooSmall { image_bytes });
        }
        let mut update = Update {
            length,
            crc,
            due: 0,
            erased: 0,
        };
        update.erase_to(flash, RECORD_BYTES)?;
        Ok(update)
    }

    /// Length and CRC-32C of the image.
    pub fn image(&self) -> (usize, u32) {
        (self.length, self.crc)
    }

    /// Where the next piece begins.
    pub fn due(&self) -> usize {
        self.due
    }

    /// Writes the piece of the image that begins at `at`, a multiple of [`PIECE_ALIGN`] long but for the last, and
    /// returns where the next one begins. Blocks are erased as they are come to, so that no call takes long.
    ///
    /// # Errors
    ///
    /// [`StoreError::Piece`], and nothing happens; or [`StoreError::Flash`].
    pub fn piece<F: Slot>(
        &mut self,
        flash: &mut F,
        at: usize,
        bytes: &[u8],
    ) -> Result<usize, StoreError> {
        let end = at.saturating_add(bytes.len());
        let is_whole = bytes.len().is_multiple_of(PIECE_ALIGN) || end == self.length;
        if at != self.due || end > self.length || !is_whole {
            return Err(StoreError::Piece { due: self.due });
        }
        self.erase_to(flash, RECORD_BYTES + end)?;
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % F::WRITE_SIZE);
        write(flash, RECORD_BYTES + at, whole)?;
        if !rest.is_empty() {
            let mut last = [0xFF; PIECE_ALIGN];
            for (place, &byte) in last.iter_mut().zip(rest) {
                *place = byte;
            }
            let last = last.get(..F::WRITE_SIZE).unwrap_or_default();
            write(flash, RECORD_BYTES + at + whole.len(), last)?;
        }
        self.due = end;
        Ok(end)
    }

    /// Makes the slot whole, number `sequence`, if the image in it is what was stated and `accept` says so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Piece`] when pieces are missing; `Damaged`, `NotAccepted` or `Flash`.
    pub fn finish<F: Slot>(
        &self,
        flash: &mut F,
        sequence: u32,
        accept: impl FnOnce(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.due != self.length {
            return Err(StoreError::Piece { due: self.due });
        }
        let image = flash.bytes().get(RECORD_BYTES..RECORD_BYTES + self.length);
        let image = image.ok_or(StoreError::Flash)?;
        let found = Crc32c::new().with(image).value();
        if found != self.crc {
            return Err(StoreError::Damaged { found });
        }
        accept(image)?;
        let record = Record {
            sequence,
            length: self.length as u32,
            crc: self.crc,
        };
        write(flash, 0, &record.to_bytes())?;
        match Record::image_in(flash.bytes()) {
            Some((found, _)) if found == record => Ok(()),
            _ => Err(StoreError::Flash),
        }
    }

    /// Erases the blocks up to and with that of byte `end − 1` of the slot.
    fn erase_to<F: NorFlash>(&mut self, flash: &mut F, end: usize) -> Result<(), StoreError> {
        while self.erased < end {
            let next = self.erased + F::ERASE_SIZE;
            let (from, to) = (self.erased as u32, next as u32);
            flash.erase(from, to).map_err(|_| StoreError::Flash)?;
            self.erased = next;
        }
        Ok(())
    }
}

fn write<F: NorFlash>(flash: &mut F, at: usize, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.is_empty() {
        return Ok(());
    }
    flash.write(at as u32, bytes).map_err(|_| StoreError::Flash)
}
