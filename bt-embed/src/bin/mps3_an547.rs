//! The firmware for QEMU's `mps3-an547`.
#![no_std]
#![no_main]

bt_embed::firmware!();
