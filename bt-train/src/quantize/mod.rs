//! Float model → integers: ranges from training data, shifts that provably never overflow, the model file.

pub mod simulate;
pub mod tensor;
