//! What calls return, by number, and why `bt-core` refused, as one of them.

use core::ffi::CStr;

use bt_core::error::{ParseError, PushError, ScoresError, SessionError, StateError, StepError};

macro_rules! status {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)+) => {
        /// What a call returns; `bt_status` in C, which explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum Status {
            $($(#[$doc])* $variant = $number,)+
        }

        impl Status {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in C.
            pub fn name(self) -> &'static CStr {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The status of a number.
            pub fn from_number(number: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|status| *status as i32 == number)
            }
        }
    };
}

status! {
    /// Done.
    Ok = 0 c"BT_OK",
    /// A pointer is null.
    Null = 1 c"BT_ERROR_NULL",
    /// The floating-point registers are switched off.
    FpuOff = 2 c"BT_ERROR_FPU_OFF",
    /// The processor lacks instructions that the library was built for.
    Processor = 3 c"BT_ERROR_PROCESSOR",
    /// The pointer is no session, or the session's memory was written over or moved.
    NoSession = 4 c"BT_ERROR_NO_SESSION",
    /// A pointer does not have its type's alignment.
    Misaligned = 5 c"BT_ERROR_MISALIGNED",
    /// The memory is too small for the model's session.
    MemoryTooSmall = 6 c"BT_ERROR_MEMORY_TOO_SMALL",
    /// The pointer is no detector, or the detector's memory was written over or moved.
    NoDetector = 7 c"BT_ERROR_NO_DETECTOR",
    /// Fewer bytes than the model's header says.
    ModelTruncated = 16 c"BT_ERROR_MODEL_TRUNCATED",
    /// Not a model file.
    ModelMagic = 17 c"BT_ERROR_MODEL_MAGIC",
    /// A version of the model file that this build does not read.
    ModelVersion = 18 c"BT_ERROR_MODEL_VERSION",
    /// The model's CRC is wrong.
    ModelDamaged = 19 c"BT_ERROR_MODEL_DAMAGED",
    /// A field or section of the model cannot be.
    ModelInvalid = 20 c"BT_ERROR_MODEL_INVALID",
    /// The model has an audio front end, this build none.
    ModelFrontEnd = 21 c"BT_ERROR_MODEL_FRONT_END",
    /// The model has something else that this library is built without.
    ModelFeature = 22 c"BT_ERROR_MODEL_FEATURE",
    /// The model takes another type of value.
    WrongType = 32 c"BT_ERROR_WRONG_TYPE",
    /// The frame is complete: a step is due.
    FrameComplete = 33 c"BT_ERROR_FRAME_COMPLETE",
    /// Values of the frame are missing.
    FrameIncomplete = 34 c"BT_ERROR_FRAME_INCOMPLETE",
    /// An array has not the length it must have.
    WrongLength = 35 c"BT_ERROR_WRONG_LENGTH",
    /// No step since the reset.
    NoStep = 36 c"BT_ERROR_NO_STEP",
    /// A frame is under way.
    FrameUnderWay = 37 c"BT_ERROR_FRAME_UNDER_WAY",
    /// The saved state is damaged.
    StateDamaged = 38 c"BT_ERROR_STATE_DAMAGED",
    /// The saved state or the detector is another model's.
    StateMismatch = 39 c"BT_ERROR_STATE_MISMATCH",
    /// There is no such output, or it has no label.
    NoLabel = 40 c"BT_ERROR_NO_LABEL",
    /// This build does not compute what the exporter computed.
    SelfTest = 41 c"BT_ERROR_SELF_TEST",
    /// The model tells no classes.
    NotClasses = 42 c"BT_ERROR_NOT_CLASSES",
    /// There is no such class.
    NoOutput = 43 c"BT_ERROR_NO_OUTPUT",
    /// No rule has such a threshold or smoothing.
    Rule = 44 c"BT_ERROR_RULE",
    /// The model does not draw: its frames are pushed.
    NotDrawn = 45 c"BT_ERROR_NOT_DRAWN",
    /// The model does not paint pictures.
    NotPainted = 46 c"BT_ERROR_NOT_PAINTED",
    /// The picture has all its steps.
    PictureComplete = 47 c"BT_ERROR_PICTURE_COMPLETE",
    /// The model tells no captions.
    NotCaptions = 48 c"BT_ERROR_NOT_CAPTIONS",
    /// No picture since the reset.
    NoPicture = 49 c"BT_ERROR_NO_PICTURE",
    /// There is no such temperature.
    Temperature = 50 c"BT_ERROR_TEMPERATURE",
    /// A refusal that this version of the library has no number for.
    Other = 64 c"BT_ERROR_OTHER",
}

impl From<ParseError> for Status {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Misaligned => Self::Misaligned,
            ParseError::Truncated { .. } => Self::ModelTruncated,
            ParseError::Magic => Self::ModelMagic,
            ParseError::Version { .. } => Self::ModelVersion,
            ParseError::Crc { .. } => Self::ModelDamaged,
            ParseError::NoFrontEnd => Self::ModelFrontEnd,
            ParseError::FeatureOff(_) => Self::ModelFeature,
            // Every other one names a field.
            _ => Self::ModelInvalid,
        }
    }
}

impl From<SessionError> for Status {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::ArenaTooSmall { .. } => Self::MemoryTooSmall,
            _ => Self::Other,
        }
    }
}

impl From<PushError> for Status {
    fn from(error: PushError) -> Self {
        match error {
            PushError::WrongType { .. } => Self::WrongType,
            PushError::FrameComplete => Self::FrameComplete,
            _ => Self::Other,
        }
    }
}

impl From<StepError> for Status {
    fn from(error: StepError) -> Self {
        match error {
            StepError::FrameIncomplete { .. } => Self::FrameIncomplete,
            StepError::PictureComplete { .. } => Self::PictureComplete,
            _ => Self::Other,
        }
    }
}

impl From<ScoresError> for Status {
    fn from(error: ScoresError) -> Self {
        match error {
            ScoresError::WrongLength { .. } => Self::WrongLength,
            ScoresError::NoStep => Self::NoStep,
            _ => Self::Other,
        }
    }
}

impl From<StateError> for Status {
    fn from(error: StateError) -> Self {
        match error {
            StateError::WrongLength { .. } => Self::WrongLength,
            StateError::FrameUnderWay => Self::FrameUnderWay,
            StateError::Damaged => Self::StateDamaged,
            StateError::Mismatch => Self::StateMismatch,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bt_core::about::Feature;

    /// What the library is built without has numbers of its own.
    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        let feature = ParseError::FeatureOff(Feature::Painting);
        assert_eq!(Status::from(feature) as i32, 22);
        assert_eq!(Status::from(ParseError::NoFrontEnd) as i32, 21);
    }
}
