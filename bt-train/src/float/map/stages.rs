//! The order in which a factorised map is contracted with a frame, as data.
//!
//! A frame [I_1, …, I_d] is read with one axis moved to the end (the axis that
//! is contracted first; strides do that, nothing is copied) and then loses one
//! axis per stage, last to first. A stage takes a level
//! `[before, sum, side, post]` to `[before, side, new, post]`:
//!
//! * `sum`: the input axis of this stage, and the rank axes that end here;
//! * `side`: rank axes that wait for a later stage;
//! * `new`: what the stage's weights bring, output axis and new rank axes;
//! * `post`: output axes that are complete.
//!
//! All blocks run the same stages with weights of their own; the last stage adds
//! them up.

/// One contraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Independent positions per frame: the input axes still to come.
    pub before: usize,
    /// Length of the sum.
    pub sum: usize,
    /// Rank axes carried past this stage.
    pub side: usize,
    /// Columns of the stage's weights.
    pub new: usize,
    /// Finished output axes.
    pub post: usize,
    /// How the result is rearranged before the next stage reads it.
    pub shuffle: Option<Shuffle>,
}

impl Stage {
    /// Values of one block's result for one frame.
    pub fn output_len(&self) -> usize {
        self.before * self.side * self.new * self.post
    }

    /// Multiplications of one block and one frame.
    pub fn macs(&self) -> usize {
        self.output_len() * self.sum
    }
}

/// A rearrangement of one result's `(r, j)(r, j)…` into `(r, r, …)(j, j, …)`,
/// by runs of the last output axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shuffle {
    /// Length of a run.
    pub run: usize,
    /// Which of the unshuffled runs each run is.
    pub source: Vec<usize>,
}

impl Shuffle {
    /// `None` where fewer than two pairs make the rearrangement empty.
    pub fn new(pairs: &[(usize, usize)]) -> Option<Shuffle> {
        if pairs.len() < 2 {
            return None;
        }
        let run = pairs[pairs.len() - 1].1;
        // Strides of every rank and output axis in the source.
        let mut stride = 1;
        let mut ranks = Vec::new();
        let mut outputs = Vec::new();
        for &(rank, output) in pairs.iter().rev() {
            outputs.push((output, stride));
            stride *= output;
            ranks.push((rank, stride));
            stride *= rank;
        }
        ranks.reverse();
        outputs.reverse();
        outputs.pop();
        let mut source = vec![0];
        for (size, stride) in ranks.into_iter().chain(outputs) {
            source = source
                .iter()
                .flat_map(|&start| (0..size).map(move |i| start + i * stride / run))
                .collect();
        }
        Some(Shuffle { run, source })
    }

    /// Values of one result.
    pub fn values(&self) -> usize {
        self.run * self.source.len()
    }

    /// Shuffles every result in `raw`.
    pub fn apply<T: Copy>(&self, raw: &[T], out: &mut [T]) {
        // A run of known length is one register move instead of a call.
        match self.run {
            1 => self.apply_runs::<T, 1>(raw, out),
            2 => self.apply_runs::<T, 2>(raw, out),
            4 => self.apply_runs::<T, 4>(raw, out),
            8 => self.apply_runs::<T, 8>(raw, out),
            16 => self.apply_runs::<T, 16>(raw, out),
            run => {
                for (raw, out) in self.results(raw, out) {
                    for (out, &source) in out.chunks_exact_mut(run).zip(&self.source) {
                        out.copy_from_slice(&raw[source * run..][..run]);
                    }
                }
            }
        }
    }

    /// Takes every result back to how it was before [`apply`](Self::apply).
    pub fn undo<T: Copy>(&self, shuffled: &[T], raw: &mut [T]) {
        match self.run {
            1 => self.undo_runs::<T, 1>(shuffled, raw),
            2 => self.undo_runs::<T, 2>(shuffled, raw),
            4 => self.undo_runs::<T, 4>(shuffled, raw),
            8 => self.undo_runs::<T, 8>(shuffled, raw),
            16 => self.undo_runs::<T, 16>(shuffled, raw),
            run => {
                for (shuffled, raw) in self.results(shuffled, raw) {
                    for (run_values, &source) in shuffled.chunks_exact(run).zip(&self.source) {
                        raw[source * run..][..run].copy_from_slice(run_values);
                    }
                }
            }
        }
    }

    fn apply_runs<T: Copy, const RUN: usize>(&self, raw: &[T], out: &mut [T]) {
        for (raw, out) in self.results(raw, out) {
            let (raw, _) = raw.as_chunks::<RUN>();
            let (out, _) = out.as_chunks_mut::<RUN>();
            for (run, &source) in out.iter_mut().zip(&self.source) {
                *run = raw[source];
            }
        }
    }

    fn undo_runs<T: Copy, const RUN: usize>(&self, shuffled: &[T], raw: &mut [T]) {
        for (shuffled, raw) in self.results(shuffled, raw) {
            let (shuffled, _) = shuffled.as_chunks::<RUN>();
            let (raw, _) = raw.as_chunks_mut::<RUN>();
            for (run, &source) in shuffled.iter().zip(&self.source) {
                raw[source] = *run;
            }
        }
    }

    fn results<'s, T>(
        &self,
        from: &'s [T],
        to: &'s mut [T],
    ) -> impl Iterator<Item = (&'s [T], &'s mut [T])> {
        let values = self.values();
        from.chunks_exact(values).zip(to.chunks_exact_mut(values))
    }
}

