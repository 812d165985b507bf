//! Float model + calibration data → `.btm`.

use super::decoder::of_device;
use super::real::{RealLayer, RealMaps, frames, hidden_lsb, real, states};
use super::scheme::CALIBRATION_STATES;
use super::spread::spread;
use super::words::RealWords;
use super::z::Z_SCALE;
use crate::data::Part;
use crate::device::{self, LayerPassage, Passage};
use crate::error::{Error, ErrorKind, OverLimits, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::filter::Filter;
use crate::plan::search::Limits;
use bt_core::Model;
use bt_core::internals::model::layout::FilterRecord;
use bt_core::internals::model::write::ModelBytes;

pub use super::gates::ZReport;
pub use super::layer::CellReport;
pub use super::map::{LevelReport, MapReport, Z_MAX};
pub use super::scheme::{Options, Scheme};
pub use super::window::WindowReport;
pub use super::words::WordsReport;

/// A quantized model and how well its parts came out.
#[derive(Debug)]
pub struct Exported {
    /// The file.
    pub bytes: ModelBytes,
    /// Its layers, from the frame on.
    pub layers: Vec<LayerReport>,
    /// The table of words of a model that tells captions.
    pub words: Option<WordsReport>,
    /// What a model with attention paints through.
    pub window: Option<WindowReport>,
    /// Predicted instructions of all maps for one step.
    pub instructions: u64,
}

/// How the parts of a layer came out.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LayerReport {
    /// The map from the frame, or from the layer below.
    pub input: MapReport,
    /// The recurrent map; a minGRU has none.
    pub recurrent: Option<MapReport>,
    /// The sum of both maps and the bias.
    pub z: ZReport,
    /// The state.
    pub cell: CellReport,
}

/// Quantizes a model; arguments as of [`Scheme::calibrate`].
///
/// # Errors
///
/// When no plan keeps to the limits, or the model's weights cannot be quantized.
pub fn export(
    checkpoint: &Checkpoint,
    part: &Part,
    labels: &[String],
    options: &Options,
) -> Result<Exported> {
    Scheme::calibrate(checkpoint, part, labels, options)?.export(checkpoint)
}

impl Scheme {
    /// The model file of `checkpoint`, and the report that it carries.
    ///
    /// # Errors
    ///
    /// When the weights cannot be quantized.
    pub fn export(&self, checkpoint: &Checkpoint) -> Result<Exported> {
        let checkpoint = &*of_device(checkpoint);
        let maps = RealMaps::read(checkpoint, &self.plans)?;
        let weights = self.weights(&maps, checkpoint)?;
        let contents = self.contents(&weights, checkpoint);
        let bytes = contents.whole()?;
        let plan = self.plans.input.plan.to_string();
        keeps_to(&self.limits, &device::parse(&bytes)?, plan)?;

        let chosen: Vec<usize> = (0..self.sample.sequences()).collect();
        let plain = contents.without_front_end()?;
        let passages = device::trace(&device::parse(&plain)?, &self.sample)?;
        let words = RealWords::new(checkpoint, &self.sample, &chosen)?;
        let mut read = frames(&self.sample, &self.format, &chosen);
        let mut lsb = self.format.map_lsb;
        let mut layers = Vec::new();
        let all = self.layers.iter().zip(&maps).zip(&weights).enumerate();
        for (at, ((scheme, maps), weights)) in all {
            let layer = RealLayer {
                maps,
                bias: &weights.bias,
                recurrent_bias: &weights.recurrent_bias,
                kind: self.config.kind(),
                filter: Filter::of(&self.config.input).filter(|_| at == 0),
                words: words.as_ref().filter(|_| at == 0),
            };
            let hidden = states(&read, lsb, &layer).hidden.concat();
            let hidden = spread(hidden, CALIBRATION_STATES);
            let of_layer: Vec<&LayerPassage> =
                passages.iter().map(|passage| &passage.layers[at]).collect();
            let in_real = |sequence: &Vec<Vec<i16>>| -> Vec<Vec<f64>> {
                sequence.iter().map(|frame| real(frame, lsb)).collect()
            };
            let sequences: Vec<Vec<Vec<f64>>> = read.iter().map(in_real).collect();
            let z = ZReport::of(&of_layer, &sequences, &layer);
            let flat = spread(read.concat(), REPORT_FRAMES);
            let recurrent = scheme.recurrent.as_ref().zip(weights.recurrent.as_ref());
            let mut input = scheme.input.report(&weights.input, &flat);
            if let Some((record, _)) = &weights.filter {
                (input.snr_db, input.z_max) = passed(record, &passages, &sequences, &layer);
            }
            layers.push(LayerReport {
                input,
                recurrent: recurrent.map(|(scheme, integers)| scheme.report(integers, &hidden)),
                z,
                cell: scheme.cell,
            });
            // The layer above reads what the device came to.
            let steps = |passage: &&LayerPassage| {
                let steps = passage.h.chunks(layer.units());
                steps.map(<[i16]>::to_vec).collect()
            };
            read = of_layer.iter().map(steps).collect();
            lsb = hidden_lsb(self.config.cell);
        }
        Ok(Exported {
            bytes,
            layers,
            words: super::words::integers(checkpoint)?.map(|(_, report)| report),
            window: self.window,
            instructions: self.plans.instructions,
        })
    }
}

