//! The firmware for QEMU's `virt` with an RV32IMC core.
#![no_std]
#![no_main]

bt_embed::firmware!();
