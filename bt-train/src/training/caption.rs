//! Captions made word by word in floats: always the likeliest word, or the likeliest of several that go on side by side.

use crate::data::{Items, Normalization, Part, Targets};
use crate::error::{Error, ErrorKind, Lack, Result};
use crate::float::caption::Decoder;
use crate::float::config::{END, UNKNOWN};
use crate::float::model::Model;
use bt_core::argmax;
use ndarray::{Array2, ArrayView1};
use std::collections::BTreeMap;

/// Pictures captioned at a time.
const BATCH: usize = 100;

/// The pictures of a part, each once, with what people wrote of it.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// A sequence of the part for each, which is a caption of it.
    pub sequences: Vec<usize>,
    /// The captions of each, without their ends.
    pub references: Vec<Vec<Vec<usize>>>,
}

impl Pictures {
    /// Those of a part with captions.
    ///
    /// # Errors
    /// When it has none.
    pub fn of(part: &Part) -> Result<Pictures> {
        let captioned = part.targets.as_ref().zip(part.groups.as_ref());
        let (Some((targets, pictures)), true) = (
            captioned,
            part.targets
                .as_ref()
                .is_some_and(|all| all.caption_lengths().is_some()),
        ) else {
            return Err(Error::new(ErrorKind::Lacks(Lack::Captions))
                .remedy("save them as `words_*` and `picture_*`"));
        };
        let mut of_pictures: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (sequence, &picture) in pictures.iter().enumerate() {
            of_pictures.entry(picture).or_default().push(sequence);
        }
        let sequences = of_pictures.values().map(|sequences| sequences[0]).collect();
        let references = of_pictures.values().map(|sequences| {
            sequences
                .iter()
                .map(|&sequence| words(targets, sequence))
                .collect()
        });
        Ok(Pictures {
            sequences,
            references: references.collect(),
        })
    }
}

impl Pictures {
    /// Those of a part; one without captions has a picture in every sequence, of which nothing was written.
    pub fn in_part(part: &Part) -> Pictures {
        Pictures::of(part).unwrap_or_else(|_| Pictures {
            sequences: (0..part.sequences()).collect(),
            references: vec![Vec::new(); part.sequences()],
        })
    }
}

/// The words of a sequence's caption, without its end.
fn words(targets: &Targets, sequence: usize) -> Vec<usize> {
    match targets.items_of(&[sequence]) {
        Items::Classes(mut words) => {
            words.pop();
            words
        }
        Items::Values(_) | Items::Bits(_) => Vec::new(),
    }
}

/// A caption for each of these sequences of a part: the likeliest words one after the other, or with a `beam` above 1
/// the likeliest of so many captions that go on side by side, by the mean of the logarithms of the words' probabilities.
/// None has more words than any that the model learned from, nor the word [`UNKNOWN`].
///
/// # Panics
/// When the model makes no captions, or `beam` is 0.
pub fn captions(model: &Model, part: &Part, sequences: &[usize], beam: usize) -> Vec<Vec<usize>> {
    let normalization = Normalization::of(model);
    let most = model.config.head.caption_words();
    let mut all = Vec::with_capacity(sequences.len());
    for some in sequences.chunks(BATCH) {
        let x = part.batch(some, &normalization).x;
        let pictures = x.index_axis(ndarray::Axis(1), 0);
        if beam == 1 {
            all.extend(likeliest(model.decoder(pictures), some.len(), most));
        } else {
            for picture in 0..some.len() {
                let one = pictures.slice(ndarray::s![picture..=picture, ..]);
                all.push(side_by_side(model.decoder(one), beam, most));
            }
        }
    }
    all
}

fn likeliest(mut decoder: Decoder<'_, f32>, count: usize, most: usize) -> Vec<Vec<usize>> {
    let mut captions = vec![Vec::new(); count];
    let mut last = vec![END; count];
    let mut ended = vec![false; count];
    for _ in 0..most {
        let logits = decoder.step(&last);
        for (caption, row) in logits.outer_iter().enumerate() {
            last[caption] = next_word(row);
            ended[caption] |= last[caption] == END;
            if !ended[caption] {
                captions[caption].push(last[caption]);
            }
        }
        if ended.iter().all(|&ended| ended) {
            break;
        }
    }
    captions
}

/// The likeliest word that a caption may have.
fn next_word(logits: ArrayView1<'_, f32>) -> usize {
    let may = |(word, &logit): (usize, &f32)| {
        if word == UNKNOWN {
            f32::NEG_INFINITY
        } else {
            logit
        }
    };
    let logits: Vec<f32> = logits.iter().enumerate().map(may).collect();
    argmax(&logits).unwrap_or(END)
}

/// A caption of a beam.
#[derive(Debug, Clone)]
struct Candidate {
    words: Vec<usize>,
    /// Of all words, and of the end where it has come.
    log_probability: f64,
    /// Its place in the decoder.
    row: usize,
}

impl Candidate {
    fn mean(&self, steps: usize) -> f64 {
        self.log_probability / steps as f64
    }
}

fn side_by_side(mut decoder: Decoder<'_, f32>, beam: usize, most: usize) -> Vec<usize> {
    let mut open = vec![Candidate {
        words: Vec::new(),
        log_probability: 0.0,
        row: 0,
    }];
    let mut best: Option<(f64, Vec<usize>)> = None;
    let keep = |mean: f64, words: &[usize], best: &mut Option<(f64, Vec<usize>)>| {
        if best.as_ref().is_none_or(|(than, _)| mean > *than) {
            *best = Some((mean, words.to_vec()));
        }
    };
    for step in 0..most {
        let last: Vec<usize> = open
            .iter()
            .map(|candidate| candidate.words.last().copied().unwrap_or(END))
            .collect();
        let logits = log_probabilities(decoder.step(&last));
        let mut next = Vec::new();
        for candidate in &open {
            let row = logits.row(candidate.row);
            for (word, &log_probability) in row.iter().enumerate() {
                if word != UNKNOWN {
                    next.push((candidate.log_probability + log_probability, candidate, word));
                }
            }
        }
        next.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        next.truncate(beam);
        let mut going = Vec::new();
        for (log_probability, before, word) in next {
            let mut candidate = Candidate {
                log_probability,
                ..before.clone()
            };
            if word == END {
                keep(candidate.mean(step + 1), &candidate.words, &mut best);
            } else {
                candidate.words.push(word);
                going.push(candidate);
            }
        }
        open = going;
        if open.is_empty() {
            break;
        }
        decoder.select(
            &open
                .iter()
                .map(|candidate| candidate.row)
                .collect::<Vec<_>>(),
        );
        for (row, candidate) in open.iter_mut().enumerate() {
            candidate.row = row;
        }
    }
    // What no end came to counts as it stands.
    for candidate in &open {
        keep(candidate.mean(most.max(1)), &candidate.words, &mut best);
    }
    best.map(|(_, words)| words).unwrap_or_default()
}

fn log_probabilities(logits: Array2<f32>) -> Array2<f64> {
    let mut all = logits.mapv(f64::from);
    for mut row in all.outer_iter_mut() {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|logit| (logit - largest).exp()).sum();
        row -= largest + sum.ln();
    }
    all
}
