//! Models of other programs: PyTorch's recurrent layers become ours, as they are or decomposed.
//!
//! [`torch`] knows PyTorch's names and what they mean; it gives a model with dense maps that computes the same. [`decompose`]
//! puts a block-term map or a tensor train in the place of a matrix, as near to it as it finds one.

pub mod decompose;
mod linear;
pub mod torch;
