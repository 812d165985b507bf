//! Block-term LSTM inference in integers: session → cell → map → kernel → q.
//!
//! - [`session`]: a stream of frames through a model, over memory the caller owns.
//! - [`cell`], the gates, and the head: z and c to h, h to scores.
//! - `map`: z += W·x by a [`program`] of small contractions, as frames arrive.
//! - [`kernel`]: the inner loops, one implementation per architecture, all giving the same bits.
//! - [`q`]: the Q formats and the one rounding shift.
//!
//! [`model`] is the file they all read in place, checked once by [`Model::parse`].
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod cell;
pub mod front_end;
pub mod kernel;
mod map;
pub mod model;
pub mod nonlinearity;
pub mod program;
pub mod q;
pub mod session;

pub use model::{InputType, Map, Model, ParseError, Pool, arena_bytes};
pub use session::Session;
