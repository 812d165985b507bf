//! Linear maps from a frame to the pre-activations of the gates.
//!
//! A map is one variant among several behind the trait [`Map`]. What depends
//! on the weights alone (merged cores, transposes) is computed once per
//! update by [`Map::prepare`].

pub mod block_term;
mod chain;
pub mod dense;
pub(super) mod part;
pub mod stages;
pub mod tensor_train;

pub use block_term::BlockTerm;
pub use dense::Dense;
pub use tensor_train::TensorTrain;

use crate::float::real::Real;
use crate::shape::{MapKind, MapShape};
use ndarray::{ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD};

/// A linear map with trainable weights.
pub trait Map<T: Real>: std::fmt::Debug + Send + Sync {
    /// Values of a frame.
    fn inputs(&self) -> usize;

    /// Values of a result.
    fn outputs(&self) -> usize;

    /// The weights by their names in a model file, less the prefix.
    fn parameters(&self) -> Vec<(String, ArrayViewD<'_, T>)>;

    /// The same weights, to be changed.
    fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, T>)>;

    /// The map ready to run with its weights as they are now.
    fn prepare(&self) -> Box<dyn Prepared<T> + '_>;

    /// A copy behind the trait.
    fn boxed_clone(&self) -> Box<dyn Map<T>>;
}

/// A map of this shape with all weights zero.
///
/// # Panics
/// If a tensor map has not as many output as input modes.
pub fn zeros<T: Real>(shape: &MapShape) -> Box<dyn Map<T>> {
    let (input, output) = (&shape.inputs, &shape.outputs);
    match shape.kind {
        MapKind::BlockTerm { blocks, rank } => {
            Box::new(BlockTerm::zeros(input, output, blocks, rank))
        }
        MapKind::TensorTrain { rank } => Box::new(TensorTrain::zeros(input, output, rank)),
        MapKind::Dense => Box::new(Dense::zeros(shape.width(), shape.height())),
    }
}

