//! Executes a contraction program: gathers slabs, then runs the stages the odometer asks for.

use crate::kernel::{self, Sample};
use crate::program::{Contraction, NONE, Odometer, Operands, Program};
use crate::proven::Proven;

/// Puts slab values `from..from + values.len()` into the panels of the first stage.
pub fn gather<S: Sample>(
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

/// Runs every stage whose digits have wrapped, in order; shows `watch` the place of each in the program,
/// its operands and the arena after it.
#[inline(always)]
pub fn run<'m>(
    program: &Program<'m>,
    operands: &Operands<'m>,
    odometer: &Odometer,
    memory: &mut [u32],
    mut watch: impl FnMut(usize, &Contraction<'m>, &[u32]),
) {
    let extents = program.extents();
    let wrapped = odometer.wrapped(extents);
    for (index, stage) in program.stages.iter().enumerate() {
        if (stage.depth as usize) < wrapped {
            continue;
        }
        let Some(run) = operands.contraction(stage, odometer).proven() else {
            return;
        };
        kernel::contract(&run, memory);
        watch(index, &run, memory);
    }
}
