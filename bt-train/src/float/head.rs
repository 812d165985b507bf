//! The linear layer behind the recurrence and its loss.

use crate::float::real::Real;
use bt_core::{OutputKind, argmax};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// `logits = W h + b` with W [classes, J].
#[derive(Debug, Clone)]
pub struct Head<T> {
    /// W [classes, J].
    pub weight: Array2<T>,
    /// b `[classes]`.
    pub bias: Array1<T>,
}

/// What each row of logits should have been.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// These classes.
    Classes(&'a [usize]),
    /// These values [rows, K], in their own units.
    Values(ArrayView2<'a, f32>),
    /// These bits [rows, K].
    Bits(ArrayView2<'a, bool>),
}

impl Wanted<'_> {
    /// What they are.
    pub fn kind(&self) -> OutputKind {
        match self {
            Wanted::Classes(_) => OutputKind::Classes,
            Wanted::Values(_) => OutputKind::Values,
            Wanted::Bits(_) => OutputKind::Bits,
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        match self {
            Wanted::Classes(labels) => labels.len(),
            Wanted::Values(values) => values.nrows(),
            Wanted::Bits(bits) => bits.nrows(),
        }
    }
}

impl<'a> From<&'a [usize]> for Wanted<'a> {
    fn from(labels: &'a [usize]) -> Self {
        Wanted::Classes(labels)
    }
}

impl<'a> From<&'a Vec<usize>> for Wanted<'a> {
    fn from(labels: &'a Vec<usize>) -> Self {
        Wanted::Classes(labels)
    }
}

/// How targets and examples are weighed, and errors of values.
#[derive(Debug, Clone, Default)]
pub struct LossWeights {
    /// ε: the target is 1 − ε on the label and ε/classes everywhere on top.
    pub label_smoothing: f64,
    /// Weight of each class' examples; empty when all count the same. The loss
    /// is the weighted mean over the batch.
    pub class_weights: Vec<f64>,
    /// δ: errors of values beyond so many standard deviations of the target count linearly; none: all are
    /// squared.
    pub huber: Option<f64>,
}

/// Loss of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Weighted mean of the cross entropy, mean of the error of values, or nats a bit.
    pub loss: f64,
    /// Rows whose largest logit is the label's; 0 of values and bits.
    pub correct: usize,
    /// Rows: sequences, or valid steps.
    pub rows: usize,
}

impl<T: Real> Head<T> {
    /// A head with all weights zero.
    pub fn zeros(units: usize, classes: usize) -> Head<T> {
        Head {
            weight: Array2::zeros((classes, units)),
            bias: Array1::zeros(classes),
        }
    }

    /// Logits [batch, classes] of pooled states [batch, J].
    pub fn forward(&self, pooled: ArrayView2<'_, T>) -> Array2<T> {
        pooled.dot(&self.weight.t()) + &self.bias
    }

    /// Gradients of the pooled states, of W and of b.
    pub fn backward(
        &self,
        pooled: ArrayView2<'_, T>,
        logits: ArrayView2<'_, T>,
    ) -> (Array2<T>, Array2<T>, Array1<T>) {
        let weight = logits.t().dot(&pooled).as_standard_layout().into_owned();
        (logits.dot(&self.weight), weight, logits.sum_axis(Axis(0)))
    }
}

/// Cross entropy of softmax(logits) and its gradient [batch, classes].
pub fn cross_entropy<T: Real>(
    logits: ArrayView2<'_, T>,
    labels: &[usize],
    weights: &LossWeights,
) -> (Loss, Array2<T>) {
    let classes = logits.ncols();
    let weight_of = |label: usize| weights.class_weights.get(label).copied().unwrap_or(1.0);
    let total: f64 = labels.iter().map(|&label| weight_of(label)).sum();
    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
    let spread = weights.label_smoothing / classes as f64;
    let mut gradient = Array2::zeros(logits.dim());
    let (mut loss, mut correct) = (0.0, 0);
    for ((row, &label), mut out) in logits
        .outer_iter()
        .zip(labels)
        .zip(gradient.outer_iter_mut())
    {
        let values: Vec<f64> = row.iter().map(|v| v.widen()).collect();
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = values.iter().map(|v| (v - largest).exp()).sum();
        let log_sum = largest + sum.ln();
        let weight = weight_of(label) * scale;
        correct += usize::from(argmax(&values) == Some(label));
        for (class, (&value, out)) in values.iter().zip(out.iter_mut()).enumerate() {
            let on_label = if class == label {
                1.0 - weights.label_smoothing
            } else {
                0.0
            };
            let target = on_label + spread;
            loss += weight * target * (log_sum - value);
            *out = T::from_f64(weight * ((value - log_sum).exp() - target));
        }
    }
    let rows = labels.len();
    (
        Loss {
            loss,
            correct,
            rows,
        },
        gradient,
    )
}

