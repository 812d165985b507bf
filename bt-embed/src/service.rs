//! Requests carried out on a session: everything the device does but the line.

mod about;
mod drawing;
mod refusal;
mod state;
mod telling;

pub use about::FIRMWARE;
pub use refusal::Refusal;

use bt_core::detection::{Detector, Watch};
use bt_core::drawing::NextFrame;
use bt_core::error::StepError;
use bt_core::health::Scrub;
use bt_core::{InputType, Model, OutputKind, SelfTest, Session};
use embedded_hal::digital::OutputPin;

use crate::board::{Stack, Ticks};
use crate::confidence::{self, Best};
use crate::watcher::Watcher;
use crate::wire::{
    Error, Golden, LineCounts, PART_BYTES_MAX, Raw, Reply, Request, Scores, Statistics,
};
use drawing::Drawing;
use telling::{Caption, Telling};

/// Without rules the LED is lit while the confidence is at least this; with rules from a detection on, as long as it
/// holds off the next.
pub const DETECTION_CONFIDENCE: f32 = 0.9;

/// Bytes of the model that are read again after a step: one for so much of the step's work, a CRC's ten instructions
/// a byte being the work of ten.
const WORK_A_SCRUBBED_BYTE: usize = 2000;

/// However small a step is.
const SCRUB_BYTES_MIN: usize = 16;

/// However large.
const SCRUB_BYTES_MAX: usize = 4096;

/// The memory of a service.
pub struct Places<'a> {
    /// At least [`Model::arena_bytes`].
    pub arena: &'a mut [u32],
    /// A place for each score.
    pub scores: &'a mut [i32],
    /// Bits of a drawing, as many, of a model that draws its next frame.
    pub drawn: &'a mut [u8],
    /// Rules of detection, [`Detector::places`].
    pub watches: &'a mut [Watch],
}

/// A session, its scores, and what the clock and the LED say about them.
pub struct Service<'m, 'a, T, L> {
    session: Session<'m, 'a>,
    /// The model's file, read again and again.
    file: &'m [u8],
    scrub: Scrub,
    is_damaged: bool,
    scores: &'a mut [i32],
    /// The bits of the drawing's last step.
    drawn: &'a mut [u8],
    drawing: Option<Drawing>,
    telling: Option<Telling>,
    best: Option<Best>,
    next_sequence: u32,
    half_value: Option<u8>,
    golden: Golden,
    statistics: Statistics,
    /// Ticks so far of the step under way.
    step_ticks: u32,
    /// Ticks of a step of the self test.
    boot_step_ticks: u32,
    /// Of a model of classes.
    watcher: Option<Watcher<'a>>,
    /// Where the last part of a state lay, and what came of it.
    last_part: Option<(u32, Result<(), Error>)>,
    part: [u8; PART_BYTES_MAX],
    ticks: T,
    led: L,
}

impl<'m, 'a, T: Ticks, L: OutputPin> Service<'m, 'a, T, L> {
    /// A session at its start, after the model's self test. `file` is where the model was
    /// parsed from; `places` may be longer than the model needs.
    ///
    /// # Errors
    ///
    /// [`Refusal::Classes`] or [`Refusal::Session`] when they do not.
    pub fn new(
        model: &'m Model<'m>,
        file: &'m [u8],
        places: Places<'a>,
        ticks: T,
        led: L,
    ) -> Result<Self, Refusal> {
        let Places {
            arena,
            scores,
            drawn,
            watches,
        } = places;
        let need = model.outputs();
        let bits = match model.next_frame() {
            NextFrame::Drawn => need,
            _ => 0,
        };
        let rules = Detector::places(model);
        let mut found = scores.len();
        for (need, there) in [(bits, drawn.len()), (rules, watches.len())] {
            if there < need {
                found = found.min(there);
            }
        }
        let too_many = Refusal::Classes { need, found };
        let scores = scores.get_mut(..need).ok_or(too_many)?;
        let drawn = drawn.get_mut(..bits).ok_or(too_many)?;
        let watches = watches.get_mut(..rules).ok_or(too_many)?;
        let mut session = Session::new(model, arena).map_err(Refusal::Session)?;
        let start = ticks.now();
        let golden = match session.self_test_in_pieces(&mut || ticks.alive()) {
            SelfTest::Passed => Golden::Passed,
            SelfTest::Failed { .. } => Golden::Failed,
        };
        let test_ticks = ticks.now().wrapping_sub(start);
        Ok(Service {
            session,
            file,
            scrub: Scrub::default(),
            is_damaged: false,
            scores,
            drawn,
            drawing: None,
            telling: None,
            best: None,
            next_sequence: 0,
            half_value: None,
            golden,
            statistics: Statistics::default(),
            step_ticks: 0,
            boot_step_ticks: test_ticks.div_ceil(model.meta().golden_steps.max(1)),
            watcher: Watcher::new(model, watches),
            last_part: None,
            part: [0; PART_BYTES_MAX],
            ticks,
            led,
        })
    }

