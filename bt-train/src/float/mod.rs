//! The float model.

pub mod config;
