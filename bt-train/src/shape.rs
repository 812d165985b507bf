//! What a linear map is and how large: the one place that knows how gates, modes, ranks and tensors
//! go together.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What moves the state on, from one step to the next.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    /// Long short-term memory: gates i, f, g, o
    #[default]
    Lstm,
    /// Gated recurrent unit as PyTorch has it: gates r, z, n
    Gru,
    /// minGRU: two gates that read the frame alone; there is no recurrent map
    MinGru,
}

/// The logistic function of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// 1 / (1 + e^−z).
    #[default]
    Sigmoid,
    /// clip(0.2·z + 0.5, 0, 1), Keras' approximation.
    HardSigmoid,
}

impl Cell {
    /// That of a model file.
    pub fn of(cell: bt_core::about::Cell) -> Cell {
        match cell {
            bt_core::about::Cell::Lstm => Cell::Lstm,
            bt_core::about::Cell::Gru => Cell::Gru,
            bt_core::about::Cell::MinGru => Cell::MinGru,
        }
    }

    /// The same on the device, which knows how many gates it has and what its formats are.
    pub fn device(self) -> bt_core::about::Cell {
        match self {
            Cell::Lstm => bt_core::about::Cell::Lstm,
            Cell::Gru => bt_core::about::Cell::Gru,
            Cell::MinGru => bt_core::about::Cell::MinGru,
        }
    }

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
            Cell::MinGru => "min-gru",
        }
    }
}

/// Orders of a tensor map that are possible: as many modes on either side.
const ORDERS: std::ops::RangeInclusive<usize> = 2..=6;

/// Largest number of blocks and largest rank.
const SIZE_MAX: usize = 64;

/// Form of a linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(tag = "map", rename_all = "kebab-case")]
pub enum MapKind {
    /// A sum of blocks, each a Tucker decomposition: a small core and a factor for each mode
    BlockTerm {
        /// N, the number of blocks.
        #[serde(default = "default_blocks")]
        blocks: usize,
        /// R, the Tucker rank.
        #[serde(default = "default_rank")]
        rank: usize,
    },
    /// A tensor train: a chain of one small tensor for each mode
    TensorTrain {
        /// Every inner rank.
        #[serde(default = "default_rank")]
        rank: usize,
    },
    /// A full matrix.
    #[default]
    Dense,
}

fn default_blocks() -> usize {
    2
}

fn default_rank() -> usize {
    4
}

impl MapKind {
    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            MapKind::BlockTerm { .. } => "block-term",
            MapKind::TensorTrain { .. } => "tensor-train",
            MapKind::Dense => "dense",
        }
    }

    /// Form, blocks and rank, those that it has.
    pub fn named(self) -> (MapName, Option<usize>, Option<usize>) {
        match self {
            MapKind::BlockTerm { blocks, rank } => (MapName::BlockTerm, Some(blocks), Some(rank)),
            MapKind::TensorTrain { rank } => (MapName::TensorTrain, None, Some(rank)),
            MapKind::Dense => (MapName::Dense, None, None),
        }
    }

    /// Checks ranks and blocks.
    ///
    /// # Errors
    /// Names the size that is out of range; `prefix` stands before the names of this map's.
    pub fn validate(self, prefix: &str) -> Result<()> {
        let sizes = match self {
            MapKind::BlockTerm { blocks, rank } => vec![("blocks", blocks), ("rank", rank)],
            MapKind::TensorTrain { rank } => vec![("rank", rank)],
            MapKind::Dense => vec![],
        };
        for (name, size) in sizes {
            if !(1..=SIZE_MAX).contains(&size) {
                let allowed = format!("1 to {SIZE_MAX} are possible");
                return Err(Error::out_of_range(size, allowed).field(format!("{prefix}{name}")));
            }
        }
        Ok(())
    }
}

/// Form of a map by name, as flags and settings give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MapName {
    /// A sum of blocks, each a Tucker decomposition: a small core and a factor for each mode
    BlockTerm,
    /// A tensor train: a chain of one small tensor for each mode
    TensorTrain,
    /// A full matrix, not compressed
    Dense,
}

impl MapName {
    /// The map of this form; what it has no use for is ignored.
    pub fn with(self, blocks: usize, rank: usize) -> MapKind {
        match self {
            MapName::BlockTerm => MapKind::BlockTerm { blocks, rank },
            MapName::TensorTrain => MapKind::TensorTrain { rank },
            MapName::Dense => MapKind::Dense,
        }
    }
}

