//! The workspace's own commands (`cargo xtask`), and the host's end of the wire.
//!
//! A command is a file with `Args` and `run`. Under them: [`board`] is the table
//! of boards, [`firmware`] builds one board's program around a model,
//! [`emulator`] runs it in QEMU, [`device`] talks to it by `bt_embed::wire`,
//! [`stream`] sends it sequences.

pub mod bench;
pub mod bits;
pub mod board;
pub mod c_library;
pub mod caption;
pub mod demo;
pub mod device;
pub mod draw;
pub mod emulator;
pub mod firmware;
pub mod flash;
pub mod flash_model;
pub mod fuzz;
mod lanes;
pub mod miri;
pub mod port;
pub mod progress;
pub mod python;
pub mod qemu;
pub mod setup;
pub mod size;
pub mod stack;
pub mod stream;
pub mod test;
pub mod train_bench;
pub mod verify;
pub mod watch;
pub mod web;
pub mod workload;
