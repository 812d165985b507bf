//! Several models that listen in turn to one stream: a wake word, then a command.
//!
//! They share one arena, as large as the largest of them needs: whoever listens has all of it, and begins as at the
//! start of a recording. Two models that listen at the same time are two sessions with an arena each.
//!
//! ```
//! use bt_core::detection::{Detection, Rule};
//! use bt_embed::listen::{Listener, ListenError, Task};
//! use embedded_io::Read;
//!
//! /// The next command after a wake word. Firmware keeps the listener in a static.
//! fn command<S: Read, const ARENA: usize, const CLASSES: usize>(
//!     listener: &mut Listener<ARENA, CLASSES>,
//!     wake_word: Task,
//!     commands: Task,
//!     microphone: &mut S,
//! ) -> Result<Detection, ListenError<S::Error>> {
//!     loop {
//!         // Its limit of steps is `None`: it listens until it hears.
//!         listener.listen(wake_word, microphone)?;
//!         // Its limit is two seconds or so.
//!         if let Some(command) = listener.listen(commands, microphone)? {
//!             return Ok(command);
//!         }
//!     }
//! }
//! ```

use core::fmt;

use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::sound::FrontEnd;
use bt_core::{Error, InputType, Model, Session};
use embedded_io::Read;

/// Bytes that are read at once, whole values of every type.
const PIECE_BYTES: usize = 64;

/// The larger of two sizes, for a listener's memory.
pub const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// A model, and what is listened for with it.
#[derive(Clone, Copy, Debug)]
pub struct Task<'m> {
    /// A model of classes.
    pub model: &'m Model<'m>,
    /// The classes that are looked for.
    pub rules: &'m [(usize, Rule)],
    /// Steps of a window, 0 for a state that goes on: see [`Detector::set_window`].
    pub window: u32,
    /// Steps after which nothing more is waited for; `None` for no end.
    pub steps_max: Option<u32>,
}

/// The memory of models that listen in turn: `ARENA` words, [`bt_core::arena_words`] of the model that needs most, and
/// places for `CLASSES` scores, [`bt_core::output_count`] of the model that has most.
#[derive(Debug)]
pub struct Listener<const ARENA: usize, const CLASSES: usize> {
    arena: [u32; ARENA],
    scores: [i32; CLASSES],
    watches: [Watch; CLASSES],
    piece: [u8; PIECE_BYTES],
    /// Bytes of the piece that came, and those of them that were taken.
    came: usize,
    taken: usize,
    /// What the stream was taken for so far.
    stream: Option<Stream>,
}

/// What a model takes its stream for. Two that differ cannot share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    input_type: InputType,
    /// Samples a second, of sound; or values of a frame.
    sample_hz: u32,
    frame_values: usize,
}

impl Stream {
    fn of(model: &Model<'_>) -> Self {
        let sample_hz = model.front_end().map(FrontEnd::sample_rate_hz);
        Stream {
            input_type: model.input_type(),
            sample_hz: sample_hz.unwrap_or(0),
            frame_values: match sample_hz {
                Some(_) => 0,
                None => model.frame_values(),
            },
        }
    }
}

impl<const ARENA: usize, const CLASSES: usize> Listener<ARENA, CLASSES> {
    /// Memory at rest.
    pub const fn new() -> Self {
        Listener {
            arena: [0; ARENA],
            scores: [0; CLASSES],
            watches: [Watch::OFF; CLASSES],
            piece: [0; PIECE_BYTES],
            came: 0,
            taken: 0,
            stream: None,
        }
    }

    /// Listens with a model, from its start, until something is detected or its steps are over (`None`). The next one
    /// goes on behind the last value that this one took.
    ///
    /// Between two reads there are at most a read's 64 bytes, with their steps: a watchdog is fed where `source` reads.
    ///
    /// # Errors
    ///
    /// [`ListenError`]. After one, what was read and not taken is forgotten: of a stream of frames the next byte begins
    /// one.
    pub fn listen<S: Read>(
        &mut self,
        task: Task<'_>,
        source: &mut S,
    ) -> Result<Option<Detection>, ListenError<S::Error>> {
        let result = self.detect(task, source);
        if result.is_err() {
            (self.came, self.taken) = (0, 0);
        }
        result
    }

    /// The scores that the last step of this model left; those of another model's tell nothing.
    pub fn scores(&self, model: &Model<'_>) -> &[i32] {
        self.scores.get(..model.outputs()).unwrap_or_default()
    }

    fn detect<S: Read>(
        &mut self,
        task: Task<'_>,
        source: &mut S,
    ) -> Result<Option<Detection>, ListenError<S::Error>> {
        let model = task.model;
        let stream = Stream::of(model);
        if *self.stream.get_or_insert(stream) != stream {
            return Err(ListenError::OtherStream);
        }
        let (need, found) = (model.outputs(), CLASSES);
        let too_many = || ListenError::Classes { need, found };
        let scores = self.scores.get_mut(..need).ok_or_else(too_many)?;
        let watches = self.watches.get_mut(..need).ok_or_else(too_many)?;
        let mut detector = Detector::new(model, watches).map_err(Error::from)?;
        for &(class, rule) in task.rules {
            detector.watch(class, Some(rule)).map_err(Error::from)?;
        }
        detector.set_window(task.window);
        let mut session = Session::new(model, &mut self.arena).map_err(Error::from)?;
        let mut steps = 0;
        while task.steps_max.is_none_or(|most| steps < most) {
            let width = stream.input_type.bytes();
            while self.came - self.taken < width {
                self.piece.copy_within(self.taken..self.came, 0);
                (self.came, self.taken) = (self.came - self.taken, 0);
                let room = self.piece.get_mut(self.came..).unwrap_or_default();
                match source.read(room).map_err(ListenError::Source)? {
                    0 => return Err(ListenError::End),
                    count => self.came += count,
                }
            }
            let values = (self.came - self.taken) / width * width;
            let mut rest = self
                .piece
                .get(self.taken..self.taken + values)
                .unwrap_or_default();
            let is_due = session.feed(&mut rest).map_err(Error::from)?;
            self.taken += values - rest.len();
            if is_due {
                session.step().map_err(Error::from)?;
                steps += 1;
                let found = detector.step(&mut session, scores).map_err(Error::from)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }
}

impl<const ARENA: usize, const CLASSES: usize> Default for Listener<ARENA, CLASSES> {
    fn default() -> Self {
        Listener::new()
    }
}

/// Why nobody listens any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ListenError<E> {
    /// The source failed. Whoever listens again begins anew.
    Source(E),
    /// The source ended.
    End,
    /// The model takes another type of value, rate of samples or frame than one that listened before.
    OtherStream,
    /// The model has more classes than there is room for.
    Classes {
        /// [`Model::outputs`].
        need: usize,
        /// Room.
        found: usize,
    },
    /// The arena is too small, the model tells no classes, or a rule is none.
    Core(Error),
}

impl<E> From<Error> for ListenError<E> {
    fn from(error: Error) -> Self {
        ListenError::Core(error)
    }
}

impl<E: fmt::Debug> fmt::Display for ListenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::Source(error) => write!(f, "the source failed: {error:?}"),
            ListenError::End => f.write_str("the source ended"),
            ListenError::OtherStream => f.write_str(
                "models that listen in turn want one type of value, one rate and one length of frames",
            ),
            ListenError::Classes { need, found } => {
                write!(f, "there is room for {found} scores, the model gives {need}")
            }
            ListenError::Core(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for ListenError<E> {}
