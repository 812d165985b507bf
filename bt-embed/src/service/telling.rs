//! Captions over the line: a word a request.

use bt_core::captions::{END, Teller, Temperature};
use bt_core::drawing::Random;
use bt_core::error::WordError;
use embedded_hal::digital::OutputPin;

use super::Service;
use crate::board::Ticks;
use crate::wire::{Error, Reply};

/// What tells a caption from others of the same picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caption {
    pub seed: u64,
    pub number: u32,
    /// In 256ths; 0: always the likeliest word.
    pub temperature: u16,
}

impl Caption {
    fn teller(self) -> Result<Teller, Error> {
        if self.temperature == 0 {
            return Ok(Teller::likeliest());
        }
        let temperature = Temperature::new(self.temperature).ok_or(Error::Temperature)?;
        let random = Random::new(self.seed, self.number.into());
        Ok(Teller::drawing(random, temperature))
    }
}

/// A caption under way; its state is the session's.
pub(super) struct Telling {
    of: Caption,
    teller: Teller,
    /// Words told, the end among them.
    told: u16,
    /// The last of them.
    last: usize,
}

impl Telling {
    /// The word that is due; of a caption that has ended the first of another.
    fn due(&self) -> u16 {
        if self.last == END { 0 } else { self.told }
    }
}

impl<'m, T: Ticks, L: OutputPin> Service<'m, '_, T, L> {
    /// Tells the word of a caption that is due, the first from the picture on; again the one before it, whose reply
    /// the host may have missed.
    pub(super) fn tell(&mut self, of: Caption, at: u16) -> Result<Reply<'m>, Error> {
        let model = self.session.model();
        let longest = model.caption_words().ok_or(Error::NotWords)?;
        self.not_loading()?;
        let under_way = self.telling.take_if(|telling| telling.of == of);
        let due = under_way.as_ref().map_or(0, Telling::due);
        let telling = match under_way {
            Some(telling) if at.checked_add(1) == Some(telling.told) => telling,
            Some(mut telling) if at != 0 && at == due => {
                self.step_on(telling.last)?;
                telling.told = at + 1;
                telling.last = self.next_word(&mut telling.teller, usize::from(at) < longest);
                telling
            }
            _ if at == 0 => {
                let mut teller = of.teller()?;
                self.step_on_picture()?;
                let last = self.next_word(&mut teller, true);
                Telling {
                    of,
                    teller,
                    told: 1,
                    last,
                }
            }
            under_way => {
                // Another caption than this one may be under way, and stays so.
                self.telling = under_way.or(self.telling.take());
                return Err(Error::Sequence {
                    expected: due.into(),
                });
            }
        };
        let word = telling.last;
        self.telling = Some(telling);
        self.scrub()?;
        Ok(Reply::Told {
            at,
            word: word as u16,
            text: model.label(word).unwrap_or_default(),
        })
    }

    fn step_on(&mut self, word: usize) -> Result<(), Error> {
        let start = self.ticks.now();
        let result = self.session.step_word(word);
        self.stepped(start, result)
    }

    fn step_on_picture(&mut self) -> Result<(), Error> {
        let start = self.ticks.now();
        let result = self.session.begin_caption();
        self.stepped(start, result)
    }

    /// Counts a step and computes its scores.
    fn stepped(&mut self, start: u32, result: Result<(), WordError>) -> Result<(), Error> {
        result.map_err(|error| match error {
            WordError::NoPicture => Error::NoStep,
            WordError::PictureUnderWay => Error::FrameUnderWay,
            _ => Error::Session,
        })?;
        let ticks = self.ticks.now().wrapping_sub(start);
        self.count_step(ticks);
        self.score();
        Ok(())
    }

    /// The next word by the scores of the last step; the end where the caption may have no more.
    fn next_word(&self, teller: &mut Teller, has_room: bool) -> usize {
        let shift = self.session.model().score_shift();
        let word = teller.next_word(self.scores, shift).filter(|_| has_room);
        word.unwrap_or(END)
    }
}
