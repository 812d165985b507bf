//! Some of many, from everywhere among them.

/// At most `count` items, one from each of as many equal stretches; where in a stretch changes, so
/// that items of a period (the steps of sequences of one length) are all among them.
pub(crate) fn spread<T>(items: Vec<T>, count: usize) -> Vec<T> {
    let len = items.len();
    if len <= count {
        return items;
    }
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let place = |i: usize| {
        let within = (i as f64 * GOLDEN).fract();
        ((i as f64 + within) * len as f64 / count as f64) as usize
    };
    let mut places = (0..count).map(place).peekable();
    items
        .into_iter()
        .enumerate()
        .filter(|(at, _)| {
            let mut take = false;
            while places.next_if_eq(at).is_some() {
                take = true;
            }
            take
        })
        .map(|(_, item)| item)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 128 sequences of 28 steps: every 56th frame would be a first one.
    #[test]
    fn calibration_sees_every_step() {
        let chosen = spread((0..128 * 28).collect(), 64);
        assert!((60..=64).contains(&chosen.len()), "{}", chosen.len());
        let mut steps: Vec<usize> = chosen.iter().map(|at| at % 28).collect();
        steps.sort_unstable();
        steps.dedup();
        assert!(steps.len() > 20, "{steps:?}");
        assert!(chosen.is_sorted() && chosen[0] < 56 && chosen[63] >= 63 * 56);
        assert_eq!(spread(vec![1, 2, 3], 3), [1, 2, 3]);
    }
}
