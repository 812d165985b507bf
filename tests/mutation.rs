//! Every field of every record of real models, set to its edges under a right CRC: what is not refused
//! runs frames of extreme values without a sum that leaves 32 bits or a word beside its own
//! ([`Reference`]), and a session computes the same.

use bt_core::internals::model::Map;
use bt_core::internals::model::cases;
use bt_core::internals::model::layout::{
    self, DenseRecord, FormatRecord, MapKind, MetaRecord, Section,
};
use bt_core::internals::program::{ProgramRecord, StageRecord};
use bt_core::{InputType, Model, ModelBytes, Pool, Session};
use bt_tests::exported;
use bt_tests::model::{Dense, Noise};
use bt_tests::reference::Reference;

/// A field: where in the file, bytes.
type Place = (usize, usize);

/// Fields of these widths, one after the other.
fn fields(start: usize, widths: &[(usize, usize)]) -> Vec<Place> {
    let all = widths.iter().flat_map(|&(count, bytes)| vec![bytes; count]);
    all.scan(start, |end, bytes| {
        *end += bytes;
        Some((*end - bytes, bytes))
    })
    .collect()
}

/// Where the fields of all records lie; of weights, tables, bias and head some values.
fn places(file: &[u8], noise: &mut Noise) -> Vec<Place> {
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
        } else if is(Section::Input) || is(Section::Recurrent) {
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

/// The values a field is set to.
fn edges(bytes: usize, now: u32, arena_words: u32, noise: &mut Noise) -> Vec<u32> {
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

fn read(file: &[u8], (at, bytes): Place) -> u32 {
    let mut word = [0; 4];
    word[..bytes].copy_from_slice(&file[at..at + bytes]);
    u32::from_le_bytes(word)
}

fn write(file: &mut [u8], (at, bytes): Place, value: u32) {
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

/// Runs what parses and is small enough; whether it did.
fn run(file: &ModelBytes, noise: &mut Noise) -> bool {
    let Ok(model) = Model::parse(file.bytes()) else {
        return false;
    };
    if model.frame_work() > 1 << 16
        || model.frame_values() > 1 << 12
        || model.arena_bytes() > 1 << 18
    {
        return false;
    }
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    if model.front_end().is_some() {
        let _ = session.self_test();
        return true;
    }
    let mut reference = Reference::new(&model, file.bytes());
    for frame in frames(&model, noise) {
        let taken = match model.input_type() {
            InputType::U8 => session.push_u8(&frame.iter().map(|&x| x as u8).collect::<Vec<_>>()),
            InputType::I8 => session.push_i8(&frame.iter().map(|&x| x as i8).collect::<Vec<_>>()),
            InputType::I16 => session.push_i16(&frame),
        };
        assert_eq!(taken, Ok(frame.len()));
        assert_eq!(session.pre_activations(), reference.frame(&frame));
        let z = reference.recur(session.hidden_state());
        session
            .step_watched(|watched| assert_eq!(watched.z, z))
            .unwrap();
    }
    let mut scores = vec![0; model.classes()];
    session.scores(&mut scores).unwrap();
    true
}

/// Files that ran, of the whole one and those made of it.
fn mutants(seed: u32, model: &ModelBytes) -> usize {
    let mut noise = Noise::new(seed);
    let whole = model.bytes();
    assert!(run(model, &mut noise), "seed {seed}");
    let arena_words = Model::parse(whole).unwrap().arena_bytes() as u32 / 4;
    let mut ran = 1;
    let places = places(whole, &mut noise);
    for &place in &places {
        let mut values = edges(place.1, read(whole, place), arena_words, &mut noise);
        // What other fields say, above all the places of other regions.
        let others = places.iter().filter(|other| other.1 == place.1);
        values.extend((0..6).filter_map(|_| {
            let other = others
                .clone()
                .nth(usize::from(noise.bits()) % others.clone().count())?;
            Some(read(whole, *other))
        }));
        for value in values {
            let mut changed = whole.to_vec();
            write(&mut changed, place, value);
            // Every third time another field too.
            if noise.bits().is_multiple_of(3) {
                let other = places[usize::from(noise.bits()) % places.len()];
                let values = edges(other.1, read(whole, other), arena_words, &mut noise);
                write(
                    &mut changed,
                    other,
                    values[usize::from(noise.bits()) % values.len()],
                );
            }
            let crc = layout::crc(&changed).unwrap();
            changed[layout::CRC_AT].copy_from_slice(&crc.to_le_bytes());
            let file = ModelBytes::from_unaligned(&changed);
            let result =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&file, &mut noise)));
            match result {
                Ok(did) => ran += usize::from(did),
                Err(_) => panic!(
                    "seed {seed}: {value:#x} in the {} bytes at {}",
                    place.1, place.0
                ),
            }
        }
    }
    ran
}

#[test]
fn what_parses_stays_in_its_words_and_its_32_bits() {
    let (mut ran, mut accumulate) = (0, 0);
    // Every form of both maps, all types, pools and scales of features: `exported::random` draws them.
    let drawn = (0..8).map(|seed| (seed, exported::random(seed)));
    let streamed = (0..2).map(|seed| (seed, exported::streamed(seed)));
    for (seed, model) in drawn.chain(streamed) {
        // The larger ones say no more and take longer.
        let parsed = Model::parse(model.bytes()).unwrap();
        if parsed.frame_work() < 1 << 12 {
            for map in [parsed.input_map(), parsed.recurrent_map()] {
                if let Map::Program(program) = map {
                    accumulate += program
                        .stages
                        .iter()
                        .filter(|stage| stage.acc().is_some())
                        .count();
                }
            }
            ran += mutants(seed as u32, &model);
        }
    }
    // Stages that accumulate over slabs, and what pads an odd number of values.
    for (seed, parts) in [cases::program(), cases::odd_dense()]
        .into_iter()
        .enumerate()
    {
        ran += mutants(seed as u32, &parts.write().unwrap());
    }
    for (input_type, values, hidden, pool) in [
        (InputType::U8, 9, 2, Pool::Last),
        (InputType::I8, 6, 4, Pool::Mean),
        (InputType::I16, 5, 6, Pool::Last),
    ] {
        let shape = Dense {
            input_type,
            values,
            hidden,
            pool,
            ..Dense::default()
        };
        ran += mutants(values as u32, &shape.model());
    }
    println!("{ran} files ran, {accumulate} stages of the exporter accumulate");
    assert!(ran > 10_000 && accumulate >= 4, "{ran}, {accumulate}");
}
