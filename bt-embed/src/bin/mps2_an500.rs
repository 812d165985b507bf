//! The firmware for QEMU's `mps2-an500`.
#![no_std]
#![no_main]

bt_embed::firmware!();
