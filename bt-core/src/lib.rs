//! bt-core
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod cell;
pub mod front_end;
pub mod nonlinearity;
pub mod q;
