//! The minGRU (arXiv 2410.01201), which has no recurrent map: gates in the order a, v; its state c is h.
//!
//! ```text
//! h' = (1 − σ(z_a))·h + σ(z_a)·z_v
//! ```

use super::{Function, gates};
use crate::float::real::Real;

/// See [`Kind::activate`](super::Kind::activate).
#[inline(always)]
pub fn activate<G: Function, T: Real>(z: &mut [T]) {
    let units = z.len() / 2;
    z[..units].iter_mut().for_each(|z| *z = G::value(*z));
}

/// See [`Kind::forward`](super::Kind::forward).
#[inline(always)]
pub fn forward<G: Function, T: Real>(z: &mut [T], c: &mut [T], h: &mut [T]) {
    activate::<G, T>(z);
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
pub fn backward<G: Function, T: Real>(z: &mut [T], c_before: &[T], dh: &[T], dc: &mut [T]) {
    let units = dc.len();
    let [z_a, z_v] = gates(z, units);
    let (c_before, dh) = (&c_before[..units], &dh[..units]);
    for j in 0..units {
        let (a, v) = (z_a[j], z_v[j]);
        let total = dc[j] + dh[j];
        z_a[j] = total * (v - c_before[j]) * G::slope(a);
        z_v[j] = total * a;
        dc[j] = total * (T::one() - a);
    }
}
