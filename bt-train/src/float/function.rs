//! A map and a layer as functions that another program differentiates through: forward gives values and keeps what
//! backward needs; weights come from outside, before each. What does not hang on them is done once: the plan of a
//! contraction takes as long as a training step.

use crate::error::{Error, ErrorKind, Result};
use crate::float::cell::Kind;
use crate::float::config::LayerShape;
use crate::float::filter::Filter;
use crate::float::layer::{LayerTrace, LayerWeights};
use crate::float::map::{self, Frames, Map};
use crate::float::packing::{Packing, values};
use crate::float::pool::Reads;
use crate::float::real::Real;
use crate::float::workers::on_workers;
use crate::shape::MapShape;
use ndarray::{Array2, ArrayD, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMutD};

/// A linear map without a bias, frames [frames, I] to results [frames, J].
#[derive(Debug)]
pub struct MapFunction<T> {
    map: Box<dyn Map<T>>,
}

impl<T: Real> MapFunction<T> {
    /// A map of this form, all weights zero.
    pub fn zeros(shape: &MapShape) -> MapFunction<T> {
        MapFunction {
            map: map::zeros(shape),
        }
    }

    /// The same map with these weights, in the order of [`MapShape::tensors`].
    ///
    /// # Errors
    /// Names the tensor that is of another shape.
    pub fn with(&self, weights: &[ArrayViewD<'_, T>]) -> Result<MapFunction<T>> {
        let mut map = self.map.boxed_clone();
        fill(map.parameters_mut(), weights)?;
        Ok(MapFunction { map })
    }

    /// Results [frames, J] of `x` [frames, I], and what [`backward`](Self::backward) wants to see again.
    ///
    /// # Panics
    /// If `x` does not hold whole frames.
    pub fn forward(&self, x: &[T]) -> (Vec<T>, Vec<T>) {
        let frames = self.frames(x);
        let mut z = vec![T::zero(); frames.len() * self.map.outputs()];
        let kept = on_workers(|| self.map.prepare().forward(&frames, &mut z));
        (z, kept)
    }

    /// Gradients of the weights, and into `dx` [frames, I] those of the frames where they are wanted, from those
    /// of the results.
    ///
    /// # Panics
    /// If the arrays do not fit each other.
    pub fn backward(
        &self,
        x: &[T],
        kept: &[T],
        dz: ArrayView2<'_, T>,
        dx: Option<&mut [T]>,
    ) -> Vec<ArrayD<T>> {
        let frames = self.frames(x);
        assert_eq!(dz.dim(), (frames.len(), self.map.outputs()), "gradients");
        on_workers(|| {
            let prepared = self.map.prepare();
            if let Some(dx) = dx {
                assert_eq!(dx.len(), x.len(), "gradients of the frames");
                prepared.input_gradient(dz, dx);
            }
            prepared.weight_gradient(&frames, kept, dz)
        })
    }

    fn frames<'x>(&self, x: &'x [T]) -> Frames<'x, T> {
        let width = self.map.inputs();
        assert_eq!(x.len() % width, 0, "whole frames");
        Frames::packed(x, width)
    }
}

/// A recurrent layer, frames [batch, steps, I] to hidden states [batch, steps, J], from a state of zeros.
#[derive(Debug)]
pub struct LayerFunction<T> {
    kind: Kind,
    filter: Option<Filter>,
    inputs: usize,
    weights: LayerWeights<T>,
}

/// What a layer went through.
pub struct Passed<T> {
    trace: LayerTrace<T>,
    packing: Packing,
    steps: usize,
}

impl<T: Real> LayerFunction<T> {
    /// A layer of this form, all weights zero. A `filter` is for what the input map gives.
    pub fn zeros(shape: &LayerShape, kind: Kind, filter: Option<Filter>) -> LayerFunction<T> {
        LayerFunction {
            kind,
            filter,
            inputs: shape.input.width(),
            weights: LayerWeights::zeros(shape, kind, None),
        }
    }

