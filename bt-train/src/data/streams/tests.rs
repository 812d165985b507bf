//! Targets of streams, beside those counted by hand.

use super::*;
use crate::float::config::FrontEndConfig;

fn recording(rate: u32, samples: usize, events: &[(usize, f64, f64)]) -> Recording {
    let event = |&(class, start, end)| Event { class, start, end };
    Recording {
        name: "0.wav".into(),
        rate,
        samples: (0..samples).map(|at| (at % 777) as i16).collect(),
        events: events.iter().map(event).collect(),
    }
}

fn front_end(hop: usize, vectors_per_step: usize) -> FrontEndConfig {
    FrontEndConfig {
        sample_rate_hz: 8_000,
        window: 256,
        hop,
        bands: 20,
        low_hz: 100.0,
        high_hz: 3_800.0,
        level: crate::float::config::Level::Relative,
        vectors_per_step,
        format: bt_core::internals::front_end::FORMAT,
    }
}

/// An event of 1.0 to 2.0 s is told from 1.5 s on: steps of 0.1 s that end at 1.6 to 2.0 s are of its class. The last
/// step, which the recording does not fill, is left out.
#[test]
fn a_step_is_of_the_event_whose_second_half_it_ends_in() {
    let part = cut(&[recording(
        8_000,
        8_000 * 3 + 100,
        &[(2, 1.0, 2.0), (1, 2.3, 2.5)],
    )]);
    assert_eq!((part.sequences(), part.lengths[0]), (1, 24_100));
    let steps = part.in_steps(&front_end(200, 4)).unwrap();
    assert_eq!((steps.width, &steps.lengths[..]), (800, &[30][..]));
    let mut expected = vec![0; 30];
    expected[15..20].fill(2);
    expected[24] = 1;
    assert_eq!(
        steps.targets.as_ref().unwrap().labels(),
        Some(&expected[..])
    );
    // In frames as in samples, and what is in steps stays so.
    let frames = part.features(&front_end(200, 4)).unwrap();
    assert_eq!((frames.width, &frames.lengths[..]), (80, &[30][..]));
    assert_eq!(frames.targets, steps.targets);
    let again = steps.in_steps(&front_end(200, 4)).unwrap();
    assert_eq!((again.width, again.lengths), (800, steps.lengths.clone()));
    assert_eq!(
        steps.features(&front_end(200, 4)).unwrap().values,
        frames.values
    );
    let line = cut(&[recording(8_000, 100, &[])])
        .in_steps(&front_end(200, 4))
        .unwrap_err()
        .to_string();
    assert!(line.contains("less than a step"), "{line}");
}

/// A rate that no hundredth of a second divides: pieces follow each other without a gap, none is much longer or shorter
/// than 12 s, and each has the targets of its own time.
#[test]
fn pieces_hold_all_of_a_recording() {
    let event = (1, 29.0, 31.0);
    let long = recording(11_025, 11_025 * 43 + 77, &[event]);
    let part = cut(&[long.clone(), recording(11_025, 11_025, &[])]);
    assert_eq!(part.groups, Some(vec![0, 0, 0, 0, 1]));
    let mut end = 0;
    for (start, length) in part.starts.iter().zip(&part.lengths).take(4) {
        assert_eq!(*start, end);
        end = start + length;
        assert!(
            (10.0..14.0).contains(&(*length as f64 / 11_025.0)),
            "{length}"
        );
    }
    assert_eq!((end, part.starts[4]), (long.samples.len(), end));
    let step = front_end(441, 1);
    let step = FrontEndConfig {
        sample_rate_hz: 11_025,
        ..step
    };
    let steps = part.in_steps(&step).unwrap();
    let targets = steps.targets.as_ref().unwrap();
    for sequence in 0..5 {
        let Items::Classes(told) = targets.items_of(&[sequence]) else {
            panic!()
        };
        assert_eq!(told.len(), steps.lengths[sequence]);
        for (at, told) in told.into_iter().enumerate() {
            let seconds = (steps.starts[sequence] + (at + 1) * 441) as f64 / 11_025.0;
            // Within a tick of an edge either may be.
            if (seconds - 30.0).abs() > 0.02 && (seconds - 31.0).abs() > 0.02 {
                let wanted = sequence < 4 && (30.0..31.0).contains(&seconds);
                assert_eq!(told, usize::from(wanted), "{seconds}");
            }
        }
    }
}
