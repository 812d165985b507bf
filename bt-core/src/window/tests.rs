use super::*;
use crate::cases::{Digest, Noise};
use crate::random::Random;
use alloc::vec;
use alloc::vec::Vec;

/// Every place between two powers.
#[test]
fn every_power_is_near() {
    let error = |at: i16| {
        let exact = libm::exp2(-f64::from(at) / 32_768.0);
        (f64::from(halving(at)) / 536_870_912.0 - exact).abs()
    };
    let worst = (0..=i16::MAX).map(error).fold(0.0, f64::max);
    assert!(worst <= 2.2e-6, "{worst}");
    assert_eq!(halving(0), 1 << 29);
    for log in -(24 << 16)..24 << 16 {
        if log % 997 == 0 {
            let Power { mantissa, exponent } = Power::of(log);
            assert!((1 << 28..=1 << 29).contains(&mantissa));
            let found = f64::from(mantissa) * libm::exp2(f64::from(exponent - 29));
            let exact = libm::exp2(log as f64 / 65_536.0);
            assert!((found / exact - 1.0).abs() < 1.6e-5, "{log}");
        }
    }
}

/// Every exponent as far as it is read, with the least and the most of what is not.
#[test]
fn every_weight_is_near() {
    let mut worst: f64 = 0.0;
    for read in 0..18u32 << 15 {
        for rest in [0, (1 << NARROW) - 1] {
            let exponent = read << NARROW | rest;
            let t = (f64::from(exponent) - f64::from(1 << (NARROW - 1))) / 67_108_864.0;
            let exact = 16_384.0 * libm::exp2(-t);
            worst = worst.max((f64::from(weight(exponent)) - exact).abs());
        }
    }
    assert!(worst <= 0.7, "{worst}");
    assert_eq!(weight(1 << (NARROW - 1)), 1 << 14);
    assert_eq!(weight(u32::MAX), 0);
}

fn record(points: u32, patch_shift: i32, place_shift: i32) -> WindowRecord {
    WindowRecord {
        points,
        patch_shift,
        place_shift,
    }
}

/// A canvas after these sums were painted on it once.
fn painted(window: &Window<'_>, sums: &[i32], canvas: &mut [i32], score_shift: i32) {
    // What maps have left there.
    let mut scratch = vec![0x5A5A_A5A5; window.scratch_words()];
    scratch[..sums.len()].copy_from_slice(bytemuck::cast_slice(sums));
    window.paint(&mut scratch, canvas, score_shift);
}

/// The equations of the head of this file, loop by loop.
fn exact(window: &Window<'_>, patch: &[f64], place: [f64; 5]) -> Vec<f64> {
    let n = window.points();
    let (rows, columns) = (window.rows as f64, window.columns as f64);
    let [x, y, log_variance, log_stride, log_gain] = place;
    let stride = (rows.max(columns) - 1.0) / (n as f64 - 1.0) * libm::exp(log_stride);
    let weights = |length: usize, centre: f64, point: usize| -> Vec<f64> {
        let centre = (length as f64 + 1.0) / 2.0 * (centre + 1.0) - 1.0;
        let middle = centre + (point as f64 - (n as f64 - 1.0) / 2.0) * stride;
        let square = |at: usize| (at as f64 - middle) * (at as f64 - middle);
        let least = (0..length).map(square).fold(f64::INFINITY, f64::min);
        let each = |at| libm::exp((least - square(at)) / 2.0 / libm::exp(log_variance));
        let all: Vec<f64> = (0..length).map(each).collect();
        let sum: f64 = all.iter().sum();
        all.iter().map(|weight| weight / sum).collect()
    };
    let across: Vec<_> = (0..n).map(|i| weights(window.columns, x, i)).collect();
    let down: Vec<_> = (0..n).map(|j| weights(window.rows, y, j)).collect();
    let pixel = |at: usize| {
        let (row, column) = (at / window.columns, at % window.columns);
        let each = (0..n * n).map(|at| patch[at] * down[at / n][row] * across[at % n][column]);
        each.sum::<f64>() / libm::exp(log_gain)
    };
    (0..window.rows * window.columns).map(pixel).collect()
}

