//! Words against plain arithmetic.

use super::*;
use crate::cases::Noise;
use std::vec::Vec;

/// In i128, of every shift, the ends of every number among noise.
#[test]
fn a_word_adds_what_plain_arithmetic_adds() {
    const VALUES: usize = 9;
    let mut noise = Noise(5);
    for shift in 0..=24 {
        let record = WordsRecord { shift, longest: 4 };
        let scales = [u16::MAX, 0, 1, noise.next() as u16, noise.next() as u16];
        let mut table: Vec<i8> = (0..VALUES * scales.len())
            .map(|_| noise.next() as i8)
            .collect();
        (table[0], table[1], table[VALUES]) = (i8::MIN, i8::MAX, i8::MIN);
        let words = Words {
            record: &record,
            scales: &scales,
            table: &table,
            values: VALUES,
        };
        for word in 0..scales.len() {
            let mut z: Vec<i16> = (0..VALUES).map(|_| noise.sample()).collect();
            (z[0], z[1], z[2]) = (i16::MIN, i16::MAX, i16::MIN);
            let before = z.clone();
            words.add(word, &mut z);
            for at in 0..VALUES {
                let product = i128::from(table[word * VALUES + at]) * i128::from(scales[word]);
                let half = (1i128 << shift) >> 1;
                let sum = i128::from(before[at]) + ((product + half) >> shift);
                assert_eq!(
                    i128::from(z[at]),
                    sum.clamp(-32_768, 32_767),
                    "{shift} {word}"
                );
            }
        }
        assert!(words.row(scales.len()).is_none());
    }
}

#[test]
fn the_likeliest_word_is_the_first_of_equals_and_never_the_unknown() {
    let mut teller = Teller::likeliest();
    assert_eq!(teller.next_word(&[3, 9, 7, 7], 0), Some(2));
    assert_eq!(teller.next_word(&[3, 9, -1], 0), Some(END));
    assert_eq!(teller.next_word(&[i32::MIN; 4], 0), Some(END));
    assert_eq!(teller.next_word(&[], 0), None);
    let mut drawing = Teller::drawing(Random::new(1, 2), Temperature::ONE);
    assert_eq!(drawing.next_word(&[], 0), None);
    assert_eq!(drawing.next_word(&[5], 0), Some(END));
    // Two scores: the second is the unknown word's.
    for shift in [-40, 0, 40] {
        assert_eq!(drawing.next_word(&[i32::MIN, i32::MAX], shift), Some(END));
    }
}

/// Shares of 40,000 drawn words beside the softmax in f64, within five deviations, at several temperatures.
#[test]
fn words_are_as_likely_as_they_should_be() {
    const SHIFT: i32 = 10;
    let logits = [0.3, 4.0, -1.0, 2.0, 1.25, -9.0, 0.0];
    let scores = logits.map(|logit: f64| (logit * 2f64.powi(SHIFT)) as i32);
    for number in [Temperature::MIN, 179, 256, 700, u16::MAX] {
        let temperature = Temperature::new(number).unwrap();
        let t = f64::from(number) / 256.0;
        let term = |word: usize| match word {
            UNKNOWN => 0.0,
            word => (f64::from(scores[word]) * 2f64.powi(-SHIFT) / t).exp(),
        };
        let sum: f64 = (0..logits.len()).map(term).sum();
        let mut teller = Teller::drawing(Random::new(7, number.into()), temperature);
        let mut counts = [0u32; 7];
        const DRAWS: f64 = 40_000.0;
        for _ in 0..DRAWS as u32 {
            counts[teller.next_word(&scores, SHIFT).unwrap()] += 1;
        }
        for (word, &count) in counts.iter().enumerate() {
            let p = term(word) / sum;
            let deviation = (p * (1.0 - p) * DRAWS).sqrt();
            let off = (f64::from(count) - p * DRAWS).abs();
            assert!(
                off <= 5.0 * deviation + 0.5,
                "{t}: word {word}, {count} of {p}"
            );
        }
    }
}

/// The word is that where the sum of integer terms passes the number of the source: in f64, of its own numbers.
#[test]
fn a_word_takes_one_number() {
    let mut noise = Noise(3);
    for round in 0..300u64 {
        let scores: Vec<i32> = (0..3 + noise.next() % 60)
            .map(|_| noise.next() as i32 >> 18)
            .collect();
        let mut random = Random::new(round, 1);
        let mut teller = Teller::drawing(random.clone(), Temperature::new(128).unwrap());
        for _ in 0..4 {
            let found = teller.next_word(&scores, 10).unwrap();
            let number = f64::from(random.next_u32()) / 2f64.powi(32);
            let told = |word: &usize| *word != UNKNOWN;
            let largest = (0..scores.len())
                .filter(told)
                .map(|word| scores[word])
                .max();
            let term = |word: usize| {
                let distance = f64::from(largest.unwrap() - scores[word]);
                (65_536.0 * (-distance / 512.0).exp()).round()
            };
            let all: f64 = (0..scores.len()).filter(told).map(term).sum();
            let before: f64 = (0..found).filter(told).map(term).sum();
            // Terms are at most one off their nearest integers.
            let slack = scores.len() as f64;
            let point = number * all;
            assert!(before - slack <= point && point <= before + term(found) + slack);
        }
    }
}

#[test]
fn temperatures_have_their_range() {
    assert_eq!(Temperature::new(Temperature::MIN - 1), None);
    assert_eq!(Temperature::ONE.rate(), LOG2_E);
    assert!(Temperature::new(Temperature::MIN).unwrap().rate() < 1 << 32);
}
