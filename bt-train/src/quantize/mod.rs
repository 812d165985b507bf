//! Float model → integers: ranges from training data, shifts that provably never overflow, the model
//! file; and training that goes on at the integers' own values.
//!
//! Of a model that paints pictures only the decoder becomes integers: a device draws, and looks at nothing.

pub mod basis;
mod calibration;
mod contents;
pub(crate) mod decoder;
pub mod dense;
pub mod export;
pub mod fine_tune;
mod gates;
mod head;
pub mod input;
pub mod integer;
mod layer;
mod map;
mod real;
pub mod rounding;
mod scheme;
pub mod simulate;
pub(crate) mod spread;
pub mod tensor;
mod window;
mod words;
pub mod z;
