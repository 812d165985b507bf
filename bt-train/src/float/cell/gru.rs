//! The GRU as PyTorch has it, gates in the order r, z, n; its state c is h itself.
//!
//! ```text
//! r = σ(x_r + u_r)   z = σ(x_z + u_z)   n = tanh(x_n + r·u_n)   h' = (1 − z)·n + z·h
//! ```
//!
//! x is what the input map gives with its bias, u what the recurrent map gives, with a bias of its own in n.

use super::{gate, slope};
use crate::float::real::Real;
use crate::shape::Gate;

/// See [`Kind::activate`](super::Kind::activate).
pub fn activate<T: Real>(kind: Gate, x: &mut [T], u: &[T]) {
    let units = x.len() / 3;
    for j in 0..units {
        let (r, z, n) = (j, units + j, 2 * units + j);
        x[r] = gate(kind, x[r] + u[r]);
        x[z] = gate(kind, x[z] + u[z]);
        x[n] = (x[n] + x[r] * u[n]).squash();
    }
}

/// See [`Kind::forward`](super::Kind::forward).
pub fn forward<T: Real>(kind: Gate, x: &mut [T], u: &[T], c: &mut [T], h: &mut [T]) {
    activate(kind, x, u);
    let units = c.len();
    for j in 0..units {
        let (z, n) = (x[units + j], x[2 * units + j]);
        c[j] = n + z * (c[j] - n);
        h[j] = c[j];
    }
}

/// See [`Kind::backward`](super::Kind::backward).
pub fn backward<T: Real>(
    kind: Gate,
    x: &mut [T],
    u: &mut [T],
    c_before: &[T],
    dh: &[T],
    dc: &mut [T],
) {
    let one = T::one();
    let units = dc.len();
    for j in 0..units {
        let at = [j, units + j, 2 * units + j];
        let [r, z, n] = at.map(|at| x[at]);
        let total = dc[j] + dh[j];
        let dn = total * (one - z) * (one - n * n);
        let dz = total * (c_before[j] - n) * slope(kind, z);
        let dr = dn * u[at[2]] * slope(kind, r);
        dc[j] = total * z;
        (x[at[0]], x[at[1]], x[at[2]]) = (dr, dz, dn);
        (u[at[0]], u[at[1]], u[at[2]]) = (dr, dz, dn * r);
    }
}
