//! Orders of contraction: what a plan is, how a map is lowered to steps by it, and the search for the best.
//!
//! shape ([`shape`]) + plan ([`Plan`]) → steps ([`lower()`]) → cost ([`cost`]); [`search`] tries every plan.

mod arrange;
mod chain;
pub mod cost;
pub mod layout;
pub mod lower;
mod memory;
pub mod search;
pub mod shape;

pub use lower::{Lowered, lower};
pub use shape::{Form, TensorShape};

/// How a tensor map is contracted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// Modes in the order in which they are summed over: first those of the slab (the trailing
    /// `slab` modes, in any order), then the others from the last to the first.
    pub order: Vec<usize>,
    /// Trailing modes that are gathered before anything is computed, 1..=d.
    pub slab: usize,
    /// Where the core of a block-term map joins; ignored for tensor trains, which have none.
    pub join: Join,
    /// Slabs whose result is collected before the first mode outside the slab is summed over
    /// (divides that mode; 1 accumulates at once).
    pub buffer: usize,
    /// Whether the last step sums over the blocks too, or each block adds to z on its own.
    pub joint: bool,
    /// Whether what the last step adds to z is kept in 32 bits over its outer mode, or added to the
    /// 16-bit z every time.
    pub wide: bool,
}

/// Where the core joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Merged ahead with the factor of the mode summed over at this place of the order.
    Merged(usize),
    /// A step of its own, before this place of the order (≥ 1).
    Alone(usize),
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, mode) in self.order.iter().enumerate() {
            if place == self.slab {
                f.write_str(" |")?;
            }
            match self.join {
                Join::Alone(at) if at == place => write!(f, " G x{}", mode + 1)?,
                Join::Merged(at) if at == place => write!(f, " (Gx{})", mode + 1)?,
                _ => write!(f, " x{}", mode + 1)?,
            }
        }
        if self.buffer > 1 {
            write!(f, ", {} slabs buffered", self.buffer)?;
        }
        if self.joint {
            f.write_str(", blocks summed at the end")?;
        }
        if self.wide {
            f.write_str(", z in 32 bits")?;
        }
        Ok(())
    }
}
