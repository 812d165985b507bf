//! The model that settings and data make, and the settings that a model makes.

use super::file::plain;
use super::{Flags, HeadChoice, Settings};
use crate::data::{DataSet, Part, PartName};
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::config::{
    FILTER_HORIZON, FrontEndConfig, HORIZON, HeadConfig, HeadKind, HeadName, HiddenConfig,
    InputConfig, InputFilter, ModelConfig, Pool, RecurrentConfig,
};
use crate::shape::MapName;
use crate::training::modes::{self, Modes};
use std::path::Path;

/// Steps of the longest sequence.
fn longest(part: &Part) -> usize {
    part.lengths.iter().copied().max().unwrap_or(0)
}

/// Hidden units where nobody says how many.
const DEFAULT_UNITS: usize = 64;

impl Settings {
    /// The path of `init`, where there is one.
    pub fn model_to_start_from(&self) -> Option<&Path> {
        Some(self.init.as_str())
            .filter(|init| !init.is_empty())
            .map(Path::new)
    }

    /// As [`Settings::resolve`], with what the model of `init` is, where there is one.
    ///
    /// # Errors
    /// As [`Settings::resolve`], when the model cannot be read, or has not what the flags say.
    pub fn of_run(file: Option<&Path>, flags: &Flags) -> Result<Settings> {
        let told = Settings::resolve(file, flags)?;
        let Some(path) = told.model_to_start_from() else {
            return Ok(told);
        };
        let model = Checkpoint::read(path).map_err(|error| match error.kind {
            ErrorKind::Io(_) => {
                error.remedy("the model of `init` is needed whenever the run starts or goes on")
            }
            _ => error,
        })?;
        told.of_model(&model.config, flags)
    }

    /// The settings of a model that learning starts from: what says how it is made is the model's.
    ///
    /// # Errors
    /// When a flag says otherwise.
    fn of_model(&self, model: &ModelConfig, flags: &Flags) -> Result<Settings> {
        let (map, blocks, rank) = model.input.map.named();
        let (recurrent_map, recurrent_blocks, recurrent_rank) = model.recurrent.map.named();
        let mut settings = Settings {
            input_modes: Modes(model.input.modes.clone()),
            hidden_modes: Modes(model.hidden.modes.clone()),
            units: model.units(),
            cell: model.cell,
            layers: model.layers,
            input_map: map,
            blocks: blocks.unwrap_or(self.blocks),
            rank: rank.unwrap_or(self.rank),
            input_filter: model.input.filter,
            filter_horizon: model.input.filter_horizon.unwrap_or(FILTER_HORIZON),
            recurrent_map,
            recurrent_blocks: recurrent_blocks.unwrap_or(self.recurrent_blocks),
            recurrent_rank: recurrent_rank.unwrap_or(self.recurrent_rank),
            pad: model.input.width.is_some(),
            frames: model.input.frames.unwrap_or(0),
            gate: model.gate,
            pool: model.head.pool,
            horizon: model.head.horizon.unwrap_or(HORIZON),
            draw_steps: match model.head.gives.is_pictures() {
                true => model.head.steps.unwrap_or(self.draw_steps),
                false => self.draw_steps,
            },
            latent: match model.head.gives.is_pictures() {
                true => model.latent_values(),
                false => self.latent,
            },
            attention: model.head.attention.unwrap_or(0),
            head: HeadChoice::of(model.head.gives.name()),
            ..self.clone()
        };
        settings.check_head(model.head.gives.name())?;
        if let Some(front_end) = &model.front_end {
            settings = Settings {
                window: front_end.window,
                hop: front_end.hop,
                bands: front_end.bands,
                low_hz: front_end.low_hz,
                high_hz: front_end.high_hz,
                level: front_end.level,
                vectors_per_step: front_end.vectors_per_step,
                ..settings
            };
        }
        if flags.normalize.is_some() {
            return Err(Error::usage(
                "the model of `init` keeps its own offset and scale; leave `normalize` out",
            ));
        }
        let told = toml::Table::try_from(flags).map_err(Error::malformed)?;
        let is = toml::Table::try_from(&settings).map_err(Error::malformed)?;
        let differs = told.iter().find(|(key, value)| is.get(*key) != Some(value));
        match differs {
            None => Ok(settings),
            Some((key, value)) => Err(Error::new(ErrorKind::OtherModel {
                told: plain(value).into(),
                model: is.get(key).map(plain).unwrap_or_default().into(),
            })
            .field(key)
            .remedy("leave it out; a model keeps its form")
            .into_usage()),
        }
    }

