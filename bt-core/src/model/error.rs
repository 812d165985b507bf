//! Why bytes are not a model.

use super::layout::{self, Section};
use crate::front_end::FrontEndError;

/// Why bytes are not a model.
///
/// ```
/// use bt_core::Model;
/// use bt_core::error::ParseError;
///
/// let refused = Model::parse(b"BTM").unwrap_err();
/// assert_eq!(refused, ParseError::Truncated { need: 24, found: 3 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes do not start at a multiple of 4; `include_model!` aligns them.
    Misaligned,
    /// Fewer bytes than the header says.
    Truncated {
        /// Bytes the file should have.
        need: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Not a model file.
    Magic,
    /// Made by another version of the exporter; export the model again.
    Version {
        /// The file's version; this build reads 3 to 9.
        found: u16,
    },
    /// A byte has changed since the export.
    Crc {
        /// What the header says.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A section this build does not know.
    UnknownSection {
        /// Its four characters.
        tag: [u8; 4],
    },
    /// A section is there twice.
    DuplicateSection(Section),
    /// A section is missing.
    MissingSection(Section),
    /// A section that the cell, the number of layers, or what else the model is has no use for.
    StraySection(Section),
    /// A section does not lie within the file, or its length is no multiple of its elements.
    SectionBounds(Section),
    /// A field is out of its range.
    Field {
        /// Where.
        section: Section,
        /// What.
        field: Field,
        /// The file's value.
        found: u32,
    },
    /// A stage of a map is inconsistent.
    Stage {
        /// Input or recurrent map.
        section: Section,
        /// Which stage, from 0.
        stage: usize,
        /// What is wrong with it.
        field: Field,
    },
    /// A sum could overflow i32.
    Overflow {
        /// Where.
        section: Section,
        /// Which stage or row, from 0.
        index: usize,
    },
    /// The audio front end is inconsistent.
    FrontEnd(FrontEndError),
    /// The model has an audio front end, this build none: feature `front-end` is off.
    NoFrontEnd,
    /// The model has something else that this build has not: a feature is off.
    FeatureOff(Feature),
}

/// What models may have and builds leave out, each by a feature of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Feature {
    /// A map that is a whole matrix: `dense`.
    Dense,
    /// Another cell than an LSTM's: `cells`.
    Cells,
    /// A filter behind the input map: `filter`.
    Filter,
    /// Offsets or scales that the device takes to pushed values: `scales`.
    Scales,
    /// Captions told word by word: `words`.
    Words,
    /// Pictures painted from latent values: `painting`.
    Painting,
    /// The same through windows: `attention`.
    Attention,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Dense,
        Self::Cells,
        Self::Filter,
        Self::Scales,
        Self::Words,
        Self::Painting,
        Self::Attention,
    ];

    /// Whether this build has it.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Dense => cfg!(feature = "dense"),
            Self::Cells => cfg!(feature = "cells"),
            Self::Filter => cfg!(feature = "filter"),
            Self::Scales => cfg!(feature = "scales"),
            Self::Words => cfg!(feature = "words"),
            Self::Painting => cfg!(feature = "painting"),
            Self::Attention => cfg!(feature = "attention"),
        }
    }

    /// As Cargo calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Cells => "cells",
            Self::Filter => "filter",
            Self::Scales => "scales",
            Self::Words => "words",
            Self::Painting => "painting",
            Self::Attention => "attention",
        }
    }

    /// `Ok` where this build has it.
    pub(super) const fn check(self) -> Result<(), ParseError> {
        if self.is_built() {
            Ok(())
        } else {
            Err(ParseError::FeatureOff(self))
        }
    }
}