    /// The same layer with these weights: of the input map, of the recurrent map where the cell has one, the bias, and
    /// of a GRU that of the recurrent map's last gate.
    ///
    /// # Errors
    /// Names the tensor that is of another shape.
    pub fn with(&self, weights: &[ArrayViewD<'_, T>]) -> Result<LayerFunction<T>> {
        let mut own = self.weights.clone();
        fill(own.parameters_mut(self.kind.cell, 0), weights)?;
        Ok(LayerFunction {
            weights: own,
            ..*self
        })
    }

    /// Hidden states [batch, steps, J] of `x` [batch, steps, I], of which sequence b has `lengths[b]` valid steps;
    /// zeros behind them.
    ///
    /// # Panics
    /// If `x` is not of that shape, or a length exceeds the steps.
    pub fn forward(&self, x: &[T], steps: usize, lengths: &[usize]) -> (Vec<T>, Passed<T>) {
        assert_eq!(x.len(), lengths.len() * steps * self.inputs, "frames");
        assert!(lengths.iter().all(|&length| length <= steps), "lengths");
        let packing = Packing::new(lengths, Reads::STATES);
        let frames = self.frames(x, &packing, steps);
        let trace = on_workers(|| {
            let layer = self.weights.prepare(self.kind, self.filter, None);
            layer.forward(&frames, &packing, None, None)
        });
        let units = trace.outputs().ncols();
        let mut h = vec![T::zero(); lengths.len() * steps * units];
        for (row, place) in places(&packing, steps).enumerate() {
            let from = &values(trace.outputs())[row * units..][..units];
            h[place * units..][..units].copy_from_slice(from);
        }
        let passed = Passed {
            trace,
            packing,
            steps,
        };
        (h, passed)
    }

    /// Gradients of the weights, and into `dx` [batch, steps, I] those of the frames where they are wanted, from
    /// those of the hidden states, `dh` [batch, steps, J]; what stands behind the end of a sequence is not read.
    ///
    /// # Panics
    /// If the arrays are not those of that forward pass.
    pub fn backward(
        &self,
        passed: &Passed<T>,
        x: &[T],
        dh: &[T],
        dx: Option<&mut [T]>,
    ) -> Vec<ArrayD<T>> {
        let Passed {
            trace,
            packing,
            steps,
        } = passed;
        let (units, inputs) = (trace.outputs().ncols(), self.inputs);
        let mut outputs = Array2::zeros((packing.rows(), units));
        for (mut row, place) in outputs.outer_iter_mut().zip(places(packing, *steps)) {
            row.assign(&ArrayView1::from(&dh[place * units..][..units]));
        }
        let frames = self.frames(x, packing, *steps);
        let mut below = dx
            .is_some()
            .then(|| vec![T::zero(); packing.rows() * inputs]);
        let to_below = below.as_deref_mut();
        let gradients = on_workers(|| {
            let layer = self.weights.prepare(self.kind, self.filter, None);
            layer.backward(trace.clone(), &frames, packing, None, &outputs, to_below)
        });
        if let (Some(dx), Some(below)) = (dx, &below) {
            for (row, place) in places(packing, *steps).enumerate() {
                let from = &below[row * inputs..][..inputs];
                dx[place * inputs..][..inputs].copy_from_slice(from);
            }
        }
        gradients.arrays()
    }

    fn frames<'x>(&self, x: &'x [T], packing: &Packing, steps: usize) -> Frames<'x, T> {
        let starts = places(packing, steps).map(|place| place * self.inputs);
        Frames::new(x, starts.collect())
    }
}

/// Which frame of [batch, steps] each row is.
fn places(packing: &Packing, steps: usize) -> impl Iterator<Item = usize> {
    let rows = packing.active.iter().enumerate();
    rows.flat_map(move |(t, &rows)| (0..rows).map(move |row| packing.order[row] * steps + t))
}

