//! What the head reads of the hidden states: one row a sequence, or one a step.

use crate::float::config::{HeadConfig, Pool};
use crate::float::real::Real;

/// Which hidden states a head reads, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads {
    pool: Pool,
    every_step: bool,
    horizon: usize,
}

impl Reads {
    /// Every hidden state as it is.
    pub const STATES: Reads = Reads {
        pool: Pool::Last,
        every_step: true,
        horizon: 1,
    };

    pub fn of(head: &HeadConfig) -> Reads {
        Reads {
            pool: head.pool,
            every_step: head.gives.every_step(),
            horizon: head.horizon(),
        }
    }

    /// Rows that a sequence of so many steps gives.
    pub fn rows(&self, length: usize) -> usize {
        if self.every_step { length } else { 1 }
    }

    /// Takes h of step `t` of `length` into the sequence's rows [rows, J], zeros at first. Steps come in order.
    pub fn forward<T: Real>(&self, t: usize, length: usize, h: &[T], rows: &mut [T]) {
        let units = h.len();
        let at = if self.every_step { t * units } else { 0 };
        match self.pool {
            Pool::Last if self.every_step || t + 1 == length => {
                rows[at..at + units].copy_from_slice(h);
            }
            Pool::Last => {}
            Pool::Mean => {
                let share = T::from_f64(mean_share(t, length));
                let row = rows.iter_mut().zip(h);
                row.for_each(|(mean, &h)| *mean += share * h);
            }
            Pool::Recent => {
                if self.every_step && t > 0 {
                    rows.copy_within(at - units..at, at);
                }
                let share = T::from_f64(self.recent_share(t));
                let row = rows[at..at + units].iter_mut().zip(h);
                row.for_each(|(mean, &h)| *mean += share * (h - *mean));
            }
        }
    }

    /// Adds to the gradient of h of step `t` what comes from the rows', `drows`. Steps come last to first;
    /// `dmean` [J], zeros at first, goes from one to the next.
    pub fn backward<T: Real>(
        &self,
        t: usize,
        length: usize,
        drows: &[T],
        dmean: &mut [T],
        dh: &mut [T],
    ) {
        let units = dh.len();
        let at = if self.every_step { t * units } else { 0 };
        let drow = &drows[at..at + units];
        let is_read = self.every_step || t + 1 == length;
        let mut add = |share: T, gradient: &[T]| {
            let all = dh.iter_mut().zip(gradient);
            all.for_each(|(dh, &gradient)| *dh += share * gradient);
        };
        match self.pool {
            Pool::Last if is_read => add(T::one(), drow),
            Pool::Last => {}
            Pool::Mean => add(T::from_f64(mean_share(t, length)), drow),
            Pool::Recent => {
                if is_read {
                    let all = dmean.iter_mut().zip(drow);
                    all.for_each(|(dmean, &drow)| *dmean += drow);
                }
                let share = T::from_f64(self.recent_share(t));
                add(share, dmean);
                dmean
                    .iter_mut()
                    .for_each(|dmean| *dmean *= T::one() - share);
            }
        }
    }

    /// Share of step `t` (from 0) in the mean of recent steps after it.
    fn recent_share(&self, t: usize) -> f64 {
        1.0 / self.horizon.min(t + 1) as f64
    }
}

/// Share of step `t` (from 0) in the mean over `steps`, as on the device: where its sums would reach
/// 65,536 steps, and with every 32,768 steps after that, they and their count are halved.
fn mean_share(t: usize, steps: usize) -> f64 {
    const HALF: usize = 1 << 15;
    let halvings = |steps: usize| (steps / HALF).saturating_sub(1);
    let count = steps - HALF * halvings(steps);
    0.5f64.powi((halvings(steps) - halvings(t)) as i32) / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares as the device's sums come to them: every step adds 1 to its own, and all are halved.
    #[test]
    fn shares_of_the_mean_are_those_of_halved_sums() {
        for steps in [1, 7, 65_535, 65_536, 65_537, 98_303, 98_304, 200_000] {
            let mut weights = vec![1.0; steps];
            let mut count = 0;
            for t in 0..steps {
                count += 1;
                if count == 65_536 {
                    weights[..=t].iter_mut().for_each(|weight| *weight /= 2.0);
                    count /= 2;
                }
            }
            for (t, weight) in weights.iter().enumerate() {
                assert_eq!(
                    mean_share(t, steps),
                    weight / f64::from(count),
                    "{t} of {steps}"
                );
            }
            let total: f64 = (0..steps).map(|t| mean_share(t, steps)).sum();
            assert!((total - 1.0).abs() < 1e-9);
        }
    }

    /// The device's sums: all steps until there are N, then each step takes the N-th part away first.
    #[test]
    fn the_mean_of_recent_steps_is_that_of_leaking_sums() {
        let reads = Reads {
            pool: Pool::Recent,
            every_step: true,
            horizon: 4,
        };
        let h: Vec<f64> = (0..20).map(|t| f64::from(t * 7 % 5) - 1.0).collect();
        let mut rows = [0.0; 20];
        let (mut sum, mut count) = (0.0, 0.0);
        for (t, h) in h.iter().enumerate() {
            reads.forward(t, 20, &[*h], &mut rows);
            if count == 4.0 {
                sum -= sum / 4.0;
            } else {
                count += 1.0;
            }
            sum += h;
            assert!((rows[t] - sum / count).abs() < 1e-12, "{t}");
        }
    }
}
