//! What a device reads: model files, saved states, front ends, the wire.

use std::sync::LazyLock;

use bt_core::about::{Cell, Pool};
use bt_core::detection::Rule;
use bt_core::error::StepError;
use bt_core::internals::front_end::{self, Config, FORMAT, FORMAT_UNFILTERED, FrontEnd, Level};
use bt_core::internals::model::layout::FilterRecord;
use bt_core::internals::model::write::ModelBytes;
use bt_core::internals::model::{cases, layout};
use bt_core::{InputType, Model, Session};
use bt_embed::service::Surroundings;
use bt_embed::wire::{Decoder, Reply, Request};

use super::{Target, below, bytes, pick};
use crate::exported;
use crate::model::{Dense, Noise};
use crate::mutate::{self, Ran, edges, places};
use crate::serving::{Room, surroundings};

/// Model files: fields at their edges under a right checksum, then everything on what parses.
pub const PARSE: Target = Target {
    name: "parse",
    seeds: || {
        models()
            .iter()
            .map(|model| model.bytes().to_vec())
            .collect()
    },
    mutate: |file, noise| {
        let mut file = file.to_vec();
        let is_sound = Model::parse(ModelBytes::from_unaligned(&file).bytes()).is_ok();
        // Only a sound file says where its fields lie.
        if noise.bits().is_multiple_of(8) || !is_sound {
            file = bytes(&file, noise);
            if file.len() >= layout::HEADER_LEN {
                // A length that is right leads further.
                let length = file.len() as u32;
                file[layout::LENGTH_AT].copy_from_slice(&length.to_le_bytes());
                mutate::seal(&mut file);
            }
            return file;
        }
        let places = places(&file, noise);
        for _ in 0..1 + below(3, noise) {
            let place = *pick(&places, noise);
            // What another field says, or an edge.
            let value = if noise.bits().is_multiple_of(3) {
                mutate::read(&file, *pick(&places, noise))
            } else {
                *pick(
                    &edges(place.1, mutate::read(&file, place), 64, noise),
                    noise,
                )
            };
            mutate::write(&mut file, place, value);
        }
        mutate::seal(&mut file);
        file
    },
    run: |file| {
        let mut noise = Noise::new(layout::crc(file).unwrap_or(1));
        mutate::run(&ModelBytes::from_unaligned(file), &mut noise) != Ran::Not
    },
};

/// Saved states, of the model whose number is their first byte.
pub const STATE: Target = Target {
    name: "state",
    seeds: || (0..models().len()).filter_map(saved).collect(),
    mutate: |state, noise| {
        let (number, state) = state.split_first().expect("a number");
        let mut state = bytes(state, noise);
        if !noise.bits().is_multiple_of(4)
            && let Some((body, crc)) = state.split_last_chunk_mut::<4>()
        {
            *crc = crc32c(body).to_le_bytes();
        }
        std::iter::once(*number).chain(state).collect()
    },
    run: |state| {
        let Some((&number, state)) = state.split_first() else {
            return false;
        };
        let Some(model) = models().get(usize::from(number)) else {
            return false;
        };
        let model = Model::parse(model.bytes()).expect("a sound model");
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena).expect("an arena of its size");
        step(&mut session, 1);
        let scores = |session: &Session<'_, '_>| {
            let mut scores = vec![0; model.outputs()];
            let found = session.scores(&mut scores);
            (found, scores)
        };
        let before = scores(&session);
        if session.load(state).is_err() {
            assert_eq!(
                scores(&session),
                before,
                "a state that is refused changes nothing"
            );
            return false;
        }
        // What was loaded is what would be saved.
        let mut again = vec![0; session.saved_bytes()];
        assert_eq!(session.save(&mut again), Ok(()));
        assert_eq!(again, state);
        let _ = scores(&session);
        for seed in 0..3 {
            step(&mut session, seed);
        }
        let _ = scores(&session);
        true
    },
};

