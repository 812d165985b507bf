//! The softmax of raw scores in integers.
//!
//! e^−d = 2^−t with t = d·log₂e. The whole part of t is a shift; of its fraction f, 2^−f = √½·e^−y with
//! y = (f − ½)·ln 2, a polynomial of degree 5 whose next term is below 2.5·10⁻⁶.

/// log₂e, Q28: the rate at which probabilities fall.
pub(crate) const LOG2_E: u64 = 387_270_501;
const LOG_FRACTION: u32 = 28;

/// Fraction bits of t.
const T_FRACTION: u32 = 24;

/// ln 2, Q30.
const LN_2: i64 = 744_261_118;

/// √½, Q30.
const SQRT_HALF: i64 = 759_250_125;

/// Fraction bits of the polynomial.
const FRACTION: u32 = 30;

/// Fraction bits of an exponential.
const EXPONENTIAL_FRACTION: u32 = 16;

/// √½/n!, Q30, the highest power first.
const COEFFICIENTS: [i64; 6] = [
    SQRT_HALF / 120,
    SQRT_HALF / 24,
    SQRT_HALF / 6,
    SQRT_HALF / 2,
    SQRT_HALF,
    SQRT_HALF,
];

/// Beyond so many halvings an exponential is 0.
const HALVINGS_MAX: u64 = 18;

/// What the probabilities of one step share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax {
    largest: i32,
    score_shift: i32,
    /// Σ e^(score − largest), Q16, above 65535; of at most 2¹⁶ − 1 classes (the model's count is a u16), so that it
    /// stays below 2³².
    sum: u32,
}

impl Softmax {
    /// Of all raw scores of a step, logits · 2^`score_shift`.
    pub(crate) fn new(scores: &[i32], score_shift: i32) -> Self {
        let largest = scores.iter().copied().max().unwrap_or(0);
        let terms = scores
            .iter()
            .map(|&score| exponential(largest.abs_diff(score), LOG2_E, score_shift));
        Self {
            largest,
            score_shift,
            sum: terms.fold(0, u32::saturating_add),
        }
    }

    /// The probability of one of the scores, Q0.15, 0 ..= 32768: of K classes at most 2 + ⅜·K LSB off. 0 of none.
    pub(crate) fn probability(self, score: Option<i32>) -> u16 {
        let Some(score) = score else { return 0 };
        let term = exponential(self.largest.abs_diff(score), LOG2_E, self.score_shift);
        (term << 15).checked_div(self.sum).unwrap_or(0) as u16
    }
}

/// The probabilities of raw scores, logits · 2^`score_shift`, Q0.15 (0 ..= 32768), each at most 2 + ⅜·K LSB off.
pub fn probabilities(scores: &[i32], score_shift: i32) -> impl Iterator<Item = u16> + '_ {
    let softmax = Softmax::new(scores, score_shift);
    scores
        .iter()
        .map(move |&score| softmax.probability(Some(score)))
}

/// 2^(−distance · rate · 2^−shift), Q16, 0 ..= 65536, at most 0.75 LSB off. The rate is Q28 and below 2³²; with
/// [`LOG2_E`] this is e^(−distance · 2^−shift).
pub(crate) fn exponential(distance: u32, rate: u64, shift: i32) -> u32 {
    debug_assert!(rate >> 32 == 0);
    let product = u64::from(distance) * rate;
    let right = shift.saturating_add(LOG_FRACTION as i32 - T_FRACTION as i32);
    let t = match u32::try_from(right) {
        Ok(right) => product.checked_shr(right).unwrap_or(0),
        Err(_) if product == 0 => 0,
        Err(_) if product.leading_zeros() >= right.unsigned_abs() => {
            product << right.unsigned_abs()
        }
        Err(_) => u64::MAX,
    };
    let halvings = t >> T_FRACTION;
    if halvings > HALVINGS_MAX {
        return 0;
    }
    let whole = 1 << T_FRACTION;
    let fraction = (t & (whole - 1)) as i64 - (whole / 2) as i64;
    let y = (fraction * LN_2) >> T_FRACTION;
    let [highest, rest @ ..] = COEFFICIENTS;
    let value = rest.iter().fold(highest, |value, coefficient| {
        coefficient - ((y * value) >> FRACTION)
    });
    let shift = FRACTION - EXPONENTIAL_FRACTION + halvings as u32;
    ((value + (1 << (shift - 1))) >> shift) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Against f64, over the whole range that is not 0 and beyond.
    #[test]
    fn exponentials_are_near() {
        let mut worst: f64 = 0.0;
        for shift in [0i32, 1, 7, 12, 16, 20] {
            for k in 0..60_000u32 {
                let distance = (f64::from(k) / 4_000.0 * 2f64.powi(shift)) as u32;
                let exact = 65_536.0 * (-f64::from(distance) * 2f64.powi(-shift)).exp();
                worst = worst.max((f64::from(exponential(distance, LOG2_E, shift)) - exact).abs());
            }
        }
        assert!(worst <= 0.75, "{worst}");
        for shift in [i32::MIN, -40, 0, 40, i32::MAX] {
            assert_eq!(exponential(0, LOG2_E, shift), 65_536);
        }
        assert_eq!(exponential(1, LOG2_E, i32::MIN), 0);
        assert_eq!(exponential(u32::MAX, LOG2_E, 0), 0);
        assert_eq!(exponential(u32::MAX, LOG2_E, i32::MAX), 65_536);
    }

    /// Against the softmax in f64, with the bound of the documentation.
    #[test]
    fn near_the_softmax() {
        let mut random = Random::new(3, 0);
        for _ in 0..600 {
            let shift = (random.next_u32() % 20) as i32;
            let raw: Vec<i32> = (0..1 + random.next_u32() % 300)
                .map(|_| (random.next_u32() % 600_000) as i32 - 300_000)
                .map(|score| score >> (20 - shift))
                .collect();
            let largest = *raw.iter().max().unwrap();
            let term =
                |score: i32| ((f64::from(score) - f64::from(largest)) * 2f64.powi(-shift)).exp();
            let sum: f64 = raw.iter().map(|&score| term(score)).sum();
            let bound = 2.0 + 0.375 * raw.len() as f64;
            for (found, &score) in probabilities(&raw, shift).zip(&raw) {
                let exact = 32_768.0 * term(score) / sum;
                assert!((f64::from(found) - exact).abs() <= bound, "{found} {exact}");
            }
        }
    }

    #[test]
    fn any_scores_are_probabilities() {
        let mut random = Random::new(4, 0);
        for _ in 0..3_000 {
            let raw: Vec<i32> = (0..random.next_u32() % 40)
                .map(|_| random.next_u32() as i32)
                .collect();
            let all: Vec<u16> =
                probabilities(&raw, random.next_u32() as i32 >> (random.next_u32() % 32)).collect();
            assert!(
                all.iter().map(|&p| u32::from(p)).sum::<u32>() <= 32_768,
                "{all:?}"
            );
            let even = 32_768 / raw.len().max(1);
            assert!(
                raw.is_empty() || all.iter().any(|&p| usize::from(p) + 1 >= even),
                "{all:?}"
            );
        }
        assert_eq!(Softmax::new(&[], 0).probability(None), 0);
    }
}