/// Mean over rows and outputs of the error e = logit − target, and its gradient [rows, K]: e², or with δ
/// Huber's, e²/2 up to δ and δ·(|e| − δ/2) beyond. `target` [rows, K] as the head gives them, normalised.
pub fn value_error<T: Real>(
    logits: ArrayView2<'_, T>,
    target: ArrayView2<'_, f64>,
    huber: Option<f64>,
) -> (Loss, Array2<T>) {
    let scale = 1.0 / target.len().max(1) as f64;
    let mut loss = 0.0;
    let mut gradient = Array2::zeros(logits.dim());
    for ((logit, &target), out) in logits.iter().zip(target).zip(&mut gradient) {
        let error = logit.widen() - target;
        let (cost, slope) = match huber {
            None => (error * error, 2.0 * error),
            Some(delta) if error.abs() <= delta => (0.5 * error * error, error),
            Some(delta) => (delta * (error.abs() - 0.5 * delta), delta * error.signum()),
        };
        loss += scale * cost;
        *out = T::from_f64(scale * slope);
    }
    let (correct, rows) = (0, target.nrows());
    (
        Loss {
            loss,
            correct,
            rows,
        },
        gradient,
    )
}

/// Mean over rows and outputs of −ln of the probability that the bits have by their logits l, in nats: ln(1 + e^l) − b·l;
/// and its gradient [rows, K], σ(l) − b. `bits` [rows, K].
pub fn bit_cross_entropy<T: Real>(
    logits: ArrayView2<'_, T>,
    bits: ArrayView2<'_, bool>,
) -> (Loss, Array2<T>) {
    let scale = 1.0 / bits.len().max(1) as f64;
    let mut loss = 0.0;
    let mut gradient = Array2::zeros(logits.dim());
    for ((logit, &bit), out) in logits.iter().zip(bits).zip(&mut gradient) {
        let logit = logit.widen();
        // Of the bit that it is: e of a large number is infinite, of its negative 0.
        let for_it = if bit { logit } else { -logit };
        let rest = (-for_it.abs()).exp();
        loss += scale * (f64::max(-for_it, 0.0) + rest.ln_1p());
        let wrong = if for_it > 0.0 { rest } else { 1.0 } / (1.0 + rest);
        *out = T::from_f64(if bit { -scale * wrong } else { scale * wrong });
    }
    let (correct, rows) = (0, bits.nrows());
    (
        Loss {
            loss,
            correct,
            rows,
        },
        gradient,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::map::check::noise;

    #[test]
    fn cross_entropy_by_hand() {
        // softmax(0, ln 3) = (¼, ¾).
        let logits = Array2::from_shape_vec((2, 2), vec![0.0, 3f64.ln(), 0.0, 3f64.ln()]).unwrap();
        let (loss, gradient) = cross_entropy(logits.view(), &[1, 0], &LossWeights::default());
        let expected = -(0.75f64.ln() + 0.25f64.ln()) / 2.0;
        assert!((loss.loss - expected).abs() < 1e-12);
        assert_eq!(loss.correct, 1);
        let expected = [0.125, -0.125, -0.375, 0.375];
        assert!(
            gradient
                .iter()
                .zip(expected)
                .all(|(g, e)| (g - e).abs() < 1e-12)
        );
        // Class 1 three times as important.
        let weights = LossWeights {
            class_weights: vec![1.0, 3.0],
            ..LossWeights::default()
        };
        let (loss, _) = cross_entropy(logits.view(), &[1, 0], &weights);
        let expected = -(3.0 * 0.75f64.ln() + 0.25f64.ln()) / 4.0;
        assert!((loss.loss - expected).abs() < 1e-12);
    }

    /// `torch.nn.functional.cross_entropy(…, label_smoothing=0.1)` of PyTorch 2.15.
    #[test]
    fn smoothed_labels_as_in_pytorch() {
        let logits = ndarray::array![[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]];
        let weights = LossWeights {
            label_smoothing: 0.1,
            ..LossWeights::default()
        };
        let (loss, gradient) = cross_entropy(logits.view(), &[2, 1], &weights);
        assert!((loss.loss - 0.9818252863655239).abs() < 1e-12);
        let expected = ndarray::array![
            [
                0.07097852940335168,
                0.0028896199686770582,
                -0.07386814937202874
            ],
            [0.3425535039088658, -0.3637483646678409, 0.02119486075897509]
        ];
        let error: ndarray::Array2<f64> = gradient - expected;
        assert!(error.iter().all(|e| e.abs() < 1e-12), "{error}");
    }

    /// Values as `torch.nn.MSELoss` and `torch.nn.HuberLoss(delta=0.5)` give them: errors −1, 0.25, 2, −0.5.
    #[test]
    fn errors_of_values_by_hand() {
        let logits = ndarray::array![[0.0, 1.25], [5.0, -0.5]];
        let target = ndarray::array![[1.0, 1.0], [3.0, 0.0]];
        let (loss, gradient) = value_error(logits.view(), target.view(), None);
        // (1 + 0.0625 + 4 + 0.25) / 4
        assert_eq!((loss.loss, loss.rows, loss.correct), (1.328125, 2, 0));
        assert_eq!(gradient, ndarray::array![[-0.5, 0.125], [1.0, -0.25]]);
        let (loss, gradient) = value_error(logits.view(), target.view(), Some(0.5));
        // (0.5·(1 − 0.25) + 0.5·0.0625 + 0.5·(2 − 0.25) + 0.5·0.25) / 4
        assert_eq!(loss.loss, (0.375 + 0.03125 + 0.875 + 0.125) / 4.0);
        assert_eq!(gradient, ndarray::array![[-0.125, 0.0625], [0.125, -0.125]]);
    }

    /// By hand: σ(ln 3) = ¾; and as Python's `math.log1p(math.exp(-30))` has it, and no infinity far out.
    #[test]
    fn cross_entropy_of_bits_by_hand() {
        let three = 3f64.ln();
        let logits = ndarray::array![[three, three, 0.0], [-three, 30.0, -1000.0]];
        let bits = ndarray::array![[true, false, true], [true, true, true]];
        let (loss, gradient) = bit_cross_entropy(logits.view(), bits.view());
        let expected = [
            (4f64 / 3.0).ln(),
            4f64.ln(),
            2f64.ln(),
            4f64.ln(),
            9.357_622_968_839_299e-14,
            1000.0,
        ];
        assert!((loss.loss - expected.iter().sum::<f64>() / 6.0).abs() < 1e-12);
        assert_eq!((loss.rows, loss.correct), (2, 0));
        let expected = [-0.25, 0.75, -0.5, -0.75, -9.357_622_968_839_299e-14, -1.0];
        let close = |(found, expected): (&f64, f64)| (6.0 * found - expected).abs() < 1e-15;
        assert!(gradient.iter().zip(expected).all(close), "{gradient}");
    }

    /// Central differences in f64, step 1e-5: errors near 1e-10.
    #[test]
    fn gradients() {
        let (batch, units, classes) = (3, 5, 4);
        let mut head = Head::<f64>::zeros(units, classes);
        let fill = noise(units * classes, 1);
        head.weight.iter_mut().zip(fill).for_each(|(w, n)| *w = n);
        let pooled = Array2::from_shape_vec((batch, units), noise(batch * units, 2)).unwrap();
        let labels = [2, 0, 3];
        let weights = LossWeights {
            label_smoothing: 0.1,
            class_weights: vec![1.0, 2.0, 0.5, 3.0],
            huber: None,
        };
        let loss = |head: &Head<f64>, pooled: &Array2<f64>| {
            let logits = head.forward(pooled.view());
            cross_entropy(logits.view(), &labels, &weights).0.loss
        };
        let logits = head.forward(pooled.view());
        let (_, dlogits) = cross_entropy(logits.view(), &labels, &weights);
        let (dpooled, dweight, dbias) = head.backward(pooled.view(), dlogits.view());
        let step = 1e-5;
        for at in 0..batch * units {
            let shifted = |by: f64| {
                let mut pooled = pooled.clone();
                pooled.as_slice_mut().unwrap()[at] += by;
                loss(&head, &pooled)
            };
            let expected = (shifted(step) - shifted(-step)) / (2.0 * step);
            assert!((dpooled.as_slice().unwrap()[at] - expected).abs() < 1e-9);
        }
        for at in 0..units * classes + classes {
            let shifted = |by: f64| {
                let mut head = head.clone();
                match head.weight.as_slice_mut().unwrap().get_mut(at) {
                    Some(weight) => *weight += by,
                    None => head.bias[at - units * classes] += by,
                }
                loss(&head, &pooled)
            };
            let expected = (shifted(step) - shifted(-step)) / (2.0 * step);
            let found = dweight.as_slice().unwrap().get(at);
            let found = *found.unwrap_or_else(|| &dbias[at - units * classes]);
            assert!((found - expected).abs() < 1e-9);
        }
    }
}
