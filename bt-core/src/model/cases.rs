//! Files that a device must refuse though their CRC is right (feature `alloc`): each is a sound model
//! with fields changed, made anew here, so that it is refused for its fault and not for its version.
//!
//! Most of them pass where sizes wrap at 32 bits, and then touch what lies beside the arena. Host and
//! boards run the same list.

mod maps;
mod models;
mod outputs;
mod whole;

pub use models::{attended, byte_rows, captions, odd_dense, painting, program};

use alloc::vec;
use alloc::vec::Vec;

use super::error::{Field, ParseError};
use super::layout::{FilterRecord, Section};
use super::write::{Contents, ModelBytes};

/// A file that is refused.
#[derive(Debug)]
pub struct Crafted {
    /// What is wrong with it.
    pub name: &'static str,
    /// The file.
    pub bytes: ModelBytes,
    /// What `parse` says.
    pub refused: ParseError,
}

/// All of them; each is there.
pub fn crafted() -> Vec<Crafted> {
    let all = [
        maps::regions(),
        maps::sizes(),
        maps::others(),
        whole::filters(),
        whole::layers(),
        whole::work(),
        outputs::scores(),
        outputs::pictures(),
        outputs::windows(),
        outputs::words(),
    ];
    all.into_iter().flatten().flatten().collect()
}

/// Writes contents that are changed, whatever `parse` thinks of them.
fn changed(name: &'static str, contents: &Contents, refused: ParseError) -> Option<Crafted> {
    Some(Crafted {
        name,
        bytes: contents.assemble(0).ok()?,
        refused,
    })
}

fn in_field(section: Section, field: Field, found: u32) -> ParseError {
    ParseError::Field {
        section,
        field,
        found,
    }
}

/// A filter of this horizon and fraction, and so many zeros for z to start from.
fn filter((horizon_shift, fraction): (u32, u32), values: usize) -> (FilterRecord, Vec<i16>) {
    let record = FilterRecord {
        horizon_shift,
        fraction,
    };
    (record, vec![0; values])
}

#[cfg(test)]
mod tests {
    use super::maps::rows;
    use super::*;
    use crate::model::Model;
    use crate::model::write::MapContents;

    #[test]
    fn what_they_are_made_of_is_sound() {
        let work = |contents: Contents| {
            let bytes = contents.write().unwrap();
            Model::parse(bytes.bytes()).unwrap().frame_work()
        };
        // Two slabs of two stages: 16 products and a visit each; then 8 rows of the recurrent map's two values.
        assert_eq!(work(program()), 2 * 2 * (16 + 1) + 16);
        // The padding of three values counts.
        assert_eq!(work(odd_dense()), 8 * 4 + 16);
        assert_eq!(work(captions()), 8 * 4 + 16);
        assert_eq!(work(painting()), work(program()));
        // Nine rows of two units, a patch of four values across and down four pixels, and weights of two points on five
        // rows and columns, sixteen each.
        let painted = 9 * 2 + 4 * 4 + 2 * 4 + 16 * 2 * 5;
        assert_eq!(work(attended()), work(program()) + painted);
        let mut contents = program();
        if let MapContents::Program { stages, .. } = &mut contents.layers[0].input {
            rows(&mut stages[0]);
        }
        assert!(contents.write().is_ok());
    }

    /// On 32 bits as on 64: `cargo xtask test 32-bit` runs it there.
    #[test]
    fn each_is_refused_by_name() {
        let crafted = crafted();
        assert_eq!(crafted.len(), 94);
        for file in crafted {
            let parsed = Model::parse(file.bytes.bytes()).map(|_| ());
            assert_eq!(parsed, Err(file.refused), "{}", file.name);
        }
    }
}
