//! What is fuzzed: everything that reads bytes from outside, from seeds that are real files of every kind, by
//! mutations that know what they change: checksums are made right again and fields are known by name, which takes
//! an input behind every check.
//!
//! The tests run them for a moment in a plain loop, an input made from the name of its target and its number alone.
//! `tests/fuzz` runs the same targets under libFuzzer, led by coverage, for as long as asked.

mod device;
mod host;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use crate::model::Noise;

/// Something that reads bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// How it is asked for.
    pub name: &'static str,
    /// Sound inputs.
    seeds: fn() -> Vec<Vec<u8>>,
    /// One of them, or what came of one, changed.
    mutate: fn(&[u8], &mut Noise) -> Vec<u8>,
    /// Does everything with an input; whether it was taken. A panic is a finding.
    run: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    device::PARSE,
    device::STATE,
    device::FRONT_END,
    device::WIRE,
    host::NPZ,
    host::WAV,
    host::SAFETENSORS,
    host::CSV,
    host::TOML,
];

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Inputs run.
    pub executions: u64,
    /// Inputs that were taken for sound.
    pub taken: u64,
    /// The slowest of them.
    pub slowest: Duration,
    /// What was found: the input's number, the input, and what happened.
    pub findings: Vec<Finding>,
}

/// An input that does harm.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its number.
    pub number: u64,
    /// Itself.
    pub input: Vec<u8>,
    /// What happened.
    pub message: String,
}

/// An input that takes more of a processor has found something. Not by the clock, which other programs stop.
const SLOW: Duration = Duration::from_secs(5);

/// Findings beyond this many say no more.
const FINDINGS_MAX: usize = 5;

impl Target {
    /// Runs one input.
    ///
    /// # Errors
    ///
    /// How it panicked, or that it took too long.
    pub fn execute(&self, input: &[u8]) -> Result<bool, String> {
        let start = ProcessTime::now();
        let taken = catch_unwind(AssertUnwindSafe(|| (self.run)(input))).map_err(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
            text.unwrap_or("a panic without words").to_owned()
        })?;
        match start.elapsed() {
            time if time > SLOW => Err(format!("took {time:.1?} of a processor")),
            _ => Ok(taken),
        }
    }

    /// Sound inputs.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }

    /// An input changed, the same for the same number. Nothing stays nothing.
    pub fn changed(&self, input: &[u8], number: u32) -> Vec<u8> {
        if input.is_empty() {
            return Vec::new();
        }
        (self.mutate)(input, &mut Noise::new(number))
    }

    /// Runs the seeds, then inputs by their numbers for so long.
    ///
    /// # Panics
    ///
    /// A seed is not taken: it says nothing.
    pub fn fuzz(&self, time: Duration) -> Outcome {
        let seeds = (self.seeds)();
        let mut outcome = Outcome::default();
        for (at, seed) in seeds.iter().enumerate() {
            let taken = self.execute(seed);
            assert_eq!(taken, Ok(true), "seed {at} of {}", self.name);
        }
        let start = Instant::now();
        for number in 0.. {
            if start.elapsed() >= time || outcome.findings.len() >= FINDINGS_MAX {
                break;
            }
            let input = self.input(&seeds, number);
            let begun = Instant::now();
            let result = self.execute(&input);
            outcome.executions += 1;
            outcome.slowest = outcome.slowest.max(begun.elapsed());
            match result {
                Ok(taken) => outcome.taken += u64::from(taken),
                Err(message) => outcome.findings.push(Finding {
                    number,
                    input,
                    message,
                }),
            }
        }
        outcome
    }

    /// The input of a number.
    fn input(&self, seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
        // Numbers that follow each other share no bits.
        let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut noise = Noise::new((mixed >> 32) as u32 ^ number as u32);
        let seed = pick(seeds, &mut noise);
        (self.mutate)(seed, &mut noise)
    }

    /// Where inputs that did harm are kept.
    pub fn findings(&self) -> PathBuf {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        root.join("fuzz/findings").join(self.name)
    }
}

/// One of several.
fn pick<'a, T>(all: &'a [T], noise: &mut Noise) -> &'a T {
    &all[below(all.len(), noise)]
}

/// A number below this one.
fn below(end: usize, noise: &mut Noise) -> usize {
    let wide = usize::from(noise.bits()) << 16 | usize::from(noise.bits());
    wide % end.max(1)
}

/// Changes of bytes that know nothing of what they are: bits, bytes, numbers at their edges, pieces
/// moved, doubled and cut out.
fn bytes(input: &[u8], noise: &mut Noise) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + below(4, noise) {
        let at = below(bytes.len(), noise);
        let length = 1 + below(
            if noise.bits().is_multiple_of(4) {
                200
            } else {
                8
            },
            noise,
        );
        let end = (at + length).min(bytes.len());
        match below(9, noise) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << below(8, noise);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = noise.bits() as u8;
                }
            }
            3 | 4 => {
                let value = *pick(&EDGES, noise);
                let width = *pick(&[1, 2, 4, 8], noise);
                let value = value.to_le_bytes();
                for (place, byte) in bytes.iter_mut().skip(at).take(width).zip(value) {
                    *place = byte;
                }
            }
            5 => drop(bytes.drain(at..end)),
            6 => {
                let piece = bytes[at..end].to_vec();
                let to = below(bytes.len() + 1, noise);
                bytes.splice(to..to, piece);
            }
            7 => {
                let filling = noise.bytes(end - at);
                bytes.splice(at..end, filling);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

/// Numbers at which sizes go wrong.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// Changes of a text: as of [`bytes`], and words and numbers for each other.
fn text(input: &[u8], words: &[&str], noise: &mut Noise) -> Vec<u8> {
    if noise.bits().is_multiple_of(3) {
        return bytes(input, noise);
    }
    let mut text = input.to_vec();
    for _ in 0..1 + below(3, noise) {
        // A word as it stands, from the place where one begins.
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let starts: Vec<usize> = (0..text.len())
            .filter(|&at| is_word(&text[at]) && (at == 0 || !is_word(&text[at - 1])))
            .collect();
        let Some(&start) = starts.get(below(starts.len(), noise)) else {
            break;
        };
        let length = text[start..]
            .iter()
            .take_while(|byte| is_word(byte))
            .count();
        let word = pick(words, noise).bytes();
        text.splice(start..start + length, word);
    }
    text
}
