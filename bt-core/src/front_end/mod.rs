//! Audio front end in integers: 16-bit samples in, one vector of log mel
//! energies (i16, Q5.10 of log₂) per hop out. Training and device run this
//! very code, so both see the same bits.
//!
//! ```text
//! samples → high-pass → the last `window` × Hann → FFT → powers → mel bands → log₂ → level
//! ```
//!
//! A vector comes after every `hop` samples, the first one included, so that a
//! step of several vectors is always the same number of samples. Samples may
//! come in pieces of any length.
//!
//! What a microphone adds leaves little or no trace. The high-pass (module `high_pass`)
//! starts at the first sample, before which there was silence at its level: a
//! constant offset changes no bit of any vector, as long as no sample is
//! clipped. A click of full scale is gone from the samples after 25 ms (to half an
//! LSB), from the vectors a window later, and the level remembers only what lasts
//! [`LASTING`] vectors.
//!
//! An utterance that ends within a step is completed with silence, samples
//! that the high-pass turns into zeros: [`FrontEnd::silence`].
//!
//! Everything stays inside its integers for every input, by proof (modules
//! `fft` and `mel`), so nothing is scaled by what the samples are, and the
//! running time does not depend on them. The numbers keep 16-bit audio whole:
//! what the FFT rounds away lies some 40 dB below the noise of one LSB.
//!
//! Instructions a hop in the default configuration (window 256, hop 128, 32
//! bands; QEMU): about 24,000 on M4, 29,900 on M3, 69,400 on M0, of which the
//! high-pass and what the level keeps are 1,000, 1,300 and 2,900. Equal for every
//! input on M4 and M3; M0, without an instruction that counts zeros, varies by
//! 0.7 %.
//!
//! The tables come from a section of the model file (module `layout`): `write`
//! makes it (feature `alloc`, host), [`FrontEnd::parse`] checks it.

pub mod cases;
mod fft;
mod high_pass;
mod layout;
mod level;
mod logarithm;
mod mel;
mod parse;
mod state;
#[cfg(feature = "alloc")]
mod write;

pub use layout::{BANDS_MAX, FORMAT, FORMAT_UNFILTERED, WINDOW_MAX, WINDOW_MIN};
pub use level::{LASTING, Level};
pub use parse::FrontEndError;
#[cfg(feature = "alloc")]
pub use write::{Config, ConfigError, write};

use core::ops::Range;

use crate::q::saturate;
use high_pass::{Following, HighPass};
use layout::Tables;
use level::{Recent, ZERO_LOG2};

/// Added to every energy before the logarithm: the energy in one band of
/// about a third of an LSB of white noise. Digital silence has a value, and
/// what lies below the converter's own noise does not look like signal.
const FLOOR: u64 = 1 << 24;

/// The audio front end of a model: its tables, borrowed from the model file.
/// [`Model::front_end`](crate::Model::front_end) has it, and a session runs it.
#[derive(Clone, Copy)]
pub struct FrontEnd<'m> {
    sample_rate_hz: u32,
    window: u16,
    hop: u16,
    bands: u16,
    level: Level,
    /// What the level falls by in a hop, Q16 octaves.
    release: u32,
    /// None in sections of [`FORMAT_UNFILTERED`], whose level remembers every
    /// vector.
    high_pass: Option<HighPass>,
    /// All of it, the header too.
    section: &'m [u32],
}

/// What one [`FrontEnd::push`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// Samples taken from the front of the slice.
    pub consumed: usize,
    /// Whether they completed a hop: `out` then holds a new vector.
    pub produced: bool,
}

/// Words of state at its front: how many samples of the current hop are there,
/// and the level.
const HEAD_WORDS: usize = 2;

/// Words that follow them where there is a high-pass: its state, and how loud
/// the vectors before were.
const FILTERED_WORDS: usize = 1 + (LASTING - 1);

