//! The float model: mathematics, and the one file it is kept in.
//!
//! [`model`] puts together two [`map`]s (of the frame and of the hidden
//! state), the [`cell`] and a linear [`head`]; each computes its own
//! gradient by hand. Everything is a batch of strided matrix products
//! ([`product`]), generic over the number type ([`real`]) so that tests can
//! compare gradients with finite differences in `f64`. [`init`] draws starting
//! weights, [`config`] says what a model is made of, [`checkpoint`] keeps it, in
//! a file of [`tensors`]. As a [`function`], a map or a layer is part of another program's gradients.
//!
//! Results do not depend on the number of threads: work is cut by shape alone
//! and partial sums are added in a fixed order.

pub mod caption;
pub mod cell;
pub mod checkpoint;
pub mod config;
pub(crate) mod draw;
pub mod filter;
pub mod function;
pub mod head;
pub mod init;
mod layer;
pub mod map;
pub mod model;
mod packing;
mod pool;
pub mod product;
pub mod real;
mod recurrence;
mod spare;
pub mod tensors;
pub mod words;
pub mod workers;