fn uniform(random: &mut Random, from: f64, to: f64) -> f64 {
    from + (to - from) * f64::from(random.next_u32()) / 4_294_967_296.0
}

/// Random windows as they learn to paint, beside f64. Beside half an LSB of the canvas an error is at most 1/800 of the
/// most that |P| would paint, where several points meet on one pixel; in the mean it is 1/40,000.
#[test]
fn paints_as_the_equations_say() {
    let mut random = Random::new(1, 0);
    let (mut worst, mut sum, mut pixels): (f64, f64, usize) = (0.0, 0.0, 0);
    let sizes = [(5, 28, 28), (2, 7, 5), (3, 1, 40), (8, 64, 64), (6, 9, 30)];
    let ranges = [
        (-1.3, 1.3),
        (-1.3, 1.3),
        (-3.0, 4.0),
        (-4.0, 0.5),
        (-2.0, 2.0),
    ];
    for (points, rows, columns) in sizes {
        let record = record(points, 22, 24);
        let window = Window::new(&record, rows, rows * columns);
        for _ in 0..200 {
            let place = ranges.map(|(from, to)| uniform(&mut random, from, to));
            let largest = uniform(&mut random, 0.01, 30.0);
            let patch: Vec<f64> = (0..points * points)
                .map(|_| uniform(&mut random, -largest, largest))
                .collect();
            let mut sums: Vec<i32> = patch.iter().map(|p| (p * 4_194_304.0) as i32).collect();
            sums.extend(place.map(|p| (p * 16_777_216.0) as i32));
            // An LSB of 2⁻¹².
            let mut canvas = vec![0; rows * columns];
            painted(&window, &sums, &mut canvas, 12);
            let expected = exact(&window, &patch, place);
            let patch: Vec<f64> = patch.iter().map(|value| value.abs()).collect();
            let most = exact(&window, &patch, place)
                .into_iter()
                .fold(0.0, f64::max);
            for (&found, &expected) in canvas.iter().zip(&expected) {
                let error = (f64::from(found) - expected * 4096.0).abs() - 0.5;
                worst = worst.max(error / (most * 4096.0));
                sum += error.max(0.0) / (most * 4096.0);
            }
            pixels += expected.len();
        }
    }
    assert!(worst <= 1.0 / 800.0, "1/{}", 1.0 / worst);
    let mean = sum / pixels as f64;
    assert!(mean <= 1.0 / 40_000.0, "1/{}", 1.0 / mean);
}

/// Sums that are too large for f64's bounds leave a canvas at its ends or alone; debug builds would say where a sum
/// had left its bits.
#[test]
fn any_sums_paint() {
    let mut random = Random::new(2, 0);
    for (points, rows, columns) in [(5, 8, 9), (2, 1, 1), (64, 16, 256), (7, 256, 2)] {
        for _ in 0..40 {
            let mut shift = || random.next_u32() as i32 >> (random.next_u32() % 32);
            let record = record(points, shift(), shift());
            let (score_shift, narrow) = (shift(), shift() as u32 % 32);
            let window = Window::new(&record, rows, rows * columns);
            let sums: Vec<i32> = (0..record.head_rows())
                .map(|_| random.next_u32() as i32 >> narrow)
                .collect();
            let mut canvas = vec![-7; rows * columns];
            for _ in 0..2 {
                painted(&window, &sums, &mut canvas, score_shift);
            }
        }
        // In the middle, of one sign: γ of e^16 leaves nothing of it, e^−16 so much that sixteen times are all.
        let record = record(points, 20, 20);
        let window = Window::new(&record, rows, rows * columns);
        for (log_gain, value, expected) in [
            (16, 1 << 20, 7),
            (-16, 1 << 26, i32::MAX),
            (-16, -(1 << 26), i32::MIN),
            (i32::MIN, 0, 7),
        ] {
            let mut sums = vec![value; (points * points) as usize];
            let gain = log_gain << 20;
            sums.extend([0, 0, 20 << 20, 0, gain]);
            let mut canvas = vec![7; rows * columns];
            for _ in 0..16 {
                painted(&window, &sums, &mut canvas, 9);
            }
            assert_eq!(
                canvas,
                vec![expected; rows * columns],
                "{points} {log_gain}"
            );
        }
    }
}

