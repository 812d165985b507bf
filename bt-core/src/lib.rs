#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("model files are read in place and are little-endian; so must the target be");

#[cfg(feature = "alloc")]
extern crate alloc;

mod cases;
pub mod cell;
mod crc32c;
pub mod front_end;
pub mod kernel;
pub mod map;
pub mod model;
pub mod nonlinearity;
pub mod program;
mod proven;
pub mod q;
pub mod session;
pub mod size;

pub use model::{InputType, Map, Model, ParseError, Pool, arena_bytes};
pub use session::Session;
