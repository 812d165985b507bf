//! Training at the integers' own values, with straight-through gradients.
//!
//! The forward pass is the device: weights are rounded by the exporter, and every sequence runs
//! through the very code that the firmware runs, so rounding, saturation and tables are not imitated
//! but there. The backward pass takes z, c, h and the scores that came out and differentiates the
//! float model at these values, as if rounding were the identity. Where a value is cut off, sigmoid
//! and tanh are flat and the gradient vanishes by itself; to the candidate of a minGRU, which is linear, it
//! passes, and brings it back.

use crate::data::{Batch, Part};
use crate::device::{self, LayerPassage, Passage};
use crate::error::{Error, ErrorKind, Result};
use crate::float::checkpoint::Checkpoint;
use crate::float::model::{Gradients, Loss, LossOptions, Model, States};
use crate::quantize::export::Scheme;
use bt_core::captions::Teller;
use ndarray::Array2;

/// One LSB of z.
const Z_LSB: f32 = 1.0 / 2_048.0;

/// Loss of the integers on `part`, and the gradients of the float weights they came from. `batch` are
/// the same sequences as the float model takes them.
///
/// # Errors
/// When the weights cannot be quantized.
pub fn loss_and_gradients(
    scheme: &Scheme,
    model: &Model,
    part: &Part,
    batch: &Batch,
    options: &LossOptions,
) -> Result<(Loss, Gradients)> {
    let (passages, logits) = pass(scheme, model, part)?;
    let states: Vec<Vec<States<f32>>> = passages
        .iter()
        .map(|passage| states(scheme, passage))
        .collect();
    let items = batch.targets.as_ref();
    let items = items.ok_or_else(|| Error::new(ErrorKind::Internal("a batch without targets")))?;
    Ok(scheme.rounded(model)?.loss_and_gradients_at(
        batch.x.view(),
        &batch.lengths,
        items.wanted(),
        options,
        &states,
        logits.view(),
    ))
}

/// Logits [rows, K] of the integers that `model` becomes, as of
/// [`evaluate::logits`](crate::training::evaluate::logits).
///
/// # Errors
/// When the weights cannot be quantized.
pub fn logits(scheme: &Scheme, model: &Model, part: &Part) -> Result<Array2<f32>> {
    Ok(pass(scheme, model, part)?.1)
}

/// A caption of each of these sequences' pictures by the integers that `model` becomes, always the likeliest word.
///
/// # Errors
/// When the weights cannot be quantized, or tell no captions.
pub fn captions(
    scheme: &Scheme,
    model: &Model,
    part: &Part,
    sequences: &[usize],
) -> Result<Vec<Vec<usize>>> {
    let bytes = scheme.without_front_end(&Checkpoint::of(model))?;
    let integers = device::parse(&bytes)?;
    device::captions(&integers, part, sequences, |_| Teller::likeliest(), || ())
}

fn pass(scheme: &Scheme, model: &Model, part: &Part) -> Result<(Vec<Passage>, Array2<f32>)> {
    let bytes = scheme.without_front_end(&Checkpoint::of(model))?;
    let integers = device::parse(&bytes)?;
    let passages = device::trace(&integers, part)?;
    let unit = 2f64.powi(-integers.score_shift());
    let raw = passages.iter().flat_map(|passage| &passage.raw);
    let logits: Vec<f32> = raw.map(|&raw| (f64::from(raw) * unit) as f32).collect();
    let shape = (logits.len() / integers.outputs(), integers.outputs());
    let logits = Array2::from_shape_vec(shape, logits).map_err(Error::malformed)?;
    Ok((passages, logits))
}

