//! Fixtures of the tests that need more than one crate: models made without
//! training, and a line that damages what goes over it.

pub mod line;
pub mod model;
