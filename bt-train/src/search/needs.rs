//! What a model needs on a device, before it is trained: its plans, and the file that the exporter makes of
//! weights that have learned nothing.

use crate::data::{DataSet, Normalization, NormalizeOver, Part, PartName};
use crate::device;
use crate::error::{ErrorKind, Exceeded, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::filter::Filter;
use crate::float::model::Model;
use crate::plan::search::Limits;
use crate::plan::timing::Processor;
use crate::quantize::export::{Options, Scheme};
use crate::quantize::spread::spread;
use crate::training::settings::Settings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// What a device allows a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Arena of a session, bytes.
    pub ram_bytes: Option<usize>,
    /// The model file, bytes.
    pub flash_bytes: Option<usize>,
    /// Predicted milliseconds of all maps for a step.
    pub ms_per_step: Option<f64>,
    /// What plans and predictions are for.
    pub processor: Processor,
    /// Its clock.
    pub clock_hz: u64,
    /// Wait states of its flash.
    pub wait_states: u32,
}

/// What a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// Weights.
    pub parameters: usize,
    /// Arena of a session.
    pub ram_bytes: usize,
    /// The model file.
    pub flash_bytes: usize,
    /// Predicted instructions of all maps for a step.
    pub instructions: u64,
    /// The same in milliseconds.
    pub milliseconds: f64,
}

impl Bounds {
    /// The limits of plans.
    pub fn limits(&self) -> Limits {
        Limits {
            ram_bytes: self.ram_bytes,
            flash_bytes: self.flash_bytes,
            kernels: self.processor.kernels(),
        }
    }

    /// By what share of all limits taken together so much is above them.
    pub fn excess(&self, needs: &Needs) -> f64 {
        let over = |need: f64, limit: Option<f64>| match limit {
            Some(limit) => (need / limit.max(1e-9) - 1.0).max(0.0),
            None => 0.0,
        };
        over(
            needs.ram_bytes as f64,
            self.ram_bytes.map(|limit| limit as f64),
        ) + over(
            needs.flash_bytes as f64,
            self.flash_bytes.map(|limit| limit as f64),
        ) + over(needs.milliseconds, self.ms_per_step)
    }

    /// The limits that so much is above.
    pub fn exceeded(&self, needs: &Needs) -> Vec<Exceeded> {
        let bytes = |limit, need: usize, has: Option<usize>| {
            let has = has.filter(|&has| need > has)?;
            Some(Exceeded {
                limit,
                need: need.to_string(),
                has: has.to_string(),
            })
        };
        let time = self.ms_per_step.filter(|&has| needs.milliseconds > has);
        let time = time.map(|has| Exceeded {
            limit: "ms-per-step",
            need: format!("{:.4}", (needs.milliseconds * 1e4).ceil() / 1e4),
            has: has.to_string(),
        });
        bytes("ram", needs.ram_bytes, self.ram_bytes)
            .into_iter()
            .chain(bytes("flash", needs.flash_bytes, self.flash_bytes))
            .chain(time)
            .collect()
    }

    /// The needs of what a scheme makes of weights.
    ///
    /// # Errors
    /// When they cannot be quantized.
    pub(super) fn needs(&self, scheme: &Scheme, checkpoint: &Checkpoint) -> Result<Needs> {
        let bytes = scheme.file(checkpoint)?;
        let file = device::parse(&bytes)?;
        let cycles = scheme.plans().cycles(self.processor, self.wait_states);
        Ok(Needs {
            parameters: checkpoint.config.parameters(),
            ram_bytes: file.arena_bytes(),
            flash_bytes: file.flash_bytes(),
            instructions: scheme.plans().instructions,
            milliseconds: cycles as f64 / self.clock_hz as f64 * 1e3,
        })
    }
}

/// What a prediction came to.
pub(super) enum Verdict {
    /// It keeps to all bounds.
    Fits(Needs),
    /// It does not; what is not known of it is 0.
    Over(Needs),
    /// It has no plan at all, or far too many weights.
    Impossible,
}

/// Predicts what models of one data set need.
pub(super) struct Predictor<'a> {
    data: &'a DataSet,
    /// Some of the training part: formats need values to look at.
    few: DataSet,
    over: NormalizeOver,
    bounds: Bounds,
}

