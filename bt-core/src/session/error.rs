//! Why calls of a session refuse.

use crate::model::InputType;

/// Why a session could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionError {
    /// The arena is smaller than [`Model::arena_bytes`](crate::Model::arena_bytes).
    ArenaTooSmall {
        /// Bytes the model needs.
        need: usize,
        /// Bytes given.
        found: usize,
    },
}

/// Why values were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PushError {
    /// The model takes another type of value.
    WrongType {
        /// The model's.
        need: InputType,
    },
    /// Bytes end inside a value.
    PartialValue,
    /// The frame is complete: call [`Session::step`](crate::Session::step) first.
    FrameComplete,
    /// A state is being loaded: its next part is due, or a reset.
    StateUnderWay,
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StepError {
    /// Values of the frame are missing.
    FrameIncomplete {
        /// Values of a frame.
        need: usize,
        /// Values pushed since the last step.
        found: usize,
    },
    /// A state is being loaded: its next part is due, or a reset.
    StateUnderWay,
    /// The picture has all its steps: a reset begins another.
    PictureComplete {
        /// [`Painting::steps`](crate::drawing::Painting::steps).
        steps: u32,
    },
}

/// Why scores were not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ScoresError {
    /// The slice does not have one place per class or value.
    WrongLength {
        /// [`Model::outputs`](crate::Model::outputs).
        need: usize,
        /// Length of the slice.
        found: usize,
    },
    /// No step since reset.
    NoStep,
}

/// Why a state was not saved or loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StateError {
    /// The buffer does not have [`Session::saved_bytes`](crate::Session::saved_bytes) bytes.
    WrongLength {
        /// Bytes of a state.
        need: usize,
        /// Bytes given.
        found: usize,
    },
    /// A frame is under way, or a state is being loaded; a state is saved between frames.
    FrameUnderWay,
    /// The state's CRC-32C is wrong, or it holds what no session saves.
    Damaged,
    /// The state is another model's.
    Mismatch,
    /// A part of a state that does not begin where one can, or ends inside a word.
    Part {
        /// Where the next part begins.
        due: usize,
    },
}

/// Why nothing was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DrawError {
    /// The model's scores are neither the bits of the next frame nor a picture's: its
    /// [`Model::next_frame`](crate::Model::next_frame) is `Pushed`.
    NotDrawn,
    /// The model's frames are no latent values: it does not paint, but may [`draw`](crate::Session::draw).
    NotPainted,
    /// The picture has all its steps: a reset begins another.
    PictureComplete {
        /// [`Painting::steps`](crate::drawing::Painting::steps).
        steps: u32,
    },
    /// The slice does not have one place per bit.
    WrongLength {
        /// [`Model::outputs`](crate::Model::outputs).
        need: usize,
        /// Length of the slice.
        found: usize,
    },
    /// A frame is under way; drawing begins between frames.
    FrameUnderWay,
}

/// Why no word was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WordError {
    /// The model tells no captions: it has no [`Model::caption_words`](crate::Model::caption_words).
    NotWords,
    /// The vocabulary has no such word.
    NoSuchWord {
        /// Words that it has.
        words: usize,
    },
    /// No picture since reset: push one and take its step first.
    NoPicture,
    /// A picture is under way; its step is due, or its rest.
    PictureUnderWay,
    /// A state is being loaded: its next part is due, or a reset.
    StateUnderWay,
}

macro_rules! display {
    ($($error:ty => |$e:ident, $f:ident| $body:expr;)*) => {$(
        impl core::fmt::Display for $error {
            fn fmt(&self, $f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let $e = self;
                $body
            }
        }
        impl core::error::Error for $error {}
    )*};
}

display! {
    SessionError => |e, f| match e {
        Self::ArenaTooSmall { need, found } => write!(f, "the arena has {found} bytes, the model needs {need}"),
    };
    PushError => |e, f| match e {
        Self::WrongType { need } => write!(f, "the model takes values of type {need:?}"),
        Self::PartialValue => f.write_str("bytes end inside a value"),
        Self::FrameComplete => f.write_str("the frame is complete, a step is due"),
        Self::StateUnderWay => f.write_str("a state is being loaded"),
    };
    StepError => |e, f| match e {
        Self::FrameIncomplete { need, found } => write!(f, "the frame has {found} of {need} values"),
        Self::StateUnderWay => f.write_str("a state is being loaded"),
        Self::PictureComplete { steps } => write!(f, "the picture has all its {steps} steps"),
    };
    ScoresError => |e, f| match e {
        Self::WrongLength { need, found } => write!(f, "{found} places for {need} scores"),
        Self::NoStep => f.write_str("no step since reset"),
    };
    DrawError => |e, f| match e {
        Self::NotDrawn => f.write_str("the model does not draw: its scores are not the bits of the next frame"),
        Self::NotPainted => f.write_str("the model paints no pictures from latent values"),
        Self::PictureComplete { steps } => write!(f, "the picture has all its {steps} steps"),
        Self::WrongLength { need, found } => write!(f, "{found} places for {need} bits"),
        Self::FrameUnderWay => f.write_str("a frame is under way"),
    };
    WordError => |e, f| match e {
        Self::NotWords => f.write_str("the model tells no captions: it has no words"),
        Self::NoSuchWord { words } => write!(f, "no such word, the vocabulary has {words}"),
        Self::NoPicture => f.write_str("no picture since reset"),
        Self::PictureUnderWay => f.write_str("a picture is under way"),
        Self::StateUnderWay => f.write_str("a state is being loaded"),
    };
    StateError => |e, f| match e {
        Self::WrongLength { need, found } => write!(f, "a state has {need} bytes, not {found}"),
        Self::FrameUnderWay => f.write_str("a frame is under way"),
        Self::Damaged => f.write_str("the state is damaged"),
        Self::Mismatch => f.write_str("the state belongs to another model"),
        Self::Part { due } => write!(f, "byte {due} of the state is due, and whole words"),
    };
}
