//! What plans, calibration data and limits decide about a model, whatever its weights.

use super::calibration::{CalibratedInput, InputCalibration};
use super::contents::{FileContents, arena};
use super::decoder::{material, of_device};
use super::input::InputFormat;
use super::layer::{CellReport, Weights, recurrent_bias};
use super::map::{MapScheme, Reads, apply_matrix};
use super::real::{RealLayer, RealMaps, folded_bias, frames, hidden_lsb, states};
use super::spread::spread;
use super::window::{WindowReport, check_sides};
use super::words::RealWords;
use crate::data::Part;
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::{Checkpoint, WORDS};
use crate::float::config::{LayerShape, ModelConfig};
use crate::float::filter::Filter;
use crate::float::model::Model;
use crate::plan::kernels::Kernels;
use crate::plan::search::{self, Layers, Limits, Ranked, SearchError, WholeMap};
use crate::shape::{Cell, name};
use bt_core::internals::model::layout::FilterRecord;
use bt_core::internals::model::write::ModelBytes;

/// What the caller decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name in the file.
    pub name: String,
    /// RAM that a session, and flash that the model file may take.
    pub limits: Limits,
    /// Sequences to calibrate on, at most.
    pub sequences: usize,
}

/// How a model becomes integers: everything that calibration decides, and none of the weights. Other
/// weights of the same model, such as a fine-tuned one's, can be put through it.
#[derive(Debug)]
pub struct Scheme {
    name: String,
    labels: Vec<String>,
    /// Of the whole float model.
    whole: ModelConfig,
    /// Of what the device runs.
    pub(super) config: ModelConfig,
    pub(super) limits: Limits,
    /// Of all maps: the search's own, which the file keeps to.
    pub(super) plans: Ranked,
    pub(super) format: InputFormat,
    /// From the frame on.
    pub(super) layers: Vec<LayerScheme>,
    /// What pictures are painted through, where a model has attention.
    pub(super) window: Option<WindowReport>,
    /// Sequences of calibration that the report looks at.
    pub(super) sample: Part,
}

/// What calibration decides about a layer.
#[derive(Debug)]
pub(super) struct LayerScheme {
    pub input: MapScheme,
    /// Where the cell has such a map.
    pub recurrent: Option<MapScheme>,
    /// How far the state goes, and the format for it.
    pub cell: CellReport,
}

/// Checks that a model of such a kind can be made integers at all.
///
/// # Errors
/// When it has more words than a device takes, or with attention larger pictures.
fn check_quantizable(config: &ModelConfig) -> Result<()> {
    if let Some(words) = config.words().filter(|&words| words > SCORES_MAX) {
        let most = format!("a device takes at most {SCORES_MAX}");
        return Err(Error::out_of_range(words, most).field("head.next_words"));
    }
    check_sides(&config.head)
}

