//! Models in a region of their own: two slots of flash, of which one is served while the other is written.
//!
//! ```text
//! slot = record (24 bytes, in 64) ‖ image        image = model file ‖ whatever the product appends
//! record = "BTSLOT" 01 00 ‖ sequence u32 ‖ length u32 ‖ CRC-32C of the image u32 ‖ CRC-32C of the record so far u32
//! ```
//!
//! The record is erased first and written last, when the image has proven itself, so that a slot is whole or is
//! none, wherever the power fails, and the other one is not touched. The newer of two whole slots is served; one
//! whose model does not parse, does not fit or does not pass its self test is passed over for the older one, and
//! both for the model in the program.
//!
//! Flash is whatever speaks [`NorFlash`] and can be read in place ([`Slot`]): for a HAL's flash, [`Part`].

mod desk;
mod part;
mod record;
mod update;

use core::convert::Infallible;

use bt_core::internals::model::layout::LENGTH_AT;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

pub(crate) use desk::{Desk, Room};
pub use part::Part;
use record::Record;
pub use record::{RECORD_BYTES, image_bytes};
pub use update::{PIECE_ALIGN, StoreError, Update};

/// Flash of its own that holds one model. It begins where an erasable block does.
pub trait Slot: NorFlash {
    /// All of its bytes, as they lie in memory: as many as its capacity, from an address that 4 divides.
    fn bytes(&self) -> &[u8];
}

/// The two slots, and what the product wants to know of a model before it is accepted.
pub struct Slots<F> {
    /// The flash.
    pub flash: [F; 2],
    /// Whether an image may be served: where a product checks its signature, behind the model file. It is asked
    /// once, before the record is written.
    pub accept: fn(image: &[u8]) -> bool,
}

/// No flash for models: the type of slots that there are not.
#[derive(Debug)]
pub enum NoFlash {}

/// A whole slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub slot: usize,
    /// Its number; the newer slot has the higher one.
    pub sequence: u32,
}

impl<F: Slot> Slots<F> {
    /// The slot to serve: the newest whole one, but for those whose bit is set in `passed_over`.
    pub fn newest(&self, passed_over: u8) -> Option<Choice> {
        let mut newest: Option<Choice> = None;
        for (slot, flash) in self.flash.iter().enumerate() {
            if passed_over & (1 << slot) != 0 {
                continue;
            }
            let Some((Record { sequence, .. }, _)) = Record::image_in(flash.bytes()) else {
                continue;
            };
            // Numbers go round; of two slots one is at most 2³¹ ahead.
            if newest.is_none_or(|other| sequence.wrapping_sub(other.sequence) as i32 > 0) {
                newest = Some(Choice { slot, sequence });
            }
        }
        newest
    }

    /// The flash to serve from, and that to write to.
    fn split(&mut self, served: usize) -> (&F, &mut F) {
        let [first, second] = &mut self.flash;
        match served {
            0 => (first, second),
            _ => (second, first),
        }
    }
}

/// Where the models are that the application serves.
pub(crate) struct Shelf<'f, F> {
    slots: Option<&'f mut Slots<F>>,
    /// A bit of each slot whose model was no good since boot.
    passed_over: u8,
}

/// What is served, and what may be written meanwhile.
pub(crate) struct Pick<'s, F> {
    /// The slot served; `None` for the model in the program.
    pub choice: Option<Choice>,
    /// What is served, if it is in a slot.
    pub image: Option<&'s [u8]>,
    /// Where another one is handed in.
    pub desk: Desk<'s, F>,
}

impl<'f, F: Slot> Shelf<'f, F> {
    pub(crate) fn new(slots: Option<&'f mut Slots<F>>) -> Self {
        Shelf {
            slots,
            passed_over: 0,
        }
    }

    /// The newest slot that is not passed over, or the program's model.
    pub(crate) fn pick(&mut self, room: Room) -> Pick<'_, F> {
        let Some(slots) = self.slots.as_deref_mut() else {
            return Pick {
                choice: None,
                image: None,
                desk: Desk::new(None, room, None, 0),
            };
        };
        let choice = slots.newest(self.passed_over);
        let newest = slots.newest(0);
        let accept = slots.accept;
        // Beside the program's model, the older slot is written, or one that is none.
        let served = choice.or(newest).map_or(1, |choice| choice.slot);
        // One more than that of any whole slot, so that what is written is the newest.
        let sequence = newest.map_or(0, |newest| newest.sequence.wrapping_add(1));
        let (flash, idle) = slots.split(served);
        let whole = choice.and_then(|choice| Some((choice, Record::image_in(flash.bytes())?)));
        Pick {
            choice,
            image: whole.map(|(_, (_, image))| image),
            desk: Desk::new(
                Some((idle, accept)),
                room,
                whole.map(|(choice, (record, _))| (choice, record.crc)),
                sequence,
            ),
        }
    }

    /// The model of this slot is no good: until another is accepted, it is not served.
    pub(crate) fn pass_over(&mut self, choice: Choice) {
        self.passed_over |= 1 << choice.slot;
    }

    /// A slot was written: it is the newest, and nothing is known against it.
    pub(crate) fn written(&mut self) {
        self.passed_over = 0;
    }
}

/// The model file at the start of an image: as long as it says, or all there is.
pub fn model_in(image: &[u8]) -> &[u8] {
    let length = image
        .get(LENGTH_AT)
        .and_then(|length| length.try_into().ok());
    let length = length.map_or(usize::MAX, |length| u32::from_le_bytes(length) as usize);
    image.get(..length).unwrap_or(image)
}

impl ErrorType for NoFlash {
    type Error = Infallible;
}

impl ReadNorFlash for NoFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Infallible> {
        match *self {}
    }

    fn capacity(&self) -> usize {
        match *self {}
    }
}

impl NorFlash for NoFlash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    fn erase(&mut self, _: u32, _: u32) -> Result<(), Infallible> {
        match *self {}
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Infallible> {
        match *self {}
    }
}

impl Slot for NoFlash {
    fn bytes(&self) -> &[u8] {
        match *self {}
    }
}