/// Sections of front ends, then samples of every kind.
pub const FRONT_END: Target = Target {
    name: "front_end",
    seeds: || {
        let configs = [
            Config::default(),
            Config {
                window: 32,
                hop: 32,
                bands: 4,
                format: FORMAT_UNFILTERED,
                ..Config::default()
            },
            Config {
                window: 512,
                hop: 2,
                bands: 40,
                level: Level::Absolute,
                ..Config::default()
            },
        ];
        let sections = configs
            .iter()
            .map(|config| front_end::write(config).expect("a section"));
        sections.collect()
    },
    mutate: |section, noise| {
        if noise.bits().is_multiple_of(4) || section.len() < 64 {
            return bytes(section, noise);
        }
        let mut section = section.to_vec();
        for _ in 0..1 + below(4, noise) {
            // Sizes and edges more often than turns and rises.
            let halves = section.len() / 2;
            let at = match below(4, noise) {
                0 => below(8, noise),
                1 => halves - 1 - below(halves.min(24), noise),
                _ => below(halves, noise),
            };
            let place = (2 * at, 2);
            let value = *pick(&edges(2, mutate::read(&section, place), 64, noise), noise);
            mutate::write(&mut section, place, value);
        }
        section
    },
    run: |section| {
        let mut words = vec![0u32; section.len().div_ceil(4)];
        bytemuck::cast_slice_mut(&mut words)[..section.len()].copy_from_slice(section);
        let section = &bytemuck::cast_slice(&words)[..section.len()];
        let Ok(front_end) = FrontEnd::parse(section) else {
            return false;
        };
        let mut state = vec![0; front_end.state_words()];
        let mut vector = vec![0; front_end.bands()];
        front_end.reset(&mut state);
        let mut noise = Noise::new(7);
        let hop = front_end.hop();
        let hops = front_end.window() / hop.max(front_end.window() / 8) + 2;
        for kind in 0..4 {
            let sound: Vec<i16> = (0..hop * hops)
                .map(|at| match kind {
                    0 => i16::MIN,
                    1 => [i16::MIN, i16::MAX][at % 2],
                    2 => noise.bits() as i16,
                    _ => front_end.silence(&state),
                })
                .collect();
            let (mut rest, mut vectors) = (&sound[..], 0);
            while !rest.is_empty() {
                let push = front_end.push(&mut state, rest, &mut vector);
                assert!(push.consumed > 0, "samples are taken");
                rest = &rest[push.consumed..];
                vectors += usize::from(push.produced);
            }
            assert_eq!(vectors, hops, "a vector a hop");
        }
        true
    },
};

/// Bytes on the wire, to a service and from one.
pub const WIRE: Target = Target {
    name: "wire",
    seeds: || {
        let mut line = Vec::new();
        let data = [7; 40];
        let requests = [
            Request::Hello,
            Request::Label { class: 1 },
            Request::Data {
                sequence: 0,
                bytes: &data,
            },
            Request::Data {
                sequence: 1,
                bytes: &data[..21],
            },
            Request::Finish,
            Request::Scores { first: 0 },
            Request::Statistics,
            Request::Clear { period: 0 },
            Request::Save { at: 0 },
            Request::Load {
                at: 0,
                bytes: &data,
            },
            Request::Load {
                at: 40,
                bytes: &data[..20],
            },
            Request::Inputs { first: 0 },
            Request::Slots,
            Request::Begin { length: 40, crc: 7 },
            Request::Piece {
                at: 0,
                bytes: &data,
            },
            Request::Commit { crc: 7 },
            Request::Draw {
                seed: 1,
                number: 0,
                step: 0,
                first: 0,
            },
            Request::Watch {
                class: 0,
                rule: Some(Rule {
                    threshold: 9_000,
                    smoothing: 1,
                    hold_off: 2,
                }),
            },
            Request::Tell {
                seed: 1,
                number: 0,
                temperature: 256,
                word: 0,
            },
            Request::Tell {
                seed: 1,
                number: 0,
                temperature: 256,
                word: 1,
            },
            Request::Window { steps: 2 },
            Request::Detections { first: 0 },
            Request::Reset,
        ];
        for (tag, request) in requests.iter().enumerate() {
            line.extend(frame(|place| {
                request.encode(tag as u8, place).expect("a frame")
            }));
        }
        vec![line]
    },
    mutate: |line, noise| {
        // Frames by themselves, in another order, some of them changed under a right checksum.
        let frames: Vec<&[u8]> = line.split_inclusive(|&byte| byte == 0).collect();
        let mut all = Vec::new();
        for _ in 0..1 + below(12, noise) {
            let one = pick(&frames, noise);
            match below(4, noise) {
                0 => all.extend(bytes(one, noise)),
                1 | 2 => all.extend(sealed(one, noise)),
                _ => all.extend_from_slice(one),
            }
        }
        all
    },
    run: serve,
};

/// Models of every kind, small.
fn models() -> &'static [ModelBytes] {
    static MODELS: LazyLock<Vec<ModelBytes>> = LazyLock::new(|| {
        let dense = |input_type, values, hidden, pool| {
            let shape = Dense {
                input_type,
                values,
                hidden,
                pool,
                ..Dense::default()
            };
            shape.model()
        };
        let filtered = |horizon_shift| {
            let shape = Dense {
                cell: Cell::Gru,
                values: 4,
                hidden: 3,
                filter: Some(FilterRecord {
                    horizon_shift,
                    fraction: 12,
                }),
                ..Dense::default()
            };
            shape.model()
        };
        let crafted = [
            cases::program(),
            cases::odd_dense(),
            cases::byte_rows(),
            cases::captions(),
            cases::painting(),
            cases::attended(),
        ];
        let crafted = crafted.map(|contents| contents.write().expect("a sound model"));
        let mut models = vec![
            exported::streamed(1),
            exported::sound(1, FORMAT),
            exported::sound(2, FORMAT_UNFILTERED),
            dense(InputType::U8, 9, 2, Pool::Last),
            dense(InputType::I8, 6, 5, Pool::Mean),
            dense(InputType::I16, 5, 6, Pool::Last),
            filtered(0),
            filtered(3),
        ];
        models.extend(crafted);
        let shape = Dense {
            values: 5,
            hidden: 3,
            classes: 4,
            ..Dense::default()
        };
        models.push(shape.painting(3, 2));
        models.push(shape.attended((3, 2), 3));
        let is_small = |model: &ModelBytes| {
            let parsed = Model::parse(model.bytes()).expect("a sound model");
            parsed.frame_work() < 1 << 12
        };
        models.extend((0..8).map(exported::random).filter(is_small));
        models
    });
    &MODELS
}

