//! What the linear layer behind the recurrence gives, of which hidden state.

use super::{HORIZON_MAX, product};
use crate::error::{Error, ErrorKind, Result};
use crate::heads::HeadName;
use bt_core::OutputKind;
use serde::{Deserialize, Serialize};

/// The linear layer behind the recurrence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadConfig {
    /// What it gives, and how many of them.
    #[serde(flatten)]
    pub gives: HeadKind,
    /// Which hidden state it reads.
    #[serde(default)]
    pub pool: Pool,
    /// Steps that [`Pool::Recent`] averages over, a power of two; 16 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<usize>,
    /// Where it is one to draw or to caption, the steps of the longest sequence that it learned from: as many are drawn,
    /// and a caption has no more. Of a head of pictures the steps in which one is painted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Of a head of pictures, the modes of the latent values of a step, Z = Z_1·…·Z_d, as many as of the hidden state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<Vec<usize>>,
    /// Of a head of pictures, their rows: pixels lie row by row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Of a head of pictures that are read and painted through windows, N of their N by N points; absent: as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<usize>,
    /// Names of the classes, the values or the bits; empty when the data set had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl HeadConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let (outputs, key) = (self.gives.outputs(), self.gives.key());
        let not_for = |why| ErrorKind::NotForHead {
            head: self.gives.name(),
            why,
        };
        let (least, why) = match self.gives.kind() {
            OutputKind::Classes if self.gives.is_next_word() => (
                WORD_FIRST + 1,
                "a vocabulary has an end, a place for what it has not, and at least 1 word",
            ),
            OutputKind::Classes => (2, "classification needs at least 2"),
            OutputKind::Values => (1, "a head gives at least 1 value"),
            OutputKind::Bits => (1, "a head gives at least 1 bit"),
        };
        if outputs < least {
            return Err(Error::out_of_range(outputs, why).field(format!("head.{key}")));
        }
        if !self.labels.is_empty() && self.labels.len() != outputs {
            let other = format!("head.{key} is");
            let labels = Error::mismatch("labels", self.labels.len(), outputs, other);
            return Err(labels.field("head.labels"));
        }
        if self.gives.every_step() && self.pool == Pool::Mean {
            let why = "the mean of all steps says little of the step just taken";
            return Err(Error::new(not_for(why))
                .field("head.pool")
                .remedy("with a head on every step take `pool recent` or `pool last`"));
        }
        if self.gives.is_next_word() && self.pool != Pool::Last {
            let why = "the next word is told by the state after the last one";
            return Err(Error::new(not_for(why))
                .field("head.pool")
                .remedy("take `pool last`"));
        }
        self.validate_drawing()?;
        match (self.pool, self.horizon) {
            (Pool::Recent, Some(horizon))
                if !horizon.is_power_of_two() || !(2..=HORIZON_MAX).contains(&horizon) =>
            {
                let allowed = format!("give a power of two, 2 to {HORIZON_MAX}");
                Err(Error::out_of_range(horizon, allowed).field("head.horizon"))
            }
            (Pool::Last | Pool::Mean, Some(horizon)) => Err(Error::out_of_range(
                horizon,
                "only the pool `recent` has one",
            )
            .field("head.horizon")),
            _ => Ok(()),
        }
    }

    /// That everything is there that the head draws by, and nothing that it does not.
    fn validate_drawing(&self) -> Result<()> {
        let pictures = self.gives.is_pictures();
        let latent = self.latent.as_ref();
        let latent = latent.map(|modes| product("head.latent", modes));
        let latent = latent.transpose()?;
        for (key, found, is_its, least) in [
            (
                "steps",
                self.steps,
                pictures || self.gives.is_next_frame() || self.gives.is_next_word(),
                "a drawing or a caption has at least 1 step",
            ),
            (
                "latent",
                latent,
                pictures,
                "a step has at least 1 latent value",
            ),
            ("rows", self.rows, pictures, "a picture has at least 1 row"),
            (
                "attention",
                self.attention,
                pictures,
                "a window has at least 2 by 2 points",
            ),
        ] {
            let error = match found {
                Some(0) => Error::out_of_range(0, least),
                Some(found) if !is_its => {
                    let heads = if key == "steps" {
                        "s `next_bits`, `next_words` and `draw` have"
                    } else {
                        " `draw` has"
                    };
                    Error::out_of_range(found, format!("only the head{heads} it"))
                }
                None if pictures && key != "attention" => {
                    Error::new(ErrorKind::Missing).remedy("the head `draw` needs it")
                }
                _ => continue,
            };
            return Err(error.field(format!("head.{key}")));
        }
        match (self.steps, self.rows) {
            (Some(steps), _) if pictures && steps > DRAW_STEPS_MAX => {
                let allowed = format!("a picture takes at most {DRAW_STEPS_MAX}");
                Err(Error::out_of_range(steps, allowed).field("head.steps"))
            }
            (_, Some(rows)) if !self.gives.outputs().is_multiple_of(rows) => {
                let allowed = format!("{} pixels are no such rows", self.gives.outputs());
                Err(Error::out_of_range(rows, allowed).field("head.rows"))
            }
            _ => match self.window() {
                Some([points, rows, columns]) if !(2..rows.min(columns)).contains(&points) => {
                    let allowed = format!(
                        "give 2 or more, fewer than pictures of {rows} by {columns} have either way"
                    );
                    Err(Error::out_of_range(points, allowed).field("head.attention"))
                }
                _ => Ok(()),
            },
        }
    }

    /// Where pictures are read and painted through windows, their points each way, and rows and columns of a picture.
    pub fn window(&self) -> Option<[usize; 3]> {
        let rows = self.rows.filter(|_| self.gives.is_pictures())?;
        Some([self.attention?, rows, self.gives.outputs() / rows])
    }

    /// Values of the linear layer: the outputs, or the points of a window that is painted.
    pub fn linear_values(&self) -> usize {
        match self.window() {
            Some([points, ..]) => points * points,
            None => self.gives.outputs(),
        }
    }

    /// Of a head of pictures, values of them that the encoder reads in a step, saturating: two of them, or two windows.
    pub fn read_values(&self) -> usize {
        let picture = match self.attention {
            Some(points) => points.saturating_mul(points),
            None => self.gives.outputs(),
        };
        picture.saturating_mul(2)
    }

    /// Most words of a caption: with its end it has as many steps as the longest that was learned from.
    pub fn caption_words(&self) -> usize {
        self.steps
            .map_or(CAPTION_WORDS, |steps| steps.saturating_sub(1).max(1))
    }

    /// Steps that [`Pool::Recent`] averages over; 1 with another pool.
    pub fn horizon(&self) -> usize {
        match self.pool {
            Pool::Recent => self.horizon.unwrap_or(HORIZON),
            Pool::Last | Pool::Mean => 1,
        }
    }
}

