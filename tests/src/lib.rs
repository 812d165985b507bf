//! Fixtures of the tests that need more than one crate: models made without
//! training, plain loops that check what a device does, a line that damages what goes over it, and the `bt-train` program
//! with data for it.

pub mod exported;
pub mod fuzz;
pub mod line;
pub mod model;
pub mod mutate;
pub mod noisy;
pub mod program;
pub mod reference;
pub mod running;
pub mod serving;
pub mod still;
pub mod units;
