//! What `eval` tells of a model of captions.

use crate::command::progress::bar;
use crate::command::{load, scores};
use crate::data::{DataSet, Normalization, Part, PartName, Recordings, Targets};
use crate::device;
use crate::error::{Error, ErrorKind, Result};
use crate::file::write_atomic;
use crate::float::checkpoint::Checkpoint;
use crate::float::model::Model as Network;
use crate::heads::HeadName;
use crate::say;
use crate::training::caption::{Pictures, captions};
use crate::training::evaluate::{self, Score};
use crate::training::metrics::{CaptionFigures, distinct};
use bt_core::Model;
use bt_core::captions::{Teller, Temperature};
use bt_core::drawing::Random;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// `--logits` of a model of captions.
pub fn no_logits() -> Error {
    let why = "is a table of all words at every word";
    Error::new(ErrorKind::NotForHead {
        head: HeadName::NextWords,
        why,
    })
    .field("logits")
    .remedy("leave it out; `captions` writes the captions")
}

/// A flag of captions beside a model that gives something else.
pub fn only_of_captions(flag: &'static str, head: HeadName) -> Error {
    let why = "is for a model of captions";
    Error::new(ErrorKind::NotForHead { head, why })
        .field(flag)
        .remedy("leave it out")
}

/// What is asked of the test part.
pub struct Asked<'a> {
    /// Captions side by side.
    pub beam: usize,
    /// Where the captions go.
    pub out: Option<&'a Path>,
    /// For programs.
    pub json: bool,
}

/// Scores of the test part in floats, of captions of other pictures, and of what looks at no picture or learns nothing.
///
/// # Errors
/// When a file cannot be used or model and data do not fit.
pub fn run(
    checkpoint: &Checkpoint,
    data: &Path,
    recordings: &Recordings,
    asked: &Asked<'_>,
) -> Result<()> {
    let in_data = |error: Error| error.file(data);
    let set = load(
        data,
        recordings,
        &[PartName::Train, PartName::Test],
        Some(HeadName::NextWords),
    )?;
    let vocabulary = &checkpoint.config.head.labels;
    warn_of_other_words(&set, vocabulary, data);
    let set = set.for_model(&checkpoint.config).map_err(in_data)?;
    let (train, test) = (set.part(PartName::Train)?, set.part(PartName::Test)?);
    let model = checkpoint.model()?;
    let pictures = Pictures::of(test).map_err(in_data)?;
    let told = captions(&model, test, &pictures.sequences, asked.beam);
    let found = CaptionFigures::of(&told, &pictures.references);
    let perplexity = perplexity(&model, test)?;
    let others = others(&pictures.sequences, &told);
    let shuffled = CaptionFigures::of(&others, &pictures.references);
    let shuffled_perplexity = self::perplexity(&model, &with_other_pictures(test, &pictures))?;
    let controls = Controls::new(&model, train, test, &pictures)?;
    if let Some(path) = asked.out {
        write(path, vocabulary, &told, &pictures.references)?;
    }
    if asked.json {
        let mut all = json!(found);
        all["pictures"] = told.len().into();
        all["captions"] = test.sequences().into();
        all["perplexity"] = perplexity.into();
        all["shuffled"] = json!(shuffled);
        all["shuffled"]["perplexity"] = shuffled_perplexity.into();
        all["controls"] = json!({
            "most_frequent": json!(controls.most_frequent),
            "nearest": json!(controls.nearest),
        });
        say!("{all}");
        return Ok(());
    }
    say!(
        "{} pictures, {} captions of people",
        told.len(),
        test.sequences()
    );
    say!("{found}, perplexity {perplexity:.2}");
    say!("captions of other pictures: {shuffled}, perplexity {shuffled_perplexity:.2}");
    say!("the most frequent caption:  {}", controls.most_frequent);
    say!("that of the nearest picture: {}", controls.nearest);
    Ok(())
}

