//! The mean of the steps, and of recent ones.

use super::*;

/// The pool as its docs have it, in i64.
struct Mean {
    sums: Vec<i64>,
    count: i64,
}

impl Mean {
    fn add(&mut self, h: &[i16]) {
        for (sum, &h) in self.sums.iter_mut().zip(h) {
            *sum += i64::from(h);
        }
        self.count += 1;
        if self.count == 65_536 {
            for sum in &mut self.sums {
                *sum = (*sum + 1).div_euclid(2);
            }
            self.count = 32_768;
        }
    }

    /// Of a head without bias.
    fn scores(&self, weights: &[i16]) -> Vec<i32> {
        let means = self.sums.iter();
        let means: Vec<i64> = means
            .map(|sum| (sum + self.count / 2).div_euclid(self.count))
            .collect();
        let rows = weights.chunks(means.len());
        rows.map(|row| row.iter().zip(&means).map(|(&w, m)| i64::from(w) * m).sum())
            .map(|score: i64| score as i32)
            .collect()
    }
}

/// Steps of noise about a middle, compared with the reference around every halving and now and then.
fn pooled(session: &mut Session<'_, '_>, mean: &mut Mean, shape: &Dense, steps: u32, middle: i16) {
    let mut noise = Noise::new(steps);
    let weights = shape.head_weights();
    for _ in 0..steps {
        let frame = [0; 3].map(|_| (noise.bits() as i16 >> 4) + middle);
        session.push_i16(&frame).unwrap();
        session.step().unwrap();
        mean.add(session.hidden_state());
        let step = session.steps();
        if (step + 3) % 32_768 < 6 || step.is_multiple_of(997) {
            assert_eq!(scores(session), mean.scores(&weights), "step {step}");
        }
    }
}

/// 200,000 steps, then another input: 20,000 steps of it have 36 % of the weight that is then there.
#[test]
fn the_mean_of_a_long_stream_goes_on() {
    for hidden in [2, 3] {
        let shape = small(hidden);
        let bytes = shape.model();
        let model = Model::parse(bytes.bytes()).unwrap();
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let fresh = || Mean {
            sums: vec![0; hidden],
            count: 0,
        };
        pooled(&mut session, &mut fresh(), &shape, 20_000, -28_000);
        let other = scores(&session);
        session.reset();
        let mut mean = fresh();
        pooled(&mut session, &mut mean, &shape, 200_000, 28_000);
        let before = scores(&session);
        pooled(&mut session, &mut mean, &shape, 20_000, -28_000);
        // Of scores far enough apart for the rounding of the mean not to count.
        let shares = before.iter().zip(other).zip(scores(&session));
        let shares = shares
            .filter(|((before, other), _)| before.abs_diff(*other) > 100_000)
            .map(|((before, other), after)| f64::from(after - before) / f64::from(other - before));
        let shares: Vec<f64> = shares.collect();
        let right = |share: &f64| (share - 20_000.0 / 56_160.0).abs() < 0.01;
        assert!(shares.len() > 1 && shares.iter().all(right), "{shares:?}");
    }
}

/// The mean of recent steps as format.md has it, in i64, and as its equation has it, in f64: it moves on for
/// ever, holds no more than its horizon, and does not stall.
#[test]
fn the_mean_of_recent_steps_follows_its_equation() {
    for (hidden, horizon_shift) in [(2, 1), (3, 4), (3, 10)] {
        let shape = Dense {
            pool: Pool::Recent,
            horizon_shift,
            ..small(hidden)
        };
        let bytes = shape.model();
        let model = Model::parse(bytes.bytes()).unwrap();
        assert_eq!(model.horizon(), 1 << horizon_shift);
        let n = i64::from(model.horizon());
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let mut noise = Noise::new(5);
        let (mut sums, mut means, mut count) = (vec![0i64; hidden], vec![0f64; hidden], 0);
        let weights = shape.head_weights();
        for step in 0..6 * n {
            let middle = if step < 3 * n { 28_000 } else { -28_000 };
            let frame = [0; 3].map(|_| (noise.bits() as i16 >> 4) + middle);
            session.push_i16(&frame).unwrap();
            session.step().unwrap();
            let is_full = count == n;
            count = n.min(count + 1);
            for ((sum, mean), &h) in sums.iter_mut().zip(&mut means).zip(session.hidden_state()) {
                let leaves = if is_full {
                    (*sum + n / 2).div_euclid(n)
                } else {
                    0
                };
                *sum += i64::from(h) - leaves;
                *mean += (f64::from(h) - *mean) / count as f64;
            }
            let rounded: Vec<i64> = sums
                .iter()
                .map(|sum| (sum + count / 2).div_euclid(count))
                .collect();
            for (rounded, mean) in rounded.iter().zip(&means) {
                // Half an LSB of the sum leaves a step and is forgotten as slowly as it came.
                assert!((*rounded as f64 - mean).abs() <= 1.01, "{rounded} {mean}");
            }
            let expected: Vec<i32> = weights
                .chunks(hidden)
                .map(|row| row.iter().zip(&rounded).map(|(&w, m)| i64::from(w) * m))
                .map(|terms| terms.sum::<i64>() as i32)
                .collect();
            assert_eq!(scores(&session), expected, "step {step}");
        }
        // A state says how many steps its sums hold.
        let mut state = vec![0; session.saved_bytes()];
        session.save(&mut state).unwrap();
        session.load(&state).unwrap();
        state[8] ^= 1;
        reseal(&mut state);
        assert_eq!(session.load(&state), Err(StateError::Damaged));
    }
}
