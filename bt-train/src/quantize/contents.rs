//! Everything that is decided → the bytes of a model file.

use super::head::head;
use super::input::InputFormat;
use super::layer::{CellReport, Weights};
use super::map::Pool;
use super::window::{self, WindowReport};
use super::z::Z_SCALE;
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::{Checkpoint, HEAD_BIAS, HEAD_OFFSET, HEAD_SCALE, HEAD_WEIGHT};
use crate::float::config::{self, FrontEndConfig, HeadName, ModelConfig, PAINT_PLACES};
use crate::float::draw::ATTENTION;
use crate::float::filter::Filter;
use bt_core::about::FloatOutput;
use bt_core::drawing::NextFrame;
use bt_core::internals::cell::Gate;
use bt_core::internals::model::layout::{CELL_FRACTION, DrawRecord, WindowRecord};
use bt_core::internals::model::write::{Contents, LayerContents, ModelBytes, Outputs};
use bt_core::internals::model::{self, ArenaLayout, Kept};
use bt_core::{InputType, OutputKind};
use ndarray::{Ix2, s};

/// What a model file is made of.
pub(super) struct FileContents<'a> {
    pub name: &'a str,
    pub labels: &'a [String],
    /// Of the whole float model, to tell about it.
    pub whole: &'a ModelConfig,
    /// Of what the device runs.
    pub config: &'a ModelConfig,
    pub format: &'a InputFormat,
    /// Formats of the states, layer by layer.
    pub cells: Vec<CellReport>,
    /// Of the head.
    pub checkpoint: &'a Checkpoint,
    pub layers: &'a [Weights<'a>],
    /// Words that the maps share, by their plans, and what paints.
    pub scratch_words: usize,
    /// Where the model has attention.
    pub window: Option<&'a WindowReport>,
}

