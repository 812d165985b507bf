//! Thresholds from validation data: the fewest misses at no more false alarms than allowed.

use crate::detection::{Looks, Recording, Rules, evaluate};
use crate::error::Result;
use bt_core::Model;
use bt_core::detection::Rule;

/// Thresholds that are tried, dense where probabilities of a sure model are.
const CANDIDATES: [u16; 22] = [
    6_554, 9_830, 13_107, 16_384, 18_022, 19_661, 21_299, 22_938, 24_576, 26_214, 27_197, 28_180,
    29_164, 30_147, 30_802, 31_457, 31_785, 32_113, 32_440, 32_604, 32_700, 32_760,
];

/// Rounds over all classes after the common threshold.
const ROUNDS: usize = 2;

/// What is worse is larger: false alarms beyond those allowed, misses, false alarms.
type Badness = (usize, usize, usize);

/// Changes the thresholds of the rules that there are: first the best one for all, then class by class.
///
/// # Errors
/// When a rule cannot be.
pub fn choose(
    model: &Model<'_>,
    rules: &mut Rules,
    (recordings, looks): (&[Recording], &[Looks]),
    tolerance: f64,
    false_alarms_max: usize,
) -> Result<()> {
    let badness = |rules: &Rules| -> Result<Badness> {
        let (counts, _) = evaluate(model, rules, (recordings, looks), tolerance)?;
        let alarms: usize = counts.iter().map(|count| count.false_alarms).sum();
        let misses = counts
            .iter()
            .zip(rules)
            .filter(|(_, rule)| rule.is_some())
            .map(|(count, _)| count.misses());
        Ok((
            alarms.saturating_sub(false_alarms_max),
            misses.sum(),
            alarms,
        ))
    };
    let mut best: Option<Badness> = None;
    let mut try_all = |rules: &mut Rules, classes: std::ops::Range<usize>| -> Result<()> {
        let mut chosen = rules.clone();
        // The highest first: of equals it is kept.
        for threshold in CANDIDATES.into_iter().rev() {
            let mut tried = rules.clone();
            for rule in tried[classes.clone()].iter_mut().flatten() {
                *rule = Rule { threshold, ..*rule };
            }
            let found = badness(&tried)?;
            if best.is_none_or(|best| found < best) {
                (best, chosen) = (Some(found), tried);
            }
        }
        *rules = chosen;
        Ok(())
    };
    try_all(rules, 0..model.outputs())?;
    for _ in 0..ROUNDS {
        for class in 0..model.outputs() {
            if rules[class].is_some() {
                try_all(rules, class..class + 1)?;
            }
        }
    }
    Ok(())
}