/// The stages of a map and how frames are cut so that the working set stays in
/// the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    /// Input axes before, at and after the one contracted first.
    pub input: [usize; 3],
    /// Output axes likewise.
    pub output: [usize; 3],
    /// Blocks that run side by side and are summed.
    pub blocks: usize,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// The first stage's weights of all blocks stand side by side.
    pub shared_first: bool,
    /// Steps done slice by slice.
    pub inner: usize,
    /// Slices a frame is cut into, along its first axes.
    pub slices: usize,
    /// Frames worked on together (1 when a frame is cut into slices).
    pub group: usize,
}

/// Values a slice may keep: 192 KiB of `f32`, well inside a second-level cache
/// with room for the gradients.
const SLICE_VALUES: usize = 48 * 1024;

/// Values a group of frames may keep.
const GROUP_VALUES: usize = 16 * 1024;

impl Stages {
    /// Puts stages together and decides slices and groups.
    ///
    /// `first` is the axis contracted first; `input` and `output` are the modes
    /// in their own order; `pure_second` says that the second stage sums over
    /// an input axis and nothing else.
    pub fn new(
        input: &[usize],
        output: &[usize],
        first: usize,
        blocks: usize,
        stages: Vec<Stage>,
        pure_second: bool,
    ) -> Stages {
        let split = |modes: &[usize]| {
            [
                modes[..first].iter().product(),
                modes[first],
                modes[first + 1..].iter().product(),
            ]
        };
        let order: Vec<usize> = (0..input.len())
            .filter(|&k| k != first)
            .map(|k| input[k])
            .collect();
        let values = |stages: &[Stage]| -> usize {
            blocks * stages.iter().map(Stage::output_len).sum::<usize>()
        };
        let mut slices = 1;
        let mut inner = stages.len();
        for axis in &order {
            let kept = stages[..inner].iter();
            let kept: usize = blocks * kept.map(Stage::output_len).sum::<usize>() / slices;
            if kept <= SLICE_VALUES {
                break;
            }
            let next = slices * axis;
            // Steps that still see each position of this axis apart.
            let count = stages
                .iter()
                .take_while(|stage| stage.before % next == 0)
                .count();
            if count == 0 {
                break;
            }
            slices = next;
            inner = count;
        }
        let group = if slices > 1 {
            1
        } else {
            (GROUP_VALUES / values(&stages).max(1)).clamp(1, 16)
        };
        Stages {
            input: split(input),
            output: split(output),
            blocks,
            shared_first: pure_second && blocks > 1,
            stages,
            inner,
            slices,
            group,
        }
    }

    /// Values of one frame.
    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    /// Values of one result.
    pub fn outputs(&self) -> usize {
        self.output.iter().product()
    }

    /// Multiply-accumulates of one frame.
    pub fn macs(&self) -> usize {
        self.blocks * self.stages.iter().map(Stage::macs).sum::<usize>()
    }

    /// What a training stage costs, in multiply-accumulates as a machine with
    /// vectors of 16 does them: twice forward (the backward pass recomputes),
    /// once for the weights' gradient, once for the level's.
    pub fn cost(&self) -> usize {
        const LANES: usize = 16;
        // A shuffled run costs about one vector operation each way.
        const RUN: usize = 2 * LANES;
        let pad = |n: usize| n.div_ceil(LANES) * LANES;
        let blocks = self.blocks;
        let stages = self.stages.iter().enumerate().map(|(s, stage)| {
            let products = blocks * stage.before * stage.side * stage.sum;
            let arithmetic = if s == 0 {
                let new = if self.shared_first {
                    pad(blocks * stage.new)
                } else {
                    blocks * pad(stage.new)
                };
                3 * stage.before * stage.sum * new
            } else {
                products * (3 * stage.new * pad(stage.post) + stage.post * pad(stage.new))
            };
            let shuffle = stage.shuffle.as_ref().map_or(0, |shuffle| {
                3 * RUN * shuffle.source.len() * blocks * stage.output_len() / shuffle.values()
            });
            arithmetic + shuffle
        });
        stages.sum()
    }

    /// Values kept of a frame between the inner and the outer stages, if the
    /// frame is cut.
    pub fn boundary_len(&self) -> usize {
        if self.inner == self.stages.len() {
            0
        } else {
            self.blocks * self.stages[self.inner - 1].output_len()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffle_gathers_ranks_before_outputs() {
        // Axes (r 2, j 3)(r 2, j 2): value = r·12 + j·4 + r'·2 + j'.
        let shuffle = Shuffle::new(&[(2, 3), (2, 2)]).unwrap();
        assert_eq!(shuffle.run, 2);
        assert_eq!(
            shuffle.source,
            [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11].to_vec()
        );
        assert_eq!(shuffle.values(), 24);
        assert_eq!(Shuffle::new(&[(4, 4)]), None);
    }

    #[test]
    fn shuffle_and_back() {
        for last in [1, 2, 3, 4, 8, 16] {
            let shuffle = Shuffle::new(&[(2, 3), (3, last)]).unwrap();
            let raw: Vec<usize> = (0..2 * shuffle.values()).collect();
            let (mut shuffled, mut back) = (raw.clone(), vec![0; raw.len()]);
            shuffle.apply(&raw, &mut shuffled);
            assert_ne!(shuffled, raw);
            assert_eq!(shuffled[1 + shuffle.values()], {
                let at = if last > 1 { 1 } else { 3 * last };
                shuffle.values() + at
            });
            shuffle.undo(&shuffled, &mut back);
            assert_eq!(back, raw);
        }
    }
}
