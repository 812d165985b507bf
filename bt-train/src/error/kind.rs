//! What went wrong: the kinds of errors, each with what was needed and what was found.

use super::{FileKind, Foreign, Lack, With, times};
use crate::heads::HeadName;
use bt_core::error::ParseError;
use bt_core::internals::front_end::ConfigError;

/// The typed error of a room above, which this one does not know by name: `downcast_ref` does.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, for programs that want to tell the cases apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An array, tensor, key or file that must be there is not.
    #[error("is missing")]
    Missing,
    /// Bytes that are not what the file's name promises (cut short, not an archive, bad header…).
    #[error("cannot be read: {0}")]
    Malformed(String),
    /// An element type that is not taken here.
    #[error("is {found}")]
    ElementType {
        /// The type found, NumPy's name.
        found: String,
    },
    /// A shape other than the one that the rest asks for.
    #[error("has shape {found:?}, expected {expected}")]
    Shape {
        /// What would fit.
        expected: String,
        /// What is there.
        found: Vec<usize>,
    },
    /// A value out of its range.
    #[error("value {found} at {index} is outside {low}..={high}")]
    Range {
        /// The value.
        found: i64,
        /// Its index, row-major.
        index: usize,
        /// Smallest value allowed.
        low: i64,
        /// Largest value allowed.
        high: i64,
    },
    /// A NaN or an infinity in the data.
    #[error("holds a value that is not finite ({value}) at {index:?}")]
    NotFinite {
        /// The value.
        value: f32,
        /// Its index.
        index: Vec<usize>,
    },
    /// Modes whose product is not the width.
    #[error("{} multiply to {product}, but the width is {width}", times(modes))]
    Modes {
        /// The modes given.
        modes: Vec<usize>,
        /// Their product.
        product: usize,
        /// The width they should have multiplied to.
        width: usize,
    },
    /// More memory than there is.
    #[error("takes {:.2} GB of memory, {:.2} GB are free", *need as f64 / 1e9, *available as f64 / 1e9)]
    Memory {
        /// Bytes needed.
        need: u64,
        /// Bytes that can be had.
        available: u64,
    },
    /// No room for so many values, whatever the operating system says is free.
    #[error("there is no room for {values} values")]
    NoRoom {
        /// Values that were to be read.
        values: usize,
    },
    /// A number that cannot be.
    #[error("is {found}; {allowed}")]
    OutOfRange {
        /// The number given.
        found: Box<str>,
        /// What can be, in words: `give a number above 0`.
        allowed: Box<str>,
    },
    /// A setting of a wrong type, or a word that is none of those known, in the words of TOML.
    #[error("{0}")]
    Setting(Box<str>),
    /// Modes that multiply to more than is taken.
    #[error("{} is too large; give {allowed}", times(modes))]
    TooLarge {
        /// The modes given.
        modes: Vec<usize>,
        /// What is taken, in words.
        allowed: &'static str,
    },
    /// More names of classes, or longer ones, than are taken.
    #[error("holds {count} names of {characters} characters at most")]
    Names {
        /// Names there are.
        count: usize,
        /// Characters of the longest.
        characters: usize,
    },
    /// Modes that are no sizes.
    #[error("{modes:?} is not a list of positive sizes")]
    Sizes {
        /// The modes given.
        modes: Vec<usize>,
    },
    /// A tensor map of too few or too many modes.
    #[error("has {modes} modes; a tensor map takes {} to {}", allowed.start(), allowed.end())]
    Order {
        /// Modes given.
        modes: usize,
        /// How many there may be.
        allowed: std::ops::RangeInclusive<usize>,
    },
    /// Two numbers that must be the same.
    #[error("has {} {}, {} {}", .0.found, .0.what, .0.other, .0.expected)]
    Mismatch(Box<Mismatch>),
    /// Values of a type that the model does not take.
    #[error("holds {found}, the model takes {expected}")]
    ModelInput {
        /// The type found.
        found: Box<str>,
        /// What the model takes.
        expected: String,
    },
    /// Several things of which there can be one.
    #[error("{} could be meant: {what}", names.join(", "))]
    Several {
        /// What they are.
        what: &'static str,
        /// Their names.
        names: Vec<String>,
    },
    /// Targets of one kind where a head gives another.
    #[error("holds the {}, wanted is the {}", found.words(), expected.words())]
    Targets {
        /// What they are.
        found: HeadName,
        /// What the head gives.
        expected: HeadName,
    },
    /// A setting, flag or field that contradicts another, or means nothing beside it.
    #[error("{why}")]
    Conflict {
        /// The other.
        with: With,
        /// Why not both, in words that go on from the field.
        why: &'static str,
    },
    /// Something asked of a model that gives something else, or does not take it.
    #[error("{why}")]
    NotForHead {
        /// What the model gives, or what the targets ask of it.
        head: HeadName,
        /// Why it is nothing for such a model, in words that go on from the field.
        why: &'static str,
    },
    /// Modes of the input too small for the encoder of pictures.
    #[error("are {inputs} values, and the encoder reads {need}: two {read} and the hidden state")]
    EncoderInputs {
        /// Values of all modes.
        inputs: usize,
        /// Values that it reads at least.
        need: usize,
        /// What of a picture it reads: `pictures` or `windows`.
        read: &'static str,
    },
    /// A file or folder of another kind than what is read here.
    #[error("{0}")]
    FileKind(FileKind),
    /// A layer of another program that has no counterpart here.
    #[error("{0}")]
    Foreign(Foreign),
    /// A column or cell that should hold a number.
    #[error("`{found}` is no number")]
    NoNumber {
        /// What it holds.
        found: Box<str>,
    },
    /// A class of y that the names of the classes do not have.
    #[error("holds `{found}`")]
    UnknownClass {
        /// Its name.
        found: Box<str>,
    },
    /// A name that two things have.
    #[error("has `{name}` twice")]
    Twice {
        /// It.
        name: Box<str>,
    },
    /// A word of a caption behind the caption's end.
    #[error("has a word behind the end of row {row}, at {at}")]
    WordBehindEnd {
        /// Row of the array.
        row: usize,
        /// Column of the word.
        at: usize,
    },
    /// A value of frames that are told bit by bit which is neither 0 nor 1.
    #[error("holds value {found} at {at}; a model that draws gives bits")]
    NoBit {
        /// The value.
        found: f32,
        /// Its place, of all values.
        at: usize,
    },
    /// A `hold-out` that is no column with values.
    #[error("{found} is not of the form speaker=theo,yweweler")]
    HoldOut {
        /// What was given.
        found: Box<str>,
    },
    /// Nothing where there should be something.
    #[error("{0}")]
    Lacks(Lack),
    /// Samples that were cut into steps, where they must follow one another.
    #[error("is cut into steps of {width} samples and cannot be varied or delayed")]
    CutIntoSteps {
        /// Samples of a step.
        width: usize,
    },
    /// A cell of an index of recordings that cannot be.
    #[error("is {} for {recording}", if found.is_empty() { "empty".into() } else { format!("`{found}`") })]
    IndexCell {
        /// What the cell holds.
        found: Box<str>,
        /// The recording of its row.
        recording: Box<str>,
    },
    /// A number of the data that no f32 holds.
    #[error("{what} {value:.1e}, and no f32 holds {lost}")]
    NoFloat {
        /// What has the value, with a verb.
        what: Box<str>,
        /// The value.
        value: f64,
        /// What is to be kept: `it` or `the inverse`.
        lost: &'static str,
    },
    /// A tensor of ours in a file whose metadata do not ask for it.
    #[error("belongs to no part of the metadata's model")]
    StrayTensor,
    /// A front end that cannot be.
    #[error("{0}")]
    FrontEnd(#[from] ConfigError),
    /// The best plan found does not keep to the limits.
    #[error(
        "no plan fits; the closest ({}) needs {} bytes of RAM and {} bytes of flash",
        .0.plan, .0.ram_bytes, .0.flash_bytes
    )]
    OverLimits(Box<OverLimits>),
    /// Every plan has a partial result that the model file cannot describe.
    #[error("every plan has a partial result that is too large for the device")]
    NoPlan,
    /// No factorization of a layer keeps to the limits.
    #[error("no shape of {inputs} values and {units} units keeps to the limits")]
    NoShape {
        /// Values of a frame.
        inputs: usize,
        /// Hidden units.
        units: usize,
    },
    /// No model that could be searched for keeps to the limits.
    #[error(
        "none of {} models looked at keeps to the limits; the nearest ({}) needs {}",
        .0.looked_at, .0.nearest, exceeded(&.0.over)
    )]
    NothingFits(Box<NothingFits>),
    /// Of the trials of a search none came to anything.
    #[error("every trial failed; the first: {first}")]
    EveryTrialFailed {
        /// Why.
        first: Box<str>,
    },
    /// A plan that cannot be carried out.
    #[error("{0}")]
    Lower(Cause),
    /// A map that cannot be turned into integers.
    #[error("the {map} map: {error}")]
    Quantize {
        /// `input` or `recurrent`.
        map: &'static str,
        /// Why not.
        error: Cause,
    },
    /// What was exported is no model: a mistake of this program.
    #[error("the exported model is refused: {0}")]
    Exported(ParseError),
    /// The device's code refused what it was fed: a mistake of this program.
    #[error("{0}")]
    Device(Cause),
    /// A mistake of this program that no input should bring about.
    #[error("{0}")]
    Internal(&'static str),
    /// The folder of a new run holds another.
    #[error("holds a run already")]
    RunExists,
    /// A run that goes on was started with another setting.
    #[error("is {told}, but the run was started with {started}")]
    OtherSetting {
        /// The value now.
        told: Box<str>,
        /// The value then.
        started: Box<str>,
    },
    /// A setting that the model to start from does not have.
    #[error("is {told}, but the model to start from has {model}")]
    OtherModel {
        /// The value told.
        told: Box<str>,
        /// The model's.
        model: Box<str>,
    },
    /// The loss of a kind of model went out of bounds at every learning rate tried.
    #[error("the loss of {map} explodes at every rate tried")]
    EveryRateDiverged {
        /// The input map.
        map: String,
    },
    /// A key that nothing reads.
    #[error("unknown key")]
    UnknownKey,
    /// The loss went out of bounds.
    #[error("the loss became {loss} at update {update} of epoch {epoch}")]
    Diverged {
        /// The loss.
        loss: f32,
        /// Update within the epoch, from 1.
        update: usize,
        /// Epoch, from 1.
        epoch: usize,
    },
    /// Another process writes in the folder.
    #[error("another training run writes here")]
    InUse,
    /// A run that goes on was started with another data set.
    #[error("the run was started with another data set")]
    OtherData,
    /// A class without a single training sequence.
    #[error("class {class} has no training sequence")]
    ClassMissing {
        /// The class.
        class: usize,
    },
    /// A command used wrongly, in words (exit status 2).
    #[error("{0}")]
    Usage(String),
    /// A flag with a value that cannot be (exit status 2).
    #[error("{0}")]
    Flag(Box<ErrorKind>),
    /// Stopped by Ctrl-C; what was written can be used.
    #[error("interrupted after epoch {epochs}")]
    Interrupted {
        /// Epochs completed.
        epochs: usize,
    },
}