impl Scheme {
    /// Chooses plans, input format, ranges and bits. `part` is (a selection of) the training part, in raw
    /// values of the input map: with a front end its feature vectors. A model that paints pictures is calibrated on
    /// some that it paints itself, and does not look at it.
    ///
    /// # Errors
    ///
    /// When no plan keeps to the limits, or the model's weights cannot be quantized.
    pub fn calibrate(
        checkpoint: &Checkpoint,
        part: &Part,
        labels: &[String],
        options: &Options,
    ) -> Result<Scheme> {
        check_quantizable(&checkpoint.config)?;
        let own = of_device(checkpoint);
        let layers = layers(&own.config)?;
        let limits = &options.limits;
        let window = match own.config.head.window() {
            Some(_) => Some(WindowReport::new(&checkpoint.model()?, options.sequences)),
            None => None,
        };
        let planned = |plans| {
            let scheme = Scheme::planned(plans, &own, part, labels, options)?;
            Ok(Scheme {
                whole: checkpoint.config.clone(),
                window,
                ..scheme
            })
        };
        let Some(flash_bytes) = limits.flash_bytes else {
            let plans = search::best(&layers, limits);
            return planned(plans.map_err(|error| search::refused(&error, limits))?);
        };
        // What the file holds beside the maps depends on the formats, which calibration finds for given
        // plans: the maps get what it leaves them.
        let mut beside = 0;
        loop {
            let of_maps = Limits {
                flash_bytes: Some(flash_bytes.saturating_sub(beside)),
                ..*limits
            };
            let (plans, is_refused) = match search::best(&layers, &of_maps) {
                Ok(plans) => (plans, false),
                Err(SearchError::Limits { closest }) => (*closest, true),
                Err(error) => return Err(search::refused(&error, limits)),
            };
            let scheme = planned(plans)?;
            let file_bytes = scheme.file(checkpoint)?.bytes().len();
            let has_ram = |ram| scheme.plans.ram_bytes <= ram;
            if file_bytes <= flash_bytes && limits.ram_bytes.is_none_or(has_ram) {
                return Ok(scheme);
            }
            let found = file_bytes - scheme.plans.flash_bytes;
            if is_refused && found <= beside {
                let closest = Box::new(Ranked {
                    flash_bytes: file_bytes,
                    ..scheme.plans
                });
                return Err(search::refused(&SearchError::Limits { closest }, limits));
            }
            beside = found.max(beside);
        }
    }

    /// The same of what the device runs, for plans that are chosen.
    fn planned(
        plans: Ranked,
        checkpoint: &Checkpoint,
        part: &Part,
        labels: &[String],
        options: &Options,
    ) -> Result<Scheme> {
        let config = &checkpoint.config;
        let maps = RealMaps::read(checkpoint, &plans)?;
        let (first, above) = maps
            .split_first()
            .ok_or_else(|| Error::new(ErrorKind::Internal("a model has no layer")))?;
        let (part, normalization) = material(checkpoint, part, options.sequences)?;
        let part = &part;
        let chosen = spread((0..part.sequences()).collect(), options.sequences);
        let calibration = InputCalibration {
            part,
            chosen: &chosen,
            normalization: &normalization,
            bias: &checkpoint.values(&name::bias(config.cell, 0)),
            has_front_end: config.front_end.is_some(),
            kernels: options.limits.kernels,
            is_filtered: Filter::of(&config.input).is_some(),
        };
        let CalibratedInput {
            format,
            bias,
            scheme: input,
        } = calibration.best(&first.input)?;
        let frames = frames(part, &format, &chosen);
        let words = RealWords::new(checkpoint, part, &chosen)?;
        let (layer, mut hidden) = LayerScheme::new(
            checkpoint,
            0,
            first,
            input,
            (&bias, words.as_ref()),
            (&frames, format.map_lsb),
            options.limits.kernels,
        )?;
        let mut layers = vec![layer];
        for (maps, at) in above.iter().zip(1..) {
            let reads = of_hidden("upper input", config.cell);
            let flat = spread(hidden.concat(), CALIBRATION_STATES);
            let input = MapScheme::new(&maps.input, &flat, reads, options.limits.kernels)?;
            let bias = checkpoint.values(&name::bias(config.cell, at));
            let (layer, own) = LayerScheme::new(
                checkpoint,
                at,
                maps,
                input,
                (&bias, None),
                (&hidden, reads.lsb),
                options.limits.kernels,
            )?;
            layers.push(layer);
            hidden = own;
        }
        Ok(Scheme {
            name: options.name.clone(),
            labels: labels.to_vec(),
            whole: config.clone(),
            config: config.clone(),
            limits: options.limits,
            plans,
            format,
            layers,
            window: None,
            sample: part.subset(&spread(chosen, REPORT_SEQUENCES)),
        })
    }

    /// The plans of all maps.
    pub fn plans(&self) -> &Ranked {
        &self.plans
    }

    /// Keeps every level of the tensor maps to so many bits, fewer than the device has: to see what
    /// rounding costs, and what fine-tuning wins back.
    pub fn coarsen(&mut self, bits: u8) {
        for layer in &mut self.layers {
            let maps = [Some(&mut layer.input), layer.recurrent.as_mut()];
            maps.into_iter().flatten().for_each(|map| map.coarsen(bits));
        }
    }

