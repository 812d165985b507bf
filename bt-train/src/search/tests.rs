use super::front::{front, ranked};
use super::*;
use crate::plan::timing::Processor;
use crate::shape::{Cell, MapName};
use crate::training::trainer::tests::data;
use std::collections::BTreeSet;

fn bounds() -> Bounds {
    Bounds {
        ram_bytes: Some(700),
        flash_bytes: Some(4_000),
        ms_per_step: Some(0.3),
        processor: Processor::M4f,
        clock_hz: 64_000_000,
        wait_states: 0,
    }
}

fn asked(bounds: Bounds) -> Asked {
    Asked {
        settings: Settings {
            epochs: 2,
            batch: 16,
            ..Settings::default()
        },
        told: BTreeSet::new(),
        bounds,
        trials: 12,
    }
}

fn standing(trial: usize, good: f64, ram: usize, flash: usize, instructions: u64) -> Standing {
    let needs = Needs {
        parameters: 1,
        ram_bytes: ram,
        flash_bytes: flash,
        instructions,
        milliseconds: 1.0,
    };
    Standing { trial, good, needs }
}

/// By hand: 1 is as good as 0 and larger; 2 is worse and smaller; 3 is worse than 2 in everything; 4 is 0 again.
#[test]
fn a_front_holds_what_nothing_beats() {
    let all = [
        standing(0, 0.9, 100, 100, 100),
        standing(1, 0.9, 101, 100, 100),
        standing(2, 0.8, 100, 100, 50),
        standing(3, 0.7, 100, 120, 60),
        standing(4, 0.9, 100, 100, 100),
    ];
    let numbers = |standings: Vec<Standing>| -> Vec<usize> {
        standings.iter().map(|one| one.trial).collect()
    };
    assert_eq!(numbers(front(&all)), [0, 2]);
    assert_eq!(numbers(ranked(&all)), [0, 2, 4, 3, 1]);
    assert_eq!(numbers(front(&[])), [0usize; 0]);
}

#[test]
fn what_is_drawn_keeps_to_the_bounds_and_differs() {
    let asked = asked(bounds());
    let drawn = draw(&asked, &data()).unwrap();
    assert_eq!(drawn.trials.len(), 12);
    assert!(drawn.looked_at > 12);
    for (at, (settings, needs)) in drawn.trials.iter().enumerate() {
        assert!(
            needs.ram_bytes <= 700 && needs.flash_bytes <= 4_000,
            "{needs:?}"
        );
        assert!(
            needs.milliseconds <= 0.3 && needs.instructions > 0,
            "{needs:?}"
        );
        let others = &drawn.trials[at + 1..];
        assert!(others.iter().all(|(other, _)| other != settings));
        // The flags of a model say all of it.
        let again = settings.fitted(&data()).unwrap();
        assert_eq!(&again, settings);
    }
    let cells = drawn.trials.iter().map(|(settings, _)| settings.cell);
    assert!(cells.clone().any(|cell| cell == Cell::Gru));
    assert!(cells.clone().any(|cell| cell == Cell::MinGru));
    // The same every time.
    let again = draw(&asked, &data()).unwrap().trials;
    assert_eq!(again, drawn.trials);
}

#[test]
fn what_is_told_is_not_drawn() {
    let mut asked = asked(bounds());
    asked.settings.cell = Cell::Gru;
    asked.settings.units = 12;
    asked.settings.input_map = MapName::BlockTerm;
    asked.settings.rank = 3;
    let told = ["cell", "units", "input-map", "rank"];
    asked.told = told.map(str::to_owned).into();
    for (settings, _) in draw(&asked, &data()).unwrap().trials {
        let of = (
            settings.cell,
            settings.units,
            settings.input_map,
            settings.rank,
        );
        assert_eq!(of, (Cell::Gru, 12, MapName::BlockTerm, 3));
    }
}

/// 64 values and 16 units: some of the modes that are worth a trial have 1 of the hidden state at the end.
#[test]
fn uneven_modes_are_among_those_drawn() {
    let kind = crate::shape::MapKind::BlockTerm { blocks: 2, rank: 4 };
    let pairs = crate::plan::shapes::candidates(4, 64, 16, kind, None);
    let ends_in_one = |hidden: &Vec<usize>| hidden.last() == Some(&1);
    assert!(pairs.iter().any(|(_, hidden)| ends_in_one(hidden)));
    assert!(pairs.iter().any(|(_, hidden)| !ends_in_one(hidden)));
}

#[test]
fn limits_that_nothing_meets_name_the_nearest_and_which() {
    let refused = |bounds: Bounds| draw(&asked(bounds), &data()).err().unwrap();
    let ram = refused(Bounds {
        ram_bytes: Some(40),
        ..bounds()
    });
    assert_eq!(ram.field.as_deref(), Some("ram"));
    let line = ram.to_string();
    assert!(line.contains("bytes of RAM where 40 are allowed"), "{line}");
    assert!(line.contains("the nearest ("), "{line}");
    assert!(!line.contains("flash"), "{line}");
    // What is asked for then is enough.
    let crate::ErrorKind::NothingFits(nothing) = ram.kind else {
        panic!("{line}");
    };
    let need: usize = nothing.over[0].need.parse().unwrap();
    let enough = Bounds {
        ram_bytes: Some(need),
        ..bounds()
    };
    assert!(!draw(&asked(enough), &data()).unwrap().trials.is_empty());

    let time = refused(Bounds {
        ms_per_step: Some(1e-4),
        ..bounds()
    });
    assert_eq!(time.field.as_deref(), Some("ms-per-step"));
    let flash = refused(Bounds {
        flash_bytes: Some(300),
        ..bounds()
    });
    assert!(
        flash.to_string().contains("bytes of flash where 300"),
        "{flash}"
    );
}
