//! How long a model can keep a core: stated, so that a file of a few hundred bytes is no endless loop.
//!
//! Work is counted in products, multiply-accumulates as kernels execute them, padding included. A
//! Cortex-M0, the slowest core there is to run on, takes about 5 cycles for one (portable code; its
//! assembly takes fewer), so that at 16 MHz 2^28 products are a minute and a half. The paper's frame of
//! 57,600 values is 4.7 million; a limit 57 times that turns nothing away that anyone would wait for.
//!
//! What is no product is counted as those that take as long, roughly: looking at a stage whose digits have
//! not wrapped as one, a value pushed alone as [`OF_VALUE`], a sample under a window of the front end as
//! [`OF_SAMPLE`].

use super::Map;
use super::layout::{DenseRecord, MetaRecord};
use crate::kernel::RowsForm;
use crate::program::Program;
use crate::size::Size;
use crate::window::Window;

/// Most work of one frame: [`Model::frame_work`](super::Model::frame_work).
pub const FRAME_WORK_MAX: u32 = 1 << 28;
/// Most work of the golden vector, every value pushed alone: two of the longest frames with as many
/// values as there can be, six minutes of a Cortex-M0 at 16 MHz.
pub const SELF_TEST_WORK_MAX: u32 = 1 << 30;
/// Most stages of a program: every stage is checked against every other. Programs have at most one for
/// each mode and one for the core, in every block.
pub const STAGES_MAX: usize = 256;
/// Most table entries that checking every stage of a program against every other may read.
pub const TABLE_READS_MAX: u32 = 1 << 28;

/// Work of a value pushed alone.
pub const OF_VALUE: u32 = 16;
/// Work of a sample under a window of the front end (66,500 instructions for 256 of them on a Cortex-M0).
pub const OF_SAMPLE: u32 = 64;

impl Program<'_> {
    /// Runs of a stage of this depth in a frame.
    fn runs(&self, depth: u8) -> Size {
        let digits = self.extents().iter().take(depth.into());
        digits.fold(Size::from(1u32), |runs, &extent| runs * extent)
    }

    /// Products of one frame, padding included.
    pub fn macs(&self) -> Size {
        let stages = self.stages.iter();
        let products = stages.map(|stage| stage.macs() * self.runs(stage.depth));
        products.fold(Size::default(), |sum, products| sum + products)
    }
}

impl DenseRecord {
    /// How its weights lie; `None` for a number that means nothing.
    pub fn rows_form(&self) -> Option<RowsForm> {
        RowsForm::from_number(self.form)
    }

    /// Products of one frame, padding included.
    pub fn macs(&self) -> Size {
        Size::from(self.rows) * self.values.next_multiple_of(2)
    }
}

impl Map<'_> {
    /// Products of one frame, padding included.
    pub fn macs(&self) -> Size {
        match self {
            Self::Program(program) => program.macs(),
            Self::Dense(record) => record.macs(),
        }
    }

    /// Work of one frame.
    #[inline(never)]
    pub(super) fn work(&self) -> Size {
        let visits = match self {
            Self::Program(program) => program.runs(u8::MAX) * program.stages.len(),
            Self::Dense(_) => Size::default(),
        };
        self.macs() + visits
    }
}

/// Work of what is painted through a window, if there is one, and of the head that gives it.
pub(super) fn of_painting(meta: &MetaRecord, window: Option<Window<'_>>) -> Size {
    window
        .map_or(0, |window| window.work(meta.hidden as usize))
        .into()
}

/// Work of the windows of one frame, each of so many samples.
pub(super) fn of_windows(meta: &MetaRecord, samples: usize) -> Size {
    Size::from(meta.vectors_per_step) * samples * OF_SAMPLE
}
