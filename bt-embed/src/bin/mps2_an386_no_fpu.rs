//! The firmware for QEMU's `mps2-an386-no-fpu`.
#![no_std]
#![no_main]

bt_embed::firmware!();
