//! The whole model: maps, recurrence, head; logits, loss and all gradients.

use super::config::ModelConfig;
use super::head::{Head, LossWeights, cross_entropy};
use super::init;
use super::map::{self, Map};
use super::real::Real;
use super::recurrence::{Masks, Recurrence, Trace};
use crate::error::Result;
use crate::shape::name::{BIAS, INPUT_MAP, RECURRENT_MAP};
use crate::shape::{GATES, MapKind};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, ArrayView3, ArrayViewD, ArrayViewMutD, s};
use rand::Rng;

pub use super::head::Loss;
pub use super::recurrence::States;

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
    input: Box<dyn Map<T>>,
    recurrent: Box<dyn Map<T>>,
    bias: Array1<T>,
    head: Head<T>,
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
    /// Dropout on the hidden state as the next step reads it, [batch, J].
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
        Ok(Network {
            offset: Array1::zeros(1),
            scale: Array1::ones(1),
            input: map::zeros(&config.input_shape()),
            recurrent: map::zeros(&config.recurrent_shape()),
            bias: Array1::zeros(config.bias_values()),
            head: Head::zeros(config.units(), config.head.classes),
            config,
        })
    }

    /// A model with starting weights: those of [`init`], the forget gate's
    /// bias 1, a dense recurrent matrix orthogonal gate by gate, the head
    /// N(0, 1/J).
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
        let deviation = init::deviation(&config.input_shape());
        for (_, values) in model.input.parameters_mut() {
            fill(values, deviation);
        }
        let deviation = init::deviation(&config.recurrent_shape());
        for (_, values) in model.recurrent.parameters_mut() {
            fill(values, deviation);
        }
        let deviation = (units as f64).sqrt().recip();
        fill(model.head.weight.view_mut().into_dyn(), deviation);
        if config.recurrent.map == MapKind::Dense {
            for (_, mut weight) in model.recurrent.parameters_mut() {
                for gate in 0..GATES {
                    let rows = gate * units..(gate + 1) * units;
                    let block = weight.slice_mut(s![rows, ..]);
                    init::orthogonal(block, rng);
                }
            }
        }
        let mut forget = model.bias.slice_mut(s![units..2 * units]);
        forget.fill(T::one());
        Ok(model)
    }

    /// Every trainable array by its name in a checkpoint, in a fixed order.
    pub fn parameters(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        let input = self.input.parameters().into_iter();
        let recurrent = self.recurrent.parameters().into_iter();
        input
            .map(|(name, value)| (format!("{INPUT_MAP}.{name}"), value))
            .chain(recurrent.map(|(name, value)| (format!("{RECURRENT_MAP}.{name}"), value)))
            .chain([
                (BIAS.into(), self.bias.view().into_dyn()),
                ("head.weight".into(), self.head.weight.view().into_dyn()),
                ("head.bias".into(), self.head.bias.view().into_dyn()),
            ])
            .collect()
    }

    /// The same arrays, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let input = self.input.parameters_mut().into_iter();
        let recurrent = self.recurrent.parameters_mut().into_iter();
        input
            .map(|(name, value)| (format!("{INPUT_MAP}.{name}"), value))
            .chain(recurrent.map(|(name, value)| (format!("{RECURRENT_MAP}.{name}"), value)))
            .chain([
                (BIAS.into(), self.bias.view_mut().into_dyn()),
                ("head.weight".into(), self.head.weight.view_mut().into_dyn()),
                ("head.bias".into(), self.head.bias.view_mut().into_dyn()),
            ])
            .collect()
    }

    fn recurrence(&self) -> Recurrence<'_, T> {
        Recurrence {
            input: self.input.prepare(),
            recurrent: self.recurrent.prepare(),
            bias: &self.bias,
            gate: self.config.gate,
            pool: self.config.head.pool,
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

    /// Logits [batch, classes] of normalised frames `x` [batch, steps, I],
    /// of which sequence b has `lengths[b]` valid steps. What lies behind them
    /// is not read.
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

    /// Loss of a batch and the gradients of all parameters.
    ///
    /// # Panics
    /// If `x`, `lengths`, `labels` or a mask do not fit the model.
    pub fn loss_and_gradients(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        labels: &[usize],
        options: &LossOptions<T>,
    ) -> (Loss, Gradients<T>) {
        self.check(&x, lengths);
        assert_eq!(labels.len(), lengths.len(), "labels");
        let masks = Masks {
            input: options.input_mask.as_ref(),
            recurrent: options.recurrent_mask.as_ref(),
        };
        let recurrence = self.recurrence();
        let trace = recurrence.forward(&x, lengths, masks, None);
        let logits = self.head.forward(trace.pooled.view());
        self.backward(&recurrence, trace, logits.view(), labels, options)
    }

    /// The same at values found elsewhere: `states` of every sequence and `logits` [batch, classes].
    /// They are differentiated as if the float model had come to them.
    ///
    /// # Panics
    /// If `x`, `lengths`, `labels`, `states` or `logits` do not fit the model, or there is a mask.
    pub fn loss_and_gradients_at(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        labels: &[usize],
        options: &LossOptions<T>,
        states: &[States<T>],
        logits: ArrayView2<'_, T>,
    ) -> (Loss, Gradients<T>) {
        self.check(&x, lengths);
        assert_eq!(labels.len(), lengths.len(), "labels");
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
        self.backward(&recurrence, trace, logits, labels, options)
    }

    fn backward(
        &self,
        recurrence: &Recurrence<'_, T>,
        trace: Trace<'_, T>,
        logits: ArrayView2<'_, T>,
        labels: &[usize],
        options: &LossOptions<T>,
    ) -> (Loss, Gradients<T>) {
        let (loss, dlogits) = cross_entropy(logits, labels, &options.weights);
        let (dpooled, dweight, dbias) = self.head.backward(trace.pooled.view(), dlogits.view());
        let mask = options.recurrent_mask.as_ref();
        let parts = recurrence.backward(trace, mask, dpooled.view());
        let arrays = parts
            .input
            .into_iter()
            .chain(parts.recurrent)
            .chain([parts.bias.into_dyn(), dweight.into_dyn(), dbias.into_dyn()])
            .collect();
        (loss, Gradients { arrays })
    }
}

