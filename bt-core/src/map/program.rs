//! Executes a contraction program: gathers slabs, then runs the steps the odometer asks for.

use crate::kernel::{self, Accumulate, Contraction, Sample};
use crate::model::{Model, Program};
use crate::program::{NONE, Odometer, StepRecord};
use crate::proven::Proven;

/// Puts slab values `from..from + values.len()` into the panels of the first step.
pub(super) fn gather<S: Sample>(
    program: &Program<'_>,
    tables: &[u16],
    from: usize,
    values: &[S],
    memory: &mut [u32],
) {
    gather_into(program, tables, from, values, memory, 0);
}

/// As [`gather`], where `memory` starts at word `base` of the arena.
pub(super) fn gather_into<S: Sample>(
    program: &Program<'_>,
    tables: &[u16],
    from: usize,
    values: &[S],
    memory: &mut [u32],
    base: usize,
) {
    let record = program.record;
    debug_assert!(record.slab_word as usize >= base);
    let first = (record.slab_word as usize).saturating_sub(base);
    let Some(panels) = memory.get_mut(first..).proven() else {
        return;
    };
    if record.gather_table == NONE {
        kernel::gather_rows(panels, record.row_values as usize, from, values);
    } else if let Some(table) = tables.get(record.gather_table as usize + from..).proven() {
        S::to_places(bytemuck::cast_slice_mut(panels), table, values);
    }
}

/// Runs every step whose digits have wrapped, in order.
pub(super) fn run(
    program: &Program<'_>,
    model: &Model<'_>,
    odometer: &Odometer,
    memory: &mut [u32],
) {
    let extents = program.extents();
    let wrapped = odometer.wrapped(extents);
    for step in program.steps {
        if (step.depth as usize) < wrapped {
            continue;
        }
        let Some(run) = resolve(step, model, odometer).proven() else {
            return;
        };
        kernel::contract(&run, memory);
    }
}

/// The operands of a step at the odometer's digits; `parse` has proven that they are there.
fn resolve<'m>(
    step: &'m StepRecord,
    model: &Model<'m>,
    odometer: &Odometer,
) -> Option<Contraction<'m>> {
    let mut weights_word = step.weights_word as usize;
    let mut accumulate = Accumulate::Single;
    if step.slices > 1 {
        let digit = odometer.digit((step.depth as usize).wrapping_sub(1));
        weights_word += digit as usize * step.slice_words().get();
        if step.acc_word != NONE {
            accumulate = match digit {
                0 => Accumulate::First,
                last if last + 1 == step.slices => Accumulate::Last,
                _ => Accumulate::Middle,
            };
        }
    }
    let moved = odometer.digit(step.out_digit as usize) as usize * step.out_stride as usize;
    Some(Contraction {
        step,
        weights: model.weights.get(weights_word..)?,
        rows: model.tables.get(step.rows_table as usize..)?,
        // Not always read, and then at no place in particular.
        cols: model.tables.get(step.cols_table as usize..).unwrap_or(&[]),
        out_word: step.out_word as usize + moved,
        accumulate,
    })
}