/// A linear map I_1·…·I_d → J'_1·…·J'_d: its form and its modes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MapShape {
    /// The form.
    pub kind: MapKind,
    /// I_1, …, I_d, slowest first.
    pub inputs: Vec<usize>,
    /// J'_1, …, J'_d, slowest first.
    pub outputs: Vec<usize>,
}

impl MapShape {
    /// The map from `inputs` to the pre-activations of so many gates of a hidden state of these modes: the
    /// gate is slowest, J'_1 = gates·J_1.
    pub fn to_gates(gates: usize, kind: MapKind, inputs: &[usize], hidden: &[usize]) -> MapShape {
        let mut outputs = hidden.to_vec();
        if let Some(slowest) = outputs.first_mut() {
            *slowest *= gates;
        }
        MapShape {
            kind,
            inputs: inputs.to_vec(),
            outputs,
        }
    }

    /// d.
    pub fn order(&self) -> usize {
        self.inputs.len()
    }

    /// I.
    pub fn width(&self) -> usize {
        self.inputs.iter().product()
    }

    /// Pre-activations of all gates.
    pub fn height(&self) -> usize {
        self.outputs.iter().product()
    }

    /// N; a train or a matrix counts as one block.
    pub fn blocks(&self) -> usize {
        match self.kind {
            MapKind::BlockTerm { blocks, .. } => blocks,
            MapKind::TensorTrain { .. } | MapKind::Dense => 1,
        }
    }

    /// R: every Tucker rank, or every inner rank of a train; a matrix has rank 1 in this sense.
    pub fn rank(&self) -> usize {
        match self.kind {
            MapKind::BlockTerm { rank, .. } | MapKind::TensorTrain { rank } => rank,
            MapKind::Dense => 1,
        }
    }

    /// r_k of a train: 1 at both ends.
    pub fn bond(&self, k: usize) -> usize {
        if k == 0 || k == self.order() {
            1
        } else {
            self.rank()
        }
    }

    /// Shape of a block's core: [R, …, R].
    pub fn core(&self) -> Vec<usize> {
        vec![self.rank(); self.order()]
    }

    /// Shape of the factor of mode k: [I_k, J'_k, R] of a block, [r_{k−1}, I_k, J'_k, r_k] of a train.
    pub fn factor(&self, k: usize) -> Vec<usize> {
        let (i, j) = (self.inputs[k], self.outputs[k]);
        match self.kind {
            MapKind::TensorTrain { .. } => vec![self.bond(k), i, j, self.bond(k + 1)],
            MapKind::BlockTerm { .. } | MapKind::Dense => vec![i, j, self.rank()],
        }
    }

    /// Names (less the prefix of the map) and shapes of the trainable tensors, in the order in which
    /// models hold them.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let modes = 0..self.order();
        match self.kind {
            MapKind::Dense => vec![(name::MATRIX.into(), vec![self.height(), self.width()])],
            MapKind::BlockTerm { blocks, .. } => (0..blocks)
                .flat_map(|n| {
                    let factors = modes.clone();
                    let factors = factors.map(move |k| (name::factor(n, k), self.factor(k)));
                    std::iter::once((name::core(n), self.core())).chain(factors)
                })
                .collect(),
            MapKind::TensorTrain { .. } => {
                modes.map(|k| (name::train(k), self.factor(k))).collect()
            }
        }
    }

    /// Number of weights: N·(Σ_k I_k·J'_k·R + R^d) of a block-term map.
    pub fn parameters(&self) -> usize {
        let tensors = self.tensors().into_iter();
        tensors
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }

    /// The same map in full: what compression is measured against.
    #[must_use]
    pub fn dense(&self) -> MapShape {
        MapShape {
            kind: MapKind::Dense,
            ..self.clone()
        }
    }

    /// Checks ranks, blocks and the number of modes.
    ///
    /// # Errors
    /// Names the size that is out of range; `prefix` stands before the names of rank and blocks, `modes`
    /// names the modes.
    pub fn validate(&self, prefix: &str, modes: &str) -> Result<()> {
        self.kind.validate(prefix)?;
        if self.kind == MapKind::Dense {
            return Ok(());
        }
        let (inputs, outputs) = (self.inputs.len(), self.outputs.len());
        if inputs != outputs {
            return Err(
                Error::mismatch("input modes", inputs, outputs, "the hidden state has")
                    .field(modes)
                    .remedy("give as many of the one as of the other (1 is a mode too)"),
            );
        }
        if !ORDERS.contains(&inputs) {
            return Err(Error::new(ErrorKind::Order {
                modes: inputs,
                allowed: ORDERS,
            })
            .field(modes));
        }
        Ok(())
    }
}