impl<T: Real> Clone for Network<T> {
    fn clone(&self) -> Network<T> {
        Network {
            config: self.config.clone(),
            offset: self.offset.clone(),
            scale: self.scale.clone(),
            input: self.input.boxed_clone(),
            recurrent: self.recurrent.boxed_clone(),
            bias: self.bias.clone(),
            head: self.head.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell;
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
    ];

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
            let classes = model.config.head.classes;
            let labels: Vec<usize> = (0..5).map(|b| b % classes).collect();
            let units = model.config.units();
            let options = LossOptions {
                weights: LossWeights {
                    label_smoothing: 0.1,
                    class_weights: (0..classes).map(|c| 1.0 + c as f64).collect(),
                },
                input_mask: Some(dropout_mask(5, 12, 0.3, &mut rng)),
                recurrent_mask: Some(dropout_mask(5, units, 0.3, &mut rng)),
            };
            let run = |model: &Network<f64>| {
                model.loss_and_gradients(x.view(), &lengths, &labels, &options)
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
            for (b, &length) in lengths.iter().enumerate() {
                let alone = model.logits(x.slice(s![b..=b, ..length, ..]), &[length]);
                let error = &alone.row(0) - &together.row(b);
                assert!(error.iter().all(|e| e.abs() < 1e-12));
            }
        }
    }

    /// Given its own states and logits, a model finds its own gradients.
    #[test]
    fn gradients_at_given_states() {
        for text in CONFIGS {
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            let model = Network::<f64>::new(config(text), &mut rng).unwrap();
            let (x, lengths) = batch(12);
            let units = model.config.units();
            let labels = vec![1; 5];
            let options = LossOptions::default();
            let states: Vec<States<f64>> = (0..5)
                .map(|b| {
                    let x = x.slice(s![b..=b, .., ..]);
                    let x = x.as_standard_layout();
                    let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
                    let (mut all_z, mut all_c, mut all_h) = (vec![], vec![], vec![]);
                    for t in 0..lengths[b] {
                        let frame: Vec<f64> = x.slice(s![0, t, ..]).to_vec();
                        let mut z = model.bias.to_vec();
                        let input = Frames::packed(&frame, 12);
                        model.input.prepare().forward(&input, &mut z);
                        let back = Frames::packed(&h, units);
                        model.recurrent.prepare().forward(&back, &mut z);
                        all_z.extend(&z);
                        let mut next = vec![0.0; units];
                        cell::forward(model.config.gate, &mut z, &mut c, &mut next);
                        h = next;
                        all_c.extend(&c);
                        all_h.extend(&h);
                    }
                    States {
                        z: all_z,
                        c: all_c,
                        h: all_h,
                    }
                })
                .collect();
            let logits = model.logits(x.view(), &lengths);
            let (loss, own) = model.loss_and_gradients(x.view(), &lengths, &labels, &options);
            let (same, found) = model.loss_and_gradients_at(
                x.view(),
                &lengths,
                &labels,
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
            let model = Model::new(config(text), &mut rng).unwrap();
            let x = Array3::from_shape_simple_fn((33, 4, 12), || init::normal(&mut rng) as f32);
            let lengths: Vec<usize> = (0..33).map(|b| b % 5).collect();
            let labels = vec![1; 33];
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.unwrap().install(|| {
                    let options = LossOptions::default();
                    model.loss_and_gradients(x.view(), &lengths, &labels, &options)
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
