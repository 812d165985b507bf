//! From samples to frames, by the very code that the device runs.

use crate::data::{Part, Values};
use crate::error::{Error, Result};
use crate::float::config::{FrontEndConfig, Level};
use bt_core::front_end::{self, FrontEnd};
use std::sync::Arc;

impl FrontEndConfig {
    /// Samples of one LSTM step.
    pub fn samples_per_step(&self) -> usize {
        self.hop * self.vectors_per_step
    }

    /// Values of one LSTM step.
    pub fn values_per_step(&self) -> usize {
        self.bands * self.vectors_per_step
    }

    /// The tables that trainer and device work with.
    ///
    /// # Errors
    /// Names the setting that cannot be.
    pub fn section(&self) -> Result<Vec<u8>> {
        if self.vectors_per_step == 0 {
            return Err(Error::setting("is 0")
                .field("vectors-per-step")
                .remedy("give 1 or more"));
        }
        front_end::write(&front_end::Config {
            sample_rate_hz: self.sample_rate_hz,
            window: self.window,
            hop: self.hop,
            bands: self.bands,
            low_hz: self.low_hz,
            high_hz: self.high_hz,
            level: match self.level {
                Level::Absolute => front_end::Level::Absolute,
                Level::Relative => front_end::Level::Relative,
            },
        })
        .map_err(|error| Error::setting(error.to_string()).field("front end"))
    }
}

impl Part {
    /// Samples cut into whole steps, zeros added at the end of each sequence:
    /// what the device is fed. A part that is cut already stays as it is.
    ///
    /// # Errors
    /// When the values are not 16-bit samples, or cut for another front end.
    pub fn whole_steps(&self, config: &FrontEndConfig) -> Result<Part> {
        let width = config.samples_per_step();
        let values = self.values.in_memory();
        let Values::I16(samples) = &*values else {
            return Err(Error::setting(format!(
                "holds {}, the model takes samples of 16 bits",
                self.values.element_type()
            ))
            .remedy("save sound as i16"));
        };
        if self.width == width {
            return Ok(self.clone());
        }
        if self.width != 1 {
            return Err(Error::setting(format!(
                "has {} values a step, the model takes {width} samples",
                self.width
            ))
            .remedy("cut the sound into steps of so many samples"));
        }
        let mut values = Vec::new();
        let mut part = self.clone();
        for sequence in 0..self.sequences() {
            part.starts[sequence] = values.len();
            values.extend_from_slice(&samples[self.range(sequence)]);
            let steps = self.lengths[sequence].div_ceil(width);
            values.resize(part.starts[sequence] + steps * width, 0);
            part.lengths[sequence] = steps;
        }
        part.width = width;
        part.values = Arc::new(Values::I16(values));
        Ok(part)
    }

    /// Every sequence later by so many zeros, for samples that are not cut into steps yet.
    ///
    /// # Errors
    /// When the values are not uncut 16-bit samples.
    pub fn delayed(&self, zeros: usize) -> Result<Part> {
        let values = self.values.in_memory();
        let Values::I16(samples) = &*values else {
            return Err(Error::setting("holds no samples of 16 bits"));
        };
        if self.width != 1 {
            return Err(Error::setting("is cut into steps and cannot be delayed"));
        }
        let mut values = Vec::with_capacity(samples.len() + zeros * self.sequences());
        let mut part = self.clone();
        for sequence in 0..self.sequences() {
            part.starts[sequence] = values.len();
            part.lengths[sequence] += zeros;
            values.resize(values.len() + zeros, 0);
            values.extend_from_slice(&samples[self.range(sequence)]);
        }
        part.values = Arc::new(Values::I16(values));
        Ok(part)
    }

