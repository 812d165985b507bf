//! The linear controls of `compare`: whether a sequence model pays at all.

use crate::data::{DataSet, Items, Part, PartName};
use crate::error::{Error, ErrorKind, Result};
use crate::training::evaluate::predictions;
use crate::training::linear::{Linear, Reads};
use crate::training::material::parts;
use crate::training::settings::Settings;
use serde::Serialize;

/// What a control came to.
#[derive(Debug, Serialize)]
pub(super) struct Control {
    /// What it reads of a sequence: `mean` or `frames`, how many.
    pub reads: Reads,
    pub parameters: usize,
    /// On the test part; nothing about it is random.
    pub accuracy: f64,
    /// Of the penalty that is taken, on the validation part.
    pub validation: Option<f64>,
    /// Of the squared weights, chosen by the validation part.
    pub penalty: f32,
}

impl Control {
    /// In few words.
    pub fn name(&self) -> String {
        match self.reads {
            Reads::Mean => "linear, mean frame".into(),
            Reads::Frames(frames) => format!("linear, {frames} frames in order"),
        }
    }
}

/// Penalties that are tried, the strongest first.
const PENALTIES: [f32; 6] = [1.0, 0.1, 0.03, 0.01, 1e-3, 1e-4];
/// The one that is taken where nothing validates.
const PENALTY: f32 = 0.01;

/// The parts that controls learn from and are tried on, in frames.
pub(super) struct Weighed {
    train: Part,
    validation: Option<Part>,
    /// Both, where the models learn from both in the end.
    whole: Option<Part>,
    test: Part,
    classes: usize,
    every_step: bool,
}

impl Weighed {
    /// The parts of a data set; `whole` has those that models learn from in the end where that is more.
    ///
    /// # Errors
    /// When data and settings do not fit.
    pub fn new(settings: &Settings, data: &DataSet, whole: Option<&DataSet>) -> Result<Weighed> {
        let config = settings.model(data)?;
        let head = config.head.gives;
        // The widths of frames that are padded are the data's own here.
        let frames = |data: &DataSet| -> Result<DataSet> {
            data.clone().for_head(head.name())?.for_model(&config)
        };
        let read = frames(data)?;
        let (train, validation) = parts(settings, &read)?;
        Ok(Weighed {
            train,
            validation,
            whole: match whole {
                Some(whole) => Some(frames(whole)?.part(PartName::Train)?.clone()),
                None => None,
            },
            test: read.part(PartName::Test)?.clone(),
            classes: head.outputs(),
            every_step: head.every_step(),
        })
    }

    /// Sequences to learn from, to validate and to test.
    pub fn sequences(&self) -> (usize, usize, usize) {
        let learned = self.whole.as_ref().unwrap_or(&self.train);
        let validation = self.validation.as_ref().map_or(0, Part::sequences);
        (learned.sequences(), validation, self.test.sequences())
    }

    /// What telling the commonest class of what is learned from gives on the test part.
    pub fn majority(&self) -> f64 {
        let labels = |part: &Part| self.labels(part).unwrap_or_default();
        let mut counts = vec![0usize; self.classes];
        labels(&self.train)
            .iter()
            .for_each(|&label| counts[label] += 1);
        let most = (0..self.classes).max_by_key(|&class| (counts[class], std::cmp::Reverse(class)));
        let test = labels(&self.test);
        let right = test.iter().filter(|&&label| Some(label) == most).count();
        right as f64 / test.len().max(1) as f64
    }

    /// All controls.
    ///
    /// # Errors
    /// When a part has no classes.
    pub fn controls(&self) -> Result<Vec<Control>> {
        let all = Reads::all(self.train.width).into_iter();
        all.map(|reads| self.control(reads)).collect()
    }

    fn control(&self, reads: Reads) -> Result<Control> {
        let features = |part: &Part| reads.features(part, self.every_step);
        let (x, labels) = (features(&self.train), self.labels(&self.train)?);
        let mut linear = Linear::new(&x, self.classes);
        let mut best: Option<(f64, f32, Linear)> = None;
        if let Some(validation) = &self.validation {
            let (held, right) = (features(validation), self.labels(validation)?);
            // Each from where the one before it ended.
            for penalty in PENALTIES {
                linear.fit(&x, &labels, penalty);
                let found = accuracy(&linear, &held, &right);
                if best.as_ref().is_none_or(|(most, _, _)| found > *most) {
                    best = Some((found, penalty, linear.clone()));
                }
            }
        }
        let (validation, penalty, mut linear) = match best {
            Some((found, penalty, linear)) => (Some(found), penalty, linear),
            None => {
                linear.fit(&x, &labels, PENALTY);
                (None, PENALTY, linear)
            }
        };
        if let Some(whole) = &self.whole {
            let x = features(whole);
            linear = Linear::new(&x, self.classes);
            linear.fit(&x, &self.labels(whole)?, penalty);
        }
        Ok(Control {
            reads,
            parameters: linear.parameters(),
            accuracy: accuracy(&linear, &features(&self.test), &self.labels(&self.test)?),
            validation,
            penalty,
        })
    }

    fn labels(&self, part: &Part) -> Result<Vec<usize>> {
        match part.targets.as_ref().map(|targets| &targets.items) {
            Some(Items::Classes(labels)) => Ok(labels.clone()),
            _ => Err(Error::new(ErrorKind::Internal("a control without classes"))),
        }
    }
}

fn accuracy(linear: &Linear, features: &ndarray::Array2<f32>, labels: &[usize]) -> f64 {
    let told = predictions(&linear.logits(features));
    let right = told
        .iter()
        .zip(labels)
        .filter(|(told, label)| told == label)
        .count();
    right as f64 / labels.len().max(1) as f64
}