    /// Result of the self test.
    pub fn golden(&self) -> Golden {
        self.golden
    }

    /// Whether the model changed in flash while it was served: every request is refused then.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Carries out one request, of those that need a model. `board` and `chunk_bytes_max` are for the hello
    /// message, `line` and `stack` for the statistics.
    pub fn handle(&mut self, request: Request<'_>, surroundings: &Surroundings) -> Reply<'_> {
        if self.is_damaged {
            return Reply::Error(Error::ModelDamaged);
        }
        let result = match request {
            Request::Hello => Ok(Reply::Hello(self.hello(surroundings))),
            Request::Label { class } => self.label(class),
            Request::Data { sequence, bytes } => self.data(sequence, bytes),
            Request::Scores { first } => self.scores(first, surroundings.score_count_max),
            Request::Finish => self.finish(),
            Request::Reset => Ok(self.reset()),
            Request::Statistics => Ok(self.statistics(surroundings)),
            Request::Clear { period } => self.clear(period),
            Request::Save { at } => self.save(at),
            Request::Load { at, bytes } => self.load(at, bytes),
            Request::Inputs { first } => self.inputs(first),
            Request::Watch { class, rule } => self
                .watcher()
                .and_then(|watcher| watcher.watch(class.into(), rule))
                .map(|()| Reply::Ready),
            Request::Window { steps } => self.watcher().map(|watcher| {
                watcher.set_window(steps);
                Reply::Ready
            }),
            Request::Detections { first } => self.detections(first),
            Request::Slots
            | Request::Begin { .. }
            | Request::Piece { .. }
            | Request::Commit { .. } => Err(Error::NoSlots),
            Request::Draw {
                seed,
                number,
                step,
                first,
            } => self.draw((seed, number), step).and_then(|()| {
                match self.session.model().painting() {
                    Some(painting) => self.painted(painting, first),
                    None => self.drawn(first, surroundings.bit_count_max),
                }
            }),
            Request::Tell {
                seed,
                number,
                temperature,
                word,
            } => {
                let caption = Caption {
                    seed,
                    number,
                    temperature,
                };
                self.tell(caption, word)
            }
        };
        result.unwrap_or_else(Reply::Error)
    }

    fn reset(&mut self) -> Reply<'static> {
        self.session.reset();
        self.begin();
        Reply::Ready
    }

    /// What stands beside a session that begins anew.
    fn begin(&mut self) {
        self.drawing = None;
        self.telling = None;
        self.next_sequence = 0;
        self.half_value = None;
        self.step_ticks = 0;
        self.best = None;
        if let Some(watcher) = &mut self.watcher {
            watcher.reset();
        }
        self.show();
    }

