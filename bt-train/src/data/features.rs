//! From samples to frames, by the very code that the device runs.

use crate::data::{ElementType, Part, Values};
use crate::error::{Error, ErrorKind, Lack, Result};
use crate::float::config::{FrontEndConfig, Level};
use bt_core::internals::front_end::{self, FrontEnd};
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
            return Err(Error::out_of_range(0, "give 1 or more").field("vectors-per-step"));
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
            format: self.format,
        })
        .map_err(|error| Error::new(ErrorKind::FrontEnd(error)).field("front end"))
    }

    /// Words of state that a session keeps for it.
    ///
    /// # Errors
    ///
    /// As [`section`](Self::section).
    pub fn state_words(&self) -> Result<usize> {
        Ok(Section::new(self)?.front_end()?.state_words())
    }
}

/// The bytes of a front end, whose tables are read in place and need a word's alignment.
struct Section {
    words: Vec<u32>,
    length: usize,
}

impl Section {
    fn new(config: &FrontEndConfig) -> Result<Section> {
        let section = config.section()?;
        let mut words = vec![0u32; section.len().div_ceil(4)];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        bytes[..section.len()].copy_from_slice(&section);
        Ok(Section {
            words,
            length: section.len(),
        })
    }

    fn front_end(&self) -> Result<FrontEnd<'_>> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.words);
        FrontEnd::parse(&bytes[..self.length])
            .map_err(|error| Error::new(ErrorKind::Device(error.into())).field("front end"))
    }
}

fn not_sound(found: ElementType) -> Error {
    Error::new(ErrorKind::Lacks(Lack::Samples16 {
        found: found.to_string().into(),
    }))
}

impl Part {
    /// Checks that these are samples for a front end: one a step, or cut into whole steps of it.
    ///
    /// # Errors
    /// When the values are not 16-bit samples, or cut for another front end.
    pub fn check_samples(&self, config: &FrontEndConfig) -> Result<()> {
        let width = config.samples_per_step();
        let found = self.values.element_type();
        if found != ElementType::I16 {
            return Err(Error::new(ErrorKind::ModelInput {
                found: found.to_string().into(),
                expected: "samples of 16 bits".into(),
            })
            .remedy("save sound as i16"));
        }
        if self.width == 1 || self.width == width {
            return Ok(());
        }
        Err(
            Error::mismatch("values a step", self.width, width, "the model takes")
                .remedy("cut the sound into steps of so many samples"),
        )
    }

    /// Checks that these are samples, one after the other, not cut into steps yet.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) fn check_uncut(&self) -> Result<()> {
        if self.values.element_type() != ElementType::I16 {
            return Err(not_sound(self.values.element_type()));
        }
        if self.width != 1 {
            return Err(Error::new(ErrorKind::CutIntoSteps { width: self.width }));
        }
        Ok(())
    }

    /// Every sequence later by so many samples, for samples that are not cut into steps yet: its
    /// first one, held, which is silence with whatever offset the recording has.
    ///
    /// # Errors
    /// When the values are not uncut 16-bit samples.
    pub fn delayed(&self, samples_later: usize) -> Result<Part> {
        self.check_uncut()?;
        let values = self.values.in_memory();
        let Values::I16(samples) = &*values else {
            return Err(not_sound(self.values.element_type()));
        };
        let mut values = Vec::with_capacity(samples.len() + samples_later * self.sequences());
        let mut part = self.clone();
        for sequence in 0..self.sequences() {
            let sound = &samples[self.range(sequence)];
            part.starts[sequence] = values.len();
            part.lengths[sequence] += samples_later;
            let first = sound.first().copied().unwrap_or(0);
            values.resize(values.len() + samples_later, first);
            values.extend_from_slice(sound);
        }
        part.values = Arc::new(Values::I16(values));
        Ok(part)
    }

    /// A stream in whole steps: samples of one step for each of its steps, and the targets of these. What does not fill
    /// a step at the end of a sequence is left out. Anything else stays as it is.
    ///
    /// # Errors
    /// When a sequence is shorter than a step.
    pub fn in_steps(&self, config: &FrontEndConfig) -> Result<Part> {
        let Some(ticks) = self.targets.as_ref().filter(|all| all.are_of_ticks()) else {
            return Ok(self.clone());
        };
        let width = config.samples_per_step();
        let lengths: Vec<usize> = self.lengths.iter().map(|length| length / width).collect();
        if let Some(short) = lengths.iter().position(|&steps| steps == 0) {
            let samples = self.lengths[short];
            let lack = Lack::Step {
                samples,
                need: width,
            };
            return Err(Error::new(ErrorKind::Lacks(lack)).remedy("drop it"));
        }
        let targets = ticks.at_steps(&lengths, (width, config.sample_rate_hz));
        Ok(Part {
            width,
            lengths,
            targets: Some(targets),
            ..self.clone()
        })
    }

    /// Frames of log mel energies from samples. The last step of a sequence is completed as
    /// [`Session::finish`](bt_core::Session::finish) does on the device.
    ///
    /// # Errors
    /// As [`check_samples`](Part::check_samples), or when there is no such front end.
    pub fn features(&self, config: &FrontEndConfig) -> Result<Part> {
        self.check_samples(config)?;
        let cut = self.in_steps(config)?;
        let pcm = cut.values.in_memory();
        let Values::I16(samples) = &*pcm else {
            return Err(not_sound(self.values.element_type()));
        };
        let section = Section::new(config)?;
        let front_end = section.front_end()?;
        let mut state = vec![0; front_end.state_words()];
        let mut vector = vec![0; config.bands];
        let mut values = Vec::new();
        let mut part = cut.clone();
        let step = config.samples_per_step();
        for sequence in 0..cut.sequences() {
            part.starts[sequence] = values.len();
            front_end.reset(&mut state);
            let mut push = |state: &mut [u32], mut samples: &[i16]| {
                while !samples.is_empty() {
                    let push = front_end.push(state, samples, &mut vector);
                    samples = &samples[push.consumed..];
                    if push.produced {
                        values.extend_from_slice(&vector);
                    }
                }
            };
            let sound = &samples[cut.range(sequence)];
            push(&mut state, sound);
            let missing = sound.len().next_multiple_of(step) - sound.len();
            let silence = front_end.silence(&state);
            push(&mut state, &vec![silence; missing]);
            part.lengths[sequence] = (sound.len() + missing) / step;
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
            format: front_end::FORMAT,
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
            targets: None,
            groups: None,
        }
    }

    #[test]
    fn features_of_a_sequence_do_not_depend_on_its_neighbours() {
        let all = sound(&[1000, 500]).features(&config()).unwrap();
        assert_eq!(all.width, 60);
        assert_eq!(all.lengths, [3, 2]);
        let mut second = sound(&[1000, 500]).subset(&[1]);
        second.targets = None;
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
