//! Long recordings that a model can hear.

use crate::data::streams;
use crate::error::{Error, ErrorKind, Lack, Result};
use bt_core::Model;
use std::path::Path;

pub use crate::data::streams::{Event, Recording};

/// Reads all recordings of a folder and their events, of the model's classes; see [`streams::read`].
///
/// # Errors
/// Names the file, the row and the remedy; when the model takes no sound, or of another rate.
pub fn read(folder: &Path, model: &Model<'_>) -> Result<Vec<Recording>> {
    let Some(front_end) = model.front_end() else {
        return Err(Error::new(ErrorKind::Lacks(Lack::FrontEnd))
            .field("the model")
            .remedy("detection in recordings needs a model that was trained on .wav files"));
    };
    let class_of =
        |label: &str| (0..model.classes()).find(|&class| model.label(class) == Some(label));
    let recordings = streams::read(folder, &class_of)?;
    for recording in &recordings {
        streams::check_rate(recording, front_end.sample_rate_hz(), "the model takes")
            .map_err(|error| error.file(folder.join(&recording.name)))?;
    }
    Ok(recordings)
}