    /// Fraction bits of the state of every layer.
    pub fn cell_fractions(&self) -> impl Iterator<Item = u32> {
        self.layers.iter().map(|layer| layer.cell.fraction)
    }

    /// Fraction bits of the hidden states.
    pub fn hidden_fraction(&self) -> u32 {
        self.config.cell.device().hidden_fraction()
    }

    /// The model of `checkpoint` without its front end: it takes the frames of the input map, as
    /// training has them, and is otherwise the same to the last bit.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn without_front_end(&self, checkpoint: &Checkpoint) -> Result<ModelBytes> {
        let checkpoint = of_device(checkpoint);
        let maps = RealMaps::read(&checkpoint, &self.plans)?;
        let weights = self.weights(&maps, &checkpoint)?;
        self.contents(&weights, &checkpoint).without_front_end()
    }

    /// The model file of `checkpoint`.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn file(&self, checkpoint: &Checkpoint) -> Result<ModelBytes> {
        let checkpoint = of_device(checkpoint);
        let maps = RealMaps::read(&checkpoint, &self.plans)?;
        let weights = self.weights(&maps, &checkpoint)?;
        self.contents(&weights, &checkpoint).whole()
    }

    /// `model` with the weights that the integers of its dense maps and words stand for. Tensor maps, whose
    /// merged cores are rounded as products, stay as they are.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn rounded(&self, model: &Model) -> Result<Model> {
        let maps = RealMaps::read(&Checkpoint::of(model), &self.plans)?;
        let mut rounded = model.clone();
        if let Some((words, _)) = super::words::integers(&Checkpoint::of(model))? {
            let mut parameters = rounded.parameters_mut().into_iter();
            if let Some((_, mut values)) = parameters.find(|(name, _)| name == WORDS) {
                let words = super::words::rounded(&words);
                let words = values.iter_mut().zip(&words);
                words.for_each(|(value, &rounded)| *value = rounded as f32);
            }
        }
        let cell = self.config.cell;
        for (at, (scheme, maps)) in self.layers.iter().zip(&maps).enumerate() {
            let recurrent = scheme.recurrent.as_ref().zip(maps.recurrent.as_ref());
            let recurrent = recurrent.map(|pair| (name::recurrent_map(cell, at), pair));
            let input = (name::input_map(cell, at), (&scheme.input, &maps.input));
            for (prefix, (scheme, map)) in std::iter::once(input).chain(recurrent) {
                let name = format!("{prefix}.{}", name::MATRIX);
                let mut parameters = rounded.parameters_mut().into_iter();
                if let Some(weight) = scheme.rounded(map)?
                    && let Some((_, mut values)) = parameters.find(|(found, _)| *found == name)
                {
                    let weights = values.iter_mut().zip(&weight);
                    weights.for_each(|(value, &rounded)| *value = rounded as f32);
                }
            }
        }
        Ok(rounded)
    }

    /// The integers of the layers of a checkpoint of what the device runs.
    pub(super) fn weights<'a>(
        &self,
        maps: &'a [RealMaps<'_>],
        checkpoint: &Checkpoint,
    ) -> Result<Vec<Weights<'a>>> {
        let layers = self.layers.iter().zip(maps).enumerate();
        layers
            .map(|(at, (scheme, maps))| {
                let cell = self.config.cell;
                let own = checkpoint.values(&name::bias(cell, at));
                // The frame alone has an offset, of which a filter passes nothing.
                let zero = std::slice::from_ref(&self.format.zero);
                let folded = |share: Vec<f64>| folded_bias(&share, &own);
                let filter = Filter::of(&self.config.input).filter(|_| at == 0);
                let has_zero = at == 0 && filter.is_none();
                let bias = match has_zero {
                    true => folded(maps.input.apply(zero).remove(0)),
                    false => own.clone(),
                };
                let rounded = match has_zero {
                    true => scheme.input.rounded(&maps.input)?,
                    false => None,
                };
                let recurrent = scheme.recurrent.as_ref().zip(maps.recurrent.as_ref());
                Ok(Weights {
                    integer_bias: match rounded {
                        Some(rounded) => folded(apply_matrix(&rounded, zero).remove(0)),
                        None => bias.clone(),
                    },
                    bias,
                    recurrent_bias: recurrent_bias(checkpoint, at),
                    filter: filter.map(|filter| {
                        let record = FilterRecord {
                            horizon_shift: filter.shift,
                            fraction: scheme.input.fraction(),
                        };
                        (record, scheme.input.z(&maps.input).integers().collect())
                    }),
                    input: scheme.input.integers(&maps.input)?,
                    recurrent: match recurrent {
                        Some((scheme, map)) => Some(scheme.integers(map)?),
                        None => None,
                    },
                })
            })
            .collect()
    }

    /// What the file of such weights is made of.
    pub(super) fn contents<'a>(
        &'a self,
        weights: &'a [Weights<'a>],
        checkpoint: &'a Checkpoint,
    ) -> FileContents<'a> {
        FileContents {
            name: &self.name,
            labels: &self.labels,
            whole: &self.whole,
            config: &self.config,
            format: &self.format,
            cells: self.layers.iter().map(|layer| layer.cell).collect(),
            checkpoint,
            layers: weights,
            scratch_words: self.plans.scratch_words,
            window: self.window.as_ref(),
        }
    }
}

