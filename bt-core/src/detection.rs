//! From scores after every step to detections.
//!
//! [`Detector`] stands behind a session and says once when something was heard or seen: the softmax of the scores,
//! smoothed, a threshold and a hold-off for each class. All in integers, so that host and device tell the same detections
//! at the same steps; a probability of K classes is at most 2 + ⅜·K of 32,768 off. Its memory is a [`Watch`] for each
//! class. `bt-train detect` counts misses and false alarms an hour by the same code.
//!
//! ```
//! use bt_core::{Error, Model, Session};
//! use bt_core::detection::{Detection, Detector, Rule, Watch};
//!
//! /// The first time that class 0 is detected in these samples.
//! fn wait_for_wake_word(
//!     model: &Model,
//!     arena: &mut [u32],
//!     mut samples: &[u8],
//! ) -> Result<Option<Detection>, Error> {
//!     let (mut watches, mut scores) = ([Watch::OFF; 12], [0; 12]);
//!     let mut detector = Detector::new(model, &mut watches)?;
//!     // From 0.8 on, smoothed over 8 steps, and then a pause of 62.
//!     detector.watch(0, Some(Rule { threshold: 26_214, smoothing: 3, hold_off: 62 }))?;
//!     let mut session = Session::new(model, arena)?;
//!     while session.feed(&mut samples)? {
//!         session.step()?;
//!         if let Some(detection) = detector.step(&mut session, &mut scores)? {
//!             return Ok(Some(detection));
//!         }
//!     }
//!     Ok(None)
//! }
//! ```

pub(crate) mod error;

use crate::model::Model;
use crate::session::{ScoresError, Session};
use crate::softmax::Softmax;

use error::DetectorError;

/// When a class counts as detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rule {
    /// Smoothed probability from which on the class is detected, Q0.15: 1 ..= [`Rule::THRESHOLD_MAX`].
    pub threshold: u16,
    /// log₂ of the looks that the probability is smoothed over, 0 (not at all) ..= [`Rule::SMOOTHING_MAX`]: of the
    /// distance to each new value it goes 2^−smoothing.
    pub smoothing: u8,
    /// Looks after a detection of this class in which nothing is detected.
    pub hold_off: u16,
}

impl Rule {
    /// Largest threshold, 1 − 2⁻¹⁵.
    pub const THRESHOLD_MAX: u16 = i16::MAX as u16;

    /// Most smoothing, over 1024 looks.
    pub const SMOOTHING_MAX: u8 = 10;

    /// # Errors
    ///
    /// [`DetectorError::Threshold`] and [`DetectorError::Smoothing`], with what was found.
    pub fn check(self) -> Result<(), DetectorError> {
        if !(1..=Self::THRESHOLD_MAX).contains(&self.threshold) {
            let found = self.threshold;
            return Err(DetectorError::Threshold { found });
        }
        if self.smoothing > Self::SMOOTHING_MAX {
            let found = self.smoothing;
            return Err(DetectorError::Smoothing { found });
        }
        Ok(())
    }
}

/// A class was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Detection {
    /// The class.
    pub class: usize,
    /// Steps from the reset to here, this one included; 2³² − 1 for more.
    pub step: u32,
    /// Its smoothed probability, Q0.15: threshold ..= 32768.
    pub confidence: u16,
}

/// What a detector keeps of one class: its rule, and the probability so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Watch {
    rule: Option<Rule>,
    /// The smoothed probability · 2^smoothing, at most 2^(15 + 10).
    sum: u32,
}

impl Watch {
    /// A class that is not looked for.
    pub const OFF: Watch = Watch { rule: None, sum: 0 };

    /// Moves the smoothed probability on by a look and returns it, Q0.15. It settles on a steady value to the bit.
    fn smooth(&mut self, smoothing: u8, probability: u16) -> u16 {
        let shift = u32::from(smoothing);
        self.sum = self.sum - (self.sum >> shift) + u32::from(probability);
        (self.sum >> shift) as u16
    }
}

/// Looks at a session's scores and says when a class is detected.
///
/// After a step, each class with a rule gets its probability (the softmax over all classes), which is smoothed. Of those
/// at or above their thresholds the most probable is detected, unless a detection before still holds it off. Classes
/// without a rule, such as the background, are never detected.
///
/// The state (h, c) goes on for ever, or, with a [window](Detector::set_window), begins anew every so many steps: then
/// there is one look, at the window's end. Smoothing and hold-off count looks.
pub struct Detector<'a> {
    watches: &'a mut [Watch],
    score_shift: i32,
    /// Steps of a window; 0 without.
    window: u32,
    /// Steps of the window that were taken.
    taken: u32,
    /// Looks that a detection still holds off.
    held: u16,
    steps: u32,
}

impl<'a> Detector<'a> {
    /// Places that a detector of the model takes, one for each class; 0 where nothing is detected: of values, bits and
    /// words.
    pub fn places(model: &Model<'_>) -> usize {
        match model.caption_words() {
            Some(_) => 0,
            None => model.classes(),
        }
    }

