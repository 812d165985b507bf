//! Models in slots of flash: power that fails at every step of a write, models that are refused, and the whole way over
//! the line, noise included.

mod line;

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use bt_core::error::ParseError;
use bt_core::health::{Crc32c, Scrub};
use bt_core::internals::model::layout;
use bt_core::{Model, ModelBytes, SelfTest, Session};
use bt_embed::app::{Ended, Memory, run_with_slots};
use bt_embed::store::{
    PIECE_ALIGN, Part, RECORD_BYTES, Slot, Slots, StoreError, Update, image_bytes, model_in,
};
use bt_embed::wire::{self, Decoder, Reply, Request};
use bt_tests::line::{End, Faults, Uart, line};
use bt_tests::model::{Dense, Noise, scores_of};
use bt_tests::serving::{Room, surroundings};
use bt_tests::still::board;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_write,
};
use tools::device::Device;

const SLOT: usize = 16 * 1024;

/// NOR flash in memory whose power may fail: at any byte of a write or of an erasure.
struct Chip<const WRITE: usize, const ERASE: usize> {
    words: Vec<u32>,
    /// Bytes that are still written or erased before the power fails.
    power: Option<usize>,
    noise: Noise,
}

impl<const WRITE: usize, const ERASE: usize> Chip<WRITE, ERASE> {
    /// As it comes from anywhere: not erased.
    fn new(bytes: usize) -> Self {
        let mut noise = Noise::new(11);
        let words = (0..bytes / 4)
            .map(|_| u32::from(noise.bits()) * 65_537)
            .collect();
        Chip {
            words,
            power: None,
            noise,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words)
    }

