//! Orders of contraction: what a plan is, how a map is lowered to stages by it, and the search for the best.
//!
//! shape ([`MapShape`]) + plan ([`Plan`]) → stages ([`lower()`]) → cost ([`cost`]); [`search`] tries every plan.

mod arrange;
pub mod calls;
mod chain;
pub mod cost;
mod enumerate;
mod front;
pub mod kernels;
pub mod layout;
pub mod lower;
mod memory;
pub mod search;
pub mod shapes;
pub mod tensor_map;
pub mod timing;

pub use enumerate::plans;
pub use lower::{Lowered, lower};
pub use tensor_map::TensorMap;

use crate::error::{Error, ErrorKind};
use crate::shape::MapShape;
use layout::{Axis, Label, Panels};

/// How a tensor map is contracted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// Modes in the order in which they are summed over: first those of the slab (the trailing
    /// `slab` modes, in any order), then the others from the last to the first.
    pub order: Vec<usize>,
    /// Trailing modes that are gathered before anything is computed, 1..=d.
    pub slab: usize,
    /// Where the core of a block-term map joins.
    pub join: Join,
    /// Values of the first mode outside the slab that are collected before it is summed over
    /// (divides that mode; 1 accumulates at once).
    pub buffer: usize,
    /// Values of that mode that are gathered with the slab and go through its stages together
    /// (divides `buffer`; 1 gathers the slab alone).
    pub gathered: usize,
    /// Whether the first stage is one for all blocks, side by side as rows of one W, or each block
    /// reads the slab on its own.
    pub side_by_side: bool,
    /// Whether the last stage sums over the blocks too, or each block adds to z on its own.
    pub joint: bool,
    /// Whether what the last stage adds to z is kept in 32 bits over its outer mode, or added to the
    /// 16-bit z every time.
    pub wide: bool,
    /// Whether rows of panels are padded to [what is fastest on Helium](bt_core::internals::program::row_pairs),
    /// most of them to whole vectors; every core computes them.
    pub vectors: bool,
}

impl Plan {
    /// The same with rows of whole vectors.
    pub fn in_vectors(self) -> Self {
        Self {
            vectors: true,
            ..self
        }
    }

    /// Whether the result of several slabs is collected before the next mode is summed over.
    fn is_buffered(&self) -> bool {
        self.buffer > self.gathered
    }

    /// Extents of the odometer's digits: the modes outside the slab, the last of them in groups of
    /// `buffer` values and, where these come in several slabs, the slabs of a group.
    fn digits(&self, shape: &MapShape) -> Vec<usize> {
        let mut digits = shape.inputs[..shape.order() - self.slab].to_vec();
        if let Some(last) = digits.last_mut() {
            *last /= self.buffer;
        }
        if self.is_buffered() {
            digits.push(self.buffer / self.gathered);
        }
        digits
    }

    /// Copies of the next stage's panels, one behind the other, that the stage at this place of the chain
    /// writes: one for each block where the first stage is for all blocks and the next for each.
    fn copies(&self, blocks: usize, index: usize, chain_len: usize) -> usize {
        let is_summed_next = self.joint && chain_len == 2;
        if self.side_by_side && index == 0 && !is_summed_next {
            blocks
        } else {
            1
        }
    }

    /// Whether a slab goes into these panels row by row, or value by value by a table: rows of a slab are not
    /// padded, and Helium is fast with tables.
    fn is_gathered_by_rows(&self, first: &Panels, slab: &[Axis]) -> bool {
        let (n, k) = slab.split_at(slab.len().saturating_sub(1));
        !self.vectors && first.k == k && first.n == n
    }

    /// The axes of what is gathered, slowest first.
    fn slab_axes(&self, shape: &MapShape) -> Vec<Axis> {
        let outer = shape.order() - self.slab;
        let gathered = (self.gathered > 1).then(|| (Label::In(outer - 1), self.gathered));
        let slab = (outer..shape.order()).map(|k| (Label::In(k), shape.inputs[k]));
        gathered.into_iter().chain(slab).collect()
    }
}

/// Why a plan cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// What the plan says contradicts itself or the shape.
    #[error("the plan does not fit the shape: {0}")]
    Plan(&'static str),
    /// A partial result is too large for the offsets of the model file.
    #[error("a partial result of the plan is too large for the device")]
    TooLarge,
}

impl From<LowerError> for Error {
    fn from(error: LowerError) -> Error {
        Error::new(ErrorKind::Lower(error.into()))
    }
}

/// Where the core joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Merged ahead with the factor of the mode summed over at this place of the order.
    Merged(usize),
    /// A stage of its own, before this place of the order (≥ 1).
    Alone(usize),
    /// Nowhere: tensor trains have none.
    NoCore,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, mode) in self.order.iter().enumerate() {
            if place > 0 {
                f.write_str(if place == self.slab { " | " } else { " " })?;
            }
            match self.join {
                Join::Alone(at) if at == place => write!(f, "G x{}", mode + 1)?,
                Join::Merged(at) if at == place => write!(f, "(Gx{})", mode + 1)?,
                _ => write!(f, "x{}", mode + 1)?,
            }
        }
        if self.gathered > 1 {
            let mode = self.order.len() - self.slab;
            write!(f, ", {} of x{mode} a slab", self.gathered)?;
        }
        if self.is_buffered() {
            write!(f, ", {} slabs buffered", self.buffer / self.gathered)?;
        }
        match (self.side_by_side, self.joint) {
            (true, true) => f.write_str(", blocks side by side at first, summed at the end")?,
            (true, false) => f.write_str(", blocks side by side at first")?,
            (false, true) => f.write_str(", blocks summed at the end")?,
            (false, false) => (),
        }
        if self.wide {
            f.write_str(", z in 32 bits")?;
        }
        if self.vectors {
            f.write_str(", rows of whole vectors")?;
        }
        Ok(())
    }
}
