//! Float models in `.safetensors` files; models of other programs come in here.
//!
//! All tensors are f32, by the names of [`shapes`]. The metadata key `bt` holds
//! the [`ModelConfig`] as JSON. `lstm.bias`, `head.bias`, `input.offset` and
//! `input.scale` may be absent: 0, 0, 0 and 1.

use crate::error::{Error, ErrorKind, Result};
use crate::file::write_atomic;
use crate::float::config::ModelConfig;
use crate::float::model::Model;
use crate::shape::MapShape;
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// Tensors by name.
pub type Tensors = BTreeMap<String, ArrayD<f32>>;

/// Name of the metadata entry with the model's configuration.
pub const METADATA_KEY: &str = "bt";

/// Prefix of the input map's tensors.
pub const INPUT_MAP: &str = "lstm.input";

/// Prefix of the recurrent map's tensors.
pub const RECURRENT_MAP: &str = "lstm.recurrent";

/// Name of the bias of z.
pub const BIAS: &str = "lstm.bias";

/// Name of the tensor subtracted from raw values.
pub const INPUT_OFFSET: &str = "input.offset";

/// Name of the tensor that multiplies what is left.
pub const INPUT_SCALE: &str = "input.scale";

/// A model as its file has it: checked, complete, nothing superfluous.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the model is made of.
    pub config: ModelConfig,
    /// Every tensor of [`shapes`], and offset and scale.
    pub tensors: Tensors,
}

/// Names and shapes of the trainable tensors of a model: input map, recurrent
/// map, bias, head.
pub fn shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let units = config.units();
    let of_map = |prefix: &str, shape: MapShape| {
        let named = move |(name, shape)| (format!("{prefix}.{name}"), shape);
        shape.tensors().into_iter().map(named).collect::<Vec<_>>()
    };
    let mut shapes = of_map(INPUT_MAP, config.input_shape());
    shapes.extend(of_map(RECURRENT_MAP, config.recurrent_shape()));
    shapes.push((BIAS.into(), vec![config.bias_values()]));
    shapes.push(("head.weight".into(), vec![config.head.classes, units]));
    shapes.push(("head.bias".into(), vec![config.head.classes]));
    shapes
}

impl Checkpoint {
    /// Reads a model and checks every tensor against the metadata.
    ///
    /// # Errors
    /// Names the file and the tensor, what was found and what was expected.
    pub fn read(path: &Path) -> Result<Checkpoint> {
        let read = || {
            let (metadata, tensors) = read_tensors(path)?;
            let text = metadata.get(METADATA_KEY).ok_or_else(|| {
                Error::new(ErrorKind::Missing)
                    .field(format!("metadata `{METADATA_KEY}`"))
                    .remedy("save the model's configuration as JSON under this key")
            })?;
            let config: ModelConfig = serde_json::from_str(text).map_err(|error| {
                Error::malformed(error).field(format!("metadata `{METADATA_KEY}`"))
            })?;
            Checkpoint::new(config, tensors)
        };
        read().map_err(|error| error.file(path))
    }

    /// Puts a model together, filling in what may be absent.
    ///
    /// # Errors
    /// Names the tensor that is missing, superfluous or of another shape.
    pub fn new(config: ModelConfig, mut found: Tensors) -> Result<Checkpoint> {
        config.validate()?;
        let mut tensors = Tensors::new();
        for (name, shape) in shapes(&config) {
            let tensor = match found.remove(&name) {
                Some(tensor) if tensor.shape() == shape => tensor,
                Some(tensor) => {
                    return Err(wrong_shape(name, format!("{shape:?}"), tensor.shape()));
                }
                None if name.ends_with(".bias") => ArrayD::zeros(shape),
                None => {
                    return Err(Error::new(ErrorKind::Missing)
                        .field(name)
                        .remedy(format!("the metadata ask for it with shape {shape:?}")));
                }
            };
            tensors.insert(name, tensor);
        }
        let inputs = config.inputs();
        for (name, default) in [(INPUT_OFFSET, 0.0), (INPUT_SCALE, 1.0)] {
            let tensor = found
                .remove(name)
                .unwrap_or_else(|| ArrayD::from_elem(vec![1], default));
            if tensor.shape() != [1] && tensor.shape() != [inputs] {
                let expected = format!("[1] or [{inputs}]");
                return Err(wrong_shape(name.into(), expected, tensor.shape()));
            }
            tensors.insert(name.into(), tensor);
        }
        let ours = |name: &String| {
            ["lstm.", "head.", "input."]
                .iter()
                .any(|p| name.starts_with(p))
        };
        if let Some(name) = found.keys().find(|name| ours(name)) {
            return Err(Error::setting("belongs to no part of the metadata's model")
                .field(name)
                .remedy("blocks, rank, modes and maps of the metadata must fit the tensors"));
        }
        for (name, tensor) in &tensors {
            if let Some((index, value)) = tensor.indexed_iter().find(|(_, v)| !v.is_finite()) {
                return Err(Error::new(ErrorKind::NotFinite {
                    value: *value,
                    index: ndarray::Dimension::slice(&index).to_vec(),
                })
                .field(name));
            }
        }
        Ok(Checkpoint { config, tensors })
    }

    /// Writes the model, whole or not at all.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let config = serde_json::to_string(&self.config)
            .map_err(|error| Error::malformed(error).file(path))?;
        write_tensors(path, METADATA_KEY, config, &self.tensors)
    }
}

