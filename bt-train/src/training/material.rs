//! What a run learns from: the split, the share, the delayed renderings, the weights of classes and the units
//! of values.

use crate::data::memory;
use crate::data::split::split;
use crate::data::{DataSet, Part, PartName, Targets};
use crate::error::{Error, ErrorKind, Result, With};
use crate::float::config::ModelConfig;
use crate::float::head::LossWeights;
use crate::training::augment::Augmenter;
use crate::training::settings::{ClassWeights, Settings, ValueLoss};
use ndarray::Axis;

/// What a run learns from and validates on, in frames.
pub(super) struct Material {
    /// [`DataSet::fingerprint`].
    pub fingerprint: u64,
    /// Every rendering of the training sequences, one after the other.
    pub train: Part,
    /// One rendering.
    pub frames: Part,
    /// Their places in `x_train`.
    pub places: Vec<usize>,
    /// Varies the training sequences, where that is wanted.
    pub augmenter: Option<Augmenter>,
    pub validation: Option<Part>,
    pub weights: LossWeights,
    /// Offset and scale of values, each [K]; none of classes.
    pub units: Option<(Vec<f32>, Vec<f32>)>,
}

impl Material {
    /// Data as loaded: split, cut to the share asked for, rendered, weighed.
    pub fn new(settings: &Settings, config: &ModelConfig, data: &DataSet) -> Result<Material> {
        let read = data.clone().for_head(config.head.gives.name())?;
        let (places, train, validation) = placed_parts(settings, &read)?;
        let frames = DataSet {
            train: Some(train.clone()),
            validation,
            sample_rate: data.sample_rate,
            ..DataSet::default()
        }
        .for_model(config)?;
        let plain = frames.part(PartName::Train)?;
        if let Some(validation) = &frames.validation {
            validation.known_targets(PartName::Validation)?;
        }
        let augmenter = Augmenter::new(&settings.augment, config, &train)
            .map_err(|error| error.field("x_train"))?;
        if augmenter.is_some() && settings.delays > 0 {
            let why = "are renderings made once, and `augment` makes one in every epoch";
            return Err(Error::new(ErrorKind::Conflict {
                with: With::Augment,
                why,
            })
            .field("delays")
            .remedy("leave it out; `time-shift` and `silence` of `augment` delay too"));
        }
        Ok(Material {
            augmenter,
            fingerprint: read.fingerprint(),
            train: renderings(settings, config, &train, plain)?,
            weights: weights(settings, plain, config)?,
            units: units(plain)?,
            frames: plain.clone(),
            places,
            validation: frames.validation,
        })
    }
}

/// The sequences to learn from and those to validate on, as loaded.
///
/// # Errors
/// When there is no training part.
pub fn split_off(settings: &Settings, data: &DataSet) -> Result<(Part, Option<Part>)> {
    let (places, validation) = split_places(settings, data)?;
    Ok((data.part(PartName::Train)?.subset(&places), validation))
}

/// The same, the former by their places in the training part.
fn split_places(settings: &Settings, data: &DataSet) -> Result<(Vec<usize>, Option<Part>)> {
    let whole = data.part(PartName::Train)?;
    let (places, validation) = match &data.validation {
        Some(validation) => ((0..whole.sequences()).collect(), validation.clone()),
        None => {
            let parts = split(whole, settings.validation, settings.seed);
            (parts.train, whole.subset(&parts.validation))
        }
    };
    let validation = Some(validation).filter(|part| part.sequences() > 0);
    Ok((places, validation))
}

/// The same, less what is not learned from where only a share is.
///
/// # Errors
/// When there is no training part.
pub fn parts(settings: &Settings, data: &DataSet) -> Result<(Part, Option<Part>)> {
    let (_, train, validation) = placed_parts(settings, data)?;
    Ok((train, validation))
}

/// The places of what is learned from in the training part, it, and what validates.
fn placed_parts(settings: &Settings, data: &DataSet) -> Result<(Vec<usize>, Part, Option<Part>)> {
    let (places, validation) = split_places(settings, data)?;
    let train = data.part(PartName::Train)?.subset(&places);
    if settings.train_share >= 1.0 {
        return Ok((places, train, validation));
    }
    // Of every class alike.
    let ungrouped = Part {
        groups: None,
        ..train
    };
    let share = split(&ungrouped, 1.0 - settings.train_share, settings.seed).train;
    let places = share.iter().map(|&at| places[at]).collect();
    Ok((places, ungrouped.subset(&share), validation))
}

