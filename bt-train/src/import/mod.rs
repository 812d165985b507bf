//! Models of other programs: PyTorch's recurrent layers become ours, as they are or decomposed.
//!
//! [`torch`] knows the names of PyTorch and of TedNet and what they mean; it gives a model that computes the same. [`decompose`]
//! puts a block-term map or a tensor train in the place of a matrix, as near to it as it finds one, and [`head`] gives
//! values units of their own.

pub mod decompose;
pub mod head;
mod linear;
mod state;
mod tednet;
pub mod torch;
