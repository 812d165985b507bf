//! Every field of every record of real models, set to its edges under a right CRC: what is not refused
//! runs frames of extreme values without a sum that leaves 32 bits or a word beside its own
//! ([`run`]), and a session computes the same.

use bt_core::about::{Cell, Pool};
use bt_core::internals::front_end::{FORMAT, FORMAT_UNFILTERED};
use bt_core::internals::model::Map;
use bt_core::internals::model::cases;
use bt_core::internals::model::layout::FilterRecord;
use bt_core::internals::model::write::ModelBytes;
use bt_core::{InputType, Model};
use bt_tests::exported;
use bt_tests::model::{Dense, Noise};
use bt_tests::mutate::{Ran, edges, places, read, run, seal, write};

/// Files that ran, of the whole one and those made of it.
fn mutants(seed: u32, model: &ModelBytes) -> usize {
    let mut noise = Noise::new(seed);
    let whole = model.bytes();
    assert_eq!(run(model, &mut noise), Ran::Told, "seed {seed}");
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
            seal(&mut changed);
            let file = ModelBytes::from_unaligned(&changed);
            let result =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&file, &mut noise)));
            match result {
                Ok(did) => ran += usize::from(did != Ran::Not),
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
    let heard =
        [FORMAT_UNFILTERED, FORMAT].map(|format| (u64::from(format), exported::sound(1, format)));
    for (seed, model) in drawn.chain(streamed).chain(heard) {
        // The larger ones say no more and take longer.
        let parsed = Model::parse(model.bytes()).unwrap();
        if parsed.frame_work() < 1 << 12 {
            for map in parsed
                .maps(Model::input_of)
                .chain(parsed.maps(Model::recurrent_of))
            {
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
    for (cell, layers, hidden) in [
        (Cell::Lstm, 2, 2),
        (Cell::Gru, 1, 3),
        (Cell::Gru, 2, 2),
        (Cell::MinGru, 2, 3),
    ] {
        let shape = Dense {
            values: 3,
            cell,
            layers,
            hidden,
            ..Dense::default()
        };
        ran += mutants(hidden as u32, &shape.model());
    }
    for (cell, hidden, horizon_shift) in
        [(Cell::Lstm, 2, 0), (Cell::Gru, 3, 0), (Cell::MinGru, 3, 4)]
    {
        let filter = FilterRecord {
            horizon_shift,
            fraction: 13,
        };
        let shape = Dense {
            values: 3,
            cell,
            hidden,
            filter: Some(filter),
            ..Dense::default()
        };
        ran += mutants(horizon_shift, &shape.model());
    }
    for (cell, layers, hidden) in [(Cell::Lstm, 1, 2), (Cell::Gru, 2, 3), (Cell::MinGru, 1, 3)] {
        let shape = Dense {
            values: 3,
            classes: 5,
            cell,
            layers,
            hidden,
            ..Dense::default()
        };
        ran += mutants(layers as u32, &shape.captioning(4));
    }
    for (steps, hidden) in [(1, 2), (5, 3)] {
        let shape = Dense {
            values: 3,
            classes: 6,
            hidden,
            ..Dense::default()
        };
        ran += mutants(steps, &shape.painting(steps, 2));
        ran += mutants(steps, &shape.attended((steps, 2), 1 + hidden as u32));
    }
    println!("{ran} files ran, {accumulate} stages of the exporter accumulate");
    assert!(ran > 10_000 && accumulate >= 4, "{ran}, {accumulate}");
}
