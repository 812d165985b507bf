//! Executes a contraction program: gathers slabs, then runs the stages the odometer asks for.

use crate::kernel::{self, Sample};
use crate::program::{Contraction, NONE, Odometer, Operands, Program};
use crate::proven::Proven;

/// Puts slab values `from..from + values.len()` into the panels of the first stage.
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
        kernel::gather_places(panels, table, (program.paired_row, from), values);
    }
}

/// Puts the first values of a slab into the panels of the first stage, for programs that nobody has proven.
pub fn gather_portable<S: Sample>(
    program: &Program<'_>,
    tables: &[u16],
    values: &[S],
    memory: &mut [u32],
) {
    let record = program.record;
    let Some(panels) = memory.get_mut(record.slab_word as usize..) else {
        return;
    };
    match tables.get(record.gather_table as usize..) {
        Some(table) if record.gather_table != NONE => {
            kernel::gather_table(bytemuck::cast_slice_mut(panels), table, values);
        }
        _ => kernel::gather_rows(panels, record.row_values as usize, 0, values),
    }
}

/// Whose kernels run a stage.
trait Kernels {
    fn contract(run: &Contraction<'_>, memory: &mut [u32]);
}

/// Those of this core, for programs that `Model::parse` has proven.
struct OfThisCore;

impl Kernels for OfThisCore {
    #[inline(always)]
    fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
        kernel::contract(run, memory);
    }
}

/// The portable ones, for programs that nobody has proven.
struct Portable;

impl Kernels for Portable {
    #[inline(always)]
    fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
        kernel::portable::contract(run, memory);
    }
}

/// Runs every stage whose digits have wrapped, in order. Program, operands and arena are those of a parsed
/// model.
#[inline(never)]
pub(super) fn run<'m>(
    program: &Program<'m>,
    operands: &Operands<'m>,
    odometer: &Odometer,
    memory: &mut [u32],
) {
    run_with::<OfThisCore>(program, operands, odometer, memory, |_, _, _| ());
}

/// As the device runs it, for programs that nobody has proven: the exporter calibrates with it. Shows
/// `watch` the place of each stage in the program, its operands and the arena after it.
pub fn run_portable<'m>(
    program: &Program<'m>,
    operands: &Operands<'m>,
    odometer: &Odometer,
    memory: &mut [u32],
    watch: impl FnMut(usize, &Contraction<'m>, &[u32]),
) {
    run_with::<Portable>(program, operands, odometer, memory, watch);
}

#[inline(always)]
fn run_with<'m, K: Kernels>(
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
        K::contract(&run, memory);
        watch(index, &run, memory);
    }
}