/// The same, layer by layer, in real numbers.
fn states(scheme: &Scheme, passage: &Passage) -> Vec<States<f32>> {
    let lsb = |fraction: u32| 2f32.powi(-(fraction as i32));
    let h_lsb = lsb(scheme.hidden_fraction());
    let halves = |values: &[i16], lsb| values.iter().map(|&v| f32::from(v) * lsb).collect();
    let layer = |(passage, fraction): (&LayerPassage, u32)| States {
        z: halves(&passage.z, Z_LSB),
        apart: halves(&passage.apart, Z_LSB),
        c: passage
            .c
            .iter()
            .map(|&c| c as f32 * lsb(fraction))
            .collect(),
        h: halves(&passage.h, h_lsb),
    };
    let layers = passage.layers.iter().zip(scheme.cell_fractions());
    layers.map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSet, Normalization, PartName};
    use crate::quantize::export::Options;
    use crate::shape::{MapKind, MapName};
    use crate::training::modes::Modes;
    use crate::training::settings::Settings;
    use crate::training::trainer::{Trainer, Update, tests};
    use std::ops::ControlFlow;

    fn on(_: Update) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn trained(settings: &Settings, data: &DataSet) -> Checkpoint {
        let config = settings.model(data).unwrap();
        let mut trainer = Trainer::new(settings, config, data).unwrap();
        while !trainer.finished() {
            trainer.epoch(&mut on).unwrap().unwrap();
        }
        trainer.checkpoint()
    }

    fn scheme(checkpoint: &Checkpoint, data: &DataSet) -> Scheme {
        let frames = data.clone().for_model(&checkpoint.config).unwrap();
        let options = Options {
            name: "test".into(),
            limits: Default::default(),
            sequences: 64,
        };
        let part = frames.part(PartName::Train).unwrap();
        Scheme::calibrate(checkpoint, part, &[], &options).unwrap()
    }

    /// What training sees of the device's scores is what the exported file gives, to the last bit, for
    /// every form of both maps.
    #[test]
    fn training_runs_the_exported_integers() {
        let data = tests::data();
        let maps = [MapName::BlockTerm, MapName::TensorTrain, MapName::Dense];
        for (input_map, recurrent_map) in maps.iter().flat_map(|a| maps.iter().map(move |b| (a, b)))
        {
            let settings = Settings {
                input_map: *input_map,
                recurrent_map: *recurrent_map,
                epochs: 1,
                ..tests::settings()
            };
            let checkpoint = trained(&settings, &data);
            let scheme = scheme(&checkpoint, &data);
            let part = data.part(PartName::Train).unwrap();
            let (passages, _) = pass(&scheme, &checkpoint.model().unwrap(), part).unwrap();
            let exported = scheme.export(&checkpoint).unwrap();
            let file = device::parse(&exported.bytes).unwrap();
            let raw = device::run(&file, part, || ()).unwrap();
            assert_eq!(raw.len(), 60);
            for (passage, raw) in passages.iter().zip(&raw) {
                assert_eq!(&passage.raw, raw, "{input_map:?} {recurrent_map:?}");
            }
        }
    }

    /// The same through a front end: the file takes sound, training its frames.
    #[test]
    fn training_runs_the_exported_integers_behind_a_front_end() {
        let mut random = bt_core::drawing::Random::new(7, 0);
        let mut noise = || (random.next_u32() >> 16) as i16 >> 2;
        let data = DataSet {
            train: Some(Part {
                values: std::sync::Arc::new(crate::data::Values::I16(
                    (0..12 * 600).map(|_| noise()).collect(),
                )),
                width: 1,
                starts: (0..12).map(|sequence| sequence * 600).collect(),
                lengths: vec![600; 12],
                targets: Some(
                    (0..12)
                        .map(|sequence| sequence % 2)
                        .collect::<Vec<_>>()
                        .into(),
                ),
                groups: None,
            }),
            sample_rate: Some(8000),
            ..DataSet::default()
        };
        let settings = Settings {
            input_modes: Modes(vec![4, 4]),
            bands: 8,
            window: 64,
            hop: 32,
            vectors_per_step: 2,
            low_hz: 300.0,
            epochs: 1,
            ..tests::settings()
        };
        let checkpoint = trained(&settings, &data);
        let scheme = scheme(&checkpoint, &data);
        let frames = data.clone().for_model(&checkpoint.config).unwrap();
        let part = frames.part(PartName::Train).unwrap();
        let (passages, _) = pass(&scheme, &checkpoint.model().unwrap(), part).unwrap();
        let exported = scheme.export(&checkpoint).unwrap();
        let file = device::parse(&exported.bytes).unwrap();
        let sound = data.raw_for_model(&checkpoint.config).unwrap();
        let raw = device::run(&file, sound.part(PartName::Train).unwrap(), || ()).unwrap();
        let found: Vec<&Vec<i32>> = passages.iter().map(|passage| &passage.raw).collect();
        assert_eq!(found, raw.iter().collect::<Vec<_>>());
    }

    /// Levels of 3 bits cost much; training at their values wins most of it back.
    #[test]
    fn fine_tuning_lowers_the_loss_of_coarse_integers() {
        let data = tests::data();
        let settings = Settings {
            recurrent_map: MapName::BlockTerm,
            epochs: 20,
            ..tests::settings()
        };
        let checkpoint = trained(&settings, &data);
        assert!(matches!(
            checkpoint.config.recurrent.map,
            MapKind::BlockTerm { .. }
        ));
        let mut scheme = scheme(&checkpoint, &data);
        scheme.coarsen(3);
        let part = data.part(PartName::Train).unwrap();
        let loss = |checkpoint: &Checkpoint| {
            let model = checkpoint.model().unwrap();
            let all: Vec<usize> = (0..part.sequences()).collect();
            let batch = part.batch(&all, &Normalization::of(&model));
            let options = LossOptions::default();
            let wanted = batch.targets.as_ref().unwrap().wanted();
            let (fixed, _) = loss_and_gradients(&scheme, &model, part, &batch, &options).unwrap();
            let (float, _) =
                model.loss_and_gradients(batch.x.view(), &batch.lengths, wanted, &options);
            (fixed.loss, float.loss)
        };
        let (before, float) = loss(&checkpoint);
        let tuning = settings.fine_tuning(20);
        let mut trainer = Trainer::fine_tune(&tuning, &checkpoint, &scheme, &data).unwrap();
        let start = trainer.best().unwrap().validation.unwrap();
        while !trainer.finished() {
            trainer.epoch(&mut on).unwrap().unwrap();
        }
        let (after, _) = loss(&trainer.checkpoint());
        assert!(before > 2.0 * float, "{before} {float}");
        assert!(
            after < float + 0.5 * (before - float),
            "{before} {after} {float}"
        );
        let best = trainer.best().unwrap().validation.unwrap();
        assert!(best.beats(&start, trainer.keep()) || best == start);
    }
}
