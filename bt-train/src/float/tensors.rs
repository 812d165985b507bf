//! Tensors by name in `.safetensors` files, whatever they mean.

use crate::error::{Error, Result};
use crate::file::write_atomic;
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What a file of tensors holds.
#[derive(Debug)]
pub struct TensorFile {
    /// Text by name.
    pub metadata: HashMap<String, String>,
    /// The tensors of type f32.
    pub tensors: Tensors,
    /// Types of all others.
    pub other_types: BTreeMap<String, Dtype>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, ArrayD<f32>>;

/// Reads all f32 tensors of a file and its metadata; of other tensors their types.
///
/// # Errors
/// Names the file or the tensor.
pub fn read_tensors(path: &Path) -> Result<TensorFile> {
    let damaged = |error: &dyn std::fmt::Display| {
        Error::malformed(error)
            .file(path)
            .remedy("the file is cut short, damaged or no .safetensors")
    };
    let bytes = std::fs::read(path).map_err(|error| Error::from(error).file(path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(&error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error))?;
    let (mut tensors, mut other_types) = (Tensors::new(), BTreeMap::new());
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            other_types.insert(name.to_owned(), view.dtype());
            continue;
        }
        let values = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        let tensor = ArrayD::from_shape_vec(IxDyn(view.shape()), values)
            .map_err(|error| damaged(&error).field(name))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(TensorFile {
        metadata: header.metadata().clone().unwrap_or_default(),
        tensors,
        other_types,
    })
}

/// Writes tensors and one metadata entry, whole or not at all. The same
/// content gives the same bytes.
///
/// # Errors
/// Names the file.
pub fn write_tensors(path: &Path, key: &str, value: String, tensors: &Tensors) -> Result<()> {
    let bytes: Vec<(&String, &ArrayD<f32>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let bytes = tensor.iter().flat_map(|value| value.to_le_bytes());
            (name, tensor, bytes.collect())
        })
        .collect();
    let failed = |error: safetensors::SafeTensorError| Error::malformed(error).file(path);
    let views = bytes
        .iter()
        .map(|(name, tensor, bytes)| {
            let view = TensorView::new(Dtype::F32, tensor.shape().to_vec(), bytes)?;
            Ok((name.as_str(), view))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(failed)?;
    let metadata = HashMap::from([(key.to_owned(), value)]);
    let file = serialize(views, Some(metadata)).map_err(failed)?;
    write_atomic(path, |out| Ok(out.write_all(&file)?))
}