    /// With modes where none are given: even ones that hold a frame of these data and the hidden units.
    ///
    /// # Errors
    /// When units and hidden modes do not agree, or there is no training part.
    pub fn fitted(&self, data: &DataSet) -> Result<Settings> {
        let mut settings = self.clone();
        let given: usize = self.hidden_modes.0.iter().product();
        let units = match (self.units, self.hidden_modes.0.is_empty()) {
            (0, true) => DEFAULT_UNITS,
            (units, true) => units,
            (0, false) => given,
            (units, false) => {
                modes::check(modes::HIDDEN, &self.hidden_modes.0, units, false)?;
                units
            }
        };
        settings.units = units;
        let width = self.map_width(data, units)?;
        let is_dense = |map| map == MapName::Dense;
        let order = match (self.input_modes.0.len(), self.hidden_modes.0.len()) {
            (0, 0) if is_dense(self.input_map) => modes::order(units),
            (0, 0) => modes::order(width),
            (0, order) => order,
            // The modes of a dense map say nothing about those of the hidden state.
            (_, 0) if is_dense(self.input_map) => modes::order(units),
            (order, _) => order,
        };
        if self.input_modes.0.is_empty() {
            settings.input_modes = Modes(if is_dense(self.input_map) {
                vec![width]
            } else {
                let modes = modes::even_padded(width, order);
                settings.pad |= modes.iter().product::<usize>() > width;
                modes
            });
        }
        if self.hidden_modes.0.is_empty() {
            let both_dense = is_dense(self.input_map) && is_dense(self.recurrent_map);
            settings.hidden_modes = Modes(if both_dense {
                vec![units]
            } else {
                modes::even(units, order)
            });
        }
        Ok(settings)
    }

    /// Values a step that the model gets of these data.
    pub(crate) fn width(&self, data: &DataSet) -> Result<usize> {
        match data.sample_rate {
            Some(rate) => {
                let front_end = self.front_end(rate);
                front_end.section()?;
                Ok(front_end.values_per_step())
            }
            None => {
                let train = data.part(PartName::Train)?;
                match self.head {
                    HeadChoice::Draw => Ok(longest(train).saturating_mul(train.width)),
                    _ => Ok(train.width),
                }
            }
        }
    }

    /// Values that the input map reads at least: a frame, or of pictures two, or two windows, and the hidden state.
    fn map_width(&self, data: &DataSet, units: usize) -> Result<usize> {
        let width = self.width(data)?;
        Ok(match self.head {
            HeadChoice::Draw => {
                let picture = match self.attention {
                    0 => width,
                    points => points.saturating_mul(points),
                };
                picture.saturating_mul(2).saturating_add(units)
            }
            _ => width,
        })
    }

    /// The front end for sound of this sample rate.
    fn front_end(&self, sample_rate_hz: u32) -> FrontEndConfig {
        FrontEndConfig {
            sample_rate_hz,
            window: self.window,
            hop: self.hop,
            bands: self.bands,
            low_hz: self.low_hz,
            high_hz: if self.high_hz > 0.0 {
                self.high_hz
            } else {
                0.475 * sample_rate_hz as f32
            },
            level: self.level,
            vectors_per_step: self.vectors_per_step,
            format: bt_core::internals::front_end::FORMAT,
        }
    }

