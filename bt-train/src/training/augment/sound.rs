//! Stretch, gain, shift and silence of a recording.

use super::Augment;
use crate::float::init::{normal, uniform};
use rand::Rng;
use std::f64::consts::PI;

/// The samples, varied.
pub(super) fn vary(table: &Augment, rate: u32, samples: Vec<f32>, rng: &mut impl Rng) -> Vec<f32> {
    let rate = f64::from(rate);
    let mut around = |reach: f32| (2.0 * uniform(rng) - 1.0) * f64::from(reach);
    let longer = 1.0 + around(table.time_stretch);
    let gain = 10f64.powf(around(table.gain) / 20.0) as f32;
    let shift = around(table.time_shift) * rate;
    let mut sound = match table.time_stretch > 0.0 {
        true => stretched(&samples, longer, rate),
        false => samples,
    };
    sound.iter_mut().for_each(|sample| *sample *= gain);
    let most = (sound.len() / 2) as f64;
    shifted(&mut sound, shift.round().clamp(-most, most) as i64);
    let mut silence = || (uniform(rng) * f64::from(table.silence) * rate).round() as usize;
    let (before, behind) = (silence(), silence());
    // Silence has whatever offset the recording has.
    if let (Some(&first), Some(&last)) = (sound.first(), sound.last()) {
        sound.splice(0..0, std::iter::repeat_n(first, before));
        sound.resize(sound.len() + behind, last);
    }
    if table.noise > 0.0 {
        let deviation = uniform(rng) * f64::from(table.noise);
        for sample in &mut sound {
            *sample += (deviation * normal(rng)) as f32;
        }
    }
    sound
}

/// Later by so many samples, or earlier; what moves out is cut off, what comes in is the end held.
fn shifted(sound: &mut [f32], later: i64) {
    let count = later.unsigned_abs() as usize;
    if later > 0 {
        sound.rotate_right(count);
        let held = sound[count];
        sound[..count].fill(held);
    } else if count > 0 {
        sound.rotate_left(count);
        let end = sound.len() - count;
        let held = sound[end - 1];
        sound[end..].fill(held);
    }
}

/// So many times as long at the same pitch (WSOLA, Verhelst and Roelands 1993): windows of 20 ms, half a window
/// apart, are taken from where time has come to, or up to a quarter of a window off, where they go on best from the
/// one before.
fn stretched(samples: &[f32], longer: f64, rate: f64) -> Vec<f32> {
    let hop = ((0.01 * rate) as usize).max(16);
    let (window, reach) = (2 * hop, hop / 2);
    let length = ((samples.len() as f64 * longer).round() as usize).max(1);
    if samples.len() < 2 * window {
        return resampled(samples, length);
    }
    let weight = |at: usize| (0.5 - 0.5 * (PI * at as f64 / hop as f64).cos()) as f32;
    let weights: Vec<f32> = (0..window).map(weight).collect();
    let latest = samples.len() - window;
    let mut out = vec![0f32; length + 2 * window];
    let mut place = 0;
    // The first half window stands alone, without a rise.
    out[..hop].copy_from_slice(&samples[..hop]);
    for (at, &sample) in samples[..window].iter().enumerate().skip(hop) {
        out[at] = sample * weights[at];
    }
    for k in 1..=length / hop {
        let ideal = ((k * hop) as f64 / longer).round() as usize;
        let goes_on = (place + hop).min(latest);
        let natural = &samples[goes_on..goes_on + window];
        let (low, high) = (
            ideal.saturating_sub(reach).min(latest),
            (ideal + reach).min(latest),
        );
        let likeness = |from: &usize| -> f32 {
            let found = &samples[*from..from + window];
            found.iter().zip(natural).map(|(a, b)| a * b).sum()
        };
        let mut best = (f32::NEG_INFINITY, low);
        for from in low..=high {
            let like = likeness(&from);
            if like > best.0 {
                best = (like, from);
            }
        }
        place = best.1;
        let frame = &samples[place..place + window];
        for (at, (&sample, &weight)) in frame.iter().zip(&weights).enumerate() {
            out[k * hop + at] += sample * weight;
        }
    }
    out.truncate(length);
    out
}

