//! Float model → integers: ranges from training data, shifts that provably never overflow, the model
//! file; and training that goes on at the integers' own values.

mod calibration;
mod contents;
pub mod dense;
pub mod export;
pub mod fine_tune;
mod gates;
mod head;
pub mod input;
pub mod integer;
mod map;
mod real;
pub mod rounding;
mod scheme;
pub mod simulate;
pub(crate) mod spread;
pub mod tensor;
mod words;