/// How the words of captions are chosen.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Drawing {
    /// Captions: draw words at this temperature, 0.125 to 255 [default: always the likeliest word]
    #[arg(long, value_name = "T", value_parser = temperature)]
    pub temperature: Option<Temperature>,
    /// Captions: the seed that words are drawn from [default: 1]
    #[arg(long, value_name = "SEED", requires = "temperature")]
    pub seed: Option<u64>,
}

impl Drawing {
    /// Who chooses the words of picture `number`.
    pub fn teller(&self, number: usize) -> Teller {
        match self.temperature {
            Some(temperature) => {
                Teller::drawing(Random::new(self.seed(), number as u64), temperature)
            }
            None => Teller::likeliest(),
        }
    }

    /// Seed and temperature as a request has them.
    pub fn on_the_wire(&self) -> (u64, u16) {
        (self.seed(), self.temperature.map_or(0, Temperature::number))
    }

    fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }
}

/// A temperature to 1/256.
fn temperature(text: &str) -> std::result::Result<Temperature, String> {
    let one = f64::from(Temperature::ONE.number());
    let number = text.parse().map(|t: f64| (t * one).round());
    let range = f64::from(Temperature::MIN)..=f64::from(u16::MAX);
    match number {
        Ok(number) if range.contains(&number) => Temperature::new(number as u16),
        _ => None,
    }
    .ok_or_else(|| "is no number from 0.125 to 255".to_owned())
}

/// What is asked of the integers.
pub struct OfDevice<'a> {
    /// How words are chosen.
    pub drawing: &'a Drawing,
    /// Where the captions go.
    pub out: Option<&'a Path>,
    /// For programs.
    pub json: bool,
}

/// Captions of the test part by the device's own integers, beside those of people where there are any.
///
/// # Errors
/// When a file cannot be written or model and data do not fit.
pub fn run_integers(model: &Model<'_>, part: &Part, asked: &OfDevice<'_>) -> Result<()> {
    let vocabulary: Vec<String> = (0..model.outputs())
        .map(|word| model.label(word).unwrap_or("?").to_owned())
        .collect();
    let pictures = Pictures::in_part(part);
    let progress = bar(pictures.sequences.len(), "pictures");
    let told = device::captions(
        model,
        part,
        &pictures.sequences,
        |number| asked.drawing.teller(number),
        || progress.inc(1),
    )?;
    progress.finish_and_clear();
    let scored = part.targets.as_ref().map(|targets| -> Result<_> {
        let raw = device::run(model, part, || ())?;
        let figures = scores::figures(model, targets, &raw)?;
        Ok((
            CaptionFigures::of(&told, &pictures.references),
            perplexity_of(model, targets, &raw),
            figures,
        ))
    });
    let scored = scored.transpose()?;
    if let Some(path) = asked.out {
        write(path, &vocabulary, &told, &pictures.references)?;
    }
    if asked.json {
        let mut all = json!({ "distinct": distinct(&told) });
        if let Some((found, perplexity, figures)) = &scored {
            all = json!(found);
            all["captions"] = part.sequences().into();
            all["perplexity"] = (*perplexity).into();
            all["accuracy"] = figures.accuracy().into();
        }
        all["pictures"] = told.len().into();
        say!("{all}");
        return Ok(());
    }
    for words in &told {
        say!("{}", text(&vocabulary, words));
    }
    match scored {
        Some((found, perplexity, _)) => say!("{found}, perplexity {perplexity:.2}"),
        None => say!(
            "{} distinct captions of {} pictures",
            distinct(&told),
            told.len()
        ),
    }
    Ok(())
}

/// e to the mean of −ln of the probability of people's words by raw scores.
fn perplexity_of(model: &Model<'_>, targets: &Targets, raw: &[Vec<i32>]) -> f64 {
    let unit = 2f64.powi(-model.score_shift());
    let words = targets.labels().unwrap_or(&[]);
    let nats = raw.iter().zip(words).map(|(raw, &word)| {
        let largest = raw.iter().copied().max().unwrap_or(0);
        let off = |score: i32| (f64::from(score) - f64::from(largest)) * unit;
        let sum: f64 = raw.iter().map(|&score| off(score).exp()).sum();
        sum.ln() - off(raw[word])
    });
    (nats.sum::<f64>() / words.len().max(1) as f64).exp()
}

