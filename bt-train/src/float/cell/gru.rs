//! The GRU as PyTorch has it, gates in the order r, z, n; its state c is h itself.
//!
//! ```text
//! r = σ(x_r + u_r)   z = σ(x_z + u_z)   n = tanh(x_n + r·u_n)   h' = (1 − z)·n + z·h
//! ```
//!
//! x is what the input map gives with its bias, u what the recurrent map gives, with a bias of its own in n.

use super::{Function, gates};
use crate::float::real::Real;

/// See [`Kind::activate`](super::Kind::activate).
#[inline(always)]
pub fn activate<G: Function, T: Real>(x: &mut [T], u: &[T]) {
    let units = x.len() / 3;
    let [r, z, n] = gates(x, units);
    let (u_r, rest) = u.split_at(units);
    let (u_z, u_n) = rest.split_at(units);
    // Gate by gate: of more arrays at once the vectoriser no longer finds out that none is another.
    for (r, &u) in r.iter_mut().zip(u_r) {
        *r = G::value(*r + u);
    }
    for (z, &u) in z.iter_mut().zip(u_z) {
        *z = G::value(*z + u);
    }
    for ((n, &r), &u) in n.iter_mut().zip(&*r).zip(u_n) {
        *n = (*n + r * u).squash();
    }
}

/// See [`Kind::forward`](super::Kind::forward).
#[inline(always)]
pub fn forward<G: Function, T: Real>(x: &mut [T], u: &[T], c: &mut [T], h: &mut [T]) {
    activate::<G, T>(x, u);
    let units = c.len();
    let [_, z, n] = gates(x, units);
    let h = &mut h[..units];
    for j in 0..units {
        c[j] = n[j] + z[j] * (c[j] - n[j]);
        h[j] = c[j];
    }
}

/// See [`Kind::backward`](super::Kind::backward).
#[inline(always)]
pub fn backward<G: Function, T: Real>(
    x: &mut [T],
    u: &mut [T],
    c_before: &[T],
    dh: &[T],
    dc: &mut [T],
) {
    let one = T::one();
    let units = dc.len();
    let [x_r, x_z, x_n] = gates(x, units);
    let [u_r, u_z, u_n] = gates(u, units);
    let (c_before, dh) = (&c_before[..units], &dh[..units]);
    for j in 0..units {
        let (r, z, n) = (x_r[j], x_z[j], x_n[j]);
        let total = dc[j] + dh[j];
        let dn = total * (one - z) * (one - n * n);
        let dz = total * (c_before[j] - n) * G::slope(z);
        let dr = dn * u_n[j] * G::slope(r);
        dc[j] = total * z;
        (x_r[j], x_z[j], x_n[j]) = (dr, dz, dn);
        (u_r[j], u_z[j], u_n[j]) = (dr, dz, dn * r);
    }
}
