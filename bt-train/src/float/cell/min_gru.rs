//! The minGRU (arXiv 2410.01201), which has no recurrent map: gates in the order a, v; its state c is h.
//!
//! ```text
//! h' = (1 − σ(z_a))·h + σ(z_a)·z_v
//! ```

use super::{gates, hard_sigmoid, hard_sigmoid_slope, sigmoid_slope};
use crate::float::real::Real;
use crate::shape::Gate;

/// See [`Kind::activate`](super::Kind::activate).
#[inline(always)]
pub fn activate<T: Real>(kind: Gate, z: &mut [T]) {
    let units = z.len() / 2;
    let z = z[..units].iter_mut();
    match kind {
        Gate::Sigmoid => z.for_each(|z| *z = z.sigmoid()),
        Gate::HardSigmoid => z.for_each(|z| *z = hard_sigmoid(*z)),
    }
}

/// See [`Kind::forward`](super::Kind::forward).
#[inline(always)]
pub fn forward<T: Real>(kind: Gate, z: &mut [T], c: &mut [T], h: &mut [T]) {
    activate(kind, z);
    let units = c.len();
    let [a, v] = gates(z, units);
    let h = &mut h[..units];
    for j in 0..units {
        c[j] = c[j] + a[j] * (v[j] - c[j]);
        h[j] = c[j];
    }
}

/// See [`Kind::backward`](super::Kind::backward).
#[inline(always)]
pub fn backward<T: Real>(kind: Gate, z: &mut [T], c_before: &[T], dh: &[T], dc: &mut [T]) {
    match kind {
        Gate::Sigmoid => backward_with(sigmoid_slope, z, c_before, dh, dc),
        Gate::HardSigmoid => backward_with(hard_sigmoid_slope, z, c_before, dh, dc),
    }
}

/// `slope` is the gate's derivative, from its value.
#[inline(always)]
fn backward_with<T: Real>(
    slope: impl Fn(T) -> T,
    z: &mut [T],
    c_before: &[T],
    dh: &[T],
    dc: &mut [T],
) {
    let units = dc.len();
    let [z_a, z_v] = gates(z, units);
    let (c_before, dh) = (&c_before[..units], &dh[..units]);
    for j in 0..units {
        let (a, v) = (z_a[j], z_v[j]);
        let total = dc[j] + dh[j];
        z_a[j] = total * (v - c_before[j]) * slope(a);
        z_v[j] = total * a;
        dc[j] = total * (T::one() - a);
    }
}
