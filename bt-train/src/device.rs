//! What a device is fed and what it answers: `run` and the host end of the wire share this.

use crate::data::{ElementType, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::{HeadName, ModelConfig};
use bt_core::about::FloatInput;
use bt_core::captions::{END, Teller};
use bt_core::error::{ParseError, WordError};
use bt_core::health::Watched;
use bt_core::internals::model::layout;
use bt_core::{InputType, Model, ModelBytes, Session};
use rayon::prelude::*;
use std::path::Path;

/// Reads a `.btm` file; [`Model::parse`] its bytes next.
///
/// # Errors
/// Names the file.
pub fn read_model(path: &Path) -> Result<ModelBytes> {
    let bytes = std::fs::read(path).map_err(|error| Error::from(error).file(path))?;
    let bytes = ModelBytes::from_unaligned(&bytes);
    parse(&bytes).map_err(|error| error.file(path))?;
    Ok(bytes)
}

/// The model in these bytes.
///
/// # Errors
/// What [`Model::parse`] says, and what to do about it.
pub fn parse(bytes: &ModelBytes) -> Result<Model<'_>> {
    Model::parse(bytes.bytes()).map_err(|error| Error::malformed(error).remedy(remedy(&error)))
}

/// What to do about a model that is refused.
fn remedy(error: &ParseError) -> &'static str {
    match *error {
        ParseError::Magic => "give a model that bt-train quantize wrote",
        ParseError::Version { found } if found > layout::VERSION => {
            "a newer bt-train made it: take the firmware and tools that came with that one, or export it with this one"
        }
        ParseError::Truncated { .. } | ParseError::Crc { .. } => {
            "copy it again, or export it again with bt-train quantize"
        }
        _ => "export it again with bt-train quantize",
    }
}

/// The configuration that a model file carries for the host.
///
/// # Errors
/// When it is not the JSON that `quantize` writes.
pub fn config(model: &Model<'_>) -> Result<ModelConfig> {
    let about: serde_json::Value = serde_json::from_str(model.about())
        .map_err(|error| Error::malformed(error).field("about"))?;
    serde_json::from_value(about["config"].clone())
        .map_err(|error| Error::malformed(error).field("about.config"))
}

/// Checks that a model is one that reads data.
///
/// # Errors
/// When it paints pictures from latent values.
pub fn check_reads(model: &Model<'_>) -> Result<()> {
    if model.painting().is_none() {
        return Ok(());
    }
    let why = "paints pictures from latent values, and reads no data";
    let error = Error::new(ErrorKind::NotForHead {
        head: HeadName::Draw,
        why,
    });
    Err(error.remedy("draw with it: `generate`, or `draw` on an emulated board"))
}

/// Checks that the values of a part are what the model takes.
///
/// # Errors
/// Names the types.
pub fn check(model: &Model<'_>, part: &Part) -> Result<()> {
    let found = part.values.element_type();
    let takes_floats = model
        .float_inputs()
        .any(|input| input != FloatInput::INTEGER);
    let fits = matches!(
        (model.input_type(), found),
        (InputType::U8, ElementType::U8)
            | (InputType::I8, ElementType::I8)
            | (InputType::I16, ElementType::I16)
    );
    if fits || takes_floats || found == ElementType::F32 && is_integers(model, part) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::ModelInput {
        found: found.to_string().into(),
        expected: format!("{:?}", model.input_type()),
    })
    .remedy("save the data in the type that the model was calibrated on"))
}

/// Whether floats are numbers that the model's type holds as they are.
fn is_integers(model: &Model<'_>, part: &Part) -> bool {
    let mut all = true;
    for sequence in 0..part.sequences() {
        part.values.for_each(part.range(sequence), |_, value| {
            let pushed = FloatInput::INTEGER.integer(model.input_type(), value);
            all &= f32::from(pushed) == value;
        });
    }
    all
}

