//! So many frames of a clip, evenly, though nobody knows how long it is before it ends.

/// Frames that are held at most.
const HELD: usize = 512;

/// Frames under way.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Every `stride`-th frame.
    held: Vec<Vec<u8>>,
    stride: usize,
    seen: usize,
}

impl Sampler {
    pub fn new() -> Sampler {
        Sampler {
            held: Vec::new(),
            stride: 1,
            seen: 0,
        }
    }

    /// Frames that came.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Takes the next frame.
    pub fn push(&mut self, frame: &[u8]) {
        if self.seen.is_multiple_of(self.stride) {
            if self.held.len() == HELD {
                // The even ones stay; the next is one, as `HELD` is even.
                let mut at = 0;
                self.held.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride *= 2;
            }
            self.held.push(frame.to_vec());
        }
        self.seen += 1;
    }

    /// So many frames from the first to the last, one alone from the middle: of a clip longer than
    /// [`HELD`] the nearest that are held. None where there are fewer.
    pub fn evenly(&self, count: usize) -> Option<Vec<u8>> {
        if count == 0 || self.seen < count {
            return None;
        }
        let last = self.seen - 1;
        let place = |at: usize| match count {
            1 => last / 2,
            _ => (2 * at * last + (count - 1)) / (2 * (count - 1)),
        };
        let frames = (0..count).map(|at| {
            let nearest = (place(at) + self.stride / 2) / self.stride;
            self.held[nearest.min(self.held.len() - 1)].as_slice()
        });
        Some(frames.collect::<Vec<_>>().concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames that hold their number.
    fn sampled(length: u32, count: usize) -> Option<Vec<u32>> {
        let mut sampler = Sampler::new();
        (0..length).for_each(|at| sampler.push(&at.to_le_bytes()));
        assert_eq!(sampler.seen(), length as usize);
        assert!(sampler.held.len() <= HELD);
        let bytes = sampler.evenly(count)?;
        let numbers = bytes.as_chunks::<4>().0.iter();
        Some(numbers.map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    #[test]
    fn frames_are_even_from_the_first_to_the_last() {
        assert_eq!(sampled(11, 6).unwrap(), [0, 2, 4, 6, 8, 10]);
        assert_eq!(sampled(6, 6).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(sampled(9, 4).unwrap(), [0, 3, 5, 8]);
        assert_eq!(sampled(9, 1).unwrap(), [4]);
        assert_eq!(sampled(5, 6), None);
        assert_eq!(sampled(0, 1), None);
    }

    /// Of a long clip nothing lies further from its place than half of what is left out.
    #[test]
    fn long_clips_are_held_in_part() {
        for length in [512, 513, 1024, 1025, 5000, 40_000] {
            let stride = (length as f64 / HELD as f64).log2().ceil().exp2();
            for (at, found) in sampled(length, 6).unwrap().into_iter().enumerate() {
                let place = at as f64 * f64::from(length - 1) / 5.0;
                let off = (f64::from(found) - place).abs();
                assert!(off <= 0.5 + stride, "{length}: {found} for {place}");
            }
        }
    }
}