impl FrontEnd<'_> {
    /// Samples a second.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Samples under one window.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window.into()
    }

    /// Samples from one vector to the next.
    #[must_use]
    pub fn hop(&self) -> usize {
        self.hop.into()
    }

    /// Values of one vector.
    #[must_use]
    pub fn bands(&self) -> usize {
        self.bands.into()
    }

    /// What values are measured against.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Words of state that carry over from one call to the next, at its front:
    /// what a session has to save. 6 + window/2.
    #[doc(hidden)]
    #[must_use]
    pub fn saved_words(&self) -> usize {
        HEAD_WORDS + self.filtered_words() + self.window() / 2
    }

    fn filtered_words(&self) -> usize {
        self.high_pass.map_or(0, |_| FILTERED_WORDS)
    }

    /// Words of state that [`push`](FrontEnd::push) takes: the saved ones and
    /// `window` of scratch.
    #[doc(hidden)]
    #[must_use]
    pub fn state_words(&self) -> usize {
        self.saved_words() + self.window()
    }

    /// Where the section's tables lie in it.
    fn tables(&self) -> Tables {
        Tables::new(self.window(), self.bands())
    }

    /// cos and sin of 2πk/window, k < window/2.
    fn turns(&self) -> &[fft::Turn] {
        let Range { start, end } = self.tables().turns;
        self.section.get(start / 4..end / 4).unwrap_or(&[])
    }

    /// How far FFT bin k < window/2 has climbed between two mel edges.
    fn rises(&self) -> &[u16] {
        self.halves(self.tables().rises)
    }

    /// The first bin at or above each mel edge: bands + 2.
    fn edges(&self) -> &[u16] {
        self.halves(self.tables().edges)
    }

    fn halves(&self, bytes: Range<usize>) -> &[u16] {
        let halves: &[u16] = bytemuck::cast_slice(self.section);
        halves.get(bytes.start / 2..bytes.end / 2).unwrap_or(&[])
    }

    /// Start of a stream: all words zero.
    #[doc(hidden)]
    pub fn reset(&self, state: &mut [u32]) {
        state.fill(0);
    }

    /// The sample to complete a step with when an utterance ends within it: the
    /// one that the high-pass turns into 0. `state` as in
    /// [`push`](FrontEnd::push).
    #[doc(hidden)]
    #[must_use]
    pub fn silence(&self, state: &[u32]) -> i16 {
        match (self.high_pass, state.get(HEAD_WORDS)) {
            (Some(_), Some(&state)) => HighPass::silence(state),
            _ => 0,
        }
    }

    /// Takes samples up to the end of the current hop; at its end writes one
    /// vector to the first [`bands`](FrontEnd::bands) values of `out`.
    ///
    /// `state` of [`state_words`](FrontEnd::state_words) words and `out` of
    /// `bands` values are the caller's to provide: with less, nothing is
    /// consumed.
    // Its frame is not to lie under what a session does with the vector.
    #[doc(hidden)]
    #[inline(never)]
    pub fn push(&self, state: &mut [u32], pcm: &[i16], out: &mut [i16]) -> Push {
        const NOTHING: Push = Push {
            consumed: 0,
            produced: false,
        };
        let (window, hop) = (self.window(), self.hop());
        let Some(out) = out.get_mut(..self.bands()) else {
            return NOTHING;
        };
        let Some(([filled, level], rest)) = state.split_first_chunk_mut::<HEAD_WORDS>() else {
            return NOTHING;
        };
        let Some((filtered, rest)) = rest.split_at_mut_checked(self.filtered_words()) else {
            return NOTHING;
        };
        let Some((samples, scratch)) = rest.split_at_mut_checked(window / 2) else {
            return NOTHING;
        };
        let Some(scratch) = scratch.get_mut(..window) else {
            return NOTHING;
        };
        let have = (*filled as usize).min(hop);
        let consumed = (hop - have).min(pcm.len());
        let pcm = pcm.get(..consumed).unwrap_or(&[]);
        let start = window - hop + have;
        let recent = match (self.high_pass, filtered.split_first_chunk_mut()) {
            (Some(high_pass), Some(([state], later))) => {
                if let Some(&first) = pcm.first() {
                    let following = high_pass.following(*state, first);
                    *state = append_filtered(samples, start, pcm, following);
                }
                later.first_chunk_mut()
            }
            _ => {
                append(samples, start, pcm, |sample| sample);
                None
            }
        };
        if have + consumed < hop {
            *filled = (have + consumed) as u32;
            return Push {
                consumed,
                produced: false,
            };
        }
        *filled = 0;
        self.vector(
            samples,
            bytemuck::cast_slice_mut(scratch),
            level,
            recent,
            out,
        );
        // The window less one hop stays, as the next window's start.
        let hop_words = hop / 2;
        if hop_words <= samples.len() {
            samples.copy_within(hop_words.., 0);
        }
        Push {
            consumed,
            produced: true,
        }
    }

    /// The vector of one full window.
    fn vector(
        &self,
        samples: &[u32],
        scratch: &mut [i32],
        level: &mut u32,
        recent: Option<&mut Recent>,
        out: &mut [i16],
    ) {
        let (z, _) = scratch.as_chunks_mut::<2>();
        self.weigh(samples, z);
        fft::transform(z, self.turns());
        fft::powers(z, self.turns());
        let bands = mel::Bands {
            rises: self.rises(),
            edges: self.edges(),
        };
        let mut total = 0u64;
        let mut values = out.iter_mut();
        bands.energies(z, |energy| {
            total = total.saturating_add(energy);
            if let Some(value) = values.next() {
                *value = saturate(log2_above_zero(energy));
            }
        });
        match self.level {
            Level::Absolute => {}
            Level::Relative => {
                let loudness = log2_above_zero(total);
                let reference = level::follow(level, recent, self.release, loudness);
                for value in out {
                    *value = saturate(i32::from(*value) - reference);
                }
            }
        }
    }

    /// Samples times the Hann window (1 − cos(2πn/window))/2 as complex pairs
    /// of Q28, pair n at the place that the FFT reads as its nth.
    fn weigh(&self, samples: &[u32], z: &mut [[i32; 2]]) {
        let place_shift = 32u32.wrapping_sub(z.len().trailing_zeros());
        let mut put = |n: u32, pair: u32, weights: [i32; 2]| {
            let place = n.reverse_bits().wrapping_shr(place_shift);
            if let Some(z) = z.get_mut(place as usize) {
                let (first, second) = (i32::from(pair as i16), pair as i32 >> 16);
                *z = [(first * weights[0]) >> 3, (second * weights[1]) >> 3];
            }
        };
        let (turns, _) = self.turns().as_chunks::<2>();
        let mut samples = (0..).zip(samples);
        for (turns, (n, &pair)) in turns.iter().zip(samples.by_ref()) {
            put(
                n,
                pair,
                turns.map(|turn| (1 << 15) - i32::from(fft::cos(turn))),
            );
        }
        // cos(2π(n + window/2)/window) = −cos(2πn/window).
        for (turns, (n, &pair)) in turns.iter().zip(samples) {
            put(
                n,
                pair,
                turns.map(|turn| (1 << 15) + i32::from(fft::cos(turn))),
            );
        }
    }
}

