//! Model files changed field by field under a right CRC, and everything that can be done with what still
//! parses. Tests over every field and the fuzzer share it.

use bt_core::drawing::Random;
use bt_core::health::Watched;
use bt_core::internals::model::layout::{
    self, DenseRecord, FilterRecord, FormatRecord, MapKind, MetaRecord, Section, WordsRecord,
};
use bt_core::internals::model::write::ModelBytes;
use bt_core::internals::program::{ProgramRecord, StageRecord};
use bt_core::{InputType, Model, Session};

use crate::model::Noise;
use crate::reference::{Reference, cell};

/// A field: where in the file, bytes.
pub type Place = (usize, usize);

/// Fields of these widths, one after the other.
fn fields(start: usize, widths: &[(usize, usize)]) -> Vec<Place> {
    let all = widths.iter().flat_map(|&(count, bytes)| vec![bytes; count]);
    all.scan(start, |end, bytes| {
        *end += bytes;
        Some((*end - bytes, bytes))
    })
    .collect()
}

/// Where the fields of all records of a sound file lie; of weights, tables, bias and head some values.
///
/// # Panics
///
/// The file is not sound.
pub fn places(file: &[u8], noise: &mut Noise) -> Vec<Place> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let sections = usize::from(file[layout::SECTIONS_AT.start]);
    let mut all = vec![(layout::ARENA_AT.start, 4), (layout::FRAME_AT.start, 4)];
    all.extend(fields(layout::HEADER_LEN, &[(3 * sections, 4)]));
    for entry in (layout::HEADER_LEN..)
        .step_by(layout::ENTRY_LEN)
        .take(sections)
    {
        let (tag, start, len) = (&file[entry..entry + 4], word(entry + 4), word(entry + 8));
        let is = |section: Section| tag == section.tag();
        if is(Section::Meta) {
            assert_eq!(len, size_of::<MetaRecord>());
            all.extend(fields(start, &[(3, 4), (4, 1), (9, 4)]));
        } else if is(Section::Format) {
            all.extend(fields(start, &[(size_of::<FormatRecord>() / 4, 4)]));
        } else if is(Section::Host) {
            all.extend(fields(start, &[(len / 4, 4)]));
        } else if is(Section::FrontEnd) {
            // Format, rate and sizes, then tables.
            let sizes = fields(start, &[(2, 4), (4, 2)]);
            let tables = (len - FRONT_END_HEADER) / 2;
            all.extend(sizes);
            all.extend((0..24).map(|_| {
                let at = usize::from(noise.bits()) % tables;
                (start + FRONT_END_HEADER + 2 * at, 2)
            }));
        } else if is(Section::Cell) {
            all.extend(fields(start, &[(len / 4, 4)]));
        } else if is(Section::Filter) {
            let record = size_of::<FilterRecord>();
            all.extend(fields(
                start,
                &[(record / 4, 4), (6.min((len - record) / 2), 2)],
            ));
        } else if is(Section::Draw) {
            all.extend(fields(start, &[(len / 4, 4)]));
        } else if is(Section::Words) {
            let record = size_of::<WordsRecord>();
            all.extend(fields(
                start,
                &[(record / 4, 4), (6.min((len - record) / 2), 2)],
            ));
        } else if Section::INPUTS
            .into_iter()
            .chain(Section::RECURRENTS)
            .any(is)
        {
            all.push((start, 4));
            if word(start) == MapKind::Dense.number() as usize {
                all.extend(fields(start + 4, &[(size_of::<DenseRecord>() / 4, 4)]));
                continue;
            }
            all.extend(fields(start + 4, &[(6, 4), (8, 2)]));
            let first = start + 4 + size_of::<ProgramRecord>();
            for stage in (first..start + len).step_by(size_of::<StageRecord>()) {
                all.extend(fields(stage, &[(8, 4), (4, 2), (6, 1), (1, 2)]));
            }
        } else if [
            Section::Weights,
            Section::Tables,
            Section::Bias,
            Section::Head,
        ]
        .into_iter()
        .any(is)
        {
            let halves = len / 2;
            all.extend(
                (0..halves.min(24)).map(|_| (start + usize::from(noise.bits()) % halves * 2, 2)),
            );
        }
    }
    all
}

