//! The number of outputs as a constant, for arrays of scores in a `static`.

use core::mem::offset_of;

use super::layout::{ENTRY_LEN, HEADER_LEN, MetaRecord, SECTIONS_AT, Section};

/// Outputs of a model, classes or values, 0 when the bytes are no model: the length of an array of scores that
/// firmware puts in a `static`.
///
/// The number is only as good as the file; `Session::scores` checks it against the parsed model.
///
/// ```
/// use bt_core::output_count;
///
/// const MODEL: &[u8] = &[0; 24]; // no model: nothing to reserve
/// static SCORES: [i32; output_count(MODEL)] = [0; output_count(MODEL)];
/// assert_eq!(SCORES.len(), 0);
/// ```
pub const fn output_count(model: &[u8]) -> usize {
    if model.len() < HEADER_LEN {
        return 0;
    }
    let sections = u16::from_le_bytes([model[SECTIONS_AT.start], model[SECTIONS_AT.start + 1]]);
    let mut section = 0;
    while section < sections as usize {
        let entry = HEADER_LEN + section * ENTRY_LEN;
        if word(model, entry) == Section::Meta as u32 {
            let at = word(model, entry + 4) as usize;
            return word(model, at.saturating_add(CLASSES_AT)) as usize;
        }
        section += 1;
    }
    0
}

/// Where the count lies in its record.
const CLASSES_AT: usize = offset_of!(MetaRecord, classes);

/// The word at a place, 0 where there are no bytes.
const fn word(bytes: &[u8], at: usize) -> u32 {
    if at > bytes.len() || bytes.len() - at < 4 {
        return 0;
    }
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use crate::model::cases;

    #[test]
    fn the_count_is_that_of_the_parsed_model() {
        let file = cases::program().write().unwrap();
        let model = crate::Model::parse(file.bytes()).unwrap();
        assert!(model.outputs() > 0);
        assert_eq!(output_count(file.bytes()), model.outputs());
    }

    #[test]
    fn bytes_of_any_length_and_kind_have_a_count() {
        let file = cases::program().write().unwrap();
        for length in 0..file.bytes().len() {
            output_count(&file.bytes()[..length]);
        }
        let mut wild = file.bytes().to_vec();
        wild[HEADER_LEN + 4..HEADER_LEN + 8].fill(0xFF);
        assert_eq!(output_count(&wild), 0);
        assert_eq!(output_count(&[0xFF; 64]), 0);
    }
}