/// A window far outside paints the edge alone, one point as another.
#[test]
fn far_outside_is_the_edge() {
    let record = record(3, 16, 16);
    let window = Window::new(&record, 4, 24);
    for (x, y, corner) in [
        (-9, -9, 0),
        (9, -9, 5),
        (-9, 9, 18),
        (9, 9, 23),
        (16, -16, 5),
    ] {
        let mut sums = vec![1 << 16; 9];
        sums.extend([x << 16, y << 16, -(1 << 16), -(3 << 16), 0]);
        let mut canvas = vec![0; 24];
        painted(&window, &sums, &mut canvas, 8);
        let mut expected = vec![0; 24];
        // Nine points of 1, to 2⁻¹⁴ of each.
        expected[corner] = 9 << 8;
        assert_eq!(canvas, expected);
    }
}

/// The values of `tests/data/interop/window.py`, which was written from `docs/format.md`, not from this file. Case n, from 1 on, takes
/// numbers of [`Noise`]`(n)`: a canvas, then thrice a patch that is painted on it, shifted to the right by `narrow`;
/// the digest is of the canvas after that.
#[test]
fn paints_as_the_page_says() {
    // Points, rows and columns; patch_shift, place_shift and score_shift; narrow; the sums that place; the digest.
    let cases = [
        (
            (5, 28, 28),
            [22, 24, 12],
            6,
            [4_194_304, -6_291_456, 35_165_824, -16_777_216, 8_388_608],
            0x7e35_b857,
        ),
        (
            (2, 7, 5),
            [30, 10, 13],
            0,
            [-517, 133, -1_100, -700, -1_999],
            0xf919_4eb9,
        ),
        (
            (3, 1, 40),
            [8, 31, 20],
            13,
            [
                1_900_000_000,
                77_777_777,
                -123_456_789,
                -2_000_000_000,
                -2_147_483_648,
            ],
            0x6806_e2ca,
        ),
        (
            (64, 16, 24),
            [24, 17, 9],
            1,
            [9_999, -131_071, 400_001, -65_432, 100_003],
            0x87b8_6ab0,
        ),
        (
            (7, 256, 2),
            [40, 20, 33],
            3,
            [-1_048_576, 1_000_000, 7_340_032, -2_345_678, 1_500_000],
            0x05c3_23c3,
        ),
        ((4, 1, 1), [31, 3, 12], 0, [3, -5, -40, 2, 11], 0x1edc_e666),
        (
            (6, 9, 30),
            [17, 50, 10],
            5,
            [
                2_147_483_647,
                -2_147_483_648,
                1_234_567_890,
                -1_987_654_321,
                987_654_321,
            ],
            0x2bea_4c8e,
        ),
        (
            (3, 2, 200),
            [20, -9, 10],
            10,
            [0, -1, 1, 0, -1],
            0x92c6_c194,
        ),
        (
            (4, 3, 250),
            [20, 22, 10],
            10,
            [4_500_000, 0, 67_108_864, 46_000_000, -6_000_000],
            0xe566_f0c2,
        ),
    ];
    for (number, (sizes, shifts, narrow, place, expected)) in (1..).zip(cases) {
        let ((points, rows, columns), [patch_shift, place_shift, score_shift]) = (sizes, shifts);
        let record = record(points, patch_shift, place_shift);
        let window = Window::new(&record, rows, rows * columns);
        let mut noise = Noise(number);
        let mut canvas: Vec<i32> = (0..rows * columns).map(|_| noise.next() as i32).collect();
        for _ in 0..3 {
            let patch = (0..points * points).map(|_| noise.next() as i32 >> narrow);
            let sums: Vec<i32> = patch.chain(place).collect();
            painted(&window, &sums, &mut canvas, score_shift);
        }
        let mut digest = Digest::new();
        for pixel in canvas {
            digest.add(pixel as u32);
        }
        assert_eq!(digest.value(), expected, "case {number}");
    }
}
