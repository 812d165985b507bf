//! Fitting a float model to a data set.

pub mod modes;
pub mod settings;
