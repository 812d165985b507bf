//! From raw scores to a class and how sure the model is of it: floats, outside
//! the integer path, for people and for the LED.

use bt_core::argmax;
use micromath::F32Ext;

/// A class and the softmax of its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// The class with the largest raw score; the first of equals.
    pub class: usize,
    /// Softmax of its score, 0 to 1, to about two decimal places (micromath).
    pub confidence: f32,
}

/// Terms below e⁻²⁰ of the largest do not show in the result.
const EXPONENT_MIN: f32 = -20.0;

/// The best class of raw scores that are logits · 2^`score_shift`; `None` of none.
///
/// ```
/// use bt_embed::confidence::best;
/// let found = best(&[0, 3 << 10, 1 << 10], 10).unwrap();
/// assert_eq!(found.class, 1);
/// // e³ / (e⁰ + e³ + e¹) = 0.844
/// assert!((found.confidence - 0.844).abs() < 0.01);
/// ```
pub fn best(raw: &[i32], score_shift: i32) -> Option<Best> {
    let class = argmax(raw)?;
    let largest = *raw.get(class)?;
    let step = 2.0f32.powi(score_shift.saturating_neg());
    let sum: f32 = raw
        .iter()
        .map(|&score| (i64::from(score) - i64::from(largest)) as f32 * step)
        .filter(|&exponent| exponent > EXPONENT_MIN)
        .map(F32Ext::exp)
        .sum();
    Some(Best {
        class,
        confidence: 1.0 / sum.max(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn near_the_softmax_of_double_precision(
            raw in prop::collection::vec(-40_000i32..40_000, 1..20), shift in 0i32..16
        ) {
            let found = best(&raw, shift).unwrap();
            let largest = *raw.iter().max().unwrap();
            prop_assert_eq!(found.class, raw.iter().position(|&s| s == largest).unwrap());
            let step = 2f64.powi(-shift);
            let sum: f64 = raw.iter().map(|&s| (f64::from(s - largest) * step).exp()).sum();
            // micromath's exp is good to about 1 %.
            prop_assert!((f64::from(found.confidence) - 1.0 / sum).abs() < 0.015, "{:?} {}", found, 1.0 / sum);
        }

        #[test]
        fn extremes_are_numbers(raw in prop::collection::vec(any::<i32>(), 1..20), shift in -20i32..40) {
            let found = best(&raw, shift).unwrap();
            prop_assert!((0.0..=1.0).contains(&found.confidence));
        }
    }

    #[test]
    fn no_scores_no_class() {
        assert_eq!(best(&[], 0), None);
    }
}
