//! Cells and layers on the device: every step against plain loops in i64, states kept and refused.

use bt_core::about::{Cell, Pool};
use bt_core::error::StateError;
use bt_core::internals::kernel::RowsForm;
use bt_core::{Model, ModelBytes, SelfTest, Session};
use bt_tests::model::{Dense, Noise, scores_carried_on, scores_of};
use bt_tests::mutate::{self, Ran};
use crc::{CRC_32_ISCSI, Crc};

const CELLS: [Cell; 3] = [Cell::Lstm, Cell::Gru, Cell::MinGru];

fn shapes() -> impl Iterator<Item = Dense> {
    let layers = CELLS
        .into_iter()
        .flat_map(|cell| (1..=4).map(move |layers| (cell, layers)));
    let hidden = layers.flat_map(|(cell, layers)| [1, 4, 7].map(|hidden| (cell, layers, hidden)));
    let bytes = [(Cell::Lstm, 35), (Cell::Gru, 16)].map(|(cell, values)| Dense {
        cell,
        values,
        layers: 2,
        hidden: 20,
        form: RowsForm::Bytes,
        ..Dense::default()
    });
    let pairs = hidden.map(|(cell, layers, hidden)| Dense {
        cell,
        layers,
        hidden,
        pool: if hidden == 4 { Pool::Mean } else { Pool::Last },
        seed: (layers * 10 + hidden) as u32,
        ..Dense::default()
    });
    pairs.chain(bytes)
}

/// z, what is kept apart of it, c and h of every layer at every step, saved and loaded in between.
#[test]
fn every_step_is_that_of_plain_loops() {
    for shape in shapes() {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        assert_eq!((model.cell(), model.layers()), (shape.cell, shape.layers));
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

/// A stream cut anywhere between frames and carried on from what was saved gives the same scores.
#[test]
fn a_saved_state_goes_on() {
    for shape in shapes() {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let frame = model.frame_values() * model.input_type().bytes();
        let bytes = Noise::new(shape.seed).bytes(6 * frame);
        let whole = scores_of(&model, &bytes);
        for cut in 0..6 {
            let scores = scores_carried_on(&model, &bytes, cut * frame);
            assert_eq!(scores, whole, "{shape:?} {cut}");
        }
    }
}

/// Half a word behind an odd h, and a state that no gates lead to, in the last of three layers.
#[test]
fn a_state_that_cannot_be_is_refused() {
    for cell in CELLS {
        let shape = Dense {
            cell,
            layers: 3,
            hidden: 3,
            ..Dense::default()
        };
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let mut state = vec![0; session.saved_bytes()];
        session.save(&mut state).unwrap();
        // CRC, steps and count; two words of h and three of c a layer.
        let last = 4 * (3 + 2 * (2 + 3));
        let mut with = |at: usize, word: u32| {
            let mut state = state.clone();
            state[at..at + 4].copy_from_slice(&word.to_le_bytes());
            let (bytes, crc) = state.split_last_chunk_mut::<4>().unwrap();
            *crc = Crc::<u32>::new(&CRC_32_ISCSI).checksum(bytes).to_le_bytes();
            session.load(&state)
        };
        assert_eq!(with(last + 4, 0x1234), Ok(()));
        assert_eq!(with(last + 4, 0x1234 << 16), Err(StateError::Damaged));
        let beyond = if cell == Cell::Lstm {
            Ok(())
        } else {
            Err(StateError::Damaged)
        };
        for word in [
            i32::MAX,
            i32::MIN,
            (1 << 29) + 1,
            -(1 << 29) - (1 << 16) - 1,
        ] {
            assert_eq!(with(last + 16, word as u32), beyond, "{cell:?} {word}");
        }
        assert_eq!(with(last + 16, 1 << 29), Ok(()));
    }
}

/// Layers share z and the scratch: each more costs its h and c alone, and a GRU less than an LSTM.
#[test]
fn layers_share_the_arena() {
    let bytes = |cell, layers| -> usize {
        let shape = Dense {
            cell,
            layers,
            hidden: 64,
            values: 400,
            ..Dense::default()
        };
        let file: ModelBytes = shape.model();
        Model::parse(file.bytes()).unwrap().arena_bytes()
    };
    for cell in CELLS {
        assert_eq!(bytes(cell, 3) - bytes(cell, 2), 64 * 6);
    }
    // A frame of 800 bytes hides what a GRU keeps apart.
    let [lstm, gru, min_gru] = CELLS.map(|cell| bytes(cell, 1));
    assert_eq!((lstm - gru, gru - min_gru), (64 * 2, 64 * 2));
}
