//! Detections beside events.

use crate::detection::Event;

/// What was told, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// The class.
    pub class: usize,
    /// Its smoothed probability, 0 to 1.
    pub confidence: f64,
    /// Seconds from the start of the recording.
    pub seconds: f64,
}

/// What came of the events of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Events there are.
    pub events: usize,
    /// Of them detected.
    pub hits: usize,
    /// Detections of the class that are of no event of its own, and those of an event that was detected already.
    pub false_alarms: usize,
}

impl Count {
    /// Events that were not detected.
    pub fn misses(&self) -> usize {
        self.events - self.hits
    }
}

/// Adds what was told of a recording, in order of time, to the counts of its classes. A detection is of the first event
/// of its class that was not detected yet, has begun, and ended at most `tolerance` seconds before.
pub fn count(counts: &mut [Count], events: &[Event], told: &[Told], tolerance: f64) {
    let mut detected = vec![false; events.len()];
    for event in events {
        counts[event.class].events += 1;
    }
    for told in told {
        let fits = |event: &Event| {
            let time = event.start..=event.end + tolerance;
            event.class == told.class && time.contains(&told.seconds)
        };
        match (0..events.len()).find(|&at| !detected[at] && fits(&events[at])) {
            Some(at) => {
                detected[at] = true;
                counts[told.class].hits += 1;
            }
            None => counts[told.class].false_alarms += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(class: usize, seconds: f64) -> Told {
        Told {
            class,
            confidence: 1.0,
            seconds,
        }
    }

    /// By hand: in time, twice, late within and beyond the tolerance, early, another class, nothing at all.
    #[test]
    fn every_detection_is_of_one_event_or_false() {
        let event = |class, start, end| Event { class, start, end };
        let events = [
            event(0, 1.0, 2.0),
            event(0, 5.0, 6.0),
            event(1, 5.5, 6.5),
            event(0, 9.0, 10.0),
            event(1, 20.0, 21.0),
        ];
        let all = [
            told(0, 0.9),
            told(0, 1.5),
            told(0, 1.9),
            told(1, 5.6),
            told(0, 6.4),
            told(0, 10.6),
            told(1, 15.0),
        ];
        let mut counts = [Count::default(); 2];
        count(&mut counts, &events, &all, 0.5);
        assert_eq!(counts[0].events, 3);
        assert_eq!((counts[0].hits, counts[0].false_alarms), (2, 3));
        assert_eq!((counts[1].hits, counts[1].false_alarms), (1, 1));
        assert_eq!((counts[0].misses(), counts[1].misses()), (1, 1));
    }

    /// Two events so near each other that a detection could be of both: the first detection is the first one's.
    #[test]
    fn events_side_by_side_need_a_detection_each() {
        let event = |start| Event {
            class: 0,
            start,
            end: start + 0.5,
        };
        let events = [event(1.0), event(1.6)];
        let mut counts = [Count::default(); 1];
        count(&mut counts, &events, &[told(0, 1.7)], 0.5);
        assert_eq!((counts[0].hits, counts[0].false_alarms), (1, 0));
        count(&mut counts, &events, &[told(0, 1.7), told(0, 1.9)], 0.5);
        assert_eq!((counts[0].hits, counts[0].false_alarms), (3, 0));
    }
}
