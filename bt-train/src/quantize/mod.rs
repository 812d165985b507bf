//! Float model → integers: ranges from training data, shifts that provably never overflow, the model file.

pub mod dense;
pub mod export;
pub mod input;
pub mod simulate;
pub mod tensor;
