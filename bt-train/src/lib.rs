//! Train, evaluate and quantize block-term LSTMs on the host.
//!
//! Data flow one way: data set (`data`) → float model ([`float`]) fitted by
//! `training` → integers for the device ([`plan`], [`quantize`]). [`command`]
//! is the command line on top of it.

pub mod benchmark;
pub mod command;
pub mod data;
pub mod device;
pub mod error;
pub mod file;
pub mod float;
pub mod plan;
pub mod quantize;
pub mod training;

pub use error::{Error, ErrorKind, Result};
