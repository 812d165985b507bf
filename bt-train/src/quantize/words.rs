//! What words add to z, in integers: rows of i8, each with a scale of its own.

use super::map::Z_MAX;
use super::tensor::QuantizeError;
use super::z::Z_SCALE;
use crate::data::Part;
use crate::error::{Error, ErrorKind, Lack, Result};
use crate::float::checkpoint::{Checkpoint, WORDS};
use bt_core::internals::model::layout::{WORDS_SHIFT_MAX, WordsRecord};
use bt_core::internals::model::write::WordsContents;

/// How the words of a vocabulary were quantized.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct WordsReport {
    /// Largest magnitude of what a word adds to z.
    pub max: f64,
    /// Signal-to-noise ratio of all rows, dB.
    pub snr_db: f64,
}

/// The table of words of a model, and what is read of it in calibration.
pub(super) struct RealWords {
    /// A row of z's values for each word.
    rows: Vec<Vec<f64>>,
    /// Of every sequence, the word that each step reads.
    pub read: Vec<Vec<usize>>,
}

/// Beyond this more of a word changes nothing: from one end z comes to the other.
const SHARE_MAX: f64 = 2.0 * Z_MAX;

/// The largest entry of a row.
const ENTRY_MAX: f64 = 127.0;

impl RealWords {
    /// Those of a checkpoint, read at the captions of these sequences of a part; `None` of models without words.
    ///
    /// # Errors
    ///
    /// When the part has no captions, or a row is not finite.
    pub fn new(checkpoint: &Checkpoint, part: &Part, sequences: &[usize]) -> Result<Option<Self>> {
        let Some(rows) = rows(checkpoint)? else {
            return Ok(None);
        };
        let read = sequences.iter().map(|&sequence| {
            let targets = part.targets.as_ref();
            targets
                .and_then(|targets| targets.words_read(sequence))
                .ok_or_else(|| {
                    Error::new(ErrorKind::Lacks(Lack::Captions))
                        .remedy("save them as `words_*` and `picture_*`")
                })
        });
        Ok(Some(Self {
            read: read.collect::<Result<_>>()?,
            rows,
        }))
    }

    /// z's shares of a sequence's steps by that of its picture.
    pub fn shares(&self, sequence: usize, picture: &[f64]) -> Vec<Vec<f64>> {
        let share = |&word: &usize| {
            let row = self.rows[word].iter();
            row.zip(picture).map(|(word, z)| word + z).collect()
        };
        self.read[sequence].iter().map(share).collect()
    }
}

/// The rows of a checkpoint's table.
fn rows(checkpoint: &Checkpoint) -> Result<Option<Vec<Vec<f64>>>> {
    if checkpoint.config.words().is_none() {
        return Ok(None);
    }
    let values = checkpoint.values(WORDS);
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::new(ErrorKind::Quantize {
            map: "words",
            error: QuantizeError::NotFinite.into(),
        })
        .remedy("train again with a lower `lr`"));
    }
    let width = checkpoint.config.bias_values();
    Ok(Some(values.chunks(width).map(<[f64]>::to_vec).collect()))
}