/// Numbers that place the two windows of a step, the one that reads and the one that paints.
pub(in crate::float) const PLACES: usize = 10;

/// Those of them that place the one that paints.
pub(crate) const PAINT_PLACES: std::ops::Range<usize> = PLACES / 2..PLACES;

/// Words of a caption at most, of a head that does not say.
const CAPTION_WORDS: usize = 40;

pub use bt_core::captions::{END, UNKNOWN};

/// The first word that has a meaning of its own.
const WORD_FIRST: usize = 2;

/// Most steps of a picture.
pub const DRAW_STEPS_MAX: usize = 1000;

/// Steps that [`Pool::Recent`] averages over where nothing says so.
pub const HORIZON: usize = 16;

/// What a head gives, and how many of them: one key of the metadata's `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// A score for each class, at the end of a sequence.
    Classes(usize),
    /// A score for each class, after every step.
    StepClasses(usize),
    /// Values in units of their own, at the end of a sequence.
    Values(usize),
    /// Values in units of their own, after every step.
    StepValues(usize),
    /// The logits of bits, independent of each other, at the end of a sequence.
    Bits(usize),
    /// The same after every step.
    StepBits(usize),
    /// The same after every step: the bits of the frame that follows.
    NextBits(usize),
    /// A score for each word of a vocabulary, after every step: the word that follows in a caption, by the picture,
    /// which is the only frame, and the words before it.
    NextWords(usize),
    /// The logits of the pixels of a picture, painted in several steps by latent values ([`HeadConfig::latent`]).
    Draw(usize),
}

