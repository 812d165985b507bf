//! The cases of those kinds of errors that have several.

/// What stands beside a setting or a field, so that both cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum With {
    /// The variations of `augment`.
    Augment,
    /// Captions, which are targets themselves.
    Captions,
    /// A cell without a map from the hidden state.
    Cell,
    /// A single file, which has no recordings to part.
    File,
    /// Frames, which are no sound.
    Frames,
    /// A file that is read, where another is to be written.
    Input,
    /// Floats where integers are written, or the other way round.
    Kind,
    /// The setting that it needs is not given: `frame` for variations of images, `frames` for `jitter`.
    Nothing,
    /// The search, which sets it for every trial.
    Search,
    /// Sound, which a front end makes into steps.
    Sound,
    /// Streams, whose events have their times and whose parts are folders.
    Streams,
    /// Sequences of one step.
    SingleSteps,
}

/// What a file or folder is that something else was asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileKind {
    /// Neither a model of ours nor the folder of a run.
    #[error("is no model file that is known here")]
    Unknown,
    /// A `.btm` file where floats are read.
    #[error("is in integers already, and this reads floats")]
    Integers,
    /// A model of ours where another program's is imported.
    #[error("is a model of bt-train already")]
    Ours,
    /// `.pt`, `.pth`, `.bin` or `.ckpt`.
    #[error("is PyTorch's own format")]
    PyTorch,
    /// `.onnx`.
    #[error("is an ONNX file")]
    Onnx,
    /// `.h5`, `.hdf5` or `.keras`.
    #[error("is a Keras file")]
    Keras,
    /// A `.csv` log where a data set is read.
    #[error("is a log, no data set")]
    Log,
    /// A folder of streams where one of parts is read.
    #[error("is a single folder of streams")]
    SingleFolder,
}

/// What other programs' layers have and ours do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Foreign {
    /// A layer that runs backwards too.
    #[error(
        "belongs to a bidirectional layer, which a stream cannot feed; train one that goes forward only"
    )]
    Bidirectional,
    /// A projection of the hidden state.
    #[error("is a projection (proj_size), which is not supported")]
    Projection,
    /// Two linear layers behind the recurrence.
    #[error("could be a second linear layer behind the first; one is supported")]
    SecondLinear,
    /// A linear layer before the recurrence.
    #[error("could be a linear layer before the recurrent one, which is not supported")]
    LinearBefore,
    /// A recurrence without gates.
    #[error("is of an nn.RNN, which is not supported; train an nn.LSTM or nn.GRU")]
    PlainRnn,
}

/// What is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lack {
    /// A log without rows.
    #[error("holds no row")]
    Rows,
    /// A folder without logs.
    #[error("holds no .csv file")]
    Logs,
    /// Logs without a column of numbers.
    #[error("no column holds numbers")]
    NumberColumns,
    /// No stretch of a log that a window fits into.
    #[error("no stretch of one class without a gap is {need} rows long; the longest has {longest}")]
    Stretch {
        /// Rows of a window.
        need: usize,
        /// Rows of the longest stretch.
        longest: usize,
    },
    /// No row with a value that is held out.
    #[error("no row has the value `{value}` in column `{column}`")]
    HeldRows {
        /// The value.
        value: Box<str>,
        /// The column.
        column: Box<str>,
    },
    /// No recording with a value that is held out.
    #[error("no recording has the value `{value}`")]
    HeldRecordings {
        /// The value.
        value: Box<str>,
    },
    /// A recording without samples.
    #[error("holds no sample")]
    Samples,
    /// Values that are no samples of 16 bits.
    #[error("holds {found}, no samples of 16 bits")]
    Samples16 {
        /// The type found.
        found: Box<str>,
    },
    /// A recording that fills no step.
    #[error("holds a recording of {samples} samples, less than a step of {need}")]
    Step {
        /// Samples of the recording.
        samples: usize,
        /// Samples of a step.
        need: usize,
    },
    /// A folder without recordings.
    #[error("holds no .wav or .flac file")]
    Recordings,
    /// A folder with neither an index nor folders of classes.
    #[error("holds neither index.csv nor folders of .wav or .flac files")]
    Index,
    /// A part to which no recording belongs.
    #[error("no recording is in the {part} part")]
    RecordingsOfPart {
        /// The part.
        part: &'static str,
    },
    /// A part without its folder of streams.
    #[error("has no folder {part} with events.csv")]
    PartFolder {
        /// The folder's name.
        part: &'static str,
    },
    /// A folder without clips in folders of classes.
    #[error("holds no clips in folders of classes")]
    Clips,
    /// Clips of one class alone.
    #[error("holds clips of one class, `{class}`")]
    SecondClass {
        /// The class.
        class: Box<str>,
    },
    /// A class of which every clip was left out.
    #[error("no clip of the class `{class}` can be used{first}")]
    UsableClips {
        /// The class.
        class: Box<str>,
        /// The first left out and why, after a semicolon; empty where there is none.
        first: Box<str>,
    },
    /// A caption without words.
    #[error("has no word in row {row}")]
    Words {
        /// Row of the array.
        row: usize,
    },
    /// Pictures without captions.
    #[error("has no captions")]
    Captions,
    /// No validation part, where models are ranked by it.
    #[error("leaves nothing to rank models by")]
    Validation,
    /// No front end, where recordings are read.
    #[error("takes no sound")]
    FrontEnd,
}