    fn watcher(&mut self) -> Result<&mut Watcher<'a>, Error> {
        self.watcher.as_mut().ok_or(Error::NotClasses)
    }

    fn detections(&mut self, first: u32) -> Result<Reply<'_>, Error> {
        let watcher = self.watcher.as_ref().ok_or(Error::NotClasses)?;
        let (first, count) = watcher.write(first, &mut self.part);
        Ok(Reply::Detections {
            total: watcher.total(),
            first,
            bytes: self.part.get(..count).unwrap_or_default(),
        })
    }

    /// Steps since the reset, those before a window's too.
    fn steps(&self) -> u32 {
        let before = self.watcher.as_ref().map_or(0, Watcher::steps_before);
        before.saturating_add(self.session.steps())
    }

    /// Takes the chunk that is due; says so again of those before it, whose
    /// replies the host may have missed.
    fn data(&mut self, sequence: u32, bytes: &[u8]) -> Result<Reply<'static>, Error> {
        self.not_loading()?;
        if sequence == self.next_sequence {
            self.drawing = None;
            self.telling = None;
            self.take(bytes)?;
            self.next_sequence = self.next_sequence.wrapping_add(1);
        } else if sequence > self.next_sequence {
            return Err(Error::Sequence {
                expected: self.next_sequence,
            });
        }
        Ok(self.taken())
    }

    /// Refuses what has no place between the parts of a state.
    fn not_loading(&self) -> Result<(), Error> {
        match self.session.load_due() {
            Some(due) => Err(Error::State { due: due as u32 }),
            None => Ok(()),
        }
    }

    fn taken(&self) -> Reply<'static> {
        Reply::Taken {
            next: self.next_sequence,
            steps: self.steps(),
        }
    }

    /// Takes the step under way, completed with silence.
    fn finish(&mut self) -> Result<Reply<'static>, Error> {
        self.not_loading()?;
        if self.half_value.is_some() {
            return Err(Error::Incomplete);
        }
        let start = self.ticks.now();
        self.session.finish().map_err(|error| match error {
            StepError::FrameIncomplete { .. } => Error::Incomplete,
            _ => Error::Session,
        })?;
        let ticks = self.ticks.now().wrapping_sub(start);
        if self.session.frame_complete() {
            self.step_ticks = self.step_ticks.wrapping_add(ticks);
            self.step()?;
            self.score();
        }
        Ok(self.taken())
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let steps = self.steps();
        if self.session.model().input_type() == InputType::I16 {
            if let Some(low) = self.half_value {
                let Some((&high, rest)) = bytes.split_first() else {
                    return Ok(());
                };
                self.half_value = None;
                self.push(&[low, high])?;
                bytes = rest;
            }
            if let (Some((&low, whole)), 1) = (bytes.split_last(), bytes.len() % 2) {
                self.half_value = Some(low);
                bytes = whole;
            }
        }
        self.push(bytes)?;
        if self.steps() != steps {
            self.score();
        }
        Ok(())
    }

    /// Pushes whole values and takes the steps that they complete.
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let before = bytes;
            let start = self.ticks.now();
            let due = self.session.feed(&mut bytes).map_err(|_| Error::Session)?;
            let taken = before.len().saturating_sub(bytes.len());
            let limits = &mut self.statistics.limits;
            let input_type = self.session.model().input_type();
            limits.count_input(input_type, before.get(..taken).unwrap_or_default());
            let ticks = self.ticks.now().wrapping_sub(start);
            self.statistics.push_ticks_max = self.statistics.push_ticks_max.max(ticks);
            self.step_ticks = self.step_ticks.wrapping_add(ticks);
            if due {
                self.step()?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Error> {
        let start = self.ticks.now();
        let cell = self.session.model().cell();
        let limits = &mut self.statistics.limits;
        self.session
            .step_watched(|watched| limits.count_step(cell, &watched))
            .map_err(|error| match error {
                StepError::PictureComplete { steps } => Error::PictureComplete { steps },
                _ => Error::Session,
            })?;
        let ticks = self.ticks.now().wrapping_sub(start);
        let ticks = core::mem::take(&mut self.step_ticks).wrapping_add(ticks);
        self.count_step(ticks);
        self.look()?;
        self.scrub()
    }

    /// Looks whether the step detects something.
    fn look(&mut self) -> Result<(), Error> {
        let Some(watcher) = &mut self.watcher else {
            return Ok(());
        };
        let start = self.ticks.now();
        let found = watcher.step(&mut self.session, self.scores)?;
        let ticks = self.ticks.now().wrapping_sub(start);
        self.statistics.score_ticks_max = self.statistics.score_ticks_max.max(ticks);
        if let Some(found) = found {
            event!(
                info,
                "class {=usize} detected at step {=u32}, probability {=u16} of 32768",
                found.class,
                found.step,
                found.confidence
            );
        }
        Ok(())
    }

    /// One step more, which took so long.
    fn count_step(&mut self, ticks: u32) {
        let statistics = &mut self.statistics;
        statistics.steps = statistics.steps.wrapping_add(1);
        statistics.ticks = statistics.ticks.wrapping_add(ticks.into());
        statistics.step_ticks_max = statistics.step_ticks_max.max(ticks);
    }

    /// Looks at a little of the model: as much as costs less than a hundredth of a step.
    fn scrub(&mut self) -> Result<(), Error> {
        let work = self.session.model().frame_work() as usize;
        let count = (work / WORK_A_SCRUBBED_BYTE).clamp(SCRUB_BYTES_MIN, SCRUB_BYTES_MAX);
        let result = self.scrub.next(self.file, count);
        self.is_damaged = result.is_err();
        result.map_err(|_| Error::ModelDamaged)
    }

    /// Scores after the steps so far, and the LED with them.
    fn score(&mut self) {
        let start = self.ticks.now();
        let result = match self.session.steps() {
            // A window has ended, and its last look left its scores.
            0 if self.steps() != 0 => Ok(()),
            _ => self.session.scores(self.scores),
        };
        let ticks = self.ticks.now().wrapping_sub(start);
        self.statistics.score_ticks_max = self.statistics.score_ticks_max.max(ticks);
        self.best = match result {
            Ok(()) => match self.session.model().output_kind() {
                OutputKind::Classes => {
                    confidence::best(self.scores, self.session.model().score_shift())
                }
                // No value or bit is better than another, and none lights the LED.
                OutputKind::Values | OutputKind::Bits => Some(Best {
                    class: 0,
                    confidence: 0.0,
                }),
            },
            Err(_) => None,
        };
        self.show();
    }

    fn show(&mut self) {
        let detected = match &self.watcher {
            Some(watcher) if watcher.is_on() => watcher.is_lit(),
            _ => matches!(self.best, Some(best) if best.confidence >= DETECTION_CONFIDENCE),
        };
        // An LED that fails is no reason to stop serving.
        let _ = self.led.set_state(detected.into());
    }

    fn scores(&mut self, first: u16, count_max: usize) -> Result<Reply<'_>, Error> {
        self.not_loading()?;
        if self.best.is_none() {
            // A picture's are not computed before somebody wants them.
            self.score();
        }
        let best = self.best.ok_or(Error::NoStep)?;
        let wanted = self.scores.get(usize::from(first)..).ok_or(Error::Class {
            classes: self.scores.len() as u32,
        })?;
        let raw = wanted.get(..count_max).unwrap_or(wanted);
        Ok(Reply::Scores(Scores {
            steps: self.steps(),
            best: best.class as u16,
            confidence: best.confidence,
            first,
            classes: self.scores.len() as u16,
            raw: Raw::Values(raw),
        }))
    }

    fn statistics(&self, surroundings: &Surroundings) -> Reply<'static> {
        let stack = (surroundings.stack)();
        Reply::Statistics(Statistics {
            line: surroundings.line,
            stack_bytes_used: stack.bytes_used,
            stack_bytes: stack.bytes,
            ..self.statistics
        })
    }

    /// Begins a period; says so again when the host, which may have missed the
    /// reply, ends the one before it.
    fn clear(&mut self, period: u32) -> Result<Reply<'static>, Error> {
        let current = self.statistics.period;
        if period == current {
            self.statistics = Statistics {
                period: current.wrapping_add(1),
                ..Statistics::default()
            };
        } else if period.wrapping_add(1) != current {
            return Err(Error::Period { current });
        }
        Ok(Reply::Ready)
    }
}

/// What a service cannot know by itself.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Name of the board.
    pub board: &'static str,
    /// Most bytes of values in a data request.
    pub chunk_bytes_max: u16,
    /// Most raw scores in a reply.
    pub score_count_max: usize,
    /// Most bits of a drawing in a reply.
    pub bit_count_max: usize,
    /// What the line lost since boot.
    pub line: LineCounts,
    /// Measures the stack.
    pub stack: fn() -> Stack,
}
