//! Shift, flip, crop and stretch of a frame that is an image.

use super::Augment;
use crate::float::init::uniform;
use rand::Rng;

/// Sides of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sides {
    pub rows: usize,
    pub columns: usize,
    pub channels: usize,
}

/// Where each row and column of a varied image comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Warp {
    sides: Sides,
    rows: Vec<Source>,
    columns: Vec<Source>,
}

/// Between two neighbours: `first` and, with the share `second_share`, `second`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Source {
    first: usize,
    second: usize,
    second_share: f32,
}

impl Warp {
    /// One for all frames of a sequence.
    pub fn draw(table: &Augment, sides: Sides, rng: &mut impl Rng) -> Warp {
        let window = 1.0 - f64::from(table.crop) * uniform(rng);
        let mut axis = |size: usize, is_mirrored: bool| {
            let side = window * size as f64;
            let start = (size as f64 - side) * uniform(rng);
            let reach = table.shift as f64;
            // Every whole number as often as any other.
            let shift = (uniform(rng) * (2.0 * reach + 1.0)).floor() - reach;
            // Drawn where it is asked for alone, so that other tables draw what they drew before.
            let stretch = match table.stretch {
                0.0 => 1.0,
                most => 1.0 + f64::from(most) * (2.0 * uniform(rng) - 1.0),
            };
            let middle = (size - 1) as f64 / 2.0;
            let source = |at: usize| {
                let at = if is_mirrored { size - 1 - at } else { at };
                // Centres of pixels; without a crop exactly `at`.
                let at = middle + (at as f64 - middle) / stretch;
                let place = start + (at + 0.5) * window - 0.5 + shift;
                let place = place.clamp(0.0, (size - 1) as f64);
                let first = place.floor();
                Source {
                    first: first as usize,
                    second: (first as usize + 1).min(size - 1),
                    second_share: (place - first) as f32,
                }
            };
            (0..size).map(source).collect::<Vec<Source>>()
        };
        let rows = axis(sides.rows, false);
        let columns = axis(sides.columns, false);
        let is_mirrored = uniform(rng) < f64::from(table.flip);
        let columns = match is_mirrored {
            true => columns.into_iter().rev().collect(),
            false => columns,
        };
        Warp {
            sides,
            rows,
            columns,
        }
    }

    /// The image [rows, columns, channels], varied.
    pub fn apply(&self, image: &[f32]) -> Vec<f32> {
        let Sides {
            columns, channels, ..
        } = self.sides;
        let width = columns * channels;
        let mut out = Vec::with_capacity(image.len());
        for row in &self.rows {
            let first = &image[row.first * width..][..width];
            let second = &image[row.second * width..][..width];
            for column in &self.columns {
                for channel in 0..channels {
                    let (a, b) = (
                        column.first * channels + channel,
                        column.second * channels + channel,
                    );
                    let upper = between(first[a], first[b], column.second_share);
                    let lower = between(second[a], second[b], column.second_share);
                    out.push(between(upper, lower, row.second_share));
                }
            }
        }
        out
    }
}

fn between(a: f32, b: f32, share: f32) -> f32 {
    a + share * (b - a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    const SIDES: Sides = Sides {
        rows: 5,
        columns: 7,
        channels: 2,
    };

    /// 100·row + 10·column + channel.
    fn image() -> Vec<f32> {
        let value = |at: usize| 100 * (at / 14) + 10 * (at / 2 % 7) + at % 2;
        (0..70).map(|at| value(at) as f32).collect()
    }

    fn varied(table: &Augment, seed: u64) -> Vec<f32> {
        let warp = Warp::draw(table, SIDES, &mut ChaCha8Rng::seed_from_u64(seed));
        warp.apply(&image())
    }

    #[test]
    fn without_a_name_an_image_stays_as_it_is() {
        assert_eq!(varied(&Augment::default(), 3), image());
    }

    #[test]
    fn a_flip_mirrors_columns_alone() {
        let table = Augment {
            flip: 1.0,
            ..Augment::default()
        };
        let found = varied(&table, 1);
        for (at, value) in found.iter().enumerate() {
            let (row, column, channel) = (at / 14, at / 2 % 7, at % 2);
            assert_eq!(*value, (100 * row + 10 * (6 - column) + channel) as f32);
        }
        let half = Augment {
            flip: 0.5,
            ..Augment::default()
        };
        let flipped = (0..200)
            .filter(|&seed| varied(&half, seed) != image())
            .count();
        assert!((70..130).contains(&flipped), "{flipped}");
    }

    /// Each of the 5 × 5 shifts of up to two pixels, with the edge repeated, and no other.
    #[test]
    fn a_shift_moves_whole_pixels() {
        let table = Augment {
            shift: 2,
            ..Augment::default()
        };
        let mut left: Vec<Vec<f32>> = Vec::new();
        for down in -2i32..=2 {
            for right in -2i32..=2 {
                let value = |at: i32| {
                    let row = (at / 14 + down).clamp(0, 4);
                    let column = (at / 2 % 7 + right).clamp(0, 6);
                    (100 * row + 10 * column + at % 2) as f32
                };
                left.push((0..70).map(value).collect());
            }
        }
        let all = left.clone();
        for seed in 0..300 {
            let found = varied(&table, seed);
            assert!(all.contains(&found));
            left.retain(|expected| *expected != found);
        }
        assert!(left.is_empty());
    }

    /// A ramp stays one under bilinear sampling: less steep by the window's side, within the image's range.
    #[test]
    fn a_crop_stretches_a_window_to_the_whole() {
        let table = Augment {
            crop: 0.5,
            ..Augment::default()
        };
        let mut steepest = 0f32;
        for seed in 0..100 {
            let found = varied(&table, seed);
            let value = |row: usize, column: usize| found[row * 14 + column * 2];
            // Away from the edges, where centres of the window's pixels lie beyond those of the image.
            let slope = value(2, 4) - value(2, 3);
            assert!((4.99..=10.01).contains(&slope), "{slope}");
            let down = value(3, 3) - value(2, 3);
            assert!((down - 10.0 * slope).abs() < 1e-2, "{down} {slope}");
            assert!(found.iter().all(|value| (0.0..=461.0).contains(value)));
            steepest = steepest.max(slope);
        }
        assert!(steepest > 9.0);
    }

    /// About the middle, which stays; rows and columns by factors of their own, to both sides of 1.
    #[test]
    fn a_stretch_keeps_the_middle() {
        let table = Augment {
            stretch: 0.5,
            ..Augment::default()
        };
        let (mut least, mut most, mut differ) = (f32::MAX, 0f32, 0);
        for seed in 0..100 {
            let found = varied(&table, seed);
            let value = |row: usize, column: usize| found[row * 14 + column * 2];
            assert!((value(2, 3) - 230.0).abs() < 1e-3);
            // One pixel beside the middle is one of the image divided by the factor.
            let right = 10.0 / (value(2, 4) - value(2, 3));
            let down = 100.0 / (value(3, 3) - value(2, 3));
            for factor in [right, down] {
                assert!((0.499..=1.501).contains(&factor), "{factor}");
                least = least.min(factor);
                most = most.max(factor);
            }
            differ += usize::from((right - down).abs() > 0.1);
        }
        assert!(
            least < 0.55 && most > 1.45 && differ > 60,
            "{least} {most} {differ}"
        );
    }
}
