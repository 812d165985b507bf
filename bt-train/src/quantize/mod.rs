//! Float model → integers: ranges from training data, shifts that provably never overflow, the model
//! file; and training that goes on at the integers' own values.

pub mod dense;
pub mod export;
pub mod fine_tune;
mod gates;
mod head;
pub mod input;
mod map;
mod real;
pub mod simulate;
mod spread;
pub mod tensor;