impl FileContents<'_> {
    /// The model that takes what is pushed to a device, and tells about itself.
    pub fn whole(&self) -> Result<ModelBytes> {
        let about = serde_json::json!({
            "config": self.whole,
            "parameters": self.whole.parameters(),
        });
        self.write(self.config.front_end.as_ref(), about.to_string())
    }

    /// The model without its front end: it takes the frames of the input map.
    pub fn without_front_end(&self) -> Result<ModelBytes> {
        self.write(None, String::new())
    }

    /// What the scores are. A raw score is a logit · 2^score_shift, and a value is its logit times a scale plus
    /// an offset.
    fn outputs(&self, score_shift: i32, window: Option<WindowRecord>) -> Outputs {
        let head = &self.config.head;
        let values = match head.gives.kind() {
            OutputKind::Classes | OutputKind::Bits => Vec::new(),
            OutputKind::Values => {
                let scale = self.checkpoint.values(HEAD_SCALE);
                let offset = self.checkpoint.values(HEAD_OFFSET);
                let unit = 2f64.powi(-score_shift);
                let units = offset.iter().zip(scale);
                units
                    .map(|(&offset, scale)| FloatOutput {
                        offset: offset as f32,
                        lsb: (scale * unit) as f32,
                    })
                    .collect()
            }
        };
        Outputs {
            kind: head.gives.kind(),
            // The canvas can be looked at as it grows.
            every_step: head.gives.every_step() || head.gives.is_pictures(),
            // 0 with other pools, whose horizon is 1.
            horizon_shift: head.horizon().ilog2() as u8,
            values,
            next_frame: match head.gives.name() {
                HeadName::NextBits => NextFrame::Drawn,
                HeadName::Draw => NextFrame::Latent,
                _ => NextFrame::Pushed,
            },
            draw: self.draw(),
            window: window.map(|window| (window, head.gives.outputs())),
        }
    }

    /// How pictures are painted, where they are.
    fn draw(&self) -> Option<DrawRecord> {
        let head = &self.config.head;
        let is_pictures = head.gives.is_pictures();
        let (steps, rows) = head.steps.zip(head.rows).filter(|_| is_pictures)?;
        Some(DrawRecord {
            steps: steps as u32,
            rows: rows as u32,
            // A canvas has its own format.
            sum_shift: match self.window {
                None => DrawRecord::shift_of(steps as u32),
                Some(_) => 0,
            },
        })
    }

    fn write(&self, front_end: Option<&FrontEndConfig>, about: String) -> Result<ModelBytes> {
        let config = self.config;
        let rows = |[weight, bias]: [&str; 2]| {
            let weight = self.checkpoint.tensors[weight].mapv(f64::from);
            let weight = weight.into_dimensionality::<Ix2>();
            Ok::<_, Error>((
                weight.map_err(Error::malformed)?,
                self.checkpoint.values(bias),
            ))
        };
        let (weight, bias) = rows([HEAD_WEIGHT, HEAD_BIAS])?;
        let fraction = config.cell.device().hidden_fraction() as i32;
        let draw = self.draw();
        let (mut head_weights, mut head_bias, mut score_shift) = match draw {
            Some(draw) if self.window.is_none() => {
                let fraction = fraction - draw.sum_shift as i32;
                head(weight.view(), &bias, fraction, draw.steps)
            }
            _ => head(weight.view(), &bias, fraction, 1),
        };
        let mut window = None;
        if let Some(report) = self.window {
            let (weight, bias) = rows(ATTENTION)?;
            let own = weight.slice(s![PAINT_PLACES, ..]);
            let (weights, biases, place_shift) = head(own, &bias[PAINT_PLACES], fraction, 1);
            head_weights.extend(weights);
            head_bias.extend(biases);
            window = window::record(&config.head, score_shift, place_shift);
            score_shift = report.canvas_fraction;
        }
        let arena = arena(config, front_end)?;
        let is_raw = self.format.left_shift > 0;
        let mut pool = Pool::default();
        let one_line = |label: &String| label.replace('\n', " ");
        let rounded = |b: &f64| (b * Z_SCALE).round().clamp(-32_768.0, 32_767.0) as i16;
        let layer = |(at, (weights, cell)): (usize, (&Weights<'_>, &CellReport))| LayerContents {
            input: weights
                .input
                .contents((arena.scratch_word, 0), is_raw && at == 0, &mut pool),
            recurrent: weights.recurrent.as_ref().map(|map| {
                let words = (arena.recurrent_scratch_word, arena.recurrent_z_word);
                map.contents(words, false, &mut pool)
            }),
            bias: weights.integer_bias.iter().map(rounded).collect(),
            recurrent_bias: weights.recurrent_bias.iter().map(rounded).collect(),
            cell_fraction: match config.cell.device().state_fraction() {
                Some(_) => CELL_FRACTION,
                None => cell.fraction,
            },
        };
        let layers = self.layers.iter().zip(&self.cells).enumerate();
        let layers = layers.map(layer).collect();
        let contents = Contents {
            name: self.name.to_owned(),
            labels: self.labels.iter().map(one_line).collect(),
            about,
            hidden: config.units(),
            map_values: config.inputs(),
            input_type: match front_end {
                Some(_) => InputType::I16,
                None => self.format.input_type,
            },
            gate: match config.gate {
                config::Gate::Sigmoid => Gate::Sigmoid,
                config::Gate::HardSigmoid => Gate::HardSigmoid,
            },
            pool: pooled(config),
            elements: self.format.elements.clone(),
            score_shift,
            outputs: self.outputs(score_shift, window),
            float_inputs: self.format.floats.clone(),
            cell: config.cell.device(),
            layers,
            filter: self.layers.first().and_then(|layer| layer.filter.clone()),
            words: super::words::integers(self.checkpoint)?.map(|(words, _)| words),
            front_end: match front_end {
                Some(config) => Some((config.section()?, config.vectors_per_step as u32)),
                None => None,
            },
            weights: pool.weights,
            tables: pool.tables,
            head_weights,
            head_bias,
            scratch_words: self.scratch_words,
            golden_seed: 0x5eed_b10c,
            golden_steps: match (draw, config.words()) {
                (Some(draw), _) => draw.steps.min(GOLDEN_PICTURE_STEPS),
                // Of a caption, a picture and three words.
                (None, Some(_)) => 4,
                (None, None) => 2,
            },
        };
        contents
            .write()
            .map_err(|error| Error::new(ErrorKind::Exported(error)))
    }
}

/// Most steps of the golden picture: those of a whole one, unless it has many.
const GOLDEN_PICTURE_STEPS: u32 = 16;

/// Where a session of a model keeps what, behind this front end or none.
pub(super) fn arena(
    config: &ModelConfig,
    front_end: Option<&FrontEndConfig>,
) -> Result<ArenaLayout> {
    let (words, bands) = match front_end {
        Some(front_end) => (front_end.state_words()?, front_end.bands),
        None => (0, 0),
    };
    let record = window::record(&config.head, 0, 0);
    Ok(ArenaLayout::new(
        (config.cell.device(), config.layers),
        config.units(),
        (
            pooled(config),
            window::on_pictures(&config.head, record.as_ref()),
        ),
        kept(config),
        words,
        bands,
    ))
}

/// What a session keeps of the input map's share.
fn kept(config: &ModelConfig) -> Option<Kept> {
    let filter = Filter::of(&config.input).map(|filter| Kept::Filter(filter.shift));
    filter.or(config.head.gives.is_next_word().then_some(Kept::Picture))
}

fn pooled(config: &ModelConfig) -> model::Pool {
    if config.head.gives.is_pictures() {
        return match config.head.attention {
            None => model::Pool::Sum,
            Some(_) => model::Pool::Canvas,
        };
    }
    match config.head.pool {
        config::Pool::Last => model::Pool::Last,
        config::Pool::Mean => model::Pool::Mean,
        config::Pool::Recent => model::Pool::Recent,
    }
}
