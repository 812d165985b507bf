//! `bt-core` for C: what [`bt_core.h`](../bt_core.h) declares.
//!
//! The caller owns all memory and there is no global state: a session lies in the bytes that
//! `bt_session_start` is given, with a view of the model and the arena behind it. Every function but the
//! plain questions returns a [`Status`]. Pointers are checked for null and for alignment, handles for being
//! one; that they point to as many bytes as said is the caller's part.
//!
//! On the device the crate is built as a static library, by `cargo xtask c-library`. Nothing in it panics:
//! `bt-core` does not, and the handler below would be all that is left of it.
#![cfg_attr(target_os = "none", no_std)]
// Raw pointers are what C has.
#![allow(unsafe_code)]

mod api;
mod detector;
mod memory;
mod pictures;
mod pointer;
mod processor;
mod status;

pub use api::*;
pub use detector::*;
pub use memory::{SESSION_OVERHEAD_BYTES, bt_session};
pub use pictures::*;
pub use status::Status;

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
