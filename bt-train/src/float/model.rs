//! The whole model: maps, recurrence, head; logits, loss and all gradients.

use super::config::ModelConfig;
use super::head::{Head, LossWeights, Wanted, cross_entropy, value_error};
use super::init;
use super::layer::Layer;
use super::map::{self, Map};
use super::pool::Reads;
use super::real::Real;
use super::recurrence::{Masks, Recurrence, Trace};
use crate::error::Result;
use crate::shape::{Cell, MapKind, name};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, ArrayView3, ArrayViewD, ArrayViewMutD, s};
use rand::Rng;

pub use super::head::Loss;
pub use super::layer::States;

/// A BT-LSTM with a linear head, in the number type `T`.
#[derive(Debug)]
pub struct Network<T> {
    /// What it is made of.
    pub config: ModelConfig,
    /// Subtracted from a raw input, `[1]` or `[I]`. Not applied by
    /// [`logits`](Self::logits), which takes normalised inputs.
    pub offset: Array1<f32>,
    /// Multiplies what is left, `[1]` or `[I]`.
    pub scale: Array1<f32>,
    /// Where the head gives values, these are its logits times `value_scale` plus this, each `[K]`; empty
    /// where it tells classes.
    pub value_offset: Array1<f32>,
    /// As of `value_offset`; above 0.
    pub value_scale: Array1<f32>,
    layers: Vec<LayerWeights<T>>,
    head: Head<T>,
}

/// What a layer learns.
#[derive(Debug)]
struct LayerWeights<T> {
    input: Box<dyn Map<T>>,
    /// Where the cell has one.
    recurrent: Option<Box<dyn Map<T>>>,
    bias: Array1<T>,
    /// Of the recurrent map's last gate; empty where its share is not kept apart.
    recurrent_bias: Array1<T>,
}

/// The model as it is trained.
pub type Model = Network<f32>;

/// What a training step varies.
#[derive(Debug, Clone)]
pub struct LossOptions<T = f32> {
    /// Label smoothing and class weights.
    pub weights: LossWeights,
    /// Dropout on the frames, [batch, I], one row for all steps of a sequence;
    /// see [`init::dropout_mask`].
    pub input_mask: Option<Array2<T>>,
    /// Dropout on the hidden states as the next step reads them, [batch, layers · J].
    pub recurrent_mask: Option<Array2<T>>,
}

impl<T> Default for LossOptions<T> {
    fn default() -> Self {
        LossOptions {
            weights: LossWeights::default(),
            input_mask: None,
            recurrent_mask: None,
        }
    }
}

/// Gradients of all parameters, in the order and shapes of
/// [`Network::parameters`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<T = f32> {
    /// One array per parameter.
    pub arrays: Vec<ArrayD<T>>,
}

impl<T: Real> Network<T> {
    /// A model with all weights zero.
    ///
    /// # Errors
    /// If the configuration is refused by [`ModelConfig::validate`].
    pub fn zeros(config: ModelConfig) -> Result<Network<T>> {
        config.validate()?;
        let gives = config.head.gives;
        let values = if gives.is_values() {
            gives.outputs()
        } else {
            0
        };
        Ok(Network {
            offset: Array1::zeros(1),
            scale: Array1::ones(1),
            value_offset: Array1::zeros(values),
            value_scale: Array1::ones(values),
            layers: config
                .layer_shapes()
                .iter()
                .map(|shape| LayerWeights {
                    input: map::zeros(&shape.input),
                    recurrent: shape.recurrent.as_ref().map(map::zeros),
                    bias: Array1::zeros(config.bias_values()),
                    recurrent_bias: Array1::zeros(config.recurrent_bias_values()),
                })
                .collect(),
            head: Head::zeros(config.units(), gives.outputs()),
            config,
        })
    }