impl HeadKind {
    /// What a head of this name gives, so many of them.
    pub fn of(name: HeadName, outputs: usize) -> HeadKind {
        match name {
            HeadName::Classes => HeadKind::Classes(outputs),
            HeadName::StepClasses => HeadKind::StepClasses(outputs),
            HeadName::Values => HeadKind::Values(outputs),
            HeadName::StepValues => HeadKind::StepValues(outputs),
            HeadName::Bits => HeadKind::Bits(outputs),
            HeadName::StepBits => HeadKind::StepBits(outputs),
            HeadName::NextBits => HeadKind::NextBits(outputs),
            HeadName::NextWords => HeadKind::NextWords(outputs),
            HeadName::Draw => HeadKind::Draw(outputs),
        }
    }

    /// Its name.
    pub fn name(self) -> HeadName {
        match self {
            HeadKind::Classes(_) => HeadName::Classes,
            HeadKind::StepClasses(_) => HeadName::StepClasses,
            HeadKind::Values(_) => HeadName::Values,
            HeadKind::StepValues(_) => HeadName::StepValues,
            HeadKind::Bits(_) => HeadName::Bits,
            HeadKind::StepBits(_) => HeadName::StepBits,
            HeadKind::NextBits(_) => HeadName::NextBits,
            HeadKind::NextWords(_) => HeadName::NextWords,
            HeadKind::Draw(_) => HeadName::Draw,
        }
    }

    /// Scores: one a class, a value or a bit.
    pub fn outputs(self) -> usize {
        let (HeadKind::Classes(outputs)
        | HeadKind::StepClasses(outputs)
        | HeadKind::Values(outputs)
        | HeadKind::StepValues(outputs)
        | HeadKind::Bits(outputs)
        | HeadKind::StepBits(outputs)
        | HeadKind::NextBits(outputs)
        | HeadKind::NextWords(outputs)
        | HeadKind::Draw(outputs)) = self;
        outputs
    }

    /// As of [`HeadName::every_step`].
    pub fn every_step(self) -> bool {
        self.name().every_step()
    }

    /// As of [`HeadName::kind`].
    pub fn kind(self) -> OutputKind {
        self.name().kind()
    }

    /// Whether what it gives is the frame that follows, so that a session can draw.
    pub fn is_next_frame(self) -> bool {
        self.name() == HeadName::NextBits
    }

    /// Whether what it gives are the words of a caption: a layer then reads the word before at every step, and its frame,
    /// the picture, once.
    pub fn is_next_word(self) -> bool {
        self.name() == HeadName::NextWords
    }

    /// Whether what it gives is a picture, painted in several steps.
    pub fn is_pictures(self) -> bool {
        self.name() == HeadName::Draw
    }

    /// The key of the metadata, such as `classes` or `step_values`.
    pub fn key(self) -> &'static str {
        match self {
            HeadKind::Classes(_) => "classes",
            HeadKind::StepClasses(_) => "step_classes",
            HeadKind::Values(_) => "values",
            HeadKind::StepValues(_) => "step_values",
            HeadKind::Bits(_) => "bits",
            HeadKind::StepBits(_) => "step_bits",
            HeadKind::NextBits(_) => "next_bits",
            HeadKind::NextWords(_) => "next_words",
            HeadKind::Draw(_) => "draw",
        }
    }
}

/// The hidden state that the head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The one after the last valid step; with a head on every step, after that step.
    #[default]
    Last,
    /// The mean over all valid steps; of more than 65,535 the recent ones weigh more, as on the device.
    Mean,
    /// The mean over about the last `horizon` steps, for streams without end: that over all steps at first,
    /// then m += (h − m) / horizon.
    Recent,
}
