//! Values to the places of a table by `gather.s`, or pairs of rows that share words.

use super::places::to_places;
use crate::kernel::{Centred, ToPlaces, portable};

unsafe extern "C" {
    fn bt_core_places_bytes(panels: *mut i16, table: *const u16, values: *const u8, count: usize);
    fn bt_core_places_centred(
        panels: *mut i16,
        table: *const u16,
        values: *const Centred,
        count: usize,
    );
    fn bt_core_places_halves(panels: *mut i16, table: *const u16, values: *const i16, count: usize);

    fn bt_core_pairs_bytes(
        panels: *mut u32,
        table: *const u16,
        values: *const u8,
        row: usize,
        end: *const u8,
    );
    fn bt_core_pairs_centred(
        panels: *mut u32,
        table: *const u16,
        values: *const Centred,
        row: usize,
        end: *const Centred,
    );
}

/// A function in assembly that puts whole pairs of rows, at least one, to the places of their table, up to the
/// end of the values.
///
/// # Safety
///
/// The table is as [`paired_row`](crate::program::ProgramRecord::paired_row) says of rows of so many values; a
/// place of it for every value is readable and lies in the panels.
type Pairs<S> = unsafe extern "C" fn(*mut u32, *const u16, *const S, usize, *const S);

/// The twin of [`portable::gather_pairs`].
///
/// # Safety
///
/// The table is as [`paired_row`](crate::program::ProgramRecord::paired_row) says of `row`, every place of it
/// lies in `panels`.
#[inline(always)]
unsafe fn pairs_to_places<S>(
    pairs: Pairs<S>,
    panels: &mut [u32],
    (table, row): (&[u16], usize),
    values: &[S],
) {
    let is_whole = row >= 4 && values.len() >= 2 * row && table.len() >= values.len();
    debug_assert!(is_whole && values.len().is_multiple_of(2 * row));
    if !is_whole {
        return;
    }
    let (values, end) = (values.as_ptr(), values.as_ptr_range().end);
    // SAFETY: whole pairs of rows and as many places are there; four neighbours of a row from a multiple of
    // four words on have four words one after the other, each an entry's; all places lie in `panels`.
    unsafe { pairs(panels.as_mut_ptr(), table.as_ptr(), values, row, end) };
}

macro_rules! assembled {
    ($($sample:ty => $places:ident $(, $pairs:ident)?;)*) => {$(
        impl ToPlaces for $sample {
            #[inline(never)]
            fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]) {
                // SAFETY: `parse` has found that every place of a gather table lies in the scratch, which
                // `panels` leads into; only this crate can call it, with the table of a `Model`.
                unsafe { to_places::<_, 1>($places, panels, table, values) };
            }

            $(fn pairs_to_places(panels: &mut [u32], table: &[u16], row: usize, values: &[Self]) {
                // SAFETY: as above; `row` is what `paired_row` has found of the table.
                unsafe { pairs_to_places($pairs, panels, (table, row), values) };
            })?
        }
    )*};
}
assembled! {
    u8 => bt_core_places_bytes, bt_core_pairs_bytes;
    Centred => bt_core_places_centred, bt_core_pairs_centred;
    i16 => bt_core_places_halves;
}

impl ToPlaces for i8 {
    fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]) {
        portable::gather_table(panels, table, values);
    }

    fn pairs_to_places(panels: &mut [u32], table: &[u16], row: usize, values: &[Self]) {
        portable::gather_pairs(panels, table, row, values);
    }
}