/// Bytes before a front end's tables.
const FRONT_END_HEADER: usize = 16;

/// The values a field is set to.
pub fn edges(bytes: usize, now: u32, arena_words: u32, noise: &mut Noise) -> Vec<u32> {
    let max = u32::MAX >> (32 - 8 * bytes);
    let random = u32::from(noise.bits()) << 16 | u32::from(noise.bits());
    let mut all = vec![
        0,
        1,
        2,
        max,
        max - 1,
        max - 19,
        max / 2,
        max / 2 + 1,
        random,
    ];
    all.extend([
        now.wrapping_sub(1),
        now.wrapping_add(1),
        now.wrapping_sub(4),
        now.wrapping_add(4),
    ]);
    all.extend([
        now.wrapping_mul(2),
        now / 2,
        arena_words,
        u32::from(noise.bits()) % arena_words,
    ]);
    all.iter_mut().for_each(|value| *value &= max);
    all.sort_unstable();
    all.dedup();
    all.retain(|&value| value != now);
    all
}

/// What a field holds.
///
/// # Panics
///
/// It does not lie in the file.
pub fn read(file: &[u8], (at, bytes): Place) -> u32 {
    let mut word = [0; 4];
    word[..bytes].copy_from_slice(&file[at..at + bytes]);
    u32::from_le_bytes(word)
}

/// Sets a field.
///
/// # Panics
///
/// It does not lie in the file.
pub fn write(file: &mut [u8], (at, bytes): Place, value: u32) {
    file[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
}

/// Frames of the least values, the largest, both in turn, and noise.
fn frames(model: &Model<'_>, noise: &mut Noise) -> Vec<Vec<i16>> {
    let (low, high) = match model.input_type() {
        InputType::U8 => (0, 255),
        InputType::I8 => (-128, 127),
        InputType::I16 => (i16::MIN, i16::MAX),
    };
    let frame =
        |value: &mut dyn FnMut(usize) -> i16| (0..model.frame_values()).map(value).collect();
    vec![
        frame(&mut |_| low),
        frame(&mut |_| high),
        frame(&mut |at| if at % 2 == 0 { low } else { high }),
        frame(&mut |_| (i32::from(noise.bits() as i16)).clamp(low.into(), high.into()) as i16),
    ]
}

/// Makes the checksum right again.
///
/// # Panics
///
/// The file is shorter than a header.
pub fn seal(file: &mut [u8]) {
    let crc = layout::crc(file).expect("a header");
    file[layout::CRC_AT].copy_from_slice(&crc.to_le_bytes());
}

/// The plain loops beside a session.
struct Beside<'m> {
    model: &'m Model<'m>,
    reference: Reference<'m>,
    /// h and c of every layer before a step.
    before: Vec<(Vec<i16>, Vec<i32>)>,
    /// h of the layer below.
    below: Vec<i16>,
}

impl<'m> Beside<'m> {
    fn new(model: &'m Model<'m>, file: &ModelBytes) -> Self {
        let mut beside = Self {
            model,
            reference: Reference::new(model, file.bytes()),
            before: Vec::new(),
            below: Vec::new(),
        };
        beside.begin();
        beside
    }

    /// h = c = 0.
    fn begin(&mut self) {
        let hidden = self.model.hidden();
        self.before = vec![(vec![0; hidden], vec![0; hidden]); self.model.layers()];
    }