/// The training frames and those of every delayed rendering, one part after the other.
fn renderings(
    settings: &Settings,
    config: &ModelConfig,
    samples: &Part,
    frames: &Part,
) -> Result<Part> {
    if settings.delays == 0 {
        return Ok(frames.clone());
    }
    let Some(front_end) = &config.front_end else {
        let (with, why) = (With::Frames, "is for sound only");
        return Err(Error::new(ErrorKind::Conflict { with, why }).field("delays"));
    };
    if samples.targets.as_ref().is_some_and(Targets::are_of_ticks) {
        let why = "would move streams away from the times of their events";
        return Err(Error::new(ErrorKind::Conflict {
            with: With::Streams,
            why,
        })
        .field("delays")
        .remedy("leave it out"));
    }
    let steps = front_end.samples_per_step();
    if settings.delays >= steps {
        let allowed = format!("a step has {steps} samples to spread them over");
        return Err(Error::out_of_range(settings.delays, allowed).field("delays"));
    }
    let bytes = frames.values.len() as u64 * frames.values.element_type().bytes() as u64;
    let need = bytes.saturating_mul(settings.delays as u64);
    memory::check(need, memory::available())
        .map_err(|error| error.field("delays").remedy("take fewer"))?;
    let delayed = (1..=settings.delays).map(|k| {
        let zeros = k * steps / (settings.delays + 1);
        samples.delayed(zeros)?.features(front_end)
    });
    let parts = std::iter::once(Ok(frames.clone()))
        .chain(delayed)
        .collect::<Result<Vec<Part>>>()?;
    Ok(Part::concatenate(&parts))
}

/// Mean and standard deviation of every value of the training part; a constant one has scale 1. None of classes and
/// bits.
///
/// # Errors
/// When there are no targets, or no f32 holds the two.
pub fn units(train: &Part) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
    let Some(values) = train.known_targets(PartName::Train)?.values() else {
        return Ok(None);
    };
    let mut units = (Vec::new(), Vec::new());
    for column in values.axis_iter(Axis(1)) {
        let count = column.len().max(1) as f64;
        let mean = column.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let squares = column
            .iter()
            .map(|&value| (f64::from(value) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        // Below the resolution of the values themselves there is nothing to tell.
        let is_constant = deviation <= mean.abs() * f64::from(f32::EPSILON);
        let scale = if is_constant { 1.0 } else { deviation };
        units.0.push(held("has the mean", mean, |_| true)?);
        units
            .1
            .push(held("has the deviation", scale, |scale| scale != 0.0)?);
    }
    Ok(Some(units))
}

/// A number of y as an f32 that holds it, if it is such a one.
fn held(what: &str, value: f64, is_one: impl Fn(f32) -> bool) -> Result<f32> {
    let float = value as f32;
    if (float.is_normal() || float == 0.0) && is_one(float) {
        return Ok(float);
    }
    let lost = ErrorKind::NoFloat {
        what: what.into(),
        value,
        lost: "it",
    };
    Err(Error::new(lost)
        .field("y_train")
        .remedy("save it in a unit that makes it larger or smaller"))
}

fn weights(settings: &Settings, train: &Part, config: &ModelConfig) -> Result<LossWeights> {
    let Some(labels) = train.known_targets(PartName::Train)?.labels() else {
        return Ok(LossWeights {
            huber: match settings.loss {
                ValueLoss::Squared => None,
                ValueLoss::Huber => Some(f64::from(settings.huber_delta)),
            },
            ..LossWeights::default()
        });
    };
    let classes = config.head.gives.outputs();
    let mut counts = vec![0usize; classes];
    for &label in labels {
        counts[label] += 1;
    }
    // A vocabulary may have words that a part of the captions has not.
    let is_complete = config.head.gives.is_next_word() || counts.iter().all(|&count| count > 0);
    if let Some(class) = counts.iter().position(|&count| count == 0 && !is_complete) {
        return Err(Error::new(ErrorKind::ClassMissing { class })
            .field("y_train")
            .remedy(
                "add sequences of it, or lower `validation`; classes that `labels` do not name are numbered without gaps",
            ));
    }
    Ok(LossWeights {
        label_smoothing: f64::from(settings.label_smoothing),
        class_weights: match settings.class_weights {
            ClassWeights::None => Vec::new(),
            ClassWeights::Balanced => counts
                .iter()
                .map(|&count| labels.len() as f64 / (classes * count) as f64)
                .collect(),
        },
        huber: None,
    })
}
