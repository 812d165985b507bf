//! Which frames of a sequence are taken.

use super::Augment;
use crate::data::even_position;
use crate::float::init::uniform;
use rand::Rng;
use std::f64::consts::PI;

/// Indices of the frames of a sequence of `length`, in order: so many drawn, or as many as there are.
pub(super) fn positions(
    table: &Augment,
    frames: Option<usize>,
    length: usize,
    rng: &mut impl Rng,
) -> Vec<usize> {
    let last = (length - 1) as f64;
    let mut around = |reach: f64| (2.0 * uniform(rng) - 1.0) * reach;
    let speed = around(f64::from(table.time_warp));
    let distance = length as f64 / frames.unwrap_or(length) as f64;
    let jitter = 0.5 * f64::from(table.jitter) * distance;
    let together = around(jitter);
    let even = |t: usize| match frames {
        Some(frames) => even_position(t, frames, length),
        None => t as f64,
    };
    let place = |t: usize| {
        let place = even(t);
        // Its slope is 1 + speed·cos: it goes on as long as |speed| < 1, and both ends stay.
        let warped = match last > 0.0 {
            true => place + speed * last / PI * (PI * place / last).sin(),
            false => place,
        };
        let moved = warped + together + around(jitter);
        (moved + 0.5).floor().clamp(0.0, last) as usize
    };
    (0..frames.unwrap_or(length)).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn drawn(table: &Augment, frames: Option<usize>, length: usize, seed: u64) -> Vec<usize> {
        positions(table, frames, length, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// numpy.round(numpy.linspace(0, 22, 12)) and, of 13 frames, all but the one left out by rounding.
    #[test]
    fn without_a_name_frames_are_drawn_evenly() {
        let off = Augment::default();
        let even = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22];
        assert_eq!(drawn(&off, Some(12), 23, 1), even);
        let most = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12];
        assert_eq!(drawn(&off, Some(12), 13, 1), most);
        assert_eq!(drawn(&off, None, 4, 1), [0, 1, 2, 3]);
        // Fewer than are drawn: some twice.
        assert_eq!(drawn(&off, Some(4), 2, 1), [0, 0, 1, 1]);
        assert_eq!(drawn(&off, Some(3), 1, 1), [0, 0, 0]);
    }

    #[test]
    fn jitter_stays_near_and_differs_from_draw_to_draw() {
        let table = Augment {
            jitter: 1.0,
            ..Augment::default()
        };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let places = drawn(&table, Some(12), 36, seed);
            for (t, &place) in places.iter().enumerate() {
                // Twice half of the distance of 3, and half for rounding.
                let even = t as f64 * 35.0 / 11.0;
                assert!((place as f64 - even).abs() <= 3.5, "{places:?}");
            }
            seen.insert(places);
        }
        assert!(seen.len() > 45, "{}", seen.len());
    }

    #[test]
    fn a_warp_keeps_order_and_ends() {
        let table = Augment {
            time_warp: 0.9,
            ..Augment::default()
        };
        let mut fastest = 0;
        for seed in 0..50 {
            let places = drawn(&table, None, 40, seed);
            assert_eq!((places[0], places[39]), (0, 39));
            assert!(places.is_sorted());
            fastest = fastest.max(places[1]);
        }
        // The slope at the start is up to 1.9.
        assert_eq!(fastest, 2);
    }
}