/// What is shorter than two windows has no pitch to keep: values between neighbours.
fn resampled(samples: &[f32], length: usize) -> Vec<f32> {
    let last = samples.len().saturating_sub(1);
    let place = |at: usize| at as f64 * last as f64 / length.saturating_sub(1).max(1) as f64;
    let value = |at: usize| {
        let first = place(at).floor() as usize;
        let (a, b) = (samples[first], samples[(first + 1).min(last)]);
        a + (place(at) - first as f64) as f32 * (b - a)
    };
    (0..if samples.is_empty() { 0 } else { length })
        .map(value)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    const RATE: u32 = 8000;

    fn tone(hz: f64, length: usize) -> Vec<f32> {
        let phase = |at| std::f64::consts::TAU * hz * at as f64 / f64::from(RATE);
        (0..length)
            .map(|at| (8000.0 * phase(at).sin()) as f32)
            .collect()
    }

    /// Upward crossings of zero a second, without the ends.
    fn pitch(sound: &[f32]) -> f64 {
        let inner = &sound[400..sound.len() - 400];
        let crossings = inner
            .windows(2)
            .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0);
        crossings.count() as f64 * f64::from(RATE) / inner.len() as f64
    }

    fn root_mean_square(sound: &[f32]) -> f64 {
        let inner = &sound[400..sound.len() - 400];
        let squares = inner.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        (squares / inner.len() as f64).sqrt()
    }

    /// A tone stays that tone, as loud, and gets as long as asked; resampling would move it by the same factor.
    #[test]
    fn a_stretch_keeps_pitch_and_loudness() {
        for hz in [150.0, 440.0, 1000.0] {
            for longer in [0.5, 0.8, 1.0, 1.25, 1.5] {
                let found = stretched(&tone(hz, 8000), longer, f64::from(RATE));
                assert_eq!(found.len(), (8000.0 * longer) as usize);
                assert!(
                    (pitch(&found) / hz - 1.0).abs() < 0.02,
                    "{hz} {longer}: {}",
                    pitch(&found)
                );
                let loudness = root_mean_square(&found) / (8000.0 / 2f64.sqrt());
                assert!((loudness - 1.0).abs() < 0.05, "{hz} {longer}: {loudness}");
            }
        }
        assert_eq!(
            stretched(&[0.0, 2.0, 4.0], 1.67, 8000.0),
            [0.0, 1.0, 2.0, 3.0, 4.0]
        );
        assert!(stretched(&[], 1.5, 8000.0).is_empty());
    }

    #[test]
    fn a_shift_keeps_the_length_and_holds_the_ends() {
        let moved = |later| {
            let mut sound = vec![1.0, 2.0, 3.0, 4.0];
            shifted(&mut sound, later);
            sound
        };
        assert_eq!(moved(1), [1.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved(-2), [3.0, 4.0, 4.0, 4.0]);
        assert_eq!(moved(0), [1.0, 2.0, 3.0, 4.0]);
    }

    fn varied(table: &Augment, seed: u64) -> Vec<f32> {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        vary(table, RATE, tone(440.0, 4000), rng)
    }

    #[test]
    fn gain_silence_and_noise_stay_within_what_is_named() {
        assert_eq!(varied(&Augment::default(), 1), tone(440.0, 4000));
        let (mut loudest, mut faintest, mut longest) = (0f64, f64::MAX, 0);
        for seed in 0..60 {
            let gain = Augment {
                gain: 6.0,
                ..Augment::default()
            };
            let change =
                root_mean_square(&varied(&gain, seed)) / root_mean_square(&tone(440.0, 4000));
            loudest = loudest.max(change);
            faintest = faintest.min(change);
            let silence = Augment {
                silence: 0.1,
                ..Augment::default()
            };
            let around = varied(&silence, seed);
            assert!((4000..=5600).contains(&around.len()));
            longest = longest.max(around.len());
            // The tone begins at 0, so silence is 0 too.
            let before = around.iter().take_while(|&&sample| sample == 0.0).count();
            assert!(before <= 801);
        }
        // 6 dB are a factor of 1.995.
        assert!((1.8..1.996).contains(&loudest) && (0.501..0.56).contains(&faintest));
        assert!(longest > 5000);
        let noise = Augment {
            noise: 100.0,
            ..Augment::default()
        };
        let clean = tone(440.0, 4000);
        let mut noisiest = 0f64;
        for seed in 0..20 {
            let found = varied(&noise, seed);
            let rest: Vec<f32> = found.iter().zip(&clean).map(|(a, b)| a - b).collect();
            noisiest = noisiest.max(root_mean_square(&rest));
        }
        assert!((70.0..105.0).contains(&noisiest), "{noisiest}");
    }
}