/// The bytes that feed a sequence to a session, little-endian: whole frames, or samples, whose last
/// step [`Session::finish`] completes. Frames narrower than the model's are followed by raw zeros,
/// floats are quantised to the model's type.
pub fn stream(model: &Model<'_>, part: &Part, sequence: usize) -> Vec<u8> {
    let floats: Vec<FloatInput> = model.float_inputs().collect();
    let mut bytes = Vec::new();
    let mut push = |place: usize, value: f32| {
        let input = floats[if floats.len() == 1 { 0 } else { place }];
        let value = input.integer(model.input_type(), value);
        match model.input_type() {
            InputType::U8 | InputType::I8 => bytes.push(value as u8),
            InputType::I16 => bytes.extend(value.to_le_bytes()),
        }
    };
    // Samples end anywhere; frames are whole.
    let width = match model.front_end() {
        Some(_) => part.width,
        None => model.frame_values(),
    };
    part.values.for_each(part.range(sequence), |at, value| {
        let place = at % part.width;
        push(place, value);
        if place + 1 == part.width {
            (part.width..width).for_each(|place| push(place, 0.0));
        }
    });
    bytes
}

/// Raw scores of every sequence of a part, by the device's own code, each from a fresh state: a row for each
/// sequence, or with a head on every step for each valid step, sequence by sequence; of a model that tells captions for
/// each word of people's, by those before it.
///
/// # Errors
/// When values and model do not fit, or the model paints pictures.
pub fn run(model: &Model<'_>, part: &Part, done: impl Fn() + Sync) -> Result<Vec<Vec<i32>>> {
    check_reads(model)?;
    check(model, part)?;
    let of_sequences: Vec<Vec<i32>> = (0..part.sequences())
        .into_par_iter()
        .map_init(
            || vec![0; model.arena_bytes() / 4],
            |arena, sequence| {
                let bytes = stream(model, part, sequence);
                let words = words(model, part, sequence);
                let scores = scores(model, arena, (&bytes, &words), |_| (), |_| ());
                done();
                scores
            },
        )
        .collect::<Result<_>>()?;
    let rows = of_sequences
        .iter()
        .flat_map(|scores| scores.chunks(model.outputs()));
    Ok(rows.map(<[i32]>::to_vec).collect())
}

/// A caption of each of these sequences' pictures by the device's own code, picture n told by `teller(n)`; `done` is
/// called after each.
///
/// # Errors
/// When the model tells no captions, or values and model do not fit.
pub fn captions(
    model: &Model<'_>,
    part: &Part,
    sequences: &[usize],
    teller: impl Fn(usize) -> Teller + Sync,
    done: impl Fn() + Sync,
) -> Result<Vec<Vec<usize>>> {
    check(model, part)?;
    let not_words = || refused(WordError::NotWords).remedy("train one with `head next-words`");
    let longest = model.caption_words().ok_or_else(not_words)?;
    sequences
        .par_iter()
        .enumerate()
        .map_init(
            || (vec![0; model.arena_words()], vec![0; model.outputs()]),
            |(arena, scores), (number, &sequence)| {
                let mut session = Session::new(model, arena).map_err(refused)?;
                let bytes = stream(model, part, sequence);
                session.feed(&mut &bytes[..]).map_err(refused)?;
                session.step().map_err(refused)?;
                let (mut teller, mut words) = (teller(number), Vec::new());
                while words.len() < longest {
                    session.scores(scores).map_err(refused)?;
                    match teller.next_word(scores, model.score_shift()) {
                        None | Some(END) => break,
                        Some(word) => {
                            words.push(word);
                            session.step_word(word).map_err(refused)?;
                        }
                    }
                }
                done();
                Ok(words)
            },
        )
        .collect()
}

/// What a sequence went through in a layer on the device, step after step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerPassage {
    /// Pre-activations [steps, gates·J], Q4.11.
    pub z: Vec<i16>,
    /// The recurrent map's share of them where the cell keeps it apart, likewise.
    pub apart: Vec<i16>,
    /// States [steps, J], [`Model::cell_fraction`] fraction bits.
    pub c: Vec<i32>,
    /// Hidden states [steps, J], [`Model::hidden_fraction`] fraction bits.
    pub h: Vec<i16>,
}

