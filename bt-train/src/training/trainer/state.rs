//! What a run needs to go on: all that changes while it learns.

use super::Trainer;
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::tensors::Tensors;
use crate::training::evaluate::Score;
use serde::{Deserialize, Serialize};

/// The epoch whose weights are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number, from 1.
    pub epoch: usize,
    /// Its score on the validation part, where there is one.
    pub validation: Option<Score>,
}

/// What of a trainer changes, less its arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs completed.
    pub epochs: usize,
    /// Updates made.
    #[serde(rename = "steps")]
    pub updates: usize,
    /// [`DataSet::fingerprint`](crate::data::DataSet::fingerprint) of what is learned from.
    pub data: u64,
    /// The best epoch so far.
    pub best: Option<Best>,
}

impl Trainer<'_> {
    /// Everything that a run needs to go on from here.
    pub fn state(&self) -> (State, Tensors) {
        let state = State {
            epochs: self.epochs,
            updates: self.adam.updates,
            data: self.fingerprint,
            best: self.best().cloned(),
        };
        let mut tensors = Tensors::new();
        for (i, (name, values)) in self.model.parameters().into_iter().enumerate() {
            tensors.insert(format!("first.{name}"), self.adam.first[i].clone());
            tensors.insert(format!("second.{name}"), self.adam.second[i].clone());
            tensors.insert(format!("model.{name}"), values.to_owned());
        }
        for (name, values) in self.best.iter().flat_map(|(_, best)| &best.tensors) {
            tensors.insert(format!("best.{name}"), values.clone());
        }
        (state, tensors)
    }

    /// Goes back to a saved state.
    ///
    /// # Errors
    /// When the state is another model's, or was learned from other data.
    pub fn restore(&mut self, state: State, mut tensors: Tensors) -> Result<()> {
        if state.data != self.fingerprint {
            return Err(Error::new(ErrorKind::OtherData)
                .remedy("give the `data` of when the run was started, or choose another `out`"));
        }
        let mut take = |name: String, shape: &[usize]| match tensors.remove(&name) {
            Some(tensor) if tensor.shape() == shape => Ok(tensor),
            found => Err(Error::new(match found {
                Some(tensor) => ErrorKind::Shape {
                    expected: format!("{shape:?}"),
                    found: tensor.shape().to_vec(),
                },
                None => ErrorKind::Missing,
            })
            .field(name)
            .remedy("the saved state belongs to another model; start a new run")),
        };
        for (i, (name, mut values)) in self.model.parameters_mut().into_iter().enumerate() {
            self.adam.first[i] = take(format!("first.{name}"), values.shape())?;
            self.adam.second[i] = take(format!("second.{name}"), values.shape())?;
            let saved = take(format!("model.{name}"), values.shape())?;
            values.assign(&saved);
        }
        let mut best = Checkpoint::of(&self.model);
        for (name, values) in &mut best.tensors {
            *values = take(format!("best.{name}"), values.shape())?;
        }
        self.best = state.best.map(|found| (found, best));
        self.adam.updates = state.updates;
        self.epochs = state.epochs;
        Ok(())
    }
}
