//! Drawing and painting: frames that a model makes itself, from a seed.
//!
//! # Bits of the next frame
//!
//! A model of the next frame's bits ([`Model::next_frame`] is [`NextFrame::Drawn`]) draws by itself: [`Session::draw`] takes a step on the bits
//! it drew before and draws the next frame from its scores, the integer sigmoid and a random source, PCG32 ([`Random`]). A
//! drawing is told by a seed and a stream; host and every board draw the same bits.
//!
//! ```rust
//! use bt_core::drawing::Random;
//! use bt_core::{Error, Session};
//!
//! /// Picture number `number` of a seed, a row of bits a step.
//! fn picture(session: &mut Session, number: u64, rows: &mut [[u8; 28]]) -> Result<(), Error> {
//!     let mut random = Random::new(1, number);
//!     let mut row = [0; 28];
//!     session.reset();
//!     for drawn in rows {
//!         session.draw(&mut random, &mut row)?;
//!         *drawn = row;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Pictures, painted in several steps
//!
//! A model of pictures ([`Model::painting`], DRAW's decoder) reads latent values, numbers of N(0, 1) that come from a seed, and
//! paints in several steps. Its canvas is the sum of what the head makes of every h; the head is linear, so that the session
//! keeps the sum of h, 2 bytes a unit, and reads the head when somebody looks: 784 pixels of 112 units take 224 bytes
//! of RAM, not 3,136. Proven at export and in `parse`: no sum of T steps leaves its bits.
//!
//! With attention (feature `attention`) h places what it paints, a patch of N × N points through Gaussian windows, so that the head
//! is read in every step and the session keeps the canvas itself, 4 bytes a pixel; that of a step is part of
//! [`Session::paint`], and pixels cost next to nothing. [`Session::paint`] and [`Session::pixels`] are the same.
//!
//! ```rust
//! use bt_core::drawing::Random;
//! use bt_core::{Error, Session};
//!
//! /// Picture number `number` of a seed, 255 times the probability of a 1.
//! fn paint(session: &mut Session, number: u64, pixels: &mut [u8]) -> Result<(), Error> {
//!     let mut random = Random::new(1, number);
//!     session.reset();
//!     for _ in 0..session.model().painting().map_or(0, |painting| painting.steps) {
//!         session.paint(&mut random)?;
//!     }
//!     session.pixels(0, pixels)?;
//!     Ok(())
//! }
//! ```
//!
//! [`Model::next_frame`]: crate::Model::next_frame
//! [`Session::draw`]: crate::Session::draw
//! [`Model::painting`]: crate::Model::painting
//! [`Session::paint`]: crate::Session::paint
//! [`Session::pixels`]: crate::Session::pixels

pub use crate::model::{NextFrame, Painting};
pub use crate::random::Random;
