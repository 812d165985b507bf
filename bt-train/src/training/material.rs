//! What a run learns from: the split, the share, the delayed renderings and the weights of classes.

use crate::data::memory;
use crate::data::split::split;
use crate::data::{DataSet, Part, PartName};
use crate::error::{Error, ErrorKind, Result};
use crate::float::config::ModelConfig;
use crate::float::head::LossWeights;
use crate::training::settings::{ClassWeights, Settings};

/// What a run learns from and validates on, in frames.
pub(super) struct Material {
    /// [`DataSet::fingerprint`].
    pub fingerprint: u64,
    /// Every rendering of the training sequences, one after the other.
    pub train: Part,
    /// One rendering.
    pub frames: Part,
    pub validation: Option<Part>,
    pub weights: LossWeights,
}

impl Material {
    /// Data as loaded: split, cut to the share asked for, rendered, weighed.
    pub fn new(settings: &Settings, config: &ModelConfig, data: &DataSet) -> Result<Material> {
        let (train, validation) = split_off(settings, data)?;
        let train = share(train, settings);
        let frames = DataSet {
            train: Some(train.clone()),
            validation,
            sample_rate: data.sample_rate,
            ..DataSet::default()
        }
        .for_model(config)?;
        let plain = frames.part(PartName::Train)?;
        if let Some(validation) = &frames.validation {
            validation.known_labels(PartName::Validation)?;
        }
        Ok(Material {
            fingerprint: data.fingerprint(),
            train: renderings(settings, config, &train, plain)?,
            weights: class_weights(settings, plain, config)?,
            frames: plain.clone(),
            validation: frames.validation,
        })
    }
}

/// The sequences to learn from and those to validate on, as loaded.
///
/// # Errors
/// When there is no training part.
pub fn split_off(settings: &Settings, data: &DataSet) -> Result<(Part, Option<Part>)> {
    let whole = data.part(PartName::Train)?;
    let (train, validation) = match &data.validation {
        Some(validation) => (whole.clone(), validation.clone()),
        None => {
            let parts = split(whole, settings.validation, settings.seed);
            (whole.subset(&parts.train), whole.subset(&parts.validation))
        }
    };
    Ok((train, Some(validation).filter(|part| part.sequences() > 0)))
}

/// The share of a part that the settings ask for, of every class alike.
fn share(train: Part, settings: &Settings) -> Part {
    if settings.train_share >= 1.0 {
        return train;
    }
    let ungrouped = Part {
        groups: None,
        ..train
    };
    let rest = 1.0 - settings.train_share;
    ungrouped.subset(&split(&ungrouped, rest, settings.seed).train)
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
        return Err(Error::new(ErrorKind::Unsupported("is for sound only")).field("delays"));
    };
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

fn class_weights(settings: &Settings, train: &Part, config: &ModelConfig) -> Result<LossWeights> {
    let labels = train.known_labels(PartName::Train)?;
    let classes = config.head.classes;
    let mut counts = vec![0usize; classes];
    for &label in labels {
        counts[label] += 1;
    }
    if let Some(class) = counts.iter().position(|&count| count == 0) {
        return Err(Error::new(ErrorKind::ClassMissing { class })
            .field("y_train")
            .remedy(
                "add sequences of it, number the classes without gaps, or lower `validation`",
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
    })
}
