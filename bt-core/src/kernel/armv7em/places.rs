//! Values to the places of a table: what stands before the assembly, here and in Helium's kernels.

use crate::kernel::{Sample, portable};

/// A function in assembly that puts values to the places of a table, so many groups of `AT_ONCE` values.
///
/// # Safety
///
/// There is a group; so many places and values are readable, and every place is that of a half of the panels.
type Places<S> = unsafe extern "C" fn(*mut i16, *const u16, *const S, usize);

/// The twin of [`portable::gather_table`], which takes what is left of a group.
///
/// # Safety
///
/// Every entry of `table` that there is a value for is the place of one of `panels`; `places` is a
/// [`Places`] for groups of `AT_ONCE` values.
#[inline(always)]
pub(in crate::kernel) unsafe fn to_places<S: Sample, const AT_ONCE: usize>(
    places: Places<S>,
    panels: &mut [i16],
    table: &[u16],
    values: &[S],
) {
    debug_assert!(table.len() >= values.len());
    debug_assert!(
        table
            .iter()
            .zip(values)
            .all(|(&at, _)| usize::from(at) < panels.len())
    );
    let groups = values.len().min(table.len()) / AT_ONCE;
    if groups > 0 {
        // SAFETY: so many places and values are there, and the places lie in `panels`.
        unsafe { places(panels.as_mut_ptr(), table.as_ptr(), values.as_ptr(), groups) };
    }
    if AT_ONCE > 1 {
        let (table, values) = (
            table.get(groups * AT_ONCE..),
            values.get(groups * AT_ONCE..),
        );
        portable::gather_table(panels, table.unwrap_or(&[]), values.unwrap_or(&[]));
    }
}
