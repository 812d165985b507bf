//! Captions: words of a picture, one a step.
//!
//! A model that tells captions ([`Model::caption_words`]) reads a picture, its frame, once: [`Session::step`] keeps the picture's share
//! of z and begins. [`Teller::next_word`] chooses a word of the scores, the likeliest or one drawn at a [`Temperature`] from a
//! seed; [`Session::step_word`] goes on with it; word 0 ends the caption. The texts of the words are the labels of the
//! classes. Words and their rows stay in flash; a picture's z, 2 bytes each, is all the RAM that captions take.
//!
//! ```rust
//! use bt_core::captions::{END, Teller};
//! use bt_core::{Error, Session};
//!
//! /// Sends the caption of a picture, word by word.
//! fn caption(
//!     session: &mut Session,
//!     (picture, scores): (&[u8], &mut [i32]),
//!     teller: &mut Teller,
//!     send: impl Fn(&str),
//! ) -> Result<(), Error> {
//!     let model = session.model();
//!     session.push_bytes(picture)?;
//!     session.step()?;
//!     for _ in 0..model.caption_words().unwrap_or(0) {
//!         session.scores(scores)?;
//!         let word = teller.next_word(scores, model.score_shift()).unwrap_or(END);
//!         if word == END {
//!             break;
//!         }
//!         send(model.label(word).unwrap_or("?"));
//!         session.step_word(word)?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`Model::caption_words`]: crate::Model::caption_words
//! [`Session::step`]: crate::Session::step
//! [`Session::step_word`]: crate::Session::step_word

pub use crate::words::{END, Teller, Temperature, UNKNOWN};