/// The same in integers, and what they cost.
///
/// # Errors
///
/// When a row is not finite.
pub(super) fn integers(checkpoint: &Checkpoint) -> Result<Option<(WordsContents, WordsReport)>> {
    let Some(rows) = rows(checkpoint)? else {
        return Ok(None);
    };
    let cut = |value: f64| value.clamp(-SHARE_MAX, SHARE_MAX);
    let largest = |row: &[f64]| {
        row.iter()
            .fold(0.0f64, |max, &value| cut(value).abs().max(max))
    };
    // z's LSBs of one entry, of each word.
    let units: Vec<f64> = rows
        .iter()
        .map(|row| largest(row) * Z_SCALE / ENTRY_MAX)
        .collect();
    let most = units.iter().fold(0.0f64, |max, &unit| unit.max(max));
    let holds = |shift: &u32| most * 2f64.powi(*shift as i32) <= f64::from(u16::MAX);
    // 32 in Q4.11 is 516 LSBs of z an entry: six bits of shift there are in any case.
    let shift = (0..=WORDS_SHIFT_MAX).rev().find(holds).unwrap_or(0);
    let factor = 2f64.powi(shift as i32);
    let scales: Vec<u16> = units
        .iter()
        .map(|unit| (unit * factor).ceil() as u16)
        .collect();
    let (mut table, mut signal, mut noise) = (Vec::new(), 0.0, 0.0);
    for (row, &scale) in rows.iter().zip(&scales) {
        let unit = f64::from(scale) / factor / Z_SCALE;
        for &value in row {
            let wanted = cut(value);
            let entry = match scale {
                0 => 0.0,
                _ => (wanted / unit).round(),
            };
            table.push(entry as i8);
            signal += wanted * wanted;
            noise += (entry * unit - wanted).powi(2);
        }
    }
    let report = WordsReport {
        max: rows.iter().map(|row| largest(row)).fold(0.0, f64::max),
        snr_db: 10.0 * (signal / noise.max(f64::MIN_POSITIVE)).log10(),
    };
    let words = WordsContents {
        record: WordsRecord {
            shift,
            longest: checkpoint.config.head.caption_words() as u32,
        },
        scales,
        table,
    };
    Ok(Some((words, report)))
}

/// What the integers of a table stand for, row by row.
pub(super) fn rounded(words: &WordsContents) -> Vec<f64> {
    let width = words.table.len() / words.scales.len().max(1);
    let unit = 2f64.powi(-(words.record.shift as i32)) / Z_SCALE;
    let rows = words.table.chunks(width.max(1)).zip(&words.scales);
    rows.flat_map(|(row, &scale)| {
        row.iter()
            .map(move |&entry| f64::from(entry) * f64::from(scale) * unit)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::model::Model;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// Every entry is within half of its row's step, rows of any size beside each other; what is beyond 32 is 32, and
    /// a row of zeros stays one.
    #[test]
    fn rows_are_as_near_as_eight_bits() {
        let config = r#"{"input": {"map": "dense", "modes": [6]}, "hidden": {"modes": [4]},
            "head": {"next_words": 5, "steps": 4}}"#;
        for gain in [1e-6f32, 1e-3, 1.0, 7.5, 300.0] {
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let mut model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
            for (name, mut values) in model.parameters_mut() {
                if name == WORDS {
                    for (word, mut row) in values.outer_iter_mut().enumerate() {
                        row.mapv_inplace(|w| w * gain * [1.0, 0.0, 0.01, 0.3, 1.0][word]);
                    }
                }
            }
            let checkpoint = Checkpoint::of(&model);
            let (words, report) = integers(&checkpoint).unwrap().unwrap();
            assert_eq!(words.record.longest, 3);
            let wanted = checkpoint.values(WORDS);
            let found = rounded(&words);
            let rows = wanted.chunks(16).zip(found.chunks(16));
            let mut largest = 0.0f64;
            for (wanted, found) in rows {
                let cut = wanted.iter().map(|w| w.clamp(-32.0, 32.0));
                let most = cut.clone().fold(0.0f64, |max, w| w.abs().max(max));
                largest = largest.max(most);
                // Of a row far below the largest, the scale itself is rounded up.
                let step = most / 127.0 + 2f64.powi(-(words.record.shift as i32)) / 2048.0;
                for (wanted, found) in cut.zip(found) {
                    assert!(
                        (wanted - found).abs() <= step / 2.0 + 1e-12,
                        "{gain}: {wanted} {found}"
                    );
                }
            }
            assert!((report.max - largest).abs() < 1e-9);
            if (1e-3..10.0).contains(&gain) {
                assert!(report.snr_db > 40.0, "{gain}: {report:?}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        let config = r#"{"input": {"map": "dense", "modes": [6]}, "hidden": {"modes": [4]},
            "head": {"next_words": 5}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        let mut checkpoint = Checkpoint::of(&model);
        checkpoint.tensors.get_mut(WORDS).unwrap()[[3, 2]] = f32::NAN;
        let error = integers(&checkpoint).unwrap_err();
        assert!(error.to_string().contains("the words map"), "{error}");
    }
}
