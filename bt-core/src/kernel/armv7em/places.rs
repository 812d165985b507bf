//! Values to the places of a table; the assembly is `gather.s`.

use crate::kernel::{Centred, Sample, ToPlaces, portable};

/// A function of `gather.s` that puts values to the places of a table, four at a time.
///
/// # Safety
///
/// The last argument, fours of values, is ≥ 1; so many places and values are readable, and every place
/// is that of a half of the panels.
type Places<S> = unsafe extern "C" fn(*mut i16, *const u16, *const S, usize);

unsafe extern "C" {
    fn bt_core_places_bytes(panels: *mut i16, table: *const u16, values: *const u8, fours: usize);
    fn bt_core_places_centred(
        panels: *mut i16,
        table: *const u16,
        values: *const Centred,
        fours: usize,
    );
    fn bt_core_places_halves(panels: *mut i16, table: *const u16, values: *const i16, fours: usize);
}

/// The twin of [`portable::gather_table`](crate::kernel::portable::gather_table).
///
/// # Safety
///
/// Every entry of `table` that there is a value for is the place of one of `panels`; `places` is a function
/// of `gather.s`.
unsafe fn to_places<S: Sample>(places: Places<S>, panels: &mut [i16], table: &[u16], values: &[S]) {
    debug_assert!(table.len() >= values.len());
    debug_assert!(
        table
            .iter()
            .zip(values)
            .all(|(&at, _)| usize::from(at) < panels.len())
    );
    let count = values.len().min(table.len());
    let fours = count / 4;
    if fours > 0 {
        // SAFETY: so many places and values are there, and the places lie in `panels`.
        unsafe { places(panels.as_mut_ptr(), table.as_ptr(), values.as_ptr(), fours) };
    }
    let (table, values) = (table.get(fours * 4..), values.get(fours * 4..));
    portable::gather_table(panels, table.unwrap_or(&[]), values.unwrap_or(&[]));
}

macro_rules! to_places {
    ($($sample:ty => $places:ident;)*) => {$(
        impl ToPlaces for $sample {
            fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]) {
                // SAFETY: `parse` has found that every place of a gather table lies in the scratch, which
                // `panels` leads into; only this crate can call it, with the table of a `Model`.
                unsafe { to_places($places, panels, table, values) };
            }
        }
    )*};
}
to_places! {
    u8 => bt_core_places_bytes;
    Centred => bt_core_places_centred;
    i16 => bt_core_places_halves;
}

impl ToPlaces for i8 {
    fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]) {
        portable::gather_table(panels, table, values);
    }
}