    /// Frames of log mel energies from whole steps of samples.
    ///
    /// # Errors
    /// As [`whole_steps`](Part::whole_steps), or when there is no such front end.
    pub fn features(&self, config: &FrontEndConfig) -> Result<Part> {
        let mut part = self.whole_steps(config)?;
        let pcm = Arc::clone(&part.values);
        let pcm = pcm.in_memory();
        let Values::I16(samples) = &*pcm else {
            return Ok(part);
        };
        let section = config.section()?;
        // The tables are read in place and need a word's alignment.
        let mut words = vec![0u32; section.len().div_ceil(4)];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        bytes[..section.len()].copy_from_slice(&section);
        let front_end = FrontEnd::parse(&bytes[..section.len()])
            .map_err(|error| Error::setting(format!("{error:?}")).field("front end"))?;
        let mut state = vec![0; front_end.state_words()];
        let mut vector = vec![0; config.bands];
        let mut values = Vec::new();
        for sequence in 0..part.sequences() {
            let mut rest = &samples[part.range(sequence)];
            part.starts[sequence] = values.len();
            front_end.reset(&mut state);
            while !rest.is_empty() {
                let push = front_end.push(&mut state, rest, &mut vector);
                rest = &rest[push.consumed..];
                if push.produced {
                    values.extend_from_slice(&vector);
                }
            }
        }
        part.width = config.values_per_step();
        part.values = Arc::new(Values::I16(values));
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> FrontEndConfig {
        FrontEndConfig {
            sample_rate_hz: 8000,
            window: 256,
            hop: 128,
            bands: 20,
            low_hz: 100.0,
            high_hz: 3800.0,
            level: Level::Relative,
            vectors_per_step: 3,
        }
    }

    fn sound(lengths: &[usize]) -> Part {
        let mut starts = vec![0];
        for length in lengths {
            starts.push(starts[starts.len() - 1] + length);
        }
        let total = starts.pop().unwrap();
        let samples = (0..total).map(|i| ((i * i) % 2000) as i16 - 1000).collect();
        Part {
            values: Arc::new(Values::I16(samples)),
            width: 1,
            starts,
            lengths: lengths.to_vec(),
            labels: None,
            groups: None,
        }
    }

    #[test]
    fn sound_ends_in_zeros_up_to_a_whole_step() {
        let part = sound(&[384, 385, 1]).whole_steps(&config()).unwrap();
        assert_eq!(part.width, 384);
        assert_eq!(part.lengths, [1, 2, 1]);
        let Values::I16(values) = &*part.values else {
            panic!("{:?}", part.values)
        };
        assert_eq!(values.len(), 4 * 384);
        assert!(values[3 * 384 + 1..].iter().all(|&sample| sample == 0));
        assert_eq!(part.whole_steps(&config()).unwrap().starts, part.starts);
    }

    #[test]
    fn features_of_a_sequence_do_not_depend_on_its_neighbours() {
        let all = sound(&[1000, 500]).features(&config()).unwrap();
        assert_eq!(all.width, 60);
        assert_eq!(all.lengths, [3, 2]);
        let mut second = sound(&[1000, 500]).subset(&[1]);
        second.labels = None;
        let alone = second.features(&config()).unwrap();
        let (Values::I16(all_values), Values::I16(values)) = (&*all.values, &*alone.values) else {
            panic!("no features")
        };
        assert_eq!(all_values[all.range(1)], values[..]);
    }

    #[test]
    fn a_delay_of_a_hop_moves_the_vectors_by_one() {
        let plain = sound(&[384]);
        let config = FrontEndConfig {
            level: Level::Absolute,
            ..config()
        };
        let later = plain.delayed(128).unwrap().features(&config).unwrap();
        let plain = plain.features(&config).unwrap();
        assert_eq!((plain.lengths[0], later.lengths[0]), (1, 2));
        let (Values::I16(plain), Values::I16(later)) = (&*plain.values, &*later.values) else {
            panic!("no features")
        };
        assert_eq!(plain[..], later[20..80]);
    }

    #[test]
    fn names_what_cannot_be() {
        let odd = FrontEndConfig {
            window: 100,
            ..config()
        };
        let line = sound(&[1000]).features(&odd).unwrap_err().to_string();
        assert!(
            line.starts_with("front end: a window of 100 samples"),
            "{line}"
        );
        let mut bytes = sound(&[10]);
        bytes.values = Arc::new(Values::U8(vec![0; 10]));
        assert!(bytes.features(&config()).is_err());
    }
}
