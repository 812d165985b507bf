//! What motion leaves of z: the input map's share less a mean of those before it.
//!
//! The map is linear, so filtering W·x is W times the filtered x: G·J values stand for a frame.

use crate::float::config::InputConfig;
use crate::float::packing::{Packing, values_mut};
use crate::float::real::Real;
use ndarray::{Array2, s};
use rayon::prelude::*;

/// y_t = x_t − m, then m += y_t / N: the difference of two frames where N is 1, what differs from a mean of
/// about N frames where it is more. m starts as the first frame, so that y of the first is 0: a frame's own
/// picture would drown what moves in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// log₂ N.
    pub shift: u32,
}

impl Filter {
    /// That of a model's input, where it has one.
    pub fn of(input: &InputConfig) -> Option<Filter> {
        input.filter_horizon().map(|horizon| Filter {
            shift: horizon.ilog2(),
        })
    }

    /// 1 / N.
    fn share<T: Real>(self) -> T {
        T::from_f64(2f64.powi(-(self.shift as i32)))
    }

    /// Filters the frames of a sequence, one after the other, by a mean `[width]` that knows none yet at the
    /// `first`.
    pub fn apply<T: Real>(self, mean: &mut [T], frame: &mut [T], is_first: bool) {
        if is_first {
            mean.copy_from_slice(frame);
        }
        let share = self.share::<T>();
        for (x, mean) in frame.iter_mut().zip(mean) {
            *x -= *mean;
            *mean += share * *x;
        }
    }

    /// Filters the rows of `z`, time-major, each along its sequence.
    pub(super) fn forward<T: Real>(self, packing: &Packing, z: &mut Array2<T>) {
        let width = z.ncols();
        let mut means = means(packing, width);
        for (t, &rows) in packing.active.iter().enumerate() {
            step(packing, z, t)
                .par_chunks_mut(width)
                .zip(values_mut(&mut means)[..rows * width].par_chunks_mut(width))
                .for_each(|(z, mean)| self.apply(mean, z, t == 0));
        }
    }

    /// The gradient of what went in from that of what came out, in place.
    pub(super) fn backward<T: Real>(self, packing: &Packing, dz: &mut Array2<T>) {
        let (width, share) = (dz.ncols(), self.share::<T>());
        let mut dmeans = means(packing, width);
        for (t, &rows) in packing.active.iter().enumerate().rev() {
            step(packing, dz, t)
                .par_chunks_mut(width)
                .zip(values_mut(&mut dmeans)[..rows * width].par_chunks_mut(width))
                .for_each(|(dz, dmean)| {
                    for (dz, dmean) in dz.iter_mut().zip(dmean) {
                        if t == 0 {
                            *dz = *dmean;
                        } else {
                            *dz += share * *dmean;
                            *dmean -= *dz;
                        }
                    }
                });
        }
    }
}

/// A row for every sequence.
fn means<T: Real>(packing: &Packing, width: usize) -> Array2<T> {
    Array2::zeros((packing.order.len(), width))
}

/// The rows of a step.
fn step<'z, T: Real>(packing: &Packing, z: &'z mut Array2<T>, t: usize) -> &'z mut [T] {
    let rows = s![packing.offsets[t]..packing.offsets[t + 1], ..];
    let rows = z.slice_mut(rows).into_slice();
    rows.expect("whole rows of a standard layout")
}