/// A whole step of noise.
fn step(session: &mut Session<'_, '_>, seed: u32) {
    let mut noise = Noise::new(seed);
    let value_bytes = match session.model().input_type() {
        InputType::U8 | InputType::I8 => 1,
        InputType::I16 => 2,
    };
    let frame = noise.bytes(session.model().frame_values() * value_bytes);
    assert_eq!(session.push_bytes(&frame), Ok(frame.len()));
    match session.step() {
        Ok(()) => {}
        // A picture takes no more, and the frame goes.
        Err(StepError::PictureComplete { .. }) => {
            assert_eq!(session.drop_frame(), frame.len() / value_bytes);
        }
        Err(error) => panic!("{error}"),
    }
}

/// The state of model `number` after two steps, behind that number.
fn saved(number: usize) -> Option<Vec<u8>> {
    let model = Model::parse(models().get(number)?.bytes()).ok()?;
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).ok()?;
    (0..2).for_each(|seed| step(&mut session, seed));
    let mut saved = vec![0; 1 + session.saved_bytes()];
    saved[0] = number as u8;
    session.save(&mut saved[1..]).ok()?;
    Some(saved)
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(bytes)
}

/// Longest frame.
const LINE: usize = 128;

fn frame(encode: impl FnOnce(&mut [u8]) -> usize) -> Vec<u8> {
    let mut line = [0; 2 * LINE];
    let length = encode(&mut line);
    line[..length].to_vec()
}

/// The body of a frame changed, under a right checksum.
fn sealed(line: &[u8], noise: &mut Noise) -> Vec<u8> {
    let mut decoder = Decoder::<LINE>::new();
    let mut body = Vec::new();
    for &byte in line {
        if let Some(Ok(found)) = decoder.push(byte) {
            body = found.to_vec();
        }
    }
    let mut body = bytes(&body, noise);
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&body);
    body.extend(sum.to_le_bytes());
    let mut line = cobs(&body);
    line.push(0);
    line
}

/// Consistent overhead byte stuffing.
fn cobs(body: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    for run in body.split(|&byte| byte == 0) {
        let mut pieces = run.chunks(254).peekable();
        if pieces.peek().is_none() {
            line.push(1);
        }
        while let Some(piece) = pieces.next() {
            let is_full = piece.len() == 254;
            line.push(piece.len() as u8 + 1);
            line.extend_from_slice(piece);
            if is_full && pieces.peek().is_none() {
                line.push(1);
            }
        }
    }
    line
}

/// Serves what comes over the line; every reply is one that the host understands, which reads the line
/// as replies too. Whether a request was one.
fn serve(line: &[u8]) -> bool {
    // Replies in parts.
    let surroundings = Surroundings {
        chunk_bytes_max: 64,
        score_count_max: 3,
        bit_count_max: 8,
        ..surroundings()
    };
    let file = models()[4].bytes();
    let model = Model::parse(file).expect("a sound model");
    let mut room = Room::of(&model);
    let mut service = room.serve(&model, file);
    let mut decoder = Decoder::<LINE>::new();
    let mut served = false;
    for &byte in line {
        let Some(body) = decoder.push(byte) else {
            continue;
        };
        let Ok(body) = body else { continue };
        let _ = Reply::decode(body);
        let (tag, reply) = match Request::decode(body) {
            Ok((tag, request)) => {
                served = true;
                (tag, service.handle(request, &surroundings))
            }
            Err((tag, error)) => (tag, Reply::Error(error)),
        };
        let answer = frame(|place| reply.encode(tag, place).expect("a reply fits its line"));
        let mut host = Decoder::<{ 2 * LINE }>::new();
        let mut answers = 0;
        for &byte in &answer {
            if let Some(body) = host.push(byte) {
                let body = body.expect("a whole frame");
                let (found, _) = Reply::decode(body).expect("a reply that the host understands");
                assert_eq!(found, tag);
                answers += 1;
            }
        }
        assert_eq!(answers, 1);
    }
    served
}
