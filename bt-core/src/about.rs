//! What a model says of itself: its cell and pool, and how its integers are units.
//!
//! ```
//! use bt_core::Model;
//! use bt_core::about::{Cell, Pool};
//!
//! /// Pushes a frame of °C, and reads the first score in its unit.
//! fn first_value(model: &Model, celsius: &[f32], frame: &mut [i16], raw: i32) -> Option<f32> {
//!     assert!(model.cell() == Cell::Lstm && model.pool() == Pool::Last);
//!     for ((value, place), &degrees) in frame.iter_mut().zip(model.float_inputs()).zip(celsius) {
//!         *value = place.integer(model.input_type(), degrees);
//!     }
//!     model.value(0, raw)
//! }
//! ```

pub use crate::cell::Cell;
pub use crate::model::{Feature, FloatInput, FloatOutput, Pool, arena_bytes};
