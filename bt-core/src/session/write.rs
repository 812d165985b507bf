//! A model file with its golden vector: what a session computes from the parts (feature `alloc`).

use alloc::vec;

use super::Session;
use crate::model::layout::Section;
use crate::model::write::{Contents, ModelBytes};
use crate::model::{Model, ParseError};

impl Contents {
    /// The model file, golden vector included, as aligned words (little-endian bytes).
    ///
    /// # Errors
    ///
    /// What [`Model::parse`] says about it; a file that does not parse is never returned.
    pub fn write(&self) -> Result<ModelBytes, ParseError> {
        let draft = self.assemble(0)?;
        let model = Model::parse(draft.bytes())?;
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena)
            .map_err(|_| ParseError::SectionBounds(Section::Meta))?;
        let golden = session.golden_crc(&mut || ());
        let bytes = self.assemble(golden)?;
        Model::parse(bytes.bytes())?;
        Ok(bytes)
    }
}
