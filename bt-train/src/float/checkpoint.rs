//! Float models in `.safetensors` files; models of other programs come in here.
//!
//! The model's tensors are f32, by the names of [`shapes`]; others may stand beside them. The metadata key `bt` holds
//! the [`ModelConfig`] as JSON. Biases, `input.offset` and
//! `input.scale` may be absent: 0, 0, 0 and 1; so may `head.offset` and `head.scale`, which only values have:
//! a value is its logit times the scale plus the offset.

use crate::error::{Error, ErrorKind, FileKind, Result};
use crate::float::config::{ModelConfig, PLACES};
use crate::float::draw::{ATTENTION, LATENT};
use crate::float::model::Model;
use crate::float::tensors::{TensorFile, Tensors, read_tensors, write_tensors};
use crate::shape::MapShape;
use crate::shape::name;
use bt_core::OutputKind;
use bt_core::internals::model::layout::MAGIC;
use ndarray::ArrayD;
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Name of the metadata entry with the model's configuration.
pub const METADATA_KEY: &str = "bt";

/// Name of the tensor subtracted from raw values.
pub const INPUT_OFFSET: &str = "input.offset";

/// Name of the tensor that multiplies what is left.
pub const INPUT_SCALE: &str = "input.scale";

/// Name of the head's weights.
pub const HEAD_WEIGHT: &str = "head.weight";

/// Name of the head's bias.
pub const HEAD_BIAS: &str = "head.bias";

/// Name of the tensor added to values.
pub const HEAD_OFFSET: &str = "head.offset";

/// Name of the tensor that logits are multiplied by before.
pub const HEAD_SCALE: &str = "head.scale";

pub use crate::shape::name::WORDS;

/// A model as its file has it: checked, complete, nothing superfluous.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the model is made of.
    pub config: ModelConfig,
    /// Every tensor of [`shapes`], offset and scale of the input, and those of values.
    pub tensors: Tensors,
}

/// Names and shapes of the trainable tensors of a model: of every layer input map, recurrent map and
/// biases, behind the first the words (the decoder as the second layer of a model that draws pictures), then of the map
/// to latent values, of what places windows and of the head.
pub fn shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let units = config.units();
    let of_map = |prefix: &str, shape: MapShape| {
        let named = |(name, shape)| (format!("{prefix}.{name}"), shape);
        shape.tensors().into_iter().map(named).collect::<Vec<_>>()
    };
    let mut shapes = Vec::new();
    let layers = config.layer_shapes().into_iter();
    for (at, layer) in layers.chain(config.decoder_shape()).enumerate() {
        shapes.extend(of_map(&name::input_map(config.cell, at), layer.input));
        if let Some(recurrent) = layer.recurrent {
            shapes.extend(of_map(&name::recurrent_map(config.cell, at), recurrent));
        }
        shapes.push((name::bias(config.cell, at), vec![config.bias_values()]));
        if config.recurrent_bias_values() > 0 {
            let values = vec![config.recurrent_bias_values()];
            shapes.push((name::recurrent_bias(config.cell, at), values));
        }
        if let (0, Some(words)) = (at, config.words()) {
            shapes.push((WORDS.into(), vec![words, config.bias_values()]));
        }
    }
    if config.head.gives.is_pictures() {
        let latent = (LATENT, 2 * config.latent_values());
        let places = config.head.attention.map(|_| (ATTENTION, PLACES));
        for ([weight, bias], values) in std::iter::once(latent).chain(places) {
            shapes.push((weight.into(), vec![values, units]));
            shapes.push((bias.into(), vec![values]));
        }
    }
    let values = config.head.linear_values();
    shapes.push((HEAD_WEIGHT.into(), vec![values, units]));
    shapes.push((HEAD_BIAS.into(), vec![values]));
    shapes
}

