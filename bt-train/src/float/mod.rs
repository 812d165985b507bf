//! The float model.

pub mod checkpoint;
pub mod config;
