//! What microphones add to sound: an offset leaves no trace, a plop little.

use super::*;

/// A hundred vectors of quiet speech-like noise, louder and softer by turns.
fn quiet(seed: u32) -> Vec<i16> {
    let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9) | 1);
    let loud = |n: usize| (n / 1_500).is_multiple_of(2);
    (0..100 * 128)
        .map(|n| noise.sample() >> if loud(n) { 7 } else { 10 })
        .collect()
}

fn plus(pcm: &[i16], added: impl Fn(usize) -> f64) -> Vec<i16> {
    let sum = |(n, &sample): (usize, &i16)| (f64::from(sample) + added(n)).round() as i16;
    pcm.iter().enumerate().map(sum).collect()
}

fn section(level: Level) -> Section {
    Section::new(&Config {
        level,
        ..Config::default()
    })
}

#[test]
fn an_offset_changes_no_bit_of_any_vector() {
    let quiet = quiet(11);
    for level in [Level::Absolute, Level::Relative] {
        let section = section(level);
        let front_end = section.front_end();
        let plain = vectors(&front_end, &quiet, || usize::MAX);
        for offset in [-32_000.0, -500.0, 1.0, 2_000.0, 32_000.0] {
            let shifted = plus(&quiet, |_| offset);
            assert_eq!(vectors(&front_end, &shifted, || 77), plain, "{offset}");
        }
    }
}

/// Full scale and gone after a sample, 3 ms or 20 ms, or falling to 1/e in 30 ms
/// (half an LSB after 332), at the start and within: the largest difference, 0.1 s
/// after its end, from what every value would have been, Q10 octaves.
fn traces(seed: u32) -> impl Iterator<Item = i32> {
    let quiet = quiet(seed);
    let section = section(Level::Relative);
    let plain = vectors(&section.front_end(), &quiet, || usize::MAX);
    type Shape = fn(usize) -> f64;
    let shapes: [(usize, Shape); 4] = [
        (1, |_| 32_000.0),
        (24, |_| -32_000.0),
        (160, |_| 32_000.0),
        (2_656, |n| 32_000.0 * (-(n as f64) / 240.0).exp()),
    ];
    let plops = shapes
        .into_iter()
        .flat_map(|shape| [0, 64, 2_000, 4_321].map(|start| (shape, start)));
    plops.map(move |((length, shape), start)| {
        let plopped = plus(&quiet, |n| match n.checked_sub(start) {
            Some(after) if after < length => shape(after),
            _ => 0.0,
        });
        let found = vectors(&section.front_end(), &plopped, || usize::MAX);
        assert_ne!(found, plain, "a plop at {start} is heard");
        let clear = (start + length + 800).div_ceil(128);
        let pairs = found.iter().zip(&plain).skip(clear);
        let differences = pairs.flat_map(|(found, plain)| found.iter().zip(plain));
        let differences = differences.map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs());
        differences.max().unwrap()
    })
}

/// A level that remembers the loudest vector takes 20 s to forget it. Here a plop of 20 ms reaches four
/// vectors, and the last of them may still raise the level: by little more than a decibel at most (1.0 or 1.1, as
/// the noise is), in four of five cases by less than a tenth of one.
#[test]
fn a_plop_leaves_little_a_tenth_of_a_second_later() {
    const TENTH_DB: i32 = 34;
    let mut found: Vec<i32> = (1..=24).flat_map(traces).collect();
    found.sort_unstable();
    let largest = *found.last().unwrap();
    assert!(largest <= 12 * TENTH_DB, "{largest}");
    assert!(found[found.len() * 4 / 5] <= TENTH_DB, "{found:?}");
}

/// Not a word of the state tells a fresh stream from one that was reset.
#[test]
fn a_reset_is_a_fresh_start() {
    let section = section(Level::Relative);
    let front_end = section.front_end();
    let mut state = vec![0; front_end.state_words()];
    let fresh = state.clone();
    let loud = vec![i16::MAX; 1_000];
    front_end.push(&mut state, &loud, &mut [0; 32]);
    front_end.reset(&mut state);
    assert_eq!(state, fresh);
    assert_eq!(front_end.silence(&state), 0);
}

/// Silence at the end is the silence of the offset: the same vectors without it.
#[test]
fn silence_at_the_end_makes_no_click() {
    let section = section(Level::Absolute);
    let front_end = section.front_end();
    let ended = |offset: i16| {
        let mut state = vec![0; front_end.state_words()];
        let mut out = [0; 32];
        front_end.push(&mut state, &[offset; 100], &mut out);
        let silence = front_end.silence(&state);
        assert_eq!(silence, offset);
        let push = front_end.push(&mut state, &[silence; 28], &mut out);
        assert!(push.produced);
        out
    };
    // Digital silence: no more than what stands for no energy at all.
    assert_eq!(ended(0), [-19 << 10; 32]);
    for offset in [i16::MIN, -500, 3_000, i16::MAX] {
        assert_eq!(ended(offset), ended(0), "{offset}");
    }
}