impl Checkpoint {
    /// The model as it is now.
    pub fn of(model: &Model) -> Checkpoint {
        let mut tensors: Tensors = model
            .parameters()
            .into_iter()
            .map(|(name, values)| (name, values.to_owned()))
            .collect();
        tensors.insert(INPUT_OFFSET.into(), model.offset.clone().into_dyn());
        tensors.insert(INPUT_SCALE.into(), model.scale.clone().into_dyn());
        Checkpoint {
            config: model.config.clone(),
            tensors,
        }
    }

    /// The model, ready to compute.
    ///
    /// # Errors
    /// When no such model can be.
    pub fn model(&self) -> Result<Model> {
        let mut model = Model::zeros(self.config.clone())?;
        for (name, mut values) in model.parameters_mut() {
            values.assign(&self.tensors[&name]);
        }
        model.offset = self.tensors[INPUT_OFFSET].iter().copied().collect();
        model.scale = self.tensors[INPUT_SCALE].iter().copied().collect();
        Ok(model)
    }
}

fn wrong_shape(name: String, expected: String, found: &[usize]) -> Error {
    Error::new(ErrorKind::Shape {
        expected,
        found: found.to_vec(),
    })
    .field(name)
    .remedy("tensors and metadata must describe the same model")
}

/// Reads all f32 tensors of a file and its metadata.
///
/// # Errors
/// Names the file or the tensor.
pub fn read_tensors(path: &Path) -> Result<(HashMap<String, String>, Tensors)> {
    let damaged = |error: &dyn std::fmt::Display| {
        Error::malformed(error)
            .file(path)
            .remedy("the file is cut short, damaged or no .safetensors")
    };
    let bytes = std::fs::read(path).map_err(|error| Error::from(error).file(path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(&error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(Error::new(ErrorKind::ElementType {
                found: format!("{:?}", view.dtype()),
            })
            .file(path)
            .field(name)
            .remedy("save it as f32"));
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
    Ok((header.metadata().clone().unwrap_or_default(), tensors))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Checkpoint {
        let config: ModelConfig = serde_json::from_str(
            r#"{"input": {"map": "block-term", "modes": [2,3], "blocks": 1, "rank": 2}, "hidden": {"modes": [1,2]}, "recurrent": {"map": "tensor-train", "rank": 3}, "head": {"classes": 2}}"#,
        )
        .unwrap();
        let mut tensors = Tensors::new();
        for (name, shape) in shapes(&config) {
            if name.ends_with(".bias") {
                continue;
            }
            let count: usize = shape.iter().product();
            let values = (0..count).map(|i| i as f32 / 8.0).collect();
            tensors.insert(name, ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap());
        }
        Checkpoint::new(config, tensors).unwrap()
    }

    #[test]
    fn names_and_shapes_are_those_of_the_contract() {
        let config = small().config;
        let found = shapes(&config);
        let expected = [
            ("lstm.input.block.0.core", vec![2, 2]),
            ("lstm.input.block.0.factor.0", vec![2, 4, 2]),
            ("lstm.input.block.0.factor.1", vec![3, 2, 2]),
            ("lstm.recurrent.tt.0", vec![1, 1, 4, 3]),
            ("lstm.recurrent.tt.1", vec![3, 2, 2, 1]),
            ("lstm.bias", vec![8]),
            ("head.weight", vec![2, 2]),
            ("head.bias", vec![2]),
        ];
        assert_eq!(found.len(), expected.len());
        for ((name, shape), (expected_name, expected_shape)) in found.iter().zip(&expected) {
            assert_eq!((name.as_str(), shape), (*expected_name, expected_shape));
        }
    }

    #[test]
    fn comes_back_as_written_and_the_same_bytes() {
        let place = tempfile::tempdir().unwrap();
        let (a, b) = (place.path().join("a"), place.path().join("b"));
        let checkpoint = small();
        assert_eq!(checkpoint.tensors["lstm.bias"].sum(), 0.0);
        assert_eq!(checkpoint.tensors[INPUT_SCALE].sum(), 1.0);
        checkpoint.write(&a).unwrap();
        let again = Checkpoint::read(&a).unwrap();
        assert_eq!(again, checkpoint);
        Checkpoint::of(&again.model().unwrap()).write(&b).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    }

    #[test]
    fn names_the_tensor_that_disagrees() {
        let good = small();
        let mut tensors = good.tensors.clone();
        tensors.insert("head.weight".into(), ArrayD::zeros(vec![2, 3]));
        let line = Checkpoint::new(good.config.clone(), tensors)
            .unwrap_err()
            .to_string();
        assert!(
            line.starts_with("head.weight: has shape [2, 3], expected [2, 2]"),
            "{line}"
        );

        let mut tensors = good.tensors.clone();
        tensors.remove("lstm.recurrent.tt.1");
        let line = Checkpoint::new(good.config.clone(), tensors)
            .unwrap_err()
            .to_string();
        assert!(
            line.starts_with("lstm.recurrent.tt.1: is missing"),
            "{line}"
        );

        let mut tensors = good.tensors.clone();
        tensors.insert("lstm.input.block.1.core".into(), ArrayD::zeros(vec![2, 2]));
        let line = Checkpoint::new(good.config, tensors)
            .unwrap_err()
            .to_string();
        assert!(
            line.starts_with("lstm.input.block.1.core: belongs"),
            "{line}"
        );
    }

    #[test]
    fn refuses_a_file_cut_short() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("m.safetensors");
        small().write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Checkpoint::read(&path).is_err(), "{length} bytes");
        }
    }
}
