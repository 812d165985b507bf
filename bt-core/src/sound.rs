//! Sound: what an audio front end makes of samples.
//!
//! Samples go through the audio front end: a high-pass, 32 log mel energies every hop,
//! each measured against its own loudness or what was louder before and lasted. A step is a fixed number of
//! samples. The rule for an utterance that ends within one stands in one place, [`Session::finish`]: the step is
//! completed with silence, samples that the high-pass turns into zeros. Training, `bt-train run` and
//! `cargo xtask qemu` end every recording so, firmware calls it when a sound is over (request Finish on the
//! wire); what is pushed without it and fills no step has no part in the scores.
//!
//! What a microphone adds leaves little or no trace: an offset changes no bit of any score, unless it clips; 0.1 s
//! after a plop the values are what they would have been, to about 1 dB, and mostly to 0.1 dB (tests in `front_end`).
//!
//! A session runs the front end of its model; a program that wants to see the vectors runs it itself:
//!
//! ```
//! use bt_core::Model;
//!
//! /// The first vector of a stream of samples: one log mel energy a band, Q5.10 of log₂.
//! fn first_vector(model: &Model, samples: &[i16], state: &mut [u32], vector: &mut [i16]) -> bool {
//!     let Some(front_end) = model.front_end() else {
//!         return false; // a model of frames
//!     };
//!     front_end.reset(state); // `front_end.state_words()` words
//!     front_end.push(state, samples, vector).produced
//! }
//! ```
//!
//! [`Session::finish`]: crate::Session::finish

pub use crate::front_end::{FrontEnd, Level};
