//! The learning rate over a run.

/// A linear rise to the highest rate, then half a cosine down to the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub highest: f32,
    /// The rate of the last update.
    pub last: f32,
    /// Updates of the rise.
    pub warm_up: usize,
    /// Updates of the whole run.
    pub updates: usize,
}

impl Schedule {
    /// Rate of an update, counted from 0.
    pub fn rate(&self, update: usize) -> f32 {
        if update < self.warm_up {
            return self.highest * (update + 1) as f32 / (self.warm_up + 1) as f32;
        }
        let rest = self.updates.saturating_sub(self.warm_up + 1).max(1);
        let share = ((update - self.warm_up) as f32 / rest as f32).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f32::consts::PI * share).cos());
        self.last + (self.highest - self.last) * cosine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls() {
        let schedule = Schedule {
            highest: 1.0,
            last: 0.1,
            warm_up: 3,
            updates: 10,
        };
        let rates: Vec<f32> = (0..10).map(|update| schedule.rate(update)).collect();
        assert_eq!(rates[..4], [0.25, 0.5, 0.75, 1.0]);
        assert!(rates[3..].is_sorted_by(|a, b| a > b), "{rates:?}");
        assert!((rates[9] - 0.1).abs() < 1e-6);
    }
}