/// Puts values into the arrays of these names.
fn fill<T: Real>(
    arrays: Vec<(String, ArrayViewMutD<'_, T>)>,
    values: &[ArrayViewD<'_, T>],
) -> Result<()> {
    if arrays.len() != values.len() {
        return Err(Error::mismatch(
            "tensors",
            values.len(),
            arrays.len(),
            "the map takes",
        ));
    }
    for ((name, mut array), values) in arrays.into_iter().zip(values) {
        if array.shape() != values.shape() {
            return Err(Error::new(ErrorKind::Shape {
                expected: format!("{:?}", array.shape()),
                found: values.shape().to_vec(),
            })
            .field(name));
        }
        array.assign(values);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::config::Gate;
    use crate::float::map::check::noise;
    use crate::shape::{Cell, MapKind};

    /// A layer of each cell, sequences of unequal length: weights and frames against central differences, which in
    /// f64 with a step of 1e-5 are good to some 1e-9.
    #[test]
    fn gradients_of_a_layer() {
        let block_term = MapKind::BlockTerm { blocks: 2, rank: 2 };
        for cell in [Cell::Lstm, Cell::Gru, Cell::MinGru] {
            let kind = Kind {
                cell,
                gate: Gate::Sigmoid,
            };
            let gates = kind.gates();
            let filter = (cell == Cell::Gru).then_some(Filter { shift: 1 });
            let map = |kind, inputs: &[usize]| MapShape::to_gates(gates, kind, inputs, &[2, 2]);
            let recurrent = cell.device().is_recurrent();
            let shape = LayerShape {
                input: map(block_term, &[2, 3]),
                recurrent: recurrent.then(|| map(MapKind::Dense, &[2, 2])),
            };
            let sizes: Vec<Vec<usize>> = LayerWeights::<f64>::zeros(&shape, kind, None)
                .parameters(cell, 0)
                .iter()
                .map(|(_, value)| value.shape().to_vec())
                .collect();
            let (lengths, steps) = ([1, 3, 2], 3);
            // The frames, then the weights.
            let mut all = vec![noise(3 * steps * 6, 1)];
            let of_size =
                |(seed, size): (usize, &Vec<usize>)| noise(size.iter().product(), seed as u64 + 2);
            all.extend(sizes.iter().enumerate().map(of_size));
            let layer = |all: &[Vec<f64>]| {
                let views = all[1..].iter().zip(&sizes);
                let views = views.map(|(v, size)| ArrayViewD::from_shape(size.clone(), v).unwrap());
                let planned = LayerFunction::zeros(&shape, kind, filter);
                planned.with(&views.collect::<Vec<_>>()).unwrap()
            };
            let dh = noise(3 * steps * 4, 50);
            let loss = |all: &[Vec<f64>]| -> f64 {
                let (h, _) = layer(all).forward(&all[0], steps, &lengths);
                h.iter().zip(&dh).map(|(a, b)| a * b).sum()
            };
            let (h, passed) = layer(&all).forward(&all[0], steps, &lengths);
            assert!(h[4..12].iter().all(|h| *h == 0.0) && h[12..24].iter().all(|h| *h != 0.0));
            let mut dx = vec![0.0; all[0].len()];
            let mut found = vec![Vec::new()];
            let weights = layer(&all).backward(&passed, &all[0], &dh, Some(&mut dx));
            found[0] = dx;
            found.extend(weights.iter().map(|array| array.iter().copied().collect()));
            for array in 0..all.len() {
                for at in 0..all[array].len() {
                    let mut nudged = |by: f64| {
                        all[array][at] += by;
                        let loss = loss(&all);
                        all[array][at] -= by;
                        loss
                    };
                    let expected = (nudged(1e-5) - nudged(-1e-5)) / 2e-5;
                    let found = found[array][at];
                    assert!(
                        (found - expected).abs() < 1e-7,
                        "{cell:?} {array} {at}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn weights_of_another_shape_are_named() {
        let kind = MapKind::BlockTerm { blocks: 1, rank: 2 };
        let shape = MapShape::to_gates(1, kind, &[2, 3], &[2, 2]);
        let core = ndarray::ArrayD::<f32>::zeros(vec![2, 2]);
        let planned = MapFunction::zeros(&shape);
        let found = planned.with(&[core.view()]).unwrap_err();
        assert_eq!(found.to_string(), "has 1 tensors, the map takes 3");
        let found = planned.with(&[core.view(), core.view(), core.view()]);
        let line = found.unwrap_err().to_string();
        assert!(
            line.starts_with("block.0.factor.0: has shape [2, 2], expected"),
            "{line}"
        );
    }
}