impl Checkpoint {
    /// The values of one of its tensors.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        let tensor = self.tensors[name].iter();
        tensor.map(|&value| f64::from(value)).collect()
    }

    /// Reads a model and checks every tensor against the metadata. Tensors that are not the model's
    /// are ignored, whatever their type.
    ///
    /// # Errors
    /// Names the file and the tensor, what was found and what was expected.
    pub fn read(path: &Path) -> Result<Checkpoint> {
        Ok(Checkpoint::read_with_warnings(path)?.0)
    }

    /// As [`Checkpoint::read`]; tells also what is strange about the file, a line each: tensors and keys that
    /// nothing reads, and what its writer may have forgotten.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn read_with_warnings(path: &Path) -> Result<(Checkpoint, Vec<String>)> {
        let read = || {
            if is_integers(path) {
                return Err(Error::new(ErrorKind::FileKind(FileKind::Integers))
                    .remedy("give the model of floats that was quantized"));
            }
            let file = read_tensors(path)?;
            let text = file.metadata.get(METADATA_KEY).ok_or_else(|| {
                Error::new(ErrorKind::Missing)
                    .field(format!("metadata `{METADATA_KEY}`"))
                    .remedy("save the model's configuration as JSON under this key")
            })?;
            let config: ModelConfig = serde_json::from_str(text).map_err(|error| {
                Error::malformed(error).field(format!("metadata `{METADATA_KEY}`"))
            })?;
            // What follows counts by its sizes.
            config.validate()?;
            if let Some((name, found)) = file.other_types.iter().find(|(name, _)| is_ours(name)) {
                return Err(Error::new(ErrorKind::ElementType {
                    found: format!("{found:?}"),
                })
                .field(name)
                .remedy("save it as f32"));
            }
            let mut warnings = Vec::from_iter(unread_keys(text, &config)?);
            warnings.extend(unread_tensors(&file));
            warnings.extend(left_out(&config, &file.tensors));
            Ok((Checkpoint::new(config, file.tensors)?, warnings))
        };
        read().map_err(|error: Error| error.file(path))
    }

    /// Puts a model together, filling in what may be absent.
    ///
    /// # Errors
    /// Names the tensor that is missing, superfluous or of another shape.
    pub fn new(config: ModelConfig, mut found: Tensors) -> Result<Checkpoint> {
        config.validate()?;
        let mut tensors = Tensors::new();
        // Biases last: what the file holds bounds how much is set aside for those it does not.
        let (biases, weights): (Vec<_>, Vec<_>) = shapes(&config)
            .into_iter()
            .partition(|(name, _)| name.ends_with(".bias"));
        for (name, shape) in weights.into_iter().chain(biases) {
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
        let gives = config.head.gives;
        for (name, default) in [(HEAD_OFFSET, 0.0), (HEAD_SCALE, 1.0)] {
            if gives.kind() != OutputKind::Values {
                continue;
            }
            let shape = [gives.outputs()];
            let tensor = found
                .remove(name)
                .unwrap_or_else(|| ArrayD::from_elem(shape.to_vec(), default));
            if tensor.shape() != shape {
                return Err(wrong_shape(
                    name.into(),
                    format!("{shape:?}"),
                    tensor.shape(),
                ));
            }
            if name == HEAD_SCALE
                && let Some(scale) = tensor.iter().find(|scale| **scale <= 0.0)
            {
                return Err(Error::out_of_range(scale, "give a scale above 0").field(name));
            }
            tensors.insert(name.into(), tensor);
        }
        if let Some(name) = found.keys().find(|name| is_ours(name)) {
            return Err(Error::new(ErrorKind::StrayTensor)
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
        if model.config.head.gives.kind() == OutputKind::Values {
            tensors.insert(HEAD_OFFSET.into(), model.value_offset.clone().into_dyn());
            tensors.insert(HEAD_SCALE.into(), model.value_scale.clone().into_dyn());
        }
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
        if self.config.head.gives.kind() == OutputKind::Values {
            model.value_offset = self.tensors[HEAD_OFFSET].iter().copied().collect();
            model.value_scale = self.tensors[HEAD_SCALE].iter().copied().collect();
        }
        Ok(model)
    }
}

/// A warning for the keys of the metadata that no part of the model reads: misspelled, or of no use to the map that
/// they stand beside.
fn unread_keys(text: &str, config: &ModelConfig) -> Result<Option<String>> {
    let mut metadata: Value = serde_json::from_str(text).map_err(Error::malformed)?;
    let mut unread = Vec::new();
    for path in paths(&metadata) {
        // Below a key that is not read itself nothing is.
        let is_below = |of: &String| path.starts_with(&format!("{of}/"));
        if unread.iter().any(is_below) {
            continue;
        }
        if unread.len() == UNREAD_MAX {
            unread.push("/and others".into());
            break;
        }
        let Some(value) = metadata.pointer_mut(&path) else {
            continue;
        };
        // What is read is no such text, or becomes another model by it.
        let own = std::mem::replace(value, Value::from("\0"));
        let is_read = ModelConfig::deserialize(&metadata).ok().as_ref() != Some(config);
        if let Some(value) = metadata.pointer_mut(&path) {
            *value = own;
        }
        if !is_read {
            unread.push(path);
        }
    }
    Ok((!unread.is_empty()).then(|| {
        let names: Vec<String> = unread
            .iter()
            .map(|path| path[1..].replace('/', "."))
            .collect();
        let keys = names.join(", ");
        format!("metadata `{METADATA_KEY}`: {keys}: nothing here reads that, ignored")
    }))
}

/// Keys that are named at most: each costs a reading of all of them.
const UNREAD_MAX: usize = 16;

/// JSON pointers to all keys of an object and those in it, each before what is below it.
fn paths(value: &Value) -> Vec<String> {
    let Value::Object(object) = value else {
        return Vec::new();
    };
    let of_key = |(key, value): (&String, &Value)| {
        let own = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        let below = paths(value).into_iter().map(|path| own.clone() + &path);
        std::iter::once(own.clone()).chain(below.collect::<Vec<_>>())
    };
    object.iter().flat_map(of_key).collect()
}

fn unread_tensors(file: &TensorFile) -> Option<String> {
    let names = file.tensors.keys().chain(file.other_types.keys());
    let names: Vec<&str> = names
        .map(String::as_str)
        .filter(|name| !is_ours(name))
        .collect();
    (!names.is_empty()).then(|| format!("{}: no part of the model, ignored", names.join(", ")))
}

/// What may be absent, and is where a writer rarely means it: offset and scale, one bias beside the other.
fn left_out(config: &ModelConfig, tensors: &Tensors) -> Vec<String> {
    let missing = |names: &[&str]| -> Vec<String> {
        let missing = names.iter().filter(|&&name| !tensors.contains_key(name));
        missing.map(|&name| name.into()).collect()
    };
    let mut warnings = Vec::new();
    let names = missing(&[INPUT_OFFSET, INPUT_SCALE]);
    if !names.is_empty() {
        warnings.push(format!(
            "{} missing: offset 0 and scale 1 are taken, the model must have learned from values as they are",
            names.join(" and ") + if names.len() == 1 { " is" } else { " are" }
        ));
    }
    let shapes = shapes(config);
    let names = shapes.iter().map(|(name, _)| name.as_str());
    let biases: Vec<&str> = names.filter(|name| name.ends_with(".bias")).collect();
    let names = missing(&biases);
    if !names.is_empty() && names.len() < biases.len() {
        warnings.push(format!(
            "{} missing, though {} there: zeros are taken",
            names.join(" and ") + if names.len() == 1 { " is" } else { " are" },
            if biases.len() == 2 {
                "the other bias is"
            } else {
                "other biases are"
            }
        ));
    }
    warnings
}

/// Whether a tensor of this name can only be meant for the model.
fn is_ours(name: &str) -> bool {
    let others = ["attention.", "head.", "input.", "latent.", "words."];
    name::is_of_layer(name) || others.iter().any(|prefix| name.starts_with(prefix))
}

fn wrong_shape(name: String, expected: String, found: &[usize]) -> Error {
    Error::new(ErrorKind::Shape {
        expected,
        found: found.to_vec(),
    })
    .field(name)
    .remedy("tensors and metadata must describe the same model")
}

/// Whether a file is a `.btm`, whatever it is called.
fn is_integers(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == MAGIC
}

#[cfg(test)]
mod tests;
