//! What a host has to know of device and model.

use bt_core::sound::FrontEnd;
use embedded_hal::digital::OutputPin;

use super::{Service, Surroundings};
use crate::board::Ticks;
use crate::wire::{Error, Hello, Reply};

/// Version of this firmware for the hello message.
pub const FIRMWARE: [u8; 3] = [
    version(env!("CARGO_PKG_VERSION_MAJOR")),
    version(env!("CARGO_PKG_VERSION_MINOR")),
    version(env!("CARGO_PKG_VERSION_PATCH")),
];

/// A decimal number of the package's version.
const fn version(digits: &str) -> u8 {
    let digits = digits.as_bytes();
    let mut value = 0;
    let mut at = 0;
    while at < digits.len() {
        value = value * 10 + (digits[at] - b'0');
        at += 1;
    }
    value
}

impl<'m, T: Ticks, L: OutputPin> Service<'m, '_, T, L> {
    pub(super) fn hello(&self, surroundings: &Surroundings) -> Hello<'m> {
        let model = self.session.model();
        Hello {
            firmware: FIRMWARE,
            input: model.input_type(),
            golden: self.golden,
            score_shift: model.score_shift(),
            chunk_bytes_max: surroundings.chunk_bytes_max,
            classes: model.outputs() as u16,
            hidden: model.hidden() as u16,
            frame_values: model.frame_values() as u32,
            arena_bytes: model.arena_bytes() as u32,
            model_crc: model.crc(),
            tick_hz: self.ticks.hertz(),
            step_ticks: self.boot_step_ticks,
            sample_hz: model.front_end().map_or(0, FrontEnd::sample_rate_hz),
            board: surroundings.board,
            model: model.name(),
        }
    }

    pub(super) fn label(&self, class: u16) -> Result<Reply<'m>, Error> {
        let model = self.session.model();
        if usize::from(class) >= model.classes() {
            return Err(Error::Class {
                classes: model.classes() as u32,
            });
        }
        let text = model.label(class.into()).unwrap_or_default();
        Ok(Reply::Label { class, text })
    }

    /// Offsets and steps of floats.
    pub(super) fn inputs(&mut self, first: u32) -> Result<Reply<'_>, Error> {
        let inputs = self.session.model().float_inputs();
        let places = inputs.len() as u32;
        let mut count = 0;
        let pairs = self.part.as_chunks_mut::<8>().0.iter_mut();
        for (place, input) in pairs.zip(inputs.skip(first as usize)) {
            let [offset, lsb] = [input.offset, input.lsb].map(f32::to_le_bytes);
            *place = bytemuck::cast([offset, lsb]);
            count += 8;
        }
        Ok(Reply::Inputs {
            places,
            first,
            bytes: self.part.get(..count).unwrap_or_default(),
        })
    }
}
