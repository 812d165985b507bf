//! The part of a map that reads some of a frame: a range of indices of its slowest input mode.
//!
//! All forms of map are linear in the tensor that has that mode, so the map of a range is one of the same form, with a
//! part of that tensor. What stands still from step to step is then mapped once.

use super::{Map, zeros};
use crate::float::real::Real;
use crate::shape::{MapKind, MapShape};
use ndarray::{ArrayD, AxisDescription, Slice};
use std::ops::Range;

/// A map of its own of some indices of another one's slowest input mode.
#[derive(Debug)]
pub struct MapPart<T> {
    /// With the weights that the other one had.
    pub map: Box<dyn Map<T>>,
    /// The first of the indices.
    first: usize,
}

impl<T: Real> MapPart<T> {
    /// Values of a frame that an index of the slowest mode stands for.
    pub fn slab(shape: &MapShape) -> usize {
        match shape.kind {
            MapKind::Dense => 1,
            MapKind::BlockTerm { .. } | MapKind::TensorTrain { .. } => {
                shape.inputs[1..].iter().product()
            }
        }
    }

    /// Of the map `whole` of this shape the part that reads these indices.
    ///
    /// # Panics
    /// If the range is empty or leads outside.
    pub fn new(whole: &dyn Map<T>, shape: &MapShape, indices: Range<usize>) -> MapPart<T> {
        assert!(!indices.is_empty(), "a part that reads nothing");
        let mut own = shape.clone();
        if shape.kind == MapKind::Dense {
            own.inputs = vec![indices.len()];
        } else {
            own.inputs[0] = indices.len();
        }
        let mut map = zeros(&own);
        let first = indices.start;
        let pairs = map.parameters_mut().into_iter().zip(whole.parameters());
        for ((_, mut own), (_, whole)) in pairs {
            let cut = whole.slice_each_axis(window(first, own.shape()));
            own.assign(&cut);
        }
        MapPart { map, first }
    }

    /// Adds gradients of the part's parameters to those of the whole map's.
    pub fn add(&self, gradients: &[ArrayD<T>], whole: &mut [ArrayD<T>]) {
        for (own, whole) in gradients.iter().zip(whole) {
            let mut sum = whole.slice_each_axis_mut(window(self.first, own.shape()));
            sum += own;
        }
    }
}

/// Where a part's tensor of that shape stands in the whole: it is shorter along the slowest input mode, or as long.
fn window(first: usize, own: &[usize]) -> impl FnMut(AxisDescription) -> Slice {
    move |whole| match own[whole.axis.index()] {
        length if length < whole.len => Slice::from(first..first + length),
        _ => Slice::from(..),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use ndarray::{Array2, Axis, s};

    /// A part's matrix is so many columns of the whole one's, and the gradients of two parts add up to those of the
    /// whole.
    #[test]
    fn parts_are_columns() {
        for kind in [
            MapKind::Dense,
            MapKind::TensorTrain { rank: 3 },
            MapKind::BlockTerm { blocks: 2, rank: 2 },
        ] {
            let shape = MapShape {
                kind,
                inputs: vec![5, 3, 2],
                outputs: vec![4, 2, 3],
            };
            let mut whole = zeros::<f64>(&shape);
            for (seed, (_, mut values)) in whole.parameters_mut().into_iter().enumerate() {
                let noise = check::noise(values.len(), 40 + seed as u64);
                values.iter_mut().zip(noise).for_each(|(v, n)| *v = n);
            }
            let slab = MapPart::<f64>::slab(&shape);
            assert_eq!(30 % slab, 0);
            let matrix = check::matrix(whole.as_ref());
            let frames = 4;
            let x = Array2::from_shape_vec((frames, 30), check::noise(120, 50)).unwrap();
            let dz = Array2::from_shape_vec((frames, 24), check::noise(96, 51)).unwrap();
            let gradients = |map: &dyn Map<f64>, x: &Array2<f64>| {
                let prepared = map.prepare();
                let frames = super::super::Frames::packed(x.as_slice().unwrap(), x.ncols());
                let kept = prepared.forward(&frames, &mut vec![0.0; dz.len()]);
                prepared.weight_gradient(&frames, &kept, dz.view())
            };
            let expected = gradients(whole.as_ref(), &x);
            let mut found: Vec<_> = expected
                .iter()
                .map(|array| ArrayD::zeros(array.raw_dim()))
                .collect();
            let cut = 2 * 30 / slab / 5;
            for indices in [0..cut, cut..30 / slab] {
                let columns = indices.start * slab..indices.end * slab;
                let part = MapPart::new(whole.as_ref(), &shape, indices);
                let own = check::matrix(part.map.as_ref());
                let error = own - matrix.slice(s![.., columns.clone()]);
                assert!(error.iter().all(|e| e.abs() < 1e-12), "{kind:?}");
                let x = x.slice(s![.., columns]).as_standard_layout().to_owned();
                part.add(&gradients(part.map.as_ref(), &x), &mut found);
            }
            for (found, expected) in found.iter().zip(&expected) {
                let error = found - expected;
                assert!(error.iter().all(|e| e.abs() < 1e-12), "{kind:?}");
                assert!(expected.len_of(Axis(0)) > 0);
            }
        }
    }
}