/// Words in a row.
fn text(vocabulary: &[String], words: &[usize]) -> String {
    let words: Vec<&str> = words
        .iter()
        .map(|&word| vocabulary.get(word).map_or("?", String::as_str))
        .collect();
    words.join(" ")
}

/// e to the mean of −ln of the probability of people's words, ends included.
fn perplexity(model: &Network, part: &Part) -> Result<f64> {
    let targets = part.known_targets(PartName::Test)?;
    let told = evaluate::told(model, part);
    Ok(Score::of(model, &told, targets).loss.exp())
}

/// The picture whose caption another is given: half of all further on.
fn other(picture: usize, pictures: usize) -> usize {
    (picture + pictures.div_ceil(2)) % pictures.max(1)
}

/// What is told of another picture each.
fn others(pictures: &[usize], told: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let count = pictures.len();
    (0..count)
        .map(|at| told[other(at, count)].clone())
        .collect()
}

/// The part with another picture for every caption.
fn with_other_pictures(part: &Part, pictures: &Pictures) -> Part {
    let count = pictures.sequences.len();
    let at = pictures.sequences.iter().enumerate();
    let place: BTreeMap<usize, usize> = at.map(|(at, &one)| (part.starts[one], at)).collect();
    let mut shuffled = part.clone();
    for start in &mut shuffled.starts {
        *start = part.starts[pictures.sequences[other(place[start], count)]];
    }
    shuffled
}

/// What looks at no picture, and what only looks which is most alike.
struct Controls {
    most_frequent: CaptionFigures,
    nearest: CaptionFigures,
}

impl Controls {
    fn new(model: &Network, train: &Part, test: &Part, pictures: &Pictures) -> Result<Controls> {
        let known = Pictures::of(train)?;
        let mut counts: BTreeMap<&[usize], usize> = BTreeMap::new();
        for caption in known.references.iter().flatten() {
            *counts.entry(caption).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(_, count)| **count);
        let most = most.map(|(words, _)| words.to_vec()).unwrap_or_default();
        let normalization = Normalization::of(model);
        let all = |part: &Part, sequences: &[usize]| part.batch(sequences, &normalization).x;
        let (learned, asked) = (all(train, &known.sequences), all(test, &pictures.sequences));
        let nearest = asked.outer_iter().map(|one| {
            let distances = learned.outer_iter().map(|other| {
                let squares = one.iter().zip(&other).map(|(a, b)| (a - b) * (a - b));
                squares.sum::<f32>()
            });
            let least = distances
                .enumerate()
                .min_by(|(_, a), (_, b)| a.total_cmp(b));
            known.references[least.map_or(0, |(at, _)| at)][0].clone()
        });
        Ok(Controls {
            most_frequent: CaptionFigures::of(
                &vec![most; pictures.sequences.len()],
                &pictures.references,
            ),
            nearest: CaptionFigures::of(&nearest.collect::<Vec<_>>(), &pictures.references),
        })
    }
}

/// Word k of the data set is word k of the model, whatever it is.
fn warn_of_other_words(set: &DataSet, model: &[String], path: &Path) {
    let words = set.labels.iter().zip(model);
    if let Some((at, (here, there))) = words.enumerate().find(|(_, (here, there))| here != there) {
        crate::warn!(
            "{}: labels: word {at} is `{here}` here and `{there}` in the model; the order must be the same",
            path.display()
        );
    }
}

/// Every picture's caption and what people wrote, as text.
fn write(
    path: &Path,
    vocabulary: &[String],
    told: &[Vec<usize>],
    references: &[Vec<Vec<usize>>],
) -> Result<()> {
    let text = |words: &Vec<usize>| text(vocabulary, words);
    let rows = told.iter().zip(references).map(|(told, references)| {
        let references: Vec<String> = references.iter().map(text).collect();
        json!({ "caption": text(told), "references": references })
    });
    let all = Value::Array(rows.collect());
    write_atomic(path, |file| Ok(writeln!(file, "{all:#}")?))
}
