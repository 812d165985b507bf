//! Detections while a stream is served: rules that come over the line, and what was detected last.

use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::error::DetectorError;
use bt_core::{Model, Session};
use heapless::Deque;

use crate::wire::{DETECTION_BYTES, Error, PART_BYTES_MAX, bytes_of};

/// Detections that are kept; what a reply holds.
const KEPT: usize = PART_BYTES_MAX / DETECTION_BYTES;

/// A detector, and what it detected since the reset.
pub(crate) struct Watcher<'a> {
    detector: Detector<'a>,
    last: Deque<Detection, KEPT>,
    /// Detections since the reset.
    total: u32,
    /// Steps before the window under way.
    steps_before: u32,
    /// Steps at the last look.
    steps: u32,
}

impl<'a> Watcher<'a> {
    /// Of a model of classes; `watches` has a place for each.
    pub(crate) fn new(model: &Model<'_>, watches: &'a mut [Watch]) -> Option<Self> {
        Some(Watcher {
            detector: Detector::new(model, watches).ok()?,
            last: Deque::new(),
            total: 0,
            steps_before: 0,
            steps: 0,
        })
    }

    pub(crate) fn watch(&mut self, class: usize, rule: Option<Rule>) -> Result<(), Error> {
        self.detector
            .watch(class, rule)
            .map_err(|error| match error {
                DetectorError::NoClass { classes } => Error::Class {
                    classes: classes as u32,
                },
                DetectorError::Threshold { .. } => Error::Rule { field: 1 },
                DetectorError::Smoothing { .. } => Error::Rule { field: 2 },
                _ => Error::NotClasses,
            })
    }

    pub(crate) fn set_window(&mut self, steps: u32) {
        self.detector.set_window(steps);
    }

    /// Whether any class is looked for.
    pub(crate) fn is_on(&self) -> bool {
        self.detector.is_on()
    }

    /// Whether the last look detected something, or what was detected before holds off the next.
    pub(crate) fn is_lit(&self) -> bool {
        let is_new = |last: &Detection| last.step == self.steps;
        self.detector.is_held() || self.last.back().is_some_and(is_new)
    }

    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    pub(crate) fn steps_before(&self) -> u32 {
        self.steps_before
    }

    /// As the session's reset.
    pub(crate) fn reset(&mut self) {
        self.detector.reset();
        self.last.clear();
        (self.total, self.steps_before, self.steps) = (0, 0, 0);
    }

    /// Looks at a step that was taken; nothing without rules and window.
    pub(crate) fn step(
        &mut self,
        session: &mut Session<'_, '_>,
        scores: &mut [i32],
    ) -> Result<Option<Detection>, Error> {
        let taken = session.steps();
        self.steps = self.steps_before.saturating_add(taken);
        if !self.is_on() && self.detector.window() == 0 {
            self.detector.pass();
            return Ok(None);
        }
        let found = self
            .detector
            .step(session, scores)
            .map_err(|_| Error::Session)?;
        if session.steps() == 0 {
            self.steps_before = self.steps_before.saturating_add(taken);
        }
        if let Some(found) = found {
            self.total = self.total.saturating_add(1);
            if self.last.is_full() {
                self.last.pop_front();
            }
            let kept = self.last.push_back(found);
            debug_assert!(kept.is_ok());
        }
        Ok(found)
    }

    /// Writes detections from `first` on, or from the oldest that is kept; its number, and the bytes written.
    pub(crate) fn write(&self, first: u32, bytes: &mut [u8; PART_BYTES_MAX]) -> (u32, usize) {
        let oldest = self.total.saturating_sub(self.last.len() as u32);
        let first = first.clamp(oldest, self.total);
        let wanted = self.last.iter().skip((first - oldest) as usize);
        let mut count = 0;
        for (place, found) in bytes
            .as_chunks_mut::<DETECTION_BYTES>()
            .0
            .iter_mut()
            .zip(wanted)
        {
            *place = bytes_of(found);
            count += DETECTION_BYTES;
        }
        (first, count)
    }
}
