#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
//!
//! # Where to begin
//!
//! A loop over frames needs what stands here in front: [`include_model!`], [`arena_words`], [`Model`], [`Session`],
//! [`Error`] and [`argmax`]. The modules are each for those who want them, with an example at their head.
//!
//! # The layers
//!
//! From what a program calls down to a multiplication. Each layer calls those below it and none above.
//!
//! **The session** ([`Session`]) is what an application holds: values in, scores out. It lives in memory
//! of the caller's, keeps the state (h, c) from step to step, and refuses a call rather than guess. How long
//! a call takes depends on the model, not on the data. With an audio front end, samples become feature
//! vectors here, before the layer below sees them.
//!
//! **The cell** is called once a step, when z is complete: it moves c and h on by the LSTM's equations, and
//! the head makes scores of h. It works on slices whose lengths agree by construction.
//!
//! **The map** adds W·x to z, for the frame and for h alike. It takes values in pieces of any length, and
//! decides once a piece whether W is dense or a program; what it leaves in z is the same to the bit however
//! the frame was cut.
//!
//! **The program** is how a block-term or tensor-train map gets to the device: a list of small matrix
//! products (stages) and the odometer that says when each has its turn. This is the one place that knows
//! where a value lies in memory. The exporter lays models out with it, the parser proves with it that no
//! stage leaves its region and that no sum leaves 32 bits, and the device runs by it.
//!
//! **The kernel** is the inner loop: a product of two panels of i16, a dense row of i8, a row of bytes
//! gathered. Portable Rust says what is right; assembly takes its place on the processors that have it and
//! gives the same bits, by one list of cases. A kernel trusts its operands, because the parser has proven
//! them; debug builds check again.
//!
//! **q** is rounding: the one way in which a wide number becomes a narrow one, half up, saturated.
//!
//! **Detection** ([`detection::Detector`]) is what makes of scores after every step what a product acts on: a class, once, when
//! its smoothed probability passes a threshold. It stands above a session and is not needed by one.
//!
//! **Words** ([`captions::Teller`]): a model that tells captions reads its picture once and a word at every step; which word
//! comes next is chosen of the scores, always the likeliest or drawn, beside the session.
//!
//! **The window**: where a step of a model with attention paints, and with what weights; the session calls it when the cell is done.
//!
//! Beside them stands the **model** ([`Model`]): bytes of flash become a checked view, or an error that
//! names the field. Everything above relies on what it has proven, so that nobody asks «valid?» again.

#[cfg(target_endian = "big")]
compile_error!("model files are read in place and are little-endian; so must the target be");

#[cfg(feature = "alloc")]
extern crate alloc;

/// What the assembler is told before DSP instructions: of a target that has them nothing; for Armv8-M, whose
/// targets do not say, a core that does. It stays in force for what follows, and allows only more.
#[cfg(all(bt_kernel = "armv7em", bt_armv8m))]
macro_rules! dsp_cpu {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(all(bt_kernel = "armv7em", not(bt_armv8m)))]
macro_rules! dsp_cpu {
    () => {
        ""
    };
}

pub mod about;
mod argmax;
pub mod captions;
mod cases;
mod cell;
mod crc32c;
pub mod detection;
pub mod drawing;
pub mod error;
mod filter;
mod front_end;
pub mod health;
#[doc(hidden)]
pub mod internals;
mod kernel;
mod map;
mod model;
mod nonlinearity;
mod normal;
mod numbered;
mod processor;
mod program;
mod proven;
mod q;
mod random;
mod session;
mod size;
mod softmax;
pub mod sound;
mod window;
mod words;

pub use argmax::argmax;
#[doc(inline)]
pub use error::Error;
#[cfg(feature = "alloc")]
pub use model::write::ModelBytes;
pub use model::{InputType, Model, OutputKind, arena_words, output_count};
pub use processor::check_processor;
pub use session::{SelfTest, Session};

/// Every public type can be logged; what only the host has, [`ModelBytes`], need not.
#[cfg(feature = "defmt")]
const _: () = {
    use crate::{about::*, captions::*, detection::*, drawing::*, error::*, health::*, sound::*};
    const fn is_logged<T: defmt::Format>() {}
    is_logged::<(Model<'_>, Session<'_, '_>, FrontEnd<'_>, Detector<'_>)>();
    is_logged::<(Cell, Gate, Pool, InputType, OutputKind, NextFrame, Level)>();
    is_logged::<(Section, Field, Feature, Painting, FloatInput, FloatOutput)>();
    is_logged::<(Detection, Rule, Watch, Limits, SelfTest, Watched<'_>)>();
    is_logged::<(Crc32c, Scrub, Random, Teller, Temperature)>();
    is_logged::<(Error, ParseError, FrontEndError, ProcessorError)>();
    is_logged::<(SessionError, PushError, StepError, ScoresError)>();
    is_logged::<(StateError, DrawError, WordError, DetectorError)>();
};
