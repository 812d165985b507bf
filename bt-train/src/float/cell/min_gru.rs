//! The minGRU (arXiv 2410.01201), which has no recurrent map: gates in the order a, v; its state c is h.
//!
//! ```text
//! h' = (1 − σ(z_a))·h + σ(z_a)·z_v
//! ```

use super::{gate, slope};
use crate::float::real::Real;
use crate::shape::Gate;

/// See [`Kind::activate`](super::Kind::activate).
pub fn activate<T: Real>(kind: Gate, z: &mut [T]) {
    let units = z.len() / 2;
    z[..units].iter_mut().for_each(|z| *z = gate(kind, *z));
}

/// See [`Kind::forward`](super::Kind::forward).
pub fn forward<T: Real>(kind: Gate, z: &mut [T], c: &mut [T], h: &mut [T]) {
    activate(kind, z);
    let units = c.len();
    for j in 0..units {
        c[j] = c[j] + z[j] * (z[units + j] - c[j]);
        h[j] = c[j];
    }
}

/// See [`Kind::backward`](super::Kind::backward).
pub fn backward<T: Real>(kind: Gate, z: &mut [T], c_before: &[T], dh: &[T], dc: &mut [T]) {
    let units = dc.len();
    for j in 0..units {
        let (a, v) = (z[j], z[units + j]);
        let total = dc[j] + dh[j];
        z[j] = total * (v - c_before[j]) * slope(kind, a);
        z[units + j] = total * a;
        dc[j] = total * (T::one() - a);
    }
}