/// Sequences that an untrained model is quantized on.
const SEQUENCES: usize = 4;
/// Steps of them that are looked at.
const STEPS: usize = 32;
/// So many are looked at whatever the limit: what comes nearest to it is to be told exactly.
const SMALL: usize = 1 << 16;
/// Weights beyond this fit no flash of a microcontroller.
const WEIGHTS_MAX: usize = 4 << 20;

impl<'a> Predictor<'a> {
    pub fn new(base: &Settings, data: &'a DataSet, bounds: Bounds) -> Result<Predictor<'a>> {
        let config = base.model(data)?;
        let part = data.part(PartName::Train)?;
        let over = match (&config.front_end, base.normalize) {
            // As training takes them.
            (Some(_), NormalizeOver::Auto) => NormalizeOver::Set,
            (None, NormalizeOver::Auto) => {
                Normalization::fit_and_tell(
                    part,
                    part.width,
                    NormalizeOver::Auto,
                    Filter::of(&config.input),
                )?
                .over
            }
            (_, over) => over,
        };
        let chosen = spread((0..part.sequences()).collect(), SEQUENCES);
        let mut some = part.subset(&chosen);
        if config.front_end.is_none() {
            some = first_steps(some);
        }
        Ok(Predictor {
            data,
            few: DataSet {
                train: Some(some),
                sample_rate: data.sample_rate,
                ..DataSet::default()
            },
            over,
            bounds,
        })
    }

    /// What the model of these settings needs.
    pub fn predict(&self, settings: &Settings) -> Result<Verdict> {
        let config = settings.model(self.data)?;
        let parameters = config.parameters();
        let nothing = Needs {
            parameters,
            ram_bytes: 0,
            flash_bytes: 0,
            instructions: 0,
            milliseconds: 0.0,
        };
        // A weight is a byte at least; what is far too large is not worth being made.
        if parameters > self.bounds.flash_bytes.unwrap_or(WEIGHTS_MAX).max(SMALL) {
            return Ok(match parameters > WEIGHTS_MAX {
                true => Verdict::Impossible,
                false => Verdict::Over(Needs {
                    flash_bytes: parameters,
                    ..nothing
                }),
            });
        }
        let frames = self.few.clone().for_model(&config)?;
        let part = frames.part(PartName::Train)?;
        let normalization =
            Normalization::fit(part, config.inputs(), self.over, Filter::of(&config.input))?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let mut model = Model::new(config, &mut rng)?;
        model.offset = normalization.offset.into();
        model.scale = normalization.scale.into();
        let checkpoint = Checkpoint::of(&model);
        let options = Options {
            name: "model".into(),
            limits: self.bounds.limits(),
            sequences: SEQUENCES,
        };
        let needs = match Scheme::calibrate(&checkpoint, part, &self.data.labels, &options) {
            Ok(scheme) => self.bounds.needs(&scheme, &checkpoint)?,
            Err(error) => match error.kind {
                ErrorKind::OverLimits(over) => {
                    // No plan takes less time than the fastest, whatever that needs.
                    let limits = Limits {
                        kernels: options.limits.kernels,
                        ..Limits::default()
                    };
                    let options = Options { limits, ..options };
                    let scheme = Scheme::calibrate(&checkpoint, part, &self.data.labels, &options)?;
                    return Ok(Verdict::Over(Needs {
                        ram_bytes: over.ram_bytes,
                        flash_bytes: over.flash_bytes,
                        ..self.bounds.needs(&scheme, &checkpoint)?
                    }));
                }
                ErrorKind::NoPlan => return Ok(Verdict::Impossible),
                _ => return Err(error),
            },
        };
        Ok(match self.bounds.exceeded(&needs).is_empty() {
            true => Verdict::Fits(needs),
            false => Verdict::Over(needs),
        })
    }
}

/// The first steps of every sequence.
fn first_steps(part: Part) -> Part {
    let lengths = part.lengths.iter().map(|&length| length.min(STEPS));
    Part {
        lengths: lengths.collect(),
        targets: None,
        ..part
    }
}
