//! Data sets: sequences of frames with classes or values, from `.npz` files, directories of recordings, logs of
//! sensors and clips of video.

pub mod dataset;
mod draw;
pub mod features;
pub(crate) mod hash;
pub mod logs;
pub mod mapped;
pub mod memory;
pub mod normalization;
mod npy;
pub mod npz;
pub mod npz_writer;
mod riff;
mod samples;
pub(crate) mod sound;
pub mod split;
pub mod streams;
mod survey;
pub mod targets;
mod twins;
pub mod values;
pub mod video;
pub mod wav;

pub use dataset::{Batch, DataSet, Part, PartName};
pub use draw::{drawn_place, even_position};
pub use normalization::{Normalization, NormalizeOver};
pub use npz_writer::NpzWriter;
pub use survey::Outlier;
pub use targets::{Items, Targets};
pub use values::{ElementType, Values};
pub use wav::Recordings;

use crate::error::{Error, ErrorKind, FileKind, Result, With};
use crate::float::config::HeadName;
use std::path::Path;

/// Reads the parts asked for of an `.npz` file, or of a directory of `.wav` files: of one label each, or streams.
/// The numbers of y are read as a head of the name given takes them, where there is one, see [`npz`].
///
/// # Errors
/// Names the file, the array or column, and the remedy.
pub fn load(
    path: &Path,
    recordings: &Recordings,
    parts: &[PartName],
    head: Option<HeadName>,
) -> Result<DataSet> {
    let about = std::fs::metadata(path).map_err(|error| Error::from(error).file(path))?;
    if about.is_dir() && streams::are_in(path) {
        streams::load(path, recordings, parts)
    } else if about.is_dir() {
        wav::load(path, recordings, parts)
    } else if *recordings != Recordings::default() {
        Err(Error::new(ErrorKind::Conflict {
            with: With::File,
            why: "is no directory of recordings",
        })
        .file(path)
        .remedy("leave `hold-out` and `group` out"))
    } else if logs::is_log(path) {
        Err(Error::new(ErrorKind::FileKind(FileKind::Log))
            .file(path)
            .remedy("cut it into windows first: bt-train cut"))
    } else {
        npz::load(path, parts, head)
    }
}
