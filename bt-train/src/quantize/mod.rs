//! Float model → integers: ranges from training data, shifts that provably never overflow, the model
//! file; and training that goes on at the integers' own values.

pub mod dense;
pub mod export;
pub mod fine_tune;
pub mod input;
mod map;
pub mod simulate;
pub mod tensor;