    /// A model with starting weights: those of [`init`], the bias of the gate that remembers 1 (of an LSTM
    /// f, of a GRU z; of a minGRU the gate that forgets −1), a dense recurrent matrix orthogonal gate by
    /// gate, the head N(0, 1/J).
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn new(config: ModelConfig, rng: &mut impl Rng) -> Result<Network<T>> {
        let mut model = Network::zeros(config)?;
        let units = model.config.units();
        let mut fill = |mut values: ArrayViewMutD<'_, T>, deviation: f64| {
            values.mapv_inplace(|_| T::from_f64(deviation * init::normal(rng)));
        };
        let config = &model.config;
        for (layer, shape) in model.layers.iter_mut().zip(config.layer_shapes()) {
            for (_, values) in layer.input.parameters_mut() {
                fill(values, init::deviation(&shape.input));
            }
            if let (Some(recurrent), Some(shape)) = (&mut layer.recurrent, &shape.recurrent) {
                for (_, values) in recurrent.parameters_mut() {
                    fill(values, init::deviation(shape));
                }
            }
        }
        let deviation = (units as f64).sqrt().recip();
        fill(model.head.weight.view_mut().into_dyn(), deviation);
        let is_dense = config.recurrent.map == MapKind::Dense;
        for layer in &mut model.layers {
            let recurrent = layer.recurrent.iter_mut().filter(|_| is_dense);
            for (_, mut weight) in recurrent.flat_map(|map| map.parameters_mut()) {
                for gate in 0..config.gates() {
                    let rows = gate * units..(gate + 1) * units;
                    let block = weight.slice_mut(s![rows, ..]);
                    init::orthogonal(block, rng);
                }
            }
            let (gate, bias) = match config.cell {
                Cell::Lstm | Cell::Gru => (1, T::one()),
                Cell::MinGru => (0, -T::one()),
            };
            let mut bias_of_gate = layer.bias.slice_mut(s![gate * units..(gate + 1) * units]);
            bias_of_gate.fill(bias);
        }
        Ok(model)
    }

    /// Every trainable array by its name in a checkpoint, in a fixed order.
    pub fn parameters(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        let mut all = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            let cell = self.config.cell;
            let named = |prefix: String| {
                move |(name, value): (String, _)| (format!("{prefix}.{name}"), value)
            };
            let input = layer.input.parameters().into_iter();
            all.extend(input.map(named(name::input_map(cell, at))));
            let recurrent = layer.recurrent.iter().flat_map(|map| map.parameters());
            all.extend(recurrent.map(named(name::recurrent_map(cell, at))));
            all.push((name::bias(cell, at), layer.bias.view().into_dyn()));
            if !layer.recurrent_bias.is_empty() {
                let values = layer.recurrent_bias.view().into_dyn();
                all.push((name::recurrent_bias(cell, at), values));
            }
        }
        all.push(("head.weight".into(), self.head.weight.view().into_dyn()));
        all.push(("head.bias".into(), self.head.bias.view().into_dyn()));
        all
    }

    /// The same arrays, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let mut all = Vec::new();
        for (at, layer) in self.layers.iter_mut().enumerate() {
            let cell = self.config.cell;
            let named = |prefix: String| {
                move |(name, value): (String, _)| (format!("{prefix}.{name}"), value)
            };
            let input = layer.input.parameters_mut().into_iter();
            all.extend(input.map(named(name::input_map(cell, at))));
            let recurrent = layer
                .recurrent
                .iter_mut()
                .flat_map(|map| map.parameters_mut());
            all.extend(recurrent.map(named(name::recurrent_map(cell, at))));
            all.push((name::bias(cell, at), layer.bias.view_mut().into_dyn()));
            if !layer.recurrent_bias.is_empty() {
                let values = layer.recurrent_bias.view_mut().into_dyn();
                all.push((name::recurrent_bias(cell, at), values));
            }
        }
        all.push(("head.weight".into(), self.head.weight.view_mut().into_dyn()));
        all.push(("head.bias".into(), self.head.bias.view_mut().into_dyn()));
        all
    }

    fn recurrence(&self) -> Recurrence<'_, T> {
        let kind = self.config.kind();
        let layers = self.layers.iter().map(|layer| Layer {
            kind,
            input: layer.input.prepare(),
            recurrent: layer.recurrent.as_ref().map(|map| map.prepare()),
            bias: &layer.bias,
            recurrent_bias: &layer.recurrent_bias,
        });
        Recurrence {
            layers: layers.collect(),
            reads: Reads::of(&self.config.head),
        }
    }

    fn check(&self, x: &ArrayView3<'_, T>, lengths: &[usize]) {
        let (batch, steps, inputs) = x.dim();
        assert_eq!(inputs, self.config.inputs(), "values of a frame");
        assert_eq!(lengths.len(), batch, "lengths");
        assert!(
            lengths.iter().all(|&length| length <= steps),
            "a length exceeds the {steps} steps"
        );
    }

    /// Logits [rows, K] of normalised frames `x` [batch, steps, I], of which
    /// sequence b has `lengths[b]` valid steps. What lies behind them is not
    /// read. A row is a sequence, or with a head on every step a valid step,
    /// sequence by sequence. Of values see [`in_units`](Self::in_units).
    ///
    /// # Panics
    /// If `x` or `lengths` do not fit the model.
    pub fn logits(&self, x: ArrayView3<'_, T>, lengths: &[usize]) -> Array2<T> {
        self.check(&x, lengths);
        let masks = Masks {
            input: None,
            recurrent: None,
        };
        let trace: Trace<'_, T> = self.recurrence().forward(&x, lengths, masks, None);
        self.head.forward(trace.pooled.view())
    }

    /// Logits of values in the units of the data; those of classes stay as they are.
    pub fn in_units(&self, mut logits: Array2<T>) -> Array2<T> {
        if self.config.head.gives.is_values() {
            let units = |values: &Array1<f32>| values.mapv(|value| T::from_f64(value.into()));
            logits *= &units(&self.value_scale);
            logits += &units(&self.value_offset);
        }
        logits
    }

    /// Loss of a batch and the gradients of all parameters. `wanted` has a row for each of
    /// [`logits`](Self::logits).
    ///
    /// # Panics
    /// If `x`, `lengths`, `wanted` or a mask do not fit the model.
    pub fn loss_and_gradients<'w>(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        wanted: impl Into<Wanted<'w>>,
        options: &LossOptions<T>,
    ) -> (Loss, Gradients<T>) {
        self.check(&x, lengths);
        let masks = Masks {
            input: options.input_mask.as_ref(),
            recurrent: options.recurrent_mask.as_ref(),
        };
        let recurrence = self.recurrence();
        let trace = recurrence.forward(&x, lengths, masks, None);
        let logits = self.head.forward(trace.pooled.view());
        self.backward(&recurrence, trace, logits.view(), wanted.into(), options)
    }

    /// The same at values found elsewhere: `states` of every sequence, layer by layer, and `logits` [rows, K].
    /// They are differentiated as if the float model had come to them.
    ///
    /// # Panics
    /// If `x`, `lengths`, `wanted`, `states` or `logits` do not fit the model, or there is a mask.
    pub fn loss_and_gradients_at<'w>(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        wanted: impl Into<Wanted<'w>>,
        options: &LossOptions<T>,
        states: &[Vec<States<T>>],
        logits: ArrayView2<'_, T>,
    ) -> (Loss, Gradients<T>) {
        self.check(&x, lengths);
        assert_eq!(states.len(), lengths.len(), "states");
        let masks = Masks {
            input: options.input_mask.as_ref(),
            recurrent: options.recurrent_mask.as_ref(),
        };
        assert!(
            masks.input.is_none() && masks.recurrent.is_none(),
            "states found elsewhere know of no dropout"
        );
        let recurrence = self.recurrence();
        let trace = recurrence.forward(&x, lengths, masks, Some(states));
        self.backward(&recurrence, trace, logits, wanted.into(), options)
    }

    fn backward(
        &self,
        recurrence: &Recurrence<'_, T>,
        trace: Trace<'_, T>,
        logits: ArrayView2<'_, T>,
        wanted: Wanted<'_>,
        options: &LossOptions<T>,
    ) -> (Loss, Gradients<T>) {
        let (loss, dlogits) = self.loss(logits, wanted, &options.weights);
        let (dpooled, dweight, dbias) = self.head.backward(trace.pooled.view(), dlogits.view());
        let masks = Masks {
            input: options.input_mask.as_ref(),
            recurrent: options.recurrent_mask.as_ref(),
        };
        let mut arrays = Vec::new();
        for layer in recurrence.backward(trace, masks, dpooled.view()) {
            arrays.extend(layer.input);
            arrays.extend(layer.recurrent);
            arrays.push(layer.bias.into_dyn());
            if !layer.recurrent_bias.is_empty() {
                arrays.push(layer.recurrent_bias.into_dyn());
            }
        }
        arrays.extend([dweight.into_dyn(), dbias.into_dyn()]);
        (loss, Gradients { arrays })
    }
}