/// Checks a file that is done against the limits that its plans, of which this is the input map's, were
/// chosen within.
fn keeps_to(limits: &Limits, model: &Model<'_>, plan: String) -> Result<()> {
    let (ram_bytes, flash_bytes) = (model.arena_bytes(), model.flash_bytes());
    let keeps = |takes, limit: Option<usize>| limit.is_none_or(|limit| takes <= limit);
    if keeps(ram_bytes, limits.ram_bytes) && keeps(flash_bytes, limits.flash_bytes) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::OverLimits(Box::new(OverLimits {
        plan,
        ram_bytes,
        flash_bytes,
        ram_limit: limits.ram_bytes,
        flash_limit: limits.flash_bytes,
    }))))
}

/// Signal-to-noise ratio, dB, and largest magnitude of what a filter passes: the device's integers beside the
/// shares of `sequences` in real arithmetic. What z cannot hold is no noise; [`ZReport`] tells it.
fn passed(
    record: &FilterRecord,
    passages: &[Passage],
    sequences: &[Vec<Vec<f64>>],
    layer: &RealLayer<'_>,
) -> (f64, f64) {
    let values = layer.bias.len();
    let none = vec![0; values];
    let (mut signal, mut noise, mut largest) = (0.0, 0.0, 0.0f64);
    for (sequence, (frames, passage)) in sequences.iter().zip(passages).enumerate() {
        let mut kept = vec![0; FilterRecord::words(record.horizon_shift, values)];
        let steps = layer
            .shares(sequence, frames)
            .into_iter()
            .zip(passage.shares.chunks(values));
        for (t, (wanted, z)) in steps.enumerate() {
            let mut z = z.to_vec();
            record.apply(&mut z, &mut kept, &none, t == 0);
            for (wanted, z) in wanted.iter().zip(z) {
                largest = largest.max(wanted.abs());
                let wanted = wanted.clamp(-Z_MAX, Z_MAX);
                signal += wanted * wanted;
                noise += (f64::from(z) / Z_SCALE - wanted).powi(2);
            }
        }
    }
    let ratio = signal / noise.max(f64::MIN_POSITIVE);
    (10.0 * ratio.log10(), largest)
}

/// Sequences that calibration looks at, unless something else is wanted.
pub const CALIBRATION_SEQUENCES: usize = 128;

