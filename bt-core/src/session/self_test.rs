//! The golden vector: a build proves on the device that it computes what the exporter computed.

use super::Session;
use super::paint::grey;
use crate::crc32c::Crc32c;
use crate::model::InputType;
use crate::random::Random;
use crate::words::{END, likeliest_word};

impl Session<'_, '_> {
    /// Runs the golden vector: noise from the model's seed must give scores of the model's CRC; of a model
    /// that tells captions, a picture of noise and the likeliest words of it, and of one that paints, the picture of
    /// that seed. Resets the session before and after.
    pub fn self_test(&mut self) -> SelfTest {
        self.self_test_in_pieces(&mut || ())
    }

    /// As [`self_test`](Self::self_test), for a core whose watchdog is fed meanwhile: `progress` is called after
    /// every value that is pushed and every step.
    pub fn self_test_in_pieces(&mut self, progress: &mut dyn FnMut()) -> SelfTest {
        let computed = self.golden_crc(progress);
        self.reset();
        let stated = self.model.meta.golden_crc;
        if computed == stated {
            SelfTest::Passed
        } else {
            SelfTest::Failed { stated, computed }
        }
    }

    /// CRC-32C of the raw scores (little-endian, class by class, after the last golden step), each with its pixel
    /// behind it where they are a picture's.
    pub(crate) fn golden_crc(&mut self, progress: &mut dyn FnMut()) -> u32 {
        self.reset();
        if self.model.painting().is_some() {
            return self.golden_picture_crc(progress);
        }
        let mut noise = Noise(self.model.meta.golden_seed | 1);
        for step in 0..self.model.meta.golden_steps {
            if step > 0 && self.model.words().is_some() {
                // The likeliest words of a picture of noise.
                let word = likeliest_word(self.raw_scores()).unwrap_or(END);
                let stepped = self.step_word(word);
                debug_assert_eq!(stepped, Ok(()));
                if stepped.is_err() {
                    return 0;
                }
                progress();
                continue;
            }
            while !self.complete {
                let value = noise.next();
                let taken = match self.model.input_type {
                    InputType::U8 => self.push_u8(&[value as u8]),
                    InputType::I8 => self.push_i8(&[value as i8]),
                    InputType::I16 => self.push_i16(&[value as i16]),
                };
                debug_assert_eq!(taken, Ok(1));
                if taken != Ok(1) {
                    return 0;
                }
                progress();
            }
            let stepped = self.step();
            debug_assert_eq!(stepped, Ok(()));
            if stepped.is_err() {
                return 0;
            }
            progress();
        }
        let scores = self.raw_scores();
        let crc = scores.fold(Crc32c::new(), |crc, score| crc.with(&score.to_le_bytes()));
        crc.value()
    }

    /// The same of a picture of the golden seed.
    #[inline(never)]
    fn golden_picture_crc(&mut self, progress: &mut dyn FnMut()) -> u32 {
        let mut random = Random::new(self.model.meta.golden_seed.into(), 0);
        for _ in 0..self.model.meta.golden_steps {
            let painted = self.paint(&mut random);
            debug_assert_eq!(painted, Ok(()));
            if painted.is_err() {
                return 0;
            }
            progress();
        }
        let shift = self.model.score_shift();
        let crc = self.raw_scores().fold(Crc32c::new(), |crc, score| {
            progress();
            crc.with(&score.to_le_bytes()).with(&[grey(score, shift)])
        });
        crc.value()
    }
}

/// What the golden vector showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SelfTest {
    /// This build computes what the exporter computed.
    Passed,
    /// It does not: the build is broken, or flash is.
    Failed {
        /// CRC in the model.
        stated: u32,
        /// CRC of the scores computed here.
        computed: u32,
    },
}

/// Marsaglia's xorshift32: the golden vector's input.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 >> 8
    }
}
