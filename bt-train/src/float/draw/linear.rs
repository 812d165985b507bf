//! A head that is run at every step, by the products of the maps.

use crate::float::head::Head;
use crate::float::map::dense::PreparedDense;
use crate::float::map::{Frames, Prepared, WeightSums};
use crate::float::product::sum_of_rows;
use crate::float::real::Real;
use ndarray::{Array1, ArrayView2};

/// `W h + b`, ready to run.
pub(super) struct Linear<'a, T> {
    map: Box<dyn Prepared<T> + 'a>,
    head: &'a Head<T>,
}

impl<'a, T: Real> Linear<'a, T> {
    pub fn new(head: &'a Head<T>) -> Linear<'a, T> {
        Linear {
            map: Box::new(PreparedDense::new(head.weight.view())),
            head,
        }
    }

    /// Values that it gives.
    pub fn outputs(&self) -> usize {
        self.head.bias.len()
    }

    /// Adds its values to those of `sum` [batch, K], of rows `h` [batch, J].
    pub fn add(&self, h: &[T], sum: &mut [T]) {
        for row in sum.chunks_exact_mut(self.outputs()) {
            row.iter_mut()
                .zip(&self.head.bias)
                .for_each(|(v, &b)| *v += b);
        }
        self.map
            .forward(&Frames::packed(h, self.head.weight.ncols()), sum);
    }

    /// Overwrites `dh` with the gradient of rows, of that of their values.
    pub fn back(&self, dvalues: &[T], dh: &mut [T]) {
        self.map.input_gradient(self.rows(dvalues), dh);
    }

    /// The gradient of W and b, of rows `h` of all steps and that of their values, run after run.
    ///
    /// # Panics
    /// If there is no run.
    pub fn gradients<'r>(&self, runs: impl Iterator<Item = (&'r [T], &'r [T])>) -> Head<T> {
        let (mut sums, mut bias) = (WeightSums::default(), Array1::zeros(self.outputs()));
        for (h, dvalues) in runs {
            let dvalues = self.rows(dvalues);
            let frames = Frames::packed(h, self.head.weight.ncols());
            self.map
                .add_weight_gradient(&frames, &[], dvalues, &mut sums);
            bias += &sum_of_rows(dvalues);
        }
        let weight = self.map.of_parameters(sums).pop().expect("a run");
        Head {
            weight: weight.into_dimensionality().expect("a matrix"),
            bias,
        }
    }

    fn rows<'v>(&self, values: &'v [T]) -> ArrayView2<'v, T> {
        let shape = (values.len() / self.outputs(), self.outputs());
        ArrayView2::from_shape(shape, values).expect("rows of the head")
    }
}