    /// The model for a data set.
    ///
    /// # Errors
    /// When the data have no labels, the modes do not hold their width, or no such model can be.
    pub fn model(&self, data: &DataSet) -> Result<ModelConfig> {
        let train = data.part(PartName::Train)?;
        let head = match self.head.name() {
            Some(head) => head,
            None => train.known_targets(PartName::Train)?.name(),
        };
        self.check_head(head)?;
        let read = data.clone().for_head(head)?;
        read.part(PartName::Train)?.known_targets(PartName::Train)?;
        let outputs = read.outputs(head);
        let (draws, pictures) = (head == HeadName::NextBits, head == HeadName::Draw);
        let front_end = data.sample_rate.map(|rate| self.front_end(rate));
        let width = self.width(data)?;
        let fitted = self.fitted(data)?;
        let read = self.map_width(data, fitted.units)?;
        modes::check(modes::INPUT, &fitted.input_modes.0, read, fitted.pad)?;
        let latent = if self.input_map == MapName::Dense {
            vec![self.latent]
        } else {
            modes::even(self.latent, fitted.hidden_modes.0.len())
        };
        let config = ModelConfig {
            input: InputConfig {
                map: self.input_map.with(self.blocks, self.rank),
                modes: fitted.input_modes.0,
                width: None,
                filter: self.input_filter,
                // As of the head's: said for another filter, it is refused with the rest.
                filter_horizon: (self.input_filter == InputFilter::HighPass
                    || self.filter_horizon != FILTER_HORIZON)
                    .then_some(self.filter_horizon),
                frames: (self.frames > 0).then_some(self.frames),
            },
            hidden: HiddenConfig {
                modes: fitted.hidden_modes.0,
            },
            cell: self.cell,
            layers: self.layers,
            recurrent: RecurrentConfig {
                map: self
                    .recurrent_map
                    .with(self.recurrent_blocks, self.recurrent_rank),
            },
            gate: self.gate,
            head: HeadConfig {
                gives: HeadKind::of(head, outputs),
                pool: self.pool,
                // Said for another pool, it is refused with the rest.
                horizon: (self.pool == Pool::Recent || self.horizon != HORIZON)
                    .then_some(self.horizon),
                steps: self.steps_made(head, train),
                latent: pictures.then_some(latent),
                rows: pictures.then(|| longest(train)),
                attention: (self.attention > 0).then_some(self.attention),
                // Those of a data set whose frames are the targets are of classes.
                labels: if draws || pictures {
                    Vec::new()
                } else {
                    data.labels.clone()
                },
            },
            front_end,
            imported: false,
        };
        let padded = (config.inputs() > width).then_some(width);
        let config = ModelConfig {
            input: InputConfig {
                width: padded,
                ..config.input
            },
            ..config
        };
        config
            .validate()
            .map_err(|error| match error.field.as_deref() {
                Some("head.pool" | "head.horizon" | "head.attention" | "input.frames") => {
                    let field = error
                        .field
                        .as_deref()
                        .and_then(|field| field.split('.').nth(1));
                    Error {
                        field: field.map(String::from),
                        ..error
                    }
                }
                Some("input.filter_horizon") => Error {
                    field: Some("filter-horizon".into()),
                    ..error
                },
                _ => error,
            })?;
        Ok(config)
    }

    /// Steps that a head draws or captions in: as many as the longest sequence that it learns from has, of pictures as
    /// many as are asked for.
    fn steps_made(&self, head: HeadName, train: &Part) -> Option<usize> {
        match head {
            HeadName::NextBits => Some(longest(train)),
            HeadName::NextWords => {
                let captions = train.targets.as_ref()?.caption_lengths()?;
                Some(captions.into_iter().max().unwrap_or(0))
            }
            HeadName::Draw => Some(self.draw_steps),
            _ => None,
        }
    }
}