    /// A detector of a model's classes, none of which it looks for yet. `watches` has a place for each.
    ///
    /// # Errors
    ///
    /// [`DetectorError::NotClasses`] of a model of values, bits or words, [`DetectorError::WrongLength`].
    pub fn new(model: &Model<'_>, watches: &'a mut [Watch]) -> Result<Self, DetectorError> {
        let (need, found) = (Self::places(model), watches.len());
        if need == 0 {
            return Err(DetectorError::NotClasses);
        }
        if need != found {
            return Err(DetectorError::WrongLength { need, found });
        }
        watches.fill(Watch::OFF);
        Ok(Self {
            watches,
            score_shift: model.score_shift(),
            window: 0,
            taken: 0,
            held: 0,
            steps: 0,
        })
    }

    /// Looks for a class by this rule from now on, or no longer. The rule that it has already changes nothing.
    ///
    /// # Errors
    ///
    /// [`DetectorError::NoClass`], or as [`Rule::check`]; the rule before stays then.
    pub fn watch(&mut self, class: usize, rule: Option<Rule>) -> Result<(), DetectorError> {
        let classes = self.watches.len();
        let Some(watch) = self.watches.get_mut(class) else {
            return Err(DetectorError::NoClass { classes });
        };
        rule.map_or(Ok(()), Rule::check)?;
        if watch.rule != rule {
            *watch = Watch { rule, sum: 0 };
        }
        Ok(())
    }

    /// The rule of a class; `None` where it is not looked for, or there is none.
    pub fn rule(&self, class: usize) -> Option<Rule> {
        self.watches.get(class).and_then(|watch| watch.rule)
    }

    /// Whether any class is looked for.
    pub fn is_on(&self) -> bool {
        self.watches.iter().any(|watch| watch.rule.is_some())
    }

    /// Steps after which the state begins anew, as at the start of the clips that a model was trained with; 0, as at
    /// first, for a state that goes on. Another number than before begins a window.
    pub fn set_window(&mut self, steps: u32) {
        if self.window != steps {
            (self.window, self.taken) = (steps, 0);
        }
    }

    /// Steps of a window, 0 without.
    pub fn window(&self) -> u32 {
        self.window
    }

    /// Whether a detection before holds off the next.
    pub fn is_held(&self) -> bool {
        self.held > 0
    }

    /// Forgets probabilities, detections and steps, as a session's reset does; rules and window stay.
    pub fn reset(&mut self) {
        for watch in self.watches.iter_mut() {
            watch.sum = 0;
        }
        (self.taken, self.held, self.steps) = (0, 0, 0);
    }

    /// To be called after every [`Session::step`]: takes the session's scores into `scores` and looks at them, or with
    /// a window where it ends, after which the session [restarts](Session::restart).
    ///
    /// # Errors
    ///
    /// As [`Session::scores`]; the session is as before then.
    pub fn step(
        &mut self,
        session: &mut Session<'_, '_>,
        scores: &mut [i32],
    ) -> Result<Option<Detection>, ScoresError> {
        session.scores(scores)?;
        self.pass();
        if self.window == 0 {
            return self.look(scores);
        }
        self.taken = self.taken.saturating_add(1);
        if self.taken < self.window {
            return Ok(None);
        }
        let found = self.look(scores)?;
        self.taken = 0;
        session.restart();
        Ok(found)
    }

    /// In the place of [`Detector::step`] after a step that nobody wants to look at: it counts.
    pub fn pass(&mut self) {
        self.steps = self.steps.saturating_add(1);
    }

    /// A look at scores that are there, of a model that shares out its steps otherwise.
    ///
    /// # Errors
    ///
    /// [`ScoresError::WrongLength`].
    pub fn look(&mut self, scores: &[i32]) -> Result<Option<Detection>, ScoresError> {
        let (need, found) = (self.watches.len(), scores.len());
        if need != found {
            return Err(ScoresError::WrongLength { need, found });
        }
        let softmax = Softmax::new(scores, self.score_shift);
        let found = self.judge(|class| softmax.probability(scores.get(class).copied()));
        Ok(found)
    }

    /// A look at probabilities, Q0.15 (0 ..= 32768), as [`probabilities`] makes them of scores: for the host, which
    /// tries rule after rule on one recording.
    #[doc(hidden)]
    pub fn judge(&mut self, probability: impl Fn(usize) -> u16) -> Option<Detection> {
        let mut best: Option<(usize, u16, Rule)> = None;
        for (class, watch) in self.watches.iter_mut().enumerate() {
            let Some(rule) = watch.rule else { continue };
            let smoothed = watch.smooth(rule.smoothing, probability(class));
            let is_more = best.is_none_or(|(_, so_far, _)| smoothed > so_far);
            if smoothed >= rule.threshold && is_more {
                best = Some((class, smoothed, rule));
            }
        }
        if self.held > 0 {
            self.held -= 1;
            return None;
        }
        let (class, confidence, rule) = best?;
        self.held = rule.hold_off;
        Some(Detection {
            class,
            step: self.steps,
            confidence,
        })
    }
}

/// Where it stands, not what it keeps of every class.
impl core::fmt::Debug for Detector<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Detector")
            .field("classes", &self.watches.len())
            .field("window", &self.window)
            .field("steps", &self.steps)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Detector<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Detector {{ classes: {=usize}, window: {=u32}, steps: {=u32}, held: {=u16} }}",
            self.watches.len(),
            self.window,
            self.steps,
            self.held,
        );
    }
}

#[cfg(test)]
mod tests;
