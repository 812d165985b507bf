#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod device;
#[cfg(target_arch = "wasm32")]
mod exports;