/// All ways to write `value` as so many factors in rising order, each within bounds.
pub fn factorizations(value: usize, count: usize, least: usize, most: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return if value == 1 {
            vec![Vec::new()]
        } else {
            Vec::new()
        };
    }
    if count == 1 {
        let fits = (least..=most).contains(&value);
        return if fits { vec![vec![value]] } else { Vec::new() };
    }
    let mut all = Vec::new();
    for first in least..=most {
        if first
            .checked_pow(count as u32)
            .is_none_or(|power| power > value)
        {
            break;
        }
        if value.is_multiple_of(first) {
            for mut rest in factorizations(value / first, count - 1, first, most) {
                rest.insert(0, first);
                all.push(rest);
            }
        }
    }
    all
}

/// Names of tensors in a model file; those of a map less its prefix.
pub mod name {
    use super::Cell;

    /// The table of words [V, G·J]: what each adds to the first layer's z.
    pub const WORDS: &str = "words.weight";

    /// Prefix of the tensors of a layer: the cell, and its number where it is not the first.
    fn layer(cell: Cell, layer: usize) -> String {
        match layer {
            0 => cell.name().to_owned(),
            _ => format!("{}.{layer}", cell.name()),
        }
    }

    /// Prefix of the tensors of a layer's input map.
    pub fn input_map(cell: Cell, at: usize) -> String {
        format!("{}.input", layer(cell, at))
    }

    /// Prefix of the tensors of a layer's recurrent map.
    pub fn recurrent_map(cell: Cell, at: usize) -> String {
        format!("{}.recurrent", layer(cell, at))
    }

    /// Name of a layer's bias of z.
    pub fn bias(cell: Cell, at: usize) -> String {
        format!("{}.bias", layer(cell, at))
    }

    /// Name of the bias that the recurrent map of a GRU has in its last gate.
    pub fn recurrent_bias(cell: Cell, at: usize) -> String {
        format!("{}.recurrent.bias", layer(cell, at))
    }

    /// Whether a tensor of this name can only be meant for a layer.
    pub fn is_of_layer(name: &str) -> bool {
        [Cell::Lstm, Cell::Gru, Cell::MinGru].iter().any(|cell| {
            name.strip_prefix(cell.name())
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// Whether a tensor of this name is a core or factor of a block-term map, or a tensor of a train.
    pub fn is_factor(name: &str) -> bool {
        name.contains(".block.") || name.contains(".tt.")
    }

    /// The matrix of a dense map.
    pub const MATRIX: &str = "weight";

    /// The core of block n.
    pub fn core(block: usize) -> String {
        format!("block.{block}.core")
    }

    /// The factor of block n and mode k.
    pub fn factor(block: usize, k: usize) -> String {
        format!("block.{block}.factor.{k}")
    }

    /// The tensor of mode k of a train.
    pub fn train(k: usize) -> String {
        format!("tt.{k}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorizations_are_all_there_are() {
        assert_eq!(factorizations(24, 3, 2, 24), [[2, 2, 6], [2, 3, 4]]);
        assert_eq!(factorizations(8, 2, 1, 8), [[1, 8], [2, 4]]);
        assert!(factorizations(7, 2, 2, 7).is_empty());
    }

    /// The paper's layer, by its own formula: N·(Σ_k I_k·J'_k·R + R^d).
    #[test]
    fn counts_the_parameters_of_the_paper() {
        let kind = MapKind::BlockTerm { blocks: 2, rank: 4 };
        let shape = MapShape::to_gates(4, kind, &[8, 20, 20, 18], &[4, 4, 4, 4]);
        assert_eq!(shape.outputs, [16, 4, 4, 4]);
        let factors = (8 * 16 + 20 * 4 + 20 * 4 + 18 * 4) * 4;
        assert_eq!(shape.parameters(), 2 * (factors + 256));
        assert_eq!(shape.parameters(), 3_392);
        assert_eq!(shape.dense().parameters(), 58_982_400);
    }

    #[test]
    fn a_train_is_one_wide_at_both_ends() {
        let kind = MapKind::TensorTrain { rank: 3 };
        let shape = MapShape::to_gates(4, kind, &[2, 5, 7], &[1, 2, 3]);
        let shapes: Vec<_> = shape
            .tensors()
            .into_iter()
            .map(|(_, shape)| shape)
            .collect();
        assert_eq!(shapes, [[1, 2, 4, 3], [3, 5, 2, 3], [3, 7, 3, 1]]);
    }
}
