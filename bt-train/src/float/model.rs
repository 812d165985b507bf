//! The whole model: maps, recurrence, head; logits, loss and all gradients.

use super::config::ModelConfig;
use super::draw::{Decoder, Draw, Parts};
use super::filter::Filter;
use super::head::{Head, LossWeights, Wanted, bit_cross_entropy, cross_entropy, value_error};
use super::init;
use super::layer::LayerWeights;
use super::pool::Reads;
use super::real::Real;
use super::recurrence::{Masks, Recurrence, Trace};
use super::words::{hide, words_before};
use super::workers::on_workers;
use crate::error::Result;
use crate::shape::{Cell, MapKind};
use bt_core::OutputKind;
use ndarray::{
    Array1, Array2, Array3, ArrayD, ArrayView2, ArrayView3, ArrayViewD, ArrayViewMutD, Axis, s,
};
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
    /// where it gives others.
    pub value_offset: Array1<f32>,
    /// As of `value_offset`; above 0.
    pub value_scale: Array1<f32>,
    pub(super) layers: Vec<LayerWeights<T>>,
    /// Of a model that draws pictures; its one layer is the encoder then.
    decoder: Option<Decoder<T>>,
    pub(super) head: Head<T>,
}

/// Standard deviation of a word's share of z at the start.
const WORD_DEVIATION: f64 = 0.5;

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
    /// Dropout on what the head reads, [batch, J], one row for all steps of a sequence.
    pub output_mask: Option<Array2<T>>,
    /// Of a model that draws pictures, the numbers from N(0, 1) by which it draws its latent values, [T, batch, Z];
    /// none: they are at their means.
    pub noise: Option<Array3<T>>,
    /// Of a model of captions, which of the words that it reads are hidden from it, caption by caption.
    pub hidden_words: Option<Vec<bool>>,
}

impl<T> Default for LossOptions<T> {
    fn default() -> Self {
        LossOptions {
            weights: LossWeights::default(),
            input_mask: None,
            recurrent_mask: None,
            output_mask: None,
            noise: None,
            hidden_words: None,
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
        let values = match gives.kind() {
            OutputKind::Values => gives.outputs(),
            OutputKind::Classes | OutputKind::Bits => 0,
        };
        Ok(Network {
            offset: Array1::zeros(1),
            scale: Array1::ones(1),
            value_offset: Array1::zeros(values),
            value_scale: Array1::ones(values),
            layers: config
                .layer_shapes()
                .iter()
                .enumerate()
                .map(|(at, shape)| {
                    let words = config.words().filter(|_| at == 0);
                    LayerWeights::zeros(shape, config.kind(), words)
                })
                .collect(),
            decoder: Decoder::zeros(&config),
            head: Head::zeros(config.units(), config.head.linear_values()),
            config,
        })
    }

    /// A model with starting weights: those of [`init`], the bias of the gate that remembers 1 (of an LSTM
    /// f, of a GRU z; of a minGRU the gate that forgets −1), a dense recurrent matrix orthogonal gate by
    /// gate, the head N(0, 1/J), the maps to latent values and windows likewise, the table of words N(0, ¼).
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
        let decoder = model.decoder.as_mut().map(|decoder| &mut decoder.layer);
        let shapes = config
            .layer_shapes()
            .into_iter()
            .chain(config.decoder_shape());
        for (layer, shape) in model.layers.iter_mut().chain(decoder).zip(shapes) {
            for (_, values) in layer.input.parameters_mut() {
                fill(values, init::deviation(&shape.input));
            }
            if let (Some(recurrent), Some(shape)) = (&mut layer.recurrent, &shape.recurrent) {
                for (_, values) in recurrent.parameters_mut() {
                    fill(values, init::deviation(shape));
                }
            }
        }
        for table in model
            .layers
            .iter_mut()
            .filter_map(|layer| layer.words.as_mut())
        {
            fill(table.view_mut().into_dyn(), WORD_DEVIATION);
        }
        let deviation = (units as f64).sqrt().recip();
        fill(model.head.weight.view_mut().into_dyn(), deviation);
        if let Some(decoder) = &mut model.decoder {
            fill(decoder.latent.weight.view_mut().into_dyn(), deviation);
            if let Some(attention) = &mut decoder.attention {
                fill(attention.weight.view_mut().into_dyn(), deviation);
            }
        }
        let is_dense = config.recurrent.map == MapKind::Dense;
        let decoder = model.decoder.as_mut().map(|decoder| &mut decoder.layer);
        for layer in model.layers.iter_mut().chain(decoder) {
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
            all.extend(layer.parameters(self.config.cell, at));
        }
        let decoder = self.decoder.iter();
        all.extend(decoder.flat_map(|decoder| decoder.parameters(&self.config)));
        all.push(("head.weight".into(), self.head.weight.view().into_dyn()));
        all.push(("head.bias".into(), self.head.bias.view().into_dyn()));
        all
    }