/// A field of the header, of a record or of a stage, by its name in `docs/format.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum Field {
    AccWord,
    ArenaBytes,
    Bits,
    Cell,
    CellFraction,
    Classes,
    ColStride,
    Depth,
    /// Steps of a picture.
    DrawSteps,
    ElementOffsetTable,
    ElementScale,
    ElementScaleTable,
    ElementShift,
    ElementShiftTable,
    EveryStep,
    /// Fraction bits of what a filter reads.
    FilterFraction,
    /// log₂ of the steps of the mean that a filter takes off.
    FilterShift,
    /// How the weights of a dense map lie.
    Form,
    FrameValues,
    Gate,
    GoldenSteps,
    Hidden,
    HorizonShift,
    /// Offset of floats: that of all values, or of one of them.
    InputOffset,
    /// Real value of one LSB of floats: that of all values, or of one of them.
    InputLsb,
    InputType,
    InputWord,
    InputZero,
    Kind,
    Layers,
    /// Most words of a caption.
    Longest,
    MapValues,
    /// Where the next frame of a session that draws comes from.
    NextFrame,
    /// What the scores are.
    OutputKind,
    OutDigit,
    OutStride,
    OutWord,
    /// Weights beside those of the values, which are zero.
    Padding,
    /// Rows of a picture.
    PictureRows,
    SliceShift,
    SliceValues,
    SliceWord,
    Pool,
    Reserved,
    RowStride,
    /// 128 Σ w of the rows of bytes of a dense map.
    RowSums,
    Rows,
    Scales,
    ScalesWord,
    Shift,
    /// Tiles or pairs of a stage.
    Size,
    /// log₂ of what is left of h in the sum that a picture is made of.
    SumShift,
    SlabValues,
    SlabWord,
    Slices,
    Stages,
    Store,
    /// Offsets per row, per column or per value.
    Table,
    /// Real value of one LSB of a score.
    ValueLsb,
    /// Real value of a score of 0.
    ValueOffset,
    Values,
    VectorsPerStep,
    WeightsWord,
    /// Points of a window each way.
    WindowPoints,
    /// [`Model::frame_work`](crate::Model::frame_work).
    Work,
}

/// A field and the value that it cannot have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub field: Field,
    pub found: u32,
}

impl Fault {
    /// The error it is in a section.
    pub(super) fn of(self, section: Section) -> ParseError {
        ParseError::Field {
            section,
            field: self.field,
            found: self.found,
        }
    }
}

/// [`Fault`] unless `holds`.
#[inline(always)]
pub(super) fn check(holds: bool, field: Field, found: u32) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault { field, found })
    }
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Misaligned => f.write_str("model bytes must start at a multiple of 4"),
            Self::Truncated { found: 0, .. } => f.write_str("there is no model (0 bytes)"),
            Self::Truncated { need, found } => write!(f, "model has {found} bytes of {need}"),
            Self::Magic => f.write_str("not a .btm model (wrong first bytes)"),
            Self::Version { found } => {
                write!(
                    f,
                    "model file version {found}, this build reads {} to {}",
                    layout::VERSION_OLDEST,
                    layout::VERSION
                )
            }
            Self::Crc { stated, computed } => {
                write!(
                    f,
                    "model is damaged: CRC-32C is {computed:08x}, should be {stated:08x}"
                )
            }
            Self::UnknownSection { tag } => {
                f.write_str("model has a section this build does not know: ")?;
                for byte in tag {
                    write!(f, "{}", byte.escape_ascii())?;
                }
                Ok(())
            }
            Self::DuplicateSection(section) => write!(f, "model has section {section:?} twice"),
            Self::MissingSection(section) => write!(f, "model lacks section {section:?}"),
            Self::StraySection(section) => {
                write!(
                    f,
                    "model has section {section:?}, which nothing of it reads"
                )
            }
            Self::SectionBounds(section) => {
                write!(f, "model section {section:?} has impossible bounds")
            }
            Self::Field {
                section,
                field,
                found,
            } => {
                write!(f, "model section {section:?}: {field:?} cannot be {found}")
            }
            Self::Stage {
                section,
                stage,
                field,
            } => {
                write!(
                    f,
                    "model section {section:?}: stage {stage} has an impossible {field:?}"
                )
            }
            Self::Overflow { section, index } => {
                write!(
                    f,
                    "model section {section:?}: sum {index} could overflow 32 bits"
                )
            }
            Self::FrontEnd(error) => write!(f, "model section FrontEnd: {error}"),
            Self::NoFrontEnd => {
                f.write_str("model has an audio front end, this build none (feature `front-end`)")
            }
            Self::FeatureOff(feature) => {
                let what = match feature {
                    Feature::Dense => "a dense map",
                    Feature::Cells => "another cell than an LSTM's",
                    Feature::Filter => "a filter",
                    Feature::Scales => "offsets or scales of values",
                    Feature::Words => "words",
                    Feature::Painting => "pictures painted from latent values",
                    Feature::Attention => "pictures painted through windows",
                };
                write!(
                    f,
                    "model has {what}, this build none (feature `{}`)",
                    feature.name()
                )
            }
        }
    }
}

impl core::error::Error for ParseError {}
