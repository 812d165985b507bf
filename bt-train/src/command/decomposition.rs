//! Matrices of an imported model that become tensor maps.

use crate::error::{Error, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::ModelConfig;
use crate::import::decompose;
use crate::shape::name::{self, MATRIX};
use crate::shape::{MapKind, MapName, MapShape};
use crate::training::modes::{self, Modes};
use ndarray::{ArrayView2, Ix2};
use std::collections::BTreeMap;

/// What the matrices become. Without any of these flags they stay as they are.
#[derive(Debug, clap::Args)]
pub struct Maps {
    /// Decompose the matrix of the frames into this form
    #[arg(long, value_name = "MAP", help_heading = "Decomposition")]
    input_map: Option<MapName>,
    /// Modes of a frame, slowest first [default: even ones]
    #[arg(long, value_name = "MODES", help_heading = "Decomposition")]
    input_modes: Option<Modes>,
    /// Modes of the hidden state, as many as of a frame [default: even ones]
    #[arg(long, value_name = "MODES", help_heading = "Decomposition")]
    hidden_modes: Option<Modes>,
    /// Blocks (N) of a block-term input map [default: 2]
    #[arg(long, value_name = "N", help_heading = "Decomposition")]
    blocks: Option<usize>,
    /// Rank (R) of the input map [default: 4]
    #[arg(long, value_name = "R", help_heading = "Decomposition")]
    rank: Option<usize>,
    /// Decompose the matrix of the hidden state into this form
    #[arg(long, value_name = "MAP", help_heading = "Decomposition")]
    recurrent_map: Option<MapName>,
    /// Blocks of a block-term recurrent map [default: 2]
    #[arg(long, value_name = "N", help_heading = "Decomposition")]
    recurrent_blocks: Option<usize>,
    /// Rank of the recurrent map [default: 4]
    #[arg(long, value_name = "R", help_heading = "Decomposition")]
    recurrent_rank: Option<usize>,
}

impl Maps {
    /// The model with the maps asked for in the place of its matrices.
    ///
    /// # Errors
    /// When the model has no such maps, or there are none of these modes.
    pub fn config(&self, dense: &ModelConfig) -> Result<ModelConfig> {
        let kind = |map: Option<MapName>, blocks: Option<usize>, rank: Option<usize>| {
            let implied = (blocks.is_some() || rank.is_some()).then_some(MapName::BlockTerm);
            let map = map.or(implied).unwrap_or(MapName::Dense);
            map.with(blocks.unwrap_or(2), rank.unwrap_or(4))
        };
        let input = match (self.input_map, &self.input_modes) {
            (None, Some(_)) => Some(MapName::BlockTerm),
            (map, _) => map,
        };
        let input = kind(input, self.blocks, self.rank);
        let recurrent = kind(
            self.recurrent_map,
            self.recurrent_blocks,
            self.recurrent_rank,
        );
        let mut config = dense.clone();
        if dense.input.map != MapKind::Dense {
            let of_input = [self.blocks, self.rank].iter().any(Option::is_some)
                || self.input_map.is_some()
                || self.input_modes.is_some()
                || self.hidden_modes.is_some();
            if of_input {
                return Err(Error::usage(
                    "the input map is no matrix, its modes are as they are; only --recurrent-map and what belongs \
                     to it can be given",
                ));
            }
            config.recurrent.map = recurrent;
            config.validate()?;
            return Ok(config);
        }
        if input == MapKind::Dense && recurrent == MapKind::Dense {
            return match (&self.input_modes, &self.hidden_modes) {
                (None, None) => Ok(config),
                _ => Err(Error::usage(
                    "modes are of use to a map only; give --input-map or --recurrent-map too",
                )),
            };
        }
        let (inputs, units) = (dense.inputs(), dense.units());
        let given = self.input_modes.as_ref().or(self.hidden_modes.as_ref());
        let order = given.map_or(modes::order(inputs), |modes| modes.0.len());
        let or_even = |modes: &Option<Modes>, width| match modes {
            Some(modes) => modes.0.clone(),
            None => modes::even(width, order),
        };
        if input != MapKind::Dense {
            config.input.modes = or_even(&self.input_modes, inputs);
            modes::check(modes::INPUT, &config.input.modes, inputs, false)?;
        }
        config.hidden.modes = or_even(&self.hidden_modes, units);
        modes::check(modes::HIDDEN, &config.hidden.modes, units, false)?;
        config.input.map = input;
        config.recurrent.map = recurrent;
        config.validate()?;
        Ok(config)
    }
}

/// A map that stands where a matrix was.
#[derive(Debug)]
pub struct Replaced {
    /// `input` or `recurrent`, of further layers `input.1` …
    pub name: String,
    /// It.
    pub shape: MapShape,
    /// ‖W − map‖/‖W‖ of ranks from 1 to its own.
    pub errors: BTreeMap<usize, f64>,
}

impl Replaced {
    /// ‖W − map‖/‖W‖.
    pub fn error(&self) -> f64 {
        let own = self.errors.last_key_value();
        own.map_or(f64::NAN, |(_, &error)| error)
    }
}

/// The same model with the maps of `config`, and what they cost. Smaller ranks are tried for their error alone. `swept`
/// is told how many sweeps are done for a map, and how many there are at most.
///
/// # Errors
/// When there is no room for the work.
pub fn decompose(
    dense: &Checkpoint,
    config: ModelConfig,
    swept: &mut dyn FnMut(usize, usize),
) -> Result<(Checkpoint, Vec<Replaced>)> {
    if config == dense.config {
        return Ok((dense.clone(), Vec::new()));
    }
    let mut tensors = dense.tensors.clone();
    let mut replaced = Vec::new();
    let before = dense.config.layer_shapes();
    for (at, (after, before)) in config.layer_shapes().into_iter().zip(before).enumerate() {
        let maps = [
            (
                "input",
                name::input_map(config.cell, at),
                Some((after.input, before.input)),
            ),
            (
                "recurrent",
                name::recurrent_map(config.cell, at),
                after.recurrent.zip(before.recurrent),
            ),
        ];
        for (map, prefix, shapes) in maps {
            let Some((shape, _)) = shapes.filter(|(after, before)| after.kind != before.kind)
            else {
                continue;
            };
            let matrix = tensors
                .remove(&format!("{prefix}.{MATRIX}"))
                .and_then(|matrix| matrix.into_dimensionality::<Ix2>().ok())
                .expect("a dense map is a matrix");
            let matrix = ArrayView2::from(&matrix);
            let smaller = smaller_ranks(&shape);
            let most = decompose::SWEEPS * (smaller.len() + 1);
            let mut done = 0;
            let mut near = |shape: &MapShape| {
                decompose::decompose(matrix, shape, &mut || {
                    done += 1;
                    swept(done, most);
                })
            };
            let mut errors = BTreeMap::new();
            for (rank, shape) in smaller {
                errors.insert(rank, near(&shape)?.error);
            }
            let found = near(&shape)?;
            errors.insert(shape.kind.named().2.unwrap_or(1), found.error);
            for (tensor, values) in found.tensors {
                tensors.insert(format!("{prefix}.{tensor}"), values);
            }
            let name = match at {
                0 => map.to_owned(),
                _ => format!("{map}.{at}"),
            };
            replaced.push(Replaced {
                name,
                shape,
                errors,
            });
        }
    }
    Ok((Checkpoint::new(config, tensors)?, replaced))
}

/// The same map of ranks 1, 2, 4, … below its own.
fn smaller_ranks(shape: &MapShape) -> Vec<(usize, MapShape)> {
    let (name, blocks, rank) = shape.kind.named();
    let ranks = (0..).map(|power| 1 << power);
    let ranks = ranks.take_while(|&smaller| rank.is_some_and(|rank| smaller < rank));
    let of_rank = |rank| MapShape {
        kind: name.with(blocks.unwrap_or(1), rank),
        ..shape.clone()
    };
    ranks.map(|rank| (rank, of_rank(rank))).collect()
}