    /// The same arrays, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let mut all = Vec::new();
        for (at, layer) in self.layers.iter_mut().enumerate() {
            all.extend(layer.parameters_mut(self.config.cell, at));
        }
        let decoder = self.decoder.iter_mut();
        all.extend(decoder.flat_map(|decoder| decoder.parameters_mut(&self.config)));
        all.push(("head.weight".into(), self.head.weight.view_mut().into_dyn()));
        all.push(("head.bias".into(), self.head.bias.view_mut().into_dyn()));
        all
    }

    pub(super) fn recurrence<'a>(&'a self, read: Option<&'a [usize]>) -> Recurrence<'a, T> {
        let kind = self.config.kind();
        let filter = Filter::of(&self.config.input);
        let layers = self.layers.iter().enumerate();
        let layers =
            layers.map(|(at, layer)| layer.prepare(kind, filter.filter(|_| at == 0), read));
        Recurrence {
            layers: layers.collect(),
            reads: Reads::of(&self.config.head),
        }
    }

    fn check(&self, x: &ArrayView3<'_, T>, lengths: &[usize]) {
        let (batch, steps, inputs) = x.dim();
        assert_eq!(inputs, self.config.frame_values(), "values of a frame");
        assert_eq!(lengths.len(), batch, "lengths");
        let is_in_x = |&length: &usize| length <= steps;
        assert!(
            self.config.words().is_some() && steps == 1 || lengths.iter().all(is_in_x),
            "a length exceeds the {steps} steps"
        );
    }

    /// What a model of captions reads at every step: the word before, of these, first of all [`END`](super::config::END).
    fn read(&self, wanted: Wanted<'_>, lengths: &[usize]) -> Option<Vec<usize>> {
        self.config.words()?;
        match wanted {
            Wanted::Classes(words) => Some(words_before(words, lengths)),
            Wanted::Values(_) | Wanted::Bits(_) => None,
        }
    }

    /// Logits [rows, K] of normalised frames `x` [batch, steps, I], of which
    /// sequence b has `lengths[b]` valid steps. What lies behind them is not
    /// read. A row is a sequence, or with a head on every step a valid step,
    /// sequence by sequence. Of values see [`in_units`](Self::in_units). A model that draws pictures paints those
    /// that it is shown, latent values at their means; [`painted`](Self::painted) draws these.
    ///
    /// # Panics
    /// If `x` or `lengths` do not fit the model, or it reads words: see [`word_logits`](Self::word_logits).
    pub fn logits(&self, x: ArrayView3<'_, T>, lengths: &[usize]) -> Array2<T> {
        if self.decoder.is_some() {
            return self.painted(x, lengths, None).0;
        }
        assert!(self.config.words().is_none(), "a model that reads words");
        self.logits_reading(x, lengths, None)
    }

    /// Logits [words, V] of captions of pictures `x` [captions, 1, I]: at each word by those before it. `words` has
    /// `lengths[b]` of caption b, caption by caption.
    ///
    /// # Panics
    /// If they do not fit the model, or it reads no words.
    pub fn word_logits(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        words: &[usize],
    ) -> Array2<T> {
        let read = self.read(words.into(), lengths);
        assert!(read.is_some(), "a model that reads no words");
        self.logits_reading(x, lengths, read.as_deref())
    }

    fn logits_reading(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        read: Option<&[usize]>,
    ) -> Array2<T> {
        self.check(&x, lengths);
        let masks = Masks {
            input: None,
            recurrent: None,
        };
        on_workers(|| {
            let trace: Trace<'_, T> = self.recurrence(read).forward(&x, lengths, masks, None);
            self.head.forward(trace.pooled.view())
        })
    }

    /// Logits of values in the units of the data; others stay as they are.
    pub fn in_units(&self, mut logits: Array2<T>) -> Array2<T> {
        if self.config.head.gives.kind() == OutputKind::Values {
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
        if self.decoder.is_some() {
            return self.bound_and_gradients(x, lengths, wanted.into(), options);
        }
        self.check(&x, lengths);
        let masks = Masks {
            input: options.input_mask.as_ref(),
            recurrent: options.recurrent_mask.as_ref(),
        };
        let wanted = wanted.into();
        let mut read = self.read(wanted, lengths);
        if let Some(hidden) = &options.hidden_words {
            hide(read.as_mut().expect("a model that reads words"), hidden);
        }
        on_workers(|| {
            let recurrence = self.recurrence(read.as_deref());
            let mut trace = recurrence.forward(&x, lengths, masks, None);
            let output = options.output_mask.as_ref();
            let output = output.map(|mask| self.rows_of(mask, lengths));
            if let Some(mask) = &output {
                trace.pooled *= mask;
            }
            let logits = self.head.forward(trace.pooled.view());
            self.backward(&recurrence, trace, logits.view(), wanted, options, output)
        })
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
        assert!(self.decoder.is_none(), "pictures are drawn in floats alone");
        let masks = Masks {
            input: options.input_mask.as_ref(),
            recurrent: options.recurrent_mask.as_ref(),
        };
        assert!(
            masks.input.is_none()
                && masks.recurrent.is_none()
                && options.output_mask.is_none()
                && options.hidden_words.is_none(),
            "states found elsewhere know of no dropout"
        );
        let wanted = wanted.into();
        let read = self.read(wanted, lengths);
        on_workers(|| {
            let recurrence = self.recurrence(read.as_deref());
            let trace = recurrence.forward(&x, lengths, masks, Some(states));
            self.backward(&recurrence, trace, logits, wanted, options, None)
        })
    }

    /// A mask's row for every row that the head reads, from one for every sequence.
    fn rows_of(&self, mask: &Array2<T>, lengths: &[usize]) -> Array2<T> {
        let every_step = self.config.head.gives.every_step();
        let rows = lengths.iter().enumerate();
        let of: Vec<usize> = rows
            .flat_map(|(sequence, &length)| {
                std::iter::repeat_n(sequence, if every_step { length } else { 1 })
            })
            .collect();
        mask.select(Axis(0), &of)
    }

    fn backward(
        &self,
        recurrence: &Recurrence<'_, T>,
        trace: Trace<'_, T>,
        logits: ArrayView2<'_, T>,
        wanted: Wanted<'_>,
        options: &LossOptions<T>,
        output: Option<Array2<T>>,
    ) -> (Loss, Gradients<T>) {
        let (loss, dlogits) = self.loss(logits, wanted, &options.weights);
        let (mut dpooled, dweight, dbias) = self.head.backward(trace.pooled.view(), dlogits.view());
        if let Some(mask) = &output {
            dpooled *= mask;
        }
        let masks = Masks {
            input: options.input_mask.as_ref(),
            recurrent: options.recurrent_mask.as_ref(),
        };
        let mut arrays = Vec::new();
        for layer in recurrence.backward(trace, masks, dpooled.view()) {
            arrays.extend(layer.arrays());
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
        assert_eq!(wanted.kind(), self.config.head.gives.kind(), "targets");
        match wanted {
            Wanted::Classes(labels) => cross_entropy(logits, labels, weights),
            Wanted::Bits(bits) => bit_cross_entropy(logits, bits),
            Wanted::Values(values) => {
                let units = |values: &Array1<f32>| values.mapv(f64::from);
                let target =
                    (values.mapv(f64::from) - units(&self.value_offset)) / units(&self.value_scale);
                value_error(logits, target.view(), weights.huber)
            }
        }
    }
}

/// Models that draw pictures: a sequence is one step, a picture of K values.
impl<T: Real> Network<T> {
    fn parts(&self) -> Parts<T> {
        let config = &self.config;
        let map = self.layers[0].input.as_ref();
        let still = match config.head.attention {
            None => config.head.gives.outputs(),
            Some(_) => 0,
        };
        let values = config.head.read_values() + config.units();
        Parts::new(map, &config.input_shape(), still, values)
    }

    fn draw<'a>(&'a self, parts: &'a Parts<T>) -> Draw<'a, T> {
        let decoder = self.decoder.as_ref().expect("a model that draws pictures");
        let kind = self.config.kind();
        let head = &self.config.head;
        Draw::new(kind, &self.layers[0], parts, decoder, &self.head, head)
    }

    /// The pictures among what the model reads, and the noise by which it draws latent values.
    fn pictures<'x>(
        &self,
        x: &'x ArrayView3<'_, T>,
        lengths: &[usize],
        noise: Option<&Array3<T>>,
    ) -> (ArrayView2<'x, T>, Array3<T>) {
        self.check(x, lengths);
        assert!(
            lengths.iter().all(|&length| length == 1),
            "steps of a picture"
        );
        let head = &self.config.head;
        let shape = (
            head.steps.unwrap_or(0),
            lengths.len(),
            self.config.latent_values(),
        );
        let noise = noise.cloned().unwrap_or_else(|| Array3::zeros(shape));
        assert_eq!(
            noise.dim(),
            shape,
            "steps, pictures and latent values of the noise"
        );
        (x.slice_move(s![.., 0, ..]), noise)
    }

    /// The logits [batch, K] of pictures `x` [batch, 1, K] as the model paints them, its latent values drawn by `noise`
    /// [T, batch, Z] or at their means, and the divergence of these from N(0, 1), of all pictures, in nats.
    ///
    /// # Panics
    /// If the model does not draw pictures, or `x`, `lengths` or `noise` do not fit it.
    pub fn painted(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        noise: Option<&Array3<T>>,
    ) -> (Array2<T>, f64) {
        let (x, noise) = self.pictures(&x, lengths, noise);
        on_workers(|| {
            let parts = self.parts();
            let draw = self.draw(&parts);
            let trace = draw.forward(x, noise.view());
            (
                trace.canvas(),
                trace.divergence(self.config.latent_values()),
            )
        })
    }

    /// The logits [batch, K] of pictures that the model draws from latent values `z` [T, batch, Z] of N(0, 1).
    ///
    /// # Panics
    /// If the model does not draw pictures, or `z` does not fit it.
    pub fn drawn(&self, z: ArrayView3<'_, T>) -> Array2<T> {
        self.drawn_watched(z, |_, _| ())
    }

    /// The same. After each step `watch` sees the numbers that placed windows, [batch, 10] with attention and none
    /// without, and the canvas [batch, K].
    ///
    /// # Panics
    /// As [`drawn`](Self::drawn).
    pub fn drawn_watched(
        &self,
        z: ArrayView3<'_, T>,
        watch: impl FnMut(&[T], ArrayView2<'_, T>) + Send,
    ) -> Array2<T> {
        let (steps, _, values) = z.dim();
        assert_eq!(
            (Some(steps), values),
            (self.config.head.steps, self.config.latent_values())
        );
        on_workers(|| {
            let parts = self.parts();
            self.draw(&parts).draw(z, watch)
        })
    }

    /// The bound, a pixel: cross entropy and divergence.
    fn bound_and_gradients(
        &self,
        x: ArrayView3<'_, T>,
        lengths: &[usize],
        wanted: Wanted<'_>,
        options: &LossOptions<T>,
    ) -> (Loss, Gradients<T>) {
        let (x, noise) = self.pictures(&x, lengths, options.noise.as_ref());
        on_workers(|| {
            let parts = self.parts();
            let draw = self.draw(&parts);
            let trace = draw.forward(x, noise.view());
            let canvas = trace.canvas();
            let (mut loss, dcanvas) = self.loss(canvas.view(), wanted, &options.weights);
            let scale = 1.0 / x.len().max(1) as f64;
            loss.loss += scale * trace.divergence(self.config.latent_values());
            let scale = T::from_f64(scale);
            let gradients = draw.backward(trace, noise.view(), dcanvas.view(), scale);
            let arrays = gradients.arrays();
            (loss, Gradients { arrays })
        })
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
            layers: self.layers.clone(),
            decoder: self.decoder.clone(),
            head: self.head.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