    /// A layer of a step, whose z of the first layer lacks the recurrent map's share.
    fn step(&mut self, is_compared: bool, watched: &Watched<'_>) {
        let (model, layer) = (self.model, watched.layer);
        let (h, c) = &mut self.before[layer];
        if is_compared {
            if layer > 0 {
                self.reference.later(layer, &self.below);
            }
            let apart = self.reference.recur(layer, h);
            let z = self.reference.z();
            // What a damaged file does not say is the session's alone.
            if self.reference.is_told() {
                assert_eq!((watched.z, watched.recurrent_z), (&z[..], &apart[..]));
                let fraction = model.cell_fraction(layer);
                let (c, h) = cell((model.cell(), model.gate()), fraction, (&z, &apart), c);
                assert_eq!((watched.c, watched.h), (&c[..], &h[..]));
            }
        }
        (*h, *c) = (watched.h.to_vec(), watched.c.to_vec());
        self.below = watched.h.to_vec();
    }
}

/// What [`run`] did with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// Nothing: it does not parse, or is too large.
    Not,
    /// All of it, and compared as far as the file alone says what comes out ([`Reference::is_told`]).
    Untold,
    /// All of it, and compared all that has no front end before it.
    Told,
}

/// Does everything with a model that parses and is small enough: frames of extreme values beside
/// [`Reference`], scores, state saved and loaded, pictures, the self test.
///
/// # Panics
///
/// A session and the plain loops differ, a sum leaves 32 bits, a word is touched that is none of the
/// map's, or a state does not come back.
pub fn run(file: &ModelBytes, noise: &mut Noise) -> Ran {
    let Ok(model) = Model::parse(file.bytes()) else {
        return Ran::Not;
    };
    if model.frame_work() > 1 << 16
        || model.frame_values() > 1 << 12
        || model.arena_bytes() > 1 << 18
    {
        return Ran::Not;
    }
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).expect("an arena of its size");
    let _ = session.self_test();
    session.reset();
    let mut beside = Beside::new(&model, file);
    // A picture takes no more than its steps.
    let steps = model.painting().map_or(u32::MAX, |painting| painting.steps);
    for frame in frames(&model, noise).into_iter().take(steps as usize) {
        let taken = match model.input_type() {
            InputType::U8 => session.push_u8(&frame.iter().map(|&x| x as u8).collect::<Vec<_>>()),
            InputType::I8 => session.push_i8(&frame.iter().map(|&x| x as i8).collect::<Vec<_>>()),
            InputType::I16 => session.push_i16(&frame),
        };
        assert_eq!(taken, Ok(frame.len()));
        assert!(session.frame_complete());
        // The plain loops begin behind the front end.
        let is_compared = model.front_end().is_none();
        if is_compared {
            let reference = &mut beside.reference;
            let z = reference.frame(&frame);
            if reference.is_told() {
                assert_eq!(session.pre_activations(), z);
            }
            reference.filter();
        }
        if model.caption_words().is_some() {
            beside.reference.picture();
            beside.reference.read(0);
            beside.begin();
        }
        session
            .step_watched(|watched| beside.step(is_compared, &watched))
            .expect("a whole frame");
        let words = model.caption_words().map_or(0, |_| 3);
        for _ in 0..words {
            let word = usize::from(noise.bits()) % model.outputs();
            beside.reference.read(word);
            session
                .step_word_watched(word, |watched| beside.step(true, &watched))
                .expect("a word of the vocabulary");
        }
    }
    let mut scores = vec![0; model.outputs()];
    session.scores(&mut scores).expect("scores");
    let mut saved = vec![0; session.saved_bytes()];
    assert_eq!(session.save(&mut saved), Ok(()));
    session.reset();
    assert_eq!(session.load(&saved), Ok(()));
    let mut again = vec![0; scores.len()];
    session.scores(&mut again).expect("scores");
    assert_eq!(again, scores);
    if model.painting().is_some() {
        session.reset();
        let mut random = Random::new(noise.bits().into(), 0);
        for _ in 0..steps.min(3) {
            session.paint(&mut random).expect("a step of a picture");
        }
        session
            .pixels(0, &mut vec![0; scores.len()])
            .expect("pixels");
    }
    match beside.reference.is_told() {
        true => Ran::Told,
        false => Ran::Untold,
    }
}
