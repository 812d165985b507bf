//! Data sets: sequences of frames with labels, from `.npz` files and directories of recordings.

pub mod dataset;
pub mod npz;
pub mod npz_writer;
pub mod split;

pub use dataset::{
    Batch, DataSet, ElementType, Normalization, NormalizeOver, Part, PartName, Values,
};
pub use npz_writer::NpzWriter;