    /// Takes the power for one byte.
    fn powered(&mut self) -> bool {
        match &mut self.power {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// What was under way when the power failed is anything.
    fn scramble(&mut self, from: usize, to: usize) {
        for at in from..to {
            let byte = self.noise.bits() as u8;
            self.bytes_mut()[at] = byte;
        }
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Chip<WRITE, ERASE> {
    type Error = NorFlashErrorKind;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Chip<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let from = &self.bytes()[offset as usize..][..bytes.len()];
        bytes.copy_from_slice(from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        4 * self.words.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Chip<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for at in from as usize..to as usize {
            if !self.powered() {
                self.scramble(at, to as usize);
                return Err(NorFlashErrorKind::Other);
            }
            self.bytes_mut()[at] = 0xFF;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let offset = offset as usize;
        let old = &self.bytes()[offset..][..bytes.len()];
        assert!(
            old.iter().all(|&byte| byte == 0xFF),
            "written twice, at {offset}"
        );
        for (at, &byte) in (offset..).zip(bytes) {
            if !self.powered() {
                let unit = at / WRITE * WRITE;
                self.scramble(unit, unit + WRITE);
                return Err(NorFlashErrorKind::Other);
            }
            self.bytes_mut()[at] = byte;
        }
        Ok(())
    }
}

impl<const WRITE: usize, const ERASE: usize> Slot for Chip<WRITE, ERASE> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }
}

fn model(seed: u32) -> ModelBytes {
    Dense {
        seed,
        hidden: 3,
        values: 3,
        ..Dense::default()
    }
    .model()
}

fn crc(bytes: &[u8]) -> u32 {
    Crc32c::new().with(bytes).value()
}

/// Writes an image into a slot.
fn write<F: Slot>(flash: &mut F, image: &[u8], sequence: u32) -> Result<(), StoreError> {
    let mut update = Update::begin(flash, image.len(), crc(image))?;
    let mut at = 0;
    for piece in image.chunks(2 * PIECE_ALIGN) {
        at = update.piece(flash, at, piece)?;
    }
    update.finish(flash, sequence, |_| Ok(()))
}

/// Cuts the power at every byte of an update, boots, and updates again.
fn cut_everywhere<const WRITE: usize, const ERASE: usize>() {
    let slot_bytes = 8 * 1024;
    let (old, new) = (model(1), model(2));
    let (old, new) = (old.bytes(), new.bytes());
    let mut first = Chip::<WRITE, ERASE>::new(slot_bytes);
    write(&mut first, old, u32::MAX).unwrap();
    let mut slots = Slots {
        flash: [first, Chip::new(slot_bytes)],
        accept: |_| true,
    };
    let image = |slots: &Slots<Chip<WRITE, ERASE>>| {
        let choice = slots.newest(0).unwrap();
        let bytes = &slots.flash[choice.slot].bytes()[RECORD_BYTES..];
        (choice.slot, model_in(bytes).to_vec())
    };
    let mut cuts = 0;
    loop {
        slots.flash[1].power = Some(cuts);
        // Number 0 follows the last there is.
        let result = write(&mut slots.flash[1], new, 0);
        // A boot: whatever happened, a whole model, and the new one only when it was finished.
        slots.flash[1].power = None;
        let (slot, served) = image(&slots);
        if result.is_ok() {
            assert_eq!((slot, &served[..]), (1, new));
            break;
        }
        assert_eq!(result, Err(StoreError::Flash));
        assert!((slot, &served[..]) == (0, old), "cut {cuts}");
        assert!(Model::parse(ModelBytes::from_unaligned(&served).bytes()).is_ok());
        // And the next update is none the worse for it, at some of the cuts.
        if cuts % 97 == 0 {
            write(&mut slots.flash[1], new, 0).unwrap();
            assert_eq!(image(&slots), (1, new.to_vec()));
        }
        cuts += 1;
    }
    // Every block and every byte were cut at.
    let written = (RECORD_BYTES + new.len()).next_multiple_of(WRITE);
    let erased = written.next_multiple_of(ERASE);
    assert_eq!(cuts, erased + written);
}

#[test]
fn power_that_fails_at_any_byte_leaves_a_model() {
    cut_everywhere::<4, 1024>();
    cut_everywhere::<1, 256>();
    cut_everywhere::<32, 4096>();
}

/// Dropped pieces, wrong ones, and images that are not what they were to be.
/// Both slots in a flash of one driver, as a HAL has it: each is written and read in its own place.
#[test]
fn slots_are_parts_of_one_flash() {
    const BEFORE: usize = 2 * 1024;
    let chip = Chip::<4, 1024>::new(BEFORE + 2 * SLOT);
    let address = chip.words.as_ptr().expose_provenance();
    let program = chip.bytes()[..BEFORE].to_vec();
    let flash = RefCell::new(chip);
    let part = |number| {
        let offset = BEFORE + number * SLOT;
        // SAFETY: the words stay where they are, and only the parts write to their places.
        unsafe { Part::new(&flash, offset as u32, address + offset, SLOT) }
    };
    let mut slots = Slots {
        flash: [part(0), part(1)],
        accept: |_| true,
    };
    assert_eq!(slots.newest(0), None);
    let (a, b) = (model(1), model(2));
    write(&mut slots.flash[0], a.bytes(), 4).unwrap();
    write(&mut slots.flash[1], b.bytes(), 5).unwrap();
    let newest = |slots: &Slots<Part<'_, _>>, passed_over| {
        slots
            .newest(passed_over)
            .map(|choice| (choice.slot, choice.sequence))
    };
    assert_eq!(newest(&slots, 0), Some((1, 5)));
    assert_eq!(newest(&slots, 0b10), Some((0, 4)));
    for (slot, file) in slots.flash.iter_mut().zip([&a, &b]) {
        let image = &slot.bytes()[RECORD_BYTES..];
        assert_eq!(model_in(image), file.bytes());
        let mut start = [0; 4];
        ReadNorFlash::read(slot, RECORD_BYTES as u32, &mut start).unwrap();
        assert_eq!(start, file.bytes()[..4]);
        assert_eq!(slot.capacity(), SLOT);
    }
    // A third model goes over the first, and nothing else changes.
    write(&mut slots.flash[0], b.bytes(), 6).unwrap();
    assert_eq!(newest(&slots, 0), Some((0, 6)));
    assert_eq!(newest(&slots, 1), Some((1, 5)));
    assert_eq!(flash.borrow().bytes()[..BEFORE], program);
}

#[test]
fn a_slot_is_whole_or_none() {
    let mut flash = Chip::<4, 1024>::new(8 * 1024);
    let file = model(1);
    let image = file.bytes();
    let newest = |flash: &Chip<4, 1024>| {
        let copy = Chip::<4, 1024> {
            words: flash.words.clone(),
            power: None,
            noise: Noise::new(1),
        };
        let slots = Slots {
            flash: [copy, Chip::new(1024)],
            accept: |_| true,
        };
        slots.newest(0)
    };
    let too_small = StoreError::TooSmall {
        image_bytes: image_bytes(8 * 1024),
    };
    let before = flash.words.clone();
    let longest = 8 * 1024 - RECORD_BYTES;
    assert_eq!(
        Update::begin(&mut flash, longest + 1, 0).err(),
        Some(too_small)
    );
    assert_eq!(flash.words, before);
    let mut update = Update::begin(&mut flash, image.len(), crc(image)).unwrap();
    let due = |due| Err(StoreError::Piece { due });
    assert_eq!(update.finish(&mut flash, 1, |_| Ok(())).map(|()| 0), due(0));
    assert_eq!(update.piece(&mut flash, 64, &image[64..128]), due(0));
    assert_eq!(update.piece(&mut flash, 0, &image[..63]), due(0));
    assert_eq!(update.piece(&mut flash, 0, &[0; 7000]), due(0));
    assert_eq!(update.piece(&mut flash, 0, &image[..64]), Ok(64));
    assert_eq!(update.piece(&mut flash, 0, &image[..64]), due(64));
    assert_eq!(newest(&flash), None);
    let rest = update.piece(&mut flash, 64, &image[64..]);
    assert_eq!(rest, Ok(image.len()));
    assert_eq!(newest(&flash), None);
    let refused = update.finish(&mut flash, 1, |seen| {
        assert!(seen == image);
        Err(StoreError::NotAccepted)
    });
    assert_eq!(
        (refused, newest(&flash)),
        (Err(StoreError::NotAccepted), None)
    );
    update.finish(&mut flash, 5, |_| Ok(())).unwrap();
    assert_eq!(newest(&flash).unwrap().sequence, 5);
    // Other bytes than were announced.
    let mut update = Update::begin(&mut flash, image.len(), 7).unwrap();
    assert_eq!(newest(&flash), None);
    update.piece(&mut flash, 0, image).unwrap();
    let damaged = StoreError::Damaged { found: crc(image) };
    assert_eq!(update.finish(&mut flash, 1, |_| Ok(())), Err(damaged));
}

/// A flipped bit anywhere in the file is found within one round, and not before the round is over.
#[test]
fn scrubbing_finds_every_flip() {
    let file = model(1);
    let bytes = file.bytes();
    let rounds = |bytes: &[u8], count: usize| {
        let mut scrub = Scrub::default();
        (0..2 * bytes.len() / count + 2).find_map(|_| scrub.next(bytes, count).err())
    };
    for count in [1, 16, 100, 10_000] {
        assert_eq!(rounds(bytes, count), None);
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        assert!(
            matches!(rounds(&flipped, 50), Some(ParseError::Crc { .. })),
            "{at}"
        );
    }
}

/// The model in flash is another than that which was parsed: its next steps are answered with so much.
#[test]
fn a_model_that_changes_is_reported_and_not_computed_with() {
    let file = model(1);
    let model = Model::parse(file.bytes()).unwrap();
    let mut flipped = file.bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 0x10;
    let surroundings = surroundings();
    for (flash, sound) in [(file.bytes(), true), (&flipped[..], false)] {
        let mut room = Room::of(&model);
        let mut service = room.serve(&model, flash);
        // 16 bytes a step.
        let round = (flash.len() as u32).div_ceil(16);
        for sequence in 0..2 * round {
            let bytes = &[1; 6];
            let reply = service.handle(Request::Data { sequence, bytes }, &surroundings);
            if sound || sequence + 1 < round {
                let (next, steps) = (sequence + 1, sequence + 1);
                assert_eq!(reply, Reply::Taken { next, steps });
            } else {
                assert_eq!(reply, Reply::Error(wire::Error::ModelDamaged));
                assert!(service.is_damaged());
                let reply = service.handle(Request::Scores { first: 0 }, &surroundings);
                assert_eq!(reply, Reply::Error(wire::Error::ModelDamaged));
            }
        }
    }
}
