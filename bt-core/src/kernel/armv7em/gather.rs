//! Values to the places of a table by `gather.s`, four at a time.

use super::places::assembled;
use crate::kernel::{Centred, ToPlaces, portable};

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

assembled! {
    4;
    u8 => bt_core_places_bytes;
    Centred => bt_core_places_centred;
    i16 => bt_core_places_halves;
}

impl ToPlaces for i8 {
    fn to_places(panels: &mut [i16], table: &[u16], values: &[Self]) {
        portable::gather_table(panels, table, values);
    }
}
