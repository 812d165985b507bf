use super::*;
use crate::random::Random;

/// A detector without a model, of scores that are logits · 2^10.
fn detector(watches: &mut [Watch]) -> Detector<'_> {
    Detector {
        watches,
        score_shift: 10,
        window: 0,
        taken: 0,
        held: 0,
        steps: 0,
    }
}

const RULE: Rule = Rule {
    threshold: 16_384,
    smoothing: 0,
    hold_off: 0,
};

#[test]
fn rules_that_cannot_be_are_refused() {
    let mut watches = [Watch::OFF; 2];
    let mut detector = detector(&mut watches);
    detector.watch(1, Some(RULE)).unwrap();
    for (rule, error) in [
        (
            Rule {
                threshold: 0,
                ..RULE
            },
            DetectorError::Threshold { found: 0 },
        ),
        (
            Rule {
                threshold: 32_768,
                ..RULE
            },
            DetectorError::Threshold { found: 32_768 },
        ),
        (
            Rule {
                smoothing: 11,
                ..RULE
            },
            DetectorError::Smoothing { found: 11 },
        ),
    ] {
        assert_eq!(detector.watch(1, Some(rule)), Err(error));
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(
        detector.watch(2, None),
        Err(DetectorError::NoClass { classes: 2 })
    );
    assert_eq!(detector.rule(1), Some(RULE));
    assert!(detector.is_on());
    detector.watch(1, None).unwrap();
    assert!(!detector.is_on());
    assert_eq!(
        detector.look(&[0]),
        Err(ScoresError::WrongLength { need: 2, found: 1 })
    );
}

/// By hand: of three classes, one without a rule, the one above its threshold with the larger probability.
#[test]
fn the_most_probable_of_those_above_their_thresholds_is_detected() {
    let mut watches = [Watch::OFF; 3];
    let mut detector = detector(&mut watches);
    let rule = |threshold| Some(Rule { threshold, ..RULE });
    detector.watch(0, rule(3_000)).unwrap();
    detector.watch(1, rule(12_000)).unwrap();
    let told = |detector: &mut Detector<'_>, p: [u16; 3]| {
        let found = detector.judge(|class| p[class]);
        found.map(|found| (found.class, found.confidence))
    };
    assert_eq!(told(&mut detector, [2_999, 11_999, 17_770]), None);
    assert_eq!(
        told(&mut detector, [3_000, 11_999, 17_769]),
        Some((0, 3_000))
    );
    assert_eq!(
        told(&mut detector, [12_000, 12_000, 8_768]),
        Some((0, 12_000))
    );
    assert_eq!(
        told(&mut detector, [12_000, 12_001, 8_767]),
        Some((1, 12_001))
    );
}

/// By hand: after a detection so many looks say nothing, whatever they see.
#[test]
fn a_detection_holds_off_the_next() {
    let mut watches = [Watch::OFF; 1];
    let mut detector = detector(&mut watches);
    let rule = Rule {
        hold_off: 3,
        ..RULE
    };
    detector.watch(0, Some(rule)).unwrap();
    let told: Vec<bool> = (0..9)
        .map(|_| detector.judge(|_| 20_000).is_some())
        .collect();
    let expected = [0, 4, 8];
    assert!((0..9).all(|look| told[look] == expected.contains(&look)));
    assert!(detector.is_held());
    detector.reset();
    assert!(!detector.is_held());
    assert!(detector.judge(|_| 20_000).is_some());
}

/// A rule that is set again, as a repeated request does, changes nothing; another begins anew.
#[test]
fn the_same_rule_goes_on() {
    let mut watches = [Watch::OFF; 1];
    let mut detector = detector(&mut watches);
    let rule = Rule {
        smoothing: 1,
        ..RULE
    };
    detector.watch(0, Some(rule)).unwrap();
    assert_eq!(detector.judge(|_| 30_000), None);
    detector.watch(0, Some(rule)).unwrap();
    assert!(detector.judge(|_| 30_000).is_some());
    let other = Rule {
        hold_off: 1,
        ..rule
    };
    detector.watch(0, Some(other)).unwrap();
    assert_eq!(detector.judge(|_| 30_000), None);
}

/// Against the recurrence in f64: s += (p − s)/2^k. Each look cuts off less than an LSB of the sum, and forgets 2^−k of
/// what was cut off before, so that it is below 1 LSB of the value; the value's own cut is another.
#[test]
fn smoothing_is_an_exponential_mean() {
    let mut random = Random::new(1, 0);
    for k in 0..=Rule::SMOOTHING_MAX {
        let mut watch = Watch::OFF;
        let mut exact = 0.0;
        for look in 0..3_000 {
            let p = match look / 500 % 2 {
                0 => random.next_u32() % 32_769,
                _ => 32_768,
            };
            exact += (f64::from(p) - exact) / 2f64.powi(k.into());
            let found = watch.smooth(k, p as u16);
            assert!((f64::from(found) - exact).abs() < 2.0, "{found} {exact}");
        }
    }
}

/// A steady value is reached to the bit, the largest too.
#[test]
fn smoothing_settles() {
    for k in 0..=Rule::SMOOTHING_MAX {
        for (from, p) in [(0, 32_768), (32_768, 0), (17, 16_384), (32_768, 1), (1, 2)] {
            let mut watch = Watch {
                rule: None,
                sum: from << k,
            };
            let settled = (0..40 << k).map(|_| watch.smooth(k, p)).last();
            assert_eq!(settled, Some(p));
        }
    }
}
