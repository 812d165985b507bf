//! Motion without a frame buffer: what the input map gives is filtered, on the device as plain loops have it,
//! and kept across save, load and reset.

use bt_core::about::{Cell, Pool};
use bt_core::error::StateError;
use bt_core::internals::model::layout::FilterRecord;
use bt_core::{InputType, Model, SelfTest, Session};
use bt_tests::model::{Dense, Noise, feed, scores, scores_carried_on, scores_of};
use bt_tests::mutate::{self, Ran};
use bt_tests::program::run as run_program;
use crc::{CRC_32_ISCSI, Crc};

/// Every cell, odd numbers of values too, one layer and two; differences and means, z coarser and finer than
/// a cell reads it.
fn shapes() -> impl Iterator<Item = Dense> {
    let cells = [Cell::Lstm, Cell::Gru, Cell::MinGru].into_iter();
    let layers = cells.flat_map(|cell| [1, 2].map(|layers| (cell, layers)));
    let hidden = layers.flat_map(|(cell, layers)| [1, 3, 4].map(|hidden| (cell, layers, hidden)));
    let filters = [(0, 11), (0, 8), (0, 16), (1, 11), (3, 9), (15, 24)];
    hidden.flat_map(move |(cell, layers, hidden)| {
        filters.map(|(horizon_shift, fraction)| Dense {
            cell,
            layers,
            hidden,
            input_type: InputType::U8,
            pool: if hidden == 4 { Pool::Mean } else { Pool::Last },
            filter: Some(FilterRecord {
                horizon_shift,
                fraction,
            }),
            seed: (layers * 10 + hidden) as u32 + horizon_shift,
            ..Dense::default()
        })
    })
}

#[test]
fn every_step_is_that_of_plain_loops() {
    for shape in shapes() {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let (filter, _) = model.filter().unwrap();
        assert_eq!(Some(*filter), shape.filter);
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        assert_eq!(session.self_test(), SelfTest::Passed);
        assert_eq!(
            mutate::run(&file, &mut Noise::new(shape.seed)),
            Ran::Told,
            "{shape:?}"
        );
    }
}

/// G·J values, not a frame: halves of a difference, words of a mean.
#[test]
fn a_filter_takes_a_value_for_each_of_z() {
    for shape in shapes() {
        let bytes = |filter| {
            let file = Dense { filter, ..shape }.model();
            Model::parse(file.bytes()).unwrap().arena_bytes()
        };
        let z = shape.cell.gates() * shape.hidden;
        let more = match shape.filter.unwrap().horizon_shift {
            0 => z.div_ceil(2) * 4,
            _ => z * 4,
        };
        assert_eq!(bytes(shape.filter), bytes(None) + more, "{shape:?}");
    }
}

/// The first frame passes as nothing, and so does whatever stays as it is: the scores are those of any
/// picture. After a reset it is the first again.
#[test]
fn a_still_picture_is_none() {
    for shape in shapes() {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let still = |seed| Noise::new(seed).bytes(shape.values).repeat(3);
        let (one, other) = (still(1), still(2));
        assert_eq!(scores_of(&model, &one), scores_of(&model, &other));
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        feed(&mut session, &[&one[..], &other[..]].concat());
        session.reset();
        feed(&mut session, &other);
        assert_eq!(scores(&session), scores_of(&model, &one), "{shape:?}");
    }
}

/// A stream cut anywhere between frames and carried on from what was saved gives the same scores.
#[test]
fn a_saved_state_goes_on() {
    for shape in shapes() {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let bytes = Noise::new(shape.seed).bytes(6 * shape.values);
        let whole = scores_of(&model, &bytes);
        for cut in 0..6 {
            let scores = scores_carried_on(&model, &bytes, cut * shape.values);
            assert_eq!(scores, whole, "{shape:?} {cut}");
        }
    }
}

/// Under a right CRC only what a filter can have kept is loaded.
#[test]
fn a_resealed_state_keeps_to_its_ranges() {
    for (horizon_shift, changes) in [
        // Halves of three gates of one unit, and the pad.
        (
            0,
            vec![
                (8, 0xFFFF_FFFF, true),
                (12, 0x7FFF, true),
                (12, 0x1_0000, false),
            ],
        ),
        (
            2,
            vec![
                (8, 32_767 << 14, true),
                (8, (32_767 << 14) + 1, false),
                (16, (-(1i32 << 29)) as u32, true),
                (16, (-(1i32 << 29)) as u32 - 1, false),
            ],
        ),
    ] {
        let shape = Dense {
            cell: Cell::Gru,
            hidden: 1,
            input_type: InputType::U8,
            filter: Some(FilterRecord {
                horizon_shift,
                fraction: 11,
            }),
            ..Dense::default()
        };
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        feed(&mut session, &Noise::new(3).bytes(3 * shape.values));
        let mut state = vec![0; session.saved_bytes()];
        session.save(&mut state).unwrap();
        for (at, value, is_sound) in changes {
            // Behind model, steps and count.
            let mut state = state.clone();
            state[12 + at..][..4].copy_from_slice(&u32::to_le_bytes(value));
            let (bytes, crc) = state.split_last_chunk_mut::<4>().unwrap();
            *crc = Crc::<u32>::new(&CRC_32_ISCSI).checksum(bytes).to_le_bytes();
            let expected = match is_sound {
                true => Ok(()),
                false => Err(StateError::Damaged),
            };
            assert_eq!(session.load(&state), expected, "{at}: {value:#x}");
        }
    }
}

/// 57,600 values a frame: what `plan` says of them, with 2 bytes more for each of 1,024 values of z, or 4.
#[test]
fn the_papers_frame_keeps_to_15_kib() {
    let ram_bytes = |filter: &str, limit: u64| {
        let limit = limit.to_string();
        let words = [
            "plan",
            "--input-modes",
            "8x20x20x18",
            "--hidden-modes",
            "4x4x4x4",
            "--count",
            "1",
            "--json",
            "--input-filter",
            filter,
            "--ram",
            &limit,
        ];
        let left = run_program(&words);
        assert_eq!(left.status, Some(0), "{left:?}");
        let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
        object["plans"][0]["ram_bytes"].as_u64().unwrap()
    };
    let plain = ram_bytes("none", 10 << 10);
    assert!(plain <= 10_752, "{plain}");
    assert_eq!(ram_bytes("difference", (10 << 10) + 2048), plain + 2048);
    assert_eq!(ram_bytes("high-pass", (10 << 10) + 4096), plain + 4096);
    assert!(plain + 4096 <= 15 << 10);
}