/// Frames that the report looks at.
const REPORT_FRAMES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use crate::float::model::Model;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    use std::sync::Arc;

    /// Radar maps: a byte in 16 is not zero, and the scale of the input makes much of it.
    #[test]
    fn a_dense_map_takes_few_large_bytes_among_zeros() {
        let config = r#"{"input": {"map": "dense", "modes": [8, 8]}, "hidden": {"modes": [4, 4]},
            "head": {"classes": 3}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        model.scale = vec![0.25].into();
        for (name, mut values) in model.parameters_mut() {
            if name == "lstm.input.weight" {
                values.map_inplace(|w| *w *= 0.5);
                values[[0, 0]] = 2.0;
            }
        }
        let byte = |at: usize| {
            if at.is_multiple_of(16) {
                (at * 7 % 60) as u8
            } else {
                0
            }
        };
        let exported = exported(&model, &Values::U8((0..FRAMES * 64).map(byte).collect()));
        assert!(
            exported.layers[0].input.snr_db > 30.0,
            "{}",
            exported.layers[0].input.snr_db
        );
    }

    /// Levels that saw nothing but zeros hold whatever may come.
    #[test]
    fn calibration_on_zeros_is_no_error() {
        let config = r#"{"input": {"map": "block-term", "modes": [8, 8]}, "hidden": {"modes": [4, 4]},
            "head": {"classes": 3}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        let report = exported(&model, &Values::U8(vec![0; FRAMES * 64]))
            .layers
            .remove(0)
            .input;
        assert!(report.levels.iter().all(|level| level.scale.is_finite()));
    }

    /// The report looks at more frames than ranges were taken from: those are held too, or nearly all.
    #[test]
    fn frames_that_calibration_did_not_see_are_not_cut_off() {
        let config = r#"{"input": {"map": "block-term", "modes": [2, 12, 11]},
            "hidden": {"modes": [2, 2, 2]}, "head": {"classes": 3}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        model.scale = vec![1.0 / 64.0].into();
        let noise = (0..400 * 264).map(|_| (rng.next_u32() >> 24) as u8);
        let part = part(&Values::U8(noise.collect()), 264);
        let exported = exported_of(&model, &part);
        let cut = exported.layers[0]
            .input
            .levels
            .iter()
            .map(|level| level.saturated);
        assert!(
            cut.fold(0.0, f64::max) < 1e-3,
            "{:?}",
            exported.layers[0].input
        );
        assert!(
            exported.layers[0].input.snr_db > 60.0,
            "{}",
            exported.layers[0].input.snr_db
        );
    }

    /// The last word: a file that takes a byte more than its limits is not written.
    #[test]
    fn a_file_beyond_its_limits_is_refused() {
        let config = r#"{"input": {"map": "dense", "modes": [8, 8]}, "hidden": {"modes": [4, 4]},
            "head": {"classes": 3}}"#;
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let model = Model::new(serde_json::from_str(config).unwrap(), &mut rng).unwrap();
        let exported = exported(&model, &Values::U8(vec![9; FRAMES * 64]));
        let file = crate::device::parse(&exported.bytes).unwrap();
        let within = |ram, flash| {
            let limits = Limits {
                ram_bytes: Some(ram),
                flash_bytes: Some(flash),
                ..Limits::default()
            };
            keeps_to(&limits, &file, String::new()).map_err(|error| match error.kind {
                ErrorKind::OverLimits(over) => (over.ram_bytes, over.flash_bytes),
                _ => panic!("{error}"),
            })
        };
        let (ram, flash) = (file.arena_bytes(), exported.bytes.bytes().len());
        assert_eq!(within(ram, flash), Ok(()));
        assert_eq!(within(ram - 1, flash), Err((ram, flash)));
        assert_eq!(within(ram, flash - 1), Err((ram, flash)));
    }

    /// Sequences of 5 steps of 64 values.
    const FRAMES: usize = 20 * 5;

    fn exported(model: &Model, values: &Values) -> Exported {
        exported_of(model, &part(values, 64))
    }

    /// Sequences of 5 steps of `width` values.
    fn part(values: &Values, width: usize) -> Part {
        let sequences = values.len() / (5 * width);
        Part {
            values: Arc::new(values.clone()),
            width,
            starts: (0..sequences)
                .map(|sequence| sequence * 5 * width)
                .collect(),
            lengths: vec![5; sequences],
            targets: None,
            groups: None,
        }
    }

    fn exported_of(model: &Model, part: &Part) -> Exported {
        let options = Options {
            name: "sparse".into(),
            limits: Default::default(),
            sequences: 80,
        };
        let exported = export(&Checkpoint::of(model), part, &[], &options).unwrap();
        crate::device::parse(&exported.bytes).unwrap();
        exported
    }
}