impl<T: Real> Network<T> {
    /// Loss of logits, and their gradient.
    ///
    /// # Panics
    /// If `wanted` does not fit the head.
    pub fn loss(
        &self,
        logits: ArrayView2<'_, T>,
        wanted: Wanted<'_>,
        weights: &LossWeights,
    ) -> (Loss, Array2<T>) {
        assert_eq!(wanted.rows(), logits.nrows(), "rows of targets");
        match wanted {
            Wanted::Classes(labels) => {
                assert!(!self.config.head.gives.is_values(), "targets are values");
                cross_entropy(logits, labels, weights)
            }
            Wanted::Values(values) => {
                assert!(self.config.head.gives.is_values(), "targets are classes");
                let units = |values: &Array1<f32>| values.mapv(f64::from);
                let target =
                    (values.mapv(f64::from) - units(&self.value_offset)) / units(&self.value_scale);
                value_error(logits, target.view(), weights.huber)
            }
        }
    }
}

impl<T: Real> Clone for Network<T> {
    fn clone(&self) -> Network<T> {
        Network {
            config: self.config.clone(),
            offset: self.offset.clone(),
            scale: self.scale.clone(),
            value_offset: self.value_offset.clone(),
            value_scale: self.value_scale.clone(),
            layers: self
                .layers
                .iter()
                .map(|layer| LayerWeights {
                    input: layer.input.boxed_clone(),
                    recurrent: layer.recurrent.as_ref().map(|map| map.boxed_clone()),
                    bias: layer.bias.clone(),
                    recurrent_bias: layer.recurrent_bias.clone(),
                })
                .collect(),
            head: self.head.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Row;
    use super::super::init::dropout_mask;
    use super::super::map::Frames;
    use super::super::map::check::noise;
    use super::*;
    use ndarray::Array3;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn config(text: &str) -> ModelConfig {
        serde_json::from_str(text).unwrap()
    }

    const CONFIGS: &[&str] = &[
        r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,3]}, "head": {"classes": 3}}"#,
        r#"{"input": {"map": "block-term", "modes": [2,3,2], "blocks": 1, "rank": 2}, "hidden": {"modes": [2,1,3]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2}, "head": {"classes": 2, "pool": "mean"}}"#,
        r#"{"input": {"map": "tensor-train", "modes": [4,3], "rank": 3}, "hidden": {"modes": [2,2]}, "recurrent": {"map": "tensor-train", "rank": 2}, "head": {"classes": 4}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [5]}, "gate": "hard-sigmoid", "head": {"classes": 3, "pool": "mean"}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [5]}, "cell": "gru", "head": {"classes": 3}}"#,
        r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,3]}, "cell": "gru", "gate": "hard-sigmoid", "layers": 2, "recurrent": {"map": "block-term", "blocks": 1, "rank": 2}, "head": {"classes": 3, "pool": "mean"}}"#,
        r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,3]}, "cell": "min-gru", "layers": 3, "head": {"classes": 3}}"#,
        r#"{"input": {"map": "tensor-train", "modes": [3,4], "rank": 2}, "hidden": {"modes": [2,2]}, "layers": 3, "head": {"classes": 2, "pool": "mean"}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [4]}, "head": {"step_classes": 3}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [3]}, "head": {"step_classes": 2, "pool": "recent", "horizon": 2}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [3]}, "head": {"classes": 2, "pool": "recent", "horizon": 2}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [4]}, "cell": "gru", "layers": 2, "head": {"values": 2}}"#,
        r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 1, "rank": 2}, "hidden": {"modes": [2,2]}, "head": {"step_values": 1, "pool": "recent", "horizon": 4}}"#,
    ];

    /// What the rows of `lengths` should have been, and the units of values.
    enum Rows {
        Classes(Vec<usize>),
        Values(Array2<f32>),
    }

    impl Rows {
        fn new<T: Real>(model: &mut Network<T>, lengths: &[usize]) -> Rows {
            let gives = model.config.head.gives;
            let rows = match gives.every_step() {
                true => lengths.iter().sum(),
                false => lengths.len(),
            };
            let outputs = gives.outputs();
            if !gives.is_values() {
                return Rows::Classes((0..rows).map(|row| row % outputs).collect());
            }
            model.value_offset.fill(20.0);
            model.value_scale.fill(4.0);
            let values = noise(rows * outputs, 11).into_iter();
            let values = values.map(|v| 20.0 + 8.0 * v as f32).collect();
            Rows::Values(Array2::from_shape_vec((rows, outputs), values).unwrap())
        }

        fn wanted(&self) -> Wanted<'_> {
            match self {
                Rows::Classes(labels) => labels.into(),
                Rows::Values(values) => Wanted::Values(values.view()),
            }
        }
    }

    /// A batch with a sequence of every length, none at all included.
    fn batch(inputs: usize) -> (Array3<f64>, Vec<usize>) {
        let x = noise(5 * 4 * inputs, 8).iter().map(|v| 2.0 * v).collect();
        (
            Array3::from_shape_vec((5, 4, inputs), x).unwrap(),
            vec![2, 4, 0, 3, 1],
        )
    }

    /// Central differences in f64 through the whole model. A step of 1e-5
    /// leaves errors near 1e-9; the tolerance allows for sharper curvature.
    #[test]
    fn gradients() {
        for text in CONFIGS {
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let mut model = Network::<f64>::new(config(text), &mut rng).unwrap();
            let (x, lengths) = batch(12);
            let classes = model.config.head.gives.outputs();
            let rows = Rows::new(&mut model, &lengths);
            let hidden = model.config.layers * model.config.units();
            let options = LossOptions {
                weights: LossWeights {
                    label_smoothing: 0.1,
                    class_weights: (0..classes).map(|c| 1.0 + c as f64).collect(),
                    huber: (classes == 2).then_some(0.7),
                },
                input_mask: Some(dropout_mask(5, 12, 0.3, &mut rng)),
                recurrent_mask: Some(dropout_mask(5, hidden, 0.3, &mut rng)),
            };
            let run = |model: &Network<f64>| {
                model.loss_and_gradients(x.view(), &lengths, rows.wanted(), &options)
            };
            let (_, gradients) = run(&model);
            let shapes: Vec<(String, Vec<usize>)> = model
                .parameters()
                .iter()
                .map(|(name, value)| (name.clone(), value.shape().to_vec()))
                .collect();
            assert_eq!(gradients.arrays.len(), shapes.len());
            for (p, (name, shape)) in shapes.iter().enumerate() {
                let gradient = &gradients.arrays[p];
                assert_eq!(gradient.shape(), shape, "{name}");
                for at in (0..gradient.len()).step_by(1 + gradient.len() / 25) {
                    let mut nudged = |by: f64| {
                        let mut parameters = model.parameters_mut();
                        *parameters[p].1.iter_mut().nth(at).unwrap() += by;
                        drop(parameters);
                        run(&model).0.loss
                    };
                    let step = 1e-5;
                    let more = nudged(step);
                    let less = nudged(-2.0 * step);
                    nudged(step);
                    let expected = (more - less) / (2.0 * step);
                    let found = *gradient.iter().nth(at).unwrap();
                    assert!(
                        (found - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                        "{name}[{at}] of {text}: {found} for {expected}"
                    );
                }
            }
        }
    }

    /// A sequence gives the same logits alone, in company, and whatever stands
    /// behind its last valid step.
    #[test]
    fn company_and_padding_do_not_matter() {
        for text in CONFIGS {
            let mut rng = ChaCha8Rng::seed_from_u64(6);
            let model = Network::<f64>::new(config(text), &mut rng).unwrap();
            let (mut x, lengths) = batch(12);
            let together = model.logits(x.view(), &lengths);
            for (b, &length) in lengths.iter().enumerate() {
                x.slice_mut(s![b, length.., ..]).fill(f64::NAN);
            }
            assert_eq!(model.logits(x.view(), &lengths), together);
            let mut next = 0;
            for (b, &length) in lengths.iter().enumerate() {
                let alone = model.logits(x.slice(s![b..=b, ..length, ..]), &[length]);
                let rows = next..next + alone.nrows();
                next = rows.end;
                let error = alone - together.slice(s![rows, ..]);
                assert!(error.iter().all(|e: &f64| e.abs() < 1e-12));
            }
            assert_eq!(next, together.nrows());
        }
    }

    /// Given its own states and logits, a model finds its own gradients.
    #[test]
    fn gradients_at_given_states() {
        for text in CONFIGS {
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            let mut model = Network::<f64>::new(config(text), &mut rng).unwrap();
            let (x, lengths) = batch(12);
            let units = model.config.units();
            let rows = Rows::new(&mut model, &lengths);
            let options = LossOptions::default();
            let kind = model.config.kind();
            let apply = |map: &dyn Map<f64>, x: &[f64], z: &mut [f64]| {
                map.prepare().forward(&Frames::packed(x, x.len()), z);
            };
            // A layer over the values of all steps.
            let through = |layer: &LayerWeights<f64>, frames: &[Vec<f64>]| {
                let mut states = States {
                    z: vec![],
                    apart: vec![],
                    c: vec![],
                    h: vec![],
                };
                let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
                for frame in frames {
                    let mut z = layer.bias.to_vec();
                    apply(&*layer.input, frame, &mut z);
                    let mut apart = vec![0.0; kind.apart_values(units)];
                    let last = apart.len() - layer.recurrent_bias.len();
                    apart[last..].copy_from_slice(layer.recurrent_bias.as_slice().unwrap());
                    if let Some(recurrent) = &layer.recurrent {
                        let share = if apart.is_empty() { &mut z } else { &mut apart };
                        apply(&**recurrent, &h, share);
                    }
                    states.z.extend(&z);
                    states.apart.extend(&apart);
                    let (z, apart) = (&mut z[..], &mut apart[..]);
                    kind.forward(Row { z, apart }, &mut c, &mut h);
                    states.c.extend(&c);
                    states.h.extend(&h);
                }
                states
            };
            let states: Vec<Vec<States<f64>>> = (0..5)
                .map(|b| {
                    let frame = |t| x.slice(s![b, t, ..]).to_vec();
                    let mut frames: Vec<Vec<f64>> = (0..lengths[b]).map(frame).collect();
                    let mut all = Vec::new();
                    for layer in &model.layers {
                        let states = through(layer, &frames);
                        frames = states.h.chunks(units).map(<[f64]>::to_vec).collect();
                        all.push(states);
                    }
                    all
                })
                .collect();
            let logits = model.logits(x.view(), &lengths);
            let (loss, own) = model.loss_and_gradients(x.view(), &lengths, rows.wanted(), &options);
            let (same, found) = model.loss_and_gradients_at(
                x.view(),
                &lengths,
                rows.wanted(),
                &options,
                &states,
                logits.view(),
            );
            assert_eq!(loss, same);
            for (own, found) in own.arrays.iter().zip(&found.arrays) {
                let close = own.iter().zip(found).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(close, "{text}: {own} for {found}");
            }
        }
    }

    /// The same bits from one thread and from four.
    #[test]
    fn threads_do_not_matter() {
        for text in CONFIGS {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let mut model = Model::new(config(text), &mut rng).unwrap();
            let x = Array3::from_shape_simple_fn((33, 4, 12), || init::normal(&mut rng) as f32);
            let lengths: Vec<usize> = (0..33).map(|b| b % 5).collect();
            let rows = Rows::new(&mut model, &lengths);
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.unwrap().install(|| {
                    let options = LossOptions::default();
                    model.loss_and_gradients(x.view(), &lengths, rows.wanted(), &options)
                })
            };
            assert_eq!(run(1), run(4));
        }
    }

    /// Gradient descent on ten random sequences learns them by heart.
    #[test]
    fn learns() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut model = Model::new(config(CONFIGS[0]), &mut rng).unwrap();
        let x = Array3::from_shape_simple_fn((10, 4, 12), || init::normal(&mut rng) as f32);
        let lengths = [4; 10];
        let labels: Vec<usize> = (0..10).map(|b| b % 3).collect();
        let mut last = None;
        for _ in 0..400 {
            let options = LossOptions::default();
            let (loss, gradients) = model.loss_and_gradients(x.view(), &lengths, &labels, &options);
            for ((_, mut value), gradient) in
                model.parameters_mut().into_iter().zip(&gradients.arrays)
            {
                value.scaled_add(-0.5, gradient);
            }
            last = Some(loss);
        }
        assert_eq!(last.unwrap().correct, 10, "{last:?}");
    }
}