impl LayerScheme {
    /// What calibration decides about a layer but its input map, and the hidden states it came to.
    fn new(
        checkpoint: &Checkpoint,
        at: usize,
        maps: &RealMaps<'_>,
        input: MapScheme,
        (bias, words): (&[f64], Option<&RealWords>),
        (read, lsb): (&[Vec<Vec<i16>>], f64),
        kernels: Kernels,
    ) -> Result<(LayerScheme, Vec<Vec<Vec<i16>>>)> {
        let config = &checkpoint.config;
        let real = RealLayer {
            maps,
            bias,
            recurrent_bias: &recurrent_bias(checkpoint, at),
            kind: config.kind(),
            filter: Filter::of(&config.input).filter(|_| at == 0),
            words,
        };
        let states = states(read, lsb, &real);
        let recurrent = match &maps.recurrent {
            Some(map) => {
                let hidden = spread(states.hidden.concat(), CALIBRATION_STATES);
                let reads = of_hidden("recurrent", config.cell);
                Some(MapScheme::new(map, &hidden, reads, kernels)?)
            }
            None => None,
        };
        let cell = CellReport::new(config.cell, states.cell_max);
        let layer = LayerScheme {
            input,
            recurrent,
            cell,
        };
        Ok((layer, states.hidden))
    }
}

/// Scores that a model file can have.
const SCORES_MAX: usize = 1 << 12;

/// What the search of plans has to know of a model.
fn layers(config: &ModelConfig) -> Result<Layers> {
    let arena = arena(config, config.front_end.as_ref())?;
    let whole = |shape, apart_words| WholeMap { shape, apart_words };
    let of_layer = |(at, layer): (usize, LayerShape)| {
        let input = (at > 0).then(|| whole(layer.input, 0));
        let recurrent = layer
            .recurrent
            .map(|shape| whole(shape, arena.apart_words()));
        input.into_iter().chain(recurrent).collect::<Vec<_>>()
    };
    Ok(Layers {
        input: config.input_shape(),
        whole: config
            .layer_shapes()
            .into_iter()
            .enumerate()
            .flat_map(of_layer)
            .collect(),
        arena,
    })
}

/// Hidden states that ranges and bits are chosen on, and looked at by the report.
pub(super) const CALIBRATION_STATES: usize = 256;

/// Sequences that the report looks at.
const REPORT_SEQUENCES: usize = 32;

/// The integers of hidden states, as a map reads them.
fn of_hidden(map: &'static str, cell: Cell) -> Reads {
    Reads {
        map,
        streamed: false,
        max: 1 << 15,
        lsb: hidden_lsb(cell),
    }
}