/// A map ready to run.
pub trait Prepared<T: Real>: Sync {
    /// Adds the image of every frame to its row of `z` [frames, outputs].
    /// Returns what [`weight_gradient`](Self::weight_gradient) wants to see
    /// again.
    fn forward(&self, x: &Frames<'_, T>, z: &mut [T]) -> Vec<T>;

    /// Overwrites `dx` [frames, inputs] with the gradient of the frames.
    fn input_gradient(&self, dz: ArrayView2<'_, T>, dx: &mut [T]);

    /// Gradient of every parameter, in the order of [`Map::parameters`].
    fn weight_gradient(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
    ) -> Vec<ArrayD<T>> {
        let mut sums = WeightSums::default();
        self.add_weight_gradient(x, kept, dz, &mut sums);
        self.of_parameters(sums)
    }

    /// Adds the gradient of the weights to sums of this map.
    fn add_weight_gradient(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        sums: &mut WeightSums<T>,
    );

    /// Both gradients of one step's frames, that of the weights added to sums and `dx` overwritten, if that is less work
    /// than one after the other. Otherwise nothing happens, which `false` tells: the weights' gradient is better taken of
    /// all steps at once.
    fn add_both_gradients(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        dx: &mut [T],
        sums: &mut WeightSums<T>,
    ) -> bool {
        let _ = (x, kept, dz, dx, sums);
        false
    }

    /// Gradient of every parameter, in the order of [`Map::parameters`], of sums of this map.
    fn of_parameters(&self, sums: WeightSums<T>) -> Vec<ArrayD<T>> {
        sums.0
    }
}

/// Gradients of a map's weights in the form in which they are used, a contraction's by its stages, summed over several
/// passes. Only the map that they are of turns them into those of its parameters, once for all passes.
#[derive(Debug)]
pub struct WeightSums<T>(Vec<ArrayD<T>>);

impl<T> Default for WeightSums<T> {
    /// Of no pass yet.
    fn default() -> Self {
        WeightSums(Vec::new())
    }
}

impl<T: Real> WeightSums<T> {
    /// Of no pass yet?
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another pass of the same map.
    pub(super) fn add(&mut self, more: WeightSums<T>) {
        if self.is_empty() {
            *self = more;
            return;
        }
        for (sum, more) in self.0.iter_mut().zip(more.0) {
            *sum += &more;
        }
    }
}

/// Frames anywhere in one buffer.
#[derive(Debug, Clone)]
pub struct Frames<'a, T> {
    values: &'a [T],
    starts: Vec<usize>,
}

impl<'a, T> Frames<'a, T> {
    /// Frames that start at `starts`; their length is the map's number of inputs.
    pub fn new(values: &'a [T], starts: Vec<usize>) -> Frames<'a, T> {
        Frames { values, starts }
    }

    /// Frames of `width` values, one behind the other.
    ///
    /// # Panics
    /// If `width` is 0.
    pub fn packed(values: &'a [T], width: usize) -> Frames<'a, T> {
        let starts = (0..values.len() / width).map(|i| i * width).collect();
        Frames { values, starts }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(crate) fn values(&self) -> &'a [T] {
        self.values
    }

    pub(crate) fn start(&self, frame: usize) -> usize {
        self.starts[frame]
    }

    pub(crate) fn starts(&self) -> &[usize] {
        &self.starts
    }
}

#[cfg(test)]
pub(crate) mod check {
    //! What every map must satisfy, whatever its form.

    use super::*;
    use crate::float::init::uniform;
    use ndarray::{Array2, ArrayView1, Axis};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Random numbers from [−1, 1).
    pub fn noise(len: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let next = || 2.0 * uniform(&mut rng) - 1.0;
        std::iter::repeat_with(next).take(len).collect()
    }

    /// The full matrix [outputs, inputs], column by column through `forward`.
    pub fn matrix(map: &dyn Map<f64>) -> Array2<f64> {
        let (inputs, outputs) = (map.inputs(), map.outputs());
        let eye = Array2::<f64>::eye(inputs);
        let mut z = vec![0.0; inputs * outputs];
        let frames = Frames::packed(eye.as_slice().unwrap(), inputs);
        map.prepare().forward(&frames, &mut z);
        Array2::from_shape_vec((inputs, outputs), z)
            .unwrap()
            .reversed_axes()
    }

    /// Every gradient against central differences. The map is linear in x and
    /// at most of degree d + 1 in its weights, so in `f64` with a step of 1e-4
    /// the truncation error stays near 1e-8 and rounding below 1e-10.
    pub fn gradients(map: &mut dyn Map<f64>, frames: usize) {
        let (inputs, outputs) = (map.inputs(), map.outputs());
        let x = noise(frames * inputs, 3);
        let dz = Array2::from_shape_vec((frames, outputs), noise(frames * outputs, 4)).unwrap();
        let loss = |map: &dyn Map<f64>, x: &[f64]| {
            let mut z = vec![0.0; frames * outputs];
            map.prepare().forward(&Frames::packed(x, inputs), &mut z);
            ArrayView1::from(&z).dot(&ArrayView1::from(dz.as_slice().unwrap()))
        };
        let close = |found: f64, expected: f64, what: &str| {
            let tolerance = 1e-6 * (1.0 + expected.abs());
            assert!(
                (found - expected).abs() < tolerance,
                "{what}: {found} for {expected}"
            );
        };
        let (weights, dx) = {
            let prepared = map.prepare();
            let mut z = vec![0.0; frames * outputs];
            let view = Frames::packed(&x, inputs);
            let kept = prepared.forward(&view, &mut z);
            let mut dx = vec![0.0; x.len()];
            prepared.input_gradient(dz.view(), &mut dx);
            let weights = prepared.weight_gradient(&view, &kept, dz.view());
            let mut again = vec![f64::NAN; x.len()];
            let mut sums = WeightSums::default();
            let both = prepared.add_both_gradients(&view, &kept, dz.view(), &mut again, &mut sums);
            assert_eq!(both, map.parameters()[0].0 != crate::shape::name::MATRIX);
            if both {
                let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 * (1.0 + b.abs());
                assert!(again.iter().zip(&dx).all(near));
                // Another pass adds to them: twice the gradient.
                prepared.add_weight_gradient(&view, &kept, dz.view(), &mut sums);
                let both = prepared.of_parameters(sums);
                assert_eq!(both.len(), weights.len());
                for (both, weights) in both.iter().zip(&weights) {
                    assert_eq!(both.shape(), weights.shape());
                    assert!((both / 2.0).iter().zip(weights).all(near));
                }
            }
            (weights, dx)
        };
        let step = 1e-4;
        for at in (0..x.len()).step_by(1 + x.len() / 50) {
            let (mut more, mut less) = (x.clone(), x.clone());
            more[at] += step;
            less[at] -= step;
            let expected = (loss(map, &more) - loss(map, &less)) / (2.0 * step);
            close(dx[at], expected, &format!("dx[{at}]"));
        }
        assert_eq!(weights.len(), map.parameters().len());
        for (p, gradient) in weights.iter().enumerate() {
            let (name, shape) = {
                let (name, value) = &map.parameters()[p];
                (name.clone(), value.shape().to_vec())
            };
            assert_eq!(gradient.shape(), shape, "{name}");
            for at in (0..gradient.len()).step_by(1 + gradient.len() / 40) {
                let mut nudge = |by: f64| {
                    let mut parameters = map.parameters_mut();
                    *parameters[p].1.iter_mut().nth(at).unwrap() += by;
                    drop(parameters);
                    loss(&*map, &x)
                };
                let more = nudge(step);
                let less = nudge(-2.0 * step);
                nudge(step);
                let expected = (more - less) / (2.0 * step);
                let found = *gradient.iter().nth(at).unwrap();
                close(found, expected, &format!("{name}[{at}]"));
            }
        }
    }

    /// The same bits from one thread and from many.
    pub fn same_on_any_number_of_threads(map: &dyn Map<f64>, frames: usize) {
        let (inputs, outputs) = (map.inputs(), map.outputs());
        let x = noise(frames * inputs, 5);
        let dz = Array2::from_shape_vec((frames, outputs), noise(frames * outputs, 6)).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let prepared = map.prepare();
                let mut z = vec![0.0; frames * outputs];
                let view = Frames::packed(&x, inputs);
                let kept = prepared.forward(&view, &mut z);
                (z, prepared.weight_gradient(&view, &kept, dz.view()))
            })
        };
        assert_eq!(run(1), run(4));
        assert_eq!(dz.len_of(Axis(0)), frames);
    }
}
