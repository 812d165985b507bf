//! The firmware for QEMU's `microbit`.
#![no_std]
#![no_main]

bt_embed::firmware!();