/// What a sequence went through on the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passage {
    /// From the frame on.
    pub layers: Vec<LayerPassage>,
    /// z [steps, gates·J] of the first layer as its input map left it: Q4.11 with the bias, or what a filter
    /// reads.
    pub shares: Vec<i16>,
    /// Raw scores after the last step, or [steps, K] with a head on every step.
    pub raw: Vec<i32>,
}

/// As [`run`], with everything on the way to the scores.
///
/// # Errors
/// When values and model do not fit.
pub fn trace(model: &Model<'_>, part: &Part) -> Result<Vec<Passage>> {
    check(model, part)?;
    (0..part.sequences())
        .into_par_iter()
        .map_init(
            || vec![0; model.arena_bytes() / 4],
            |arena, sequence| {
                let mut layers = vec![LayerPassage::default(); model.layers()];
                let bytes = stream(model, part, sequence);
                let mut shares = Vec::new();
                let before = |z: &[i16]| shares.extend(z);
                let words = words(model, part, sequence);
                let raw = scores(model, arena, (&bytes, &words), before, |step| {
                    let layer = &mut layers[step.layer];
                    layer.z.extend(step.z);
                    layer.apart.extend(step.recurrent_z);
                    layer.c.extend(step.c);
                    layer.h.extend(step.h);
                })?;
                Ok(Passage {
                    layers,
                    shares,
                    raw,
                })
            },
        )
        .collect()
}

/// The words that a device reads after a picture, where the part has its caption: those of people.
fn words(model: &Model<'_>, part: &Part, sequence: usize) -> Vec<usize> {
    let targets = part
        .targets
        .as_ref()
        .filter(|_| model.caption_words().is_some());
    let read = targets.and_then(|targets| targets.words_read(sequence));
    read.map_or(Vec::new(), |read| read[1..].to_vec())
}

fn scores(
    model: &Model<'_>,
    arena: &mut [u32],
    (bytes, words): (&[u8], &[usize]),
    mut before: impl FnMut(&[i16]),
    mut watch: impl FnMut(Watched<'_>),
) -> Result<Vec<i32>> {
    let mut session = Session::new(model, arena).map_err(refused)?;
    let (mut all, mut scores) = (Vec::new(), vec![0; model.outputs()]);
    let mut rest = bytes;
    loop {
        if !session.feed(&mut rest).map_err(refused)? {
            session.finish().map_err(refused)?;
            if !session.frame_complete() {
                break;
            }
        }
        before(session.pre_activations());
        session.step_watched(&mut watch).map_err(refused)?;
        if model.scores_every_step() {
            session.scores(&mut scores).map_err(refused)?;
            all.extend(&scores);
        }
    }
    for &word in words {
        let stepped = session.step_word_watched(word, &mut watch);
        stepped.map_err(refused)?;
        session.scores(&mut scores).map_err(refused)?;
        all.extend(&scores);
    }
    if !model.scores_every_step() {
        session.scores(&mut scores).map_err(refused)?;
        all = scores;
    }
    Ok(all)
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Device(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file that is no model of this build needs is told by what is wrong with it.
    #[test]
    fn a_refused_model_is_answered_with_what_to_do() {
        let refused = |bytes: &[u8]| {
            let bytes = ModelBytes::from_unaligned(bytes);
            parse(&bytes).unwrap_err().to_string()
        };
        let mut model = [0; layout::HEADER_LEN];
        model[..4].copy_from_slice(&layout::MAGIC);
        let mut newer = model;
        newer[layout::VERSION_AT].copy_from_slice(&(layout::VERSION + 1).to_le_bytes());
        let mut older = model;
        older[layout::VERSION_AT].copy_from_slice(&2u16.to_le_bytes());
        for (bytes, says) in [
            (&b"hello\n"[..], "give a model that bt-train quantize wrote"),
            (&[7; 64], "give a model that bt-train quantize wrote"),
            (&[], "there is no model (0 bytes); copy it again"),
            (&model[..12], "model has 12 bytes of 24; copy it again"),
            (&newer, "a newer bt-train made it"),
            (&older, "; export it again with bt-train quantize"),
        ] {
            let error = refused(bytes);
            assert!(error.contains(says), "{error}");
        }
    }
}