/// Its sizes, not its tables.
impl core::fmt::Debug for FrontEnd<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FrontEnd")
            .field("sample_rate_hz", &self.sample_rate_hz)
            .field("window", &self.window)
            .field("hop", &self.hop)
            .field("bands", &self.bands)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for FrontEnd<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "FrontEnd {{ sample_rate_hz: {=u32}, window: {=u16}, hop: {=u16}, bands: {=u16}, level: {} }}",
            self.sample_rate_hz,
            self.window,
            self.hop,
            self.bands,
            self.level,
        );
    }
}

/// Writes samples behind the high-pass, whose next state it returns.
// On its own so that the loop has the registers.
#[inline(never)]
fn append_filtered(words: &mut [u32], start: usize, pcm: &[i16], mut following: Following) -> u32 {
    append(words, start, pcm, |sample| following.next(sample));
    following.state()
}

/// Writes samples from `start` on, two to a word, each as `filter` makes it.
#[inline(always)]
fn append(words: &mut [u32], start: usize, mut pcm: &[i16], mut filter: impl FnMut(i16) -> i16) {
    let words = words.get_mut(start / 2..).unwrap_or(&mut []);
    let (begun, words) = words
        .split_at_mut_checked(start % 2)
        .unwrap_or((&mut [], &mut []));
    if let ([word], Some((&sample, rest))) = (begun, pcm.split_first()) {
        *word = (*word & 0xffff) | u32::from(filter(sample) as u16) << 16;
        pcm = rest;
    }
    let (pairs, last) = pcm.as_chunks::<2>();
    for (&[first, second], word) in pairs.iter().zip(words.iter_mut()) {
        let first = u32::from(filter(first) as u16);
        *word = first | u32::from(filter(second) as u16) << 16;
    }
    if let (&[sample], Some(word)) = (last, words.get_mut(pairs.len())) {
        *word = (*word & 0xffff_0000) | u32::from(filter(sample) as u16);
    }
}

/// log₂ of an energy above [`ZERO_LOG2`], Q10.
fn log2_above_zero(energy: u64) -> i32 {
    logarithm::log2(energy.saturating_add(FLOOR)) - (ZERO_LOG2 << 10)
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
