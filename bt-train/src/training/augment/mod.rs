//! Training sequences varied from epoch to epoch; those that validate, calibrate or are tested never are.

mod image;
mod sound;
mod table;
mod time;

pub use table::{AUGMENT, Augment};

use crate::data::{Part, Targets, Values};
use crate::error::Result;
use crate::float::config::{FrontEndConfig, ModelConfig};
use crate::float::init::{normal, uniform};
use image::{Sides, Warp};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use std::sync::Arc;

/// Draws variations of the sequences of a part.
pub(super) struct Augmenter {
    table: Augment,
    /// The sequences as loaded: all their frames, or their samples.
    part: Part,
    of: Of,
}

/// What the sequences are.
enum Of {
    Frames {
        /// How many are drawn of each, where not all are taken.
        frames: Option<usize>,
        sides: Option<Sides>,
    },
    Sound(FrontEndConfig),
}

impl Augmenter {
    /// Of training sequences as loaded; none where nothing is varied.
    ///
    /// # Errors
    /// When what is named means nothing to such data.
    pub fn new(table: &Augment, config: &ModelConfig, part: &Part) -> Result<Option<Augmenter>> {
        table.check(config.front_end.is_some(), part.width)?;
        if table.is_off() {
            return Ok(None);
        }
        let of = match &config.front_end {
            Some(front_end) => {
                part.check_uncut()?;
                if part.targets.as_ref().is_some_and(Targets::are_of_ticks) {
                    table.check_stays()?;
                }
                Of::Sound(front_end.clone())
            }
            None => Of::Frames {
                frames: config.input.frames,
                sides: match table.frame.0[..] {
                    [rows, columns] => Some((rows, columns, 1)),
                    [rows, columns, channels] => Some((rows, columns, channels)),
                    _ => None,
                }
                .map(|(rows, columns, channels)| Sides {
                    rows,
                    columns,
                    channels,
                }),
            },
        };
        Ok(Some(Augmenter {
            table: table.clone(),
            part: part.clone(),
            of,
        }))
    }

    /// These sequences, varied, as frames of the model.
    ///
    /// # Errors
    /// Never for data that [`Augmenter::new`] took.
    pub fn draw(&self, sequences: &[usize], rng: &mut ChaCha8Rng) -> Result<Part> {
        // A seed for each, so that threads do not matter.
        let seeds: Vec<u64> = sequences.iter().map(|_| rng.random()).collect();
        let varied: Vec<Vec<f32>> = sequences
            .par_iter()
            .zip(seeds)
            .map(|(&sequence, seed)| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                match &self.of {
                    Of::Frames { frames, sides } => {
                        self.frames(sequence, *frames, *sides, &mut rng)
                    }
                    Of::Sound(front_end) => {
                        let rate = front_end.sample_rate_hz;
                        sound::vary(&self.table, rate, self.values(sequence), &mut rng)
                    }
                }
            })
            .collect();
        let mut part = self.part.subset(sequences);
        let mut values = Values::empty(self.part.values.element_type());
        for (at, sequence) in varied.iter().enumerate() {
            part.starts[at] = values.len();
            part.lengths[at] = sequence.len() / part.width;
            values.push_nearest(sequence);
        }
        part.values = Arc::new(values);
        match &self.of {
            Of::Frames { .. } => Ok(part),
            Of::Sound(front_end) => part.features(front_end),
        }
    }

    fn values(&self, sequence: usize) -> Vec<f32> {
        let mut values = Vec::new();
        let range = self.part.range(sequence);
        self.part
            .values
            .for_each(range, |_, value| values.push(value));
        values
    }

    fn frames(
        &self,
        sequence: usize,
        frames: Option<usize>,
        sides: Option<Sides>,
        rng: &mut ChaCha8Rng,
    ) -> Vec<f32> {
        let (table, part) = (&self.table, &self.part);
        let places = time::positions(table, frames, part.lengths[sequence], rng);
        let warp = sides.map(|sides| Warp::draw(table, sides, rng));
        let mut around = |reach: f32| (2.0 * uniform(rng) - 1.0) as f32 * reach;
        let (scale, offset) = (1.0 + around(table.scale), around(table.brightness));
        let deviation = uniform(rng) * f64::from(table.noise);
        let mut values = Vec::with_capacity(places.len() * part.width);
        let mut frame = Vec::with_capacity(part.width);
        for place in places {
            let start = part.starts[sequence] + place * part.width;
            frame.clear();
            part.values
                .for_each(start..start + part.width, |_, value| frame.push(value));
            if let Some(warp) = &warp {
                frame = warp.apply(&frame);
            }
            values.extend(frame.iter().map(|value| value * scale + offset));
        }
        if deviation > 0.0 {
            for value in &mut values {
                *value += (deviation * normal(rng)) as f32;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests;
