//! What is left of a file of tensors, as one after the other is taken out.

use crate::error::{Error, ErrorKind, Result};
use crate::float::tensors::TensorFile;
use ndarray::{ArrayD, Dimension};

/// Gates of an LSTM.
pub(super) const GATES: usize = 4;

/// What is left of the file.
pub(super) struct State {
    pub(super) file: TensorFile,
    pub(super) warnings: Vec<String>,
}

impl State {
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.file.tensors.keys().chain(self.file.other_types.keys())
    }

    /// Takes a tensor that must be there, of f32, and finite.
    pub(super) fn take(&mut self, name: &str) -> Result<ArrayD<f32>> {
        if let Some(found) = self.file.other_types.get(name) {
            return Err(Error::new(ErrorKind::ElementType {
                found: format!("{found:?}"),
            })
            .field(name)
            .remedy("save it as f32: {name: tensor.float() for name, tensor in …}"));
        }
        let Some(tensor) = self.file.tensors.remove(name) else {
            return Err(Error::new(ErrorKind::Missing)
                .field(name)
                .remedy("save the whole state_dict()"));
        };
        match tensor.indexed_iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(tensor),
            Some((index, &value)) => Err(Error::new(ErrorKind::NotFinite {
                value,
                index: index.slice().to_vec(),
            })
            .field(name)),
        }
    }

    pub(super) fn take_if_there(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<ArrayD<f32>>> {
        if !self.has(name) {
            return Ok(None);
        }
        let tensor = self.take(name)?;
        if tensor.shape() != shape {
            return Err(wrong_shape(name, format!("{shape:?}"), tensor.shape()));
        }
        Ok(Some(tensor))
    }

    /// Both biases; zeros for one that is not there.
    pub(super) fn biases(&mut self, names: [String; 2], values: usize) -> Result<[ArrayD<f32>; 2]> {
        let [first, second] = &names;
        let found = [
            self.take_if_there(first, &[values])?,
            self.take_if_there(second, &[values])?,
        ];
        let missing = match &found {
            [Some(_), None] => Some((second, first)),
            [None, Some(_)] => Some((first, second)),
            _ => None,
        };
        self.warnings.extend(missing.map(|(missing, other)| {
            format!("{missing} is missing beside {other}; zeros are taken")
        }));
        Ok(found.map(|bias| bias.unwrap_or_else(|| ArrayD::zeros(vec![values]))))
    }
}

pub(super) fn wrong_shape(name: &str, expected: String, found: &[usize]) -> Error {
    Error::new(ErrorKind::Shape {
        expected,
        found: found.to_vec(),
    })
    .field(name)
    .remedy("the tensors of a layer must fit each other; save the state_dict() of one model")
}
