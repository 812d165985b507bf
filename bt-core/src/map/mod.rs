//! z += W·x for one frame, in pieces of any length; chooses the form of the map once per piece.

mod dense;
pub mod program;

use crate::kernel::{self, Sample};
use crate::model::{Map, Model};
use crate::program::Odometer;
use crate::proven::Proven;

/// How far a map is within a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Slabs or slices done, as digits.
    odometer: Odometer,
    /// Slices of a dense map done.
    slice: u32,
    /// Values gathered of the slab or slice under way.
    filled: u32,
}

impl Progress {
    pub(crate) const fn new() -> Self {
        Self {
            odometer: Odometer::new(),
            slice: 0,
            filled: 0,
        }
    }

    /// Whether no value of the frame has come yet.
    #[inline(always)]
    pub(crate) fn is_start(&self) -> bool {
        self.filled == 0 && self.slice == 0 && self.odometer == Odometer::new()
    }

    /// Values of the frame taken so far.
    pub(crate) fn taken(&self, map: &Map<'_>) -> usize {
        let (slab, slabs) = match map {
            Map::Program(program) => (
                program.record.slab_values,
                self.odometer.index(program.extents()),
            ),
            Map::Dense(record) => (record.slice_values, self.slice as usize),
        };
        slab as usize * slabs + self.filled as usize
    }
}

/// Values that complete the slab or slice under way.
fn missing(map: &Map<'_>, progress: &Progress) -> usize {
    let slab = match map {
        Map::Program(program) => program.record.slab_values,
        Map::Dense(record) => record.slice_values,
    };
    slab.saturating_sub(progress.filled) as usize
}

/// Takes values of the input frame up to its end; returns how many it took and whether the frame is
/// complete (z then holds this map's share).
pub(crate) fn feed<S: Sample>(
    model: &Model<'_>,
    progress: &mut Progress,
    values: &[S],
    memory: &mut [u32],
) -> (usize, bool) {
    let mut taken = 0;
    while let Some(rest) = values.get(taken..).filter(|rest| !rest.is_empty()) {
        let missing = missing(&model.input, progress);
        let now = rest.get(..missing).unwrap_or(rest);
        gather(model, progress.filled as usize, now, memory);
        taken += now.len();
        progress.filled += now.len() as u32;
        if now.len() == missing {
            progress.filled = 0;
            if advance(model, progress, memory) {
                return (taken, true);
            }
        }
    }
    (taken, false)
}

/// Zeros what the maps share, from word `first` on, so that none sees values that its bounds do not cover.
pub(crate) fn clear_scratch(first: usize, memory: &mut [u32]) {
    let scratch = memory.get_mut(first..);
    kernel::clear(scratch.proven().unwrap_or(&mut []));
}

/// Adds the share of a map that reads a whole h, which lies at word `h`, to what lies at word `z`.
pub(crate) fn whole(model: &Model<'_>, map: &Map<'_>, (h, z): (usize, usize), memory: &mut [u32]) {
    let layout = model.arena_layout();
    let (words, z_words) = (layout.h_words(), layout.z_words());
    match map {
        Map::Program(program) => {
            let mut progress = Progress::new();
            let slab = program.record.slab_values as usize;
            for start in (0..model.hidden()).step_by(slab.max(1)) {
                let (fixed, scratch) = memory.split_at_mut(layout.scratch_word.min(memory.len()));
                let Some(h) = fixed.get(h..h + words).proven() else {
                    return;
                };
                let h: &[i16] = bytemuck::cast_slice(h);
                let Some(h) = h.get(start..start + slab).proven() else {
                    return;
                };
                program::gather_into(program, model.tables, 0, h, scratch, layout.scratch_word);
                program::run(program, &model.operands(), &progress.odometer, memory);
                progress.odometer.advance(program.extents());
            }
        }
        Map::Dense(record) => {
            dense::whole(record, model.weights, (h, words), (z, z_words), memory);
        }
    }
}

/// Puts values `from..` of the slab or slice under way where the first stage reads them.
// On its own, like the two below: the stack holds the frame of one of them at a time.
#[inline(never)]
fn gather<S: Sample>(model: &Model<'_>, from: usize, values: &[S], memory: &mut [u32]) {
    match &model.input {
        Map::Program(program) => program::gather(program, model.tables, from, values, memory),
        Map::Dense(record) => dense::gather(record, from, values, memory),
    }
}

/// Runs what a complete slab or slice triggers; true when it was the frame's last.
#[inline(never)]
fn advance(model: &Model<'_>, progress: &mut Progress, memory: &mut [u32]) -> bool {
    match &model.input {
        Map::Program(program) => {
            program::run(program, &model.operands(), &progress.odometer, memory);
            progress.odometer.advance(program.extents())
        }
        Map::Dense(record) => {
            dense::slice(record, model.weights, progress.slice as usize, memory);
            progress.slice += 1;
            let complete = progress.slice * record.slice_values >= record.values;
            if complete {
                progress.slice = 0;
            }
            complete
        }
    }
}
