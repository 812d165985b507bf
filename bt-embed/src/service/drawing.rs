//! Drawings over the line: a step a request.

use bt_core::drawing::{Painting, Random};
use bt_core::error::DrawError;
use embedded_hal::digital::OutputPin;

use super::Service;
use crate::board::Ticks;
use crate::wire::{Bits, Drawn, Error, PART_BYTES_MAX, Painted, Reply};

/// A drawing under way; its steps are the session's.
pub(super) struct Drawing {
    seed: u64,
    number: u32,
    random: Random,
}

impl<'m, T: Ticks, L: OutputPin> Service<'m, '_, T, L> {
    /// Takes the step of a drawing that is due, the first from a reset; nothing again of the one before it, whose
    /// reply the host may have missed.
    pub(super) fn draw(&mut self, of: (u64, u32), step: u32) -> Result<(), Error> {
        let is_same = |drawing: &Drawing| (drawing.seed, drawing.number) == of;
        let under_way = self.drawing.as_ref().is_some_and(is_same);
        let steps = if under_way { self.session.steps() } else { 0 };
        if under_way && step.checked_add(1) == Some(steps) {
            return Ok(());
        }
        if step == 0 {
            self.reset();
            let (seed, number) = of;
            self.drawing = Some(Drawing {
                seed,
                number,
                random: Random::new(seed, number.into()),
            });
        } else if step != steps {
            return Err(Error::Sequence { expected: steps });
        }
        let drawing = self.drawing.as_mut().ok_or(Error::Session)?;
        let paints = self.session.model().painting().is_some();
        let start = self.ticks.now();
        let result = if paints {
            self.session.paint(&mut drawing.random)
        } else {
            self.session.draw(&mut drawing.random, self.drawn)
        };
        let ticks = self.ticks.now().wrapping_sub(start);
        match result {
            Ok(()) => {}
            Err(DrawError::PictureComplete { steps }) => {
                return Err(Error::PictureComplete { steps });
            }
            Err(error) => {
                self.drawing = None;
                return Err(match error {
                    DrawError::NotDrawn => Error::NotDrawn,
                    _ => Error::Session,
                });
            }
        }
        self.count_step(ticks);
        if paints {
            // They cost as much as some steps, and nobody may want them.
            self.best = None;
        } else {
            self.score();
        }
        self.scrub()
    }

    /// Pixels as they stand after the last step.
    pub(super) fn painted(&mut self, painting: Painting, first: u16) -> Result<Reply<'_>, Error> {
        let count = self.session.model().outputs();
        let beyond = Error::Class {
            classes: count as u32,
        };
        let left = count.checked_sub(first.into()).ok_or(beyond)?;
        let greys = self.part.get_mut(..left.min(PART_BYTES_MAX));
        let greys = greys.unwrap_or_default();
        let start = self.ticks.now();
        self.session
            .pixels(first.into(), greys)
            .map_err(|_| Error::Session)?;
        let ticks = self.ticks.now().wrapping_sub(start);
        self.statistics.ticks = self.statistics.ticks.wrapping_add(ticks.into());
        Ok(Reply::Painted(Painted {
            steps: self.session.steps(),
            steps_in_all: painting.steps as u16,
            rows: painting.rows as u16,
            first,
            count: count as u16,
            greys,
        }))
    }

    /// The bits of the last step.
    pub(super) fn drawn(&self, first: u16, count_max: usize) -> Result<Reply<'_>, Error> {
        let wanted = self.drawn.get(usize::from(first)..).ok_or(Error::Class {
            classes: self.drawn.len() as u32,
        })?;
        Ok(Reply::Drawn(Drawn {
            steps: self.session.steps(),
            first,
            count: self.drawn.len() as u16,
            bits: Bits::Values(wanted.get(..count_max).unwrap_or(wanted)),
        }))
    }
}