/// Two numbers that must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What is counted: `features a step`.
    pub what: &'static str,
    /// The number found.
    pub found: usize,
    /// The other one.
    pub expected: usize,
    /// Who says the other, with a verb: `the model takes`.
    pub other: String,
}

/// What was allowed, and what the plan nearest to it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverLimits {
    /// The plan of the input map.
    pub plan: String,
    /// RAM of a session by that plan.
    pub ram_bytes: usize,
    /// Flash of both maps by it.
    pub flash_bytes: usize,
    /// RAM that was allowed.
    pub ram_limit: Option<usize>,
    /// Flash that was allowed.
    pub flash_limit: Option<usize>,
}

/// What comes nearest to limits that nothing keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NothingFits {
    /// Models that were looked at.
    pub looked_at: usize,
    /// The nearest, in words.
    pub nearest: String,
    /// By which limits it fails.
    pub over: Vec<Exceeded>,
}

/// A limit, and what is needed instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Its key: `ram`, `flash` or `ms-per-step`.
    pub limit: &'static str,
    /// What is needed, in bytes or milliseconds.
    pub need: String,
    /// What is allowed.
    pub has: String,
}

fn exceeded(over: &[Exceeded]) -> String {
    let words = over.iter().map(|over| {
        let unit = match over.limit {
            "ram" => "bytes of RAM",
            "flash" => "bytes of flash",
            _ => "ms a step",
        };
        format!("{} {unit} where {} are allowed", over.need, over.has)
    });
    words.collect::<Vec<_>>().join(" and ")
}
